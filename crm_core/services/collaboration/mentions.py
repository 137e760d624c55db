"""``@name`` in a note: whom it means, and telling them."""

from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.kit.text import fold
from crm_core.models import User
from crm_core.services.collaboration import following, notifications

_USERS = User.__table__  # type: ignore[attr-defined]
MOST = 20
"""More people are not told by one note."""


def tell(session: Session, actor: Actor, text: str, *, key: str, record_id: int, source: str) -> int:
    """Tell everybody whom a text about a record mentions; gives how many. ``source`` names the text, so that each is told once of it.

    Who is told follows the record from then on.
    """
    about: dict[str, Any] = {"kind": "mention", "params": {"by": actor.user_id}, "entity": key, "record_id": record_id}
    ids = mentioned(session, actor, text)[:MOST]
    told = [user_id for user_id in ids if notifications.notify(session, user_id, dedupe_key=f"mention:{source}", **about)]
    following.begin(session, actor, key, record_id, told)
    return len(told)


def mentioned(session: Session, actor: Actor, text: str) -> list[int]:
    """Ids of the active people whose whole name, first name (if nobody else has it) or mail name stands behind an @."""
    if "@" not in text:
        return []
    people = session.execute(select(_USERS.c.id, _USERS.c.name, _USERS.c.email_key).where(_USERS.c.is_active)).all()
    names: dict[str, set[int]] = {}
    for row in people:
        whole = fold(row.name)
        for name in {whole, whole.split(" ")[0], row.email_key.split("@")[0]} - {""}:
            names.setdefault(name, set()).add(row.id)
    return sorted({found for start in _starts(text) if (found := _longest(names, start))})


def _starts(text: str) -> list[str]:
    """What stands behind each @ at the beginning of a word (that of an e-mail address stands in the middle)."""
    folded = fold(text)
    return [
        folded[place + 1 : place + 202]
        for place, sign in enumerate(folded)
        if sign == "@" and (place == 0 or not folded[place - 1].isalnum())
    ]


def _longest(names: dict[str, set[int]], start: str) -> int | None:
    """The one person of the longest name that the text begins with; None when it is nobody's or several people's."""
    fitting = [name for name in names if start.startswith(name) and not start[len(name) : len(name) + 1].isalnum()]
    found = names[max(fitting, key=len)] if fitting else set()
    return next(iter(found)) if len(found) == 1 else None
