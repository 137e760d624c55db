"""Figures for RFM, segments and personas say what their tables say."""

import pandas as pd
import pytest

from ml import synthetic
from ml.charts import clusters as cluster_charts
from ml.charts import personas as persona_charts
from ml.charts import rfm as rfm_charts
from ml.clusters import fit_segments, migration
from ml.personas import build_personas
from ml.rfm import rfm_migration, rfm_segments, rfm_summary, rfm_table

PLANTED = ["customer_id", "age", "income", "discount_share", "visits_per_month"]


@pytest.fixture(scope="module")
def company():
    return synthetic.company("small", 1)


@pytest.fixture(scope="module")
def rfm(company):
    return rfm_segments(rfm_table(company.orders, as_of=synthetic.END))


@pytest.fixture(scope="module")
def segmentation(company):
    return fit_segments(company.customers[PLANTED], refits=5)


@pytest.fixture(scope="module")
def personas(company, segmentation):
    return build_personas(company.customers, segmentation.labels, held_out=("complaints", "newsletter"))


def test_the_rfm_grid_counts_every_customer_once_and_names_every_cell(rfm):
    fig = rfm_charts.rfm_heatmap(rfm)
    assert fig.data[0].z.sum() == len(rfm)
    assert fig.data[0].z[4][4] == ((rfm["r_score"] == 5) & (rfm["fm_score"] == 5)).sum()
    assert len(fig.layout.annotations) == 25
    assert fig.layout.annotations[-1].text.startswith("Champions<br>")


def test_the_rfm_bars_set_customers_beside_revenue(rfm):
    summary = rfm_summary(rfm)
    fig = rfm_charts.rfm_bar(summary)
    by_name = {trace.name: dict(zip(trace.y, trace.x, strict=True)) for trace in fig.data}
    champions = summary.set_index("segment").loc["Champions"]
    assert by_name["Customers"]["Champions"] == champions["share"]
    assert by_name["Revenue"]["Champions"] == champions["revenue_share"]


def test_stability_is_drawn_per_k_with_both_thresholds(segmentation):
    fig = cluster_charts.stability_line(segmentation)
    assert list(fig.data[0].x) == list(range(2, 9))
    assert {note.text for note in fig.layout.annotations} == {"pattern", "highly stable"}
    assert segmentation.k in {shape.x0 for shape in fig.layout.shapes}


def test_the_segments_heatmap_shows_the_centres(segmentation):
    fig = cluster_charts.segments_heatmap(segmentation)
    row = list(fig.data[0].y).index("discount share")
    assert fig.data[0].z[row].tolist() == segmentation.centres["discount_share"].tolist()


def test_the_bars_count_all_customers(segmentation):
    assert sum(cluster_charts.segments_bar(segmentation).data[0].y) == len(segmentation.labels)


def test_one_group_has_nothing_to_compare_and_the_figure_says_so():
    single = fit_segments(synthetic.one_blob(100, 2, 1), k=1)
    for fig in (cluster_charts.segments_heatmap(single), cluster_charts.stability_line(single)):
        assert not fig.data
        assert "one group" in fig.layout.annotations[0].text.lower()


def test_migration_rows_add_up_to_one(company, segmentation, rfm):
    moved = migration(segmentation.labels, segmentation.labels)
    earlier = rfm_segments(rfm_table(company.orders, as_of="2024-01-01"))
    for table in (moved, rfm_migration(earlier, rfm)):
        fig = cluster_charts.migration_heatmap(table)
        assert fig.data[0].z.sum(axis=1) == pytest.approx(1)
        assert fig.layout.yaxis.title.text == "Before"


def test_traits_carry_their_intervals(personas):
    fig = persona_charts.traits_bar(personas, 1)
    table = personas.traits.query("segment == 1 and kind == 'number'").set_index("attribute")
    top = fig.data[0].y[-1]
    assert fig.data[0].x[-1] == table.loc[top.replace(" ", "_"), "effect"]
    assert (fig.data[0].error_x.array > 0).all()
    assert "standard deviations" in fig.layout.xaxis.title.text


@pytest.mark.parametrize(("attribute", "title"), [("complaints", "mean"), ("newsletter", "share")])
def test_held_out_points_name_the_personas_and_draw_the_average(personas, attribute, title):
    fig = persona_charts.held_out_points(personas, attribute)
    assert set(fig.data[0].y) == {card.name for card in personas.cards}
    average = personas.held_out.query("attribute == @attribute")["average"].iloc[0]
    assert average in {shape.x0 for shape in fig.layout.shapes}
    assert title in fig.layout.xaxis.title.text


def test_what_is_not_there_is_said(personas):
    assert "was not held out" in persona_charts.held_out_points(personas, "age").layout.annotations[0].text
    assert "No numeric attribute" in persona_charts.traits_bar(personas, 99).layout.annotations[0].text
    assert "has no level" in persona_charts.held_out_points(personas, "newsletter", "maybe").layout.annotations[0].text
    empty = pd.DataFrame(columns=["r_score", "fm_score", "segment"])
    assert "No customer" in rfm_charts.rfm_heatmap(empty).layout.annotations[0].text
    assert "No customer" in rfm_charts.rfm_bar(pd.DataFrame(columns=["customers"])).layout.annotations[0].text
    nobody = pd.DataFrame(columns=["before", "after", "customers", "share"])
    assert "No customer" in cluster_charts.migration_heatmap(nobody).layout.annotations[0].text
