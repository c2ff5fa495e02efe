"""Every installed part of every kind is held to every check of its contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from netvigil import parts
from netvigil.contracts import LabelTable
from netvigil.plugins import load_plugins
from netvigil.testing.conformance import ALL_CHECKS, Check, Given, checks_for
from netvigil.testing.synthetic import traffic

from .dialects import write_source

PLUGINS = load_plugins()
GRAPH_ENCODERS: dict[str, dict[str, dict[str, Any]]] = {
    "autographad": {
        "": {"epochs": 2},
        "draws": {"epochs": 2, "draws": 3, "layers": 2},
        "deviation": {"epochs": 2, "structure_score": "deviation"},
    },
    "anomal-e": {
        "": {"epochs": 3, "hidden": 16, "embedding": 24},
        "own-edge": {"epochs": 3, "hidden": 16, "embedding": 24, "own_edge": True},
        "plain": {"epochs": 3, "hidden": 16, "embedding": 24, "form": "plain", "layers": 2},
    },
    "autoencoder": {
        "": {"epochs": 2, "hidden": [8], "bottleneck": 3},
        "knn": {"epochs": 2, "hidden": [8], "bottleneck": 3, "terms": ["knn", "mahalanobis"]},
        "block": {
            "epochs": 2,
            "hidden": [8],
            "bottleneck": 3,
            "activation": "gelu",
            "norm": "batch",
            "dropout": 0.2,
            "code": "block",
            "loss": "mixed",
        },
    },
    "conditional": {
        "": {"epochs": 2, "hidden": [8]},
        "few": {"epochs": 2, "hidden": [], "contexts": ["pair"], "most_contexts": 5},
    },
    "vae": {
        "": {"epochs": 2, "hidden": [8], "bottleneck": 3},
        "draws": {
            "epochs": 2,
            "hidden": [8],
            "bottleneck": 3,
            "beta": 4.0,
            "warmup_epochs": 2,
            "free_bits": 0.1,
            "draws": 3,
            "terms": ["elbo", "error", "error-kl", "kl", "knn", "mahalanobis", "standardised"],
        },
    },
}
"""What trains for long is held to its contract after a few epochs, in each form it has."""

CLASSIFIERS: dict[str, dict[str, Any]] = {
    "random-forest": {"n_estimators": 10},
    "extra-trees": {"n_estimators": 10},
    "hist-gradient-boosting": {"max_iter": 10, "min_samples_leaf": 5},
    "mlp": {"hidden": [16], "batch": 32, "epochs": 20, "learning_rate": 0.02, "device": "cpu"},
    "hetero-flow-gnn": {
        "epochs": 60,
        "learning_rate": 0.01,
        "layers": 2,
        "hidden": 16,
        "device": "cpu",
    },
    "voting": {
        "members": [{"name": "random-forest", "n_estimators": 5}, "logistic-regression"],
        "calibration": "sigmoid",
    },
    "naive-bayes": {"calibration": "isotonic", "calibration_by": "folds"},
}
"""Smaller than the defaults, and some of them calibrated."""

TRANSFORMS: dict[str, dict[str, Any]] = {
    "autoencoder-code": {"epochs": 2, "hidden": [8], "bottleneck": 3, "device": "cpu"},
}
"""What trains for long, after a few epochs."""

GENERATORS: dict[str, dict[str, Any]] = {
    "cggm": {
        "steps": 40,
        "nodes": 8,
        "hidden": 16,
        "batch": 4,
        "critic_steps": 1,
        "learning_rate": 0.02,
        "device": "cpu",
    },
}
"""What takes minutes to learn, after a few steps."""

SCORERS: dict[str, dict[str, Any]] = {"nystroem-ocsvm": {"passes": 5}}
"""What takes 100,000 steps by itself, however few the flows."""

KINDS = sorted({check.kind for check in ALL_CHECKS}, key=lambda kind: kind.__name__)


def cases() -> list[Any]:
    """One case per part, form and check, named by all three."""
    found = []
    for kind in KINDS:
        for registered in PLUGINS.of(kind):
            part = registered.part
            marks = [pytest.mark.pcap] if part.name == "pcap" else []
            for form, config in GRAPH_ENCODERS.get(part.name, {"": None}).items():
                name = "-".join(filter(None, (kind.__name__, part.name, form)))
                found += [
                    pytest.param(part, check, config, id=f"{name}-{check}", marks=marks)
                    for check in checks_for(part)
                ]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


@pytest.mark.parametrize(("part", "check", "config"), cases())
def test_part_keeps_its_contract(
    part: parts.Part[Any], check: Check, config: dict[str, Any] | None, folder: Path
) -> None:
    if config is None:
        check.with_given(given(part, folder))(part)
    else:
        check.with_given(Given(config={"device": "cpu", **config}))(part)


@pytest.mark.parametrize("name", GRAPH_ENCODERS)
def test_the_graph_encoders_are_installed(name: str) -> None:
    assert PLUGINS.encoder(name).name == name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_some_part_of_each_kind_is_installed(kind: type[parts.Part[Any]]) -> None:
    assert PLUGINS.of(kind), f"no {kind.kind} is installed: nothing was checked"


def test_no_plugin_failed_and_no_name_is_taken_twice() -> None:
    assert not [str(failure.error) for failure in PLUGINS.failures]
    assert not PLUGINS.conflicts()


def given(part: parts.Part[Any], folder: Path) -> Given:
    """Return what a part needs beyond its default settings."""
    if isinstance(part, parts.FlowReader):
        source = write_source(part.name, folder)
        assert source is not None, f"write a small source for '{part.name}' in tests/dialects.py"
        return Given(source=source)
    if isinstance(part, parts.FlowLabeller):
        return labelled(part.name, folder)
    if part.name == "fixed":
        return Given(config={"value": 1.5})
    if isinstance(part, parts.Classifier):
        return Given(config=CLASSIFIERS.get(part.name))
    if isinstance(part, parts.Scorer):
        return Given(config=SCORERS.get(part.name))
    if isinstance(part, parts.Generator):
        return Given(config=GENERATORS.get(part.name))
    if isinstance(part, parts.FlowTransform):
        return Given(config=TRANSFORMS.get(part.name))
    return Given()


def labelled(name: str, folder: Path) -> Given:
    """Return flows that a labeller knows the truth of, and the file that says it."""
    if name == "inline":
        return Given()
    flows, labels = traffic(600, seed=4, attack_share=0.2)
    attacks = flows.take(labels.align(flows.flow_id).is_attack)
    path = folder / f"{name}.csv"
    if name == "table":
        path = folder / "labels.parquet"
        pq.write_table(labels.table, path)
    elif name == "events":
        path.write_text("\n".join(["start,end,category,addresses", *_events(flows, labels)]))
    else:
        columns = ("src_ip", "src_port", "dst_ip", "dst_port", "protocol")
        lines = [f"{','.join(columns)},start,end,category"]
        for row in attacks.table.to_pylist():
            ends = ",".join("" if row[c] is None else str(row[c]) for c in columns)
            lines.append(f"{ends},{row['start'].timestamp()},{row['end'].timestamp()},odd")
        path.write_text("\n".join(lines) + "\n")
    return Given(config={"truth": path}, flows=flows)


def _events(flows: Any, labels: LabelTable) -> list[str]:
    truth = labels.align(flows.flow_id)
    sources = np.array(flows.table["src_ip"].to_pylist())
    lines = []
    for category in np.unique(truth.attack[truth.is_attack]):
        mine = truth.attack == category
        begin, end = flows.start_us[mine].min() / 1e6, flows.end_us[mine].max() / 1e6
        lines.append(f"{begin},{end},{category},{' '.join(np.unique(sources[mine]))}")
    return lines


def test_labellers_find_what_their_files_say(folder: Path) -> None:
    """A check on empty truth would prove nothing: each file above labels some attack."""
    for registered in PLUGINS.of(parts.FlowLabeller):
        part, told = registered.part, labelled(registered.part.name, folder)
        if told.flows is None or not isinstance(told.config, dict):
            continue
        labels = part.make(part.config.model_validate(told.config)).label(told.flows, None)
        assert labels.table["is_attack"].to_numpy().any(), part.name


def test_sources_hold_flows_and_rejected_lines(folder: Path) -> None:
    """Each written source is read as what it is: nearly all of its rows become flows."""
    for registered in PLUGINS.of(parts.FlowReader):
        part = registered.part
        source = write_source(part.name, folder)
        assert source is not None
        batches = list(part.make(part.config()).read(source, batch_rows=1_000))
        assert sum(len(batch.flows) for batch in batches) >= 55, part.name
