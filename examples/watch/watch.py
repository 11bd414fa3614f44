"""Prints a user's events and comes back after a broken connection; Python 3.9 or newer, nothing else.

    python3 watch.py USER [NOTIFIER] [SINCE]

SINCE is now (the default), earliest, a cursor, or a time such as 2026-01-31T09:30:00Z. TASKLANE_TOKEN is the
token, if the notifier asks for one.
"""
import json
import os
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


def messages(notifier, user, since):
    """The messages of one connection."""
    query = urllib.parse.urlencode({"user_id": user, "since": since})
    request = urllib.request.Request(f"{notifier}/sse?{query}", headers={"Accept": "text/event-stream"})
    if os.environ.get("TASKLANE_TOKEN"):
        request.add_header("Authorization", "Bearer " + os.environ["TASKLANE_TOKEN"])
    # The notifier sends something every 25 seconds: silence is a dead connection.
    with urllib.request.urlopen(request, timeout=60) as stream:
        for line in stream:
            if line.startswith(b"data:"):
                yield json.loads(line[5:])


def watch(notifier, user, since):
    """The user's events, each once, over any number of connections."""
    pause = 0.25
    while True:
        try:
            for message in messages(notifier, user, since):
                since = message.get("cursor", since)  # where to go on
                if message.get("code") in (1008, 4401, 4403):
                    raise SystemExit(f"watch: {message['reason']}")
                if "event_id" in message:
                    pause = 0.25
                    yield message
        except urllib.error.HTTPError as refused:
            if refused.code < 500 and refused.code != 429:
                raise SystemExit(f"watch: {refused.code} {refused.read().decode()}")
        except OSError:
            pass  # the notifier is away, or the connection broke
        time.sleep(pause * random.uniform(0.5, 1))
        pause = min(2 * pause, 15)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        raise SystemExit(__doc__)
    user, notifier, since = (sys.argv[1:] + ["http://127.0.0.1:8000", "now"][len(sys.argv) - 2:])[:3]
    for event in watch(notifier, user, since):
        # Another one's text is quoted: it could command the terminal.
        print(event["task_id"], event["kind"], event["status"], json.dumps(event["message"]), flush=True)
