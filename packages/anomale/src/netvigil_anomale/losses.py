"""Deep graph infomax as pure functions of discriminator logits.

Source: Velickovic et al., Deep Graph Infomax (arXiv 1809.10341), as used by Anomal-E (Caville et
al., Knowledge-Based Systems 258:110030, section 3; official notebook):
`BCEWithLogits(D(z, s), 1) + BCEWithLogits(D(z~, s), 0)`, each the mean over all edges.

A departure where a batch holds several windows: each window has a summary of its own, and the mean
is over all edges of the batch, so that a window weighs as many edges as it has.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn.functional import softplus


def infomax_loss(
    clean: Tensor, corrupted: Tensor, weight: Tensor | None = None
) -> Mapping[str, Tensor]:
    """Return what telling clean edges from corrupted ones costs: `clean` + `corrupted` = `total`.

    A discriminator that knows nothing (all logits 0) costs 2 ln 2.

    Shapes:
        clean, corrupted: [edges] logits, higher means "clean"; or [pairs] with `weight`
        weight: [pairs], the share of all edges that a pair has, summing to 1; None: each alike
        returns: three scalars

    Example:
        >>> import torch
        >>> round(float(infomax_loss(torch.zeros(3), torch.zeros(3))["total"]), 4)
        1.3863
    """
    # -log sigmoid(l) = softplus(-l), and -log(1 - sigmoid(l)) = softplus(l).
    missed, fooled = softplus(-clean), softplus(corrupted)
    if weight is None:
        first, second = missed.mean(), fooled.mean()
    else:
        # Not `@`, which mixed precision would do in bfloat16.
        first, second = (missed * weight).sum(), (fooled * weight).sum()
    return {"clean": first, "corrupted": second, "total": first + second}
