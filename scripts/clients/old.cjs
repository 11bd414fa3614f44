// Connects with socket.io-client 2, which speaks a protocol that is not served any more,
// and prints what it is told:
//
//   node old.cjs ADDRESS TRANSPORT
const io = require("socket.io-client-2");

const [address, transport] = process.argv.slice(2);
const socket = io(address, { transports: [transport], reconnection: false });
socket.on("connect", () => {
  console.log("connected");
  socket.close();
});
socket.on("connect_error", (error) => {
  console.log(JSON.stringify({ message: error.message, description: error.description?.message ?? error.description }));
  socket.close();
});
