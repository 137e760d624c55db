"""Reading a mailbox by IMAP: which messages are new, and each of them whole. Looks only: nothing on the server is changed, moved or marked."""

import imaplib
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date

from crm_core.errors import Unavailable
from crm_core.kit.text import clean
from crm_core.vocabulary import MailTls

TIMEOUT_SECONDS = 30
STEP = 500
"""Numbers asked for at once: the answer stays small however full the box is."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class ImapError(Unavailable):
    """A mailbox that can't be read right now, in words for whoever set it up."""

    code = "imap"


@dataclass(frozen=True)
class Account:
    """Where a mailbox is and how to get in."""

    host: str
    port: int
    tls: MailTls
    username: str
    secret: str
    folder: str = "INBOX"


class Box:
    """A folder that is open for reading."""

    def __init__(self, server: imaplib.IMAP4, uid_validity: int, uid_next: int | None, count: int) -> None:
        self._server = server
        self.uid_validity = uid_validity
        self.uid_next = uid_next
        self.count = count

    def after(self, last: int) -> list[int]:
        """The numbers of the messages above one, the lowest first, at most a step of them."""
        found = self._search(f"UID {last + 1}:{last + STEP}")
        if not found and (self.uid_next is None or last + STEP < self.uid_next):
            found = self._search(f"UID {last + 1}:*")
        return sorted(uid for uid in found if uid > last)[:STEP]

    def since(self, day: date) -> int:
        """The number below the first message that came on a day or later: where reading begins."""
        found = self._search(f"SINCE {day.day}-{_MONTHS[day.month - 1]}-{day.year}")
        if found:
            return min(found) - 1
        return (self.uid_next - 1) if self.uid_next else max(self._search("ALL"), default=0)

    def _search(self, what: str) -> list[int]:
        status, data = _ask(lambda: self._server.uid("SEARCH", what))
        if status != "OK":
            raise ImapError("The mail server refused to list the messages.")
        return [int(one) for part in data if isinstance(part, bytes) for one in part.split() if one.isdigit()]

    def size(self, uid: int) -> int | None:
        """Its size in bytes; None when it is gone meanwhile."""
        status, data = _ask(lambda: self._server.uid("FETCH", str(uid), "(RFC822.SIZE)"))
        text = b" ".join(part if isinstance(part, bytes) else part[0] for part in data if part)
        found = re.search(rb"RFC822\.SIZE (\d+)", text)
        return int(found[1]) if status == "OK" and found else None

    def fetch(self, uid: int, *, head_only: bool = False) -> bytes | None:
        """The message as it lies there, without marking it as read; None when it is gone meanwhile."""
        what = "(BODY.PEEK[HEADER])" if head_only else "(BODY.PEEK[])"
        status, data = _ask(lambda: self._server.uid("FETCH", str(uid), what))
        if status != "OK":
            raise ImapError("The mail server refused to give a message out.")
        for part in data:
            if isinstance(part, tuple) and len(part) > 1 and isinstance(part[1], bytes):
                return part[1]
        return None


def _ask(question):  # type: ignore[no-untyped-def]
    try:
        return question()
    except imaplib.IMAP4.abort as error:
        raise ImapError("The mail server broke the connection off.") from error
    except imaplib.IMAP4.error as error:
        raise ImapError(f"The mail server answered: {_short(error)}") from error
    except (OSError, ValueError) as error:
        raise ImapError("The mail server stopped answering.") from error


@contextmanager
def opened(account: Account) -> Iterator[Box]:
    """The folder, open. Raises ImapError with a sentence about what is wrong."""
    server = _connect(account)
    try:
        _login(server, account)
        yield _select(server, account.folder)
    finally:
        with suppress(Exception):
            server.logout()


def _connect(account: Account) -> imaplib.IMAP4:
    if not account.host:
        raise ImapError("Say which mail server holds this mailbox.", permanent=True)
    if account.tls is MailTls.NONE and account.host not in LOOPBACK:
        raise ImapError("Without TLS the password could be read on the way. That is allowed on this machine only.", permanent=True)
    try:
        if account.tls is MailTls.TLS:
            return imaplib.IMAP4_SSL(account.host, account.port, ssl_context=ssl.create_default_context(), timeout=TIMEOUT_SECONDS)
        server = imaplib.IMAP4(account.host, account.port, timeout=TIMEOUT_SECONDS)
        if account.tls is MailTls.STARTTLS:
            server.starttls(ssl_context=ssl.create_default_context())
        return server
    except socket.gaierror as error:
        raise ImapError(f"There is no server called {account.host}. Check the name.") from error
    except ssl.SSLCertVerificationError as error:
        raise ImapError(f"The certificate of {account.host} can't be trusted ({_short(error.verify_message)}).") from error
    except ssl.SSLError as error:
        raise ImapError(f"{account.host}:{account.port} does not speak TLS like this. Try another port or STARTTLS.") from error
    except TimeoutError as error:
        raise ImapError(f"{account.host}:{account.port} does not answer. Check the port and the firewall.") from error
    except ConnectionRefusedError as error:
        raise ImapError(f"Nothing listens at {account.host}:{account.port}. Check the port.") from error
    except (imaplib.IMAP4.error, OSError) as error:
        raise ImapError(f"{account.host}:{account.port} can't be reached ({_short(error)}).") from error


def _login(server: imaplib.IMAP4, account: Account) -> None:
    try:
        server.login(account.username, account.secret)
    except imaplib.IMAP4.abort as error:
        raise ImapError("The mail server broke the connection off during the sign-in.") from error
    except imaplib.IMAP4.error as error:
        raise ImapError(
            "The mail server refused the user name or the password. Many providers want an app password here."
        ) from error
    except UnicodeError as error:
        raise ImapError("The mail server can't take a password with such characters.", permanent=True) from error
    except OSError as error:
        raise ImapError("The mail server stopped answering during the sign-in.") from error


def _select(server: imaplib.IMAP4, folder: str) -> Box:
    name = '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
    status, data = _ask(lambda: server.select(name, readonly=True))
    if status != "OK":
        raise ImapError(f"There is no folder “{folder}” in this mailbox.")
    validity, following = _number(server, "UIDVALIDITY"), _number(server, "UIDNEXT")
    count = int(data[0]) if data and isinstance(data[0], bytes) and data[0].isdigit() else 0
    return Box(server, validity or 0, following, count)


def _number(server: imaplib.IMAP4, name: str) -> int | None:
    _, data = server.response(name)
    return int(data[0]) if data and isinstance(data[0], bytes) and data[0].isdigit() else None


def _short(error: object) -> str:
    text = error.args[0] if isinstance(error, Exception) and error.args else error
    return clean(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text))[:200]
