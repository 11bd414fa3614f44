"""A service over HTTP (docs/HTTP-SERVICES.md): counts the words of a text, and says how far it is.

    python3 examples/http-service/words.py 9000
    tasklane up --http-service text/words=http://127.0.0.1:9000/
    tasklane submit --user ada --mode text --service words --name count --input '{"text": "to be or not to be"}' --wait
"""

import json
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

READY = {"type": "ready", "protocol": 1, "max_inflight": 8, "tasks": {"count": {
    "description": "Counts the words of a text.",
    "input": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}}}}


class Words(BaseHTTPRequestHandler):
    def do_GET(self):
        self.begin("application/json")
        self.say(READY)

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = message["task"]["input_data"]["text"].split()
        self.begin("application/x-ndjson")
        counts = Counter()
        for n, word in enumerate(words, 1):
            counts[word] += 1
            if n % 1000 == 0:  # a client that is gone ends this with an error, as it should
                self.say({"type": "progress", "current": n, "total": len(words), "unit": "words"})
        self.say({"type": "result", "result": counts})

    def begin(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def say(self, message):
        self.wfile.write(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Words)
    print(server.server_port, flush=True)
    server.serve_forever()
