"""Letters that the demo company keeps: for campaigns, after a talk, for answers."""

from datetime import timedelta

from sqlmodel import Session

from crm_core.kit.clock import utcnow
from crm_core.models import LetterTemplate
from crm_core.vocabulary import LetterUse, Visibility

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
