"""The analyses of a new demo company, asked for right after its building: whoever opens a page of analytics finds a result on it.

The door only leaves one job behind, so it opens at once and the worker fills the pages. Equal questions of people who see the same records are one run.
"""

from typing import Any

from sqlmodel import Session

from crm_core import access, jobs
from crm_core.access import Actor
from crm_core.errors import CrmError
from crm_core.jobs import Job, job
from crm_core.kit import clock
from crm_core.services.admin import setup
from crm_core.services.admin.demo import recovery
from crm_core.services.admin.demo.scales import truth
from crm_core.services.analytics import runs

ALSO: tuple[tuple[str, dict[str, Any]], ...] = (("personas", {}), ("outlook", {}))
"""Analyses in which nothing was planted; those with something planted are ``recovery.checks``."""


def later(session: Session) -> str:
    """Leave the asking to the worker; gives the job's id."""
    return jobs.enqueue(session, "demo.first_looks", unless_waiting=True)


@job("demo.first_looks", title="First analyses of the demo company")
def _look(task: Job) -> None:
    from crm_core.services.admin import demo

    with task.transaction() as session:
        found = setup.organisation(session)
        if found is not None and found.is_demo:  # somebody may have left the demo meanwhile
            asked = ask(session, demo.people(session))
            task.report(asked, asked)


def ask(session: Session, people: dict[str, int]) -> int:
    """Queue a run of every method, as the administrator and as each other role that sees other records; gives how many there are.

    ``people``: a person per role (``demo.people``). The administrator's come first: most visitors begin there.
    """
    wanted = [*((check.kind, check.params) for check in recovery.checks(truth())), *ALSO]
    asked: set[int] = set()
    for role in sorted(people, key=lambda key: key != "administrator"):
        actor = access.load(session, people[role])
        asked |= {found for kind, params in wanted if (found := _request(session, actor, kind, params)) is not None}
    return len(asked)


def _request(session: Session, actor: Actor, kind: str, params: dict[str, Any]) -> int | None:
    try:
        return runs.request(session, actor, kind, params, clock.today(actor.timezone))
    except CrmError:
        return None  # a role that may not read what the analysis is about
