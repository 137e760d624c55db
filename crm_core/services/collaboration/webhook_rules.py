"""Webhooks, the pure part: what can be told, how a message is signed, when it is tried again. Signatures follow Standard Webhooks."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import timedelta

from crm_core.entities import ENTITIES, RECORDS
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
_LEFT_OUT = ("segment_entered", "segment_left")
AGAIN = (HookState.DELIVERED, HookState.FAILED, HookState.SKIPPED)
BY_HAND = "automation"
"""Type of what an automation sends."""
TEST = "test"


def offered() -> dict[str, dict[str, str]]:
    """Kind of record → event type → words for people."""
    found: dict[str, dict[str, str]] = {}
    for key in RECORDS:
        label = ENTITIES[key].label.lower()
        general = {
            f"{key}.{verb}": text.format_map(_Blanks(entity=label)) for verb, text in GENERIC.items() if verb not in _LEFT_OUT
        }
        own = {kind: text.format_map(_Blanks()) for kind, text in SENTENCES.items() if kind.split(".")[0] == key}
        found[key] = {kind: words.rstrip(" :,") for kind, words in (general | own).items()}
    return found


class _Blanks(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "…"


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
