// Images and durations go in; what was on the screen from when to when comes out, measured by animation frames.

const BUDGET_BYTES = 256 * 2 ** 20; // of decoded images that are kept; beyond it they are decoded again before a trial

const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

/** Frames a second, from the median gap of `count` frames. Waits while the page is hidden. */
export async function refreshRate(count = 45) {
  await visible();
  const times = [];
  for (let i = 0; i <= count; i++) times.push(await frame());
  const gaps = times.slice(1).map((time, i) => time - times[i]).sort((a, b) => a - b);
  return Math.round(10_000 / gaps[Math.floor(gaps.length / 2)]) / 10;
}

/** Resolves when the page can be seen. */
export function visible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
  });
}

/** All composites of a session, fetched and decoded ahead. */
export class Stimuli {
  #blobs = new Map();
  #bitmaps = new Map();
  #bytes = 0;
  #fetching = new Map();

  constructor(fetchBlob) {
    this.fetchBlob = fetchBlob;
  }

  /** Of these paths, how many are here. */
  count = (paths) => paths.filter((path) => this.#blobs.has(path)).length;

  /** All of them, a few at a time; told(done) after each. */
  async load(paths, told, together = 4) {
    const left = paths.filter((path) => !this.#blobs.has(path));
    const work = async () => {
      for (let path = left.shift(); path; path = left.shift()) {
        await this.#one(path);
        told(this.count(paths));
      }
    };
    await Promise.all(Array.from({ length: together }, work));
  }

  /** One of them, decoded. */
  async bitmap(path) {
    await this.#one(path);
    return this.#bitmaps.get(path) ?? createImageBitmap(this.#blobs.get(path));
  }

  /** Its trial is over. */
  forget(path) {
    this.#bitmaps.get(path)?.close();
    this.#bitmaps.delete(path);
  }

  #one(path) {
    if (!this.#fetching.has(path)) this.#fetching.set(path, this.#fetchAndDecode(path));
    return this.#fetching.get(path);
  }

  async #fetchAndDecode(path) {
    const blob = await this.fetchBlob(path);
    const bitmap = await createImageBitmap(blob);
    this.#blobs.set(path, blob);
    this.#bytes += bitmap.width * bitmap.height * 4;
    if (this.#bytes <= BUDGET_BYTES) this.#bitmaps.set(path, bitmap);
    else bitmap.close();
  }
}

/** One half of a composite on a canvas of its own. side: "left" or "right", the half that it is. */
export function draw(canvas, composite, side) {
  const [width, height] = [composite.width / 2, composite.height];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(composite, side === "left" ? 0 : width, 0, width, height, 0, 0, width, height);
}

export const clear = (canvas) => canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);

/**
 * The exposures of one trial, one after the other or both at once.
 * canvases: {left, right}; timing: milliseconds by the study's names; interval_ms: of one frame.
 * Resolves to {exposures, visible}; onset and offset count from `started` (performance.now()).
 */
export async function expose(canvases, composite, layout, timing, interval_ms, started) {
  const parts = layout === "simultaneous" ? [["left", "right"]] : [["left"], ["right"]];
  const size = { width: composite.width / 2, height: composite.height };
  for (const canvas of Object.values(canvases)) Object.assign(canvas, size);
  const exposures = [];
  let seen = true;
  for (const [i, sides] of parts.entries()) {
    if (i === 0) await lasting(timing.blank_first_ms, interval_ms, started);
    else await lasting(timing.blank_between_ms, interval_ms, performance.now());
    const once = await shown(canvases, composite, sides, timing.shown_ms, interval_ms, started);
    const { visible: kept, ...measured } = once;
    exposures.push({ side: sides.length === 2 ? "both" : sides[0], ...measured });
    seen &&= kept;
  }
  await lasting(timing.blank_last_ms, interval_ms, performance.now());
  return { exposures, visible: seen };
}

/** Until the frame nearest to `ms` after `since`. */
async function lasting(ms, interval_ms, since) {
  if (ms <= 0) return;
  while ((await frame()) - since < ms - interval_ms / 2);
}

/** Draws in one frame and clears in the one nearest to shown_ms later, or as soon as the page is hidden. */
function shown(canvases, composite, sides, shown_ms, interval_ms, started) {
  return new Promise((resolve) => {
    let onset = null, last = null, frames = 0, longest_gap_ms = 0, request;
    const finish = (now, kept) => {
      cancelAnimationFrame(request);
      document.removeEventListener("visibilitychange", hidden);
      sides.forEach((side) => clear(canvases[side]));
      onset ??= now;
      const [onset_ms, offset_ms] = [round(onset - started), round(now - started)];
      resolve({ onset_ms, offset_ms, frames, longest_gap_ms: round(longest_gap_ms), visible: kept });
    };
    const hidden = () => document.hidden && finish(performance.now(), false);
    const tick = (now) => {
      if (onset === null) {
        sides.forEach((side) => draw(canvases[side], composite, side));
        onset = now;
      } else {
        frames++;
        longest_gap_ms = Math.max(longest_gap_ms, now - last);
        if (now - onset >= shown_ms - interval_ms / 2) return finish(now, true);
      }
      last = now;
      request = requestAnimationFrame(tick);
      return undefined;
    };
    document.addEventListener("visibilitychange", hidden);
    if (document.hidden) hidden();
    else request = requestAnimationFrame(tick);
  });
}

const round = (ms) => Math.round(ms * 10) / 10;
