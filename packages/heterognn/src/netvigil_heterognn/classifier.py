"""`HeteroFlowGNN`: learns classes of flows from their features and from the graph around them."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch

from netvigil.classes import class_codes, class_names
from netvigil.contracts import (
    EncodedFlows,
    LabelTable,
    WindowGraphs,
    WindowStream,
    require_reiterable,
)
from netvigil.errors import ContractError, NotFittedError
from netvigil.protocols import State, Watch
from netvigil.torch.batches import runs
from netvigil.torch.device import device_name, resolve_device
from netvigil.torch.fitted import not_a_state_of, require_features, require_hosts
from netvigil.torch.generators import build
from netvigil.torch.parallel import block_flows, side_by_side
from netvigil.torch.training import Trained, fit_network
from netvigil_heterognn.batch import BLOCK, HeteroBatch
from netvigil_heterognn.config import HeteroFlowGNNConfig
from netvigil_heterognn.fused import logits
from netvigil_heterognn.hosts import COUNTS
from netvigil_heterognn.learner import Known, Learner, class_weights
from netvigil_heterognn.network import Network

NAME = "hetero-flow-gnn"


class HeteroFlowGNN:
    """A supervised graph network of flows and hosts; see `network.py` and `hosts.py`.

    Training stops early by the macro-F1 of the latest train windows, over the classes that those
    hold; a class that they lack plays no part in when to stop, and is learnt all the same.

    Shapes:
        windows: schema "flow-host", any number of flows and hosts each
        classify: one term per class, float32 [flows], `benign` first, adding up to 1

    Raises:
        NotFittedError: `classify` or `get_state` before `fit`.
        ContractError: Windows without hosts or features, or with other features than in training;
            labels of one class only, or of no flow of these windows; a one-shot iterator.
        TrainingError: A loss that is not finite, or too little memory on the device.

    Example:
        >>> import numpy as np, pyarrow as pa
        >>> from netvigil.testing.synthetic.windows import windows
        >>> train = windows(4)
        >>> truth = train.flow_x[:, 0] > 0
        >>> labels = LabelTable.of(train.flow_id, truth, pa.nulls(len(truth), pa.string()))
        >>> made = HeteroFlowGNN(HeteroFlowGNNConfig(epochs=2, device="cpu"))
        >>> list(made.fit([train], labels, seed=0).classify(train).terms)
        ['benign', 'attack']
    """

    def __init__(self, config: HeteroFlowGNNConfig) -> None:
        resolve_device(config.device)  # one that is not there is refused before training
        self.config = config
        self.passes = config.epochs
        self.network_: Network | None = None
        self.trained_: Trained | None = None
        self.names_: tuple[str, ...] = ()
        self.features_: tuple[str, ...] = ()
        self._watch = Watch()

    @property
    def accelerator(self) -> str | None:
        """The name of the card it was trained on, or None for the CPU."""
        return None if self.trained_ is None else device_name(self.trained_.device)

    def watch(self, watch: Watch) -> None:
        """Report the next `fit` to `watch`, and go on from its checkpoints."""
        self._watch = watch

    def fit(self, windows: WindowStream, labels: LabelTable, *, seed: int) -> Self:
        """Learn from the labelled flows; those without a label are part of the graph alone."""
        names = class_names(labels)
        features, known = _survey(windows, labels, names)
        taught = known.code[known.code >= 0]
        weight = class_weights(taught, len(names), self.config)

        def make(device: torch.device, rng: torch.Generator) -> Learner:
            network = build(lambda: self._make(len(features), len(names)), rng, device)
            return Learner(network, self.config, known, weight)

        learner, self.trained_ = fit_network(
            make, windows, self.config, seed=seed, watch=self._watch, name=NAME
        )
        self.network_ = learner.network.eval()
        self.names_, self.features_ = names, features
        return self

    def classify(self, windows: WindowGraphs) -> EncodedFlows:
        """Say how probable each class is, for each flow within its window's graph."""
        network, device = self._network(), self._device()
        require_hosts(windows, encoder=NAME)
        require_features(windows, self.features_, encoder=NAME)
        share = np.empty((len(windows.flow_id), len(self.names_)), np.float32)
        blocks = list(runs(windows, block_flows(device, BLOCK)))
        starts = np.cumsum([0, *(len(block.flow_id) for block in blocks)]).tolist()
        described = self.config.host_features == "window"

        @torch.no_grad()
        def one(number: int) -> None:
            if starts[number] == starts[number + 1]:
                return
            batch = HeteroBatch.of(blocks[number], device, described=described)
            found = logits(network, batch) if device.type == "cpu" else network(batch)
            found = torch.softmax(found.double(), dim=1)
            share[starts[number] : starts[number + 1]] = found.float().cpu().numpy()

        side_by_side(one, len(blocks), device)
        return EncodedFlows(
            flow_id=windows.flow_id,
            window_start=windows.window_start[windows.window_of_flow()],
            terms={name: share[:, code].copy() for code, name in enumerate(self.names_)},
        )

    def get_state(self) -> State:
        """Return weights and the names of classes and features."""
        arrays = {k: v.cpu().numpy().copy() for k, v in self._network().state_dict().items()}
        return State(arrays, {"classes": list(self.names_), "features": list(self.features_)})

    def set_state(self, state: State) -> Self:
        """Take over weights and names."""
        names, features = (state.values.get(key) for key in ("classes", "features"))
        if not names or not features:
            raise not_a_state_of(NAME)
        with torch.device("meta"):  # default initialisation would draw from the global generator
            network = self._make(len(features), len(names))
        arrays = {k: torch.tensor(v) for k, v in state.arrays.items()}
        try:
            network.load_state_dict(arrays, assign=True)
        except RuntimeError as error:
            raise not_a_state_of(NAME) from error
        self.network_, self.trained_ = network.eval(), None
        self.names_ = tuple(str(name) for name in names)
        self.features_ = tuple(str(name) for name in features)
        return self

    def _make(self, features: int, classes: int) -> Network:
        described = self.config.host_features == "window"
        hosts = len(COUNTS) + 2 * features if described else 1
        return Network(features, hosts, classes, self.config)

    def _network(self) -> Network:
        if self.network_ is None:
            msg = f"Classifier '{NAME}' has not been fitted."
            raise NotFittedError(msg, do="Call fit first, or load a fitted bundle.")
        return self.network_

    def _device(self) -> torch.device:
        """Where to classify: where the network was trained, or else where the settings say."""
        if self.trained_ is not None:
            return self.trained_.device
        device = resolve_device(self.config.device)
        self._network().to(device)
        return device


def _survey(
    windows: WindowStream, labels: LabelTable, names: tuple[str, ...]
) -> tuple[tuple[str, ...], Known]:
    """Return the features of a stream of windows and the class of each flow, looked up once."""
    features: tuple[str, ...] | None = None
    ids, codes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for graphs in require_reiterable(windows):
        require_hosts(graphs, encoder=NAME)
        features = graphs.feature_names
        ids.append(np.asarray(graphs.flow_id))
        codes.append(class_codes(labels, ids[-1], names))
    if not features:
        what = "window" if features is None else "feature"
        msg = f"Classifier '{NAME}' has no {what} to learn from."
        raise ContractError(msg, do="Check the split, features.set and features.transforms.")
    known = Known.of(np.concatenate(ids), np.concatenate(codes))
    lost = [name for code, name in enumerate(names) if not (known.code == code).any()]
    if lost:
        msg = f"No flow of these windows is of class {', '.join(lost)}, which the labels name."
        raise ContractError(msg, do="Pass the labels of the train part alone.")
    return features, known
