"""Reads what pilot-webhookd sends with the official CloudEvents library.

usage: check.py DAEMON EVENTS
"""

import json
import subprocess
import sys
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from cloudevents.core.bindings.http import HTTPMessage, from_http_event


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        Receiver.received.append((headers, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def time(text):
    # datetime has microseconds.
    head, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{(fraction + '000000')[:6]}+00:00")


def read(headers, body):
    """The events of a request. The library has no batches, so their objects are read one by one."""
    if headers.get("content-type") == "application/cloudevents-batch+json":
        headers = {"content-type": "application/cloudevents+json"}
        return [read(headers, json.dumps(event).encode())[0] for event in json.loads(body)]
    return [from_http_event(HTTPMessage(headers=headers, body=body))]


def check(daemon, path, arguments):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    subprocess.run(
        [daemon, "run", "--events", path, "--webhook", url, *arguments], check=True, capture_output=True
    )
    events = [event for request in Receiver.received for event in read(*request)]
    Receiver.received.clear()
    server.shutdown()
    with open(path, encoding="utf-8") as file:
        captured = [json.loads(line) for line in file]
    assert len(events) == len(captured)
    for event, original in zip(events, captured):
        assert event.get_type() == original["topic"], event.get_type()
        assert event.get_source() == f"urn:pilot:node:{original['node_id']}"
        assert event.get_id().startswith(f"{original['node_id']}-")
        assert event.get_time() == time(original["timestamp"])
        data = event.get_data() or None
        data = json.loads(data) if isinstance(data, (bytes, bytearray)) else data
        assert data == original.get("data"), (data, original)
    print(f"python, {' '.join(arguments)}: {len(events)} events")


for arguments in (
    ["--format", "cloudevents"],
    ["--format", "cloudevents", "--batch", "10"],
    ["--format", "cloudevents-binary"],
):
    check(sys.argv[1], sys.argv[2], arguments)
