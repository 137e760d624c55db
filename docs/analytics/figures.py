"""Makes the figures of these pages from the made-up company: ``python docs/analytics/figures.py``."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE)]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import plotly.graph_objects as go  # noqa: E402
from svg import draw  # noqa: E402

from ml import synthetic  # noqa: E402
from ml.charts import clusters as cluster_charts  # noqa: E402
from ml.charts import evaluation as evaluation_charts  # noqa: E402
from ml.charts import kpis as kpi_charts  # noqa: E402
from ml.charts import personas as persona_charts  # noqa: E402
from ml.charts import rfm as rfm_charts  # noqa: E402
from ml.charts import style  # noqa: E402
from ml.clusters import fit_segments  # noqa: E402
from ml.evaluation import uplift  # noqa: E402
from ml.kpis import funnel, xmr  # noqa: E402
from ml.personas import build_personas  # noqa: E402
from ml.rfm import rfm_segments, rfm_summary, rfm_table  # noqa: E402

PLANTED = ["customer_id", "age", "income", "visits_per_month", "discount_share"]


def figures() -> dict[str, go.Figure]:
    """File name without ending → figure."""
    company = synthetic.company("medium", 1)
    customers = _with_response(company)
    rfm = rfm_segments(rfm_table(company.orders, as_of=synthetic.END))
    segmentation = fit_segments(customers[PLANTED])
    personas = build_personas(customers, segmentation.labels, held_out=("responded",))
    treated, control = (company.campaign.query("group == @g")["responded"] for g in ("treated", "control"))
    return {
        "rfm": rfm_charts.rfm_heatmap(rfm),
        "rfm_share": rfm_charts.rfm_bar(rfm_summary(rfm)),
        "segmentation": cluster_charts.stability_line(segmentation),
        "segmentation_profile": cluster_charts.segments_heatmap(segmentation),
        "personas": persona_charts.traits_bar(personas, personas.cards[1].segment),
        "personas_response": persona_charts.held_out_points(personas, "responded"),
        "kpis_xmr": kpi_charts.xmr_line(_orders_per_week(), y="Orders per week"),
        "kpis_funnel": kpi_charts.funnel_scatter(_agents(), y="Win rate"),
        "kpis_uplift": evaluation_charts.uplift_points(uplift(treated, control)),
        "synthetic": _sales_line(company),
    }


def _with_response(company: synthetic.Company):
    """A response that bargain hunters give three times as often, so that there is something to find."""
    hunters = (company.membership["segment"] == "bargain hunters").to_numpy()
    chance = np.where(hunters, 0.3, 0.1)
    return company.customers.assign(responded=(np.random.default_rng(0).random(len(chance)) < chance).astype(int))


def _orders_per_week():
    """Noise around 100 for forty weeks, then ten weeks around 125."""
    series = synthetic.white_noise(50, 5)
    weeks = pd.date_range("2024-01-01", periods=50, freq="W-MON", unit="us")
    return xmr(series.assign(ds=weeks, y=series["y"] + 25 * (series.index >= 40)), baseline=40)


def _agents():
    """Thirty agents who all win 63 %: what differs is luck."""
    rng = np.random.default_rng(3)
    agent = np.repeat([f"agent {i}" for i in range(30)], rng.integers(60, 500, 30))
    return funnel(pd.DataFrame({"agent": agent, "won": rng.random(len(agent)) < 0.63}), by="agent", success="won")


def _sales_line(company: synthetic.Company) -> go.Figure:
    weeks = company.sales.set_index("ds")["y"].resample("W").mean().iloc[1:-1]
    return style.figure(go.Scatter(x=weeks.index, y=weeks, mode="lines"), x="Week", y="Sales per day")


if __name__ == "__main__":
    for name, figure in figures().items():
        (HERE / f"{name}.svg").write_text(draw(figure), encoding="utf-8")
        print(f"{name}.svg")
