// Watches a user's tasks over Socket.IO, as clients of the old system do.
//
//   node watch.cjs ADDRESS USER TRANSPORTS COUNT
//
// TRANSPORTS is polling, websocket, or both with a comma: then it begins with
// polling and upgrades. Prints "ready" when it is registered, each progress event
// as JSON on a line and, after COUNT of them, the transport it then used.
const { io } = require("socket.io-client");

const [address, user, transports, count] = process.argv.slice(2);
if (!count) {
  console.error("usage: node watch.cjs ADDRESS USER TRANSPORTS COUNT");
  process.exit(2);
}
const socket = io(address, { transports: transports.split(",") });
let seen = 0;

socket.on("connect", () => {
  socket.emit("register", { user_id: user }, () => console.log("ready"));
});

socket.on("progress", (event) => {
  console.log(JSON.stringify(event));
  seen += 1;
  if (seen === Number(count)) finish();
});

// The upgrade goes on beside the events and may still be under way.
function finish() {
  const { engine } = socket.io;
  if (transports.includes("websocket") && engine.transport.name !== "websocket") {
    engine.once("upgrade", finish);
    return;
  }
  console.log(engine.transport.name);
  socket.disconnect();
}

setTimeout(() => {
  console.error("it took too long");
  process.exit(1);
}, 60_000).unref();
