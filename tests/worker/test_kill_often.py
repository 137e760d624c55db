"""A worker is killed again and again at random moments of much work, and every step has taken effect exactly once.

``make test`` kills fifteen times on each database, ``make soak`` fifty times.

Leads come in all the time, each is led through an automation with tasks, a field, a notification, an offer, letters, a branch and two waits,
while two workers share the work (on SQLite, which has one at a time, a successor stands by). What counts is what is there at the end: the
letters in the outbox folder, the log of the runs, and the records. None of the steps could take effect twice unseen: an offer writes an event
without a key, a letter is a file, a task is a record.
"""

import email
import os
import random
import time
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from crm_core.automation_inbox import call_worker
from crm_core.channels.email import outbox_folder
from crm_core.db import read_session, write_session
from crm_core.jobs import tables
from crm_core.jobs.tables import RUNS as RUNS_OF_JOBS
from crm_core.kit import clock
from crm_core.models import AutomationRun, AutomationStep, Event, Lead, MailDelivery, Notification, Task
from crm_core.services.automation.engine import RUNS
from crm_core.services.collaboration.outbox import MAIL
from crm_core.services.sales import leads
from crm_core.settings import settings
from crm_core.vocabulary import FlowState, MailState, StepOutcome
from tests.crm_core.services.automation.automating import all_of, switched_on
from tests.crm_core.services.marketing.outreach import no_quiet_hours
from tests.verbs import do
from tests.worker.test_kill import QUICK, until, worker

pytestmark = pytest.mark.slow
KILLS, PER_KILL = int(os.environ.get("RAPPORT_KILLS", "15")), 3
FROM_THE_WEB = ("welcome", "tell", "seen", "rest", "which", "letter", "offer", "again", "last")
FROM_A_FAIR = ("welcome", "tell", "seen", "rest", "which", "call", "again", "last")
STEPS = [
    {"id": "welcome", "kind": "mail", "purpose": "service", "subject": "Welcome", "body": "Dear {{first_name|you}}"},
    {"id": "tell", "kind": "tell", "text": "Somebody new", "who": "owner"},
    {"id": "seen", "kind": "set", "field": "job_title", "value": "Seen"},
    {"id": "rest", "kind": "wait", "amount": 2, "unit": "days"},
    {
        "id": "which", "kind": "branch", "if": {"field": "source", "cmp": "eq", "value": "Website"},
        "yes": [
            {"id": "letter", "kind": "mail", "purpose": "service", "subject": "Our offer", "body": "Look **here**."},
            {"id": "offer", "kind": "offer", "text": "Ten percent", "rest_days": 0, "budget": 0},
        ],
        "no": [{"id": "call", "kind": "task", "subject": "Call them", "who": "owner", "days": 1}],
    },
    {"id": "again", "kind": "wait", "amount": 1, "unit": "hours"},
    {"id": "last", "kind": "task", "subject": "Ask how it went", "who": "owner", "days": 2},
]  # fmt: skip


def come_in(cast, rng, count):
    """New leads, as a form or a person brings them."""
    for _ in range(count):
        n = come_in.count = come_in.count + 1
        source = rng.choice(("Website", "Event"))
        values = {"name": f"Ida {n}", "email": f"ida{n}@example.org", "source": source, "owner_id": cast["alice"].user_id}
        do(leads.create, cast["alice"], values)


def time_passes():
    """Days go by for whoever waits."""
    with write_session() as session:
        resting = RUNS.c.state == FlowState.WAITING
        session.execute(update(RUNS).where(resting).values(due_at=clock.utcnow() - timedelta(seconds=1)))
        call_worker(session)


def begun():
    """How often a worker has begun with a job."""
    with read_session() as session:
        return session.execute(select(func.coalesce(func.sum(RUNS_OF_JOBS.c.attempt), 0))).scalar_one()


def running():
    """How many jobs are being worked at."""
    with read_session() as session:
        status = tables.statuses(session)
        counted = select(func.count()).select_from(status).where(status.c.status == tables.RUNNING)
        return session.execute(counted).scalar_one()


def left():
    """Runs that have not ended and letters that have not gone."""
    with read_session() as session:
        runs = select(func.count()).select_from(RUNS).where(RUNS.c.state.in_((FlowState.RUNNING, FlowState.WAITING)))
        mail = select(func.count()).select_from(MAIL).where(MAIL.c.state.in_((MailState.PENDING, MailState.SENDING)))
        return session.execute(runs).scalar_one() + session.execute(mail).scalar_one()


def all_done():
    """True when every lead was led to the end and every letter has gone; until then days go by."""
    time_passes()
    time.sleep(0.5)
    return len(all_of(AutomationRun)) == come_in.count and left() == 0


def test_kills_at_random_moments_and_each_step_takes_effect_exactly_once(any_cast):
    rng = random.Random(f"kills on {settings().url.split(':')[0]}")
    come_in.count = 0
    no_quiet_hours(any_cast["root"])
    switched_on(any_cast["root"], name="Much to do", cap=10_000, does=STEPS, reentry="once")
    at_work = kill_often(any_cast, rng)
    assert at_work >= KILLS // 2, "too many were killed while they had nothing to do"
    with worker(**QUICK), worker(**QUICK) if not settings().is_sqlite else ExitStack():
        until(all_done, seconds=120)
    assert_once(any_cast)


def kill_often(cast, rng):
    """Many kills; gives how many of them hit while some job was being worked at."""
    many, at_work = 1 if settings().is_sqlite else 2, 0
    with ExitStack() as stack:
        start = lambda: stack.enter_context(worker(**QUICK))  # noqa: E731
        alive = [start() for _ in range(many)]
        for _ in range(KILLS):
            before = begun()
            come_in(cast, rng, PER_KILL)
            time_passes()
            until(lambda before=before: begun() > before)
            time.sleep(rng.uniform(0, 0.4))
            victim = alive.pop(rng.randrange(len(alive)))
            assert victim.poll() is None, "the worker died by itself"
            at_work += running() > 0
            victim.kill()
            victim.wait()
            alive.append(start())
    return at_work


def assert_once(cast):
    people = {lead.id: lead for lead in all_of(Lead)}
    assert len(people) == KILLS * PER_KILL
    wanted = {key: FROM_THE_WEB if lead.source == "Website" else FROM_A_FAIR for key, lead in people.items()}
    web = [key for key, path in wanted.items() if path is FROM_THE_WEB]
    # the log of the runs
    runs = all_of(AutomationRun)
    assert Counter(run.record_id for run in runs) == dict.fromkeys(people, 1)
    assert {(run.state, run.message) for run in runs} == {(FlowState.DONE, "")}
    taken = Counter((step.record_id, step.step_id, step.outcome) for step in all_of(AutomationStep))
    assert taken == {(key, name, StepOutcome.DONE): 1 for key, path in wanted.items() for name in path}
    # the records
    assert {lead.job_title for lead in people.values()} == {"Seen"}
    tasks = Counter((task.lead_id, task.subject) for task in all_of(Task))
    fair = people.keys() - set(web)
    assert tasks == dict.fromkeys([(key, "Ask how it went") for key in people] + [(key, "Call them") for key in fair], 1)
    told = Counter(note.record_id for note in all_of(Notification, col(Notification.kind) == "automation.message"))
    assert told == dict.fromkeys(people, 1)
    events = Counter((event.type, event.record_id) for event in all_of(Event) if event.entity == "lead" and event.via == "worker")
    assert events == dict.fromkeys([("lead.updated", key) for key in people] + [("lead.offer_made", key) for key in web], 1)
    # the outbox
    letters = [email.message_from_bytes(path.read_bytes()) for path in outbox_folder().rglob("*.eml")]
    went = Counter((letter["To"].split("<")[-1].strip(">"), letter["Subject"]) for letter in letters)
    asked = [(lead.email, "Welcome") for lead in people.values()] + [(people[key].email, "Our offer") for key in web]
    assert went == dict.fromkeys(asked, 1)
    assert len({letter["Message-ID"] for letter in letters}) == len(letters) == len(all_of(MailDelivery))
