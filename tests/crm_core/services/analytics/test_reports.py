"""Reports by e-mail: when they are due, sent once whatever happens, to whom with which numbers, and how they end."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.jobs import run
from crm_core.kit import clock
from crm_core.models import JobRun, MailDelivery, ReportRecipient, ReportSchedule, User
from crm_core.services.analytics import dashboard_starts, dashboards, reports
from crm_core.vocabulary import ReportEvery
from tests.crm_core.services.analytics.company import NOW, fill

MONDAY = datetime(2026, 3, 16, 6, 0, tzinfo=UTC)


@pytest.fixture
def board(cast):
    with clock.frozen(NOW):
        fill(cast, 3, size=60)
        with write_session() as session:
            tiles = dashboard_starts.tiles_for(cast["bob"], "team")
            yield_id = dashboards.create(session, cast["bob"], name="Team", tiles=tiles)
    return yield_id


def make(actor, board, to=("bob@example.com", "Partner@Elsewhere.example"), **more):
    with clock.frozen(NOW), write_session() as session:
        return reports.create(session, actor, board, every=ReportEvery.WEEK, recipients=to, day=1, hour=7, **more)


def work(at):
    """What a worker does at an instant: look what is due, then run every job that was queued for a report."""
    with clock.frozen(at):
        reports.due_job(run.begin(f"reports.due@{at:%H%M}", "reports.due"))
        with read_session() as session:
            ids = [row.job_id for row in session.exec(select(JobRun).where(JobRun.name == "reports.send"))]
        for job_id in ids:
            schedule_id, due = job_id.removeprefix("reports.send:").split("@")
            reports.send_job(run.begin(job_id, "reports.send"), int(schedule_id), due)


def mails():
    with read_session() as session:
        return list(session.exec(select(MailDelivery).where(MailDelivery.kind == "report")))


@pytest.mark.parametrize(
    ("every", "day", "after", "expected"),
    [
        (ReportEvery.DAY, 1, datetime(2026, 3, 16, 6, tzinfo=UTC), datetime(2026, 3, 17, 6, tzinfo=UTC)),
        (ReportEvery.WEEK, 1, datetime(2026, 3, 15, 12, tzinfo=UTC), datetime(2026, 3, 16, 6, tzinfo=UTC)),
        (ReportEvery.WEEK, 1, datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 30, 5, tzinfo=UTC)),  # summer time began
        (ReportEvery.MONTH, 28, datetime(2026, 2, 28, 6, tzinfo=UTC), datetime(2026, 3, 28, 6, tzinfo=UTC)),
    ],
)
def test_the_next_due_instant_follows_the_clock_on_the_wall(every, day, after, expected):
    assert reports.next_due(every, day, 7, after, "Europe/Berlin") == expected


def test_a_report_goes_out_once_per_due_instant_whoever_looks_how_often(cast, board):
    make(cast["bob"], board)
    work(MONDAY)
    assert mails() == []
    late = MONDAY + timedelta(hours=2)
    for _ in range(3):
        work(late)
    assert sorted(mail.address for mail in mails()) == ["Partner@elsewhere.example", "bob@example.com"]
    work(late + timedelta(days=21))  # three weeks switched off: one report, not three
    assert len(mails()) == 4


def test_people_outside_get_no_number_about_few_records(cast, board):
    make(cast["bob"], board)
    work(MONDAY + timedelta(hours=2))
    by = {mail.address: mail for mail in mails()}
    assert "fewer than five records are not shown" in by["Partner@elsewhere.example"].content
    assert "fewer than five records are not shown" not in by["bob@example.com"].content
    for text in (by["bob@example.com"].content, by["bob@example.com"].html):
        assert "95% intervals" in text and "All columns together" in text and "% to " in text, "a rate comes with its range"
    assert "<script" not in by["bob@example.com"].html and by["bob@example.com"].subject.startswith("Team")


def test_whoever_leaves_gets_no_more_and_the_owner_who_is_gone_ends_it(cast, board):
    made = make(cast["bob"], board)
    with write_session() as session:
        row = session.exec(select(ReportRecipient).where(ReportRecipient.email_key == "partner@elsewhere.example")).one()
        token = reports.token_of(row.public_id)
        for wrong in (token[:-1] + ("x" if token[-1] != "x" else "y"), "x", ""):
            with pytest.raises(NotFound):
                reports.leave(session, wrong)
        reports.leave(session, token)
        reports.leave(session, token)
    work(MONDAY + timedelta(hours=2))
    assert [mail.address for mail in mails()] == ["bob@example.com"]
    with write_session() as session:
        session.get(User, cast["bob"].user_id).is_active = False
    work(MONDAY + timedelta(days=7, hours=2))
    with read_session() as session:
        row = session.get(ReportSchedule, made)
        assert len(mails()) == 1 and not row.is_active and "deactivated" in row.message


def test_who_may_not_publish_sends_to_themselves_only_and_nobody_ends_what_is_not_theirs(cast, board):
    with write_session() as session:
        own = dashboards.create(session, cast["alice"], name="Mine", tiles=[])
        with pytest.raises(NotPermitted):
            reports.create(session, cast["alice"], own, every=ReportEvery.DAY, recipients=["x@example.com"])
        assert reports.create(session, cast["alice"], own, every=ReportEvery.DAY, recipients=["Alice@example.com"])
        with pytest.raises(NotFound):
            reports.create(session, cast["dana"], board, every=ReportEvery.DAY, recipients=["dana@example.com"])
        for bad in ([], ["no address"], ["a@example.com"] * 1 + [f"a{n}@example.com" for n in range(60)]):
            with pytest.raises(Invalid):
                reports.create(session, cast["bob"], board, every=ReportEvery.DAY, recipients=bad)
    made = make(cast["bob"], board)
    with write_session() as session, pytest.raises(NotFound):
        reports.remove(session, cast["alice"], made)
