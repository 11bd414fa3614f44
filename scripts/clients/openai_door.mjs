// The official OpenAI SDK and vercel/ai's transport against a Tasklane:
// node openai_door.mjs BASE_URL MODEL_PREFIX. NODE_PATH is where the packages are. Prints
// "streaming ID" when a stream has begun whose server is to be killed, and "ok" at the end.
import { createRequire } from "node:module";
import assert from "node:assert/strict";

const require = createRequire(import.meta.url);
const load = (name) => require(require.resolve(name, { paths: [process.env.NODE_PATH] }));
const OpenAI = load("openai").default ?? load("openai");
const { DefaultChatTransport } = load("ai");

const [base, prefix] = process.argv.slice(2);
const client = new OpenAI({ baseURL: base, apiKey: "unused", maxRetries: 0, timeout: 60_000 });
const STREAM = `${prefix}stream`;
const ECHO = `${prefix}echo`;
const FAIL = `${prefix}fail`;
const pieces = (n) => Array.from({ length: n }, (_, i) => `piece ${i + 1} of ${n}\n`).join("");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const messages = [{ role: "user", content: "hi" }];

const whole = await client.responses.create({ model: STREAM, input: "hi", pieces: 5 });
assert.equal(whole.output_text, pieces(5));
assert.equal((await client.responses.retrieve(whole.id)).output_text, pieces(5));

const helper = client.responses.stream({ model: STREAM, input: "hi", pieces: 6 });
const numbers = [];
for await (const event of helper) numbers.push(event.sequence_number);
assert.deepEqual(numbers, [...numbers.keys()]);
assert.equal((await helper.finalResponse()).output_text, pieces(6));

const long = await client.responses.create({ model: STREAM, input: "hi", background: true, pieces: 1000, piece_ms: 100 });
let cancelled = await client.responses.cancel(long.id);
for (let i = 0; cancelled.status !== "cancelled" && i < 1000; i++) {
  await sleep(20);
  cancelled = await client.responses.retrieve(long.id);
}
assert.equal(cancelled.status, "cancelled");
await client.responses.delete(whole.id);
await assert.rejects(() => client.responses.retrieve(whole.id), OpenAI.NotFoundError);

const chat = await client.chat.completions.create({ model: STREAM, messages, pieces: 4 });
assert.equal(chat.choices[0].message.content, pieces(4));
let chunks = "";
for await (const chunk of await client.chat.completions.create({ model: STREAM, messages, stream: true, pieces: 4 })) {
  chunks += chunk.choices[0]?.delta?.content ?? "";
}
assert.equal(chunks, pieces(4));
const vectors = await client.embeddings.create({ model: ECHO, input: ["a"], embeddings: [[0.5, -1]] });
assert.deepEqual([...vectors.data[0].embedding], [0.5, -1]);
await client.models.list();

await assert.rejects(() => client.chat.completions.create({ model: STREAM, messages: [] }), OpenAI.BadRequestError);
await assert.rejects(
  () => client.responses.create({
    model: FAIL, input: "x", upstream: { name: "provider", status: 429, kind: "rate_limited" },
  }),
  OpenAI.RateLimitError,
);
await assert.rejects(() => client.responses.create({ model: FAIL, input: "x" }), OpenAI.InternalServerError);

// Files and batches.
const requests = (n, model, told) =>
  Array.from({ length: n }, (_, i) => JSON.stringify({
    custom_id: `r${i}`, method: "POST", url: "/v1/chat/completions", body: { model, messages, ...told },
  }) + "\n").join("");
const input = await client.files.create({
  file: await OpenAI.toFile(Buffer.from(requests(3, STREAM, { pieces: 2 })), "in.jsonl"), purpose: "batch",
});
assert.equal((await client.files.retrieve(input.id)).filename, "in.jsonl");
const listed = [];
for await (const file of client.files.list({ limit: 1 })) listed.push(file.id);
assert.ok(listed.includes(input.id));
let batch = await client.batches.create({
  input_file_id: input.id, endpoint: "/v1/chat/completions", completion_window: "24h",
});
for (let i = 0; batch.status !== "completed" && i < 2000; i++) {
  await sleep(20);
  batch = await client.batches.retrieve(batch.id);
}
assert.deepEqual(batch.request_counts, { total: 3, completed: 3, failed: 0 });
const output = await (await client.files.content(batch.output_file_id)).text();
assert.deepEqual(output.trim().split("\n").map((line) => JSON.parse(line)).map((one) =>
  [one.custom_id, one.response.body.choices[0].message.content]), [0, 1, 2].map((i) => [`r${i}`, pieces(2)]));
assert.equal((await client.batches.cancel(batch.id)).status, "completed");
assert.equal((await client.files.delete(input.id)).deleted, true);
await assert.rejects(() => client.files.retrieve(input.id), OpenAI.NotFoundError);
await assert.rejects(() => client.batches.create({
  input_file_id: input.id, endpoint: "/v1/chat/completions", completion_window: "24h",
}), OpenAI.BadRequestError);

// vercel/ai: a running task's stream is resumed, one that has ended is nothing to resume.
const origin = new URL(base).origin;
const running = await client.responses.create({ model: STREAM, input: "hi", background: true, pieces: 30, piece_ms: 30 });
const transport = new DefaultChatTransport({
  prepareReconnectToStreamRequest: ({ id }) => ({ api: `${origin}/v1/tasks/${id}/ui-stream` }),
});
const parts = [];
const stream = await transport.reconnectToStream({ chatId: running.id });
for await (const part of stream) parts.push(part);
assert.equal(parts[0].type, "start");
assert.equal(parts.at(-1).type, "finish");
assert.equal(parts.filter((p) => p.type === "text-delta").map((p) => p.delta).join(""), pieces(30));
assert.equal(await transport.reconnectToStream({ chatId: running.id }), null);

// A stream whose server is killed in its midst.
const N = 120;
const seen = [];
let text = "";
let id;
let done;
for (const until = Date.now() + 90_000; done === undefined && Date.now() < until; ) {
  try {
    const events = id === undefined
      ? await client.responses.create({ model: STREAM, input: "hi", stream: true, background: true, pieces: N, piece_ms: 25 })
      : await client.responses.retrieve(id, { stream: true, starting_after: seen.at(-1) });
    for await (const event of events) {
      seen.push(event.sequence_number);
      if (event.type === "response.created") id = event.response.id;
      if (event.type === "response.output_text.delta") text += event.delta;
      if (event.type === "response.completed") done = event.response.output.flatMap((o) => o.content).map((c) => c.text).join("");
      if (seen.length === 20) console.log("streaming", id);
    }
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    await sleep(100);
  }
}
assert.deepEqual(seen, [...seen.keys()]);
assert.equal(text, pieces(N));
assert.equal(done, text);
console.log("ok");
process.exit(0);
