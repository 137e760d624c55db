"""Public lead forms: what they ask, what every lead of them gets, who may show them, and what came through them."""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from crm_core import events
from crm_core.access import Actor, require, system, visible
from crm_core.entities import entity
from crm_core.errors import Invalid, NotFound
from crm_core.fields import FieldSpec, parse_all, registry
from crm_core.kit.text import clean, clip, fold
from crm_core.models import FormSubmission, LeadForm, User
from crm_core.ordering import alphabetical
from crm_core.records import check_references, refuse_stale
from crm_core.vocabulary import Action, FieldKind, SubmissionState, Via

OFFERED = ("name", "company", "job_title", "email", "phone", "website", "city", "country", "description")
DEFAULTS = ("source", "campaign_id", "owner_id")
_KINDS = (FieldKind.TEXT, FieldKind.LONG_TEXT, FieldKind.EMAIL, FieldKind.PHONE, FieldKind.URL, FieldKind.CHOICE, FieldKind.INTEGER)
_HOST = re.compile(r"^(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+(:\d{1,5})?$")
MAX_FIELDS = 15


@dataclass(frozen=True)
class FormRow:
    """A form with what came of it: ``sent`` without spam and doubles, ``leads`` new ones."""

    form: LeadForm
    sent: int
    leads: int
    waiting: int


@dataclass(frozen=True)
class Sending:
    """One sending as the log shows it."""

    id: int
    at: datetime
    state: SubmissionState
    who: str
    lead_id: int | None
    message: str
    via: Via


def find(session: Session, actor: Actor) -> list[FormRow]:
    """All forms by name."""
    require(actor, "lead_form", Action.READ)
    counts: dict[int, dict[SubmissionState, int]] = {}
    query = select(FormSubmission.form_id, FormSubmission.state, func.count()).group_by(
        col(FormSubmission.form_id), col(FormSubmission.state)
    )
    for form_id, state, n in session.exec(query):
        counts.setdefault(form_id, {})[SubmissionState(state)] = n
    rows = session.exec(select(LeadForm).order_by(alphabetical(LeadForm.name)))
    return [_row(form, counts.get(form.id or 0, {})) for form in rows]


def _row(form: LeadForm, counts: Mapping[SubmissionState, int]) -> FormRow:
    new, failed = counts.get(SubmissionState.LEAD, 0), counts.get(SubmissionState.FAILED, 0)
    return FormRow(form, new + counts.get(SubmissionState.KNOWN, 0) + failed, new, failed)


def offered(session: Session, actor: Actor) -> dict[str, FieldSpec]:
    """Fields of a lead that a form may ask: its contact facts and the custom ones."""
    require(actor, "lead_form", Action.READ)
    specs = registry(session, "lead")
    own = {key: spec for key, spec in specs.items() if spec.custom and spec.kind in _KINDS and spec.to is None}
    return {**{key: specs[key] for key in OFFERED}, **own}


def save(
    session: Session, actor: Actor, form_id: int | None, values: Mapping[str, Any], *, base_version: int | None = None
) -> LeadForm:
    """Create a form or change it. ``values``: name, title, intro, thanks, fields, defaults, ask_consent, confirm_by_mail, asks_price, embed_hosts, is_active.

    Publishing is refused while a field that leads must have is neither asked nor given. Events: lead_form.saved.
    """
    require(actor, "lead_form", Action.MANAGE)
    form = _get(session, form_id) if form_id else LeadForm(name="", slug="")
    refuse_stale("this form", form, base_version)
    given = {**form.model_dump(), **values}
    made = _checked(session, actor, given, form.id)
    for key, value in made.items():
        setattr(form, key, value)
    form.slug = form.slug or _slug(session, form.name)
    session.add(form)
    session.flush()
    events.record(session, actor, "lead_form.saved", entity="lead_form", record_id=form.id, data={"name": form.name})
    return form


def remove(session: Session, actor: Actor, form_id: int) -> None:
    """Delete a form with its log; the leads stay. Events: lead_form.removed."""
    require(actor, "lead_form", Action.MANAGE)
    form = _get(session, form_id)
    session.delete(form)
    session.flush()
    events.record(session, actor, "lead_form.removed", entity="lead_form", record_id=form_id, data={"name": form.name})


def new_key(session: Session, actor: Actor, form_id: int) -> str:
    """A key with which programs send leads; shown once, the one before stops working. Events: lead_form.key_made."""
    require(actor, "lead_form", Action.MANAGE)
    form, key = _get(session, form_id), secrets.token_urlsafe(24)
    form.key_sha256 = hashlib.sha256(key.encode()).hexdigest()
    session.add(form)
    session.flush()
    events.record(session, actor, "lead_form.key_made", entity="lead_form", record_id=form.id, data={"name": form.name})
    return key


def sendings(
    session: Session, actor: Actor, form_id: int, *, state: SubmissionState | None = None, page: int = 1, size: int = 20
) -> tuple[list[Sending], int]:
    """What came through a form, the latest first. Names and addresses only where the actor may see the lead and its fields."""
    require(actor, "lead_form", Action.READ)
    form = _get(session, form_id)
    where = [FormSubmission.form_id == form.id, *([FormSubmission.state == state] if state else [])]
    total = session.exec(select(func.count()).select_from(FormSubmission).where(*where)).one()
    query = select(FormSubmission).where(*where).order_by(col(FormSubmission.id).desc())
    rows = list(session.exec(query.limit(size).offset((max(page, 1) - 1) * size)))
    lead = entity("lead").table
    ids = {row.lead_id for row in rows if row.lead_id}
    seen = (
        set(session.execute(select(lead.c.id).where(lead.c.id.in_(ids), visible(actor, "lead", lead))).scalars()) if ids else set()
    )
    return [_sending(actor, row, seen) for row in rows], int(total)


def _sending(actor: Actor, row: FormSubmission, seen: set[int]) -> Sending:
    shown = row.lead_id in seen or (row.lead_id is None and actor.can("lead_form", Action.MANAGE))
    parts = [str(row.payload.get(key) or "") for key in ("name", "email") if not actor.masked("lead", key)]
    who = ", ".join(part for part in parts if part) if shown else ""
    return Sending(
        row.id,
        row.created_at,
        row.state,
        clip(who, 120) or "Hidden person",
        row.lead_id if row.lead_id in seen else None,
        row.message,
        row.via,
    )


def _get(session: Session, form_id: int) -> LeadForm:
    form = session.get(LeadForm, form_id)
    if form is None:
        raise NotFound("This form no longer exists.")
    return form


# --- checks -----------------------------------------------------------------------------------------------------------------


def _checked(session: Session, actor: Actor, given: Mapping[str, Any], own_id: int | None) -> dict[str, Any]:
    wrong: dict[str, str] = {}
    name = clean(str(given.get("name") or ""))[:80]
    if not name:
        wrong["name"] = "Give the form a name."
    elif any(form.id != own_id and fold(form.name) == fold(name) for form in session.exec(select(LeadForm))):
        wrong["name"] = f"There is a form called “{name}” already."
    fields = _fields(session, actor, given.get("fields") or (), wrong)
    hosts = _hosts(given.get("embed_hosts") or (), wrong)
    defaults = _defaults(session, given.get("defaults") or {}, wrong)
    if given.get("is_active", True) and not any(field["key"] == "name" for field in fields):
        wrong.setdefault("fields", "A lead needs a name: ask for it.")
    if given.get("is_active", True) and (missing := _missing(session, fields)):
        wrong.setdefault("fields", f"A lead needs {' and '.join(missing)}: ask for it, or let the field be empty.")
    if given.get("ask_consent") and not any(field["key"] == "email" for field in fields):
        wrong["ask_consent"] = "To ask for consent, ask for the e-mail address too."
    if wrong:
        raise Invalid(fields=wrong)
    texts = {key: clean(str(given.get(key) or ""))[:limit] for key, limit in (("title", 200), ("intro", 1000), ("thanks", 1000))}
    switches = {key: bool(given.get(key)) for key in ("ask_consent", "confirm_by_mail", "asks_price", "is_active")}
    return {"name": name, "fields": fields, "embed_hosts": hosts, "defaults": defaults, **texts, **switches}


def needed(spec: FieldSpec) -> bool:
    """No lead is made without it, and nothing but the form says what it is."""
    return spec.required and spec.editable and spec.custom and spec.default in (None, "")


def _missing(session: Session, fields: Sequence[Mapping[str, Any]]) -> list[str]:
    """What leads must have and the form does not ask: each of its sendings would fail."""
    asked = {field["key"] for field in fields}
    return [f"“{spec.label}”" for key, spec in registry(session, "lead").items() if needed(spec) and key not in asked]


def _fields(session: Session, actor: Actor, rows: Sequence[Mapping[str, Any]], wrong: dict[str, str]) -> list[dict[str, Any]]:
    known = offered(session, actor)
    found: list[dict[str, Any]] = []
    for row in rows:
        key = str(row.get("key") or "")
        if key not in known or any(field["key"] == key for field in found):
            wrong["fields"] = "Ask for each field once, and only for fields of leads."
            continue
        found.append(
            {
                "key": key,
                "label": clean(str(row.get("label") or ""))[:80],
                "required": bool(row.get("required")) or key == "name" or needed(known[key]),
            }
        )
    if len(found) > MAX_FIELDS:
        wrong["fields"] = f"A form with more than {MAX_FIELDS} fields is filled in by nobody."
    return found


def _hosts(rows: Sequence[Any], wrong: dict[str, str]) -> list[str]:
    hosts: list[str] = []
    for row in rows:
        host = clean(str(row)).lower().removeprefix("https://").removeprefix("http://").strip("/")
        if host and not _HOST.match(host):
            wrong["embed_hosts"] = f"“{clip(host, 60)}” is not the name of a site. Write www.example.com."
        if host:
            hosts.append(host)
    return list(dict.fromkeys(hosts))[:20]


def _defaults(session: Session, given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, Any]:
    chosen = {key: given[key] for key in DEFAULTS if given.get(key) not in (None, "")}
    owner = session.get(User, chosen["owner_id"]) if "owner_id" in chosen else None
    if "owner_id" in chosen and (owner is None or not owner.is_active):
        wrong["owner_id"] = "Choose somebody who is active."
        return chosen
    specs = registry(session, "lead")
    try:
        check_references(session, system(), specs, parse_all({key: specs[key] for key in chosen}, chosen, partial=True))
    except Invalid as error:
        wrong.update(error.fields or {"defaults": error.message})
    return chosen


def _slug(session: Session, name: str) -> str:
    base = re.sub(r"[^a-z0-9]+", "-", fold(name)).strip("-")[:40] or "form"
    taken = set(session.exec(select(LeadForm.slug)))
    while (made := f"{base}-{secrets.token_hex(3)}") in taken:
        continue
    return made
