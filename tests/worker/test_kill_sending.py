"""A worker killed in the middle of a campaign: nobody gets two messages, nobody is left out."""

import signal
from collections import Counter

import pytest

from crm_core.services.marketing import plans, sending
from crm_core.settings import settings
from crm_core.vocabulary import PlanState
from tests.crm_core.services.marketing.outreach import campaign, launch, look, no_quiet_hours, people
from tests.smtp_server import kept, smtp_process
from tests.worker.test_kill import forget_dead_workers, until, worker

pytestmark = pytest.mark.slow
PEOPLE = 120


def test_a_campaign_whose_worker_is_killed_three_times_reaches_everybody_once(any_cast, tmp_path, monkeypatch):
    no_quiet_hours(any_cast["root"])
    made = campaign(any_cast["dana"], people(PEOPLE))
    arrived = tmp_path / "arrived"
    with smtp_process(arrived, slow=0.02) as address:
        monkeypatch.setenv("RAPPORT_SMTP_URL", address)
        monkeypatch.setenv("RAPPORT_MAIL_FROM", "crm@example.com")
        settings.cache_clear()
        launch(any_cast["dana"], made)
        for number in (9, 33, 71):
            with worker() as process:
                until(lambda wanted=number: len(kept(arrived)) >= wanted or process.poll() is not None)
                assert process.poll() is None, "the worker died by itself"
                process.send_signal(signal.SIGKILL)
                process.wait()
            assert len(kept(arrived)) < PEOPLE, "killed too late to prove anything"
            forget_dead_workers()
        with worker():
            until(lambda: look(plans.get, any_cast["dana"], made).state is PlanState.DONE)
    assert look(sending.progress, any_cast["dana"], made).out == PEOPLE
    counts = Counter(one["to"][0] for one in kept(arrived))
    assert counts == {f"ida{n}@example.com": 1 for n in range(PEOPLE)}
