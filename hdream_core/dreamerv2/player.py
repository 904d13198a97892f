"""Acting in environments: the policy reads the posterior of what has been seen; and acting while a GPU learns."""

from __future__ import annotations

import copy
import functools

import numpy as np
import torch
from torch import Tensor

from hdream_core.dreamerv2.behavior import Behavior
from hdream_core.dreamerv2.rssm import State
from hdream_core.dreamerv2.world_model import WorldModel
from hdream_core.support.cuda_graph import Recorded
from hdream_core.support.precision import autocast

Memory = tuple[State, Tensor]  # what a player remembers of N episodes: the latent state and the last action, (N, A)


class Player:
    """Chooses actions for environments that are stepped together.

    Args:
        model, behavior: whose weights it plays with, as they are when it acts.
        action: number of action dimensions.
        precision: ``train.precision`` of the run.
        recorded: as CUDA graphs, see ``recording``.
    """

    def __init__(self, model: WorldModel, behavior: Behavior, action: int, precision: str, recorded: bool):
        self.model, self.behavior, self.action, self.precision = model, behavior, action, precision
        self.device = next(model.parameters()).device
        self._explore, self._exploit = (
            Recorded(functools.partial(self._play, explore), self.device, recorded) for explore in (True, False)
        )

    def act(self, image: np.ndarray, state: Memory | None, explore: bool) -> tuple[np.ndarray, Memory]:
        """Actions for N environments.

        Args:
            image: uint8 ``(N, H, W, C)``.
            state: what the last call returned, or None at the start of the episodes.
            explore: sample the action (training) or take its mode (evaluation); the posterior is sampled in both.

        Returns:
            float32 ``(N, A)`` in [-1, 1], and the state to hand to the next call.
        """
        first = torch.full((len(image),), state is None, device=self.device)
        if state is None:
            latent = self.model.rssm.initial(len(image), self.device)
            state = latent, torch.zeros(len(image), self.action, device=self.device)
        play = self._explore if explore else self._exploit
        action, *latent = play(torch.as_tensor(image), first, state[1], *state[0])
        return action.cpu().numpy(), (State(*latent), action)

    @torch.no_grad()
    def _play(self, explore: bool, image: Tensor, first: Tensor, action: Tensor, *latent: Tensor) -> list[Tensor]:
        """``act`` on the device: the action, then the fields of the state."""
        with autocast(self.precision, self.device):
            embed = self.model.encode(image[:, None])[:, 0]  # from (N, 1, H, W, C)
            after = self.model.rssm.observe_step(State(*latent), embed, action, first)
            policy = self.behavior.policy(after.feat)
            return [policy.rsample() if explore else policy.mode, *after]


class Understudy(Player):
    """Plays with a copy of the weights, on a stream of its own, while the GPU learns: nobody waits for the other.

    Its random numbers are its own as well; two graphs that run at once must not move one generator's offset.

    Args:
        player: to copy; its weights go on changing.
        seed: of the actions.
    """

    def __init__(self, player: Player, seed: int):
        model, behavior = (copy.deepcopy(x).requires_grad_(False) for x in (player.model, player.behavior))
        super().__init__(model, behavior, player.action, player.precision, recorded=True)
        self._pairs = [
            [list(module.parameters()) for module in modules]
            for modules in ((model, player.model), (behavior, player.behavior))
        ]
        self._stream = torch.cuda.Stream(
            self.device, priority=-1
        )  # its small kernels go between the update's large ones
        index = torch.cuda.current_device() if self.device.index is None else self.device.index
        self._default = torch.cuda.default_generators[index]
        self._numbers = self._default.clone_state()
        self._numbers.manual_seed(seed)

    def rng_state(self) -> Tensor:
        """Of its random numbers, for a checkpoint."""
        return self._numbers.get_state()

    def set_rng_state(self, state: Tensor) -> None:
        """The inverse of ``rng_state``."""
        self._numbers.set_state(state.cpu())

    @torch.no_grad()
    def refresh(self) -> None:
        """Takes over the weights of now, that is, after all updates asked for so far."""
        for mine, theirs in self._pairs:
            torch._foreach_copy_(mine, theirs)
        self._stream.wait_stream(torch.cuda.current_stream())

    def act(self, image: np.ndarray, state: Memory | None, explore: bool) -> tuple[np.ndarray, Memory]:
        """As ``Player.act``."""
        others = self._default.graphsafe_get_state()
        self._default.graphsafe_set_state(self._numbers)
        try:
            with torch.cuda.stream(self._stream):
                return super().act(image, state, explore)
        finally:
            self._default.graphsafe_set_state(others)
