"""Watches a user's tasks over Socket.IO, as clients of the old system do.

    watch.py ADDRESS USER TRANSPORTS COUNT

TRANSPORTS is polling, websocket, or both with a comma: then it begins with
polling and upgrades. Prints "ready" when it is registered, each progress event
as JSON on a line and, after COUNT of them, the transport it then used. The
library handles each event in a thread of its own, so they may come in another
order than they were sent in.
"""
import json
import sys
import threading

import socketio


def main() -> int:
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        return 2
    address, user, transports, count = sys.argv[1], sys.argv[2], sys.argv[3].split(","), int(sys.argv[4])
    sio = socketio.Client()
    done = threading.Event()
    seen = []
    one_at_a_time = threading.Lock()

    @sio.event
    def connect():
        sio.emit("register", {"user_id": user}, callback=lambda _: print("ready", flush=True))

    @sio.on("progress")
    def progress(event):
        with one_at_a_time:
            print(json.dumps(event), flush=True)
            seen.append(event)
            if len(seen) == count:
                done.set()

    sio.connect(address, transports=transports)
    finished = done.wait(60)
    print(sio.transport(), flush=True)
    sio.disconnect()
    return 0 if finished else 1


if __name__ == "__main__":
    sys.exit(main())
