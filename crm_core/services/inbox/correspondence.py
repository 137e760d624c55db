"""Mail that a person writes from a record: to its people, as themselves, threaded so that the answer comes back to the record."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import case, update
from sqlmodel import Session, col, select

from crm_core import db, house, lists, records
from crm_core.access import Actor, require
from crm_core.channels import email
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit.clock import utcnow
from crm_core.kit.numerals import written
from crm_core.kit.text import clean, clip, email_key
from crm_core.models import Activity, Attachment, Interaction, Mailbox, MailDelivery, Organisation, SubmitKey, Task
from crm_core.services.collaboration import activities, files, interactions, outbox, timeline_rules
from crm_core.services.helpdesk import answer_rules
from crm_core.services.inbox import addressees, mark_rules
from crm_core.services.inbox.addressees import Addressee
from crm_core.vocabulary import Action, ActivityKind, MailBecomes, MailState, MessageDirection, TaskStatus

WRITABLE = ("contact", "lead", "account", "deal")
"""Records from which mail is written. Tickets have their own conversation."""

UNDO_SECONDS = 20
MAX_TEXT = 20_000
MAX_FILES_MB = 20
_MAIL: Any = MailDelivery.__table__  # type: ignore[attr-defined]
_TALKS: Any = Interaction.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Draft:
    """What the window for writing starts with. ``sender``: the address it leaves from; ``comes_back``: an answer lands on the record; ``by_mail``:
    whether Rapport can send at all. ``quoted``: the words that are answered."""

    people: tuple[Addressee, ...]
    to: tuple[str, ...]
    subject: str
    quoted: str
    sender: str
    comes_back: bool
    by_mail: bool
    signature: str


def draft(session: Session, actor: Actor, entity_key: str, record_id: int, *, answers: int | None = None) -> Draft:
    """The people of a record, whom to write to at first, and from which address. ``answers``: what came in that is to be answered."""
    require(actor, "activity", Action.CREATE)
    _check_place(entity_key)
    people = tuple(addressees.of_record(session, actor, entity_key, record_id))
    box = mailbox(session)
    asked = _asked(session, entity_key, record_id, answers)
    blind = actor.masked("contact", "email") or actor.masked(entity_key, "email")
    if asked is not None and asked.sender and not blind:
        to: tuple[str, ...] = (asked.sender,)
    else:
        to = tuple(one.address for one in people if not one.no)[:1]
    subject, quoted = _answered(session, asked)
    return Draft(
        people, to, subject, quoted, _from(actor, box), box is not None, box is not None or email.configured(), _signature(session, actor, box)
    )  # fmt: skip


def may_write(session: Session, actor: Actor) -> bool:
    """Whether Rapport can send a mail for this person."""
    return actor.can("activity", Action.CREATE) and (email.configured() or mailbox(session) is not None)


def _check_place(entity_key: str) -> None:
    if entity_key not in WRITABLE:
        raise Invalid("Mail can't be written from here.")


def mailbox(session: Session) -> Mailbox | None:
    """The mailbox to which answers come: one whose mail goes onto the customer first, one that makes tickets next."""
    return db.shared(session, "mailbox of answers", ("mailbox",), lambda: _mailbox(session))


def _mailbox(session: Session) -> Mailbox | None:
    rank = case((col(Mailbox.becomes) == MailBecomes.TIMELINE, 0), (col(Mailbox.becomes) == MailBecomes.TICKET, 1), else_=2)
    return session.exec(
        select(Mailbox).where(Mailbox.is_active).order_by(rank, col(Mailbox.plus_address).desc(), col(Mailbox.id))
    ).first()


def _from(actor: Actor, box: Mailbox | None) -> str:
    """Their own address where the mail server speaks for its domain; else the mailbox's or the one of all mail."""
    ours = email.sender_address()
    domain = ours.rpartition("@")[2].lower()
    if not domain or actor.email.rpartition("@")[2].lower() == domain:
        return actor.email
    return box.address if box is not None and box.address.rpartition("@")[2].lower() == domain else ours


def _signature(session: Session, actor: Actor, box: Mailbox | None) -> str:
    if box is None or not box.signature:
        return actor.name
    workspace = session.exec(select(Organisation.name)).first() or ""
    return answer_rules.fill(box.signature, {"agent": actor.name, "workspace": workspace})


def _asked(session: Session, entity_key: str, record_id: int, interaction_id: int | None) -> Interaction | None:
    found = session.get(Interaction, interaction_id) if interaction_id else None
    return found if found is not None and (found.entity, found.record_id) == (entity_key, record_id) else None


def _answered(session: Session, asked: Interaction | None) -> tuple[str, str]:
    activity = session.get(Activity, asked.activity_id) if asked is not None else None
    if activity is None:
        return "", ""
    who, _, subject = activity.subject.partition(": ")
    plain = answer_rules.untagged(subject or activity.subject)
    words = answer_rules.quote(activity.body or "", who.removeprefix("From ") or "you", house.written(session, activity.at))
    return f"Re: {plain}", words


# --- send -------------------------------------------------------------------------------------------------------------------


def send(
    session: Session,
    actor: Actor,
    entity_key: str,
    record_id: int,
    *,
    to: str | Iterable[str],
    subject: str,
    text: str,
    file_ids: Sequence[int] = (),
    follow_up: str = "",
    follow_up_on: date | None = None,
    answers: int | None = None,
    submit_key: str | None = None,
) -> Activity:
    """Write to people of a record: on its timeline at once, in the outbox for some seconds, for a second thought. What they wrote before is answered.

    ``file_ids``: files of the record that go along. The same ``submit_key`` again sends once. Raises Invalid for an address that is none, and for
    one whose owner does not want mail.
    """
    require(actor, "activity", Action.CREATE)
    _check_place(entity_key)
    records.get(session, actor, entity_key, record_id)
    earlier = _sent_before(session, submit_key)
    if earlier is not None:
        return earlier
    people = _readers(session, actor, to, subject, text)
    enclosed = _enclosed(session, actor, entity_key, record_id, file_ids)
    named = ", ".join(one.name or one.address for one in people)
    activity = activities.log(
        session, actor, entity_key, record_id, kind=ActivityKind.EMAIL, text=_shown(text, enclosed), subject=clip(f"To {named}: {clean(subject)}", 300),
        follow_up=follow_up, follow_up_on=follow_up_on if follow_up.strip() else None, submit_key=submit_key,
    )  # fmt: skip
    _hang_on_reader(session, actor, activity, people)
    asked = _asked(session, entity_key, record_id, answers)
    _post(session, actor, activity, entity_key, record_id, people, subject, text, enclosed, asked)
    return activity


def _sent_before(session: Session, submit_key: str | None) -> Activity | None:
    seen = session.get(SubmitKey, submit_key) if submit_key else None
    return session.get(Activity, seen.result["id"]) if seen is not None and seen.result.get("entity") == "activity" else None


def _readers(session: Session, actor: Actor, to: str | Iterable[str], subject: str, text: str) -> list[Addressee]:
    wrong: dict[str, str] = {}
    people: list[Addressee] = []
    try:
        people = [_as_seen(session, actor, addressees.behind(session, one)) for one in answer_rules.people(to)]
        if not people:
            wrong["to"] = "Say who it goes to."
    except ValueError as error:
        wrong["to"] = str(error)
    refused = [f"{one.address}: {one.no.rstrip('.')}." for one in people if one.no]
    if refused:
        wrong["to"] = " ".join(refused)
    if not clean(subject):
        wrong["subject"] = "Say what it is about."
    if not text.strip():
        wrong["text"] = "Write something first."
    elif len(text) > MAX_TEXT:
        wrong["text"] = f"A mail can have at most {written(MAX_TEXT)} characters."
    if wrong:
        raise Invalid(fields=wrong)
    return people


def _as_seen(session: Session, actor: Actor, one: Addressee) -> Addressee:
    """Without the name of somebody who is out of the writer's sight, or whose name is; what they asked for holds all the same."""
    key, record_id = ("contact", one.contact_id) if one.contact_id else ("lead", one.lead_id)
    named = actor.can(key, Action.READ) and not actor.masked(key, "name")
    if record_id is None or (named and lists.titles(session, actor, key, [record_id])):
        return one
    return replace(one, name="", no="its owner does not want mail from us" if one.no else "")


def _enclosed(session: Session, actor: Actor, entity_key: str, record_id: int, file_ids: Sequence[int]) -> list[Attachment]:
    if not file_ids:
        return []
    known = {one.id for one in files.find(session, actor, entity_key, record_id)}
    if not set(file_ids) <= known:
        raise Invalid(fields={"files": "One of the files is not on this record any more."})
    found = list(session.exec(select(Attachment).where(col(Attachment.id).in_(list(file_ids))).order_by(col(Attachment.id))))
    if sum(one.size_bytes for one in found) > MAX_FILES_MB << 20:
        raise Invalid(fields={"files": f"The files are larger than {MAX_FILES_MB} MB together; most mail servers refuse that."})
    return found


def _shown(text: str, enclosed: Sequence[Attachment]) -> str:
    return text.strip() + (f"\n\nFiles: {', '.join(one.name for one in enclosed)}" if enclosed else "")


def _hang_on_reader(session: Session, actor: Actor, activity: Activity, people: Sequence[Addressee]) -> None:
    """A mail from a deal or an account stands with the person whom it went to, as far as the writer may see them."""
    ids = [one.contact_id for one in people if one.contact_id is not None]
    if not ids or activity.contact_id in ids or activity.lead_id is not None:
        return
    try:
        activity.contact_id = (
            records.get(session, actor, "contact", ids[0]).id if actor.can("contact", Action.READ) else activity.contact_id
        )
    except NotFound:
        return
    session.add(activity)
    session.flush()


def _post(
    session: Session,
    actor: Actor,
    activity: Activity,
    entity_key: str,
    record_id: int,
    people: Sequence[Addressee],
    subject: str,
    text: str,
    enclosed: Sequence[Attachment],
    asked: Interaction | None,
) -> None:
    box = mailbox(session)
    message_id = email.message_id_of(f"{timeline_rules.PERSONAL}:{activity.id}:{activity.created_at.isoformat()}")
    talk = interactions.note(
        session, activity, entity_key=entity_key, record_id=record_id, direction=MessageDirection.OUTBOUND, message_id=message_id, sender=actor.email,
        people=[one.address for one in people], user_id=actor.user_id, thread_id=asked.thread_id if asked is not None else None, settled=True,
    )  # fmt: skip
    _, quoted = _answered(session, asked)
    signature = _signature(session, actor, box)
    body = "\n\n".join(part for part in (text.strip(), signature, quoted) if part)
    head = _headers(session, actor, box, talk, [one.address for one in people])
    attachments = [{"sha256": one.sha256, "name": one.name, "media_type": one.media_type} for one in enclosed]
    for one in people:
        outbox.queue(
            session, actor, to=one.address, name=one.name, subject=clean(subject), text=body, html=answer_rules.html_of(f"{text.strip()}\n\n{signature}", quoted),
            kind=timeline_rules.PERSONAL, dedupe_key=f"{timeline_rules.PERSONAL}:{activity.id}:{email_key(one.address)}"[:200], headers=head,
            attachments=attachments, contact_id=one.contact_id, lead_id=one.lead_id, batch=timeline_rules.batch_of(activity.id),
            not_before=utcnow() + timedelta(seconds=UNDO_SECONDS),
        )  # fmt: skip


def _headers(session: Session, actor: Actor, box: Mailbox | None, talk: Interaction, to: Sequence[str]) -> dict[str, str]:
    """What stands at the head. An answer goes to the mailbox, with the signed mark of this mail where the mailbox takes such addresses."""
    found = {"To": ", ".join(to), "Message-ID": str(talk.message_id), "X-Rapport": f"letter {talk.id}"}
    found["From"] = email.written(actor.name, _from(actor, box))
    if box is None:
        found["Reply-To"] = email.written(actor.name, actor.email)
    else:
        back = mark_rules.address(box.address, mark_rules.ANSWER, talk.id) if box.plus_address else box.address
        found["Reply-To"] = email.written(actor.name, back)
    query = select(Interaction.message_id).where(
        Interaction.thread_id == talk.thread_id, Interaction.id != talk.id, col(Interaction.message_id).is_not(None)
    )
    above = [str(one) for one in session.exec(query.order_by(col(Interaction.id)))]
    if above:
        found["In-Reply-To"], found["References"] = above[-1], " ".join(above[-20:])
    return found


# --- a second thought -------------------------------------------------------------------------------------------------------


def take_back(session: Session, actor: Actor, activity_id: int, *, submit_key: str | None = None) -> str:
    """Take a mail back that has not left yet; gives its words. Its entry on the timeline goes, and so does the follow-up task that came with it."""
    require(actor, "activity", Action.CREATE)
    talk = session.exec(select(Interaction).where(Interaction.activity_id == activity_id)).first()
    activity = session.get(Activity, activity_id)
    if talk is None or activity is None or talk.user_id != actor.user_id or talk.direction is not MessageDirection.OUTBOUND:
        raise NotFound("There is no such mail of yours.")
    mine = _MAIL.c.batch == timeline_rules.batch_of(activity_id)
    waiting = update(_MAIL).where(mine, _MAIL.c.state == MailState.PENDING, _MAIL.c.attempts == 0)
    taken = {"state": MailState.CANCELLED, "message": "Taken back by its author.", "updated_at": utcnow()}
    done = session.execute(waiting.values(**taken)).rowcount  # type: ignore[attr-defined]
    if not done or done != len(talk.people):
        raise Conflict("This mail is on its way already.")
    db.bump(session, _MAIL.name)
    words = activity.body or activity.subject
    _drop_follow_up(session, actor, submit_key)
    records.discard(session, actor, "activity", activity)
    again = (_TALKS.c.entity == talk.entity, _TALKS.c.record_id == talk.record_id, _TALKS.c.direction == MessageDirection.INBOUND)
    lately = (_TALKS.c.settled_by_id == actor.user_id, _TALKS.c.settled_at >= activity.created_at)
    session.execute(update(_TALKS).where(*again, *lately).values(settled_at=None, settled_by_id=None, updated_at=utcnow()))
    db.bump(session, _TALKS.name)
    return words


def _drop_follow_up(session: Session, actor: Actor, submit_key: str | None) -> None:
    seen = session.get(SubmitKey, f"{submit_key}-f") if submit_key else None
    task = session.get(Task, seen.result["id"]) if seen is not None else None
    if task is not None and task.deleted_at is None and task.status is TaskStatus.OPEN and task.version == 1:
        records.discard(session, actor, "task", task)
