"""Acting while a GPU learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hdream_core.agent import Player


class AsyncPlayer:
    """Acts with a copy of the weights on a CUDA stream of its own, so that acting and updating overlap.

    Its random numbers are its own as well; two graphs that run at once must not move one generator's offset.

    Args:
        player: to copy; its weights go on changing.
        device: a GPU.
        seed: of the actions.
    """

    def __init__(self, player: Player, device: torch.device, seed: int):
        self.source, self.player = player, player.copy()
        # With priority its small kernels go between the update's large ones.
        self._stream = torch.cuda.Stream(device, priority=-1)
        index = torch.cuda.current_device() if device.index is None else device.index
        self._default = torch.cuda.default_generators[index]
        self._numbers = self._default.clone_state()
        self._numbers.manual_seed(seed)

    def state_dict(self) -> Tensor:
        """Returns the state of its random numbers, for a checkpoint."""
        return self._numbers.get_state()

    def load_state_dict(self, state: Tensor) -> None:
        """Goes back to a state of ``state_dict``."""
        self._numbers.set_state(state.cpu())

    @torch.no_grad()
    def refresh(self) -> None:
        """Takes over the weights of now, that is, after all updates asked for so far."""
        torch._foreach_copy_(self.player.parameters(), self.source.parameters())
        self._stream.wait_stream(torch.cuda.current_stream())

    def act(self, image: np.ndarray, memory: Any, explore: bool) -> tuple[np.ndarray, Any]:
        """As ``Player.act``."""
        others = self._default.graphsafe_get_state()
        self._default.graphsafe_set_state(self._numbers)
        try:
            with torch.cuda.stream(self._stream):
                return self.player.act(image, memory, explore)
        finally:
            self._default.graphsafe_set_state(others)
