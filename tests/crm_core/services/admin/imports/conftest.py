"""Helpers of the import tests: write a file, run it to the end, look at every row."""

from types import SimpleNamespace

import pytest

from crm_core import lists
from crm_core.db import read_session, write_session
from crm_core.lists import ListQuery
from crm_core.services.admin.imports import outcome, runs
from crm_core.services.admin.imports.driver import Options, import_file, run_batches, undo_batches
from crm_core.services.admin.imports.undo import revert


def _find(actor, entity, columns=(), **leaf):
    ast = {"op": "and", "items": [leaf]} if leaf else None
    with read_session() as session:
        return lists.find(session, actor, entity, ListQuery(filter=ast, columns=columns, size=500, sort=("id", False))).rows


def _count(actor, entity, **leaf):
    ast = {"op": "and", "items": [leaf]} if leaf else None
    with read_session() as session:
        return lists.count(session, actor, entity, ListQuery(filter=ast))


def _rows(actor, run, size=500):
    with read_session() as session:
        return outcome.rows(session, actor, run.id, size=size)


def _undo(actor, run):
    with write_session() as session:
        revert(session, actor, run.id)
    return undo_batches(run.id)


@pytest.fixture
def imports(tmp_path):
    """``text``/``data`` write a file, ``run`` imports it; ``rows``, ``find``, ``count``, ``why`` look at what came of it."""
    made = iter(range(1000))

    def data(content, name="file.csv"):
        folder = tmp_path / f"f{next(made)}"
        folder.mkdir()
        (folder / name).write_bytes(content)
        return folder / name

    def run(actor, entity, content, *, name="file.csv", dry_run=False, **options):
        path = (
            data(content.encode() if isinstance(content, str) else content, name) if isinstance(content, str | bytes) else content
        )
        return import_file(path, entity, actor=actor, options=Options(**options), dry_run=dry_run)

    def why(actor, run):
        return {row["n"]: row["why"] for row in _rows(actor, run) if row["why"]}

    return SimpleNamespace(
        data=data, run=run, rows=_rows, find=_find, count=_count, why=why, undo=_undo, go_on=run_batches, counts=runs.counts
    )
