"""The signed marks in addresses that tell what a message belongs to: the answer to a personal mail, or mail to be filed for somebody. Pure."""

import hashlib
import re
from collections.abc import Iterable

from crm_core.kit import secret

PURPOSE = "record-mail"
ANSWER, FILE = "w", "f"
_PLUS = re.compile(r"\+([wf])(\d{1,9})-([0-9a-f]{16})@", re.IGNORECASE)


def mark(kind: str, number: int, turn: int = 0) -> str:
    """The signature in an address: nobody else can make one. ``turn``: how often it was renewed."""
    said = f"{kind}:{number}:{turn}" if turn else f"{kind}:{number}"
    return hashlib.sha256(secret.signature(PURPOSE, said).encode()).hexdigest()[:16]


def address(mailbox: str, kind: str, number: int, turn: int = 0) -> str:
    """The address of a mailbox with a signed mark behind a plus sign."""
    local, _, domain = mailbox.partition("@")
    return f"{local}+{kind}{number}-{mark(kind, number, turn)}@{domain}"


def marked(addresses: Iterable[str], kind: str) -> int | None:
    """The number behind a genuine mark of this kind among addresses."""
    for one in addresses:
        found = _PLUS.search(one)
        if found and found[1].lower() == kind and found[3].lower() == mark(kind, int(found[2])):
            return int(found[2])
    return None


def marks(addresses: Iterable[str], kind: str) -> list[tuple[int, str]]:
    """The marks of this kind among addresses, genuine or not: number and signature."""
    found = (_PLUS.search(one) for one in addresses)
    return [(int(one[2]), one[3].lower()) for one in found if one and one[1].lower() == kind]


def is_marked(one: str) -> bool:
    """Whether an address has such a mark, genuine or not: nobody's own address looks like that."""
    return bool(_PLUS.search(one))
