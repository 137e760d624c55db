"""Makes the figures of the forecast, lifetime, score and churn pages: ``python docs/analytics/figures_models.py``."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE)]

import numpy as np  # noqa: E402
import plotly.graph_objects as go  # noqa: E402
from svg import draw  # noqa: E402

from ml import synthetic  # noqa: E402
from ml.charts import churn as churn_charts  # noqa: E402
from ml.charts import forecast as forecast_charts  # noqa: E402
from ml.charts import lead_score as score_charts  # noqa: E402
from ml.charts import lifetime as lifetime_charts  # noqa: E402
from ml.churn import fit_churn  # noqa: E402
from ml.forecast import forecast  # noqa: E402
from ml.lead_score import fit_score  # noqa: E402
from ml.lifetime import holdout_report  # noqa: E402


def figures() -> dict[str, go.Figure]:
    """File name without ending → figure."""
    company = synthetic.company("medium", 1)
    sales = forecast(company.sales, horizon=60)
    contracts = company.contracts.drop(columns=["ended_at", "started_at"])
    churn = fit_churn(contracts, outcome="churned", at="at", id="customer_id", tenure="tenure_months", group="plan")
    leads = fit_score(company.leads, outcome="converted", at="at", id="lead_id", spend="spend")
    return {
        "forecast": forecast_charts.forecast_line(sales, y="Sales per day", history=150),
        "forecast_coverage": forecast_charts.coverage_points(sales),
        "lifetime": lifetime_charts.tracking_line(holdout_report(company.orders, "2024-01-01", as_of=synthetic.END)),
        "lead_score": score_charts.score_calibration_line(leads),
        "lead_score_gain": score_charts.score_gain_line(leads),
        "churn": churn_charts.survival_line(churn.survival),
    }


def plain(fig: go.Figure) -> go.Figure:
    """What the static drawing understands: bands become two dotted limits, steps are written out."""
    traces = []
    for trace in fig.data:
        if trace.fill == "toself":
            half = len(trace.x) // 2
            limits = (slice(None, half), slice(half, None))
            line = {"color": "rgba(128,136,150,0.75)", "dash": "dot", "width": 1}
            traces += [_line(np.array(trace.x)[s], np.array(trace.y)[s], line, trace.line.shape) for s in limits]
        elif getattr(trace, "line", None) is not None and trace.line.shape == "hv":
            line = {"color": trace.line.color, "width": 2}
            traces.append(_line(np.array(trace.x), np.array(trace.y), line, "hv").update(name=trace.name, showlegend=None))
        else:
            traces.append(trace)
    return go.Figure(traces, fig.layout)


def _line(x: np.ndarray, y: np.ndarray, line: dict, shape: str | None) -> go.Scatter:
    if shape == "hv":
        order = np.argsort(x, kind="stable")
        x, y = np.repeat(x[order], 2)[1:], np.repeat(y[order], 2)[:-1]
    return go.Scatter(x=x, y=y, mode="lines", line=line, showlegend=False)


if __name__ == "__main__":
    for name, figure in figures().items():
        (HERE / f"{name}.svg").write_text(draw(plain(figure)), encoding="utf-8")
        print(f"{name}.svg")
