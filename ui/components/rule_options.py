"""What a condition of a segment may be about, as one searchable menu: fields, fields of linked records, counts and sums over related
records, what happened, other segments, results of analyses. Only what the reader's role may use."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.entities import ENTITIES, PARTS, entity, label_of, relations
from crm_core.fields import FieldSpec, reckoned, registry
from crm_core.filters.words import event_label, mark_label
from crm_core.services.marketing import segment_insights, segments
from crm_core.vocabulary import Action

EVENTS = (
    "created", "updated", "owner_changed", "won", "lost", "reopened", "stage_moved", "solved", "replied", "message_received", "converted",
    "qualified", "disqualified", "points_changed", "segment_entered", "segment_left", "handed_over",
)  # fmt: skip
"""Verbs that are worth a condition; the log knows more."""
TOUCHES = ("touch.any", "touch.visit", "touch.open", "touch.click")
_SUMS = {
    "purchases": ("quantity", "total_minor"),
    "orders": ("total_minor",),
    "deals": ("amount_minor",),
    "leads": ("estimated_minor",),
}
_PERIODS = {
    "orders": "ordered_at", "purchases": "order.ordered_at", "deals": "created_on", "tickets": "opened_at", "activities": "at",
    "tasks": "due_at", "consents": "at", "leads": "created_at", "contacts": "created_at",
}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """One entry of the menu. ``spec``: the field that is compared or summed; ``child``: the entity that is counted over;
    ``groups``: what an analysis calls its groups."""

    what: str
    label: str
    spec: FieldSpec | None = None
    child: str = ""
    groups: tuple[str, ...] = ()


def options(session: Session, actor: Actor, entity_key: str, *, inner: bool = False) -> dict[str, Choice]:
    """The menu for conditions on an entity, by ``what``. ``inner``: inside "of which", where only fields make sense."""
    found = [*_fields(session, actor, entity_key, "", ""), *_linked(session, actor, entity_key)]
    if not inner and entity_key in ("contact", "account", "lead"):
        found += [*_counts(session, actor, entity_key), *_specials(session, actor, entity_key), *_events(actor, entity_key)]
    return {choice.what: choice for choice in found}


def _fields(session: Session, actor: Actor, entity_key: str, path: str, before: str) -> list[Choice]:
    return [
        Choice(f"field:{path}{key}", f"{before}{spec.label}", spec)
        for key, spec in {**registry(session, entity_key), **reckoned(entity_key)}.items()
        if spec.filterable and not actor.masked(entity_key, key) and not (entity_key in PARTS and key.endswith("order_id"))
    ]


def _linked(session: Session, actor: Actor, entity_key: str) -> list[Choice]:
    found = []
    for key, spec in registry(session, entity_key).items():
        readable = spec.to in ENTITIES and not entity(spec.to or "").lookup and actor.can(spec.to or "", Action.READ)
        if readable and spec.to != entity_key and not key.startswith("converted_"):
            found += _fields(session, actor, spec.to or "", f"{key.removesuffix('_id')}.", f"{spec.label} › ")
    return found


def _counts(session: Session, actor: Actor, entity_key: str) -> list[Choice]:
    found = []
    for name, relation in relations(entity_key).items():
        owner = relation.through.child if relation.through else relation.child
        if not (relation.part or actor.can(owner, Action.READ)) or relation.child in ("campaign", "segment", "account"):
            continue
        specs = registry(session, relation.child)
        found.append(Choice(f"count:{name}", f"Number of {name}", None, relation.child))
        for key in _SUMS.get(name, ()):
            if not actor.masked(relation.child, key):
                found.append(Choice(f"sum:{name}.{key}", f"Total {specs[key].label.lower()} of {name}", specs[key], relation.child))
    return found


def _specials(session: Session, actor: Actor, entity_key: str) -> list[Choice]:
    found = []
    if actor.can("segment", Action.READ):
        found.append(Choice("segment", "Member of a segment"))
        if entity_key == "contact" and actor.can("account", Action.READ):
            found.append(Choice("segment:account", "Account › Member of a segment"))
    for kind, (groups, numeric) in segment_insights.results(session, actor, entity_key).items():
        found += [Choice(f"mark:{kind}", f"Analysis › {mark_label(kind)}", groups=tuple(groups))] if groups else []
        found += [Choice(f"score:{kind}", f"Analysis › {mark_label(kind)}{' (number)' if groups else ''}")] if numeric else []
    return found


def _events(actor: Actor, entity_key: str) -> list[Choice]:
    owners = [entity_key, *(relation.child for relation in relations(entity_key).values() if not relation.through)]
    found = []
    for owner in dict.fromkeys(owners):
        if owner in ("deal", "ticket", "lead", "order", "contact", "account") and actor.can(owner, Action.READ):
            found += [
                Choice(f"event:{owner}.{verb}", f"Event › {words}") for verb in EVENTS if (words := _event_words(owner, verb))
            ]
    return found + [Choice(f"event:{touch}", f"Event › Marketing: {event_label(touch)}") for touch in TOUCHES]


def _event_words(owner: str, verb: str) -> str:
    from crm_core.events import SENTENCES

    generic = verb in ("created", "updated", "owner_changed") or (
        verb.startswith("segment_") and owner in ("contact", "account", "lead")
    )
    return event_label(f"{owner}.{verb}") if generic or f"{owner}.{verb}" in SENTENCES else ""


def period_field(relation: str) -> str:
    """The date of a related record that "in the last 90 days" is about; empty when it has none."""
    return _PERIODS.get(relation, "")


def segment_choices(session: Session, actor: Actor, entity_key: str, without: int | None) -> dict[int, str]:
    """Segments of a kind of record to choose from: id → name."""
    return {row.id: row.name for row in segments.find(session, actor, entity_key=entity_key) if row.id != without}


def noun(entity_key: str) -> str:
    """The word for many records of an entity."""
    return entity(entity_key).plural.lower() if entity_key in PARTS else label_of(entity_key, plural=True).lower()


Menu = Mapping[str, Choice]
