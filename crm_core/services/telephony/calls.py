"""Calls that come in: each report of the telephone provider moves the call one step, is written down, and is answered with what to do next.

Where a call stands is kept here and not in the address. A report that comes twice (the provider repeats itself) gets the same answer again and
changes nothing, and everything that follows from a call has the call as its key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, or_, select

from crm_core.access import Actor, require, system, visible
from crm_core.entities import entity
from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.fields import registry
from crm_core.kit import sealed
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, clip, phone_key
from crm_core.models import Activity, Contact, ContactPoint, MatchKey, VoiceCall, VoiceMenu
from crm_core.services.collaboration import activities, tasks
from crm_core.services.helpdesk import tickets
from crm_core.services.helpdesk.calendars import calendar_of
from crm_core.services.telephony import flow_rules, menus, signature_rules, twiml_rules
from crm_core.services.telephony.flow_rules import Turn
from crm_core.vocabulary import Action, ActivityKind, CallEnd, CallOutcome, NodeKind, PointKind, Priority, Via

_SID = re.compile(r"^[A-Za-z0-9]{2,64}$")
_OVER = ("completed", "busy", "failed", "no-answer", "canceled")
MAX_HEARD = 20


@dataclass(frozen=True)
class Report:
    """One request of the provider. ``url``: the whole address as it was called; ``event`` and ``turn`` from the address."""

    url: str
    fields: Mapping[str, str]
    signature: str
    address: str
    event: str = ""
    turn: str = ""


def handle(session: Session, key: str, report: Report) -> str:
    """TwiML for a report. Raises NotFound for an unknown menu, NotPermitted for a wrong signature, Invalid for what is no call."""
    menu = session.exec(select(VoiceMenu).where(VoiceMenu.key == key)).first()
    if menu is None or not menu.is_active:
        raise NotFound("There is no telephone menu at this address.")
    token = sealed.unseal(menus.SEAL, menu.token_sealed) or ""
    if not signature_rules.is_signed(token, report.url, report.fields, report.signature):
        raise NotPermitted("The signature is missing or wrong.")
    if not menu.published_no:
        return twiml_rules.bye("This number is not in use yet. Goodbye.", menu.language)
    sid = report.fields.get("CallSid", "")
    if not _SID.match(sid):
        raise Invalid("This is no call.")
    query = select(VoiceCall).where(VoiceCall.menu_id == menu.id, VoiceCall.call_sid == sid).with_for_update()
    call = session.exec(query).first()
    if report.event == "status":
        if call is not None:
            _finish(session, call, report.fields)
        return twiml_rules.bye("", menu.language)
    return _begin(session, menu, sid, report) if call is None else _go_on(session, menu, call, report)


def _begin(session: Session, menu: VoiceMenu, sid: str, report: Report) -> str:
    caller = clip(clean(report.fields.get("From", "")), 40)
    contact = contact_of(session, caller)
    call = VoiceCall(
        menu_id=menu.id, version_no=menu.published_no, call_sid=sid, caller=caller, caller_key=phone_key(caller)[:40] if caller else "",
        contact_id=contact.id if contact else None, owner_id=(contact.owner_id if contact else None) or menu.owner_id, started_at=utcnow(),
    )  # fmt: skip
    session.add(call)
    session.flush()
    if contact is not None:
        logged = activities.log(
            session, system(Via.PHONE), "contact", contact.id, kind=ActivityKind.CALL, subject=f"Incoming call: {menu.name}", text="",
            submit_key=f"voice-call-{call.id}",
        )  # fmt: skip
        logged.owner_id = call.owner_id
        session.add(logged)
        call.activity_id = logged.id
    flow = _flow(session, call)
    return _take(session, menu, call, flow, flow_rules.begin(flow, is_open=_open(session, menu)), report, heard="")


def _go_on(session: Session, menu: VoiceMenu, call: VoiceCall, report: Report) -> str:
    flow = _flow(session, call)
    if report.event == "" or report.turn != str(call.turn) or call.ended_at is not None:
        return _again(menu, call, flow, report)
    node = flow_rules.node_of(flow, call.node)
    heard = clip(clean(report.fields.get("Digits", "")), MAX_HEARD)
    if report.event == "key" and flow_rules.kind_of(node) in flow_rules.LISTENS:
        turn = flow_rules.press(flow, call.node, call.tries, heard, is_open=_open(session, menu))
        return _take(session, menu, call, flow, turn, report, heard=heard)
    if report.event == "dial" and flow_rules.kind_of(node) is NodeKind.QUEUE:
        if report.fields.get("DialCallStatus") == "completed" or report.fields.get("QueueResult") in ("bridged", "redirected"):
            return twiml_rules.bye("Goodbye.", menu.language)
        turn = flow_rules.unanswered(flow, call.node, is_open=_open(session, menu))
        return _take(session, menu, call, flow, turn, report, heard="nobody free")
    if report.event == "voice" and flow_rules.kind_of(node) is NodeKind.VOICEMAIL:
        _keep_voice(session, menu, call, report.fields)
        return twiml_rules.bye("Thank you. We will get back to you. Goodbye.", menu.language)
    return _again(menu, call, flow, report)


def _again(menu: VoiceMenu, call: VoiceCall, flow: Mapping[str, Any], report: Report) -> str:
    """The same answer as before: the provider asked twice."""
    node = flow_rules.node_of(flow, call.node)
    waits = flow_rules.kind_of(node) in flow_rules.LISTENS and call.outcome is None
    turn = Turn(flow_rules.says(node), (), call.node, call.tries, waits, None if waits else call.outcome)
    return _answer(menu, call, node, turn, report)


def _take(
    session: Session, menu: VoiceMenu, call: VoiceCall, flow: Mapping[str, Any], turn: Turn, report: Report, *, heard: str
) -> str:
    """Note the steps, move on, and do what the end of the menu asks for."""
    now = utcnow()
    passed = turn.passed or ((call.node,) if heard or call.steps else ())
    new = [
        {
            "node": key,
            "title": flow_rules.node_of(flow, key).get("title") or "",
            "heard": heard if n == 0 else "",
            "at": now.isoformat(),
        }
        for n, key in enumerate(passed)
    ]
    call.steps = [*call.steps, *new][: 2 * flow_rules.MAX_STEPS]
    call.node, call.tries, call.turn, call.outcome = turn.node, turn.tries, call.turn + 1, turn.end
    session.add(call)
    session.flush()
    node = flow_rules.node_of(flow, turn.node)
    if turn.end is CallEnd.CALLBACK:
        _call_back(session, menu, call)
    elif turn.end is CallEnd.QUEUED and turn.passed and flow_rules.kind_of(node) is NodeKind.QUEUE:
        _open_ticket(
            session,
            menu,
            call,
            node,
            f"Call: {node.get('title') or 'waiting'}",
            f"{_who(session, call)} was put through: {_path(call)}",
        )
    return _answer(menu, call, node, turn, report)


def _answer(menu: VoiceMenu, call: VoiceCall, node: Mapping[str, Any], turn: Turn, report: Report) -> str:
    return twiml_rules.answer(
        turn, kind=flow_rules.kind_of(node), language=menu.language, address=report.address, no=call.turn, phone=str(node.get("phone") or ""),
        queue=str(node.get("skill") or node.get("title") or menu.name),
    )  # fmt: skip


def _finish(session: Session, call: VoiceCall, fields: Mapping[str, str]) -> None:
    """The call is over: how long it took, and what became of it, on the contact too. Twice is the same as once."""
    if call.ended_at is not None or fields.get("CallStatus") not in _OVER:
        return
    call.ended_at, call.outcome = utcnow(), call.outcome or _hung_up_at(session, call)
    given = fields.get("CallDuration", "")
    measured = int((call.ended_at - call.started_at).total_seconds())
    call.seconds = int(given) if given.isascii() and given.isdecimal() and len(given) < 7 else max(0, measured)
    session.add(call)
    activity = session.get(Activity, call.activity_id) if call.activity_id else None
    if activity is not None:
        activity.minutes, activity.body = min(1_440, -(-call.seconds // 60)), f"{call.outcome.label}. {_path(call)}"
        activity.outcome = CallOutcome.CALL_BACK if call.outcome is CallEnd.CALLBACK else CallOutcome.REACHED
        session.add(activity)


def _hung_up_at(session: Session, call: VoiceCall) -> CallEnd:
    """Who hangs up after an article was asked to do so when it helped."""
    node = flow_rules.node_of(_flow(session, call), call.node)
    return CallEnd.INFORMED if flow_rules.kind_of(node) is NodeKind.ARTICLE else CallEnd.ABANDONED


def _call_back(session: Session, menu: VoiceMenu, call: VoiceCall) -> None:
    links = {"contact_id": call.contact_id} if call.contact_id else {}
    values = {
        "subject": f"Call back {_who(session, call)}", "body": f"Asked for it in “{menu.name}”: {_path(call)}\nNumber: {call.caller}",
        "priority": Priority.HIGH.value, "due_at": calendar_of(session, menu.calendar_id).next_open(utcnow()), "owner_id": call.owner_id, **links,
    }  # fmt: skip
    call.task_id = tasks.create(session, system(Via.PHONE), values, submit_key=f"voice-callback-{call.id}").id
    session.add(call)


def _keep_voice(session: Session, menu: VoiceMenu, call: VoiceCall, fields: Mapping[str, str]) -> None:
    link = clean(fields.get("RecordingUrl", ""))
    call.recording_url = link[:500] if link.startswith("https://") and not re.search(r"[\s<>\"']", link) else ""
    node = flow_rules.node_of(_flow(session, call), call.node)
    length = fields.get("RecordingDuration", "")[:6]
    text = f"{_who(session, call)} left a message{f' of {length} seconds' if length.isdecimal() else ''}.\n{call.recording_url}"
    _open_ticket(session, menu, call, node, "Message on the phone", text)
    call.turn += 1
    session.add(call)


def _open_ticket(session: Session, menu: VoiceMenu, call: VoiceCall, node: Mapping[str, Any], subject: str, text: str) -> None:
    """One ticket per call; a message left after waiting in vain is added to it."""
    if call.ticket_id is not None:
        tickets.receive(session, system(Via.PHONE), call.ticket_id, text, submit_key=f"voice-{call.id}-{call.turn}")
        return
    options = (registry(session, "ticket")["category"].options or {}).values()
    values = {"subject": subject, "team_id": menu.team_id, "contact_id": call.contact_id, "owner_id": None}
    if node.get("skill") in options:
        values["category"] = node["skill"]
    call.ticket_id = tickets.create(
        session, system(Via.PHONE), values, message=text, submit_key=f"voice-ticket-{call.id}", author_name=call.caller or "Caller"
    ).id
    session.add(call)
    session.flush()


def _who(session: Session, call: VoiceCall) -> str:
    contact = session.get(Contact, call.contact_id) if call.contact_id else None
    return contact.name if contact else call.caller or "a caller without a number"


def _path(call: VoiceCall) -> str:
    return " → ".join(f"{step['title']}{' [' + step['heard'] + ']' if step['heard'] else ''}" for step in call.steps)


def _flow(session: Session, call: VoiceCall) -> Mapping[str, Any]:
    """The version on which the call began, with what its articles say now."""
    menu = session.get_one(VoiceMenu, call.menu_id)
    return menus.spoken(session, menus.version(session, menu.id, call.version_no) or {}, menu.language)


def _open(session: Session, menu: VoiceMenu) -> bool:
    return calendar_of(session, menu.calendar_id).is_open(utcnow())


def contact_of(session: Session, caller: str) -> Contact | None:
    """Whose number it is; None when it is nobody's or that of several people."""
    key = phone_key(caller) if caller else ""
    digits = "".join(c for c in key if c.isdigit())
    if len(digits) < 6:
        return None
    points = select(ContactPoint.contact_id).where(ContactPoint.kind == PointKind.PHONE, ContactPoint.value_key == key)
    near = select(MatchKey.record_id).where(MatchKey.entity == "contact", MatchKey.kind == "phone", MatchKey.key == digits[-8:])
    query = (
        select(Contact)
        .where(or_(col(Contact.id).in_(points), col(Contact.id).in_(near)), col(Contact.deleted_at).is_(None))
        .limit(20)
    )
    listed = set(session.exec(points))
    found = [one for one in session.exec(query) if one.id in listed or phone_key(one.phone or "") == key]
    return found[0] if len(found) == 1 else None


# --- the log ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CallRow:
    """A call as the log shows it. Number and name are left out where the reader may not see the contact or its phone."""

    id: int
    at: datetime
    who: str
    contact_id: int | None
    outcome: CallEnd | None
    seconds: int | None
    path: str
    ticket_id: int | None
    task_id: int | None


def find(
    session: Session,
    actor: Actor,
    *,
    menu_id: int | None = None,
    outcome: CallEnd | None = None,
    q: str = "",
    page: int = 1,
    size: int = 20,
) -> tuple[list[CallRow], int]:
    """One page of the log of calls, the latest first. ``q``: part of a number."""
    require(actor, "telephony", Action.READ)
    where: list[Any] = [*([VoiceCall.menu_id == menu_id] if menu_id else []), *([VoiceCall.outcome == outcome] if outcome else [])]
    digits = "".join(c for c in q if c.isdigit())
    if digits and not actor.masked("contact", "phone"):
        where.append(col(VoiceCall.caller_key).contains(digits))
    total = int(session.exec(select(func.count()).select_from(VoiceCall).where(*where)).one())
    rows = list(
        session.exec(
            select(VoiceCall)
            .where(*where)
            .order_by(col(VoiceCall.started_at).desc(), col(VoiceCall.id).desc())
            .limit(size)
            .offset((max(page, 1) - 1) * size)
        )
    )
    table = entity("contact").table
    ids = {row.contact_id for row in rows if row.contact_id}
    names: dict[int, str] = {}
    if ids and actor.can("contact", Action.READ) and not actor.masked("contact", "name"):
        seen = session.exec(select(Contact.id, Contact.name).where(col(Contact.id).in_(ids), visible(actor, "contact", table)))
        names = {int(key): name for key, name in seen}
    return [_call_row(actor, row, names) for row in rows], total


def _call_row(actor: Actor, row: VoiceCall, names: Mapping[int, str]) -> CallRow:
    shown = not actor.masked("contact", "phone") and (row.contact_id is None or row.contact_id in names)
    who = names.get(row.contact_id or 0) or (row.caller if shown else "") or "Hidden caller"
    return CallRow(
        row.id,
        row.started_at,
        who,
        row.contact_id if row.contact_id in names else None,
        row.outcome,
        row.seconds,
        _path(row),
        row.ticket_id,
        row.task_id,
    )
