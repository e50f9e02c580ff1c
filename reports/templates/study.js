"use strict";
// Shows every item once, in an order that depends on the rater's number, and saves the answers as a file.
const $ = (id) => document.getElementById(id);
let answers = [], order = [], at = 0, began = 0, rater = 0;

// Answers survive a reload: they are kept in this browser until the file is saved.
const KEPT = `lipsync-eval study ${STUDY.study}`;
function keep() {
  try { localStorage.setItem(KEPT, JSON.stringify({ rater, answers, at })); } catch { /* a browser that keeps nothing */ }
}
function kept() {
  try {
    const held = JSON.parse(localStorage.getItem(KEPT));
    return held && Number.isInteger(held.rater) && Array.isArray(held.answers) && held.at > 0 ? held : null;
  } catch { return null; }
}
function forget() {
  try { localStorage.removeItem(KEPT); } catch { /* nothing was kept */ }
}

// mulberry32: a small seeded generator, so that a rater's order can be made again
function generator(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
// Block b shows clip c under method (c + b + rater) mod M: every method equally often in every block and for every rater.
function orderFor(number) {
  const next = generator(number * 7919 + 17), methods = STUDY.grid[0].length, out = [];
  for (let b = 0; b < methods; b += 1) {
    const block = STUDY.grid.map((row, c) => row[(c + b + number) % methods]);
    for (let i = block.length - 1; i > 0; i -= 1) {
      const j = Math.floor(next() * (i + 1));
      [block[i], block[j]] = [block[j], block[i]];
    }
    out.push(...block);
  }
  return out;
}
function el(tag, text, attributes) {
  const node = document.createElement(tag);
  if (text !== null) node.textContent = text;
  for (const [k, v] of Object.entries(attributes || {})) node.setAttribute(k, v);
  return node;
}
function show() {
  $("where").textContent = `Video ${at + 1} of ${order.length}`;
  $("video").src = `videos/${order[at]}.mp4`;
  const form = $("answers");
  form.replaceChildren();
  for (const [name, text] of STUDY.questions) {
    const group = el("fieldset", null);
    group.append(el("legend", text));
    for (const score of STUDY.scale) {
      const label = el("label", null), input = el("input", null, { type: "radio", name, value: String(score), required: "" });
      label.append(input, document.createTextNode(` ${score}${score === 1 ? " bad" : score === 5 ? " excellent" : ""} `));
      group.append(label);
    }
    form.append(group);
  }
  const seen = el("label", null, { class: "watched" });
  seen.append(el("input", null, { type: "checkbox", id: "watched" }), document.createTextNode(" I watched the video to its end, with sound"));
  form.append(seen);
  form.append(el("button", at + 1 < order.length ? "Next" : "Finish"));
  began = performance.now();
  $("where").scrollIntoView();
}
function save() {
  const data = { study: STUDY.study, rater, answers };
  $("save").href = URL.createObjectURL(new Blob([JSON.stringify(data, null, 1)], { type: "application/json" }));
  $("save").download = `answers-${STUDY.study}-rater${rater}.json`;
  $("save").click();
}
function start() {
  order = orderFor(rater);
  $("welcome").hidden = true;
  $("trial").hidden = false;
  show();
}
$("video").addEventListener("ended", () => { $("watched").checked = true; });
const before = kept();
if (before) {
  $("resume").hidden = false;
  $("resume-text").textContent = `Rater ${before.rater} has rated ${before.at} videos in this browser. `;
  $("continue").addEventListener("click", () => {
    ({ rater, answers, at } = before);
    start();
  });
}
$("total").textContent = String(STUDY.grid.length * STUDY.grid[0].length);
$("begin").addEventListener("submit", (event) => {
  event.preventDefault();
  rater = Number($("rater").value);
  answers = [];
  at = 0;
  start();
});
$("answers").addEventListener("submit", (event) => {
  event.preventDefault();
  const seconds = +((performance.now() - began) / 1000).toFixed(1), given = new FormData(event.target);
  for (const [name] of STUDY.questions) answers.push({ item: order[at], question: name, score: Number(given.get(name)), seconds, watched: $("watched").checked });
  at += 1;
  keep();
  if (at < order.length) { show(); return; }
  $("trial").hidden = true;
  $("end").hidden = false;
  save();
  forget();
});
