"""The log of what happened: each write records one event in its own transaction, with a sentence for the timeline."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session

from crm_core import automation_inbox
from crm_core.access import Actor
from crm_core.db import bump
from crm_core.entities import entity_of
from crm_core.fields import to_json
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean
from crm_core.models import Event
from crm_core.vocabulary import Choice

_LOG: Any = Event.__table__  # type: ignore[attr-defined]

GENERIC = {
    "created": "created this {entity}",
    "created_anyway": "created this {entity} although {found}: {reason}",
    "updated": "changed {fields}",
    "archived": "moved this {entity} to the bin",
    "restored": "took this {entity} back from the bin",
    "segment_entered": "came into the segment {segment}",
    "segment_left": "left the segment {segment}",
    "owner_changed": "handed this {entity} to {to}",
    "price_asked": "asked for a price",
    "cart_abandoned": "left a cart behind",
    "offer_made": "was offered: {offer}",
    "merged": "merged {who} into this {entity}",
    "merged_away": "merged this {entity} into {who}",
    "merge_undone": "took the merge with {who} apart again",
    "erasure_begun": "began to erase the personal data of this {entity}",
    "erased": "erased the personal data of this {entity}",
    "copy_made": "took out everything that is kept about this {entity}",
    "no_show": "did not come to the meeting {meeting}",
    "attended": "came to the meeting {meeting}",
    "rebook_sent": "was sent a link to choose another time for {meeting}",
}
"""Verbs that every entity knows; the event type is ``<entity>.<verb>``."""

SENTENCES = {
    "deal.stage_moved": "moved the deal from {from} to {to}",
    "deal.won": "won the deal",
    "deal.lost": "lost the deal: {reason}",
    "deal.reopened": "re-opened the deal in {to}",
    "deal.gate_overridden": "let the deal into {to} all the same: {reason} (missing: {missing})",
    "deal.gate_warned": "moved the deal on to {to} in spite of the warning: {missing}",
    "deal.lines_changed": "changed the products of the deal",
    "deal.committee_changed": "changed the buying committee",
    "deal.step_followed": "changed {fields} with a task",
    "lead.converted": "converted the lead",
    "lead.conversion_undone": "took the conversion back",
    "lead.qualified": "qualified the lead",
    "lead.reopened": "took the lead up again",
    "lead.disqualified": "disqualified the lead: {reason}",
    "ticket.replied": "answered the customer",
    "ticket.message_received": "received a message from the customer",
    "ticket.noted": "added an internal note",
    "ticket.solved": "solved the ticket",
    "ticket.reopened": "re-opened the ticket",
    "ticket.auto_answered": "got an automatic answer from {from}",
    "ticket.answer_taken_back": "took the answer back before it left",
    "ticket.merged": "merged {number} into this ticket",
    "ticket.merged_away": "merged this ticket into {number}",
    "ticket.merge_undone": "took the merge with {number} apart again",
    "ticket.macro_used": "used the macro {macro}",
    "ticket.macro_undone": "took the macro {macro} back",
    "ticket.sla_warned": "saw {pct}% of the time for the {target} used up",
    "ticket.escalated": "{what}: {pct}% of the time for the {target} was used up",
    "ticket.sla_breached": "saw the {target} become overdue",
    "article.published": "published the article",
    "article.withdrawn": "made the article a draft again",
    "article.retired": "archived the article",
    "article.reviewed": "read the article again and found it true",
    "article.products_changed": "changed the products of the article",
    "help_centre.saved": "changed the public help centre",
    "calendar.saved": "changed the working hours {name}",
    "calendar.removed": "removed the working hours {name}",
    "service_level.saved": "changed the service level {name}",
    "service_level.removed": "removed the service level {name}",
    "contact.points_changed": "changed the contact details",
    "account.points_changed": "changed the addresses and numbers",
    "account.handed_over": "offered the account to {to}",
    "account.handover_checked": "ticked “{item}” of the hand-over",
    "account.handover_unchecked": "took the tick of “{item}” away",
    "account.handover_withdrawn": "withdrew the hand-over",
    "account.handover_accepted": "accepted the hand-over",
    "account.handover_declined": "declined the hand-over: {reason}",
    "campaign.members_changed": "changed the members of the campaign",
    "campaign.plan_changed": "changed the plan of the campaign",
    "campaign.letter_changed": "changed the letter",
    "campaign.scheduled": "scheduled the campaign",
    "campaign.unscheduled": "took the campaign back from the schedule",
    "campaign.launched": "launched the campaign to {count} people, {held_out} held out",
    "campaign.paused": "paused the sending",
    "campaign.resumed": "resumed the sending",
    "campaign.stopped": "stopped the sending",
    "campaign.sent": "everything is out: {count} messages",
    "campaign.listed": "downloaded the list of {count} people",
    "campaign.channels_changed": "changed the channels of the campaign",
    "promotion.started": "started the promotion",
    "promotion.paused": "paused the promotion",
    "promotion.ended": "ended the promotion: {reason}",
    "promotion.audience_changed": "changed who may use the promotion",
    "promotion.codes_given": "gave out {count} codes in a file: {purpose}",
    "order.code_redeemed": "used the code {code} of the promotion {promotion}",
    "order.code_released": "gave the code {code} of the promotion {promotion} back: {reason}",
    "segment.members_added": "added {count} members",
    "segment.members_removed": "removed {count} members",
    "segment.members_changed": "now has {entered} new members and lost {left}",
    "segment.rule_changed": "changed the rule of the segment",
    "import.finished": "imported {rows} rows from {file}",
    "import.reverted": "undid the import of {file}",
    "user.signed_in": "signed in",
    "user.signin_failed": "failed to sign in",
    "user.signed_out": "signed out",
    "user.invited": "was invited",
    "user.password_changed": "set a new password",
    "user.deactivated": "was deactivated",
    "user.activated": "was activated again",
    "user.roles_changed": "got other roles",
    "user.sessions_ended": "was signed out everywhere",
    "user.filing_renewed": "got a new filing address",
    "user.reset_link_made": "got a link to choose a new password",
    "audit.policy_changed": "changed how long the trail is kept",
    "audit.trimmed": "took {removed} old entries out of the trail and personal values out of {redacted}, as the workspace keeps them",
    "role.permissions_changed": "changed what the role may do",
    "role.removed": "removed the role {name}",
    "team.removed": "removed the team {name}",
    "organisation.updated": "changed the workspace settings",
    "organisation.exported": "exported {rows} {entity}",
    "pick_list.changed": "changed the values of the list {field}",
    "pipeline.stages_changed": "changed the stages of the pipeline",
    "pipeline.checklist_changed": "changed the checklist of hand-overs “{edge}”",
    "pipeline.gate_set": "changed what deals must meet to enter {stage}",
    "pipeline.gate_removed": "let every deal into {stage} again",
    "lead_status.retired": "retired the lead status {name}; {records} leads went to {to}",
    "file.attached": "attached {name}",
    "file.removed": "removed {name}",
    "product_category.merged": "merged the category {name} into {to}, {records} products",
    "bulk.changed": "changed {count} records at once",
    "bulk.undone": "undid a bulk change of {count} records",
    "contact.consent_changed": "wrote down: {status}, {purpose}, {way}",
    "lead.consent_changed": "wrote down: {status}, {purpose}, {way}",
    "campaign.consent_recorded": "wrote down the consent of {count} people: {source}",
    "suppression.added": "blocked {address} for marketing",
    "suppression.lifted": "lifted the block of {address}",
    "organisation.outreach_changed": "changed the rules for contacting people",
    "booking.saved": "changed the booking page {name}",
    "booking.removed": "removed the booking page {name}",
    "meeting.guest_invited": "invited {guest} to the meeting {meeting}",
    "meeting.guest_removed": "took {guest} off the meeting {meeting}",
    "meeting.guest_answered": "got an answer to the meeting {meeting} from {guest}: {state}",
    "lead_form.saved": "changed the form {name}",
    "lead_form.removed": "removed the form {name}",
    "letter_template.saved": "changed the letter template {name}",
    "letter_template.brought_back": "brought version {number} of the letter template {name} back",
    "letter_template.archived": "archived the letter template {name}",
    "letter_template.restored": "took the letter template {name} out of the archive",
    "letter_template.removed": "removed the letter template {name}",
    "lead_source.saved": "changed the source {name}",
    "lead_source.removed": "removed the source {name}",
    "lead_form.key_made": "made a new key for the form {name}",
    "mailbox.saved": "changed the mailbox {name}",
    "mailbox.removed": "removed the mailbox {name}",
    "mailbox.key_made": "made a new web address for the mailbox {name}",
    "mailbox.mail_settled": "settled a message in the tray: {outcome}",
    "dial_list.saved": "changed the list to call {name}",
    "dial_list.removed": "removed the list to call {name}",
    "survey.saved": "changed the survey {name}",
    "survey.removed": "removed the survey {name}",
    "survey.sent": "sent the survey {survey}",
    "survey.answered": "got an answer to the survey {survey}: {score} of {most}",
    "survey.detractor": "got an unhappy answer to the survey {survey}: {score} of {most}",
    "voice_menu.saved": "changed the telephone menu {name}",
    "voice_menu.published": "put version {no} of the telephone menu {name} to use",
    "voice_menu.removed": "removed the telephone menu {name}",
    "campaign.replied": "got an answer to its letter",
    "api_key.made": "made the API key {name}",
    "api_key.revoked": "took the API key {name} back",
    "webhook.saved": "changed the webhook {name}",
    "webhook.removed": "removed the webhook {name}",
    "webhook.switched_off": "switched the webhook {name} off: {reason}",
    "webhook.secret_made": "made a new secret for the webhook {name}",
    "shop.saved": "changed the shop {name}",
    "shop.removed": "removed the shop {name}",
    "shop.secret_made": "changed the secret of the shop {name}",
    "contact.cart_abandoned": "left a cart of {amount} in the shop {shop}",
    "assignment.saved": "changed the assignment rule {name}",
    "assignment.removed": "removed the assignment rule {name}",
    "assignment.queue_saved": "changed the queue {name}",
    "assignment.queue_removed": "removed the queue {name}",
    "assignment.person_saved": "changed skills, shift or capacity of {name}",
    "assignment.absence_saved": "entered an absence of {name}",
    "assignment.absence_removed": "removed an absence of {name}",
    "assignment.points_saved": "changed the lead points: {name}",
    "assignment.speed_saved": "changed how soon new leads are contacted",
    "assignment.nudges_saved": "changed which tasks are raised by themselves",
    "automation.saved": "changed the automation {name}",
    "automation.activated": "switched the automation {name} on",
    "automation.taken_over": "let the automation {name} act with their own rights, no longer with those of {before}",
    "automation.paused": "paused the automation {name}: {reason}",
    "automation.removed": "removed the automation {name}",
    "automation.run_stopped": "stopped a run of the automation {name}",
    "automation.run_retried": "tried a run of the automation {name} again",
    "halt.stopped": "stopped {what}: {reason}",
    "halt.ended": "switched {what} on again",
    "mail.retried": "sent messages again: {count}",
    "mail.cancelled": "took a message out of the outbox",
    "quota.changed": "changed {count} quotas",
    "job.retried": "started the job {job} again",
    "job.cancelled": "stopped the job {job}",
    "organisation.backed_up": "made a backup",
}
"""Sentences of all other event types."""


def sentence_of(event_type: str) -> str:
    """The timeline sentence of an event type, without its subject. Raises KeyError for a type nobody declared."""
    if event_type in SENTENCES:
        return SENTENCES[event_type]
    return GENERIC[event_type.split(".", 1)[1]]


def declared(event_type: str) -> bool:
    """Whether somebody declared this event type."""
    try:
        sentence_of(event_type)
    except (KeyError, IndexError):
        return False
    return True


def record(
    session: Session,
    actor: Actor,
    event_type: str,
    row: Any = None,
    *,
    entity: str | None = None,
    record_id: int = 0,
    changes: Mapping[str, tuple[Any, Any]] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Add an event about a flushed row (or about ``entity``/``record_id`` when there is no row). ``changes``: field → (old, new).

    An automation at work says in ``session.info["cause"]`` which event it answers and how long the chain of causes is.
    """
    sentence_of(event_type)
    name = entity or entity_of(row).key
    account_id = row.id if name == "account" and row is not None else getattr(row, "account_id", None)
    event = Event(
        type=event_type,
        entity=name,
        record_id=row.id if row is not None else record_id,
        record_version=getattr(row, "version", 1) or 1,
        account_id=account_id,
        changes={key: [to_json(old), to_json(new)] for key, (old, new) in (changes or {}).items()},
        data=_plain(data),
        **_circumstances(session, actor),
    )
    session.add(event)
    return event


def record_many(session: Session, actor: Actor, entity: str, entries: Sequence[tuple[str, Any, Mapping[str, Any]]]) -> None:
    """Many events of one kind of record at once: type, row (or anything with its id, version and account), and what else there is to say."""
    if not entries:
        return
    for event_type in {event_type for event_type, _, _ in entries}:
        sentence_of(event_type)
    common = {"entity": entity, "changes": {}, **_circumstances(session, actor)}
    rows = [
        {
            **common, "type": event_type, "record_id": row.id, "record_version": row.version,
            "account_id": row.id if entity == "account" else getattr(row, "account_id", None), "data": _plain(data),
        }
        for event_type, row, data in entries
    ]  # fmt: skip
    bump(session, _LOG.name)
    if not automation_inbox.listening(session, entity):
        session.execute(insert(_LOG), rows)
        return
    made = session.execute(insert(_LOG).returning(_LOG.c.id, _LOG.c.type, _LOG.c.entity, _LOG.c.changes), rows)
    automation_inbox.hear(session, made.all())


def _circumstances(session: Session, actor: Actor) -> dict[str, Any]:
    cause_id, depth = session.info.get("cause", (None, 0))
    return {"at": utcnow(), "actor_id": actor.user_id, "via": actor.via, "cause_id": cause_id, "depth": depth}


def _plain(data: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        key: clean(value) if isinstance(value, str) and not isinstance(value, Choice) else to_json(value)
        for key, value in (data or {}).items()
    }
