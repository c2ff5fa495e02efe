"""What chance decides in one step: cut links, masked flows, negative links. Training only.

The paper fixes that the three share one rate, not how they are drawn. Here every link and every
flow is drawn by itself, so no window and no host is special.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from netvigil_autographad.batch import View, WindowBatch, augmented_view, groups
from netvigil_autographad.config import AutoGraphADConfig


@dataclass(frozen=True)
class Draws:
    """The augmentation of one step.

    Shapes:
        cut: float32 [2, flows], 1 where a link to the source, destination host is cut; cutting
            takes both directions away; None: no link is
        masked: float32 [flows], 1 where features are hidden behind the token; None: no flow is
        negative: int64 [2, flows], a node of the flow's window that is not its source (destination)
        weight: float32 [2, flows], 1 where that negative link counts
    """

    cut: Tensor | None
    masked: Tensor | None
    negative: Tensor
    weight: Tensor

    def view(self, batch: WindowBatch) -> View:
        """Return the batch as it looks after the cuts and the masks."""
        if self.cut is None and self.masked is None:
            return batch.clean
        x = batch.graph.x
        cut = x.new_zeros(2, len(x)) if self.cut is None else self.cut
        masked = x.new_zeros(len(x)) if self.masked is None else self.masked
        return augmented_view(batch.clean, cut, masked)


def draw(
    batch: WindowBatch, config: AutoGraphADConfig, rng: torch.Generator, *, augment: bool
) -> Draws:
    """Draw one step; without `augment`, as in validation, negative links alone.

    A flow has exactly one true host per relation, so a negative is any other node of its window,
    equally likely: nothing has to be drawn twice. A window of a single host has none. True links
    count as positives whether cut or not: the decoder shall find the cut ones again.
    """
    flows, device = batch.flows, batch.graph.x.device

    def flags(rate: float, *shape: int) -> Tensor | None:
        if not augment or rate == 0:
            return None
        return (torch.rand(shape, generator=rng, device=device) < rate).to(batch.graph.x.dtype)

    cut = flags(config.drop_rate, 2, flows)
    masked = flags(config.mask_rate, flows)
    uniform = torch.rand(2, flows, generator=rng, device=device)
    # The product may round up to `others` itself.
    other = torch.minimum((uniform * batch.others).floor_(), (batch.others - 1).clamp_(min=0))
    true = torch.stack([group.node for group in groups(batch.graph)]) - batch.first
    other = other.long()
    negative = batch.first + torch.where(other >= true, other + 1, other)
    weight = (batch.others > 0).to(batch.graph.x.dtype).expand(2, flows)
    if config.negative_rate < 1:
        chosen = torch.rand(2, flows, generator=rng, device=device) < config.negative_rate
        weight = weight * chosen
    # Where there is no other host the row must still exist; its weight is 0.
    negative = torch.where(batch.others > 0, negative, batch.first)
    return Draws(cut, masked, negative, weight)
