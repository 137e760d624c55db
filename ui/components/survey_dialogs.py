"""Dialogs of surveys: what is asked, whom and when; and asking one person."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.models import Survey
from crm_core.services.feedback import inviting, surveys
from crm_core.services.feedback.survey_rules import ENTITY_OF, SCALES
from crm_core.vocabulary import QuestionKind, SurveyKind, SurveyTrigger
from ui import format as fmt
from ui.actions import load, perform, show_problems, show_refusal
from ui.addresses import absolute
from ui.components.filter_bar import forget_inline, inline_filter
from ui.components.filter_inputs import words_of
from ui.components.parts_clash import Part, clashing, named, save_parts, saver
from ui.components.picker import picker
from ui.components.survey_questions import forget_questions, questions_editor
from ui.components.survey_send import HOW
from ui.components.whole_input import whole_number

HELP = {
    SurveyKind.CSAT: "1 to 5: the share of 4 and 5",
    SurveyKind.NPS: "0 to 10: promoters (9, 10) minus detractors (0 to 6)",
    SurveyKind.CES: "1 to 7: the mean",
}
UNITS = {"Hours": 1, "Days": 24}


def _closed() -> None:
    forget_inline()
    forget_questions()


@st.dialog("Survey", width="large", icon=":material/reviews:", on_dismiss=_closed)
def survey_dialog(survey: Survey | None) -> None:
    """What it asks, when it goes out, who is left alone."""
    tag = f"{survey.id}_{survey.version}" if survey else "new"
    given = survey or Survey(name="", owner_id=None)
    left, right = st.columns(2)
    name = left.text_input("Name *", value=given.name, max_chars=80, key=f"sv_name_{tag}", placeholder="After support")
    kind = right.selectbox(
        "What it measures",
        list(SurveyKind),
        index=list(SurveyKind).index(given.kind),
        format_func=lambda one: one.label,
        key=f"sv_kind_{tag}",
    )
    kind = kind or given.kind
    right.caption(HELP[kind])
    question = left.text_input(
        "Question",
        value=given.question,
        max_chars=300,
        key=f"sv_q_{tag}",
        placeholder=SCALES[kind].question,
        help="Left empty: the usual one",
    )
    follow_up = st.text_input(
        "What is asked after the score",
        value=given.follow_up,
        max_chars=300,
        key=f"sv_f_{tag}",
        placeholder="What is the main reason for your answer?",
    )
    questions = questions_editor(given.questions or [], tag)
    timing = _timing(given, tag)
    st.markdown("**The message**")
    subject = st.text_input(
        "Subject", value=given.mail_subject, max_chars=200, key=f"sv_s_{tag}", placeholder="A short question from us"
    )
    intro = st.text_area("What it says above the question", value=given.mail_intro, max_chars=2000, height=80, key=f"sv_i_{tag}")
    thanks = st.text_input(
        "What the page says afterwards",
        value=given.thanks,
        max_chars=500,
        key=f"sv_t_{tag}",
        placeholder="Thank you. Every answer is read.",
    )
    active = st.toggle(
        "Switched on",
        value=given.is_active,
        key=f"sv_on_{tag}",
        help="It asks about what happens from then on, never about the past",
    )
    question_of, wrong = f"survey_{tag}", st.container()
    pressed = st.button("Save", type="primary", key=f"sv_save_{tag}", disabled=clashing(question_of))
    mine = {
        "name": name, "kind": kind, "question": question, "follow_up": follow_up, "mail_subject": subject, "mail_intro": intro, "thanks": thanks,
        "is_active": active, "questions": questions, **timing,
    }  # fmt: skip
    if save_parts(question_of, pressed, seen=survey, mine=mine, parts=_parts(), values_of=_held, save=_save):
        _closed()
        st.rerun()
    with wrong:  # above the button, where one looks
        show_refusal()


def _held(survey: Survey | None) -> dict[str, Any]:
    """The parts of a survey: when it goes out and about which records belong together."""
    if survey is None:
        return {}
    about = {"trigger": survey.trigger, "filter": survey.filter}
    return {
        **{key: getattr(survey, key) for key in (*_PARTS, "owner_id")},
        "about": about,
        "questions": list(survey.questions or []),
    }


def _save(values: Mapping[str, Any], base: Survey | None) -> Any:
    given = {key: value for key, value in values.items() if key != "about"}
    return saver(surveys.save, "Survey saved.")({**given, **values["about"], "base_url": absolute("")}, base)


_PARTS = {
    "name": Part("Name"), "kind": Part("What it measures"), "question": Part("Question"), "follow_up": Part("What is asked after the score"),
    "wait_hours": Part("Wait", lambda hours: fmt.plural(hours, "hour")), "sample_pct": Part("Ask how many of a hundred"),
    "cooldown_days": Part("Leave people alone for (days)"), "expires_days": Part("The link works for (days)"),
    "needs_consent": Part("Only people who agreed to surveys"), "mail_subject": Part("Subject"),
    "mail_intro": Part("What it says above the question", long=True), "thanks": Part("What the page says afterwards"), "is_active": Part("Switched on"),
}  # fmt: skip


def _parts() -> dict[str, Part]:
    people = load(lists.choices, "user", limit=500)
    return {
        **_PARTS,
        "questions": Part("Further questions", lambda rows: "\n".join(map(_in_words, rows or ())), long=True),
        "about": Part("When it is sent", _about),
        "owner_id": Part("Who hears of unhappy answers", named(people, "Nobody")),
    }


def _in_words(one: Mapping[str, Any]) -> str:
    rest = [*(one.get("options") or ()), *(str(one[key]) for key in ("low", "high") if one.get(key))]
    return f"{one.get('label') or ''} · {QuestionKind(one['kind']).label}" + (f": {', '.join(rest)}" if rest else "")


def _about(value: Mapping[str, Any]) -> str:
    trigger = SurveyTrigger(value["trigger"])
    asked = load(words_of, ENTITY_OF[trigger], value["filter"]) if value.get("filter") and trigger in ENTITY_OF else ""
    return trigger.label + (f", about those with {asked}" if asked else "")


def _timing(given: Survey, tag: str) -> dict[str, Any]:
    """When it goes out, about which records, and who is left alone."""
    st.markdown("**When and to whom**")
    a, b, c = st.columns([2, 1, 1])
    trigger = a.selectbox(
        "It is sent",
        list(SurveyTrigger),
        index=list(SurveyTrigger).index(given.trigger),
        format_func=lambda one: one.label,
        key=f"sv_when_{tag}",
    )
    trigger = trigger or given.trigger
    by_itself = trigger in (SurveyTrigger.TICKET_SOLVED, SurveyTrigger.DEAL_WON, SurveyTrigger.ORDER_FULFILLED)
    unit = c.selectbox(
        "Counted in",
        list(UNITS),
        index=1 if given.wait_hours and given.wait_hours % 24 == 0 else 0,
        key=f"sv_unit_{tag}",
        disabled=not by_itself,
    )
    wait = whole_number(
        "Wait", 0, 2_160, given.wait_hours // UNITS[unit], key=f"sv_wait_{tag}_{unit}", place=b, disabled=not by_itself
    )
    ast: Mapping[str, Any] | None = given.filter
    if trigger is not SurveyTrigger.MANUAL:
        entity_key = ENTITY_OF[trigger]
        with st.expander(f"Only about certain {entity_key}s", expanded=bool(ast)):
            ast = inline_filter(entity_key, f"survey_{tag}", ast if given.trigger is trigger else None)
    a, b, c = st.columns(3)
    sample = whole_number(
        "Ask how many of a hundred",
        1,
        100,
        given.sample_pct,
        key=f"sv_sample_{tag}",
        place=a,
        disabled=trigger is SurveyTrigger.MANUAL,
    )
    pause = whole_number(
        "Leave people alone for (days)",
        0,
        365,
        given.cooldown_days,
        key=f"sv_cool_{tag}",
        place=b,
        help="After any survey, not only this one",
    )
    expires = whole_number("The link works for (days)", 1, 180, given.expires_days, key=f"sv_exp_{tag}", place=c)
    consent = st.toggle(
        "Only people who agreed to surveys", value=given.needs_consent, key=f"sv_consent_{tag}",
        help="Whoever declined, is blocked or must not be mailed is never asked, whatever stands here",
    )  # fmt: skip
    people = load(lists.choices, "user", limit=500)
    owner = st.selectbox(
        "Who hears of unhappy answers when the record has no owner", list(people), index=list(people).index(given.owner_id) if given.owner_id in people else None,
        format_func=lambda one: people[one], placeholder="Nobody", key=f"sv_owner_{tag}",
    )  # fmt: skip
    return {
        "about": {"trigger": trigger, "filter": ast}, "wait_hours": int(wait) * UNITS[unit], "sample_pct": sample, "cooldown_days": pause, "expires_days": expires,
        "needs_consent": consent, "owner_id": owner,
    }  # fmt: skip


@st.dialog("Ask somebody", icon=":material/outgoing_mail:")
def ask_dialog(survey: Survey) -> None:
    """Send the survey to one person, by hand."""
    st.caption(HOW)
    chosen = picker("Who", lambda q: load(lists.choices, "contact", q, limit=20), key=f"ask_{survey.id}")
    if st.button("Send", type="primary", key=f"ask_send_{survey.id}", disabled=chosen is None):
        done = perform(inviting.send, survey.id, chosen)
        if done is not None and done.sent:
            st.success("The survey is on its way.", icon=":material/check_circle:")
        elif done is not None:
            st.warning(fmt.md(f"Not sent. {done.why}"), icon=":material/block:")
        show_problems()
