// A service in JavaScript that works on many tasks at once. The protocol is in docs/SUBPROCESS.md.
//   tasklane up --subprocess 'text/words=node examples/subprocess-node/words.mjs'
import { createReadStream, createWriteStream } from "node:fs";
import { createInterface } from "node:readline";

const out = createWriteStream("", { fd: 4 });
const say = (message) => out.write(JSON.stringify(message) + "\n");
const running = new Map(); // AbortController by id

const tasks = {
  count_words: async ({ text }) => ({ words: text.split(/\s+/).filter(Boolean).length }),
  wait: ({ ms }, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve({ waited: ms }), ms);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
    }),
};

async function run({ id, task }) {
  const abort = new AbortController();
  running.set(id, abort);
  try {
    say({ type: "result", id, result: await tasks[task.task_name](task.input_data, abort.signal) });
  } catch (error) {
    say(abort.signal.aborted ? { type: "cancelled", id } : { type: "error", id, message: String(error) });
  } finally {
    running.delete(id);
  }
}

say({
  type: "ready",
  protocol: 1,
  max_inflight: 100,
  ping: true,
  tasks: {
    count_words: {
      description: "Counts words.",
      input: { type: "object", required: ["text"], properties: { text: { type: "string" } } },
    },
    wait: { description: "Waits.", input: { type: "object", required: ["ms"], properties: { ms: { type: "integer" } } } },
  },
});

for await (const line of createInterface({ input: createReadStream("", { fd: 3 }) })) {
  const message = JSON.parse(line);
  if (message.type === "task") run(message);
  else if (message.type === "cancel") running.get(message.id)?.abort(new Error(message.reason));
  else if (message.type === "ping") say({ type: "pong" });
  else if (message.type === "shutdown") break;
}
while (running.size > 0) await new Promise((resolve) => setTimeout(resolve, 10));
out.end();
