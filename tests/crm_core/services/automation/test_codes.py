"""Discount codes in steps: they wait out the pause of their promotion, go on by themselves, and say so; each person gets one code."""

from datetime import date, timedelta

import pytest

from crm_core.db import write_session
from crm_core.kit import clock
from crm_core.models import MailDelivery, PromotionCode
from crm_core.services.automation import automations, record_runs, trial
from crm_core.services.collaboration import outbox
from crm_core.services.sales import leads, promotion_codes, promotions
from crm_core.vocabulary import FlowState, PromotionState, StepOutcome
from tests.crm_core.services.automation.automating import TASK, all_of, flow, runs, said, see, switched_on, work
from tests.crm_core.services.marketing.outreach import no_quiet_hours
from tests.verbs import do


@pytest.fixture
def spring(any_cast):
    """A promotion that is paused while an automation writes its codes; its id."""
    root = any_cast["root"]
    no_quiet_hours(root)
    made = do(
        promotions.create, root, {"name": "Spring", "code_kind": "single", "code": "SPR", "percent_off": 5, "state": "running"}
    )
    return made.id


def letter(promotion_id, **more):
    return {
        "id": "m", "kind": "mail", "purpose": "service", "promotion": promotion_id, "subject": "For you", "body": "Your code: {{coupon}}", **more
    }  # fmt: skip


def paused(root, promotion_id):
    do(promotions.move, root, promotion_id, PromotionState.PAUSED)


def minutes_later(number):
    return clock.frozen(clock.utcnow() + timedelta(minutes=number))


def test_a_letter_waits_out_the_pause_of_its_promotion_says_so_and_goes_once_though_the_worker_is_killed(
    any_cast, spring, monkeypatch
):
    root = any_cast["root"]
    plain = letter(spring, id="p", subject="Hello", body="Hello", promotion=None)
    row = switched_on(root, does=[plain, letter(spring), TASK])
    paused(root, spring)
    lead = do(leads.create, root, {"name": "Ada", "email": "ada@example.com"})
    work()
    (run,) = runs()
    assert (run.state, run.step_id) == (FlowState.WAITING, "m") and [mail.subject for mail in all_of(MailDelivery)] == ["Hello"]
    assert run.message == "Waits for the promotion of its discount code, which is paused" and len(said()) == 1
    (line,) = see(record_runs.on_record, root, "lead", lead.id).lines
    assert line.message == run.message and line.next.startswith("Send the e-mail “For you”")
    with minutes_later(6):
        work()
        assert runs()[0].state is FlowState.WAITING and not all_of(PromotionCode), "it is looked at again, and nothing is drawn"
        do(promotions.move, root, spring, PromotionState.RUNNING)
        assert see(automations.runs, root, row.id)[1] == 1
    queue = outbox.queue

    def killed(*args, **kwargs):
        queue(*args, **kwargs)
        raise SystemExit

    with minutes_later(12):
        monkeypatch.setattr(outbox, "queue", killed)
        with pytest.raises(SystemExit):
            work()
        monkeypatch.setattr(outbox, "queue", queue)
        assert len(all_of(MailDelivery)) == 1 and not all_of(PromotionCode), "what it had begun went with it"
        work()
        work()
    (code,) = all_of(PromotionCode)
    assert [mail.subject for mail in all_of(MailDelivery)] == ["Hello", "For you"] and code.code in all_of(MailDelivery)[1].content
    assert (runs()[0].state, runs()[0].message) == (FlowState.DONE, "")


@pytest.mark.parametrize("end", ["ended", "deleted", "past"])
def test_a_letter_whose_promotion_never_runs_again_is_left_out_with_a_sentence_and_the_rest_goes_on(any_cast, spring, end):
    root = any_cast["root"]
    switched_on(root, does=[letter(spring), {"id": "o", "kind": "offer", "text": "5%", "promotion": spring}, TASK])
    paused(root, spring)
    do(leads.create, root, {"name": "Ada", "email": "ada@example.com"})
    work()
    assert runs()[0].state is FlowState.WAITING
    if end == "ended":
        do(promotions.move, root, spring, PromotionState.ENDED)
    elif end == "deleted":
        do(promotions.update, root, spring, {"name": "Spring"})
        with write_session() as session:
            promotions.get(session, root, spring).deleted_at = clock.utcnow()
    else:
        do(promotions.update, root, spring, {"ends_on": clock.today("UTC") - timedelta(days=2)})
    with minutes_later(6):
        work()
    over = "the promotion of its discount code is over"
    assert said()[:2] == [("skipped", f"Not written: {over}"), ("skipped", f"No offer: {over}")]
    assert runs()[0].state is FlowState.DONE and not all_of(MailDelivery)


def test_an_offer_with_a_code_waits_too_and_of_a_letter_only_the_part_with_the_code(cast):
    root = cast["root"]
    no_quiet_hours(root)
    shared = do(promotions.create, root, {"name": "All", "code": "ALL5", "percent_off": 5, "state": "running"}).id
    switched_on(root, does=[{"id": "o", "kind": "offer", "text": "5%", "promotion": shared}])
    switched_on(root, name="No code in it", does=[letter(shared, body="Hello")])
    paused(root, shared)
    do(leads.create, root, {"name": "Ada", "email": "ada@example.com"})
    work()
    assert [run.state for run in runs()] == [FlowState.WAITING, FlowState.DONE], "a letter that shows no code need not wait"
    do(promotions.move, root, shared, PromotionState.RUNNING)
    with minutes_later(6):
        work()
    assert said()[-1] == ("done", "Offered: 5% (ALL5)")


def test_a_trial_says_that_it_would_wait_and_stops_there(cast):
    root = cast["root"]
    no_quiet_hours(root)
    spring = do(promotions.create, root, {"name": "Spring", "code": "SPR", "percent_off": 5, "state": "running"}).id
    paused(root, spring)
    lead = do(leads.create, root, {"name": "Ada", "email": "ada@example.com"})
    told = do(trial.run, root, flow(does=[TASK, letter(spring), TASK | {"id": "t2"}]), lead.id)
    assert [(line.kind, line.outcome) for line in told.lines] == [("task", StepOutcome.DONE), ("mail", None)]
    assert told.lines[1].message == "Would wait for the promotion of its discount code, which is paused"
    assert told.end == "From here it would go on by itself."
    assert see(promotion_codes.choices, root) == {spring: "Spring (paused)"}, "what is chosen is still shown"


def test_quiet_hours_are_named_by_the_run_that_waits_for_them_and_by_a_trial(cast):
    root = cast["root"]
    no_quiet_hours(root, quiet_from="20:00", quiet_until="08:00")
    does = [letter(None, body="Hello")]
    switched_on(root, does=does)
    lead = do(leads.create, root, {"name": "Ada", "email": "ada@example.com"})
    with clock.frozen(clock.utcnow().replace(hour=23) + timedelta(days=1)):
        work()
        assert runs()[0].message == "Waits for the hours at which they may be written to"
        told = do(trial.run, root, flow(does=does), lead.id)
    assert [line.outcome for line in told.lines] == [None, StepOutcome.DONE] and told.lines[1].at > told.lines[0].at


def test_a_promotion_that_is_past_its_last_day_waits_for_nothing(cast):
    root = cast["root"]
    past = do(promotions.create, root, {"name": "Old", "code": "OLD", "percent_off": 5, "state": "running"}).id
    paused(root, past)
    assert see(lambda session, actor: promotion_codes.paused(session, past), root) is not None
    do(promotions.update, root, past, {"ends_on": date(2020, 1, 1)})
    assert see(lambda session, actor: promotion_codes.paused(session, past), root) is None
