"""Stores, windows and Minari's layout: alignment, uniformity, round trips."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hdream_core.data.minari_layout import convert
from hdream_core.data.prefetch import Ahead
from hdream_core.data.replay import Replay, split_episodes
from hdream_core.data.store import EpisodeStore, Field, StoreError
from hdream_core.support.files import write_atomically

FIELDS = {
    "image": Field("|u1", (2, 2, 3)),
    "action": Field("<f4", (1,)),
    "reward": Field("<f4", ()),
    "is_terminal": Field("|b1", ()),
}


def episode(rows, tag):
    """Rows that can be told apart: reward = 1000 * tag + row, image = row."""
    return {
        "image": np.broadcast_to(np.arange(rows, dtype=np.uint8)[:, None, None, None], (rows, 2, 2, 3)),
        "action": np.full((rows, 1), tag, np.float32),
        "reward": (1000 * tag + np.arange(rows)).astype(np.float32),
        "is_terminal": np.zeros(rows, bool),
    }


def store_of(folder, lengths):
    store = EpisodeStore(folder, FIELDS)
    for tag, rows in enumerate(lengths):
        store.append(episode(rows, tag))
    return store


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    length=st.integers(1, 10),
    ends=st.booleans(),
    seed=st.integers(0, 99),
)
def test_windows_are_whole_aligned_and_never_cross_episodes(tmp_path_factory, lengths, length, ends, seed):
    store = store_of(tmp_path_factory.mktemp("store"), lengths)
    replay = Replay(store, oversample_ends=ends)
    if max(lengths) < length:
        with pytest.raises(ValueError, match="no episode"):
            replay.sample(np.random.default_rng(seed), 4, length)
        return
    batch = replay.sample(np.random.default_rng(seed), 16, length)
    tag = batch["action"][:, 0, 0]
    row = batch["image"][:, :, 0, 0, 0].astype(int)
    np.testing.assert_array_equal(batch["action"][..., 0], np.repeat(tag[:, None], length, 1))
    np.testing.assert_array_equal(np.diff(row, axis=1), 1)
    np.testing.assert_array_equal(batch["reward"], 1000 * tag[:, None] + row)
    assert batch["is_first"][:, 0].all() and not batch["is_first"][:, 1:].any()
    assert (row[:, -1] < np.array(lengths)[tag.astype(int)]).all()


def test_episodes_are_drawn_uniformly_whatever_their_length(tmp_path):
    replay = Replay(store_of(tmp_path, [5, 50, 12]))
    tags = replay.sample(np.random.default_rng(0), 6000, 5)["action"][:, 0, 0]
    np.testing.assert_allclose(np.bincount(tags.astype(int)) / 6000, 1 / 3, atol=0.03)


def test_ends_are_oversampled_on_request(tmp_path):
    store = store_of(tmp_path, [60])
    share = {}
    for ends in (False, True):
        rows = Replay(store, oversample_ends=ends).sample(np.random.default_rng(0), 5000, 20)["image"][:, -1, 0, 0, 0]
        share[ends] = (rows == 59).mean()
    assert share[False] == pytest.approx(1 / 41, abs=0.01)
    assert share[True] == pytest.approx(21 / 61, abs=0.03)  # the starts 40 to 60 all clip to 40


def test_capacity_keeps_the_latest(tmp_path):
    replay = Replay(store_of(tmp_path, [10, 10, 10, 10]), capacity=25)
    np.testing.assert_array_equal(replay.usable(5), [2, 3])


def test_reopened_store_continues_where_the_checkpoint_was(tmp_path):
    store = store_of(tmp_path, [4, 6])
    position = store.position()
    store.append(episode(9, 7))
    again = EpisodeStore(tmp_path, FIELDS)
    again.rewind(position)
    again.append(episode(5, 3))
    np.testing.assert_array_equal(again.episode(1)["reward"], 1000 + np.arange(6))
    np.testing.assert_array_equal(again.episode(2)["reward"], 3000 + np.arange(5))
    assert (tmp_path / "reward.raw").stat().st_size == 15 * 4


def test_store_refuses_what_does_not_fit(tmp_path):
    store = store_of(tmp_path, [4])
    with pytest.raises(StoreError, match="different numbers of rows"):
        store.append(episode(4, 0) | {"reward": np.zeros(3, np.float32)})
    with pytest.raises(StoreError, match="rows of action have shape"):
        store.append(episode(4, 0) | {"action": np.zeros((4, 2), np.float32)})
    with pytest.raises(StoreError, match="fields"):
        store.append({"reward": np.zeros(3, np.float32)})
    with pytest.raises(StoreError, match="differs from"):
        EpisodeStore(tmp_path, FIELDS | {"action": Field("<f4", (2,))})
    with pytest.raises(StoreError, match="not an episode store"):
        EpisodeStore(tmp_path / "nothing")
    (tmp_path / "reward.raw").write_bytes(b"")
    again = EpisodeStore(tmp_path)
    again.starts, again.lengths = store.starts, store.lengths
    with pytest.raises(StoreError, match="raw: 0 bytes, too few"):
        again.episode(0)
    store.append(episode(8, 1))
    with open(tmp_path / "reward.raw", "r+b") as file:
        file.truncate(10 * 4)
    with pytest.raises(StoreError, match="raw: is shorter than its episodes"):
        store.episode(1)


@settings(max_examples=25, deadline=None)
@given(steps=st.integers(1, 12), actions=st.integers(1, 4), seed=st.integers(0, 99))
def test_minari_conversion_round_trip_and_shift(steps, actions, seed):
    rng = np.random.default_rng(seed)
    minari = {
        "image": rng.integers(0, 255, (steps + 1, 2, 2, 3), np.uint8),
        "success": rng.random(steps + 1) < 0.5,
        "actions": rng.normal(size=(steps, actions)).astype(np.float32),
        "rewards": rng.normal(size=steps).astype(np.float32),
        "terminations": rng.random(steps) < 0.1,
        "truncations": rng.random(steps) < 0.1,
    }
    rows = convert(minari, to="rows")
    assert {len(values) for values in rows.values()} == {steps + 1}
    assert not rows["action"][0].any() and rows["reward"][0] == 0 and not rows["is_terminal"][0]
    for t in range(steps):  # Minari's action t is taken after observation t, so it leads to observation t + 1
        np.testing.assert_array_equal(rows["action"][t + 1], minari["actions"][t])
        assert rows["reward"][t + 1] == minari["rewards"][t]
    back = convert(rows, to="minari")
    assert set(back) == set(minari)
    for name, values in minari.items():
        np.testing.assert_array_equal(back[name], values)
        assert back[name].dtype == values.dtype


@pytest.mark.parametrize("episodes", [1, 2, 7, 500])
def test_split_is_disjoint_complete_and_fixed(episodes):
    train, held = split_episodes(episodes, 0.1)
    assert sorted([*train, *held]) == list(range(episodes))
    assert len(train) >= 1 and (len(held) >= 1 or episodes == 1)
    np.testing.assert_array_equal(held, split_episodes(episodes, 0.1)[1])


def test_atomic_write_leaves_the_old_file_on_failure(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_batches_ahead_go_on_from_a_checkpoint(tmp_path):
    """Also where an episode has ended between the drawing of the next batch and the checkpoint."""
    store = store_of(tmp_path, [20, 20, 20])
    replay = Replay(store)
    ahead = Ahead(replay, np.random.default_rng(1), 4, 5)
    first = next(ahead)
    store.append(episode(20, 9))
    state = ahead.state()
    again = Ahead(replay, np.random.default_rng(7), 4, 5)
    again.load_state(state)
    for _ in range(4):
        ours, theirs = next(ahead), next(again)
        assert all(torch.equal(ours[name], theirs[name]) for name in first)
    plain = Replay(store).windows(state["starts"].numpy(), 5)
    third = Ahead(replay, np.random.default_rng(7), 4, 5)
    third.load_state(state)
    assert np.array_equal(next(third)["image"].numpy(), plain["image"])
