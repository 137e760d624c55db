"""Who opens a session, who commits, who asks the clock."""

import re

from tests.architecture import source

EDGES = ("ui/", "web/", "worker/", "crm_core/cli/", "crm_core/jobs/", "crm_core/db.py")
OWN_TRANSACTIONS = {
    "crm_core/summaries.py": "refreshes day by day, so that no write waits for all of them",
    "crm_core/services/admin/demo/__init__.py": "builds a whole workspace, a job of its own",
    "crm_core/services/admin/imports/": "commits batch by batch, to go on after a kill",
    "crm_core/services/admin/backups.py": "notes a backup after the file is there",
    "crm_core/services/admin/moving.py": "copies one database into another",
    "crm_core/services/admin/restoring.py": "replaces the database itself",
    "crm_core/services/admin/upkeep.py": "the nightly job purges table by table",
    "crm_core/services/admin/audit.py": "the sealing job must see that no older event is still under way",
    "crm_core/services/admin/privacy/": "reads much before it writes a little, batch by batch, to go on after a kill",
    "crm_core/services/customers/duplicate_scan.py": "reads and compares before it writes a little, batch by batch, to go on after a kill",
    "crm_core/reads.py": "writes down beside the page who looked, so that whoever reads never waits for it",
    "crm_core/services/analytics/run_work.py": "reads for minutes while it computes, and must hold no write lock meanwhile",
    "crm_core/services/admin/health.py": "asks the database whether it answers at all",
}
"""Parts of the business that must have transactions of their own, with the reason."""


def test_only_the_edges_open_sessions():
    found = []
    for path in source.files():
        where = source.name(path)
        if where.startswith((*EDGES, *OWN_TRANSACTIONS)):
            continue
        found += [
            f"{where}:{line} opens a session; take (session, actor, …) and let the edge open it"
            for line, call in source.calls(path)
            if call.split(".")[-1] in ("read_session", "write_session", "Session", "sessionmaker")
        ]
    assert found == []


def test_nobody_commits_outside_db():
    """A service that commits breaks "one use case, one commit": what comes after it can no longer be undone together."""
    allowed = re.compile(r"^(crm_core/db\.py|crm_core/schema\.py|crm_core/migrations/)")
    found = [
        f"{source.name(path)}:{line} {call}"
        for path in source.files("crm_core", "ui", "pages", "web")
        for line, call in source.calls(path)
        if call.endswith(".commit") and not allowed.match(source.name(path))
        if not source.name(path).startswith(tuple(OWN_TRANSACTIONS))
    ]
    assert found == []


def test_nobody_asks_for_a_naive_or_local_time():
    """``datetime.now()`` without a zone is another instant on every machine: ``kit.clock.utcnow`` is the clock."""
    wrong = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "datetime.date.today"}
    found = [
        f"{source.name(path)}:{line} {call}; use crm_core.kit.clock"
        for path in source.files("crm_core", "ui", "pages", "web", "worker")
        for line, call in source.calls(path)
        if call in wrong and source.name(path) != "crm_core/kit/clock.py"
    ]
    assert found == []
