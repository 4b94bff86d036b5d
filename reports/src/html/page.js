"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 40rem)");
  // On a phone a cell of a heat map has room for no number; touching it shows one.
  const CELLS_WITH_TEXT = 4;
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
      const crowded = (trace) => narrow.matches && trace.x?.length > CELLS_WITH_TEXT;
      const data = plot.data.map((trace) =>
        trace.texttemplate && crowded(trace) ? { ...trace, texttemplate: "" } : trace);
      try {
        Plotly.newPlot(id, data, layout, plot.config);
      } catch (error) {
        // The others are drawn all the same; the table has the figures.
        console.error(id, error);
      }
    }
  };
  draw();
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
})();
