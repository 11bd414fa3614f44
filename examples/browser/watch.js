// Shows a user's events as they come, and goes on where it was after a broken
// connection: the least there is to it. The client at /client.js of every notifier
// does more. Serve this directory and allow its origin:
//
//   python3 -m http.server --bind 127.0.0.1 3000 --directory examples/browser
export function watch(userId, show, address = "ws://127.0.0.1:8000") {
  let cursor = "now";
  let pause = 500; // milliseconds
  const connect = () => {
    const query = new URLSearchParams({ user_id: userId, since: cursor });
    const socket = new WebSocket(`${address}/ws?${query}`);
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (event.cursor) cursor = event.cursor; // where to go on after a reconnect
      if (event.task_id) show(event);
      if (event.task_id) pause = 500; // a hello shows only that the notifier answers
    };
    // These say that this page does something wrong, or that it needs a token and
    // has none; after all others nothing is missed by coming back.
    socket.onclose = ({ code, reason }) => {
      if ([1003, 1008, 1009].includes(code) || (code >= 4400 && code < 4500)) return console.error("closed for good", code, reason);
      setTimeout(connect, pause * (0.5 + Math.random()));
      pause = Math.min(2 * pause, 15000);
    };
  };
  connect();
}
