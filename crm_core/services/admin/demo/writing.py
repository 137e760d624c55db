"""Letters that the demo company keeps, and a campaign that is being planned: an open day, by e-mail to many and with a guest list of regulars."""

from datetime import timedelta

from sqlmodel import Session, col, select

from crm_core.access import load
from crm_core.kit.clock import utcnow
from crm_core.models import Campaign, LetterTemplate, Segment
from crm_core.services.marketing import plans, ways
from crm_core.vocabulary import CampaignStatus, LetterUse, Outlet, Visibility

_LETTERS = (
    (
        LetterUse.MARKETING, "marketer", "Invitation to taste", "For regulars, before a new harvest is in the shop", 6,
        "{{first_name|Hello}}, taste the new season first",
        "Hello {{first_name|there}},\n\nthe new harvest is here, and {{company|you}} can taste it before anybody else: [order a sample](https://www.fjordandbean.example/samples).\n\nKind regards\n{{owner|The team}}",
    ),
    (
        LetterUse.MARKETING, "marketer", "We have missed you", "For who bought nothing for half a year", 2,
        "Your coffee is waiting, {{first_name|there}}",
        "Hello {{first_name|there}},\n\nit has been a while. [Come back](https://www.fjordandbean.example/welcome-back), and the first parcel travels free.\n\nKind regards\n{{owner|The team}}",
    ),
    (
        LetterUse.SALES, "sales_rep", "After the first talk", "The same day, while they remember", 11, "Our talk today",
        "Hello {{first_name|there}},\n\nthank you for your time today. What we agreed on:\n\n- samples of three roasts reach {{company|you}} this week\n- I send an offer for the machines\n\nDoes next Tuesday suit you for the tasting?\n\nKind regards\n{{agent|}}",
    ),
    (
        LetterUse.SALES, "sales_rep", "Gentle reminder of the offer", "A week of silence after an offer", 7, "Your offer",
        "Hello {{first_name|there}},\n\nI only want to know whether everything about the offer is clear. A short word is enough, also a no.\n\nKind regards\n{{agent|}}",
    ),
    (
        LetterUse.SERVICE, "support_agent", "How to descale", "Most questions about weak coffee end here", 9, "",
        "Hello {{first_name|there}},\n\nthat sounds like lime. Please run the descaling once:\n\n- fill the tank with the descaler\n- press both buttons for three seconds\n- rinse twice with fresh water\n\nIf it does not help, answer to {{number|this message}} and we look further.\n\nKind regards\n{{agent|}}",
    ),
)  # fmt: skip


def add(session: Session, people: dict[str, int]) -> None:
    """Write the letters, each owned by somebody of its trade."""
    now = utcnow()
    for use, role, name, about, used, subject, body in _LETTERS:
        session.add(
            LetterTemplate(
                use=use, name=name, about=about, subject=subject, body=body, visibility=Visibility.SHARED, owner_id=people.get(role), used_count=used,
                used_at=now - timedelta(days=used),
            )
        )  # fmt: skip
    session.flush()


_PARTS = """Hello {{{{first_name|there}}}},

the roastery opens its doors: taste what comes next, and meet who roasts it. [Save a place](https://www.fjordandbean.example/open-day)

{{{{#only {regulars} Coffee regulars}}}}
As a regular you may come an hour before everybody else.
{{{{/only}}}}

{{{{#except {regulars} Coffee regulars}}}}
Bring a friend: the first cup is on us.
{{{{/except}}}}

Kind regards
{{{{owner|The team}}}}"""


def plan(session: Session, people: dict[str, int]) -> None:
    """Plan the campaign that is still a draft: two ways, each with people of its own, and a letter with a part for regulars."""
    actor = load(session, people["marketer"])
    found = {one.name: one.id for one in session.exec(select(Segment))}
    drafted = select(Campaign.id).where(Campaign.status == CampaignStatus.DRAFT).order_by(col(Campaign.id).desc())
    campaign_id = session.exec(drafted).first()
    if campaign_id is None:
        return
    regulars, quiet = found["Coffee regulars"], found["Gone quiet"]
    plans.save(session, actor, campaign_id, {"segment_ids": [regulars, quiet], "holdout_pct": 10})
    plans.stored(session, actor, campaign_id).seed = 4711
    ways.choose(session, actor, campaign_id, [Outlet.EMAIL, Outlet.EVENT])
    ways.change(session, actor, campaign_id, Outlet.EVENT, {"segment_ids": [regulars], "exclude_ids": []})
    plans.set_variants(
        session,
        actor,
        campaign_id,
        [{"subject": "{{first_name|Hello}}, come and taste with us", "body": _PARTS.format(regulars=regulars)}],
    )
    session.flush()
