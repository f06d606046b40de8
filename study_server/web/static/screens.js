// What is to be said goes in; the page shows it, and what the participant did comes out as a promise.

import { languages, nameOf, say } from "./words.js";

const page = document.getElementById("page");
const notice = document.getElementById("notice");
const FRESH_MS = 300; // buttons that have just appeared do not take the second click of a double click
const AUTO_MS = 5000;
let frozen = false;

export const gone = new AbortController();

/** An element; attributes that are functions listen. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return node;
}

/** A text as paragraphs; <b> is the only mark. */
export const paragraphs = (text, attributes = {}) =>
  text.split(/\n\s*\n/).map((part) => el("p", attributes, marked(part)));

const marked = (text) => text.split(/<b>(.*?)<\/b>/).map((part, i) => (i % 2 ? el("b", {}, part) : part));

/** The one screen that is there from now on; its heading has the focus. */
export function show(name, heading, ...content) {
  const title = el("h1", { tabindex: -1 }, heading);
  put(name, title, ...content);
  title.focus({ preventScroll: true });
}

/** The same without a heading of its own. */
export function put(name, ...content) {
  if (frozen) return;
  page.dataset.screen = name;
  page.replaceChildren(...content.flat(Infinity).filter(Boolean));
  scrollTo(0, 0);
}

/** The last screen: whatever still runs can no longer show anything, nor hear keys. */
export function freeze() {
  frozen = true;
  gone.abort();
}

/** A calm line at the foot of the page; "" for none. */
export function tell(text, kind = "") {
  notice.textContent = text;
  notice.className = kind;
}

/** Buttons, the first of them the main one; resolves to the value of the one that is pressed. */
export function buttons(...choices) {
  const all = el("div", { class: "actions" });
  const pressed = new Promise((resolve) => {
    for (const [value, label] of choices) {
      const kind = all.children.length ? "" : "main";
      all.append(el("button", { type: "button", class: kind, click: () => resolve(value) }, label));
    }
  });
  rest(...all.children);
  return [all, pressed];
}

/** Buttons take no press for a moment. */
export function rest(...fresh) {
  fresh.forEach((button) => (button.disabled = true));
  setTimeout(() => fresh.forEach((button) => (button.disabled = false)), FRESH_MS);
}

/** A heading, paragraphs and one button. */
export async function message(name, heading, texts, button) {
  const [actions, pressed] = button ? buttons([true, button]) : [null, new Promise(() => {})];
  show(name, heading, texts.map((text) => (text instanceof Node ? text : paragraphs(text))), actions);
  return pressed;
}

/** Which language, where there are several; else only a word of welcome. */
export async function welcome() {
  if (languages.length === 1) {
    await message("welcome", say("welcome_heading"), [say("welcome_text")], say("welcome_start"));
    return languages[0];
  }
  const all = el("div", { class: "languages" });
  const pressed = new Promise((resolve) => {
    for (const language of languages) {
      const press = { type: "button", class: "big", lang: language, click: () => resolve(language) };
      all.append(el("button", press, nameOf(language)));
    }
  });
  show("welcome", say("welcome_heading"), paragraphs(say("welcome_text")), paragraphs(say("choose_language")), all);
  return pressed;
}

/** Resolves to {agreed, replies}. */
export async function consent(view, values) {
  const section = (key) => [el("h2", {}, say(`${key}_heading`)), paragraphs(say(key, values))];
  const keys = ["consent_what", "consent_data", "consent_voluntary", view.contact && "consent_contact"];
  const old = view.ask.age ? tick(say("consent_age", values), say("consent_age_missing", values)) : null;
  const fine = (value) => value === "decline" || !old || old.check();
  const [actions, next] = form([["agree", say("consent_agree")], ["decline", say("consent_decline")]], fine);
  show("consent", say("consent_heading"), keys.filter(Boolean).flatMap(section), old?.node, actions);
  const agreed = (await next) === "agree";
  return { agreed, replies: agreed && old ? { of_age: true } : {} };
}

/** Age, gender, eyesight; every one may be left out. minimum: the age that the consent asks for. */
export async function about(minimum) {
  const [low, high] = [Math.max(1, minimum), 120];
  const number = { inputmode: "numeric", autocomplete: "off", maxlength: 3 };
  const age = el("input", { id: "age", "aria-describedby": "age-wrong", ...number });
  const wrong = el("p", { id: "age-wrong", class: "wrong", role: "alert" });
  const check = () => {
    const value = age.value.trim();
    const fine = value === "" || (/^\d+$/.test(value) && +value >= low && +value <= high);
    wrong.textContent = fine ? "" : say("about_age_wrong", { low, high });
    if (!fine) age.focus();
    return fine;
  };
  const options = (key, names) => [...names.map((name) => [name, say(`${key}_${name}`)]), ["", say("about_no_answer")]];
  const gender = radios("gender", say("about_gender"), options("about_gender", ["female", "male", "other"]));
  const vision = radios("vision", say("about_vision"), options("about_vision", ["normal", "impaired"]));
  const [actions, next] = form([["go", say("go_on")]], check);
  const asked = [el("label", { for: "age" }, say("about_age")), age, wrong, gender.node, vision.node];
  show("about", say("about_heading"), paragraphs(say("about_text")), asked, actions);
  await next;
  return filled({ age: age.value.trim() && Number(age.value), gender: gender.value(), vision: vision.value() });
}

/** What to click, with the manner of the exposure shown. */
export async function instructions(view) {
  const seconds = String(view.exposure.shown_ms / 1000);
  const both = view.layout === "simultaneous";
  const pictures = (both ? ["both"] : ["left", "right"]).map((kind) => [kind, say(`step_${kind}`, { seconds })]);
  const steps = [...pictures, ["choice", say(`step_question_${view.asked}`)]];
  const half = (kind, side) => {
    const lit = kind === side || kind === "both";
    return el("span", { class: lit ? "lit" : "" }, kind === "choice" ? "?" : "");
  };
  const sketch = (kind) =>
    el("span", { class: "sketch", "aria-hidden": "true" }, half(kind, "left"), half(kind, "right"));
  const step = ([kind, text]) => el("li", {}, sketch(kind), el("span", {}, marked(text)));
  const list = el("ol", { class: "steps" }, steps.map(step));
  const { practice, scored } = view.length;
  const [actions, pressed] = buttons([true, say("go_on")]);
  show("instructions", say("instructions_heading"), list, paragraphs(say("instructions_time")),
    practice ? paragraphs(say("instructions_practice", { practice })) : [],
    paragraphs(say("instructions_scored", { scored })),
    paragraphs(say("instructions_keys"), { class: "quiet" }), actions);
  return pressed;
}

/** Results of the device check, as a list: [what, found, is it good]. measured: a promise of them. */
export async function device(measured, hints) {
  const [heading, text] = [say("device_heading"), say("device_text")];
  show("device", heading, paragraphs(text), paragraphs(say("device_measuring"), { class: "quiet", role: "status" }));
  const rows = await measured;
  const sign = (fine) => {
    const word = el("span", { class: "unseen" }, say(fine ? "good" : "note"));
    return el("span", { class: `sign ${fine ? "good" : "note"}` }, fine ? "✓" : "!", word);
  };
  const row = ([what, found, fine]) => [el("dt", {}, what), el("dd", {}, sign(fine), el("span", {}, found))];
  const [actions, pressed] = buttons([true, say("go_on")]);
  const content = [el("dl", { class: "checks" }, rows.map(row)), hints.flatMap((hint) => paragraphs(hint))];
  show("device", heading, paragraphs(text), content, actions);
  return pressed;
}

/** A bar; returns the function that moves it. */
export function preload(all) {
  const bar = el("progress", { max: all, value: 0, "aria-label": say("preload_heading") });
  const count = el("p", { class: "quiet" }, say("preload_count", { done: 0, all }));
  show("preload", say("preload_heading"), paragraphs(say("preload_text")), bar, count);
  return (done) => {
    bar.value = done;
    count.textContent = say("preload_count", { done, all });
  };
}

/** Three questions; resolves to those that were answered. */
export async function questionnaire() {
  const steps = ["1", "2", "3", "4", "5"].map((step) => [step, step]);
  const sure = radios("sure", say("questions_sure"), steps, [say("questions_sure_low"), say("questions_sure_high")]);
  const area = (name) => el("textarea", { id: name, rows: 3, maxlength: 2000 });
  const [strategy, problems] = [area("strategy"), area("problems")];
  const [actions, next] = form([["send", say("questions_send")]], () => true);
  show("questionnaire", say("questions_heading"), paragraphs(say("questions_text")), sure.node,
    el("label", { for: "strategy" }, say("questions_strategy")), strategy,
    el("label", { for: "problems" }, say("questions_problems")), problems, actions);
  await next;
  const told = { strategy: strategy.value.trim(), problems: problems.value.trim() };
  return filled({ sure: sure.value() && Number(sure.value()), ...told });
}

/** The end, whichever: code, way back, or a word. handed: by a frame, which waits for the end. */
export function end(view, handed) {
  const state = view.state.toLowerCase();
  const content = [paragraphs(say(`${state}_text`))];
  const named = location.search !== ""; // whose session has ended on every device
  if (state === "screened_out" && !named) content.push(paragraphs(say("screened_out_larger")));
  const { redirect } = view;
  content.push(...wayBack({ code: !handed && view.code, redirect }, paragraphs(say("done_redirect"), { class: "quiet" })));
  if (redirect) setTimeout(() => location.assign(redirect), AUTO_MS);
  else if (handed) content.push(paragraphs(say(state === "done" ? "done_frame" : "frame_return")));
  else content.push(paragraphs(say("done_close"), { class: "quiet" }));
  show(state, say(`${state}_heading`), content);
}

/** The code and the link by which a platform hears of it, where there are any. before: what stands over the link. */
export function wayBack({ code, redirect }, before) {
  const link = (address) => el("a", { class: "button main", href: address }, say("done_redirect_now"));
  const back = redirect ? [before, el("p", { class: "actions" }, link(redirect))] : [];
  return [code && codeBox(code), ...back].filter(Boolean);
}

function codeBox(code) {
  const shown = el("output", { class: "code", id: "code" }, code);
  const copy = el("button", { type: "button" }, say("done_copy"));
  copy.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(code).catch(() => {});
    const all = getSelection();
    all.selectAllChildren(shown);
    if (!navigator.clipboard) document.execCommand("copy");
    copy.textContent = say("done_copied");
  });
  return el("div", { class: "codebox" }, el("label", { for: "code" }, say("done_code")), el("div", {}, shown, copy));
}

/** A box to tick, checked before going on. */
function tick(label, missing) {
  const box = el("input", { type: "checkbox", id: "tick", "aria-describedby": "tick-wrong" });
  const wrong = el("p", { id: "tick-wrong", class: "wrong", role: "alert" });
  const check = () => {
    wrong.textContent = box.checked ? "" : missing;
    if (!box.checked) box.focus();
    return box.checked;
  };
  return { node: el("div", {}, el("label", { class: "tick", for: "tick" }, box, el("span", {}, label)), wrong), check };
}

function radios(name, legend, options, ends) {
  const choice = ([value, label], i) => {
    const meant = ends && [ends[0], ...Array(options.length - 2).fill(null), ends[1]][i];
    const input = el("input", { type: "radio", name, value, "aria-label": meant ? `${label}, ${meant}` : null });
    return el("label", {}, input, el("span", {}, label));
  };
  const words = ends?.map((end) => el("span", {}, end));
  const node = el("fieldset", { class: ends ? "scale" : "" },
    el("legend", {}, legend),
    el("div", { class: "options" }, options.map(choice)),
    words && el("div", { class: "ends quiet", "aria-hidden": "true" }, words));
  return { node, value: () => node.querySelector("input:checked")?.value ?? "" };
}

/** Buttons that go on only where `check` says so. */
function form(choices, check) {
  let resolve;
  const next = new Promise((done) => (resolve = done));
  const all = choices.map(([value, label], i) =>
    el("button", { type: "button", class: i ? "" : "main", click: () => check(value) && resolve(value) }, label));
  rest(...all);
  return [el("div", { class: "actions" }, all), next];
}

const filled = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
