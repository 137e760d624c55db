"""The measures behind the choice of k, against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, silhouette_score

from ml.stability import agreement, cluster, evidence, nearest, silhouette


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(2, 5))
def test_agreement_is_sklearns_adjusted_rand(seed, k):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, k, 60), rng.integers(0, k, 60)
    ari, overlaps = agreement(a, b, k)
    assert ari == pytest.approx(adjusted_rand_score(a, b))
    assert overlaps.shape == (k,)
    assert ((overlaps >= 0) & (overlaps <= 1)).all()


def test_overlap_finds_the_best_match_whatever_the_numbers():
    ari, overlaps = agreement(np.array([0, 0, 1, 1, 1]), np.array([1, 1, 0, 0, 1]), 2)
    assert overlaps == pytest.approx([2 / 3, 2 / 3])
    assert agreement(np.array([0, 0, 1]), np.array([1, 1, 0]), 2)[0] == 1
    assert ari < 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_silhouette_is_sklearns(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(80, 3))
    labels = rng.integers(0, 3, 80)
    assert silhouette(points, labels, 3) == pytest.approx(silhouette_score(points, labels), abs=1e-9)


def test_one_cluster_has_no_silhouette():
    assert silhouette(np.ones((5, 2)), np.zeros(5, dtype=int), 3) == 0


def test_the_nearest_centre_is_the_nearest():
    centres = np.array([[0.0, 0], [10, 0]])
    assert nearest(np.array([[4.9, 3], [5.1, 3]]), centres).tolist() == [0, 1]


def test_one_centre_is_the_mean():
    points = np.array([[0.0, 2], [2, 0]])
    centres, dispersion = cluster(points, 1, 0)
    assert centres.tolist() == [[1, 1]]
    assert dispersion == 4


def test_two_far_clouds_beat_one_and_a_single_cloud_does_not():
    rng = np.random.default_rng(0)
    single = rng.normal(size=(300, 2))
    double = single + np.repeat([[0, 0], [8, 8]], 150, axis=0)
    options = {"n_numeric": 2, "blocks": [], "refits": 5, "references": 8, "seed": 0}
    for points, better in ((single, False), (double, True)):
        one, two = (evidence(points, k, **options) for k in (1, 2))
        assert (two.gap > one.gap + two.gap_error) == better
        assert (two.worst_jaccard > 0.95) == better
