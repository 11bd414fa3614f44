// Tests of tasklane.js on fakes: node --test client/browser (Node 20 or newer).
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { connect, WatchError } from "./tasklane.js";

// What has been started by a step is done when this is.
const settled = () => new Promise((resolve) => setImmediate(resolve));
const step = async (ms) => {
  mock.timers.tick(ms);
  await settled();
};

/** Sockets that were made, oldest first; a test plays the notifier. */
let sockets;
class FakeSocket {
  readyState = 0;
  sent = [];
  closedByClient = false;
  constructor(url, protocols) {
    this.url = new URL(url);
    this.protocols = protocols;
    sockets.push(this);
  }
  get since() {
    return this.url.searchParams.get("since");
  }
  open(cursor = "c0", recovered = true) {
    this.readyState = 1;
    this.onopen?.();
    this.say({ kind: "hello", cursor, recovered, reason: recovered ? undefined : "gone" });
  }
  say(...messages) {
    this.onmessage?.({ data: messages.map((m) => JSON.stringify(m)).join("\n") });
  }
  drop(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
  send(text) {
    this.sent.push(text);
  }
  close() {
    this.closedByClient = true;
  }
}
const newest = () => sockets.at(-1);
const event = (n, more) => ({ kind: "state", event_id: `e${n}`, task_id: "t", user_id: "alice", cursor: `c${n + 1}`, ...more });

let watches;
const watch = (options) => {
  const w = connect({ url: "http://127.0.0.1:8000", userId: "alice", ...options });
  watches.push(w);
  return w;
};

const real = { WebSocket: globalThis.WebSocket, fetch: globalThis.fetch };
beforeEach(() => {
  sockets = [];
  watches = [];
  globalThis.WebSocket = FakeSocket;
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_700_000_000_000 });
});
afterEach(() => {
  for (const w of watches) w.close();
  mock.timers.reset();
  Object.assign(globalThis, real);
});

test("asks for what is wanted, and for batches", async () => {
  watch({ url: "https://tasks.example", taskId: "t/1", batchId: "b", since: "earliest" });
  await settled();
  assert.equal(newest().url.href, "wss://tasks.example/ws?since=earliest&user_id=alice&task_id=t%2F1&batch_id=b");
  assert.deepEqual(newest().protocols, ["tasklane.v1.batch"]);
});

test("a notifier may be below a path", async () => {
  const places = {
    "https://a.example": "wss://a.example/ws",
    "https://a.example/": "wss://a.example/ws",
    "https://a.example/tasks": "wss://a.example/tasks/ws",
    "http://a.example:81/tasks/live/": "ws://a.example:81/tasks/live/ws",
    "wss://a.example/tasks/ws": "wss://a.example/tasks/ws",
    "https://a.example/tasks/sse?since=now#x": "wss://a.example/tasks/ws",
    "https://a.example/tasks/client.js": "wss://a.example/tasks/ws",
  };
  for (const [url, want] of Object.entries(places)) {
    watch({ url });
    await settled();
    assert.equal(newest().url.origin + newest().url.pathname, want, url);
  }
  const asked = [];
  globalThis.fetch = (url) => (asked.push(new URL(url)), new Promise(() => {}));
  watch({ url: "wss://a.example/tasks", transport: "sse" });
  await settled();
  assert.equal(asked[0].origin + asked[0].pathname, "https://a.example/tasks/sse");
});

test("options that cannot be meant are refused at once", () => {
  assert.throws(() => connect({ url: "http://127.0.0.1", user_id: "alice" }), /no option user_id; it has .*userId/);
  for (const name of ["userId", "taskId", "batchId", "since"])
    assert.throws(() => connect({ url: "http://127.0.0.1", [name]: "" }), new RegExp(`${name} is empty; leave it out`));
  assert.throws(() => connect({ url: "http://127.0.0.1", transport: "polling" }), /not auto, websocket or sse/);
  assert.throws(() => connect({ url: "localhost:8000" }), /has to begin with http/);
  assert.throws(() => connect({}), /has to begin with http/, "this file's own address is no notifier");
});

test("an address that the page may not open is said, and is the end", async () => {
  globalThis.WebSocket = class {
    constructor() {
      throw new DOMException("insecure from a secure page", "SecurityError");
    }
  };
  const w = watch();
  const ends = [];
  w.on("close", (e) => ends.push(e.message));
  await settled();
  assert.match(ends[0], /127\.0\.0\.1:8000.*insecure/);
});

test("gives every event once, to listeners and to a loop", async () => {
  const w = watch();
  const heard = [];
  const looped = [];
  w.on("event", (e) => heard.push(e.event_id));
  (async () => {
    for await (const e of w) looped.push(e.event_id);
  })();
  await settled();
  newest().open();
  newest().say(event(0), event(1));
  newest().say({ kind: "pong" }, { kind: "news", cursor: "c99" }, event(2));
  await settled();
  assert.deepEqual(heard, ["e0", "e1", "e2"]);
  assert.deepEqual(looped, heard);
  assert.equal(w.cursor, "c3");
});

test("goes on after the last event, whatever breaks", async () => {
  let random = 1;
  const next = (below) => (random = (random * 48271) % 2147483647) % below;
  const w = watch({ since: "earliest" });
  const got = [];
  w.on("event", (e) => got.push(e.event_id));
  await settled();
  for (let at = 0, made = 0; at < 200; ) {
    assert.ok(sockets.length > made, "no new connection");
    made = sockets.length;
    const socket = newest();
    const expected = socket.since === "earliest" ? 0 : Number(socket.since.slice(1));
    assert.equal(expected, at);
    if (next(4) > 0) {
      socket.open(`c${at}`);
      for (let n = next(5); n > 0; n--) socket.say(event(at++), ...(next(2) ? [event(at++)] : []));
    }
    if (next(3) === 0) socket.say({ kind: "resume", cursor: `c${at}` });
    socket.drop([1001, 1006, 1011, 1013, 4008][next(5)]);
    w.on("status", () => {});
    while (sockets.length === made) await step(20_000);
    // A connection that cannot be opened leads to one try by fetch, which fails here.
    if (newest() === socket) assert.fail("not reconnected");
  }
  assert.deepEqual(got, got.map((_, n) => `e${n}`));
});

test("a connection that ends before its first event is not a later now", async () => {
  watch();
  await settled();
  newest().open("c7");
  newest().drop();
  await step(1000);
  assert.equal(newest().since, "c7");
});

test("the pauses grow, are spread, and start again after an event", async () => {
  const pauses = [];
  mock.method(Math, "random", () => 1);
  const w = watch({ transport: "websocket" });
  await settled();
  for (let n = 0; n < 8; n++) {
    const made = sockets.length;
    newest().drop();
    let waited = 0;
    for (; sockets.length === made; waited += 50) await step(50);
    pauses.push(waited);
  }
  assert.deepEqual(pauses, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000]);
  newest().open();
  newest().say(event(0));
  newest().drop();
  assert.equal(w.state, "waiting");
  await step(250);
  assert.equal(w.state, "connecting");
  mock.restoreAll();
});

test("codes that are for good end the loop with an error", async () => {
  for (const code of [1003, 1007, 1008, 1009, 4400, 4401, 4403]) {
    const w = watch({ token: "fixed" });
    await settled();
    newest().open();
    newest().say(event(0));
    const ended = (async () => {
      for await (const _ of w);
    })();
    newest().drop(code, "not yours");
    await assert.rejects(ended, (e) => e instanceof WatchError && e.code === code && e.message === "not yours");
    assert.equal(w.state, "closed");
  }
});

test("a token goes in the first message, and an expired one is replaced", async () => {
  let asked = 0;
  const w = watch({ getToken: async () => `token-${++asked}` });
  await settled();
  const first = newest();
  first.open();
  assert.deepEqual(first.sent, ['{"kind":"auth","token":"token-1"}']);
  assert.ok(!first.url.href.includes("token-1"));
  first.say(event(0));
  first.drop(4401);
  await step(1000);
  newest().open("c1");
  assert.deepEqual(newest().sent, ['{"kind":"auth","token":"token-2"}']);
  assert.equal(newest().since, "c1");
  assert.equal(w.state, "open");
});

test("tokens may expire one after another without an event between", async () => {
  let asked = 0;
  const w = watch({ getToken: () => `token-${++asked}` });
  await settled();
  for (let n = 1; n <= 5; n++) {
    assert.equal(asked, n);
    newest().open();
    newest().drop(4401, "the token has expired");
    assert.equal(w.state, "waiting");
    await step(15_000);
  }
});

test("when a fresh token is not taken either, that is the end", async () => {
  let asked = 0;
  const w = watch({ getToken: () => `token-${++asked}` });
  await settled();
  newest().drop(4401);
  await step(1000);
  newest().drop(4401);
  assert.equal(w.state, "closed");
  assert.equal(asked, 2);
});

test("every connection has a ticket of its own, and one that cannot be had is asked for again", async () => {
  const answers = [() => "one", () => Promise.reject(new Error("down")), () => "two"];
  watch({ getTicket: () => answers.shift()() });
  await settled();
  assert.equal(newest().url.searchParams.get("ticket"), "one");
  newest().open();
  newest().drop();
  await step(1000);
  await step(1000);
  assert.equal(newest().url.searchParams.get("ticket"), "two");
  assert.equal(sockets.length, 2);
});

test("a cursor is kept when its event has been dealt with, and taken up", async () => {
  const kept = new Map();
  const storage = { getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => kept.set(k, v) };
  const w = watch({ storage, storageKey: "place" });
  const loop = w[Symbol.asyncIterator]();
  const first = loop.next();
  await settled();
  newest().open();
  newest().say(event(0), event(1));
  await first;
  await settled();
  assert.equal(kept.get("place"), "c0", "the first event is still being dealt with");
  await loop.next();
  assert.equal(kept.get("place"), "c1");
  w.close();
  watch({ storage, storageKey: "place" });
  await settled();
  assert.equal(newest().since, "c1");
});

test("a kept cursor that the notifier does not know is dropped, and said", async () => {
  const kept = new Map([["place", "of another log"]]);
  const storage = { getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => kept.set(k, v), removeItem: (k) => kept.delete(k) };
  const w = watch({ storage, storageKey: "place", since: "earliest" });
  const gaps = [];
  w.on("gap", (reason) => gaps.push(reason));
  await settled();
  assert.equal(newest().since, "of another log");
  newest().drop(4422, "this is no cursor");
  assert.deepEqual(gaps, ["this is no cursor"]);
  assert.ok(!kept.has("place"));
  await step(1000);
  assert.equal(newest().since, "earliest");
  newest().open("c3");
  assert.equal(kept.get("place"), "c3");
  newest().drop(4422, "since is not understood");
  assert.equal(w.state, "closed", "what the page itself asks for is not dropped");
});

test("storage that throws is as none", async () => {
  const broken = { getItem() { throw new Error("forbidden"); }, setItem() { throw new Error("full"); } };
  const w = watch({ storage: broken });
  await settled();
  newest().open();
  newest().say(event(0));
  assert.equal(w.cursor, "c1");
});

test("a loop that does not take its events lets the connection go, and nothing is lost", async () => {
  const w = watch();
  const loop = w[Symbol.asyncIterator]();
  let taken = loop.next();
  await settled();
  newest().open();
  for (let n = 0; n < 6000; n++) newest().say(event(n));
  assert.equal(w.state, "resting");
  assert.ok(newest().closedByClient);
  const got = [(await taken).value.event_id];
  while (w.state === "resting") {
    taken = loop.next();
    await settled();
    if (w.state === "resting") got.push((await taken).value.event_id);
  }
  assert.equal(newest().since, `c${got.length}`);
  newest().open(`c${got.length}`);
  newest().say(event(got.length));
  got.push((await taken).value.event_id);
  assert.deepEqual(got, got.map((_, n) => `e${n}`));
});

test("history that is gone is said", async () => {
  const w = watch({ since: "c1" });
  const gaps = [];
  w.on("gap", (reason) => gaps.push(reason));
  await settled();
  newest().open("c5", false);
  assert.deepEqual(gaps, ["gone"]);
});

test("a silent connection is made again, one that answers is not", async () => {
  watch();
  await settled();
  const socket = newest();
  socket.open();
  await step(25_000);
  assert.deepEqual(socket.sent, ['{"kind":"auth"}', '{"kind":"ping"}']); // the first says that no token will come
  socket.say({ kind: "pong" });
  await step(20_000);
  assert.ok(!socket.closedByClient);
  await step(5_000);
  await step(15_000);
  assert.ok(socket.closedByClient);
  await step(1000);
  assert.equal(sockets.length, 2);
});

test("one that does not open is given up", async () => {
  watch();
  await settled();
  await step(10_000);
  assert.ok(sockets[0].closedByClient);
});

test("one that opens and says no hello is given up", async () => {
  watch();
  await settled();
  sockets[0].readyState = 1;
  sockets[0].onopen();
  await step(19_000);
  assert.ok(!sockets[0].closedByClient);
  await step(1_000);
  assert.ok(sockets[0].closedByClient);
});

test("a page that was frozen hears what came meanwhile before it gives up", async () => {
  watch();
  await settled();
  newest().open();
  await step(25_000); // asked for a sign of life
  mock.timers.setTime(Date.now() + 3_600_000); // its timers are an hour late
  await settled();
  assert.equal(sockets.length, 1);
  assert.ok(!sockets[0].closedByClient);
  sockets[0].say({ kind: "pong" });
  await step(14_000);
  assert.ok(!sockets[0].closedByClient);
});

test("the network coming back cuts the pause short", async () => {
  const target = new EventTarget();
  const names = ["addEventListener", "removeEventListener", "dispatchEvent"];
  for (const name of names) globalThis[name] = target[name].bind(target);
  const w = watch({ transport: "websocket" });
  await settled();
  for (let n = 0; n < 5; n++) {
    newest().drop();
    await step(15_000);
  }
  newest().drop();
  const made = sockets.length;
  assert.equal(w.state, "waiting");
  target.dispatchEvent(new Event("online"));
  await step(250);
  assert.equal(sockets.length, made + 1);
  w.close();
  for (const name of names) delete globalThis[name];
});

test("leaving the loop, close and an abort close the watch", async () => {
  const left = watch();
  await settled();
  const socket = newest();
  socket.open();
  socket.say(event(0));
  const looping = (async () => {
    for await (const _ of left) break;
  })();
  socket.say(event(1));
  await looping;
  assert.ok(socket.closedByClient && left.state === "closed");

  const controller = new AbortController();
  const aborted = watch({ signal: controller.signal });
  await settled();
  newest().open();
  const loop = (async () => {
    for await (const _ of aborted);
  })();
  controller.abort();
  await loop;
  assert.equal(aborted.state, "closed");
  const made = sockets.length;
  await step(60_000);
  assert.equal(sockets.length, made);
});

test("what is no notifier is an error", async () => {
  const w = watch();
  const ends = [];
  w.on("close", (e) => ends.push(e));
  await settled();
  newest().onmessage({ data: "<html>" });
  assert.ok(ends[0] instanceof WatchError);
});

// Server-sent events.

const stream = (...chunks) => {
  const bytes = new TextEncoder();
  return new ReadableStream({
    start(c) {
      for (const chunk of chunks) c.enqueue(bytes.encode(chunk));
      c.close();
    },
  });
};
const answer = (body, init) => new Response(body, { headers: { "Content-Type": "text/event-stream" }, ...init });

test("where WebSockets do not get through, server-sent events do", async () => {
  const asked = [];
  globalThis.fetch = async (url, init) => {
    asked.push({ url: new URL(url), init });
    return answer(stream(`retry: 1000\n\nevent: hello\nid: c0\ndata: ${JSON.stringify({ kind: "hello", cursor: "c0", recovered: true })}\n\n:\n\n`,
      `data: ${JSON.stringify(event(0))}`, `\r\n\r\ndata:${JSON.stringify(event(1))}\n\n`));
  };
  const w = watch({ token: "secret" });
  const got = [];
  w.on("event", (e) => got.push(e.event_id));
  await settled();
  newest().drop();
  await step(1000);
  newest().drop();
  await step(1000);
  for (let n = 0; n < 20; n++) await settled();
  assert.deepEqual(got, ["e0", "e1"]);
  assert.equal(asked[0].url.pathname, "/sse");
  assert.equal(asked[0].init.headers.Authorization, "Bearer secret");
  await step(1000);
  assert.equal(asked[1].url.searchParams.get("since"), "c2");
});

test("a refusal by HTTP and a farewell in the stream say why", async () => {
  const answers = [
    () => new Response('{"title":"forbidden","detail":"this user is not yours"}', { status: 403 }),
    () => answer(stream('event: closing\ndata: {"kind":"closing","code":4403,"reason":"this user is not yours"}\n\n')),
  ];
  for (const give of answers) {
    globalThis.fetch = async () => give();
    const w = watch({ transport: "sse" });
    const ends = [];
    w.on("close", (e) => ends.push(e));
    for (let n = 0; n < 20; n++) await settled();
    assert.equal(ends.length, 1);
    assert.equal(ends[0].code, 4403);
    assert.equal(ends[0].message, "this user is not yours");
  }
});

test("over a stream too, tokens may expire one after another", async () => {
  let asked = 0;
  const hello = JSON.stringify({ kind: "hello", cursor: "c0", recovered: true });
  globalThis.fetch = async () => answer(stream(`event: hello\ndata: ${hello}\n\nevent: closing\ndata: {"code":4401}\n\n`));
  const w = watch({ transport: "sse", getToken: () => `token-${++asked}` });
  for (let n = 1; n <= 5; n++) {
    for (let turns = 0; turns < 20; turns++) await settled();
    assert.equal(asked, n);
    assert.equal(w.state, "waiting");
    await step(15_000);
  }
});

test("a notifier that is starting is waited for", async () => {
  let asked = 0;
  globalThis.fetch = async () => (asked++, new Response("{}", { status: 503 }));
  const w = watch({ transport: "sse" });
  for (let n = 0; n < 20; n++) await settled();
  assert.equal(w.state, "waiting");
  await step(1000);
  assert.equal(asked, 2);
});

/** A fetch whose streams stay open: the test writes to them. */
const streams = () => {
  const all = [];
  const bytes = new TextEncoder();
  globalThis.fetch = async (url, { signal }) => {
    const s = { since: new URL(url).searchParams.get("since"), aborted: false };
    const body = new ReadableStream({ start: (c) => (s.write = (text) => c.enqueue(bytes.encode(text))) });
    signal.addEventListener("abort", () => (s.aborted = true));
    s.hello = (cursor) => s.write(`event: hello\ndata: ${JSON.stringify({ kind: "hello", cursor, recovered: true })}\n\n`);
    s.say = (event) => s.write(`data: ${JSON.stringify(event)}\n\n`);
    all.push(s);
    return answer(body);
  };
  return all;
};
const heard = async () => {
  for (let n = 0; n < 10; n++) await settled();
};

test("after an outage it goes back to WebSockets, and misses nothing on the way", async () => {
  const all = streams();
  const w = watch();
  const got = [];
  w.on("event", (e) => got.push(e.event_id));
  await settled();
  newest().open("c0");
  newest().drop();
  await step(1000);
  newest().drop();
  await step(1000);
  newest().drop(); // twice not opened: a stream
  await step(2000);
  await heard();
  assert.equal(all.length, 1);
  all[0].hello("c0");
  all[0].say(event(0));
  await heard();
  assert.equal(w.state, "open");
  const made = sockets.length;
  await step(15_000);
  assert.equal(sockets.length, made + 1, "a WebSocket is tried again");
  assert.ok(all[0].aborted, "there is never more than one connection");
  assert.equal(newest().since, "c1");
  newest().open("c1");
  newest().say(event(1));
  await step(120_000);
  assert.equal(all.length, 1);
  assert.deepEqual(got, ["e0", "e1"]);
});

test("where WebSockets never get through, that is looked for ever more seldom", async () => {
  const all = streams();
  watch();
  await settled();
  const started = Date.now();
  const tried = [];
  let known = 0;
  const alive = setInterval(() => all.at(-1)?.aborted === false && all.at(-1).write(":\n"), 20_000);
  while (Date.now() - started < 3_600_000) {
    if (sockets.length > known) {
      known = sockets.length;
      tried.push(Date.now() - started);
      newest().drop();
    }
    await step(500);
    if (all.length > 0 && !all.at(-1).greeted) {
      all.at(-1).greeted = true;
      await heard();
      all.at(-1).hello("c0");
      await heard();
    }
  }
  clearInterval(alive);
  assert.ok(tried.length >= 8 && tried.length <= 14, `tried at ${tried.map((t) => Math.round(t / 1000))} s`);
  assert.equal(all.filter((s) => !s.aborted).length, 1);
});

test("a stream that is heard every 25 s is not silent, one that is not heard is", async () => {
  const all = streams();
  const w = watch({ transport: "sse" });
  await settled();
  await heard();
  all[0].hello("c0");
  await heard();
  for (let n = 0; n < 20; n++) {
    await step(12_400);
    await step(12_500); // the beat comes just before it is looked for
    all[0].write(":\n");
    await heard();
  }
  assert.equal(all.length, 1);
  assert.equal(w.state, "open");
  for (let n = 0; n < 9; n++) await step(10_000);
  assert.ok(all[0].aborted);
  assert.equal(all.length, 2);
});

test("a notifier that refuses for a time over a WebSocket is not asked for a stream", async () => {
  const all = streams();
  watch();
  await settled();
  for (let n = 0; n < 8; n++) {
    newest().readyState = 1;
    newest().onopen();
    newest().drop(1013, "the log is being read");
    await step(15_000);
  }
  assert.equal(all.length, 0);
  assert.equal(sockets.length, 9);
});
