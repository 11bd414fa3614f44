"""The official MCP SDK against a Tasklane: python mcp_door.py URL.

Speaks 2026-07-28 with the extension for tasks, and 2025-11-25, whose tasks this SDK does not have. Prints "waiting ID" when a task runs whose server is to
be killed, and "ok" at the end."""

import asyncio
import sys
from typing import Any, ClassVar, Literal

import mcp_types as types
from mcp.client.client import Client
from mcp.client.extension import ClientExtension, ResultClaim
from mcp.shared.exceptions import MCPError

URL = sys.argv[1]
TASKS = "io.modelcontextprotocol/tasks"


def expect(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: {got!r}, want {want!r}")


class Params(types.RequestParams):
    task_id: str


class TaskRequest(types.Request[Params, str]):
    name_param: ClassVar[str] = "taskId"


class Created(types.Result):
    """What a call becomes in 2026-07-28 that takes its time."""

    result_type: Literal["task"]
    task_id: str
    status: str
    ttl_ms: int
    poll_interval_ms: int


class State(types.Result):
    task_id: str
    status: str
    status_message: str | None = None
    result: dict[str, Any] | None = None


async def ask(session, method, task_id, result=State):
    return await session.send_request(TaskRequest(method=method, params=Params(task_id=task_id)), result)


async def settled(session, task_id, seen=None):
    """Polls a task to its end."""
    async with asyncio.timeout(120):
        while True:
            state = await ask(session, "tasks/get", task_id)
            if seen is not None and state.status_message:
                seen.append(state.status_message)
            if state.status not in ("working", "input_required"):
                return state
            await asyncio.sleep(0.05)


async def taken_up(task_id):
    """Polls a task to its end over the death of its server, which ends this SDK's client too."""
    async with asyncio.timeout(120):
        while True:
            try:
                async with Client(URL, mode="2026-07-28", extensions=[Tasks()]) as client:
                    return await settled(client.session, task_id)
            except Exception:  # a group of them is one too
                await asyncio.sleep(0.1)


class Tasks(ClientExtension):
    identifier = TASKS

    def __init__(self):
        self.created, self.seen, self.kill, self.cancel = [], [], False, False

    def claims(self):
        return [ResultClaim(result_type="task", model=Created, resolve=self.resolve)]

    async def resolve(self, created, context):
        self.created.append(created)
        if self.kill:
            return types.CallToolResult(content=[])
        if self.cancel:
            await ask(context.session, "tasks/update", created.task_id, types.EmptyResult)
            await ask(context.session, "tasks/cancel", created.task_id, types.EmptyResult)
        state = await settled(context.session, created.task_id, self.seen)
        if state.status == "cancelled":
            return types.CallToolResult(content=[], is_error=True)
        return types.CallToolResult.model_validate(state.result)


async def common(client):
    """What is the same in every version."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    expect("required", tools["chat-text_analyzer-detect_language"].input_schema["required"], ["text"])
    answer = await client.call_tool("chat-text_analyzer-detect_language", {"text": "Wo ist der Bahnhof, bitte?"})
    expect("language", (answer.is_error, answer.structured_content["language"]), (False, "de"))
    wrong = await client.call_tool("chat-text_analyzer-detect_language", {"txt": "x"})
    expect("wrong", (wrong.is_error, "arguments.text is missing" in wrong.content[0].text), (True, True))
    failed = await client.call_tool("debug-echo-fail", {"message": "no such luck"})
    expect("failed", (failed.is_error, "no such luck" in failed.content[0].text), (True, True))
    try:
        await client.call_tool("no-such-tool", {})
        raise SystemExit("a tool that does not exist was called")
    except MCPError as error:
        expect("unknown", error.error.code, -32602)


async def watched(client):
    told = []

    async def progress(value, total, message):
        told.append((value, total))

    answer = await client.call_tool("debug-echo-progress", {"steps": 5, "step_ms": 30}, progress_callback=progress)
    expect("result", answer.structured_content, {"steps": 5})
    expect("progress", (told[-1], told == sorted(set(told))), ((5.0, 5.0), True))


async def modern():
    async with Client(URL) as plain:
        expect("version", plain.protocol_version, "2026-07-28")
        await common(plain)
        await watched(plain)
        try:
            await ask(plain.session, "tasks/get", "mcp_none")
            raise SystemExit("a client without the extension got a task")
        except MCPError as error:
            expect("without the extension", error.error.code, -32021)
    tasks = Tasks()
    async with Client(URL, extensions=[tasks]) as client:
        await common(client)
        answer = await client.call_tool("debug-echo-progress", {"steps": 40, "step_ms": 100})
        expect("long", (answer.is_error, answer.structured_content), (False, {"steps": 40}))
        expect("progress", any("of 40 steps" in text for text in tasks.seen), True)
        tasks.cancel = True
        answer = await client.call_tool("debug-echo-sleep", {"ms": 600_000})
        expect("cancelled", answer.is_error, True)
        tasks.cancel, tasks.kill = False, True
        await client.call_tool("debug-echo-sleep", {"ms": 6000})
        expect("tasks", len(tasks.created), 3)
        try:
            await ask(client.session, "tasks/get", "mcp_none")
            raise SystemExit("a task that does not exist was found")
        except MCPError as error:
            expect("no task", error.error.code, -32602)
    print("waiting", tasks.created[-1].task_id, flush=True)
    state = await taken_up(tasks.created[-1].task_id)
    expect("over the kill", (state.status, state.result["isError"]), ("completed", False))
    async with Client(URL + "?user_id=eve", extensions=[Tasks()]) as other:
        try:
            await ask(other.session, "tasks/get", tasks.created[0].task_id)
            raise SystemExit("another user's task was found")
        except MCPError as error:
            expect("another user's", error.error.code, -32602)


async def legacy():
    async with Client(URL, mode="legacy") as client:
        expect("version", client.protocol_version, "2025-11-25")
        await common(client)
        await watched(client)


asyncio.run(modern())
asyncio.run(legacy())
print("ok", flush=True)
