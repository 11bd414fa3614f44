// The official MCP SDKs against a Tasklane: node mcp_door.mjs URL. NODE_PATH is where the packages are. The one of 2025
// speaks 2025-11-25 with its experimental tasks, the one of 2026 speaks 2026-07-28. Prints "waiting ID" when a task runs
// whose server is to be killed, and "ok" at the end.
import { createRequire } from "node:module";
import assert from "node:assert/strict";

const require = createRequire(import.meta.url);
const load = (name) => require(require.resolve(name, { paths: [process.env.NODE_PATH] }));
const early = {
  ...load("@modelcontextprotocol/sdk/client/index.js"), ...load("@modelcontextprotocol/sdk/client/streamableHttp.js"),
  ...load("@modelcontextprotocol/sdk/types.js"),
};
const late = load("@modelcontextprotocol/client");
const url = new URL(process.argv[2]);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What is the same in every version.
async function common(client) {
  const { tools } = await client.listTools();
  const tool = tools.find((one) => one.name === "chat-text_analyzer-detect_language");
  assert.deepEqual(tool.inputSchema.required, ["text"]);
  const answer = await client.callTool({ name: tool.name, arguments: { text: "Wo ist der Bahnhof, bitte?" } });
  assert.equal(answer.structuredContent.language, "de");
  assert.ok(!answer.isError);
  const wrong = await client.callTool({ name: tool.name, arguments: { txt: "x" } });
  assert.ok(wrong.isError);
  assert.match(wrong.content[0].text, /arguments\.text is missing/);
  const failed = await client.callTool({ name: "debug-echo-fail", arguments: { message: "no such luck" } });
  assert.ok(failed.isError);
  assert.match(failed.content[0].text, /no such luck/);
  await assert.rejects(() => client.callTool({ name: "no-such-tool", arguments: {} }), (error) => error.code === -32602);
}

const told = [];
const onprogress = ({ progress, total }) => told.push([progress, total]);

// 2025-11-25.
{
  const client = new early.Client({ name: "test", version: "1" });
  const transport = new early.StreamableHTTPClientTransport(url);
  await client.connect(transport);
  assert.equal(transport.protocolVersion, "2025-11-25");
  assert.equal(transport.sessionId, undefined);
  await client.ping();
  await common(client);
  const watched = await client.callTool({ name: "debug-echo-progress", arguments: { steps: 5, step_ms: 30 } }, undefined,
    { onprogress });
  assert.deepEqual(watched.structuredContent, { steps: 5 });
  assert.deepEqual(told.at(-1), [5, 5]);

  const tasks = client.experimental.tasks;
  const execute = async (name, args, each) => {
    const messages = [];
    for await (const message of tasks.callToolStream({ name, arguments: args }, early.CallToolResultSchema,
      { task: { ttl: 60_000 }, timeout: 120_000, onprogress })) {
      messages.push(message);
      await each?.(message);
    }
    return messages;
  };
  told.length = 0;
  const long = await execute("debug-echo-progress", { steps: 12, step_ms: 100 });
  assert.equal(long[0].type, "taskCreated");
  assert.deepEqual(long.at(-1).result.structuredContent, { steps: 12 });
  assert.deepEqual(told.at(-1), [12, 12]);

  const cancelled = await execute("debug-echo-sleep", { ms: 600_000 }, async (message) => {
    if (message.type === "taskCreated") await tasks.cancelTask(message.task.taskId);
  });
  assert.equal((await tasks.getTask(cancelled[0].task.taskId)).status, "cancelled");
  const failed = await execute("debug-echo-fail", { message: "no such luck" });
  assert.equal((await tasks.getTask(failed[0].task.taskId)).status, "failed");
  await assert.rejects(() => tasks.getTask("mcp_none"), (error) => error.code === -32602);

  // The server is killed while a task runs, and another one answers for it.
  const created = await client.request({
    method: "tools/call", params: { name: "debug-echo-sleep", arguments: { ms: 6000 }, task: {} },
  }, early.CreateTaskResultSchema);
  console.log("waiting", created.task.taskId);
  let state = created.task;
  for (const until = Date.now() + 120_000; state.status === "working" && Date.now() < until; await sleep(50)) {
    state = await tasks.getTask(created.task.taskId).catch((error) => {
      assert.notEqual(error.code, -32602);
      return state;
    });
  }
  assert.equal(state.status, "completed");
  const result = await tasks.getTaskResult(created.task.taskId, early.CallToolResultSchema);
  assert.ok(!result.isError);
  await transport.terminateSession();
  await client.close();
}

// 2026-07-28.
{
  const client = new late.Client({ name: "test", version: "1" }, { versionNegotiation: { mode: "auto" } });
  await client.connect(new late.StreamableHTTPClientTransport(url));
  assert.equal(client.getNegotiatedProtocolVersion(), "2026-07-28");
  await common(client);
  told.length = 0;
  const watched = await client.callTool({ name: "debug-echo-progress", arguments: { steps: 5, step_ms: 30 } },
    { onprogress });
  assert.deepEqual(watched.structuredContent, { steps: 5 });
  assert.deepEqual(told.at(-1), [5, 5]);
  await client.close();
}
console.log("ok");
process.exit(0);
