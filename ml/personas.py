"""Segments as people: named by what sets them apart, with a rule that finds them again and a test of whether they are of use."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ml.contracts import ORDER_LINES, ORDERS, TOUCHPOINTS, instant, known_by
from ml.encoding import by_customer
from ml.errors import DataError
from ml.evaluation import Interval, bootstrap_interval
from ml.kpis import Rate, rate, wilson
from ml.rules import Rule, describe, fit_rules, matches
from ml.traits import YES, traits, usefulness

TRAITS_SHOWN = 5
CATEGORIES_SHOWN = 3
YEAR_DAYS = 365
FAITHFUL = 0.8
BOOTSTRAP_LIMIT = 2_000


@dataclass(frozen=True)
class Preference:
    """A thing (channel, category) that the persona's customers choose: its share of their choices, and the lift of that
    share against all customers, with its interval. Each customer counts once per thing."""

    name: str
    rate: Rate
    lift: float
    low: float
    high: float

    @property
    def distinct(self) -> bool:
        """Whether the lift's interval lies above 1."""
        return self.low > 1


@dataclass(frozen=True)
class Persona:
    """One card.

    Attributes
    ----------
    segment, name, n, share
        The label, a name made from the strongest traits, size.
    traits
        Sentences about the strongest distinguishing traits.
    rule, rule_text
        A nested filter that finds the persona (None when no leaf of the tree is its own), and the same in words.
    precision, recall
        Of those the rule finds, how many belong; of those who belong, how many it finds.
    value_12m
        Revenue per customer in the 365 days before the as-of date, customers without an order included.
    preferred_channel, top_categories
        By lift, see `Preference`; only those whose interval lies above 1.
    held_out
        Sentences about what was not used for the segments, saying so where the persona is like the average.
    suggestion
        What to offer, and where, as far as the data says.
    """

    segment: Any
    name: str
    n: int
    share: float
    traits: tuple[str, ...]
    rule: Rule | None
    rule_text: str
    precision: Rate | None
    recall: Rate | None
    value_12m: Interval | None
    preferred_channel: Preference | None
    top_categories: tuple[Preference, ...]
    held_out: tuple[str, ...]
    suggestion: str


@dataclass(frozen=True)
class Personas:
    """All cards with their evidence.

    Attributes
    ----------
    cards
        In the order of the labels.
    traits
        See `ml.traits.traits`.
    rules
        label → rule.
    fidelity
        Share of customers whom the rules put into the same segment as the labels.
    baseline
        The same for "everyone is in the largest segment".
    usefulness, held_out
        See `ml.traits.usefulness`; empty without held-out attributes.
    advice
        Sentences.
    """

    cards: tuple[Persona, ...]
    traits: pd.DataFrame
    rules: dict[Any, Rule]
    fidelity: Rate
    baseline: float
    usefulness: pd.DataFrame
    held_out: pd.DataFrame
    advice: tuple[str, ...]

    def to_json(self) -> str:
        """The cards, rules and advice as JSON text, to keep as a version."""
        stored = {
            "cards": [asdict(card) for card in self.cards],
            "fidelity": asdict(self.fidelity),
            "baseline": self.baseline,
            "traits": self.traits.to_dict("records"),
            "usefulness": self.usefulness.to_dict("records"),
            "held_out": self.held_out.to_dict("records"),
            "advice": self.advice,
        }
        return json.dumps(stored, ensure_ascii=False, default=_plain)


def build_personas(
    customers: pd.DataFrame,
    labels: pd.Series | np.ndarray | list[Any],
    *,
    held_out: tuple[str, ...] | list[str] = (),
    orders: pd.DataFrame | None = None,
    touchpoints: pd.DataFrame | None = None,
    as_of: object | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Personas:
    """Describe segments so that people can use them.

    Parameters
    ----------
    customers
        CUSTOMERS with attributes.
    labels
        Segment per customer: a Series by customer_id (such as ``Segmentation.labels``), or one value per row.
    held_out
        Attributes that took no part in the segmentation (a campaign's response, complaints): they take no part in names
        and rules either, and show whether the segments are of any use.
    orders
        ORDERS, or ORDER_LINES with customer_id and ordered_at; with ``category`` the top categories are shown.
    touchpoints
        TOUCHPOINTS.
    as_of
        Nothing later is looked at; default: the last order.

    Raises
    ------
    DataError
        Fewer than two segments, labels that miss customers, or held-out attributes that are not there.
    """
    frame = by_customer(customers)
    assigned = _align(labels, frame)
    missing = [name for name in held_out if name not in frame.columns]
    if missing:
        raise DataError(f"no {', '.join(missing)}", "the held-out attributes among those of the customers")
    described = frame.drop(columns=list(held_out))
    table = traits(described, assigned, level=level)
    rules = fit_rules(described, assigned)
    fidelity, found = _fidelity(rules, described, assigned, level)
    useful, cells = usefulness(frame, assigned, tuple(held_out), level=level)
    spend = _year_spend(orders, frame.index, as_of)
    channels = _preferences(touchpoints, "channel", frame.index, assigned, as_of, level)
    categories = _preferences(orders, "category", frame.index, assigned, as_of, level)
    names = _names(table, np.unique(assigned))
    cards = []
    for segment in np.unique(assigned):
        inside = assigned == segment
        key = segment.item() if isinstance(segment, np.generic) else segment
        rule = rules.get(key)
        top_channel = next((p for p in channels.get(segment, []) if p.distinct), None)
        top_categories = tuple(p for p in categories.get(segment, []) if p.distinct)[:CATEGORIES_SHOWN]
        hits = found.get(key)
        cards.append(
            Persona(
                segment=key,
                name=names[segment],
                n=int(inside.sum()),
                share=float(inside.mean()),
                traits=_trait_sentences(table, segment),
                rule=rule,
                rule_text=describe(rule) if rule else "No short rule finds this persona.",
                precision=_share_of(hits, inside, level) if hits is not None else None,
                recall=_share_of(inside, hits, level) if hits is not None else None,
                value_12m=_value(spend, inside, level, seed),
                preferred_channel=top_channel,
                top_categories=top_categories,
                held_out=_held_out_sentences(cells, segment),
                suggestion=_suggestion(top_channel, top_categories),
            )
        )
    sizes = pd.Series(assigned).value_counts(normalize=True)
    advice = _advice(fidelity, float(sizes.max()), cards, useful)
    return Personas(tuple(cards), table, rules, fidelity, float(sizes.max()), useful, cells, advice)


def _align(labels: pd.Series | np.ndarray | list[Any], frame: pd.DataFrame) -> np.ndarray:
    if isinstance(labels, pd.Series):
        found = labels.reindex(frame.index)
        if found.isna().any():
            raise DataError(f"{int(found.isna().sum()):,} customers without a label", "a segment for every customer")
        values = found.astype(labels.dtype).to_numpy()
    else:
        values = np.asarray(labels)
        if len(values) != len(frame):
            raise DataError(f"{len(values)} labels for {len(frame)} customers", "a segment for every customer")
    if len(np.unique(values)) < 2:
        raise DataError("1 group", "at least 2 groups to tell apart")
    return values


def _fidelity(rules: dict[Any, Rule], frame: pd.DataFrame, labels: np.ndarray, level: float) -> tuple[Rate, dict[Any, np.ndarray]]:
    found = {label: matches(rule, frame) for label, rule in rules.items()}
    agreed = np.zeros(len(frame), dtype=bool)
    for label, hits in found.items():
        agreed |= hits & (labels == label)
    return rate(int(agreed.sum()), len(frame), level), found


def _share_of(whole: np.ndarray, part: np.ndarray, level: float) -> Rate | None:
    return rate(int((whole & part).sum()), int(whole.sum()), level) if whole.any() else None


def _names(table: pd.DataFrame, segments: np.ndarray) -> dict[Any, str]:
    """The strongest traits as a name; as many (up to three) as it takes to tell the names apart."""
    phrases = {segment: _phrases(table, segment) for segment in segments}
    for count in (2, 3):
        names = {segment: _title(found[:count]) for segment, found in phrases.items()}
        if len(set(names.values())) == len(names):
            return names
    taken: dict[str, int] = {}
    unique = {}
    for segment, name in names.items():
        taken[name] = taken.get(name, 0) + 1
        unique[segment] = name if taken[name] == 1 else f"{name} ({taken[name]})"
    return unique


def _title(phrases: list[str]) -> str:
    text = ", ".join(phrases) or "Like everyone else"
    return text[0].upper() + text[1:]


def _phrases(table: pd.DataFrame, segment: object) -> list[str]:
    """One phrase per attribute: such as "high income"; of categories only what is more frequent than elsewhere."""
    phrases: dict[str, str] = {}
    for row in _distinct(table, segment).to_dict("records"):
        word = _words(row["attribute"])
        if word in phrases:
            continue
        if row["kind"] == "number":
            phrases[word] = f"{'high' if row['effect'] > 0 else 'low'} {word}"
        elif row["effect"] > 1:
            phrases[word] = f"{word}: {row['level']}"
    return list(phrases.values())


def _distinct(table: pd.DataFrame, segment: object) -> pd.DataFrame:
    return table[(table["segment"] == segment) & table["distinct"]] if len(table) else table


def _trait_sentences(table: pd.DataFrame, segment: object) -> tuple[str, ...]:
    sentences = []
    for row in _distinct(table, segment).head(TRAITS_SHOWN).to_dict("records"):
        effect, low, high = (float(row[name]) for name in ("effect", "low", "high"))
        if row["kind"] == "number":
            compared = f"typically {_figure(row['value'])} against {_figure(row['rest'])} for the others"
            sure = f"{effect:+.1f} standard deviations, {low:+.1f} to {high:+.1f}"
        else:
            compared = f"{row['level']} for {row['value']:.0%} against {row['rest']:.0%} of the others"
            sure = f"lift {effect:.1f}, {low:.1f} to {high:.1f}"
        sentences.append(f"{_words(row['attribute'])}: {compared} ({sure}, n = {row['n']:,})")
    return tuple(sentences)


def _words(name: object) -> str:
    return str(name).replace("_", " ")


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _held_out_sentences(cells: pd.DataFrame, segment: object) -> tuple[str, ...]:
    if cells.empty:
        return ()
    sentences = []
    for row in cells[cells["segment"] == segment].to_dict("records"):
        share = row["level"] != ""
        value, low, high, average = (
            f"{row[name]:.1%}" if share else _figure(float(row[name])) for name in ("value", "low", "high", "average")
        )
        what = _words(row["attribute"]) + (f" {row['level']}" if share and str(row["level"]).lower() not in YES else "")
        told = "which can't be told from" if row["overlaps_average"] else "unlike"
        sentences.append(f"{what}: {value} ({low} to {high}, n = {row['n']:,}), {told} the average of {average}")
    return tuple(sentences)


def _year_spend(orders: pd.DataFrame | None, ids: pd.Index, as_of: object | None) -> np.ndarray | None:
    """Revenue per customer over the last year before as_of, zero for those who bought nothing."""
    if orders is None:
        return None
    seen = _purchases(orders, as_of)
    end = seen["ordered_at"].max() if as_of is None else instant(as_of)
    year = seen[seen["ordered_at"] > end - pd.Timedelta(days=YEAR_DAYS)]
    return year.groupby("customer_id")["revenue"].sum().reindex(ids, fill_value=0.0).to_numpy()


def _purchases(orders: pd.DataFrame, as_of: object | None) -> pd.DataFrame:
    if "product_id" in orders.columns:
        checked = ORDER_LINES.check(orders, require=("customer_id", "ordered_at"))
    else:
        checked = ORDERS.check(orders)
    return checked if as_of is None else known_by(checked, "ordered_at", as_of)


def _value(spend: np.ndarray | None, inside: np.ndarray, level: float, seed: int) -> Interval | None:
    """Mean with a bootstrap interval; above 2,000 customers the normal one is the same and much faster."""
    if spend is None:
        return None
    group = spend[inside]
    if len(group) < 2:
        return None
    if len(group) <= BOOTSTRAP_LIMIT:
        return bootstrap_interval(group, level=level, seed=seed)

    half = float(stats.norm.ppf(0.5 + level / 2) * group.std(ddof=1) / np.sqrt(len(group)))
    return Interval(float(group.mean()), float(group.mean()) - half, float(group.mean()) + half, level)


def _preferences(
    events: pd.DataFrame | None, what: str, ids: pd.Index, labels: np.ndarray, as_of: object | None, level: float
) -> dict[Any, list[Preference]]:
    """Per segment the things its customers do more than all customers, by falling lift; each customer counts once."""
    if events is None or what not in events.columns:
        return {}
    if what == "channel":
        checked = TOUCHPOINTS.check(events)
        seen = checked if as_of is None else known_by(checked, "at", as_of)
    else:
        seen = _purchases(events, as_of)
    pairs = seen[["customer_id", what]].astype({what: "str"}).drop_duplicates()
    row = ids.get_indexer(pd.Index(pairs["customer_id"]))
    pairs, row = pairs[row >= 0], row[row >= 0]
    if pairs.empty:
        return {}
    counts = pd.crosstab(pairs[what].to_numpy(), labels[row])
    return {segment: _lifts(counts[segment], counts.sum(axis=1), level) for segment in counts.columns}


def _lifts(mine: pd.Series, all_: pd.Series, level: float) -> list[Preference]:
    """Shares of a segment's (customer, thing) pairs over those of all: heavy users, who do more of everything, gain none."""
    n, overall = int(mine.sum()), all_.to_numpy() / all_.sum()
    k = mine.to_numpy()
    low, high = wilson(k, np.full(len(k), n), level)
    made = [
        Preference(
            name=str(name),
            rate=rate(int(k[i]), n, level),
            lift=float(k[i] / n / overall[i]),
            low=float(low[i] / overall[i]),
            high=float(high[i] / overall[i]),
        )
        for i, name in enumerate(mine.index)
    ]
    return sorted(made, key=lambda preference: (-preference.lift, preference.name))


def _suggestion(channel: Preference | None, categories: tuple[Preference, ...]) -> str:
    where = f"reach them by {channel.name} ({channel.lift:.1f} times the average)" if channel else ""
    if categories:
        top = categories[0]
        return f"Offer {top.name} ({top.lift:.1f} times the average){'; ' + where if where else ''}."
    return f"Nothing they buy stands out; {where}." if where else "The data suggests no special offer."


def _advice(fidelity: Rate, baseline: float, cards: list[Persona], useful: pd.DataFrame) -> tuple[str, ...]:
    advice = [f"The rules reproduce {fidelity.value:.0%} of the assignment ({baseline:.0%} would be one rule for all)."]
    if fidelity.value < FAITHFUL:
        advice.append("That is too little to replace the groups by their rules; target by the assignment itself.")
    lost = [card.name for card in cards if card.rule is None]
    if lost:
        advice.append(f"No short rule finds {'; '.join(lost)}.")
    if len(useful) and not useful["useful"].any():
        advice.append("The personas don't differ in anything that was held out: there is no sign that they are of use.")
    elif len(useful):
        names = ", ".join(useful.loc[useful["useful"], "attribute"])
        advice.append(f"The personas differ in {names}, which took no part in making them.")
    else:
        advice.append("Nothing was held out, so nothing shows whether the personas are of use.")
    return tuple(advice)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return str(value)
