"""The claims of the paper that hdream judges, by what they are judged from and in the order of the paper."""

from __future__ import annotations

from itertools import chain

from analysis.ledger import (
    algebra,
    atari,
    judges,
    judges_of_dreams,
    judges_of_losses,
    judges_of_models,
    missing,
    timing,
)
from analysis.ledger.judges import OTHERS
from analysis.ledger.verdicts import Claim, Judge
from analysis.runs.methods import IMPLICIT, ORIGINAL

_ONLINE = "area under the curve, seed by seed: the interval over seeds leaves out zero"
_PAIRED = "the intervals over seeds and over held-out episodes of the paired difference leave out zero"
_BALANCED = ", the task's balanced weight"
_WIDER = ", every other weight above 1; intervals widened for the number of weights compared with w_r = 1 (Bonferroni)"
_NO_MORE = ", and the misses of the model with fewer are no more, their intervals within 0.05"
_EITHER = f"online, {_ONLINE}; offline, reward error of dreams: {_PAIRED}"
_AS = "as for HarmonyDream"
_SETTLED = (
    "learned over analytic weight at the end, seed by seed: the interval lies within 0.9 and 1.1, and the weight moved "
    "by under 2 % since the line of the log before"
)


def _against(
    method: str, reference: str, study: str, margin: float = 0.0, similar: bool = False, **attributes: str
) -> Judge:
    """Better than a reference (or no worse, or similar), online by return, offline by the error of dreams."""
    online, offline = (0, 0) if similar else (1, -1)
    return judges.both(
        judges.curves("return", method, reference, online, study, margin, **attributes),
        judges.dreams(method, reference, study, offline, margin, **attributes),
    )


_RUNS = (
    Claim("fig_2b", "L_r is two orders of magnitude smaller than L_o", "Sec. 2.3, Fig. 2b", "2",
          "log10(L_o / L_r) with w_r = 1 within 1.5 and 2.5 in the second half of training, its interval too",
          judges_of_losses.orders_of_magnitude),
    Claim("finding_1_return", "A larger w_r makes agents learn faster (return)", "Finding 1, Figs. 2a, 22", "faster",
          _ONLINE + _BALANCED, judges.curves("return", None, ORIGINAL)),
    Claim("finding_1_return_others", "The same of other weights, return (exploratory)", "Finding 1, Figs. 2a, 22",
          "faster", _ONLINE + _WIDER, judges.curves("return", OTHERS, ORIGINAL)),
    Claim("finding_1_success", "A larger w_r makes agents learn faster (success)", "Finding 1, Figs. 2a, 22", "faster",
          _ONLINE + _BALANCED, judges.curves("success", None, ORIGINAL)),
    Claim("finding_1_success_others", "The same of other weights, success (exploratory)", "Finding 1, Figs. 2a, 22",
          "faster", _ONLINE + _WIDER, judges.curves("success", OTHERS, ORIGINAL)),
    Claim("reward_error", "A larger w_r makes the world model predict rewards better", "Sec. 2.3", "lower error",
          _PAIRED + _BALANCED, judges.dreams(None, ORIGINAL)),
    Claim("reward_error_others", "The same of other weights, reward error (exploratory)", "Sec. 2.3", "lower error",
          _PAIRED + _WIDER, judges.dreams(OTHERS, ORIGINAL)),
    Claim("fig_2c", "Object positions are decoded better from the balanced model's representation", "Fig. 2c, C.4",
          "lower error", _PAIRED, judges_of_models.regression("posterior")),
    Claim("fig_2c_state", "All decoded positions together, as C.4 has one loss for the state", "Fig. 2c, C.4",
          "lower error", "of the sum of the errors: " + _PAIRED, judges_of_models.whole_state("posterior")),
    Claim("fig_2c_open_loop", "Object positions are decoded better from open-loop features (ours)", "C.4",
          "lower error", _PAIRED, judges_of_models.regression("open_loop")),
    Claim("finding_2_averted", "The balanced model tells better which actions avert a reward", "Finding 2", "better",
          "probability of a reward dreamed under the recorded actions minus that under altered "
          "ones that avert it: " + _PAIRED, judges_of_dreams.discrimination("reward")),
    Claim("finding_2_rewards", "With w_r = 1 models hallucinate rewards", "Finding 2", "fewer", _PAIRED + _NO_MORE,
          judges_of_dreams.wrong_dreams("reward", "hallucination")),
    Claim("finding_2_objects", "With w_r = 1 models move objects that would not move", "Finding 2", "fewer",
          _PAIRED + _NO_MORE, judges_of_dreams.wrong_dreams("object", "hallucination")),
    Claim("finding_2_misses", "Balance does not trade hallucinations for missed rewards (ours)", "Finding 2", "no more",
          "the intervals of the paired difference of miss rates lie beneath 0.05, and one of the two models misses "
          "at most 95 %",
          judges_of_dreams.wrong_dreams("reward", "miss", judges_of_dreams.MISSES)),
    Claim("fig_3", "Dreams that only the balanced model has right outnumber the reverse", "Fig. 3", "more frequent",
          _PAIRED + ", windows whose true reward moves, and whose does not", judges_of_dreams.frames),
    Claim("fig_3_made_up", "With w_r = 1 dreams make up more rewards that do not come", "Fig. 3", "more",
          _PAIRED + ", windows whose true reward does not move", judges_of_dreams.made_up),
    Claim("finding_3", "w_o = 0 learns worse than with observations (w_r = 100)", "Finding 3, Fig. 2a", "slower",
          _ONLINE, judges.curves("return", IMPLICIT, "w_r=100", want=-1)),
    Claim("finding_3_variance", "w_o = 0 has a high variance", "Finding 3, Fig. 2a", "high",
          "variance over seeds of the area under the curve of the return, over that with w_r = 100: the interval lies "
          "above 1 (F, 95 %)", judges.more_variable("return", IMPLICIT, "w_r=100")),
    Claim("finding_3_features", "w_o = 0 has a poorer representation", "Finding 3", "poorer",
          "of errors of the object's position: " + _PAIRED, judges_of_models.poorer_representation),
    Claim("harmony", "HarmonyDream is better than DreamerV2", "Sec. 4, Fig. 5", "faster", _EITHER,
          _against("harmony", ORIGINAL, "finding1")),
    Claim("fig_9b_uw", "HarmonyDream is better than uncertainty weighting", "Fig. 9b", "better", _EITHER,
          _against("harmony", "uw", "multitask")),
    Claim("fig_9b_dwa", "HarmonyDream is better than DWA", "Fig. 9b", "better", _EITHER,
          _against("harmony", "dwa", "multitask")),
    Claim("fig_9b_nashmtl", "HarmonyDream and NashMTL are similar on Lever Pull", "Fig. 9b, D.2", "similar",
          "as for HarmonyDream, but the intervals lie within 10 % of NashMTL's mean, on either side; nothing is shown "
          "if its dynamics loss ends under a hundredth of HarmonyDream's",
          judges_of_losses.with_collapse(
              _against("harmony", "nashmtl", "multitask", 0.1, similar=True, task="lever_pull"), "nashmtl")),
    Claim("d_2_near_zero", "NashMTL is prone to near-zero weights without careful tuning (as a share, ours)", "D.2",
          "near zero, no task named", "smallest over largest weight at the end: its interval lies under a thousandth",
          judges_of_losses.near_zero),
    *(Claim(f"app_b_{loss}", f"The learned weight approximates the analytic one ({loss})", "App. B, Eq. 13", "ratio 1",
            _SETTLED, judges_of_losses.analytic(loss)) for loss in judges_of_losses.LOSSES),
    Claim("fig_15b", "Unrectified, the dynamics loss can diverge", "E.3, Fig. 15b", "diverges (Quadruped Run)",
          "at the end over twice the rectified one's: the interval of the ratio lies above 2; beneath, nothing is "
          "shown of what can happen elsewhere",
          judges_of_losses.unrectified("loss/dynamics", 2.0)),
    Claim("fig_15c", "Unrectified, the reward coefficient is excessively large", "E.3, Fig. 15c",
          "excessive (Quadruped Run)",
          "at the end over ten times the rectified one's, as for Fig. 4: the interval of the ratio lies above 10; "
          "beneath, nothing is shown of other tasks",
          judges_of_losses.unrectified("weight/reward", 10.0)),
    Claim("fig_16", "Rectified is better than unrectified", "E.3, Figs. 15a, 16", "better", _EITHER,
          _against("harmony", "unrectified", "ablations")),
    Claim("e_4", "HarmonyDream is slightly better than with w_d fixed to 1", "E.4, Fig. 17", "slightly better", _AS,
          _against("harmony", "harmony,w_d=1", "ablations")),
    Claim("e_4_no_worse", "HarmonyDream is no worse than with w_d fixed to 1 (ours)", "E.4, Fig. 17", "",
          f"{_AS}, with a margin of 10 %", _against("harmony", "harmony,w_d=1", "ablations", 0.1)),
    Claim("e_4_base", "HarmonyDream with w_d fixed to 1 is better than DreamerV2", "E.4, Fig. 17", "a clear margin",
          _AS, _against("harmony,w_d=1", ORIGINAL, "ablations")),
    Claim("e_5", "HarmonyDream is better than tuned weights", "E.5, Fig. 18", "better in most tasks",
          f"{_AS}, against the better of w_r = 10 and 100", _against("harmony", "w_r=10|w_r=100", "ablations")),
    Claim("e_5_no_worse", "HarmonyDream is no worse than tuned weights (ours)", "E.5, Fig. 18", "",
          f"{_AS}, against the better of w_r = 10 and 100, with a margin of 10 %",
          _against("harmony", "w_r=10|w_r=100", "ablations", 0.1)),
    Claim("fig_23", "The reward coefficient is higher on Lever Pull than on Handle Pull Side", "E.9, Fig. 23", "higher",
          "Welch's interval over seeds of the difference leaves out zero, same preset, mode and length",
          judges_of_losses.order_of_coefficients),
    Claim("e_9_lever", "On Lever Pull w_r = 100 is better than w_r = 10", "E.9, Fig. 2a", "better", _AS,
          _against("w_r=100", "w_r=10", "finding1", task="lever_pull")),
    Claim("e_9_handle", "On Handle Pull Side w_r = 10 is better than w_r = 100", "E.9, Fig. 2a", "better", _AS,
          _against("w_r=10", "w_r=100", "finding1", task="handle_pull_side")),
    Claim("e_10", "Observations help to predict rewards", "E.10", "0.379 against 0.416", _PAIRED,
          judges_of_dreams.without_observations),
)  # fmt: skip
LEDGER = {
    "algebra of the losses": algebra.CLAIMS,
    "training runs": _RUNS,
    "timing": timing.CLAIMS,
    "arithmetic of Table 2": atari.CLAIMS,
    "not attempted": missing.CLAIMS,
}
CLAIMS = tuple(chain.from_iterable(LEDGER.values()))
