"use strict";
// The figure of a paper from moments on screen: a row for each method, a column for each moment; saved as PNG.
const figure = { moments: [] };
const TEXT = "system-ui, 'DejaVu Sans', sans-serif";

// A copy of what every tile shows now, as face and as mouth.
async function takeMoment() {
  await go(view.sync.frame);
  const frame = view.sync.frame, cells = view.tiles.filter((t) => t.facts).map((tile) => {
    const copy = (mouth) => {
      const size = mouth ? [LARGE, LARGE] : [tile.facts.width, tile.facts.height], canvas = el("canvas");
      [canvas.width, canvas.height] = size;
      drawFrame(canvas.getContext("2d"), tile, frame, mouth, size);
      return canvas;
    };
    return { name: tile.name, face: copy(false), mouth: copy(true) };
  });
  if (figure.i !== view.i) figure.moments = [];
  figure.i = view.i;
  figure.moments.push({ frame, cells });
  drawFigure();
}
function drawFigure() {
  const canvas = $("figure-canvas"), context = canvas.getContext("2d"), moments = figure.moments;
  const parts = { face: ["face"], mouth: ["mouth"], both: ["face", "mouth"] }[$("figure-parts").value], tall = $("figure-layout").value === "rows";
  const high = LARGE, gap = 6, font = 26;
  if (!moments.length) { canvas.width = canvas.height = 1; return; }
  const names = moments[0].cells.map((c) => c.name), wide = (c, p) => Math.round(c[p].width * high / c[p].height);
  const cell = (c) => parts.reduce((sum, p) => sum + wide(c, p) + gap, -gap);
  const columns = tall ? moments.map((m) => Math.max(...m.cells.map(cell))) : names.map((_, j) => Math.max(...moments.map((m) => cell(m.cells[j]))));
  const rows = tall ? names.length : moments.length, times = $("figure-times").checked;
  context.font = `${font}px ${TEXT}`;
  const side = tall ? Math.ceil(Math.max(...names.map((n) => context.measureText(n).width))) + 16 : times ? Math.ceil(context.measureText("00.00 s").width) + 16 : 0;
  const top = tall ? (times ? font + 14 : 0) : font + 14;
  canvas.width = side + columns.reduce((sum, w) => sum + w + gap, -gap);
  canvas.height = top + rows * (high + gap) - gap;
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#000000";
  context.font = `${font}px ${TEXT}`;
  context.textBaseline = "middle";
  const stamp = (m) => `${(m.frame / FPS).toFixed(2)} s`;
  let x = side;
  columns.forEach((w, c) => {
    context.textAlign = "center";
    const head = tall ? (times ? stamp(moments[c]) : "") : names[c];
    if (head) context.fillText(head, x + w / 2, top / 2, w);
    for (let r = 0; r < rows; r++) {
      const one = tall ? moments[c].cells[r] : moments[r].cells[c], y = top + r * (high + gap);
      let left = x;
      for (const p of parts) { context.drawImage(one[p], left, y, wide(one, p), high); left += wide(one, p) + gap; }
    }
    x += w + gap;
  });
  context.textAlign = "right";
  for (let r = 0; r < rows; r++) {
    const text = tall ? names[r] : times ? stamp(moments[r]) : "";
    if (text) context.fillText(text, side - 10, top + r * (high + gap) + high / 2);
  }
  $("figure-size").textContent = `${canvas.width} x ${canvas.height} px of ${moments.length === 1 ? "one moment" : `${moments.length} moments`}; frames as large as the page's videos.`;
  const quoted = `'${DATA.ids[figure.i].replace(/'/g, "'\\''")}'`;
  $("figure-command").textContent = `lipsync-eval figure RUN... --clip ${quoted} --at ${moments.map((m) => (m.frame / FPS).toFixed(2)).join(",")} --zoom mouth`;
}
function saveFigure() {
  $("figure-canvas").toBlob((blob) => {
    const link = el("a", null, { href: URL.createObjectURL(blob), download: `${DATA.ids[figure.i].replace(/[^\w.-]+/g, "_").slice(0, 60)}-${figure.moments.map((m) => m.frame).join("-")}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
}
function startFigure() {
  $("figure").addEventListener("click", () => { if (view.tiles.some((t) => t.facts)) { $("figure-dialog").showModal(); takeMoment(); } });
  $("figure-save").addEventListener("click", saveFigure);
  $("figure-clear").addEventListener("click", () => { figure.moments = []; takeMoment(); });
  $("figure-close").addEventListener("click", () => $("figure-dialog").close());
  for (const id of ["figure-parts", "figure-layout", "figure-times"]) $(id).addEventListener("change", drawFigure);
}
