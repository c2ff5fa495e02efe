"""`AnomalE`: fit by deep graph infomax, then one embedding per ordered host pair or flow."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import linear

from netvigil.contracts import EncodedFlows, WindowGraphs, WindowStream, require_reiterable
from netvigil.errors import ContractError, NotFittedError
from netvigil.protocols import State, Watch
from netvigil.torch.device import device_name, resolve_device
from netvigil.torch.fitted import not_a_state_of, require_features, require_hosts
from netvigil.torch.training import Trained, fit_network
from netvigil_anomale.config import AnomalEConfig
from netvigil_anomale.learner import InfomaxLearner
from netvigil_anomale.network import EdgeSage
from netvigil_anomale.pair_batch import HostGraph, embed_pairs
from netvigil_anomale.pairs import Pairs

NAME = "anomal-e"
ROWS = 65_536  # flows whose own features are embedded together


class AnomalE:
    """Anomal-E (Caville et al. 2022): how a flow's hosts talk, as a vector per flow.

    Each window is a graph. A flow's embedding is that of its edge from source to destination, and
    each flow gets one: the official pipeline judged every flow twice, once per direction, which
    this does not copy. Windows are encoded from their own flows alone, as the official pipeline
    encodes the test flows in a graph of their own.

    Example:
        >>> from netvigil.testing.synthetic.windows import windows
        >>> train = windows(4)
        >>> made = AnomalE(AnomalEConfig(epochs=2, device="cpu")).fit([train], seed=0)
        >>> made.encode(train).per_flow().shape == (len(train.flow_id), 256)
        True

    Attributes:
        sage_: the trained network, in eval mode; features_: names of the features it was trained on
    """

    sage_: EdgeSage
    features_: tuple[str, ...]

    def __init__(self, config: AnomalEConfig) -> None:
        resolve_device(config.device)  # one that is not there is refused before training
        self.config = config
        self.passes = config.epochs
        self._watch = Watch()
        self._trained: Trained | None = None

    def watch(self, watch: Watch) -> None:
        """Report the next `fit` to `watch`."""
        self._watch = watch

    @property
    def validation_loss_(self) -> float:
        """The best loss on the windows held out; infinite where none were."""
        return float("inf") if self._trained is None else self._trained.validation_loss

    @property
    def accelerator(self) -> str | None:
        """The GPU that the network is on, for receipts."""
        return device_name(self._fitted().edge.weight.device)

    def fit(self, windows: WindowStream, *, seed: int) -> Self:
        """Train on the windows, without labels.

        Raises:
            ContractError: A one-shot iterator, no flows, or windows without hosts.
            TrainingError: A loss that is not finite, or too little memory on the device.
        """
        first = next((w for w in require_reiterable(windows) if len(w.flow_id)), None)
        if first is None:
            msg = "There are no flows to fit 'anomal-e' on."
            raise ContractError(msg, do="Widen the train range, or keep more of its flows.")
        require_hosts(first, encoder=NAME)
        width = len(first.feature_names)
        learner, self._trained = fit_network(
            lambda device, rng: InfomaxLearner(width, self.config, device, rng),
            windows,
            self.config,
            seed=seed,
            watch=self._watch,
            name=NAME,
        )
        self.sage_ = learner.network.sage.eval()
        self.features_ = first.feature_names
        return self

    @torch.no_grad()
    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        """Embed flows: one row per distinct ordered pair of a window, or per flow with `own_edge`.

        Shapes:
            returns: embedding float32 [pairs, embedding] and row int64 [flows]; with `own_edge`
                embedding [flows, embedding]

        Raises:
            NotFittedError: If `fit` has not run.
            ContractError: Windows of another schema or with other features than in training.
        """
        sage = self._fitted()
        require_hosts(windows, encoder=NAME)
        require_features(windows, self.features_, encoder=NAME)
        device = sage.edge.weight.device
        pairs = Pairs.of(windows)
        hosts = HostGraph.of(windows, pairs, self.config.direction, device)
        src, dst = (torch.from_numpy(n).to(device) for n in (pairs.edges.src, pairs.edges.dst))
        shared = embed_pairs(sage, hosts, src, dst).cpu().numpy()
        flows = len(windows.flow_id)
        row = pairs.rows(windows, 0, flows) if flows else np.empty(0, np.int64)
        start = windows.window_start[windows.window_of_flow()]
        if not self.config.own_edge:
            return EncodedFlows(windows.flow_id, start, shared, row=row)
        return EncodedFlows(windows.flow_id, start, _with_own(sage, shared, row, windows.flow_x))

    def get_state(self) -> State:
        """Return the network's weights and what it was trained on."""
        weights = self._fitted().state_dict()
        return State(
            arrays={name: tensor.cpu().numpy() for name, tensor in weights.items()},
            values={"features": list(self.features_)},
        )

    def set_state(self, state: State) -> Self:
        """Take over weights; the device is this config's own."""
        names = state.values.get("features")
        if not names:
            raise not_a_state_of(NAME)
        features = tuple(str(name) for name in names)
        with torch.device("meta"):  # default initialisation would draw from the global generator
            sage = EdgeSage(len(features), self.config)
        weights = {name: torch.from_numpy(array.copy()) for name, array in state.arrays.items()}
        try:
            sage.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise not_a_state_of(NAME) from error
        self.sage_ = sage.to(resolve_device(self.config.device)).eval()
        self.features_ = features
        self._trained = None
        return self

    def _fitted(self) -> EdgeSage:
        if not hasattr(self, "sage_"):
            msg = "'anomal-e' is used before fit."
            raise NotFittedError(msg, do="Call fit, or load a bundle.")
        return self.sage_


def _with_own(
    sage: EdgeSage, shared: NDArray[np.float32], row: NDArray[np.int64], x: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Add what a flow's own features contribute: W_edge is linear."""
    own = sage.ends()[2]
    assert own is not None
    weight = own.cpu()
    embedding = np.empty((len(x), shared.shape[1]), np.float32)
    for first in range(0, len(x), ROWS):
        here = slice(first, first + ROWS)
        mine = linear(torch.from_numpy(x[here].copy()), weight).numpy()
        np.add(mine, shared[row[here]], out=embedding[here])
    return embedding
