"""Stores, windows and Minari's layout: alignment, uniformity, round trips."""

import hashlib
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hdream_core.data.minari_layout import convert
from hdream_core.data.prefetch import Prefetcher
from hdream_core.data.replay import Replay, random_batch, split_episodes
from hdream_core.data.store import EpisodeStore, Field, StoreError
from hdream_core.spec import ActionSpec, Spec
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


def test_episodes_are_drawn_uniformly_whatever_their_length_and_ends_more_often_on_request(tmp_path):
    tags = Replay(store_of(tmp_path / "three", [5, 50, 12])).sample(np.random.default_rng(0), 6000, 5)["action"][
        :, 0, 0
    ]
    np.testing.assert_allclose(np.bincount(tags.astype(int)) / 6000, 1 / 3, atol=0.03)
    store = store_of(tmp_path / "one", [60])
    share = {}
    for ends in (False, True):
        rows = Replay(store, oversample_ends=ends).sample(np.random.default_rng(0), 5000, 20)["image"][:, -1, 0, 0, 0]
        share[ends] = (rows == 59).mean()
    assert share[False] == pytest.approx(1 / 41, abs=0.01)
    assert share[True] == pytest.approx(21 / 61, abs=0.03)  # the starts 40 to 60 all clip to 40


def test_episode_windows_are_drawn_as_ever(tmp_path):
    """The hash was made before there were stream windows: runs from before then go on to the same end."""
    store = store_of(tmp_path, [12, 3, 40, 7, 25, 9, 31, 18])
    rng, drawn = np.random.default_rng(5), hashlib.sha256()
    for episodes in (None, [0, 2, 3, 6]):
        for capacity in (None, 60):
            for ends in (False, True):
                for length in (1, 8, 25):
                    starts = Replay(store, episodes, capacity, ends).starts(rng, 16, length)
                    drawn.update(starts.astype("<i8").tobytes())
    assert drawn.hexdigest() == "8801a3a6960a47aefed37ceee9835d322bd07e17b3d22c27270de56e7bd39ca2"


LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=8)
CAPACITY = st.none() | st.integers(1, 150)


@st.composite
def splits(draw):
    """Lengths of episodes, and some of the episodes or None for all."""
    lengths = draw(LENGTHS)
    indices = st.sampled_from(range(len(lengths)))
    return lengths, draw(st.none() | st.sets(indices, min_size=1).map(sorted))


def stream_of(lengths, episodes, capacity):
    """The stream by its definition: the rewards of its rows one by one, and whether an episode begins at each."""
    chosen = list(range(len(lengths))) if episodes is None else list(episodes)
    while capacity is not None and len(chosen) > 1 and sum(lengths[tag] for tag in chosen) > capacity:
        chosen.pop(0)
    return [(1000 * tag + row, row == 0) for tag in chosen for row in range(lengths[tag])]


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(["episode", "stream"]),
    ends=st.booleans(),
    split=splits(),
    capacity=CAPACITY,
    length=st.integers(1, 60),
    more=LENGTHS,
    seed=st.integers(0, 99),
)
def test_windows_are_excerpts_of_the_stream(tmp_path_factory, kind, ends, split, capacity, length, more, seed):
    """Also where the store has grown between draw and read, and ``capacity`` has moved on."""
    lengths, episodes = split
    store = store_of(tmp_path_factory.mktemp("store"), lengths)
    replay = Replay(store, episodes, capacity, ends, kind)
    stream, rng = stream_of(lengths, episodes, capacity), np.random.default_rng(seed)
    longest = len(stream) if kind == "stream" else max(lengths[reward // 1000] for reward, _ in stream)
    assert replay.can_sample(length) == (longest >= length)
    if longest < length:
        said = {"stream": f"have {longest} rows, fewer than a window of {length}", "episode": f"has {length} rows"}
        with pytest.raises(ValueError, match=said[kind]):
            replay.starts(rng, 4, length)
        return
    starts = replay.starts(rng, 16, length)
    assert starts.shape == (16,) and starts.dtype == np.int64
    batch = replay.windows(starts, length)
    rewards, begins = zip(*stream, strict=True)
    for window in range(16):
        at = rewards.index(batch["reward"][window, 0])
        np.testing.assert_array_equal(batch["reward"][window], rewards[at : at + length])
        np.testing.assert_array_equal(batch["is_first"][window], [True, *begins[at + 1 : at + length]])
    assert kind == "stream" or not batch["is_first"][:, 1:].any()  # it lies in one episode
    np.testing.assert_array_equal(batch["image"][..., 1, 1, 2], batch["reward"] % 1000)
    np.testing.assert_array_equal(batch["action"][..., 0], batch["reward"] // 1000)
    for tag, rows in enumerate(more, start=len(lengths)):
        store.append(episode(rows, tag))
    for name, values in replay.windows(starts, length).items():
        np.testing.assert_array_equal(values, batch[name], err_msg=name)


@settings(max_examples=50, deadline=None)
@given(split=splits(), capacity=CAPACITY, length=st.integers(1, 60), ends=st.booleans(), seed=st.integers(0, 99))
def test_stream_windows_start_uniformly_wherever_they_fit(tmp_path_factory, split, capacity, length, ends, seed):
    lengths, episodes = split
    first_rows = np.cumsum([0, *lengths])
    possible = [first_rows[tag // 1000] + tag % 1000 for tag, _ in stream_of(lengths, episodes, capacity)]
    possible = possible[: max(len(possible) - length + 1, 0)]
    if not possible:
        return
    store = store_of(tmp_path_factory.mktemp("store"), lengths)
    replay = Replay(store, episodes, capacity, ends, window_kind="stream")
    starts = replay.starts(np.random.default_rng(seed), 400 * len(possible), length)
    found, counts = np.unique(starts, return_counts=True)
    np.testing.assert_array_equal(found, possible)
    np.testing.assert_allclose(counts, 400, atol=6 * 20)  # their standard deviation is 20 at most


def test_windows_that_the_replay_does_not_hold_are_refused(tmp_path):
    replay = Replay(store_of(tmp_path, [5, 4, 6, 7]), [0, 2], window_kind="stream")
    assert replay.rows(np.array([3]), 4).tolist() == [[3, 4, 9, 10]]
    for start in (-1, 5, 8, 12, 15, 21, 22, 2**63 - 1, -(2**63)):  # 12: one row short; 5 and 15: held-out episodes
        with pytest.raises(ValueError, match="does not hold the windows of 4 rows"):
            replay.rows(np.array([3, start]), 4)
    with pytest.raises(ValueError, match="does not hold"):  # the first episode is not of this split
        Replay(replay.store, [1, 2]).rows(np.array([4]), 4)
    with pytest.raises(ValueError, match="does not hold"):
        Replay(EpisodeStore(tmp_path / "empty", FIELDS)).rows(np.array([0]), 4)
    with pytest.raises(ValueError, match="not 'streams' windows"):
        Replay(replay.store, window_kind="streams")


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


def test_store_is_made_when_it_is_written(tmp_path):
    folder = tmp_path / "run" / "replay"
    store = EpisodeStore(folder, FIELDS)
    assert store.position().shape == (0, 2)
    with pytest.raises(StoreError, match="rows of reward have shape"):
        store.append(episode(4, 0) | {"reward": np.zeros((4, 1))})
    with pytest.raises(StoreError, match="rows have been lost"):
        store.rewind(np.array([[0, 4]]))
    assert not list(tmp_path.iterdir())
    EpisodeStore(folder, FIELDS).rewind(np.zeros((0, 2), np.int64))
    assert [path.name for path in folder.iterdir()] == ["layout.json"]
    other = EpisodeStore(tmp_path / "other", {"x": Field("<f4", ())})
    store_of(tmp_path / "other", [4])
    with pytest.raises(StoreError, match="differs from"):  # somebody else has made it since
        other.append({"x": np.zeros(4, np.float32)})
    assert not (tmp_path / "other" / "x.raw").exists()


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.lists(st.integers(0, 39), min_size=5, max_size=5), max_size=4))
def test_any_rows_are_gathered_in_the_order_asked_for(tmp_path_factory, rows):
    store, rows = store_of(tmp_path_factory.mktemp("store"), [40]), np.array(rows, np.int64).reshape(-1, 5)
    np.testing.assert_array_equal(store.gather("reward", rows), rows)
    np.testing.assert_array_equal(store.gather("image", rows)[..., 1, 0, 2], rows)


def test_store_refuses_what_does_not_fit(tmp_path):
    store = store_of(tmp_path, [4])
    for odd, said in (
        (episode(4, 0) | {"reward": np.zeros(3, np.float32)}, "different numbers of rows"),
        (episode(4, 0) | {"action": np.zeros((4, 2), np.float32)}, "rows of action have shape"),
        ({"reward": np.zeros(3, np.float32)}, "fields"),
    ):
        with pytest.raises(StoreError, match=said):
            store.append(odd)
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


@pytest.mark.parametrize(
    ("kind", "episodes", "capacity"),
    [("episode", None, None), ("stream", None, None), ("stream", None, 30), ("stream", [0, 2, 3], None)],
)
def test_batches_ahead_go_on_from_a_checkpoint(tmp_path, kind, episodes, capacity):
    """Also where an episode has ended between the drawing of the next batch and the checkpoint."""
    store = store_of(tmp_path, [3, 9, 2, 20])
    replay = Replay(store, episodes, capacity, window_kind=kind)
    ours = Prefetcher(replay, np.random.default_rng(1), 4, 12)
    next(ours)
    store.append(episode(19, 4))
    state = ours.state_dict()
    assert set(state) == {"starts", "rng"}  # what the checkpoints of runs hold
    theirs = Prefetcher(replay, np.random.default_rng(7), 4, 12)
    theirs.load_state_dict(state)
    ahead = replay.windows(state["starts"].numpy(), 12)
    for number in range(4):
        a, b = next(ours), next(theirs)
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert number or all(np.array_equal(b[name].numpy(), values) for name, values in ahead.items())
    for starts in (state["starts"][:3], state["starts"].int(), state["starts"] + 1000):
        with pytest.raises(ValueError, match=r"batch's windows are|does not hold"):
            theirs.load_state_dict(state | {"starts": starts})


def test_what_is_read_late_was_drawn_early(tmp_path, monkeypatch):
    """The second batch is read after ten more episodes have ended, when ``capacity`` has left behind all it drew."""
    store = store_of(tmp_path, [3, 9, 2, 20])
    replay, rng = Replay(store, capacity=40, window_kind="stream"), np.random.default_rng(1)
    replay.starts(rng, 8, 30)
    expected = replay.sample(rng, 8, 30)
    may_read, read = threading.Semaphore(1), replay.windows
    monkeypatch.setattr(replay, "windows", lambda *drawn: may_read.acquire(timeout=30) and read(*drawn))
    late = Prefetcher(replay, np.random.default_rng(1), 8, 30)
    next(late)
    for tag in range(4, 14):
        store.append(episode(9, tag))
    assert replay.usable(1)[0] > 3
    may_read.release(2)
    batch = next(late)
    assert set(batch) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(batch[name].numpy(), values)


def test_random_batches_have_the_shapes_of_a_spec():
    """The hash was made when the arguments were a picture's size and an action's."""
    continuous = random_batch(3, 4, Spec((8, 8, 3), ActionSpec("continuous", 2), 500))
    found = hashlib.sha256(b"".join(values.tobytes() for values in continuous.values())).hexdigest()
    assert found == "0c1ccfeb77619c6d53320c297659d99c3e89d33f0063e3b251da41a73c871c7e"
    discrete = random_batch(3, 40, Spec((8, 6, 1), ActionSpec("discrete", 5), 500))
    assert discrete["image"].shape == (3, 40, 8, 6, 1) and discrete["action"].dtype == np.float32
    np.testing.assert_array_equal(np.sort(discrete["action"]), np.tile([0, 0, 0, 0, 1], (3, 40, 1)))
    assert set(discrete["action"].argmax(-1).flat) == set(range(5))
