(function () {
  var svg = document.currentScript.closest("svg"), W = 1200, LETTER = 6.7;
  var frames = Array.from(svg.querySelectorAll("g")).map(function (g) {
    return {
      g: g, rect: g.querySelector("rect"), text: g.querySelector("text"),
      name: g.querySelector("title").textContent.replace(/: [0-9]+ samples, .*$/, ""),
      x: +g.dataset.x, w: +g.dataset.w, row: +g.dataset.r
    };
  });
  function zoom(to) {
    var end = to.x + to.w, hair = 1e-6;
    frames.forEach(function (f) {
      var above = f.row < to.row && f.x <= to.x + hair && f.x + f.w >= end - hair;
      var inside = f.row >= to.row && f.x >= to.x - hair && f.x + f.w <= end + hair;
      f.g.style.display = above || inside ? "" : "none";
      if (!above && !inside) return;
      var x = above ? 0 : (f.x - to.x) / to.w * W, w = above ? W : f.w / to.w * W;
      f.rect.setAttribute("x", x.toFixed(1));
      f.rect.setAttribute("width", Math.max(w - 0.5, 0.3).toFixed(1));
      f.text.setAttribute("x", (x + 3).toFixed(1));
      var room = Math.floor((w - 6) / LETTER);
      f.text.textContent = f.name.length <= room ? f.name
        : f.row < 3 ? f.name.slice(0, Math.max(room, 0))
        : room < 3 ? "" : "\u2026" + f.name.slice(f.name.length + 1 - room);
    });
  }
  frames.forEach(function (f) { f.g.addEventListener("click", function () { zoom(f); }); });
})();
