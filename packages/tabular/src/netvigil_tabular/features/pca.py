"""`pca-features`: principal components in the place of the features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import FlowFeatures
from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil.protocols import State
from netvigil_tabular.classifiers.models import few_threads, in_blocks
from netvigil_tabular.features.selection import material_of, require_features

NAME = "pca-features"
LARGEST = float(np.finfo(np.float32).max)


class PcaFeatures:
    """Projects the features on the directions of most variance on the train range.

    Features are centred, not scaled: put a scaler before it. The sign of a component is such that
    its largest weight is positive. A missing value counts as its column's mean.

    Shapes:
        transform: float32 [flows, components], named `pca_1` and so on, the same bits in any
            company

    Raises:
        NotFittedError: If `transform` or `get_state` comes before `fit`.
        ContractError: No features, fewer than two flows, other features than in training, nothing
            that varies.
    """

    def __init__(self, config: Any) -> None:
        self.config = config
        self.names_: tuple[str, ...] = ()
        self.mean_: NDArray[np.float64] = np.empty(0)
        self.components_: NDArray[np.float64] = np.empty((0, 0))
        self.share_: NDArray[np.float64] = np.empty(0)

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Learn means and components."""
        x = material_of(NAME, features, None, self.config.fit_rows, seed).x
        mean = x.mean(axis=0)
        with few_threads():
            covariance = (x - mean).T @ (x - mean) / (len(x) - 1)
            variance, vectors = np.linalg.eigh(covariance)
        order = np.argsort(-variance, kind="stable")
        variance, vectors = np.maximum(variance[order], 0), vectors[:, order]
        if not variance[0] > 0:
            msg = f"The transform '{NAME}' finds no feature that varies on the train flows."
            raise ContractError(msg, do="Look at the features: netvigil data inspect.")
        share = variance / variance.sum()
        wanted = self.config.components
        if wanted < 1:
            count = int(np.searchsorted(np.cumsum(share), wanted - 1e-12)) + 1
        else:
            count = int(wanted)
        # What rounding leaves of a direction without variance would be noise.
        count = min(count, int((share > 1e-14).sum()))
        chosen = vectors[:, :count]
        largest = chosen[np.abs(chosen).argmax(axis=0), np.arange(count)]
        self.names_, self.mean_ = features.names, mean
        self.components_ = np.ascontiguousarray((chosen * np.sign(largest)).T)
        self.share_ = share[:count]
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return the components of each flow."""
        self._require_fitted()
        require_features(NAME, self.names_, features)
        with few_threads():
            wide = in_blocks(self._project, features.x)
        x = np.clip(wide, -LARGEST, LARGEST).astype(np.float32)
        names = tuple(f"pca_{number + 1}" for number in range(len(self.components_)))
        return replace(features, x=x, names=names)

    def told(self) -> str:
        """Say in one sentence what is kept."""
        self._require_fitted()
        count, total = len(self.share_), float(self.share_.sum())
        first = ", ".join(f"{share:.3f}" for share in self.share_[:5].tolist())
        words = f"{count} components of {len(self.names_)} features, {total:.2%} of the variance"
        wanted = self.config.components
        if wanted >= 1 and count < wanted:
            words += f" ({int(wanted)} were asked for)"
        return f"{words}; shares {first}"

    def get_state(self) -> State:
        """Return means, components, and the share of the variance that each has."""
        self._require_fitted()
        arrays = {"mean": self.mean_, "components": self.components_, "share": self.share_}
        return State(arrays, {"names": list(self.names_)})

    def set_state(self, state: State) -> Self:
        """Take them over.

        Raises:
            BundleError: Shapes that disagree.
        """
        names = tuple(state.values["names"])
        mean, components = state.arrays["mean"], state.arrays["components"]
        share = state.arrays["share"]
        if mean.shape != (len(names),) or components.shape != (len(share), len(names)):
            msg = f"This is not a state of transform '{NAME}'."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.")
        self.names_, self.mean_, self.components_, self.share_ = names, mean, components, share
        return self

    def _project(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        centred = x.astype(np.float64) - self.mean_
        return np.asarray(np.where(np.isnan(centred), 0, centred) @ self.components_.T)

    def _require_fitted(self) -> None:
        if not self.names_:
            msg = f"The transform '{NAME}' was used before it was fitted."
            raise NotFittedError(msg, do="Fit it on the train range first.")
