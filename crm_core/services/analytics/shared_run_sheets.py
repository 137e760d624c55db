"""Which parts a shared analysis of each kind has, in their order."""

from crm_core.services.analytics.methods.forecast import METHODS
from crm_core.services.analytics.methods.outlook import TITLES
from crm_core.services.analytics.shared_run_parts import Part, listed, spans, told
from crm_core.services.analytics.shared_run_specials import (
    cards_of,
    cohorts_of,
    costs_of,
    credits_of,
    drivers_of,
    expected_of,
    rules_of,
)

_SCORE: tuple[Part, ...] = (
    told("n", "Judged on", "whole", cases=True, note="records that it had not seen"),
    told("base_rate", "Base rate", "percent"),
    told("auc", "AUC", "two", note="0.5 is chance, 1 is certain"),
    told("top_decile_lift", "Best tenth", "times", note="times the base rate"),
    listed(
        "calibration", "Said and happened",
        (("predicted", "Said", "percent"), ("observed", "Happened", "percent"), ("low", "From", "percent"), ("high", "To", "percent"), ("n", "Records", "whole")),
        cases="n",
    ),
)  # fmt: skip

SHEETS: dict[str, tuple[Part, ...]] = {
    "attribution": (
        told("conversions", "Conversions", "whole", cases=True),
        told("value", "Value", "money", of="conversions"),
        told("journeys", "Journeys", "whole", cases=True),
        told("without_touch", "Without any touch", "whole", cases=True),
        credits_of,
        costs_of,
    ),
    "basket": (
        told("baskets", "Baskets", "whole", cases=True),
        told("products", "Products", "whole"),
        told("rules", "Rules", "whole"),
        told("holding", "Hold later", "whole"),
        rules_of,
    ),
    "churn": (
        told("customers", "Under contract", "whole", cases=True),
        told("expected", "Expected to leave", "whole", cases=True),
        told("at_stake", "At stake", "money", of="customers"),
        told("high", "At high risk", "whole", cases=True),
        spans("groups", "Leavers per hundred customer years", "group", "rate", "one", cases="customers"),
    ),
    "deal_score": _SCORE,
    "lead_score": _SCORE,
    "drivers": (told("rows", "Records", "whole", cases=True), drivers_of),
    "forecast": (
        told("total", "In all", "series", note="over the periods ahead"),
        expected_of,
        listed(
            "accuracy", "Methods in the rehearsals",
            (("method", "Method", ""), ("mase", "MASE", "two"), ("wape", "Off by", "percent"), ("coverage_calibrated", "Range held", "percent")),
            names=METHODS, note="MASE: error over that of repeating the last season, below 1 is better. Off by: all errors over all values.",
        ),
    ),
    "outlook": (
        spans("ways", "What to expect of the period", "way", "estimate", "money", names=TITLES, note="Lines: the range that held four of five past errors."),
        listed(
            "ways", "Each by its record",
            (("way", "Way", ""), ("estimate", "Expects", "money"), ("wape", "Off by", "percent"), ("bias", "Leans", "percent"), ("n", "Past periods", "whole")),
            names=TITLES, note="Leans: above zero it says too much.",
        ),
    ),
    "personas": (
        told("customers", "Customers", "whole", cases=True),
        told("personas", "Personas", "whole"),
        told("worst_jaccard", "Weakest keeps", "percent", note="of its customers when the data is redrawn"),
        cards_of,
    ),
    "segmentation": (
        told("customers", "Customers", "whole", cases=True),
        told("clusters", "Groups", "whole"),
        told("worst_jaccard", "Weakest keeps", "percent", note="of its customers when the data is redrawn"),
        told("revenue", "Revenue", "money", of="customers"),
        listed(
            "clusters", "Groups",
            (("name", "", ""), ("n", "Customers", "whole"), ("share", "Share", "percent"), ("revenue", "Revenue", "money"), ("revenue_share", "Of revenue", "percent")),
            cases="n",
        ),
        listed(
            "rfm_summary", "By recency, frequency, money",
            (("segment", "", ""), ("customers", "Customers", "whole"), ("share", "Share", "percent"), ("revenue", "Revenue", "money"), ("revenue_share", "Of revenue", "percent"), ("advice", "What to do", "")),
            cases="customers",
        ),
    ),
    "value": (
        told("customers", "Customers", "whole", cases=True),
        told("value", "Expected value", "money", of="customers"),
        told("at_stake", "At stake", "money", of="customers", note="risk × last 12 months"),
        told("high", "At high risk", "whole", cases=True),
        cohorts_of,
        listed("totals", "What it had said of the weeks held back", (("method", "Method", ""), ("predicted", "Purchases said", "whole"), ("error", "Off by", "percent"))),
    ),
}  # fmt: skip
"""Kind → parts. A kind without an entry shows its verdict alone; a part whose table or columns a run doesn't have is left out."""
