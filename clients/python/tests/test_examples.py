"""The examples as children."""

from __future__ import annotations

import pathlib
import socketserver
import threading

from tests.processor import ChildTest

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "examples" / "python-service"


class ExamplesTest(ChildTest):
    def test_language(self) -> None:
        p = self.start(str(EXAMPLES / "language.py"))
        texts = {"Wie geht es Ihnen heute?": "de", "How are you today?": "en", "¿Cómo está usted hoy?": "es",
                 "Comment allez-vous aujourd'hui ?": "fr"}
        p.task("1", "detect_many", {"texts": list(texts)})
        self.assertEqual(p.last_word()["result"], list(texts.values()))
        p.task("2", "detect", {"text": "This is not the end of the story."})
        self.assertEqual(p.last_word()["result"]["language"], "en")

    def test_fetch(self) -> None:
        class Answer(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.rfile.readline()
                self.wfile.write(b"HTTP/1.1 204 No Content\r\nServer: test\r\n\r\n")

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        p = self.start(str(EXAMPLES / "fetch.py"))
        p.task("1", "head", {"host": "127.0.0.1", "port": server.server_address[1]})
        self.assertEqual(p.last_word()["result"], {"status": 204, "server": "test"})
        p.task("2", "head", {"host": "127.0.0.1", "port": 1})
        word = p.last_word()
        self.assertTrue(word["retryable"])
        self.assertIn("connect to 127.0.0.1:1", word["message"])
