"""What an export wrote can be imported again, and changes nothing."""

import csv
import io
from dataclasses import replace

import pytest

from crm_core import records
from crm_core.db import write_session
from crm_core.lists import ListQuery
from crm_core.services import exports
from crm_core.services.admin import custom_fields
from crm_core.vocabulary import FieldKind
from tests.verbs import do, look

VALUES = {
    FieldKind.TEXT: "=1+1; 0012", FieldKind.LONG_TEXT: "two\nlines", FieldKind.EMAIL: "a@example.com", FieldKind.PHONE: "+49 40 1234", FieldKind.URL: "example.com/?a=1,2",
    FieldKind.INTEGER: -1000, FieldKind.DECIMAL: "1234.567", FieldKind.MONEY: "1234567.89", FieldKind.PERCENT: "12.5", FieldKind.BOOLEAN: True,
    FieldKind.DATE: "2026-03-04", FieldKind.DATETIME: "2026-03-04T10:30", FieldKind.CHOICE: 'Blue "q", x',
}  # fmt: skip


@pytest.mark.parametrize("form", exports.FORMATS)
def test_an_export_with_custom_fields_of_every_kind_comes_back_unchanged(cast, imports, form):
    root = cast["root"]
    assert set(VALUES) == set(custom_fields.KINDS)
    for kind in VALUES:
        options = [VALUES[kind]] if kind is FieldKind.CHOICE else []
        do(custom_fields.create, root, "account", label=f"Own {kind.label}", kind=kind, options=options)
    keys = {row.kind: row.key for row in look(custom_fields.find, root, "account")}
    with write_session() as session:
        records.create(session, root, "account", {"name": "Acme", **{keys[kind]: value for kind, value in VALUES.items()}})
        records.create(session, root, "account", {"name": "Empty"})
    made = look(exports.build, root, "account", ListQuery(columns=("name", *keys.values())), form=form)
    done = imports.run(root, "account", imports.data(made.data, f"accounts.{form}"))
    assert imports.counts(done) == {"created": 0, "updated": 0, "unchanged": 2, "rejected": 0}, imports.rows(root, done)


@pytest.mark.parametrize(
    ("zone", "written"),
    [
        ("Pacific/Auckland", ["2026-04-05 02:30:00+13:00", "2026-04-05 02:30:00+12:00", "1800-01-01 12:00:00+11:39:04"]),
        ("America/St_Johns", ["2026-04-04 11:00:00-02:30", "2026-04-04 12:00:00-02:30", "1799-12-31 20:50:04-03:30:52"]),
    ],
)
def test_instants_leave_in_the_readers_time_zone_with_its_offset_and_come_back_to_the_second(cast, imports, zone, written):
    """Both half past twos of the night in which the clock goes back, and a time before there were time zones."""
    root = replace(cast["root"], timezone=zone)
    do(custom_fields.create, root, "account", label="Seen", kind=FieldKind.DATETIME, options=[])
    key = look(custom_fields.find, root, "account")[0].key
    instants = ["2026-04-04T13:30:00+00:00", "2026-04-04T14:30:00+00:00", "1800-01-01T00:20:56+00:00"]
    with write_session() as session:
        for n, at in enumerate(instants):
            records.create(session, root, "account", {"name": f"Account {n}", key: at})
    made = look(exports.build, root, "account", ListQuery(columns=("name", key)))
    cells = {row["Name"]: row["Seen"] for row in csv.DictReader(io.StringIO(made.data.decode("utf-8-sig")))}
    assert [cells[f"Account {n}"] for n in range(3)] == written
    elsewhere = replace(root, timezone="Asia/Tokyo")  # whoever reads the file in another zone
    done = imports.run(elsewhere, "account", imports.data(made.data, "accounts.csv"))
    assert imports.counts(done) == {"created": 0, "updated": 0, "unchanged": 3, "rejected": 0}, imports.rows(root, done)
