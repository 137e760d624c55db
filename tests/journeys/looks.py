"""What journeys read from the database, to compare with what the screen says."""

from typing import Any

from sqlalchemy import text

from crm_core.db import read_session


def one(query: str, **values: Any) -> Any:
    """One value."""
    with read_session() as session:
        return session.execute(text(query), values).scalar()


def row(query: str, **values: Any) -> Any:
    """One row."""
    with read_session() as session:
        return session.execute(text(query), values).one()
