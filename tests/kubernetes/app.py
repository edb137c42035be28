"""The tests' app: says who it is, and can ask another by name."""

import os
import signal
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/ask/"):
            with urllib.request.urlopen(f"http://{self.path[5:]}/", timeout=30) as answer:
                said = answer.read()
        else:
            said = f"{os.environ['K_REVISION']} {os.environ.get('TARGET', '')}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *arguments):
        print(self.path, flush=True)


signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # as process 1 it is not ended otherwise
ThreadingHTTPServer(("", int(os.environ["PORT"])), Hello).serve_forever()
