"""Rules, rows and data of the ledger that were changed or set after a result was seen: what, when, what it changed.

All dates are of 2026.
"""

from __future__ import annotations

from dataclasses import dataclass

from analysis.ledger.verdicts import NOT_MEASURED, NOT_REPRODUCED, NOT_SHOWN, REPRODUCED

FIRST = "commit 3f1c4ad, 23 November"
SAME = "the same"
MINIATURE, QUICK = "finding1_mini_lever_cpu.h5", "finding1_lever_pull_quick.h5"
SWEEP, BRANCHES, DREAMS = (f"{study}_lever_pull_cpu.h5" for study in ("finding1", "counterfactual", "finding2"))
ABLATIONS, BALANCERS = "ablations_lever_pull_cpu.h5", "multitask_lever_pull_cpu.h5"
COEFFICIENTS = tuple(f"coefficients_{task}_cpu.h5" for task in ("lever_pull", "handle_pull_side", "hammer"))
AGENTS, UNSEEN = "state_regression_lever_pull_cpu.h5", "state_regression_unseen_lever_pull_cpu.h5"


@dataclass(frozen=True)
class Change:
    """What came after a result.

    Attributes:
        text: of the footnote.
        claims: names of the claims it is about; empty for all.
        files: result files it is about; empty for all.
        earlier: the verdict of the earlier rule on the result at hand, or on the data that the paper uses; SAME, or
            empty where there was none.
    """

    text: str
    claims: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    earlier: str = ""

    @property
    def footnote(self) -> str:
        """The text, with the verdict before."""
        if not self.earlier:
            return self.text
        return f"{self.text} Verdict before: {self.earlier}."


_FINDING_2 = ("finding_2_averted", "finding_2_rewards", "finding_2_objects", "finding_2_misses")
_AREA = "at the end of training; since commit 303bb03, 23 November, the area under the curve."
_EVERY = (
    "as part of the row on the balanced weight and at 95 %; made a row of its own, at the wider level, later that day."
)
_WIDENED = "Intervals over episodes were widened for their number in commit 6827597, 26 November, after"
CHANGES = (
    Change("The result, of 22 or 23 November, is older than the first rules.", files=(MINIATURE, QUICK)),
    Change(f"First rule: the return or success {_AREA}", ("finding_1_return", "finding_1_success", "harmony"),
           (MINIATURE,), SAME),
    Change(f"First rule: the return {_AREA}", ("finding_3",), (MINIATURE,), NOT_SHOWN),
    Change(f"Set in commit dab64b0, 26 November, after the result, {_EVERY}", ("finding_1_return_others",),
           (MINIATURE,), REPRODUCED),
    Change(f"Set in commit dab64b0, 26 November, after the results, {_EVERY}",
           ("finding_1_success_others", "reward_error_others"), earlier=SAME),
    Change(f"{_WIDENED} a first such result.", ("reward_error", "harmony", "e_10", *_FINDING_2, "fig_3"),
           (SWEEP, "reward_mse_lever_pull_cpu.h5", BRANCHES, DREAMS), SAME),
    Change("On the paper's 20,000 segments since 26 November; a first result had 5,000.",
           ("e_10",), ("reward_mse_lever_pull_cpu.h5",), SAME),
    Change(f"{_WIDENED} this result.", ("fig_2c", "fig_2c_open_loop"), (AGENTS,), SAME),
    Change("The data were chosen after finding3_lever_pull_cpu.h5 had shown, minutes earlier, that the object's error "
           "is lower by 19.1 cm^2, of the same models and on episodes of the same held-out part. C.4's own protocol is "
           "data: agents.", ("fig_2c", "fig_2c_open_loop", "fig_2c_state"), (UNSEEN,), NOT_SHOWN),
    Change("Row and rule set on 26 November, after the results of Lever Pull and before those of other tasks.",
           ("fig_2c_state",), (UNSEEN, AGENTS)),
    Change("Row of 26 November, after the result; the rule is that of 23 November.", ("fig_2b",),
           (MINIATURE, "finding1_lever_pull_paper.h5")),
    Change("Until commit c51e2d6, 26 November, and a review of a first result, whose branches mostly began in contact: "
           "fewer rewards dreamed under the altered actions, and misses not shown to be more.",
           ("finding_2_averted",), (BRANCHES,), SAME),
    Change("Until commit c51e2d6, 26 November, and a first result: misses not shown to be more.",
           ("finding_2_rewards",), (BRANCHES,), SAME),
    Change("What the probe may see of still windows, and must see of moving ones, was set after first results, in "
           "commits 45c4084, 23 November, and b0d7900, 26 November. The probe was made anew in commit e2e3a50, 26 "
           "November, because the one before could not see the lever move. Until commit c51e2d6, 26 November: misses "
           "not shown to be more.", ("finding_2_objects",), (BRANCHES,), NOT_MEASURED),
    Change("Branches are of twice as many episodes since commit e2e3a50, 26 November, after first results.",
           ("finding_2_averted", "finding_2_rewards", "finding_2_misses"), (BRANCHES,), SAME),
    Change("Until commit 6827597, 26 November, and a first result: windows in which the reward moves, truly or in any "
           "dream.", ("fig_3",), (DREAMS,), SAME),
    Change("Row and rule set in commit 8c8fe9c, 26 November, after the result.", ("finding_3_variance",), (MINIATURE,)),
    Change("Until commit 8c8fe9c, 26 November, and a first result, not shipped: the interval over seeds alone.",
           ("finding_3_features",), earlier=SAME),
    Change("Until commit dab64b0, 26 November, and this result: the interval over seeds in pairs.", ("fig_23",),
           earlier=SAME),
    Change("The first rule; that of the next row from commit 303bb03, 23 November, until after the result.", ("e_4",),
           (ABLATIONS,), SAME),
    Change("Row of 26 November, after the result; until then there was only the next one.", ("e_5",), (ABLATIONS,),
           SAME),
    Change("Until 26 November, and this result: no worse, within 10 %.", ("fig_9b_nashmtl",), earlier=REPRODUCED),
    Change("Until commit 3a7a768, 26 November, and this result: also where NashMTL's models have collapsed.",
           ("fig_9b_nashmtl",), (BALANCERS,), NOT_REPRODUCED),
    Change("Until commit 3a7a768, 26 November, and these results: also of weights that still moved.",
           ("app_b_observation",), COEFFICIENTS, NOT_REPRODUCED),
    Change("Until commit 3a7a768, 26 November, and these results: also of weights that still moved.",
           ("app_b_reward",), (COEFFICIENTS[1],), REPRODUCED),
    Change("Until this result, of 30 November, also where both models miss nearly all.", ("finding_2_misses",),
           ("counterfactual_mini_lever_cpu.h5",), REPRODUCED),
    Change("Until commit 3a7a768, 26 November, and this result: also what can be counted as refuted where it was not.",
           ("fig_15b", "fig_15c"), (ABLATIONS,), NOT_REPRODUCED),
    Change("Until commit 3a7a768, 26 November, and this result: the reverse also where w_r = 1 may miss more.",
           ("finding_2_objects",), (BRANCHES,), NOT_REPRODUCED),
    Change("That the object must move in 20 recorded branches or more was set on 26 November, after this result.",
           ("finding_2_objects",), ("counterfactual_handle_pull_side_cpu.h5",), NOT_SHOWN),
    Change("Until commit 3a7a768, 26 November, the number counted for the whole.", ("cost",), ("performance_gpu.json",),
           NOT_REPRODUCED),
    Change("Row and rule set on 26 November, after the result.",
           ("fig_3_made_up", "app_b_observation", "app_b_reward", "app_b_dynamics", "fig_15b", "fig_15c", "e_4_base",
            "e_9_lever", "d_2_near_zero"), (DREAMS, *COEFFICIENTS, ABLATIONS, SWEEP, BALANCERS)),
    Change("A first timing on a CPU (0.03 %, 23 November) is older than the rule.", ("cost",),
           ("performance_cpu.json",)),
    Change("Row of 26 November, after the timing; the rule is that of 23 November.", ("cost",),
           ("performance_gpu.json",)),
    Change("Until commit dab64b0, 26 November, an answer with a remark was not decided.",
           ("atari_gain", "atari_improves", "atari_climber"), earlier=NOT_SHOWN),
    Change("Not in the ledger from commit dab64b0, 26 November, until later that day; before, an answer with a remark "
           "was not decided.", ("atari_consistent",), earlier=NOT_SHOWN),
    Change("Until 26 November the ledger had no words for what cannot be decided.", ("atari_comparable",),
           earlier=NOT_SHOWN),
)  # fmt: skip


def changes_of(claim: str, source: str) -> list[Change]:
    """What came after a result, of one row of the ledger; nothing of a row without a result.

    Args:
        claim: its name.
        source: its result files, as ``Finding.source``.
    """
    files = set(source.split(", ")) if source else set()
    return [
        change
        for change in CHANGES
        if files and (not change.claims or claim in change.claims) and (not change.files or files & set(change.files))
    ]
