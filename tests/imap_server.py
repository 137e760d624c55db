"""A real IMAP server on loopback (pymap, somebody else's), as a process of its own: it survives the worker that is killed."""

import imaplib
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.smtp_server import free_port

ROOT = Path(__file__).resolve().parent.parent
USER, SECRET = "demouser", "demopass"


class Server:
    """The server as a test sees it."""

    def __init__(self, port):
        self.port = port

    @contextmanager
    def inside(self):
        with imaplib.IMAP4("127.0.0.1", self.port) as found:
            found.login(USER, SECRET)
            yield found

    def put(self, *messages, folder="Support"):
        """Lay messages into a folder, as a mail server does when they arrive."""
        with self.inside() as found:
            for raw in messages:
                assert found.append(folder, None, None, raw)[0] == "OK"

    def renew(self, *messages, folder="Support"):
        """Make the folder anew: its numbers begin again, under another validity."""
        with self.inside() as found:
            found.delete(folder)
            found.create(folder)
        self.put(*messages, folder=folder)

    @property
    def values(self):
        return {
            "source": "imap",
            "host": "127.0.0.1",
            "port": self.port,
            "tls": "none",
            "username": USER,
            "secret": SECRET,
            "folder": "Support",
        }


@contextmanager
def imap():
    """A server with an empty folder ``Support``."""
    port = free_port()
    command = [
        sys.executable, "-c", "from pymap.main import main; main()", "--host", "127.0.0.1", "--port", str(port), "--no-tls",
        "--no-service", "managesieve", "--no-service", "admin", "dict", "--demo-data",
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        while True:
            assert time.monotonic() < end and process.poll() is None, "the mail server did not start"
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        server = Server(port)
        with server.inside() as found:
            found.create("Support")
        yield server
    finally:
        process.kill()
        process.wait()
