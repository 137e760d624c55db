"""Hand-overs as people see them, read for many at once: the items of the checklist, what is missing, what the reader may do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy import select as core_select
from sqlmodel import Session, col, select

from crm_core import lists, persons
from crm_core.access import Actor, visible
from crm_core.models import Account, Contact, Handover, HandoverItem
from crm_core.services.customers import handover_rules
from crm_core.vocabulary import Action, HandoverCheck, HandoverEdge, HandoverState, PreferredChannel

_ACCOUNT = Account.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ItemView:
    """An item of the checklist. ``missing``: why it can't be ticked yet; ``done_by``: who ticked it."""

    id: int
    label: str
    required: bool
    done: bool
    done_by: str = ""
    done_at: datetime | None = None
    missing: str = ""


@dataclass(frozen=True)
class HandoverView:
    """A hand-over as people see it. ``mine``: it waits for the reader; ``may_prepare``: the reader may tick and withdraw it; ``may_open``:
    the reader sees the account itself."""

    id: int
    version: int
    account_id: int
    account: str
    edge: HandoverEdge
    state: HandoverState
    from_name: str
    to_name: str
    note: str
    reason: str
    offered_at: datetime
    decided_at: datetime | None
    items: tuple[ItemView, ...]
    mine: bool
    may_prepare: bool
    may_open: bool

    @property
    def open_required(self) -> list[str]:
        """Labels of the required items that are not ticked."""
        return [item.label for item in self.items if item.required and not item.done]


def views(session: Session, actor: Actor, found: Sequence[tuple[Handover, Account]]) -> list[HandoverView]:
    """Each as the actor sees it, with the same few statements for one and for many. Who may know of it at all, the callers ask."""
    if not found:
        return []
    items = _items(session, [handover.id for handover, _ in found])
    people = {person for handover, _ in found for person in (handover.from_user_id, handover.to_user_id)}
    people |= {item.done_by_id for rows in items.values() for item in rows}
    names = lists.titles(session, actor, "user", people)
    account_ids = [account.id for _, account in found]
    mine = reached(session, actor, account_ids, Action.EDIT)
    known = reached(session, actor, account_ids, Action.READ)
    missing = _missing(session, [(handover, item) for handover, _ in found for item in items.get(handover.id, [])])
    return [
        _view(
            actor, handover, account, names, tuple(_shown(item, names, missing) for item in items.get(handover.id, [])), mine, known
        )
        for handover, account in found
    ]


def _items(session: Session, handover_ids: Sequence[int]) -> dict[int, list[HandoverItem]]:
    items: dict[int, list[HandoverItem]] = {}
    query = select(HandoverItem).where(col(HandoverItem.handover_id).in_(handover_ids)).order_by(col(HandoverItem.position))
    for item in session.exec(query):
        items.setdefault(item.handover_id, []).append(item)
    return items


def _missing(session: Session, found: Sequence[tuple[Handover, HandoverItem]]) -> set[int]:
    """Ids of the items that can't be ticked yet, since the records lack what they look at."""
    waits: dict[HandoverCheck, dict[int, int]] = {}
    for handover, item in found:
        if handover.state is HandoverState.PENDING and not item.done and item.looks_at is not HandoverCheck.MANUAL:
            waits.setdefault(item.looks_at, {})[item.id] = handover.account_id
    told = {check: told_of(session, set(accounts.values()), check) for check, accounts in waits.items()}
    return {
        item_id for check, accounts in waits.items() for item_id, account_id in accounts.items() if account_id not in told[check]
    }


def _shown(item: HandoverItem, names: Mapping[int, str], missing: set[int]) -> ItemView:
    lacks = handover_rules.MISSING[item.looks_at] if item.id in missing else ""
    return ItemView(item.id, item.label, item.required, item.done, names.get(item.done_by_id or 0, ""), item.done_at, lacks)


def _view(
    actor: Actor,
    handover: Handover,
    account: Account,
    names: Mapping[int, str],
    items: tuple[ItemView, ...],
    mine: set[int],
    known: set[int],
) -> HandoverView:
    return HandoverView(
        handover.id,
        handover.version,
        account.id,
        shown_name(actor, account),
        handover.edge,
        handover.state,
        names.get(handover.from_user_id or 0, "Somebody"),
        names.get(handover.to_user_id or 0, "nobody"),
        handover.note,
        handover.reason,
        handover.created_at,
        handover.decided_at,
        items,
        is_mine(actor, handover),
        account.id in mine,
        account.id in known,
    )


def told_of(session: Session, account_ids: Iterable[int], check: HandoverCheck) -> set[int]:
    """Those of the accounts whose contacts' records hold what an item looks at."""
    contact = Contact.__table__  # type: ignore[attr-defined]
    said: ColumnElement[bool] = contact.c.goals.is_not(None) & (contact.c.goals != "")
    if check is HandoverCheck.PREFERENCES:
        texts = [contact.c[key].is_not(None) & (contact.c[key] != "") for key in ("preferred_hours", "language", "do_not")]
        said = or_(contact.c.preferred_channel != PreferredChannel.ANY, contact.c.do_not_call, contact.c.do_not_email, *texts)
    clause = and_(contact.c.account_id.in_(account_ids), contact.c.deleted_at.is_(None), said)
    return set(session.execute(core_select(contact.c.account_id).where(clause).distinct()).scalars())


def reached(session: Session, actor: Actor, account_ids: Iterable[int], action: Action) -> set[int]:
    """Those of the accounts to which the actor may do this."""
    clause = and_(_ACCOUNT.c.id.in_(account_ids), visible(actor, "account", _ACCOUNT, action))
    return set(session.execute(core_select(_ACCOUNT.c.id).where(clause)).scalars())


def is_mine(actor: Actor, handover: Handover) -> bool:
    """It waits, or waited, for the actor to accept it."""
    return actor.user_id is not None and handover.to_user_id == actor.user_id


def shown_name(reader: Actor, account: Account) -> str:
    """The name of the account, unless the reader's role masks it."""
    return persons.called(reader, "account", account.id, account.name)
