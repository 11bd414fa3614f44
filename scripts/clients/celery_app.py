"""Runs tasks of examples/celery, which a processor serves as celery/shop.

    celery_app.py    (TASKLANE_SERVER and TASKLANE_NOTIFIER say where)
"""

from tasklane import Client

PATIENCE_S = 60
client = Client()
cursors = {}


def call(name, *args, **members):
    handle = client.submit("fast", name, mode="celery", service="shop", user_id="ada",
                           input_data={"args": list(args), "kwargs": {}}, **members)
    cursors.setdefault("first", handle.cursor)
    return handle


def outcome(name, *args, **members):
    got = call(name, *args, **members).get(timeout=PATIENCE_S)
    return got["status"], got["result"] if got["status"] == "completed" else got["error"].splitlines()[0]


for name, args, want in [
    ("shop.tasks.catalogue.index", ["lamp"], ("completed", ["lamp", 4, "49.90"])),
    ("shop.tasks.orders.settle", [[["sofa", 1]]], ("failed", "UnknownArticle: 'sofa'")),
    # Two attempts end with self.retry, two with autoretry_for.
    ("shop.tasks.mail.send", ["busy@example.org", "hi"],
     ("completed", {"to": "busy@example.org", "characters": 2, "attempts": 3})),
    # As many attempts as max_retries of the task says, though the call says nothing.
    ("shop.tasks.mail.send", ["busiest@example.org", "hi"],
     ("completed", {"to": "busiest@example.org", "characters": 2, "attempts": 4})),
    ("shop.tasks.orders.charge", ["O-1", "3.00"], ("completed", {"number": "O-1", "amount": "3.00", "tries": 3})),
    ("shop.tasks.mail.deliver_many", [["a", "b"]], ("completed", ["A", "B"])),
    # SoftTimeLimitExceeded is raised out of a sleep.
    ("shop.tasks.reports.slow", [3], ("completed", {"pages": 0, "complete": False})),
    ("shop.tasks.orders.check_out", ["ada", [["lamp", 1]]], ("completed", "set off")),
]:
    got = outcome(name, *args)
    assert got == want, (name, got, want)

# The chain that check_out has set off goes on by itself, as tasks of the same user.
for event in client.watch("ada", since=cursors["first"]):
    if event["task"] == "shop.tasks.orders.receipt" and event["status"] == "completed":
        assert event["result"] == "ada pays 64.28", event
        break

about = call("catalogue.about", 1)
got = about.get(timeout=PATIENCE_S)["result"]
assert got["retries"] == 0 and got["root"] and not got["direct"], got

slow = call("shop.tasks.reports.slow", 3, soft_time_limit_ms=100_000, time_limit_ms=200_000)
for event in slow.watch():
    if event["kind"] == "progress":
        assert slow.cancel("enough")
assert event["status"] == "cancelled", event
print("ok")
