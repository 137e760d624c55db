"""Webhooks: which address is told of what, through whose eyes; what was sent, and sending it again."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col
from sqlmodel import select as pick

from crm_core import access, db, events
from crm_core.access import Actor, require
from crm_core.channels import webhook as channel
from crm_core.errors import Conflict, CrmError, Invalid, NotFound
from crm_core.filters import Context, bind
from crm_core.jobs import enqueue as enqueue_job
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, fold
from crm_core.models import User, Webhook, WebhookDelivery
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.services.collaboration import webhook_rules as rules
from crm_core.vocabulary import Action, HookState

DELIVERIES: Any = WebhookDelivery.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class HookRow:
    """A webhook as screens show it, with what became of its messages of the last week."""

    hook: Webhook
    owner: str
    counts: Mapping[HookState, int]


def find(session: Session, actor: Actor) -> list[HookRow]:
    """All webhooks by name."""
    require(actor, "integration", Action.MANAGE)
    since = utcnow() - timedelta(days=7)
    counts: dict[int, dict[HookState, int]] = {}
    query = select(DELIVERIES.c.webhook_id, DELIVERIES.c.state, func.count()).where(DELIVERIES.c.created_at >= since)
    for hook_id, state, n in session.execute(query.group_by(DELIVERIES.c.webhook_id, DELIVERIES.c.state)).tuples():
        counts.setdefault(hook_id, {})[HookState(state)] = n
    rows = session.exec(pick(Webhook, User.name).join(User, col(User.id) == Webhook.owner_id).order_by(alphabetical(Webhook.name)))
    return [HookRow(hook, owner, counts.get(hook.id, {})) for hook, owner in rows]


def choices(session: Session, actor: Actor) -> dict[int, str]:
    """Id → name of the webhooks that are on: what an automation can send to."""
    require(actor, "integration", Action.READ)
    return dict(session.exec(pick(Webhook.id, Webhook.name).where(Webhook.is_active).order_by(alphabetical(Webhook.name))).all())


def save(
    session: Session, actor: Actor, webhook_id: int | None, values: Mapping[str, Any], *, base_version: int | None = None
) -> Webhook:
    """Create a webhook or change it. ``values``: name, url, events, filter, owner_id, is_active. Switching it on forgets earlier failures and
    tells of what happens from now on. Events: webhook.saved."""
    require(actor, "integration", Action.MANAGE)
    now = utcnow()
    hook = _get(session, webhook_id) if webhook_id else Webhook(
        name="", url="", secret=rules.new_secret(), owner_id=actor.user_id or 0, since_at=now
    )  # fmt: skip
    refuse_stale("this webhook", hook, base_version)
    given = {**hook.model_dump(), **values}
    for key, value in _checked(session, given, hook.id).items():
        setattr(hook, key, value)
    if given["is_active"] and (hook.off_reason or not hook.is_active):
        hook.failures, hook.off_reason, hook.since_at = 0, "", now
    hook.is_active = bool(given["is_active"])
    session.add(hook)
    session.flush()
    events.record(session, actor, "webhook.saved", entity="integration", record_id=hook.id, data={"name": hook.name})
    return hook


def _checked(session: Session, given: Mapping[str, Any], own_id: int | None) -> dict[str, Any]:
    wrong: dict[str, str] = {}
    name = clean(str(given.get("name") or ""))[:80]
    if not name:
        wrong["name"] = "Give the webhook a name."
    elif any(hook_id != own_id and fold(other) == fold(name) for hook_id, other in session.exec(pick(Webhook.id, Webhook.name))):
        wrong["name"] = f"There is a webhook called “{name}” already."
    owner = session.get(User, given.get("owner_id") or 0)
    if owner is None or not owner.is_active:
        wrong["owner_id"] = "Choose somebody who is active."
    made: dict[str, Any] = {"name": name, "owner_id": given.get("owner_id")}
    for key, work in (
        ("url", lambda: channel.check(str(given.get("url") or ""))),
        ("events", lambda: rules.checked(given.get("events") or ())),
    ):
        try:
            made[key] = work()
        except Invalid as error:
            wrong |= error.fields
    if given.get("url") and "url" not in wrong:
        wrong |= _reachable(str(made["url"]))
    if given.get("filter") and not wrong:
        wrong |= _filter_fits(session, owner, made["events"], given["filter"])
    if wrong:
        raise Invalid(fields=wrong)
    return made | {"filter": given.get("filter") or None}


def _reachable(url: str) -> dict[str, str]:
    """An address inside is refused at once, and again at each message; a name that can't be looked up now may be there later."""
    try:
        channel.resolve(url)
    except channel.Refused as error:
        return {} if "leads nowhere" in error.message else {"url": error.message}
    return {}


def _filter_fits(session: Session, owner: User | None, kinds: Iterable[str], ast: Any) -> dict[str, str]:
    entities = rules.entities_of(kinds)
    if len(entities) != 1:
        return {"filter": "A filter needs events of one kind of record."}
    try:
        bind(session, entities.pop(), ast, Context(access.load(session, owner.id if owner else 0)))
    except CrmError as error:
        return {"filter": error.message}
    return {}


def new_secret(session: Session, actor: Actor, webhook_id: int) -> str:
    """Another secret; the one before signs nothing from now on. Events: webhook.secret_made."""
    require(actor, "integration", Action.MANAGE)
    hook = _get(session, webhook_id)
    hook.secret = rules.new_secret()
    session.add(hook)
    session.flush()
    events.record(session, actor, "webhook.secret_made", entity="integration", record_id=hook.id, data={"name": hook.name})
    return hook.secret


def remove(session: Session, actor: Actor, webhook_id: int) -> None:
    """Delete a webhook with its log; what waits is not sent. Events: webhook.removed."""
    require(actor, "integration", Action.MANAGE)
    hook = _get(session, webhook_id)
    session.delete(hook)
    session.flush()
    events.record(session, actor, "webhook.removed", entity="integration", record_id=webhook_id, data={"name": hook.name})


def _get(session: Session, webhook_id: int) -> Webhook:
    hook = session.get(Webhook, webhook_id)
    if hook is None:
        raise NotFound("This webhook no longer exists.")
    return hook


# --- messages ---------------------------------------------------------------------------------------------------------------------


def enqueue(
    session: Session,
    actor: Actor,
    webhook_id: int,
    *,
    dedupe_key: str,
    event_type: str = rules.BY_HAND,
    entity: str = "",
    record_id: int = 0,
    data: Mapping[str, Any] | None = None,
    event_id: int | None = None,
    start: bool = True,
) -> int | None:
    """Put a message into the queue when the session commits. None when that key was queued before. What is told of the record is read when the
    message goes out, through the eyes of the webhook's owner."""
    require(actor, "integration", Action.READ)
    _get(session, webhook_id)
    now = utcnow()
    values: dict[str, Any] = {
        "webhook_id": webhook_id, "dedupe_key": dedupe_key[:200], "type": event_type[:60], "entity": entity, "record_id": record_id,
        "event_id": event_id, "data": dict(data or {}), "payload": "", "state": HookState.WAITING, "attempts": 0, "next_at": now, "answer": "",
        "message": "", "created_at": now, "updated_at": now, "version": 1,
    }  # fmt: skip
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    once = insert(DELIVERIES).values(**values).on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(DELIVERIES.c.id)
    made = session.execute(once).scalar()
    if made is None:
        return None
    db.bump(session, DELIVERIES.name)
    if start:
        enqueue_job(session, "webhooks.deliver", job_id=f"webhooks.deliver:{made}")
    return int(made)


@dataclass(frozen=True)
class DeliveryRow:
    """One message as the log shows it."""

    id: int
    at: datetime
    type: str
    entity: str
    record_id: int
    state: HookState
    attempts: int
    status: int | None
    ms: int | None
    message: str
    next_at: datetime


def deliveries(
    session: Session, actor: Actor, webhook_id: int, *, state: HookState | None = None, page: int = 1, size: int = 20
) -> tuple[list[DeliveryRow], int]:
    """The messages of a webhook, the latest first, and how many there are."""
    require(actor, "integration", Action.MANAGE)
    where = [DELIVERIES.c.webhook_id == webhook_id, *([DELIVERIES.c.state == state] if state else [])]
    total = session.execute(select(func.count()).select_from(DELIVERIES).where(*where)).scalar_one()
    query = pick(WebhookDelivery).where(*where).order_by(DELIVERIES.c.id.desc()).limit(size).offset((max(page, 1) - 1) * size)
    return [_shown(row) for row in session.exec(query)], int(total)


def _shown(row: WebhookDelivery) -> DeliveryRow:
    return DeliveryRow(
        row.id, row.created_at, row.type, row.entity, row.record_id, row.state, row.attempts, row.status, row.ms, row.message, row.next_at
    )  # fmt: skip


@dataclass(frozen=True)
class Message:
    """What was sent, and what the other side said."""

    id: int
    payload: str
    answer: str
    row: DeliveryRow


def message(session: Session, actor: Actor, delivery_id: int) -> Message:
    """One message with its words. It holds what the webhook's owner may see, so it takes the right to manage."""
    require(actor, "integration", Action.MANAGE)
    row = session.get(WebhookDelivery, delivery_id)
    if row is None:
        raise NotFound("This message is no longer kept.")
    shown = json.dumps(json.loads(row.payload), indent=2, ensure_ascii=False) if row.payload else ""
    return Message(row.id, shown, row.answer, _shown(row))


def replay(session: Session, actor: Actor, delivery_id: int) -> None:
    """Send a message again under its own id, so that the receiver knows it if it came through before."""
    require(actor, "integration", Action.MANAGE)
    row = session.get(WebhookDelivery, delivery_id)
    if row is None:
        raise NotFound("This message is no longer kept.")
    if row.state not in rules.AGAIN:
        raise Conflict("This message is on its way already.")
    row.state, row.attempts, row.next_at, row.message, row.claim = HookState.WAITING, 0, utcnow(), "", None
    session.add(row)
    session.flush()
    enqueue_job(session, "webhooks.deliver", unless_waiting=True)


def test(session: Session, actor: Actor, webhook_id: int) -> int:
    """Send a message that tells of nothing, to see whether it gets through; also to one that is switched off."""
    require(actor, "integration", Action.MANAGE)
    hook = _get(session, webhook_id)
    data = {"note": f"A test of the webhook “{hook.name}”, asked for by {actor.name}."}
    key = f"test:{hook.id}:{utcnow():%Y%m%d%H%M%S%f}"
    return enqueue(session, actor, webhook_id, dedupe_key=key, event_type=rules.TEST, data=data) or 0
