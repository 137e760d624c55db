"""The command line: every method runs on files, says what it expects, and refuses in words."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ml.__main__ import main, plain
from ml.commands import COMMANDS
from ml.contracts import Contract
from ml.synthetic import company


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small company as files."""
    place = tmp_path_factory.mktemp("company")
    made = company(400, seed=1)
    for name, frame in made.frames.items():
        frame.to_csv(place / f"{name}.csv", index=False)
    made.customers.merge(made.membership).to_parquet(place / "segments.parquet")
    made.sales.head(300).to_csv(place / "year.csv", index=False)
    made.sales.tail(300).to_csv(place / "next.csv", index=False)
    assert main(["paths", "--data", f"{place}/touchpoints.csv", "--conversions", f"{place}/conversions.csv",
                 "--lookback-days", "30", "--out", f"{place}/paths.csv"]) == 0  # fmt: skip
    return place


CALLS = {
    "rfm": "--data orders.csv --as-of 2025-01-01",
    "clusters": "--data customers.csv --k 2 --refits 5",
    "personas": "--data segments.parquet --labels segment --orders orders.csv --as-of 2025-01-01",
    "itemsets": "--data order_lines.csv --min-count 40",
    "rules": "--data order_lines.csv --min-support .01 --min-confidence .4 --holdout .3",
    "recommend": "--data order_lines.csv --basket P101,P102",
    "recommenders": "--data order_lines.csv --split-at 2024-06-01",
    "upsell": "--data order_lines.csv --products products.csv --basket P005,P101",
    "forecast": "--data year.csv --horizon 7 --methods seasonal_naive,theta",
    "paths": "--data touchpoints.csv --conversions conversions.csv --lookback-days 14 --no-nulls",
    "attribution": "--data paths.csv --bootstrap 20 --costs touchpoints.csv",
    "removal-effects": "--data paths.csv --order 2",
    "path-auc": "--data paths.csv",
    "lead-score": "--data leads.csv --outcome converted --at at --spend spend --id lead_id",
    "churn": "--data contracts.csv --outcome churned --at at --tenure tenure_months --id customer_id "
    "--features plan,tickets_90d,logins_30d",
    "survival": "--data contracts.csv --duration tenure_months --ended churned --group plan",
    "retention": "--data touchpoints.csv --as-of 2025-01-01 --period quarter",
    "lifetime": "--data orders.csv --as-of 2025-01-01",
    "linear": "--data customers.csv --y income --x age,country",
    "logistic": "--data leads.csv --y converted --x pages_viewed,source --positive 1",
    "rate": "--numerator 81 --denominator 263",
    "xmr": "--data year.csv",
    "funnel": "--data leads.csv --by region --success converted",
    "compare": "--data year.csv --after next.csv --column y",
    "uplift": "--data campaign.csv --outcome responded",
    "calibration": "--data campaign.csv --outcome responded --probability responded",
    "synthetic": "--folder out --scale 50",
}


def arguments(name, folder):
    files = (".csv", ".parquet")
    return [name, *(f"{folder}/{w}" if w.endswith(files) or w == "out" else w for w in CALLS[name].split())]


def test_every_method_has_a_call_here():
    assert set(CALLS) == {command.name for command in COMMANDS}


@pytest.mark.parametrize("name", CALLS)
def test_every_method_gives_tables_and_strict_json(name, folder, capsys):
    assert main([*arguments(name, folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert found
    assert main([*arguments(name, folder), "--rows", "3"]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_shows_the_columns_expected(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command.name, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    if isinstance(command.expects, Contract):
        assert all(column.name in shown and column.meaning in shown for column in command.expects.columns)
    elif command.expects:
        assert command.expects in shown
    assert all(f"--{option.name}" in shown for option in command.options)


def test_the_numbers_are_those_of_the_functions(folder, capsys):
    main([*arguments("rate", folder), "--json"])
    found = json.loads(capsys.readouterr().out)["rate"]
    assert (round(found["low"], 4), round(found["high"], 4)) == (0.2553, 0.3662)
    main([*arguments("recommend", folder), "--json"])
    assert json.loads(capsys.readouterr().out)["recommendations"][0]["product_id"] == "P103"


def test_time_weights_survive_the_file(folder, capsys):
    from ml.attribution import attribute, paths_from_touches

    made = company(400, seed=1)
    direct = attribute(paths_from_touches(made.touchpoints, made.conversions, lookback_days=30), bootstrap=0)
    main(["attribution", "--data", f"{folder}/paths.csv", "--bootstrap", "0", "--json"])
    found = pd.DataFrame(json.loads(capsys.readouterr().out)["credits"])
    np.testing.assert_allclose(found.conversions, direct.conversions)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["rate", "--numerator", "1", "--denominator", "0"], "at least one case"),
        (["itemsets", "--data", "nowhere.csv"], "no file nowhere.csv"),
        (["linear", "--data", "{}/customers.csv", "--y", "income", "--x", "nothing"], "the columns nothing"),
        (["clusters", "--data", "{}/customers.csv", "--k", "two"], "auto or a whole number"),
        (["personas", "--data", "{}/customers.csv", "--labels", "kind"], "no column kind"),
        (["rfm", "--data", "{}/products.csv", "--as-of", "2025-01-01"], "order_id"),
    ],
)
def test_refusals_are_sentences_on_both_doors(call, words, folder, capsys):
    call = [word.replace("{}", str(folder)) for word in call]
    assert main(call) == 1
    assert words in capsys.readouterr().err
    assert main([*call, "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert words in error["message"]
    assert error["found"]
    assert error["needed"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01", b'a,b\n1,2,3\n"'])
def test_a_file_that_is_no_table_is_refused(content, tmp_path, capsys):
    file = tmp_path / "broken.csv"
    file.write_bytes(content)
    assert main(["itemsets", "--data", str(file)]) == 1
    assert "needs" in capsys.readouterr().err


def test_the_main_table_can_be_kept_as_csv_or_parquet(folder, tmp_path, capsys):
    for kind, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        file = tmp_path / f"rules.{kind}"
        assert main([*arguments("rules", folder), "--out", str(file)]) == 0
        assert "P101 + P102" in set(read(file).antecedents)
    assert main([*arguments("rate", folder), "--out", str(tmp_path / "x.csv")]) == 1
    assert "no table" in capsys.readouterr().err


def test_progress_goes_to_standard_error_and_not_into_the_answer(folder, capsys):
    assert main([*arguments("itemsets", folder), "--json", "--progress"]) == 0
    shown = capsys.readouterr()
    assert "counting itemsets" in shown.err
    json.loads(shown.out)


def test_it_runs_as_a_module_without_loading_what_help_does_not_need():
    code = "import sys; sys.argv = ['ml']; import ml.__main__; print([m for m in ('prophet', 'statsmodels', 'sklearn', "
    code += "'plotly', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    done = subprocess.run([sys.executable, "-m", "ml"], capture_output=True, text=True, check=False)
    assert done.returncode == 2


def test_plain_knows_everything_a_method_returns():
    assert plain(float("nan")) is None
    assert plain(np.inf) == "infinity"
    assert plain(pd.NaT) is None
    assert plain(pd.Timestamp("2024-01-01", tz="UTC")) == "2024-01-01T00:00:00+00:00"
    assert plain(frozenset({"b", "a"})) == ["a", "b"]
    assert plain({1: np.int64(2), "x": (np.True_, None)}) == {"1": 2, "x": [True, None]}
    assert plain(pd.Series({"a": 1.5})) == {"a": 1.5}
