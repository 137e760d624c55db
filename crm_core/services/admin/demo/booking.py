"""The booking page of the demo company: of two people of its sales, in turn."""

from sqlmodel import Session, col, select

from crm_core.models import BookingPage, Role, User, UserRole
from crm_core.vocabulary import BookingPlace

SLUG = "demo-product-tour"


def add(session: Session, timezone: str) -> None:
    """One page, clearly of the made-up company."""
    reps = (
        select(User.id)
        .join(UserRole, col(UserRole.user_id) == User.id)
        .join(Role, col(Role.id) == UserRole.role_id)
        .where(Role.key == "sales_rep", User.is_active)
        .order_by(col(User.id))
    )
    ids = list(session.exec(reps.limit(2)))
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
