"""A small, honest classifier and a cut by hand: supervised runs are tested in core alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from netvigil import hookimpl, parts
from netvigil.classes import class_codes, class_names
from netvigil.contracts import EncodedFlows, LabelTable, WindowGraphs
from netvigil.errors import ConfigError, ContractError, NotFittedError
from netvigil.protocols import Generated, State

from . import fakes


class CentroidConfig(parts.PartConfig):
    """Settings of `centroid`: how sharply nearness becomes probability."""

    sharpness: float = 1.0
    device: str = "cpu"


class Centroid:
    """Says how near a flow is to each class's mean; a seeded shift stands for initialisation."""

    stop_at: int | None = None
    shift = 0.01

    def __init__(self, config: CentroidConfig) -> None:
        self.config = config
        self.means_: Any = None
        self.names_: tuple[str, ...] = ()

    def fit(self, windows: Any, labels: Any, *, seed: int) -> Any:
        if seed == type(self).stop_at:
            raise KeyboardInterrupt
        self.names_ = class_names(labels)
        xs = np.concatenate([w.flow_x for w in windows]).astype(np.float64)
        ids = np.concatenate([w.flow_id for w in windows])
        code = class_codes(labels, ids, self.names_)
        means = [xs[code == k].mean(axis=0) for k in range(len(self.names_))]
        self.means_ = np.stack(means) + np.random.default_rng(seed).normal(0, self.shift)
        return self

    def classify(self, windows: Any) -> EncodedFlows:
        if self.means_ is None:
            msg = "centroid was used before it was fitted."
            raise NotFittedError(msg)
        far = ((windows.flow_x[:, None, :] - self.means_[None]) ** 2).sum(axis=2)
        near = np.exp(-self.config.sharpness * (far - far.min(axis=1, keepdims=True)))
        share = (near / near.sum(axis=1, keepdims=True)).astype(np.float32)
        starts = windows.window_start[windows.window_of_flow()]
        terms = {name: share[:, k].copy() for k, name in enumerate(self.names_)}
        return EncodedFlows(windows.flow_id, starts, terms=terms)

    def get_state(self) -> State:
        if self.means_ is None:
            msg = "centroid has nothing to save."
            raise NotFittedError(msg)
        return State(arrays={"means": self.means_}, values={"names": list(self.names_)})

    def set_state(self, state: State) -> Any:
        self.means_, self.names_ = state.arrays["means"], tuple(state.values["names"])
        return self


class Wild(Centroid):
    """Answers with numbers that are no probabilities."""

    def classify(self, windows: Any) -> EncodedFlows:
        found = super().classify(windows)
        return EncodedFlows(
            found.flow_id, found.window_start, terms={n: 2 * t for n, t in found.terms.items()}
        )


class ByHandConfig(parts.PartConfig):
    """Settings of `fixed`."""

    value: float


class ByHand:
    """A cut that somebody gave."""

    def __init__(self, config: ByHandConfig) -> None:
        self.cut_ = config.value

    def fit(self, calibration: Any, *, seed: int) -> Any:
        return self

    def provenance(self) -> str:
        return f"given by hand: {self.cut_:g}"

    def get_state(self) -> State:
        return State(values={"cut": self.cut_})

    def set_state(self, state: State) -> Any:
        self.cut_ = state.values["cut"]
        return self


class AttackMean(fakes.Center):
    """Centres on the attacks, to have a transform that reads labels; it cannot be undone."""

    undo = None

    def fit_labelled(self, features: Any, is_attack: Any, *, seed: int) -> Any:
        rows = fakes.FlowFeatures(features.x[is_attack], features.names)
        return fakes.Center.fit(self, rows, seed=seed)


class EchoConfig(parts.PartConfig):
    """Settings of `echo`: flows in each window it makes."""

    flows: int = 12


class Echo:
    """Makes windows of flows that it was shown, classes in equal numbers, between two hosts."""

    def __init__(self, config: EchoConfig) -> None:
        self.config = config
        self.rows_: dict[str, Any] | None = None
        self.feature_names_: tuple[str, ...] = ()

    def fit(self, windows: Any, labels: Any, *, seed: int) -> Any:
        del seed
        if labels is None:
            msg = "echo learns classes."
            raise ContractError(msg)
        names = class_names(labels)
        xs = np.concatenate([w.flow_x for w in windows])
        ids = np.concatenate([w.flow_id for w in windows])
        code = class_codes(labels, ids, names)
        self.rows_ = {name: xs[code == k] for k, name in enumerate(names)}
        self.feature_names_ = next(iter(windows)).feature_names
        return self

    def generate(self, windows: int, *, condition: str | None, seed: int) -> Generated:
        if self.rows_ is None:
            msg = "echo was used before it was fitted."
            raise NotFittedError(msg)
        names = [condition] if condition is not None else list(self.rows_)
        if names[0] not in self.rows_:
            msg = f"echo knows no class '{condition}'."
            raise ConfigError(msg)
        rng, many = np.random.default_rng(seed), windows * self.config.flows
        name = np.array(names)[np.arange(many) % len(names)]
        x = np.stack([rng.choice(self.rows_[each]) for each in name])
        graphs = WindowGraphs(
            schema="flow-host",
            feature_names=self.feature_names_,
            flow_id=np.arange(many),
            flow_x=np.ascontiguousarray(x, np.float32),
            flow_ptr=np.arange(windows + 1) * self.config.flows,
            window_start=np.arange(windows),
            flow_src=np.zeros(many, np.int32),
            flow_dst=np.ones(many, np.int32),
            node_ptr=np.arange(windows + 1) * 2,
            node_key=np.tile(np.array([5, 6], np.uint64), windows),
        )
        return Generated(graphs, LabelTable.of(graphs.flow_id, name != "benign", pa.array(name)))

    def get_state(self) -> State:
        if self.rows_ is None:
            msg = "echo has nothing to save."
            raise NotFittedError(msg)
        values = {"features": list(self.feature_names_), "names": list(self.rows_)}
        return State(dict(self.rows_), values)

    def set_state(self, state: State) -> Any:
        self.rows_ = {name: state.arrays[name] for name in state.values["names"]}
        self.feature_names_ = tuple(state.values["features"])
        return self


class Taught:
    """The plugin."""

    @hookimpl
    def netvigil_generators(self):
        yield parts.Generator(
            name="echo", summary="Shows flows again.", config=EchoConfig, make=Echo
        )

    @hookimpl
    def netvigil_classifiers(self):
        presets = {"sharp": {"classifier": {"sharpness": 9.0}, "graph": {"builder": "none"}}}
        for name, made, accepts in (
            ("centroid", Centroid, ("flow-host", "flows-only")),
            ("wild", Wild, ("flow-host",)),
        ):
            yield parts.Classifier(
                name=name,
                summary="Nearness to class means.",
                config=CentroidConfig,
                make=made,
                accepts=accepts,
                presets=presets,
            )

    @hookimpl
    def netvigil_thresholds(self):
        yield parts.Threshold(
            name="fixed",
            summary="By hand.",
            config=ByHandConfig,
            make=ByHand,
            needs_scores=False,
        )

    @hookimpl
    def netvigil_flow_transforms(self):
        yield parts.FlowTransform(
            name="attack-mean",
            summary="Reads labels.",
            config=fakes.CenterConfig,
            make=AttackMean,
            supervised=True,
        )


SECTIONS: dict[str, Any] = {
    "encoder": None,
    "scorer": None,
    "threshold": None,
    "classifier": {"name": "centroid"},
}
"""What turns the experiment of `fakes.settings` into a supervised one."""
