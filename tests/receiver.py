"""A real HTTP receiver on loopback: keeps what it gets, answers as told."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """``answers``: what the next requests get, (status, body, headers) or a function on the handler; afterwards 200."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list = []
        self.broken_off = 0
        self.lock = threading.Lock()
        self.url = ""


@contextmanager
def receiver():
    """Yields a Receiver that listens."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.do_POST()

        def do_POST(self):
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                found.broken_off += 1  # the sender died in the middle: nothing has arrived, as for any web server
                self.close_connection = True
                return
            with found.lock:
                found.got.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
                answer = found.answers.pop(0) if found.answers else (200, b"ok", {})
            if callable(answer):
                answer(self)
                return
            status, text, headers = answer
            self.send_response(status)
            for key, value in {"content-length": str(len(text)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
