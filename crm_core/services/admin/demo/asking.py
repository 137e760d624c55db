"""Surveys and a telephone menu of the demo company: a year of answers, some calls. Complaints leave people unhappy; most who are asked say nothing."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import bindparam, insert, update
from sqlmodel import Session, col, select

from crm_core.kit.clock import utcnow
from crm_core.models import (
    Article,
    Contact,
    ServiceCalendar,
    Survey,
    SurveyAnswer,
    SurveyInvitation,
    Ticket,
    VoiceCall,
    VoiceMenu,
    VoiceVersion,
)
from crm_core.services.admin.demo.words import words
from crm_core.services.telephony.menus import START
from crm_core.vocabulary import CallEnd, NodeKind, SurveyKind, SurveyTrigger, SurveyWay

MOST = 1_500
HAPPY, CROSS = (0.03, 0.05, 0.12, 0.35, 0.45), (0.22, 0.24, 0.22, 0.2, 0.12)
LIKELY = (0.02, 0.01, 0.02, 0.03, 0.03, 0.06, 0.07, 0.14, 0.2, 0.22, 0.2)
WORDS = {
    "good": ("Quick and friendly.", "The answer helped at once.", "Always somebody who knows the machines."),
    "bad": ("I had to ask twice.", "It took too long.", "The answer did not fit my question."),
}


def add(session: Session, seed: int) -> None:
    """Write the surveys with their answers, the menu and its calls."""
    rng, now = np.random.default_rng([seed, 77]), utcnow()
    _after_support(session, rng, now)
    _relationship(session, rng, now)
    _calls(session, rng, now)


def _after_support(session: Session, rng: np.random.Generator, now: datetime) -> None:
    survey = _survey(
        session,
        now,
        "After support",
        SurveyKind.CSAT,
        SurveyTrigger.TICKET_SOLVED,
        "How happy are you with the help that you got?",
        wait_hours=4,
    )
    query = select(Ticket).where(
        col(Ticket.solved_at) > now - timedelta(days=365),
        col(Ticket.solved_at) < now - timedelta(days=2),
        col(Ticket.contact_id).is_not(None),
    )
    rows = [
        {
            "contact_id": one.contact_id, "entity": "ticket", "record_id": one.id, "account_id": one.account_id, "owner_id": one.owner_id,
            "team_id": one.team_id, "category": one.category, "sent_at": (one.solved_at or now) + timedelta(hours=4),
            "chances": CROSS if one.category == "Complaint" else HAPPY, "share": 0.31,
        }
        for one in session.exec(query.order_by(col(Ticket.solved_at).desc(), col(Ticket.id)).limit(MOST))
    ]  # fmt: skip
    _write(session, survey, rows, rng, now, low=1, unhappy=2)
    _note_satisfaction(session, survey)


def _note_satisfaction(session: Session, survey: Survey) -> None:
    """The score on the ticket, as an answer to a real survey writes it."""
    table: Any = Ticket.__table__  # type: ignore[attr-defined]
    query = select(SurveyInvitation.record_id, SurveyAnswer.score, SurveyAnswer.at).join(
        SurveyAnswer, col(SurveyAnswer.invitation_id) == SurveyInvitation.id
    )
    rows = [
        {"row": row, "satisfaction": score, "rated_at": at}
        for row, score, at in session.exec(query.where(SurveyInvitation.survey_id == survey.id))
    ]
    if rows:
        change = update(table).where(table.c.id == bindparam("row"))
        values: dict[str, Any] = {"satisfaction": bindparam("satisfaction"), "rated_at": bindparam("rated_at")}
        session.connection().execute(change.values(values), rows)
        session.flush()
        session.expire_all()


def _relationship(session: Session, rng: np.random.Generator, now: datetime) -> None:
    survey = _survey(
        session,
        now,
        "Would you recommend us?",
        SurveyKind.NPS,
        SurveyTrigger.QUARTERLY,
        "How likely are you to recommend us to a friend or colleague?",
    )
    people = list(session.exec(select(Contact).where(col(Contact.email).is_not(None)).order_by(col(Contact.id)).limit(MOST // 2)))
    rows = [
        {
            "contact_id": one.id, "entity": "contact", "record_id": one.id, "account_id": one.account_id, "owner_id": one.owner_id, "team_id": None,
            "category": None, "sent_at": now - timedelta(days=20 + 91 * quarter, minutes=n), "chances": LIKELY, "share": 0.24,
        }
        for quarter in range(4)
        for n, one in enumerate(people[quarter::4])
    ]  # fmt: skip
    _write(session, survey, rows, rng, now, low=0, unhappy=6)


def _survey(
    session: Session, now: datetime, name: str, kind: SurveyKind, trigger: SurveyTrigger, question: str, wait_hours: int = 0
) -> Survey:
    """Switched off: nothing is to leave the demo by itself."""
    made = Survey(
        name=name,
        kind=kind,
        trigger=trigger,
        question=question,
        wait_hours=wait_hours,
        sample_pct=100,
        is_active=False,
        active_since=now,
    )
    session.add(made)
    session.flush()
    return made


def _write(
    session: Session, survey: Survey, rows: list[dict[str, Any]], rng: np.random.Generator, now: datetime, *, low: int, unhappy: int
) -> None:
    invitations, answers = [], []
    for n, row in enumerate(rows):
        chances, share, at = row.pop("chances"), row.pop("share"), row["sent_at"]
        marks = {"created_at": at, "updated_at": at, "version": 1}
        invitations.append({
            "survey_id": survey.id, "dedupe_key": f"demo:{survey.id}:{n}", "skipped": "", "expires_at": at + timedelta(days=30),
            **row, **marks,
        })  # fmt: skip
        drawn, wait, score, word, tells = (
            rng.random(),
            rng.exponential(14.0),
            int(rng.choice(len(chances), p=chances)) + low,
            int(rng.integers(0, 3)),
            rng.random() < 0.35,
        )
        said = min(at + timedelta(hours=0.2 + wait), now)
        if drawn < share:
            comment = WORDS["bad" if score <= unhappy else "good"][word] if tells else ""
            answers.append({
                "invitation_id": n, "survey_id": survey.id, "score": score, "comment": comment, "at": said, "completed_at": said, "way": SurveyWay.DEMO,
                "detractor_at": said if score <= unhappy else None, "created_at": said, "updated_at": said, "version": 1,
            })  # fmt: skip
    if not invitations:
        return
    session.execute(insert(SurveyInvitation), invitations)
    ids = list(
        session.exec(select(SurveyInvitation.id).where(SurveyInvitation.survey_id == survey.id).order_by(col(SurveyInvitation.id)))
    )
    for answer in answers:
        answer["invitation_id"] = ids[answer["invitation_id"]]
    if answers:
        session.execute(insert(SurveyAnswer), answers)


def _calls(session: Session, rng: np.random.Generator, now: datetime) -> None:
    calendar = session.exec(select(ServiceCalendar.id)).first()
    flow = _flow(session)
    menu = VoiceMenu(name="Main number", key="demo-main-number", calendar_id=calendar, flow=flow, published_no=1)
    session.add(menu)
    session.flush()
    session.add(VoiceVersion(menu_id=menu.id, no=1, flow=flow))
    people = list(session.exec(select(Contact).where(col(Contact.phone).is_not(None)).order_by(col(Contact.id)).limit(40)))
    ends = (
        (CallEnd.QUEUED, "help", "1"),
        (CallEnd.QUEUED, "billing", "2"),
        (CallEnd.CALLBACK, "back", "3"),
        (CallEnd.ABANDONED, "main", ""),
    )
    for n, person in enumerate(people):
        outcome, node, key = ends[int(rng.choice(4, p=[0.45, 0.25, 0.2, 0.1]))]
        at = now - timedelta(hours=5 + 17 * n, minutes=int(rng.integers(0, 50)))
        steps = [
            {"node": one, "title": START["nodes"][one]["title"], "heard": "", "at": at.isoformat()} for one in ("hours", "main")
        ]
        steps += [{"node": node, "title": START["nodes"][node]["title"], "heard": key, "at": at.isoformat()}] if key else []
        seconds = int(rng.integers(20, 400))
        session.add(VoiceCall(
            menu_id=menu.id, version_no=1, call_sid=f"demo{n:04}", caller=str(person.phone)[:40], caller_key="", contact_id=person.id, owner_id=person.owner_id,
            node=node, turn=len(steps), steps=steps, outcome=outcome, started_at=at, ended_at=at + timedelta(seconds=seconds), seconds=seconds,
        ))  # fmt: skip


def _flow(session: Session) -> dict[str, Any]:
    """The usual menu, with one key more that reads a help article aloud."""
    spec = words("articles")["menu"]
    article = session.exec(select(Article.id).where(Article.title == spec["article"])).one()
    main = START["nodes"]["main"]
    read = {"kind": NodeKind.ARTICLE.value, "title": spec["title"], "prompt": spec["prompt"], "article": article, "next": "help"}
    more = {"main": {**main, "prompt": spec["main"], "keys": {**main["keys"], "4": "filter"}}, "filter": read}
    return {**START, "nodes": {**START["nodes"], **more}}
