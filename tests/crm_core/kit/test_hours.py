"""Hours of a day as people type them."""

import pytest

from crm_core.kit import hours


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("9-17", [["09:00", "17:00"]]),
        ("9:30 – 12, 13-17", [["09:30", "12:00"], ["13:00", "17:00"]]),
        ("", []),
        ("9-12-17", [["9–12–17"]]),
        ("8", [["8"]]),
        ("8-noon", [["08:00", "noon"]]),
    ],
)
def test_what_is_no_span_stays_as_it_was_typed(typed, read):
    assert hours.clock_times(typed) == read
