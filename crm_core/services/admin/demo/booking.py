"""The booking page of the demo company: of two people of its sales, in turn."""

from sqlmodel import Session

from crm_core.models import BookingPage
from crm_core.services.admin.demo.staff import with_role
from crm_core.vocabulary import BookingPlace

SLUG = "demo-product-tour"


def add(session: Session, timezone: str) -> None:
    """One page, clearly of the made-up company."""
    ids = with_role(session, "sales_rep", 2)
    if not ids:
        return
    session.add(
        BookingPage(
            name="A tour of our products", slug=SLUG, owner_id=ids[0], host_ids=ids, minutes=30, step_minutes=30, after_minutes=15, notice_hours=4,
            ahead_days=30, timezone=timezone, place=BookingPlace.PHONE,
            intro="This is the booking page of the made-up company of the demo: try it, nobody will call you.",
            questions=[{"label": "What would you like to see?", "required": False}],
        )
    )  # fmt: skip
    session.flush()
