"""Made-up results, whose verdict is plain, for the tests of judges."""

import numpy as np

from analysis.verdicts import Shelf
from tests.test_results import result


def judged(judge, found):
    (finding,) = judge(Shelf([("file.h5", found)]))
    return finding


def policies_of(returns, methods=("w_r=1", "w_r=100"), mode="online"):
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
    found = policies_of(np.zeros(np.shape(errors)), methods, "offline")
    found.attributes["study"] = study
    found.axes["window"] = np.arange(60)
    noise = np.random.default_rng(0).normal(0, 0.01, 60)
    found.data = {
        "window/episode": (("window",), np.repeat(np.arange(10), 6).astype(float)),
        "window/error": (("method", "seed", "window"), np.asarray(errors, float)[..., None] + noise),
    }
    return found


def span(low, high):
    return {"mean": (low + high) / 2, "low": low, "high": high}


def paired(low, high, prefix="paired_"):
    return {f"{prefix}over_{over}": span(low, high) for over in ("seeds", "episodes")} | {"over_seeds": span(low, high)}


SIGNS = [((-0.3, -0.1), -1), ((0.1, 0.3), 1), ((-0.1, 0.3), 0)]  # ends of an interval, and which side it is on
