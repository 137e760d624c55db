"""What tables of customers share, whatever was computed of them: who of them the reader may see, and how they are called."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core import persons
from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.models import User

if TYPE_CHECKING:
    import numpy as np

_USERS: Any = User.__table__  # type: ignore[attr-defined]
BATCH = 5_000


def seen(session: Session, actor: Actor, key: str, wanted: list[int], mine: bool) -> "np.ndarray":
    """Ids of those that still exist and that the reader may see, more than the wanted when these are many; with ``mine`` only the reader's own."""
    from crm_core.frames.read import read_frame

    table = entity(key).table
    clause = [visible(actor, key, table)]
    clause += [table.c.owner_id == actor.user_id] if mine else []
    clause += [table.c.id.in_(wanted)] if len(wanted) <= BATCH else []
    return read_frame(session, select(table.c.id).where(*clause))["id"].to_numpy(dtype="int64")


def named(session: Session, actor: Actor, key: str, ids: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Id → name and owner's name ("" for nobody's) of those that the reader may see; a masked name is the kind and the number."""
    table = entity(key).table
    people = select(table.c.id, table.c.name, _USERS.c.name).outerjoin(_USERS, _USERS.c.id == table.c.owner_id)
    rows = session.execute(people.where(table.c.id.in_(list(ids)), visible(actor, key, table)))
    return {record_id: (persons.called(actor, key, record_id, name), owner or "") for record_id, name, owner in rows}
