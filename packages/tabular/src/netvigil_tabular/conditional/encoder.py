"""Encoder `conditional`: how far a flow is from what its hosts and their service let expect.

An autoencoder sees a flow alone, so a flow that is usual between some hosts is usual to it between
any. Here a small network predicts each feature from the train range's flows between the same hosts,
and from those of either host with the same service; the flow's own features are only compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from netvigil.contracts import EncodedFlows, WindowGraphs, WindowStream, require_reiterable
from netvigil.errors import ContractError, NotFittedError
from netvigil.protocols import State, Watch
from netvigil.torch.device import device_name, resolve_device
from netvigil.torch.fitted import not_a_state_of, require_features
from netvigil.torch.generators import build
from netvigil.torch.parallel import side_by_side
from netvigil.torch.rows import RowBatch
from netvigil.torch.training import Step, Trained, fit_rows, rows_before_hold_out
from netvigil_tabular.conditional.contexts import Contexts
from netvigil_tabular.config import ConditionalConfig
from netvigil_tabular.losses import errors
from netvigil_tabular.network import Layer
from netvigil_tabular.scoring import FARTHEST
from netvigil_tabular.usual import floored

BLOCK = 4_096  # flows encoded at a time: what is between two layers stays in a core's cache
NAME = ConditionalConfig.part


class Predictor(nn.Module):
    """Predicts how far each feature is from its overall mean, [flows, features]."""

    def __init__(self, inputs: int, features: int, config: ConditionalConfig) -> None:
        super().__init__()
        pairs = itertools.pairwise([inputs, *config.hidden])
        hidden = [Layer(before, after, config.activation) for before, after in pairs]
        self.layers = nn.Sequential(*hidden, Layer([inputs, *config.hidden][-1], features))

    def forward(self, context: Tensor) -> Tensor:
        """Return [flows, features] for what `Contexts.inputs` gives."""
        predicted: Tensor = self.layers(context)
        return predicted


class ConditionalLearner:
    """What the training loop asks: columns of flows, and the loss of a batch."""

    def __init__(self, contexts: Contexts, device: torch.device, rng: torch.Generator) -> None:
        self.config, self._rows = contexts.config, contexts.rows
        self.contexts = contexts.to(device)
        features = len(contexts.mean)
        self.network = build(
            lambda: Predictor(contexts.width, features, contexts.config), rng, device
        )

    def columns(self, graphs: WindowGraphs) -> tuple[NDArray[Any], ...]:
        """Return the features and the rows of the contexts."""
        return graphs.flow_x, self._rows(graphs)

    def losses(self, batch: RowBatch, step: Step) -> Mapping[str, Tensor]:
        """Return the mean error; flows held out are in no context, those trained on leave it."""
        x, rows = batch.columns
        context = self.contexts.inputs(x, rows, leave_out=step.training)
        away = x - self.contexts.mean
        return {"total": errors(away, self.network(context), self.config.loss).mean()}


class Conditional:
    """Predicts a flow's features from its context: what is unusual for these hosts stands out.

    Contexts are learnt from the flows trained on, what is usual from those held out, for which
    contexts are as old as for flows to come.

    Shapes:
        windows: `flow-host` with services
        returns of `encode`: terms `conditional` float32 [flows]: squared error of each feature over
            the usual one, averaged over features

    Raises:
        NotFittedError: `encode`, `feature_errors` or `get_state` before `fit`.
        ContractError: No flows or no features to train on, windows without hosts and services,
            other features than in training, a one-shot iterator.
        TrainingError: A loss that is not finite, or too little memory on the device.

    Example:
        >>> from netvigil.testing.synthetic.windows import windows
        >>> config = ConditionalConfig(hidden=[8], epochs=2, device="cpu")
        >>> made = Conditional(config).fit([windows(4)], seed=0)
        >>> list(made.encode(windows(1, seed=1)).terms)
        ['conditional']
    """

    network_: Predictor
    contexts_: Contexts
    residual_: Tensor
    features_: tuple[str, ...]

    def __init__(self, config: ConditionalConfig) -> None:
        resolve_device(config.device)  # one that is not there is refused before training
        self.config = config
        self.passes = config.epochs
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
        """Learn contexts, train on flows in random order, then learn what is usual."""
        features, flows = _features(windows)
        trained = rows_before_hold_out(flows, self.config.validation)
        contexts = Contexts.learn(windows, self.config, trained)
        learner, self._trained = fit_rows(
            lambda device, rng: ConditionalLearner(contexts, device, rng),
            windows,
            self.config,
            seed=seed,
            watch=self._watch,
            name=NAME,
        )
        self.network_, self.contexts_ = learner.network.eval(), learner.contexts
        self.features_ = features
        self.residual_ = self._usual(windows, flows, trained)
        return self

    @torch.no_grad()
    def _usual(self, windows: WindowStream, flows: int, trained: int) -> Tensor:
        """Return the mean squared error of each feature over flows held out, or over all."""
        leave_out, begin = trained == flows, trained % flows
        total, first = torch.zeros(len(self.features_), dtype=torch.float64), 0
        for graphs in windows:
            x, rows = graphs.flow_x, self.contexts_.rows(graphs)
            for start in range(max(begin - first, 0), len(x), BLOCK):
                here = slice(start, start + BLOCK)
                squared = self._squared(x[here], rows[here], leave_out=leave_out)
                total += squared.double().sum(0).cpu()
            first += len(x)
        return floored(total / (flows - begin)).float().to(self._device())

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        """Compare each flow with what is predicted for it."""
        term = np.empty(len(windows.flow_id), np.float32)

        def one(here: slice, standardised: Tensor) -> None:
            term[here] = standardised.mean(1).cpu().numpy()

        self._each_block(windows, one)
        return EncodedFlows(
            flow_id=windows.flow_id,
            window_start=windows.window_start[windows.window_of_flow()],
            terms={NAME: term},
        )

    def feature_errors(self, windows: WindowGraphs) -> NDArray[np.float32]:
        """Return each feature's squared error over its usual one, float32 [flows, features].

        Their mean over features is the term.
        """
        found = np.empty(windows.flow_x.shape, np.float32)

        def one(here: slice, standardised: Tensor) -> None:
            found[here] = standardised.cpu().numpy()

        self._each_block(windows, one)
        return found

    def get_state(self) -> State:
        """Return weights, contexts, what is usual, and the names of the features."""
        weights = self._fitted().state_dict().items()
        arrays: dict[str, NDArray[np.generic]] = {
            f"network.{name}": t.cpu().numpy().copy() for name, t in weights
        }
        arrays |= {f"contexts.{name}": array for name, array in self.contexts_.arrays().items()}
        arrays["residual"] = self.residual_.cpu().numpy()
        return State(arrays, {"encoder": NAME, "features": list(self.features_)})

    def set_state(self, state: State) -> Self:
        """Take over what another instance learnt; the device is this config's own."""
        features = tuple(str(name) for name in state.values.get("features", ()))
        parts: dict[str, dict[str, NDArray[np.generic]]] = {"network": {}, "contexts": {}}
        for key, array in state.arrays.items():
            part, _, rest = key.partition(".")
            parts.setdefault(part, {})[rest] = array
        weights = {name: torch.from_numpy(np.array(a)) for name, a in parts["network"].items()}
        device = resolve_device(self.config.device)
        try:
            contexts = Contexts.of(parts["contexts"], self.config)
            residual = torch.from_numpy(np.array(parts["residual"][""]))
            with torch.device("meta"):  # else initialisation draws from the global generator
                network = Predictor(contexts.width, len(features), self.config)
            network.load_state_dict(weights, assign=True)
        except (KeyError, ValueError, RuntimeError) as error:
            raise not_a_state_of(NAME) from error
        if not len(features) == len(residual) == len(contexts.mean):
            raise not_a_state_of(NAME)
        self.network_, self.contexts_ = network.to(device).eval(), contexts.to(device)
        self.residual_, self.features_, self._trained = residual.to(device), features, None
        return self

    def _each_block(self, windows: WindowGraphs, work: Callable[[slice, Tensor], None]) -> None:
        """Do `work` on standardised errors of blocks of flows, side by side on a CPU."""
        self._fitted()
        require_features(windows, self.features_, encoder=NAME)
        x, rows = windows.flow_x, self.contexts_.rows(windows)

        @torch.no_grad()
        def one(number: int) -> None:
            here = slice(number * BLOCK, min((number + 1) * BLOCK, len(x)))
            work(here, self._squared(x[here], rows[here], leave_out=False) / self.residual_)

        side_by_side(one, -(-len(x) // BLOCK), self._device())

    def _squared(
        self, x: NDArray[np.float32], rows: NDArray[np.int32], *, leave_out: bool
    ) -> Tensor:
        """Return squared errors of flows, [flows, features]."""
        device, contexts = self._device(), self.contexts_
        values = torch.from_numpy(np.array(x)).to(device).clamp_(-FARTHEST, FARTHEST)
        context = contexts.inputs(values, torch.from_numpy(rows).to(device), leave_out=leave_out)
        squared: Tensor = (values - contexts.mean - self.network_(context)).square_()
        return squared

    def _device(self) -> torch.device:
        return next(self._fitted().parameters()).device

    def _fitted(self) -> Predictor:
        if not hasattr(self, "network_"):
            msg = f"'{NAME}' is used before fit."
            raise NotFittedError(msg, do="Call fit, or load a bundle.")
        return self.network_


def _features(windows: WindowStream) -> tuple[tuple[str, ...], int]:
    """Return the features of a stream of windows and the number of its flows: some of both."""
    names: tuple[str, ...] | None = None
    flows = 0
    for graphs in require_reiterable(windows):
        names = graphs.feature_names if len(graphs.flow_id) else names
        flows += len(graphs.flow_id)
    if names is None:
        msg = f"'{NAME}' was given no flow to train on."
        raise ContractError(msg, do="Widen the train range, or keep more of its flows.")
    if not names:
        msg = f"'{NAME}' has no feature to learn from."
        raise ContractError(msg, do="Check features.set and features.transforms.")
    return names, flows
