"use strict";
// The summary and the list of clips.
const ROWS = 200; // drawn at once
let sort = { key: "name", up: true }, drawn = { shape: null, rows: 0 };

function summary() {
  const head = el("tr", null, {}, [el("th", "metric", { scope: "col" })]), body = el("tbody"), real = DATA.metrics.some((m) => typeof m.real === "number");
  if (real) head.append(el("th", null, { scope: "col" }, [key(REAL), el("span", "real")]));
  DATA.runs.forEach((run, k) => head.append(el("th", null, { scope: "col" }, [key(k), named("span", run.name)])));
  for (const m of DATA.metrics) {
    const tr = el("tr", null, {}, [el("th", label(m), { scope: "row" })]);
    if (real) tr.append(el("td", fixed(m.real, m.decimals)));
    for (const run of DATA.runs) tr.append(score(m, run));
    body.append(tr);
  }
  const lost = el("tr", null, {}, [el("th", "clips with failures", { scope: "row" })]);
  if (real) lost.append(el("td"));
  for (const run of DATA.runs) lost.append(el("td", `${run.clips.filter((c) => c && c.failures.length).length} of ${run.nPairs}`));
  body.append(lost);
  $("summary").append(el("thead", null, {}, [head]), body);
  const left = Math.max(...DATA.metrics.map((m) => m.leftOut));
  const speakers = DATA.runs.filter((run) => run.scores.some((s) => s.resample === "speaker")).map((run) => run.name);
  $("summary-note").textContent = "Mean over clips, 95 % bootstrap interval" + (speakers.length ? ` (over speakers with all their clips: ${speakers.join(", ")}).` : ".") + (DATA.runs.length < 2 ? "" : DATA.unlike.length ? " Nothing is marked best: the runs were not measured the same way." : " Bold is best, underlined second, over the clips that all methods scored" + (left ? ` (up to ${left} clips are left out of that).` : "."));
  for (const sentence of DATA.unlike) $("unlike").append(el("p", `${sentence}.`, { class: "fail" }));
  for (const run of DATA.runs) for (const s of run.scores) $("signatures").append(el("p", `${run.name}, ${s.metric} [${s.hash}]: `, { class: "note" }, [el("code", s.signature)]));
}
function score(m, run) {
  const s = run.scores.find((x) => x.metric === m.id), td = el("td");
  td.append(marked(s ? fixed(s.value, m.decimals) : "\u2013", m.best.includes(run.name) ? 1 : m.second.includes(run.name) ? 2 : 0));
  if (!s) return td;
  if (s.low !== null) td.append(el("small", `${fixed(s.low, m.decimals)} .. ${fixed(s.high, m.decimals)}`));
  if (s.absolute !== null) td.append(el("small", `mean of absolute values: ${fixed(s.absolute, m.decimals)}`));
  if (s.n < s.asked) td.append(el("small", `${s.n} of ${s.asked} clips`, { class: "fail" }));
  return td;
}
// --- clips
const picked = () => $("run").selectedIndex - (DATA.runs.length > 1 ? 1 : 0); // -1: all methods
const listMetric = () => DATA.metrics[$("metric").selectedIndex];
const pair = () => [DATA.runs[$("diff-a").selectedIndex], DATA.runs[$("diff-b").selectedIndex]];
function gap(i, m) {
  const [a, b] = pair().map((r) => r.clips[i]?.values[m.id]);
  return typeof a === "number" && typeof b === "number" ? a - b : null;
}
function columns() {
  const m = listMetric(), k = picked(), found = [["name", "clip"], ["frames", "frames"]];
  if (k < 0) {
    DATA.runs.forEach((run, j) => found.push([`run:${j}`, run.name]));
    found.push(["gap", "difference"]);
  } else for (const x of DATA.metrics) if (DATA.runs.some((r) => r.clips.some((c) => c && x.id in c.values))) found.push([x.id, label(x)]);
  return { found, m, k };
}
function value(i, by, m, k) {
  if (by === "name") return DATA.ids[i];
  if (by === "frames") return (k < 0 ? DATA.runs.map((r) => r.clips[i]) : [DATA.runs[k].clips[i]]).find((c) => c)?.frames;
  if (by === "gap") { const d = gap(i, m); return d === null ? null : Math.abs(d); }
  return by.startsWith("run:") ? DATA.runs[Number(by.slice(4))].clips[i]?.values[m.id] : DATA.runs[k]?.clips[i]?.values[by];
}
function failures(i, k) { return (k < 0 ? DATA.runs : [DATA.runs[k]]).filter((r) => r.clips[i]?.failures.length); }
// The worst value of a clip, of the method that is looked at or of any.
function worstOf(i, m, k) {
  const values = (k < 0 ? DATA.runs : [DATA.runs[k]]).map((r) => r.clips[i]?.values[m.id]).filter((v) => typeof v === "number");
  return values.length ? Math.min(...values.map((v) => goodness(m, v))) : null;
}
function chosen() {
  const { m, k } = columns(), words = $("search").value.toLowerCase(), most = $("worst").value;
  let rows = DATA.ids.map((_, i) => i).filter((i) => (k < 0 || DATA.runs[k].clips[i]) && DATA.ids[i].toLowerCase().includes(words));
  if ($("failed").checked) rows = rows.filter((i) => failures(i, k).length);
  if (most && m.direction) rows = rows.filter((i) => worstOf(i, m, k) !== null).sort((a, b) => worstOf(a, m, k) - worstOf(b, m, k)).slice(0, Number(most));
  const way = sort.up ? 1 : -1;
  return rows.sort((a, b) => {
    const x = value(a, sort.key, m, k), y = value(b, sort.key, m, k), ex = x === null || x === undefined, ey = y === null || y === undefined;
    if (ex || ey) return ex - ey || a - b;
    return (x < y ? -1 : x > y ? 1 : a - b) * way;
  });
}
function header({ found, m }) {
  const tr = el("tr");
  for (const [by, text] of found) {
    const th = el("th", null, { scope: "col", "aria-sort": sort.key === by ? (sort.up ? "ascending" : "descending") : "none" });
    const button = el("button", null, { type: "button", "data-key": by });
    if (by.startsWith("run:")) button.append(key(Number(by.slice(4))), " ");
    button.append(named("span", text), sort.key === by ? (sort.up ? " \u25b2" : " \u25bc") : "");
    if (by === "gap") button.append(el("small", `${pair()[0].name} \u2212 ${pair()[1].name}, by size`));
    button.addEventListener("click", () => { sort = { key: by, up: sort.key === by ? !sort.up : by !== "gap" }; clips(); $("cliptable").querySelector(`[data-key="${CSS.escape(by)}"]`).focus(); });
    th.append(button);
    tr.append(th);
  }
  $("count").dataset.metric = m.id;
  return el("thead", null, {}, [tr]);
}
function thumbnails(i) {
  const strip = el("span", null, { class: "thumbs" });
  const add = (who) => { const image = el("img", null, { src: thumbnail(i, who), alt: "", loading: "lazy", decoding: "async", height: "48" }); strip.append(image); };
  if (DATA.real[i]) add(REAL);
  DATA.runs.forEach((run, k) => { if (run.clips[i]?.media) add(k); });
  return strip;
}
function clipRow(i, { found, m, k }) {
  const lost = failures(i, k), tr = el("tr", null, { "data-clip": String(i) }), name = el("td", null, { class: "name" });
  const link = named("a", DATA.ids[i], { href: hashOf(i, 0) });
  link.addEventListener("click", (event) => { event.preventDefault(); chooseClip(i); });
  name.append(thumbnails(i), link);
  if (lost.length) name.append(" ", el("span", k < 0 ? `failed: ${lost.map((r) => r.name).join(", ")}` : "failed", { class: "fail" }));
  tr.append(name);
  const runs = found.filter(([by]) => by.startsWith("run:")).map(([by]) => value(i, by, m, k)), best = places(m, runs);
  let j = 0;
  for (const [by] of found.slice(1)) {
    const v = value(i, by, m, k);
    if (by === "frames") tr.append(el("td", typeof v === "number" ? String(v) : "\u2013"));
    else if (by === "gap") tr.append(el("td", fixed(gap(i, m), m.decimals)));
    else if (by.startsWith("run:")) tr.append(el("td", null, {}, [marked(fixed(v, m.decimals), best[j++])]));
    else tr.append(el("td", fixed(v, metricOf(by).decimals)));
  }
  return tr;
}
function clips() {
  const shape = columns();
  if (!shape.found.some(([by]) => by === sort.key)) sort = { key: "name", up: true };
  const rows = chosen();
  for (const node of document.querySelectorAll(".of-pair")) node.hidden = shape.k >= 0;
  $("cliptable").replaceChildren(header(shape), el("tbody"));
  $("cliptable").parentNode.scrollTop = 0;
  $("count").textContent = `${rows.length} of ${DATA.ids.length} clips`;
  view.order = rows;
  drawn = { shape, rows: 0 };
  moreRows();
}
// Rows are drawn as far as the list has been scrolled, and some further: thousands at once take seconds.
function moreRows() {
  const next = view.order.slice(drawn.rows, drawn.rows + ROWS), body = $("cliptable").tBodies[0];
  body.querySelector(".more")?.remove();
  body.append(...next.map((i) => clipRow(i, drawn.shape)));
  drawn.rows += next.length;
  if (drawn.rows < view.order.length) {
    const button = el("button", `show more (${view.order.length - drawn.rows} clips)`, { type: "button" });
    button.addEventListener("click", moreRows);
    body.append(el("tr", null, { class: "more" }, [el("td", null, { colspan: String(drawn.shape.found.length) }, [button])]));
  }
  markRow();
}
function scrolled(event) {
  const box = event.target;
  if (drawn.rows < view.order.length && box.scrollTop + 2 * box.clientHeight > box.scrollHeight) moreRows();
}
// The row of the clip that is open.
function markRow() {
  for (const tr of $("cliptable").querySelectorAll("tr[data-clip]")) tr.setAttribute("aria-current", String(tr.dataset.clip === String(view.i)));
}
function mostDifferent() {
  $("run").selectedIndex = 0;
  sort = { key: "gap", up: false };
  clips();
}
function startList() {
  const names = DATA.runs.map((r) => r.name), metrics = DATA.metrics.map((m) => m.heading), several = names.length > 1;
  summary();
  options("run", several ? ["all methods, one metric", ...names.map((n) => `${n}, all metrics`)] : names, 0);
  options("metric", metrics, 0);
  for (const id of ["diff-a", "sc-x"]) options(id, names, 0);
  for (const id of ["diff-b", "sc-y"]) options(id, names, 1);
  options("sc-metric", metrics, 0);
  for (const node of document.querySelectorAll(".of-several")) node.hidden = !several;
  for (const id of ["run", "failed", "worst", "metric", "diff-a", "diff-b"]) $(id).addEventListener("change", clips);
  $("search").addEventListener("input", clips);
  $("most").addEventListener("click", mostDifferent);
  $("cliptable").parentNode.addEventListener("scroll", scrolled);
  clips();
}
function options(id, names, index) {
  names.forEach((n) => $(id).append(el("option", n)));
  $(id).selectedIndex = Math.min(index, names.length - 1);
}
