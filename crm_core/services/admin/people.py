"""What holds for people whatever is done to them: a readable address, somebody left who may manage, no circle of managers."""

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import exists, or_, select
from sqlmodel import Session

from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit.text import email_key
from crm_core.models import Role, RolePermission, User, UserRole
from crm_core.vocabulary import Action

_USERS = User.__table__  # type: ignore[attr-defined]
_ROLES = Role.__table__  # type: ignore[attr-defined]
_USER_ROLES = UserRole.__table__  # type: ignore[attr-defined]
_PERMISSIONS = RolePermission.__table__  # type: ignore[attr-defined]


def check_email(email: str, *, field: str = "email") -> str:
    """The address as it is compared. Raises Invalid when it can't be one; whether mail arrives there is not asked."""
    try:
        validate_email(email.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise Invalid(fields={field: "This is not an e-mail address; it should look like name@example.com."}) from error
    if len(email.strip()) > 254:
        raise Invalid(fields={field: "An e-mail address has at most 254 characters."})
    return email_key(email)


def get(session: Session, user_id: int | None) -> User:
    """The person's row, or NotFound."""
    user = session.get(User, user_id) if isinstance(user_id, int) and 0 < user_id < 2**31 else None
    if user is None:
        raise NotFound("This person does not exist.")
    return user


def first_administrator(session: Session) -> int:
    """The person as whom a visitor looks around in the demo company: its first active administrator."""
    found = session.execute(
        select(_USERS.c.id)
        .join(_USER_ROLES, _USER_ROLES.c.user_id == _USERS.c.id)
        .join(_ROLES, _ROLES.c.id == _USER_ROLES.c.role_id)
        .where(_ROLES.c.key == "administrator", _USERS.c.is_active)
        .order_by(_USERS.c.id)
    ).scalar()
    if found is None:
        raise NotPermitted("This workspace has no administrator who could let you in. Sign in with an account.")
    return found


def demo_person(session: Session, role_key: str) -> int:
    """The person of the demo company who shows a role. Raises NotFound when nobody does."""
    found = demo_people(session).get(role_key)
    if found is None:
        raise NotFound("Nobody in the demo company shows this role any more.")
    return found[0]


def demo_people(session: Session) -> dict[str, tuple[int, str]]:
    """Role key → id and name of its first active person without a password, so never somebody whom a visitor invited and who joined."""
    query = (
        select(_ROLES.c.key, _USERS.c.id, _USERS.c.name)
        .join(_USER_ROLES, _USER_ROLES.c.role_id == _ROLES.c.id)
        .join(_USERS, _USERS.c.id == _USER_ROLES.c.user_id)
        .where(_USERS.c.is_active, _USERS.c.password_hash.is_(None), _ROLES.c.key.is_not(None))
        .order_by(_USERS.c.id.desc())
    )
    return {str(key): (int(user_id), str(name)) for key, user_id, name in session.execute(query)}


def require_an_administrator(session: Session) -> None:
    """Raise Conflict when, after the changes of this transaction, nobody could manage people any more.

    Counts active people whose roles allow it and who can sign in: those with a password, or who were here before (single sign-on). Somebody
    who was only invited does not count yet.
    """
    session.flush()
    manages = exists(
        select(_USER_ROLES.c.user_id)
        .join(_PERMISSIONS, _PERMISSIONS.c.role_id == _USER_ROLES.c.role_id)
        .where(_USER_ROLES.c.user_id == _USERS.c.id, _PERMISSIONS.c.entity == "user", _PERMISSIONS.c.action == Action.MANAGE)
    )
    can_enter = or_(_USERS.c.password_hash.is_not(None), _USERS.c.last_seen_at.is_not(None))
    if session.execute(select(_USERS.c.id).where(_USERS.c.is_active, manages, can_enter).limit(1)).first() is None:
        raise Conflict("Somebody has to remain who may manage people. Give another person the administrator's role first.")
