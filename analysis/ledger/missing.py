"""The main claims of the paper that hdream has not attempted, and why."""

from __future__ import annotations

from analysis.ledger.verdicts import NOT_MEASURED, Claim, Finding, Shelf


def _not_attempted(shelf: Shelf) -> list[Finding]:
    return [Finding("not attempted", NOT_MEASURED)]


_FULL = "full-size online runs of 250,000 steps to a million, five seeds"
_BENCHES = "three benchmarks at full size"
_OTHER = "another benchmark: no adapter"
_BASE = "another base method: not built"
# Name, what the paper says, where, its value, why it was not attempted.
_CLAIMS = (
    ("abstract", "HarmonyDream gains 10 % to 69 % on visual robotic tasks", "Abstract, Sec. 1", "10 % to 69 %",
     _BENCHES),
    ("fig_5a", "HarmonyDream is better on six Meta-world tasks, in sample efficiency and final success",
     "Sec. 4.1, Fig. 5a", "higher", _FULL),
    ("push_assembly", "Over 75 % and 90 % success on Push and Assembly, where DreamerV2 fails", "Sec. 1, Sec. 4.1",
     "75 %, 90 %", _FULL),
    ("fig_5b", "On RLBench 28 % more on Push Button, 50 % on Reach Target", "Sec. 4.2, Fig. 5b", "28 %, 50 %", _OTHER),
    ("fig_6a", "Greatly enhances DreamerV2 on three tasks of DMC Remastered", "Sec. 4.3, Fig. 6a", "higher", _OTHER),
    ("fig_6b", "On Cheetah Run DreamerV2's dynamics loss diverges, HarmonyDream's converges", "Sec. 4.3, Fig. 6b",
     "converges", _OTHER),
    ("fig_8_v3", "Harmony DreamerV3 is better on Meta-world and RLBench", "Sec. 4.4, E.6, Figs. 8, 19", "higher",
     _BASE),
    ("fig_13", "Harmony DreamerV3's scores on Atari 100K", "Sec. 4.4, E.1, Figs. 7, 13", "Table 2",
     "not trained; Table 2 is judged as printed"),
    ("fig_8_pro", "Harmony DreamerPro is better than w_r = 1000 on DMC", "Sec. 4.4, Fig. 8", "higher", _BASE),
    ("v3_scale", "DreamerV3's reward loss is two orders of magnitude smaller than the observation loss on RLBench",
     "D.1", "2", _BASE),
    ("fig_9a", "Better than TD-MPC on three Meta-world tasks", "Sec. 4.5, E.7, Figs. 9a, 20", "higher", _BASE),
    ("fig_9b_others", "Most effective of the multi-task methods on Push Button and Cheetah Run",
     "Sec. 4.5, D.2, Fig. 9b", "higher", _OTHER),
    ("d_2_extreme", "NashMTL's weights are extreme on Push Button and Cheetah Run", "D.2", "extreme", _OTHER),
    ("fig_14", "A noticeable gain on DMC's Quadruped Run", "E.2, Fig. 14", "higher", _OTHER),
    ("c_3", "No additional hyperparameters", "C.3, E.1", "none",
     "reduced presets give the harmonizers a rate of their own, harmonizer_lr, so that they settle in fewer updates"),
    ("fig_21", "Better than Denoised MDP on DMC Remastered", "E.8, Fig. 21", "higher", _BASE),
)  # fmt: skip
CLAIMS = tuple(
    Claim(name, text, source, paper, f"not attempted: {why}", _not_attempted)
    for name, text, source, paper, why in _CLAIMS
)
