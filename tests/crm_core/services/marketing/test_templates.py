"""Letters that are kept: who may use and change which, that a copy stays a copy, and what real people read."""

import pytest
from sqlmodel import select

from crm_core import errors, lists
from crm_core.db import read_session, write_session
from crm_core.models import Automation, AutomationVersion, LetterTemplate, LetterTemplateVersion
from crm_core.services import crud
from crm_core.services.marketing import campaigns, plans, segments, templates
from crm_core.vocabulary import AutomationState, LetterUse
from tests.crm_core.services.marketing.outreach import no_quiet_hours, people
from tests.verbs import do, look

LETTER = {
    "name": "After the talk",
    "use": "sales",
    "subject": "Our talk, {{first_name|hello}}",
    "body": "Hi {{first_name|there}},\n\nsee you.\n{{agent|}}",
}


def keep(actor, **values):
    return do(templates.save, actor, None, {**LETTER, **values})


def test_who_may_use_and_change_a_letter_and_two_who_change_it_at_once(cast):
    shared, own = keep(cast["alice"]), keep(cast["alice"], name="Only mine", shared=False)
    assert list(look(templates.choices, cast["sam"], LetterUse.SALES)) == [shared.id]
    assert set(look(templates.choices, cast["alice"], LetterUse.SALES)) == {shared.id, own.id}
    assert look(templates.choices, cast["alice"], LetterUse.SERVICE) == {}
    assert [row.template.id for row in look(templates.find, cast["alice"], q="MINE")] == [own.id]
    for verb in (templates.archive, templates.remove):
        with pytest.raises(errors.NotPermitted):
            do(verb, cast["sam"], shared.id)
        with pytest.raises(errors.NotFound):
            do(verb, cast["dana"], own.id)
    with pytest.raises(errors.NotPermitted):
        keep(cast["ana"])
    changed = do(templates.save, cast["dana"], shared.id, {"about": "By marketing"}, base_version=shared.version)
    assert (
        do(templates.save, cast["dana"], shared.id, {"about": "By marketing"}, base_version=shared.version).version
        == changed.version
    )
    with pytest.raises(errors.Conflict):
        do(templates.save, cast["alice"], shared.id, {"about": "Mine"}, base_version=shared.version)
    copied = do(templates.duplicate, cast["sam"], shared.id)
    assert copied.name == "After the talk (copy)" and copied.owner_id == cast["sam"].user_id
    do(templates.archive, cast["alice"], shared.id)
    assert shared.id not in look(templates.choices, cast["alice"], LetterUse.SALES)
    assert [row.template.id for row in look(templates.find, cast["alice"], archived=True)] == [shared.id]
    do(templates.restore, cast["alice"], shared.id)
    do(templates.remove, cast["alice"], shared.id)
    with pytest.raises(errors.NotFound):
        look(templates.get, cast["alice"], shared.id)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": " "}, "name"),
        ({"subject": ""}, "subject"),
        ({"body": "{{nick}}"}, "body"),
        ({"body": "{{number}}"}, "body"),
        ({"use": "war"}, "use"),
        ({"body": "{{#only 99 Gone}}\nx\n{{/only}}"}, "body"),
    ],
)
def test_what_would_stop_a_letter_is_said_when_it_is_kept(cast, values, field):
    with pytest.raises(errors.Invalid) as refused:
        keep(cast["alice"], **values)
    assert field in refused.value.fields
    if field == "subject":
        assert keep(cast["alice"], **values, use="service").subject == ""


def test_a_letter_is_rendered_for_a_person_and_for_what_is_about_them(cast):
    ida = people(1)[0]
    ticket = do(crud.create, cast["sam"], "ticket", {"subject": "Broken <b>{{city}}</b>", "contact_id": ida})
    inside = do(segments.create, cast["dana"], name="Loyal {x}", entity="contact", kind="static", record_ids=[ida])
    body = f"Hi {{{{first_name|there}}}}, {{{{number|}}}} {{{{subject|}}}} {{{{city}}}}\n\n{{{{#only {inside} Loyal}}}}\n**thanks**\n{{{{/only}}}}\n{{{{#except {inside} Loyal}}}}\nnew\n{{{{/except}}}}"
    with pytest.raises(errors.Invalid):
        keep(cast["sam"], use="service", subject="", body=body)  # agents see no segments
    kept = keep(cast["bob"], use="service", subject="", body=body)
    assert do(templates.duplicate, cast["sam"], kept.id).body == body
    made = look(templates.rendered, cast["sam"], kept.id, "ticket", ticket.id)
    assert made.text == f"Hi Ida0, {ticket.number} Broken <b>{{{{city}}}}</b> \n\nthanks" and made.holes == ("City",)
    nobody = do(crud.create, cast["sam"], "ticket", {"subject": "Hm"})
    assert look(templates.rendered, cast["sam"], kept.id, "ticket", nobody.id).text.startswith("Hi there, T-")
    with pytest.raises(errors.NotFound):
        look(templates.rendered, cast["sam"], kept.id, "contact", 999)
    shown = look(templates.previews, cast["root"], LetterUse.SERVICE, "", body, turn=1)
    assert [(one.name, one.parts) for one in shown] == [("Ida0 Person", (2, 3))] and "<strong>thanks</strong>" in shown[
        0
    ].letter.html
    do(templates.note_used, cast["sam"], kept.id)
    assert (look(templates.get, cast["sam"], kept.id).used_count, kept.version) == (
        1,
        look(templates.get, cast["sam"], kept.id).version,
    )


def test_a_campaign_keeps_its_copy_and_a_letter_that_an_automation_writes_is_not_deleted(cast):
    no_quiet_hours(cast["root"])
    kept = keep(cast["dana"], use="marketing", body="See [this](https://a.example.com)")
    made = do(campaigns.create, cast["dana"], {"name": "Spring"})
    do(plans.set_variants, cast["dana"], made.id, [{"subject": kept.subject, "body": kept.body, "template_id": kept.id}])
    flow = {"entity": "lead", "steps": [{"kind": "branch", "yes": [{"kind": "mail", "template": kept.id}], "no": []}]}
    with write_session() as session:
        session.add(automation := Automation(name="Welcome", entity="lead", state=AutomationState.DRAFT, current=1))
        session.flush()
        session.add(AutomationVersion(automation_id=automation.id, number=1, flow=flow))
    assert [(one.url, one.runs) for one in look(templates.uses, cast["dana"], kept.id)] == [
        ("automation", True),
        ("campaign", False),
    ]
    with pytest.raises(errors.Conflict, match="Welcome"):
        do(templates.remove, cast["dana"], kept.id)
    do(templates.save, cast["dana"], kept.id, {"body": "Other [words](https://b.example.com)"})
    assert look(plans.variants, cast["dana"], made.id)[0].body == "See [this](https://a.example.com)"


def numbers(actor, template_id):
    return [(one.number, one.author, one.body, one.brought_back) for one in look(templates.versions, actor, template_id)]


def test_earlier_words_of_a_letter_are_kept_and_one_is_brought_back(cast):
    kept = keep(cast["alice"], body="First {{first_name|there}}")
    do(templates.save, cast["alice"], kept.id, {"about": "No other words", "name": "Renamed"})
    do(templates.save, cast["dana"], kept.id, {"body": "Second {{first_name|there}}", "subject": "Other"})
    alice, dana = (look(lists.titles, cast["root"], "user", [cast[who].user_id])[cast[who].user_id] for who in ("alice", "dana"))
    assert numbers(cast["sam"], kept.id) == [
        (2, dana, "Second {{first_name|there}}", None),
        (1, alice, "First {{first_name|there}}", None),
    ]
    with pytest.raises(errors.NotPermitted):
        do(templates.bring_back, cast["sam"], kept.id, 1)
    with pytest.raises(errors.NotFound):
        do(templates.bring_back, cast["alice"], kept.id, 9)
    with pytest.raises(errors.Conflict):
        do(templates.bring_back, cast["alice"], kept.id, 1, base_version=kept.version)
    back = do(templates.bring_back, cast["alice"], kept.id, 1)
    assert (back.body, back.subject, back.name) == ("First {{first_name|there}}", LETTER["subject"], "Renamed")
    assert do(templates.bring_back, cast["alice"], kept.id, 1).version == back.version  # a second click
    assert numbers(cast["alice"], kept.id)[0] == (3, alice, "First {{first_name|there}}", 1)
    assert len(numbers(cast["alice"], kept.id)) == 3
    do(templates.remove, cast["alice"], kept.id)
    with read_session() as session:
        assert not session.exec(select(LetterTemplateVersion)).all()


def test_a_letter_older_than_its_versions_keeps_the_words_it_had_before_the_first_change(cast):
    with write_session() as session:
        session.add(
            old := LetterTemplate(name="Old", use=LetterUse.SALES, subject="S", body="As it was", owner_id=cast["alice"].user_id)
        )
        session.flush()
        old_id = old.id
    assert numbers(cast["alice"], old_id) == []
    do(templates.save, cast["alice"], old_id, {"body": "As it is"})
    assert [(number, body) for number, _author, body, _back in numbers(cast["alice"], old_id)] == [
        (2, "As it is"),
        (1, "As it was"),
    ]
    assert look(templates.versions, cast["alice"], old_id)[1].author == ""


def test_what_somebody_wrote_for_themselves_stays_theirs_when_they_share_the_letter_later(cast):
    kept = keep(cast["alice"], body="Between us: dull customers", shared=False)
    do(templates.save, cast["alice"], kept.id, {"body": "Dear customers"})
    do(templates.save, cast["alice"], kept.id, {"shared": True})
    assert [body for _n, _a, body, _b in numbers(cast["dana"], kept.id)] == ["Dear customers"]
    with pytest.raises(errors.NotFound):
        do(templates.bring_back, cast["dana"], kept.id, 1)
    assert len(numbers(cast["alice"], kept.id)) == 2


def test_words_that_can_no_longer_be_sent_are_not_brought_back(cast):
    kept = keep(cast["dana"], use="service", body="Ticket {{number}}, {{first_name|there}}")
    do(templates.save, cast["dana"], kept.id, {"use": "marketing", "subject": "Hi", "body": "See [this](https://a.example.com)"})
    assert do(templates.bring_back, cast["dana"], kept.id, 1).use is LetterUse.SERVICE  # with what it is for
    with write_session() as session:
        session.exec(select(LetterTemplateVersion).where(LetterTemplateVersion.number == 2)).one().body = "Hello {{shoe_size}}"
    with pytest.raises(errors.Invalid):
        do(templates.bring_back, cast["dana"], kept.id, 2)
    assert look(templates.get, cast["dana"], kept.id).body == "Ticket {{number}}, {{first_name|there}}"
