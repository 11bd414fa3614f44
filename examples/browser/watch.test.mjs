// Tests of watch.js on a fake: node --test examples/browser (Node 20 or newer).
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { watch } from "./watch.js";

let sockets;
class FakeSocket {
  constructor(url) {
    this.since = new URL(url).searchParams.get("since");
    sockets.push(this);
  }
  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
  drop(code) {
    this.onclose({ code });
  }
}
const newest = () => sockets.at(-1);

beforeEach(() => {
  sockets = [];
  globalThis.WebSocket = FakeSocket;
  mock.method(Math, "random", () => 0.5);
  mock.method(console, "error", () => {});
  mock.timers.enable({ apis: ["setTimeout"] });
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

test("comes back after the codes of docs/NOTIFIER.md that say so, and after no other", () => {
  const come = { 1001: true, 1006: true, 1011: true, 1013: true, 4008: true, 1003: false, 1008: false, 1009: false, 4401: false, 4403: false, 4422: false, 4429: false };
  for (const [code, want] of Object.entries(come)) {
    watch("alice", () => {});
    const made = sockets.length;
    newest().drop(Number(code));
    mock.timers.tick(20_000);
    assert.equal(sockets.length > made, want, code);
  }
});

test("goes on where it was, with pauses that grow until an event", () => {
  const shown = [];
  watch("alice", (event) => shown.push(event.task_id));
  const pauses = [];
  for (let n = 0; n < 7; n++) {
    newest().say({ kind: "hello", cursor: `c${n}`, recovered: true });
    if (n === 5) newest().say({ kind: "state", task_id: "t", cursor: "e5" });
    const made = sockets.length;
    newest().drop(1011);
    let waited = 0;
    for (; sockets.length === made; waited += 500) mock.timers.tick(500);
    pauses.push(waited);
    assert.equal(newest().since, n === 5 ? "e5" : `c${n}`);
  }
  assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 500, 1000]);
  assert.deepEqual(shown, ["t"]);
});
