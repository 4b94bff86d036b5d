"use strict";
// What a reader sees of a page, as facts that the test judges.
window.look = (() => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => done()));
  const charts = () => [...document.querySelectorAll(".chart")];
  const luminance = (colour) => {
    const parts = colour.match(/[\d.]+/g).slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((p) => (p <= 0.03928 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  // Everything is drawn once each chart fills its place and two frames went by without a change; a
  // chart that fails never is.
  const drawn = async () => {
    const complete = (chart) => {
      const picture = chart.querySelector(".main-svg");
      return picture !== null && Math.abs(picture.clientWidth - chart.clientWidth) <= 1;
    };
    const state = () => charts().map((chart) => chart.innerHTML.length).join();
    const end = performance.now() + 20000;
    for (let still = 0, last = ""; still < 2 && performance.now() < end; ) {
      await frame();
      const now = state();
      still = now === last && charts().every(complete) ? still + 1 : 0;
      last = now;
    }
  };
  const within = (inner, outer) =>
    inner.left >= outer.left - 1 && inner.right <= outer.right + 1 &&
    inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
  // Whether the title of an axis lies beyond all labels of it, and not among them.
  const beyond = (title, axis, labels) => {
    const own = title.getBoundingClientRect();
    return labels.map((label) => label.getBoundingClientRect()).every((label) =>
      axis === "x" ? own.top >= label.bottom - 2 : own.right <= label.left + 2);
  };
  const titleOf = (chart, axis) => {
    const title = chart.querySelector(`.${axis}title`);
    const paper = getComputedStyle(document.body).backgroundColor;
    return {
      text: title?.textContent ?? "",
      named: chart._fullLayout?.[`${axis}axis`].type === "category",
      seen: Boolean(title) &&
        within(title.getBoundingClientRect(), chart.getBoundingClientRect()) &&
        beyond(title, axis, [...chart.querySelectorAll(`.${axis}tick text`)]),
      contrast: title ? contrast(getComputedStyle(title).fill, paper) : 0,
    };
  };
  const marks = (chart) =>
    [...chart.querySelectorAll(
      ".scatterlayer path, .barlayer path, .heatmaplayer image",
    )].filter((mark) => {
      const box = mark.getBoundingClientRect();
      return box.width + box.height > 2;
    }).length;
  const chartFacts = (chart) => ({
    id: chart.id,
    marks: marks(chart),
    axes: ["x", "y"].map((axis) => titleOf(chart, axis)),
    cutLabels: [...chart.querySelectorAll(".xtick text, .ytick text, .cbaxis text")]
      .filter((text) => !within(text.getBoundingClientRect(), chart.getBoundingClientRect()))
      .map((text) => text.textContent),
    tableRows: chart.parentElement.querySelectorAll("table tr").length,
  });
  // What stands out of the page to the right, but for what lies in a part that scrolls.
  const stray = (width) =>
    [...document.body.querySelectorAll("*")]
      .filter((e) => !e.closest(".scroll > *") && !e.closest("svg > *"))
      .filter((e) => e.getBoundingClientRect().right > width + 1)
      .map((e) => `${e.tagName.toLowerCase()}.${e.className}`);
  const facts = async (width) => {
    await drawn();
    const body = getComputedStyle(document.body);
    return {
      width: document.documentElement.scrollWidth,
      stray: stray(width),
      text: contrast(body.color, body.backgroundColor),
      soft: Math.min(...[...document.querySelectorAll(".soft, .badge, th")]
        .map((e) => contrast(getComputedStyle(e).color, body.backgroundColor))),
      paper: luminance(body.backgroundColor),
      charts: charts().map(chartFacts),
    };
  };
  // A place in the window at which a chart has a value; it is scrolled to.
  const place = (id) => {
    const chart = document.getElementById(id);
    chart.scrollIntoView({ block: "center", behavior: "instant" });
    const { left, top } = chart.getBoundingClientRect();
    const { xaxis: x, yaxis: y } = chart._fullLayout;
    const centre = (mark) => {
      const box = mark.getBoundingClientRect();
      return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
    };
    const mark = [...chart.querySelectorAll(".points path, .point path")]
      .find((path) => path.getBoundingClientRect().width > 3);
    const cell = () => {
      const { z } = chart._fullData[0];
      const row = z.findIndex((values) => values.some((value) => value !== null));
      const column = z[row].findIndex((value) => value !== null);
      return [x.c2p(column), y.c2p(row)];
    };
    const vertex = () => {
      const points = chart.calcdata[0];
      const { x: at, y: value } = points[Math.floor(points.length / 2)];
      return [x.c2p(at), y.c2p(value)];
    };
    if (mark) {
      return centre(mark);
    }
    const [across, down] = chart._fullData[0].type === "heatmap" ? cell() : vertex();
    return { x: left + x._offset + across, y: top + y._offset + down };
  };
  // What is shown at the mouse, as soon as anything is.
  const hover = async (id) => {
    const end = performance.now() + 3000;
    while (performance.now() < end) {
      const shown = document.querySelectorAll(`#${id} .hoverlayer .hovertext`);
      if (shown.length > 0) {
        return [...shown].map((text) => text.textContent).join("; ");
      }
      await frame();
    }
    return "";
  };
  return { facts, place, hover };
})();
