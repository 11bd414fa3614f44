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
 * @property {string | URL} [url] the notifier (http, https, ws or wss), with the path that it is served below; where this module came from if not given
 * @property {string} [userId] whose events; with a token it may be left out for the token's own user
 * @property {string} [taskId] only those of one task
 * @property {string} [batchId] only those of one batch
 * @property {string} [since] where to start: "now" (if not given), "earliest", a cursor, or a time such as 2026-01-31T09:30:00Z
 * @property {string} [token] the bearer token, if the notifier asks for one
 * @property {() => string | Promise<string>} [getToken] gives a token; asked again when the last one is no longer taken
 * @property {() => string | Promise<string>} [getTicket] gives a one-time ticket, for every connection another
 * @property {"auto" | "websocket" | "sse"} [transport] auto (if not given) takes server-sent events where WebSockets do not get through, and
 *   looks now and then whether they do again: over HTTP/1.1 a browser opens six streams to one host, and the seventh page waits for ever
 * @property {Pick<Storage, "getItem" | "setItem"> & Partial<Pick<Storage, "removeItem">>} [storage] keeps the cursor: a page that is loaded again goes on where it was. Take sessionStorage,
 *   which each tab has for itself. With localStorage two tabs that watch the same would take each other's cursor: give each its own storageKey
 * @property {string} [storageKey] the name it is kept under; made of what is watched if not given
 * @property {AbortSignal} [signal] closes the watch
 */

/**
 * @typedef {object} TaskEvent an event of a task; docs/TOPICS.md has all members
 * @property {"state" | "progress" | "output" | "usage" | "log" | "reset"} kind
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
 * @property {{ index: number, text: string, count?: number, data?: any[] }} [output] count pieces from index on, one if it is not there;
 *   data are the events of the provider's own stream
 * @property {Usage} [usage] one request's on a usage event, the task's total on its last one
 */

/**
 * @typedef {object} Usage what a model was asked for; input_tokens and output_tokens include everything, the others are parts of them
 * @property {string} model
 * @property {string} [provider]
 * @property {number} input_tokens
 * @property {number} [cached_tokens]
 * @property {number} [cache_write_tokens]
 * @property {number} output_tokens
 * @property {number} [reasoning_tokens]
 * @property {number} [cost_picodollars] in 1/1,000,000,000,000 US dollar; not there if it is unknown
 * @property {boolean} [estimated] the provider did not tell
 */

/**
 * @typedef {object} Hello what a notifier says first on every connection
 * @property {"hello"} kind
 * @property {string} cursor where the watch is
 * @property {boolean} recovered whether nothing is missing since the cursor that was asked for
 * @property {string} [reason] why something may be missing
 */

/**
 * @typedef {object} WatchEvents what listeners are told of
 * @property {TaskEvent} event every event
 * @property {TaskEvent} state
 * @property {TaskEvent} progress
 * @property {TaskEvent} output
 * @property {TaskEvent} usage
 * @property {TaskEvent} log
 * @property {TaskEvent} reset what the task has streamed so far is void: throw it away, another attempt begins
 * @property {Hello} open a connection is there
 * @property {string} gap events are gone from the history, and why
 * @property {WatchState} status
 * @property {WatchError | undefined} close the end, with the reason if it was for good
 */

/** @typedef {"connecting" | "open" | "waiting" | "resting" | "closed"} WatchState */

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
/** How long a connection may take to open, and one in doubt to show that it lives. */
const PATIENCE = 10_000;
/** How long an open one may take to its hello. */
const HELLO = 20_000;
/** Without any word for so long a WebSocket that was asked, and then a stream, is in doubt: a notifier writes to a stream every 25 s. */
const SILENT_SOCKET = 30_000;
const SILENT_STREAM = 55_000;
/** A timer that is later than this was that of a page which was frozen. */
const LATE = 5_000;
/** How long a stream lasts before it is looked whether a WebSocket gets through again, doubled each time that none does. */
const FIRST_RETURN = 15_000;
const LONGEST_RETURN = 600_000;

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
  #base;
  #listeners = new Map();
  #queue = /** @type {TaskEvent[]} */ ([]);
  #iterating = false;
  #waiter = /** @type {(() => void) | undefined} */ (undefined);
  #resting = false;
  #cursor;
  #state = /** @type {WatchState} */ ("connecting");
  #error = /** @type {WatchError | undefined} */ (undefined);
  #link = /** @type {Link | undefined} */ (undefined);
  #attempt = 0;
  #timer = /** @type {any} */ (undefined);
  #pause = FIRST_PAUSE;
  #failures = 0; // of the WebSocket to open, one after another
  #sse;
  #return = FIRST_RETURN;
  #returning = /** @type {any} */ (undefined);
  #restored = false; // the cursor is one that was kept, and no notifier has taken it yet
  #token;
  #refused = false; // the notifier did not take a fresh token
  #forget = /** @type {(() => void)[]} */ ([]);

  /** @param {Options} options */
  constructor(options) {
    checkOptions(options);
    this.#options = { since: "now", transport: "auto", ...options };
    this.#base = baseOf(options.url);
    this.#sse = this.#options.transport === "sse" || typeof WebSocket === "undefined";
    this.#token = options.token;
    const stored = this.#stored();
    this.#restored = stored !== undefined;
    this.#cursor = stored ?? this.#options.since;
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
   * every event, a kind ("state", "progress", "output", "usage", "log", "reset") for those;
   * "open" with the notifier's hello, "gap" with the reason when events are gone
   * from the history, "status" with the state, "close" with a WatchError or
   * undefined.
   * @template {keyof WatchEvents} T
   * @param {T} type
   * @param {(value: WatchEvents[T]) => void} listener
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
    if (attempt !== this.#attempt) return; // closed, or another came before it
    /** @type {LinkHandlers} */
    const handlers = {
      message: (text) => attempt === this.#attempt && this.#hear(text),
      closed: (end) => attempt === this.#attempt && this.#ended(end),
    };
    try {
      this.#link = this.#sse ? new EventLink(request, handlers) : new SocketLink(request, handlers);
    } catch (error) {
      // Forbidden by the browser, as a ws address is in a page that came by https.
      this.#end(new WatchError(`${this.#base.href} cannot be reached from this page: ${error instanceof Error ? error.message : error}`));
    }
  }

  /** @returns {Promise<LinkRequest>} */
  async #request() {
    const { userId, taskId, batchId, getToken, getTicket } = this.#options;
    const query = new URLSearchParams({ since: this.#cursor });
    if (userId) query.set("user_id", userId);
    if (taskId) query.set("task_id", taskId);
    if (batchId) query.set("batch_id", batchId);
    if (getTicket) query.set("ticket", await getTicket());
    else if (getToken) this.#token ??= await getToken();
    return { base: this.#base, query, token: getTicket ? undefined : this.#token };
  }

  /** @param {LinkEnd} end */
  #ended(end) {
    const link = /** @type {Link} */ (this.#link);
    this.#link = undefined;
    clearTimeout(this.#returning);
    if (link.welcomed && Date.now() - link.openedAt > SETTLED) this.#pause = FIRST_PAUSE;
    if (end.code === 4401 && this.#again()) return this.#later();
    if (end.code === 4422 && this.#restored) return this.#restart(end.reason);
    if (isFinal(end.code)) return this.#end(new WatchError(end.reason || `closed with code ${end.code}`, end.code));
    if (this.#options.transport === "auto" && typeof WebSocket !== "undefined") {
      // Of three tries one is a stream: it says by its status what a WebSocket hides, and
      // the first may only have found a notifier that restarts. One that closes with a
      // reason was reached.
      if (this.#sse) this.#sse = link.welcomed;
      else if (!link.welcomed && (link.openedAt === 0 || end.code === 1006)) this.#sse = ++this.#failures % 3 === 2;
    }
    this.#later(end.code === 4429 ? LONGEST_PAUSE / 2 : 0);
  }

  /**
   * The kept cursor is none that this notifier knows: it is dropped, and the watch begins where it was to without it.
   * @param {string} reason
   */
  #restart(reason) {
    this.#restored = false;
    this.#cursor = this.#options.since;
    try {
      this.#options.storage?.removeItem?.(this.#key);
    } catch {
      // Forbidden by the browser: the next event's cursor takes its place, if that can be kept.
    }
    this.#emit("gap", reason);
    this.#later();
  }

  /** Lets a stream go to see whether a WebSocket gets through again; if not, the next connection is a stream. */
  #tryWebSocket() {
    this.#return = Math.min(2 * this.#return, LONGEST_RETURN);
    this.#release();
    this.#sse = false;
    this.#failures = 1;
    this.#open();
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
    } else this.#link?.check();
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

  /** @param {Hello} hello */
  #welcome(hello) {
    const link = /** @type {Link} */ (this.#link);
    link.welcome();
    if (!this.#sse) {
      this.#failures = 0;
      this.#return = FIRST_RETURN;
    } else if (this.#options.transport === "auto" && typeof WebSocket !== "undefined") {
      clearTimeout(this.#returning);
      this.#returning = setTimeout(() => this.#tryWebSocket(), this.#return);
    }
    this.#restored = false;
    this.#refused = false; // the token was taken; when it expires another may be
    this.#cursor = hello.cursor;
    if (this.#queue.length === 0) this.#keep(hello.cursor);
    this.#become("open");
    this.#emit("open", hello);
    if (!hello.recovered) this.#emit("gap", hello.reason);
  }

  /** Lets the connection go until the loop has taken what waits; the cursor is where it goes on. */
  #rest() {
    this.#release();
    this.#resting = true;
    this.#become("resting");
  }

  /** Closes the connection, and nothing that it still says is heard. */
  #release() {
    this.#attempt++;
    clearTimeout(this.#timer);
    clearTimeout(this.#returning);
    this.#link?.close();
    this.#link = undefined;
  }

  /** @param {WatchError | undefined} error */
  #end(error) {
    if (this.#state === "closed") return;
    this.#error = error;
    this.#release();
    for (const forget of this.#forget) forget();
    this.#become("closed");
    this.#emit("close", error);
    this.#nudge();
  }

  #nudge() {
    this.#waiter?.();
    this.#waiter = undefined;
  }

  /** @param {WatchState} state */
  #become(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#emit("status", state);
  }

  /** @param {string} type @param {unknown} value */
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

  /** @param {EventTarget | undefined} target @param {string} type @param {() => void} listener */
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

  /** @param {string} cursor */
  #keep(cursor) {
    try {
      this.#options.storage?.setItem(this.#key, cursor);
    } catch {
      // Full or forbidden: the watch goes on, a new page starts earlier.
    }
  }
}

/**
 * Whether a close code says not to come back; docs/NOTIFIER.md lists them.
 * @param {number} code
 */
function isFinal(code) {
  if (code >= 4400 && code < 4500) return ![4408, 4429].includes(code);
  return [1003, 1007, 1008, 1009].includes(code);
}

const OPTIONS = ["url", "userId", "taskId", "batchId", "since", "token", "getToken", "getTicket", "transport", "storage", "storageKey", "signal"];

/** @param {Options} options */
function checkOptions(options) {
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (unknown) throw new TypeError(`a watch has no option ${unknown}; it has ${OPTIONS.join(", ")}`);
  const empty = ["userId", "taskId", "batchId", "since"].find((name) => options[/** @type {"userId"} */ (name)] === "");
  if (empty) throw new TypeError(`${empty} is empty; leave it out if none is meant`);
  const { transport = "auto" } = options;
  if (!["auto", "websocket", "sse"].includes(transport)) throw new TypeError(`transport ${transport} is not auto, websocket or sse`);
}

/**
 * Where a notifier is, as a directory. The address of this module or of an endpoint stands for the directory that it is in.
 * @param {string | URL} [url]
 */
function baseOf(url = import.meta.url) {
  const base = new URL(url, import.meta.url);
  if (!/^(https?|wss?):$/.test(base.protocol)) throw new TypeError(`url ${url} has to begin with http://, https://, ws:// or wss://`);
  const last = base.pathname.split("/").pop() ?? "";
  if (!["", "client.js", "tasklane.js", "ws", "sse"].includes(last)) base.pathname += "/";
  base.search = base.hash = "";
  return base;
}

/** @typedef {{ base: URL, query: URLSearchParams, token?: string }} LinkRequest */
/** @typedef {{ code: number, reason: string }} LinkEnd */
/** @typedef {{ message: (text: string) => unknown, closed: (end: LinkEnd) => unknown }} LinkHandlers */

/** A connection, whatever it is made of. It says that it is closed once, unless close was called. */
class Link {
  openedAt = 0;
  welcomed = false;
  #heardAt = Date.now();
  #silent;
  #handlers;
  #watchdog;
  #doubt = /** @type {any} */ (undefined);

  /** @param {LinkHandlers} handlers @param {number} silent how long nothing may be heard before that is doubtful */
  constructor(handlers, silent) {
    this.#handlers = handlers;
    this.#silent = silent;
    this.#doubt = setTimeout(() => this.lost("it did not open"), PATIENCE);
    this.#watchdog = setInterval(() => this.#look(), PING_EVERY);
  }

  opened() {
    this.openedAt = this.#heardAt = Date.now();
    clearTimeout(this.#doubt);
    this.#doubt = setTimeout(() => this.lost("it said no hello"), HELLO);
  }

  welcome() {
    this.welcomed = true;
    this.#trust();
  }

  heard() {
    this.#heardAt = Date.now();
    if (this.welcomed) this.#trust();
  }

  #trust() {
    clearTimeout(this.#doubt);
    this.#doubt = undefined;
  }

  /** @param {string} text */
  tell(text) {
    this.heard();
    this.#handlers.message(text);
  }

  #look() {
    this.ping();
    const rest = this.#heardAt + this.#silent - Date.now();
    if (rest < PING_EVERY) this.#expect(Math.max(rest, 0) + PATIENCE);
  }

  /** Asks for a sign of life at once. A stream cannot be asked: one that was heard lately is believed. */
  check() {
    if (this.ping() || Date.now() - this.#heardAt > this.#silent / 2) this.#expect(PATIENCE);
  }

  /** @param {number} within */
  #expect(within) {
    if (this.openedAt === 0 || this.#doubt) return;
    const due = Date.now() + within;
    this.#doubt = setTimeout(() => {
      this.#doubt = undefined;
      // A page that was frozen hears what came meanwhile only after its timers.
      if (Date.now() - due > LATE) this.#expect(PATIENCE);
      else this.lost("it is silent");
    }, within);
  }

  /** @returns {boolean} whether the notifier was asked to answer */
  ping() {
    return false;
  }

  /** @param {string} reason */
  lost(reason) {
    this.close();
    this.#handlers.closed({ code: 1006, reason });
  }

  /** @param {LinkEnd} end */
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

  /** @param {LinkRequest} request @param {LinkHandlers} handlers */
  constructor({ base, query, token }, handlers) {
    super(handlers, SILENT_SOCKET);
    const url = new URL("ws", base);
    url.protocol = url.protocol.replace("http", "ws");
    url.search = query.toString();
    this.#socket = new WebSocket(url, [BATCH]);
    this.#socket.onopen = () => {
      this.opened();
      // Not in the query: that ends up in logs. Without one it says so, since a notifier that wants one would wait for it.
      if (!query.has("ticket")) this.#socket.send(JSON.stringify({ kind: "auth", token }));
    };
    this.#socket.onmessage = ({ data }) => {
      // JSON has no bare newlines, so this is right for single events too.
      for (const line of data.split("\n")) if (line) this.tell(line);
    };
    this.#socket.onclose = ({ code, reason }) => this.ended({ code, reason });
  }

  ping() {
    if (this.#socket.readyState === 1) this.#socket.send('{"kind":"ping"}');
    return true;
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

  /** @param {LinkRequest} request @param {LinkHandlers} handlers */
  constructor({ base, query, token }, handlers) {
    super(handlers, SILENT_STREAM);
    const url = new URL("sse", base);
    url.protocol = url.protocol.replace("ws", "http");
    url.search = query.toString();
    this.#read(url, token).then(
      (end) => this.#abort.signal.aborted || this.ended(end),
      (error) => this.#abort.signal.aborted || this.ended({ code: 1006, reason: String(error) }),
    );
  }

  /** @param {URL} url @param {string} [token] @returns {Promise<LinkEnd>} */
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

/**
 * The code and reason in a farewell.
 * @param {string} text
 */
function parsed(text) {
  try {
    const { code, reason } = JSON.parse(text);
    return { code: Number(code) || 1006, reason: String(reason ?? "") };
  } catch {
    return {};
  }
}
