"""Training and encoding on a GPU, beside the same published ways of working on the same card.

    uv run pytest bench/bench_gpu.py --benchmark-only -s

Windows in memory go in and weights or scores come out; both sides copy to the card what they need.
The baselines are those of the CPU, in `bench/baselines`; that both sides compute the same loss is
tested there. Without a GPU nothing here runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from bench import bench_anomale as anomale
from bench import bench_tabular as tabular
from bench.baselines import plain_anomale, pyg_autographad, pyg_heterognn, row_loader
from netvigil.classes import class_codes, class_names
from netvigil.testing.synthetic.windows import labels_of, windows
from netvigil_autographad.config import AutoGraphADConfig
from netvigil_autographad.encoder import AutoGraphAD
from netvigil_heterognn.batch import HeteroBatch
from netvigil_heterognn.benchmarks import FEATURES, WINDOW
from netvigil_heterognn.classifier import HeteroFlowGNN
from netvigil_heterognn.config import HeteroFlowGNNConfig

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
]
# Flows and hosts per window, windows of ours and of the baseline.
SIZES = {"50": (50, 20, 20_000, 20), "4500": (4_500, 60, 222, 8)}
EPOCHS, WIDE = 5, 52
MANY = 1_000_000


def _done(work: Callable[[], int]) -> Callable[[], int]:
    """Return the same, that ends when the card has done it."""

    def whole() -> int:
        flows = work()
        torch.cuda.synchronize()
        return flows

    return whole


def _autographad(epochs: int) -> AutoGraphAD:
    config = AutoGraphADConfig(epochs=epochs, patience=None, validation=0, device="cuda")
    return AutoGraphAD(config)


@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("what", ["train", "encode"])
def bench_autographad(paired: Any, size: str, what: str) -> None:
    flows, hosts, many, few = SIZES[size]
    graphs = windows(many, flows=flows, nodes=hosts, features=WIDE)
    small = windows(few, flows=flows, nodes=hosts, features=WIDE)
    data = [window.to("cuda") for window in pyg_autographad.to_hetero(small)]
    theirs = sum(int(window["flow"].num_nodes) for window in data)
    settings = pyg_autographad.Settings()
    network = pyg_autographad.Network(WIDE, settings).to("cuda")

    def train() -> int:
        _autographad(EPOCHS).fit([graphs], seed=0)
        return EPOCHS * len(graphs.flow_id)

    def train_pyg() -> int:
        pyg_autographad.train(network, data, settings, epochs=EPOCHS)
        return EPOCHS * theirs

    name = f"AutoGraphAD {what}, {size} flows per window, vs PyG"
    if what == "train":
        paired(_done(train), _done(train_pyg), name=name, floor=4)
        return
    fitted = _autographad(1).fit([graphs[:100]], seed=0)

    def score_pyg() -> int:
        return sum(len(terms["kl"].cpu()) for terms in pyg_autographad.score(network, data))

    paired(_done(lambda: len(fitted.encode(graphs))), _done(score_pyg), name=name, floor=4)


@pytest.mark.parametrize("what", ["train", "encode"])
def bench_anomale(paired: Any, what: str) -> None:
    """A million flows of one graph on both sides: a card holds what every edge needs."""
    graphs = anomale.one_window(MANY)
    network = plain_anomale.Network(anomale.FEATURES).to("cuda")
    name = f"Anomal-E {what} vs every edge"
    if what == "train":

        def train() -> int:
            anomale.encoder(device="cuda").fit([graphs], seed=0)
            return anomale.EPOCHS * MANY

        def train_every() -> int:
            edges = plain_anomale.Edges.of(graphs, "cuda")
            plain_anomale.train(network, edges, epochs=anomale.EPOCHS)
            return anomale.EPOCHS * MANY

        paired(_done(train), _done(train_every), name=name)
        return
    fitted = anomale.encoder(device="cuda", epochs=1).fit([graphs], seed=0)

    def embed_every() -> int:
        return len(plain_anomale.embed(network, plain_anomale.Edges.of(graphs, "cuda")).cpu())

    paired(_done(lambda: len(fitted.encode(graphs))), _done(embed_every), name=name)


def bench_heterognn(paired: Any) -> None:
    graphs, fewer = (
        windows(count, flows=WINDOW, nodes=60, features=FEATURES) for count in (512, 32)
    )
    labels, fewer_labels = labels_of(graphs), labels_of(fewer)
    together = pyg_heterognn.TOGETHER
    config = HeteroFlowGNNConfig(
        epochs=EPOCHS, patience=None, validation=0, device="cuda", batch_windows=together
    )

    def ours() -> int:
        HeteroFlowGNN(config).fit([graphs], labels, seed=0)
        return EPOCHS * len(graphs.flow_id)

    def theirs() -> int:
        names = class_names(fewer_labels)
        codes = class_codes(fewer_labels, np.asarray(fewer.flow_id), names)
        hosts = HeteroBatch.of(fewer, "cpu").hosts.numpy()
        data = pyg_heterognn.to_hetero(fewer, hosts, codes)
        network = pyg_heterognn.Network(FEATURES, hosts.shape[1], len(names)).to("cuda")
        pyg_heterognn.train(network, data, epochs=EPOCHS)
        return EPOCHS * len(fewer.flow_id)

    paired(_done(ours), _done(theirs), name="Graph classifier vs the article's loop", floor=2)


@pytest.mark.parametrize("what", ["train", "encode"])
def bench_autoencoder(paired: Any, what: str) -> None:
    few = torch.from_numpy(tabular.window(tabular.FEW).flow_x)
    network = row_loader.network(tabular.WIDTHS).to("cuda")
    if what == "train":
        graphs = tabular.window(100_000)

        def train() -> int:
            made = tabular.encoder(epochs=3, validation=0.0, batch=tabular.BATCH, device="cuda")
            made.fit([graphs], seed=0)
            return 3 * len(graphs.flow_id)

        def train_loader() -> int:
            row_loader.train(network, few, batch=tabular.BATCH, epochs=1)
            return len(few)

        name = f"autoencoder epochs vs DataLoader, {tabular.BATCH} rows a step"
        paired(_done(train), _done(train_loader), name=name, floor=3, unit="rows/s")
        return
    graphs = tabular.window(MANY)
    fitted = tabular.encoder(epochs=1, device="cuda").fit([tabular.window(tabular.FEW)], seed=0)
    x = torch.from_numpy(graphs.flow_x)

    def call() -> int:
        return len(row_loader.score(network, x.to("cuda")).cpu())

    name = "autoencoder scores vs one call of the module"
    paired(_done(lambda: len(fitted.encode(graphs))), _done(call), name=name, unit="rows/s")
