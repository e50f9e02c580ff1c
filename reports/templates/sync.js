"use strict";
// Several videos in step: one of them (the one that is heard, or the longest) is the clock, the others follow it.
class Sync {
  // tiles: [{video, frames}]; told(frame) is called at every frame that is shown
  constructor(tiles, told) {
    this.tiles = tiles;
    this.told = told;
    this.frames = Math.max(1, ...tiles.map((t) => t.frames));
    this.frame = 0;
    this.playing = false;
    this.rate = 1;
    this.loop = false;
    this.first = 0;
    this.last = this.frames - 1;
    this.seeking = null;
    this.closed = false;
    this.spread = 0;
    this.heard = null;
    for (const tile of tiles) this.watch(tile);
  }
  get clock() {
    const most = Math.max(...this.tiles.map((t) => t.frames)), long = this.tiles.filter((t) => t.frames === most);
    return long.includes(this.heard) ? this.heard : long[0];
  }
  // Keep the number of the frame that a video shows.
  watch(tile) {
    tile.shown = 0;
    if (!tile.video.requestVideoFrameCallback) return;
    const note = (now, facts) => {
      tile.shown = Math.round(facts.mediaTime * FPS);
      if (!this.closed) tile.video.requestVideoFrameCallback(note);
    };
    tile.video.requestVideoFrameCallback(note);
  }
  hear(tile) {
    this.heard = tile;
    for (const t of this.tiles) t.video.muted = t !== tile;
  }
  at(tile) { return clamp(Math.floor(tile.video.currentTime * FPS + 1e-3), 0, tile.frames - 1); }
  // Go to a frame; of many wishes while a seek is under way only the last one counts.
  seek(frame) {
    this.frame = clamp(Math.round(frame), 0, this.frames - 1);
    this.told(this.frame);
    if (this.seeking) { this.again = true; return this.seeking; }
    this.seeking = this.settle().finally(() => { this.seeking = null; });
    return this.seeking;
  }
  async settle() {
    do {
      this.again = false;
      const wanted = this.frame;
      await Promise.all(this.tiles.map((t) => this.place(t, Math.min(wanted, t.frames - 1))));
      if (!this.closed) this.told(this.frame);
    } while (this.again && !this.closed);
  }
  place(tile, frame) {
    const time = (frame + 0.5) / FPS;
    if (Math.abs(tile.video.currentTime - time) < 1e-4 && tile.video.readyState >= 2) { tile.shown = frame; return Promise.resolve(); }
    return new Promise((done) => {
      const end = () => { clearTimeout(late); tile.video.removeEventListener("seeked", end); tile.shown = frame; done(); };
      const late = setTimeout(end, 3000);
      tile.video.addEventListener("seeked", end);
      tile.video.currentTime = time;
    });
  }
  speed(rate) {
    this.rate = rate;
    for (const t of this.tiles) t.video.playbackRate = rate;
  }
  async play() {
    if (this.playing || this.closed || !this.tiles.length) return;
    this.playing = true;
    const end = this.loop ? this.last : this.frames - 1;
    if (this.frame >= end || (this.loop && this.frame < this.first)) await this.seek(this.loop ? this.first : 0);
    await this.start();
    if (this.playing) this.tick();
  }
  async start() {
    if (this.seeking) await this.seeking;
    for (const t of this.tiles) t.video.playbackRate = this.rate;
    await Promise.all(this.tiles.filter((t) => this.frame < t.frames - 1).map((t) => t.video.play().catch(() => {
      t.video.muted = true; // a browser may refuse sound before the first click
      return t.video.play().catch(() => undefined);
    })));
  }
  pause() {
    this.playing = false;
    for (const t of this.tiles) t.video.pause();
    return this.seek(this.frame);
  }
  async tick() {
    if (!this.playing || this.closed) return;
    const clock = this.clock, time = clock.video.currentTime;
    this.frame = this.at(clock);
    this.spread = 0;
    for (const t of this.tiles) {
      if (t === clock || t.frames / FPS <= time) continue;
      const late = t.video.currentTime - time;
      this.spread = Math.max(this.spread, Math.abs(late) * FPS);
      if (Math.abs(late) > 0.25) t.video.currentTime = time;
      t.video.playbackRate = this.rate * (Math.abs(late) < 0.008 ? 1 : 1 - clamp(late * 2, -0.3, 0.3));
    }
    this.told(this.frame);
    const end = this.loop ? this.last : this.frames - 1;
    if (this.frame >= end || clock.video.ended) {
      for (const t of this.tiles) t.video.pause();
      if (!this.loop) { this.playing = false; await this.seek(end); return; }
      await this.seek(this.first);
      if (this.playing) await this.start();
    }
    requestAnimationFrame(() => this.tick());
  }
  close() {
    this.closed = true;
    this.playing = false;
    for (const t of this.tiles) { t.video.pause(); t.video.removeAttribute("src"); t.video.load(); }
  }
}
