"""An agent that sees a frame's mean colour, and predicts that an action moves it by as much everywhere."""

import copy

import torch
from torch import nn

from hdream_core.agent import OpenLoop
from hdream_core.config.balancer import make_balancer
from hdream_core.support.batch import to_device


class Fake(nn.Module):
    capturable, training_only = False, ()

    def __init__(self, config, spec, device=None):
        super().__init__()
        self.config, self.spec, self.device = config, spec, torch.device(device or "cpu")
        dim = spec.action.dim
        self.encoder, self.head, self.move, self.actor = (nn.Linear(*n) for n in ((3, 4), (4, 1), (dim, 4), (4, dim)))
        self.to(self.device)
        self.balancer = make_balancer(config.balancer, ("observation", "reward", "dynamics"), spec.image)
        self.adam = torch.optim.Adam(self.parameters(), config.agent.lr)
        self.updates = 0

    @property
    def player(self):
        return self

    def losses(self, batch):
        batch = to_device(batch, self.device)
        colour, feat = batch["image"].float().mean((2, 3)) / 255, self.encode(batch)
        after = feat[:, :-1] + self.move(batch["action"][:, 1:])
        errors = {"observation": feat[..., :3] - colour, "reward": self.head(feat)[..., 0] - batch["reward"]}
        return {name: e.square().mean() for name, e in (errors | {"dynamics": after - feat[:, 1:]}).items()}

    def update(self, batch):
        losses = self.losses(batch)
        total, weights = self.balancer(losses)
        self.adam.zero_grad()
        total.backward()
        self.adam.step()
        self.updates += 1
        named = {f"loss/{name}": loss.detach() for name, loss in losses.items()}
        return named | {f"weight/{name}": w for name, w in weights.items()} | {"skipped/model": torch.zeros(())}

    def encode(self, batch):
        return self.encoder(batch["image"].float().mean((2, 3)) / 255)

    @torch.no_grad()
    def features(self, batch):
        return self.encode(to_device(batch, self.device))

    @torch.no_grad()
    def open_loop(self, batch, context, samples=1):
        feat = self.features(batch)[:, :context].repeat(samples, 1, 1)
        moves = self.move(to_device(batch, self.device)["action"][:, context:]).repeat(samples, 1, 1)
        ahead = feat[:, -1:] + moves.cumsum(1)
        return OpenLoop(ahead, self.head(ahead)[..., 0], feat)

    def decode(self, feat):
        return None

    @torch.no_grad()
    def act(self, image, memory, explore):
        feat = self.encode({"image": torch.as_tensor(image)[:, None]})[:, 0]
        action = torch.tanh(self.actor(feat) + explore * torch.randn(len(image), self.spec.action.dim))
        if self.spec.action.kind == "discrete":
            action = nn.functional.one_hot(action.argmax(-1), self.spec.action.dim).float()
        return action.numpy(), memory

    def copy(self):
        return copy.deepcopy(self)

    def shared_parameters(self):
        return list(self.encoder.parameters())

    def training_state(self):
        return {"agent": self.state_dict(), "optimizers": self.adam.state_dict(), "updates": self.updates}

    def load_training_state(self, state):
        self.load_state_dict(state["agent"])
        self.adam.load_state_dict(state["optimizers"])
        self.updates = state["updates"]


AGENT = Fake
