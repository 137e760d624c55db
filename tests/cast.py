"""The fixed cast: Alice (sales rep), Bob (her manager), Charlie (sales rep of another team), Dana (marketer), Sam (support agent), Ana (analyst), Root (administrator)."""

from sqlmodel import Session, select

from crm_core.access import Actor, load
from crm_core.kit.text import email_key
from crm_core.models import Role, Team, User, UserClosure, UserRole

CAST = {
    "root": ("Root", "administrator", None, None),
    "bob": ("Bob Manager", "manager", "North", None),
    "alice": ("Alice Rep", "sales_rep", "North", "bob"),
    "charlie": ("Charlie Rep", "sales_rep", "South", None),
    "dana": ("Dana Marketer", "marketer", "North", None),
    "sam": ("Sam Agent", "support_agent", "South", None),
    "ana": ("Ana Analyst", "analyst", None, None),
}


def create(session: Session, password_hash: str | None = None) -> dict[str, Actor]:
    """Create the people with their teams, roles and hierarchy; returns an actor for each."""
    teams = {name: Team(name=name) for name in ("North", "South")}
    session.add_all(teams.values())
    session.flush()
    roles = {role.key: role.id for role in session.exec(select(Role))}
    users: dict[str, User] = {}
    for key, (name, role, team, manager) in CAST.items():
        email = f"{key}@example.com"
        user = User(
            name=name,
            email=email,
            email_key=email_key(email),
            password_hash=password_hash,
            team_id=teams[team].id if team else None,
            manager_id=users[manager].id if manager else None,
        )
        session.add(user)
        session.flush()
        session.add(UserRole(user_id=user.id, role_id=roles[role]))
        session.add(UserClosure(ancestor_id=user.id, descendant_id=user.id, depth=0))
        if manager:
            session.add(UserClosure(ancestor_id=users[manager].id, descendant_id=user.id, depth=1))
        users[key] = user
    session.flush()
    return {key: load(session, user.id) for key, user in users.items()}
