"""A proxy that breaks one answer on purpose: to prove that the suite notices.

It must never be in the way of a run that is to prove something about the simulator.
"""

import json
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def drop(field):
    return lambda value: value.pop(field)


def retype(field):
    """A number as text, a text as a number."""
    def change(value):
        old = value[field]
        value[field] = str(old) if isinstance(old, int) else 1
    return change


def add(field):
    return lambda value: value.__setitem__(field, "surplus")


def at(place, change):
    """The change at a place inside the answer: names and numbers."""
    def inside(value):
        for step in place:
            value = value[step]
        change(value)
    return inside


# What can be broken: the path, and how. Chosen by name with CONFORMANCE_BREAK.
BREAKS = {
    "drop-canTrade": ("/api/v3/account", drop("canTrade")),
    "drop-free": ("/api/v3/account", at(["balances", 0], drop("free"))),
    "retype-updateTime": ("/api/v3/account", retype("updateTime")),
    "retype-free": ("/api/v3/account", at(["balances", 0], retype("free"))),
    "add-surplus": ("/api/v3/account", add("surplus")),
    "drop-tickSize": ("/api/v3/exchangeInfo", at(["symbols", 0, "filters", 0], drop("tickSize"))),
    "retype-serverTime": ("/api/v3/time", retype("serverTime")),
    "drop-id": ("/api/v3/trades", at([0], drop("id"))),
}


class BreakingProxy:
    """Passes REST requests to `address`, and changes the answers of one path."""

    def __init__(self, address: str, name=None):
        path, change = BREAKS[name] if name else (None, None)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def _pass(self):
                length = int(self.headers.get("Content-Length") or 0)
                request = urllib.request.Request(
                    f"http://{address}{self.path}", data=self.rfile.read(length) or None, method=self.command,
                    headers={name: value for name, value in self.headers.items()
                             if name.lower() in ("x-mbx-apikey", "content-type")},
                )
                try:
                    answer = urllib.request.urlopen(request, timeout=10)
                except urllib.error.HTTPError as refused:
                    answer = refused
                body = answer.read()
                if path is not None and self.path.split("?")[0] == path and answer.status == 200:
                    value = json.loads(body)
                    change(value)
                    body = json.dumps(value).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = _pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
