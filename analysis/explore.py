"""What the notebooks show: dreams beside the simulator, positions read off features, and what the studies say of both.

A slice is a small file of recorded stretches, a few of which ship in ``notebooks/data`` with two world models
(``python -m analysis.demo`` makes them from trained runs). Two models and a few stretches show how something is
measured; how often it is so comes from the result files, and its verdict from the ledger.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image

import figures.rollout
from analysis import claims, kinds_of_dreams
from analysis.dreams import frames_and_rewards
from analysis.probes import ConstantProbe, LinearProbe, MLPProbe, ProbeConfig
from analysis.representation import KINDS, features, folds_of
from analysis.results import Result, load
from analysis.segments import CONTEXT, HORIZON, Rows, Segments
from analysis.stats import SHARE, known, seed_interval, show
from analysis.verdicts import Shelf
from figures import page
from hdream_core import envs, sealed, untrusted
from hdream_core.agent import DreamerV2
from hdream_core.envs.layout import centimetres, main_object
from hdream_core.load import load_agent
from hdream_core.minari_layout import DatasetError

DATA = Path(__file__).parent.parent / "notebooks" / "data"
PUSHED = 3  # action dimensions of the hand that can be altered; a gripper does as recorded
NAMES = {"posterior": "seen (posterior)", "open_loop": "imagined (open loop)"}  # kinds of features


def save_slice(path: Path, task: str, facts: Mapping[str, Any], stretches: Sequence[Rows]) -> Path:
    """Writes recorded stretches of one task, on the row side of ``minari_layout.convert``.

    Args:
        path: of the file.
        task: of all stretches.
        facts: where they come from, plain values; ``render`` and ``camera`` among them.
        stretches: each with ``image, action, reward, is_terminal, state, sim_state``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with sealed.writing(path) as file:
        file.attrs.update({"task": task, "facts": json.dumps(dict(facts))})
        for index, rows in enumerate(stretches):
            for name, values in rows.items():
                file.create_dataset(f"stretch_{index}/{name}", data=values, compression="gzip", shuffle=True)
    return path


def load_slice(path: Path) -> tuple[str, dict[str, Any], list[Rows]]:
    """Task, facts and stretches of a file that ``save_slice`` wrote; DatasetError in one line if it is none."""
    try:
        with sealed.open_to_read(path) as file:
            groups = [untrusted.member(file, f"stretch_{i}") for i in range(len(file))]
            stretches = [
                {name: untrusted.array(values) for name, values in untrusted.members(group).items()} for group in groups
            ]
            facts = untrusted.attributes(file)
            return facts["task"], untrusted.json_value(facts["facts"]), stretches
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: not a slice of a buffer ({error})") from None


def shipped_tasks() -> dict[str, list[str]]:
    """Tasks that have a slice and models in ``notebooks/data``, with the models' names."""
    found = {}
    for path in sorted(DATA.glob("*_slice.h5")):
        task = path.stem.removesuffix("_slice")
        if models := [model.stem.removeprefix(f"{task}_") for model in sorted(DATA.glob(f"{task}_*.safetensors"))]:
            found[task] = models
    return found


class Setting(NamedTuple):
    """What the controls say, in the order of ``Explorer.rollout``."""

    stretch: int
    start: int
    context: int = CONTEXT
    horizon: int = HORIZON
    push: tuple[float, ...] = (0.0, 0.0, 0.0)

    def __str__(self) -> str:
        pushes = [f"push {axis} {value:+.1f}" for axis, value in zip("xyz", self.push, strict=False) if value]
        where = f"episode {self.stretch}, step {self.start}, context {self.context}"
        return ", ".join([where, *(pushes or ["no push"])])


@dataclass(frozen=True)
class Rollout:
    """One moment, altered actions from there on: what the simulator does and what models dream of it.

    All arrays start with the context: frames seen, recorded rewards; then H steps.
    """

    context: int
    action: np.ndarray  # (H, A) as played
    true_image: np.ndarray  # (T, H, W, C) uint8
    true_reward: np.ndarray  # (T,)
    displacement: np.ndarray  # (H,) of the main object in truth, in units of ``positions``
    dreamed_image: dict[str, np.ndarray]  # by model, (T, H, W, C) uint8
    dreamed_reward: dict[str, np.ndarray]  # by model, (T,)


class Explorer:
    """Recorded stretches, world models, and the simulator that the stretches came from.

    Args:
        models: name to exported agent or run folder.
        slice_path: of the stretches.
    """

    def __init__(self, models: Mapping[str, Path], slice_path: Path):
        self.task, self.facts, self.stretches = load_slice(slice_path)
        self.agents: dict[str, DreamerV2] = {name: load_agent(path) for name, path in models.items()}
        self._env: Any = None

    @classmethod
    def shipped(cls, task: str = "lever_pull") -> Explorer:
        """The models and the slice in ``notebooks/data``; DatasetError if the task has none there."""
        there = shipped_tasks()
        if task not in there:
            raise DatasetError(f"{DATA}: holds no models of {task}; there are {', '.join(there) or 'none'}")
        return cls({name: DATA / f"{task}_{name}.safetensors" for name in there[task]}, DATA / f"{task}_slice.h5")

    @property
    def env(self) -> Any:
        """The simulator, made when first asked for: it needs a GL library."""
        if self._env is None:
            render = self.facts["render"] if self.facts["render"] in ("fast", "paper") else "auto"
            camera = {"camera": self.facts["camera"]} if self.facts["camera"] != "none" else {}
            self._env = envs.make(self.task, seed=0, render=render, **camera)
        return self._env

    def segments(self, length: int, every: int = 10) -> Segments:
        """All windows of ``length`` rows whose first row is a multiple of ``every``."""
        where = [
            (i, start)
            for i, rows in enumerate(self.stretches)
            for start in range(0, len(rows["reward"]) - length + 1, every)
        ]
        episode, start = np.array(where, np.int64).T
        return Segments(self.task, self.stretches, episode, start, length)

    def about(self) -> str:
        """Where models and stretches come from, in a sentence."""
        first = next(iter(self.agents.values())).config
        source = "online" if first.offline_buffer is None else f"on a fixed buffer ({self.facts.get('source', '?')})"
        return (
            f"{len(self.stretches)} stretches of {self.task} that no model has trained on; one model for each of "
            f"{', '.join(self.agents)}: preset {first.preset}, seed {first.seed}, trained {source}."
        )

    def as_recorded(self, windows: Segments, context: int = CONTEXT) -> list[Rollout]:
        """Truth and dreams under the recorded actions, of many windows at once; nothing is simulated."""
        dreams = {name: frames_and_rewards(agent, windows, context) for name, agent in self.agents.items()}
        rows = {name: windows.rows(name) for name in ("action", "image", "reward")}
        where = windows.positions()[main_object(self.task)]  # (N, T, d)
        moved = np.linalg.norm(where[:, context:] - where[:, context - 1 : context], axis=-1)
        return [
            Rollout(
                context,
                rows["action"][i, context:],
                rows["image"][i],
                rows["reward"][i],
                moved[i],
                {name: images[i] for name, (images, _) in dreams.items()},
                {name: np.r_[rows["reward"][i, :context], reward[i]] for name, (_, reward) in dreams.items()},
            )
            for i in range(len(windows))
        ]

    def averting(self, windows: Segments, push: float, level: float, context: int = CONTEXT) -> list[Setting]:
        """Pushes after which a reward that was recorded stays away.

        Of the windows whose reward is beneath the level when the dream begins and rises above it as recorded, those in
        which it stays beneath if the hand's path is moved sideways, away from the object (as in
        ``branching.displaced``): settings for ``rollout``.
        """
        reward, where = windows.rows("reward"), windows.positions()
        hand, at = (where[name][:, context - 1, 0] for name in (_hand(where), main_object(self.task)))
        rises = (reward[:, context - 1] <= level) & (reward[:, context:] > level).any(1)
        found = []
        for i in np.flatnonzero(rises):
            aside = (-push if at[i] > hand[i] else push, 0.0, 0.0)
            stretch, start = int(windows.episode[i]), int(windows.start[i])
            action = _pushed(windows.rows("action")[i, context:], aside)
            _, true, _ = self._simulate(self.stretches[stretch]["sim_state"][start + context - 1], action, look=False)
            if true.max() <= level:
                found.append(Setting(stretch, start, context, windows.length - context, aside))
        return found

    def rollout(
        self,
        stretch: int,
        start: int,
        context: int = CONTEXT,
        horizon: int = HORIZON,
        push: Sequence[float] = (0, 0, 0),
    ) -> Rollout:
        """Truth and dreams from one recorded moment.

        Args:
            stretch: which one.
            start: its row that the context begins with.
            context: frames that the models see.
            horizon: steps played and dreamed from there.
            push: added to the hand's recorded actions, each in [-1, 1].

        Raises:
            ValueError: if the stretch ends before context and horizon do.
        """
        rows = self.stretches[stretch]
        if start + context + horizon > len(rows["reward"]):
            raise ValueError(
                f"stretch {stretch} has {len(rows['reward'])} rows; {start} + {context} + {horizon} is more"
            )
        window = Segments(self.task, self.stretches, np.array([stretch]), np.array([start]), context + horizon)
        action = _pushed(window.rows("action")[0, context:], push)  # (H, A)
        image, reward, displacement = self._simulate(rows["sim_state"][start + context - 1], action)
        seen = slice(start, start + context)
        dreams = {name: frames_and_rewards(agent, window, context, action[None]) for name, agent in self.agents.items()}
        return Rollout(
            context,
            action,
            np.concatenate([rows["image"][seen], image]),
            np.concatenate([rows["reward"][seen], reward]),
            displacement,
            {name: image[0] for name, (image, _) in dreams.items()},
            {name: np.concatenate([rows["reward"][seen], reward[0]]) for name, (_, reward) in dreams.items()},
        )

    def _simulate(
        self, state: np.ndarray, action: np.ndarray, look: bool = True
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frames (none unless asked to look), rewards and the main object's displacement."""
        name = main_object(self.task)
        self.env.restore_state(state)
        start = self.env.object_positions()[name]
        images, rewards, moved = [], [], []
        for a in action:
            if look:
                obs, reward, *_ = self.env.step(a)
                images.append(obs["image"])
            else:
                reward = self.env.advance(a)
            rewards.append(reward)
            moved.append(np.linalg.norm(self.env.object_positions()[name] - start))
        return np.array(images), np.array(rewards), np.array(moved)


def _pushed(action: np.ndarray, push: Sequence[float]) -> np.ndarray:
    """Recorded actions ``(H, A)`` with something added to the hand's, within what the environment takes."""
    altered, width = action.copy(), min(PUSHED, action.shape[1])
    altered[:, :width] = np.clip(altered[:, :width] + np.asarray(push[:width], np.float32), -1, 1)
    return altered


def _hand(where: Mapping[str, np.ndarray]) -> str:
    return "tip" if "tip" in where else "hand"


# Which stretches to show


def right_and_wrong(rollouts: Sequence[Rollout], protocol: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Which rollouts, of those whose true reward moves, are of which kind by the rule of ``analysis.finding2``.

    Args:
        rollouts: with the same two models each.
        protocol: ``tolerance`` of a dreamed reward and ``share`` of rewards that a right dream has within it.
    """
    dreamed = [[found.dreamed_reward[name][found.context :] for found in rollouts] for name in _models(rollouts)]
    truth = np.stack([found.true_reward[found.context :] for found in rollouts])
    data = {"dreamed_reward": ((), np.array(dreamed)[:, None]), "true_reward": ((), truth)}  # one seed
    result = Result({}, {}, data, notes={"protocol": dict(protocol)})
    moving, cases = kinds_of_dreams.splits(result)["moving"], kinds_of_dreams.kinds(result)
    first, second = _models(rollouts)
    names = (f"only {second} right", f"only {first} right", "both wrong", "both right")
    return {name: cases[case][0] & moving for name, case in zip(names, kinds_of_dreams.CASES, strict=True)}


def dreamed_anyway(rollouts: Sequence[Rollout], level: float) -> dict[str, np.ndarray]:
    """Which rollouts, all with true rewards beneath a level, are of which kind by whose dream rises above it."""
    first, second = (
        np.array([found.dreamed_reward[name][found.context :].max() > level for found in rollouts])
        for name in _models(rollouts)
    )
    names = [f"only {name} dreams of the reward" for name in _models(rollouts)]
    found = (first & ~second, second & ~first, first & second, ~first & ~second)
    return dict(zip((*names, "both dream of it", "neither dreams of it"), found, strict=True))


def typical(rollouts: Sequence[Rollout], kinds: Mapping[str, np.ndarray]) -> dict[str, int]:
    """The rollout to show of each kind that occurs, as in ``kinds_of_dreams.choose``."""
    squared = [[np.square(found.dreamed_reward[name] - found.true_reward).mean() for name in found.dreamed_reward]
               for found in rollouts]  # fmt: skip
    return kinds_of_dreams.typical(kinds, np.array(squared) @ (1, -1))


def _models(rollouts: Sequence[Rollout]) -> list[str]:
    return list(rollouts[0].dreamed_reward)


def in_words(found: Rollout) -> str:
    """What the simulator pays after the context, what each model dreams of, and which of them is more wrong."""
    after = slice(found.context, None)
    truth = found.true_reward[after]
    error = {name: float(np.abs(reward[after] - truth).mean()) for name, reward in found.dreamed_reward.items()}
    told = [
        f"{name} dreams of up to {found.dreamed_reward[name][after].max():.1f} and is off by {off:.2f} on average"
        for name, off in error.items()
    ]
    least, worse = sorted(error, key=error.__getitem__)[:: len(error) - 1]
    verdict = "Both are about as wrong" if error[worse] < 1.1 * error[least] else f"More wrong here: **{worse}**"
    return f"The simulator pays up to {truth.max():.1f}; {'; '.join(told)}. {verdict}."


def tally(kinds: Mapping[str, np.ndarray], models: Sequence[str]) -> str:
    """How many rollouts are of each kind, and which model is wrong more often, if by over a tenth of them.

    Args:
        kinds: in this order: the first model alone is wrong, the second alone, both, neither.
        models: the two.
    """
    count = [int(of.sum()) for of in kinds.values()]
    first, second = count[0] + count[2], count[1] + count[2]
    told = f"Of {sum(count)} windows: " + "; ".join(f"{name}: {n}" for name, n in zip(kinds, count, strict=True))
    wrong = f"{models[0]} is wrong in {first}, {models[1]} in {second}"
    if abs(first - second) <= 0.1 * sum(count):
        return f"{told}. {wrong}: about as often."
    return f"{told}. {wrong}: here **{models[0] if first > second else models[1]}** is wrong more often."


def picture(found: Rollout, title: str, recorded: np.ndarray | None = None, level: float | None = None) -> Image.Image:
    """What the controls show of a rollout, as a small image.

    Args:
        found: to show.
        title: of the picture.
        recorded: reward of the record, to draw beside that under altered actions.
        level: to draw, that a reward rises above.
    """
    figure = figures.rollout.draw(found, title=title)
    axes = figure.axes[-1]
    if recorded is not None:
        axes.plot(recorded, ":", color="0.4", linewidth=1, label="simulator, as recorded")
    if level is not None:
        axes.axhline(level, color="0.6", linewidth=0.8, dashes=(4, 2), label="level")
    axes.legend(ncols=len(axes.get_legend_handles_labels()[0]), fontsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    plt.close(figure)
    return smaller(Image.open(buffer))


def smaller(image: Image.Image, width: int = 900) -> Image.Image:
    """An image of at most so many pixels across and 256 colours, so that a notebook stays light.

    The octree keeps the colours of thin lines, which a median cut gives away to the many shades of photographs.
    """
    image = image.convert("RGB")
    image.thumbnail((width, 10 * width), Image.Resampling.LANCZOS)
    return image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


# What the studies say


def rates(counterfactual: Result, finding2: Result) -> pd.DataFrame:
    """How often dreams are wrong in the studies of Finding 2, per method, with 95 % intervals over training seeds."""
    table = []
    for key, words in (
        ("averted", "dreams of a reward that the actions avert"),
        ("hallucination", "dreams of a reward that does not come"),
        ("miss", "misses a reward that comes"),
    ):
        if row := counterfactual.notes["final"].get(f"reward/{key}_rate"):
            shares = {str(m): _share(row[str(m)]["over_seeds"]) for m in counterfactual.axes["method"]}
            table.append(
                ("counterfactual", words, shares | {"of": f"{row['cases']} cases, {row['episodes']} episodes"})
            )
    split = kinds_of_dreams.splits(finding2)
    for found, which, words in (
        (kinds_of_dreams.right, "moving", "is right, reward moves"),
        (kinds_of_dreams.right, "still", "is right, reward stands still"),
        (kinds_of_dreams.made_up, "still", "makes rewards up, reward stands still"),
    ):
        if split[which].any():
            hits = found(finding2)[..., split[which]].mean(-1)  # (method, seed)
            spans = zip(finding2.axes["method"], hits, strict=True)
            shares = {str(m): _share(seed_interval(hit, within=SHARE)._asdict()) for m, hit in spans}
            table.append(("finding2", words, shares | {"of": f"{split[which].sum()} windows"}))
    index = pd.MultiIndex.from_tuples([row[:2] for row in table], names=["study", "how often a dream"])
    return pd.DataFrame([row[2] for row in table], index)


def _share(span: Mapping[str, float | None]) -> str:
    """An interval in per cent."""
    return show({end: None if not known(value) else round(100 * value, 1) for end, value in span.items()}) + " %"


def ledger(folder: Path = claims.SHIPPED) -> pd.DataFrame:
    """The ledger's rows, judged now from the result files of a folder."""
    found = ((path.name, load(path)) for path in sorted(folder.glob("*.h5")))
    return claims.table(Shelf((name, result) for name, result in found if result.attributes["preset"] != "smoke"))


def verdicts(rows: pd.DataFrame) -> str:
    """Rows of the ledger as a list in Markdown: claim, verdict, our numbers."""
    other = " (By an earlier rule the verdict is another: the ledger's footnotes.)"
    return "\n".join(
        f"- {row.claim} ({row.source}): **{row.verdict}**. {row.ours}.{other if row.differs else ''}"
        for row in rows.itertuples()
    )


def item(
    study: str, drawn: Sequence[tuple[str, Path]], rows: pd.DataFrame, folder: Path = claims.SHIPPED
) -> list[tuple[str, Path]]:
    """Figures of a study, those that several files share first, each with what ours shows: how it was measured, and the
    ledger's verdicts by its files that do not stand above already; in Markdown.

    Args:
        study: of ``figures.page.PAPER``.
        drawn: as ``figures.redraw`` returns it.
        rows: of the ledger.
        folder: of the result files.
    """
    files = {picture: folder / f"{picture.stem}.h5" for name, picture in drawn if name == study}
    found, told = [], pd.Series(False, rows.index)
    for picture, own in sorted(files.items(), key=lambda pair: pair[1].exists()):
        sources = [own] if own.exists() else sorted(folder.glob(f"{study}_*.h5"))
        ours = rows["result"].map(lambda names: any(path.name in names.split(", ") for path in sources))  # noqa: B023
        text = verdicts(rows[ours & ~told]) or f"- {'Verdicts: above.' if ours.any() else 'No claim is judged by it.'}"
        found.append((f"{page.caption(sources)}\n\n{text}", picture))
        told |= ours
    return found


# What can be read off features


Read = dict[str, dict[str, dict[str, np.ndarray]]]  # positions by probe, kind of features, and object


def read_positions(
    agent: DreamerV2,
    windows: Segments,
    config: ProbeConfig,
    folds: int,
    context: int = CONTEXT,
    probes: Sequence[str] = ("mlp", "linear", "constant"),
    samples: int = 1,
) -> Read:
    """Positions read off features, each window's by a probe that was not fitted on its stretch (C.4).

    As in ``representation.regress``, whose errors are these positions': each kind of features has probes of its own,
    fitted on features of that kind.

    Args:
        agent: whose features.
        windows: that do not overlap, of some stretches.
        config: of the MLP.
        folds: of the stretches.
        context: frames seen before the imagined features.
        probes: to fit.
        samples: of the latents; probes are fitted on all of them, and what they read is averaged. The study has one.

    Returns:
        By probe, kind of features and object, ``(N, T, d)`` in centimetres (pixels on the miniature); of imagined
        features ``(N, T - context, d)``.
    """
    found, truth = [features(agent, windows, context, seed) for seed in range(samples)], true_positions(windows)
    target = np.concatenate(list(truth.values()), -1)
    ends = np.cumsum([values.shape[-1] for values in truth.values()])[:-1]
    make = {"mlp": lambda x, y: MLPProbe(x, y, config, seed=0), "linear": LinearProbe, "constant": ConstantProbe}
    read: Read = {probe: {} for probe in probes}
    for kind in KINDS:
        x, y = np.stack([getattr(some, kind) for some in found]), target if kind == "posterior" else target[:, context:]
        out = {probe: np.full(y.shape, np.nan) for probe in probes}
        for train, held in folds_of(windows, folds):
            x_train = x[:, train].reshape(-1, x.shape[-1])
            y_train = np.tile(y[train].reshape(-1, y.shape[-1]), (samples, 1))
            for probe in probes:
                out[probe][held] = make[probe](x_train, y_train)(x[:, held]).mean(0)
        for probe, values in out.items():
            read[probe][kind] = dict(zip(truth, np.split(values, ends, -1), strict=True))
    return read


def true_positions(windows: Segments) -> dict[str, np.ndarray]:
    """Of hand and objects, ``(N, T, d)`` in the units of ``read_positions``."""
    return {name: where * centimetres(windows.task) for name, where in windows.positions().items()}


def probe_errors(read: Mapping[str, Read], windows: Segments, context: int = CONTEXT) -> pd.DataFrame:
    """Mean squared distance by kind of features and object, over the steps from ``context`` on for both kinds.

    Args:
        read: by model.
        windows: whose positions were read.
        context: frames seen before the imagined features.

    Returns:
        A column for the best constant, one for each model's MLP, and one for its linear probe.
    """
    truth, rows = true_positions(windows), {}
    for kind in KINDS:
        for thing, where in truth.items():
            row = {}
            for probe in ("mlp", "linear", "constant"):
                for name, values in read.items():
                    gap = values[probe][kind][thing][:, context if kind == "posterior" else 0 :] - where[:, context:]
                    column = {"mlp": name, "linear": f"{name}, linear", "constant": "constant"}[probe]
                    row[column] = np.square(gap).sum(-1).mean()
            rows[NAMES[kind], thing] = row
    frame = pd.DataFrame(rows.values(), pd.MultiIndex.from_tuples(rows, names=["features", "object"]))
    return frame[["constant", *frame.columns.drop("constant")]]


def probes_in_words(errors: pd.DataFrame, models: Sequence[str]) -> str:
    """Which of two models' MLP has the lower error where, and where none is better than the constant; in Markdown."""
    lower: dict[str, list[str]] = {name: [] for name in models}
    blind = []
    for (kind, thing), row in errors.iterrows():
        lower[min(models, key=row.__getitem__)].append(f"{thing} {kind}")
        blind += [f"{thing} {kind} with {m} ({row[m]:.0f} against {row.constant:.0f})" for m in models
                  if row[m] >= row.constant]  # fmt: skip
    told = [f"- Lower error with **{name}**: {', '.join(where) or 'nowhere'}." for name, where in lower.items()]
    return "\n".join([*told, f"- No better than the constant, so not read at all: {'; '.join(blind) or 'nowhere'}."])


def study_errors(result: Result) -> pd.DataFrame:
    """The study's errors on episodes not fitted on, MLP, with 95 % intervals over training seeds, in the same form.

    ``lower``: the method whose error is lower, where the intervals of the paired difference over seeds and over
    episodes both leave out zero.
    """
    first, second = map(str, result.axes["method"][:2])
    rows = {}
    for kind in KINDS:
        constant = np.nanmean(result.values(f"constant/{kind}"), (0, 1, 2))
        for j, thing in enumerate(map(str, result.axes["object"])):
            row = result.notes["final"][kind][thing]
            gaps = [row[second][f"paired_over_{over}"] for over in ("seeds", "episodes")]
            signs = {np.sign(gap[end]) for gap in gaps for end in ("low", "high") if known(gap[end])}
            sure = len(signs) == 1 and all(known(gap["low"]) for gap in gaps)
            rows[NAMES[kind], thing] = {
                "constant": f"{constant[j]:.3g}",
                **{name: show(row[name]["over_seeds"]) for name in (first, second)},
                "lower": (second if signs == {-1.0} else first) if sure else "not shown",
            }
    return pd.DataFrame(rows.values(), pd.MultiIndex.from_tuples(rows, names=["features", "object"]))
