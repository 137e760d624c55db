"""Letters that are kept to be written again: for campaigns, for one-to-one mail, for answers to tickets.

Whoever begins with one takes a copy: changing or archiving it reaches nothing that runs. ``choices`` and ``rendered`` are for whatever writes to people.
"""

import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, update
from sqlmodel import Session, col, select

from crm_core import db, events, lists, persons, records
from crm_core.access import Actor, require, system, visible
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, clip, fold
from crm_core.models import Automation, AutomationVersion, Campaign, CampaignVariant, LetterTemplate, LetterTemplateVersion
from crm_core.ordering import alphabetical
from crm_core.services.customers import consent
from crm_core.services.marketing import letter_rules, letters
from crm_core.services.marketing.letter_rules import MAX_BODY, MAX_SUBJECT, Flaw
from crm_core.vocabulary import Action, LetterUse, Scope, Visibility

_TEMPLATES: Any = LetterTemplate.__table__  # type: ignore[attr-defined]
OWN_FIELDS: dict[LetterUse, dict[str, str]] = {
    LetterUse.MARKETING: {},
    LetterUse.SALES: {"agent": "Your name"},
    LetterUse.SERVICE: {"agent": "Your name", "number": "Number of the ticket", "subject": "Subject of the ticket"},
}
"""What a letter may put in besides the facts of its reader."""
ABOUT = ("deal", "ticket", "order")
"""Records that are about a contact."""


@dataclass(frozen=True)
class TemplateRow:
    """A kept letter as lists show it; ``mine``: whether the actor may change it."""

    template: LetterTemplate
    owner: str
    mine: bool


@dataclass(frozen=True)
class Used:
    """Something that was begun with a kept letter. ``runs``: it names the letter, and whoever reads it there wants to find it."""

    words: str
    url: str
    record_id: int
    runs: bool


@dataclass(frozen=True)
class Wording:
    """One version of a kept letter. ``author``: who saved it, empty where nobody knows; ``brought_back``: number of the version whose words it repeats."""

    number: int
    at: datetime
    author: str
    use: LetterUse
    subject: str
    body: str
    current: bool
    brought_back: int | None


@dataclass(frozen=True)
class Rendered:
    """A kept letter for one record: ``body`` in the language of letters, ``text`` as plain words, ``holes``: labels of fields that were empty and had
    nothing to fall back on."""

    template_id: int
    subject: str
    body: str
    text: str
    holes: tuple[str, ...]


# --- looking ----------------------------------------------------------------------------------------------------------------


def fields(session: Session, actor: Actor, use: LetterUse) -> dict[str, str]:
    """Fields that a letter for this use may put in, with their labels."""
    require(actor, "letter_template", Action.READ)
    return {**letters.fields(session, actor), **OWN_FIELDS[use]}


def find(session: Session, actor: Actor, *, use: LetterUse | None = None, q: str = "", archived: bool = False) -> list[TemplateRow]:
    """The letters that the actor may use, by name; ``q`` looks into names, subjects and words."""
    require(actor, "letter_template", Action.READ)
    when = _TEMPLATES.c.archived_at.is_not(None) if archived else _TEMPLATES.c.archived_at.is_(None)
    wanted = select(LetterTemplate).where(when, _seen(actor), *([_TEMPLATES.c.use == use] if use is not None else []))
    rows = list(session.exec(wanted.order_by(alphabetical(LetterTemplate.name))))
    people = lists.titles(session, actor, "user", (row.owner_id for row in rows))
    found = [TemplateRow(row, people.get(row.owner_id or 0, ""), may_change(actor, row)) for row in rows]
    return [one for one in found if fold(q) in fold(_words(one.template))]


def _words(row: LetterTemplate) -> str:
    return f"{row.name} {row.about} {row.subject} {row.body}"


def _seen(actor: Actor) -> Any:
    return or_(_TEMPLATES.c.visibility == Visibility.SHARED, _TEMPLATES.c.owner_id == actor.user_id)


def may_change(actor: Actor, row: LetterTemplate) -> bool:
    """One's own, as soon as the role keeps letters at all; those of others with the right for all of them, while they are shared."""
    scopes = actor.scopes("letter_template", Action.MANAGE)
    own = row.owner_id == actor.user_id and bool(scopes)
    return own or actor.is_system or (Scope.ALL in scopes and row.visibility is Visibility.SHARED)


def get(session: Session, actor: Actor, template_id: int | None) -> LetterTemplate:
    """The letter, archived or not; NotFound for one that is somebody else's own."""
    require(actor, "letter_template", Action.READ)
    row = session.get(LetterTemplate, template_id) if isinstance(template_id, int) and 0 < template_id < 2**31 else None
    if row is None or not (row.visibility is Visibility.SHARED or row.owner_id == actor.user_id or actor.is_system):
        raise NotFound("This letter template does not exist, or is not shared with you.")
    return row


def uses(session: Session, actor: Actor, template_id: int) -> list[Used]:
    """What was begun with a letter, as far as the actor may know: automations that write it now, campaigns whose letter began as its copy."""
    row = get(session, actor, template_id)
    found: list[Used] = []
    if actor.can("automation", Action.READ):
        found += [Used(f"Automation “{one.name}”", "automation", one.id, True) for one in _automations(session, row.id)]
    if actor.can("campaign", Action.READ):
        table = entity("campaign").table
        begun = select(CampaignVariant.campaign_id).where(CampaignVariant.template_id == row.id)
        wanted = select(Campaign).where(visible(actor, "campaign", table), col(Campaign.id).in_(begun))
        rows = session.exec(wanted.order_by(col(Campaign.id).desc()).limit(20))
        found += [Used(f"Campaign “{one.name}”", "campaign", one.id, False) for one in rows]
    return found


def _automations(session: Session, template_id: int) -> Iterator[Automation]:
    current = (col(AutomationVersion.automation_id) == Automation.id, col(AutomationVersion.number) == Automation.current)
    for automation, flow in session.exec(
        select(Automation, AutomationVersion.flow).where(*current).order_by(alphabetical(Automation.name))
    ):
        if template_id in set(_named(flow)):
            yield automation


def _named(part: Any) -> Iterator[int]:
    """The letters that the steps of an automation name."""
    if isinstance(part, Mapping):
        if part.get("kind") == "mail" and isinstance(part.get("template"), int):
            yield part["template"]
        for inner in part.values():
            yield from _named(inner)
    elif isinstance(part, list | tuple):
        for inner in part:
            yield from _named(inner)


# --- keeping ----------------------------------------------------------------------------------------------------------------


def save(
    session: Session, actor: Actor, template_id: int | None, values: Mapping[str, Any], *, base_version: int | None = None
) -> LetterTemplate:
    """Keep a new letter or change one. ``values``: name, about, use, subject, body, shared. What would stop it from being sent is refused now.
    Events: letter_template.saved."""
    require(actor, "letter_template", Action.MANAGE)
    row = _mine(session, actor, template_id) if template_id else _fresh(actor)
    same = template_id is not None and _kept(row) == _kept(row, values)
    if same:
        return row  # the same once more: a second click
    return _write(session, actor, row, values, base_version)


def _write(
    session: Session,
    actor: Actor,
    row: LetterTemplate,
    values: Mapping[str, Any],
    base_version: int | None = None,
    known: Collection[int] = (),
    brought_back: int | None = None,
) -> LetterTemplate:
    records.refuse_stale("this letter", row, base_version)
    made = _checked(session, actor, row, values, known)
    before, since, seen = _worded(row), row.updated_at, row.visibility
    for key, value in made.items():
        setattr(row, key, value)
    fresh = row.id is None
    session.add(row)
    session.flush()
    if fresh or before != _worded(row):
        if not fresh and not _last_number(session, row.id):  # older than its versions: the words of until now are the first one
            session.add(
                LetterTemplateVersion(template_id=row.id, number=1, created_at=since, updated_at=since, visibility=seen, **before)
            )
            session.flush()
        _note_version(session, actor, row, brought_back)
    _tell(session, actor, "saved" if brought_back is None else "brought_back", row, number=brought_back)
    return row


def _worded(row: LetterTemplate | LetterTemplateVersion) -> dict[str, Any]:
    """What a version keeps."""
    return {"use": row.use, "subject": row.subject, "body": row.body}


def _last_number(session: Session, template_id: int) -> int:
    highest = select(func.max(LetterTemplateVersion.number)).where(LetterTemplateVersion.template_id == template_id)
    return session.exec(highest).one() or 0


def _note_version(session: Session, actor: Actor, row: LetterTemplate, brought_back: int | None) -> None:
    number = _last_number(session, row.id) + 1
    session.add(
        LetterTemplateVersion(
            template_id=row.id,
            number=number,
            visibility=row.visibility,
            author_id=actor.user_id,
            brought_back=brought_back,
            **_worded(row),
        )
    )
    session.flush()


def versions(session: Session, actor: Actor, template_id: int) -> list[Wording]:
    """Every wording that a letter had, the latest first; none for a letter that is older than its versions and was not changed since. Whoever may use
    the letter may read them, but what its owner wrote for themselves stays theirs when they share it later."""
    row = get(session, actor, template_id)
    wanted = select(LetterTemplateVersion).where(LetterTemplateVersion.template_id == row.id)
    rows = list(session.exec(wanted.order_by(col(LetterTemplateVersion.number).desc())))
    found = [one for one in rows if one is rows[0] or _readable(actor, row, one)]
    names = lists.titles(session, actor, "user", {one.author_id for one in found if one.author_id})
    return [
        Wording(
            one.number, one.created_at, names.get(one.author_id or 0, ""), one.use, one.subject, one.body, one is rows[0], one.brought_back
        )
        for one in found
    ]  # fmt: skip


def _readable(actor: Actor, row: LetterTemplate, one: LetterTemplateVersion) -> bool:
    return one.visibility is Visibility.SHARED or row.owner_id == actor.user_id or actor.is_system


def bring_back(session: Session, actor: Actor, template_id: int, number: int, *, base_version: int | None = None) -> LetterTemplate:
    """Give a letter the words of an earlier version again, as a version of its own: nothing that was written since is lost. Its name, its hint and who
    may use it stay. Refused when the words can't be sent any more (a field or segment that is gone). Events: letter_template.brought_back."""
    row = _mine(session, actor, template_id)
    wanted = select(LetterTemplateVersion).where(
        LetterTemplateVersion.template_id == row.id, LetterTemplateVersion.number == number
    )
    earlier = session.exec(wanted).first()
    if earlier is None or not (_readable(actor, row, earlier) or _worded(earlier) == _worded(row)):
        raise NotFound("This version of the letter does not exist.")
    if _worded(earlier) == _worded(row):
        return row  # these are its words already: a second click
    known = letter_rules.segments_in(earlier.body)
    return _write(session, actor, row, _worded(earlier), base_version, known, number)


def _fresh(actor: Actor) -> LetterTemplate:
    return LetterTemplate(name="", use=LetterUse.SALES, owner_id=actor.user_id)


def _kept(row: LetterTemplate, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What saving these values would keep."""
    given = values or {}
    shared = given.get("shared", row.visibility is Visibility.SHARED)
    return {
        "name": clean(str(given.get("name", row.name) or "")),
        "about": clean(str(given.get("about", row.about) or "")),
        "use": given.get("use", row.use),
        "subject": clean(str(given.get("subject", row.subject) or "")),
        "body": str(given.get("body", row.body) or "").replace("\x00", ""),
        "visibility": Visibility.SHARED if shared else Visibility.PRIVATE,
    }


def _checked(
    session: Session, actor: Actor, row: LetterTemplate, values: Mapping[str, Any], known: Collection[int]
) -> dict[str, Any]:
    """``known``: segments that the letter may ask for although the actor may not: they stood in it before."""
    made = _kept(row, values)
    wrong: dict[str, str] = {}
    if not made["name"] or len(made["name"]) > 80:
        wrong["name"] = "Give the letter a name of at most 80 characters."
    try:
        made["use"] = LetterUse(made["use"])
    except ValueError:
        raise Invalid(fields={"use": "Choose what the letter is for."}) from None
    if len(made["subject"]) > MAX_SUBJECT or len(made["body"]) > MAX_BODY:
        wrong["body"] = "The subject or the letter is too long."
    found = flaws(session, actor, made["use"], made["subject"], made["body"])
    fresh = [one for one in letter_rules.segments_in(made["body"]) if one not in {*letter_rules.segments_in(row.body), *known}]
    found += letters.segment_flaws(session, actor, fresh)
    stops = [flaw.words for flaw in found if flaw.stops]
    if stops and not wrong:
        wrong["subject" if "subject" in stops[0] else "body"] = stops[0]
    if wrong:
        raise Invalid(fields=wrong)
    return {**made, "about": clip(made["about"], 300)}


def flaws(session: Session, actor: Actor, use: LetterUse, subject: str, body: str) -> list[Flaw]:
    """What is wrong with a letter for this use. Answers to tickets bring the ticket's subject, and only news has readers who are counted."""
    given = subject if subject.strip() or use is not LetterUse.SERVICE else "…"
    found = letter_rules.flaws(given, body, list(fields(session, actor, use)))
    if use is not LetterUse.MARKETING:
        found = [flaw for flaw in found if flaw.words != letter_rules.NO_LINK]
    if actor.can("segment", Action.READ):
        found += letters.part_flaws(session, actor, body)
    elif letter_rules.segments_in(body):
        found.append(Flaw("Your role sees no segments: parts for some people are shown here as to somebody who is in none."))
    labels = fields(session, actor, use)
    holes = [
        key for key in letter_rules.without_fallback(subject, body) if key in labels and key not in (*OWN_FIELDS[use], "workspace")
    ]
    return found + [
        Flaw(f"Where {labels[key].lower()} is empty, the letter has a hole. Name words to fall back on: {{{{{key}|…}}}}")
        for key in holes
    ]


def duplicate(session: Session, actor: Actor, template_id: int) -> LetterTemplate:
    """A copy of one's own, to be changed; only oneself sees it at first. Events: letter_template.saved."""
    row = get(session, actor, template_id)
    require(actor, "letter_template", Action.MANAGE)
    values = {key: getattr(row, key) for key in ("about", "use", "subject", "body")}
    made = {**values, "name": f"{row.name[:73]} (copy)", "shared": False}
    return _write(session, actor, _fresh(actor), made, known=letter_rules.segments_in(row.body))


def archive(session: Session, actor: Actor, template_id: int) -> LetterTemplate:
    """Offer a letter no more; what was begun with it goes on with its copy. Events: letter_template.archived."""
    return _set_archived(session, actor, template_id, "archived")


def restore(session: Session, actor: Actor, template_id: int) -> LetterTemplate:
    """Offer a letter again. Events: letter_template.restored."""
    return _set_archived(session, actor, template_id, "restored")


def _set_archived(session: Session, actor: Actor, template_id: int, verb: str) -> LetterTemplate:
    row = _mine(session, actor, template_id)
    if (row.archived_at is not None) != (verb == "archived"):
        row.archived_at = utcnow() if verb == "archived" else None
        session.add(row)
        session.flush()
        _tell(session, actor, verb, row)
    return row


def remove(session: Session, actor: Actor, template_id: int) -> None:
    """Delete a letter for good. Refused while an automation writes it, whoever may see that: archive it instead. Events: letter_template.removed."""
    row = _mine(session, actor, template_id)
    using = [one.name for one in _automations(session, row.id)]
    if using:
        seen = (
            f" (“{using[0]}”{f' and {len(using) - 1} more' if len(using) > 1 else ''})"
            if actor.can("automation", Action.READ)
            else ""
        )
        raise Conflict(
            f"An automation writes this letter{seen}. Archive it instead: it is offered no more, and the automation goes on."
        )
    session.delete(row)
    session.flush()
    _tell(session, actor, "removed", row)


def _mine(session: Session, actor: Actor, template_id: int | None) -> LetterTemplate:
    require(actor, "letter_template", Action.MANAGE)
    row = get(session, actor, template_id)
    if not may_change(actor, row):
        raise NotPermitted(
            "Only its owner, or whoever looks after the letters of all, can change this one. Duplicate it to have your own."
        )
    return row


def _tell(session: Session, actor: Actor, verb: str, row: LetterTemplate, *, number: int | None = None) -> None:
    data = {"name": row.name, **({"number": number} if number is not None else {})}
    events.record(session, actor, f"letter_template.{verb}", entity="letter_template", record_id=row.id, data=data)


# --- writing with it --------------------------------------------------------------------------------------------------------


def choices(session: Session, actor: Actor, use: LetterUse) -> dict[int, str]:
    """The letters that are offered for a use, id → name, those used most first; none for who may not use any."""
    if not actor.can("letter_template", Action.READ):
        return {}
    found = find(session, actor, use=use)
    ranked = sorted(found, key=lambda one: -one.template.used_count)  # stable: equal ones stay in the order of their names
    return {one.template.id: one.template.name for one in ranked}


def rendered(session: Session, actor: Actor, template_id: int, entity_key: str, record_id: int) -> Rendered:
    """A letter with the facts of one record put in: a contact, a lead, or the contact of a deal, a ticket or an order that the actor may see.
    Facts that are hidden from the actor stay out. Nothing is sent, and nothing is counted before ``note_used``."""
    row = get(session, actor, template_id)
    values, inside = _values(session, actor, row, entity_key, record_id)
    body, subject = letter_rules.fill(letter_rules.shown(row.body, inside), values), letter_rules.fill(row.subject, values)
    labels = fields(session, actor, row.use)
    empty = [key for key in letter_rules.without_fallback(row.subject, row.body) if not values.get(key, "").strip()]
    holes = tuple(labels.get(key, key) for key in empty)
    return Rendered(row.id, subject, body, letter_rules.as_text(body, str), holes)


def _about(session: Session, actor: Actor, entity_key: str, record: Any) -> dict[str, str]:
    """Number and subject of a record, as far as the actor's role shows them whole."""
    said = {key: getattr(record, key, None) or "" for key in ("number", "subject")}
    told = persons.subjects(session, actor, entity_key, {record.id: said["subject"]})[record.id]
    return {
        "number": "" if actor.masked(entity_key, "number") else said["number"],
        "subject": said["subject"] if told == said["subject"] else "",
    }


def _values(
    session: Session, actor: Actor, row: LetterTemplate, entity_key: str, record_id: int
) -> tuple[dict[str, str], frozenset[int]]:
    """What is put in for a record, and in which of the segments that the letter asks for its person is."""
    record = records.get(session, actor, entity_key, record_id)
    own = {"agent": actor.name, **_about(session, actor, entity_key, record)}
    values = {key: str(own.get(key) or "") for key in OWN_FIELDS[row.use]}
    key, person_id = (entity_key, record_id) if entity_key in consent.PEOPLE else ("contact", getattr(record, "contact_id", None))
    if entity_key not in (*consent.PEOPLE, *ABOUT) or person_id is None or not actor.can(key, Action.READ):
        return values, frozenset()
    theirs = letters.values_of(session, actor, key, [person_id]).get(person_id, {})
    if not theirs:
        return values, frozenset()
    # Whoever keeps the letter decided on its parts: who writes with it need not see the segments themselves.
    inside = letters.inside_of(session, system(), key, [person_id], letters.live(session, system(), row.body))[person_id]
    return {**letters.seen(actor, key, theirs), **values}, inside


def note_used(session: Session, actor: Actor, template_id: int) -> None:
    """Count that something was written with a letter, without raising its version: nobody edited it."""
    row = get(session, actor, template_id)
    counted = {"used_count": _TEMPLATES.c.used_count + 1, "used_at": utcnow(), "updated_at": _TEMPLATES.c.updated_at}
    session.execute(update(_TEMPLATES).where(_TEMPLATES.c.id == row.id).values(**counted))
    db.bump(session, _TEMPLATES.name)


def previews(
    session: Session, actor: Actor, use: LetterUse, subject: str, body: str, *, turn: int = 0, person: tuple[str, int] | None = None
) -> list[letters.Preview]:
    """The letter as it is typed, for a chosen person or for some real ones whom the actor may see; another ``turn`` draws others."""
    require(actor, "letter_template", Action.READ)
    chosen = [person] if person is not None else _some(session, actor, turn)
    postal = consent.rules(session, actor).postal_address
    own = {"agent": actor.name, "number": "T-1042", "subject": "…"}
    asked = letters.live(session, actor, body)
    found = []
    for key in consent.PEOPLE:
        ids = [record_id for one, record_id in chosen if one == key]
        groups = letters.inside_of(session, actor, key, ids, asked) if ids else {}
        for record_id, values in letters.values_of(session, actor, key, ids).items() if ids else ():
            given, inside = {**values, **{name: own[name] for name in OWN_FIELDS[use]}}, groups[record_id]
            if use is LetterUse.MARKETING:
                letter = letters.compose(
                    CampaignVariant(campaign_id=0, key="A", subject=subject, body=body), given, None, postal, inside
                )
            else:
                letter = letters.plain(subject, body, given, inside)
            seen = letters.parts_seen(body, inside)
            found.append(letters.Preview(key, record_id, values.get("name", ""), letter.to, letter, seen))
    return found


def _some(session: Session, actor: Actor, turn: int, size: int = 5) -> list[tuple[str, int]]:
    """Some people, drawn by the turn: the first one from a random number on, again and again, which is quick however many there are."""
    dice, found = random.Random(turn), []
    for key in consent.PEOPLE:
        if not actor.can(key, Action.READ):
            continue
        table = entity(key).table
        most = session.execute(select(func.max(table.c.id))).scalar() or 0
        for _ in range(size if most else 0):
            near = (
                select(table.c.id)
                .where(table.c.id >= dice.randint(1, most), visible(actor, key, table))
                .order_by(table.c.id)
                .limit(1)
            )
            record_id = session.execute(near).scalar()
            if record_id is not None and (key, record_id) not in found:
                found.append((key, record_id))
        if found:
            break
    return found
