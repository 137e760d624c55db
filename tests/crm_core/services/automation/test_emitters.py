"""What an automation can wait for: every event of the menu is written where it happens."""

import pytest
from sqlmodel import col

from crm_core.models import Event
from crm_core.services.automation import flow_rules
from crm_core.services.collaboration import activities
from crm_core.services.customers import contacts
from crm_core.services.feedback import answering, inviting, surveys, tokens
from crm_core.services.marketing import capture, lead_forms, segment_members, segments
from crm_core.services.sales import deals, leads
from crm_core.vocabulary import ActivityKind, CallOutcome
from tests.architecture import source
from tests.crm_core.services.automation.automating import all_of, runs, switched_on, work
from tests.verbs import do

MENU = {event for events in flow_rules.EVENTS.values() for event in events}
NAMES_ONLY = ("flow_rules.py", "recipes.py", "webhook_rules.py")


def written():
    """The code that could write an event."""
    for path in (source.ROOT / "crm_core").rglob("*.py"):
        if path.name not in NAMES_ONLY and path != source.ROOT / "crm_core" / "events.py" and "migrations" not in path.parts:
            yield path.read_text()


def test_every_event_of_the_menu_is_written_somewhere():
    """Its type stands in the code, whole or as the verb behind an entity's name."""
    code = "\n".join(written())
    spelled = {event: (f'"{event}"', f'.{event.split(".")[1]}"', f'"{event.split(".")[1]}"') for event in MENU}
    assert [event for event, ways in spelled.items() if not any(way in code for way in ways)] == []


def types(entity, record_id):
    return [event.type for event in all_of(Event, col(Event.entity) == entity, col(Event.record_id) == record_id)]


def test_a_new_owner_is_an_event_of_its_own_and_starts_what_waits_for_it(cast):
    root, alice = cast["root"], cast["alice"]
    switched_on(root, entity="deal", trigger={"kind": "event", "events": ["deal.owner_changed"]}, reentry="always")
    deal = do(deals.create, root, {"name": "Big", "amount_minor": 1_00})
    do(deals.update, root, deal.id, {"owner_id": alice.user_id, "name": "Bigger"})
    do(deals.update, root, deal.id, {"name": "Biggest"})
    work()
    told = [
        (event.type, sorted(event.changes)) for event in all_of(Event, col(Event.record_id) == deal.id, col(Event.entity) == "deal")
    ]
    assert told == [
        ("deal.created", []), ("deal.updated", ["name"]), ("deal.owner_changed", ["owner_id"]), ("deal.updated", ["name"]),
    ]  # fmt: skip
    assert all_of(Event, col(Event.type) == "deal.owner_changed")[0].data == {"to": "Alice Rep"}
    assert [run.record_id for run in runs()] == [deal.id]


@pytest.mark.parametrize("about", ["lead", "contact", "deal"])
def test_a_logged_question_for_a_price_is_an_event_of_the_person_once(cast, about):
    root = cast["root"]
    ada = do(contacts.create, root, {"name": "Ada"})
    record = {
        "lead": lambda: do(leads.create, root, {"name": "Grace"}), "contact": lambda: ada,
        "deal": lambda: do(deals.create, root, {"name": "Big", "contact_id": ada.id}),
    }[about]()  # fmt: skip
    for _ in range(2):
        do(
            activities.log, root, about, record.id, kind=ActivityKind.CALL, text="How much is it?", outcome=CallOutcome.PRICE.value, submit_key="k",
        )  # fmt: skip
    key, person = ("lead", record.id) if about == "lead" else ("contact", ada.id)
    assert types(key, person).count(f"{key}.price_asked") == 1


def test_a_form_that_asks_for_a_price_tells_so_for_new_and_known_leads(cast):
    root = cast["root"]
    fields = [{"key": "name", "label": "", "required": True}, {"key": "email", "label": "", "required": False}]
    form = do(lead_forms.save, root, None, {"name": "Offer", "fields": fields, "asks_price": True})
    key = do(lead_forms.new_key, root, form.id)
    for name in ("Grace", "Grace Hopper"):
        do(
            lambda session, _, given=name: capture.submit_by_key(
                session, key, {"name": given, "email": "g@example.com"}, capture.Sender()
            ),
            root,
        )
    asked = all_of(Event, col(Event.type) == "lead.price_asked")
    assert len(asked) == 2 and len({event.record_id for event in asked}) == 1


def test_an_unhappy_answer_starts_an_automation_of_the_contact(cast):
    root = cast["root"]
    for kinds in (["csat"], ["nps", "ces"]):
        switched_on(root, kinds[0], entity="contact", trigger={"kind": "event", "events": ["survey.detractor"], "surveys": kinds})
    ida = do(contacts.create, root, {"name": "Ida", "email": "ida@example.com"})
    deal = do(deals.create, root, {"name": "Big", "contact_id": ida.id})
    survey = do(surveys.save, root, None, {"name": "Us", "kind": "nps", "trigger": "manual", "is_active": True, "cooldown_days": 0})
    for record_id, score in ((None, 9), (deal.id, 3)):
        about = {} if record_id is None else {"entity_key": "deal", "record_id": record_id}
        asked = do(inviting.send, root, survey.id, ida.id, **about)
        do(
            lambda session, _, one=asked, given=score: answering.answer(
                session, tokens.make(session, one.invitation_id), {"score": str(given)}
            ),
            root,
        )
    work()
    assert types("contact", ida.id).count("survey.answered") == 2
    assert (types("contact", ida.id).count("survey.detractor"), types("deal", deal.id).count("survey.detractor")) == (1, 1)
    assert [run.record_id for run in runs()] == [ida.id]


def test_coming_into_a_fixed_segment_and_leaving_it_are_events_of_each_record(cast):
    root = cast["root"]
    lead = do(leads.create, root, {"name": "Grace"})
    segment = do(segments.create, root, name="Fair", entity="lead", kind="static")
    do(segment_members.add, root, segment, [lead.id])
    do(segment_members.add, root, segment, [lead.id])
    do(segment_members.remove, root, segment, [lead.id])
    assert types("lead", lead.id) == ["lead.created", "lead.segment_entered", "lead.segment_left"]
