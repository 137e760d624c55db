"""Where callers hang up: how many reached each step of a menu, and how many left there."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from crm_core.access import Actor, require
from crm_core.kit.clock import utcnow
from crm_core.models import VoiceCall
from crm_core.services.telephony import menus
from crm_core.vocabulary import Action, CallEnd

DAYS = 90
MOST = 5_000
LEAST = 10
"""Below so many calls a share of them says nothing."""


@dataclass(frozen=True)
class Step:
    """A step of the menu: calls that came to it (each counts once, however often it heard it), and those that ended there by hanging up.
    ``hands_on``: it puts callers through or takes a message, and who hung up while it did is not known."""

    node: str
    title: str
    reached: int
    left: int
    hands_on: bool = False

    @property
    def share(self) -> float | None:
        return self.left / self.reached if self.reached >= LEAST and not self.hands_on else None


def of_menu(session: Session, actor: Actor, menu_id: int) -> tuple[int, list[Step]]:
    """How many calls ended within the last ``DAYS`` (the newest ``MOST`` of them), and the steps that they came to, the busiest first."""
    require(actor, "telephony", Action.READ)
    menu = menus.get(session, actor, menu_id)
    query = select(VoiceCall.steps, VoiceCall.node, VoiceCall.outcome).where(
        VoiceCall.menu_id == menu.id, col(VoiceCall.outcome).is_not(None), VoiceCall.started_at >= utcnow() - timedelta(days=DAYS)
    )
    return counted(session.exec(query.order_by(col(VoiceCall.started_at).desc(), col(VoiceCall.id).desc()).limit(MOST)).all())


def counted(calls: Iterable[Any]) -> tuple[int, list[Step]]:
    """The steps of calls (steps, node where it ended, what became of it), the latest first: a step is called what it was called last."""
    reached: Counter[str] = Counter()
    left: Counter[str] = Counter()
    titles: dict[str, str] = {}
    handing: set[str] = set()
    total = 0
    for steps, node, outcome in calls:
        total += 1
        seen = dict.fromkeys(str(step["node"]) for step in steps)
        for step in steps:
            titles.setdefault(str(step["node"]), str(step.get("title") or step["node"]))
        reached.update(list(seen))
        if outcome is CallEnd.ABANDONED and node in seen:
            left[node] += 1
        if outcome in (CallEnd.QUEUED, CallEnd.VOICEMAIL):
            handing.add(node)
    return total, [Step(node, titles[node], many, left[node], node in handing) for node, many in reached.most_common()]
