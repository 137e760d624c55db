"""Telling another program something over HTTP, without being led into our own network.

The name is looked up once, every address behind it is checked, and the connection goes to the checked address: a name that points elsewhere a
moment later changes nothing. Redirects are not followed. The whole exchange has one deadline, and of the answer only the beginning is read.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import httpcore

from crm_core.errors import CrmError, Invalid
from crm_core.kit.text import clean, clip
from crm_core.settings import settings

SECONDS = 10.0
MOST_ANSWER = 16_384
SHOWN = 500
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ONLY_INSIDE = (
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("2001::/32"),
    ipaddress.ip_network("192.88.99.0/24"),
)


class Refused(CrmError):
    """This address may not be called."""

    code = "address_refused"
    status = 422


@dataclass(frozen=True)
class Target:
    """Where a message goes: the name for TLS and the ``Host`` header, the checked address for the connection."""

    scheme: str
    host: str
    port: int
    path: str
    address: str


@dataclass(frozen=True)
class Answer:
    """What came back. ``status`` is None when nothing did; ``message`` then says why."""

    status: int | None
    ms: int
    text: str = ""
    message: str = ""

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def is_internal(address: str) -> bool:
    """True for an address that is not of the open internet: private, loopback, link-local (cloud metadata), shared, reserved, multicast, or such an
    address dressed as IPv6."""
    try:
        found = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return True
    if isinstance(found, ipaddress.IPv6Address):
        inside = found.ipv4_mapped or found.sixtofour
        if found in _NAT64 or int(found) >> 32 == 0:
            inside = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inside is not None:
            return is_internal(str(inside))
    if any(found.version == one.version and found in one for one in _ONLY_INSIDE):
        return True
    return not found.is_global or found.is_multicast or found.is_reserved or found.is_unspecified


def _allowed(address: str) -> bool:
    if not is_internal(address):
        return True
    return settings().webhook_allow_loopback and ipaddress.ip_address(address.split("%")[0]).is_loopback


def check(url: str) -> str:
    """The address in its usual spelling, as far as it can be judged without looking the name up. Raises Invalid."""
    text = clean(url)
    try:
        parts = urlsplit(text)
        port = parts.port
        host = (
            (parts.hostname or "").encode("idna").decode() if parts.hostname and ":" not in parts.hostname else parts.hostname or ""
        )
    except ValueError as error:
        raise Invalid(fields={"url": "This is not a web address."}) from error
    if parts.scheme not in ("https", *(("http",) if settings().webhook_allow_loopback else ())):
        raise Invalid(fields={"url": "The address must begin with https://."})
    if (
        not host
        or parts.username
        or parts.password
        or parts.fragment
        or len(text) > 1_000
        or any(c.isspace() for c in text)
        or port == 0
    ):
        raise Invalid(fields={"url": "Write the whole address, such as https://example.com/hooks/crm, without a password in it."})
    return text


def resolve(url: str) -> Target:
    """Look the name up and check every address behind it. Raises Invalid, or Refused for an address inside."""
    parts = urlsplit(check(url))
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = [str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise Refused(f"The name {clip(host, 80)} leads nowhere.") from error
    if not found or not all(_allowed(address) for address in found):
        raise Refused("This address lies inside a network of its own, where nothing is sent or fetched.")
    if parts.scheme == "http" and not all(ipaddress.ip_address(one.split("%")[0]).is_loopback for one in found):
        raise Refused("The address must begin with https://.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path, found[0])


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float = SECONDS) -> Answer:
    """Send it once. Never raises for what the other side does: the answer says."""
    found = _call("POST", url, body, headers, seconds, MOST_ANSWER)
    return replace(found, text=clip(clean(found.text), SHOWN))


def get(url: str, headers: Mapping[str, str], *, seconds: float = SECONDS, most: int = MOST_ANSWER) -> Answer:
    """Ask once, with the whole answer as long as it has at most so many bytes; a longer one is a refusal."""
    return _call("GET", url, None, headers, seconds, most + 1, whole=True)


def _call(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], seconds: float, most: int, *, whole: bool = False
) -> Answer:
    began = time.monotonic()

    def took() -> int:
        return int((time.monotonic() - began) * 1000)

    try:
        target = resolve(url)
    except CrmError as error:
        return Answer(None, took(), message=error.message)
    deadline = began + seconds
    try:
        status, read = _exchange(target, method, body, headers, deadline, most)
    except httpcore.TimeoutException:
        return Answer(None, took(), message=f"No answer within {seconds:g} seconds.")
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError, UnicodeError) as error:
        return Answer(None, took(), message=clip(f"The connection failed: {clean(str(error)) or type(error).__name__}", 300))
    if whole and len(read) >= most:
        return Answer(None, took(), message=f"The answer is longer than {most // 2**20} MB.")
    return Answer(status, took(), read[:most].decode("utf-8", "replace"))


def _exchange(
    target: Target, method: str, body: bytes | None, headers: Mapping[str, str], deadline: float, most: int
) -> tuple[int, bytes]:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = target.port == (443 if target.scheme == "https" else 80)
    sent = {
        "host": host if usual else f"{host}:{target.port}",
        **({"content-length": str(len(body))} if body is not None else {}),
        "accept-encoding": "identity",
        **headers,
    }
    where = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    with (
        httpcore.ConnectionPool(network_backend=_Pinned(target.address, deadline), max_keepalive_connections=0) as pool,
        pool.stream(method, where, headers=list(sent.items()), content=body) as response,
    ):
        text = b""
        for chunk in response.iter_stream():
            text += chunk
            if len(text) >= most:
                break
        return response.status, text


class _Pinned(httpcore.NetworkBackend):
    """Connects to the checked address, whatever the name says by now, and to nothing else."""

    def __init__(self, address: str, deadline: float) -> None:
        self._address, self._deadline = address, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        inner = httpcore.SyncBackend().connect_tcp(self._address, port, timeout=_left(self._deadline))
        return _Timed(inner, self._deadline)


class _Timed(httpcore.NetworkStream):
    """A connection on which everything together must end before a deadline: one byte every few seconds does not keep it open."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Timed(self._inner.start_tls(ssl_context, server_hostname, _left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the deadline has passed")
    return left
