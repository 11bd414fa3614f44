// Submits tasks through the API and shows how they come along. Serve this
// directory and allow its origin:
//
//   python3 -m http.server --bind 127.0.0.1 3000 --directory examples/browser
//   CORS_ALLOWED_ORIGINS=http://127.0.0.1:3000 tasklane up
//
// and open http://127.0.0.1:3000/?user=alice.
const parameters = new URLSearchParams(location.search);
const user = parameters.get("user") ?? "alice";
const api = parameters.get("api") ?? "http://127.0.0.1:8080";
const notifier = parameters.get("notifier") ?? "http://127.0.0.1:8000";
const { connect } = await import(`${notifier.replace(/\/$/, "")}/client.js`);

const byId = (id) => document.getElementById(id);
byId("user").textContent = user;

// Reloaded, the page shows again what its user did before.
const watch = connect({ url: notifier, userId: user, since: "earliest" });
watch.on("status", (status) => (byId("status").textContent = status));
watch.on("close", (error) => (byId("error").textContent = error?.message ?? ""));
watch.on("event", show);

const rows = new Map();

function row(id) {
  if (!rows.has(id)) {
    const item = document.createElement("li");
    item.dataset.task = id;
    for (const name of ["b", "progress", "pre"]) item.append(document.createElement(name));
    item.querySelector("progress").max = 100;
    byId("tasks").prepend(item);
    rows.set(id, item);
  }
  return rows.get(id);
}

// What users typed and models wrote is anybody's text: textContent shows it, and
// never runs it. innerHTML would.
function show(event) {
  const item = row(event.task_id);
  const bar = item.querySelector("progress");
  const text = item.querySelector("pre");
  item.dataset.status = event.status;
  item.querySelector("b").textContent = `${event.task} ${event.status}`;
  if (event.kind === "progress") bar.value = event.progress.percent;
  // An attempt that begins again streams again from 0.
  if (event.kind === "output") text.textContent = (event.output.index === 0 ? "" : text.textContent) + event.output.text;
  if (event.status === "completed") bar.value = 100;
  if (event.result) text.textContent = JSON.stringify(event.result, null, 2);
  if (event.error) text.textContent = event.error;
}

byId("form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const form = new FormData(submit.target);
  const [mode, service, name] = form.get("task").split("/");
  const task = { lane: "fast", user_id: user, task_name: name, mode, service, input_data: { text: form.get("text") } };
  byId("error").textContent = "";
  try {
    // The same key for the same click: sent twice, it is still one task.
    const headers = { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() };
    const answer = await fetch(new URL("/v1/tasks", api), { method: "POST", headers, body: JSON.stringify(task) });
    if (!answer.ok) throw new Error((await answer.json()).detail);
  } catch (error) {
    byId("error").textContent = error.message;
  }
});
