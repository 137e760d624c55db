"""One address for several app processes: takes each connection, reads its first lines, and hands the connection itself to one of them.

A process of Python uses one core; several use as many. What a browser opened in one process (its tabs, uploads, downloads) lives there, so whoever
is signed in always comes to the same one. The connection is passed on as a file descriptor: nothing is copied, and the app sees the real address.
Each HTTP connection carries one request (web/gate.py closes it then), so that a proxy's connection never mixes two people.
"""

import hashlib
import re
import socket
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

VARIABLE, NUMBER = "RAPPORT_GATE", "RAPPORT_GATE_NUMBER"
"""What a process is told: the descriptor on which its connections come (web/gate.py), and which one it is, from 0."""

SESSION_COOKIE = b"rapport_session"
REMEMBERED = 50_000
POSSIBLE = sys.platform == "linux"
"""Descriptors travel everywhere, whole messages (SOCK_SEQPACKET) on Linux only."""

_COOKIE = re.compile(rb"\r\ncookie:(?:[^\r\n]*?[ ;])?" + SESSION_COOKIE + rb"=([^;\s]+)", re.IGNORECASE)


@dataclass
class Line:
    """The way to one app process. ``there``: the end that the process inherits; ``ready`` once it serves; ``people``: how many belong to it."""

    here: socket.socket
    there: socket.socket
    ready: bool = False
    people: int = 0


@dataclass
class Places:
    """Who belongs to which process. New ones come to the one with the fewest."""

    lines: list[Line]
    known: OrderedDict[bytes, Line] = field(default_factory=OrderedDict)

    def of(self, key: bytes) -> Line | None:
        """The process of somebody; None while none is ready."""
        found = self.known.get(key)
        if found is not None:
            self.known.move_to_end(key)
            return found
        able = [line for line in self.lines if line.ready]
        if not able:
            return None
        line = self.known[key] = min(able, key=lambda one: one.people)
        line.people += 1
        if len(self.known) > REMEMBERED:
            self.known.popitem(last=False)[1].people -= 1
        return line


class Front:
    """Listens on the public address. ``open`` fails at once when the port is taken; ``start`` begins to hand over, in a thread of its own."""

    def __init__(self, host: str, port: int, processes: int) -> None:
        self.host, self.port = host, port
        self.lines = [Line(*socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)) for _ in range(processes)]
        self.places = Places(self.lines)
        self.listener: socket.socket | None = None

    def open(self) -> None:
        """Take the port; raises OSError with the system's reason."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.listener = socket.create_server((self.host, self.port), family=family, backlog=2_048)

    def start(self) -> None:
        """Serve from now on; returns at once."""
        threading.Thread(target=self._run, name="front", daemon=True).start()

    def _run(self) -> None:
        from crm_core.cli.reception import serve  # here, while the app starts, since asyncio is much to load before it

        assert self.listener is not None
        serve(self.listener, self.places)

    def close(self) -> None:
        """Take no further connection."""
        if self.listener is not None:
            self.listener.close()


def key_of(head: bytes, address: str) -> bytes:
    """Whom a connection belongs to: somebody who is signed in by their session, anybody else by their address."""
    found = _COOKIE.search(head.partition(b"\r\n\r\n")[0])
    return hashlib.sha256(found.group(1)).digest() if found else address.encode()
