"""One page of a longer list."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Page:
    """Rows of one page, the number of all matching rows, and sums over all of them (``totals``: column key → number)."""

    rows: list[dict[str, Any]]
    total: int
    page: int
    size: int
    totals: dict[str, Any] = field(default_factory=dict)

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.size))
