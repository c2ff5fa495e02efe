"""Codes and error terms of flows, from a trained network and what is usual for it."""

from __future__ import annotations

import torch
from torch import Tensor

from netvigil_tabular.config import AutoencoderConfig, TermsConfig, VaeConfig
from netvigil_tabular.fused import can_fuse, forward
from netvigil_tabular.losses import divergence, errors
from netvigil_tabular.network import Latent, Network
from netvigil_tabular.usual import Usual

FARTHEST = 1e12  # a feature beyond counts as that: its square must not overflow float32
SEARCHED = 512  # flows whose neighbours are searched together: 8 MB of distances


class Scoring:
    """What a fitted autoencoder needs to say of a flow; it learns nothing and keeps nothing.

    Shapes:
        points: float32 [draws, dim], the noise of each draw of z, the same for every flow; None
            where errors are those at the mean of z
    """

    def __init__(self, network: Network, config: TermsConfig, points: Tensor | None) -> None:
        self.network, self.config, self.points = network, config, points
        self._layers = None
        if isinstance(config, AutoencoderConfig) and can_fuse(network.layers()):
            self._layers = network.layers()

    def residuals(self, x: Tensor) -> tuple[Latent, Tensor, Tensor]:
        """Return the latent variables, squared residuals [flows, features], and a reconstruction.

        With draws, squared residuals are averaged over them and the reconstruction is the last.
        """
        x.clamp_(-FARTHEST, FARTHEST)
        if self._layers is not None:
            results = forward(self._layers, x)
            latent, decoded = Latent(results[len(self.config.hidden)]), results[-1]
            return latent, (decoded - x).square_(), decoded
        latent = self.network.encode(x)
        if self.points is None or latent.logvar is None:
            decoded = self.network.decode(latent.mean)
            return latent, (decoded - x).square_(), decoded
        deviation = (0.5 * latent.logvar).exp()
        squared = torch.zeros_like(x)
        for point in self.points:
            decoded = self.network.decode(latent.mean + deviation * point)
            squared += (decoded - x).square_()
        return latent, squared.div_(len(self.points)), decoded

    def terms(self, x: Tensor, usual: Usual) -> tuple[Tensor, dict[str, Tensor]]:
        """Return codes [flows, dim] and the terms that the settings name, [flows] each."""
        wanted = self._wanted()
        latent, squared, decoded = self.residuals(x)
        features = x.shape[1]
        weights = torch.stack([torch.ones_like(usual.residual), 1 / usual.residual], 1) / features
        mean, standardised = (squared @ weights).unbind(1)
        found = {"error": mean, "standardised": standardised}
        loss = self.config.loss if isinstance(self.config, AutoencoderConfig) else "mse"
        if loss != "mse" and "error" in wanted:
            found["error"] = errors(x, decoded, loss).mean(1)
        if latent.logvar is not None and isinstance(self.config, VaeConfig):
            found |= self._divergences(latent.mean, latent.logvar, features * mean)
        if {"mahalanobis", "knn"} & wanted:
            whitened = usual.whitened(latent.mean)
            found["mahalanobis"] = whitened.square().sum(1).sqrt()
            if "knn" in wanted:
                pieces = whitened.split(SEARCHED)  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
                near = [usual.distance(piece, self.config.neighbours) for piece in pieces]
                found["knn"] = torch.cat(near)
        return latent.mean, {name: found[name] for name in sorted(wanted)}

    def _wanted(self) -> set[str]:
        if isinstance(self.config, AutoencoderConfig | VaeConfig):
            return set(self.config.terms)
        return set()

    def _divergences(self, mean: Tensor, logvar: Tensor, summed: Tensor) -> dict[str, Tensor]:
        """Return `kl`, and its sum with the summed squared error, weighted by beta or not."""
        assert isinstance(self.config, VaeConfig)
        kl = divergence(mean, logvar).sum(1)
        return {"kl": kl, "elbo": summed + self.config.beta * kl, "error-kl": summed + kl}
