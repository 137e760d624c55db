"""Surveys: who is asked and who is left alone, what an unhappy answer does, what the figures show to whom."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from crm_core import records, summaries
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.models import (
    Consent,
    Event,
    MailDelivery,
    Notification,
    Organisation,
    SurveyAnswer,
    SurveyInvitation,
    SurveyReply,
    Task,
    Ticket,
)
from crm_core.services.customers import unsubscribing
from crm_core.services.feedback import answering, inviting, replies, results, survey_rules, surveys
from crm_core.services.helpdesk import tickets
from crm_core.vocabulary import Action, Scope, SurveyKind
from tests.crm_core.services.feedback.asking import NOON, do, person, read, solved, survey, sweep, token_of

DAY = timedelta(days=1)


def rows(model):
    with read_session() as session:
        return list(session.exec(select(model)))


def answer(invitation, score, comment="", at=NOON):
    return do(answering.answer, token_of(invitation.id), {"score": str(score), "comment": comment}, at=at)


def test_a_solved_ticket_is_asked_about_once_after_the_wait(any_cast):
    made = survey(any_cast["root"], wait_hours=4)
    ticket = solved(any_cast["sam"], person(any_cast["sam"]))
    assert sweep(made.id) == (0, 0), "too early"
    assert sweep(made.id, NOON + timedelta(hours=3)) == (1, 1)
    assert sweep(made.id, NOON + timedelta(hours=4)) == (0, 0)
    mail, invitation = rows(MailDelivery)[0], rows(SurveyInvitation)[0]
    assert mail.secret and mail.content.count("/q/") == 2 and mail.html.count("?s=") == 5
    assert (invitation.entity, invitation.record_id, invitation.owner_id) == ("ticket", ticket.id, ticket.owner_id)
    assert "survey.sent" in {event.type for event in rows(Event)}


def test_nobody_is_asked_about_the_past_nor_against_their_wish(cast):
    sam = cast["sam"]
    solved(sam, person(sam, "Early"), at=NOON - 5 * DAY)
    made = survey(cast["root"])
    for name, values in (("Quiet", {"do_not_email": True}), ("Blank", {"email": ""}), ("Blocked", {}), ("Gone", {})):
        solved(sam, person(sam, name, **values))
    do(lambda session: unsubscribing.block(session, cast["root"], "blocked@example.com"))
    assert sweep(made.id) == (4, 1)
    assert {row.skipped for row in rows(SurveyInvitation)} == {"objected", "no_address", "suppressed", ""}
    strict = survey(cast["root"], name="With consent", needs_consent=True, cooldown_days=0)
    assert sweep(strict.id)[1] == 0 and rows(SurveyInvitation)[-1].skipped == "no_consent"


def test_no_more_surveys_holds_for_all_of_them(cast):
    ida = person(cast["sam"])
    made = survey(cast["root"], cooldown_days=0)
    solved(cast["sam"], ida)
    sweep(made.id)
    token = token_of(rows(SurveyInvitation)[0].id)
    do(answering.stop, token)
    do(answering.stop, token)
    assert {row.purpose for row in rows(Consent)} == {"research"}
    other = survey(cast["root"], name="By hand", trigger="manual", cooldown_days=0)
    asked = do(inviting.send, cast["root"], other.id, ida.id)
    assert not asked.sent and "consent" in asked.why.lower()


def test_a_refusal_by_hand_can_be_put_right_and_tried_again_the_same_day(any_cast):
    sam = any_cast["sam"]
    ida = person(sam, email="")
    made = survey(any_cast["root"], trigger="manual")
    for _ in range(2):
        asked = do(inviting.send, sam, made.id, ida.id)
        assert (asked.sent, asked.why) == (False, "No address or number.")
        assert do(inviting.send, sam, made.id, ida.id, key="auto:1").why != "They have it already."
    do(records.update, sam, "contact", ida.id, {"email": "ida@example.com"})
    assert not do(inviting.send, sam, made.id, ida.id, key="auto:1").sent, "what asks once for ever does not ask anew"
    assert do(inviting.send, sam, made.id, ida.id).sent
    again = do(inviting.send, sam, made.id, ida.id)
    assert (again.sent, again.why) == (False, "They have it already.")
    assert [row.skipped for row in rows(SurveyInvitation)].count("") == len(rows(MailDelivery)) == 1
    assert len(rows(SurveyInvitation)) == 2


def test_whoever_only_reads_sends_no_survey(cast):
    ida = person(cast["sam"])
    made = survey(cast["root"], trigger="manual")
    assert {who for who in ("root", "bob", "dana", "sam", "ana", "alice") if inviting.may_send(cast[who])} == {
        "root",
        "bob",
        "dana",
        "sam",
    }
    for key in ("", "auto:1"):
        with pytest.raises(NotPermitted):
            do(inviting.send, cast["ana"], made.id, ida.id, key=key)
    assert rows(SurveyInvitation) == rows(MailDelivery) == []


@settings(max_examples=12, deadline=None)
@given(hours=st.lists(st.integers(0, 90 * 24), min_size=2, max_size=12), pause=st.integers(1, 40))
def test_nobody_is_asked_twice_within_the_quiet_time(hours, pause):
    """Over two surveys, in whatever order they come due: between two messages lie at least so many days."""
    sent: list[int] = []
    for hour in sorted(hours):
        if not any(hour - pause * 24 < before for before in sent):
            sent.append(hour)
    assert sorted(_play(sorted(hours), pause)) == sent


def _play(hours, pause):
    """The same through the real rule, over rows in memory."""
    from sqlalchemy import create_engine
    from sqlmodel import Session

    engine = create_engine("sqlite://")
    SurveyInvitation.__table__.create(engine)
    sent = []
    with Session(engine) as session:
        for n, hour in enumerate(hours):
            at = NOON + timedelta(hours=hour)
            with clock.frozen(at):
                if not inviting.lately(session, 1, pause):
                    session.add(
                        SurveyInvitation(
                            survey_id=n % 2 + 1, dedupe_key=f"k{n}", contact_id=1, entity="ticket", record_id=n, sent_at=at
                        )
                    )
                    session.flush()
                    sent.append(hour)
    engine.dispose()
    return sent


def test_an_unhappy_answer_raises_one_task_for_the_owner(cast):
    sam = cast["sam"]
    made = survey(cast["root"])
    ticket = solved(sam, person(sam))
    sweep(made.id)
    invitation = rows(SurveyInvitation)[0]
    answer(invitation, 5)
    assert rows(Task) == [] and [note.kind for note in rows(Notification)] == ["survey.answered"]
    answer(invitation, 1, "It still squeaks")
    answer(invitation, 5)
    answer(invitation, 2)
    task = rows(Task)[0]
    assert len(rows(Task)) == 1 and (task.owner_id, task.ticket_id, task.body) == (sam.user_id, ticket.id, "It still squeaks")
    assert [event.entity for event in rows(Event) if event.type == "survey.detractor"] == ["ticket", "contact"]
    assert [note.kind for note in rows(Notification)].count("survey.detractor") == 1
    with pytest.raises(Conflict):
        answer(invitation, 4, at=NOON + 2 * DAY)
    assert [row.score for row in rows(SurveyAnswer)] == [2]
    assert [(row.satisfaction, row.rated_at) for row in rows(Ticket)] == [(2, rows(SurveyAnswer)[0].at)]


def test_a_worker_that_dies_in_the_middle_sends_nothing_twice(any_cast, monkeypatch):
    made = survey(any_cast["root"])
    for n in range(5):
        solved(any_cast["sam"], person(any_cast["sam"], f"P{n}"))
    real, calls = inviting._mail, []

    def dies(*args):
        calls.append(1)
        if len(calls) == 3:
            raise ZeroDivisionError
        return real(*args)

    monkeypatch.setattr(inviting, "_mail", dies)
    with pytest.raises(ZeroDivisionError):
        sweep(made.id)
    assert rows(MailDelivery) == [] and rows(SurveyInvitation) == []
    sweep(made.id)
    sweep(made.id)
    assert len({mail.dedupe_key for mail in rows(MailDelivery)}) == len(rows(MailDelivery)) == 5


def test_a_round_goes_once_through_everybody_and_takes_a_sample(cast):
    for n in range(40):
        person(cast["sam"], f"R{n}")
    made = survey(cast["root"], name="Relationship", kind="nps", trigger="quarterly", sample_pct=50)
    looked, sent = sweep(made.id)
    assert looked == 40 and 10 <= sent <= 30
    assert sweep(made.id) == (0, 0)
    assert sweep(made.id, NOON + 90 * DAY)[0] == 40, "the next quarter begins anew"


def test_figures_hide_small_groups_and_what_is_out_of_sight(cast):
    sam = cast["sam"]
    made = survey(cast["root"], cooldown_days=0)
    for n in range(6):
        solved(sam, person(sam, f"F{n}"), category="Billing" if n < 5 else "Return")
    sweep(made.id)
    for n, invitation in enumerate(rows(SurveyInvitation)):
        answer(invitation, 5 if n < 4 else 1, f"word {n}")
    found = read(results.overview, sam, made.id)
    assert (found.asked, found.answered, found.score.n, round(found.score.value)) == (6, 6, 6, 67) and found.enough
    groups = {group.title: group for group in read(results.groups, sam, made.id, "category")}
    assert groups["Billing"].score.n == 5 and groups["Return"].score is None
    said, total = read(results.answers, sam, made.id, band="Unhappy", q="WORD 5")
    assert total == 1 and said[0].who == "F5"
    assert all(one.who == "" for one in read(results.answers, cast["ana"], made.id)[0]), "names are masked for the analyst"
    assert read(results.overview, cast["bob"], made.id).score.n == 0, "a manager sees the tickets of their own people"
    assert b"word 3" in do(results.export, sam, made.id) if sam.can("contact", "export") else True
    with pytest.raises(NotPermitted):
        read(results.overview, cast["alice"], made.id)


def test_the_export_holds_the_answers_of_those_people_whom_the_role_may_export(cast):
    root, sam = cast["root"], cast["sam"]
    made = survey(root, cooldown_days=0)
    for who, owner in (("Mine", sam), ("Theirs", cast["charlie"])):
        solved(root, person(root, who, owner_id=owner.user_id))
    sweep(made.id)
    for invitation in rows(SurveyInvitation):
        answer(invitation, 5)
    told = {
        reach: do(results.export, _exporting(sam, *reach), made.id).decode("utf-8-sig")
        for reach in ((Scope.OWN,), (Scope.TEAM,), (Scope.ALL,))
    }
    assert {reach: ("Mine" in file, "Theirs" in file) for reach, file in told.items()} == {
        (Scope.OWN,): (True, False),
        (Scope.TEAM,): (True, True),
        (Scope.ALL,): (True, True),
    }
    with pytest.raises(Invalid, match="may export none of these"):
        do(results.export, _exporting(cast["ana"], Scope.OWN), made.id)
    with pytest.raises(NotPermitted):
        do(results.export, _exporting(sam), made.id)


def _exporting(actor, *scopes):
    return replace(actor, grants={**actor.grants, ("contact", Action.EXPORT): frozenset(scopes)})


def test_surveys_are_checked_and_belong_to_those_who_may(cast):
    root = cast["root"]
    made = survey(root)
    for values in (
        {"name": ""},
        {"name": "after SUPPORT"},
        {"kind": "x"},
        {"sample_pct": 0},
        {"wait_hours": "soon"},
        {"owner_id": 999},
        {"filter": {"field": "nope", "op": "eq", "value": 1}},
        {"question": "How was it, {{first_name}}?"},
        {"questions": [{"kind": "yes_no", "label": "Is {{company}} happy?"}]},
    ):
        with pytest.raises(Invalid):
            survey(root, **{"name": "Other", **values})
    with pytest.raises(NotPermitted):
        survey(cast["sam"], name="Mine")
    with pytest.raises(Conflict):
        do(surveys.save, root, made.id, {"question": "?"}, base_version=made.version + 1)
    with pytest.raises(NotFound):
        read(surveys.get, root, 999)
    solved(cast["sam"], person(cast["sam"]))
    sweep(made.id)
    answer(rows(SurveyInvitation)[0], 4)
    with pytest.raises(Invalid):
        do(surveys.save, root, made.id, {"kind": "nps"})
    do(surveys.remove, root, made.id)
    assert rows(SurveyInvitation) == rows(SurveyAnswer) == []


def test_without_a_survey_a_ticket_shows_what_was_answered_to_another_one(any_cast):
    root, sam = any_cast["root"], any_cast["sam"]
    first, second = survey(root), survey(root, name="Again", cooldown_days=0)
    solved(sam, person(sam))
    for made, score, at in ((first, 2, NOON), (second, 5, NOON + DAY)):
        sweep(made.id, at=at)
        answer(next(one for one in rows(SurveyInvitation) if one.survey_id == made.id), score, at=at)
    assert rating() == (5, NOON + DAY)
    do(surveys.remove, root, second.id)
    assert rating() == (2, NOON)
    do(surveys.remove, root, first.id)
    assert rating() == (None, None)


def rating():
    """What the only ticket says; its daily summary has heard of it."""
    with read_session() as session:
        assert summaries.differences(session)["ticket"] == 0
    summaries.refresh()
    [ticket] = rows(Ticket)
    return ticket.satisfaction, ticket.rated_at


def test_words_for_scores_and_the_share_that_answered():
    assert survey_rules.score_words(SurveyKind.NPS, -12.4) == "−12" and survey_rules.score_words(SurveyKind.NPS, 3.6) == "+4"
    assert "12% of those asked" in survey_rules.bias_sentence(100, 12)
    assert survey_rules.parse_score(SurveyKind.NPS, "10") == 10
    assert [survey_rules.parse_score(SurveyKind.CSAT, text) for text in ("0", "6", "²", "-1", "1e1", "")] == [None] * 6
    with clock.frozen(NOON):
        assert survey_rules.quarter(clock.utcnow()) == "2026Q4"


def test_solving_again_asks_no_second_time(cast):
    made = survey(cast["root"], cooldown_days=0)
    ticket = solved(cast["sam"], person(cast["sam"]))
    sweep(made.id)
    do(lambda session: tickets.reopen(session, cast["sam"], ticket.id))
    do(lambda session: tickets.solve(session, cast["sam"], ticket.id))
    assert sweep(made.id) == (0, 0)
    with write_session():
        pass


def test_further_questions_are_kept_as_they_were_asked_and_counted_by_wording(cast):
    root, sam = cast["root"], cast["sam"]
    asked = [
        {"kind": "scale_5", "label": "Was it quick?", "required": True, "low": "No", "high": "Yes"},
        {"kind": "many", "label": "What did you use?", "options": ["Phone", "Mail", "Chat"]},
        {"kind": "yes_no", "label": "Solved?", "required": True},
        {"kind": "text", "label": "What else?"},
    ]
    for wrong in (
        [*asked, asked[0]],
        [{"kind": "one", "label": "x", "options": ["a"]}],
        [{"kind": "text", "label": " "}],
        [{"kind": "one", "label": "x", "options": ["a", "A"]}],
    ):
        with pytest.raises(Invalid):
            survey(root, name="Wrong", questions=wrong)
    made = survey(root, cooldown_days=0, questions=asked)
    ids = [one["id"] for one in made.questions]
    for n in range(6):
        solved(sam, person(sam, f"P{n}"))
    sweep(made.id)
    tokens_of = [token_of(row.id) for row in rows(SurveyInvitation)]
    do(answering.answer, tokens_of[0], {"score": "1"}, partial=True)
    assert [(row.score, row.completed_at, row.detractor_at is not None) for row in rows(SurveyAnswer)] == [(1, None, True)], (
        "the score counts at once"
    )
    half = do(
        answering.answer, tokens_of[0], {"score": "2", "comment": "Slow", f"{ids[0]}": "9", f"{ids[1]}.0": "1", f"{ids[1]}.2": "1"}
    )
    assert [one.id for one in half.open_questions] == [ids[0], ids[2]] and half.questions[1].several == ("Phone", "Chat")
    assert rows(Task)[0].body == "Slow", "the reason comes after the score, and reaches its task"
    for token in tokens_of:
        assert not do(
            answering.answer,
            token,
            {"score": "4", "comment": "Slow", ids[0]: "4", f"{ids[1]}.1": "1", ids[2]: "yes", ids[3]: " <b>no</b> "},
        ).open_questions
    assert len(rows(SurveyReply)) == 24 and all(row.completed_at for row in rows(SurveyAnswer))
    new = [
        {**made.questions[0], "label": "How quick was it?"},
        {**made.questions[1], "options": ["Phone", "Mail"]},
        *made.questions[2:],
    ]
    changed = do(surveys.save, root, made.id, {"questions": [new[2], new[0], new[1], new[3]]})
    assert [one["id"] for one in changed.questions] == [ids[2], ids[0], "q6", ids[3]], "options taken away make it another question"
    assert read(answering.show, tokens_of[0]).questions[0].label == "Was it quick?", (
        "whoever was invited is asked what they were invited to"
    )
    solved(sam, person(sam, "Late"))
    sweep(made.id)
    late = token_of(rows(SurveyInvitation)[-1].id)
    assert [one.label for one in read(answering.show, late).questions][:2] == ["Solved?", "How quick was it?"]
    found = {(one.label, one.current): one for one in read(replies.of_survey, root, made.id)}
    assert [key[0] for key, one in found.items() if key[1]] == ["Solved?", "How quick was it?", "What did you use?", "What else?"]
    quick = found["Was it quick?", False]
    assert (quick.answered, quick.asked, quick.score.value, [part.n for part in quick.parts]) == (6, 6, 4.0, [0, 0, 0, 6, 0])
    assert found["Solved?", True].parts[0].title == "Yes" and 0.5 < found["Solved?", True].parts[0].low < 1
    assert found["What else?", True].texts[0] == "<b>no</b>" and found["How quick was it?", True].answered == 0
    with pytest.raises(NotPermitted):
        read(replies.of_survey, cast["alice"], made.id)
    export = do(results.export, root, made.id).decode("utf-8-sig").splitlines()
    assert "Solved?" in export[0] and "Yes" in export[1] and "4" in export[1]
    overview = read(results.overview, root, made.id)
    assert (overview.answered, overview.complete, overview.asked) == (6, 6, 7)
    shown = read(answering.preview, read(surveys.preview_token, root, made.id))
    assert len(shown.questions) == 4 and shown.may_answer


def test_who_was_asked_before_a_question_changed_answers_another_question_than_who_is_asked_since(cast):
    root, sam = cast["root"], cast["sam"]
    made = survey(root, questions=[{"kind": "scale_5", "label": "Was it quick?"}])
    solved(sam, person(sam, "Ada"))
    sweep(made.id)
    changed = do(surveys.save, root, made.id, {"questions": [{**made.questions[0], "kind": "yes_no"}]})
    do(answering.answer, token_of(rows(SurveyInvitation)[0].id), {"score": "4", made.questions[0]["id"]: "5"})
    assert changed.questions[0]["id"] != made.questions[0]["id"]
    assert [(one.kind, one.answered) for one in read(replies.of_survey, root, made.id)] == [("yes_no", 0), ("scale_5", 1)]
    do(surveys.save, root, made.id, {"questions": []})
    new = do(surveys.save, root, made.id, {"questions": [{"kind": "text", "label": "What else?"}]})
    export = do(results.export, root, made.id).decode("utf-8-sig").splitlines()
    assert "Was it quick?" in export[0] and new.questions[0]["id"] not in {one.question for one in rows(SurveyReply)}


def test_results_tell_which_groups_kept_silent(any_cast):
    root = any_cast["root"]
    made = survey(root)
    about = solved(any_cast["sam"], person(any_cast["sam"]))
    with write_session() as session:
        for n in range(60):
            category = "Bikes" if n < 30 else "Bills"
            session.add(
                one := SurveyInvitation(
                    survey_id=made.id, dedupe_key=f"k{n}", entity="ticket", record_id=about.id, category=category, sent_at=NOON
                )
            )
            session.flush()
            if n < 24 or n in (30, 31):
                session.add(SurveyAnswer(invitation_id=one.id, survey_id=made.id, score=5, at=NOON))
        session.add(
            SurveyInvitation(survey_id=made.id, dedupe_key="left out", entity="ticket", record_id=about.id, skipped="pause")
        )
    found = read(results.silence, root, made.id, "category")
    assert [(row.title, row.asked, row.answered, row.differs) for row in found] == [
        ("Bikes", 30, 24, "more"),
        ("Bills", 30, 2, "less"),
    ]
    assert 0.01 < found[1].low < 2 / 30 < found[1].high < 0.25
    assert [(row.asked, row.differs) for row in read(results.silence, root, made.id, "account_kind")] == [(60, "")]
    assert read(results.silence, root, made.id, "category", since=NOON + DAY) == []


def test_periods_and_months_of_results_are_those_of_the_workspace(any_cast):
    root, sam = any_cast["root"], any_cast["sam"]
    with write_session() as session:
        session.exec(select(Organisation)).one().timezone = "Pacific/Auckland"
    made = survey(root, cooldown_days=0, at=NOON - 60 * DAY)
    begins = datetime(2026, 8, 26, 12, tzinfo=UTC)
    assert read(results.beginning, root, 90) == begins, "midnight of the 27th in Auckland, where it is the 25th of November by now"
    assert read(results.beginning, root, 0) is None
    turn = datetime(2026, 10, 31, 11, tzinfo=UTC)
    for number, at in enumerate((turn - timedelta(minutes=1), turn, NOON), 1):
        solved(sam, person(sam, f"P{number}"), at=at - timedelta(hours=3))
        sweep(made.id, at)
        do(answering.answer, token_of(number), {"score": "5"}, at=at)
    assert [(month.title, month.n) for month in read(results.overview, root, made.id).months] == [("2026-10", 1), ("2026-11", 2)]
    assert [month.n for month in read(results.overview, root, made.id, since=turn).months] == [2]
