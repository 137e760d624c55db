"""What people can be told about: the kinds with their sentences, and when a message may go out. Pure.

A new kind is one line in ``KINDS``. Sentences have {title} (the record's name as the reader may see it), {record} (its kind), {by} (the person in
``params["by"]``) and every other key of ``params``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

from crm_core.vocabulary import MailWay


@dataclass(frozen=True)
class Kind:
    """One kind of thing to be told. ``label``: on the page of settings; ``mail``: how it goes by e-mail unless the person says otherwise;
    ``page`` and ``query``: the screen it opens when it is about no record (``@key``: the one that ``params`` names there; query name → key of
    ``params``)."""

    key: str
    group: str
    label: str
    sentence: str
    icon: str = "notifications"
    app: bool = True
    mail: MailWay = MailWay.OFF
    page: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    many: str = ""

    def words(self, params: Mapping[str, Any]) -> str:
        """The sentence, in its form for several records when ``params`` counts them."""
        return self.many if self.many and params.get("count") else self.sentence


WORK, DUE, SERVICE, TEAM, SYSTEM = "My work", "Reminders", "Service levels", "Colleagues", "Background work"
_RUN = {"run": "run", "of": "of"}
OFF, NOW, DAILY = MailWay.OFF, MailWay.NOW, MailWay.DAILY

_ALL = (
    Kind("assigned.task", WORK, "A task is given to me", "{by} gave you the task {title}", "task_alt", mail=NOW),
    Kind(
        "assigned.record", WORK, "A record is given to me", "{by} made you the owner of {title}", "person_add", mail=DAILY,
        many="{by} made you the owner of {count} {plural}",
    ),
    Kind("assigned.form_lead", WORK, "A form brings me a lead", "A new lead came in: {title}", "dynamic_form", mail=NOW),
    Kind("booking.made", WORK, "Somebody books a meeting with me", "A meeting was booked: {title}", "event_available", mail=NOW),
    Kind("booking.moved", WORK, "A booked meeting of mine is moved", "{title} was moved by the visitor", "event_repeat", mail=NOW),
    Kind("booking.cancelled", WORK, "A booked meeting of mine is called off", "{who} called off “{meeting}” of {when}", "event_busy", mail=NOW, page="calendar"),
    Kind("booking.unmarked", WORK, "A booked meeting of mine is over", "Did {who} come? {title}", "how_to_reg"),
    Kind("meeting.answered", WORK, "A guest answers an invitation of mine", "{guest} on {title}: {state}", "how_to_reg"),
    Kind(
        "meeting.unsure", WORK, "An answer to an invitation of mine can't be confirmed",
        "An answer for {guest} on {title} ({state}) could not be confirmed and was not noted: ask them", "help",
    ),
    Kind("assigned.rule", WORK, "A rule gives me work", "{title} came to you by the rule “{rule}”", "alt_route", mail=NOW),
    Kind("survey.answered", WORK, "A customer answers a survey", "{title}: an answer of {score}", "reviews", mail=DAILY),
    Kind("survey.detractor", WORK, "A customer is unhappy", "{title}: an unhappy answer of {score}", "sentiment_dissatisfied", mail=NOW),
    Kind("mail.answer", WORK, "A customer answers on a ticket of mine", "The customer answered on {title}", "mark_email_unread"),
    Kind("mail.reply", WORK, "A customer answers a mail of mine", "{who} answered your mail: {title}", "mark_email_unread"),
    Kind("mail.unreachable", WORK, "An answer or a mail of mine does not arrive", "What you wrote on {title} did not arrive", "unsubscribe", mail=NOW),
    Kind("queue.waiting", WORK, "Work waits in a queue", "{count} waiting in {queue}: nobody is free", "hourglass_top", page="tickets"),
    Kind("mention", TEAM, "Somebody mentions me", "{by} mentioned you on {title}", "alternate_email", mail=NOW),
    Kind(
        "follow.news", TEAM, "Something happens on a record that I follow", "{title}: {by} {what}", "visibility",
        many="{count} {plural} that you follow have news",
    ),
    Kind("follow.answer", TEAM, "A customer writes on a ticket that I follow", "The customer wrote on {title}", "mark_email_unread"),
    Kind("handover.received", TEAM, "An account is handed over to me", "{by} wants to hand {title} over to you", "move_down", mail=NOW, page="today"),
    Kind("handover.accepted", TEAM, "My hand-over is accepted", "{by} took {title} over", "check_circle"),
    Kind("handover.declined", TEAM, "My hand-over is declined", "{by} declined to take {title} over", "cancel", mail=NOW),
    Kind("reminder.task", DUE, "A task of mine is due", "Due now: {title}", "alarm"),
    Kind("reminder.overdue", DUE, "A task of mine is overdue", "Overdue since yesterday: {title}", "alarm", mail=DAILY),
    Kind("reminder.meeting", DUE, "A meeting begins soon", "{title} begins soon", "event"),
    Kind("reminder.follow_up", DUE, "A deal of mine has gone quiet", "{title}: no contact with the customer for {days} working days", "update", mail=DAILY),
    Kind("reminder.renewal", DUE, "A contract ends soon", "The contract of {title} ends in {days} days", "autorenew", mail=DAILY),
    Kind("reminder.birthday", DUE, "A contact has a birthday", "{title} has a birthday today", "cake"),
    Kind("reminder.follow_lead", DUE, "A lead of mine waits for its first answer", "{title} still waits for a first answer", "update"),
    Kind("reminder.article", DUE, "A help article of mine wants to be read again", "Read it again, is it still true? {title}", "menu_book", mail=DAILY),
    Kind("lead.late", SERVICE, "A new lead waits too long", "{title} should have heard from us by now", "timer_off", mail=NOW),
    Kind("sla.warning", SERVICE, "A promise of mine is nearly used up", "{title}: {pct}% of the time for the {target} is used up", "timer"),
    Kind("sla.breached", SERVICE, "A promise of mine is broken", "{title}: the {target} is overdue", "timer_off", mail=NOW),
    Kind("sla.escalated", SERVICE, "A ticket is escalated to me", "{title} needs a look: {pct}% of the time for the {target} is used up", "priority_high", mail=NOW),
    Kind("sla.paged", SERVICE, "A ticket of my people needs me", "{title} needs you: {pct}% of the time for the {target} is used up", "notification_important", mail=NOW),
    Kind("promotion.ended", WORK, "A promotion of mine ends", "{title} takes no more orders: {reason}", "local_activity", mail=NOW),
    Kind("import.finished", SYSTEM, "My import is ready", "Your import of {file} is ready: {rows} rows", "upload_file", page="import", query={"run": "run"}),
    Kind("import.failed", SYSTEM, "My import stops", "Your import of {file} stopped: {reason}", "error", mail=NOW, page="import", query={"run": "run"}),
    Kind("analysis.finished", SYSTEM, "My analysis is ready", "Your analysis is ready: {name}", "insights", page="@page", query=_RUN),
    Kind("analysis.failed", SYSTEM, "My analysis stops", "Your analysis stopped: {name}", "error", page="@page", query=_RUN),
    Kind("segment.drift", SYSTEM, "A segment of mine has drifted", "The segment {name} is no longer what the analysis found: look, and run it again", "insights", mail=DAILY, page="segment", query={"id": "segment"}),
    Kind("automation.message", SYSTEM, "An automation tells me something", "{text}", "bolt"),
    Kind("automation.paused", SYSTEM, "An automation of mine is paused", "The automation {name} was paused: {reason}", "pause_circle", mail=NOW, page="automations"),
    Kind("automation.failed", SYSTEM, "A step of my automation fails", "A step of the automation {name} failed: {reason}", "error", mail=DAILY, page="automations"),
    Kind("mailbox.failing", SYSTEM, "A mailbox can't be read", "The mailbox {name} can’t be read: {reason}", "mark_email_unread", mail=NOW),
    Kind("lead_source.failing", SYSTEM, "Leads can't be fetched", "The source {name} can’t be read: {reason}", "cloud_off", mail=NOW, page="forms"),
    Kind("privacy.done", SYSTEM, "A request about personal data that I worked on is done", "{what} is done", "shield_person", mail=NOW, page="privacy", query={"entity": "entity", "id": "id"}),
    Kind("webhook.failing", SYSTEM, "A webhook is switched off", "The webhook {name} was switched off: {reason}", "webhook", mail=NOW),
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.key: kind for kind in _ALL}


@dataclass(frozen=True)
class Wishes:
    """How one person wants to be told: what ``user_preference`` says, or the defaults."""

    timezone: str = "UTC"
    channels: Mapping[str, Any] = field(default_factory=dict)
    quiet_from: int | None = None
    quiet_to: int | None = None
    digest_minute: int = 8 * 60
    digest_weekday: int = 0

    def of(self, kind: Kind) -> tuple[bool, MailWay]:
        """Whether a kind stands in the list, and how it goes by mail."""
        chosen = self.channels.get(kind.key) or {}
        mail = chosen.get("mail", kind.mail.value)
        return bool(chosen.get("app", kind.app)), MailWay(mail) if mail in MailWay.options() else kind.mail


def mail_due(way: MailWay, at: datetime, wishes: Wishes) -> datetime | None:
    """When something of this instant goes out: at once outside the quiet hours, at their end inside them, or with the next digest."""
    if way is MailWay.OFF:
        return None
    if way is MailWay.NOW:
        return _after_quiet(at, wishes)
    return next_digest(way, at, wishes)


def next_digest(way: MailWay, after: datetime, wishes: Wishes) -> datetime:
    """The first digest after an instant: that hour of the clock on the wall, summer time included."""
    zone = ZoneInfo(wishes.timezone)
    day = after.astimezone(zone).date()
    for offset in range(9):
        wanted = day + timedelta(days=offset)
        due = _wall(wanted, wishes.digest_minute, zone)
        if due > after and (way is MailWay.DAILY or wanted.weekday() == wishes.digest_weekday):
            return due
    raise AssertionError("a week has seven days")


def _after_quiet(at: datetime, wishes: Wishes) -> datetime:
    start, end = wishes.quiet_from, wishes.quiet_to
    if start is None or end is None or start == end:
        return at
    zone = ZoneInfo(wishes.timezone)
    wall = at.astimezone(zone)
    minute = wall.hour * 60 + wall.minute
    quiet = start <= minute < end if start < end else minute >= start or minute < end
    if not quiet:
        return at
    day = wall.date() + timedelta(days=1 if minute >= end else 0)
    return max(at, _wall(day, end, zone))


def _wall(day: date, minute: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(minute // 60, minute % 60), zone).astimezone(UTC)


def spoken(words: str, values: Mapping[str, Any], mark: Any = str) -> str:
    """A sentence with its values. ``mark`` writes each of them (a screen escapes and stresses them); what nobody gave is an ellipsis."""
    asked = {name for _, name, _, _ in Formatter().parse(words) if name}
    return words.format(**{name: "…" if values.get(name) in (None, "") else mark(str(values[name])) for name in asked})
