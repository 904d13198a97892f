"""What the notebooks show: dreams beside the simulator, positions read off features, and what the studies say of both.

A slice is a small file of recorded stretches, a few of which ship in ``notebooks/data`` with two world models
(``python -m analysis.demo`` makes them from trained runs). Two models and a few stretches show how something is
measured; how often it is so comes from the result files, and its verdict from the ledger.
"""

from analysis.notebook.kinds import dreamed_anyway, in_words, right_and_wrong, tally, typical
from analysis.notebook.pictures import bar, moment, picture, smaller
from analysis.notebook.probes import probe_errors, probes_in_words, read_positions, true_positions
from analysis.notebook.rollouts import Explorer, Record, Rollout, Setting
from analysis.notebook.slices import load_slice, save_slice, shipped_tasks
from analysis.notebook.studies import item, ledger, rates, study_errors, verdicts

__all__ = [
    "Explorer",
    "Record",
    "Rollout",
    "Setting",
    "bar",
    "dreamed_anyway",
    "in_words",
    "item",
    "ledger",
    "load_slice",
    "moment",
    "picture",
    "probe_errors",
    "probes_in_words",
    "rates",
    "read_positions",
    "right_and_wrong",
    "save_slice",
    "shipped_tasks",
    "smaller",
    "study_errors",
    "tally",
    "true_positions",
    "typical",
    "verdicts",
]
