"""`Reconstructor`: the encoders `autoencoder` and `vae`, which differ in network and loss alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netvigil.contracts import EncodedFlows, WindowGraphs, WindowStream, require_reiterable
from netvigil.errors import ContractError, NotFittedError
from netvigil.protocols import State, Watch
from netvigil.torch.device import device_name, resolve_device
from netvigil.torch.fitted import not_a_state_of, require_features
from netvigil.torch.generators import generator
from netvigil.torch.parallel import block_flows, side_by_side
from netvigil.torch.training import Trained, fit_rows, rows_before_hold_out
from netvigil_tabular.config import AutoencoderConfig, VaeConfig
from netvigil_tabular.learner import AutoencoderLearner, VaeLearner
from netvigil_tabular.network import Network
from netvigil_tabular.scoring import Scoring
from netvigil_tabular.usual import Usual

BLOCK = 4_096  # flows encoded at a time on a CPU: what is between layers stays in a core's cache
POINTS = 101  # a stream of random numbers; the training loop's own are numbered from 0


class Reconstructor:
    """An autoencoder of flow features: what it cannot reconstruct, its train range did not have.

    A flow is encoded by its own features alone, so windows play no part.

    Shapes:
        windows: any schema, any number of flows
        returns of `encode`: embedding float32 [flows, bottleneck], the code; terms float32 [flows],
            higher is worse, see `terms` in the settings

    Raises:
        NotFittedError: `encode`, `feature_errors` or `get_state` before `fit`.
        ContractError: No flows or no features to train on, other features than in training, a
            one-shot iterator.
        TrainingError: A loss that is not finite, or too little memory on the device.

    Example:
        >>> from netvigil.testing.synthetic.windows import windows
        >>> config = AutoencoderConfig(hidden=[8], bottleneck=2, epochs=2, device="cpu")
        >>> made = Reconstructor(config).fit([windows(4)], seed=0)
        >>> made.encode(windows(1, seed=1)).embedding.shape
        (1, 2)

    Attributes:
        network_: the trained network, in eval mode; features_: what it was trained on
        usual_: residuals and codes of the train range
    """

    network_: Network
    features_: tuple[str, ...]
    usual_: Usual

    def __init__(self, config: AutoencoderConfig | VaeConfig) -> None:
        resolve_device(config.device)  # one that is not there is refused before training
        self.config = config
        self.passes = config.epochs
        self.points_: Tensor | None = None
        self._watch = Watch()
        self._trained: Trained | None = None

    def watch(self, watch: Watch) -> None:
        """Report the next `fit` to `watch`, and go on from its checkpoints."""
        self._watch = watch

    @property
    def validation_loss_(self) -> float:
        """The best loss on the flows held out; infinite where none were."""
        return float("inf") if self._trained is None else self._trained.validation_loss

    @property
    def accelerator(self) -> str | None:
        """The GPU that the network is on, for receipts."""
        return device_name(self._device())

    def fit(self, windows: WindowStream, *, seed: int) -> Self:
        """Train on flows in random order, without labels, then learn what is usual."""
        config, name = self.config, self.config.part
        features = _features(windows, name)

        def make(device: torch.device, rng: torch.Generator) -> AutoencoderLearner | VaeLearner:
            if isinstance(config, VaeConfig):
                return VaeLearner(len(features), config, device, rng)
            return AutoencoderLearner(len(features), config, device, rng)

        learner, self._trained = fit_rows(
            make, windows, config, seed=seed, watch=self._watch, name=name
        )
        self.network_, self.features_ = learner.network.eval(), features
        self.points_ = _points(config, seed)
        self.usual_ = self._learn_usual(windows, seed)
        return self

    @torch.no_grad()
    def _learn_usual(self, windows: WindowStream, seed: int) -> Usual:
        flows = sum(len(graphs.flow_id) for graphs in windows)
        scoring, device = self._scoring(), self._device()

        def residuals(x: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
            latent, squared, _ = scoring.residuals(_tensor(x, device))
            return latent.mean, squared

        held_out = rows_before_hold_out(flows, self.config.validation)
        return Usual.learn(
            _blocks(windows, block_flows(device, BLOCK)),
            residuals,
            flows=flows,
            held_out=held_out % flows,  # where none is held out, from the first
            seed=seed,
        )

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        """Give each flow its code and its terms."""
        scoring = self._checked(windows)
        usual, flows = self.usual_, len(windows.flow_id)
        code = np.empty((flows, self.config.bottleneck), np.float32)
        names: list[str] = sorted(self.config.terms)
        terms = {name: np.empty(flows, np.float32) for name in names}

        def one(here: slice, x: Tensor) -> None:
            embedded, found = scoring.terms(x, usual)
            code[here] = embedded.cpu().numpy()
            for name, values in found.items():
                terms[name][here] = values.cpu().numpy()

        self._each_block(windows.flow_x, one)
        return EncodedFlows(
            flow_id=windows.flow_id,
            window_start=windows.window_start[windows.window_of_flow()],
            embedding=code,
            terms=terms,
        )

    def feature_errors(self, windows: WindowGraphs) -> NDArray[np.float32]:
        """Return each feature's squared error over its usual one, float32 [flows, features].

        Their mean over features is the term `standardised`.
        """
        scoring, usual = self._checked(windows), self.usual_
        found = np.empty(windows.flow_x.shape, np.float32)

        def one(here: slice, x: Tensor) -> None:
            found[here] = (scoring.residuals(x)[1] / usual.residual).cpu().numpy()

        self._each_block(windows.flow_x, one)
        return found

    def get_state(self) -> State:
        """Return weights, what is usual, and the names of the features."""
        weights = self._fitted().state_dict().items()
        arrays = {f"network.{name}": t.cpu().numpy().copy() for name, t in weights}
        arrays |= {f"usual.{name}": array for name, array in self.usual_.arrays().items()}
        if self.points_ is not None:
            arrays["points"] = self.points_.cpu().numpy()
        return State(arrays, {"encoder": self.config.part, "features": list(self.features_)})

    def set_state(self, state: State) -> Self:
        """Take over what another instance learnt; the device is this config's own."""
        features, name = state.values.get("features"), self.config.part
        if not features or state.values.get("encoder") != name:
            raise not_a_state_of(name)
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "usual": {}, "points": {}}
        for key, array in state.arrays.items():
            part, _, rest = key.partition(".")
            parts.setdefault(part, {})[rest] = torch.from_numpy(np.array(array))
        with torch.device("meta"):  # default initialisation would draw from the global generator
            network = Network(len(features), self.config)
        try:
            network.load_state_dict(parts["network"], assign=True)
            usual = Usual(**parts["usual"])
        except (RuntimeError, TypeError) as error:
            raise not_a_state_of(name) from error
        draws = self.config.draws if isinstance(self.config, VaeConfig) else 0
        points = parts["points"].get("")
        if (0 if points is None else len(points)) != draws:
            raise not_a_state_of(name)
        device = resolve_device(self.config.device)
        self.network_, self.usual_ = network.to(device).eval(), usual.to(device)
        self.points_ = None if points is None else points.to(device)
        self.features_ = tuple(str(feature) for feature in features)
        self._trained = None
        return self

    def _each_block(self, x: NDArray[np.float32], work: Callable[[slice, Tensor], None]) -> None:
        """Do `work` on blocks of flows, as copies on the device, side by side on a CPU."""
        device = self._device()
        size = block_flows(device, BLOCK)

        @torch.no_grad()
        def one(number: int) -> None:
            here = slice(number * size, min((number + 1) * size, len(x)))
            work(here, _tensor(x[here], device))

        side_by_side(one, -(-len(x) // size), device)

    def _checked(self, windows: WindowGraphs) -> Scoring:
        self._fitted()
        require_features(windows, self.features_, encoder=self.config.part)
        return self._scoring()

    def _scoring(self) -> Scoring:
        points = None if self.points_ is None else self.points_.to(self._device())
        return Scoring(self._fitted(), self.config, points)

    def _device(self) -> torch.device:
        return self._fitted().output.dense.weight.device

    def _fitted(self) -> Network:
        if not hasattr(self, "network_"):
            msg = f"'{self.config.part}' is used before fit."
            raise NotFittedError(msg, do="Call fit, or load a bundle.")
        return self.network_


def _features(windows: WindowStream, name: str) -> tuple[str, ...]:
    """Return the names of the features of a stream of windows, of which there must be some."""
    first = next((w for w in require_reiterable(windows) if len(w.flow_id)), None)
    if first is None:
        msg = f"There are no flows to fit '{name}' on."
        raise ContractError(msg, do="Widen the train range, or keep more of its flows.")
    if not first.feature_names:
        msg = f"'{name}' has no feature to learn from."
        raise ContractError(msg, do="Check features.set and features.transforms.")
    return first.feature_names


def _blocks(windows: WindowStream, size: int) -> Iterator[NDArray[np.float32]]:
    for graphs in windows:
        for first in range(0, len(graphs.flow_id), size):
            yield graphs.flow_x[first : first + size]


def _tensor(x: NDArray[np.float32], device: torch.device) -> Tensor:
    """Copy rows: mapped files are read-only, and PyTorch has no read-only tensors."""
    return torch.from_numpy(np.array(x)).to(device)


def _points(config: AutoencoderConfig | VaeConfig, seed: int) -> Tensor | None:
    """Draw the noise of each draw of z, in pairs of opposite sign; None without draws.

    It is the same for every flow, so that no flow's error depends on its companions; opposite
    points cancel the noise of every odd function of z.
    """
    draws = config.draws if isinstance(config, VaeConfig) else 0
    if not draws:
        return None
    drawn = torch.randn((draws + 1) // 2, config.bottleneck, generator=generator(seed, POINTS))
    return torch.stack([drawn, -drawn], 1).flatten(0, 1)[:draws]
