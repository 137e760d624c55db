"""Which permissions make sense together, and who may hand them out."""

from collections.abc import Iterable, Mapping

from sqlmodel import Session, select

from crm_core.access import Actor
from crm_core.access.permissions import AREAS, RECORDS
from crm_core.entities import ENTITIES, label_of
from crm_core.errors import Invalid, NotPermitted
from crm_core.fields import FieldSpec
from crm_core.models import RolePermission
from crm_core.vocabulary import Action, FieldLevel, Scope

Grants = Mapping[tuple[str, Action], Scope]

RECORD_ACTIONS = (Action.READ, Action.CREATE, Action.EDIT, Action.DELETE, Action.EXPORT, Action.IMPORT)
AREA_ACTIONS = (Action.READ, Action.MANAGE)
_UNSCOPED = (Action.CREATE, Action.IMPORT)
"""Verbs without a record to own yet: they are granted or not."""

_WITHIN: dict[Scope, frozenset[Scope]] = {
    Scope.OWN: frozenset({Scope.OWN}),
    Scope.TEAM: frozenset({Scope.OWN, Scope.TEAM}),
    Scope.SUBTREE: frozenset({Scope.OWN, Scope.SUBTREE}),
    Scope.ALL: frozenset(Scope),
}


def actions_of(entity: str) -> tuple[Action, ...]:
    """The verbs that can be granted on an entity or an area."""
    return RECORD_ACTIONS if entity in RECORDS else AREA_ACTIONS


def scopes_of(entity: str, action: Action) -> tuple[Scope, ...]:
    """How far a verb on an entity can reach: only "all" where nobody owns the records, or there is none yet."""
    owned = entity in ENTITIES and "owner_id" in ENTITIES[entity].table.c
    if entity in ("quota", "assignment", "booking", "letter_template"):
        return tuple(Scope)
    if entity == "audit":
        return (Scope.OWN, Scope.TEAM, Scope.SUBTREE, Scope.ALL) if action is Action.READ else (Scope.ALL,)
    return tuple(Scope) if owned and action not in _UNSCOPED else (Scope.ALL,)


def levels_of(spec: FieldSpec) -> tuple[FieldLevel, ...]:
    """How a role can be restricted on a field, beyond what its verbs give."""
    levels = [FieldLevel.READ] if spec.editable else []
    levels += [FieldLevel.MASKED] if spec.veilable else []
    return (*levels, FieldLevel.HIDDEN) if spec.maskable else tuple(levels)


def why_not(spec: FieldSpec, level: FieldLevel) -> str:
    """Why a field can't be restricted like that."""
    if level is FieldLevel.READ:
        return f"“{spec.label}” is read-only for everybody: the system writes it."
    if not spec.maskable:
        return f"“{spec.label}” can't be hidden: screens go by it."
    return f"“{spec.label}” leaves no trace that could be shown: only texts, e-mail addresses and phone numbers do. Choose Hidden."


def consequences(spec: FieldSpec, level: FieldLevel) -> list[str]:
    """What follows from a restriction besides the restriction itself, in sentences."""
    found, words = ENTITIES[spec.entity], label_of(spec.entity, plural=True).lower()
    unread = level in (FieldLevel.MASKED, FieldLevel.HIDDEN)
    told = {
        f"Every new record needs it, so this role can't create {words}.": spec.required and spec.default in (None, "") and spec.to is None,
        f"Links and menus say “{found.label} 12” instead of the name.": unread and spec.key == found.title,
        f"The role's search does not find {words} by it, and no list is filtered or sorted by it.": unread,
        "Nobody with this role can write or call from the page of a person.": unread and spec.entity == "contact" and spec.key in ("email", "phone"),
        "The list of addresses and numbers of a person can't be changed either.": spec.entity == "contact" and spec.key in ("email", "phone"),
        "Sums, figures and charts that are made of it are hidden as well.": unread and spec.numeric,
        "The products can't be changed either: their prices make this amount.": (spec.entity, spec.key) in (("deal", "amount_minor"), ("order", "total_minor")),
        "The buttons and the board that change it are refused.": not unread and (spec.entity, spec.key) in (("deal", "stage_id"), ("ticket", "status"), ("lead", "status_id"), ("task", "status")),
        "Nobody with this role can assign or take over.": not unread and spec.key == "owner_id",
    }  # fmt: skip
    return [sentence for sentence, holds in told.items() if holds]


def within(inner: Scope, outer: Scope) -> bool:
    """True when every record that ``inner`` reaches is reached by ``outer`` too."""
    return inner in _WITHIN[outer]


def check(grants: Grants) -> None:
    """Raise Invalid with a sentence per wrong cell (key ``entity.action``)."""
    wrong = {
        f"{entity}.{action.value}": text
        for (entity, action), scope in grants.items()
        if (text := _wrong(grants, entity, action, scope))
    }
    if wrong:
        raise Invalid(fields=wrong)


def _wrong(grants: Grants, entity: str, action: Action, scope: Scope) -> str:
    words = label_of(entity, plural=True).lower()
    if entity not in RECORDS + AREAS:
        return f"There is nothing called “{entity}” to allow."
    if action not in actions_of(entity):
        return f"“{action.label}” can't be allowed on {words}."
    if scope not in scopes_of(entity, action):
        return f"“{action.label}” on {words} reaches all of them or none: nobody owns them."
    seen = grants.get((entity, Action.READ))
    if action in (Action.READ, Action.MANAGE):
        return ""
    if seen is None:
        return f"Whoever may {action.label.lower()} {words} must be allowed to see them."
    if action not in _UNSCOPED and not within(scope, seen):
        return f"“{action.label}” on {words} must not reach further than “{Action.READ.label}”."
    return ""


def require_within_own(actor: Actor, grants: Grants) -> None:
    """Raise NotPermitted when the grants allow anything that the actor may not do: nobody lifts themselves."""
    for (entity, action), scope in grants.items():
        if not any(within(scope, own) for own in actor.scopes(entity, action)):
            raise NotPermitted(
                f"You can't give away more than you have: {action.label.lower()} {label_of(entity, plural=True).lower()} ({scope.label.lower()})."
            )


def require_no_more_than(session: Session, actor: Actor, role_ids: Iterable[int]) -> None:
    """Raise NotPermitted when one of the roles may do something that the actor may not."""
    wanted = list(role_ids)
    if not wanted:
        return
    found = session.exec(select(RolePermission).where(RolePermission.role_id.in_(wanted)))  # type: ignore[attr-defined]
    for row in found:
        require_within_own(actor, {(row.entity, row.action): row.scope})
