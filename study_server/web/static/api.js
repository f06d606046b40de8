// A request goes in; the server's reply comes out, however long the connection takes, or a Refused is thrown.

const BASE = new URL(".", location.href);
const PATIENCE_MS = 20_000;
const IMAGE_PATIENCE_MS = 90_000;
// Under the page's own address, so that another participant's link in the same tab is another session.
const place = (name) => `study.${name}${location.search}`;
const VISITOR = "study.visitor";

export const randomId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The server understood and said no: code is a word such as "taken_over". */
export class Refused extends Error {
  constructor(status, code, sentence, ending = {}) {
    super(sentence);
    Object.assign(this, { status, code, ending });
  }
}

/** Session storage where the browser allows it, and memory where it does not: a reload then enters anew. */
const memory = {};
export const store = {
  get: (name) => attempt(() => sessionStorage.getItem(place(name))) ?? memory[name] ?? null,
  set(name, value) {
    memory[name] = value;
    attempt(() => {
      if (value === null) sessionStorage.removeItem(place(name));
      else sessionStorage.setItem(place(name), value);
    });
  },
};

/** A number by which an open study knows the browser again; no other study learns it. */
function visitor() {
  const number = attempt(() => localStorage.getItem(VISITOR)) ?? randomId();
  attempt(() => localStorage.setItem(VISITOR, number));
  return number;
}

function attempt(storing) {
  try {
    return storing();
  } catch {
    return null;
  }
}

/** One page's dealings with the server. told(lost): called when the connection goes and when it is back. */
export class Api {
  #token = store.get("token");
  #client;
  #told;
  #waiting = 0;
  answering = false; // an answer is on its way
  session = null; // the public name of the one that this page is in

  constructor(told) {
    this.#told = told;
    // A page that is left hands its id to the one that comes after it in this tab. A duplicated tab copies the storage
    // of a page that is still there: it finds no id, and takes over under its own.
    this.#client = store.get("client") ?? randomId();
    this.inherited = store.get("client") !== null;
    store.set("client", null);
    addEventListener("pagehide", () => store.set("client", this.#client));
  }

  get token() {
    return this.#token;
  }

  keep(token) {
    this.#token = token;
    store.set("token", token);
  }

  async enter(query, language, screen) {
    const body = { query, language, screen, client: this.#client, visitor: visitor() };
    const reply = await this.#json("POST", "api/enter", body);
    if (reply.token) this.keep(reply.token);
    return reply;
  }

  where = () => this.#json("GET", "api/session");
  takeOver = () => this.#json("POST", "api/take-over");
  consent = (agreed, replies) => this.#json("POST", "api/consent", { agreed, replies });
  device = (device) => this.#json("POST", "api/device", device);
  ready = () => this.#json("POST", "api/ready");
  begin = (position, look) => this.#json("POST", `api/trials/${position}/begin`, { look });
  questionnaire = (replies) => this.#json("POST", "api/questionnaire", { replies });

  /** Kept until it has arrived, over reloads too; the attempt's id makes a repetition harmless. */
  async answer(position, clicked, measurements) {
    return this.#deliver(position, { attempt: randomId(), clicked, measurements });
  }

  /** Sends what an earlier page could not; the reply's view, or null where nothing was left. */
  async deliverPending(current) {
    const { position, body, session } = JSON.parse(store.get("pending") ?? "{}");
    if (position === current && session === this.session) return (await this.#deliver(position, body)).view;
    store.set("pending", null);
    return null;
  }

  /** A sign of life; what the connection does meanwhile does not matter, a refusal does. */
  async alive() {
    const reply = await this.#fetch("POST", "api/alive").catch(() => null);
    if (reply?.status === 409 || reply?.status === 401) throw await refusal(reply);
  }

  /** The bytes of an image. */
  async stimulus(path) {
    return (await this.#persist("GET", path)).blob();
  }

  async #deliver(position, body) {
    store.set("pending", JSON.stringify({ position, body, session: this.session }));
    this.answering = true;
    try {
      const reply = await this.#json("POST", `api/trials/${position}/answer`, body);
      store.set("pending", null);
      return reply;
    } catch (error) {
      if (error.code !== "taken_over") store.set("pending", null);
      throw error;
    } finally {
      this.answering = false;
    }
  }

  #json = async (method, path, body) => (await this.#persist(method, path, body)).json();

  /** Again and again while the connection is lost or the server is not well, ever slower, at once when it is back. */
  async #persist(method, path, body) {
    for (let tries = 0, lost = false; ; tries++) {
      const reply = await this.#fetch(method, path, body).catch(() => null);
      const heard = reply !== null && reply.status < 500 && reply.status !== 429;
      if (heard && lost && --this.#waiting === 0) this.#told(false);
      if (heard && reply.ok) return reply;
      if (heard) throw await refusal(reply);
      if (!lost && tries > 0) {
        lost = true;
        this.#waiting++;
        this.#told(true);
      }
      await pause(Math.min(300 * 2 ** tries, 8000) * (0.75 + Math.random() / 2));
    }
  }

  #fetch(method, path, body) {
    const headers = { "X-Client": this.#client };
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    return fetch(new URL(path.replace(/^\//, ""), BASE), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout?.(method === "GET" && path.includes("stimuli") ? IMAGE_PATIENCE_MS : PATIENCE_MS),
    });
  }
}

async function refusal(reply) {
  const said = await reply.json().catch(() => ({}));
  const ending = { code: said.code, redirect: said.redirect }; // of a session that is over
  return new Refused(reply.status, said.error ?? `http_${reply.status}`, said.message ?? reply.statusText, ending);
}

function pause(ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    addEventListener("online", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
