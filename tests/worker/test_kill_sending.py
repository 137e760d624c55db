"""A worker killed in the middle of a campaign: nobody gets two messages, and nobody is left out unseen.

A mail server can't be asked whether it got a message, so between the mark in the database and the closing dot lie some microseconds in which a
kill leaves a letter unsent that counts as handed over. Such a letter stands in the outbox as not confirmed, and a person sends it again.
"""

import signal
from collections import Counter

import pytest

from crm_core.models import MailDelivery
from crm_core.services.collaboration import outbox
from crm_core.services.marketing import plans, sending
from crm_core.settings import settings
from crm_core.vocabulary import MailState, PlanState
from tests.crm_core.services.automation.automating import all_of
from tests.crm_core.services.marketing.outreach import campaign, launch, no_quiet_hours, people
from tests.smtp_server import kept, smtp_process
from tests.verbs import do, look
from tests.worker.test_kill import forget_dead_workers, until, worker

pytestmark = pytest.mark.slow
ONE_JOB = {"RAPPORT_WORKER_CONCURRENCY": "1"}
"""The clock of a new minute begins a second job that sends: a kill would then find two letters under way instead of one."""
PEOPLE, KILLED_AT = 120, (9, 33, 71)


def test_a_campaign_whose_worker_is_killed_three_times_reaches_everybody_once(any_cast, tmp_path, monkeypatch):
    no_quiet_hours(any_cast["root"])
    made = campaign(any_cast["dana"], people(PEOPLE))
    arrived = tmp_path / "arrived"
    with smtp_process(arrived, slow=0.02) as address:
        monkeypatch.setenv("RAPPORT_SMTP_URL", address)
        monkeypatch.setenv("RAPPORT_MAIL_FROM", "crm@example.com")
        settings.cache_clear()
        launch(any_cast["dana"], made)
        for number in KILLED_AT:
            with worker(**ONE_JOB) as process:
                until(lambda wanted=number: len(kept(arrived)) >= wanted or process.poll() is not None)
                assert process.poll() is None, "the worker died by itself"
                process.send_signal(signal.SIGKILL)
                process.wait()
            assert len(kept(arrived)) < PEOPLE, "killed too late to prove anything"
            forget_dead_workers()
        everybody = {f"ida{n}@example.com" for n in range(PEOPLE)}
        with worker(**ONE_JOB):
            until(lambda: look(plans.get, any_cast["dana"], made).state is PlanState.DONE)
            assert look(sending.progress, any_cast["dana"], made).out == PEOPLE
            unsure = [row for row in all_of(MailDelivery) if row.state is not MailState.SENT]
            missing = everybody - {one["to"][0] for one in kept(arrived)}
            assert missing <= {row.address for row in unsure} and {row.state for row in unsure} <= {MailState.HANDED}
            assert len(unsure) <= len(KILLED_AT)
            for row in unsure:
                if row.address in missing:
                    do(outbox.retry, any_cast["root"], row.id)
            until(lambda: {one["to"][0] for one in kept(arrived)} == everybody)
    assert Counter(one["to"][0] for one in kept(arrived)) == dict.fromkeys(everybody, 1)
