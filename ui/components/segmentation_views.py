"""Parts of the segmentation page: a card per group, the cells of the grid as a table to choose from, moves between two runs."""

from typing import Any

import pandas as pd
import streamlit as st

from crm_core.access import Actor
from crm_core.kit.money import exponent
from crm_core.services.analytics import segmentation_rows
from crm_core.services.analytics.segment_rules import BEHAVIOUR, rule_words
from ml.charts import clusters as charts
from ui import format as fmt
from ui.actions import load
from ui.cache import cached
from ui.components.analysis import Analysis
from ui.components.figure import chart
from ui.components.segment_actions import segment_buttons
from ui.components.table import Cell, Column, table

SHOWN_MOVES = 10


def money(actor: Actor, major: float, *, compact: bool = True) -> str:
    """An amount that an analysis gives in major units."""
    return fmt.money(actor, round(float(major) * 10 ** exponent(actor.currency)), compact=compact)


def cluster_cards(shown: Analysis, clusters: pd.DataFrame) -> None:
    """Size, worth, typical values, rule and actions of each group."""
    columns = st.columns(2, gap="small")
    for n, row in enumerate(clusters.to_dict("records")):
        with columns[n % 2], st.container(border=True, key=f"cluster_{row['segment']}", gap="small"):
            _card(shown, row)


def _card(shown: Analysis, row: dict[Any, Any]) -> None:
    actor, segment = shown.actor, int(row["segment"])
    st.markdown(f"**{fmt.md(row['name'])}**")
    st.caption(
        fmt.md(
            f"{fmt.plural(int(row['n']), 'customer')} ({row['share']:.0%}) · "
            f"{money(actor, row['revenue'])} ({row['revenue_share']:.0%} of revenue)"
        )
    )
    st.markdown(fmt.md(" · ".join(_typical(shown, row))))
    rule = shown.summary["rules"].get(str(segment))
    if rule:
        st.caption(f":material/rule: {fmt.md(rule_words(str(rule['words']), actor.currency))}")
        st.caption(fmt.md(_agreement(rule)))
    else:
        st.caption("No short rule finds this group; freeze its customers instead.")
    with st.container(horizontal=True, gap="small"):
        segment_buttons(
            f"cluster_{segment}",
            entity=shown.run.params["customer"],
            name=row["name"],
            source={"kind": "cluster", "run_id": shown.run.id, "label": row["name"]},
            rule=rule["filter"] if rule else None,
            members=lambda: load(segmentation_rows.members, shown.run.id, cluster=segment),
            count=int(row["n"]),
        )


def _typical(shown: Analysis, row: dict[Any, Any]) -> list[str]:
    """The median of each number, the commonest level of each category."""
    found = []
    for key, value in row.items():
        if key in ("segment", "name", "n", "share", "revenue", "revenue_share"):
            continue
        label = BEHAVIOUR.get(key, str(key).replace("_minor", "").replace("_", " ").removeprefix("x ").capitalize())
        if key in ("monetary", "average_order"):
            text = money(shown.actor, value)
        else:
            text = fmt.number(shown.actor, value, digits=1) if isinstance(value, int | float) else str(value)
        found.append(f"{label.lower()} {text}")
    return [f"Typically: {found[0]}", *found[1:]] if found else [""]


def _agreement(rule: dict[str, Any]) -> str:
    hits, both, members = rule["hits"], rule["both"], rule["members"]
    belong = f"{both / hits:.0%} of those whom the rule finds belong here" if hits else "The rule finds nobody"
    return f"{belong}; it finds {both / members:.0%} of the group." if members else belong


def rfm_rows(shown: Analysis, summary: pd.DataFrame) -> tuple[str, int, str] | None:
    """The named cells as a table; gives the one that was chosen: name, customers, advice."""
    rows = [row for row in summary.to_dict("records") if row["customers"] > 0]
    cells = [
        (
            n,
            [
                Cell(row["segment"]),
                Cell(fmt.number(shown.actor, int(row["customers"]))),
                Cell(fmt.percent(shown.actor, row["share"], 0)),
                Cell(money(shown.actor, row["revenue"])),
                Cell(f"{fmt.percent(shown.actor, row['revenue_share'], 0)} of revenue"),
                Cell(fmt.plural(round(row["median_recency_days"]), "day")),
                Cell(row["advice"]),
            ],
        )
        for n, row in enumerate(rows, 1)
    ]
    columns = [
        Column("segment", "Cell", sortable=False), Column("customers", "Customers", right=True, sortable=False),
        Column("share", "Share", right=True, sortable=False), Column("revenue", "Revenue", right=True, sortable=False),
        Column("revenue_share", "Share of it", right=True, sortable=False), Column("days", "Days since last order", right=True, sortable=False),
        Column("advice", "What one does", sortable=False, muted=True),
    ]  # fmt: skip
    st.caption("Choose a cell to make a segment of its customers.")
    happened = table(columns, cells, key=f"rfm_{shown.run.id}", label="Cells of the grid", selectable=True)
    if not happened.selected:
        return None
    row = rows[happened.selected[-1] - 1]
    return row["segment"], int(row["customers"]), row["advice"]


def moves(shown: Analysis) -> None:
    """Who went where since another run, by the cells of the grid."""
    if shown.other is None:
        st.caption(
            "Choose another run under “Beside another run” below to see who moved. With “Data up to” under More you get the state of an earlier day."
        )
        return
    earlier, later = sorted((shown.run, shown.other), key=lambda run: (run.as_of, run.id))
    found = cached(segmentation_rows.moves, earlier.id, later.id, entities=shown.method.reads, tables=("analysis_run",))
    changed = found[
        (found["before"] != found["after"]) & (found["before"] != "(not yet a customer)") & (found["after"] != "(gone)")
    ]
    stayed = int(found.loc[found["before"] == found["after"], "customers"].sum())
    st.caption(
        fmt.md(
            f"From {fmt.day(shown.actor, earlier.as_of)} to {fmt.day(shown.actor, later.as_of)}: "
            f"{fmt.written(int(changed['customers'].sum()))} customers moved, {fmt.written(stayed)} stayed."
        )
    )
    chart(shown.actor, charts.migration_heatmap(found), "Who moved where", "Share of the cell before", key="moves", png="moves")
    if changed.empty:
        return
    st.dataframe(
        changed.head(SHOWN_MOVES),
        hide_index=True,
        width="stretch",
        column_config={
            "before": "From", "after": "To", "customers": "Customers",
            "share": st.column_config.NumberColumn("Share of the cell before", format="percent"),
        },
    )  # fmt: skip
