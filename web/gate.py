"""The way in when one of several app processes serves: connections come from the front (crm_core/cli/front.py) instead of a port of their own.

The front has read the first bytes of a connection already; here both go to the very protocol that the server uses for its own connections.
"""

import array
import asyncio
import os
import socket
from typing import Any

import uvicorn

VARIABLE, NUMBER = "RAPPORT_GATE", "RAPPORT_GATE_NUMBER"
"""Number of the descriptor on which connections come, and which process this is; absent when it is the only one."""

LARGEST = 262_144
_started = uvicorn.Server.startup


def is_used() -> bool:
    """True when connections come through the front."""
    return VARIABLE in os.environ


def is_first() -> bool:
    """True in one of the processes: the one that says what is said once."""
    return os.environ.get(NUMBER, "0") == "0"


def public_port() -> str:
    """Where browsers reach us, when that is not this process' own port."""
    return os.environ.get("STREAMLIT_SERVER_PORT", "8501") if is_used() else ""


def install() -> None:
    """Open the gate as soon as the server has started; nothing when this process listens itself."""
    if is_used():
        uvicorn.Server.startup = _startup  # type: ignore[assignment,method-assign]


async def _startup(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
    await _started(server, sockets)
    gate = socket.socket(fileno=int(os.environ[VARIABLE]))
    gate.setblocking(False)
    asyncio.get_running_loop().add_reader(gate.fileno(), _receive, server, gate)
    gate.send(b"ready")


def _receive(server: uvicorn.Server, gate: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    try:
        head, ancillary, _flags, _address = gate.recvmsg(LARGEST, socket.CMSG_SPACE(array.array("i").itemsize))
    except BlockingIOError:
        return
    except OSError:
        head, ancillary = b"", []
    if not head:  # the front is gone, and with it everybody who could ask
        loop.remove_reader(gate.fileno())
        server.should_exit = True
        return
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors = array.array("i")
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
            for descriptor in descriptors:
                task = loop.create_task(_take(server, socket.socket(fileno=descriptor), head))
                _taking.add(task)
                task.add_done_callback(_taking.discard)


_taking: set[asyncio.Task[None]] = set()


async def _take(server: uvicorn.Server, connection: socket.socket, head: bytes) -> None:
    def protocol() -> Any:
        made = server.config.http_protocol_class(  # type: ignore[call-arg]
            config=server.config, server_state=server.server_state, app_state=server.lifespan.state
        )
        begin = made.connection_made

        def connection_made(transport: Any) -> None:  # before anything else can be read from it
            begin(transport)
            made.data_received(head)

        made.connection_made = connection_made  # type: ignore[method-assign]
        return made

    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)
    except OSError:
        connection.close()
