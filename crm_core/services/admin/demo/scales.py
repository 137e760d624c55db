"""How large the demo company is, and what was planted in it, so that an analysis can be checked against the truth."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sizes:
    """Rows per table. Orders include those of won deals, lines likewise; all of these are met exactly."""

    reps: int
    agents: int
    marketers: int
    accounts: int
    contacts: int
    leads: int
    deals: int
    orders: int
    lines: int
    tickets: int
    campaigns: int
    touchpoints: int
    activities: int
    tasks: int


SIZES = {
    "small": Sizes(6, 3, 2, 60, 140, 90, 150, 700, 3_200, 140, 8, 1_600, 520, 80),
    "medium": Sizes(14, 6, 3, 800, 1_200, 600, 2_500, 10_000, 48_000, 2_000, 16, 14_000, 6_000, 700),
    "large": Sizes(60, 24, 8, 80_000, 120_000, 50_000, 200_000, 1_000_000, 5_000_000, 200_000, 40, 1_000_000, 400_000, 60_000),
}
"""Small fits a first look; large has 200,000 customers (companies and people)."""


@dataclass(frozen=True)
class Kind:
    """A planted kind of customer. ``share`` of all accounts; ``orders_per_year``, ``lines_per_order``, ``leaves_per_year`` on average."""

    share: float
    orders_per_year: float
    lines_per_order: float
    leaves_per_year: float
    discounts: tuple[float, float, float]
    """Chance of 0, 5 and 10 % discount on a line."""


@dataclass(frozen=True)
class Truth:
    """What was planted. Effects are log-odds unless the name says otherwise."""

    kinds: dict[str, Kind] = field(
        default_factory=lambda: {
            "speciality": Kind(0.30, 11.0, 7.0, 0.10, (0.85, 0.10, 0.05)),
            "hospitality": Kind(0.25, 7.0, 5.5, 0.12, (0.60, 0.25, 0.15)),
            "office": Kind(0.25, 4.0, 3.5, 0.18, (0.30, 0.40, 0.30)),
            "occasional": Kind(0.20, 1.2, 2.2, 0.35, (0.95, 0.05, 0.00)),
        }
    )
    prospect_share: float = 0.25
    rule_order_share: float = 0.06
    rule_confidence: float = 0.7
    trouble_share: float = 0.18
    trouble_hazard_factor: float = 4.0
    monthly_hazard_factor: float = 1.8
    win_base: float = -0.55
    win_effects: dict[str, float] = field(default_factory=lambda: {"source=Referral": 0.9, "committee size": 0.35, "discount": 0.0})
    lead_effects: dict[str, float] = field(
        default_factory=lambda: {"source=Referral": 1.1, "source=Paid search": -0.9, "job title": 0.0}
    )
    channel_effects: dict[str, float] = field(
        default_factory=lambda: {
            "event": 0.8, "email": 0.5, "paid_search": 0.3, "referral": 0.6, "organic": 0.1, "social": 0.0, "display": 0.0, "direct": 0.0,
        }
    )  # fmt: skip
    campaign_base_rate: float = 0.08
    campaign_lift: float = 0.05
    campaign_control_share: float = 0.2
    letter_base_rate: float = 0.10
    letter_lift: float = 0.30
    letter_control_share: float = 0.4
    """One finished campaign addressed everybody by letter, with a lift that even the small company shows."""


def truth() -> Truth:
    """What every demo company has in it, whatever its scale and seed."""
    return Truth()
