"""Verifies POSTs with the standard's library for Python. Prints its port; the argument is the file with the key."""

import base64
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook

with open(sys.argv[1], encoding="ascii") as file:
    KEY = file.read().strip()
OTHER = "whsec_" + base64.b64encode(os.urandom(32)).decode()
WEBHOOK, STRANGER = Webhook(KEY), Webhook(OTHER)


def is_taken(webhook, body, headers):
    try:
        webhook.verify(body, headers)
        return True
    except Exception:
        return False


def problem(body, headers):
    """What is wrong with a message, or with the verdict on one that was changed."""
    if not is_taken(WEBHOOK, body, headers):
        return "it is not verified"
    if is_taken(STRANGER, body, headers):
        return "it is verified with another key"
    if is_taken(WEBHOOK, body + b" ", headers):
        return "it is verified with another body"
    for name, value in (
        ("webhook-timestamp", str(int(headers["webhook-timestamp"]) - 301)),
        ("webhook-timestamp", str(int(headers["webhook-timestamp"]) + 1)),
        ("webhook-id", headers["webhook-id"] + "0"),
    ):
        if is_taken(WEBHOOK, body, {**headers, name: value}):
            return f"it is verified with another {name}"
    return None


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        wrong = problem(body, headers)
        if wrong:
            print(wrong, file=sys.stderr)
        self.send_response(400 if wrong else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
