"use strict";
// Plots, drawn by Plotly. It is read when the first plot is drawn, so the page itself opens without it. Nothing that a user
// wrote is handed to it: names stand beside the plots as text, since Plotly takes some markup out of its own texts.
const LIBRARY = "plotly.min.js";
const charts = { list: [], turn: 0 };
const shifted = (m) => m.replace(/[<>&]/g, (c) => `&#${c.charCodeAt(0)};`);

function looks() {
  const style = getComputedStyle(document.documentElement), of = (name) => style.getPropertyValue(name).trim();
  return { fg: of("--fg"), soft: of("--soft"), line: of("--line"), panel: of("--panel") };
}
function layout(more) {
  const c = looks(), axis = { gridcolor: c.line, zeroline: false, linecolor: c.line, tickfont: { color: c.soft, size: 11 }, title: { font: { color: c.soft, size: 11 } }, automargin: false };
  return {
    height: 150, margin: { l: 52, r: 10, t: 6, b: 30 }, showlegend: false, hovermode: "x", hoverdistance: -1, dragmode: "zoom",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: c.panel, font: { family: "system-ui, sans-serif", color: c.fg },
    ...more, xaxis: { ...axis, ...(more.xaxis || {}) }, yaxis: { ...axis, nticks: 5, ...(more.yaxis || {}) },
  };
}
const CONFIG = { displayModeBar: false, responsive: true, doubleClick: "reset", showTips: false };

// One row a metric: heading, the methods with their values at the cursor, the plot.
function drawCurves() {
  const turn = ++charts.turn, data = view.data.methods, box = $("curves");
  if (window.Plotly) for (const c of charts.list) window.Plotly.purge(c.plot);
  charts.list = [];
  box.replaceChildren();
  for (const m of DATA.metrics) {
    const series = data.map((d, k) => ({ k, values: d.curves[m.id] })).filter((s) => s.values);
    if (series.length) box.append(curveRow(m, series));
  }
  const shifts = data.map((d, k) => ({ k, values: d.distance })).filter((s) => s.values);
  if (shifts.length) box.append(shiftRow(shifts));
  if (!charts.list.length) box.append(el("p", "This clip has no per-frame values.", { class: "note" }));
  else script(LIBRARY).then(() => { if (turn === charts.turn) charts.list.forEach(drawChart); moveCursor(view.sync.frame); });
}
function row(heading, description, height) {
  const plot = el("div", null, { class: "plot", role: "img", "aria-label": description });
  plot.style.minHeight = `${height}px`;
  const values = el("ul", null, { class: "values" }), cursor = el("div", null, { class: "cursor", hidden: "", title: "drag to move through the clip" });
  const node = el("section", null, { class: "curve" }, [el("h4", heading), values, el("div", null, { class: "canvas" }, [plot, cursor])]);
  return { node, plot, values, cursor };
}
function curveRow(m, series) {
  const made = row(`${label(m)} per frame`, `${m.heading} per frame of ${DATA.ids[view.i]}`, 150);
  const real = DATA.runs.map((r) => r.clips[view.i] && r.clips[view.i].gt[m.id]).find((v) => typeof v === "number");
  const spots = series.map((s) => {
    const spot = el("b", "\u2013"), mean = DATA.runs[s.k].clips[view.i].values[m.id];
    made.values.append(el("li", null, {}, [key(s.k), named("span", DATA.runs[s.k].name), spot, el("small", `clip ${fixed(mean, m.decimals)}`)]));
    return spot;
  });
  if (typeof real === "number") made.values.append(el("li", null, {}, [key(REAL), el("span", "real"), el("small", `clip ${fixed(real, m.decimals)}`)]));
  charts.list.push({ ...made, metric: m, series, real, spots });
  return made.node;
}
function shiftRow(series) {
  const made = row("SyncNet distance by shift of the audio", `SyncNet distance by shift of ${DATA.ids[view.i]}`, 170);
  for (const s of series) made.values.append(el("li", null, {}, [key(s.k), named("span", DATA.runs[s.k].name)]));
  charts.list.push({ ...made, series, spots: [] });
  return made.node;
}
function traces(chart) {
  const start = chart.metric ? 0 : -Math.floor(chart.series[0].values.length / 2), per = chart.metric ? FPS : 1;
  return chart.series.map((s) => ({
    x: s.values.map((_, i) => (start + i) / per), y: s.values, mode: "lines", connectgaps: false, hoverinfo: "none",
    line: { color: colour(s.k), width: 1.6, dash: dash(s.k) },
  }));
}
function lineOfReal(chart) {
  if (typeof chart.real !== "number") return [];
  return [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: chart.real, y1: chart.real, line: { color: looks().fg, width: 1.2, dash: "dot" } }];
}
// The range holds every curve and the real value's line.
function range(chart) {
  const all = chart.series.flatMap((s) => s.values).filter((v) => typeof v === "number").concat(typeof chart.real === "number" ? [chart.real] : []);
  let low = Infinity, high = -Infinity;
  for (const v of all) { low = Math.min(low, v); high = Math.max(high, v); }
  if (!all.length) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - room, high + room];
}
function drawChart(chart) {
  const x = chart.metric ? { title: { text: "time (s)" }, range: [0, Math.max(1, view.sync.frames - 1) / FPS] } : { title: { text: "shift (frames)" } };
  window.Plotly.newPlot(chart.plot, traces(chart), layout({ height: chart.metric ? 150 : 170, xaxis: x, yaxis: { range: range(chart) }, shapes: lineOfReal(chart) }), CONFIG);
  if (!chart.metric) return;
  chart.plot.on("plotly_click", (event) => go(event.points[0].x * FPS));
  chart.plot.on("plotly_afterplot", () => place(chart, view.sync.frame));
  chart.plot.on("plotly_relayout", (change) => together(chart, change));
  grip(chart);
}
// A zoom of one plot is a zoom of all.
function together(chart, change) {
  const to = change["xaxis.autorange"] ? [0, Math.max(1, view.sync.frames - 1) / FPS] : "xaxis.range[0]" in change ? [change["xaxis.range[0]"], change["xaxis.range[1]"]] : change["xaxis.range"];
  if (!to || charts.moving) return;
  charts.moving = true;
  Promise.all(charts.list.filter((c) => c.metric && c !== chart && c.plot.data).map((c) => window.Plotly.relayout(c.plot, { "xaxis.range": [...to] }))).finally(() => { charts.moving = false; });
}
// --- the cursor
function place(chart, frame) {
  const full = chart.plot._fullLayout;
  if (!full || !full.xaxis) return;
  const at = full.xaxis.l2p(frame / FPS), inside = at >= -1 && at <= full.xaxis._length + 1;
  chart.cursor.hidden = !inside;
  chart.cursor.style.transform = `translateX(${full._size.l + at}px)`;
  chart.cursor.style.top = `${full._size.t}px`;
  chart.cursor.style.height = `${full.yaxis._length}px`;
}
function moveCursor(frame) {
  for (const chart of charts.list) {
    if (!chart.metric) continue;
    place(chart, frame);
    const values = chart.series.map((s) => s.values[frame]);
    chart.spots.forEach((spot, j) => { spot.textContent = fixed(values[j], chart.metric.decimals); });
  }
}
// Drag the cursor: the video follows.
function grip(chart) {
  const move = (event) => {
    const full = chart.plot._fullLayout, left = chart.plot.getBoundingClientRect().left + full._size.l;
    go(full.xaxis.p2l(clamp(event.clientX - left, 0, full.xaxis._length)) * FPS);
  };
  chart.cursor.addEventListener("pointerdown", (event) => { chart.cursor.setPointerCapture(event.pointerId); event.preventDefault(); chart.cursor.onpointermove = move; });
  for (const end of ["pointerup", "pointercancel"]) chart.cursor.addEventListener(end, () => { chart.cursor.onpointermove = null; });
}
// --- one method against another, a dot a clip
function scatter() {
  const m = DATA.metrics[$("sc-metric").selectedIndex], a = DATA.runs[$("sc-x").selectedIndex], b = DATA.runs[$("sc-y").selectedIndex];
  const points = DATA.ids.map((name, i) => [i, a.clips[i]?.values[m.id], b.clips[i]?.values[m.id]]).filter((p) => typeof p[1] === "number" && typeof p[2] === "number");
  const box = $("scatter"), said = $("scatter-text"), at = $("scatter-at");
  box.hidden = !points.length;
  at.textContent = "\u00a0";
  if (!points.length) { said.textContent = "No clip has this metric in both runs."; return; }
  const wins = points.filter((p) => goodness(m, p[2]) > goodness(m, p[1])).length;
  said.replaceChildren(m.direction ? `${m.heading}: ${b.name} (upwards) is better than ${a.name} (to the right) on ${wins} of ${points.length} clips.` : `${m.heading}: it is not known which direction is better.`);
  box.setAttribute("aria-label", said.textContent);
  const low = Math.min(...points.flatMap((p) => [p[1], p[2]])), high = Math.max(...points.flatMap((p) => [p[1], p[2]])), room = (high - low || 1) * 0.05, c = looks();
  const axis = { range: [low - room, high + room] };
  script(LIBRARY).then(() => {
    window.Plotly.react(box, [{ x: points.map((p) => p[1]), y: points.map((p) => p[2]), mode: "markers", hoverinfo: "none", marker: { size: 8, color: colour(0), opacity: 0.75 } }],
      layout({ height: 380, hovermode: "closest", hoverdistance: 20, xaxis: { ...axis, title: { text: shifted(label(m)) } }, yaxis: { ...axis, nticks: 8, scaleanchor: "x" }, shapes: [{ type: "line", x0: low - room, y0: low - room, x1: high + room, y1: high + room, line: { color: c.soft, width: 1, dash: "dot" } }] }), CONFIG);
    box.removeAllListeners("plotly_hover");
    box.removeAllListeners("plotly_click");
    box.on("plotly_hover", (event) => { const p = points[event.points[0].pointIndex]; at.textContent = `${DATA.ids[p[0]]}: ${a.name} ${fixed(p[1], m.decimals)}, ${b.name} ${fixed(p[2], m.decimals)}; click to open`; });
    box.on("plotly_click", (event) => chooseClip(points[event.points[0].pointIndex][0]));
  });
}
function recolour() {
  if (!window.Plotly) return;
  const c = looks(), change = { plot_bgcolor: c.panel, "font.color": c.fg };
  for (const a of ["xaxis", "yaxis"]) Object.assign(change, { [`${a}.gridcolor`]: c.line, [`${a}.linecolor`]: c.line, [`${a}.tickfont.color`]: c.soft, [`${a}.title.font.color`]: c.soft });
  for (const chart of charts.list) if (chart.plot.data) window.Plotly.relayout(chart.plot, { ...change, shapes: lineOfReal(chart) });
  if ($("scatter").data) window.Plotly.relayout($("scatter"), { ...change, "shapes[0].line.color": c.soft });
}
