"""The loss of flows, and what macro-F1 is counted from: functions of tensors alone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TINY = 1e-30  # below any sum of shares but that of no known flow, which is 0


def shares(y: NDArray[np.int64], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what each flow counts for in the mean loss, float32 [flows]; they add up to 1.

    Shapes:
        y: int64 [flows], -1 where unknown; weight: float32 [classes]

    Example:
        >>> shares(np.array([0, 1, -1]), np.array([1, 3], np.float32)).tolist()
        [0.25, 0.75, 0.0]
    """
    share = np.where(y >= 0, weight[y], 0.0)
    return np.asarray(share / max(share.sum(dtype=np.float64), TINY), np.float32)


def cross_entropy(logits: Tensor, y: Tensor, share: Tensor) -> Tensor:
    """Return the sum of -log of the probability of each flow's class, times its share.

    Shapes:
        logits: [flows, classes]; y: int64 [flows], -1 where unknown; share: [flows], 0 there
    """
    found = torch.log_softmax(logits.to(share.dtype), 1).gather(1, y.clamp(min=0)[:, None])
    return -torch.dot(found[:, 0], share)


def counts(said: Tensor, y: Tensor, classes: int) -> Tensor:
    """Count flows by their class and by what they are said to be, int64 [classes, classes].

    Flows of class -1, unknown, are left out.

    Example:
        >>> counts(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    cells = torch.bincount((y + 1) * classes + said, minlength=(classes + 1) * classes)
    return cells.view(-1, classes)[1:]


def macro_f1(counted: Tensor) -> Tensor:
    """Return the mean F1 of the classes that have flows, a scalar; 0 where none has.

    Shapes:
        counted: int64 [classes, classes], see `counts`

    Example:
        >>> macro_f1(torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0]]))
        tensor(0.6667, dtype=torch.float64)
    """
    hits, said, there = counted.diagonal(), counted.sum(0), counted.sum(1)
    f1 = 2 * hits.double() / (said + there).clamp(min=1)
    present = there > 0
    mean: Tensor = (f1 * present).sum() / present.sum().clamp(min=1)
    return mean
