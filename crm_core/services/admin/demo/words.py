"""The words of the demo company: names, places, products and texts, written by hand and kept in ``data/demo``."""

import json
from functools import lru_cache
from typing import Any

from crm_core.settings import ROOT

FOLDER = ROOT / "data" / "demo"


@lru_cache(maxsize=8)
def words(name: str) -> dict[str, Any]:
    """One of the word lists: companies, people, places, products, texts."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]
