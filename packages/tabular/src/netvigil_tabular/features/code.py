"""`autoencoder-code`: the code of an autoencoder, in the place of the features or beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from netvigil.contracts import FlowFeatures, WindowGraphs
from netvigil.errors import BundleError, NotFittedError
from netvigil.protocols import State, Watch
from netvigil.torch.device import resolve_device
from netvigil.torch.training import Trained, fit_rows
from netvigil_tabular.classifiers.models import in_blocks
from netvigil_tabular.config import AutoencoderCodeConfig
from netvigil_tabular.features.selection import material_of, require_features
from netvigil_tabular.learner import AutoencoderLearner
from netvigil_tabular.network import Network
from netvigil_tabular.scoring import FARTHEST

NAME = "autoencoder-code"


class AutoencoderCode:
    """Trains an autoencoder on the train range's features, without labels, and gives its code.

    Features are taken as they come: put a scaler before it. A missing value counts as its column's
    mean.

    Shapes:
        transform: float32 [flows, bottleneck], named `code_1` and so on, the same bits in any
            company; with `keep` after the features themselves

    Raises:
        NotFittedError: If `transform` or `get_state` comes before `fit`.
        ContractError: No features, fewer than two flows, features that are not finite, other
            features than in training.
        TrainingError: A loss that is not finite, or too little memory on the device.
    """

    network_: Network

    def __init__(self, config: AutoencoderCodeConfig) -> None:
        resolve_device(config.device)  # one that is not there is refused before training
        self.config = config
        self.names_: tuple[str, ...] = ()
        self.mean_: NDArray[np.float32] = np.empty(0, np.float32)
        self._trained: Trained | None = None

    def fit(self, features: FlowFeatures, *, seed: int) -> Self:
        """Train on all flows; the latest of them are held out to stop early by."""
        x = material_of(NAME, features, None, None, seed).x
        config = self.config
        learner, self._trained = fit_rows(
            lambda device, rng: AutoencoderLearner(x.shape[1], config, device, rng),
            [_one_window(x.astype(np.float32), features.names)],
            config,
            seed=seed,
            watch=Watch(),
            name=NAME,
        )
        self.network_, self.names_ = _exact(learner.network), features.names
        self.mean_ = x.mean(axis=0).astype(np.float32)
        return self

    def transform(self, features: FlowFeatures) -> FlowFeatures:
        """Return the code of each flow."""
        self._require_fitted()
        require_features(NAME, self.names_, features)
        code = in_blocks(self._encode, features.x).astype(np.float32)
        names = tuple(f"code_{number + 1}" for number in range(code.shape[1]))
        if self.config.keep:
            code, names = np.hstack([features.x, code]), (*features.names, *names)
        return replace(features, x=code, names=names)

    def told(self) -> str:
        """Say in one sentence what was learnt."""
        self._require_fitted()
        words = f"a code of {self.config.bottleneck} for {len(self.names_)} features"
        if self._trained is None:
            return words
        done, loss = self._trained, self._trained.best_loss
        return f"{words}; {done.monitored} loss {loss:.3g} after {done.best_epoch + 1} epochs"

    def get_state(self) -> State:
        """Return the network's weights, and the names and means of the features."""
        self._require_fitted()
        weights = self.network_.state_dict().items()
        arrays = {f"network.{name}": t.float().cpu().numpy() for name, t in weights}
        return State({"mean": self.mean_, **arrays}, {"names": list(self.names_)})

    def set_state(self, state: State) -> Self:
        """Take them over; the device is this config's own.

        Raises:
            BundleError: A state of something else, or of other settings.
        """
        names = tuple(str(name) for name in state.values.get("names", ()))
        arrays = dict(state.arrays)
        mean = arrays.pop("mean", np.empty(0))
        weights = {
            name.removeprefix("network."): torch.from_numpy(np.array(array))
            for name, array in arrays.items()
        }
        with torch.device("meta"):  # default initialisation would draw from the global generator
            network = Network(max(len(names), 1), self.config)
        try:
            network.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise _not_its_state() from error
        if not names or mean.shape != (len(names),):
            raise _not_its_state()
        self.network_ = _exact(network.to(resolve_device(self.config.device)))
        self.names_, self.mean_, self._trained = names, mean.astype(np.float32), None
        return self

    @torch.no_grad()
    def _encode(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        # A huge feature must not overflow on its way through the network.
        held = np.clip(np.where(np.isnan(x), self.mean_, x), -FARTHEST, FARTHEST)
        device = self.network_.output.dense.weight.device
        code = self.network_.encode(torch.from_numpy(held).to(device).double()).mean
        return np.asarray(code.cpu().numpy())

    def _require_fitted(self) -> None:
        if not self.names_:
            msg = f"The transform '{NAME}' was used before it was fitted."
            raise NotFittedError(msg, do="Fit it on the train range first.")


def _exact(network: Network) -> Network:
    """Let a trained network compute in float64.

    In float32 the last digits of a matrix product depend on where in the batch a row stands.
    """
    return network.eval().double()


def _one_window(x: NDArray[np.float32], names: tuple[str, ...]) -> WindowGraphs:
    """Return rows as the training loop takes them; windows play no part in it."""
    return WindowGraphs(
        schema="flows-only",
        feature_names=names,
        flow_id=np.arange(len(x), dtype=np.int64),
        flow_x=np.ascontiguousarray(x),
        flow_src=np.empty(0, np.int32),
        flow_dst=np.empty(0, np.int32),
        flow_ptr=np.array([0, len(x)], np.int64),
        node_ptr=np.zeros(2, np.int64),
        node_key=np.empty(0, np.uint64),
        window_start=np.zeros(1, np.int64),
    )


def _not_its_state() -> BundleError:
    msg = f"This is not a state of transform '{NAME}' with these settings."
    return BundleError(msg, do="Fit the pipeline again and save a new bundle.")
