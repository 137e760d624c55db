"""Who acts: the person, what they may do and how far, and the door they came through."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlmodel import Session, select

from crm_core.access.levels import merged
from crm_core.errors import NotPermitted
from crm_core.kit import week
from crm_core.models import Organisation, Role, RoleFieldMask, RolePermission, User, UserRole
from crm_core.vocabulary import Action, FieldLevel, Scope, Via

MASKED_WITH = {
    ("account", "domain"): "website",
    ("deal", "mrr_minor"): "amount_minor",
    ("deal", "arr_minor"): "amount_minor",
    ("order", "tax_minor"): "total_minor",
}
"""Fields that would tell what another one hides: they go with it."""

PERSONS = ("contact", "lead")
LOOKUPS = ("user", "team", "pipeline", "stage", "lead_status", "product_category")
"""Entities whose names stand beside records of all others, for everybody: which of them are hidden matters for any figure."""
SUBJECTS = ("activity", "task", "ticket")
"""Entities whose subject people or the product write about somebody."""

Grants = Mapping[tuple[str, Action], frozenset[Scope]]


@dataclass(frozen=True)
class Actor:
    """The acting person with resolved permissions. ``user_id`` is None only for the system itself."""

    user_id: int | None
    name: str
    email: str = ""
    team_id: int | None = None
    grants: Grants = field(default_factory=dict, hash=False)
    masks: frozenset[tuple[str, str]] = frozenset()
    """Fields whose content this person must not know."""
    veils: frozenset[tuple[str, str]] = frozenset()
    """Those of ``masks`` of which a trace is shown: enough to tell people apart, too little to use."""
    locks: frozenset[tuple[str, str]] = frozenset()
    """Fields that this person may read but not change."""
    roles: tuple[str, ...] = ()
    via: Via = Via.SCREEN
    is_system: bool = False
    session_id: int | None = None
    timezone: str = "UTC"
    locale: str = "en_US"
    currency: str = "USD"
    first_weekday: int = 0
    """With which weekday the weeks of the workspace begin, Monday 0: the first working day after its days off."""

    def scopes(self, entity: str, action: Action) -> frozenset[Scope]:
        """How far the verb reaches; empty when it is not granted."""
        if self.is_system:
            return frozenset({Scope.ALL})
        return self.grants.get((entity, action), frozenset())

    def can(self, entity: str, action: Action) -> bool:
        """True when some role grants the verb on some record of the entity."""
        return bool(self.scopes(entity, action))

    def masked(self, entity: str, field_key: str) -> bool:
        """True when the content of the field is hidden from this person, or shown as a trace only: nothing that they do may depend on it."""
        with_it = MASKED_WITH.get((entity, field_key), field_key)
        return (entity, field_key) in self.masks or (entity, with_it) in self.masks

    def veiled(self, entity: str, field_key: str) -> bool:
        """True when a trace of the masked field is shown (``crm_core.veil``)."""
        return (entity, field_key) in self.masks and (entity, field_key) in self.veils

    def locked(self, entity: str, field_key: str) -> bool:
        """True when this person may not change the field, whether they see it or not."""
        return (entity, field_key) in self.locks or (entity, field_key) in self.masks

    def fingerprint(self, *entities: str) -> tuple[object, ...]:
        """What a cached figure over these entities depends on besides the data: equal fingerprints may see equal rows."""
        scopes = tuple((entity, tuple(sorted(self.scopes(entity, Action.READ)))) for entity in entities)
        wide = all(Scope.ALL in found for _, found in scopes)
        told = {*entities, *LOOKUPS, *(PERSONS if not {*SUBJECTS}.isdisjoint(entities) else ())}  # subjects name people
        masks = tuple(sorted((*mask, mask in self.veils) for mask in self.masks if mask[0] in told))
        locks = tuple(sorted(lock for lock in self.locks if lock[0] in entities))
        fields = (masks, locks) if locks else masks
        return (
            (scopes, fields, self.currency, self.timezone)
            if wide
            else (scopes, fields, self.currency, self.timezone, self.user_id, self.team_id)
        )

    def through(self, via: Via) -> "Actor":
        """The same person through another door."""
        return replace(self, via=via)


def system(via: Via = Via.WORKER) -> Actor:
    """The product itself, for work that no person asked for. Sees and may do everything."""
    return Actor(user_id=None, name="Rapport", is_system=True, via=via)


def load(session: Session, user_id: int, *, via: Via = Via.SCREEN, session_id: int | None = None) -> Actor:
    """The actor for a person, with all roles merged: the widest scope wins, and of each field the most permissive level (``levels``). Whoever may
    manage users could give themselves any role, so nothing is kept from them.

    Raises NotPermitted when the person is unknown or was deactivated.
    """
    user = session.get(User, user_id)
    if user is None or not user.is_active:
        raise NotPermitted("This account was deactivated. Ask an administrator.")
    role_ids = list(session.exec(select(UserRole.role_id).where(UserRole.user_id == user_id)))
    grants: dict[tuple[str, Action], set[Scope]] = {}
    verbs: dict[int, set[tuple[str, Action]]] = {role_id: set() for role_id in role_ids}
    for row in session.exec(select(RolePermission).where(RolePermission.role_id.in_(role_ids))):  # type: ignore[attr-defined]
        grants.setdefault((row.entity, row.action), set()).add(row.scope)
        verbs[row.role_id].add((row.entity, row.action))
    masks = session.exec(select(RoleFieldMask).where(RoleFieldMask.role_id.in_(role_ids)))  # type: ignore[attr-defined]
    told = [(row.role_id, row.entity, row.field_key, row.level, row.strict) for row in masks]
    fields = merged(told, {role_id: frozenset(found) for role_id, found in verbs.items()})
    roles = session.exec(select(Role.key, Role.name).where(Role.id.in_(role_ids)))  # type: ignore[attr-defined]
    organisation = session.exec(select(Organisation)).first()
    if ("user", Action.MANAGE) in grants:
        fields = {}
    return Actor(
        user_id=user.id,
        name=user.name,
        email=user.email,
        team_id=user.team_id,
        grants={key: frozenset(scopes) for key, scopes in grants.items()},
        masks=frozenset(key for key, level in fields.items() if level is not FieldLevel.READ),
        veils=frozenset(key for key, level in fields.items() if level is FieldLevel.MASKED),
        locks=frozenset(key for key, level in fields.items() if level is FieldLevel.READ),
        roles=tuple(sorted(key or name for key, name in roles)),
        via=via,
        session_id=session_id,
        timezone=user.timezone or (organisation.timezone if organisation else "UTC"),
        locale=user.locale or (organisation.locale if organisation else "en_US"),
        currency=organisation.currency if organisation else "USD",
        first_weekday=week.first_day(week.days_off(organisation.working_hours)) if organisation else 0,
    )
