"""A telephone menu as files: what the telephone provider is told at each step (TwiML), and its steps as JSON, to keep or to bring into another workspace."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, select

from crm_core.access import Actor, require, visible
from crm_core.errors import Conflict, Invalid
from crm_core.kit.text import clean, fold, slug
from crm_core.models import Article, VoiceMenu
from crm_core.services.helpdesk import article_finding
from crm_core.services.telephony import flow_rules, menus, twiml_rules
from crm_core.vocabulary import Action, NodeKind

FORMAT, EDITION = "rapport-voice-menu", 1
MOST_BYTES = 500_000


@dataclass(frozen=True)
class Told:
    """What the provider is told when a call comes to a step. ``when`` tells apart what depends on the hour."""

    node: str
    title: str
    kind: NodeKind
    when: str
    xml: str


@dataclass(frozen=True)
class Read:
    """A file that was read: the steps, what keeps them from being put to use, what was changed on the way, and how they differ from the draft."""

    flow: Mapping[str, Any]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def same(self) -> bool:
        return not (self.added or self.changed or self.gone)


def twiml(session: Session, actor: Actor, menu_id: int, *, address: str, published: bool = False) -> list[Told]:
    """The documents of a menu's draft (or of what callers hear now), step by step in the order of reading. ``address``: where the provider reports to."""
    menu, flow = _flow(session, actor, menu_id, published)
    heard = menus.spoken(session, flow, menu.language, actor)
    found = []
    for place in flow_rules.outline(flow):
        if place.again:
            continue
        node = flow_rules.node_of(heard, place.node)
        kind = flow_rules.kind_of(node)
        for is_open in (True, False) if _by_the_hour(heard, place.node) else (True,):
            turn = flow_rules.arrive(heard, place.node, is_open=is_open)
            end = flow_rules.node_of(heard, turn.node)
            xml = twiml_rules.answer(
                turn, kind=flow_rules.kind_of(end), language=menu.language, address=address, no=1, phone=str(end.get("phone") or ""),
                queue=str(end.get("skill") or end.get("title") or menu.name),
            )  # fmt: skip
            when = ("While open" if is_open else "While closed") if _by_the_hour(heard, place.node) else ""
            found.append(Told(place.node, str(node.get("title") or place.node), kind, when, twiml_rules.pretty(xml)))
    return found


def _by_the_hour(flow: Mapping[str, Any], node_id: str) -> bool:
    """Whether what callers hear from a step on depends on the hour before they do anything."""
    turns = [flow_rules.arrive(flow, node_id, is_open=is_open) for is_open in (True, False)]
    return turns[0] != turns[1]


def twiml_file(session: Session, actor: Actor, menu_id: int, *, address: str) -> bytes:
    """The same as a ZIP of one XML file per step."""
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as packed:
        for n, one in enumerate(twiml(session, actor, menu_id, address=address), 1):
            parts = [f"{n:02}", slug(one.title, 40) or one.node, slug(one.when, 20)]
            packed.writestr("-".join(part for part in parts if part) + ".xml", one.xml)
    return kept.getvalue()


def to_json(session: Session, actor: Actor, menu_id: int, *, published: bool = False) -> bytes:
    """The steps of a menu's draft (or of what callers hear now). No secret is in it; articles are named by their titles, which other workspaces may know."""
    menu, flow = _flow(session, actor, menu_id, published)
    titles = menus.titles(session, actor, [flow])
    nodes = {
        key: ({**node, "article_title": titles.get(flow_rules.article_of(node), "")} if flow_rules.article_of(node) else dict(node))
        for key, node in (flow.get("nodes") or {}).items()
    }
    made = {
        "format": FORMAT,
        "edition": EDITION,
        "name": menu.name,
        "language": menu.language,
        "start": flow.get("start"),
        "nodes": nodes,
    }
    return json.dumps(made, ensure_ascii=False, indent=2).encode()


def _flow(session: Session, actor: Actor, menu_id: int, published: bool) -> tuple[VoiceMenu, Mapping[str, Any]]:
    menu = menus.get(session, actor, menu_id)
    if not published:
        return menu, menu.flow
    flow = menus.version(session, menu.id, menu.published_no)
    if flow is None:
        raise Conflict("This menu was not put to use yet.")
    return menu, flow


def read(session: Session, actor: Actor, menu_id: int, data: bytes) -> Read:
    """Look at a file without changing anything. Raises Invalid when it is none of ours, or broken."""
    require(actor, "telephony", Action.MANAGE)
    menu = menus.get(session, actor, menu_id)
    given = _parsed(data)
    notes: list[str] = []
    drawn = menus.kept_flow(menu.flow)
    nodes = {
        str(key): _articled(session, actor, dict(node), flow_rules.article_of(drawn["nodes"].get(str(key)) or {}), notes)
        for key, node in given["nodes"].items()
        if isinstance(node, Mapping)
    }
    flow = menus.kept_flow({"start": given.get("start"), "nodes": nodes})
    if str(given.get("language") or "") not in ("", menu.language):
        notes.append(
            f"The file was made for the language {clean(str(given['language']))[:12]}; the voice of this menu speaks {menu.language}."
        )
    before, now = drawn["nodes"], flow["nodes"]
    others = [key for key in now if key in before and (now[key] != before[key] or (key == flow["start"] != drawn["start"]))]
    return Read(
        flow, tuple(menus.problems(session, menu, flow)), tuple(dict.fromkeys(notes)),
        _titles(now, [key for key in now if key not in before]), _titles(now, others),
        _titles(before, [key for key in before if key not in now]),
    )  # fmt: skip


def _titles(nodes: Mapping[str, Any], keys: list[str]) -> tuple[str, ...]:
    return tuple(str(nodes[key].get("title") or key) for key in keys)


def _parsed(data: bytes) -> dict[str, Any]:
    if len(data) > MOST_BYTES:
        raise Invalid("This file is larger than any menu.")
    try:
        given = json.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Invalid("This file can’t be read as JSON. Export a menu to see how one looks.") from error
    if not isinstance(given, dict) or given.get("format") != FORMAT or not isinstance(given.get("nodes"), Mapping):
        raise Invalid("This is no telephone menu. Export one to see how it looks.")
    if given.get("edition") != EDITION:
        raise Invalid("This file was made by another edition of the program, which this one can’t read.")
    return given


def _articled(session: Session, actor: Actor, node: dict[str, Any], drawn: int, notes: list[str]) -> dict[str, Any]:
    """A step that reads an article, with the number that the article has here: of another workspace only the title means anything.

    ``drawn``: the article that the draft reads at this step; a file without a title for it was made here, when nobody could hear the article.
    """
    title = clean(str(node.pop("article_title", "") or ""))
    article = flow_rules.article_of(node)
    if not article or (article == drawn and not title):
        return node
    known = article_finding.spoken(session, [article], actor)
    if article in known and fold(known[article].title) == fold(title):
        return node
    table: Any = Article.__table__  # type: ignore[attr-defined]
    same = (
        session.execute(
            select(table.c.id).where(table.c.title == title, visible(actor, "article", table)).order_by(table.c.id).limit(1)
        ).scalar()
        if title
        else None
    )
    if same is None:
        node.pop("article", None)
        notes.append(
            f"There is no help article “{title or article}” here: choose another one for “{clean(str(node.get('title') or ''))[:60]}”."
        )
        return node
    return {**node, "article": int(same)}


def take_in(
    session: Session, actor: Actor, menu_id: int, data: bytes, *, use: bool = False, base_version: int | None = None
) -> VoiceMenu:
    """Make the steps of a file the draft of a menu, and with ``use`` a new version that callers hear. The versions before stay. Refused with everything
    that is wrong when it is to be put to use. Events: voice_menu.saved, voice_menu.published."""
    found = read(session, actor, menu_id, data)
    if use and found.problems:
        raise Invalid(" ".join(found.problems))
    menu = menus.save(session, actor, menu_id, {"flow": dict(found.flow)}, base_version=base_version)
    return menus.publish(session, actor, menu_id) if use else menu
