// The progress table is asked for anew now and then, and what has changed is put in place.

const EVERY_MS = 5000;
const address = document.querySelector("script[data-progress]").dataset.progress;

async function refresh() {
  const reply = await fetch(address, { cache: "no-store" });
  if (reply.status === 401) return location.reload();
  if (!reply.ok) return undefined;
  const { status, bars } = await reply.json();
  for (const arm of status.arms) {
    const row = [...document.querySelectorAll("tr[data-arm]")].find((each) => each.dataset.arm === arm.name);
    row.querySelector(".figure").innerHTML = bars[arm.name];
    for (const name of ["done", "live", "answers"]) row.querySelector(`td.${name}`).textContent = arm[name];
  }
  fill("states", status.states);
  fill("flags", status.flags);
  return undefined;
}

function fill(id, counts) {
  const rows = Object.entries(counts).map(([name, count]) => {
    const row = document.createElement("tr");
    const [head, cell] = [document.createElement("th"), document.createElement("td")];
    Object.assign(head, { scope: "row", textContent: name });
    Object.assign(cell, { className: "n", textContent: count });
    row.append(head, cell);
    return row;
  });
  if (rows.length) document.getElementById(id).replaceChildren(...rows);
}

setInterval(() => document.hidden || refresh().catch(() => {}), EVERY_MS);
