"""The reference data of the customer models, in the columns of the contracts."""

from pathlib import Path

import pandas as pd


def cdnow_orders(path: Path) -> pd.DataFrame:
    """The CDNOW sample as ORDERS."""
    names = ["old_id", "customer_id", "day", "discs", "revenue"]
    raw = pd.read_csv(path, sep=r"\s+", header=None, names=names, dtype={"day": str})
    return pd.DataFrame(
        {
            "order_id": range(len(raw)),
            "customer_id": raw["customer_id"],
            "ordered_at": pd.to_datetime(raw["day"], utc=True),
            "revenue": raw["revenue"],
        }
    )


def telco(path: Path) -> pd.DataFrame:
    """IBM's telco customers with the outcome as 0/1."""
    raw = pd.read_csv(path)
    raw["TotalCharges"] = pd.to_numeric(raw["TotalCharges"], errors="coerce")
    return raw.assign(churned=(raw["Churn"] == "Yes").astype(int)).drop(columns="Churn")


def maven_deals(folder: Path) -> pd.DataFrame:
    """Maven's opportunities with their accounts and agents; won is missing while a deal is open."""
    deals = pd.read_csv(folder / "sales_pipeline.csv")
    deals = deals.merge(pd.read_csv(folder / "accounts.csv"), on="account", how="left")
    deals = deals.merge(pd.read_csv(folder / "sales_teams.csv"), on="sales_agent", how="left")
    for name in ("engage_date", "close_date"):
        deals[name] = pd.to_datetime(deals[name], format="%d-%m-%y")
    deals["won"] = deals["deal_stage"].map({"Won": 1, "Lost": 0})
    deals["days_open"] = (deals["close_date"] - deals["engage_date"]).dt.days
    return deals[deals["engage_date"].notna()].drop(columns=["deal_stage", "engage_quarter", "close_quarter"])
