"""Steps that reach customers: an e-mail with everything the law wants of it, campaigns, segments."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select, update
from sqlmodel import Session

from crm_core import db
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.errors import CrmError
from crm_core.models import CampaignMember, CampaignVariant, OutreachRules, Segment
from crm_core.services.automation import flow_rules
from crm_core.services.automation.steps.base import Context, Done, Later, Names, Param, Result, Skipped, StepKind
from crm_core.services.automation.steps.codes import no_code
from crm_core.services.automation.steps.control import matches
from crm_core.services.collaboration import outbox
from crm_core.services.customers import consent
from crm_core.services.marketing import campaigns, letter_rules, letters, segment_members, signing, templates
from crm_core.services.sales import promotion_codes
from crm_core.settings import settings
from crm_core.vocabulary import Gate, LetterUse, Purpose

Step = Mapping[str, Any]
_ALWAYS = (Gate.NO_ADDRESS, Gate.OBJECTED, Gate.BAD_ADDRESS)
"""What also stops a message about business under way; consent and caps are about news and offers."""
_OWN_WORD = {
    Gate.OBJECTED: "they asked not to be written to", Gate.NO_CONSENT: "they took their consent back",
    Gate.SUPPRESSED: "they unsubscribed, complained or were erased on request",
}  # fmt: skip
_GOAL = "The goal is reached"
PURPOSES = {"service": "about business under way", "marketing": "news and offers (needs consent)"}
_MEMBERS: Any = CampaignMember.__table__  # type: ignore[attr-defined]


def _mail(context: Context, step: Step) -> Result:
    person = context.person()
    if person is None:
        return Skipped("Nobody to write to: the record has no contact")
    key, person_id = person
    if context.actor.masked(key, "email"):
        return Skipped("Not written: the e-mail address is hidden from whoever the automation acts for")
    marketing = step.get("purpose") == "marketing"
    verdict = consent.may_contact(
        context.session, context.actor, person_id, entity_key=key, purpose=Purpose.MARKETING, at=context.now
    )
    closed = verdict.gate if marketing or verdict.gate in _ALWAYS else None
    if closed is not None:
        return Skipped(f"Not written: {closed.label.lower()}")
    if verdict.from_at > context.now:
        return Later(verdict.from_at, "the hours at which they may be written to")
    inside = _inside(context, step, key, person_id)
    shows = bool(step.get("promotion")) and letter_rules.shows_coupon(str(step["subject"]), str(step["body"]), inside)
    if shows and (without := no_code(context, int(step["promotion"]), "Not written")):
        return without
    if not letter_rules.shown(str(step["body"]), inside).strip():
        return Skipped("Not written: no part of the letter is for them")
    letter = _letter(context, step, key, person_id, marketing, inside)
    mail_id = outbox.queue(
        context.session, context.actor, to=letter.to, name=letter.name, subject=letter.subject, text=letter.text, html=letter.html,
        headers=letter.headers, kind="automation", dedupe_key=f"auto-{context.key}", batch=context.batch,
        purpose=Purpose.MARKETING if marketing else None,
        contact_id=person_id if key == "contact" else None, lead_id=person_id if key == "lead" else None,
    )  # fmt: skip
    if marketing:
        _note_letter(context, int(step["campaign"]), key, person_id, mail_id, letter.to)
    return Done(f"E-mail “{letter.subject[:80]}”")


def _note_letter(context: Context, campaign_id: int, key: str, person_id: int, mail_id: int, address: str) -> None:
    """The member has this letter as the last one, for complaints about it; a launched campaign's own letter stays theirs."""
    mine = and_(_MEMBERS.c.campaign_id == campaign_id, _MEMBERS.c[f"{key}_id"] == person_id, _MEMBERS.c.due_at.is_(None))
    context.session.execute(update(_MEMBERS).where(mine).values(mail_id=mail_id, address=address[:254]))
    db.bump(context.session, _MEMBERS.name)


def ended(context: Context, flow: flow_rules.Flow, since: datetime) -> str:
    """``over``, with what waits in the outbox called back: news and offers. Mail about business under way goes on, whatever the journey's end. Where the
    goal is reached, what the run wrote in the transaction that began at ``since`` is no leftover either."""
    if not (why := over(context, flow)):
        return ""
    news = outbox.MAIL.c.purpose.is_not(None)
    mine = and_(news, outbox.MAIL.c.created_at < since) if why == _GOAL else news
    gone = outbox.recall(context.session, context.actor, f"{why}.", batch=context.batch, only=mine)
    told = "one waiting e-mail was called back" if len(gone) == 1 else f"{len(gone)} waiting e-mails were called back"
    return f"{why}; {told}" if gone else why


def over(context: Context, flow: flow_rules.Flow) -> str:
    """Why a run ends before its next step, whatever that is: the goal is reached, or the person left. "" while it goes on."""
    if flow.get("goal") and matches(context, flow["goal"]):
        return _GOAL
    return _left(context, flow)


def _left(context: Context, flow: flow_rules.Flow) -> str:
    """Why somebody is out of a journey that writes news and offers, whatever its next step is: "" while they are in it."""
    news = any(step.get("purpose") == "marketing" and step.get("kind") == "mail" for step, _ in flow_rules.walk(flow["steps"]))
    person = context.person() if news else None
    why = consent.taken_back(context.session, context.actor, *person) if person is not None else None
    return f"Left the automation: {_OWN_WORD[why]}" if why is not None else ""


def _inside(context: Context, step: Step, key: str, person_id: int) -> frozenset[int]:
    """In which of the segments that the letter asks for they are."""
    asked = letter_rules.segments_in(str(step["body"]))
    return letters.inside_of(context.session, context.actor, key, [person_id], asked)[person_id] if asked else frozenset()


def _letter(context: Context, step: Step, key: str, person_id: int, marketing: bool, inside: frozenset[int]) -> letters.Letter:
    theirs = letters.values_of(context.session, context.actor, key, [person_id])[person_id]
    values = letters.seen(context.actor, key, theirs)  # a letter falls back on other words; its reader never meets a trace
    if step.get("promotion") and letter_rules.shows_coupon(str(step["subject"]), str(step["body"]), inside):
        campaign = int(step["campaign"]) if marketing else None
        drawn = promotion_codes.draw(context.session, int(step["promotion"]), key, [person_id], campaign_id=campaign)
        values[letter_rules.COUPON] = drawn[person_id]
    variant = CampaignVariant(campaign_id=0, key="A", subject=str(step["subject"]), body=str(step["body"]))
    if not marketing:
        values |= _own_fields(context, values)
    if marketing:
        campaign_id = int(step["campaign"])
        member = _member(context, campaign_id, key, person_id)
        mark = letters.Postmark(settings().public_url.rstrip("/"), signing.ensure(context.session), member, {}, letters.today())
        postal = context.session.execute(select(OutreachRules.postal_address)).scalar() or ""  # type: ignore[call-overload]
        return letters.compose(variant, values, mark, postal, inside)
    return letters.plain(variant.subject, variant.body, values, inside)


def _own_fields(context: Context, values: Mapping[str, str]) -> dict[str, str]:
    """What letters from one to one put in: who writes is the customer's contact person here, or else whoever the automation acts for."""
    given = {"agent": values.get("owner") or context.actor.name}
    about = {key: str(getattr(context.record, key, "") or "") for key in ("number", "subject")}
    return given | (about if context.entity == "ticket" else {})


def _known(session: Session, actor: Actor, flow: flow_rules.Flow, step: Step) -> list[str]:
    """Fields that a letter of this step may put in."""
    use = LetterUse.SERVICE if flow.get("entity") == "ticket" else LetterUse.SALES
    own = templates.OWN_FIELDS[use] if step.get("purpose") != "marketing" else {}
    return [*letters.fields(session, actor), letter_rules.COUPON, *own]


def _member(context: Context, campaign_id: int, key: str, person_id: int) -> int:
    campaigns.add_members(context.session, context.actor, campaign_id, key, [person_id])
    found = select(_MEMBERS.c.id).where(_MEMBERS.c.campaign_id == campaign_id, _MEMBERS.c[f"{key}_id"] == person_id)
    return int(context.session.execute(found).scalar_one())


def _mail_problem(session: Session, actor: Actor, flow: flow_rules.Flow, step: Step) -> str:
    body = str(step.get("body") or "")
    if actor.masked("lead" if flow.get("entity") == "lead" else "contact", "email"):
        return "Your role does not see e-mail addresses, so an automation of yours can't write to people."
    flaws = letter_rules.flaws(str(step.get("subject") or ""), body, _known(session, actor, flow, step))
    flaws += letters.part_flaws(session, actor, body)
    stopping = next((flaw.words for flaw in flaws if flaw.stops), "")
    if stopping:
        return stopping
    if letter_rules.COUPON in letter_rules.used_fields(str(step.get("subject") or ""), body) and not step.get("promotion"):
        return "{{coupon}} stands for a discount code: choose the promotion that it comes from."
    if step.get("promotion") and (spent := promotion_codes.usable(session, int(step["promotion"]), in_time=True)):
        return spent
    if step.get("purpose") == "marketing":
        if not step.get("campaign"):
            return "News and offers belong to a campaign, so that people can unsubscribe and results are counted. Choose one."
        if not settings().public_url:
            return "News and offers need RAPPORT_PUBLIC_URL, so that their unsubscribe links lead here."
        return _campaign_problem(session, actor, flow, step)
    return ""


def _join(context: Context, step: Step) -> Result:
    person = context.person()
    if person is None:
        return Skipped("Nobody to add: the record has no contact")
    new, _ = campaigns.add_members(context.session, context.actor, int(step["campaign"]), person[0], [person[1]])
    return Done("Added to the campaign") if new else Skipped("Is in the campaign already")


def _leave(context: Context, step: Step) -> Result:
    person = context.person()
    if person is None:
        return Skipped("Nobody to take out: the record has no contact")
    campaign_id = int(step["campaign"])
    mine = and_(_MEMBERS.c.campaign_id == campaign_id, _MEMBERS.c[f"{person[0]}_id"] == person[1])
    member = context.session.execute(select(_MEMBERS.c.id, _MEMBERS.c.step).where(mine, campaigns.inside(_MEMBERS))).first()
    if member is None:
        return Skipped("Is not in the campaign")
    if member.step is None:
        campaigns.remove_members(context.session, context.actor, campaign_id, [member.id])
        return Done("Taken out of the campaign")
    if campaigns.leave_out(context.session, context.actor, campaign_id, [member.id]):
        return Done("Gets no message of the campaign any more")
    return Skipped("Was addressed, held out or left out already")


def _campaign_problem(session: Session, actor: Actor, flow: flow_rules.Flow, step: Step) -> str:
    try:
        campaigns.get(session, actor, int(step.get("campaign") or 0))
    except CrmError:
        return "Choose a campaign."
    return ""


def _enter(context: Context, step: Step) -> Result:
    new, _ = segment_members.add(context.session, context.actor, int(step["segment"]), [context.record.id])
    return Done("Put into the segment") if new else Skipped("Is in the segment already")


def _quit(context: Context, step: Step) -> Result:
    gone = segment_members.remove(context.session, context.actor, int(step["segment"]), [context.record.id])
    return Done("Taken out of the segment") if gone else Skipped("Is not in the segment")


def _segment_problem(session: Session, actor: Actor, flow: flow_rules.Flow, step: Step) -> str:
    found = session.get(Segment, int(step.get("segment") or 0))
    if found is None or found.deleted_at is not None or found.entity.value != flow["entity"] or found.kind.value != "static":
        return f"Choose a static segment of {entity(flow['entity']).plural.lower()}."
    return ""


def _mail_words(step: Step, names: Names) -> str:
    news = f" (news and offers of {names.of('campaign', step.get('campaign'))})" if step.get("purpose") == "marketing" else ""
    code = f" with a code of {names.of('promotion', step['promotion'])}" if step.get("promotion") else ""
    return f"Send the e-mail “{step.get('subject') or '…'}”{news}{code}"


_PEOPLE = ("contact", "lead", "deal", "ticket", "order")
_CAMPAIGN = (Param("campaign", "Campaign", "campaign", required=True),)
_SEGMENT = (Param("segment", "Segment", "segment", required=True),)

STEPS = (
    StepKind(
        "mail", "Send an e-mail", "mail", 15, _mail, _mail_words,
        (
            Param("purpose", "It is", "choice", default="service", options=PURPOSES),
            Param("campaign", "Campaign it counts for", "campaign", only=("purpose", "marketing")),
            Param("template", "Begin with a letter that is kept", "letter"),
            Param(
                "promotion", "Discount codes of", "promotion", choices=promotion_codes.choices,
                help="Write {{coupon}} where the code should stand. Each person gets one code, the same in every letter of this promotion",
            ),
            Param("subject", "Subject", "template", required=True, max_length=150),
            Param("body", "Letter", "long", required=True, max_length=letter_rules.MAX_BODY),
        ),
        entities=_PEOPLE, problem=_mail_problem, mails=True,
    ),
    StepKind(
        "join", "Add to a campaign", "campaign", 60, _join, lambda step, names: f"Add to the campaign {names.of('campaign', step.get('campaign'))}",
        _CAMPAIGN, entities=_PEOPLE, problem=_campaign_problem,
    ),
    StepKind(
        "leave", "Take out of a campaign", "campaign", 62, _leave,
        lambda step, names: f"Take out of the campaign {names.of('campaign', step.get('campaign'))}", _CAMPAIGN, entities=_PEOPLE,
        problem=_campaign_problem,
    ),
    StepKind(
        "enter", "Put into a segment", "groups_3", 64, _enter,
        lambda step, names: f"Put into the segment {names.of('segment', step.get('segment'))}", _SEGMENT, entities=("contact", "account", "lead"),
        problem=_segment_problem,
    ),
    StepKind(
        "quit", "Take out of a segment", "groups_3", 66, _quit,
        lambda step, names: f"Take out of the segment {names.of('segment', step.get('segment'))}", _SEGMENT, entities=("contact", "account", "lead"),
        problem=_segment_problem,
    ),
)  # fmt: skip
