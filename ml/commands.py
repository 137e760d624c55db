"""What the command line can do: one `Command` per method, with the columns it expects and the options it takes."""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ml import command_models as models
from ml import command_runs as runs
from ml.command_files import Result, Tell
from ml.contracts import CUSTOMERS, ORDER_LINES, ORDERS, PATHS, SERIES, TOUCHPOINTS, Contract


@dataclass(frozen=True)
class Option:
    """One ``--name`` of a command; `kind` reads its text, `many` splits it at commas."""

    name: str
    help: str
    kind: Callable[[str], Any] = str
    default: Any = None
    required: bool = False
    many: bool = False
    flag: bool = False


@dataclass(frozen=True)
class Command:
    """One method.

    Attributes
    ----------
    name, summary
        How it is called, and what it answers.
    expects
        The columns of ``--data``: a contract, or words; None for a command without data.
    run
        Takes the data, the options and a progress callback.
    options
        Its own options.
    """

    name: str
    summary: str
    expects: Contract | str | None
    run: Callable[[pd.DataFrame, Namespace, Tell], Result]
    options: tuple[Option, ...]

    @property
    def columns(self) -> str:
        """The columns expected, as a block of text."""
        if self.expects is None:
            return ""
        return self.expects.help if isinstance(self.expects, Contract) else f"Columns of --data: {self.expects}"


# A table is read by columns; the formatter would give it one word per line.
# fmt: off
AS_OF = Option("as-of", "look at the data as it was on this day; nothing later is used", required=True)
SEED = Option("seed", "seed of all chance", int, 0)
LEVEL = Option("level", "confidence level of the intervals", float, 0.95)
EXCLUDE = Option("exclude", "products to leave out, such as postage", many=True, default=[])
BASKET = Option("basket", "product ids at hand", many=True, default=[])
ORDER = Option("order", "touches that a Markov state remembers", int, 1)
Y = Option("y", "column with the outcome", required=True)
X = Option("x", "columns to explain it by; a:b is an interaction", many=True, required=True)
SUPPORT = (
    Option("min-support", "smallest share of the baskets, such as .005", float),
    Option("min-count", "smallest number of baskets", int),
    Option("max-len", "most products per set", int),
    EXCLUDE,
)
SNAPSHOT = "one row per case as it was when scored: the outcome, the instant, and what was known then"
SNAPSHOT_OPTIONS = (
    Option("outcome", "column with the outcome, 0 or 1", required=True),
    Option("at", "column with the instant each row was frozen at"),
    Option("spend", "column with what was spent by those who converted"),
    Option("id", "column that identifies the customer or lead"),
    Option("features", "columns to learn from; default: all others", many=True, default=[]),
    Option("outcome-at", "column with the instant of the outcome"),
    Option("as-of", "ignore rows frozen later"),
    Option("no-time-split", "judge on random folds instead of the latest rows", flag=True),
    SEED,
)

COMMANDS: tuple[Command, ...] = (
    Command("rfm", "recency, frequency, monetary value and the eleven segments", ORDERS, models.rfm, (
        AS_OF, Option("bins", "parts per score", int, 5),
    )),
    Command("clusters", "customer segments, as many as stay stable", CUSTOMERS, models.clusters, (
        Option("k", "number of segments, or auto", default="auto"),
        Option("refits", "redraws that judge the stability", int, 30),
        Option("min-share", "smallest share of a segment", float, 0.02),
        SEED,
    )),
    Command("personas", "who the segments are", CUSTOMERS, models.personas, (
        Option("labels", "column of --data with each customer's segment", required=True),
        Option("held-out", "columns not to describe by, to test usefulness", many=True, default=[]),
        Option("orders", "file of ORDERS or ORDER_LINES with customers"),
        Option("touchpoints", "file of TOUCHPOINTS"),
        Option("as-of", "look at orders and touches up to this day"),
        SEED,
    )),
    Command("itemsets", "products that stand together in many baskets", ORDER_LINES, runs.itemsets, SUPPORT),
    Command("rules", "who buys A also buys C, and whether it holds on later baskets", ORDER_LINES, runs.rules, (
        *SUPPORT,
        Option("min-confidence", "smallest share of A's baskets with C", float, 0.0),
        Option("holdout", "share of the latest baskets to confirm on", float),
        Option("multi-consequents", "let C be several products", flag=True),
        LEVEL,
    )),
    Command("recommend", "what to suggest for a basket", ORDER_LINES, runs.recommend, (
        BASKET, Option("n", "how many", int, 5), EXCLUDE,
        Option("method", "ease, confidence, cosine or popularity", default="ease"),
    )),
    Command("recommenders", "which way of suggesting is right most often", ORDER_LINES, runs.recommenders, (
        Option("split-at", "learn before: a share of the orders, or a date", default="0.8"),
        Option("k", "suggestions made", int, 5),
        SEED,
    )),
    Command("upsell", "dearer products of the same category", ORDER_LINES, runs.upsell, (
        Option("products", "file with product_id, category, unit_price", required=True),
        BASKET, Option("n", "offers per product", int, 3),
        Option("max-ratio", "an offer costs at most so many times the product", float, 2.5),
        Option("min-count", "baskets an offer was bought in", int, 20),
    )),
    Command("forecast", "the next periods, by the method that rehearsed best", SERIES, models.forecast, (
        Option("horizon", "periods ahead", int, required=True),
        Option("freq", "frequency, when it cannot be read off"),
        Option("methods", "methods to try", many=True, default=["prophet", "ets", "theta", "seasonal_naive"]),
        Option("choose", "best, or the name of a method", default="best"),
        Option("holidays", "country whose holidays to try, such as DE"),
        Option("level", "coverage of the interval", float, 0.8),
        SEED,
    )),
    Command("paths", "journeys from touches and conversions", TOUCHPOINTS, runs.paths, (
        Option("conversions", "file of CONVERSIONS", required=True),
        Option("lookback-days", "window before a conversion", float, required=True),
        Option("collapse-direct", "channel of direct visits, dropped where there is another"),
        Option("no-nulls", "leave out journeys that did not convert", flag=True),
        Option("as-of", "ignore everything later"),
    )),
    Command("attribution", "credit per channel by nine models, with intervals", PATHS, runs.attribution, (
        Option("models", "models to compare; default: all nine", many=True, default=[]),
        ORDER,
        Option("bootstrap", "draws for the intervals", int, 200),
        Option("costs", "file of TOUCHPOINTS with cost"),
        LEVEL, SEED,
    )),
    Command("removal-effects", "conversions lost without a channel, by the Markov chain", PATHS, runs.removal, (ORDER,)),
    Command("path-auc", "how well the chain knows a journey that will convert", PATHS, runs.path_auc, (ORDER, SEED)),
    Command("lead-score", "chance to convert per lead, if the data can tell", SNAPSHOT, models.lead_score, SNAPSHOT_OPTIONS),
    Command("churn", "chance to leave per contract, with survival curves", SNAPSHOT, models.churn, (
        *SNAPSHOT_OPTIONS,
        Option("tenure", "column with the age of the contract"),
        Option("group", "column to compare survival by"),
    )),
    Command("survival", "share still there by age (Kaplan–Meier)", "an age and whether it ended", models.survival, (
        Option("duration", "column with the age", required=True),
        Option("ended", "column with 1 where it ended, 0 where it still runs", required=True),
        Option("group", "column to compare by"),
        LEVEL,
    )),
    Command("retention", "share of each cohort that comes back", "customer_id and an instant", models.retention, (
        AS_OF, Option("at", "column with the instant", default="at"),
        Option("period", "month, week or quarter", default="month"),
        LEVEL,
    )),
    Command("lifetime", "expected purchases and value per customer", ORDERS, models.lifetime, (
        AS_OF, Option("unit", "day, week or month", default="week"),
        Option("months", "how far ahead", int, 12),
        Option("discount-rate", "per year", float, 0.1),
        Option("margin", "share of revenue that stays", float, 1.0),
        Option("split-at", "instead: judge the models on what happened after this day"),
    )),
    Command("linear", "linear regression in numbers and sentences", "those named by --y and --x", runs.linear, (
        Y, X, Option("classical", "classical instead of robust standard errors", flag=True), LEVEL,
    )),
    Command("logistic", "logistic regression in odds and sentences", "those named by --y and --x", runs.logistic, (
        Y, X, Option("positive", "the value whose odds are modelled"), LEVEL,
    )),
    Command("rate", "a share with its Wilson interval", None, runs.rate, (
        Option("numerator", "cases with", int, required=True),
        Option("denominator", "cases", int, required=True),
        LEVEL,
    )),
    Command("xmr", "is a change signal or noise?", SERIES, runs.xmr, (
        Option("baseline", "points that set the limits; default: all", int),
    )),
    Command("funnel", "can groups be told apart from chance?", "a group and a success, 0 or 1", runs.funnel, (
        Option("by", "column with the group", required=True),
        Option("success", "column with 0 or 1", required=True),
        LEVEL,
    )),
    Command("compare", "did a figure change between two periods?", "one row per case of the earlier period", runs.compare, (
        Option("after", "file of the later period", required=True),
        Option("column", "column to compare", required=True),
        LEVEL,
    )),
    Command("uplift", "what a campaign changed, against its hold-out", "a group and an outcome", runs.uplift, (
        Option("group", "column with the group", default="group"),
        Option("outcome", "column with the outcome", required=True),
        Option("treated", "name of the treated group", default="treated"),
        Option("control", "name of the hold-out", default="control"),
        Option("power", "chance to detect the effect", float, 0.8),
        Option("effect", "smallest effect worth finding", float),
        LEVEL,
    )),
    Command("calibration", "are predicted chances true?", "the outcome, 0 or 1, and the chance", runs.calibration, (
        Option("outcome", "column with 0 or 1", required=True),
        Option("probability", "column with the chance", required=True),
        Option("bins", "parts", int, 10),
        LEVEL,
    )),
    Command("synthetic", "a made-up company whose truth is known, as CSV files", None, runs.synthetic, (
        Option("folder", "where to write", required=True),
        Option("scale", "small, medium, large or a number of customers", default="small"),
        SEED,
    )),
)
# fmt: on
