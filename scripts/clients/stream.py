"""Watches a user's tasks by server-sent events with httpx-sse.

    stream.py ADDRESS USER httpx COUNT

Prints "ready" when the stream is there for the first time and each event of a
task as JSON on a line, and ends after COUNT of them. The library leaves it to
the program to come back after a stream that breaks: after the time that the
server said, with the last id.
"""
import sys
import time

import httpx
from httpx_sse import connect_sse


def main() -> int:
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        return 2
    address, user, count = sys.argv[1], sys.argv[2], int(sys.argv[4])
    last, pause, ready, seen = "", 1.0, False, 0
    until = time.monotonic() + 60
    with httpx.Client(timeout=httpx.Timeout(10, read=60)) as client:
        while seen < count and time.monotonic() < until:
            headers = {"Last-Event-ID": last} if last else {}
            try:
                with connect_sse(client, "GET", f"{address}/sse", params={"user_id": user}, headers=headers) as source:
                    for event in source.iter_sse():
                        last = event.id or last
                        if event.retry:
                            pause = event.retry / 1000
                        event.json()  # every block has data, and that is JSON
                        if event.event == "hello" and not ready:
                            ready = True
                            print("ready", flush=True)
                        if event.event == "message":
                            print(event.data, flush=True)
                            seen += 1
                            if seen == count:
                                break
            except httpx.TransportError:
                pass  # an outage
            if seen < count:
                time.sleep(pause)
    return 0 if seen == count else 1


if __name__ == "__main__":
    sys.exit(main())
