"""Asks a method as the worker would: parameters checked, as of the end of a day, with the asker's own eyes."""

from datetime import UTC, datetime, time, timedelta

from crm_core.db import read_session
from crm_core.services.analytics.methods import method


def ask(kind, actor, day, **params):
    """The outcome of a method for a day."""
    found = method(kind)
    with read_session() as session:
        chosen = found.normalise(params, session, actor)
        as_of = datetime.combine(day + timedelta(days=1), time(), UTC)
        return found.compute(session, actor, chosen, as_of, lambda share, words="": None)
