"""What happens by itself while a promise runs out: which steps a service level may have, and which of them a threshold calls for. Pure.

A step is ``{"pct", "target", "do", "to"}``: at 50, 75 or 100 per cent of a promise (``target``, "" for each of them) do something. ``to`` is a
person (their number), "team:<number>", "owner" (of the ticket) or "rules" (of assignment), as the deed wants it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from crm_core.services.helpdesk.sla_rules import WARN_AT
from crm_core.vocabulary import SlaTarget

NOTIFY, MANAGER, RAISE, REASSIGN = "notify", "manager", "priority", "reassign"
DEEDS = {RAISE: "Raise the priority", REASSIGN: "Give the ticket to", NOTIFY: "Notify", MANAGER: "Page the owner's manager"}
OWNER, RULES, TEAM = "owner", "rules", "team:"
MOST = 12
Step = Mapping[str, Any]


def checked(steps: Iterable[Step], people: Collection[int], teams: Collection[int]) -> list[dict[str, Any]]:
    """The steps as they are kept, in the order of their thresholds. Raises ValueError with a sentence."""
    found: list[dict[str, Any]] = []
    for step in steps:
        if (one := _checked(step, people, teams)) not in found:
            found.append(one)
    if len(found) > MOST:
        raise ValueError(f"A service level can have at most {MOST} steps of escalation.")
    for pct in WARN_AT:
        for target in SlaTarget:
            given = [step["to"] for step in due(found, target, pct) if step["do"] == REASSIGN]
            if len(given) > 1:
                raise ValueError(f"At {pct}% a ticket can be given to one place only.")
    return sorted(found, key=lambda step: int(step["pct"]))


def _checked(step: Step, people: Collection[int], teams: Collection[int]) -> dict[str, Any]:
    deed, target, to = step.get("do"), step.get("target") or "", step.get("to")
    if step.get("pct") not in WARN_AT:
        raise ValueError("Escalate at 50, 75 or 100% of the time.")
    if deed not in DEEDS or (target and target not in SlaTarget.options()):
        raise ValueError("Choose what happens, and for which promise.")
    if deed in (RAISE, MANAGER):
        return {"pct": step["pct"], "target": target, "do": deed, "to": None}
    words = (OWNER,) if deed == NOTIFY else (RULES,)
    team = team_of(to)
    if to not in words and (team not in teams if team is not None else to not in people):
        raise ValueError("Choose an active person or a team for each step of escalation.")
    return {"pct": step["pct"], "target": target, "do": deed, "to": to}


def team_of(to: Any) -> int | None:
    """The team that is meant; None for anything else."""
    number = str(to).removeprefix(TEAM)
    return int(number) if isinstance(to, str) and to.startswith(TEAM) and number.isdigit() else None


def due(steps: Sequence[Step], target: SlaTarget, pct: int) -> list[Step]:
    """What a threshold of a promise calls for, in the order in which the level lists it."""
    return [step for step in steps if step["pct"] == pct and step["target"] in ("", target.value)]


def called_for(steps: Sequence[Step], target: SlaTarget, reached: Sequence[int]) -> list[Step]:
    """What thresholds call for that were reached since the last look: after a pause of the worker the same deed counts once, at the last of them."""
    found: dict[tuple[Any, Any], Step] = {}
    for pct in reached:
        for step in due(steps, target, pct):
            key = (step["do"], step["to"] if step["do"] == NOTIFY else None)
            found.pop(key, None)
            found[key] = step
    return list(found.values())
