"""Made-up results: a small one of any study, and those whose verdict is plain, for the tests of judges."""

import numpy as np

from analysis.ledger.verdicts import ResultFiles
from analysis.results.schema import Result


def result():
    """A small result of runs: two methods, two seeds, three evaluations, one of which is missing."""
    attributes = {
        "schema_version": 2, "paper": "p", "study": "s", "command": "c", "git_commit": "0", "git_dirty": False,
        "package_versions": "{}", "device": "d", "created_utc": "now", "scale": "reduced", "preset": "smoke",
        "task": "lever_pull", "buffer_sha256": "", "wall_seconds": 1.0, "mode": "offline",
    }  # fmt: skip
    axes = {"method": np.array(["w_r=1", "w_r=100"]), "seed": np.array([0, 1]), "step": np.array([0, 50, 100])}
    values = np.arange(12.0).reshape(2, 2, 3)
    values[1, 1, 2] = np.nan
    data = {"return": (("method", "seed", "step"), values), "success": (("method", "seed", "step"), values / 12)}
    return Result(attributes, axes, data, {"w_r=1": {"train": {"steps": 100}}}, {"note": [1.5]})


def judged(judge, found):
    """The only finding of a judge on a result."""
    (finding,) = judge(ResultFiles([("file.h5", found)]))
    return finding


def policies_of(returns, methods=("w_r=1", "w_r=100"), mode="online"):
    """A made-up result of returns, ``(method, seed)``, alike at all evaluations."""
    found = result()
    returns = np.asarray(returns, float)  # (method, seed)
    found.attributes |= {"study": "finding1", "preset": "cpu", "mode": mode}
    found.axes |= {"seed": np.arange(returns.shape[1]), "method": np.array(methods)}
    found.data = {"return": (("method", "seed", "step"), np.repeat(returns[..., None], 3, -1))}
    return found


def of(study, data, axes=(), methods=("w_r=1", "w_r=100"), seeds=3, final=None, **attributes):
    """A made-up result of a study."""
    found = policies_of(np.zeros((len(methods), seeds)), methods, "offline")
    found.attributes |= {"study": study, **attributes}
    found.axes |= dict(axes)
    found.data, found.notes = data, {"final": final or {}}
    return found


def errors_of(errors, methods, study="multitask"):
    """A made-up result of reward errors, ``(method, seed)``, alike in all of ten episodes but for noise."""
    noise = np.random.default_rng(0).normal(0, 0.01, 60)
    data = {
        "window/episode": (("window",), np.repeat(np.arange(10), 6).astype(float)),
        "window/error": (("method", "seed", "window"), np.asarray(errors, float)[..., None] + noise),
    }
    return of(study, data, {"window": np.arange(60)}, methods, np.shape(errors)[1])


def span(low, high):
    """An interval as results store it."""
    return {"mean": (low + high) / 2, "low": low, "high": high}


def paired(low, high, prefix="paired_"):
    """The same interval over seeds and over episodes, of a method and of its difference to another."""
    return {f"{prefix}over_{over}": span(low, high) for over in ("seeds", "episodes")} | {"over_seeds": span(low, high)}
