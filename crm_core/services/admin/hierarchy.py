"""Who reports to whom: one manager per person in the rows, every pair of above and below in the closure that scopes read."""

from sqlalchemy import delete, insert, select
from sqlmodel import Session

from crm_core import db
from crm_core.errors import Invalid
from crm_core.models import User, UserClosure

_CLOSURE = UserClosure.__table__  # type: ignore[attr-defined]
_USERS = User.__table__  # type: ignore[attr-defined]


def pairs(managers: dict[int, int | None]) -> list[tuple[int, int, int]]:
    """(above, below, distance) for every person and everybody above them, themselves at distance 0 included. Pure.

    Raises ValueError on a circle.
    """
    found: list[tuple[int, int, int]] = []
    for person in managers:
        above: int | None = person
        depth = 0
        while above is not None:
            found.append((above, person, depth))
            above, depth = managers.get(above), depth + 1
            if depth > len(managers):
                raise ValueError(f"person {person} is above themselves")
    return found


def rebuild(session: Session) -> None:
    """Write the closure anew from everybody's manager. A few hundred people take milliseconds, and nothing can drift."""
    session.flush()
    managers = {row.id: row.manager_id for row in session.execute(select(_USERS.c.id, _USERS.c.manager_id))}
    connection = session.connection()
    connection.execute(delete(_CLOSURE))
    rows = [{"ancestor_id": above, "descendant_id": below, "depth": depth} for above, below, depth in pairs(managers)]
    if rows:
        connection.execute(insert(_CLOSURE), rows)
    db.bump(session, "user_closure")


def refuse_circle(session: Session, user_id: int, manager_id: int) -> None:
    """Raise Invalid when the manager would be the person, or somebody below them."""
    if user_id == manager_id:
        raise Invalid(fields={"manager_id": "Nobody can be their own manager."})
    below = session.execute(
        select(_CLOSURE.c.depth).where(_CLOSURE.c.ancestor_id == user_id, _CLOSURE.c.descendant_id == manager_id)
    ).first()
    if below is not None:
        raise Invalid(
            fields={"manager_id": "This person works below the one you are changing, so the two would manage each other."}
        )
