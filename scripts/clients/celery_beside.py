"""Runs tasks of examples/celery by Celery's own worker on Redis, and by Tasklane as celery/shop, and compares what they
answer. It needs redis-server and starts one of its own.

    celery_beside.py PORT    (TASKLANE_SERVER and TASKLANE_NOTIFIER say where; PORT is a free one)
"""

import json
import os
import subprocess
import sys
import tempfile

PORT = sys.argv[1]
os.environ["SHOP_BROKER"] = "redis://127.0.0.1:%s/0" % PORT
os.environ["SHOP_RESULTS"] = "redis://127.0.0.1:%s/1" % PORT

from kombu.utils.json import dumps as serialized  # noqa: E402
from shop.app import app  # noqa: E402

from tasklane import Client  # noqa: E402

PATIENCE_S = 100
# All but what Celery cannot do: an async def, whose coroutine it would store as the result.
CALLS = [
    ("shop.tasks.catalogue.index", ["lamp"], {}),
    ("shop.tasks.catalogue.index", [], {"article": "lamp"}),
    ("shop.tasks.catalogue.index", [], {}),
    ("shop.tasks.catalogue.index", ["lamp", "sofa"], {}),
    ("shop.tasks.orders.settle", [[["lamp", 2]]], {}),
    ("shop.tasks.orders.settle", [[["sofa", 1]]], {}),
    ("shop.tasks.orders.settle", [[["lamp", -1]]], {}),
    ("shop.tasks.mail.send", ["busy@example.org", "hi"], {}),
    ("shop.tasks.mail.send", ["idle@example.org", "hi"], {}),
    ("shop.tasks.mail.send", ["busiest@example.org", "hi"], {}),
    ("shop.tasks.orders.charge", ["O-1", "3.00"], {}),
    ("shop.tasks.reports.slow", [3], {}),
    ("shop.tasks.orders.check_out", ["ada", [["lamp", 1]]], {}),
    ("shop.tasks.no_such", [], {}),
]


def by_celery(pending):
    """What the worker stored: get() makes decimals and the like of it again."""
    try:
        return "completed", json.loads(serialized(pending.get(timeout=PATIENCE_S)))
    except Exception as error:  # noqa: BLE001 - whatever the task has raised
        return "failed", type(error).__name__


def by_tasklane(handle):
    got = handle.get(timeout=PATIENCE_S)
    if got["status"] == "completed":
        return "completed", got["result"]
    return "failed", got["error"].partition(":")[0]


def run(worker):
    celery = [app.send_task(name, args, kwargs) for name, args, kwargs in CALLS[:-1]]
    client = Client()
    tasklane = [client.submit("fast", name, mode="celery", service="shop", user_id="beside",
                              input_data={"args": args, "kwargs": kwargs}) for name, args, kwargs in CALLS]
    for (name, args, kwargs), theirs, ours in zip(CALLS, celery, tasklane):
        theirs, ours = by_celery(theirs), by_tasklane(ours)
        assert worker.poll() is None, "Celery's worker has ended"
        assert theirs == ours, "%s %s %s: Celery says %s, Tasklane %s" % (name, args, kwargs, theirs, ours)
    # Celery drops a task that nobody knows, and its caller waits for ever; here it is told.
    assert by_tasklane(tasklane[-1])[0] == "failed"


with tempfile.TemporaryDirectory() as directory:
    redis = subprocess.Popen(["redis-server", "--port", PORT, "--bind", "127.0.0.1", "--save", "", "--dir", directory],
                             stdout=subprocess.DEVNULL)
    worker = subprocess.Popen([sys.executable, "-m", "celery", "-A", "shop.app", "worker", "--concurrency", "4",
                               "-Q", "celery,heavy_tasks,fast_tasks", "--loglevel", "CRITICAL"], stdout=subprocess.DEVNULL)
    try:
        run(worker)
    finally:
        for process in (worker, redis):  # a worker without its broker would not end
            process.terminate()
            process.wait(timeout=30)
print("ok")
