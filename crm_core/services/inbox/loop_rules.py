"""Whether a person wrote a message or a machine did: what must not be answered, counted or re-open anything. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from crm_core.services.inbox.message_rules import Incoming

ROBOTS = re.compile(r"^(mailer-daemon|postmaster|noreply-dmarc.*|double-bounce)@", re.IGNORECASE)
_AWAY = re.compile(
    r"^\s*(re:\s*|aw:\s*)?(out of (the )?office|automatic reply|auto(matic)?[- ]?(reply|response)|abwesend|abwesenheit|automatische antwort|réponse automatique|"
    r"respuesta automática|risposta automatica|automatisch antwoord|fuera de (la )?oficina|absence du bureau|autosvar)\b",
    re.IGNORECASE,
)
PER_SENDER_HOUR = 20
"""Messages of one sender in an hour that become something by themselves; the others wait in the tray."""

ACKS_PER_SENDER_DAY = 3
ACK_PAUSE_MINUTES = 10


@dataclass(frozen=True)
class Nature:
    """``answer``: a machine's reaction to ours; ``machine``: sent by a machine or to many; ``report``: about a delivery; ``own``: from ourselves;
    ``hush``: its sender wants no automatic answer."""

    answer: bool = False
    machine: bool = False
    report: bool = False
    own: bool = False
    hush: bool = False

    @property
    def by_machine(self) -> bool:
        return self.answer or self.machine or self.report or self.own


_FORGED = re.compile(r"\bdmarc\s*=\s*fail\b", re.IGNORECASE)


def forged(found: Incoming) -> bool:
    """Whether a mail server on the way says that the message does not come from its sender's domain. A "pass" proves nothing: anybody may write one."""
    return bool(_FORGED.search(found.headers.get("authentication-results", "")))


def nature(found: Incoming, own: Collection[str]) -> Nature:
    """What the head of a message says about how it came about."""
    head = found.headers
    auto = head.get("auto-submitted", "").split(";")[0].strip().lower()
    precedence = head.get("precedence", "").strip().lower()
    suppress = {word.strip().lower() for word in head.get("x-auto-response-suppress", "").split(",") if word.strip()}
    answered = any(
        head.get(name, "").strip().lower() not in ("", "no", "false") for name in ("x-autoreply", "x-autorespond", "x-auto-reply")
    )
    kind = head.get("content-type", "").lower()
    report = "multipart/report" in kind or bool(ROBOTS.match(found.sender)) or "x-failed-recipients" in head
    away = bool(_AWAY.match(found.subject))
    answer = (
        auto == "auto-replied"
        or answered
        or precedence == "auto_reply"
        or (away and (bool(auto) or bool(suppress) or bool(precedence)))
    )
    empty_path = head.get("return-path", "x").strip() == "<>"
    many = precedence in ("bulk", "junk", "list") or "list-id" in head
    machine = not answer and (auto not in ("", "no") or many or empty_path)
    return Nature(
        answer=answer or (away and empty_path),
        machine=machine,
        report=report,
        own=found.sender in own or "x-rapport" in head,
        hush=bool(suppress & {"all", "autoreply", "oof", "dr"}) or "list-unsubscribe" in head,
    )
