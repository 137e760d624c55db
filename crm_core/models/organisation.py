"""The workspace, its people, what they may do, and how they sign in."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from crm_core.models.base import Base, Json, Record, choice_type, field, table_args
from crm_core.vocabulary import Action, FieldKind, FieldLevel, LinkPurpose, Scope, SigninMethod


class Organisation(Record, table=True):
    """One row: the business settings of the workspace."""

    name: str = field("Name", required=True)
    currency: str = Field(default="USD", max_length=3)
    timezone: str = Field(default="UTC", max_length=64)
    locale: str = Field(default="en_US", max_length=16)
    date_format: str = Field(default="medium", max_length=32)
    fiscal_year_start_month: int = 1
    phone_region: str = Field(default="US", max_length=2)
    working_hours: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    is_demo: bool = False
    single_threaded_minor: int = 1_000_000
    tax_rate_pct: float = 0.0


class Team(Record, table=True):
    """One row per team of colleagues."""

    name: str = field("Name", required=True, unique=True)
    office: str | None = field("Office")


class User(Record, table=True):
    """One row per person who may sign in. People are deactivated, never deleted."""

    __tablename__ = "app_user"
    __table_args__ = table_args(
        Index("uq_app_user_email", "email_key", unique=True), Index("uq_app_user_oidc_subject", "oidc_subject", unique=True)
    )

    name: str = field("Name", required=True, max_length=200)
    email: str = field("E-mail", FieldKind.EMAIL, required=True, pii=True)
    email_key: str = Field(max_length=254)
    password_hash: str | None = Field(default=None, max_length=300)
    oidc_subject: str | None = Field(default=None, max_length=255)
    is_active: bool = field("Active", FieldKind.BOOLEAN, default=True)
    team_id: int | None = field("Team", to="team")
    manager_id: int | None = field("Manager", to="user")
    timezone: str | None = Field(default=None, max_length=64)
    locale: str | None = Field(default=None, max_length=16)
    filing_turn: int = 0
    last_seen_at: datetime | None = None


class UserClosure(Base, table=True):
    """One row per pair of a person and somebody below them (or themselves, depth 0) in the reporting hierarchy."""

    __tablename__ = "user_closure"
    ancestor_id: int = Field(primary_key=True, foreign_key="app_user.id", ondelete="CASCADE")
    descendant_id: int = Field(primary_key=True, foreign_key="app_user.id", ondelete="CASCADE", index=True)
    depth: int = 0


class Role(Record, table=True):
    """One row per role; ``key`` is set for the built-in ones."""

    key: str | None = Field(default=None, max_length=40, unique=True)
    name: str = field("Name", required=True, unique=True)
    description: str = field("Description", default="")


class RolePermission(Base, table=True):
    """One row per verb that a role grants on an entity, with its reach."""

    __tablename__ = "role_permission"
    role_id: int = Field(primary_key=True, foreign_key="role.id", ondelete="CASCADE")
    entity: str = Field(primary_key=True, max_length=40)
    action: Action = Field(primary_key=True, sa_type=choice_type(Action))
    scope: Scope = Field(default=Scope.ALL, sa_type=choice_type(Scope))


class RoleFieldMask(Base, table=True):
    """One row per field of which a role has less than its verbs on the record give. ``strict``: it holds whatever another role allows."""

    __tablename__ = "role_field_mask"
    role_id: int = Field(primary_key=True, foreign_key="role.id", ondelete="CASCADE")
    entity: str = Field(primary_key=True, max_length=40)
    field_key: str = Field(primary_key=True, max_length=80)
    level: FieldLevel = Field(default=FieldLevel.HIDDEN, sa_type=choice_type(FieldLevel))
    strict: bool = True


class UserRole(Base, table=True):
    """One row per role that a person has."""

    __tablename__ = "user_role"
    user_id: int = Field(primary_key=True, foreign_key="app_user.id", ondelete="CASCADE")
    role_id: int = Field(primary_key=True, foreign_key="role.id", ondelete="CASCADE", index=True)


class AuthSession(Record, table=True):
    """One row per signed-in browser. Only the hash of the cookie's token is kept; deleting the row signs out."""

    __tablename__ = "auth_session"
    token_sha256: str = Field(max_length=64, unique=True)
    user_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE", index=True)
    method: SigninMethod = Field(sa_type=choice_type(SigninMethod))
    expires_at: datetime = Field(index=True)
    last_seen_at: datetime
    address: str = Field(default="", max_length=64)
    browser: str = Field(default="", max_length=200)


class OneTimeLink(Record, table=True):
    """One row per invitation or password reset; it works once and expires."""

    __tablename__ = "one_time_link"
    token_sha256: str = Field(max_length=64, unique=True)
    purpose: LinkPurpose = Field(sa_type=choice_type(LinkPurpose))
    user_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE", index=True)
    expires_at: datetime
    used_at: datetime | None = None
    created_by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")


class SigninAttempt(Base, table=True):
    """One row per failed try to sign in, for throttling; old ones are purged."""

    __tablename__ = "signin_attempt"
    __table_args__ = table_args(Index("ix_signin_attempt_key_at", "key", "at"))
    id: int = Field(default=None, primary_key=True)
    key: str = Field(max_length=300)
    at: datetime


__all__ = [
    "AuthSession",
    "OneTimeLink",
    "Organisation",
    "Role",
    "RoleFieldMask",
    "RolePermission",
    "SigninAttempt",
    "Team",
    "User",
    "UserClosure",
    "UserRole",
]
