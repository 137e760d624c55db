"""What has to come along when an account is handed over: one list per edge, as the house starts with or as an administrator wrote it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from crm_core import events, records
from crm_core.access import Actor, require
from crm_core.errors import Invalid
from crm_core.models import HandoverChecklist
from crm_core.services.customers import handover_rules
from crm_core.services.customers.handover_rules import Item
from crm_core.vocabulary import Action, HandoverCheck, HandoverEdge


@dataclass(frozen=True)
class Checklist:
    """The items of an edge; ``own``: whether somebody changed them from those that the house starts with."""

    edge: HandoverEdge
    items: tuple[Item, ...]
    own: bool = False

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The items as ``save`` takes them."""
        return [{"label": item.label, "required": item.required, "looks_at": item.looks_at.value} for item in self.items]


def find(session: Session, actor: Actor) -> dict[HandoverEdge, Checklist]:
    """The list of every edge, for whoever may see accounts."""
    require(actor, "account", Action.READ)
    return {edge: of(session, edge) for edge in HandoverEdge}


def of(session: Session, edge: HandoverEdge) -> Checklist:
    """The list with which a hand-over across this edge starts."""
    row = _row(session, edge)
    if row is None:
        return Checklist(edge, handover_rules.CHECKLISTS[edge])
    return Checklist(edge, tuple(_item(one) for one in row.items), True)


def _row(session: Session, edge: HandoverEdge) -> HandoverChecklist | None:
    return session.exec(select(HandoverChecklist).where(col(HandoverChecklist.edge) == edge)).first()


def _item(row: Mapping[str, Any]) -> Item:
    return Item(str(row["label"]), bool(row["required"]), HandoverCheck(str(row["looks_at"])))


def save(
    session: Session,
    actor: Actor,
    edge: HandoverEdge,
    rows: Sequence[Mapping[str, Any]],
    *,
    base: Sequence[Mapping[str, Any]] | None = None,
) -> Checklist:
    """Replace the list of an edge: ``label``, ``required``, ``looks_at`` per row, in their order. Hand-overs that run keep the list with which they began.
    ``base``: the rows that the caller began with; a Conflict when somebody changed them since. Events: pipeline.checklist_changed."""
    require(actor, "pipeline", Action.MANAGE)
    before = of(session, edge)
    records.refuse_stale_rows("this checklist", before.rows, stale=False, base=base)
    made = Checklist(edge, tuple(_checked(rows)), True)
    row = _row(session, edge) or HandoverChecklist(edge=edge)
    row.items = made.rows
    session.add(row)
    session.flush()
    _log(session, actor, before, made)
    return made


def reset(session: Session, actor: Actor, edge: HandoverEdge, *, base: Sequence[Mapping[str, Any]] | None = None) -> Checklist:
    """Go back to the list that the house starts with. Events: pipeline.checklist_changed."""
    require(actor, "pipeline", Action.MANAGE)
    before, row = of(session, edge), _row(session, edge)
    records.refuse_stale_rows("this checklist", before.rows, stale=False, base=base)
    if row is not None:
        session.delete(row)
        session.flush()
        _log(session, actor, before, of(session, edge))
    return of(session, edge)


def _checked(rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    found: dict[str, Item] = {}
    for row in rows:
        label = handover_rules.label_of(row.get("label"))
        if not label:
            continue
        if label in found:
            raise Invalid(fields={"items": f"“{label}” stands in the list twice."})
        try:
            looks_at = HandoverCheck(str(row.get("looks_at") or HandoverCheck.MANUAL.value))
        except ValueError as error:
            raise Invalid(fields={"items": f"“{label}”: choose what the item looks at."}) from error
        found[label] = Item(label, bool(row.get("required")), looks_at)
    if not found:
        raise Invalid(fields={"items": "A checklist needs at least one item."})
    if len(found) > handover_rules.MAX_ITEMS:
        raise Invalid(fields={"items": f"A checklist has at most {handover_rules.MAX_ITEMS} items."})
    return list(found.values())


def _log(session: Session, actor: Actor, before: Checklist, after: Checklist) -> None:
    if before.items != after.items:
        told = ["; ".join(f"{item.label}{' (required)' if item.required else ''}" for item in one.items) for one in (before, after)]
        changes = {"items": (told[0], told[1])}
        data = {"edge": after.edge.label}
        events.record(session, actor, "pipeline.checklist_changed", entity="pipeline", changes=changes, data=data)
