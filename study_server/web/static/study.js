// The participant's page: what the server says of the session decides which screen comes next.

import { Api, Refused, randomId, store } from "./api.js";
import { Stimuli, refreshRate, visible } from "./exposure.js";
import * as screens from "./screens.js";
import { Stage } from "./trial.js";
import { likely, say, speak } from "./words.js";

const ALIVE_MS = 60_000;
const POLL_MS = 4000;
const ENDED = ["DONE", "DECLINED", "SCREENED_OUT", "ABANDONED", "EXCLUDED"];
const TOLD = ["already_done", "declined", "screened_out", "expired", "full", "bad_link"];
const BUTTONS = {
  taken_over: "taken_over_go_on", stopped: "try_again", unknown_token: "try_again", failed: "try_again",
};
const TRIALS = ["PRELOADED", "PRACTICE", "MAIN"];
const framed = window.top !== window.self;
const api = new Api(connection);
const stimuli = new Stimuli((path) => api.stimulus(path));
let resumed = false; // this page came into a session that had begun its trials
let startedPhase = null; // whose introduction this page has shown
let interval_ms = null; // of one frame
let ahead = []; // the images of the trials to come

start().catch(failed);

async function start() {
  const query = Object.fromEntries(new URLSearchParams(location.search));
  speak(likely());
  if (framed) return frame(query);
  const handed = /^#s=(.+)$/.exec(location.hash)?.[1];
  if (handed) {
    api.keep(decodeURIComponent(handed));
    store.set("handed", "yes");
    history.replaceState(null, "", location.pathname + location.search);
  }
  let view = (api.token && (await again())) || (await enter(query));
  if (!view) return undefined;
  api.session = view.session;
  resumed = TRIALS.includes(view.state);
  view = (view.trial && (await api.deliverPending(view.position))) || view;
  setInterval(() => api.alive().catch(failed), ALIVE_MS);
  for (let stuck = 0; ; ) {
    speak(view.language, view.texts);
    if (view.preload.length) ahead = view.preload;
    try {
      view = await next(view);
      stuck = 0;
    } catch (error) {
      const lostTrack = error instanceof Refused && ["wrong_trial", "answered", "wrong_state"].includes(error.code);
      if (!lostTrack || ++stuck > 2) throw error;
      view = await api.where();
    }
  }
}

/** A page of this tab had a session: the same one, or null where the server knows it no longer. */
async function again() {
  try {
    return await (api.inherited ? api.where() : api.takeOver());
  } catch (error) {
    if (error.code !== "unknown_token") throw error;
    api.keep(null);
    return null;
  }
}

async function enter(query) {
  const language = await screens.welcome();
  speak(language); // a refusal is told in it too
  const reply = await api.enter(query, language, room());
  speak(reply.view.language, reply.view.texts);
  if (reply.preview) return preview();
  store.set("submit", JSON.stringify(reply.view.submit));
  return reply.view;
}

const preview = () => screens.message("preview", say("preview_heading"), [say("welcome_text"), say("preview_text")]);

/** The screen of a state; resolves to the view after it. */
async function next(view) {
  if (view.state === "ENTERED") return agree(view);
  if (view.state === "CONSENTED") return prepare(view);
  if (view.state === "CHECKED") {
    await load();
    return api.ready();
  }
  if (TRIALS.includes(view.state)) return trial(view);
  if (view.state === "QUESTIONNAIRE") return api.questionnaire(await screens.questionnaire());
  const submit = JSON.parse(store.get("submit"));
  if (submit && view.state === "DONE") handIn(submit);
  else screens.end(view, store.get("handed") !== null);
  screens.freeze();
  return new Promise(() => {});
}

async function agree(view) {
  const trials = view.length.practice + view.length.scored;
  const values = { trials, minutes: minutes(view), contact: view.contact, age: view.ask.age };
  const { agreed, replies } = await screens.consent(view, values);
  const more = agreed && view.ask.demographics ? await screens.about(view.ask.age) : {};
  return api.consent(agreed, { ...replies, ...more });
}

async function prepare(view) {
  await screens.instructions(view);
  const found = { ...room(), touch: matchMedia("(pointer: coarse)").matches, visible: !document.hidden };
  const measured = refreshRate().then((hertz) => {
    found.refresh_hz = hertz;
    interval_ms = 1000 / hertz;
    return checks(view, found);
  });
  const upright = found.touch && innerWidth < innerHeight && innerWidth < 600;
  await screens.device(measured, [upright && say("device_turn"), say("device_glasses")].filter(Boolean));
  return api.device({ ...found, ...room() });
}

function checks(view, { touch, refresh_hz }) {
  const values = { width: innerWidth, height: innerHeight };
  const large = innerWidth >= 2 * view.exposure.size_px + 60 && innerHeight >= view.exposure.size_px + 210;
  const [hertz, fast] = [Math.round(refresh_hz), refresh_hz >= 25];
  return [
    [say("device_screen"), say(large ? "device_screen_good" : "device_screen_small", values), large],
    [say("device_refresh"), say(fast ? "device_refresh_good" : "device_refresh_slow", { hertz }), fast],
    [say("device_input"), say(touch ? "device_input_touch" : "device_input_mouse"), true],
  ];
}

async function load() {
  if (stimuli.count(ahead) < ahead.length) await stimuli.load(ahead, screens.preload(ahead.length));
}

async function trial(view) {
  const { position, stimulus, looked } = view.trial;
  if (looked) stimuli.bitmap(stimulus).catch(() => {}); // for the feedback; the question does not wait for it
  else {
    await load();
    await pauses(view);
  }
  startedPhase = view.trial.phase;
  interval_ms ??= 1000 / (await refreshRate(20));
  await visible();
  const stage = new Stage(view);
  const started = performance.now();
  const asked = api.begin(position, randomId());
  const [begun, composite] = await Promise.all([asked, looked ? null : stimuli.bitmap(stimulus)]);
  const shown = begun.look && composite !== null;
  const seen = shown ? await stage.expose(composite, interval_ms, started) : { exposures: [], visible: true };
  const { clicked, rt_ms, input } = await stage.ask(!shown);
  const measurements = {
    rt_ms, input, ...seen, screen: room(), refresh_hz: Math.round(10_000 / interval_ms) / 10,
    trial_index: position, time_elapsed: Math.round(performance.now()),
  };
  const reply = await api.answer(position, clicked, measurements);
  if (reply.feedback) await stage.feedback(reply.feedback, await stimuli.bitmap(stimulus), clicked);
  stimuli.forget(stimulus);
  return reply.view;
}

/** Before a trial: what comes now, a rest, or a welcome back. */
async function pauses(view) {
  const { phase, number } = view.trial;
  const { practice, scored } = view.length;
  const stop = (name, text, button) => screens.message(name, say(`${name}_heading`), [text], button);
  const back = resumed && number > 1;
  resumed = false;
  if (back) return stop("back", say("back_text"), say("go_on"));
  if (number === 1 && startedPhase !== phase) {
    if (phase === "practice") return stop("practice", say("practice_intro", { practice }), say("practice_start"));
    return stop("main", say(practice ? "main_after_practice" : "main_intro", { scored }), say("main_start"));
  }
  const done = number - 1;
  if (phase === "scored" && view.break_after && done > 0 && done % view.break_after === 0) {
    return stop("break", say("break_text", { done, scored }), say("go_on"));
  }
  if (document.hidden) return stop("hidden", say("hidden_text"), say("go_on"));
  return undefined;
}

/** In Mechanical Turk's frame: the study opens in a tab of its own; this page waits and hands in. */
async function frame(query) {
  if (!api.token) {
    const reply = await api.enter(query, likely(), room());
    speak(reply.view.language, reply.view.texts);
    store.set("submit", JSON.stringify(reply.view.submit ?? null));
    if (reply.preview) return preview();
  }
  const there = `${location.pathname}${location.search}#s=${encodeURIComponent(api.token)}`;
  const waiting = screens.el("p", { class: "quiet", role: "status", hidden: true }, say("frame_waiting"));
  const link = { class: "button main", href: there, target: "_blank", click: () => (waiting.hidden = false) };
  const open = screens.el("p", { class: "actions" }, screens.el("a", link, say("frame_open")));
  screens.show("frame", say("frame_heading"), screens.paragraphs(say("frame_text")), open, waiting);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const view = await api.where().catch((error) => {
      if (error.code !== "taken_over") throw error;
      return null; // the tab is at work
    });
    const submit = JSON.parse(store.get("submit"));
    if (view?.state === "DONE" && submit) return handIn(submit);
    if (view && ENDED.includes(view.state)) return screens.end(view, view.state !== "DONE");
  }
}

function handIn(submit) {
  const field = ([name, value]) => screens.el("input", { type: "hidden", name, value });
  const button = screens.el("button", { class: "main" }, say("frame_submit"));
  const to = { method: "post", action: submit.url };
  const form = screens.el("form", to, Object.entries(submit.fields).map(field), button);
  screens.show("submit", say("done_heading"), screens.paragraphs(say("frame_done")), form);
  form.submit();
}

/** Minutes that a session takes, from its exposures and 2.5 s for an answer. */
function minutes(view) {
  const { exposure: ms, length, layout } = view;
  const shown = layout === "simultaneous" ? ms.shown_ms : 2 * ms.shown_ms + ms.blank_between_ms;
  const one = ms.blank_first_ms + shown + ms.blank_last_ms + 2500;
  return Math.ceil(2 + ((length.practice + length.scored) * one + length.practice * ms.feedback_ms) / 60_000);
}

function room() {
  return { width_px: innerWidth, height_px: innerHeight, dpr: Math.round(devicePixelRatio * 100) / 100 };
}

function connection(lost) {
  if (lost) return screens.tell(say(api.answering ? "connection_lost" : "connection_waiting"), "lost");
  screens.tell(say("connection_back"), "back");
  return setTimeout(() => screens.tell(""), 2500);
}

/** A refusal or an error that the page cannot mend by itself ends what it was doing. */
async function failed(error) {
  const name = nameOf(error);
  const button = BUTTONS[name];
  const text = say(`${name}_text`, { reason: error.code ?? String(error.message ?? error) });
  const texts = [text, ...screens.wayBack(error.ending ?? {})];
  const pressed = screens.message(name, say(`${name}_heading`), texts, button && say(button));
  screens.freeze();
  await pressed;
  if (error.code === "unknown_token") api.keep(null);
  if (error.code === "taken_over") await api.takeOver().catch(() => api.keep(null)); // of an older token: enter
  location.reload();
}

/** A token that was known and is no longer means that the same person has entered elsewhere. */
function nameOf({ code }) {
  if (code === "unknown_token" && api.session) return "taken_over";
  return TOLD.includes(code) || code in BUTTONS ? code : "failed";
}

addEventListener("pageshow", (event) => event.persisted && location.reload());
