"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const draw = () => {
    const ink = colour("--ink");
    const line = colour("--line");
    for (const { id, plot } of charts) {
      const layout = structuredClone(plot.layout);
      layout.font = { ...layout.font, color: ink };
      layout.hoverlabel = { bgcolor: colour("--card"), font: { color: ink } };
      for (const axis of [layout.xaxis, layout.yaxis]) {
        Object.assign(axis, { gridcolor: line, zerolinecolor: line, linecolor: line });
      }
      Plotly.react(id, plot.data, layout, plot.config);
    }
  };
  draw();
  dark.addEventListener("change", draw);
})();
