"""Runs of analyses: asked once, computed with the asker's eyes, seen by nobody who may not see the same rows."""

import sys
from datetime import timedelta

import pandas as pd
import pytest
from sqlalchemy import func, select

from crm_core import db, filters, jobs
from crm_core.access import visible
from crm_core.db import read_session, write_session
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.frames.arrow import pack, unpack
from crm_core.kit import clock
from crm_core.models import AnalysisRun, Contact, JobRun, Order, RolePermission, UserRole
from crm_core.services.analytics import marks, run_keys, run_snippet, run_work, runs
from crm_core.services.analytics.methods import Method, Outcome, Param, kinds
from crm_core.services.analytics.methods import method as method_of
from crm_core.services.collaboration import notifications
from crm_core.vocabulary import Action, RunState
from tests.crm_core.services.analytics.buying import NOW, ask, look, two_kinds, work
from ui.navigation import PAGES


@pytest.fixture(autouse=True)
def today():
    with clock.frozen(NOW):
        yield


@pytest.fixture
def buyers(cast):
    return two_kinds(cast)


def count_runs():
    with read_session() as session:
        return session.execute(select(func.count()).select_from(AnalysisRun.__table__)).scalar_one()


def test_a_run_is_computed_by_its_job_and_shows_what_it_found(cast, buyers):
    run_id = ask(cast["bob"], params={"clusters": "auto"})
    waiting = look(cast["bob"], run_id)
    assert waiting.state is RunState.QUEUED and waiting.waits.startswith("No worker is running")
    found = look(cast["bob"], work(run_id))
    assert (found.state, found.reliable, found.summary["clusters"]) == (RunState.DONE, "yes", 2)
    assert found.summary["customers"] == len(buyers) and found.current
    assert "select" in found.sql.lower() and "fit_segments" in found.python
    with read_session() as session:
        table = runs.table(session, cast["bob"], run_id, "customers")
    assert sorted(table["customer_id"]) == sorted(buyers)
    assert table.groupby("cluster")["customer_id"].apply(lambda ids: set(ids)).tolist() in (
        [set(buyers[:40]), set(buyers[40:])],
        [set(buyers[40:]), set(buyers[:40])],
    )
    once_more: dict = {}
    exec(run_snippet.of(cast["bob"], found), once_more)
    assert once_more["found"].verdict == found.verdict
    assert {
        key: once_more["found"].summary[key] for key in ("customers", "clusters", "worst_jaccard")
    }.items() <= found.summary.items()


def test_the_rule_of_a_cluster_is_a_filter_that_finds_its_members(cast, buyers):
    found = look(cast["bob"], work(ask(cast["bob"])))
    table = entity("contact").table
    for rule in found.summary["rules"].values():
        assert rule["both"] == rule["hits"] == rule["members"] == 40
        with read_session() as session:
            clause = filters.where(session, "contact", rule["filter"], cast["bob"])
            ids = set(session.execute(select(table.c.id).where(clause, visible(cast["bob"], "contact", table))).scalars())
        assert ids in (set(buyers[:40]), set(buyers[40:]))


def test_the_same_question_is_the_same_run_for_whoever_sees_the_same_rows(any_cast):
    two_kinds(any_cast)
    first = ask(any_cast["bob"])
    assert ask(any_cast["bob"]) == first
    assert ask(any_cast["dana"], params={"seed": "1"}) == first
    assert ask(any_cast["bob"], params={"clusters": "3"}) != first
    assert count_runs() == 2
    with read_session() as session:
        assert len(jobs.find_jobs(session, any_cast["root"], name="analysis.run").rows) == 2


def test_other_data_another_day_or_other_eyes_are_another_run(cast, buyers):
    first = ask(cast["bob"])
    assert ask(cast["bob"], as_of=NOW.date() - timedelta(days=30)) != first
    assert ask(cast["alice"]) != first, "a rep sees fewer orders"
    with write_session() as session:
        session.get(Order, 1).total_minor = 5
    assert ask(cast["bob"]) != first
    assert not look(cast["bob"], first).current


def test_a_run_does_not_exist_for_those_who_see_other_rows(cast, buyers):
    mine = work(ask(cast["alice"]))
    managers = work(ask(cast["bob"]))
    for stranger, run_id in (("charlie", mine), ("bob", mine), ("root", mine), ("alice", managers), ("charlie", managers)):
        for attempt in (
            lambda session, who=stranger, n=run_id: runs.get(session, cast[who], n),
            lambda session, who=stranger, n=run_id: runs.table(session, cast[who], n, "customers"),
            lambda session, who=stranger, n=run_id: runs.rename(session, cast[who], n, "x"),
            lambda session, who=stranger, n=run_id: runs.archive(session, cast[who], n),
        ):
            with pytest.raises(NotFound, match="no such run"), write_session() as session:
                attempt(session)
        with read_session() as session:
            assert run_id not in [row.id for row in runs.find(session, cast[stranger], "segmentation")]
    with pytest.raises(NotFound), read_session() as session:
        runs.get(session, cast["bob"], 10**6)
    with pytest.raises(NotFound), read_session() as session:
        runs.get(session, cast["bob"], managers, "forecast")
    assert look(cast["dana"], managers).id == managers


def test_a_rep_gets_own_orders_only(cast):
    mine, other = two_kinds(cast), two_kinds(cast, count=30, owner="charlie")
    run_id = work(ask(cast["alice"]))
    with read_session() as session:
        seen = set(runs.table(session, cast["alice"], run_id, "customers")["customer_id"])
    assert seen == set(mine) and not seen & set(other)


def test_a_filter_makes_the_scope_cover_everything_that_it_may_look_at(cast, buyers):
    rule = {"op": "and", "items": [{"agg": "count", "rel": "tickets", "cmp": "eq", "value": 0}]}
    run_id = work(ask(cast["bob"], params={"filter": rule}))
    assert look(cast["bob"], run_id).summary["customers"] == len(buyers)
    with pytest.raises(NotFound):
        look(cast["dana"], run_id)  # the same orders and contacts, but no tickets
    with pytest.raises(Invalid):
        ask(cast["bob"], params={"filter": {"field": "no_such_field", "cmp": "eq", "value": 1}})


def test_runs_vanish_for_a_manager_whose_people_change(cast, buyers):
    fake = Method("fake", "Fake", ("deal",), ("deal",), (), lambda *_: Outcome("", "yes"))
    with read_session() as session:
        before = run_keys.scope(session, cast["bob"], fake, {})
    with write_session() as session:
        from crm_core.models import UserClosure

        session.add(UserClosure(ancestor_id=cast["bob"].user_id, descendant_id=cast["charlie"].user_id, depth=1))
    with read_session() as session:
        assert run_keys.scope(session, cast["bob"], fake, {}) != before


def test_a_refusal_keeps_its_sentence_and_is_not_computed_again(cast):
    run_id = work(ask(cast["bob"]))
    refused = look(cast["bob"], run_id)
    assert refused.state is RunState.REFUSED
    assert "needs at least one row of orders" in refused.verdict
    assert ask(cast["bob"]) == run_id and look(cast["bob"], run_id).state is RunState.REFUSED


def test_whoever_walked_away_is_told_with_the_way_back(cast, buyers):
    run_id = ask(cast["bob"])
    with clock.frozen(clock.utcnow() + timedelta(minutes=1)):
        work(run_id)
        with read_session() as session:
            (told,), _ = notifications.find(session, cast["bob"], kinds=("analysis.finished",))
    assert told.page == "segmentation" and dict(told.query) == {"run": run_id} and "Segmentation" in told.values["name"]
    assert method_of("churn").address(7) == {"of": "Under contract", "run": 7}, "half a page has its half in the address"
    assert {found.page or found.kind for found in kinds().values()} <= {screen.url for screen in PAGES}


def test_a_failure_is_told_and_asking_again_tries_again(cast, buyers, monkeypatch):
    run_id = ask(cast["bob"])
    broken = Method(**{**vars(method_of("segmentation")), "compute": lambda *_: 1 / 0})
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(run_work, "method", lambda kind: broken)
        work(run_id)
    assert look(cast["bob"], run_id).state is RunState.FAILED
    assert "ZeroDivisionError" in look(cast["bob"], run_id).verdict
    assert ask(cast["dana"]) == run_id
    assert look(cast["dana"], work(run_id)).state is RunState.DONE


def test_a_run_whose_asker_lost_the_right_meanwhile_computes_nothing(cast, buyers):
    run_id = ask(cast["bob"])
    with write_session() as session:
        role = session.execute(select(UserRole).where(UserRole.user_id == cast["bob"].user_id)).scalar_one()
        for grant in session.execute(select(RolePermission).where(RolePermission.role_id == role.role_id)).scalars():
            if grant.entity == "order":
                session.delete(grant)
    work(run_id)
    with read_session() as session:
        run = session.get(AnalysisRun, run_id)
        assert run.state is RunState.FAILED and "has changed" in run.verdict


def test_a_killed_attempt_leaves_nothing_and_the_next_one_does_it_all(cast, buyers, monkeypatch):
    run_id = ask(cast["bob"])

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(run_work, "pack", die)
        work(run_id)
    assert look(cast["bob"], run_id).state is RunState.RUNNING and not look(cast["bob"], run_id).tables
    done = look(cast["bob"], work(run_id))
    assert done.state is RunState.DONE and done.tables["customers"] == len(buyers)
    work(run_id)  # delivered twice: the second delivery finds it done
    assert look(cast["bob"], run_id).finished_at == done.finished_at


def test_who_may_rename_archive_and_publish(cast, buyers):
    run_id = work(ask(cast["ana"]))  # the analyst masks personal fields, which none of this reads
    with write_session() as session:
        runs.rename(session, cast["ana"], run_id, "Autumn")
    assert look(cast["ana"], run_id).title == "Autumn"
    with pytest.raises(NotPermitted), write_session() as session:
        marks.publish(session, cast["ana"], run_id)
    shared = work(ask(cast["bob"]))
    with write_session() as session:
        runs.rename(session, cast["dana"], shared, "By the marketer")  # manages analytics
        runs.archive(session, cast["dana"], shared)
    with pytest.raises(NotFound):
        look(cast["bob"], shared)
    assert ask(cast["bob"]) != shared, "after that the question is asked anew"


def test_somebody_without_the_right_to_manage_does_not_touch_others_runs(cast, buyers):
    sam_and_others = ask(cast["bob"])
    with pytest.raises(NotPermitted), write_session() as session:
        runs.archive(session, cast["sam"], sam_and_others)  # sees all customers and orders too


def test_published_marks_stand_on_records_and_replace_those_of_the_run_before(cast, buyers):
    run_id = work(ask(cast["bob"]))
    with write_session() as session:
        assert marks.publish(session, cast["bob"], run_id)
    with read_session() as session:
        found = {mark.kind: mark for mark in marks.of_record(session, cast["alice"], "contact", buyers[0])}
        assert found["rfm"].label and found["cluster"].number in (1, 2) and found["rfm"].run_id == run_id
        assert sum(marks.labels(session, cast["bob"], "cluster", "contact").values()) == len(buyers)
        table = entity("contact").table
        rule = {"op": "and", "items": [{"mark": "rfm", "cmp": "eq", "value": found["rfm"].label}]}
        clause = filters.where(session, "contact", rule, cast["bob"])
        carriers = list(session.execute(select(table.c.id).where(clause)).scalars())
        assert buyers[0] in carriers and len(carriers) == marks.labels(session, cast["bob"], "rfm", "contact")[found["rfm"].label]
    with write_session() as session:
        session.get(Contact, buyers[0]).deleted_at = NOW
    with read_session() as session:
        assert marks.of_record(session, cast["alice"], "contact", buyers[0]) == []
    second = work(ask(cast["bob"], params={"clusters": "3"}))
    with write_session() as session:
        marks.publish(session, cast["bob"], second)
    with read_session() as session:
        assert {mark.run_id for mark in marks.of_record(session, cast["bob"], "contact", buyers[1])} == {second}


def test_many_marks_are_written_by_the_worker_only_if_whoever_asked_still_may(cast, buyers, monkeypatch):
    monkeypatch.setattr(marks, "AT_ONCE", 0)
    run_id = work(ask(cast["bob"]))
    with write_session() as session:
        assert not marks.publish(session, cast["bob"], run_id)
    with read_session() as session:
        (job_id,) = session.execute(select(JobRun.job_id).where(JobRun.name == "analysis.publish")).scalars()
    with write_session() as session:
        (right,) = session.execute(
            select(RolePermission).where(
                RolePermission.entity == "analytics",
                RolePermission.action == Action.MANAGE,
                RolePermission.role_id.in_(select(UserRole.role_id).where(UserRole.user_id == cast["bob"].user_id)),
            )
        ).scalars()
        kept = right.model_dump(exclude={"id"})
        session.delete(right)
    with pytest.raises(NotPermitted):
        jobs.execute(job_id, "analysis.publish", (run_id,))
    assert look(cast["bob"], run_id).published_at is None
    with write_session() as session:
        session.add(RolePermission(**kept))
    jobs.execute(job_id, "analysis.publish", (run_id,))
    assert look(cast["bob"], run_id).published_at is not None


def test_a_run_that_is_not_done_is_not_published(cast):
    run_id = ask(cast["bob"])
    with pytest.raises(Conflict), write_session() as session:
        marks.publish(session, cast["bob"], run_id)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"clusters": "99"}, "none of the choices"),
        ({"seed": "many"}, "needs a number"),
        ({"seed": -1}, "between"),
        ({"colour": "red"}, "no such setting"),
    ],
)
def test_a_setting_that_can_not_be_is_told(cast, params, words):
    with pytest.raises(Invalid, match=words):
        ask(cast["bob"], params=params)


def test_a_day_in_the_future_and_an_unknown_analysis_are_refused(cast):
    with pytest.raises(Invalid, match="future"):
        ask(cast["bob"], as_of=NOW.date() + timedelta(days=2))
    for kind in ("base", "../runs", "no_such", "__init__"):
        with pytest.raises(NotFound):
            ask(cast["bob"], kind=kind)


def test_old_runs_that_nobody_named_are_forgotten(cast, buyers):
    kept, gone = ask(cast["bob"]), ask(cast["bob"], params={"clusters": "3"})
    with write_session() as session:
        runs.rename(session, cast["bob"], kept, "Keep me")
    with clock.frozen(NOW + timedelta(days=200)), write_session() as session:
        assert run_work._forget(session) == 1
    with read_session() as session:
        assert session.get(AnalysisRun, kept) is not None and session.get(AnalysisRun, gone) is None


def test_every_method_names_tables_and_entities_that_exist_and_defaults_that_hold(cast):
    with read_session() as session:
        known = set(session.execute(select(db.TableVersion.__table__.c.name)).scalars())
        for found in kinds().values():
            assert set(found.tables) <= known, found.kind
            assert all(entity(key) for key in found.entities)
            found.normalise({}, session, cast["root"])
            assert len({param.key for param in found.params}) == len(found.params)


def test_the_declarations_of_methods_cost_a_page_no_scikit_learn():
    code = (
        "import sys; from crm_core.services.analytics.methods import kinds; from crm_core.services.analytics import runs, marks; "
        "kinds(); sys.exit('sklearn' in sys.modules or 'scipy' in sys.modules or 'dbos' in sys.modules)"
    )
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tables_come_back_as_they_were_kept():
    frame = pd.DataFrame(
        {"a": [1, 2], "b": ["x", None], "c": pd.to_datetime(["2026-01-01", None], utc=True), "d": [(1, 2), {"k": 1}]}
    )
    back = unpack(pack(frame))
    assert back["a"].tolist() == [1, 2] and back["c"].iloc[0] == frame["c"].iloc[0] and back["d"].tolist() == ["[1, 2]", '{"k": 1}']


def test_a_person_without_the_right_to_read_orders_can_not_ask(cast):
    with write_session() as session:
        role = session.execute(select(UserRole).where(UserRole.user_id == cast["sam"].user_id)).scalar_one()
        for grant in session.execute(select(RolePermission).where(RolePermission.role_id == role.role_id)).scalars():
            if grant.entity == "order" and grant.action is Action.READ:
                session.delete(grant)
    from crm_core.access import load

    with read_session() as session:
        sam = load(session, cast["sam"].user_id)
    with pytest.raises(NotPermitted):
        ask(sam)


def test_a_parameter_takes_each_kind_of_value(cast):
    made = Method(
        "m", "M", (), (),
        (Param("n", "N", "int", 3, low=1), Param("f", "F", "float", 0.5), Param("b", "B", "bool", False), Param("d", "D", "date", None)),
        lambda *_: Outcome("", "yes"),
    )  # fmt: skip
    with read_session() as session:
        assert made.normalise({"n": "7", "b": "yes", "d": "2026-01-05"}, session, cast["bob"]) == {
            "n": 7, "f": 0.5, "b": True, "d": "2026-01-05",
        }  # fmt: skip
        with pytest.raises(Invalid, match="at least 1"):
            made.normalise({"n": 0}, session, cast["bob"])
