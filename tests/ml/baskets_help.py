"""Order lines from short texts, for the tests of the baskets."""

from pathlib import Path

import numpy as np
import pandas as pd


def lines_of(*baskets: str) -> pd.DataFrame:
    """``lines_of("a b", "b c")``: one row per product."""
    parts = [basket.split() for basket in baskets]
    return as_lines(parts)


def as_lines(baskets: list[list[str]]) -> pd.DataFrame:
    """ORDER_LINES from lists of product ids."""
    order = np.repeat(np.arange(len(baskets)), [len(basket) for basket in baskets])
    return pd.DataFrame({"order_id": order, "product_id": [p for b in baskets for p in b], "quantity": 1.0, "revenue": 1.0})


def groceries(path: Path) -> pd.DataFrame:
    """The groceries file; its names keep their trailing blanks."""
    return as_lines([line.split(",") for line in path.read_text().rstrip("\n").split("\n")])
