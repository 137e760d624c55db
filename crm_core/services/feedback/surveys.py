"""Surveys: what they ask, whom and when; kept by whoever runs service or marketing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, update
from sqlalchemy import select as pick
from sqlmodel import Session, col, select

from crm_core import db, events
from crm_core.access import Actor, require
from crm_core.errors import Invalid, NotFound
from crm_core.filters import where
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, fold
from crm_core.models import Survey, SurveyAnswer, SurveyInvitation, SurveyRevision, Ticket, User
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.services.feedback import question_rules, survey_rules, tokens
from crm_core.vocabulary import Action, SurveyKind, SurveyTrigger

TEXTS = {"name": 80, "question": 300, "follow_up": 300, "thanks": 500, "mail_subject": 200, "mail_intro": 2000, "base_url": 200}
NUMBERS = {"wait_hours": (0, 2_160), "sample_pct": (1, 100), "cooldown_days": (0, 365), "expires_days": (1, 180)}
_NUMBER_WORDS = {
    "wait_hours": "Wait between 0 hours and 90 days.",
    "sample_pct": "Ask between 1 and 100 of a hundred.",
    "cooldown_days": "Leave people alone for 0 to 365 days.",
    "expires_days": "An invitation holds for 1 to 180 days.",
}
_SENT = ("question", "follow_up", "thanks", "mail_subject", "mail_intro")
_NO_FIELDS = (
    "Surveys fill in no fields such as {{first_name}}: customers would read the braces. The message greets them by name anyway."
)


@dataclass(frozen=True)
class SurveyRow:
    """A survey with what came of it."""

    survey: Survey
    asked: int
    answered: int


def find(session: Session, actor: Actor) -> list[SurveyRow]:
    """All surveys by name, with how many were asked and answered in all."""
    require(actor, "survey", Action.READ)
    asked = _counts(
        session,
        select(SurveyInvitation.survey_id, func.count())
        .where(col(SurveyInvitation.sent_at).is_not(None))
        .group_by(col(SurveyInvitation.survey_id)),
    )
    answered = _counts(session, select(SurveyAnswer.survey_id, func.count()).group_by(col(SurveyAnswer.survey_id)))
    rows = session.exec(select(Survey).order_by(alphabetical(Survey.name)))
    return [SurveyRow(row, asked.get(row.id, 0), answered.get(row.id, 0)) for row in rows]


def _counts(session: Session, query: Any) -> dict[int, int]:
    return {int(key): int(count) for key, count in session.exec(query)}


def choices(session: Session, actor: Actor) -> dict[int, str]:
    """Id → name of the surveys that are on: what an automation can send."""
    require(actor, "survey", Action.READ)
    return dict(session.exec(select(Survey.id, Survey.name).where(Survey.is_active).order_by(alphabetical(Survey.name))).all())


def get(session: Session, actor: Actor, survey_id: int | None) -> Survey:
    """The survey, or NotFound."""
    require(actor, "survey", Action.READ)
    return known(session, survey_id)


def known(session: Session, survey_id: int | None) -> Survey:
    """The survey, or NotFound; for the functions around it, which ask."""
    found = session.get(Survey, survey_id) if isinstance(survey_id, int) and 0 < survey_id < 2**31 else None
    if found is None:
        raise NotFound("This survey no longer exists.")
    return found


def save(
    session: Session, actor: Actor, survey_id: int | None, values: Mapping[str, Any], *, base_version: int | None = None
) -> Survey:
    """Create a survey or change it. Switched on, it asks about what happens from then on, never about the past. Events: survey.saved."""
    require(actor, "survey", Action.MANAGE)
    row = known(session, survey_id) if survey_id else Survey(name="")
    refuse_stale("this survey", row, base_version)
    was_active = row.is_active
    made = _checked(session, actor, row, {**row.model_dump(), **values})
    if row.id and made["kind"] is not row.kind and _answers(session, row.id):
        raise Invalid(fields={"kind": "There are answers already: make a new survey for another scale."})
    for key, value in made.items():
        setattr(row, key, value)
    if row.is_active and not was_active:
        row.active_since = utcnow()
    session.add(row)
    session.flush()
    _revise(session, row)
    tokens.ready(session)
    events.record(session, actor, "survey.saved", entity="survey", record_id=row.id, data={"name": row.name})
    return row


def preview_token(session: Session, actor: Actor, survey_id: int) -> str:
    """What opens the page of a survey to look at it before anybody is asked: nothing that is entered there is kept. Empty while no link was ever
    signed: saving the survey makes the key."""
    return tokens.preview(session, get(session, actor, survey_id).id)


def form_now(survey: Survey) -> dict[str, Any]:
    """What a survey asks now."""
    return {"question": survey.question, "follow_up": survey.follow_up, "questions": list(survey.questions)}


def form_of(session: Session, survey: Survey, revision_no: int) -> Mapping[str, Any]:
    """What a survey asked in a revision: whoever was invited then is asked that, whatever it became since."""
    query = select(SurveyRevision.form).where(SurveyRevision.survey_id == survey.id, SurveyRevision.no == revision_no)
    return session.exec(query).first() or form_now(survey)


def _revise(session: Session, survey: Survey) -> None:
    """Keep the wording when it changed, for everybody who is asked from now on."""
    form = form_now(survey)
    if survey.revision_no and form_of(session, survey, survey.revision_no) == form:
        return
    survey.revision_no += 1
    session.add_all((survey, SurveyRevision(survey_id=survey.id, no=survey.revision_no, form=form)))
    session.flush()


def remove(session: Session, actor: Actor, survey_id: int) -> None:
    """Delete a survey with its invitations and answers. Events: survey.removed."""
    require(actor, "survey", Action.MANAGE)
    row = known(session, survey_id)
    events.record(session, actor, "survey.removed", entity="survey", record_id=row.id, data={"name": row.name})
    if row.kind is SurveyKind.CSAT:
        _forget_ratings(session, survey_id)
    session.delete(row)
    session.flush()


def _forget_ratings(session: Session, survey_id: int) -> None:
    """Tickets show the latest answer to any other survey about them, or none; no change of theirs that anybody made."""
    models: tuple[Any, ...] = (SurveyAnswer, SurveyInvitation, Survey, Ticket)
    answer, asked, other, ticket = (one.__table__ for one in models)
    others = (
        other.c.kind == SurveyKind.CSAT,
        other.c.id != survey_id,
        asked.c.entity == "ticket",
        asked.c.record_id == ticket.c.id,
    )
    left = answer.join(asked, asked.c.id == answer.c.invitation_id).join(other, other.c.id == answer.c.survey_id)
    score, at = (
        pick(column).select_from(left).where(*others).order_by(answer.c.at.desc(), answer.c.id.desc()).limit(1).scalar_subquery()
        for column in (answer.c.score, answer.c.at)
    )
    concerned = pick(asked.c.record_id).where(asked.c.survey_id == survey_id, asked.c.entity == "ticket")
    session.execute(update(ticket).where(ticket.c.id.in_(concerned)).values(satisfaction=score, rated_at=at))
    db.bump(session, ticket.name)


def _answers(session: Session, survey_id: int) -> int:
    return int(session.exec(select(func.count()).where(SurveyAnswer.survey_id == survey_id)).one())


def _was_asked(session: Session, survey_id: int) -> bool:
    """Whether somebody has the questions before them, or answered: they go on answering what they were asked."""
    asked = select(SurveyInvitation.id).where(SurveyInvitation.survey_id == survey_id, SurveyInvitation.skipped == "")
    return session.exec(asked.limit(1)).first() is not None


def _used(session: Session, survey_id: int | None) -> set[str]:
    """The keys of all questions that were ever asked: answers to one that was taken out are not those to another that came since."""
    kept = session.exec(select(SurveyRevision.form).where(SurveyRevision.survey_id == (survey_id or 0)))
    return {str(one["id"]) for form in kept for one in form.get("questions") or ()}


def _checked(session: Session, actor: Actor, row: Survey, given: Mapping[str, Any]) -> dict[str, Any]:
    wrong: dict[str, str] = {}
    made: dict[str, Any] = {key: clean(str(given.get(key) or ""))[:limit] for key, limit in TEXTS.items()}
    try:
        made["kind"], made["trigger"] = SurveyKind(given["kind"]), SurveyTrigger(given["trigger"])
    except ValueError as error:
        raise Invalid(fields={"kind": "Choose what it measures and when it is sent."}) from error
    if not made["name"]:
        wrong["name"] = "Give the survey a name."
    elif any(one.id != row.id and fold(one.name) == fold(made["name"]) for one in session.exec(select(Survey))):
        wrong["name"] = f"There is a survey called “{made['name']}” already."
    wrong |= {key: _NO_FIELDS for key in _SENT if "{{" in made[key]}
    made["question"] = made["question"] or survey_rules.SCALES[made["kind"]].question
    for key, (low, high) in NUMBERS.items():
        try:
            made[key] = int(given[key])
        except (TypeError, ValueError):
            made[key] = low - 1
        if not low <= made[key] <= high:
            wrong[key] = _NUMBER_WORDS[key]
    made |= {key: bool(given.get(key)) for key in ("needs_consent", "is_active")}
    asked = bool(row.id and _was_asked(session, row.id))
    made["questions"], amiss = question_rules.checked(
        given.get("questions") or [], row.questions or [], asked=asked, used=_used(session, row.id)
    )
    if amiss or "{{" in str(made["questions"]):
        wrong["questions"] = " ".join(amiss) or _NO_FIELDS
    made["filter"] = _filter(session, actor, made["trigger"], given.get("filter"), wrong)
    owner = session.get(User, given["owner_id"]) if given.get("owner_id") else None
    if given.get("owner_id") and (owner is None or not owner.is_active):
        wrong["owner_id"] = "Choose somebody who is active."
    if wrong:
        raise Invalid(fields=wrong)
    return {**made, "owner_id": owner.id if owner else None}


def _filter(session: Session, actor: Actor, trigger: SurveyTrigger, ast: Any, wrong: dict[str, str]) -> dict[str, Any] | None:
    if not ast:
        return None
    try:
        where(session, survey_rules.ENTITY_OF[trigger], ast, actor)
    except Invalid as error:
        wrong["filter"] = error.message
    return dict(ast)
