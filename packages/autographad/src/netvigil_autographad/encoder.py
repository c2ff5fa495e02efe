"""`AutoGraphAD`: trains the network on windows of flows and hosts, gives each flow three terms."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor

from netvigil.contracts import EncodedFlows, WindowGraphs, WindowStream, require_reiterable
from netvigil.errors import ContractError, NotFittedError
from netvigil.protocols import State, Watch
from netvigil.torch.batches import runs
from netvigil.torch.device import device_name, resolve_device
from netvigil.torch.fitted import not_a_state_of, require_features, require_hosts
from netvigil.torch.generators import build, generator
from netvigil.torch.graphs import GraphBatch
from netvigil.torch.parallel import block_flows, side_by_side
from netvigil.torch.training import Trained, fit_network
from netvigil_autographad.batch import clean_view
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.learner import POINTS, Learner
from netvigil_autographad.network import Network
from netvigil_autographad.terms import Usual, terms, train_logits

NAME = "autographad"
SCHEMA = "flow-host"
TERMS = ("feature", "structure", "kl")
BLOCK = 16_384  # flows encoded at a time on a CPU: fewer, and operations cost more than their calls


class AutoGraphAD:
    """A heterogeneous variational graph autoencoder of flows and hosts; see `network.py`.

    Shapes:
        windows: schema "flow-host", any number of flows and hosts each
        terms: `feature`, `structure`, `kl` -> float32 [flows], higher is worse

    Raises:
        NotFittedError: `encode` or `get_state` before `fit`.
        ContractError: Windows without hosts, without flows to train on, or with other features than
            in training; a one-shot iterator.
        TrainingError: A loss that is not finite, or too little memory on the device.

    Example:
        >>> from netvigil.testing.synthetic.windows import windows
        >>> train = windows(6)
        >>> made = AutoGraphAD(AutoGraphADConfig(epochs=2, device="cpu")).fit([train], seed=0)
        >>> sorted(made.encode(train).terms)
        ['feature', 'kl', 'structure']
    """

    def __init__(self, config: AutoGraphADConfig) -> None:
        resolve_device(config.device)  # one that is not there is refused before training
        self.config = config
        self.passes = config.epochs
        self.network_: Network | None = None
        self.trained_: Trained | None = None
        self.features_: tuple[str, ...] = ()
        self.points_: Tensor | None = None
        self.usual_: Usual | None = None
        self._watch = Watch()

    @property
    def validation_loss_(self) -> float:
        """The best loss on the windows held out; infinite where none could be."""
        return float("inf") if self.trained_ is None else self.trained_.validation_loss

    @property
    def accelerator(self) -> str | None:
        """The name of the card it was trained on, or None for the CPU."""
        return None if self.trained_ is None else device_name(self.trained_.device)

    def watch(self, watch: Watch) -> None:
        """Report the next `fit` to `watch`, and go on from its checkpoints."""
        self._watch = watch

    def fit(self, windows: WindowStream, *, seed: int) -> Self:
        """Train on windows in time order; labels are not seen."""
        features = _features(windows)

        def make(device: torch.device, rng: torch.Generator) -> Learner:
            network = build(lambda: Network(len(features), self.config), rng, device)
            return Learner(network, self.config, seed=seed)

        learner, self.trained_ = fit_network(
            make, windows, self.config, seed=seed, watch=self._watch, name=NAME
        )
        self.network_, self.features_ = learner.network.eval(), features
        self.points_ = _points(self.config, seed)
        self.usual_ = self._learn_usual(windows)
        return self

    def _learn_usual(self, windows: WindowStream) -> Usual | None:
        """Learn where the train flows' links lie, where a form of `structure` asks for it."""
        if self.config.structure_score == "published":
            return None
        network, device = self._network(), self._device()
        found = [
            train_logits(network, clean_view(GraphBatch.of(block, device))).cpu().numpy()
            for graphs in windows
            for block in runs(graphs, block_flows(device, BLOCK))
        ]
        return Usual.of(np.concatenate(found))

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        """Give each flow its three terms, from the clean graph."""
        network, device = self._network(), self._device()
        require_hosts(windows, encoder=NAME)
        require_features(windows, self.features_, encoder=NAME)
        points = None if self.points_ is None else self.points_.to(device)
        found = {name: np.empty(len(windows.flow_id), np.float32) for name in TERMS}
        blocks = list(runs(windows, block_flows(device, BLOCK)))
        starts = np.cumsum([0, *(len(block.flow_id) for block in blocks)]).tolist()

        def one(number: int) -> None:
            view = clean_view(GraphBatch.of(blocks[number], device))
            here = slice(starts[number], starts[number + 1])
            for name, values in terms(network, self.config, view, points, self.usual_).items():
                found[name][here] = values.cpu().numpy()

        side_by_side(one, len(blocks), device)
        return EncodedFlows(
            flow_id=windows.flow_id,
            window_start=windows.window_start[windows.window_of_flow()],
            terms=found,
        )

    def get_state(self) -> State:
        """Return weights, points and the names of the features."""
        arrays = {k: v.cpu().numpy().copy() for k, v in self._network().state_dict().items()}
        if self.points_ is not None:
            arrays["points"] = self.points_.numpy()
        if self.usual_ is not None:
            arrays |= {f"usual_{k}": v.numpy() for k, v in self.usual_._asdict().items()}
        return State(arrays, {"schema": SCHEMA, "features": list(self.features_)})

    def set_state(self, state: State) -> Self:
        """Take over weights, points and the names of the features."""
        names = state.values.get("features")
        if not names or state.values.get("schema") != SCHEMA:
            raise not_a_state_of(NAME)
        with torch.device("meta"):
            network = Network(len(names), self.config)
        arrays = {k: torch.tensor(v) for k, v in state.arrays.items()}
        points = arrays.pop("points", None)
        usual = [arrays.pop(f"usual_{name}", None) for name in Usual._fields]
        try:
            network.load_state_dict(arrays, assign=True)
        except RuntimeError as error:
            raise not_a_state_of(NAME) from error
        centre, spread = usual
        published = self.config.structure_score == "published"
        if (points is None) != (self.config.draws == 1) or (centre is None) != published:
            raise not_a_state_of(NAME)
        self.network_ = network.eval()
        self.features_, self.trained_ = tuple(names), None
        self.points_ = points
        self.usual_ = None if centre is None or spread is None else Usual(centre, spread)
        return self

    def _network(self) -> Network:
        if self.network_ is None:
            msg = "Encoder 'autographad' has not been fitted."
            raise NotFittedError(msg, do="Call fit first, or load a fitted bundle.")
        return self.network_

    def _device(self) -> torch.device:
        """Where to encode: where the network was trained, or else where the settings say."""
        if self.trained_ is not None:
            return self.trained_.device
        device = resolve_device(self.config.device)
        self._network().to(device)
        return device


def _features(windows: WindowStream) -> tuple[str, ...]:
    """Return the names of the features of a stream of windows, which must have hosts."""
    for graphs in require_reiterable(windows):
        require_hosts(graphs, encoder=NAME)
        if not graphs.feature_names:
            msg = "Encoder 'autographad' has no feature to learn from."
            raise ContractError(msg, do="Check features.set and features.transforms.")
        return graphs.feature_names
    msg = "Encoder 'autographad' has no window to learn from."
    raise ContractError(msg, do="Check the split: the train part holds no flows.")


def _points(config: AutoGraphADConfig, seed: int) -> Tensor | None:
    """Draw the points that flows are scored at, in pairs of opposite sign; None at the mean alone.

    Opposite points cancel the noise of every odd function of z.
    """
    if config.draws == 1:
        return None
    half = (config.draws + 1) // 2
    drawn = torch.randn(half, 2, config.hidden, generator=generator(seed, POINTS))
    return torch.cat([drawn, -drawn])[: config.draws]
