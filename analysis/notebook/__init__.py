"""Provides what the notebooks show: predictions beside the simulator, positions that probes read, and verdicts.

A slice is a small file of recorded stretches. A few ship in ``notebooks/data`` with two world models, which
``python -m analysis.demo`` makes from trained runs. Two models and a few stretches show how something is measured. How
often it happens is read from the result files, and its verdict from the ledger.
"""

# ruff: noqa: F401

from analysis.notebook.kinds import dreamed_anyway, in_words, right_and_wrong, tally, typical
from analysis.notebook.pictures import bar, moment, picture, smaller
from analysis.notebook.probes import probe_errors, probes_in_words, read_positions, true_positions
from analysis.notebook.rollouts import Explorer, Record, Rollout, Setting
from analysis.notebook.slices import load_slice, save_slice, shipped_tasks
from analysis.notebook.studies import item, ledger, rates, study_errors, verdicts
