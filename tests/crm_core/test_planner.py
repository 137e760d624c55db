"""SQLite's planner is told what the tables hold when they grew, and only then."""

from sqlalchemy import text

from crm_core import planner
from crm_core.db import read_session, write_session
from crm_core.models import Task
from crm_core.vocabulary import TaskStatus

FIND = "explain query plan select id from task where lead_id = 1 and status = 'open' and deleted_at is null order by due_at"


def fill(session, n):
    session.add_all([Task(subject=f"Task {i}", status=TaskStatus.OPEN if i % 2 else TaskStatus.DONE) for i in range(n)])


def test_a_table_is_counted_when_it_has_grown(database):
    assert planner.count_anew() == []
    with write_session() as session:
        fill(session, planner.FEW + 1)
    assert "task" in planner.count_anew()
    assert planner.count_anew() == []
    with write_session() as session:
        fill(session, planner.FEW)
    assert planner.count_anew() == [], "twice as many are found as well as before"


def test_a_column_that_is_nearly_always_empty_is_still_the_way_to_what_it_names(database):
    with read_session() as session:
        assert session.execute(text("select count(*) from task")).scalar() == 0  # a connection that was open before
    with write_session() as session:
        fill(session, planner.FEW + 1)
    planner.count_anew()
    with read_session() as session:
        session.execute(text("select count(*) from task"))  # a plan alone does not look whether the counts are new
        plan = " ".join(str(row) for row in session.execute(text(FIND)))
    assert "ix_task_lead" in plan


def test_a_new_index_is_counted_too(database):
    with write_session() as session:
        fill(session, planner.FEW + 1)
    planner.count_anew()
    with write_session() as session:
        session.execute(text("create index ix_of_a_migration on task (subject, status)"))
    assert planner.count_anew() == ["task"]
    assert planner.count_anew() == []
