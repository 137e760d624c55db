"""Letters that are kept: who may use and change which, that a copy stays a copy, and what real people read."""

import pytest

from crm_core import errors
from crm_core.db import write_session
from crm_core.models import Automation, AutomationVersion
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
