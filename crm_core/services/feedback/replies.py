"""What was said to the further questions of a survey: per wording, with shares and intervals, and beside each answer for its export."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_
from sqlalchemy import select as pick
from sqlmodel import Session

from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.models import Survey, SurveyAnswer, SurveyInvitation, SurveyReply, SurveyRevision
from crm_core.services.feedback import question_rules, surveys
from crm_core.services.feedback.question_rules import Question
from crm_core.vocabulary import Action, QuestionKind
from ml import loyalty
from ml.kpis import rate
from ml.loyalty import Score

A: Any = SurveyAnswer.__table__  # type: ignore[attr-defined]
I: Any = SurveyInvitation.__table__  # type: ignore[attr-defined]  # noqa: E741
R: Any = SurveyReply.__table__  # type: ignore[attr-defined]
LATEST = 5
"""So many texts are shown; all of them are in the export."""
_BATCH = 500


@dataclass(frozen=True)
class Part:
    """One answer that could be given: how many gave it, and the 95% interval of their share (Wilson)."""

    title: str
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class Said:
    """What was said to one wording of a question. ``asked``: people who gave a score and had it before them; ``score``: the mean of a scale with its interval."""

    label: str
    kind: QuestionKind
    current: bool
    asked: int
    answered: int
    parts: tuple[Part, ...]
    score: Score | None
    texts: tuple[str, ...]


@dataclass(frozen=True)
class _Wording:
    """A question as it was asked in some revisions of a survey."""

    question: Question
    revisions: tuple[int, ...]
    current: bool


def of_survey(session: Session, actor: Actor, survey_id: int, *, since: datetime | None = None) -> list[Said]:
    """The further questions in their order, those of today first, with what the actor may see of the answers."""
    survey = surveys.get(session, actor, survey_id)
    found = [_said(session, actor, survey, one, since) for one in _wordings(session, survey)]
    return [one for one in found if one.current or one.answered]


def _wordings(session: Session, survey: Survey) -> list[_Wording]:
    """Every question that was ever asked: the same words in several revisions are one."""
    query = pick(SurveyRevision.no, SurveyRevision.form).where(SurveyRevision.survey_id == survey.id)  # type: ignore[call-overload]
    kept: dict[tuple[str, str], tuple[Question, list[int]]] = {}
    for no, form in session.execute(query.order_by(SurveyRevision.no)):
        for question in form.get("questions") or ():
            kept.setdefault((str(question["id"]), str(question["label"])), (question, []))[1].append(no)
    now = {(str(one["id"]), str(one["label"])): n for n, one in enumerate(survey.questions or ())}
    rows = [
        (
            now.get(key, question_rules.MOST),
            _Wording(survey.questions[now[key]] if key in now else question, tuple(nos), key in now),
        )
        for key, (question, nos) in kept.items()
    ]
    return [wording for _, wording in sorted(rows, key=lambda one: one[0])]


def _said(session: Session, actor: Actor, survey: Survey, wording: _Wording, since: datetime | None) -> Said:
    key, kind = str(wording.question["id"]), question_rules.kind_of(wording.question)
    answered_by = A.join(I, A.c.invitation_id == I.c.id)
    mine = [
        A.c.survey_id == survey.id,
        I.c.revision_no.in_(wording.revisions),
        in_sight(actor, survey),
        *([A.c.at >= since] if since else []),
    ]
    asked = int(session.execute(pick(func.count()).select_from(answered_by).where(*mine)).scalar_one())
    source = answered_by.join(R, and_(R.c.answer_id == A.c.id, R.c.question == key))
    answered = int(session.execute(pick(func.count(R.c.answer_id.distinct())).select_from(source).where(*mine)).scalar_one())
    if kind is QuestionKind.TEXT:
        latest = pick(R.c.text).select_from(source).where(*mine).order_by(A.c.at.desc()).limit(LATEST)
        return Said(
            str(wording.question["label"]),
            kind,
            wording.current,
            asked,
            answered,
            (),
            None,
            tuple(session.execute(latest).scalars()),
        )
    column = R.c.text if kind in question_rules.CHOICES else R.c.number
    counts = dict(session.execute(pick(column, func.count()).select_from(source).where(*mine).group_by(column)).tuples().all())
    score = _mean(kind, counts) if kind in question_rules.SCALES else None
    return Said(
        str(wording.question["label"]),
        kind,
        wording.current,
        asked,
        answered,
        _parts(wording.question, kind, counts, answered),
        score,
        (),
    )


def _mean(kind: QuestionKind, counts: Mapping[int, int]) -> Score:
    """The mean of a scale; one from 0 is counted from 1 by the formula, and set back."""
    lowest, most = question_rules.SCALES[kind][0], question_rules.SCALES[kind][-1]
    shift = 1 - lowest
    found = loyalty.mean_score({score + shift: n for score, n in counts.items()}, most=most + shift)
    return Score(found.value - shift, found.low - shift, found.high - shift, found.n)


def _parts(question: Question, kind: QuestionKind, counts: Mapping[Any, int], answered: int) -> tuple[Part, ...]:
    """In the order of the scale or of the options; options that were taken away since stand at the end."""
    named: dict[Any, str] = (
        {1: "Yes", 0: "No"} if kind is QuestionKind.YES_NO else {one: str(one) for one in question_rules.SCALES.get(kind, ())}
    )
    if kind in question_rules.CHOICES:
        named = {one: one for one in (*(question.get("options") or ()), *sorted(set(counts) - set(question.get("options") or ())))}
    if not answered:
        return ()
    shares = {key: rate(counts.get(key, 0), answered) for key in named}
    return tuple(Part(title, counts.get(key, 0), shares[key].low, shares[key].high) for key, title in named.items())


def columns(
    session: Session, actor: Actor, survey_id: int, answer_ids: Sequence[int]
) -> tuple[dict[str, str], dict[tuple[int, str], str]]:
    """For an export of these answers: key → title of each question, and (answer, key) → what was said."""
    survey = surveys.get(session, actor, survey_id)
    wordings = _wordings(session, survey)
    titles = {str(one.question["id"]): str(one.question["label"]) for one in reversed(wordings)}
    kinds = {str(one.question["id"]): question_rules.kind_of(one.question) for one in wordings}
    said: dict[tuple[int, str], str] = {}
    for some in _some(answer_ids) if titles else ():
        for answer_id, key, number, text in session.execute(
            pick(R.c.answer_id, R.c.question, R.c.number, R.c.text).where(R.c.answer_id.in_(some)).order_by(R.c.id)
        ):
            words = (
                {1: "Yes", 0: "No"}.get(number, "")
                if kinds.get(key) is QuestionKind.YES_NO
                else text
                if number is None
                else str(number)
            )
            said[answer_id, key] = f"{said[answer_id, key]}; {words}" if (answer_id, key) in said else words
    return dict(sorted(titles.items())), said


def _some(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))


def in_sight(actor: Actor, survey: Survey) -> Any:
    """Invitations about records that the actor may see."""
    parts = []
    for key in ("contact", "ticket", "deal", "order"):
        table = entity(key).table
        if actor.can(key, Action.READ):
            within = pick(table.c.id).where(table.c.id == I.c.record_id, visible(actor, key, table, with_deleted=True)).correlate(I)
            parts.append(and_(I.c.entity == key, within.exists()))
    return or_(*parts) if parts else I.c.id < 0
