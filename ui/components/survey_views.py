"""What a survey says: the score with its interval, its course, groups, and the answers behind every number."""

from datetime import datetime
from functools import partial
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.db import write_session
from crm_core.kit.text import clip
from crm_core.models import Survey
from crm_core.services.feedback import inviting, replies, results, survey_rules, surveys
from crm_core.services.feedback.results import Overview
from crm_core.services.feedback.survey_rules import LEAST_ANSWERS, SCALES, score_words
from crm_core.vocabulary import Action, QuestionKind
from ml.charts import loyalty as charts
from ml.loyalty import EMPTY, Score
from ui import format as fmt
from ui.actions import load
from ui.addresses import absolute
from ui.components.figure import chart
from ui.components.table import Cell, Column, table
from ui.downloads import asker
from ui.navigation import go, page_of

PAGE = 20
PAGES = {"ticket": "ticket", "deal": "deal", "order": "order", "contact": "contact"}


def preview_link(survey_id: int, *, where: Any = st) -> None:
    """Opens the page of a survey as its readers see it, in a tab of its own."""
    token = load(surveys.preview_token, survey_id)
    if token:
        where.link_button(
            "Preview",
            absolute(f"/q/preview-{token}"),
            icon=":material/open_in_new:",
            type="tertiary",
            help="What people see; nothing entered there is kept",
        )


def headline(survey: Survey, found: Overview) -> None:
    """The score, how sure it is, and who answered."""
    scale = SCALES[survey.kind]
    with st.grid(3, min_column_width=160):
        if found.enough:
            low, high = score_words(survey.kind, found.score.low), score_words(survey.kind, found.score.high)
            st.metric(
                scale.unit,
                score_words(survey.kind, found.score.value),
                border=True,
                help=f"With 95% certainty between {low} and {high}",
            )
        else:
            st.metric(scale.unit, "–", border=True, help=f"Shown from {LEAST_ANSWERS} answers on")
        st.metric("Answers", fmt.written(found.score.n), border=True)
        st.metric(
            "Answered of those asked", f"{found.answered / found.asked:.0%}" if found.asked else "–", border=True,
            help=f"{fmt.written(found.asked)} asked · {fmt.written(found.opened)} opened the page (programs that check links do too) · {fmt.written(found.answered)} gave a score",
        )  # fmt: skip
    if found.enough:
        low, high = score_words(survey.kind, found.score.low), score_words(survey.kind, found.score.high)
        st.caption(
            f"With 95% certainty the score of all who would answer lies between **{low}** and **{high}**. "
            + survey_rules.bias_sentence(found.asked, found.answered)
        )
    else:
        st.info(
            f"Not enough answers yet: {found.score.n} of the {LEAST_ANSWERS} from which a score says something.",
            icon=":material/hourglass_top:",
        )
        st.caption(survey_rules.bias_sentence(found.asked, found.answered))
    if survey.questions and found.answered:
        st.caption(
            f"{fmt.written(found.complete)} of {fmt.written(found.answered)} answered everything that must be; {fmt.written(found.waiting)} of those asked have not answered."
        )
    if found.skipped:
        words = [
            f"{fmt.written(n)} × {inviting.why_words(why).rstrip('.').lower()}"
            for why, n in sorted(found.skipped.items(), key=lambda one: -one[1])
        ]
        st.caption(fmt.md("Not asked: " + "; ".join(words) + "."))


def trend(actor: Actor, survey: Survey, found: Overview) -> None:
    """The course by month."""
    shown = [month for month in found.months if month.score is not None]
    if len(shown) < 2:
        return
    scale = SCALES[survey.kind]
    scores: list[Score] = [month.score or EMPTY for month in found.months]
    figure = charts.score_trend(
        [month.title for month in found.months], scores, unit=scale.unit, least=scale.limits[0], most=scale.limits[1]
    )
    last = shown[-1].score or EMPTY
    chart(
        actor, figure, "Course", f"By month of the answer; months with fewer than {LEAST_ANSWERS} answers are left out. The band is the 95% interval.",
        key="survey_trend", alt=f"The score by month; last {score_words(survey.kind, last.value)} from {last.n} answers",
    )  # fmt: skip


def further(actor: Actor, survey: Survey, since: datetime | None) -> None:
    """What was said to the further questions, each wording by itself."""
    found = load(replies.of_survey, survey.id, since=since)
    if not found:
        return
    st.subheader("Further questions", anchor=False)
    for n, one in enumerate(found):
        with st.container(border=True, gap="small", key=f"survey_question_{n}"):
            st.markdown(f"**{fmt.md(one.label)}**" + ("" if one.current else " :gray-badge[As it was asked earlier]"))
            st.caption(
                fmt.md(f"{one.kind.label} · {fmt.plural(one.answered, 'answer')} of {fmt.written(one.asked)} who gave a score")
            )
            if one.answered < LEAST_ANSWERS and one.kind is not QuestionKind.TEXT:
                st.caption(f"Not enough answers yet: shown from {LEAST_ANSWERS} on.")
                continue
            if one.score is not None:
                st.markdown(
                    f"Mean **{fmt.written(one.score.value, '.1f')}**, with 95% certainty between {fmt.written(one.score.low, '.1f')} and {fmt.written(one.score.high, '.1f')}"
                )
            rows = [(m, [Cell(part.title), Cell(fmt.written(part.n)), Cell(fmt.percent(actor, part.n / one.answered, 0), share=100 * part.n / one.answered), Cell(f"{fmt.percent(actor, part.low, 0)} to {fmt.percent(actor, part.high, 0)}")]) for m, part in enumerate(one.parts)]  # fmt: skip
            if rows:
                columns = [
                    Column("what", "Answer", sortable=False),
                    *(
                        Column(key, label, right=True, sortable=False, named=True)
                        for key, label in (("n", "People"), ("share", "Share"), ("interval", "95% interval"))
                    ),
                ]
                table(columns, rows, key=f"survey_parts_{n}", label=one.label)
            for words in one.texts:
                st.markdown(f"> {fmt.md(clip(words, 400))}")


def by_group(actor: Actor, survey: Survey, since: datetime | None) -> None:
    """Scores per person, team, category or kind of account, and who kept silent; a row opens its answers below."""
    with st.container(border=True):
        dimension = st.segmented_control(
            "Compare",
            list(results.dimensions(actor)),
            default="owner_id",
            format_func=lambda one: results.DIMENSIONS[one],
            required=True,
            key="survey_by",
        )
        rows = load(results.groups, survey.id, str(dimension), since=since)
        if not rows:
            st.caption("No answers yet.")
            _silent(actor, survey, str(dimension), since)
            return
        cells = [
            (
                n,
                [
                    Cell(row.title or "Hidden"),
                    Cell(score_words(survey.kind, row.score.value) if row.score else f"fewer than {LEAST_ANSWERS}"),
                    Cell(
                        f"{score_words(survey.kind, row.score.low)} to {score_words(survey.kind, row.score.high)}"
                        if row.score
                        else "–"
                    ),
                    Cell(fmt.written(row.n)),
                ],
            )
            for n, row in enumerate(rows[:50])
        ]
        columns = [
            Column("group", results.DIMENSIONS[str(dimension)], sortable=False), Column("score", "Score", right=True, sortable=False, named=True),
            Column("interval", "95% interval", right=True, sortable=False, named=True), Column("n", "Answers", right=True, sortable=False, named=True),
        ]  # fmt: skip
        happened = table(columns, cells, key="survey_groups", label="Scores by group")
        st.caption("Groups whose intervals overlap may differ by chance. Choose a row to read its answers.")
        _silent(actor, survey, str(dimension), since)
        if happened.opened is not None and happened.opened < len(rows):
            row = rows[happened.opened]
            st.session_state["_survey_group"] = (str(dimension), row.key, row.title)
            st.rerun()


def _silent(actor: Actor, survey: Survey, dimension: str, since: datetime | None) -> None:
    """Which groups answered less often than the others: they weigh less in the score than among those asked."""
    rows = load(results.silence, survey.id, dimension, since=since)
    if not any(row.asked > row.answered for row in rows):
        return
    with st.expander("Who did not answer", icon=":material/person_off:", key="survey_silent"):
        quiet = [row.title or "Hidden" for row in rows if row.differs == "less"]
        keen = [row.title or "Hidden" for row in rows if row.differs == "more"]
        told = [
            f"Answered less often than the others, by more than chance: {', '.join(quiet)}." if quiet else "",
            f"More often: {', '.join(keen)}." if keen else "",
            "The score says less about those who kept silent." if quiet or keen else "No group answered more or less often than chance explains. What those who kept silent think, nobody knows.",
        ]  # fmt: skip
        st.caption(fmt.md(" ".join(part for part in told if part)))
        columns = [
            Column("group", results.DIMENSIONS[dimension], sortable=False), Column("asked", "Asked", right=True, sortable=False, named=True),
            Column("silent", "No answer", right=True, sortable=False, named=True), Column("share", "Answered", right=True, sortable=False, named=True),
            Column("interval", "95% interval", right=True, sortable=False, named=True),
        ]  # fmt: skip
        cells = [
            (n, [Cell(row.title or "Hidden"), Cell(fmt.written(row.asked)), Cell(fmt.written(row.asked - row.answered)), Cell(fmt.percent(actor, row.answered / row.asked, 0)), Cell(f"{fmt.percent(actor, row.low, 0)} to {fmt.percent(actor, row.high, 0)}")])
            for n, row in enumerate(rows[:50])
        ]  # fmt: skip
        table(columns, cells, key="survey_silence", label="Who answered, by group")


def said(actor: Actor, survey: Survey, since: datetime | None) -> None:
    """The answers behind the numbers, with a filter and their export."""
    scale = SCALES[survey.kind]
    st.subheader("Answers", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        band = st.pills("Part of the scale", [one[0] for one in scale.bands], key="survey_band", label_visibility="collapsed")
        only = st.toggle("With a comment", key="survey_only")
        q = st.text_input(
            "Search the comments", key="survey_q", placeholder="Search the comments", label_visibility="collapsed", max_chars=100
        )
        if actor.can("contact", Action.EXPORT):
            wanted = {"band": band or "", "only_comments": only, "q": q or "", "since": since}
            st.download_button(
                "Export", partial(_file, actor, survey.id, wanted), file_name="survey-answers.csv", mime="text/csv", icon=":material/download:",
                key="survey_export", on_click="ignore",
                help="The file holds the answers of those people whom your role may export." if _partly(actor) else None,
            )  # fmt: skip
    dimension, group, title = st.session_state.get("_survey_group") or ("", None, "")
    if dimension and st.button(
        fmt.md(f"{results.DIMENSIONS[dimension]}: {title or 'Hidden'}"), icon=":material/close:", key="survey_group_off"
    ):
        st.session_state.pop("_survey_group", None)
        st.rerun()
    page = int(st.session_state.get("survey_page") or 1)
    rows, total = load(
        results.answers,
        survey.id,
        band=band or "",
        only_comments=only,
        q=q or "",
        dimension=dimension,
        group=group,
        since=since,
        page=page,
        size=PAGE,
    )
    if not rows:
        st.caption("Nothing like that." if band or only or q or dimension else "No answers yet.")
        return
    cells = [
        (row.id, [Cell(f"{row.score} of {scale.high}", tone=_tone(survey, row.score)), Cell(clip(row.comment, 300) if row.comment else "–"), Cell(row.who or "Hidden person"), Cell(fmt.ago(actor, row.at))])
        for row in rows
    ]  # fmt: skip
    columns = [
        Column("score", "Score", sortable=False),
        Column("comment", "Comment", sortable=False),
        Column("who", "Who", sortable=False),
        Column("at", "When", sortable=False, muted=True),
    ]
    happened = table(columns, cells, key="survey_answers", label="Answers")
    if total > PAGE:
        st.pagination(-(-total // PAGE), key="survey_page")
    opened = next((row for row in rows if row.id == happened.opened), None)
    if opened is not None and page_of(actor, PAGES[opened.entity]) is not None:
        go(PAGES[opened.entity], id=opened.record_id)


def _partly(actor: Actor) -> bool:
    return actor.scopes("contact", Action.EXPORT) != actor.scopes("contact", Action.READ)


def _tone(survey: Survey, score: int) -> str:
    scale = SCALES[survey.kind]
    return "red" if score <= scale.unhappy_to else "green" if score >= scale.content_from else "gray"


def _file(actor: Actor, survey_id: int, wanted: dict[str, Any]) -> bytes:
    """The file, made when it is asked for: outside the page, with the rights of that moment."""
    with write_session() as session:
        now = asker(session, actor)
        return results.export(session, now, survey_id, **wanted)
