"""A manager's story: a file from elsewhere goes through the wizard, a worker does the work, and the whole of it is taken back again."""

import csv
import io
import os
import subprocess
import sys
import time

import pytest
from playwright.sync_api import expect

from crm_core.db import write_session
from crm_core.services.admin import setup
from tests.cast import create
from tests.conftest import ROOT
from tests.journeys.looks import one

ROWS = 3_400  # more than a dry run answers while one waits


@pytest.fixture
def worker(empty_app):
    """A worker process beside the app."""
    command = [sys.executable, "-m", "crm_core", "worker"]
    log = (empty_app.folder / "worker.log").open("w")
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=log, stderr=subprocess.STDOUT)
    yield process
    process.terminate()
    process.wait(30)
    log.close()


def pipeline():
    """Deals as another program exports them: semicolons, commas in numbers, days first, a stage nobody knows here, one row that can't be."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";")
    writer.writerow(["Opportunity ID", "Opportunity", "Stage", "Engage date", "Close date", "Value", "Internal remark"])
    for n in range(ROWS):
        stage = ("Closed Won", "Closed Lost", "Engaging", "Proposal")[n % 4]
        closed = f"{n % 28 + 1:02d}-12-23" if n % 4 < 2 else ""
        writer.writerow(
            [f"OP-{n:05d}", f"Chance {n}", stage, f"{n % 28 + 1:02d}-{n % 11 + 1:02d}-23", closed, f"1.{n % 900 + 100},50", "x"]
        )
    writer.writerow(["OP-BAD", "Never", "Closed Won", "01-01-23", "31-02-23", "5", "x"])
    return buffer.getvalue().encode("utf-16")


def until(state, seconds=120):
    """Wait for the import to reach a state, as its row tells."""
    deadline = time.monotonic() + seconds
    while one("select state from import_run") != state:
        assert time.monotonic() < deadline, one("select message from import_run")
        time.sleep(0.2)


@pytest.mark.slow
def test_a_file_goes_in_by_the_wizard_and_comes_out_again(empty_app, worker, tab, picture):
    with write_session() as session:
        setup.create_organisation(session, "Wizard Ltd")
        root = create(session)["root"]
    page = tab(empty_app, root.user_id)
    page.open("/import?kind=deal").heading("Import")
    page.page.locator("input[type=file]").set_input_files({"name": "deals.csv", "mimeType": "text/csv", "buffer": pipeline()})
    page.heading("deals.csv").sees("6 of 7 columns are imported.").sees("Not imported: “Internal remark”.")
    page.sees("Please check:")
    picture(page, "import_match")

    page.click("Check").sees("What the import goes by")
    expect(page.page.get_by_test_id("stMetric").filter(has_text="Created")).to_contain_text("3,400")
    expect(page.page.get_by_test_id("stMetric").filter(has_text="Rejected")).to_contain_text("1")
    page.sees("“31-02-23” is not a day of the calendar")
    picture(page, "import_check")
    assert one("select count(*) from deal") == 0

    page.click("Import 3,400 rows")
    page.page.wait_for_timeout(500)
    page.page.goto("about:blank")  # the tab is closed; the work goes on
    until("done_with_errors")
    page.open("/import").sees("3,400 created, 1 rejected")
    assert one("select count(*) from deal where outcome = 'won'") == ROWS // 4
    assert one("select count(*) from stage where name = 'Engaging' and kind = 'open'") == 1

    page.page.get_by_role("link", name="deals.csv").click()
    page.sees("Outcome of every row")
    with page.page.expect_download() as download:
        page.click("Only the rejected rows")
    lines = download.value.path().read_text("utf-8-sig").splitlines()
    assert len(lines) == 2 and "OP-BAD" in lines[1] and "Rejected" in lines[1]

    page.click("Undo this import")
    page.sees("Whatever somebody has changed or used since is kept").click("Undo")
    page.sees("3,400 created records were deleted")
    assert one("select count(*) from deal") == 0
    assert one("select count(*) from stage where name = 'Engaging'") == 0
