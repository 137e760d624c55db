"""The steps that reach out: a webhook, the rules of assignment, a survey. Each once, with the rights of the owner, and failing in the open."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from crm_core import records
from crm_core.access import system
from crm_core.errors import Invalid
from crm_core.kit import clock
from crm_core.models import (
    CampaignMember,
    MailDelivery,
    RoleFieldMask,
    RoutingDecision,
    Survey,
    SurveyInvitation,
    Task,
    User,
    UserRole,
    Webhook,
    WebhookDelivery,
)
from crm_core.services.automation import automations, steps, trial
from crm_core.services.collaboration import suppressions
from crm_core.services.customers import consent, contacts, delivery_reports
from crm_core.services.feedback import surveys
from crm_core.services.helpdesk import tickets
from crm_core.services.marketing import campaigns, segments, tracking
from crm_core.services.routing import queues, rules
from crm_core.services.sales import leads, promotions
from crm_core.settings import settings
from crm_core.vocabulary import (
    ConsentStatus,
    ContactWay,
    FieldLevel,
    FlowState,
    Gate,
    MailState,
    Purpose,
    RecipientStep,
    RouteMethod,
    SuppressionReason,
    SurveyTrigger,
)
from tests.crm_core.services.automation.automating import TASK, all_of, flow, runs, said, see, switched_on, work
from tests.crm_core.services.customers.test_unsubscribing import COMPLAINT
from tests.crm_core.services.marketing.outreach import campaign as planned
from tests.crm_core.services.marketing.outreach import launch, members, no_quiet_hours, people
from tests.crm_core.services.marketing.outreach import run as send
from tests.verbs import do


def hook(actor, name="Warehouse", **more):
    values = {
        "name": name,
        "url": "https://hooks.example.invalid/in",
        "secret": "whsec_x",
        "owner_id": actor.user_id,
        "since_at": clock.utcnow(),
        **more,
    }

    def make(session, _actor):
        row = Webhook(**values)
        session.add(row)
        session.flush()
        return row

    return do(make, actor)


def change(model, row_id, **values):
    do(lambda session, _: session.execute(update(model).where(col(model.id) == row_id).values(**values)), None)


def test_a_webhook_is_told_once_with_the_record_and_a_note(any_cast):
    root = any_cast["root"]
    one = hook(root)
    row = switched_on(root, does=[{"id": "w", "kind": "webhook", "webhook": one.id, "note": "New lead"}])
    lead = do(leads.create, root, {"name": "Grace"})
    work()
    work()
    (sent,) = all_of(WebhookDelivery)
    assert (sent.webhook_id, sent.entity, sent.record_id, sent.type) == (one.id, "lead", lead.id, "automation")
    assert sent.data == {"automation": {"id": row.id, "name": "Call new leads"}, "note": "New lead"}
    assert sent.dedupe_key == f"automation:{runs()[0].id}:w"
    assert said() == [("done", "Told “Warehouse”")]
    assert see(automations.story, root, row.id).steps == (("Call the webhook “Warehouse”, with the note “New lead”", 0),)


def test_a_webhook_that_is_off_or_gone_is_a_failed_run_that_can_be_tried_again(cast):
    root = cast["root"]
    one = hook(root)
    switched_on(root, does=[{"id": "w", "kind": "webhook", "webhook": one.id}])
    change(Webhook, one.id, is_active=False)
    do(leads.create, root, {"name": "Grace"})
    work()
    (run,) = runs()
    assert (run.state, "switched off" in run.message) == (FlowState.FAILED, True)
    assert all_of(WebhookDelivery) == []
    change(Webhook, one.id, is_active=True)
    do(automations.retry, root, run.id)
    work()
    assert (runs()[0].state, len(all_of(WebhookDelivery))) == (FlowState.DONE, 1)
    do(lambda session, _: session.delete(session.get(Webhook, one.id)), root)
    do(leads.create, root, {"name": "Hopper"})
    work()
    assert "was removed" in runs()[1].message


def rule(actor, entity="lead", people=(), **more):
    named = [(one.user_id, 1) for one in people]
    given = {"name": f"{entity} rule", "method": RouteMethod.TURNS, "people": named, **more}
    return do(rules.save, actor, None, entity=entity, **given)


ROUTE = {"id": "r", "kind": "route"}


def test_a_record_is_given_by_the_rules_or_stays_where_it_is(cast):
    root, alice, dana = cast["root"], cast["alice"], cast["dana"]
    rule(root, people=[alice, dana])
    switched_on(root, does=[ROUTE])
    do(leads.create, root, {"name": "Nobody's", "owner_id": None})
    do(leads.create, root, {"name": "Root's", "owner_id": root.user_id})
    work()
    (made,) = all_of(RoutingDecision)
    assert (made.user_id, made.why) == (alice.user_id, "Automation “Call new leads”")
    assert said() == [("done", "Given to Alice Rep by an assignment rule"), ("skipped", "Root owns it already")]


def test_an_owner_who_is_to_be_relieved_gives_the_record_away_and_a_full_team_lets_it_wait(cast):
    root, alice, sam = cast["root"], cast["alice"], cast["sam"]
    queue = do(queues.save, root, None, name="Later")
    rule(root, people=[alice])
    rule(root, entity="ticket", people=(), queue_id=queue.id)
    switched_on(root, does=[{**ROUTE, "owned": "move"}])
    switched_on(root, name="Tickets", entity="ticket", does=[ROUTE])
    lead = do(leads.create, root, {"name": "Root's", "owner_id": root.user_id})
    do(tickets.create, sam, {"subject": "It squeaks", "owner_id": None})
    work()
    assert see(leads.get, root, lead.id).owner_id == alice.user_id
    assert said()[1] == ("done", "Nobody is free: it waits in a queue")


def survey(actor, **values):
    return do(
        surveys.save,
        actor,
        None,
        {"name": "How are we", "kind": "nps", "trigger": SurveyTrigger.MANUAL.value, "is_active": True, **values},
    )


def test_a_survey_goes_out_once_and_leaves_people_alone_who_were_asked_lately(any_cast):
    root = any_cast["root"]
    one = survey(root, cooldown_days=30)
    step = {"id": "s", "kind": "survey", "survey": one.id}
    row = switched_on(root, entity="ticket", does=[step, {**step, "id": "again"}])
    ida = do(contacts.create, root, {"name": "Ida", "email": "ida@example.com"})
    do(tickets.create, root, {"subject": "It squeaks", "contact_id": ida.id})
    do(tickets.create, root, {"subject": "Nobody's"})
    work()
    work()
    sent = [row for row in all_of(SurveyInvitation) if row.sent_at]
    assert [(one.entity, one.contact_id) for one in sent] == [("ticket", ida.id)]
    assert [(mail.kind, mail.address) for mail in all_of(MailDelivery)] == [("survey", "ida@example.com")]
    assert said()[0] == ("done", "Sent the survey “How are we” to Ida")
    assert said()[1][0] == "skipped" and "asked lately" in said()[1][1]
    assert said()[2] == ("skipped", "Nobody to ask: the record has no contact")
    assert see(automations.story, root, row.id).steps[0] == ("Send the survey “How are we”", 0)


def test_a_survey_respects_a_no_and_is_a_failure_when_it_is_off(cast):
    root = cast["root"]
    one = survey(root, needs_consent=True)
    switched_on(root, entity="contact", does=[{"id": "s", "kind": "survey", "survey": one.id}])
    do(contacts.create, root, {"name": "Silent", "email": "silent@example.com"})
    work()
    assert said()[0][0] == "skipped" and "consent" in said()[0][1]
    yes = do(contacts.create, root, {"name": "Yes", "email": "yes@example.com"})
    do(
        consent.record, root, "contact", yes.id, purpose=Purpose.RESEARCH, way=ContactWay.EMAIL, status=ConsentStatus.GRANTED, source="Call",
    )  # fmt: skip
    change(Survey, one.id, is_active=False)
    work()
    assert (runs()[-1].state, "switched off" in runs()[-1].message) == (FlowState.FAILED, True)
    do(records.archive, root, "contact", yes.id)
    change(Survey, one.id, is_active=True)
    do(automations.retry, root, runs()[-1].id)
    work()
    assert (runs()[-1].state, runs()[-1].message[:18]) == (FlowState.STOPPED, "The record is gone")
    assert all_of(MailDelivery) == []


def test_they_act_with_the_rights_of_the_owner_and_rest_when_that_person_leaves(cast):
    root, bob = cast["root"], cast["bob"]
    one = hook(root)
    switched_on(
        bob, does=[{"id": "w", "kind": "webhook", "webhook": one.id}], trigger={"kind": "event", "events": ["lead.created"]}
    )
    do(leads.create, cast["charlie"], {"name": "Hidden from Bob", "owner_id": cast["charlie"].user_id})
    work()
    assert runs() == []
    change(User, bob.user_id, is_active=False)
    do(leads.create, cast["alice"], {"name": "Bob's team", "owner_id": cast["alice"].user_id})
    work()
    assert (runs(), all_of(WebhookDelivery)) == ([], [])


@pytest.mark.parametrize("entity", ["lead", "ticket"])
def test_what_is_missing_keeps_an_automation_from_being_switched_on(cast, entity):
    root = cast["root"]
    off = hook(root, is_active=False)
    does = [
        {"id": "none", "kind": "webhook", "webhook": 999}, {"id": "off", "kind": "webhook", "webhook": off.id}, {"id": "rule", "kind": "route"},
        {"id": "survey", "kind": "survey", "survey": 999},
    ]  # fmt: skip
    wrong = see(automations.problems, root, flow(entity=entity, does=does))
    assert wrong["none"].startswith("Choose a webhook")
    assert wrong["off"] == "The webhook “Warehouse” is switched off."
    assert "no assignment rule" in wrong["rule"]
    assert wrong["survey"].startswith("Choose a survey" if entity == "ticket" else "“Send a survey” can't be done with leads")
    row = do(automations.save, root, None, name="Later", flow=flow(entity=entity, does=does))
    with pytest.raises(Invalid):
        do(automations.activate, root, row.id)


def test_every_step_that_can_choose_a_record_lists_what_there_is(cast):
    root = cast["root"]
    hook(root), hook(root, name="Off", is_active=False), survey(root)
    for state in ("draft", "running"):
        do(promotions.create, root, {"name": f"Is {state}", "code": state, "percent_off": 5, "state": state})
    offered = {
        kind.key: list(see(param.choices, root).values())
        for kind in steps.kinds().values()
        for param in kind.params
        if param.choices
    }
    running = ["Is running"]
    assert offered == {"survey": ["How are we"], "webhook": ["Warehouse"], "mail": running, "offer": running}


def test_who_takes_their_consent_back_leaves_a_journey_with_news_whatever_comes_next(cast, monkeypatch):
    monkeypatch.setenv("RAPPORT_PUBLIC_URL", "https://crm.example.com")
    settings.cache_clear()
    root = cast["root"]
    no_quiet_hours(root)
    campaign = do(campaigns.create, root, {"name": "News"})
    does = [
        {"id": "w", "kind": "wait", "amount": 1, "unit": "days"},
        {"id": "t", "kind": "task", "subject": "Call them", "who": "owner", "days": 0},
        {"id": "m", "kind": "mail", "purpose": "marketing", "campaign": campaign.id, "subject": "News", "body": "Hello"},
    ]
    switched_on(root, does=does)
    gone, stays, never = (do(leads.create, root, {"name": n, "email": f"{n}@example.com"}) for n in ("gone", "stays", "never"))
    say = {"purpose": Purpose.MARKETING, "way": ContactWay.EMAIL, "source": "Newsletter form"}
    for lead in (gone, stays):
        do(consent.record, root, "lead", lead.id, status=ConsentStatus.GRANTED, **say)
    work()
    do(consent.record, root, "lead", gone.id, status=ConsentStatus.WITHDRAWN, **say)
    with clock.frozen(clock.utcnow() + timedelta(days=1, minutes=1)):
        work()
    ended = {run.record_id: run.message for run in runs(FlowState.DONE)}
    assert "took their consent back" in ended[gone.id] and ended[stays.id] == ""
    assert [task.lead_id for task in all_of(Task)] == [stays.id, never.id], (
        "whoever never agreed took nothing back: only the letter is left out"
    )
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def news(cast, monkeypatch):
    """A campaign that automations may write for: the step of its letter, its id."""
    monkeypatch.setenv("RAPPORT_PUBLIC_URL", "https://crm.example.com")
    settings.cache_clear()
    no_quiet_hours(cast["root"])
    campaign = do(campaigns.create, cast["root"], {"name": "News"}).id
    mail = {"id": "m", "kind": "mail", "purpose": "marketing", "campaign": campaign, "subject": "News", "body": "Hello"}
    yield mail, campaign
    monkeypatch.undo()
    settings.cache_clear()


def test_who_leaves_still_gets_mail_about_business_and_a_goal_takes_back_only_what_is_left_over(cast, news):
    root, (mail, _) = cast["root"], news
    service = {"id": "s", "kind": "mail", "purpose": "service", "subject": "Your visit", "body": "Hello"}
    wait = {"id": "w", "kind": "wait", "amount": 1, "unit": "days"}
    switched_on(root, does=[mail, service, wait, TASK])
    hot = {"op": "and", "items": [{"field": "job_title", "cmp": "eq", "value": "hot"}]}
    reached = {"id": "f", "kind": "set", "field": "job_title", "value": "hot"}
    switched_on(root, name="Warm up", does=[{**service, "subject": "One moment"}, reached, TASK], goal=hot)
    gone = do(leads.create, root, {"name": "gone", "email": "gone@example.com"})
    say = {"purpose": Purpose.MARKETING, "way": ContactWay.EMAIL, "source": "Form"}
    do(consent.record, root, "lead", gone.id, status=ConsentStatus.GRANTED, **say)
    work()
    do(consent.record, root, "lead", gone.id, status=ConsentStatus.WITHDRAWN, **say)
    with clock.frozen(clock.utcnow() + timedelta(days=1, minutes=1)):
        work()
    state = {one.subject: one.state for one in all_of(MailDelivery)}
    assert state == {"News": MailState.CANCELLED, "Your visit": MailState.PENDING, "One moment": MailState.PENDING}
    told = sorted(run.message for run in runs(FlowState.DONE))
    assert told[0].startswith("Left the automation") and told[0].endswith("; one waiting e-mail was called back")
    assert told[1] == "The goal is reached", "what the run wrote a moment before is no leftover"
    boils = {"op": "and", "items": [{"field": "job_title", "cmp": "eq", "value": "boils"}]}
    switched_on(root, name="Until it boils", does=[mail, service, wait, TASK], goal=boils)
    warm = do(leads.create, root, {"name": "warm", "email": "warm@example.com"})
    do(consent.record, root, "lead", warm.id, status=ConsentStatus.GRANTED, **say)
    work()
    do(leads.update, root, warm.id, {"job_title": "boils"})
    with clock.frozen(clock.utcnow() + timedelta(days=1, minutes=1)):
        work()
    (over,) = [run for run in runs() if "called back" in run.message and run.record_id == warm.id]
    theirs = [(one.subject, one.state) for one in all_of(MailDelivery) if one.batch == f"auto:{over.id}"]
    assert theirs == [("News", MailState.CANCELLED), ("Your visit", MailState.PENDING)], (
        "business goes on, whatever ends the journey"
    )
    assert over.message == "The goal is reached; one waiting e-mail was called back"


def test_links_and_answers_of_letters_hold_when_an_automation_takes_their_reader_out(cast, news):
    root, (mail, campaign) = cast["root"], news
    one, two = people(2)
    switched_on(root, entity="ticket", does=[mail, {"id": "l", "kind": "leave", "campaign": campaign}])
    switched_on(root, name="More", entity="ticket", does=[{**mail, "subject": "More"}])
    for who in (one, two):
        do(tickets.create, root, {"subject": "Bought it", "contact_id": who})
    work()
    letters = {(row.contact_id, row.subject): row for row in all_of(MailDelivery)}
    assert {key: row.state for key, row in letters.items()} == {
        (one, "News"): MailState.CANCELLED, (two, "News"): MailState.CANCELLED, (one, "More"): MailState.PENDING, (two, "More"): MailState.PENDING,
    }  # fmt: skip
    token = letters[one, "News"].headers["List-Unsubscribe"].rpartition("/u/")[2].rstrip(">")
    assert see(lambda s, a: tracking.reader(s, token), root).left is False, "its links are promised to work for ever"
    do(lambda s, a: tracking.leave(s, token), root)
    assert see(consent.may_contact, root, one).gate is Gate.NO_CONSENT
    member = see(lambda s, a: tracking.member_of(s, letters[two, "News"].id, "Stop"), root)
    assert see(lambda s, a: s.get(CampaignMember, member).contact_id, root) == two, (
        "an answer that quotes nothing is known by its letter"
    )
    change(MailDelivery, letters[two, "More"].id, message_id="<m@x>", state=MailState.SENT)
    raw = COMPLAINT.format(kind="abuse", message_id="<m@x>", n=1).encode()
    do(delivery_reports.take_in, root, raw)
    assert see(lambda s, a: s.get(CampaignMember, member).unsubscribed_at, root) is not None
    late = people(1, first=20)[0]
    gone = do(campaigns.create, root, {"name": "Later"}).id
    switched_on(
        root, name="Third", entity="ticket", does=[{**mail, "campaign": gone}, {"id": "l", "kind": "leave", "campaign": gone}]
    )
    do(tickets.create, root, {"subject": "Bought it", "contact_id": late})
    work()
    assert see(campaigns.members, root, gone) == ([], 0) and len(members(gone)) == 1
    assert do(campaigns.add_members, root, gone, "contact", [late]) == (1, 0) and see(campaigns.members, root, gone)[1] == 1


def test_the_link_of_an_older_letter_speaks_for_the_address_that_it_went_to(cast, news):
    root, (mail, _) = cast["root"], news
    (one,) = people(1)
    switched_on(root, entity="ticket", does=[mail])
    do(tickets.create, root, {"subject": "First", "contact_id": one})
    work()
    do(contacts.update, root, one, {"email": "new@example.com"})
    with clock.frozen(clock.utcnow() + timedelta(days=1)):
        do(tickets.create, root, {"subject": "Second", "contact_id": one})
        work()
    tokens = {row.address: row.headers["List-Unsubscribe"].rpartition("/u/")[2].rstrip(">") for row in all_of(MailDelivery)}
    assert set(tokens) == {"ida0@example.com", "new@example.com"}
    shown = {address: see(lambda s, a, token=token: tracking.reader(s, token), root).address for address, token in tokens.items()}
    assert shown == {"ida0@example.com": "i…@example.com", "new@example.com": "n…@example.com"}
    do(lambda s, a: tracking.leave(s, tokens["ida0@example.com"]), root)
    assert [row["address_key"] for row in see(suppressions.find, root).rows] == ["ida0@example.com"]
    assert see(consent.may_contact, root, one).gate is Gate.NO_CONSENT, "the person has left, at whichever address"


def test_only_their_own_word_ends_a_journey_with_news_not_a_missing_or_a_failed_address(any_cast, monkeypatch):
    monkeypatch.setenv("RAPPORT_PUBLIC_URL", "https://crm.example.com")
    settings.cache_clear()
    root = any_cast["root"]
    campaign = do(campaigns.create, root, {"name": "News"})
    mail = {"id": "m", "kind": "mail", "purpose": "marketing", "campaign": campaign.id, "subject": "News", "body": "Hello"}
    does = [TASK, {"id": "w", "kind": "wait", "amount": 1, "unit": "days"}, mail]
    switched_on(root, does=does)
    why = {one.value: one for one in SuppressionReason}
    for name, reason in why.items():
        do(suppressions.note, root, f"{name}@example.com", reason)
    made = {name: do(leads.create, root, {"name": name, "email": f"{name}@example.com"}).id for name in why}
    made["by phone"] = do(leads.create, root, {"name": "by phone", "phone": "+49 30 1234567"}).id
    work()
    assert [task.lead_id for task in all_of(Task)] == [made["bounced"], made["manual"], made["by phone"]]
    assert sorted(run.record_id for run in runs(FlowState.DONE)) == sorted(
        [made["unsubscribed"], made["complained"], made["erased"]]
    )
    told = do(trial.run, root, flow(does=does), made["unsubscribed"])
    assert (told.lines, told.end) == ((), f"{runs(FlowState.DONE)[0].message}."), "a trial ends where the run would"
    assert len(do(trial.run, root, flow(does=does), made["by phone"]).lines) == 3
    monkeypatch.undo()
    settings.cache_clear()


def test_whoever_is_taken_out_of_a_launched_campaign_gets_no_letter_and_the_run_goes_on(cast):
    root = cast["root"]
    no_quiet_hours(root)
    waits, written, stays, late = people(4)
    made = planned(root, [waits, written, stays])
    launch(root, made)
    (row,) = (one for one in members(made) if one.contact_id == written)
    change(CampaignMember, row.id, step=RecipientStep.QUEUED)
    do(campaigns.add_members, root, made, "contact", [late])
    switched_on(root, entity="ticket", does=[{"id": "l", "kind": "leave", "campaign": made}, TASK])
    for who in (waits, written, late):
        do(tickets.create, root, {"subject": "Bought it", "contact_id": who})
    work()
    assert [run.state for run in runs()] == [FlowState.DONE] * 3 and len(all_of(Task)) == 3
    assert [one for one in said() if "Task" not in one[1]] == [
        ("done", "Gets no message of the campaign any more"),
        ("skipped", "Was addressed, held out or left out already"),
        ("done", "Taken out of the campaign"),
    ]
    send(made)
    assert [mail.contact_id for mail in all_of(MailDelivery)] == [stays]
    found = {one.contact_id: (one.step, one.skip_reason) for one in members(made)}
    assert found[waits] == (RecipientStep.SKIPPED, "removed") and late not in found


def test_letters_of_an_automation_leave_out_what_is_hidden_from_its_owner_and_go_to_no_made_up_address(cast):
    dana = cast["dana"]
    no_quiet_hours(cast["root"])
    loyal = do(segments.create, dana, name="Loyal", entity="lead", kind="static", record_ids=[])
    letter = {"id": "m", "kind": "mail", "purpose": "service", "subject": "Your visit", "body": "Dear {{first_name|customer}}"}
    part = {**letter, "id": "p", "subject": "Part", "body": f"{{{{#only {loyal} Loyal}}}}\nthanks\n{{{{/only}}}}"}
    switched_on(dana, does=[letter, part])

    def hide(field):
        roles = select(UserRole.role_id).where(col(UserRole.user_id) == dana.user_id)
        do(
            lambda session, _: session.add_all(
                RoleFieldMask(role_id=role_id, entity="lead", field_key=field, level=FieldLevel.MASKED)
                for role_id in session.exec(roles)
            ),
            None,
        )

    hide("name")
    do(leads.create, system(), {"name": "Ida Berg", "email": "ida@example.com"})
    work()
    (sent,) = all_of(MailDelivery)
    assert (sent.address, sent.content.strip()) == ("ida@example.com", "Dear customer")
    assert said()[-1][1].endswith("no part of the letter is for them")
    hide("email")
    do(leads.create, system(), {"name": "Leo Berg", "email": "leo@example.com"})
    work()
    assert len(all_of(MailDelivery)) == 1 and any("is hidden from" in words for _, words in said())
