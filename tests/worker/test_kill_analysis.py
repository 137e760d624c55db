"""An analysis whose worker is killed: nothing of it is kept, the next worker does it all, once."""

import pytest
from sqlalchemy import func, select

from crm_core.db import read_session
from crm_core.models import AnalysisTable
from crm_core.vocabulary import RunState
from tests.crm_core.services.analytics.buying import ask, look, two_kinds
from tests.worker.test_kill import forget_dead_workers, hold, kill_when_held, release, until, worker

pytestmark = pytest.mark.slow


def tables():
    with read_session() as session:
        return session.execute(select(func.count()).select_from(AnalysisTable.__table__)).scalar_one()


def test_an_analysis_killed_before_its_end_is_done_once_by_the_next_worker(cast):
    two_kinds(cast)
    run_id = ask(cast["bob"], params={"months": "0"})
    hold("analysis computed")
    with worker() as process:
        kill_when_held(process, "analysis computed")
    assert look(cast["bob"], run_id).state is RunState.RUNNING and tables() == 0
    forget_dead_workers()
    release()
    with worker():
        until(lambda: look(cast["bob"], run_id).state is RunState.DONE, seconds=240)
    found = look(cast["bob"], run_id)
    assert found.tables["customers"] == 80 and tables() == len(found.tables) + 1
