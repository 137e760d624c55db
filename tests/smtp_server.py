"""A real SMTP server on loopback that keeps what it is given; as a process of its own it survives the worker that is killed."""

import json
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from aiosmtpd.controller import Controller

from crm_core.settings import settings

ROOT = Path(__file__).resolve().parent.parent


class Keeper:
    """Appends each message to a file as one line of JSON; refuses addresses by their first letters."""

    def __init__(self, path, slow=0.0):
        self.path, self.slow = Path(path), slow

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("nobody"):
            return "550 5.1.1 No such mailbox"
        if address.startswith("later"):
            return "451 4.3.0 Try again later"
        if address.startswith("spam"):
            return "554 5.7.1 Refused by policy"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        import asyncio

        with self.path.open("a") as file:
            text = envelope.content.decode("utf-8", "replace")
            file.write(json.dumps({"to": envelope.rcpt_tos, "from": envelope.mail_from, "text": text}) + "\n")
        await asyncio.sleep(self.slow)
        return "250 2.0.0 Kept"


def kept(path):
    """Every message that arrived, in order."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()] if Path(path).exists() else []


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def smtp(path):
    """A server in this process; gives its address."""
    controller = Controller(Keeper(path), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield f"smtp://127.0.0.1:{controller.port}"
    finally:
        controller.stop()


@contextmanager
def smtp_in_settings(path, monkeypatch):
    """A server that the settings name; gives the file with what arrives."""
    with smtp(path) as address, monkeypatch.context() as patch:
        patch.setenv("RAPPORT_SMTP_URL", address)
        patch.setenv("RAPPORT_MAIL_FROM", "Rapport <crm@example.com>")
        settings.cache_clear()
        yield path
    settings.cache_clear()


@contextmanager
def smtp_process(path, slow=0.0):
    """A server in a process of its own; gives its address."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.smtp_server", str(path), str(port), str(slow)], cwd=ROOT)
    try:
        end = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < end and process.poll() is None, "the mail server did not start"
            time.sleep(0.05)
        yield f"smtp://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    Controller(Keeper(sys.argv[1], float(sys.argv[3])), hostname="127.0.0.1", port=int(sys.argv[2])).start()
    while True:
        time.sleep(60)
