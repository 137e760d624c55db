"""Hand-overs: an account goes from one person to another with a checklist, and is theirs only once they accept."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_
from sqlmodel import Session, col, select

from crm_core import access, events, records
from crm_core.access import Actor, require
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.fields import registry
from crm_core.kit import clock
from crm_core.kit.numerals import written
from crm_core.kit.text import clean
from crm_core.models import Account, Handover, HandoverItem, SubmitKey, User
from crm_core.ordering import alphabetical
from crm_core.services.collaboration import notifications
from crm_core.services.customers import checklists, handover_rules, handover_views
from crm_core.services.customers.handover_views import HandoverView
from crm_core.vocabulary import Action, HandoverCheck, HandoverEdge, HandoverState

MAX_NOTE, MAX_REASON = 4_000, 1_000
DECLINED_DAYS = 14
"""How long a declined hand-over is shown to the one who offered it."""

_HANDOVER = Handover.__table__  # type: ignore[attr-defined]
_ACCOUNT = Account.__table__  # type: ignore[attr-defined]


# --- offering --------------------------------------------------------------------------------------------------------------


def receivers(session: Session, actor: Actor, account_id: int) -> dict[int, str]:
    """Id → name of the people who can take an account over: active, not the owner, and allowed to see accounts, to edit their own and to
    become their owner."""
    return colleagues(session, actor, account_id)[0]


def colleagues(session: Session, actor: Actor, account_id: int) -> tuple[dict[int, str], list[str]]:
    """Who can take an account over (id → name), and the names of those who may see accounts but could not take one over, or not work on it then: an
    offer to them would lead nowhere, or to an account that nobody can edit."""
    account = records.get(session, actor, "account", account_id, action=Action.EDIT)
    people = session.exec(select(User).where(User.is_active).order_by(alphabetical(User.name)))  # type: ignore[arg-type]
    told = [(person, _obstacle(session, person)) for person in people if person.id != account.owner_id]
    able = {person.id: person.name for person, obstacle in told if not obstacle}
    return able, [person.name for person, obstacle in told if obstacle in (_NOT_EDITED, _NOT_OWNED)]


_NOT_SHOWN = "does not show accounts."
_NOT_EDITED = "does not let them edit accounts of their own. An administrator can allow it under Roles."
_NOT_OWNED = "does not let them change the owner of accounts. An administrator can allow it under Roles."


def _obstacle(session: Session, person: User) -> str:
    """Why the role of somebody keeps them from looking after an account; empty when it does not."""
    receiver = access.load(session, person.id)
    if not receiver.can("account", Action.READ):
        return _NOT_SHOWN
    if not receiver.can("account", Action.EDIT):
        return _NOT_EDITED
    return _NOT_OWNED if receiver.locked("account", "owner_id") else ""


def offer(
    session: Session,
    actor: Actor,
    account_id: int,
    *,
    to_user_id: int | None,
    edge: HandoverEdge = HandoverEdge.SALES_SERVICE,
    note: str = "",
    leave_out: Iterable[str] = (),
    more: Sequence[str] = (),
    submit_key: str | None = None,
) -> Handover:
    """Offer an account to a person. It stays with its owner until they accept. Needs the right to edit the account and to change its owner.

    Items whose facts are in the records already are ticked at once. Raises Conflict while another hand-over of the account waits.
    """
    account = records.get(session, actor, "account", account_id, action=Action.EDIT)
    earlier = session.get(SubmitKey, submit_key) if submit_key else None
    if earlier is not None and earlier.result.get("entity") == "handover":
        return _row(session, earlier.result["id"])
    records.refuse_locked(session, actor, registry(session, "account"), ["owner_id"])
    _check_receiver(session, account, to_user_id)
    if _pending(session, account_id) is not None:
        raise Conflict("A hand-over of this account is already waiting. Withdraw it first.")
    handover = Handover(
        account_id=account_id, from_user_id=actor.user_id, to_user_id=to_user_id, edge=edge, note=_text(note, MAX_NOTE)
    )
    session.add(handover)
    session.flush()
    usual = checklists.of(session, edge).items
    for position, item in enumerate(handover_rules.checklist(usual, leave_out=leave_out, more=more)):
        _add_item(session, actor, handover, position, item)
    if submit_key:
        session.add(SubmitKey(key=submit_key, at=clock.utcnow(), result={"entity": "handover", "id": handover.id}))
    name = session.get(User, to_user_id).name  # type: ignore[union-attr]
    _mark(session, actor, account, HandoverState.PENDING, "account.handed_over", {"to": name})
    _tell(session, actor, handover, account, to_user_id, "handover.received")
    return handover


def _check_receiver(session: Session, account: Account, to_user_id: int | None) -> None:
    person = session.get(User, to_user_id) if to_user_id is not None else None
    if person is None or not person.is_active:
        raise Invalid(fields={"to_user_id": "Choose who takes the account over."})
    if person.id == account.owner_id:
        raise Invalid(fields={"to_user_id": f"{person.name} owns this account already."})
    if obstacle := _obstacle(session, person):
        raise Invalid(fields={"to_user_id": f"The role of {person.name} {obstacle}"})


def _add_item(session: Session, actor: Actor, handover: Handover, position: int, item: handover_rules.Item) -> None:
    row = HandoverItem(handover_id=handover.id, position=position, label=item.label, looks_at=item.looks_at, required=item.required)
    if item.looks_at is not HandoverCheck.MANUAL and _in_records(session, handover.account_id, item.looks_at):
        row.done, row.done_by_id, row.done_at = True, actor.user_id, clock.utcnow()
    session.add(row)


def _in_records(session: Session, account_id: int, check: HandoverCheck) -> bool:
    return account_id in handover_views.told_of(session, [account_id], check)


def _mark(
    session: Session,
    actor: Actor,
    account: Account,
    state: HandoverState,
    event_type: str,
    data: Mapping[str, Any],
    *,
    owner_id: int | None = None,
) -> None:
    """Write the state on the account, where lists and figures find it, and log what happened."""
    changes: dict[str, tuple[Any, Any]] = {"handover_state": (account.handover_state, state)}
    account.handover_state, account.handover_at = state, clock.utcnow()
    if owner_id is not None:
        changes["owner_id"] = (account.owner_id, owner_id)
        account.owner_id = owner_id
    session.add(account)
    session.flush()
    events.record(session, actor, event_type, account, changes=changes, data=data)


# --- working the list ----------------------------------------------------------------------------------------------------


def tick(session: Session, actor: Actor, item_id: int, *, done: bool) -> HandoverItem:
    """Tick an item, or take the tick away: whoever may edit the account, and the person it is offered to. Twice is the same as once.

    An item about goals or preferences is ticked only when the records hold some.
    """
    item = session.get(HandoverItem, item_id)
    if item is None:
        raise NotFound("This hand-over does not exist, or is not shared with you.")
    handover, account = _open(session, actor, item.handover_id)
    if not (handover_views.is_mine(actor, handover) or _may_prepare(session, actor, account)):
        raise NotPermitted("Only the two people of a hand-over tick its items.")
    handover_rules.check_pending(handover.state)
    if item.done == done:
        return item
    if done and item.looks_at is not HandoverCheck.MANUAL and not _in_records(session, account.id, item.looks_at):
        raise Invalid(handover_rules.MISSING[item.looks_at])
    item.done = done
    item.done_by_id, item.done_at = (actor.user_id, clock.utcnow()) if done else (None, None)
    session.add(item)
    session.flush()
    verb = "account.handover_checked" if done else "account.handover_unchecked"
    events.record(session, actor, verb, account, data={"item": item.label})
    return item


def accept(session: Session, actor: Actor, handover_id: int, *, base_version: int | None = None) -> Handover:
    """Take the account over: it belongs to the actor from now on. All required items must be ticked. Only the receiver can, if their role
    may change the owner."""
    handover, account = _deciding(session, actor, handover_id, base_version)
    records.refuse_locked(session, actor, registry(session, "account"), ["owner_id"])
    items = session.exec(select(HandoverItem).where(HandoverItem.handover_id == handover.id).order_by(col(HandoverItem.position)))
    handover_rules.check_can_accept([item.label for item in items if item.required and not item.done])
    _decide(session, actor, handover, HandoverState.ACCEPTED)
    _mark(session, actor, account, HandoverState.ACCEPTED, "account.handover_accepted", {}, owner_id=actor.user_id)
    _tell(session, actor, handover, account, handover.from_user_id, "handover.accepted")
    return handover


def decline(session: Session, actor: Actor, handover_id: int, *, reason: str, base_version: int | None = None) -> Handover:
    """Send the account back with a reason; it stays with its owner. Only the receiver can."""
    handover, account = _deciding(session, actor, handover_id, base_version)
    words = _text(reason, MAX_REASON, key="reason")
    if not words:
        raise Invalid(fields={"reason": "Say what is missing, so that it can be put right."})
    handover.reason = words
    _decide(session, actor, handover, HandoverState.DECLINED)
    _mark(session, actor, account, HandoverState.DECLINED, "account.handover_declined", {"reason": words})
    _tell(session, actor, handover, account, handover.from_user_id, "handover.declined")
    return handover


def withdraw(session: Session, actor: Actor, handover_id: int, *, base_version: int | None = None) -> Handover:
    """Take the offer back. Whoever may edit the account can."""
    handover, account = _open(session, actor, handover_id)
    if not _may_prepare(session, actor, account):
        raise NotPermitted("Only who may edit the account can withdraw its hand-over.")
    _check_version(handover, base_version)
    handover_rules.check_pending(handover.state)
    _decide(session, actor, handover, HandoverState.WITHDRAWN)
    _mark(session, actor, account, HandoverState.WITHDRAWN, "account.handover_withdrawn", {})
    return handover


def _tell(session: Session, actor: Actor, handover: Handover, account: Account, user_id: int | None, kind: str) -> None:
    """What became of the offer, to the other of its two people: also where their role shows them the account only before or after it is
    theirs. The offer itself has named it to both."""
    reader = notifications.reader(session, user_id) if user_id is not None else None
    if reader is None:
        return
    told: dict[str, Any] = {"params": {"by": actor.user_id}, "entity": "account", "record_id": account.id}
    if not _reaches(session, reader, account, Action.READ):
        told = {"params": {"by": actor.user_id, "title": handover_views.shown_name(reader, account)}}
    notifications.notify(session, user_id, kind=kind, dedupe_key=f"{kind}:{handover.id}", **told)


def _deciding(session: Session, actor: Actor, handover_id: int, base_version: int | None) -> tuple[Handover, Account]:
    handover, account = _open(session, actor, handover_id)
    if not handover_views.is_mine(actor, handover):
        raise NotPermitted("Only the person it is offered to can accept or decline.")
    handover_rules.check_pending(handover.state)
    _check_version(handover, base_version)
    return handover, account


def _check_version(handover: Handover, base_version: int | None) -> None:
    if base_version is not None and base_version != handover.version:
        raise Conflict("Somebody else changed this hand-over meanwhile. Look at it again.")


def _decide(session: Session, actor: Actor, handover: Handover, state: HandoverState) -> None:
    """Once it is decided nobody need be reminded of the offer."""
    handover.state, handover.decided_at = state, clock.utcnow()
    session.add(handover)
    session.flush()
    notifications.withdraw(session, actor, key="account", record_id=handover.account_id, kinds=("handover.received",))


def _text(text: str, limit: int, *, key: str = "note") -> str:
    words = clean(text or "")
    if len(words) > limit:
        raise Invalid(fields={key: f"At most {written(limit)} characters, please."})
    return words


# --- reading -----------------------------------------------------------------------------------------------------------------


def get(session: Session, actor: Actor, handover_id: int) -> HandoverView:
    """One hand-over: for its two people, and for whoever may see the account."""
    handover, account = _open(session, actor, handover_id)
    return handover_views.views(session, actor, [(handover, account)])[0]


def of_account(session: Session, actor: Actor, account_id: int) -> HandoverView | None:
    """The newest hand-over of an account the actor may see; None when there never was one."""
    account = records.get(session, actor, "account", account_id)
    query = select(Handover).where(Handover.account_id == account_id).order_by(col(Handover.id).desc()).limit(1)
    handover = session.exec(query).first()
    return None if handover is None else handover_views.views(session, actor, [(handover, account)])[0]


def waiting(session: Session, actor: Actor, *, limit: int = 20) -> list[HandoverView]:
    """Hand-overs that wait for the actor, the longest waiting first. The offer itself shows them the account's name."""
    require(actor, "account", Action.READ)
    clause = and_(_HANDOVER.c.to_user_id == actor.user_id, _HANDOVER.c.state == HandoverState.PENDING)
    return _find(session, actor, clause, limit)


def offered(session: Session, actor: Actor, *, limit: int = 20) -> list[HandoverView]:
    """What the actor offered and nobody has accepted: waiting ones, and those declined lately that were not offered again."""
    require(actor, "account", Action.READ)
    lately = clock.utcnow() - timedelta(days=DECLINED_DAYS)
    again = _HANDOVER.alias()
    declined = and_(
        _HANDOVER.c.state == HandoverState.DECLINED,
        _HANDOVER.c.decided_at >= lately,
        ~exists().where(again.c.account_id == _HANDOVER.c.account_id, again.c.id > _HANDOVER.c.id),
    )
    clause = and_(_HANDOVER.c.from_user_id == actor.user_id, or_(_HANDOVER.c.state == HandoverState.PENDING, declined))
    return _find(session, actor, clause, limit)


def _find(session: Session, actor: Actor, clause: ColumnElement[bool], limit: int) -> list[HandoverView]:
    query = (
        select(Handover, Account)
        .join(Account, _ACCOUNT.c.id == _HANDOVER.c.account_id)
        .where(clause, _ACCOUNT.c.deleted_at.is_(None))
        .order_by(_HANDOVER.c.created_at, _HANDOVER.c.id)
        .limit(limit)
    )
    return handover_views.views(session, actor, [(handover, account) for handover, account in session.exec(query)])


def _open(session: Session, actor: Actor, handover_id: int) -> tuple[Handover, Account]:
    """The hand-over and its account, for its two people and for whoever may see the account; hidden looks missing."""
    require(actor, "account", Action.READ)
    handover = session.get(Handover, handover_id)
    account = session.get(Account, handover.account_id) if handover is not None else None
    if handover is None or account is None or account.deleted_at is not None:
        raise NotFound("This hand-over does not exist, or is not shared with you.")
    if not (
        handover_views.is_mine(actor, handover)
        or handover.from_user_id == actor.user_id
        or _reaches(session, actor, account, Action.READ)
    ):
        raise NotFound("This hand-over does not exist, or is not shared with you.")
    return handover, account


def _row(session: Session, handover_id: int) -> Handover:
    return session.exec(select(Handover).where(Handover.id == handover_id)).one()


def _pending(session: Session, account_id: int) -> Handover | None:
    query = select(Handover).where(Handover.account_id == account_id, Handover.state == HandoverState.PENDING)
    return session.exec(query).first()


def _reaches(session: Session, actor: Actor, account: Account, action: Action) -> bool:
    return account.id in handover_views.reached(session, actor, [account.id], action)


def _may_prepare(session: Session, actor: Actor, account: Account) -> bool:
    return _reaches(session, actor, account, Action.EDIT)
