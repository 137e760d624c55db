"""Who acts: the person, what they may do and how far, and the door they came through."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlmodel import Session, select

from crm_core.errors import NotPermitted
from crm_core.models import Organisation, Role, RoleFieldMask, RolePermission, User, UserRole
from crm_core.vocabulary import Action, Scope, Via

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
    roles: tuple[str, ...] = ()
    via: Via = Via.SCREEN
    is_system: bool = False
    session_id: int | None = None
    timezone: str = "UTC"
    locale: str = "en_US"
    currency: str = "USD"

    def scopes(self, entity: str, action: Action) -> frozenset[Scope]:
        """How far the verb reaches; empty when it is not granted."""
        if self.is_system:
            return frozenset({Scope.ALL})
        return self.grants.get((entity, action), frozenset())

    def can(self, entity: str, action: Action) -> bool:
        """True when some role grants the verb on some record of the entity."""
        return bool(self.scopes(entity, action))

    def masked(self, entity: str, field_key: str) -> bool:
        """True when the content of the field is hidden from this person."""
        return (entity, field_key) in self.masks

    def fingerprint(self, *entities: str) -> tuple[object, ...]:
        """What a cached figure over these entities depends on besides the data: equal fingerprints may see equal rows."""
        scopes = tuple((entity, tuple(sorted(self.scopes(entity, Action.READ)))) for entity in entities)
        wide = all(Scope.ALL in found for _, found in scopes)
        masks = tuple(sorted(mask for mask in self.masks if mask[0] in entities))
        return (
            (scopes, masks, self.currency, self.timezone)
            if wide
            else (scopes, masks, self.currency, self.timezone, self.user_id, self.team_id)
        )

    def through(self, via: Via) -> "Actor":
        """The same person through another door."""
        return replace(self, via=via)


def system(via: Via = Via.WORKER) -> Actor:
    """The product itself, for work that no person asked for. Sees and may do everything."""
    return Actor(user_id=None, name="Rapport", is_system=True, via=via)


def load(session: Session, user_id: int, *, via: Via = Via.SCREEN, session_id: int | None = None) -> Actor:
    """The actor for a person, with all roles merged: the widest scope wins, a mask of any role stays unless another role may manage users.

    Raises NotPermitted when the person is unknown or was deactivated.
    """
    user = session.get(User, user_id)
    if user is None or not user.is_active:
        raise NotPermitted("This account was deactivated. Ask an administrator.")
    role_ids = list(session.exec(select(UserRole.role_id).where(UserRole.user_id == user_id)))
    grants: dict[tuple[str, Action], set[Scope]] = {}
    for row in session.exec(select(RolePermission).where(RolePermission.role_id.in_(role_ids))):  # type: ignore[attr-defined]
        grants.setdefault((row.entity, row.action), set()).add(row.scope)
    masks = session.exec(select(RoleFieldMask).where(RoleFieldMask.role_id.in_(role_ids)))  # type: ignore[attr-defined]
    roles = session.exec(select(Role.key, Role.name).where(Role.id.in_(role_ids)))  # type: ignore[attr-defined]
    organisation = session.exec(select(Organisation)).first()
    sees_all = ("user", Action.MANAGE) in grants
    return Actor(
        user_id=user.id,
        name=user.name,
        email=user.email,
        team_id=user.team_id,
        grants={key: frozenset(scopes) for key, scopes in grants.items()},
        masks=frozenset() if sees_all else frozenset((mask.entity, mask.field_key) for mask in masks),
        roles=tuple(sorted(key or name for key, name in roles)),
        via=via,
        session_id=session_id,
        timezone=user.timezone or (organisation.timezone if organisation else "UTC"),
        locale=user.locale or (organisation.locale if organisation else "en_US"),
        currency=organisation.currency if organisation else "USD",
    )
