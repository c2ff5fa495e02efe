"""What chance decides in one step: cut links, masked flows, negative links. Training only.

The paper fixes that the three share one rate, not how they are drawn. Here every link and every
flow is drawn by itself, so no window and no host is special.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from netvigil_autographad.batch import View, WindowBatch, augmented_view
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.links import Links


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
        marks = batch.graph.x.new_zeros(batch.flows, 3)
        if self.masked is not None:
            marks[:, 0] = self.masked
        if self.cut is not None:
            marks[:, 1:] = self.cut.t()
        return augmented_view(batch.clean, marks)

    def negative_links(self, nodes: int) -> tuple[Links, Tensor]:
        """Return the negative links that count, and which of them are to destinations.

        Shapes:
            returns: links, and float32 [links], 0 for a source and 1 for a destination
        """
        place = self.weight.t().reshape(-1).nonzero().view(-1)
        flow, side = place >> 1, place & 1
        row = self.negative.t().reshape(-1).index_select(0, place) + nodes * side
        links = Links.of(flow, row, flows=self.weight.shape[1], rows=2 * nodes)
        return links, side.to(self.weight.dtype)


def draw(
    batch: WindowBatch, config: AutoGraphADConfig, rng: torch.Generator, *, augment: bool
) -> Draws:
    """Draw one step; without `augment`, as in validation, negative links alone.

    A flow has exactly one true host per relation, so a negative is any other node of its window,
    equally likely: nothing has to be drawn twice. A window of a single host has none. True links
    count as positives whether cut or not: the decoder shall find the cut ones again.

    All chance of a flow is in two random words, as drawing costs more than what is done with it:
    31 bits for each negative link and 16, hence rates in steps of 1/65,536, for each flag.
    """
    dtype, device = batch.graph.x.dtype, batch.graph.x.device
    words = torch.empty(batch.flows, 2, dtype=torch.int64, device=device).random_(generator=rng)
    drop, mask = (config.drop_rate, config.mask_rate) if augment else (0.0, 0.0)
    levels = [min(round(rate * 2**16), 2**16 - 1) - 2**15 for rate in (mask, drop, drop)]
    signed = words.view(torch.int16)[:, 4:7]
    marks = (signed < signed.new_tensor(levels)).to(dtype)
    # Uniform in [0, 1) among the links that count; the others are 1 and more.
    uniform = (words.view(torch.int32)[:, :2] & (2**31 - 1)).float()
    uniform.mul_(2**-31 / max(config.negative_rate, 2**-31))
    others = batch.others[:, None]
    counts = (uniform < 1) & (others > 0)
    # The product may round up to `others` itself.
    other = torch.minimum(uniform.mul_(others).floor_(), others - 1)
    # Where there is no other host the row must still exist: the first.
    other = other.add_(other >= batch.true).clamp_(min=0)
    return Draws(
        cut=marks[:, 1:].t() if drop else None,
        masked=marks[:, 0] if mask else None,
        negative=(batch.first[:, None] + other.long()).t(),
        weight=counts.to(dtype).t(),
    )
