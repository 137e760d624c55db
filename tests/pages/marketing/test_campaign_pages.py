"""The campaign screens: every role, an empty database, start, members, harmful names."""

import pytest

from crm_core.db import read_session, write_session
from crm_core.services import crud
from crm_core.services.collaboration import suppressions
from crm_core.services.marketing import campaigns, plans, templates, ways
from crm_core.vocabulary import Action, CampaignStatus, Outlet, SuppressionReason
from tests.crm_core.services.marketing.outreach import campaign, launch, no_quiet_hours, people
from tests.pages.app import open_screen, words
from tests.pages.sales.test_sales_pages import EVIL
from tests.verbs import do, look
from ui.navigation import screen_of, screens_for


def make(actor, entity, **values):
    with write_session() as session:
        return crud.create(session, actor, entity, values)


@pytest.mark.parametrize("who", ["root", "bob", "alice", "dana", "ana"])
def test_the_empty_list_says_what_to_do(cast, who):
    app = open_screen(cast[who], "campaigns")
    assert not app.exception and not app.error and "No campaigns yet" in words(app)
    assert ("New campaign" in words(app)) == cast[who].can("campaign", Action.CREATE)


def test_an_agent_has_no_campaigns(cast):
    assert screen_of("campaigns") not in screens_for(cast["sam"])


def test_a_marketer_starts_a_campaign_and_sees_its_members(cast):
    dana = cast["dana"]
    campaign = make(dana, "campaign", name=EVIL.strip()[:300])
    person = make(dana, "contact", name="Maria Anders")
    with write_session() as session:
        campaigns.add_members(session, dana, campaign.id, "contact", [person.id])
    app = open_screen(dana, "campaign", id=campaign.id)
    assert not app.exception and app.title[0].value.removeprefix("\u2068").startswith("\\!\\[x\\]")
    app.session_state[f"tabs_{campaign.id}"] = "Members"
    app.run()
    assert "1 member" in words(app)
    app.button(key="move_running").click().run()
    assert not app.exception
    with read_session() as session:
        assert campaigns.get(session, dana, campaign.id).status is CampaignStatus.RUNNING
    app.session_state[f"tabs_{campaign.id}"] = "Members"
    app.run()
    app.button(key="add_members").click().run()
    assert not app.exception and "One by one" in str(app.get("button_group")) + words(app)


@pytest.mark.parametrize("who", ["alice", "ana", "bob"])
def test_who_only_reads_gets_no_buttons(cast, who):
    campaign = make(cast["dana"], "campaign", name="Spring fair")
    app = open_screen(cast[who], "campaign", id=campaign.id)
    assert not app.exception
    assert not {"edit", "move_running", "add_members", "edit_channels", "delete"} & {button.key for button in app.button}


def tab(app, campaign_id, name):
    app.session_state[f"tabs_{campaign_id}"] = name
    app.run()
    assert not app.exception and not app.error, (name, app.exception, app.error)
    return words(app)


def test_a_planned_campaign_shows_its_funnel_its_letter_and_what_is_missing(cast):
    no_quiet_hours(cast["root"])
    made = campaign(
        cast["dana"],
        [*people(30), *people(2, first=90, agreed=False)],
        subject="Hi {{first_name}} " + EVIL.strip()[:60],
        holdout_pct=10,
    )
    app = open_screen(cast["dana"], "campaign", id=made)
    assert not app.exception and "27 people will be addressed" in words(app).replace("**", "")
    assert "no sample size can be named" in tab(app, made, "Audience") and "No result yet" in tab(app, made, "Results")
    assert "As real people get it" in tab(app, made, "Letter")
    do(ways.choose, cast["dana"], made, [Outlet.EMAIL, Outlet.CALL_LIST])
    do(ways.change, cast["dana"], made, Outlet.CALL_LIST, {"segment_ids": []})
    assert "Call list has no people of its own yet" in tab(app, made, "Audience")
    assert {"People of its own"} == {one.label for one in app.toggle} and len(app.expander) >= 2
    empty = campaign(cast["dana"], people(1, first=60, agreed=False))
    assert "excluded by one of the gates" in words(open_screen(cast["dana"], "campaign", id=empty))


def test_a_launched_campaign_shows_progress_controls_and_an_honest_result(cast):
    no_quiet_hours(cast["root"])
    made = campaign(cast["dana"], people(30), holdout_pct=20)
    launch(cast["dana"], made)
    app = open_screen(cast["dana"], "campaign", id=made)
    assert not app.exception and {"pause", "stop"} <= {button.key for button in app.button}
    assert "Not enough data yet" in words(app)
    for who in ("alice", "ana", "bob"):
        reader = open_screen(cast[who], "campaign", id=made)
        assert not reader.exception and not {"pause", "stop", "launch", "letter_save"} & {button.key for button in reader.button}
        tab(reader, made, "Audience")
        tab(reader, made, "Letter")
    figures = look(campaigns.figures, cast["dana"], made)
    assert (figures.members, figures.held_out) == (30, 6)
    assert [look(campaigns.members, cast["dana"], made, held_out=held)[1] for held in (True, False)] == [6, 24]
    tab(app, made, "Members")
    pills = next(one for one in app.get("button_group") if one.key == "member_status")
    assert pills.options[-1] == "Held out"
    app.button(key="pause").click().run()
    assert not app.exception and "resume" in {button.key for button in app.button}


def test_a_number_of_the_results_opens_its_list_and_the_way_back_shows_everybody(cast):
    no_quiet_hours(cast["root"])
    made = campaign(cast["dana"], people(30), holdout_pct=20)
    launch(cast["dana"], made)
    app = open_screen(cast["ana"], "campaign", id=made, show="people", of="held_out")
    assert not app.exception and "Everybody, held out: 6" in words(app).replace("**", "") and "6 members" in words(app)
    app.button(key="members_everybody").click().run()
    assert not app.exception and "30 members" in words(app) and "show" not in app.query_params
    for odd in ({"show": "nonsense"}, {"show": "opened", "wording": "Z", "way": "<b>"}):
        assert not open_screen(cast["ana"], "campaign", id=made, **odd).exception
    results = open_screen(cast["ana"], "campaign", id=made)
    tab(results, made, "Results")
    told = str([one.proto for one in results.get("bidi_component")])
    assert f"/campaign?id={made}&show=people&of=held_out" in told


def test_consent_and_limits_open_for_those_who_run_campaigns(cast):
    for who in ("root", "dana"):
        app = open_screen(cast[who], "consent")
        assert not app.exception and not app.error and "No address is blocked" in words(app)
    having = {who for who, actor in cast.items() if screen_of("consent") in screens_for(actor)}
    assert having == {"root", "dana"}


def test_a_contacts_page_says_whether_they_may_be_written_to(cast):
    no_quiet_hours(cast["root"])
    one, other = people(1)[0], people(1, first=7, agreed=False)[0]
    assert "may be e-mailed" in words(open_screen(cast["alice"], "contact", id=one))
    assert "no consent for this purpose" in words(open_screen(cast["alice"], "contact", id=other))


def subject(app):
    return next(one for one in app.text_input if one.label == "Subject")


def letter(app, campaign_id):
    """What the Letter tab says, and the subject and the words in it."""
    said = tab(app, campaign_id, "Letter")
    return said, subject(app).value, app.text_area[0].value


def test_what_is_typed_into_a_letter_outlives_tabs_and_others_and_the_launch_tells_of_it(cast):
    no_quiet_hours(cast["root"])
    made = campaign(cast["dana"], people(3), subject="Old", body="Hello")
    app = open_screen(cast["dana"], "campaign", id=made)
    said, *_ = letter(app, made)
    assert "Not saved yet" not in said
    subject(app).set_value("Typed")
    tab(app, made, "Audience")  # in the same moment
    said, *typed = letter(app, made)
    assert typed == ["Typed", "Hello"] and "Not saved yet" in said
    app.button(key="letter_discard").click()
    said, *typed = letter(app, made)
    assert typed == ["Old", "Hello"] and "Not saved yet" not in said

    app.text_area[0].set_value("More")
    app.button(key="launch").click()  # in the same moment
    assert "is not saved: the letter goes out as it was saved last" in tab(app, made, "Letter")

    do(plans.set_variants, cast["root"], made, [{"subject": "Theirs", "body": "Hi"}])
    said, *typed = letter(app, made)
    assert typed == ["Old", "More"] and "Somebody else saved this meanwhile" in said
    do(plans.set_variants, cast["root"], made, [{"subject": "Old", "body": "More"}])  # as this person's first click on Save would
    said, *typed = letter(app, made)
    assert typed == ["Old", "More"] and "Somebody else" not in said and "Not saved yet" not in said

    subject(app).set_value("Old ")
    app.button(key="letter_save").click()
    said, *typed = letter(app, made)
    assert typed == ["Old", "More"] and "Not saved yet" not in said

    subject(app).set_value("New ")
    do(plans.set_variants, cast["root"], made, [{"subject": "New", "body": "More"}])  # the first of two clicks, without the blank
    said, *typed = letter(app, made)
    assert typed == ["New", "More"] and "Somebody else" not in said and "Not saved yet" not in said


def test_letter_templates_are_found_written_and_begun_with(cast):
    no_quiet_hours(cast["root"])
    empty = open_screen(cast["alice"], "letter-templates")
    assert not empty.exception and "No letter templates yet" in words(empty)
    empty.button(key="first_template").click().run()
    assert not empty.exception and any(field.label == "Name *" for field in empty.text_input)
    values = {
        "name": EVIL.strip()[:80],
        "use": "marketing",
        "subject": "Hi {{first_name|you}}",
        "body": "See [it](https://a.example.com)",
    }
    kept = do(templates.save, cast["dana"], None, values)
    for who in ("dana", "alice", "sam", "ana", "bob", "root"):
        app = open_screen(cast[who], "letter-templates", use="marketing")
        assert not app.exception and f"open_{kept.id}" in {button.key for button in app.button}, who
        one = open_screen(cast[who], "letter-template", id=kept.id)
        assert not one.exception and ("template_save" in {button.key for button in one.button}) == (
            who in ("dana", "bob", "root")
        ), who
    made = campaign(cast["dana"], people(2), subject="Old", body="Hello")
    app = open_screen(cast["dana"], "campaign", id=made)
    tab(app, made, "Letter")
    app.button(key=f"start_{made}_{kept.id}").click()
    said, *typed = letter(app, made)
    assert typed == ["Hi {{first_name|you}}", "See [it](https://a.example.com)"] and "Not saved yet" in said
    app.button(key=next(one.key for one in app.button if str(one.key).endswith("_body_more"))).click()
    tab(app, made, "Letter")
    assert len(app.text_area) == 2
    app.text_area[1].set_value("Only some")
    app.button(key="letter_save").click()
    assert "choose their segment" in tab(app, made, "Letter")


def test_earlier_words_of_a_letter_template_are_shown_with_the_way_back_for_whoever_changes_it(cast):
    values = {"name": "Talk", "use": "sales", "subject": "Our talk", "body": "First words"}
    kept = do(templates.save, cast["dana"], None, values)
    assert not any(one.label.startswith("Version") for one in open_screen(cast["dana"], "letter-template", id=kept.id).selectbox)
    do(templates.save, cast["dana"], kept.id, {"body": "Second words"})
    reader = open_screen(cast["ana"], "letter-template", id=kept.id)
    assert "First words" in {one.value for one in reader.code} and "template_back" not in {one.key for one in reader.button}
    app = open_screen(cast["dana"], "letter-template", id=kept.id)
    assert not app.exception and not app.button(key="template_back").disabled


def test_the_list_of_blocked_addresses_tells_every_reason(cast):
    for reason in SuppressionReason:
        do(suppressions.note, cast["dana"], f"{reason.value}@example.com", reason)
    app = open_screen(cast["dana"], "consent")
    assert not app.exception and not app.error and f"{len(SuppressionReason)} addresses" in words(app)
