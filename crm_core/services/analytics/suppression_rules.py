"""Which numbers of a shared page stay hidden, so that no figure about fewer than five records can be read off or worked out. Pure.

A group of one to four records is hidden. Where the total is known, a single hidden group is the total minus the others; so more groups are
hidden, the smallest first, until at least two are, and together they are at least five records. Groups without records hide nobody.
"""

from collections.abc import Sequence

FLOOR = 5


def is_small(cases: int) -> bool:
    """True for one to four records."""
    return 0 < cases < FLOOR


def hidden(cases: Sequence[int]) -> set[int]:
    """Which groups of a split stay hidden, when their total may be known from elsewhere."""
    gone = {n for n, count in enumerate(cases) if is_small(count)}
    if not gone:
        return gone
    others = sorted((count, n) for n, count in enumerate(cases) if count >= FLOOR)
    while others and (len(gone) < 2 or sum(cases[n] for n in gone) < FLOOR):
        gone.add(others.pop(0)[1])
    return gone


def hidden_cells(cases: Sequence[Sequence[int]]) -> set[tuple[int, int]]:
    """Which cells of a table stay hidden when the totals of its rows and columns are known: none stands alone in its row or column."""
    gone = {(r, c) for r, row in enumerate(cases) for c, count in enumerate(row) if is_small(count)}
    width = max((len(row) for row in cases), default=0)
    lines = [[(r, c) for c in range(len(row))] for r, row in enumerate(cases)]
    lines += [[(r, c) for r, row in enumerate(cases) if c < len(row)] for c in range(width)]
    before = -1
    while before != len(gone):
        before = len(gone)
        for line in lines:
            gone |= _completed(cases, line, gone)
    return gone


def _completed(cases: Sequence[Sequence[int]], line: Sequence[tuple[int, int]], gone: set[tuple[int, int]]) -> set[tuple[int, int]]:
    here = {cell for cell in line if cell in gone}
    if not here:
        return here
    others = sorted((cases[r][c], (r, c)) for r, c in line if (r, c) not in gone and cases[r][c] > 0)
    while others and (len(here) < 2 or sum(cases[r][c] for r, c in here) < FLOOR):
        here.add(others.pop(0)[1])
    return here
