"""What one sees of a group beside its rule: how many, what they are worth, whom it meets, who they are, how it grew, the rule in words and SQL."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.fields import registry
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.services.marketing import segment_insights as insights
from crm_core.services.marketing import segments
from crm_core.services.marketing.segment_insights import Worth
from crm_core.vocabulary import FieldKind
from ml.charts import segments as charts
from ui import format as fmt
from ui import lean
from ui.actions import load
from ui.cache import behind, cached
from ui.components import chart_words
from ui.components.filter_inputs import words_of
from ui.components.record_list import cell
from ui.components.table import Cell, Column, table
from ui.session import current_actor

lean.look_of_charts()
Rule = Mapping[str, Any] | None
EXAMPLES = 20


def numbers(entity_key: str, rule: Rule) -> int:
    """The count at once, then what the group is worth; gives the count."""
    actor, found = current_actor(), entity(entity_key)
    seen = cached(segments.preview, entity_key, rule, size=EXAMPLES, **behind(entity_key, rule))
    share = f"{fmt.percent(actor, seen.count / seen.total, 0 if seen.count * 20 > seen.total else 1)} of all" if seen.total else ""
    with st.container(border=True, gap="small", key="segment_numbers"):
        st.metric(found.plural, f"{fmt.number(actor, seen.count)}", share or None, delta_color="off", delta_arrow="off")
        if seen.count:
            known = cached(insights.worth, entity_key, rule, **_behind_worth(entity_key, rule))
            _worth(actor, known, entity_key)
        else:
            st.caption("Nobody matches. Loosen a condition, or put alternatives into a group of “any of these”.")
    return seen.count


def _behind_worth(entity_key: str, rule: Rule) -> dict[str, Any]:
    base = behind(entity_key, rule)
    more = ("sales_order", "contact_point", "consent", "suppression", "mail_delivery", "outreach_rules")
    return {
        "entities": tuple(dict.fromkeys((*base["entities"], "order"))),
        "tables": tuple(dict.fromkeys((*base["tables"], *more))),
    }


def _worth(actor: Actor, known: Worth, entity_key: str) -> None:
    lines = []
    if known.contactable is not None:
        of_companies = entity_key == "account"
        share = "" if of_companies else f" ({fmt.percent(actor, known.contactable / known.count, 0)})"
        words = "People there who can be e-mailed" if of_companies else "Can be e-mailed"
        lines.append(
            (words, f"{fmt.number(actor, known.contactable)}{share}", "After consent, opt-outs, blocked addresses and caps")
        )
    if known.revenue_minor is not None:
        lines.append(
            (
                "Revenue, 12 months",
                fmt.money(actor, known.revenue_minor, compact=True),
                "Placed and fulfilled orders that you may see",
            )
        )
    if known.buyers is not None:
        rate = fmt.percent(actor, known.buyers / known.count)
        lines.append(
            ("Bought in 30 days", f"{fmt.number(actor, known.buyers)} ({rate})", "The rate that a campaign would have to raise")
        )
    for label, text, why in lines:
        with st.container(horizontal=True, horizontal_alignment="distribute", gap="small"):
            st.caption(label, width="content", help=why)
            st.markdown(f"**{fmt.md(text)}**", width="content")
    sentence = _detectable(actor, known, entity_key)
    if sentence:
        st.caption(fmt.md(sentence))


def _detectable(actor: Actor, known: Worth, entity_key: str) -> str:
    """Which rise a campaign to these people could show, or that none could; nothing for companies, whose buyers are no people."""
    people = known.contactable
    if people == 0:
        return "Nobody of them may be e-mailed for marketing today: consent, opt-outs, blocked addresses and caps count."
    if people is None or known.buyers is None or entity_key == "account":
        return ""
    held = load(insights.holdout_pct)
    base = 100 * known.buyers / known.count
    points = insights.detectable_points(people, base, held)
    if points is None:
        return f"Too few people, or no buyers to compare with: with {held}% held out, no effect of a campaign could be told from chance here."
    return (
        f"With {held}% held out, a campaign to these {fmt.number(actor, people)} people would show a rise from {fmt.written(base, '.1f')}% by "
        f"{fmt.written(points, '.1f')} points or more in {insights.WINDOW_DAYS} days; smaller effects would stay invisible."
    )


def examples(entity_key: str, rule: Rule) -> None:
    """The first rows of the group, each a link to its record."""
    actor, found = current_actor(), entity(entity_key)
    seen = cached(segments.preview, entity_key, rule, size=EXAMPLES, **behind(entity_key, rule))
    known = load(_specs, entity_key)
    specs = [known[key] for key in found.columns]
    if not seen.rows:
        st.caption("No examples: nobody matches.")
        return
    table(
        [Column(spec.key, spec.label, right=spec.kind is FieldKind.MONEY, sortable=False) for spec in specs],
        [(row["id"], [cell(actor, spec, row, {}) for spec in specs]) for row in seen.rows],
        key=f"segment_examples_{entity_key}", label=f"Examples of {found.plural.lower()}", href=f"/{found.page}?id={{id}}",
    )  # fmt: skip
    if seen.count > len(seen.rows):
        st.caption(f"The first {len(seen.rows)} of {fmt.md(fmt.number(actor, seen.count))}.")


def _specs(session: Session, actor: Actor, entity_key: str) -> Mapping[str, Any]:
    return registry(session, entity_key)


def overlap(entity_key: str, rule: Rule, without: int | None, count: int) -> None:
    """Which other segments and running campaigns hold some of them."""
    actor = current_actor()
    found = cached(insights.meetings, entity_key, rule, without=without, **_behind_overlap(entity_key, rule))
    if not found:
        st.caption("No other segment and no running campaign holds any of them.")
        return
    frame = pd.DataFrame(
        [{"name": item.name, "kind": item.kind, "shared": item.shared, "share": item.shared / max(count, 1)} for item in found]
    )
    st.plotly_chart(
        charts.overlap_bars(frame),
        key="segment_overlap",
        config=chart_words.config(current_actor()),
        alt="Shared members by segment and campaign",
    )
    table(
        [Column("name", "Segment or campaign", sortable=False), Column("size", "Members", True, False), Column("shared", "Shared", True, False),
         Column("share", "Of this group", True, False)],
        [
            (n, [Cell(item.name), Cell(fmt.number(actor, item.size)), Cell(fmt.number(actor, item.shared)), Cell(fmt.percent(actor, item.shared / max(count, 1), 0))])
            for n, item in enumerate(found)
        ],
        key="segment_meetings", label="Overlap", hrefs={n: f"/{item.kind}?id={item.id}" for n, item in enumerate(found)},
    )  # fmt: skip


def _behind_overlap(entity_key: str, rule: Rule) -> dict[str, Any]:
    base = behind(entity_key, rule)
    return {
        "entities": tuple(dict.fromkeys((*base["entities"], "segment", "campaign"))),
        "tables": (*base["tables"], "segment", "segment_member", "campaign", "campaign_member"),
    }


def growth(segment_id: int) -> None:
    """The size over time, and who came and went lately."""
    actor = current_actor()
    sizes = load(insights.history, segment_id)
    if sizes:
        today = clock.today(actor.timezone)
        rows = [*sizes, insights.Size(today, sizes[-1].members, 0, 0)] if sizes[-1].day < today else sizes
        frame = pd.DataFrame([row.__dict__ for row in rows])
        st.plotly_chart(
            charts.size_steps(frame), key="segment_growth", config=chart_words.config(current_actor()), alt="Members over time"
        )
    moved = load(insights.moves, segment_id)
    if not moved:
        st.caption("Nobody entered or left since the segment was made.")
        return
    key = load(segments.get, segment_id, with_deleted=True).entity.value
    table(
        [Column("at", "When", sortable=False), Column("who", entity(key).label, sortable=False), Column("what", "", sortable=False), Column("why", "Why", sortable=False)],
        [
            (n, [Cell(fmt.instant(actor, move.at)), Cell(move.title), Cell("Entered" if move.entered else "Left", tone="green" if move.entered else "gray"), Cell(move.reason)])
            for n, move in enumerate(moved)
        ],
        key="segment_moves", label="Who entered and left", hrefs={n: f"/{entity(key).page}?id={move.record_id}" for n, move in enumerate(moved)},
    )  # fmt: skip


def in_words_and_sql(entity_key: str, rule: Rule) -> None:
    """The rule as a sentence, and as the statement that the database gets."""
    st.markdown(fmt.md(load(words_of, entity_key, rule).strip()))
    st.code(load(insights.sql_text, entity_key, rule), language="sql", wrap_lines=True)
    st.caption("As it runs for you: your role's reach and masks are part of it.")


def as_list(entity_key: str, segment_id: int) -> ListQuery:
    """The members as a list query."""
    return ListQuery(filter={"segment": segment_id, "cmp": "in"}, columns=entity(entity_key).columns)
