"""Attribution: published figures, the exact game and the exact chain against brute force, and what always adds up."""

from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.attribution import MODELS, attribute, cost_per_conversion, path_auc, paths_from_touches, removal_effects
from ml.errors import DataError
from ml.synthetic import company, truth

GREEK = ["alpha", "iota", "eta", "beta"]


@pytest.fixture(scope="module")
def pathdata(reference):
    frame = pd.read_csv(reference("pathdata.csv"))
    frame.columns = ["path", "conversions", "value", "nulls"]
    return frame


def by_channel(frame, model, column="conversions"):
    return frame[frame.model == model].set_index("channel")[column]


def paths_of(*rows):
    """``("a > b", conversions, value, nulls)``."""
    return pd.DataFrame(rows, columns=["path", "conversions", "value", "nulls"])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("first", [6308, 4606, 3164, 2831]),
        ("last", [8447, 3355, 4167, 989]),
        ("linear", [7574.7, 3857.1, 3540.0, 2083.5]),
    ],
)
def test_the_rules_of_thumb_give_the_published_credits(pathdata, model, expected):
    found = by_channel(attribute(pathdata, models=[model], bootstrap=0), model)
    np.testing.assert_allclose(found[GREEK], expected, atol=0.05)


def test_the_chain_gives_the_published_credits(pathdata):
    result = attribute(pathdata, models=["markov"], bootstrap=0)
    expected = {
        "alpha": 5344.95, "iota": 3884.61, "eta": 3340.85, "beta": 2527.35, "theta": 1971.91, "lambda": 1282.85,
        "epsilon": 599.57, "zeta": 381.06, "kappa": 274.36, "gamma": 171.15, "delta": 4.61, "mi": 1.72,
    }  # fmt: skip
    assert by_channel(result, "markov").round(2).to_dict() == expected
    assert result.attrs["conversion_probability"] == pytest.approx(19_785 / 88_387, abs=1e-12)
    effects = removal_effects(pathdata)
    assert effects.attrs["conversion_probability"] == pytest.approx(0.2238451, abs=5e-8)


def test_shapley_gives_the_published_credits_and_equals_the_exact_game(pathdata):
    found = by_channel(attribute(pathdata, models=["shapley"], bootstrap=0), "shapley")
    np.testing.assert_allclose(found[["alpha", "eta", "iota", "beta"]], [7627.9, 3613.7, 3505.0, 1982.7], atol=0.05)
    sets = [frozenset(path.split(" > ")) for path in pathdata.path]
    channels = sorted(frozenset().union(*sets))
    worth = np.zeros(1 << len(channels))
    for journey, conversions in zip(sets, pathdata.conversions, strict=True):
        worth[sum(1 << channels.index(c) for c in journey)] += conversions
    for bit in range(len(channels)):  # sum over subsets
        masks = np.flatnonzero(np.arange(len(worth)) >> bit & 1)
        worth[masks] += worth[masks ^ (1 << bit)]
    n = len(channels)
    size = np.array([mask.bit_count() for mask in range(1 << n)])
    weight = np.array([factorial(s) * factorial(n - s - 1) / factorial(n) if s < n else 0.0 for s in range(n + 1)])
    for i, channel in enumerate(channels):
        without = np.flatnonzero(~np.arange(1 << n) >> i & 1)
        exact = (weight[size[without]] * (worth[without | (1 << i)] - worth[without])).sum()
        assert found[channel] == pytest.approx(exact, abs=1e-6), channel


def test_sampling_is_the_smaller_doubt(pathdata):
    result = attribute(pathdata, models=["markov", "last"], bootstrap=200)
    markov = result[(result.channel == "alpha") & (result.model == "markov")].iloc[0]
    last = result[(result.channel == "alpha") & (result.model == "last")].iloc[0]
    assert markov.share == pytest.approx(0.270, abs=0.0005)
    assert (markov.high - markov.low) / 2 == pytest.approx(0.003, abs=0.001)
    assert last.share == pytest.approx(0.427, abs=0.0005)
    assert last.low > markov.high


def test_the_chain_hardly_knows_what_will_convert(pathdata):
    for order in (1, 2, 3, 4):
        found = path_auc(pathdata, order)
        assert 0.505 < found.in_sample < 0.56
        assert found.auc < 0.52
        assert "hold-out measures" in found.verdict or "not a cause" in found.verdict


def brute_force_probability(journeys, order, removed=None):
    """P(conversion) of the chain by iterating it, with a channel's states led to nowhere."""
    moves = {}
    for path, wins, losses in journeys:
        states = [path[max(0, i - order + 1) : i + 1] for i in range(len(path))]
        for before, after in zip([None, *states], [*states, "win"], strict=True):
            moves.setdefault(before, {})
            if after != "win":
                moves[before][after] = moves[before].get(after, 0) + wins + losses
        moves[states[-1]]["win"] = moves[states[-1]].get("win", 0) + wins
        moves[states[-1]]["loss"] = moves[states[-1]].get("loss", 0) + losses
    chance = dict.fromkeys(moves, 0.0)
    for _ in range(4_000):
        chance = {
            state: 0.0
            if state is not None and state[-1] == removed
            else sum(n * (1.0 if to == "win" else 0.0 if to == "loss" else chance[to]) for to, n in out.items()) / sum(out.values())
            for state, out in moves.items()
        }
    return chance[None]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_removal_effects_are_those_of_the_chain_with_the_channel_taken_out(order):
    rng = np.random.default_rng(order)
    rows = [
        (tuple(rng.choice(list("abcd"), rng.integers(1, 6))), int(rng.integers(0, 6)), int(rng.integers(1, 9))) for _ in range(40)
    ]
    frame = pd.DataFrame({"path": [r[0] for r in rows], "conversions": [r[1] for r in rows], "nulls": [r[2] for r in rows]})
    frame["value"] = frame.conversions * 2.0
    found = removal_effects(frame, order).set_index("channel")
    whole = brute_force_probability(rows, order)
    for channel in "abcd":
        lost = 1 - brute_force_probability(rows, order, channel) / whole
        assert found.loc[channel, "removal_effect"] == pytest.approx(lost, abs=1e-9)
        assert found.loc[channel, "value_effect"] == pytest.approx(lost, abs=1e-9)


def test_each_rule_of_thumb_by_hand():
    frame = paths_of(("a > b > c > d > e", 1, 100.0, 0))
    credit = attribute(frame, bootstrap=0).pivot(index="model", columns="channel", values="conversions")
    expected = {
        "first": [1, 0, 0, 0, 0],
        "last": [0, 0, 0, 0, 1],
        "linear": [0.2] * 5,
        "position": [0.4, 0.2 / 3, 0.2 / 3, 0.2 / 3, 0.4],
        "time_decay": np.array([1, 2, 4, 8, 16]) / 31,
        "w": [0.3, 0.05, 0.3, 0.05, 0.3],
        "full_path": [0.225, 0.225, 0.1, 0.225, 0.225],
        "shapley": [0.2] * 5,
    }
    for model, shares in expected.items():
        np.testing.assert_allclose(credit.loc[model, list("abcde")], shares, atol=1e-12, err_msg=model)
    value = attribute(frame, bootstrap=0)
    np.testing.assert_allclose(value.value, 100 * value.conversions)


@pytest.mark.parametrize("model", MODELS)
def test_short_journeys_are_shared_out_evenly_or_by_rule(model):
    one = attribute(paths_of(("a", 2, 4.0, 1)), models=[model], bootstrap=0)
    assert one.conversions.tolist() == [2.0]
    two = by_channel(attribute(paths_of(("a > b", 1, 1.0, 1)), models=[model], bootstrap=0), model)
    expected = {"first": 1.0, "last": 0.0, "time_decay": 1 / 3}.get(model, 0.5)
    assert two["a"] == pytest.approx(expected)


def test_a_channel_touched_twice_counts_once_for_shapley_and_twice_for_linear():
    frame = paths_of(("a > a > b", 1, 0.0, 0))
    assert by_channel(attribute(frame, bootstrap=0), "shapley")["a"] == pytest.approx(1 / 2)
    assert by_channel(attribute(frame, bootstrap=0), "linear")["a"] == pytest.approx(2 / 3)


journey_lists = st.lists(
    st.tuples(st.lists(st.sampled_from("abcde"), min_size=1, max_size=7).map(tuple), st.integers(0, 9), st.integers(0, 20)),
    min_size=1,
    max_size=25,
).filter(lambda rows: sum(row[1] for row in rows) > 0)


def random_frame(rows):
    frame = pd.DataFrame({"path": [r[0] for r in rows], "conversions": [r[1] for r in rows], "nulls": [r[2] for r in rows]})
    return frame.assign(value=frame.conversions * 3.5)


@settings(max_examples=60, deadline=None)
@given(journey_lists, st.integers(1, 3))
def test_credits_sum_to_conversions_and_value_in_every_model(rows, order):
    frame = random_frame(rows)
    result = attribute(frame, order=order, bootstrap=0)
    sums = result.groupby("model")[["conversions", "value", "share"]].sum()
    np.testing.assert_allclose(sums.conversions, frame.conversions.sum(), rtol=1e-12)
    np.testing.assert_allclose(sums.value, frame.value.sum(), rtol=1e-12)
    np.testing.assert_allclose(sums.share, 1, rtol=1e-12)
    assert (result[["conversions", "value"]] >= -1e-12).all(axis=None)


@settings(max_examples=25, deadline=None)
@given(journey_lists, st.randoms())
def test_row_order_and_merging_change_nothing(rows, random):
    frame = random_frame(rows)
    split = pd.concat([frame.assign(nulls=0), frame.assign(conversions=0, value=0.0)], ignore_index=True)
    order = list(range(len(split)))
    random.shuffle(order)
    pd.testing.assert_frame_equal(attribute(split.iloc[order], bootstrap=20), attribute(frame, bootstrap=20))


def test_renaming_the_channels_renames_the_credits(pathdata):
    new = {"alpha": "zz", "beta": "aa"}
    renamed = pathdata.assign(path=[" > ".join(new.get(c, c) for c in p.split(" > ")) for p in pathdata.path])
    for model in ("markov", "shapley", "w"):
        before = by_channel(attribute(pathdata, models=[model], bootstrap=0), model)
        after = by_channel(attribute(renamed, models=[model], bootstrap=0), model)
        for channel, credit in before.items():
            assert after[new.get(channel, channel)] == pytest.approx(credit, rel=1e-12)


def test_the_same_seed_gives_the_same_and_wider_levels_enclose_narrower(pathdata):
    some = pathdata.head(300)
    first, again = (attribute(some, bootstrap=50, seed=5) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    narrow, wide = (attribute(some, bootstrap=50, seed=5, level=level) for level in (0.5, 0.95))
    assert (wide.low <= narrow.low).all()
    assert (wide.high >= narrow.high).all()


def test_the_interval_is_as_wide_as_resampling_journey_by_journey_makes_it():
    frame = paths_of(("a", 40, 40.0, 200), ("b", 30, 30.0, 300), ("a > b", 20, 20.0, 100), ("c > a", 10, 10.0, 60))
    result = attribute(frame, models=["linear", "markov"], bootstrap=2_000)
    rng = np.random.default_rng(1)
    counts = np.concatenate([frame.conversions, frame.nulls])
    drawn = {"linear": [], "markov": []}
    for _ in range(400):
        again = rng.multinomial(counts.sum(), counts / counts.sum())
        redrawn = frame.assign(conversions=again[:4], value=again[:4] * 1.0, nulls=again[4:])
        for model, shares in drawn.items():
            shares.append(by_channel(attribute(redrawn, models=[model], bootstrap=0), model, "share")["a"])
    for model, shares in drawn.items():
        row = result[(result.model == model) & (result.channel == "a")].iloc[0]
        low, high = np.quantile(shares, [0.025, 0.975])
        assert row.low == pytest.approx(low, abs=0.015), model
        assert row.high == pytest.approx(high, abs=0.015), model


def test_many_conversions_on_one_path_are_resampled_too():
    frame = paths_of(("a", 50_000, 1.0, 100_000), ("b", 50_000, 1.0, 100_000))
    row = attribute(frame, models=["last"], bootstrap=400).iloc[0]
    expected = 1.96 * np.sqrt(0.25 / 100_000)
    assert (row.high - row.low) / 2 == pytest.approx(expected, rel=0.25)


@pytest.fixture(scope="module")
def planted_paths():
    made = company("medium", seed=2)
    return paths_from_touches(made.touchpoints, made.conversions, lookback_days=30)


@pytest.mark.parametrize("model", ["linear", "markov", "shapley", "time_decay"])
def test_equally_frequent_channels_are_credited_in_the_order_of_their_planted_effects(planted_paths, model):
    shares, effects = truth().channel_share, truth().channel_effects
    assert shares["email"] == shares["social"] == shares["display"]
    assert effects["email"] > effects["social"] > effects["display"] == 0
    found = attribute(planted_paths, models=[model]).set_index("channel")
    assert found.loc["email", "low"] > found.loc["social", "high"]
    assert found.loc["social", "share"] > found.loc["display", "share"]


def test_where_channels_matter_the_chain_knows_it(planted_paths):
    found = path_auc(planted_paths)
    assert found.low > 0.55


def noise(paths, seed):
    total = (paths.conversions + paths.nulls).to_numpy(dtype=int)
    wins = np.random.default_rng(seed).binomial(total, 0.15)
    return paths.drop(columns="time_weights").assign(conversions=wins, value=wins * 1.0, nulls=total - wins)


def test_on_pure_noise_the_auc_interval_covers_a_coin_as_often_as_it_says(planted_paths):
    found = [path_auc(noise(planted_paths, seed)) for seed in range(20)]
    covered = [each.low <= 0.5 <= each.high for each in found]
    assert sum(covered) >= 17
    assert all("cannot tell" in each.verdict for each in found if each.low <= 0.5)


def test_on_pure_noise_equally_frequent_channels_share_alike(planted_paths):
    found = attribute(noise(planted_paths, 1), models=["markov", "linear"])
    for _, part in found[found.channel.isin(["email", "social", "display"])].groupby("model"):
        assert part.low.max() < part.high.min()


def test_few_conversions_are_marked_unreliable(pathdata):
    result = attribute(pathdata, models=["linear"], bootstrap=0).set_index("channel")
    assert not result.loc[["mi", "delta"], "reliable"].any()
    assert result.loc[GREEK, "reliable"].all()
    assert result.loc["mi", "touched"] < 30


def test_warnings_say_what_is_missing():
    only_wins = attribute(paths_of(("a > b", 10, 1.0, 0)), bootstrap=0)
    assert any("successes only" in text for text in only_wins.attrs["warnings"])
    assert any("Only 10 conversions" in text for text in only_wins.attrs["warnings"])
    one = attribute(paths_of(("a", 50, 1.0, 9)), bootstrap=0)
    assert any("one channel only" in text for text in one.attrs["warnings"])


def test_a_long_memory_gives_credits_and_says_that_it_has_no_interval(pathdata):
    result = attribute(pathdata, models=["markov"], order=3, bootstrap=200)
    assert result.low.isna().all()
    assert any("No interval for markov" in text for text in result.attrs["warnings"])
    assert result.conversions.sum() == pytest.approx(19_785)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (paths_of(("a", 0, 0.0, 5)), "at least one journey that converted"),
        (paths_of(("a", 1.5, 1.0, 0)), "whole numbers"),
        (paths_of(("a", -1, 1.0, 0)), "at least 0"),
        (paths_of(("a", np.nan, 1.0, 0)), "conversions"),
        (paths_of(("a", np.inf, 1.0, 0)), "infinite"),
        (paths_of(("", 1, 1.0, 0)), "channel name"),
        (paths_of(((), 1, 1.0, 0)), "channel name"),
        (paths_of((("a", ""), 1, 1.0, 0)), "channel name"),
        (paths_of((None, 1, 1.0, 0)), "path"),
        (paths_of(("a", 0, 5.0, 1), ("b", 1, 1.0, 1)), "value only where"),
        (paths_of(("a", 1, 1.0, 0)).iloc[:0], "at least one row"),
        (paths_of(("a", 1, 1.0, 0)).drop(columns="nulls"), "nulls"),
        (paths_of(*((f"c{i}", 1, 1.0, 1) for i in range(10_000))), "at most 1,000"),
    ],
)
def test_bad_paths_are_refused_in_words(frame, words):
    with pytest.raises(DataError, match=words):
        attribute(frame, bootstrap=0)


@pytest.mark.parametrize("bad", [{"models": ["magic"]}, {"models": []}, {"order": 0}, {"level": 1}, {"bootstrap": -1}])
def test_parameters_without_a_meaning_are_refused(bad):
    with pytest.raises(DataError):
        attribute(paths_of(("a", 1, 1.0, 1)), **({"bootstrap": 0} | bad))


def test_too_few_journeys_have_no_auc():
    with pytest.raises(DataError, match="at least 10 of each"):
        path_auc(paths_of(("a", 3, 1.0, 100)))


def test_cost_per_conversion_shows_how_far_the_models_differ():
    frame = paths_of(("ads > mail", 10, 100.0, 5))
    touches = pd.DataFrame(
        {"customer_id": range(4), "at": "2024-01-01", "channel": ["ads", "ads", "mail", "mail"], "cost": [50, 50, 0, 0]}
    )
    table = cost_per_conversion(attribute(frame, models=["first", "linear", "last"], bootstrap=0), touches)
    assert table.channel.tolist() == ["ads"]
    row = table.iloc[0]
    assert (row.cost, row["first"], row.linear) == (100, 10, 20)
    assert np.isnan(row["last"])
    assert (row.lowest, row.highest, row.spread) == (10, 20, 2)


@pytest.mark.parametrize(("cost", "channel"), [(0, "ads"), (5, "radio")])
def test_costs_that_cannot_be_matched_are_refused(cost, channel):
    touches = pd.DataFrame({"customer_id": [1], "at": "2024-01-01", "channel": [channel], "cost": [cost]})
    with pytest.raises(DataError):
        cost_per_conversion(attribute(paths_of(("ads", 1, 1.0, 1)), bootstrap=0), touches)


def test_shapley_of_the_smallest_game_by_its_definition():
    frame = paths_of(("a", 3, 0.0, 0), ("a > b", 4, 0.0, 0), ("b > c > a", 6, 0.0, 0))
    found = by_channel(attribute(frame, bootstrap=0), "shapley")
    journeys = [({"a"}, 3), ({"a", "b"}, 4), ({"a", "b", "c"}, 6)]

    def worth(coalition):
        return sum(n for needs, n in journeys if needs <= set(coalition))

    for channel in "abc":
        others = [c for c in "abc" if c != channel]
        exact = sum(
            factorial(k) * factorial(2 - k) / 6 * (worth((*part, channel)) - worth(part))
            for k in range(3)
            for part in combinations(others, k)
        )
        assert found[channel] == pytest.approx(exact)


def test_noise_in_the_order_of_rows_is_not_read_as_signal(pathdata):
    pd.testing.assert_frame_equal(
        attribute(pathdata, bootstrap=10), attribute(pathdata.sample(frac=1, random_state=1), bootstrap=10)
    )
