"""Statistics against hand-computed cases, and the schema of result files."""

import numpy as np
import pytest
from scipy import stats

from analysis.results.schema import ResultError, load, save
from analysis.results.stats import (
    SHARE,
    cluster_interval,
    rank_correlation,
    seed_interval,
    variance_ratio,
    welch_interval,
)
from tests.made_up import result


def test_seed_interval_by_hand():
    # Values 1, 2, 3: mean 2, standard deviation 1, t(0.975, 2) = 4.30265.
    mean, low, high = seed_interval(np.array([1.0, 2.0, 3.0]))
    assert (mean, low, high) == pytest.approx((2, 2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), rel=1e-5)
    assert seed_interval(np.array([1.0, np.nan, 3.0])).mean == 2
    one = seed_interval(np.array([5.0]))
    assert one.mean == 5 and np.isnan(one.low) and np.isnan(one.high)
    assert np.isnan(seed_interval(np.array([np.nan])).mean)
    assert np.isnan(seed_interval(np.array([0.1, 0.1, 0.1])).low)  # equal seeds are no certainty


def test_interval_of_a_proportion_stays_within_it():
    values = np.array([0.0, 0.1, 0.9])
    _, low, high = seed_interval(values)
    assert low < 0 and high > 1
    assert seed_interval(values, within=SHARE) == (pytest.approx(1 / 3), 0, 1)
    certain = np.array([0.4, 0.5, 0.6])
    assert seed_interval(certain, within=SHARE) == seed_interval(certain)


@pytest.mark.parametrize("clusters", [8, 40])
def test_cluster_interval_covers_as_often_as_it_says(clusters):
    """Of the mean of clusters of unequal size, 400 times: 95 %, give or take three standard errors of that share."""
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(400):
        sizes = rng.integers(1, 6, clusters)
        cluster = np.repeat(np.arange(clusters), sizes)
        values = np.repeat(rng.normal(size=clusters), sizes) + rng.normal(size=len(cluster))
        span = cluster_interval(values, cluster)
        hits.append(span.low <= 0 <= span.high)
    assert 0.95 - 0.033 <= np.mean(hits) <= 0.95 + 0.033


def test_cluster_interval_weighs_windows():
    rng = np.random.default_rng(0)
    values, cluster, weight = rng.normal(size=60), np.repeat(np.arange(12), 5), rng.integers(1, 4, 60)
    weighted = cluster_interval(values, cluster, weight=weight)
    assert weighted == pytest.approx(cluster_interval(np.repeat(values, weight), np.repeat(cluster, weight)))
    assert weighted.mean == pytest.approx(np.average(values, weights=weight))


def test_welch_interval_by_hand():
    # Means 2 and 6, variances 1 and 4 over three each: standard error sqrt(5/3), 2.94 degrees of freedom.
    mean, low, high = welch_interval(np.array([1.0, 2.0, 3.0]), np.array([4.0, 6.0, 8.0]))
    half = stats.t.ppf(0.975, (1 / 3 + 4 / 3) ** 2 / ((1 / 3) ** 2 / 2 + (4 / 3) ** 2 / 2)) * (5 / 3) ** 0.5
    assert (mean, low, high) == pytest.approx((-4, -4 - half, -4 + half))
    assert np.isnan(welch_interval(np.array([1.0]), np.array([4.0, 6.0])).low)


def test_rank_correlation_by_hand():
    values = np.array([1.0, 10.0, 100.0, 1000.0, np.nan])
    mean, low, high = rank_correlation(values, np.array([2.0, 1.0, 3.0, 4.0, 9.0]))
    assert mean == pytest.approx(1 - 6 * 2 / (4 * 15))  # 1 - 6 sum d^2 / (n (n^2 - 1))
    half = 1.959964 / np.sqrt(4 - 3)
    assert (low, high) == pytest.approx((np.tanh(np.arctanh(mean) - half), np.tanh(np.arctanh(mean) + half)), rel=1e-5)
    assert np.isnan(rank_correlation(values, np.ones(5))).all()
    assert np.isnan(rank_correlation(values[:3], np.array([1.0, 2.0, 3.0]))[1:]).all()


def test_variance_ratio_by_hand():
    # Variances 4 and 1 of three values each; F(0.975; 2, 2) = 39, whose inverse is the other end.
    ratio, low, high = variance_ratio(np.array([0.0, 2.0, 4.0]), np.array([5.0, 6.0, 7.0]))
    assert (ratio, low, high) == pytest.approx((4, 4 / 39, 4 * 39))
    assert np.isnan(variance_ratio(np.array([1.0, 2.0]), np.array([3.0, 3.0]))).all()
    assert np.isnan(variance_ratio(np.array([1.0, np.nan]), np.array([3.0, 4.0]))).all()


def test_cluster_interval_resamples_clusters():
    # Within a cluster all values agree, so the interval is that of five clusters, not of 500 windows.
    cluster = np.repeat(np.arange(5), 100)
    difference = np.repeat([0.0, 1.0, 2.0, 3.0, 4.0], 100)
    mean, low, high = cluster_interval(difference, cluster)
    assert mean == 2
    # As wide as Student's t over the five, about: a plain percentile bootstrap would say 0.8 to 3.2.
    _, low_t, high_t = seed_interval(np.arange(5.0))
    assert low == pytest.approx(low_t, abs=0.35) and high == pytest.approx(high_t, abs=0.35)
    alone = cluster_interval(difference, np.arange(500))
    assert alone.high - alone.low < 0.5 * (high - low)
    few = cluster_interval(difference[:400], cluster[:400])
    assert few.mean == 1.5 and np.isnan(few.low) and np.isnan(few.high)
    assert cluster_interval(np.full(10, 2.0), np.arange(10)) == (2, 2, 2)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: r.attributes.pop("device"), "attribute device is missing"),
        (lambda r: r.attributes.update(scale="huge"), "scale is 'huge'"),
        (lambda r: r.attributes.update(schema_version=3), "schema_version is 3"),
        (lambda r: r.attributes.update(git_dirty="no"), "attribute git_dirty"),
        (lambda r: r.data.update(x=(("method",), np.zeros(3))), r"data/x has shape \(3,\)"),
        (lambda r: r.data.update(x=(("colour",), np.zeros(3))), "axis 'colour'"),
    ],
)
def test_schema_is_checked_and_nothing_is_written(tmp_path, spoil, message):
    spoiled = result()
    spoil(spoiled)
    with pytest.raises(ResultError, match=message):
        save(spoiled, tmp_path / "r.h5")
    assert not list(tmp_path.iterdir())


def test_load_names_the_file(tmp_path):
    with pytest.raises(ResultError, match="no such result"):
        load(tmp_path / "none.h5")
    (tmp_path / "bad.h5").write_bytes(b"junk")
    with pytest.raises(ResultError, match=r"bad\.h5: not a result file"):
        load(tmp_path / "bad.h5")
