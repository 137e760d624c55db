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


_RESULT = re.compile(r"\s*(dmarc|spf|dkim)(?:/\d+)?\s*=\s*([a-z]+)", re.IGNORECASE)
_ASIDE = re.compile(r"\([^()]*\)|\"[^\"]*\"")


def forged(found: Incoming) -> bool:
    """Whether our mail server says that the message does not come from its sender's domain: the domain's own rule failed, or it has none, the server
    that sent it is not one of the domain's, and nobody signed it. A "pass" alone proves nothing: where our server checks nothing, anybody may write one."""
    said: dict[str, set[str]] = {}
    for part in _ASIDE.sub(" ", found.headers.get("authentication-results", "")).split(";"):
        if hit := _RESULT.match(part):
            said.setdefault(hit[1].lower(), set()).add(hit[2].lower())
    if "fail" in said.get("dmarc", ()):
        return True
    sealed = "pass" in said.get("dmarc", ()) or "pass" in said.get("dkim", ())
    return not sealed and bool(said.get("spf", set()) & {"fail", "softfail"})


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
