"""The people of the demo company: who works there, in which team, below whom, with which role."""

from typing import Any

import numpy as np
from sqlmodel import Session, col, select

from crm_core.kit.text import email_key, fold
from crm_core.models import Role, User, UserRole
from crm_core.services.admin.demo.draft import Draft
from crm_core.services.admin.demo.words import words

COUNTRIES_OF = {
    "Sales North": ("Germany", "Sweden", "Denmark", "Poland", "Ireland"),
    "Sales South": ("France", "Italy", "Portugal"),
}
OFFICES = {
    "Sales North": "Hamburg", "Sales South": "Lyon", "Marketing": "Hamburg", "Support": "Hamburg", "Office": "Hamburg",
}  # fmt: skip


def add(draft: Draft, role_ids: dict[str, int]) -> None:
    """Teams, people without passwords, roles and the reporting hierarchy. Knows afterwards: reps, agents, marketers, north, south."""
    people = _everybody(draft)
    team_ids = {name: n for n, name in enumerate(OFFICES, 1)}
    ids = {person["name"]: n for n, person in enumerate(people, 1)}
    managers = [ids.get(person.get("manager", ""), 0) for person in people]
    emails = _emails([person["name"] for person in people])
    joined = draft.instant - np.timedelta64(1_200, "D")
    draft.put("team", name=list(OFFICES), office=list(OFFICES.values()), created_at=joined, updated_at=joined)
    draft.put(
        "app_user",
        name=[person["name"] for person in people],
        email=emails,
        email_key=[email_key(email) for email in emails],
        team_id=np.array([team_ids[person["team"]] for person in people]),
        manager_id=np.array(managers),
        created_at=joined,
        updated_at=joined,
    )
    draft.tables["user_role"] = {"user_id": list(ids.values()), "role_id": [role_ids[person["role"]] for person in people]}
    draft.tables["user_closure"] = _closure(managers)
    _remember(draft, people)


def with_role(session: Session, key: str, most: int) -> list[int]:
    """Ids of the first people, once they are written, who have a role and can sign in."""
    query = (
        select(User.id)
        .join(UserRole, col(UserRole.user_id) == User.id)
        .join(Role, col(Role.id) == UserRole.role_id)
        .where(Role.key == key, col(User.is_active))
    )
    return list(session.exec(query.order_by(col(User.id)).limit(most)))


def _everybody(draft: Draft) -> list[dict[str, Any]]:
    fixed = list(words("people")["staff"])
    rng, names = draft.stream(1), words("people")
    taken = {person["name"] for person in fixed}
    wanted = (("sales_rep", draft.sizes.reps), ("support_agent", draft.sizes.agents), ("marketer", draft.sizes.marketers))
    for role, total in wanted:
        pattern = [person for person in fixed if person["role"] == role]
        boss = {person["team"]: person.get("manager") or person["name"] for person in reversed(pattern)}
        for n in range(total - len(pattern)):
            team = pattern[n * 3 % len(pattern)]["team"]
            name = _new_name(rng, names, taken)
            fixed.append({"name": name, "role": role, "team": team, "manager": boss[team]})
    return fixed


def _new_name(rng: np.random.Generator, names: dict[str, Any], taken: set[str]) -> str:
    countries = list(names["first"])
    while True:
        country = countries[rng.integers(len(countries))]
        name = f"{names['first'][country][rng.integers(16)]} {names['last'][country][rng.integers(16)]}"
        if name not in taken:
            taken.add(name)
            return name


def _emails(names: list[str]) -> list[str]:
    domain, seen, found = words("companies")["domain"], set(), []
    for name in names:
        base = slug(name, ".")
        address, n = f"{base}@{domain}", 2
        while address in seen:
            address, n = f"{base}{n}@{domain}", n + 1
        seen.add(address)
        found.append(address)
    return found


def slug(name: str, joint: str = "-") -> str:
    """A name as part of an address: ``Côte d’Opale`` becomes ``cote-dopale``."""
    plain = fold(name).replace("’", "").replace("'", "")
    return joint.join("".join(c if c.isalnum() and c.isascii() else " " for c in plain).split())


def _closure(managers: list[int]) -> dict[str, list[int]]:
    ancestors, descendants, depths = [], [], []
    for person in range(1, len(managers) + 1):
        above, depth = person, 0
        while above:
            ancestors.append(above)
            descendants.append(person)
            depths.append(depth)
            above, depth = managers[above - 1], depth + 1
    return {"ancestor_id": ancestors, "descendant_id": descendants, "depth": depths}


def _remember(draft: Draft, people: list[dict[str, Any]]) -> None:
    def having(role: str, team: str | None = None) -> Any:
        return np.array([n for n, p in enumerate(people, 1) if p["role"] == role and team in (None, p["team"])])

    draft.known.update(
        reps=having("sales_rep"),
        agents=having("support_agent"),
        marketers=having("marketer"),
        reps_of={team: having("sales_rep", team) for team in COUNTRIES_OF},
        support_team=list(OFFICES).index("Support") + 1,
    )
