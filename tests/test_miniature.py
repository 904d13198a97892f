"""mini_lever: the lever moves only on real contact, and an expert lifts it; ``test_envs`` has what all tasks share."""

import numpy as np
import pytest

from hdream_core import envs


def test_expert_lifts_the_lever_and_random_actions_do_not():
    env = envs.make("mini_lever", seed=0)
    rng = np.random.default_rng(0)

    def play(policy):
        env.reset()
        steps = [env.step(policy()) for _ in range(env.time_limit)]
        return sum(step[1] for step in steps), any(step[4]["success"] for step in steps)

    expert = [play(env.expert_action) for _ in range(20)]
    random = [play(lambda: rng.uniform(-1, 1, 2)) for _ in range(20)]
    assert np.mean([success for _, success in expert]) == 1
    assert np.mean([success for _, success in random]) < 0.3
    assert np.mean([r for r, _ in expert]) > 3 * np.mean([r for r, _ in random])


UP, DOWN, RIGHT = (0.0, -1.0), (0.0, 1.0), (0.3, 0.0)


@pytest.mark.parametrize(
    ("offset", "actions", "moves"),
    [
        ((0.0, 2.0), (UP, UP), True),
        ((4.0, 2.0), (UP, UP), False),
        ((-4.0, 2.0), (UP, UP), False),
        ((0.0, 12.0), (UP, UP), False),
        ((0.0, -6.0), (UP, UP), False),
        ((0.0, 2.0), (DOWN, RIGHT), False),
    ],
    ids=["beneath", "right", "left", "too far below", "above", "down and sideways"],
)
def test_lever_moves_only_when_pushed_from_beneath(offset, actions, moves):
    env = envs.make("mini_lever", seed=0)
    env.reset()
    env.tip = np.array([env.lever_x + offset[0], env.rest_y + offset[1]])
    for action in actions:
        env.step(np.array(action))
    assert (env.lifted > 0) == moves
