"""Telephone menus: a draft that people edit, versions that callers hear."""

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from crm_core import events
from crm_core.access import Actor, require
from crm_core.errors import Invalid, NotFound
from crm_core.kit import sealed
from crm_core.kit.text import clean, fold, phone_key
from crm_core.models import ServiceCalendar, Team, User, VoiceCall, VoiceMenu, VoiceVersion
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.services.helpdesk import article_finding
from crm_core.services.helpdesk.calendars import calendar_of
from crm_core.services.telephony import flow_rules
from crm_core.vocabulary import Action, NodeKind

SEAL = "telephony-token"
_ID = re.compile(r"^[a-z0-9_]{1,20}$")
_LANGUAGE = re.compile(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,4})?$")
START: dict[str, Any] = {
    "start": "hours",
    "nodes": {
        "hours": {"kind": "hours", "title": "Opening hours", "prompt": "", "open": "main", "closed": "message"},
        "main": {
            "kind": "menu", "title": "Main menu", "prompt": "Hello. For help with a product, press 1. For an invoice, press 2. To be called back, press 3.",
            "keys": {"1": "help", "2": "billing", "3": "back"}, "otherwise": "back",
        },
        "help": {"kind": "queue", "title": "Product help", "prompt": "One moment please, we put you through.", "skill": "", "phone": "", "next": "message"},
        "billing": {"kind": "queue", "title": "Invoices", "prompt": "One moment please, we put you through.", "skill": "", "phone": "", "next": "message"},
        "back": {"kind": "callback", "title": "Call back", "prompt": "Thank you. We call you back on the number that you are calling from."},
        "message": {"kind": "voicemail", "title": "Leave a message", "prompt": "Nobody can take your call right now. Please leave a message after the tone."},
    },
}  # fmt: skip
"""What a new menu begins with."""


@dataclass(frozen=True)
class VersionRow:
    """A published version: when and by whom it was put to use, and how many calls it took."""

    no: int
    at: datetime
    by: str
    calls: int
    flow: Mapping[str, Any]


@dataclass(frozen=True)
class MenuRow:
    """A menu with how many calls it took. The token is never in it: only whether there is one."""

    menu: VoiceMenu
    calls: int
    has_token: bool
    problems: tuple[str, ...]
    changed: bool
    hints: tuple[str, ...] = ()


def find(session: Session, actor: Actor) -> list[MenuRow]:
    """All menus by name."""
    require(actor, "telephony", Action.READ)
    calls = {int(key): int(n) for key, n in session.exec(select(VoiceCall.menu_id, func.count()).group_by(col(VoiceCall.menu_id)))}
    return [
        _row(session, actor, menu, calls.get(menu.id, 0))
        for menu in session.exec(select(VoiceMenu).order_by(alphabetical(VoiceMenu.name)))
    ]


def _row(session: Session, actor: Actor, menu: VoiceMenu, calls: int) -> MenuRow:
    published = version(session, menu.id, menu.published_no)
    found = problems(session, menu, menu.flow)
    if published is not None and published != menu.flow:
        found += [f"Callers hear it at this moment: {words}" for words in _unavailable(session, menu, published)]
    return MenuRow(menu, calls, bool(menu.token_sealed), tuple(found), published != menu.flow, tuple(_hints(session, actor, menu)))


def problems(session: Session, menu: VoiceMenu, flow: Mapping[str, Any]) -> list[str]:
    """Everything that keeps a flow from being put to use, what became of its articles included. For the functions around it, which ask."""
    return flow_rules.problems(spoken(session, flow, menu.language))


def _unavailable(session: Session, menu: VoiceMenu, flow: Mapping[str, Any]) -> list[str]:
    nodes = spoken(session, flow, menu.language)["nodes"].values()
    return [
        f"“{node.get('title') or 'A step'}” reads an article that is not published any more, so they go to whoever key {flow_rules.AGENT} leads to."
        for node in nodes
        if flow_rules.kind_of(node) is NodeKind.ARTICLE and not node.get("answer")
    ]


def _hints(session: Session, actor: Actor, menu: VoiceMenu) -> Iterator[str]:
    """What works but may sound wrong: an article in another language than the voice's."""
    known = article_finding.spoken(session, flow_rules.articles_in(menu.flow), actor)
    for article in known.values():
        if article.language.value != menu.language[:2].lower():
            yield f"“{article.title}” is written in {article.language.label}, and the voice of this menu speaks {menu.language}."


def spoken(session: Session, flow: Mapping[str, Any], language: str, reader: Actor | None = None) -> dict[str, Any]:
    """A flow with what its articles say at this moment, as far as ``reader`` may read it. For the functions around it, which ask."""
    words = {key: one.words for key, one in article_finding.spoken(session, flow_rules.articles_in(flow), reader).items()}
    return flow_rules.spoken(flow, words, language)


def heard(session: Session, actor: Actor, menu_id: int) -> dict[str, Any]:
    """A menu's draft as callers would hear it now, to be tried."""
    menu = get(session, actor, menu_id)
    return spoken(session, menu.flow, menu.language, actor)


def titles(session: Session, actor: Actor, flows: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """The titles of the articles that these flows read, as far as they are published now."""
    require(actor, "telephony", Action.READ)
    ids = [one for flow in flows for one in flow_rules.articles_in(flow)]
    return {key: one.title for key, one in article_finding.spoken(session, ids, actor).items()}


def wrong(session: Session, actor: Actor, menu_id: int) -> list[str]:
    """Everything that keeps the draft of a menu from being put to use."""
    menu = get(session, actor, menu_id)
    return problems(session, menu, menu.flow)


def reading(session: Session, actor: Actor, article_id: int) -> list[str]:
    """The names of the menus that read an article aloud to callers; nothing for somebody who may not see menus."""
    if not actor.can("telephony", Action.READ):
        return []
    found = []
    for menu in session.exec(select(VoiceMenu).order_by(alphabetical(VoiceMenu.name))):
        published = version(session, menu.id, menu.published_no) or {}
        if article_id in {*flow_rules.articles_in(published), *flow_rules.articles_in(menu.flow)}:
            found.append(menu.name)
    return found


def get(session: Session, actor: Actor, menu_id: int | None) -> VoiceMenu:
    """The menu, or NotFound."""
    require(actor, "telephony", Action.READ)
    return known(session, menu_id)


def known(session: Session, menu_id: int | None) -> VoiceMenu:
    """The menu, or NotFound; for the functions around it, which ask."""
    found = session.get(VoiceMenu, menu_id) if isinstance(menu_id, int) and 0 < menu_id < 2**31 else None
    if found is None:
        raise NotFound("This telephone menu no longer exists.")
    return found


def version(session: Session, menu_id: int, no: int) -> dict[str, Any] | None:
    """The flow of a version; None when there is none. For the functions around it, which ask."""
    found = session.exec(select(VoiceVersion.flow).where(VoiceVersion.menu_id == menu_id, VoiceVersion.no == no)).first()
    return None if found is None else dict(found)


def versions(session: Session, actor: Actor, menu_id: int) -> list[VersionRow]:
    """What callers heard and hear, the latest first."""
    menu = get(session, actor, menu_id)
    calls = dict(
        session.exec(
            select(VoiceCall.version_no, func.count()).where(VoiceCall.menu_id == menu.id).group_by(col(VoiceCall.version_no))
        ).all()
    )
    query = (
        select(VoiceVersion, User.name)
        .join(User, col(User.id) == VoiceVersion.by_id, isouter=True)
        .where(VoiceVersion.menu_id == menu.id)
        .order_by(col(VoiceVersion.no).desc())
    )
    return [VersionRow(row.no, row.created_at, name or "", calls.get(row.no, 0), row.flow) for row, name in session.exec(query)]


def bring_back(session: Session, actor: Actor, menu_id: int, no: int, *, base_version: int | None = None) -> VoiceMenu:
    """Make the steps of an earlier version the draft again; callers hear them once they are put to use. Events: voice_menu.saved."""
    require(actor, "telephony", Action.MANAGE)
    flow = version(session, known(session, menu_id).id, no)
    if flow is None:
        raise NotFound("This version no longer exists.")
    return save(session, actor, menu_id, {"flow": flow}, base_version=base_version)


def opening(session: Session, actor: Actor, menu_id: int, at: datetime) -> tuple[bool, str]:
    """Whether the hours of a menu are open at an instant, and what those hours are called ("" for always)."""
    menu = get(session, actor, menu_id)
    hours = session.get(ServiceCalendar, menu.calendar_id) if menu.calendar_id is not None else None
    return calendar_of(session, menu.calendar_id).is_open(at), hours.name if hours is not None else ""


def save(
    session: Session, actor: Actor, menu_id: int | None, values: Mapping[str, Any], *, base_version: int | None = None
) -> VoiceMenu:
    """Create a menu or change it; callers hear it only once it is published. ``values``: name, number, language, calendar_id, team_id, owner_id,
    flow, is_active, token (kept sealed; empty keeps the one before). Events: voice_menu.saved."""
    require(actor, "telephony", Action.MANAGE)
    menu = known(session, menu_id) if menu_id else VoiceMenu(name="", key=secrets.token_urlsafe(16), flow=START)
    refuse_stale("this menu", menu, base_version)
    for key, value in _checked(session, menu, {**menu.model_dump(), **values}).items():
        setattr(menu, key, value)
    if values.get("token"):
        menu.token_sealed = sealed.seal(SEAL, clean(str(values["token"])))
    session.add(menu)
    session.flush()
    events.record(session, actor, "voice_menu.saved", entity="telephony", record_id=menu.id, data={"name": menu.name})
    return menu


def publish(session: Session, actor: Actor, menu_id: int) -> VoiceMenu:
    """Let callers hear the draft. Refused with everything that is wrong with it. Events: voice_menu.published."""
    require(actor, "telephony", Action.MANAGE)
    menu = known(session, menu_id)
    found = problems(session, menu, menu.flow)
    if found:
        raise Invalid(" ".join(found))
    if version(session, menu.id, menu.published_no) == menu.flow:
        return menu
    latest = session.exec(select(func.max(VoiceVersion.no)).where(VoiceVersion.menu_id == menu.id)).one() or 0
    menu.published_no = int(latest) + 1
    session.add(VoiceVersion(menu_id=menu.id, no=menu.published_no, flow=dict(menu.flow), by_id=actor.user_id))
    session.add(menu)
    session.flush()
    data = {"name": menu.name, "no": menu.published_no}
    events.record(session, actor, "voice_menu.published", entity="telephony", record_id=menu.id, data=data)
    return menu


def remove(session: Session, actor: Actor, menu_id: int) -> None:
    """Delete a menu with its versions and its log of calls; tickets, tasks and activities stay. Events: voice_menu.removed."""
    require(actor, "telephony", Action.MANAGE)
    menu = known(session, menu_id)
    events.record(session, actor, "voice_menu.removed", entity="telephony", record_id=menu.id, data={"name": menu.name})
    session.delete(menu)
    session.flush()


def set_node(
    session: Session, actor: Actor, menu_id: int, node_id: str, node: Mapping[str, Any] | None, *, base_version: int | None = None
) -> VoiceMenu:
    """Change one step of the draft, add it, or take it out (None). The first step stays."""
    menu = get(session, actor, menu_id)
    nodes = dict(menu.flow.get("nodes") or {})
    if node is None:
        if node_id == menu.flow.get("start"):
            raise Invalid("A call begins with this step. Change it instead.")
        nodes.pop(node_id, None)
    else:
        nodes[node_id] = dict(node)
    return save(session, actor, menu_id, {"flow": {**menu.flow, "nodes": nodes}}, base_version=base_version)


def _checked(session: Session, menu: VoiceMenu, given: Mapping[str, Any]) -> dict[str, Any]:
    wrong: dict[str, str] = {}
    name, number, language = (clean(str(given.get(key) or "")) for key in ("name", "number", "language"))
    if not name:
        wrong["name"] = "Give the menu a name."
    elif any(one.id != menu.id and fold(one.name) == fold(name) for one in session.exec(select(VoiceMenu))):
        wrong["name"] = f"There is a menu called “{name}” already."
    if number and not phone_key(number).startswith("+"):
        wrong["number"] = "Write the number with its country, such as +49 30 123456."
    if not _LANGUAGE.match(language):
        wrong["language"] = "Write the language as en-US or de-DE."
    for key, model in (("calendar_id", ServiceCalendar), ("team_id", Team), ("owner_id", User)):
        if given.get(key) is not None and session.get(model, given[key]) is None:
            wrong[key] = "This no longer exists. Choose again."
    flow = _flow(given.get("flow") or {}, wrong)
    if wrong:
        raise Invalid(fields=wrong)
    links = {key: given.get(key) for key in ("calendar_id", "team_id", "owner_id")}
    return {
        "name": name[:80],
        "number": number[:40],
        "language": language[:12],
        "flow": flow,
        "is_active": bool(given.get("is_active")),
        **links,
    }


def kept_flow(flow: Mapping[str, Any]) -> dict[str, Any]:
    """A flow as a menu keeps it. Raises Invalid when a step can't be read."""
    wrong: dict[str, str] = {}
    made = _flow(flow, wrong)
    if wrong:
        raise Invalid(fields=wrong)
    return made


def _flow(flow: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, Any]:
    """The flow with nothing in it but what flows have: drafts may be incomplete, never broken."""
    nodes = flow.get("nodes")
    if not isinstance(nodes, Mapping) or len(nodes) > flow_rules.MAX_NODES:
        wrong["flow"] = f"A menu has up to {flow_rules.MAX_NODES} steps."
        return {}
    made: dict[str, Any] = {}
    for key, node in nodes.items():
        if not _ID.match(str(key)) or not isinstance(node, Mapping) or str(node.get("kind")) not in NodeKind.options():
            wrong["flow"] = "A step could not be read."
            continue
        kept: dict[str, Any] = {"kind": str(node["kind"]), "title": clean(str(node.get("title") or key))[:60]}
        kept["prompt"] = clean(str(node.get("prompt") or ""))[: flow_rules.MAX_PROMPT + 1]
        kept |= {
            name: clean(str(node[name]))[:60]
            for name in ("open", "closed", "next", "otherwise", "skill", "phone")
            if node.get(name)
        }
        if article := flow_rules.article_of(node):
            kept["article"] = article
        if node.get("after"):
            kept["after"] = clean(str(node["after"]))[: flow_rules.MAX_PROMPT]
        if isinstance(node.get("keys"), Mapping):
            kept["keys"] = {str(pressed)[:1]: str(target)[:20] for pressed, target in node["keys"].items() if target}
        made[str(key)] = kept
    return {"start": str(flow.get("start") or ""), "nodes": made}
