"""`Cggm`: learns snapshots of labelled traffic and makes new ones of any balance of classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from netvigil.classes import BENIGN
from netvigil.contracts import LabelTable, WindowGraphs, WindowStream
from netvigil.errors import ContractError, NotFittedError
from netvigil.key_counts import KeyCounts
from netvigil.protocols import Generated, State, Watch
from netvigil.torch.device import device_name
from netvigil.torch.fitted import not_a_state_of
from netvigil.torch.generators import generator
from netvigil_cggm.config import CggmConfig
from netvigil_cggm.network import Generator, draw_noise, normalised
from netvigil_cggm.plans import constant, plan_labels
from netvigil_cggm.snapshots import NORMAL, Snapshots, flow_classes, snapshots_of
from netvigil_cggm.training import Data, device_of, train

NAME = "cggm"
BLOCK = 64  # snapshots made at a time
MOST_SERVICES = 4_096  # per class; a scan touches any number of them
KNOWN = ("label", "key", "count")


@dataclass(frozen=True)
class Scale:
    """Where features lie in training; leads them into [0, 1] and back.

    Shapes:
        low, span: float32 [features]
    """

    low: NDArray[np.float32]
    span: NDArray[np.float32]

    @staticmethod
    def of(x: NDArray[np.float32]) -> Scale:
        """Learn the range of each feature, [..., features]."""
        flat = x.reshape(-1, x.shape[-1])
        low = flat.min(0)
        span = flat.max(0) - low
        return Scale(low, np.where(span > 0, span, 1).astype(np.float32))

    def into(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scale, and cut off what lies outside the range of training."""
        return np.asarray(np.clip((x - self.low) / self.span, 0, 1), np.float32)

    def back(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Undo `into`."""
        return x * self.span + self.low


@dataclass(frozen=True)
class Services:
    """The commonest services that flows of each class went to, and how often they did.

    Shapes:
        label: int64 [services], rows of the classes; key: uint64 [services], as in `flow_service`
        count: int64 [services]
    """

    label: NDArray[np.int64]
    key: NDArray[np.uint64]
    count: NDArray[np.int64]

    @staticmethod
    def of(windows: WindowStream, labels: LabelTable, classes: tuple[str, ...]) -> Services | None:
        """Count the services of each class; None where windows have none."""
        counted = [KeyCounts() for _ in classes]
        for graphs in windows:
            if graphs.flow_service is None:
                return None
            found = flow_classes(labels, graphs.flow_id)
            for number, name in enumerate(found.names):
                counted[classes.index(name)].add(graphs.flow_service[found.code == number])
        kept = [np.argsort(-one.counts, kind="stable")[:MOST_SERVICES] for one in counted]
        pairs = list(zip(counted, kept, strict=True))
        return Services(
            np.repeat(np.arange(len(classes)), [len(rows) for rows in kept]),
            np.concatenate([one.keys[rows] for one, rows in pairs]),
            np.concatenate([one.counts[rows] for one, rows in pairs]),
        )

    def draw(self, label: NDArray[np.int64], *, seed: int) -> NDArray[np.uint64]:
        """Draw a service for each flow of these classes, uint64 [flows]; 0 where none is known."""
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(9,)))
        drawn = np.zeros(len(label), np.uint64)
        for number in np.unique(label).tolist():
            own, flows = self.label == number, label == number
            if own.any():
                chance = self.count[own] / self.count[own].sum()
                drawn[flows] = rng.choice(self.key[own], int(flows.sum()), p=chance)
        return drawn


@dataclass(frozen=True)
class Learnt:
    """What a fitted generator remembers beside its weights.

    Shapes:
        keys: uint64 [nodes]; edges: int64 [train snapshots], links of each
        present: int64 [classes learnt], rows of `classes` that some train node has
    """

    keys: NDArray[np.uint64]
    edges: NDArray[np.int64]
    present: NDArray[np.int64]
    scale: Scale
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    services: Services | None = None

    @staticmethod
    def of(snapshots: Snapshots) -> Learnt:
        """Learn from train snapshots."""
        return Learnt(
            keys=snapshots.keys,
            edges=snapshots.edges(),
            present=np.flatnonzero(snapshots.balance()),
            scale=Scale.of(snapshots.x),
            classes=snapshots.classes,
            feature_names=snapshots.feature_names,
        )

    def draw_edges(self, many: int, how: str | float, seed: int) -> NDArray[np.int64]:
        """Draw how many links each new snapshot gets."""
        if isinstance(how, float):
            return np.full(many, round(how * len(self.keys) * (len(self.keys) - 1)))
        if how == "mean":
            return np.full(many, round(float(self.edges.mean())), np.int64)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(8,)))
        return rng.choice(self.edges, many)


class Cggm:
    """A conditional generator of traffic graphs; see `network.py` and `training.py`.

    Generated windows are of schema "flow-host": one flow per link, with the features of its source
    and a service drawn for its class, and `node_x` with the features of all nodes. Their ids count
    from 0; their times are those of nothing.

    Raises:
        NotFittedError: `generate`, `sample` or `get_state` before `fit`.
        ContractError: No labels, or windows that make no snapshots.
        ConfigError: A label plan or condition with classes that were not learnt.
        TrainingError: A loss that is not finite, or a critic that explodes.
    """

    passes = 1  # its steps are shown as shares of one walk through the flows

    def __init__(self, config: CggmConfig) -> None:
        device_of(config)
        self.config = config
        self.network_: Generator | None = None
        self.learnt_: Learnt | None = None
        self._watch = Watch()

    @property
    def accelerator(self) -> str | None:
        """The name of the card it computes on, or None for the CPU."""
        return device_name(device_of(self.config))

    def watch(self, watch: Watch) -> None:
        """Report the next `fit` to `watch`."""
        self._watch = watch

    def fit(self, windows: WindowStream, labels: LabelTable | None, *, seed: int) -> Self:
        """Learn from the windows of the train range and their labels."""
        if labels is None:
            msg = f"Generator '{NAME}' learns classes, and there are no labels."
            raise ContractError(msg, do="Name a labeller, or a source that carries labels.")
        c = self.config
        snapshots = snapshots_of(windows, labels, c.nodes, ends=c.ends, rule=c.label_rule)
        own = _Share(c.steps, sum(len(w.flow_id) for w in windows))
        advance = self._watch.advance
        watch = replace(self._watch, advance=lambda steps: advance(own.of(steps)))
        self._learn(snapshots, seed, watch)
        services = Services.of(windows, labels, snapshots.classes)
        self.learnt_ = replace(self._learnt(), services=services)
        return self

    def fit_snapshots(self, snapshots: Snapshots, *, seed: int) -> Self:
        """Learn from train snapshots."""
        self._learn(snapshots, seed, self._watch)
        return self

    def _learn(self, snapshots: Snapshots, seed: int, watch: Watch) -> None:
        learnt, device = Learnt.of(snapshots), device_of(self.config)
        edges, fixed = learnt.edges, self.config.density
        if isinstance(fixed, float):  # then it learns at that density too
            edges = learnt.draw_edges(len(snapshots), fixed, seed)
        data = Data(
            x=torch.tensor(learnt.scale.into(snapshots.x), device=device),
            label=torch.tensor(snapshots.label, device=device),
            links=normalised(torch.tensor(snapshots.links, dtype=torch.float32, device=device)),
            edges=torch.tensor(edges, device=device),
        )
        game = train(data, len(learnt.classes), self.config, seed=seed, watch=watch)
        self.network_, self.learnt_ = game.generator.eval(), learnt

    def generate(self, windows: int, *, condition: str | None = None, seed: int) -> Generated:
        """Return new windows, of the label plan, or all of one class.

        A flow is of the class of its source, and goes to a service that flows of that class went
        to.
        """
        made = self.sample(self.labels(windows, condition, seed=seed), seed=seed)
        graphs = as_windows(made)
        src, _ = graphs.node_rows()
        code = made.label.ravel()[src]
        if (services := self._learnt().services) is not None:
            graphs = replace(graphs, flow_service=services.draw(code, seed=seed))
        names = np.array(_ours(made.classes))
        labels = LabelTable.of(graphs.flow_id, code > 0, pa.array(names[code]))
        return Generated(graphs, labels, names[made.label.ravel()])

    def labels(
        self, snapshots: int, condition: str | None = None, *, seed: int
    ) -> NDArray[np.int64]:
        """Return what classes the nodes of new snapshots get, int64 [snapshots, nodes]."""
        learnt = self._learnt()
        names = tuple(learnt.classes[row] for row in learnt.present)
        nodes = len(learnt.keys)
        if condition is not None:
            own = BENIGN if condition == NORMAL else condition  # the paper's word for it
            return learnt.present[constant(own, _ours(names), (snapshots, nodes))]
        plan = plan_labels(
            self.config.label_plan, names, nodes=nodes, snapshots=snapshots, seed=seed
        )
        return learnt.present[plan]

    def sample(self, label: NDArray[np.int64], *, seed: int) -> Snapshots:
        """Make one snapshot for each row of labels, int64 [snapshots, nodes]."""
        learnt, network = self._learnt(), self._network()
        many, nodes = label.shape
        if nodes != len(learnt.keys):
            msg = f"Labels for {nodes} nodes, and {len(learnt.keys)} were learnt."
            raise ContractError(msg)
        edges = learnt.draw_edges(many, self.config.density, seed)
        x = np.empty((many, nodes, len(learnt.feature_names)), np.float32)
        links = np.empty((many, nodes, nodes), np.bool_)
        device = next(network.parameters()).device
        with torch.no_grad():
            for number, first in enumerate(range(0, many, BLOCK)):
                here = slice(first, first + BLOCK)
                rng = generator(seed, 3, number, device=device)
                noise = draw_noise(len(label[here]), nodes, x.shape[2], rng)
                given = (torch.tensor(part[here], device=device) for part in (label, edges))
                made = network(*given, noise)
                x[here], links[here] = made.x.cpu().numpy(), made.links.cpu().numpy() > 0
        return synthetic(learnt, learnt.scale.back(x), links, label)

    def get_state(self) -> State:
        """Return weights, addresses, scale and the links of train snapshots."""
        learnt = self._learnt()
        weights = self._network().state_dict()
        arrays = {f"weights.{name}": t.cpu().numpy().copy() for name, t in weights.items()}
        arrays |= {name: getattr(learnt, name) for name in ("keys", "edges", "present")}
        arrays |= {"low": learnt.scale.low, "span": learnt.scale.span}
        if learnt.services is not None:
            arrays |= {f"services.{name}": array for name, array in vars(learnt.services).items()}
        values = {"classes": list(learnt.classes), "features": list(learnt.feature_names)}
        return State(arrays, {"generator": NAME, **values})

    def set_state(self, state: State) -> Self:
        """Take over what another instance learnt."""
        if state.values.get("generator") != NAME:
            raise not_a_state_of(NAME)
        arrays, c = dict(state.arrays), self.config
        features, classes = (state.values.get(key) for key in ("features", "classes"))
        if not features or not classes:
            raise not_a_state_of(NAME)
        with torch.device("meta"):
            network = Generator(len(features), len(classes), c)
        prefix = "weights."
        weights = {
            name.removeprefix(prefix): torch.tensor(value)
            for name, value in arrays.items()
            if name.startswith(prefix)
        }
        try:
            network.load_state_dict(weights, assign=True)
            scale = Scale(arrays["low"], arrays["span"])
            own = {name: arrays[name] for name in ("keys", "edges", "present")}
            known = {n: arrays[f"services.{n}"] for n in KNOWN if f"services.{n}" in arrays}
            services = Services(**known) if known else None
        except (RuntimeError, KeyError, TypeError) as error:
            raise not_a_state_of(NAME) from error
        self.network_ = network.to(device_of(c)).eval()
        self.learnt_ = Learnt(
            **own,
            scale=scale,
            classes=tuple(classes),
            feature_names=tuple(features),
            services=services,
        )
        return self

    def _network(self) -> Generator:
        if self.network_ is None:
            msg = f"Generator '{NAME}' has not been fitted."
            raise NotFittedError(msg)
        return self.network_

    def _learnt(self) -> Learnt:
        if self.learnt_ is None:
            msg = f"Generator '{NAME}' has not been fitted."
            raise NotFittedError(msg)
        return self.learnt_


def _ours(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Call the class that is no attack what everything outside this package calls it."""
    return tuple(BENIGN if name == NORMAL else name for name in classes)


class _Share:
    """Turns steps that were taken into flows that they stand for."""

    def __init__(self, steps: int, flows: int) -> None:
        self._steps, self._flows, self._taken = steps, flows, 0

    def of(self, steps: int) -> int:
        """Take so many steps more, and return their flows; all steps together are all flows."""
        before = self._taken * self._flows // self._steps
        self._taken += steps
        return self._taken * self._flows // self._steps - before


def synthetic(
    learnt: Learnt,
    x: NDArray[np.float32],
    links: NDArray[np.bool_],
    label: NDArray[np.int64],
) -> Snapshots:
    """Wrap what was made; every node is active."""
    shape = label.shape
    return Snapshots(
        keys=learnt.keys,
        classes=learnt.classes,
        feature_names=learnt.feature_names,
        x=x,
        links=links,
        label=label,
        active=np.ones(shape, np.bool_),
        flows=np.ones(shape, np.int64),
        window=np.arange(shape[0]),
    )


def as_windows(snapshots: Snapshots) -> WindowGraphs:
    """Write snapshots as windows: one flow per link, with the features of its source."""
    many, nodes = len(snapshots), snapshots.nodes
    window, src, dst = np.nonzero(snapshots.links)
    return WindowGraphs(
        schema="flow-host",
        feature_names=snapshots.feature_names,
        flow_id=np.arange(len(window)),
        flow_x=np.ascontiguousarray(snapshots.x[window, src]),
        flow_ptr=np.searchsorted(window, np.arange(many + 1)).astype(np.int64),
        window_start=snapshots.window,
        flow_src=src.astype(np.int32),
        flow_dst=dst.astype(np.int32),
        node_ptr=np.arange(many + 1) * nodes,
        node_key=np.tile(snapshots.keys, many),
        node_x=snapshots.x.reshape(many * nodes, -1),
    )
