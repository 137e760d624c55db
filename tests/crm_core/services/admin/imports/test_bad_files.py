"""Bad files: each gets a sentence that says what to do, every row is accounted for, nothing is half written."""

import io

import pytest
from openpyxl import Workbook

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotPermitted, Unavailable
from crm_core.services.admin.imports import outcome, runs, store
from crm_core.services.admin.imports.driver import import_file
from crm_core.settings import settings


def accounted(imports, run):
    counts = imports.counts(run)
    assert sum(counts.values()) == run.total_rows == run.done_rows
    return counts


def test_wrong_types_are_rejected_row_by_row_with_the_column_and_the_reason(cast, imports):
    root = cast["root"]
    run = imports.run(
        root,
        "account",
        "Name,Employees,Annual revenue,Customer since,Website\n"
        + "Good,5,100,2020-01-31,good.example\n" * 1
        + "".join(f"Filler {n},{n},1,2020-01-{n + 1:02d},f{n}.example\n" for n in range(25))
        + "Many,many,100,2020-01-31,a.example\n"
        "Feb,5,100,2020-02-31,b.example\n"
        "Minus,5,-3,2020-01-31,c.example\n"
        "Script,5,100,2020-01-31,javascript:alert(1)\n"
        ",5,100,2020-01-31,d.example\n",
    )
    assert accounted(imports, run) == {"created": 26, "updated": 0, "unchanged": 0, "rejected": 5}
    why = imports.why(root, run)
    assert "Employees: “many” is not a number" in why[27]
    assert "Customer since: “2020-02-31” is not a day of the calendar" in why[28]
    assert "Annual revenue can't be below 0" in why[29]
    assert "Website must be a web address" in why[30]
    assert "Name is needed." in why[31]


def test_a_missing_required_column_is_said_before_anything_runs(cast, imports):
    with pytest.raises(Invalid, match="“Number” is needed: match a column with it"):
        imports.run(cast["root"], "order", "Order date,Total\n2020-01-31,5\n")
    assert imports.count(cast["root"], "order") == 0
    assert list(store.folder().iterdir()) == []


def test_ragged_rows_are_reported_and_may_be_filled_by_choice(cast, imports):
    content = "Name,City,Phone\nA,Oslo,12345\nB\nC,Oslo,12345,extra\nD,Oslo,12345,\n\n\nE,Oslo,12345\n"
    run = imports.run(cast["root"], "account", content)
    assert accounted(imports, run) == {"created": 3, "updated": 0, "unchanged": 0, "rejected": 2}
    assert imports.why(cast["root"], run) == {
        2: "The row has 1 cells, but there are 3 columns.",
        3: "The row has 4 cells, but there are 3 columns.",
    }
    filled = imports.run(cast["root"], "account", content, fill_short=True)
    assert accounted(imports, filled) == {"created": 1, "updated": 0, "unchanged": 3, "rejected": 1}


def test_nul_bytes_are_dropped_and_control_characters_do_not_get_in(cast, imports):
    run = imports.run(cast["root"], "account", b"Name,City\nA\x00cme,Os\x07lo\nBeta,Rome\n")
    assert accounted(imports, run)["created"] == 2
    assert {row["name"] for row in imports.find(cast["root"], "account")} == {"Acme", "Beta"}
    assert {row["city"] for row in imports.find(cast["root"], "account")} == {"Oslo", "Rome"}


def test_a_file_that_is_too_large_is_refused_by_its_size_without_being_read(cast, tmp_path, monkeypatch):
    monkeypatch.setattr(settings(), "max_upload_mb", 1)
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(200 << 20)  # sparse: 200 MB that nobody wrote
    monkeypatch.setattr(type(path), "open", lambda *_a, **_k: pytest.fail("the file was opened"))
    with pytest.raises(Invalid, match="larger than 1 MB"):
        import_file(path, "account", actor=cast["root"])


def test_an_upload_of_unknown_size_stops_at_the_limit_and_leaves_nothing(cast, monkeypatch):
    monkeypatch.setattr(settings(), "max_upload_mb", 1)

    class Endless(io.RawIOBase):
        given = 0

        def read(self, size=-1):
            self.given += size
            return b"x" * size

    source = Endless()
    with pytest.raises(Invalid, match="larger than 1 MB"), write_session() as session:
        runs.upload(session, cast["root"], "account", source, "x.csv")
    assert source.given <= 3 << 20
    assert list(store.folder().iterdir()) == []


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-16-le", "utf-16-le"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
    ],
)
def test_the_encoding_is_recognised(cast, imports, encoding, found):
    content = "Name;City\n" + "".join(f"Müller & Söhne {n};Zürich\n" for n in range(40))
    run = imports.run(cast["root"], "account", content.encode(encoding))
    assert (run.options["encoding"], run.options["delimiter"]) == (found, ";")
    assert accounted(imports, run)["created"] == 40
    assert imports.count(cast["root"], "account", field="city", cmp="eq", value="Zürich") == 40


def test_cyrillic_and_emoji_come_in_as_they_are(cast, imports):
    run = imports.run(
        cast["root"], "account", ("Name,City\n" + "".join(f"Завод номер {n},Москва\n" for n in range(40))).encode("cp1251")
    )
    assert run.options["encoding"] == "cp1251"
    assert imports.count(cast["root"], "account", field="city", cmp="eq", value="москва") == 40
    imports.run(cast["root"], "account", "Name\nCafé 🥐 GmbH\n")
    assert imports.count(cast["root"], "account", field="name", cmp="contains", value="🥐") == 1


def test_a_wrong_encoding_chosen_by_hand_gets_a_sentence(cast, imports):
    with pytest.raises(Invalid, match="not written in Unicode"):
        imports.run(cast["root"], "account", "Name\nMüller\n".encode("cp1252"), layout={"encoding": "utf-8"})


def test_two_headers_alike_are_told_apart_and_none_is_lost(cast, imports):
    run = imports.run(
        cast["root"], "contact", "Name,Phone,Phone,,PHONE\nAnn,+49301,+49302,x,+49303\n", mapping={"Phone (2)": "phone_2"}
    )
    assert runs.profile_of(run).headers == ("Name", "Phone", "Phone (2)", "Column 4", "PHONE (3)")
    assert runs.plan_of(run).dropped == ("Column 4", "PHONE (3)")
    assert imports.find(cast["root"], "contact", ("name", "phone"))[0]["phone"] == "+49301"


HOSTILE = [
    '=HYPERLINK("http://evil.example","x")',
    "<script>alert(1)</script>",
    "![x](http://evil.example/a.png)",
    "@SUM(1+1)",
    "+1+1",
    "-2+3",
    "'; drop table account; --",
    "{{7*7}}",
    "%s%n",
    "\u202egnirts",
]


def test_hostile_names_are_kept_as_text_and_can_not_run_in_the_outcome_file(any_cast, imports):
    import csv

    buffer = io.StringIO()
    csv.writer(buffer).writerows([["Name", "Employees"], *([name, -5] for name in HOSTILE[:1]), *([name, 7] for name in HOSTILE)])
    root = any_cast["root"]
    run = imports.run(root, "account", buffer.getvalue())
    assert accounted(imports, run) == {"created": len(HOSTILE), "updated": 0, "unchanged": 0, "rejected": 1}
    assert {row["name"] for row in imports.find(root, "account")} == set(HOSTILE)
    with read_session() as session:
        lines = list(csv.reader(io.StringIO("".join(outcome.lines(session, root, run.id)))))
    assert lines[0] == ["row", "outcome", "reason", "record", "Name", "Employees"]
    assert [line[1] for line in lines[1:]] == ["Rejected", *["Created"] * len(HOSTILE)]
    for line, name in zip(lines[2:], HOSTILE, strict=True):
        assert line[4] == (f"'{name}" if name[0] in "=+-@" else name)
    assert lines[1][5] == "-5"


def test_a_stage_of_another_pipeline_is_refused(cast, imports):
    from crm_core.services.admin import setup

    with write_session() as session:
        setup.create_pipeline(session, "Partners")
        from crm_core.models import Stage

        session.add(Stage(pipeline_id=2, name="Audit", position=9))
    content = "Deal,Pipeline,Stage\nA,Sales,Audit\nB,Partners,Audit\nC,,Audit\n"
    run = imports.run(cast["root"], "deal", content, unknown={"Stage": "reject"})
    assert accounted(imports, run) == {"created": 1, "updated": 0, "unchanged": 0, "rejected": 2}
    assert imports.why(cast["root"], run)[1] == "Stage: The stage “Audit” belongs to another pipeline (Partners)."


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"", "a.csv", "is empty"),
        (b"\n\n  \n", "a.csv", "is empty"),
        (b"Name,City\n", "a.csv", "no rows"),
        (b"%PDF-1.7 \x00\x01", "a.csv", "a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.csv", "old Excel file"),
        (b"PK\x03\x04rest", "a.csv", "must end in .xlsx"),
        (b"PK\x03\x04rest", "a.xlsx", "not a readable .xlsx"),
        (b"not a zip", "a.xlsx", "not a readable .xlsx"),
        (bytes(range(1, 32)) * 50, "a.csv", "no table of text"),
        (b"Name," + b",".join(b"c%d" % n for n in range(500)) + b"\n", "a.csv", "500 columns|501 columns"),
        (b'Name,City\nA,"' + b"x" * 140_000, "a.csv", "more than 131,072 characters"),
    ],
)
def test_what_is_no_table_is_refused_with_a_sentence(cast, imports, content, name, sentence):
    with pytest.raises(Invalid, match=sentence):
        imports.run(cast["root"], "account", content, name=name)
    assert list(store.folder().iterdir()) == []


def test_an_unclosed_quote_swallows_rows_but_never_silently(cast, imports):
    run = imports.run(cast["root"], "account", 'Name,City\nA,Oslo\nB,"Rome\nC,Bonn\nD,Kyiv\nE,Lyon\n')
    assert accounted(imports, run)["created"] == 2
    run = imports.run(cast["root"], "account", 'Name,City,Phone\nF,Oslo,123\nG,"Rome,123\nH,Bonn,123\nI,Kyiv,123\nJ,Lyon,123\n')
    assert "never closed" in imports.why(cast["root"], run)[2]


def test_a_spreadsheet_comes_in_with_its_dates_numbers_and_postcodes(cast, imports):
    from datetime import date, datetime

    book = Workbook()
    sheet = book.active
    sheet.append(["Name", "Postcode", "Customer since", "Employees", "Annual revenue", "Phone", None])
    sheet.append(["Acme", 1234, date(2016, 10, 20), 12.0, 0.1 + 0.2, 493012345.0, None])
    sheet.append(["=SUM(A1)", 99, datetime(2017, 1, 2, 3, 4), None, None, None, None])
    sheet.append([None] * 7)
    sheet.append(["Emoji 🥐", "00501", None, 3, 5, "+4912345", None])
    sheet["B2"].number_format = "00000"
    sheet["A3"].data_type = "s"
    buffer = io.BytesIO()
    book.save(buffer)
    run = imports.run(cast["root"], "account", buffer.getvalue(), name="book.xlsx")
    assert accounted(imports, run)["created"] == 3
    rows = {
        row["name"]: row
        for row in imports.find(
            cast["root"], "account", ("name", "postcode", "customer_since", "employees", "revenue_minor", "phone")
        )
    }
    acme = rows["Acme"]
    assert [str(acme[key]) for key in ("postcode", "customer_since", "employees", "revenue_minor", "phone")] == [
        "01234",
        "2016-10-20",
        "12",
        "30",
        "493012345",
    ]
    assert rows["Emoji 🥐"]["postcode"] == "00501"
    assert str(rows["=SUM(A1)"]["customer_since"]) == "2017-01-02"


def test_another_sheet_can_be_chosen_and_a_missing_one_is_named(cast, imports):
    book = Workbook()
    book.active.append(["Notes"])
    book.active.append(["nothing"])
    book.create_sheet("Firms").append(["Name"])
    book["Firms"].append(["Acme"])
    buffer = io.BytesIO()
    book.save(buffer)
    with write_session() as session:
        run = runs.upload(session, cast["root"], "account", io.BytesIO(buffer.getvalue()), "b.xlsx")
        assert run.options["sheets"] == ["Sheet", "Firms"]
        assert runs.relayout(session, cast["root"], run.id, {"sheet": "Firms"}).total_rows == 1
        with pytest.raises(Invalid, match="no sheet “Nowhere”"):
            runs.relayout(session, cast["root"], run.id, {"sheet": "Nowhere"})


def test_a_packed_bomb_is_not_opened(cast, imports, monkeypatch):
    import zipfile

    monkeypatch.setattr(settings(), "max_upload_mb", 1)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/workbook.xml", b"0" * (12 << 20))
    with pytest.raises(Invalid, match="enormous size"):
        imports.run(cast["root"], "account", buffer.getvalue(), name="bomb.xlsx")


def test_excel_s_own_separator_line_and_a_file_without_headers_are_understood(cast, imports):
    run = imports.run(cast["root"], "account", "sep=;\nName;City\nAcme;Oslo\n")
    assert (run.options["delimiter"], run.options["header_line"], run.created) == (";", 2, 1)
    run = imports.run(cast["root"], "product", "1;10,50\n2;20,25\n", mapping={"Column 1": "name", "Column 2": "price_minor"})
    assert (run.options["header_line"], run.created) == (0, 2)
    assert sorted(row["price_minor"] for row in imports.find(cast["root"], "product")) == [1050, 2025]


def test_a_row_that_the_database_refuses_does_not_take_its_neighbours_along(any_cast, imports, monkeypatch):
    from crm_core.services.admin.imports.kinds.deals import Deals

    fill = Deals.fill

    def slipped(self, batch, values, old):  # a rule that lets a value through which the table's CHECK refuses
        fill(self, batch, values, old)
        if values["name"] == "Bad":
            values["probability_pct"] = 400

    monkeypatch.setattr(Deals, "fill", slipped)
    run = imports.run(any_cast["root"], "deal", "Deal,Amount\nA,1\nBad,2\nC,3\n")
    assert accounted(imports, run) == {"created": 2, "updated": 0, "unchanged": 0, "rejected": 1}
    assert "The database refused this row" in imports.why(any_cast["root"], run)[2]
    assert [row["name"] for row in imports.find(any_cast["root"], "deal")] == ["A", "C"]


def test_a_file_that_vanished_is_said_so(cast, imports):
    root = cast["root"]
    with write_session() as session:
        run = runs.upload(session, root, "account", io.BytesIO(b"Name\nAcme\n"), "a.csv")
    store.forget(run.file_path)
    with pytest.raises(Unavailable, match="Upload it again"), write_session() as session:
        runs.check(session, root, run.id)


@pytest.mark.parametrize("who", ["alice", "sam", "ana"])
def test_roles_without_the_right_import_nothing(cast, who):
    for entity in ("account", "deal", "user"):
        with pytest.raises(NotPermitted), write_session() as session:
            runs.upload(session, cast[who], entity, io.BytesIO(b"Name\nAcme\n"), "a.csv")
    assert runs.importable(cast[who]) == []
    assert store.folder().exists() is False or list(store.folder().iterdir()) == []
