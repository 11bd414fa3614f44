"""The official OpenAI SDK against a Tasklane: python openai_door.py BASE_URL MODEL_PREFIX.

The services are debug/echo: what it is told stands in extra members of the requests. Prints
"streaming ID" when a stream has begun whose server is to be killed, and "ok" at the end."""

import json
import sys
import time

import openai

base, prefix = sys.argv[1], sys.argv[2]
client = openai.OpenAI(base_url=base, api_key="unused", max_retries=0, timeout=60)
STREAM, ECHO, FAIL = prefix + "stream", prefix + "echo", prefix + "fail"


def expect(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: {got!r}, want {want!r}")


def pieces(n):
    return "".join(f"piece {i} of {n}\n" for i in range(1, n + 1))


def raises(kind, status, call):
    try:
        call()
    except openai.APIStatusError as e:
        expect("exception", (type(e), e.status_code), (kind, status))
        return e
    raise SystemExit(f"{kind.__name__} was not raised")


# Responses: whole, streamed, in the background.
whole = client.responses.create(model=STREAM, input="hi", extra_body={"pieces": 5})
expect("text", whole.output_text, pieces(5))
expect("status", (whole.status, whole.object), ("completed", "response"))
expect("retrieved", client.responses.retrieve(whole.id).output_text, pieces(5))

with client.responses.stream(model=STREAM, input="hi", extra_body={"pieces": 7, "piece_ms": 5}) as stream:
    numbers = [event.sequence_number for event in stream]
    final = stream.get_final_response()
expect("numbers", numbers, list(range(len(numbers))))
expect("streamed", final.output_text, pieces(7))

again = list(client.responses.retrieve(final.id, stream=True, starting_after=3))
expect("numbers again", [event.sequence_number for event in again], numbers[4:])

background = client.responses.create(model=STREAM, input="hi", background=True, extra_body={"pieces": 3})
expect("background", background.status in ("queued", "in_progress", "completed"), True)
until = time.monotonic() + 60
while background.status != "completed" and time.monotonic() < until:
    time.sleep(0.02)
    background = client.responses.retrieve(background.id)
expect("in the background", background.output_text, pieces(3))

# A conversation, and its input.
second = client.responses.create(model=ECHO, input="and then?", previous_response_id=whole.id)
expect("previous", second.previous_response_id, whole.id)
items = list(client.responses.input_items.list(second.id, order="asc"))
expect("items", [item.role for item in items], ["user", "assistant", "user"])
expect("first item", items[0].content[0].text, "hi")

# Cancel and delete.
long = client.responses.create(model=STREAM, input="hi", background=True, extra_body={"pieces": 1000, "piece_ms": 100})
cancelled = client.responses.cancel(long.id)
until = time.monotonic() + 60
while cancelled.status != "cancelled" and time.monotonic() < until:
    time.sleep(0.02)
    cancelled = client.responses.retrieve(long.id)
expect("cancelled", cancelled.status, "cancelled")
client.responses.delete(whole.id)
raises(openai.NotFoundError, 404, lambda: client.responses.retrieve(whole.id))

# Chat completions.
messages = [{"role": "user", "content": "hi"}]
chat = client.chat.completions.create(model=STREAM, messages=messages, extra_body={"pieces": 4})
expect("chat", (chat.choices[0].message.content, chat.choices[0].finish_reason), (pieces(4), "stop"))
chunks = list(client.chat.completions.create(model=STREAM, messages=messages, stream=True,
                                             stream_options={"include_usage": True}, extra_body={"pieces": 4}))
expect("chunks", "".join(c.choices[0].delta.content or "" for c in chunks if c.choices), pieces(4))

# Embeddings, in the form that the SDK asks for by itself.
vectors = client.embeddings.create(model=ECHO, input=["a", "b"], extra_body={"embeddings": [[0.5, -1.0], [2.0, 0.25]]})
expect("embeddings", [list(v.embedding) for v in vectors.data], [[0.5, -1.0], [2.0, 0.25]])

# Models.
client.models.list()
raises(openai.NotFoundError, 404, lambda: client.models.retrieve("no/such"))

# Errors are exceptions of their own kinds.
e = raises(openai.BadRequestError, 400, lambda: client.chat.completions.create(model=STREAM, messages=[]))
expect("param", e.param, "messages")
raises(openai.NotFoundError, 404, lambda: client.responses.retrieve("resp_none"))
raises(openai.InternalServerError, 500, lambda: client.responses.create(model=FAIL, input="x"))
for kind, status in ((openai.BadRequestError, 400), (openai.AuthenticationError, 401),
                     (openai.PermissionDeniedError, 403), (openai.NotFoundError, 404), (openai.RateLimitError, 429)):
    told = {"upstream": {"name": "provider", "status": status, "kind": "some_kind"}}
    for stream in (False, True):
        raises(kind, status, lambda: client.chat.completions.create(model=FAIL, messages=messages, stream=stream,
                                                                    extra_body=told))
        raises(kind, status, lambda: client.responses.create(model=FAIL, input="x", stream=stream, extra_body=told))

# An Idempotency-Key is one task.
key = {"Idempotency-Key": f"once-{time.time()}"}
ids = {client.responses.create(model=ECHO, input="once", extra_headers=key).id for _ in range(3)}
expect("ids of one key", len(ids), 1)

# Files and batches.
def requests(n, model, **told):
    return "".join(json.dumps({"custom_id": f"r{i}", "method": "POST", "url": "/v1/chat/completions",
                               "body": {"model": model, "messages": messages, **told}}) + "\n" for i in range(n))


def batch_of(lines):
    file = client.files.create(file=("in.jsonl", lines.encode()), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h",
                                 metadata={"from": "python"})


def settled(batch, *statuses):
    until = time.monotonic() + 90
    while batch.status not in statuses and time.monotonic() < until:
        time.sleep(0.05)
        try:
            batch = client.batches.retrieve(batch.id)
        except (openai.APIConnectionError, openai.InternalServerError):
            pass
    expect("batch", batch.status in statuses, True)
    return batch


def outcomes(file_id):
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


lines = requests(3, STREAM, pieces=2) + requests(1, FAIL).replace('"r0"', '"wrong"')
small = batch_of(lines)
expect("metadata", small.metadata, {"from": "python"})
expect("content", client.files.content(small.input_file_id).text, lines)
expect("file", client.files.retrieve(small.input_file_id).filename, "in.jsonl")
expect("files", small.input_file_id in [file.id for file in client.files.list(purpose="batch")], True)
small = settled(small, "completed")
expect("counts", (small.request_counts.total, small.request_counts.completed, small.request_counts.failed), (4, 3, 1))
good, bad = outcomes(small.output_file_id), outcomes(small.error_file_id)
expect("ids", [one["custom_id"] for one in good], ["r0", "r1", "r2"])
expect("said", {one["response"]["body"]["choices"][0]["message"]["content"] for one in good}, {pieces(2)})
expect("wrong", [(one["custom_id"], one["response"]["status_code"]) for one in bad], [("wrong", 500)])
expect("batches", small.id in [batch.id for batch in client.batches.list(limit=1)], True)
stopped = batch_of(requests(10, STREAM, pieces=1000, piece_ms=100))
settled(client.batches.cancel(stopped.id), "cancelled")
failed = settled(batch_of("{\n"), "failed")
expect("fault", (failed.errors.data[0].line, failed.errors.data[0].code), (1, "invalid_json_line"))
expect("deleted", client.files.delete(small.input_file_id).deleted, True)
raises(openai.NotFoundError, 404, lambda: client.files.retrieve(small.input_file_id))
raises(openai.BadRequestError, 400, lambda: client.files.create(file=("a", b"x"), purpose="none"))

# A batch whose server is killed in its midst, with the stream below.
over = settled(batch_of(requests(12, STREAM, pieces=100, piece_ms=20)), "in_progress")

# A stream whose server is killed in its midst.
N = 120
seen, text, response_id, told, done = [], "", None, False, None
until = time.monotonic() + 90
while done is None and time.monotonic() < until:
    try:
        if response_id is None:
            events = client.responses.create(model=STREAM, input="hi", stream=True, background=True,
                                             extra_body={"pieces": N, "piece_ms": 25})
        else:
            events = client.responses.retrieve(response_id, stream=True, starting_after=seen[-1])
        for event in events:
            seen.append(event.sequence_number)
            if event.type == "response.created":
                response_id = event.response.id
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.completed":
                done = event.response.output_text
            if len(seen) == 20 and not told:
                told = True
                print("streaming", response_id, flush=True)
    except openai.APIConnectionError:
        time.sleep(0.1)
    except Exception as e:  # the connection ends in whichever way httpx calls it
        if "peer closed" not in str(e) and "reset" not in str(e).lower() and not isinstance(e, openai.APIError):
            raise
        time.sleep(0.1)
expect("numbers over the kill", seen, list(range(len(seen))))
expect("text over the kill", text, pieces(N))
expect("the response's text", done, text)
over = settled(over, "completed")
expect("over the kill", [one["custom_id"] for one in outcomes(over.output_file_id)], [f"r{i}" for i in range(12)])
expect("errors over the kill", over.error_file_id, None)
print("ok", json.dumps({"events": len(seen)}), flush=True)
