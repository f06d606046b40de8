// A trial goes in; its exposure and its question are shown, and what was clicked and measured comes out.

import { clear, draw, expose } from "./exposure.js";
import { el, gone, put } from "./screens.js";
import { say } from "./words.js";

const KEYS = { ArrowLeft: "left", f: "left", F: "left", ArrowRight: "right", j: "right", J: "right" };
const SIDES = ["left", "right"];

const each = (make) => Object.fromEntries(SIDES.map((side) => [side, make(side)]));

let pointer = "mouse";
addEventListener("pointerdown", (event) => (pointer = event.pointerType || "mouse"), { capture: true });

/** The two frames with a question above and buttons below, whose places stay where they are all through the trial. */
export class Stage {
  constructor(view) {
    const { phase, number } = view.trial;
    const all = view.length[phase];
    this.view = view;
    this.question = el("h1", { tabindex: -1, class: "question" }, "\u00a0");
    this.hint = el("p", { class: "hint" }, "\u00a0");
    this.canvases = each(() => el("canvas", { "aria-hidden": "true" }));
    this.captions = each(() => el("figcaption"));
    this.panels = each((side) => el("figure", { class: "panel" }, this.canvases[side], this.captions[side]));
    this.choices = each((side) => el("button", { type: "button", disabled: true }, say(`choice_${side}`)));
    const how = el("div", { class: "progress" },
      el("span", {}, say(`progress_${phase}`, { number, all })),
      el("progress", { max: all, value: number - 1, "aria-hidden": "true" }));
    const sides = SIDES.map((side) => el("div", { class: "side" }, this.panels[side], this.choices[side]));
    const parts = [how, this.question, el("div", { class: "sides" }, sides), this.hint];
    this.root = el("div", { class: "trial", tabindex: -1 }, parts);
    document.documentElement.style.setProperty("--size", `${view.exposure.size_px}px`);
    put("trial", this.root);
    this.root.focus({ preventScroll: true });
  }

  /** Resolves to {exposures, visible}. */
  async expose(composite, interval_ms, started) {
    this.root.dataset.part = "exposure";
    return expose(this.canvases, composite, this.view.layout, this.view.exposure, interval_ms, started);
  }

  /** Resolves to {clicked, rt_ms, input}; the first click, tap or key counts, and no other. */
  async ask(seenBefore) {
    const onset = await new Promise((resolve) => requestAnimationFrame(() => {
      this.root.dataset.part = "question";
      this.question.textContent = say(`question_${this.view.asked}`);
      if (seenBefore) this.hint.textContent = say("seen_before");
      SIDES.forEach((side) => (this.choices[side].disabled = false));
      this.question.focus({ preventScroll: true });
      resolve(performance.now());
    }));
    const given = await this.#first(onset);
    this.root.dataset.part = "answered";
    SIDES.forEach((side) => (this.choices[side].disabled = true));
    this.choices[given.clicked].classList.add("chosen");
    return given;
  }

  #first(onset) {
    return new Promise((resolve) => {
      const done = new AbortController();
      const give = (clicked, input) => {
        if (done.signal.aborted) return;
        done.abort();
        resolve({ clicked, input, rt_ms: Math.round((performance.now() - onset) * 10) / 10 });
      };
      const listen = { signal: done.signal };
      for (const side of SIDES) {
        const press = (event) => give(side, event.detail === 0 ? "keyboard" : pointer);
        this.choices[side].addEventListener("click", press, listen);
        this.panels[side].addEventListener("click", () => give(side, pointer), listen);
      }
      const key = (event) => {
        const side = KEYS[event.key];
        if (!side || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        give(side, "keyboard");
      };
      addEventListener("keydown", key, listen);
      gone.signal.addEventListener("abort", () => done.abort(), listen);
    });
  }

  /** Both images once more, with what they are, for as long as the study says. */
  async feedback({ real_side, correct }, composite, clicked) {
    this.root.dataset.part = "feedback";
    this.question.className = `question ${correct ? "correct" : "incorrect"}`;
    this.question.textContent = `${correct ? "✓" : "✗"} ${say(correct ? "feedback_correct" : "feedback_wrong")}`;
    this.hint.textContent = "\u00a0";
    for (const side of SIDES) {
      draw(this.canvases[side], composite, side);
      const kind = side === real_side ? "real" : "fake";
      this.panels[side].classList.add(kind);
      const yours = side === clicked && [" ", el("span", {}, say("feedback_yours"))];
      this.captions[side].append(...[el("b", {}, say(`feedback_is_${kind}`)), yours].flat().filter(Boolean));
    }
    this.question.focus({ preventScroll: true });
    await new Promise((resolve) => setTimeout(resolve, this.view.exposure.feedback_ms));
    SIDES.forEach((side) => clear(this.canvases[side]));
  }
}
