"use strict";
// Addresses, keys, theme, and the first view.
const hashOf = (i, frame) => `#clip=${encodeURIComponent(DATA.ids[i])}&t=${(frame / FPS).toFixed(2)}`;
let remembered = 0;
// Keep the address at the clip and moment on screen, not more than a few times a second.
function remember() {
  clearTimeout(remembered);
  remembered = setTimeout(() => { if (view.i >= 0) history.replaceState(null, "", hashOf(view.i, view.sync.frame)); }, 250);
}
// What an address asks for: {i, frame}, or null.
function asked() {
  const words = new URLSearchParams(location.hash.slice(1)), i = DATA.ids.indexOf(words.get("clip")), t = Number(words.get("t"));
  return words.has("clip") && i >= 0 ? { i, frame: Number.isFinite(t) && t > 0 ? Math.round(t * FPS) : 0 } : null;
}
function chooseClip(i, frame) {
  openClip(i, frame).catch((error) => { $("where").textContent = error.message; });
  $("player").scrollIntoView({ block: "start" });
  $("clip-name").focus({ preventScroll: true });
}
function neighbour(by) {
  const order = view.order.length ? view.order : DATA.ids.map((_, i) => i), at = order.indexOf(view.i);
  const next = order[clamp(at + by, 0, order.length - 1)];
  if (next !== view.i) openClip(next, 0);
}
async function copyLink() {
  const link = location.href.split("#")[0] + hashOf(view.i, view.sync.frame);
  try { await navigator.clipboard.writeText(link); $("copied").textContent = "copied"; } catch { history.replaceState(null, "", link); $("copied").textContent = "the link is in the address bar"; }
  setTimeout(() => { $("copied").textContent = ""; }, 3000);
}
const click = (id) => () => $(id).click();
const KEYS = {
  " ": ["play, pause", toggle], k: [null, toggle],
  ArrowRight: ["one frame on (Shift: ten)", (e) => step(e.shiftKey ? 10 : 1)], ArrowLeft: ["one frame back (Shift: ten)", (e) => step(e.shiftKey ? -10 : -1)],
  Home: ["first frame", () => go(0)], End: ["last frame", () => go(view.sync.frames - 1)],
  s: ["next slower speed", () => { $("speed").selectedIndex = ($("speed").selectedIndex + 1) % SPEEDS.length; view.sync.speed(Number($("speed").value)); }],
  "[": ["loop from here", () => markLoop("first")], "]": ["loop to here", () => markLoop("last")], "\\": ["loop the whole clip", () => markLoop("clear")], l: ["loop on, off", click("loop")],
  m: ["mouth zoom", click("mouth")], d: ["difference from the real video", click("difference")], f: ["figure of this moment", click("figure")],
  n: ["next clip", () => neighbour(1)], p: ["clip before", () => neighbour(-1)], w: ["where do A and B differ most", click("most")], c: ["copy a link to this moment", copyLink], t: ["theme", click("theme")],
  "?": ["these keys", () => $("keys-dialog").showModal()],
};
function pressed(event) {
  const at = event.target, typing = at.closest && at.closest("select, textarea, input:not([type=checkbox]):not([type=radio]):not([type=range])");
  if (event.ctrlKey || event.metaKey || event.altKey || typing || document.querySelector("dialog[open]") || !view.sync) return;
  if (event.key === " " && at.closest("button, a, summary, input[type=checkbox], input[type=radio]")) return;
  if (/^(Arrow|Home|End)/.test(event.key) && at.closest("input[type=radio]")) return;
  if (/^(Home|End)$/.test(event.key) && !at.closest("#player")) return;
  if (/^[1-9]$/.test(event.key)) { hearNumber(Number(event.key) - 1); return; }
  const found = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!found) return;
  event.preventDefault();
  found[1](event);
}
function drawKeys() {
  const names = { " ": "Space", ArrowRight: "\u2192", ArrowLeft: "\u2190" };
  for (const [name, [text]] of Object.entries(KEYS)) if (text) $("keys").append(el("dt", null, {}, [el("kbd", names[name] || name)]), el("dd", text));
  $("keys").append(el("dt", null, {}, [el("kbd", "1"), " .. ", el("kbd", "9")]), el("dd", "which video is heard"));
  $("keys-close").addEventListener("click", () => $("keys-dialog").close());
  $("help").addEventListener("click", () => $("keys-dialog").showModal());
}
function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").setAttribute("aria-pressed", String(dark));
  $("theme").textContent = dark ? "Light theme" : "Dark theme";
  recolour();
}
function start() {
  document.title = `lipsync-eval report: ${DATA.runs.map((r) => r.name).join(", ")}`;
  let dark = matchMedia("(prefers-color-scheme: dark)").matches;
  theme(dark);
  $("theme").addEventListener("click", () => { dark = !dark; theme(dark); });
  options("speed", SPEEDS.map((s) => `${s}x`), 0);
  [...$("speed").options].forEach((o, j) => { o.value = String(SPEEDS[j]); });
  startList();
  startPlayer();
  startFigure();
  drawKeys();
  $("link").addEventListener("click", copyLink);
  document.addEventListener("keydown", pressed);
  addEventListener("hashchange", () => { const wish = asked(); if (wish) { if (wish.i === view.i) go(wish.frame); else openClip(wish.i, wish.frame); } });
  const wish = asked() || { i: view.order[0] ?? 0, frame: 0 };
  requestAnimationFrame(() => setTimeout(() => openClip(wish.i, wish.frame).catch((error) => { $("where").textContent = error.message; }))); // after the first paint
  if (DATA.runs.length < 2) { $("scatter-section").hidden = true; return; }
  for (const id of ["sc-metric", "sc-x", "sc-y"]) $(id).addEventListener("change", scatter);
  new IntersectionObserver((seen, me) => { if (seen.some((s) => s.isIntersecting)) { me.disconnect(); scatter(); } }).observe($("scatter-section"));
}
start();
