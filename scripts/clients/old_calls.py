"""Calls the old system's tasks as code for it does, and listens as its pages do; only the import is another.

    old_calls.py NOTIFIER    (TASKLANE_SERVER says where the API is)
"""

import sys
import threading

import socketio

from tasklane import execute_heavy_task, execute_task

heard = []
all_heard = threading.Event()
sio = socketio.Client()


@sio.event
def progress(data):
    heard.append((data["task_id"], data["status"], data["step"], data["task"]))
    if data["status"] == "failed":
        all_heard.set()


sio.connect(sys.argv[1])
sio.call("register", {"user_id": "user_123"})

task_result = execute_task.delay(
    task_name="analyze_text",
    user_id="user_123",
    task_id="task_456",
    step=1,
    mode="chat",
    service="text_analyzer",
    input_data={"text": "What a fine day, thank you all!"},
    context={"language": "en", "model": "gpt-3.5-turbo"},
)
result = task_result.get(timeout=30)
assert result["status"] == "completed" and result["task"] == "analyze_text", result
assert result["result"]["sentiment"]["label"] == "positive", result


def heavy(task_id, style):
    return execute_heavy_task.delay(
        task_name="generate_document",
        user_id="user_123",
        task_id=task_id,
        step=1,
        mode="document",
        service="writer",
        input_data={"topic": "trends", "length": "5000 words", "style": style},
        context={"template": "academic", "references": True, "citations": True},
    )


called = []
heavy_task = heavy("task_789", "academic paper")


@heavy_task.on_success
def on_success(sender, result, **kwargs):
    called.append("made " + result["result"]["document_id"])


@heavy_task.on_failure
def on_failure(sender, exc, **kwargs):
    called.append("not made: %s" % exc)


heavy_task.get(timeout=60)
failing = heavy("task_790", "unknown")
failing.on_success(on_success)
failing.on_failure(on_failure)
assert failing.get(timeout=60)["status"] == "failed"
assert called[0] == "made about trends", called
assert len(called) == 2 and called[1].startswith("not made: ValueError: no style unknown"), called

assert all_heard.wait(30), heard
assert ("task_790", "failed", 1, "generate_document") in heard, heard
sio.disconnect()
print("ok")
