"""Parts of shared analyses that only one kind has: a chart that reads without pointing at it, the table beside it. Never single records."""

import json
import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from crm_core import format as fmt
from crm_core import lists
from crm_core.kit import numerals
from crm_core.kit.numerals import as_read
from crm_core.services.analytics import paper, paper_charts
from crm_core.services.analytics.segment_rules import readable
from crm_core.services.analytics.shared_run_parts import MOST, Draw, kept, left_out, paragraphs, small_print
from crm_core.services.analytics.suppression_rules import FLOOR, hidden

MODELS = {
    "first": "First", "last": "Last", "linear": "Linear", "position": "40/20/40", "time_decay": "Decay", "w": "W", "full_path": "Full path",
    "markov": "Markov", "shapley": "Shapley",
}  # fmt: skip


def costs_of(on: Draw) -> Markup | None:
    """What a conversion cost, of channels that touched none or enough of them."""
    frame, credits = on.frame("costs", "channel", "cost", "lowest", "highest"), on.frame("credits", "channel", "touched")
    if frame is None or credits is None:
        return None
    touched = frame["channel"].map(credits.groupby("channel")["touched"].max()).fillna(0)
    gone = hidden([int(one) for one in touched])
    rows = [row for n, row in enumerate(frame.to_dict("records")) if n not in gone]
    if not rows:
        return None
    cells = [
        [on.text(row["channel"], ""), *(on.text(row[key], "money") for key in ("cost", "lowest", "highest"))] for row in rows[:MOST]
    ]
    words = "By the model that gives most conversions, and by the one that gives fewest."
    made = paper_charts.table(["", "Cost", "Least", "Most"], cells) + small_print(left_out(len(gone))) + small_print(words)
    return paper.section("Cost per attributed conversion", made)


def credits_of(on: Draw) -> Markup | None:
    """Shares of the conversions: the spread over the models as a mark with its range, and every model beside it."""
    frame = on.frame("credits", "channel", "model", "share", "touched")
    if frame is None:
        return None
    wide = frame.pivot_table(index="channel", columns="model", values="share", aggfunc="first")
    models = [one for one in MODELS if one in wide.columns]
    wide["touched"] = frame.groupby("channel")["touched"].max()
    wide["middle"] = wide[models].median(axis=1)
    wide, gone = kept(wide.sort_values("middle", ascending=False).reset_index(), "touched")
    if wide.empty:
        return None
    rows = wide.head(MOST).to_dict("records")
    lows, highs = wide[models].min(axis=1).tolist(), wide[models].max(axis=1).tolist()
    marks = [
        (row["channel"], row["middle"], f"{on.text(low, 'percent')} to {on.text(high, 'percent')}", low, high)
        for row, low, high in zip(rows, lows, highs, strict=False)
    ]
    table = paper_charts.table(
        [str(on.run.params.get("level", "channel")).capitalize(), "Conversions it touched", *(MODELS[one] for one in models)],
        [[row["channel"], on.text(row["touched"], "whole"), *(on.text(row[one], "percent") for one in models)] for row in rows],
        heat=[[None, *(row[one] for one in models)] for row in rows],
    )
    words = "The line runs from the model that gives it least to the one that gives it most; the mark is the middle one."
    return paper.section("Share of the conversions", paper_charts.ranges(marks, note=words) + table + small_print(left_out(gone)))


def rules_of(on: Draw) -> Markup | None:
    """What is bought together: the rules that held on later baskets, by name."""
    frame = on.frame(
        "rules",
        "verdict",
        "count",
        "antecedents",
        "consequents",
        "confidence",
        "holdout_lift",
        "holdout_lift_low",
        "holdout_lift_high",
    )
    if frame is None:
        return None
    frame = frame[(frame["verdict"] == "holds") & (frame["count"] >= 5)]
    if frame.empty:
        return paper.section("Bought together", paragraphs(["No rule held on later baskets."]))
    sides = [(json.loads(row["antecedents"]), json.loads(row["consequents"])) for row in frame.head(MOST).to_dict("records")]
    names = lists.titles(on.session, on.actor, "product", sorted({one for pair in sides for side in pair for one in side}))

    def words(ids: Sequence[int]) -> str:
        return ", ".join(names.get(one, f"Product {one}") for one in ids)

    rows = list(zip(sides, frame.head(MOST).to_dict("records"), strict=True))
    marks = [
        (f"{words(left)} → {words(right)}", row["holdout_lift"], f"{on.text(row['holdout_lift'], 'times')} ({on.text(row['holdout_lift_low'], 'one')} to {on.text(row['holdout_lift_high'], 'one')})", row["holdout_lift_low"], row["holdout_lift_high"])
        for (left, right), row in rows
    ]  # fmt: skip
    table = paper_charts.table(
        ["Who has", "Also has", "Right in", "Baskets"],
        [
            [words(left), words(right), on.text(row["confidence"], "percent"), on.text(row["count"], "whole")]
            for (left, right), row in rows
        ],
    )
    words_below = "Lift on later baskets with its 95% interval: 1 means no connection."
    return paper.section("Bought together", paper_charts.ranges(marks, note=words_below) + table)


def cards_of(on: Draw) -> Markup | None:
    """A box per persona: how many, what sets them apart."""
    cards = [one for one in on.run.summary.get("cards") or [] if isinstance(one, dict)]
    gone = hidden([int(one.get("n") or 0) for one in cards])
    made = Markup("")
    for n, card in enumerate(cards):
        if n not in gone:
            size = f"{fmt.number(on.actor, card['n'])} customers ({on.text(card['share'], 'percent')})"
            made += paper.section(
                str(card["name"]),
                small_print(size) + paragraphs([readable(str(one), on.actor.currency) for one in card.get("traits") or []][:6]),
                6,
            )
    return made or None


def expected_of(on: Draw) -> Markup | None:
    """The forecast as a line, with its range in numbers."""
    frame = on.frame("forecast", "ds", "yhat", "low", "high")
    if frame is None:
        return None
    form = on.series
    labels = [on.text(day, "day") for day in _days(frame["ds"])]
    rows = frame.to_dict("records")
    texts = [on.text(row["yhat"], form) for row in rows]
    values = [float(row["yhat"]) for row in rows]
    drawn = paper_charts.steps(
        values, labels, texts, [], line=True, top=on.text(max(values), form), faded=[False] * len(rows), names=("Expected", "")
    )
    ranged = [[label, text, on.text(row["low"], form), on.text(row["high"], form)] for label, text, row in zip(labels, texts, rows, strict=True)]  # fmt: skip
    words = (
        f"Range for {on.text(on.run.summary.get('level', 0.8), 'percent')} of what happens, stretched to the errors of the past."
    )
    return paper.section(
        "Expected", drawn + paper_charts.table(["From", "Expected", "At least", "At most"], ranged) + small_print(words)
    )


def _days(column: Any) -> list[Any]:
    import pandas as pd

    return list(pd.to_datetime(column))


def cohorts_of(on: Draw) -> Markup | None:
    """Who came back: a row per quarter of the first order, a column per quarter since, of cohorts that are large enough."""
    frame = on.frame("cohorts", "cohort", "age", "customers", "retention")
    if frame is None:
        return None
    import pandas as pd

    frame = frame.assign(cohort=pd.to_datetime(frame["cohort"]))
    step = 3 if on.run.params.get("cohort") == "month" else 1
    frame = frame[frame["age"] % step == 0]
    sizes = frame.groupby("cohort")["customers"].max().reset_index()
    sizes, gone = kept(sizes, "customers")
    kept_ages = frame[frame["cohort"].isin(sizes["cohort"].tail(24)) & frame["retention"].notna()]["age"]
    ages = sorted(kept_ages.unique())[:9]
    rows, heat = [], []
    for cohort, size in zip(sizes["cohort"].tail(24), sizes["customers"].tail(24), strict=True):
        mine = frame[frame["cohort"] == cohort].set_index("age")["retention"]
        values = [float(mine[age]) if age in mine.index else None for age in ages]
        rows.append(
            [
                numerals.month(cohort.date(), on.actor.locale, short=True),
                on.text(size, "whole"),
                *(on.text(value, "percent") if value is not None else "" for value in values),
            ]
        )
        heat.append([None, *values])
    if not rows:
        return None
    unit = {"month": "month", "quarter": "quarter"}.get(str(on.run.params.get("cohort")), "period")
    table = paper_charts.table(["First order", "Customers", *(f"{unit} {age}" for age in ages)], rows, heat=heat)
    words = "Share of a cohort that ordered in that month after its first order."
    return paper.section("Who came back", table + small_print(words.replace("month", unit)) + small_print(left_out(gone)))


def drivers_of(on: Draw) -> Markup | None:
    """Odds or slopes with their intervals, and each in a sentence: of facts that enough records share, and none that names a colleague. Runs that
    don't say how many show their numbers alone."""
    frame = on.frame("coefficients", "term", "coef", "low", "high")
    if frame is None:
        return None
    frame = frame[frame["term"] != "intercept"]
    known = {"n", "person"} <= {*frame.columns}
    open_ = ~frame["person"] & (frame["n"] >= FLOOR) if known else ~frame["term"].astype(str).str.contains(" = ", regex=False)
    gone, frame = int((~open_).sum()), frame[open_]
    if frame.empty:
        return None
    logistic = on.run.summary.get("kind") == "logistic"
    shown = frame.head(MOST).to_dict("records")
    rows = []
    for row in shown:
        unit = row.get("spread", 1.0)
        unit = 1.0 if unit != unit or not unit else float(unit)
        one, low, high = (
            math.exp(max(-50, min(50, row[key] * unit))) if logistic else row[key] * unit for key in ("coef", "low", "high")
        )
        label = (
            str(row["term"]) if unit == 1.0 else f"{row['term']} (per {fmt.number(on.actor, unit, digits=0 if unit >= 10 else 1)})"
        )
        rows.append([label, on.text(one, "two"), f"{on.text(low, 'two')} to {on.text(high, 'two')}"])
    sentences = [as_read(str(row["sentence"]), on.actor.locale) for row in shown if row.get("sentence")]
    head = ["", "Odds multiplied by" if logistic else f"Change in {on.run.summary.get('y', 'it')}", "95% range"]
    words = "Numbers per standard deviation, all other facts held fixed. An association is no cause."
    return paper.section(
        "What goes with it",
        paper_charts.table(head, rows) + small_print(words) + small_print(_unsaid(gone)) + paragraphs(sentences[:12]),
    )


def _unsaid(gone: int) -> str:
    return "Facts that name colleagues or that few records share are not shown." if gone else ""
