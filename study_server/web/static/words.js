// A key goes in; what the participant reads comes out, in the language that was chosen.

const all = JSON.parse(document.getElementById("words").textContent);
let current = all[document.documentElement.lang] ?? Object.values(all)[0];

const top = document.getElementById("top");
const title = document.title;

export const languages = Object.keys(all);

/** What a language calls itself. */
export const nameOf = (language) => all[language].language;

/** The offered language that the browser's owner reads, or the first. */
export function likely() {
  const wanted = navigator.languages.map((tag) => tag.toLowerCase().split("-")[0]);
  return wanted.find((language) => language in all) ?? languages[0];
}

/** From now on; overrides: the study's own wording, where the page has it not yet. */
export function speak(language, overrides = {}) {
  current = { ...(all[language] ?? current), ...overrides };
  document.documentElement.lang = language;
  document.title = top.textContent = say("title", { title });
}

/** The text of a key, its {braces} filled in. */
export const say = (key, values = {}) =>
  (current[key] ?? key).replace(/\{(\w+)\}/g, (braces, name) => values[name] ?? braces);
