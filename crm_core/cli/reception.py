"""How the front receives: reads the head of each connection, and hands the connection over to the process of its person."""

import array
import asyncio
import socket

from crm_core.cli.front import Line, Places, key_of

HEAD_BYTES, HEAD_SECONDS, OPENING = 65_536, 20.0, 1_000
PATIENCE_SECONDS, PAUSE_SECONDS = 10.0, 0.02
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def serve(listener: socket.socket, places: Places) -> None:
    """Receive until the listener is closed."""
    asyncio.run(Reception(listener, places).run())


class Reception:
    """The connections of which the head is being read, and the processes behind."""

    def __init__(self, listener: socket.socket, places: Places) -> None:
        self.listener, self.places = listener, places
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self.listener.setblocking(False)
        for line in self.places.lines:
            line.here.setblocking(False)
            loop.add_reader(line.here.fileno(), self._heard, loop, line)
        while self.listener.fileno() >= 0:
            try:
                connection, address = await loop.sock_accept(self.listener)
            except OSError:  # too many open files for a moment, or closed: the system says which
                await asyncio.sleep(0.1)
                continue
            if len(self._opening) >= OPENING:
                connection.close()
                continue
            task = loop.create_task(self._welcome(connection, str(address[0])))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _heard(self, loop: asyncio.AbstractEventLoop, line: Line) -> None:
        """A process says that it serves; its end says that it does no longer."""
        try:
            word = line.here.recv(16)
        except BlockingIOError:
            return
        except OSError:
            word = b""
        line.ready = bool(word)
        if not word:
            loop.remove_reader(line.here.fileno())

    async def _welcome(self, connection: socket.socket, address: str) -> None:
        try:
            connection.setblocking(False)
            head = await asyncio.wait_for(_head(connection), HEAD_SECONDS)
            if head and b"\r\n\r\n" not in head:
                connection.send(_TOO_LONG)
            elif head:
                await self._hand_over(connection, head, key_of(head, address))
        except (TimeoutError, OSError):
            pass  # who does not speak, or is gone, is not served
        finally:
            connection.close()  # ours: the process has its own

    async def _hand_over(self, connection: socket.socket, head: bytes, key: bytes) -> None:
        descriptor = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [connection.fileno()]))]
        end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < end:
            line = self.places.of(key)
            if line is not None:
                try:
                    line.here.sendmsg([head], descriptor)
                    return
                except BlockingIOError:
                    pass  # it has much to do
            await asyncio.sleep(PAUSE_SECONDS)


async def _head(connection: socket.socket) -> bytes:
    loop, read = asyncio.get_running_loop(), b""
    while b"\r\n\r\n" not in read and len(read) < HEAD_BYTES:
        more = await loop.sock_recv(connection, HEAD_BYTES)
        if not more:
            return b""
        read += more
    return read
