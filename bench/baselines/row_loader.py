"""The usual way to train an autoencoder on rows: PyTorch's own loader, module and optimizer.

A `TensorDataset` of rows, shuffled, batched and collated by `DataLoader` in the main process, since
worker processes would cost more than they save on rows this small; a `Sequential`; `AdamW`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


def network(widths: list[int]) -> nn.Sequential:
    """Make an autoencoder with ReLU between layers, but for the code and the output."""
    layers: list[nn.Module] = []
    code = len(widths) // 2
    for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        layers.append(nn.Linear(inputs, outputs))
        if number not in (code, len(widths) - 1):
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def train(made: nn.Module, x: Tensor, *, batch: int, epochs: int) -> float:
    """Train for some epochs, where the module is, and return the last epoch's mean loss."""
    device = next(made.parameters()).device
    loader = DataLoader(TensorDataset(x), batch_size=batch, shuffle=True)
    optimizer = torch.optim.AdamW(made.parameters(), lr=1e-3, weight_decay=1e-5)
    total = 0.0
    for _ in range(epochs):
        total = 0.0
        for (collated,) in loader:
            rows = collated.to(device)
            loss = nn.functional.mse_loss(made(rows), rows)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(rows)
    return total / len(x)


@torch.no_grad()
def score(made: nn.Module, x: Tensor) -> Tensor:
    """Return each row's mean squared error, all rows in one batch."""
    error: Tensor = (made(x) - x).square().mean(1)
    return error
