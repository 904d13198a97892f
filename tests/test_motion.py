"""Motion read off features: running means, the threshold of equal errors, features that tell all or nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.models import motion
from analysis.models.probes import ProbeConfig
from analysis.models.representation import Features
from analysis.models.segments import LENGTH, draw
from analysis.results.tasks import task_facts
from hdream_core.envs import positions
from offline_buffers.build import Build, build

VALUES = st.lists(st.floats(0, 10), min_size=1, max_size=12).map(np.array)


@given(VALUES, VALUES)
def test_no_other_threshold_has_errors_nearer_to_each_other(still, moving):
    def apart(level):
        return abs(np.mean(still > level) - np.mean(moving <= level))

    found = motion.equal_error(still, moving)
    assert apart(found) == pytest.approx(min(map(apart, [*still, *moving])))


def test_running_mean_is_the_mean_of_the_last_rows():
    values = np.random.default_rng(0).normal(size=(3, 20, 2))
    found = motion.running_mean(values, 4)
    assert found.shape == (3, 17, 2)
    np.testing.assert_allclose(found[1, 5], values[1, 5:9].mean(0))


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    from analysis.models.segments import _recorded

    job = Build("mini_lever", 6000, workers=1, out=tmp_path_factory.mktemp("b") / "b")
    return draw("mini_lever", _recorded(build(job, show_progress=False), 0.1, 108, heldout=False), None, LENGTH, seed=0)


def test_features_that_tell_the_position_tell_the_motion(windows, monkeypatch):
    def tell(agent, segments, context):
        where = positions("mini_lever", segments.rows("state"))[task_facts("mini_lever").main]
        return Features(where.astype(np.float32), where[:, context:].astype(np.float32))

    monkeypatch.setattr(motion, "features", tell)
    probe = motion.MotionProbe(None, windows, ProbeConfig(updates=1500, hidden=64, layers=2), moved=3.0)
    windows = windows.take(np.flatnonzero(motion.at_rest(windows)))
    quality = probe.quality(None, windows)
    assert quality["object/probe_error"] < 0.5  # px
    assert 0 < quality["object/quiet"] < 10  # px, which is what the lever moves at least, if at all
    assert quality["object/floor"] < 0.05 and quality["object/seen"] > 0.95
    true, read, _ = probe.seen(None, windows)
    where = windows.positions()[task_facts("mini_lever").main]
    start = where[:, 5:15].mean(1)  # ten steps seen
    last = np.linalg.norm(where[:, -10:].mean(1) - start, axis=-1)
    np.testing.assert_allclose(read[:, -1], last, atol=0.5)
    np.testing.assert_allclose(true[:, -1], np.linalg.norm(where[:, -1] - where[:, 14], axis=-1))


def test_features_that_tell_nothing_see_next_to_nothing(windows, monkeypatch):
    def tell(agent, segments, context):
        noise = np.random.default_rng(len(segments)).normal(size=(len(segments), LENGTH, 4)).astype(np.float32)
        return Features(noise, noise[:, context:])

    monkeypatch.setattr(motion, "features", tell)
    probe = motion.MotionProbe(None, windows, ProbeConfig(updates=50, hidden=16, layers=1), moved=3.0)
    quality = probe.quality(None, windows)
    assert abs(quality["object/seen"] - quality["object/floor"]) < 0.2
