"""What a code takes off, when it may be used, and how codes look. Pure.

Codes hold no letters and digits that people mix up (I, L, O, 0, 1), so that one can be read aloud and typed from paper.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from crm_core.vocabulary import CodeKind, EndReason, PromotionEffect, PromotionState

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
LENGTH = 8
"""So many characters are drawn for a single code: a guess hits one of a million codes once in 850,000 tries."""
_CODE = re.compile(r"[A-Z0-9](?:[A-Z0-9-]{0,22}[A-Z0-9])?")
SHORTEST = 3
NEXT: Mapping[PromotionState, tuple[PromotionState, ...]] = {
    PromotionState.DRAFT: (PromotionState.RUNNING,),
    PromotionState.RUNNING: (PromotionState.PAUSED, PromotionState.ENDED),
    PromotionState.PAUSED: (PromotionState.RUNNING, PromotionState.ENDED),
    PromotionState.ENDED: (PromotionState.RUNNING,),
}


def normal(code: Any) -> str:
    """A code as it is kept and compared: capitals, no blanks."""
    return re.sub(r"\s+", "", str(code or "")).upper()


def new_code(start: str = "") -> str:
    """A code that nobody can guess: ``SPRING-7KM3-9QXA``."""
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    parts = (drawn[: LENGTH // 2], drawn[LENGTH // 2 :])
    return "-".join((start, *parts) if start else parts)


def problems(promotion: Any, *, running: bool, today: date) -> dict[str, str]:
    """What is wrong with a promotion: field → sentence. ``running``: it is to take orders."""
    wrong: dict[str, str] = {}
    if promotion.code and (not _CODE.fullmatch(promotion.code) or len(promotion.code) < SHORTEST):
        wrong["code"] = "A code has 3 to 24 letters and digits, and hyphens between them: SPRING26."
    if promotion.starts_on and promotion.ends_on and promotion.ends_on < promotion.starts_on:
        wrong["ends_on"] = "The promotion can't end before it starts."
    if promotion.product_id and promotion.category_id:
        wrong["category_id"] = "Choose a product or a category, not both."
    if running:
        wrong = {**_unready(promotion, today), **wrong}
    return wrong


def _unready(promotion: Any, today: date) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if promotion.effect is PromotionEffect.PERCENT and not promotion.percent_off:
        wrong["percent_off"] = "Say how many percent it takes off."
    if promotion.effect is PromotionEffect.AMOUNT and not promotion.amount_off_minor:
        wrong["amount_off_minor"] = "Say how much it takes off."
    if promotion.code_kind is CodeKind.SHARED and not promotion.code:
        wrong["code"] = "Everybody types the same code: say which."
    if promotion.ends_on and promotion.ends_on < today:
        wrong["ends_on"] = "Its last day has passed. Choose a later one."
    over = exhausted(promotion)
    if over is EndReason.COUNT:
        wrong["max_redemptions"] = "All its redemptions are used up. Allow more."
    if over is EndReason.BUDGET:
        wrong["budget_minor"] = "Its budget is spent. Raise it."
    return wrong


# --- money ------------------------------------------------------------------------------------------------------------------


def amount_off(promotion: Any, base: int) -> int:
    """What it takes off products that come to ``base``, in minor units; never more than they cost."""
    if promotion.effect is PromotionEffect.AMOUNT:
        return min(base, int(promotion.amount_off_minor or 0))
    share = Decimal(base) * Decimal(str(promotion.percent_off or 0)) / 100
    return min(base, int(share.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)))


def shares(parts: Sequence[int], whole: int) -> list[int]:
    """``whole`` dealt out over the parts in proportion to them, to the last cent, and never more than a part."""
    total, passed, before, dealt = sum(parts), 0, 0, []
    for part in parts:
        passed += part
        now = whole * passed // total if total else 0
        dealt.append(now - before)
        before = now
    return dealt


def concerns(promotion: Any, product_id: int | None, categories: Mapping[int, int | None]) -> bool:
    """Whether a line is part of the promotion. ``categories``: product → its category."""
    if promotion.product_id:
        return product_id == promotion.product_id
    if promotion.category_id:
        return product_id is not None and categories.get(product_id) == promotion.category_id
    return True


def left_of(promotion: Any) -> int | None:
    """What the budget still holds; None where there is no budget."""
    return None if promotion.budget_minor is None else max(0, promotion.budget_minor - promotion.spent_minor)


def exhausted(promotion: Any) -> EndReason | None:
    """Why no further order fits: no redemption is left, or less money than the smallest discount."""
    if promotion.max_redemptions is not None and promotion.redeemed_count >= promotion.max_redemptions:
        return EndReason.COUNT
    left = left_of(promotion)
    return EndReason.BUDGET if left is not None and left < _least(promotion) else None


def _least(promotion: Any) -> int:
    if promotion.effect is PromotionEffect.AMOUNT:
        return max(1, int(promotion.amount_off_minor or 0))
    return max(1, amount_off(promotion, int(promotion.min_order_minor or 0)))


# --- may it be used ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Words:
    """How a day and an amount are written for the reader."""

    day: Any
    money: Any


def refusal_by_time(promotion: Any, today: date, words: Words) -> str:
    """Why a promotion takes no orders today; "" when it does."""
    if promotion.deleted_at is not None or promotion.state is PromotionState.DRAFT:
        return "The promotion of this code is not running."
    if promotion.starts_on and today < promotion.starts_on:
        return f"This code is valid from {words.day(promotion.starts_on)}."
    if promotion.ends_on and today > promotion.ends_on:
        return f"This code was valid until {words.day(promotion.ends_on)}."
    if promotion.state is PromotionState.PAUSED:
        return "The promotion of this code is paused."
    if promotion.state is PromotionState.ENDED:
        return f"The promotion of this code takes no more orders: {(promotion.ended_because or EndReason.HAND).label}."
    return ""


def refusal_by_money(promotion: Any, whole: int, base: int, words: Words) -> str:
    """Why this order gets nothing off; ``whole``: all its products, ``base``: those that are part of the promotion. "" when it does."""
    if promotion.min_order_minor and whole < promotion.min_order_minor:
        return f"The products come to {words.money(whole)}; this code needs at least {words.money(promotion.min_order_minor)}."
    amount = amount_off(promotion, base)
    if amount <= 0:
        return "Nothing on this order is part of the promotion."
    return over_budget(promotion, amount, words)


def over_budget(promotion: Any, amount: int, words: Words) -> str:
    """Why ``amount`` more does not fit into the budget; "" when it does."""
    over, left = exhausted(promotion), left_of(promotion)
    if over is EndReason.COUNT:
        return "This code was used as often as it may be."
    if over is EndReason.BUDGET or left == 0:
        return "The budget of this promotion is spent."
    if left is not None and amount > left:
        return f"This order would get {words.money(amount)} off, and the promotion's budget has only {words.money(left)} left."
    return ""


def in_words(promotion: Any, words: Words) -> str:
    """The terms in one line: ``20% off · from $50 · until Mar 31, 2026``."""
    if promotion.effect is PromotionEffect.PERCENT:
        parts = [f"{promotion.percent_off:g}% off" if promotion.percent_off else "percent off not set yet"]
    else:
        parts = [f"{words.money(promotion.amount_off_minor)} off" if promotion.amount_off_minor else "amount off not set yet"]
    if promotion.min_order_minor:
        parts.append(f"orders from {words.money(promotion.min_order_minor)}")
    if promotion.starts_on and promotion.ends_on:
        parts.append(f"{words.day(promotion.starts_on)} – {words.day(promotion.ends_on)}")
    elif promotion.starts_on or promotion.ends_on:
        parts.append(f"from {words.day(promotion.starts_on)}" if promotion.starts_on else f"until {words.day(promotion.ends_on)}")
    return " · ".join(parts)
