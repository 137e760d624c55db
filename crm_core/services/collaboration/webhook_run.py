"""The worker's part of webhooks: read the log of what happened, queue a message for whoever wants it, send what is due.

A message may arrive twice (a worker that dies after sending and before noting it), always under the same id; never is one lost.
"""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import and_, exists, or_, select, update
from sqlmodel import Session, col
from sqlmodel import select as pick

from crm_core import access, db, events, lists
from crm_core.access import Actor, system, visible
from crm_core.channels import webhook as channel
from crm_core.channels.webhook import Answer
from crm_core.entities import ENTITIES, entity
from crm_core.errors import CrmError
from crm_core.jobs import Job, enqueue, job
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.lists import ListQuery
from crm_core.models import Event, User, Webhook, WebhookDelivery
from crm_core.services.collaboration import halts, notifications, outward, webhooks
from crm_core.services.collaboration import webhook_rules as rules
from crm_core.services.collaboration.webhooks import DELIVERIES
from crm_core.vocabulary import Action, HaltKind, HookState

_HOOKS: Any = Webhook.__table__  # type: ignore[attr-defined]
_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
BATCH, AT_ONCE = 16, 8
OVERLAP = timedelta(minutes=10)
"""Events are looked for so far back: a transaction that began earlier may commit later."""
_DEAD_AFTER = timedelta(minutes=2)
KEPT_DAYS = 30


# --- what happened ----------------------------------------------------------------------------------------------------------------


def _fresh(hook: Webhook) -> Any:
    """Events that the webhook wants and that have no message yet."""
    known = exists(select(DELIVERIES.c.id).where(DELIVERIES.c.event_id == _EVENTS.c.id, DELIVERIES.c.webhook_id == hook.id))
    return and_(_EVENTS.c.type.in_(hook.events), _EVENTS.c.at >= hook.since_at, ~known)


def _active(session: Session) -> list[Webhook]:
    return [hook for hook in session.exec(pick(Webhook).where(Webhook.is_active).order_by(col(Webhook.id))) if hook.events]


def anything_new(session: Session) -> bool:
    """True when something happened that a webhook wants to know."""
    return any(session.execute(select(_EVENTS.c.id).where(_fresh(hook)).limit(1)).first() is not None for hook in _active(session))


@job("webhooks.dispatch", title="Queue messages to webhooks", cron="* * * * * */5", when=anything_new, keep_days=1)
def dispatch(job: Job) -> None:
    """Every few seconds, if something happened."""
    done = 0
    while True:
        with job.transaction() as session:
            added = sum(_queue(session, hook) for hook in _active(session))
            if added:
                enqueue(session, "webhooks.deliver", unless_waiting=True)
            done += added
            job.report(done)
        if not added:
            return


def _queue(session: Session, hook: Webhook, most: int = 500) -> int:
    rows = session.execute(select(_EVENTS).where(_fresh(hook)).order_by(_EVENTS.c.id).limit(most)).all()
    for row in rows:
        webhooks.enqueue(
            session, system(), hook.id, dedupe_key=f"event:{hook.id}:{row.id}", event_type=row.type, entity=row.entity,
            record_id=row.record_id, event_id=row.id, start=False,
        )  # fmt: skip
    if len(rows) < most:
        horizon = utcnow() - OVERLAP
        if hook.since_at < horizon:
            _set(session, hook.id, since_at=horizon)
    return len(rows)


# --- sending ----------------------------------------------------------------------------------------------------------------------


def _due(session: Session) -> Any:
    """What is to leave now; what automations told waits while all of them are stopped."""
    now = utcnow()
    left = and_(DELIVERIES.c.state == HookState.SENDING, DELIVERIES.c.claimed_at < now - _DEAD_AFTER)
    found = or_(and_(DELIVERIES.c.state == HookState.WAITING, DELIVERIES.c.next_at <= now), left)
    return and_(found, DELIVERIES.c.type != rules.BY_HAND) if halts.halted(session, HaltKind.AUTOMATIONS) else found


def anything_due(session: Session) -> bool:
    """True when a message waits whose time has come."""
    return session.execute(select(DELIVERIES.c.id).where(_due(session)).limit(1)).first() is not None


@job("webhooks.deliver", title="Send messages to webhooks", cron="* * * * * */10", when=anything_due, keep_days=1)
def deliver(job: Job) -> None:
    """Send everything whose time has come, several at a time, so that a slow receiver does not hold up the others."""
    done = 0
    while claimed := claim(job):
        ready = (found for row_id in claimed if (found := _prepare(job, row_id)) is not None)
        for row, answer in _answers(ready):
            _note(job, row, answer)
        done += len(claimed)
        job.report(done)


def claim(job: Job) -> list[int]:
    """Take a handful of due messages for this job, and what it took itself before its worker was killed."""
    with job.transaction() as session:
        before = and_(
            DELIVERIES.c.state == HookState.SENDING,
            DELIVERIES.c.claim.startswith(f"{job.id}:", autoescape=True),
            DELIVERIES.c.claim != _token(job),
        )
        wanted = (
            select(DELIVERIES.c.id).where(or_(_due(session), before)).order_by(DELIVERIES.c.next_at, DELIVERIES.c.id).limit(BATCH)
        )
        ids = list(session.execute(wanted.with_for_update(skip_locked=True)).scalars())
        taken = {"state": HookState.SENDING, "claim": _token(job), "claimed_at": utcnow(), "attempts": DELIVERIES.c.attempts + 1}
        if ids:
            session.execute(update(DELIVERIES).where(DELIVERIES.c.id.in_(ids)).values(**taken))
            db.bump(session, DELIVERIES.name)
        return ids


def _token(job: Job) -> str:
    return f"{job.id}:{job.attempt}"[:220]


class _Ready:
    """A message that may go out now."""

    def __init__(self, row: WebhookDelivery, hook: Webhook) -> None:
        self.id, self.webhook_id, self.attempts = row.id, hook.id, row.attempts
        self.url, self.secret, self.body = hook.url, hook.secret, row.payload.encode()


def _prepare(job: Job, row_id: int) -> _Ready | None:
    """Ask once more whether the owner may see what is told, right before it leaves; None when it is not to be sent, or not while automations stand
    still: it then waits as if nobody had tried."""
    with job.transaction() as session:
        row = session.get(WebhookDelivery, row_id)
        if row is None or row.claim != _token(job):
            return None
        if row.type == rules.BY_HAND and halts.halted(session, HaltKind.AUTOMATIONS):
            row.state, row.claim, row.attempts = HookState.WAITING, None, row.attempts - 1
            session.add(row)
            return None
        hook = session.get_one(Webhook, row.webhook_id)
        why = _held_back(session, row, hook)
        session.add(row)
        if why:
            row.state, row.message, row.claim = HookState.SKIPPED, why, None
            return None
        session.flush()
        return _Ready(row, hook)


def _held_back(session: Session, row: WebhookDelivery, hook: Webhook) -> str:
    """Why a message is not sent, empty when it is; fills its words in the first time."""
    if not hook.is_active and row.type != rules.TEST:
        return "The webhook is switched off."
    try:
        owner = access.load(session, hook.owner_id)
    except CrmError:
        return "The person whose eyes decide was deactivated."
    if row.entity in ENTITIES and not _seen(session, owner, row):
        return "Not shared with the person whose eyes decide."
    if row.event_id and hook.filter and not _matches(session, owner, row, hook):
        return "The filter leaves it out."
    if not row.payload:
        row.payload = json.dumps(_payload(session, owner, row), ensure_ascii=False, separators=(",", ":"))
    return ""


def _seen(session: Session, owner: Actor, row: WebhookDelivery) -> bool:
    if not owner.can(row.entity, Action.READ):
        return False
    table = entity(row.entity).table
    clause = and_(table.c.id == row.record_id, visible(owner, row.entity, table, with_deleted=True))
    return session.execute(select(table.c.id).where(clause)).first() is not None


def _matches(session: Session, owner: Actor, row: WebhookDelivery, hook: Webhook) -> bool:
    table = entity(row.entity).table
    try:
        clause = lists.condition(session, owner, row.entity, ListQuery(filter=hook.filter))
    except CrmError:
        return False
    return session.execute(select(table.c.id).where(clause, table.c.id == row.record_id)).first() is not None


def _payload(session: Session, owner: Actor, row: WebhookDelivery) -> dict[str, Any]:
    """Type, instant and data, as Standard Webhooks has it."""
    event = session.get(Event, row.event_id) if row.event_id else None
    at: datetime = event.at if event is not None else row.created_at
    data: dict[str, Any] = {**row.data}
    if row.entity in ENTITIES:
        found = outward.records_of(session, owner, row.entity, [row.record_id], with_deleted=True)
        data |= {"kind": row.entity, "id": row.record_id, "record": found[0] if found else None}
    if event is not None:
        hidden = {key for key in event.changes if owner.masked(row.entity, key)}
        data["changes"] = {key: {"old": old, "new": new} for key, (old, new) in event.changes.items() if key not in hidden}
        data["by"] = _who(session, event)
        data["via"] = event.via.value
    return {"type": row.type, "timestamp": outward.wire(at), "data": data}


def _who(session: Session, event: Event) -> dict[str, Any] | None:
    person = session.get(User, event.actor_id) if event.actor_id else None
    return {"id": person.id, "name": person.name} if person is not None else None


def _answers(ready: Iterable[_Ready]) -> Iterator[tuple[_Ready, Answer]]:
    """Send them, several at a time, and give each with its answer as that comes. The next one leaves when an answer was noted: however slow the
    database or one receiver is, a worker that dies leaves no more than ``AT_ONCE`` that were sent and will be sent again."""
    waiting = iter(ready)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        out = {threads.submit(_send, message): message for message in islice(waiting, AT_ONCE)}
        while out:
            answered = next(iter(wait(out, return_when=FIRST_COMPLETED).done))
            yield out.pop(answered), answered.result()
            out |= {threads.submit(_send, message): message for message in islice(waiting, 1)}


def _send(message: _Ready) -> Answer:
    name, at = f"msg_{message.id}", int(utcnow().timestamp())
    headers = {
        "content-type": "application/json", "user-agent": "Rapport-Webhooks/1", "webhook-id": name, "webhook-timestamp": str(at),
        "webhook-signature": rules.signature(message.secret, name, at, message.body),
    }  # fmt: skip
    return channel.post(message.url, message.body, headers)


def _note(job: Job, message: _Ready, answer: Answer) -> None:
    """What became of it: delivered, later again, failed for good; 410 and too many failures switch the webhook off."""
    now, pause = utcnow(), rules.next_pause(message.attempts)
    told: dict[str, Any] = {"status": answer.status, "ms": answer.ms, "answer": answer.text, "claim": None, "updated_at": now}
    if answer.ok:
        told |= {"state": HookState.DELIVERED, "delivered_at": now, "message": ""}
    else:
        words = answer.message or f"The receiver answered {answer.status}."
        gone = answer.status == 410 or pause is None
        told |= {"state": HookState.FAILED if gone else HookState.WAITING, "message": clip(words, 500)}
        told |= {} if gone or pause is None else {"next_at": now + pause}
    with job.transaction() as session:
        mine = and_(DELIVERIES.c.id == message.id, DELIVERIES.c.claim == _token(job))
        session.execute(update(DELIVERIES).where(mine).values(**told))
        db.bump(session, DELIVERIES.name)
        _judge(session, message.webhook_id, answer)


def _judge(session: Session, webhook_id: int, answer: Answer) -> None:
    _set(session, webhook_id, **({"failures": 0, "delivered_at": utcnow()} if answer.ok else {"failures": _HOOKS.c.failures + 1}))
    hook = session.get(Webhook, webhook_id, populate_existing=True)
    if hook is None:
        return
    if hook.is_active and answer.status == 410:
        _switch_off(session, hook, "the receiver answered 410, which means that it wants no more")
    elif hook.is_active and hook.failures >= rules.MOST_FAILURES:
        _switch_off(session, hook, f"{hook.failures} tries in a row went wrong")


def _set(session: Session, webhook_id: int, **values: Any) -> None:
    """Note what nobody typed: past the version, so that whoever edits the webhook meanwhile is not disturbed."""
    session.execute(update(_HOOKS).where(_HOOKS.c.id == webhook_id).values(**values))
    db.bump(session, _HOOKS.name)


def _switch_off(session: Session, hook: Webhook, reason: str) -> None:
    hook.is_active, hook.off_reason = False, reason
    session.flush()
    data = {"name": hook.name, "reason": reason}
    events.record(session, system(), "webhook.switched_off", entity="integration", record_id=hook.id, data=data)
    key = f"webhook-off:{hook.id}:{hook.version}"
    notifications.notify(session, hook.owner_id, kind="webhook.failing", params=data, dedupe_key=key)


def purge(session: Session) -> int:
    """Forget messages that ended a month ago."""
    old = and_(DELIVERIES.c.updated_at < utcnow() - timedelta(days=KEPT_DAYS), DELIVERIES.c.state.in_(rules.AGAIN))
    return int(session.execute(DELIVERIES.delete().where(old)).rowcount)  # type: ignore[attr-defined]
