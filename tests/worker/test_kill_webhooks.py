"""A worker killed while it tells another program: each message arrives, at least once, always under its own id and with the same words."""

import random
import threading
import time
from collections import Counter

import pytest

from crm_core.models import WebhookDelivery
from crm_core.services.collaboration import webhook_run, webhooks
from crm_core.services.sales import deals
from crm_core.settings import settings
from crm_core.vocabulary import HookState
from tests.crm_core.services.automation.automating import all_of
from tests.receiver import receiver
from tests.verbs import do
from tests.worker.test_kill import QUICK, until, worker

pytestmark = pytest.mark.slow
MESSAGES, KILLED_AT = 90, (5, 24, 47, 70)
JOBS = 2
"""How many a worker does at once: the clock adds one to the one that the news began. Each has so many messages out that are not noted yet."""
OUT = JOBS * webhook_run.AT_ONCE


def thoughtful(handler):
    """An answer that takes a while, so that a kill finds messages under way."""
    time.sleep(0.03)
    handler.send_response(200)
    handler.send_header("content-length", "0")
    handler.end_headers()


def test_messages_of_a_worker_that_is_killed_arrive_under_one_id_each(any_cast, monkeypatch):
    monkeypatch.setenv("RAPPORT_WEBHOOK_ALLOW_LOOPBACK", "true")
    settings.cache_clear()
    rng, under_way, killed = random.Random("webhooks"), Counter(), threading.Event()
    with receiver() as there:

        def answer(handler):
            if len(ids(there)) >= MESSAGES - OUT:
                killed.wait()  # however late the last kill comes, there is something left for it
            thoughtful(handler)

        there.answers = [answer] * 10_000
        do(webhooks.save, any_cast["root"], None, {"name": "Hook", "url": there.url, "events": ["deal.created"]})
        for n in range(MESSAGES):
            do(deals.create, any_cast["alice"], {"name": f"Deal {n}", "amount_minor": n})
        for number in KILLED_AT:
            with worker(**QUICK, RAPPORT_WORKER_CONCURRENCY=str(JOBS)) as process:
                until(lambda number=number: len(ids(there)) >= number)
                time.sleep(rng.uniform(0, 0.05))
                assert process.poll() is None, "the worker died by itself"
                process.kill()
                process.wait()
            under_way.update(f"msg_{row.id}" for row in all_of(WebhookDelivery) if row.state is HookState.SENDING)
            assert len(ids(there)) < MESSAGES, "killed too late to prove anything"
        killed.set()
        with worker(**QUICK):
            until(lambda: {row.state for row in all_of(WebhookDelivery)} == {HookState.DELIVERED})
    rows = {f"msg_{row.id}": row.payload.encode() for row in all_of(WebhookDelivery)}
    assert len(rows) == MESSAGES and ids(there) == rows.keys()
    assert all(body == rows[headers["webhook-id"]] for _, headers, body in there.got), "the same id always says the same"
    often = Counter(headers["webhook-id"] for _, headers, _ in there.got)
    assert max(often.values()) <= 1 + len(KILLED_AT)
    assert all(count <= 1 + under_way[name] for name, count in often.items()), "only what was under way at a kill comes again"
    assert len(there.got) - MESSAGES <= OUT * len(KILLED_AT), "and of that only what had left and was not noted"
    assert sum(count == 1 for count in often.values()) > MESSAGES // 4


def ids(there):
    """The ids that have arrived."""
    return {headers["webhook-id"] for _, headers, _ in list(there.got)}
