"""A score as JSON scores and explains as it did before, and holds no row that it was learned from."""

import json

import pandas as pd
import pytest

from ml.errors import DataError
from ml.lead_frozen import fields_of, freeze, thaw
from ml.lead_score import fit_score
from ml.synthetic import company, shuffled

BASICS = {"outcome": "converted", "at": "at", "id": "lead_id"}


@pytest.fixture(scope="module")
def leads():
    return company(1_500, seed=4).leads


@pytest.mark.parametrize("noise", [False, True])
def test_a_frozen_score_answers_as_the_model_did_and_so_does_a_refused_one(leads, noise):
    table = shuffled(leads.drop(columns="spend"), "converted", seed=1) if noise else leads
    model = fit_score(table, spend=None if noise else "spend", **BASICS)
    assert model.usable is not noise
    stored = json.loads(json.dumps(freeze(model)))
    again = thaw(stored)
    rows = leads.head(50).assign(source=["unheard of", *leads["source"].head(49)])
    pd.testing.assert_frame_equal(again.score(rows), model.score(rows))
    assert again.verdict == model.verdict and again.metrics == pytest.approx(model.metrics)
    assert set(fields_of(stored)) <= {"source", "employees", "pages_viewed", "region", "shoe_size"}
    assert "L0001" not in json.dumps(stored)


def test_another_format_is_refused():
    with pytest.raises(DataError, match="frozen score"):
        thaw({"format": 99})
