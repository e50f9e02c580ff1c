"use strict";
// The player: the real video and all methods of one clip, drawn frame by frame; controls; values of the frame on screen.
const view = { i: -1, tiles: [], sync: null, data: null, mouth: false, difference: false, opening: 0 };
const SPEEDS = [1, 0.5, 0.25, 0.1];

function tilesOf(i, data) {
  const found = [];
  if (data.real) found.push({ who: REAL, name: "real", facts: data.real });
  DATA.runs.forEach((run, k) => { if (run.clips[i]) found.push({ who: k, name: run.name, facts: data.methods[k].media, clip: run.clips[i], cross: run.cross }); });
  return found;
}
function drawTile(tile) {
  tile.canvas = el("canvas", null, { role: "img", "aria-label": `${tile.name}: the frame on screen` });
  tile.context = tile.canvas.getContext("2d");
  tile.video = el("video", null, { playsinline: "", preload: "auto", "aria-hidden": "true", tabindex: "-1" });
  tile.video.muted = true;
  tile.frames = tile.facts.frames;
  const box = el("div", null, { class: "screen" }, [tile.canvas, tile.video]);
  tile.note = el("span", "", { class: "badge" });
  box.append(tile.note);
  box.addEventListener("click", toggle);
  return box;
}
function tileNode(tile) {
  const node = el("figure", null, { class: "tile" });
  node.append(tile.facts ? drawTile(tile) : el("div", tile.clip ? "no video is shown" : "", { class: "screen empty" }));
  const caption = el("figcaption");
  if (tile.facts) {
    tile.radio = el("input", null, { type: "radio", name: "heard", value: String(tile.who) });
    tile.radio.addEventListener("change", () => view.sync.hear(tile));
    caption.append(el("label", null, { title: "hear this one" }, [tile.radio, key(tile.who), named("span", tile.name)]));
  } else caption.append(key(tile.who), named("span", tile.name));
  node.append(caption);
  if (tile.clip) {
    tile.clip.failures.forEach((f) => node.append(el("p", f, { class: "fail" })));
    if (tile.clip.notes.length) node.append(el("details", null, {}, [el("summary", `notes (${tile.clip.notes.length})`), ...tile.clip.notes.map((n) => el("p", n, { class: "note" }))]));
  }
  return node;
}
// Open a clip; frame: where to stand. A later call overtakes an earlier one.
async function openClip(i, frame) {
  const turn = ++view.opening;
  if (view.sync) view.sync.close();
  const data = await readClip(i);
  if (turn !== view.opening) return;
  view.i = i;
  view.data = data;
  view.tiles = tilesOf(i, data);
  $("clip-name").replaceChildren(named("span", DATA.ids[i]));
  $("where").textContent = `clip ${i + 1} of ${DATA.ids.length}`;
  $("tiles").replaceChildren(...view.tiles.map(tileNode));
  const shown = view.tiles.filter((t) => t.facts);
  const long = Math.max(1, ...shown.map((t) => t.frames), ...data.methods.flatMap((d) => Object.values(d.curves).map((c) => c.length)));
  view.sync = new Sync(shown, paint);
  view.sync.frames = long;
  view.sync.last = long - 1;
  const slider = $("slider");
  slider.max = String(long - 1);
  $("controls").classList.toggle("still", !shown.length);
  loopText();
  const heard = shown.find((t) => t.who === 0) || shown[0];
  if (heard) { heard.radio.checked = true; view.sync.hear(heard); }
  view.sync.speed(Number($("speed").value));
  view.sync.loop = $("loop").checked;
  drawCurves();
  markRow();
  paint(clamp(frame || 0, 0, long - 1));
  await Promise.all(shown.map(async (t) => {
    t.video.src = await readVideo(i, t.who);
    await new Promise((done) => { t.video.onloadeddata = done; t.video.onerror = done; });
  }));
  if (turn !== view.opening) return;
  forgetVideos(i);
  await view.sync.seek(clamp(frame || 0, 0, long - 1));
  $("player").dataset.ready = String(i);
}
// --- drawing of frames
function mouthAt(tile, frame) {
  const facts = tile.facts, real = view.data.real;
  const path = facts.mouth.length ? facts.mouth : real && real.width * facts.height === real.height * facts.width ? real.mouth : [];
  if (!path.length) return { x: 0.5, y: 0.68, half: 0.2 };
  const half = path.map((p) => p[3]).sort((a, b) => a - b)[Math.floor(path.length / 2)];
  const after = path.findIndex((p) => p[0] >= frame);
  if (after <= 0) { const p = path[after < 0 ? path.length - 1 : 0]; return { x: p[1], y: p[2], half }; }
  const [f, x, y] = path[after - 1], [g, u, v] = path[after], share = (frame - f) / (g - f);
  return { x: x + (u - x) * share, y: y + (v - y) * share, half };
}
// The part of a tile's frame that is shown: [left, top, width, height] px
function part(tile, frame, mouth) {
  const { width, height } = tile.facts;
  if (!mouth) return [0, 0, width, height];
  const at = mouthAt(tile, frame), side = Math.min(2 * at.half * width, width, height);
  return [clamp(at.x * width - side / 2, 0, width - side), clamp(at.y * height - side / 2, 0, height - side), side, side];
}
const LARGE = 320;
function drawFrame(context, tile, frame, mouth, size) {
  context.imageSmoothingQuality = "high";
  context.drawImage(tile.video, ...part(tile, frame, mouth), 0, 0, ...size);
}
function paint(frame) {
  const real = view.tiles.find((t) => t.who === REAL && t.facts);
  for (const tile of view.tiles) {
    if (!tile.facts) continue;
    const size = view.mouth ? [LARGE, LARGE] : [tile.facts.width, tile.facts.height], context = tile.context;
    if (tile.canvas.width !== size[0] || tile.canvas.height !== size[1]) [tile.canvas.width, tile.canvas.height] = size;
    if (tile.video.readyState < 2) { tile.canvas.style.backgroundImage = `url("${thumbnail(view.i, tile.who)}")`; continue; }
    const ended = frame >= tile.frames;
    context.globalCompositeOperation = "source-over";
    drawFrame(context, tile, frame, view.mouth, size);
    let note = ended ? `ends at frame ${tile.frames - 1}` : "";
    if (view.difference && real && tile !== real) {
      const same = real.facts.width === tile.facts.width && real.facts.height === tile.facts.height;
      if (tile.cross) note = "the real video shows other speech: no difference";
      else if (same) {
        context.globalCompositeOperation = "difference";
        context.drawImage(real.video, ...part(tile, frame, view.mouth), 0, 0, ...size);
        context.globalCompositeOperation = "lighter";
        for (let gain = Number($("gain").value); gain > 1; gain /= 2) context.drawImage(tile.canvas, 0, 0);
        note = note || `difference x ${$("gain").value}`;
      } else note = "frames of another size: no difference";
    }
    tile.note.textContent = note;
    tile.canvas.classList.toggle("ended", ended);
  }
  if (String(frame) !== $("slider").value) $("slider").value = String(frame);
  $("slider").setAttribute("aria-valuetext", `frame ${frame}`);
  $("time").textContent = `${(frame / FPS).toFixed(2)} s, frame ${frame} of ${view.sync ? view.sync.frames : 0}`;
  $("play").textContent = view.sync && view.sync.playing ? "Pause" : "Play";
  moveCursor(frame);
  if (view.sync && !view.sync.playing) remember();
}
// --- controls
function toggle() {
  if (!view.sync || !view.sync.tiles.length) return;
  if (view.sync.playing) view.sync.pause(); else view.sync.play();
  $("play").textContent = view.sync.playing ? "Pause" : "Play";
}
async function go(frame) {
  const sync = view.sync;
  if (!sync) return;
  if (sync.playing) { sync.playing = false; sync.tiles.forEach((t) => t.video.pause()); }
  await sync.seek(frame);
}
const step = (by) => go(view.sync.frame + by);
function loopText() {
  const s = view.sync, whole = s.first === 0 && s.last === s.frames - 1;
  $("loop-text").textContent = whole ? "whole clip" : `frames ${s.first} to ${s.last}`;
  $("slider").style.setProperty("--from", `${100 * s.first / Math.max(1, s.frames - 1)}%`);
  $("slider").style.setProperty("--to", `${100 * s.last / Math.max(1, s.frames - 1)}%`);
}
function markLoop(which) {
  const s = view.sync;
  if (which === "clear") { s.first = 0; s.last = s.frames - 1; }
  if (which === "first") { s.first = s.frame; if (s.last <= s.first) s.last = s.frames - 1; }
  if (which === "last") { s.last = s.frame; if (s.first >= s.last) s.first = 0; }
  if (which !== "clear") { $("loop").checked = true; s.loop = true; }
  loopText();
}
function hearNumber(n) {
  const tile = view.tiles.filter((t) => t.facts)[n];
  if (tile) { tile.radio.checked = true; view.sync.hear(tile); }
}
function startPlayer() {
  $("play").addEventListener("click", toggle);
  $("back").addEventListener("click", () => step(-1));
  $("forward").addEventListener("click", () => step(1));
  $("slider").addEventListener("input", () => go(Number($("slider").value)));
  $("speed").addEventListener("change", () => view.sync.speed(Number($("speed").value)));
  $("loop").addEventListener("change", () => { view.sync.loop = $("loop").checked; });
  $("loop-first").addEventListener("click", () => markLoop("first"));
  $("loop-last").addEventListener("click", () => markLoop("last"));
  $("loop-clear").addEventListener("click", () => markLoop("clear"));
  $("mouth").addEventListener("change", () => { view.mouth = $("mouth").checked; paint(view.sync.frame); });
  $("difference").addEventListener("change", () => { view.difference = $("difference").checked; paint(view.sync.frame); });
  if (DATA.runs.every((run) => run.cross)) $("difference").disabled = $("gain").disabled = true; // the real videos show other speech
  $("gain").addEventListener("change", () => paint(view.sync.frame));
  $("before").addEventListener("click", () => neighbour(-1));
  $("after").addEventListener("click", () => neighbour(1));
}
