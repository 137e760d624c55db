"""What the reader of an invitation does: looks, answers, changes the answer within a day, or asks for silence. The signed link is the permission."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col, select

from crm_core import db, events
from crm_core.access import system
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean
from crm_core.models import Contact, Organisation, Survey, SurveyAnswer, SurveyInvitation, SurveyReply, Task, User
from crm_core.services.collaboration import notifications, tasks
from crm_core.services.collaboration.timeline import LINKS
from crm_core.services.customers import consent
from crm_core.services.feedback import question_rules, survey_rules, surveys, tokens
from crm_core.services.feedback.question_rules import Reply
from crm_core.services.feedback.survey_rules import CHANGE_HOURS, SCALES, Scale
from crm_core.summary_marks import update_tickets
from crm_core.vocabulary import ConsentStatus, ContactWay, Priority, Purpose, QuestionKind, SurveyKind, SurveyWay, Via

MAX_COMMENT = 4_000
CLOSED = "This survey is closed: the link was good for a while only. Thank you all the same."
ANSWERED = "You answered already, and the day on which an answer can be changed is over. Thank you."


@dataclass(frozen=True)
class Asked:
    """A further question as its reader sees it. ``value`` is what they said (of a scale, yes or no, an option, words), ``several`` the chosen options;
    ``wrong``: what is wrong with it, in words."""

    id: str
    kind: str
    label: str
    required: bool
    options: tuple[str, ...]
    scores: tuple[int, ...]
    low: str
    high: str
    value: str = ""
    several: tuple[str, ...] = ()
    wrong: str = ""


@dataclass(frozen=True)
class PublicSurvey:
    """A survey as its reader sees it."""

    question: str
    follow_up: str
    thanks: str
    scale: Scale
    workspace: str
    score: int | None
    comment: str
    may_answer: bool
    why_not: str = ""
    questions: tuple[Asked, ...] = ()
    kept: int | None = None
    complete: bool = False

    @property
    def open_questions(self) -> list[Asked]:
        """Those that must be answered and are not."""
        return [one for one in self.questions if one.wrong]


def show(session: Session, token: str, *, chosen: str = "") -> PublicSurvey:
    """The page behind a link; stores nothing. ``chosen``: the score that was clicked in the message."""
    invitation = tokens.read(session, token)
    survey, answer = _survey(session, invitation), _answer(session, invitation.id)
    form = surveys.form_of(session, survey, invitation.revision_no)
    found = _public(session, survey, form, answer, chosen)
    why_not = _why_not(invitation, answer)
    return replace(found, questions=_asked(form, _replies(session, answer)), may_answer=not why_not, why_not=why_not)


def typed(found: PublicSurvey, values: Mapping[str, str]) -> PublicSurvey:
    """The page with what was typed to the further questions, so that nothing is lost when the sending is refused."""
    asked = tuple(
        replace(
            one,
            value=values.get(one.id, "")[:MAX_COMMENT],
            several=tuple(
                option for n, option in enumerate(one.options) if values.get(f"{one.id}.{n}") or values.get(one.id) == option
            ),
        )
        for one in found.questions
    )
    return replace(found, questions=asked)


def preview(session: Session, token: str) -> PublicSurvey:
    """The page of a survey as its readers will see it, whether it is on or not; nothing that is entered there is kept."""
    survey = tokens.read_preview(session, token)
    form = surveys.form_now(survey)
    return replace(_public(session, survey, form, None, ""), questions=_asked(form, []))


def _public(session: Session, survey: Survey, form: Mapping[str, Any], answer: SurveyAnswer | None, chosen: str) -> PublicSurvey:
    picked = survey_rules.parse_score(survey.kind, chosen)
    return PublicSurvey(
        form["question"], form["follow_up"] or "What is the main reason for your answer?", survey.thanks or "Thank you. Every answer is read.",
        SCALES[survey.kind], session.exec(select(Organisation.name)).first() or "", picked if picked is not None else answer.score if answer else None,
        answer.comment if answer else "", True, kept=answer.score if answer else None, complete=bool(answer and answer.completed_at),
    )  # fmt: skip


def _asked(form: Mapping[str, Any], said: Sequence[Reply], wrong: Mapping[str, str] | None = None) -> tuple[Asked, ...]:
    """The further questions with what was said so far."""
    found = []
    for one in form["questions"]:
        mine = [reply for reply in said if reply.question == one["id"]]
        kind, first = question_rules.kind_of(one), mine[0] if mine else None
        value = "" if first is None else first.text if first.number is None else str(first.number)
        if kind is QuestionKind.YES_NO and first is not None:
            value = "yes" if first.number else "no"
        found.append(
            Asked(
                str(one["id"]), kind.value, one["label"], bool(one.get("required")), tuple(one.get("options") or ()),
                tuple(question_rules.SCALES.get(kind, ())), one.get("low") or "", one.get("high") or "", value, tuple(reply.text for reply in mine),
                (wrong or {}).get(str(one["id"]), ""),
            )
        )  # fmt: skip
    return tuple(found)


def _replies(session: Session, answer: SurveyAnswer | None) -> list[Reply]:
    if answer is None:
        return []
    rows = session.exec(select(SurveyReply).where(SurveyReply.answer_id == answer.id).order_by(col(SurveyReply.id)))
    return [Reply(row.question, row.number, row.text) for row in rows]


def opened(session: Session, token: str) -> None:
    """Note the first opening of the page. Programs that check links open it too: this is no sign of a person."""
    invitation = tokens.read(session, token)
    if invitation.opened_at is None:
        invitation.opened_at = utcnow()
        session.add(invitation)


def answer(session: Session, token: str, values: Mapping[str, str], *, partial: bool = False) -> PublicSurvey:
    """Keep the answer. Within a day it can be changed; then, and after the end, Conflict. An unhappy score raises one task.

    ``partial`` (the score that was clicked in the message): the score alone, at once; what was said besides stays. Otherwise all that can be kept is,
    also when a question that must be answered is still open: ``open_questions`` of the result names those. Events: survey.answered and
    survey.detractor, on the record that it is about and on the person.
    """
    found = tokens.read(session, token)
    invitation = session.exec(select(SurveyInvitation).where(SurveyInvitation.id == found.id).with_for_update()).one()
    survey, row = _survey(session, invitation), _answer(session, invitation.id)
    if why_not := _why_not(invitation, row):
        raise Conflict(why_not)
    score = survey_rules.parse_score(survey.kind, values.get("score", ""))
    if score is None:
        raise Invalid(fields={"score": "Choose one of the numbers."})
    comment = (row.comment if row else "") if partial else clean(values.get("comment", ""))[:MAX_COMMENT]
    if row is None:
        row = SurveyAnswer(
            invitation_id=invitation.id, survey_id=survey.id, score=score, comment=comment, at=utcnow(), way=SurveyWay.MAIL
        )
        session.add(row)
        session.flush()
        _tell(session, survey, invitation, row)
    elif (row.score, row.comment) != (score, comment):
        row.score, row.comment, row.changed_at = score, comment, utcnow()
        session.add(row)
        session.flush()
    wrong = {} if partial else _keep_replies(session, survey, invitation, row, values)
    db.bump(session, "survey_answer")
    _note_satisfaction(session, survey, invitation, row)
    if survey_rules.is_unhappy(survey.kind, score):
        _raise_task(session, survey, invitation, row) if row.detractor_at is None else _add_comment(session, row)
    shown = show(session, token)
    return replace(shown, questions=tuple(replace(one, wrong=wrong.get(one.id, "")) for one in shown.questions))


def _keep_replies(
    session: Session, survey: Survey, invitation: SurveyInvitation, row: SurveyAnswer, values: Mapping[str, str]
) -> dict[str, str]:
    """Keep what was said to the further questions in the place of what was said before; gives what is still open, in words."""
    form = surveys.form_of(session, survey, invitation.revision_no)
    said, wrong = question_rules.parse(form["questions"], values)
    before = _replies(session, row)
    if said != before:
        session.execute(delete(SurveyReply).where(col(SurveyReply.answer_id) == row.id))
        session.add_all(
            SurveyReply(answer_id=row.id, survey_id=survey.id, question=one.question, number=one.number, text=one.text)
            for one in said
        )
        row.changed_at = utcnow() if before else row.changed_at
    row.completed_at = None if wrong else row.completed_at or utcnow()
    session.add(row)
    session.flush()
    return wrong


def _add_comment(session: Session, row: SurveyAnswer) -> None:
    """The reason often comes after the score: it goes to the task that the score raised, as long as nobody wrote there."""
    task = session.get(Task, row.task_id) if row.task_id else None
    if task is not None and not task.body and row.comment:
        tasks.update(session, system(Via.SURVEY), task.id, {"body": row.comment})


def _note_satisfaction(session: Session, survey: Survey, invitation: SurveyInvitation, row: SurveyAnswer) -> None:
    """On the ticket too, for lists and figures to read; no change of it that anybody made, so its version stays."""
    if survey.kind is not SurveyKind.CSAT or invitation.entity != "ticket":
        return
    table = entity("ticket").table
    known = session.execute(select(table.c.rated_at).where(table.c.id == invitation.record_id)).scalar()
    if known is None or known <= row.at:
        update_tickets(session, [invitation.record_id], {"satisfaction": row.score, "rated_at": row.at})
        db.bump(session, table.name)


def stop(session: Session, token: str) -> None:
    """No more surveys for this person: written down as withdrawn consent, in force for all of them. Twice is the same as once."""
    invitation = tokens.read(session, token)
    contact = session.get(Contact, invitation.contact_id) if invitation.contact_id else None
    if contact is None or contact.deleted_at is not None:
        return
    consent.record(
        session, system(Via.SURVEY), "contact", contact.id, purpose=Purpose.RESEARCH, way=ContactWay.EMAIL, status=ConsentStatus.WITHDRAWN,
        source="The link in a survey",
    )  # fmt: skip


def _survey(session: Session, invitation: SurveyInvitation) -> Survey:
    found = session.get(Survey, invitation.survey_id)
    if found is None:
        raise NotFound("This survey no longer exists.")
    return found


def _answer(session: Session, invitation_id: int) -> SurveyAnswer | None:
    return session.exec(select(SurveyAnswer).where(SurveyAnswer.invitation_id == invitation_id)).first()


def _why_not(invitation: SurveyInvitation, row: SurveyAnswer | None) -> str:
    now = utcnow()
    if row is not None:
        return ANSWERED if now > row.at + timedelta(hours=CHANGE_HOURS) else ""
    return CLOSED if invitation.expires_at is not None and now > invitation.expires_at else ""


# --- what follows -----------------------------------------------------------------------------------------------------------


def _tell(session: Session, survey: Survey, invitation: SurveyInvitation, row: SurveyAnswer) -> None:
    """On the timeline of the record and of the person; and to the record's owner."""
    _happened(session, "survey.answered", invitation, _facts(survey, row))
    if not survey_rules.is_unhappy(survey.kind, row.score):
        _notify(session, _owner(session, survey, invitation), "survey.answered", invitation, row)


def _happened(session: Session, event_type: str, invitation: SurveyInvitation, data: Mapping[str, Any]) -> None:
    """An event of the record that the survey is about, and of the person."""
    record = session.get(entity(invitation.entity).model, invitation.record_id)
    if record is not None:
        events.record(session, system(Via.SURVEY), event_type, record, data=data)
    if invitation.contact_id and invitation.entity != "contact":
        events.record(session, system(Via.SURVEY), event_type, entity="contact", record_id=invitation.contact_id, data=data)


def _raise_task(session: Session, survey: Survey, invitation: SurveyInvitation, row: SurveyAnswer) -> None:
    """A task for whoever owns the record, once per invitation, however often the answer is changed."""
    owner_id = _owner(session, survey, invitation)
    record: Any = session.get(entity(invitation.entity).model, invitation.record_id)
    links = {LINKS[invitation.entity]: invitation.record_id} if invitation.entity in LINKS and record is not None else {}
    links |= {key: value for key, value in (("contact_id", invitation.contact_id), ("account_id", invitation.account_id)) if value}
    scale = SCALES[survey.kind]
    name = session.exec(select(Contact.name).where(Contact.id == invitation.contact_id)).first() or "an unhappy customer"
    values = {
        "subject": f"Talk to {name}: {row.score} of {scale.high} in “{survey.name}”", "body": row.comment or None, "priority": Priority.HIGH.value,
        "due_at": utcnow() + timedelta(days=1), "owner_id": owner_id, **links,
    }  # fmt: skip
    task = tasks.create(session, system(Via.SURVEY), values, submit_key=f"survey-detractor-{invitation.id}")
    row.detractor_at, row.task_id = utcnow(), task.id
    session.add(row)
    _happened(session, "survey.detractor", invitation, _facts(survey, row))
    _notify(session, owner_id, "survey.detractor", invitation, row)


def _facts(survey: Survey, row: SurveyAnswer) -> dict[str, Any]:
    return {
        "survey": survey.name,
        "survey_id": survey.id,
        "kind": survey.kind,
        "score": row.score,
        "most": SCALES[survey.kind].high,
    }


def _owner(session: Session, survey: Survey, invitation: SurveyInvitation) -> int | None:
    """Who looks after it: the record's owner of that day, the person's owner, the survey's own; the first who is still here."""
    contact = session.get(Contact, invitation.contact_id) if invitation.contact_id else None
    for user_id in (invitation.owner_id, contact.owner_id if contact else None, survey.owner_id):
        user = session.get(User, user_id) if user_id else None
        if user is not None and user.is_active:
            return user.id
    return None


def _notify(session: Session, owner_id: int | None, kind: str, invitation: SurveyInvitation, row: SurveyAnswer) -> None:
    notifications.notify(
        session, owner_id, kind=kind, params={"score": row.score}, entity=invitation.entity, record_id=invitation.record_id,
        dedupe_key=f"{kind}:{invitation.id}",
    )  # fmt: skip
