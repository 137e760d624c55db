"""Discount codes in steps: while their promotion is paused the run waits before the step; once it is over the step is left out."""

from datetime import timedelta

from crm_core.services.automation.steps.base import Context, Later, Skipped
from crm_core.services.sales import promotion_codes, promotions

LOOK_AGAIN = timedelta(minutes=5)
"""How soon after a promotion runs again the codes that waited for it go out, at the latest."""


def no_code(context: Context, promotion_id: int, instead: str) -> Later | Skipped | None:
    """Why nobody gets a code of a promotion now; None while it runs, which then stays so until this transaction ends. ``instead``: what is left
    out of the step."""
    why = promotion_codes.usable(context.session, promotion_id)
    if not why:
        promotions.locked(context.session, promotion_id)  # somebody may pause it at this moment
        why = promotion_codes.usable(context.session, promotion_id)
    if not why:
        return None
    if promotion_codes.paused(context.session, promotion_id) is not None:
        return Later(context.now + LOOK_AGAIN, "the promotion of its discount code, which is paused", open_end=True)
    return Skipped(f"{instead}: the promotion of its discount code is over")
