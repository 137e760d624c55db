"""Tables out of the house: instants as the reader's clock shows them."""

import io
from datetime import UTC, datetime

import openpyxl

from crm_core.kit.csvio import to_xlsx


def test_a_workbook_tells_instants_by_the_clock_of_its_reader():
    made = to_xlsx(["At"], [[datetime(2026, 6, 1, 22, 30, tzinfo=UTC)]], timezone="Europe/Berlin")
    (cell,) = next(iter(openpyxl.load_workbook(io.BytesIO(made)).active.iter_rows(min_row=2, values_only=True)))
    assert cell == datetime(2026, 6, 2, 0, 30)
