// Watches a user's tasks by server-sent events, as pages and programs do.
//
//   node stream.cjs ADDRESS USER LIBRARY COUNT
//
// LIBRARY is eventsource, which follows the standard, or polyfill, for browsers without
// it, which says what it has seen last in the address. Prints "ready" when the stream is
// there for the first time and each event of a task as JSON on a line, and ends after
// COUNT of them. A stream that breaks is made again by the library.
const [address, user, library, count] = process.argv.slice(2);
if (!count) {
  console.error("usage: node stream.cjs ADDRESS USER LIBRARY COUNT");
  process.exit(2);
}
const Source = library === "polyfill" ? require("event-source-polyfill").EventSourcePolyfill : require("eventsource").EventSource;
const source = new Source(`${address}/sse?user_id=${encodeURIComponent(user)}`);
let ready = false;
let seen = 0;

source.addEventListener("hello", () => {
  if (!ready) console.log("ready");
  ready = true;
});
source.onmessage = ({ data }) => {
  console.log(data);
  seen += 1;
  if (seen === Number(count)) source.close();
};
source.onerror = (error) => {
  if (source.readyState !== 2) return; // it comes back by itself
  console.error("given up:", error.message ?? error.status ?? error);
  process.exit(1);
};

setTimeout(() => {
  console.error("it took too long");
  process.exit(1);
}, 60_000).unref();
