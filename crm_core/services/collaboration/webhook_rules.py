"""Webhooks, the pure part: what can be told, how a message is signed, when it is tried again. Signatures follow Standard Webhooks."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import timedelta

from crm_core.entities import RECORDS
from crm_core.errors import Invalid
from crm_core.events import GENERIC, SENTENCES
from crm_core.vocabulary import HookState

PAUSES = (
    timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=6),
    timedelta(hours=12), timedelta(hours=24),
)  # fmt: skip
"""Waits before the next try; after the last one a message has failed."""
MOST_FAILURES = 40
"""Tries in a row that went wrong, after which a webhook is switched off."""
START = "whsec_"
_WORDS = {
    "updated": "changed",
    "archived": "moved to the bin",
    "restored": "taken back from the bin",
    "owner_changed": "given to somebody else",
}
_GENERAL = ("created", *_WORDS)
AGAIN = (HookState.DELIVERED, HookState.FAILED, HookState.SKIPPED)
BY_HAND = "automation"
"""Type of what an automation sends."""
TEST = "test"


def offered() -> dict[str, dict[str, str]]:
    """Kind of record → event type → words for people: those of every kind, then its own."""
    return {key: {kind: _words(kind) for kind in _kinds(key)} for key in RECORDS}


def _kinds(key: str) -> list[str]:
    own = [kind for kind in SENTENCES if kind.split(".")[0] == key]
    return [*(f"{key}.{verb}" for verb in _GENERAL if verb in GENERIC), *own]


def _words(kind: str) -> str:
    verb = kind.split(".", 1)[1]
    return _WORDS.get(verb, verb.replace("_", " ").replace("sla ", "SLA "))


def known_types() -> set[str]:
    """Every type that can be told."""
    return {kind for kinds in offered().values() for kind in kinds}


def checked(events: Iterable[str]) -> list[str]:
    """The event types, once each. Raises Invalid for one that there is not."""
    given = list(dict.fromkeys(events))
    unknown = [kind for kind in given if kind not in known_types()]
    if unknown:
        raise Invalid(fields={"events": f"There is no event “{unknown[0][:60]}”."})
    return given


def entities_of(events: Iterable[str]) -> set[str]:
    """The kinds of records that event types are about."""
    return {kind.split(".")[0] for kind in events}


def new_secret() -> str:
    """A secret as Standard Webhooks writes it."""
    return START + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``."""
    key = base64.b64decode(secret.removeprefix(START))
    made = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"


def next_pause(attempts: int) -> timedelta | None:
    """How long to wait after so many tries; None when it was the last one."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None
