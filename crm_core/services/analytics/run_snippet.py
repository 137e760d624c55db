"""The Python that computes a run once more, as it is: the same rows, settings and random numbers, with the reader's own eyes."""

from pprint import pformat

from crm_core.access import Actor
from crm_core.services.analytics.runs import Run

_TEXT = '''"""{title}, once more. In the folder of Rapport: RAPPORT_DATABASE_URL=… .venv/bin/python this_file.py"""

from datetime import date

from crm_core.access import load
from crm_core.db import read_session
from crm_core.services.analytics.methods import method
from crm_core.services.analytics.run_keys import end_of

params = {params}

with read_session() as session:
    actor = load(session, {user_id})  # {name}: nobody computes with rows that they may not see
    day = end_of(date({year}, {month}, {day}), actor.timezone)
    found = method("{kind}").compute(session, actor, params, day, lambda share, words="": None)

print(found.verdict)
print(found.summary)  # found.tables holds the tables
'''


def of(actor: Actor, run: Run) -> str:
    """The text of a script for a run that the actor opened."""
    return _TEXT.format(
        title=run.title.replace('"', "'").replace("\\", ""), params=pformat(dict(run.params), width=110, sort_dicts=False), user_id=actor.user_id,
        name=" ".join(actor.name.split()), year=run.as_of.year, month=run.as_of.month, day=run.as_of.day, kind=run.kind,
    )  # fmt: skip
