// Watches the events of Tasklane's tasks from a browser, or from Node 22 and
// newer. One ES module, nothing else; a notifier serves it at /client.js.
//
//   import { connect } from "http://127.0.0.1:8000/client.js";
//
//   for await (const event of connect({ userId: "alice" })) {
//     if (event.kind === "progress") bar.value = event.progress.percent;
//   }
//
// A connection that breaks is made again where it was: nothing is missed but
// progress that later progress has made superfluous, and nothing comes twice.
// Events carry the text of users and models: show it with textContent, never
// with innerHTML.

/**
 * @typedef {object} Options
 * @property {string | URL} [url] the notifier (http, https, ws or wss); where this module came from if not given
 * @property {string} [userId] whose events; with a token it may be left out for the token's own user
 * @property {string} [taskId] only those of one task
 * @property {string} [batchId] only those of one batch
 * @property {string} [since] where to start: "now" (if not given), "earliest", a cursor, or a time such as 2026-01-31T09:30:00Z
 * @property {string} [token] the bearer token, if the notifier asks for one
 * @property {() => string | Promise<string>} [getToken] gives a token; asked again when the last one is no longer taken
 * @property {() => string | Promise<string>} [getTicket] gives a one-time ticket, for every connection another
 * @property {"auto" | "websocket" | "sse"} [transport] auto (if not given) takes server-sent events where WebSockets do not get through
 * @property {Pick<Storage, "getItem" | "setItem">} [storage] keeps the cursor, such as localStorage: a page that is loaded again goes on where it was
 * @property {string} [storageKey] the name it is kept under; made of what is watched if not given
 * @property {AbortSignal} [signal] closes the watch
 */

/**
 * @typedef {object} TaskEvent an event of a task; docs/TOPICS.md has all members
 * @property {"state" | "progress" | "output" | "usage" | "log"} kind
 * @property {string} event_id
 * @property {string} task_id
 * @property {string} user_id
 * @property {"pending" | "running" | "completed" | "failed" | "timed_out" | "cancelled"} status
 * @property {number} attempt
 * @property {string} task the task's name
 * @property {string} message
 * @property {string} time
 * @property {string} cursor where to go on after this event
 * @property {any} [result]
 * @property {string} [error]
 * @property {string} [error_code]
 * @property {{ percent: number, current?: number, total?: number, unit?: string }} [progress]
 * @property {{ index: number, text: string, count?: number }} [output] count pieces from index on, one if it is not there
 */

/** The end of a watch that does not come back. */
export class WatchError extends Error {
  /**
   * @param {string} message
   * @param {number} [code] the close code of the WebSocket, or 4000 and the status of HTTP
   */
  constructor(message, code) {
    super(message);
    this.name = "WatchError";
    this.code = code;
  }
}

const BATCH = "tasklane.v1.batch";
/** Events that may wait for a loop; past it the connection rests until they are taken. */
const MAX_WAITING = 5000;
// Milliseconds.
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 15_000;
/** A connection this old, or an event, makes the next pause the first one again. */
const SETTLED = 10_000;
const PING_EVERY = 25_000;
/** Without any word for so long, and longer than a ping ago, a connection is dead. */
const SILENCE = 40_000;
/** How long a connection may take to open, and a woken one to show that it lives. */
const PATIENCE = 10_000;

/**
 * Watches a user's events. The connection is opened after the code that is
 * running now, so listeners that are added at once miss nothing.
 * @param {Options} [options]
 * @returns {Watch}
 */
export function connect(options = {}) {
  return new Watch(options);
}

/**
 * A watch: an async iterable of events, and a place for listeners. It lives until
 * close is called, its signal aborts, the loop over it is left, or the notifier
 * refuses it for good.
 */
export class Watch {
  #options;
  #listeners = new Map();
  #queue = /** @type {TaskEvent[]} */ ([]);
  #iterating = false;
  #waiter = /** @type {(() => void) | undefined} */ (undefined);
  #resting = false;
  #cursor;
  #state = "connecting";
  #error = /** @type {WatchError | undefined} */ (undefined);
  #link = /** @type {Link | undefined} */ (undefined);
  #attempt = 0;
  #timer = /** @type {any} */ (undefined);
  #pause = FIRST_PAUSE;
  #failures = 0; // of the WebSocket to open, one after another
  #sse;
  #token;
  #refused = false; // the notifier did not take a fresh token
  #forget = /** @type {(() => void)[]} */ ([]);

  /** @param {Options} options */
  constructor(options) {
    this.#options = { since: "now", transport: "auto", ...options };
    this.#sse = this.#options.transport === "sse" || typeof WebSocket === "undefined";
    this.#token = options.token;
    this.#cursor = this.#stored() ?? this.#options.since;
    this.#listen(globalThis, "online", () => this.#wake());
    this.#listen(globalThis.document, "visibilitychange", () => document.visibilityState === "visible" && this.#wake());
    if (options.signal) this.#listen(options.signal, "abort", () => this.close());
    if (options.signal?.aborted) this.close();
    else queueMicrotask(() => this.#open());
  }

  /** Where the watch goes on: the cursor of the last event, or where it started. */
  get cursor() {
    return this.#cursor;
  }

  /** "connecting", "open", "waiting" (to connect again), "resting" (until its loop has taken what waits) or "closed". */
  get state() {
    return this.#state;
  }

  /**
   * Adds a listener and returns a function that removes it. Types: "event" for
   * every event, a kind ("state", "progress", "output", "usage", "log") for those;
   * "open" with the notifier's hello, "gap" with the reason when events are gone
   * from the history, "status" with the state, "close" with a WatchError or
   * undefined.
   * @param {string} type
   * @param {(value: any) => void} listener
   * @returns {() => void}
   */
  on(type, listener) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    this.#listeners.get(type).add(listener);
    return () => this.#listeners.get(type).delete(listener);
  }

  /** Closes the watch. Events that wait for a loop are still given. */
  close() {
    this.#end(undefined);
  }

  /**
   * The events, for one loop. It ends when the watch is closed and throws a
   * WatchError if that was for good; leaving it closes the watch.
   * @returns {AsyncGenerator<TaskEvent, void, void>}
   */
  async *[Symbol.asyncIterator]() {
    if (this.#iterating) throw new WatchError("a watch can be looped over once");
    this.#iterating = true;
    try {
      for (;;) {
        const event = this.#queue.shift();
        if (event) {
          yield event;
          this.#keep(event.cursor); // only now it has been dealt with
        } else if (this.#state === "closed") {
          if (this.#error) throw this.#error;
          return;
        } else {
          if (this.#resting) this.#open();
          await new Promise((resolve) => (this.#waiter = () => resolve(undefined)));
        }
      }
    } finally {
      this.#queue = [];
      this.close();
    }
  }

  // Connecting.

  async #open() {
    if (this.#state === "closed" || this.#link) return;
    clearTimeout(this.#timer);
    this.#resting = false;
    this.#become("connecting");
    const attempt = ++this.#attempt;
    let request;
    try {
      request = await this.#request();
    } catch (error) {
      if (attempt === this.#attempt) this.#later(); // whoever gives tokens cannot be reached
      return;
    }
    if (attempt !== this.#attempt || this.#state === "closed") return;
    const handlers = {
      message: (text) => attempt === this.#attempt && this.#hear(text),
      closed: (end) => attempt === this.#attempt && this.#ended(end),
    };
    this.#link = this.#sse ? new EventLink(request, handlers) : new SocketLink(request, handlers);
  }

  /** @returns {Promise<Request_>} */
  async #request() {
    const { url, userId, taskId, batchId, getToken, getTicket } = this.#options;
    const query = new URLSearchParams({ since: this.#cursor });
    if (userId) query.set("user_id", userId);
    if (taskId) query.set("task_id", taskId);
    if (batchId) query.set("batch_id", batchId);
    if (getTicket) query.set("ticket", await getTicket());
    else if (getToken) this.#token ??= await getToken();
    return { base: new URL(url ?? import.meta.url), query, token: getTicket ? undefined : this.#token };
  }

  /** @param {End} end */
  #ended(end) {
    const link = this.#link;
    this.#link = undefined;
    if (link && link.openedAt > 0 && Date.now() - link.openedAt > SETTLED) this.#pause = FIRST_PAUSE;
    if (end.code === 4401 && this.#again()) return this.#later();
    if (isFinal(end.code)) return this.#end(new WatchError(end.reason || `closed with code ${end.code}`, end.code));
    if (!this.#sse && link && link.openedAt === 0 && this.#options.transport === "auto") {
      // Twice, because the first may only have found a notifier that restarts.
      // Server-sent events say by their status what a WebSocket hides.
      this.#sse = ++this.#failures % 3 === 2;
    } else if (this.#sse && link && link.openedAt === 0 && this.#options.transport === "auto" && typeof WebSocket !== "undefined") {
      this.#sse = false;
    }
    this.#later(end.code === 4429 ? LONGEST_PAUSE / 2 : 0);
  }

  /** Whether another token may be taken where this one was not. */
  #again() {
    const { getToken, getTicket } = this.#options;
    if ((!getToken && !getTicket) || this.#refused) return false;
    this.#refused = true; // until a hello
    this.#token = undefined;
    return true;
  }

  /** @param {number} [least] */
  #later(least = 0) {
    this.#become("waiting");
    const pause = Math.max(least, this.#pause) * (0.5 + Math.random() / 2);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
    this.#timer = setTimeout(() => this.#open(), pause);
  }

  /** The network is back, or the page is looked at: no reason to wait on, and every reason to look whether the connection lives. */
  #wake() {
    if (this.#state === "waiting") {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#open(), Math.random() * FIRST_PAUSE);
    } else this.#link?.check(PATIENCE);
  }

  // Hearing.

  /** @param {string} text */
  #hear(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return this.#end(new WatchError("the answer is not understood: it is not of a notifier"));
    }
    if (message.kind === "hello") return this.#welcome(message);
    if (message.kind === "resume" && message.cursor) this.#cursor = message.cursor;
    if (!message.event_id || !message.cursor) return; // a pong, or what newer notifiers say
    this.#cursor = message.cursor;
    this.#pause = FIRST_PAUSE;
    this.#emit("event", message);
    this.#emit(message.kind, message);
    if (!this.#iterating) return this.#keep(message.cursor);
    this.#queue.push(message);
    this.#nudge();
    if (this.#queue.length >= MAX_WAITING) this.#rest();
  }

  #welcome(hello) {
    this.#failures = 0;
    this.#refused = false; // the token was taken; when it expires another may be
    this.#cursor = hello.cursor;
    if (this.#queue.length === 0) this.#keep(hello.cursor);
    this.#become("open");
    this.#emit("open", hello);
    if (!hello.recovered) this.#emit("gap", hello.reason);
  }

  /** Lets the connection go until the loop has taken what waits; the cursor is where it goes on. */
  #rest() {
    this.#attempt++;
    this.#link?.close();
    this.#link = undefined;
    this.#resting = true;
    this.#become("resting");
  }

  #end(error) {
    if (this.#state === "closed") return;
    this.#error = error;
    this.#attempt++;
    clearTimeout(this.#timer);
    this.#link?.close();
    this.#link = undefined;
    for (const forget of this.#forget) forget();
    this.#become("closed");
    this.#emit("close", error);
    this.#nudge();
  }

  #nudge() {
    this.#waiter?.();
    this.#waiter = undefined;
  }

  #become(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#emit("status", state);
  }

  #emit(type, value) {
    for (const listener of this.#listeners.get(type) ?? []) {
      try {
        listener(value);
      } catch (error) {
        // One listener's mistake is not the others'; it is reported like any.
        queueMicrotask(() => { throw error; });
      }
    }
  }

  #listen(target, type, listener) {
    if (!target?.addEventListener) return;
    target.addEventListener(type, listener);
    this.#forget.push(() => target.removeEventListener(type, listener));
  }

  // Keeping the cursor.

  get #key() {
    const { storageKey, userId, taskId, batchId } = this.#options;
    return storageKey ?? ["tasklane.cursor", userId ?? "", taskId ?? "", batchId ?? ""].map(encodeURIComponent).join("/");
  }

  #stored() {
    try {
      return this.#options.storage?.getItem(this.#key) ?? undefined;
    } catch {
      return undefined; // forbidden by the browser: as without
    }
  }

  #keep(cursor) {
    try {
      this.#options.storage?.setItem(this.#key, cursor);
    } catch {
      // Full or forbidden: the watch goes on, a new page starts earlier.
    }
  }
}

/** Whether a close code says not to come back; docs/NOTIFIER.md lists them. */
function isFinal(code) {
  if (code >= 4400 && code < 4500) return ![4408, 4429].includes(code);
  return [1003, 1007, 1008, 1009].includes(code);
}

/**
 * @typedef {{ base: URL, query: URLSearchParams, token?: string }} Request_
 * @typedef {{ code: number, reason: string }} End
 * @typedef {{ message: (text: string) => void, closed: (end: End) => void }} Handlers
 */

/** A connection, whatever it is made of. It says that it is closed once, unless close was called. */
class Link {
  openedAt = 0;
  #heardAt = Date.now();
  #handlers;
  #watchdog;
  #doubt = /** @type {any} */ (undefined);

  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#doubt = setTimeout(() => this.lost("it did not open"), PATIENCE);
    this.#watchdog = setInterval(() => this.check(SILENCE - PING_EVERY), PING_EVERY);
  }

  opened() {
    this.openedAt = Date.now();
    this.heard();
  }

  heard() {
    this.#heardAt = Date.now();
    clearTimeout(this.#doubt);
    this.#doubt = undefined;
  }

  /** @param {string} text */
  tell(text) {
    this.heard();
    this.#handlers.message(text);
  }

  /** Asks for a sign of life within a time. Timers of hidden pages are late, so it is what was heard meanwhile that counts. */
  check(within) {
    if (this.openedAt === 0 || this.#doubt) return;
    const asked = Date.now();
    this.ping();
    this.#doubt = setTimeout(() => this.#heardAt < asked && this.lost("it is silent"), within);
  }

  ping() {}

  lost(reason) {
    this.close();
    this.#handlers.closed({ code: 1006, reason });
  }

  /** @param {End} end */
  ended(end) {
    this.stop();
    this.#handlers.closed(end);
  }

  stop() {
    clearTimeout(this.#doubt);
    clearInterval(this.#watchdog);
  }

  close() {
    this.stop();
  }
}

class SocketLink extends Link {
  #socket;

  /** @param {Request_} request @param {Handlers} handlers */
  constructor({ base, query, token }, handlers) {
    super(handlers);
    const url = new URL("/ws", base);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = query.toString();
    this.#socket = new WebSocket(url, [BATCH]);
    this.#socket.onopen = () => {
      this.opened();
      // Not in the query: that ends up in logs.
      if (token) this.#socket.send(JSON.stringify({ kind: "auth", token }));
    };
    this.#socket.onmessage = ({ data }) => {
      // JSON has no bare newlines, so this is right for single events too.
      for (const line of data.split("\n")) if (line) this.tell(line);
    };
    this.#socket.onclose = ({ code, reason }) => this.ended({ code, reason });
  }

  ping() {
    if (this.#socket.readyState === 1) this.#socket.send('{"kind":"ping"}');
  }

  close() {
    super.close();
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
  }
}

/** Server-sent events by fetch, which can send a token where EventSource cannot. */
class EventLink extends Link {
  #abort = new AbortController();

  /** @param {Request_} request @param {Handlers} handlers */
  constructor({ base, query, token }, handlers) {
    super(handlers);
    const url = new URL("/sse", base);
    url.protocol = url.protocol.replace("ws", "http");
    url.search = query.toString();
    this.#read(url, token).then(
      (end) => this.#abort.signal.aborted || this.ended(end),
      (error) => this.#abort.signal.aborted || this.ended({ code: 1006, reason: String(error) }),
    );
  }

  /** @returns {Promise<End>} */
  async #read(url, token) {
    const headers = { Accept: "text/event-stream", ...(token && { Authorization: `Bearer ${token}` }) };
    const response = await fetch(url, { headers, signal: this.#abort.signal, cache: "no-store" });
    if (!response.ok) {
      const problem = await response.json().catch(() => ({}));
      // Only what the client can be blamed for is for good.
      return { code: response.status < 500 ? 4000 + response.status : 1006, reason: problem.detail ?? problem.title ?? `status ${response.status}` };
    }
    if (!response.body || !response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
      return { code: 1006, reason: "this is no stream of events" };
    }
    this.opened();
    const end = { code: 1006, reason: "the stream ended" };
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let data = "";
    let type = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return end;
      this.heard();
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const raw of lines) {
        const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
        if (line.startsWith("data:")) data += (data && "\n") + line.slice(line[5] === " " ? 6 : 5);
        else if (line.startsWith("event:")) type = line.slice(6).trim();
        else if (line === "") {
          if (type === "closing") Object.assign(end, parsed(data));
          else if (data) this.tell(data);
          data = type = "";
        }
      }
    }
  }

  close() {
    super.close();
    this.#abort.abort();
  }
}

/** The code and reason in a farewell. */
function parsed(text) {
  try {
    const { code, reason } = JSON.parse(text);
    return { code: Number(code) || 1006, reason: String(reason ?? "") };
  } catch {
    return {};
  }
}
