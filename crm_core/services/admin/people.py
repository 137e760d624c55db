"""What holds for people whatever is done to them: a readable address, somebody left who may manage, no circle of managers."""

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import exists, or_, select
from sqlmodel import Session

from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit.text import email_key
from crm_core.models import Role, RolePermission, User, UserRole
from crm_core.vocabulary import Action


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
        select(User.id)  # type: ignore[call-overload]
        .join(UserRole, UserRole.user_id == User.id)
        .join(Role, Role.id == UserRole.role_id)
        .where(Role.key == "administrator", User.is_active)
        .order_by(User.id)
    ).scalar()
    if found is None:
        raise NotPermitted("This workspace has no administrator who could let you in. Sign in with an account.")
    return found


def require_an_administrator(session: Session) -> None:
    """Raise Conflict when, after the changes of this transaction, nobody could manage people any more.

    Counts active people whose roles allow it and who can sign in: those with a password, or who were here before (single sign-on). Somebody
    who was only invited does not count yet.
    """
    session.flush()
    manages = exists(
        select(UserRole.user_id)
        .join(RolePermission, RolePermission.role_id == UserRole.role_id)  # type: ignore[arg-type]
        .where(
            UserRole.user_id == User.id,  # type: ignore[arg-type]
            RolePermission.entity == "user",  # type: ignore[arg-type]
            RolePermission.action == Action.MANAGE,  # type: ignore[arg-type]
        )
    )
    can_enter = or_(User.password_hash.is_not(None), User.last_seen_at.is_not(None))  # type: ignore[union-attr]
    if session.execute(select(User.id).where(User.is_active, manages, can_enter).limit(1)).first() is None:  # type: ignore[call-overload]
        raise Conflict("Somebody has to remain who may manage people. Give another person the administrator's role first.")
