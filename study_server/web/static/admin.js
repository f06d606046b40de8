// Progress is asked for anew now and then, and what has changed is put in place.

const EVERY_MS = 5000;
const { progress, sessions, running, complete } = document.querySelector("script[data-progress]").dataset;
const fresh = document.getElementById("fresh");

async function refresh() {
  const reply = await fetch(progress, { cache: "no-store" });
  if (reply.status === 401) return location.reload();
  if (!reply.ok) throw new Error(String(reply.status));
  const { status, bars, events } = await reply.json();
  // Other buttons, and the rates: the page is made for them.
  if (String(status.running) !== running || String(status.complete) !== complete) return location.reload();
  for (const row of document.querySelectorAll("tr[data-arm]")) {
    const arm = status.arms.find((each) => each.name === row.dataset.arm);
    row.querySelector("td.bar-cell").innerHTML = bars[arm.name];
    for (const name of ["done", "live", "answers"]) row.querySelector(`[data-of="${name}"]`).textContent = arm[name];
  }
  counts("states", status.states);
  counts("flags", status.flags);
  fill("events", events.map(line));
  return undefined;
}

function counts(id, found) {
  const cells = ([name, count]) => [make("th", { scope: "row", textContent: name }), make("td", { className: "n", textContent: count })];
  fill(id, Object.entries(found).map((each) => make("tr", {}, cells(each))));
}

function line({ at, shown, what, session }) {
  const parts = [make("time", { dateTime: at, textContent: shown }), make("span", { textContent: what })];
  if (session) {
    const name = session.slice(0, 8);
    parts.push(make("a", { href: `${sessions}/${session}`, ariaLabel: `Session ${name}`, textContent: name }));
  }
  return make("li", {}, parts);
}

function make(name, properties, children = []) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// Whoever is just using a link there is not disturbed.
function fill(id, rows) {
  const place = document.getElementById(id);
  if (rows.length && !place.contains(document.activeElement)) place.replaceChildren(...rows);
}

async function look() {
  if (document.hidden) return;
  try {
    await refresh();
    fresh.textContent = "";
  } catch {
    fresh.textContent = "The server does not answer: what stands here is older.";
  }
}

setInterval(look, EVERY_MS);
document.addEventListener("visibilitychange", look);
