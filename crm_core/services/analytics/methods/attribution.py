"""Attribution: which channel or campaign gets the credit, by nine models side by side, what that cost, and what hold-outs measured."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.services.analytics.methods.base import Method, Outcome, Param, Report

if TYPE_CHECKING:
    import pandas as pd

    from crm_core.services.analytics.journeys import Cut

MODELS = {
    "first": "First touch",
    "last": "Last touch",
    "linear": "Linear",
    "position": "Position 40/20/40",
    "time_decay": "Time decay",
    "w": "W-shaped",
    "full_path": "Full path",
    "markov": "Markov",
    "shapley": "Shapley",
}
FEW = 30
TOP_PATHS = 100
HOW = (
    "Each person's touches are cut into journeys: a pause longer than the look-back ends one, and so does a conversion. Nine models share out "
    "every conversion over the touches of its journey; the shares add up to the conversions exactly. The whiskers say how far a share would "
    "move with other customers (200 redrawn samples). Attribution describes who lay on the way. What a campaign changed is measured by the "
    "people whom it left out at random."
)


def compute(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime, report: Report) -> Outcome:
    """Journeys, credits by every model, costs and the measured lifts beside them."""
    from crm_core.services.analytics import holdouts, journeys
    from ml.attribution import attribute, removal_effects

    report(0.05, "Reading touches and conversions")
    found = journeys.cut(session, actor, params, as_of)
    report(0.35, "Sharing out the conversions")
    credits = attribute(found.paths, order=params["order"], bootstrap=params["draws"])
    report(0.8, "Comparing with costs and hold-outs")
    quality = _quality(found.paths, params["order"])
    spent = journeys.spent(session, actor, found, params, as_of)
    lifts = holdouts.measured(session, actor, of=params["conversion"], since=found.since, until=as_of, days=params["lookback_days"])
    campaign_of = found.channels.set_index("channel")["campaign_id"]
    credits = credits.assign(campaign_id=credits["channel"].map(campaign_of).astype("Int64"))
    return Outcome(
        verdict=_verdict(credits, params),
        reliable="partly" if credits.attrs["conversions"] >= FEW else "no",
        summary=_summary(found, credits, quality),
        tables={
            "credits": credits,
            "costs": _costs(credits, spent),
            "journeys": _journeys(found.paths),
            "removal": removal_effects(found.paths, params["order"]),
            "channels": found.channels,
            "holdouts": lifts,
        },
        warnings=[*credits.attrs["warnings"], *_warnings(found, credits, spent, params)],
        missing=_missing(credits, lifts, spent, params),
        sql=_sql(params),
        python=_python(params),
    )


def _quality(paths: "pd.DataFrame", order: int) -> Any:
    """How well the chain knows a converting journey; None where there are too few of either kind to tell."""
    from ml.attribution import path_auc
    from ml.errors import DataError

    try:
        return path_auc(paths, order)
    except DataError:
        return None


def _summary(found: "Cut", credits: "pd.DataFrame", quality: Any) -> dict[str, Any]:
    cut, shared = found.paths.attrs, credits.attrs
    return {
        "conversions": shared["conversions"],
        "value": shared["value"],
        "journeys": cut["journeys"],
        "nulls": cut["nulls"],
        "open": cut["open"],
        "without_touch": cut["without_touch"],
        "value_without_touch": cut["value_without_touch"],
        "too_old": cut["too_old"],
        "conversion_probability": shared["conversion_probability"],
        "channels": int(credits["channel"].nunique()),
        "auc": None if quality is None else [quality.auc, quality.low, quality.high],
        "auc_verdict": "" if quality is None else quality.verdict,
        "since": found.since.date().isoformat() if found.since else None,
        "partial": found.partial,
    }


def _verdict(credits: "pd.DataFrame", params: dict[str, Any]) -> str:
    """Who leads, by how many of the models, and how far these are apart."""
    table = credits.pivot(index="channel", columns="model", values="share")
    leaders = table.idxmax()
    leader = leaders.mode().sort_values().iloc[0]
    votes, low, high = int((leaders == leader).sum()), table.loc[leader].min(), table.loc[leader].max()
    word = "channel" if params["level"] == "channel" else "campaign"
    if len(table) == 1:
        return f"There is one {word} only ({leader}), so every model gives it everything."
    return (
        f"{leader} leads in {votes} of {len(leaders)} models, with {low:.0%} to {high:.0%} of the conversions. "
        "This describes who lay on the way; it does not measure what caused the conversions."
    )


def _costs(credits: "pd.DataFrame", spent: "pd.DataFrame") -> "pd.DataFrame":
    """Cost per attributed conversion by model; what was spent where no journey passed stands below, without one."""
    import pandas as pd

    from ml.attribution import cost_per_conversion

    models = list(dict.fromkeys(credits["model"]))
    columns = ["channel", "campaign_id", "cost", *models, "lowest", "highest", "spread"]
    known = spent[spent["channel"].isin(credits["channel"])]
    parts = []
    if not known.empty:
        as_touches = known[["channel", "cost"]].assign(customer_id=0, at=pd.Timestamp("2000-01-01", tz="UTC"))
        parts.append(cost_per_conversion(credits, as_touches).merge(known[["channel", "campaign_id"]], on="channel"))
    parts.append(spent[~spent["channel"].isin(credits["channel"])])
    table = pd.concat(parts, ignore_index=True).reindex(columns=columns)
    return table.sort_values(["lowest", "cost"], na_position="last", ignore_index=True)


def _journeys(paths: "pd.DataFrame") -> "pd.DataFrame":
    """The most frequent journeys, as words."""
    total = paths["conversions"] + paths["nulls"]
    top = paths.loc[total.sort_values(ascending=False, kind="stable").index[:TOP_PATHS]]
    return top.assign(path=[" > ".join(path) for path in top["path"]])[["path", "conversions", "value", "nulls"]]


def _warnings(found: "Cut", credits: "pd.DataFrame", spent: "pd.DataFrame", params: dict[str, Any]) -> list[str]:
    cut, said = found.paths.attrs, []
    if cut["without_touch"]:
        all_of_them = cut["without_touch"] + credits.attrs["conversions"]
        said.append(
            f"{cut['without_touch']:,} of {all_of_them:,.0f} conversions had no touch in the {params['lookback_days']} days before them: "
            "they are in no journey, and no channel gets them."
        )
    if cut["open"]:
        said.append(
            f"{cut['open']:,} of the {cut['nulls']:,} journeys without a conversion are younger than the look-back and may still convert."
        )
    if found.partial:
        said.append(
            "Only some of the conversions are seen here, so a journey that ended with a colleague would look lost: "
            "journeys without a conversion are left out."
        )
    if params["filter"]:
        said.append("Costs and hold-outs are those of whole campaigns, not only of the people who match the filter.")
    weak = credits.loc[~credits["reliable"], "channel"].nunique()
    if weak:
        said.append(f"{weak} of {credits['channel'].nunique()} have fewer than {FEW} conversions: their shares may be chance.")
    idle = spent[~spent["channel"].isin(credits["channel"])]
    if not idle.empty:
        said.append(f"{len(idle)} cost something but touched nobody in this period; they stand at the end of the cost table.")
    return said


def _missing(credits: "pd.DataFrame", lifts: "pd.DataFrame", spent: "pd.DataFrame", params: dict[str, Any]) -> list[str]:
    wanted = []
    if spent.empty:
        where = (
            "a campaign's page, under Channels" if params["costs"] == "booked" else "the touches, when they are imported or tracked"
        )
        wanted.append(f"Costs: none are known for this period. Enter them on {where}.")
    if lifts.empty:
        wanted.append(
            "A hold-out: no campaign of this period left anybody out at random, so nothing says what the channels caused."
        )
    if credits.attrs["conversions"] < FEW:
        wanted.append(f"Conversions: at least {FEW} with a touch before them.")
    return wanted


def _sql(params: dict[str, Any]) -> str:
    if params["conversion"] == "deals":
        won = "SELECT contact_id, closed_on AS at, amount_minor FROM deal\n WHERE outcome = 'won' AND deleted_at IS NULL AND contact_id IS NOT NULL;"
    else:
        won = "SELECT contact_id, ordered_at AS at, total_minor FROM sales_order\n WHERE status IN ('placed', 'fulfilled') AND deleted_at IS NULL AND contact_id IS NOT NULL;"
    return f"-- touches\nSELECT contact_id, at, channel, campaign_id, cost_minor FROM touchpoint WHERE contact_id IS NOT NULL;\n\n-- conversions\n{won}"


def _python(params: dict[str, Any]) -> str:
    direct = 'collapse_direct="Direct traffic", ' if params["direct"] == "last_resort" else ""
    return (
        "from ml.attribution import attribute, cost_per_conversion, paths_from_touches\n\n"
        "# touchpoints: customer_id, at, channel, cost · conversions: customer_id, at, value\n"
        f"paths = paths_from_touches(touchpoints, conversions, lookback_days={params['lookback_days']}, {direct}"
        f"keep_nulls={params['open_journeys']})\n"
        'print(paths.attrs["note"])\n'
        f"credits = attribute(paths, order={params['order']}, bootstrap={params['draws']}, seed=0)\n"
        "costs = cost_per_conversion(credits, touchpoints)\n"
    )


METHOD = Method(
    kind="attribution",
    title="Attribution",
    entities=("contact", "order", "deal", "campaign"),
    tables=("touchpoint", "contact", "sales_order", "deal", "campaign", "campaign_channel", "campaign_member"),
    params=(
        Param("conversion", "What counts", "choice", "deals", {"deals": "Won deals", "orders": "Orders"}),
        Param("level", "Credit goes to", "choice", "channel", {"channel": "Channels", "campaign": "Campaigns"}),
        Param(
            "months", "Period", "choice", "12",
            {"3": "Last 3 months", "6": "Last 6 months", "12": "Last 12 months", "24": "Last 2 years", "all": "Everything"},
        ),
        Param("filter", "Only people who match", "filter", None, entity="contact"),
        Param("lookback_days", "Look-back (days)", "int", 90, low=1, high=730, help="Touches older than this before a conversion do not count"),
        Param(
            "costs", "Costs", "choice", "booked", {"booked": "Booked on campaigns", "touches": "Noted on touches"},
            help="Booked costs of a campaign that ran partly outside the period count by days",
        ),
        Param(
            "direct", "Direct traffic", "choice", "last_resort",
            {"last_resort": "Counts only where nothing else did", "channel": "Counts like any channel"}, advanced=True,
        ),
        Param("open_journeys", "Keep journeys without a conversion", "bool", True, help="The Markov model needs them", advanced=True),
        Param("order", "Touches that the Markov chain remembers", "int", 1, low=1, high=3, advanced=True),
        Param("draws", "Redrawn samples for the intervals", "int", 200, low=0, high=1_000, advanced=True),
    ),
    compute=compute,
    how=HOW,
)  # fmt: skip
