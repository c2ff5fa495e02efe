from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netvigil.baselines import TrainCounts, service_keys
from netvigil.contracts import WindowGraphs
from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil.protocols import State
from netvigil.testing.synthetic import traffic
from netvigil.testing.synthetic.windows import windows
from netvigil_scorers.endpoints.rarity import Rarity, RarityConfig


def graph(*flows: tuple[int, int, int]) -> WindowGraphs:
    """One window of (source, destination, service) flows between hosts 0 to 9."""
    ends = np.array(flows, np.int64).reshape(-1, 3)
    return WindowGraphs(
        schema="flow-host",
        feature_names=(),
        flow_id=np.arange(len(ends)),
        flow_x=np.empty((len(ends), 0), np.float32),
        flow_ptr=np.array([0, len(ends)]),
        window_start=np.zeros(1, np.int64),
        flow_src=ends[:, 0].astype(np.int32),
        flow_dst=ends[:, 1].astype(np.int32),
        node_ptr=np.array([0, 10]),
        node_key=np.arange(100, 110, dtype=np.uint64),
        flow_service=ends[:, 2].astype(np.uint64),
    )


def test_counts_by_hand():
    train = [graph((0, 1, 80), (0, 1, 80)), graph((0, 2, 80), (3, 1, 22))]
    made = Rarity(RarityConfig()).fit(train, seed=0)
    terms = made.encode(graph((0, 1, 80), (3, 1, 80), (1, 0, 80))).terms
    seen = {name: np.rint(np.expm1(-term)).astype(int).tolist() for name, term in terms.items()}
    assert seen == {
        "source": [3, 1, 0],
        "destination": [3, 3, 0],
        "pair": [2, 1, 0],  # the way back is another pair
        "source-service": [3, 0, 0],
        "destination-service": [2, 2, 0],
        "pair-service": [2, 0, 0],
    }
    assert all(term.max() <= 0 for term in terms.values())


def test_it_counts_what_the_rule_baselines_count():
    flows = traffic(400, seed=1).flows
    train, test = flows.slice(0, 300), flows.slice(300, 100)
    counts = TrainCounts().update(train).rarity(test)

    def built(table):
        from netvigil.addresses import flow_keys

        keys = [flow_keys(table.table[name]) for name in ("src_ip", "dst_ip")]
        hosts, rows = np.unique(np.concatenate(keys), return_inverse=True)
        return replace(
            graph(*[(0, 0, 0)] * len(table)),
            flow_src=rows[: len(table)].astype(np.int32),
            flow_dst=rows[len(table) :].astype(np.int32),
            node_ptr=np.array([0, len(hosts)]),
            node_key=hosts,
            flow_service=service_keys(table),
        )

    terms = Rarity(RarityConfig()).fit([built(train)], seed=0).encode(built(test)).terms
    for subject, baseline in (
        ("source", "source"),
        ("pair", "pair"),
        ("pair-service", "pair-port"),
    ):
        assert np.allclose(terms[subject], counts[f"{baseline}-rarity"], atol=1e-6)


def test_a_state_travels_and_another_is_refused(carried):
    train = windows(4)
    made = Rarity(RarityConfig()).fit([train], seed=0)
    again = Rarity(RarityConfig()).set_state(carried(made.get_state()))
    assert np.array_equal(again.encode(train).terms["pair"], made.encode(train).terms["pair"])
    with pytest.raises(BundleError, match="not a state of encoder 'rarity'"):
        Rarity(RarityConfig()).set_state(State())


def test_what_it_refuses():
    with pytest.raises(NotFittedError):
        Rarity(RarityConfig()).encode(windows(2))
    with pytest.raises(ContractError, match="no flows to fit"):
        Rarity(RarityConfig()).fit([], seed=0)
    with pytest.raises(ContractError, match="have no hosts"):
        Rarity(RarityConfig()).fit([windows(2, schema="flows-only")], seed=0)
    with pytest.raises(ContractError, match="have no service keys"):
        Rarity(RarityConfig()).fit([replace(windows(2), flow_service=None)], seed=0)
