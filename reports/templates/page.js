"use strict";
// The page of one or more runs. Text of users reaches the document through textContent only.
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7a7a7a", "#b8a800"];
const DASHES = ["", "6 3", "2 2", "8 3 2 3"];
const ARROW = { up: " \u2191", down: " \u2193", zero: " \u21920" };
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const loaded = new Map();
const waiting = new Map();
let sort = { key: "name", up: true };

function el(tag, text, attributes) {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = text;
  for (const [k, v] of Object.entries(attributes || {})) node.setAttribute(k, v);
  return node;
}
function svg(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
  if (text !== undefined) node.textContent = text;
  return node;
}
const fixed = (v, d) => (v === null || v === undefined ? "\u2013" : v.toFixed(d).replace(/^-(0(?:\.0*)?)$/, "$1"));
const label = (m) => m.heading + (m.unit === "1" ? "" : ` (${m.unit})`) + (ARROW[m.direction] || "");
const goodness = (m, v) => (m.direction === "up" ? v : m.direction === "zero" ? -Math.abs(v) : -v);

// --- summary
function summary() {
  const head = el("thead"), row = el("tr");
  row.append(el("th", "run", { scope: "col" }));
  for (const m of DATA.metrics) row.append(el("th", label(m), { scope: "col" }));
  row.append(el("th", "clips with failures", { scope: "col" }));
  head.append(row);
  const body = el("tbody");
  for (const run of DATA.runs) {
    const tr = el("tr");
    tr.append(el("th", run.name, { scope: "row" }));
    for (const m of DATA.metrics) {
      const s = run.scores.find((x) => x.metric === m.id), td = el("td", s ? fixed(s.value, m.decimals) : "\u2013");
      if (s && s.low !== null) td.append(el("small", `${fixed(s.low, m.decimals)} .. ${fixed(s.high, m.decimals)}`));
      if (s && s.absolute !== null) td.append(el("small", `mean of absolute values: ${fixed(s.absolute, m.decimals)}`));
      if (s && s.gt !== null) td.append(el("small", `real: ${fixed(s.gt, m.decimals)}`));
      if (s) td.append(el("small", `${s.n} of ${s.asked}`));
      tr.append(td);
    }
    tr.append(el("td", String(run.clips.filter((c) => c && c.failures.length).length)));
    body.append(tr);
  }
  $("summary").append(el("caption", "Mean over clips, 95 % bootstrap interval, clips scored of clips asked"), head, body);
  for (const sentence of DATA.unlike) $("unlike").append(el("p", `${sentence}.`, { class: "fail" }));
  for (const run of DATA.runs) for (const s of run.scores) {
    const p = el("p", `${run.name}, ${s.metric} [${s.hash}]: `, { class: "note" });
    p.append(el("code", s.signature));
    $("signatures").append(p);
  }
}

// --- drawing
function frame(width, height, description) {
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": description });
}
function range(values) {
  const good = values.filter((v) => v !== null && v !== undefined);
  if (!good.length) return null;
  let low = good[0], high = good[0];
  for (const v of good) { if (v < low) low = v; if (v > high) high = v; }
  if (high === low) { high += 0.5; low -= 0.5; }
  return [low, high];
}
const short = (v) => (Math.abs(v) >= 100 ? v.toFixed(0) : v.toPrecision(3));

// series: [{name, values, k}]; x runs from x0 in steps of dx
function lines(series, x0, dx, unit, description) {
  const W = 640, H = 130, L = 58, R = 8, T = 8, B = 22, drawing = frame(W, H, description);
  const bounds = range(series.flatMap((s) => s.values)), n = Math.max(...series.map((s) => s.values.length));
  if (!bounds) return el("p", "no values", { class: "note" });
  const x = (i) => L + (W - L - R) * (n > 1 ? i / (n - 1) : 0.5), y = (v) => T + (H - T - B) * (1 - (v - bounds[0]) / (bounds[1] - bounds[0]));
  for (const v of bounds) {
    drawing.append(svg("line", { x1: L, x2: W - R, y1: y(v), y2: y(v), class: "axis" }), svg("text", { x: L - 4, y: y(v) + 4, "text-anchor": "end" }, short(v)));
  }
  for (const i of [0, Math.floor((n - 1) / 2), n - 1]) {
    drawing.append(svg("text", { x: x(i), y: H - 6, "text-anchor": i === 0 ? "start" : i === n - 1 ? "end" : "middle" }, `${+(x0 + dx * i).toFixed(2)} ${unit}`));
  }
  for (const s of series) {
    let path = "", pen = false;
    s.values.forEach((v, i) => { if (v === null) { pen = false; return; } path += `${pen ? "L" : "M"}${x(i).toFixed(1)} ${y(v).toFixed(1)}`; pen = true; });
    drawing.append(svg("path", { d: path, fill: "none", stroke: COLOURS[s.k % 8], "stroke-width": 1.5, "stroke-dasharray": DASHES[Math.floor(s.k / 8) % 4] }));
  }
  const cursor = svg("line", { x1: L, x2: L, y1: T, y2: H - B, class: "cursor", visibility: "hidden" });
  drawing.append(cursor);
  drawing.moveTo = (i) => { const at = x(Math.min(n - 1, Math.max(0, i))); cursor.setAttribute("x1", at); cursor.setAttribute("x2", at); cursor.setAttribute("visibility", "visible"); };
  return drawing;
}
function legend() {
  const box = el("div", null, { class: "legend" });
  DATA.runs.forEach((run, k) => {
    const item = el("span"), key = svg("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" });
    key.append(svg("line", { x1: 0, x2: 28, y1: 5, y2: 5, stroke: COLOURS[k % 8], "stroke-width": 2, "stroke-dasharray": DASHES[Math.floor(k / 8) % 4] }));
    item.append(key, document.createTextNode(" " + run.name));
    box.append(item);
  });
  return box;
}

// --- scatter
function scatter() {
  const m = DATA.metrics[$("sc-metric").selectedIndex], a = DATA.runs[$("sc-x").selectedIndex], b = DATA.runs[$("sc-y").selectedIndex];
  const points = DATA.ids.map((name, i) => [name, a.clips[i]?.values[m.id], b.clips[i]?.values[m.id]]).filter((p) => typeof p[1] === "number" && typeof p[2] === "number");
  $("scatter").replaceChildren();
  if (!points.length) { $("scatter").append(el("p", "no clip has this metric in both runs", { class: "note" })); return; }
  const S = 420, P = 46, bounds = range(points.flatMap((p) => [p[1], p[2]]));
  const wins = points.filter((p) => goodness(m, p[2]) > goodness(m, p[1])).length;
  const text = m.direction ? `${m.heading}: ${b.name} is better on ${wins} of ${points.length} clips than ${a.name}` : `${m.heading}: it is not known which direction is better`;
  const drawing = frame(S, S, text), at = (v) => P + (S - 2 * P) * (v - bounds[0]) / (bounds[1] - bounds[0]);
  drawing.append(svg("line", { x1: P, y1: S - P, x2: S - P, y2: P, class: "axis" }));
  for (const v of bounds) drawing.append(svg("text", { x: at(v), y: S - P + 16, "text-anchor": "middle" }, short(v)), svg("text", { x: P - 6, y: S - at(v) + 4, "text-anchor": "end" }, short(v)));
  drawing.append(svg("text", { x: S / 2, y: S - 8, "text-anchor": "middle" }, a.name.slice(0, 40)), svg("text", { x: 12, y: S / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${S / 2})` }, b.name.slice(0, 40)));
  for (const [name, x, y] of points) {
    const dot = svg("circle", { cx: at(x), cy: S - at(y), r: 4, fill: COLOURS[5], "fill-opacity": 0.85 });
    dot.append(svg("title", {}, `${name}: ${fixed(x, m.decimals)}, ${fixed(y, m.decimals)}`));
    drawing.append(dot);
  }
  $("scatter").append(drawing, el("p", text + "."));
}

// --- clips
function clipData(i, data) {
  loaded.set(i, data);
  (waiting.get(i) || []).forEach((f) => f(data));
  waiting.delete(i);
}
function load(i, then) {
  if (loaded.has(i)) { then(loaded.get(i)); return; }
  if (waiting.has(i)) { waiting.get(i).push(then); return; }
  waiting.set(i, [then]);
  document.head.append(el("script", null, { src: `data/${String(i).padStart(6, "0")}.js` }));
}
function open(i, body) {
  if (body.childElementCount) return;
  const left = el("div"), right = el("div"), drawings = [];
  DATA.runs.forEach((run) => {
    const clip = run.clips[i];
    if (!clip) return;
    left.append(el("h4", run.name));
    if (clip.media) {
      const video = el("video", null, { controls: "", preload: "metadata", src: clip.media, "aria-label": `${DATA.ids[i]}, ${run.name}: generated on the left, real on the right` });
      video.addEventListener("timeupdate", () => drawings.forEach((p) => p.moveTo && p.moveTo(video.currentTime * 25)));
      left.append(video, el("p", "generated | real", { class: "note" }));
    }
    clip.failures.forEach((f) => left.append(el("p", f, { class: "fail" })));
    clip.notes.forEach((n) => left.append(el("p", n, { class: "note" })));
  });
  body.append(left, right);
  load(i, (data) => {
    right.append(legend());
    for (const m of DATA.metrics) {
      const series = data.map((d, k) => ({ k, values: d.curves[m.id] })).filter((s) => s.values);
      if (!series.length) continue;
      const drawing = lines(series, 0, 1 / 25, "s", `${m.heading} per frame of ${DATA.ids[i]}`);
      drawings.push(drawing);
      right.append(el("h4", label(m) + " per frame"), drawing);
    }
    const shifts = data.map((d, k) => ({ k, values: d.distance })).filter((s) => s.values);
    if (shifts.length) right.append(el("h4", "SyncNet distance by shift of the audio"), lines(shifts, -Math.floor(shifts[0].values.length / 2), 1, "frames", "SyncNet distance by shift"));
  });
}
function chosen() {
  const run = DATA.runs[$("run").selectedIndex], words = $("search").value.toLowerCase(), by = DATA.metrics[$("worst-by").selectedIndex];
  let rows = DATA.ids.map((name, i) => ({ name, i, clip: run.clips[i] })).filter((r) => r.clip && r.name.toLowerCase().includes(words));
  if ($("failed").checked) rows = rows.filter((r) => r.clip.failures.length);
  const most = Number($("worst").value);
  if (most && by && by.direction) rows = rows.filter((r) => typeof r.clip.values[by.id] === "number").sort((a, b) => goodness(by, a.clip.values[by.id]) - goodness(by, b.clip.values[by.id])).slice(0, most);
  const value = (r) => (sort.key === "name" ? r.name : sort.key === "frames" ? r.clip.frames : r.clip.values[sort.key]);
  const way = sort.up ? 1 : -1;
  return rows.sort((a, b) => {
    const x = value(a), y = value(b), ex = x === null || x === undefined, ey = y === null || y === undefined;
    if (ex || ey) return ex - ey || a.i - b.i;
    return (x < y ? -1 : x > y ? 1 : a.i - b.i) * way;
  });
}
function header() {
  const tr = el("tr");
  const columns = [["name", "clip"], ["frames", "frames"], ...DATA.metrics.filter((m) => DATA.runs.some((r) => r.clips.some((c) => c && m.id in c.values))).map((m) => [m.id, label(m)])];
  for (const [key, text] of columns) {
    const th = el("th", null, { scope: "col", "aria-sort": sort.key === key ? (sort.up ? "ascending" : "descending") : "none" });
    const button = el("button", text + (sort.key === key ? (sort.up ? " \u25b2" : " \u25bc") : ""), { type: "button", "data-key": key });
    button.addEventListener("click", () => { sort = { key, up: sort.key === key ? !sort.up : true }; clips(); $("cliptable").querySelector(`[data-key="${CSS.escape(key)}"]`).focus(); });
    th.append(button);
    tr.append(th);
  }
  const head = el("thead");
  head.append(tr);
  return [head, columns.slice(2).map((c) => DATA.metrics.find((m) => m.id === c[0]))];
}
function clips() {
  const rows = chosen(), [head, metrics] = header(), body = el("tbody"), sections = document.createDocumentFragment();
  for (const r of rows) {
    const tr = el("tr", null, r.clip.failures.length ? { class: "failed" } : {}), name = el("td"), link = el("a", r.name, { href: `#clip-${r.i}` });
    link.addEventListener("click", () => { $(`clip-${r.i}`).open = true; });
    name.append(link);
    tr.append(name, el("td", r.clip.frames === null ? "\u2013" : String(r.clip.frames)));
    for (const m of metrics) tr.append(el("td", fixed(r.clip.values[m.id], m.decimals)));
    body.append(tr);
    const section = el("details", null, { class: "clip", id: `clip-${r.i}` }), top = el("summary"), inside = el("div", null, { class: "body" });
    top.append(el("h3", r.name));
    section.append(top, inside);
    section.addEventListener("toggle", () => { if (section.open) open(r.i, inside); });
    sections.append(section);
  }
  $("cliptable").replaceChildren(head, body);
  $("sections").replaceChildren(sections);
  $("count").textContent = `${rows.length} of ${DATA.ids.length} clips shown`;
}

// --- start
function options(id, names, index) {
  names.forEach((n) => $(id).append(el("option", n)));
  $(id).selectedIndex = Math.min(index, names.length - 1);
}
function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").setAttribute("aria-pressed", String(dark));
  $("theme").textContent = dark ? "Light theme" : "Dark theme";
}
function start() {
  const names = DATA.runs.map((r) => r.name), metrics = DATA.metrics.map((m) => m.heading);
  document.title = `lipsync-eval report: ${names.join(", ")}`;
  summary();
  options("run", names, 0);
  options("worst-by", metrics, 0);
  options("sc-metric", metrics, 0);
  options("sc-x", names, 0);
  options("sc-y", names, 1);
  if (DATA.runs.length < 2) $("scatter-section").hidden = true; else scatter();
  for (const id of ["sc-metric", "sc-x", "sc-y"]) $(id).addEventListener("change", scatter);
  for (const id of ["run", "failed", "worst", "worst-by"]) $(id).addEventListener("change", clips);
  $("search").addEventListener("input", clips);
  let dark = matchMedia("(prefers-color-scheme: dark)").matches;
  theme(dark);
  $("theme").addEventListener("click", () => { dark = !dark; theme(dark); });
  clips();
}
start();
