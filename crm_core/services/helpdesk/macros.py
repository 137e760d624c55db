"""Macros: several steps on a ticket with one click, for what comes again and again. Looked at before, taken back after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, or_, update
from sqlmodel import Session, select

from crm_core import db, events, lists, persons, records
from crm_core.access import Actor, require
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.fields import FieldSpec, parse_one, registry, to_json
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, clip
from crm_core.models import Macro, Organisation, Ticket, TicketMessage
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.services.helpdesk import answer_rules, answers, macro_work, slas, ticket_rules, tickets
from crm_core.vocabulary import Action, FieldKind, TicketKind, Visibility

FIELDS = {
    "first_name": "First name of the customer", "name": "Name of the customer", "company": "Their company", "number": "Number of the ticket",
    "subject": "Subject of the ticket", "agent": "Your name", "workspace": "Name of this workspace",
}  # fmt: skip
STEPS = {"answer": "Answer", "note": "Internal note", "status": "Status", "set": "Set a field", "task": "Task"}
ME = macro_work.ME
MAX_STEPS = 12
_STAYS = ("number", "status", "priority")
_MACROS: Any = Macro.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class MacroView:
    """A macro as lists show it. ``answer``: its words for the customer; ``mine``: whether the actor may change it."""

    id: int
    version: int
    name: str
    about: str
    shared: bool
    steps: tuple[Mapping[str, Any], ...]
    answer: str
    owner: str
    mine: bool
    used_count: int
    used_at: Any


def usable(session: Session, actor: Actor) -> list[MacroView]:
    """The macros that the actor may use: those of everybody, then their own, each in the order that somebody gave them."""
    require(actor, "ticket", Action.EDIT)
    clause = or_(_MACROS.c.visibility == Visibility.SHARED, _MACROS.c.owner_id == actor.user_id)
    own = case((_MACROS.c.visibility == Visibility.SHARED, 0), else_=1)
    rows = list(session.exec(select(Macro).where(clause).order_by(own, _MACROS.c.rank, alphabetical(Macro.name), _MACROS.c.id)))
    people = lists.titles(session, actor, "user", (row.owner_id for row in rows))
    return [_view(actor, row, people.get(row.owner_id or 0, "")) for row in rows]


def may_order(actor: Actor, *, shared: bool) -> bool:
    """Whether the actor may say in which order macros stand: everybody's for whoever runs the service team, their own for anybody."""
    return not shared or actor.is_system or actor.can("service_level", Action.MANAGE)


def move(session: Session, actor: Actor, macro_id: int, *, up: bool) -> None:
    """Show a macro before or after its neighbour: among those of everybody, or among the actor's own. At the end nothing changes."""
    row = get(session, actor, macro_id)
    shared = row.visibility is Visibility.SHARED
    if not may_order(actor, shared=shared):
        raise NotPermitted("The order of everybody’s macros is set by whoever runs the service team.")
    ids = [one.id for one in usable(session, actor) if one.shared is shared]
    at = ids.index(row.id)
    to = at - 1 if up else at + 1
    if not 0 <= to < len(ids):
        return
    ids[at], ids[to] = ids[to], ids[at]
    places = {key: place for place, key in enumerate(ids, start=1)}
    for key in sorted(ids):  # beside the mapper: who has a macro open to change its steps is not in the way
        session.execute(update(_MACROS).where(_MACROS.c.id == key, _MACROS.c.rank != places[key]).values(rank=places[key]))
    db.bump(session, _MACROS.name)


def _view(actor: Actor, row: Macro, owner: str) -> MacroView:
    words = "\n\n".join(str(step["text"]) for step in row.steps if step.get("do") == "answer")
    return MacroView(
        row.id, row.version, row.name, row.about, row.visibility is Visibility.SHARED, tuple(row.steps), words, owner, _may_change(actor, row),
        row.used_count, row.used_at,
    )  # fmt: skip


def _may_change(actor: Actor, row: Macro) -> bool:
    shared = row.visibility is Visibility.SHARED and actor.can("service_level", Action.MANAGE)
    return row.owner_id == actor.user_id or actor.is_system or shared


def get(session: Session, actor: Actor, macro_id: int) -> Macro:
    """The macro, or NotFound for one that is somebody else's own."""
    require(actor, "ticket", Action.EDIT)
    row = session.get(Macro, macro_id) if 0 < macro_id < 2**31 else None
    if row is None or (row.visibility is not Visibility.SHARED and row.owner_id != actor.user_id and not actor.is_system):
        raise NotFound("This macro does not exist, or is not shared with you.")
    return row


def settable(session: Session, actor: Actor) -> dict[str, FieldSpec]:
    """Fields of a ticket that a macro may set, custom ones too."""
    require(actor, "ticket", Action.EDIT)
    specs = registry(session, "ticket")
    linked = ("user", "team", "product")
    return {
        key: spec for key, spec in specs.items()
        if spec.editable and key not in (*_STAYS, "subject") and not actor.locked("ticket", key) and (spec.to is None or spec.to in linked)
    }  # fmt: skip


def save(
    session: Session, actor: Actor, macro_id: int | None, values: Mapping[str, Any], *, base_version: int | None = None
) -> Macro:
    """Create a macro or change it. ``values``: name, about, shared, steps. Its own fields and values are checked now, not when somebody uses it."""
    require(actor, "ticket", Action.EDIT)
    row = get(session, actor, macro_id) if macro_id else Macro(name="", owner_id=actor.user_id, rank=_last(session) + 1)
    if macro_id and not _may_change(actor, row):
        raise NotPermitted("Only its owner, or whoever runs the service team, can change a shared macro.")
    refuse_stale("this macro", row, base_version, lambda: _view(actor, row, ""))
    name = clip(clean(str(values.get("name", row.name))), 80)
    wrong = {} if name else {"name": "Give the macro a name."}
    steps = _checked(session, actor, values.get("steps", row.steps), wrong)
    if wrong:
        raise Invalid(fields=wrong)
    row.name, row.about, row.steps = name, clip(clean(str(values.get("about", row.about) or "")), 300), steps
    row.visibility = Visibility.SHARED if values.get("shared", row.visibility is Visibility.SHARED) else Visibility.PRIVATE
    session.add(row)
    session.flush()
    return row


def _last(session: Session) -> int:
    return int(session.execute(select(func.max(_MACROS.c.rank))).scalar() or 0)


def _checked(session: Session, actor: Actor, given: Sequence[Any], wrong: dict[str, str]) -> list[dict[str, Any]]:
    steps = [step for step in (_step(session, actor, one, wrong) for one in given) if step is not None]
    if not steps and not wrong:
        wrong["steps"] = "A macro needs a step."
    if len(steps) > MAX_STEPS:
        wrong["steps"] = f"A macro can have at most {MAX_STEPS} steps."
    for kind in ("answer", "status"):
        if sum(step["do"] == kind for step in steps) > 1:
            wrong["steps"] = f"One step “{STEPS[kind]}” is enough."
    return steps


def _step(session: Session, actor: Actor, given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, Any] | None:
    kind = str(given.get("do"))
    if kind in ("answer", "note"):
        text = clean(str(given.get("text") or ""))
        strange = [one for one in answer_rules.fields_of(text) if one not in FIELDS]
        if unread := answer_rules.unread(text):
            wrong[kind] = f"“{unread}” can't be read as a field. Write one like {{{{first_name}}}} or {{{{first_name|there}}}}."
        elif strange:
            wrong[kind] = f"There is no field “{strange[0]}”. There are: {', '.join(FIELDS)}."
        elif len(text) > 20_000:
            wrong[kind] = "These words are too long."
        return {"do": kind, "text": text} if text else None
    if kind == "status":
        if given.get("value") not in TicketKind.options() or given.get("value") == TicketKind.NEW:
            wrong[kind] = "Choose a status."
            return None
        return {"do": kind, "value": str(given["value"])}
    if kind == "task":
        return _task(session, actor, given, wrong)
    if kind == "set":
        return _setting(session, actor, given, wrong)
    wrong["steps"] = "This step is not known."
    return None


def _task(session: Session, actor: Actor, given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, Any] | None:
    subject = str(given.get("subject") or "")
    strange = [answer_rules.unread(subject), *(one for one in answer_rules.fields_of(subject) if one not in FIELDS)]
    if found := next((one for one in strange if one), ""):
        wrong["task"] = f"“{found}” is no field of a macro."
    return macro_work.checked(session, actor, given, wrong)


def _setting(session: Session, actor: Actor, given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, Any] | None:
    key = str(given.get("field"))
    spec = settable(session, actor).get(key)
    if spec is None:
        wrong["set"] = "Choose a field that a macro may set."
        return None
    value = given.get("value")
    if spec.to == "user" and value == ME:
        return {"do": "set", "field": key, "value": ME}
    try:
        parsed = parse_one("ticket", key, value) if not spec.custom else value
        records.check_references(session, actor, {key: spec}, {key: parsed})
    except Invalid as error:
        wrong["set"] = next(iter((error.fields or {}).values()), error.message)
        return None
    return {"do": "set", "field": key, "value": to_json(parsed)}


def remove(session: Session, actor: Actor, macro_id: int) -> None:
    """Remove a macro. What it did stays."""
    row = get(session, actor, macro_id)
    if not _may_change(actor, row):
        raise NotPermitted("Only its owner, or whoever runs the service team, can remove a shared macro.")
    session.delete(row)
    session.flush()


# --- look -------------------------------------------------------------------------------------------------------------------


def answer_for(session: Session, actor: Actor, macro_id: int, ticket_id: int) -> str:
    """The words of a macro for this customer, to be put into the box and changed there."""
    row = get(session, actor, macro_id)
    values = _values(session, actor, tickets.get(session, actor, ticket_id))
    return "\n\n".join(answer_rules.fill_lines(str(step["text"]), values) for step in row.steps if step["do"] == "answer")


def words_of(
    session: Session, actor: Actor, steps: Sequence[Mapping[str, Any]], ticket_id: int | None = None
) -> list[tuple[str, str]]:
    """The steps in words: (what, with which content), for one ticket with its fields put in."""
    require(actor, "ticket", Action.EDIT)
    specs = registry(session, "ticket")
    ticket = tickets.get(session, actor, ticket_id) if ticket_id is not None else None
    values = _values(session, actor, ticket) if ticket is not None else None
    return [
        (STEPS["task"], macro_work.words(session, actor, step, ticket, values)) if step["do"] == "task"
        else _words(session, actor, step, specs, values)
        for step in steps
    ]  # fmt: skip


def _words(
    session: Session, actor: Actor, step: Mapping[str, Any], specs: Mapping[str, FieldSpec], values: Mapping[str, str] | None
) -> tuple[str, str]:
    if step["do"] in ("answer", "note"):
        text = str(step["text"])
        return STEPS[step["do"]], answer_rules.fill_lines(text, values) if values is not None else text
    if step["do"] == "status":
        return "Status", TicketKind(step["value"]).label
    spec, value = specs.get(step["field"]), step["value"]
    if spec is None:
        return str(step["field"]), "This field does not exist any more"
    if value == ME and spec.to == "user":
        return spec.label, "Whoever uses the macro"
    if spec.to is not None and value is not None:
        return spec.label, lists.titles(session, actor, spec.to, [int(value)]).get(int(value), "–")
    if value is None:
        return spec.label, "emptied"
    shown = (spec.options or {}).get(value, value) if spec.kind in (FieldKind.CHOICE, FieldKind.PICK) else value
    return spec.label, ("yes" if shown else "no") if isinstance(shown, bool) else str(shown)


def _values(session: Session, actor: Actor, ticket: Ticket) -> dict[str, str]:
    """What stands for the fields: nothing for what the actor's role hides, so that the words for an empty field come instead."""
    organisation = session.exec(select(Organisation)).first()
    name = company = ""
    if ticket.contact_id and actor.can("contact", Action.READ) and not actor.masked("contact", "name"):
        name = lists.titles(session, actor, "contact", [ticket.contact_id]).get(ticket.contact_id, "")
    if ticket.account_id and actor.can("account", Action.READ) and not actor.masked("account", "name"):
        company = lists.titles(session, actor, "account", [ticket.account_id]).get(ticket.account_id, "")
    titles = ("dr", "prof", "mr", "mrs", "ms", "herr", "frau")
    first = next((part for part in name.split() if part.rstrip(".").lower() not in titles), "")
    number = "" if actor.masked("ticket", "number") else ticket.number
    told = persons.subjects(session, actor, "ticket", {ticket.id: ticket.subject})[ticket.id]
    subject = ticket.subject if told == ticket.subject else ""
    return {
        "first_name": first, "name": name, "company": company, "number": number, "subject": subject, "agent": actor.name,
        "workspace": organisation.name if organisation else "",
    }  # fmt: skip


# --- use --------------------------------------------------------------------------------------------------------------------


def use(session: Session, actor: Actor, macro_id: int, ticket_id: int, *, base_version: int | None = None) -> dict[str, Any]:
    """Do all steps of a macro on a ticket, or none; gives what undoes them. Events: those of the steps, ticket.macro_used."""
    macro = get(session, actor, macro_id)
    ticket = tickets.get(session, actor, ticket_id, action=Action.EDIT)
    ticket_rules.refuse_stale(ticket, base_version)
    values = _values(session, actor, ticket)
    patch: dict[str, Any] = {
        "id": ticket_id,
        "macro": macro.id,
        "name": macro.name,
        "before": _before(session, ticket, macro.steps),
        "messages": [],
        "tasks": [],
    }
    settings = {
        step["field"]: actor.user_id if step["value"] == ME else step["value"] for step in macro.steps if step["do"] == "set"
    }
    status = next((TicketKind(step["value"]) for step in macro.steps if step["do"] == "status"), None)
    for step in macro.steps:
        if step["do"] == "note":
            patch["messages"].append(
                tickets.reply(session, actor, ticket_id, answer_rules.fill_lines(step["text"], values), internal=True).id
            )
    if settings:
        tickets.update(session, actor, ticket_id, settings)
    patch["tasks"] = [macro_work.do(session, actor, step, ticket, values) for step in macro.steps if step["do"] == "task"]
    said = next((answer_rules.fill_lines(step["text"], values) for step in macro.steps if step["do"] == "answer"), "")
    if said:
        patch["messages"].append(_say(session, actor, ticket_id, said, status).id)
    elif status is not None:
        _enter(session, actor, ticket, status)
    events.record(session, actor, "ticket.macro_used", ticket, data={"macro": macro.name})
    _count(session, macro.id)
    session.flush()
    patch["version"] = ticket.version
    return patch


def _say(session: Session, actor: Actor, ticket_id: int, words: str, status: TicketKind | None) -> TicketMessage:
    envelope = answers.envelope(session, actor, ticket_id)
    if envelope.by_mail:
        return answers.send(session, actor, ticket_id, words, to=envelope.to, cc=envelope.cc, then=status)
    return tickets.reply(session, actor, ticket_id, words, then=status)


def _enter(session: Session, actor: Actor, ticket: Ticket, status: TicketKind) -> None:
    """A macro says what shall be; a ticket that is there already is no mistake."""
    if ticket.status is status:
        return
    if ticket.status in ticket_rules.DONE and status not in ticket_rules.DONE:
        tickets.reopen(session, actor, ticket.id)
    if ticket.status is not status:
        tickets.update(session, actor, ticket.id, {"status": status.value})


def _before(session: Session, ticket: Ticket, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    specs = registry(session, "ticket")
    touched = {step["field"] for step in steps if step["do"] == "set" and step["field"] in specs} | {"owner_id"}
    fixed = {key: getattr(ticket, key) for key in ("first_response_at", "solved_at", "closed_at")}
    return {
        "fields": {key: to_json(specs[key].value(ticket)) for key in sorted(touched)},
        "fixed": {
            "status": ticket.status.value,
            "reopened_count": ticket.reopened_count,
            **{key: to_json(value) for key, value in fixed.items()},
        },
    }


def _count(session: Session, macro_id: int) -> None:
    used = {"used_count": _MACROS.c.used_count + 1, "used_at": utcnow()}
    session.execute(update(_MACROS).where(_MACROS.c.id == macro_id).values(**used))
    db.bump(session, _MACROS.name)


def take_back(session: Session, actor: Actor, patch: Mapping[str, Any]) -> None:
    """Put a ticket back as it was before a macro; refused once an answer has left or somebody went on working. Events: ticket.macro_undone."""
    from datetime import datetime

    ticket = tickets.get(session, actor, int(patch["id"]), action=Action.EDIT)
    if ticket.version != patch["version"]:
        raise Conflict("Somebody worked on this ticket since.")
    for message_id in patch["messages"]:
        message = session.get(TicketMessage, int(message_id))
        if message is None:
            continue
        if (message.mail or {}).get("deliveries"):
            answers.take_back(session, actor, ticket.id, message.id)
        else:
            session.delete(message)
    macro_work.take_back(session, actor, patch.get("tasks") or ())
    session.flush()
    fixed = dict(patch["before"]["fixed"])
    fixed["status"] = TicketKind(fixed["status"])
    for key in ("first_response_at", "solved_at", "closed_at"):
        fixed[key] = datetime.fromisoformat(fixed[key]) if fixed[key] else None
    specs = registry(session, "ticket")
    fields = {key: value for key, value in patch["before"]["fields"].items() if key in specs}
    records.update(session, actor, "ticket", ticket.id, fields, fixed=fixed, prepare=_weigh)
    events.record(session, actor, "ticket.macro_undone", ticket, data={"macro": patch["name"]})
    slas.sync(session, ticket)


def _weigh(_session: Session, _actor: Actor, ticket: Ticket, _old: Mapping[str, Any]) -> None:
    ticket.priority = ticket_rules.priority_of(ticket.impact, ticket.urgency)
