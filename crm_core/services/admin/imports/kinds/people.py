"""People of the own house with their teams and managers. For administrators only; nobody can sign in until they were invited."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from crm_core.access import Actor, require
from crm_core.fields import FieldSpec
from crm_core.kit.text import email_key, fold
from crm_core.models import Role, User, UserClosure, UserRole
from crm_core.services.admin import hierarchy
from crm_core.services.admin.imports.kinds.base import Kind, RowRefused, Written
from crm_core.vocabulary import Action, FieldKind

if TYPE_CHECKING:
    from crm_core.services.admin.imports.batch import Batch

PLACEHOLDER_DOMAIN = "imported.example"
"""Domain of made-up addresses; ``.example`` is reserved, so that no mail ever arrives at a stranger."""

_ROLES: Any = Role.__table__  # type: ignore[attr-defined]
_USERS: Any = User.__table__  # type: ignore[attr-defined]
_CLOSURE: Any = UserClosure.__table__  # type: ignore[attr-defined]
_USER_ROLES: Any = UserRole.__table__  # type: ignore[attr-defined]


class People(Kind):
    entity = "user"
    match = (("email",), ("name",))
    unique = frozenset({"email_key"})
    closed = frozenset({"is_active"})
    tables = ("user_role", "user_closure")
    extra = (
        FieldSpec("", "role", "Role", FieldKind.TEXT, max_length=80, help="Name of a role; without one: sales rep, or manager"),
    )
    synonyms = {
        "name": ("sales agent", "full name", "agent", "employee", "user", "sales rep", "person"),
        "email": ("e-mail", "email address", "mail"),
        "manager_id": ("manager", "supervisor", "reports to", "boss", "team lead"),
        "team_id": ("team", "regional office", "office", "region", "department"),
        "role": ("role", "position"),
    }
    notes = (
        "Nobody can sign in before an administrator has invited them.",
        f"A person without an e-mail address gets a made-up one at {PLACEHOLDER_DOMAIN}, to be replaced before the invitation.",
        "Somebody whom others name as their manager becomes a manager; everybody else becomes a sales rep, unless the file names a role.",
    )

    def require(self, actor: Actor, action: Action = Action.IMPORT) -> None:
        require(actor, "user", Action.MANAGE)

    def satisfied(self, given: frozenset[str]) -> frozenset[str]:
        return frozenset({"email"})

    def begin(self, batch: "Batch") -> None:
        rows = batch.session.execute(select(_ROLES.c.id, _ROLES.c.key, _ROLES.c.name)).all()
        self.roles = {fold(name): role_id for role_id, _key, name in rows} | {key: role_id for role_id, key, _name in rows if key}
        self.taken = set(batch.session.execute(select(_USERS.c.email_key)).scalars())

    def fill(self, batch: "Batch", values: dict[str, Any], old: Any | None) -> None:
        role = values.get("role")
        if role is not None and fold(role) not in self.roles:
            raise RowRefused(role=f"There is no role “{role}”.")
        if old is None:
            values["email"] = values.get("email") or self.address(values.get("name") or "")
        if values.get("email"):
            key = email_key(values["email"])
            if key in self.taken and (old is None or old.email_key != key):
                raise RowRefused(email=f"There is already somebody with the address {values['email']}.")
            values["email_key"] = key
        values.pop("role", None)

    def address(self, name: str) -> str:
        """A made-up address for a person without one."""
        stem = ".".join(re.findall(r"[a-z0-9]+", fold(name))) or "person"
        address, n = f"{stem}@{PLACEHOLDER_DOMAIN}", 2
        while address in self.taken:
            address, n = f"{stem}.{n}@{PLACEHOLDER_DOMAIN}", n + 1
        return address

    def wrote(self, batch: "Batch", created: Sequence[Written], updated: Sequence[Written]) -> None:
        connection = batch.session.connection()
        self.taken |= {row.columns["email_key"] for row in created}
        if created:
            connection.execute(insert(_CLOSURE), [{"ancestor_id": row.id, "descendant_id": row.id, "depth": 0} for row in created])
        roles = [{"user_id": row.id, "role_id": self.roles[fold(row.given["role"])]} for row in created if row.given.get("role")]
        if roles:
            connection.execute(insert(_USER_ROLES), roles)

    def finished(self, batch: "Batch") -> None:
        """Roles for those who have none: managers of somebody, and sales reps. Then the hierarchy that scopes read."""
        connection = batch.session.connection()
        mine = batch.written_ids()
        have = set(connection.execute(select(_USER_ROLES.c.user_id)).scalars())
        managing = set(connection.execute(select(_USERS.c.manager_id).where(_USERS.c.manager_id.is_not(None))).scalars())
        rows = [
            {"user_id": user_id, "role_id": self.roles["manager" if user_id in managing else "sales_rep"]}
            for user_id in sorted(mine - have)
        ]
        if rows:
            connection.execute(insert(_USER_ROLES), rows)
        hierarchy.rebuild(batch.session)


__all__ = ["PLACEHOLDER_DOMAIN", "People"]
