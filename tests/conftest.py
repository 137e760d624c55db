"""What every test may use: the reference data, and the list of what had to be left out, said loudly at the end."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT: dict[str, str] = {}


def leave_out(what: str, why: str) -> None:
    """Skip the running test and name the reason in the closing summary; on CI nothing may be left out."""
    LEFT_OUT[what] = why
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing: {why}")
    pytest.skip(f"{what} is missing: {why}")


def reference_path(name: str) -> Path:
    """Path of a file of the reference data (setting RAPPORT_REFERENCE_DATA, default ../shared/data)."""
    base = Path(os.environ.get("RAPPORT_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
    path = base / name
    if not path.exists():
        leave_out("reference data", f"{name} not found; set RAPPORT_REFERENCE_DATA to the folder that holds it")
    return path


@pytest.fixture(scope="session")
def reference():
    """Callable: ``reference("groceries.csv")`` gives the path, or leaves the test out loudly."""
    return reference_path


def pytest_terminal_summary(terminalreporter):
    if LEFT_OUT:
        terminalreporter.section("LEFT OUT OF THIS RUN", sep="!", red=True, bold=True)
        for what, why in LEFT_OUT.items():
            terminalreporter.write_line(f"  {what}: {why}")
