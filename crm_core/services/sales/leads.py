"""Leads: take in, work, qualify or disqualify, assign, convert into account, contact and deal, and take that back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import and_, exists, or_
from sqlalchemy import select as pick
from sqlmodel import Session, col, select

from crm_core import events, records
from crm_core.access import Actor, require
from crm_core.db import bump, shared
from crm_core.entities import entity, label_of, relations
from crm_core.errors import Conflict, Invalid
from crm_core.fields import FieldSpec, registry
from crm_core.kit import clock
from crm_core.kit.text import fold
from crm_core.models import Account, Activity, Contact, Deal, Lead, LeadStatus, Task, Touchpoint, User
from crm_core.services.collaboration import files, incoming, interactions
from crm_core.services.customers import accounts, contacts, created_anyway, duplicates, unsubscribing
from crm_core.services.sales import deals
from crm_core.vocabulary import Action, LeadKind

PASSED_OVER = (LeadKind.UNQUALIFIED, LeadKind.RECYCLED)
"""What a lead is when it is not pursued, for a reason."""


def get(session: Session, actor: Actor, lead_id: int | None, *, action: Action = Action.READ) -> Lead:
    """The lead, or NotFound."""
    return records.get(session, actor, "lead", lead_id, action=action)


def create(session: Session, actor: Actor, values: Mapping[str, Any], *, submit_key: str | None = None) -> Lead:
    """Take a lead in. Without a status it is new; without an owner the assignment rules are asked."""
    given = dict(values)
    if not given.get("status_id"):
        given["status_id"] = status_of(session, LeadKind.OPEN).id
    _refuse_converted(session, given)
    lead = records.create(session, actor, "lead", given, submit_key=submit_key, filled=given.keys() - values.keys())
    incoming.route_later(session, "lead", lead)
    return lead


def update(
    session: Session, actor: Actor, lead_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change a lead. A converted one stays as it was converted; the status "converted" comes only by converting. Another number is not the wrong one."""
    lead = get(session, actor, lead_id, action=Action.EDIT)
    _refuse_if_converted(lead)
    _refuse_converted(session, changes)
    return records.update(session, actor, "lead", lead_id, changes, base_version=base_version, prepare=_new_number)


def _new_number(_session: Session, _actor: Actor, lead: Lead, old: Mapping[str, Any]) -> None:
    if "phone" in old and "phone_invalid" not in old:
        lead.phone_invalid = False


def number_is_wrong(session: Session, actor: Actor, lead_id: int) -> None:
    """Somebody else answered at the number of a lead: it is called no more. That is true whoever may change the lead; whoever may log a call says it.
    Events: lead.updated."""
    require(actor, "activity", Action.CREATE)
    lead = get(session, actor, lead_id)
    if not lead.phone_invalid:
        records.update(session, replace(actor, is_system=True), "lead", lead_id, {"phone_invalid": True})


def _refuse_converted(session: Session, values: Mapping[str, Any]) -> None:
    status = session.get(LeadStatus, values["status_id"]) if values.get("status_id") else None
    if status is not None and status.kind is LeadKind.CONVERTED:
        raise Invalid(fields={"status_id": "Use “Convert”: it creates the account, the contact and the deal."})


def _refuse_if_converted(lead: Lead) -> None:
    if lead.converted_at is not None:
        raise Conflict(
            "This lead was converted. Change the account, the contact or the deal it became, or take the conversion back."
        )


def status_of(session: Session, kind: LeadKind) -> LeadStatus:
    """The first status that means this. Raises Invalid when an administrator removed them all."""
    found = session.exec(select(LeadStatus).where(LeadStatus.kind == kind).order_by(col(LeadStatus.position))).first()
    if found is None:
        raise Invalid(f"There is no lead status that means “{kind.label}”. An administrator can add one.")
    return found


@dataclass(frozen=True)
class StatusView:
    """A lead status as menus need it."""

    id: int
    label: str
    kind: LeadKind


def statuses(session: Session, actor: Actor) -> list[StatusView]:
    """All statuses in order."""
    require(actor, "lead", Action.READ)
    rows = select(LeadStatus).order_by(col(LeadStatus.position), col(LeadStatus.id))
    return list(
        shared(
            session,
            "lead statuses",
            ("lead_status",),
            lambda: [StatusView(row.id, row.label, row.kind) for row in session.exec(rows)],
        )
    )


def qualify(session: Session, actor: Actor, lead_id: int, *, base_version: int | None = None) -> Lead:
    """Say that a lead is worth a deal (a marketing- or sales-qualified lead)."""
    lead = get(session, actor, lead_id, action=Action.EDIT)
    _refuse_if_converted(lead)
    changes = {"status_id": status_of(session, LeadKind.QUALIFIED).id, "disqualified_reason": None}
    return records.update(session, actor, "lead", lead_id, changes, base_version=base_version, event_type="lead.qualified").record


def move(session: Session, actor: Actor, lead_id: int, status_id: int, *, base_version: int | None = None) -> Lead:
    """Put a lead into another status, as the buttons do: into one that means "qualified" it is qualified, back into work it is taken up again.
    What needs a reason or a conversion is asked for first."""
    lead = get(session, actor, lead_id, action=Action.EDIT)
    _refuse_if_converted(lead)
    status, origin = session.get(LeadStatus, status_id), session.get(LeadStatus, lead.status_id)
    if status is None:
        raise Invalid(fields={"status_id": "This status no longer exists."})
    _refuse_converted(session, {"status_id": status_id})
    if status.kind in PASSED_OVER:
        raise Invalid(fields={"disqualified_reason": "Please say why."})
    event = "lead.qualified" if status.kind is LeadKind.QUALIFIED else None
    if origin is not None and origin.kind in PASSED_OVER:
        event = "lead.reopened"
    changes: dict[str, Any] = {"status_id": status_id} | ({"disqualified_reason": None} if lead.disqualified_reason else {})
    return records.update(session, actor, "lead", lead_id, changes, base_version=base_version, event_type=event).record


def disqualify(
    session: Session,
    actor: Actor,
    lead_id: int,
    *,
    reason: str | None,
    later: bool = False,
    status_id: int | None = None,
    base_version: int | None = None,
) -> Lead:
    """Say that a lead is not worth a deal, and why; ``later`` keeps it for nurturing instead. ``status_id``: which of several statuses that mean it."""
    lead = get(session, actor, lead_id, action=Action.EDIT)
    _refuse_if_converted(lead)
    if not reason:
        raise Invalid(fields={"disqualified_reason": "Please say why."})
    kind = LeadKind.RECYCLED if later else LeadKind.UNQUALIFIED
    chosen = session.get(LeadStatus, status_id) if status_id is not None else None
    status = chosen if chosen is not None and chosen.kind is kind else status_of(session, kind)
    changes = {"status_id": status.id, "disqualified_reason": reason}
    return records.update(
        session,
        actor,
        "lead",
        lead_id,
        changes,
        base_version=base_version,
        event_type="lead.disqualified",
        event_data={"reason": reason},
    ).record


def reopen(session: Session, actor: Actor, lead_id: int, *, base_version: int | None = None) -> Lead:
    """Take a disqualified or nurtured lead up again: it is being worked on, and the reason is gone."""
    lead = get(session, actor, lead_id, action=Action.EDIT)
    _refuse_if_converted(lead)
    status = session.get(LeadStatus, lead.status_id)
    if status is not None and status.kind not in PASSED_OVER:
        raise Conflict("This lead is already being worked on.")
    changes = {"status_id": status_of(session, LeadKind.WORKING).id, "disqualified_reason": None}
    return records.update(session, actor, "lead", lead_id, changes, base_version=base_version, event_type="lead.reopened").record


def assign(session: Session, actor: Actor, lead_id: int, owner_id: int | None, *, base_version: int | None = None) -> Lead:
    """Give a lead to somebody."""
    return update(session, actor, lead_id, {"owner_id": owner_id}, base_version=base_version).record


@dataclass(frozen=True)
class Converted:
    """What a lead became; None where nothing was created or chosen."""

    lead_id: int
    account_id: int | None
    contact_id: int | None
    deal_id: int | None


def convert(
    session: Session,
    actor: Actor,
    lead_id: int,
    *,
    account_id: int | None = None,
    contact_id: int | None = None,
    account_name: str | None = None,
    deal_name: str | None = None,
    amount_minor: int | None = None,
    why: created_anyway.Why | None = None,
    base_version: int | None = None,
) -> Converted:
    """Turn a lead into account, contact and (with ``deal_name``) deal, all or nothing.

    ``account_id`` and ``contact_id`` choose existing ones; otherwise they are created from the lead, with its values of custom fields that go by the
    same name there. Activities and open tasks come along, what they were linked to besides stays; description and files go to the deal, or to the contact where there is none.
    """
    lead = get(session, actor, lead_id, action=Action.EDIT)
    _refuse_if_converted(lead)
    if base_version is not None and base_version != lead.version:
        raise Conflict("Somebody else changed this lead meanwhile. Look at it again before you convert it.")
    owner_id = _heir(session, actor, lead)
    _refuse_typed(session, actor, lead, account_name if account_id is None else None, deal_name, amount_minor)
    doubts: dict[str, duplicates.Found] = {}
    if why is not None:
        company = account_name if account_name is not None else lead.company
        found = candidates(session, actor, lead_id, company=company)
        doubts = alike(found, new_account=account_id is None and bool((company or "").strip()), new_contact=contact_id is None)
        why = created_anyway.settle(why) if doubts else None
    with records.carrying(session):
        account = _account(session, actor, lead, account_id, account_name, owner_id)
        contact = _contact(session, actor, lead, contact_id, account, owner_id, told=not deal_name)
        deal = _deal(session, actor, lead, account, contact, deal_name, amount_minor, owner_id)
    made = {"account": account, "contact": contact}
    for key, like in doubts.items():
        created_anyway.note(session, actor, made[key], like, why or created_anyway.Why())
    became = {"account_id": account.id if account else None, "contact_id": contact.id, "deal_id": deal.id if deal else None}
    for row in _work_on(session, lead):
        for key, record_id in became.items():
            setattr(row, key, getattr(row, key) or record_id)
        session.add(row)
    session.flush()
    interactions.hand_on(session, lead_id, "contact", contact.id)
    heir = ("deal", deal.id) if deal else ("contact", contact.id)
    carried = files.carry_over(session, "lead", lead_id, *heir)
    unsubscribing.carry_over(session, actor, lead_id, contact.id)
    _share_touches(session, lead_id, contact.id)
    fixed: dict[str, Any] = {
        "status_id": status_of(session, LeadKind.CONVERTED).id,
        "converted_at": clock.utcnow(),
        "converted_account_id": account.id if account else None,
        "converted_contact_id": contact.id,
        "converted_deal_id": deal.id if deal else None,
    }
    data = {
        "from_status": lead.status_id,
        "made_account": account_id is None and account is not None,
        "made_contact": contact_id is None,
        "files": carried,
    }
    records.update(session, actor, "lead", lead_id, {}, fixed=fixed, event_type="lead.converted", event_data=data)
    return Converted(lead_id, fixed["converted_account_id"], contact.id, fixed["converted_deal_id"])


def _work_on(session: Session, lead: Lead) -> list[Activity | Task]:
    """What was done and is to be done about a lead."""
    done = session.exec(select(Activity).where(Activity.lead_id == lead.id))
    return [*done, *session.exec(select(Task).where(Task.lead_id == lead.id))]


def _refuse_typed(
    session: Session, actor: Actor, lead: Lead, account_name: str | None, deal_name: str | None, amount_minor: int | None
) -> None:
    """What the lead knows is carried over; what is typed beside it needs the right to write the field."""
    if account_name not in (None, "", lead.company):
        records.refuse_locked(session, actor, registry(session, "account"), ["name"])
    typed = ["name"] if deal_name not in (None, "", lead.company, lead.name) else []
    typed += ["amount_minor"] if deal_name and amount_minor not in (None, 0, lead.estimated_minor) else []
    records.refuse_locked(session, actor, registry(session, "deal"), typed)


def _share_touches(session: Session, lead_id: int, contact_id: int | None) -> None:
    """What the lead did on our channels was done by the contact it becomes: attribution begins there."""
    table: Any = Touchpoint.__table__  # type: ignore[attr-defined]
    session.execute(table.update().where(table.c.lead_id == lead_id).values(contact_id=contact_id))
    bump(session, table.name)


def _heir(session: Session, actor: Actor, lead: Lead) -> int | None:
    """Who owns what a lead becomes: its owner, or whoever converts it when the owner has left."""
    owner = session.get(User, lead.owner_id) if lead.owner_id is not None else None
    return lead.owner_id if owner is None or owner.is_active else actor.user_id


def _account(
    session: Session, actor: Actor, lead: Lead, account_id: int | None, name: str | None, owner_id: int | None
) -> Account | None:
    if account_id is not None:
        return records.get(session, actor, "account", account_id)
    title = (name if name is not None else lead.company) or ""
    if not title.strip():
        return None
    copied = {key: getattr(lead, key) for key in ("website", "phone", "city", "country") if getattr(lead, key)}
    return accounts.create(
        session, actor, {"name": title, **copied, **_same_fields(session, actor, lead, "account"), **_owned(owner_id)}
    )


def _same_fields(session: Session, actor: Actor, lead: Lead, entity_key: str) -> dict[str, Any]:
    """Values of a lead's custom fields for the custom fields of the same name and kind of what it becomes; not those that the actor may not read and would read there."""
    there = {
        (fold(spec.label), spec.kind): spec for spec in registry(session, entity_key).values() if spec.custom and spec.editable
    }
    found: dict[str, Any] = {}
    for spec in registry(session, "lead").values():
        twin, value = there.get((fold(spec.label), spec.kind)), spec.value(lead) if spec.custom else None
        hidden = twin is not None and actor.masked("lead", spec.key) and not actor.masked(entity_key, twin.key)
        if twin is not None and value not in (None, "", []) and _offers(twin, value) and not hidden:
            found[twin.key] = value
    return found


def _offers(spec: FieldSpec, value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return spec.options is None or all(one in spec.options for one in values)


def _owned(owner_id: int | None) -> dict[str, Any]:
    return {} if owner_id is None else {"owner_id": owner_id}


def _contact(
    session: Session,
    actor: Actor,
    lead: Lead,
    contact_id: int | None,
    account: Account | None,
    owner_id: int | None,
    *,
    told: bool,
) -> Contact:
    if contact_id is not None:
        return records.get(session, actor, "contact", contact_id)
    names = ("name", "job_title", "email", "phone", "city", "country", "source", *(["description"] if told else []))
    copied = {key: getattr(lead, key) for key in names if getattr(lead, key)}
    copied |= {**_same_fields(session, actor, lead, "contact"), **_owned(owner_id)}
    if account is not None:
        copied["account_id"] = account.id
    contact = contacts.create(session, actor, copied)
    if lead.phone_invalid and lead.phone:
        contacts.number_is_wrong(session, replace(actor, is_system=True), contact.id)
    return contact


def _deal(
    session: Session,
    actor: Actor,
    lead: Lead,
    account: Account | None,
    contact: Contact,
    name: str | None,
    amount_minor: int | None,
    owner_id: int | None,
) -> Deal | None:
    if not name:
        return None
    values: dict[str, Any] = {"name": name, "contact_id": contact.id, "amount_minor": amount_minor or lead.estimated_minor or 0}
    if account is not None:
        values["account_id"] = account.id
    values |= {key: getattr(lead, key) for key in ("source", "campaign_id", "description") if getattr(lead, key)}
    return deals.create(session, actor, {**values, **_same_fields(session, actor, lead, "deal"), **_owned(owner_id)})


@dataclass(frozen=True)
class Candidates:
    """Accounts and contacts that a lead may already be. ``hidden``: how many more there are that the person may not see."""

    accounts: tuple[duplicates.Duplicate, ...]
    contacts: tuple[duplicates.Duplicate, ...]
    hidden: int


def candidates(session: Session, actor: Actor, lead_id: int, *, company: str | None = None) -> Candidates:
    """Look for the lead's company and person among accounts and contacts, before it is converted, by what the person may read of it. ``company``:
    another name for the account."""
    lead = get(session, actor, lead_id)
    known = ("name", "email", "phone", "website", "company")
    values = {key: None if actor.masked("lead", key) else getattr(lead, key) for key in known}
    found = [duplicates.check(session, actor, "lead", values, exclude_id=lead_id)]
    name = company if company is not None else values["company"]
    if name and actor.can("account", Action.CREATE):
        firm = {"name": name, "website": values["website"], "phone": values["phone"]}
        found.append(duplicates.check(session, actor, "account", firm))
    hits = {(hit.entity, hit.id): hit for result in reversed(found) for hit in result.shown}
    best = sorted(hits.values(), key=lambda hit: -hit.score)
    return Candidates(
        tuple(hit for hit in best if hit.entity == "account"),
        tuple(hit for hit in best if hit.entity == "contact"),
        max(result.hidden for result in found),
    )


def alike(found: Candidates, *, new_account: bool, new_contact: bool) -> dict[str, duplicates.Found]:
    """What of the candidates speaks against creating an account or a contact: entity → what is like it, only where there is something. What the
    person may not see is counted once."""
    doubts = {}
    if new_contact and (found.contacts or found.hidden):
        doubts["contact"] = duplicates.Found(found.contacts, found.hidden)
    if new_account and (found.accounts or (found.hidden and not new_contact)):
        doubts["account"] = duplicates.Found(found.accounts, 0 if new_contact else found.hidden)
    return doubts


def undo_conversion(session: Session, actor: Actor, lead_id: int) -> Lead:
    """Take a conversion back: what it created goes to the bin, unless somebody has changed it since or put something to it. What it only
    chose stays."""
    lead = get(session, actor, lead_id, action=Action.EDIT)
    if lead.converted_at is None:
        raise Conflict("This lead was not converted.")
    event = session.exec(
        select(events.Event)
        .where(events.Event.entity == "lead", events.Event.record_id == lead_id, events.Event.type == "lead.converted")
        .order_by(col(events.Event.id).desc())
    ).first()
    data = event.data if event else {}
    made: list[tuple[str, int | None]] = [("deal", lead.converted_deal_id)]
    made += [("contact", lead.converted_contact_id)] if data.get("made_contact") else []
    made += [("account", lead.converted_account_id)] if data.get("made_account") else []
    touched = [key for key, record_id in made if record_id is not None and _was_changed(session, key, record_id)]
    if touched:
        raise Conflict(f"The {' and the '.join(touched)} was changed since the conversion, so it can't be taken back.")
    grown = _grown(session, actor, lead, [(key, record_id) for key, record_id in made if record_id is not None])
    if grown:
        raise Conflict(f"Since the conversion there are new {' and '.join(grown)}, so it can't be taken back.")
    for key, record_id in made:
        if record_id is not None:
            records.discard(session, actor, key, records.get(session, actor, key, record_id), data={"lead": lead_id})
    for row in _work_on(session, lead):
        for key in ("account_id", "contact_id", "deal_id"):
            if getattr(row, key) == getattr(lead, f"converted_{key}"):
                setattr(row, key, None)
        session.add(row)
    session.flush()
    interactions.hand_on(session, lead_id, "lead", lead_id)
    _share_touches(session, lead_id, None)
    files.take_off(session, data.get("files") or ())
    fixed = {"status_id": _status_before(session, data), "converted_at": None}
    fixed.update(dict.fromkeys(("converted_account_id", "converted_contact_id", "converted_deal_id")))
    return records.update(session, actor, "lead", lead_id, {}, fixed=fixed, event_type="lead.conversion_undone").record


def _status_before(session: Session, data: Mapping[str, Any]) -> int:
    """The status that the lead had when it was converted, or one that means qualified when that was retired since."""
    before = session.get(LeadStatus, data.get("from_status") or 0)
    return (before or status_of(session, LeadKind.QUALIFIED)).id


def _grown(session: Session, actor: Actor, lead: Lead, made: list[tuple[str, int]]) -> list[str]:
    """What hangs on the records that a conversion made, besides one another and what came along from the lead: ``orders of the account``."""
    own = dict(made)
    found = []
    for key, record_id in made:
        for relation in relations(key).values():
            if relation.through is not None or relation.part:  # parts of a child that is looked at itself, or of the record alone
                continue
            table = entity(relation.child).table
            clause = table.c[relation.foreign_key] == record_id
            if "deleted_at" in table.c:
                clause = and_(clause, table.c.deleted_at.is_(None))
            if relation.child in own:
                clause = and_(clause, table.c.id != own[relation.child])
            if "lead_id" in table.c:
                clause = and_(clause, or_(table.c.lead_id.is_(None), table.c.lead_id != lead.id))
            if session.execute(pick(exists(pick(table.c.id).where(clause)))).scalar_one():
                words = label_of(relation.child, plural=True).lower() if actor.can(relation.child, Action.READ) else "other records"
                found.append(f"{words} of the {key}")
    return found


def _was_changed(session: Session, key: str, record_id: int) -> bool:
    log = session.exec(select(events.Event.type).where(events.Event.entity == key, events.Event.record_id == record_id))
    return any(found not in (f"{key}.created", f"{key}.created_anyway") for found in log)
