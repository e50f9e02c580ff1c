"use strict";
// What all parts of the page share. Text of users reaches the document through textContent only.
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7a7a7a", "#b8a800"];
const DASHES = ["solid", "dash", "dot", "dashdot"];
const ARROW = { up: " \u2191", down: " \u2193", zero: " \u21920" };
const FPS = 25;
const REAL = "real";
const $ = (id) => document.getElementById(id);

function el(tag, text, attributes, children) {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = text;
  for (const [k, v] of Object.entries(attributes || {})) node.setAttribute(k, v);
  if (children) node.append(...children);
  return node;
}
// A name may break after its own marks, never inside a word.
function named(tag, text, attributes) {
  const node = el(tag, null, attributes);
  for (const part of String(text).split(/(?<=[_\-./\\])/)) node.append(part, el("wbr"));
  node.title = text;
  return node;
}
const fixed = (v, d) => (typeof v === "number" ? v.toFixed(d).replace(/^-(0(?:\.0*)?)$/, "$1") : "\u2013");
const unit = (m) => (m.unit === "1" ? "" : ` (${m.unit})`);
const label = (m) => m.heading + unit(m) + (ARROW[m.direction] || "");
const goodness = (m, v) => (m.direction === "up" ? v : m.direction === "zero" ? -Math.abs(v) : -v);
const colour = (k) => COLOURS[k % COLOURS.length];
const dash = (k) => DASHES[Math.floor(k / COLOURS.length) % DASHES.length];
const metricOf = (id) => DATA.metrics.find((m) => m.id === id);
const padded = (i) => String(i).padStart(6, "0");
const thumbnail = (i, who) => `media/${padded(i)}-${who}.jpg`;
const clamp = (v, low, high) => Math.min(high, Math.max(low, v));

// The key of a method's line: colour and dash, so that it can be told without colour.
function key(k) {
  const node = el("span", null, { class: "key", "aria-hidden": "true" });
  node.style.borderTopColor = k === REAL ? "var(--fg)" : colour(k);
  node.style.borderTopStyle = k === REAL ? "dotted" : { solid: "solid", dash: "dashed", dot: "dotted", dashdot: "double" }[dash(k)];
  return node;
}
// Which of several values are best and second at the printed precision; ties share a mark.
function places(m, values) {
  if (!m.direction || m.ranked === false || values.filter((v) => typeof v === "number").length < 2) return values.map(() => 0);
  const rank = (v) => goodness(m, Number(fixed(v, m.decimals)));
  const levels = [...new Set(values.filter((v) => typeof v === "number").map(rank))].sort((a, b) => b - a);
  return values.map((v) => (typeof v !== "number" ? 0 : rank(v) === levels[0] ? 1 : rank(v) === levels[1] ? 2 : 0));
}
const marked = (text, place) => (place === 1 ? el("strong", text) : place === 2 ? el("u", text) : document.createTextNode(text));

// --- scripts that are read when they are needed
const scripts = new Map();
function script(src) {
  if (!scripts.has(src)) {
    scripts.set(src, new Promise((done, failed) => {
      const node = el("script", null, { src });
      node.onload = done;
      node.onerror = () => { scripts.delete(src); failed(new Error(`${src} cannot be read`)); };
      document.head.append(node);
    }));
  }
  return scripts.get(src);
}
const clipsRead = new Map();
const videosRead = new Map();
function clipData(i, data) { clipsRead.set(i, data); }
function clipMedia(i, who, text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  videosRead.set(`${i}-${who}`, URL.createObjectURL(new Blob([bytes], { type: "video/mp4" })));
}
async function readClip(i) { await script(`data/${padded(i)}.js`); return clipsRead.get(i); }
// The address of a video; the script that brought it leaves the document again, so that its text can be freed.
async function readVideo(i, who) {
  const src = `media/${padded(i)}-${who}.js`;
  if (!videosRead.has(`${i}-${who}`)) {
    await script(src);
    scripts.delete(src);
    document.querySelectorAll("script").forEach((s) => { if (s.getAttribute("src") === src) s.remove(); });
  }
  return videosRead.get(`${i}-${who}`);
}
function forgetVideos(i) {
  for (const [name, url] of videosRead) if (!name.startsWith(`${i}-`)) { URL.revokeObjectURL(url); videosRead.delete(name); }
}
