"""Acts while a GPU learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hdream_core.agent import Player


class AsyncPlayer:
    """Acts with a copy of the weights on its own CUDA stream, so that acting and updating overlap.

    It also has its own random numbers: two graphs that run at once must not advance the same generator.

    Args:
        player: player to copy; its weights keep changing.
        device: a GPU.
        seed: seed of the sampled actions.
    """

    def __init__(self, player: Player, device: torch.device, seed: int):
        self.source, self.player = player, player.copy()
        # Priority lets its small kernels run between the update's large ones.
        self._stream = torch.cuda.Stream(device, priority=-1)
        index = torch.cuda.current_device() if device.index is None else device.index
        self._default = torch.cuda.default_generators[index]
        self._numbers = self._default.clone_state()
        self._numbers.manual_seed(seed)

    def state_dict(self) -> Tensor:
        """Returns the state of the random numbers, for a checkpoint."""
        return self._numbers.get_state()

    def load_state_dict(self, state: Tensor) -> None:
        """Restores what ``state_dict`` returned."""
        self._numbers.set_state(state.cpu())

    @torch.no_grad()
    def refresh(self) -> None:
        """Copies the current weights, after all updates queued so far."""
        torch._foreach_copy_(self.player.parameters(), self.source.parameters())
        self._stream.wait_stream(torch.cuda.current_stream())

    def act(self, image: np.ndarray, memory: Any, explore: bool) -> tuple[np.ndarray, Any]:
        """Chooses actions; see ``Agent.act``."""
        default_state = self._default.graphsafe_get_state()
        self._default.graphsafe_set_state(self._numbers)
        try:
            with torch.cuda.stream(self._stream):
                return self.player.act(image, memory, explore)
        finally:
            self._default.graphsafe_set_state(default_state)
