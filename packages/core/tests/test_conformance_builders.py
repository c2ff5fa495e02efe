"""The checks of graph builders: a sound one passes all, each check catches the fault it is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netvigil import parts
from netvigil.addresses import flow_keys
from netvigil.contracts import WindowGraphs
from netvigil.errors import IncompatiblePartsError
from netvigil.testing.conformance import RuleBroken, check_graph_builder, checks_for

WINDOW_US = 180_000_000


class Plain:
    """Hosts and flows per window, in the most straightforward way."""

    def __init__(self, config):
        self.config = config

    def check(self, flows):
        if not flows.has_addresses or flows.info.time_basis != "clock":
            raise IncompatiblePartsError("no addresses or no clock")

    def window_of(self, flows, *, first_row):
        return flows.start_us // WINDOW_US

    def build(self, flows, features, window):
        source, target = (flow_keys(flows.table[c]) for c in ("src_ip", "dst_ip"))
        numbers, first = np.unique(window, return_index=True)
        ends, keys, sizes = [], [], []
        for low, high in zip(first, [*first[1:], len(flows)], strict=True):
            both = np.concatenate([source[low:high], target[low:high]])
            own, rows = np.unique(both, return_inverse=True)
            keys.append(own)
            sizes.append(len(own))
            ends.append(rows.reshape(2, -1))
        rows = np.concatenate(ends, axis=1).astype(np.int32)
        return WindowGraphs(
            schema="flow-host",
            feature_names=features.names,
            flow_id=flows.flow_id,
            flow_x=np.ascontiguousarray(features.x),
            flow_ptr=np.append(first, len(flows)).astype(np.int64),
            window_start=numbers * WINDOW_US,
            flow_src=rows[0],
            flow_dst=rows[1],
            node_ptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            node_key=np.concatenate(keys),
        )


class DropsAFlow(Plain):
    def build(self, flows, features, window):
        keep = np.arange(1, len(flows))
        left = replace(features, x=features.x[1:])
        return super().build(flows.take(keep), left, window[1:])


class DoublesFlows(Plain):
    """Adds the reverse of each edge as a row of its own, under a fresh id."""

    def build(self, flows, features, window):
        graphs = super().build(flows, features, window)
        twice = np.repeat(np.arange(len(graphs.flow_id)), 2)
        ids = graphs.flow_id[twice]
        ids[1::2] += 1_000_000
        return replace(
            graphs,
            flow_id=ids,
            flow_x=np.ascontiguousarray(graphs.flow_x[twice]),
            flow_src=graphs.flow_src[twice],
            flow_dst=graphs.flow_dst[twice],
            flow_ptr=graphs.flow_ptr * 2,
        )


class MixesUpFeatures(Plain):
    def build(self, flows, features, window):
        graphs = super().build(flows, features, window)
        return replace(graphs, flow_x=np.ascontiguousarray(graphs.flow_x[::-1]))


class OtherSchema(Plain):
    def build(self, flows, features, window):
        return replace(super().build(flows, features, window), schema="traffic-dispersion")


class MergesWindows(Plain):
    def build(self, flows, features, window):
        return super().build(flows, features, window // 2 * 2)


class SeesTheFuture(Plain):
    """Scales a window's features by what comes after it."""

    def build(self, flows, features, window):
        scaled = features.x / np.maximum(features.x.max(axis=0), 1).astype(np.float32)
        return super().build(flows, replace(features, x=scaled), window)


class CountsFromTheBatch(Plain):
    def window_of(self, flows, *, first_row):
        return (flows.start_us - flows.start_us[0]) // WINDOW_US


class Remembers(Plain):
    seen = 0

    def build(self, flows, features, window):
        self.seen += 1
        graphs = super().build(flows, features, window)
        return replace(graphs, flow_x=graphs.flow_x * np.float32(self.seen))


class ByRowNumber(Plain):
    """Takes the row number of a flow for a feature."""

    def build(self, flows, features, window):
        graphs = super().build(flows, features, window)
        return replace(
            graphs, flow_x=graphs.flow_x + np.arange(len(flows), dtype=np.float32)[:, None]
        )


class SwapsEnds(Plain):
    def build(self, flows, features, window):
        graphs = super().build(flows, features, window)
        return replace(graphs, flow_src=graphs.flow_dst, flow_dst=graphs.flow_src)


class OneNodePerFlow(Plain):
    """Gives each flow two nodes of its own."""

    def build(self, flows, features, window):
        graphs = super().build(flows, features, window)
        n = len(graphs.flow_id)
        local = np.arange(n) - np.repeat(graphs.flow_ptr[:-1], np.diff(graphs.flow_ptr))
        keys = [flow_keys(flows.table[c]) for c in ("src_ip", "dst_ip")]
        return replace(
            graphs,
            flow_src=(2 * local).astype(np.int32),
            flow_dst=(2 * local + 1).astype(np.int32),
            node_ptr=2 * graphs.flow_ptr,
            node_key=np.stack(keys, axis=1).ravel(),
        )


class ChecksNothing(Plain):
    def check(self, flows):
        return


class ShiftsInPlace(Plain):
    def build(self, flows, features, window):
        graphs = super().build(flows, features, window)
        features.x[:] += 1
        return graphs


BROKEN = [
    (DropsAFlow, "every-flow-exactly-once"),
    (DoublesFlows, "every-flow-exactly-once"),
    (MixesUpFeatures, "every-flow-exactly-once"),
    (OtherSchema, "every-flow-exactly-once"),
    (MergesWindows, "flows-stand-in-their-window"),
    (SeesTheFuture, "nothing-from-after-the-window"),
    (CountsFromTheBatch, "batches-can-be-cut-between-windows"),
    (Remembers, "batches-can-be-cut-between-windows"),
    (ByRowNumber, "order-of-rows-is-irrelevant"),
    (SwapsEnds, "endpoints-are-the-addresses"),
    (OneNodePerFlow, "endpoints-are-the-addresses"),
    (ChecksNothing, "what-it-cannot-build-is-refused"),
    (ShiftsInPlace, "inputs-stay-unchanged"),
]


def part_of(made):
    return parts.GraphBuilder(name="fake", summary="A fake builder.", make=made, emits="flow-host")


def test_sound_builder_passes():
    check_graph_builder(part_of(Plain))


@pytest.mark.parametrize(("made", "name"), BROKEN, ids=lambda v: getattr(v, "__name__", str(v)))
def test_fault_is_caught(made, name):
    part = part_of(made)
    check = next(check for check in checks_for(part) if check.id == name)
    with pytest.raises(RuleBroken, match="graph builder 'fake'"):
        check(part)


def test_every_check_has_a_fault_it_catches():
    assert {check.id for check in checks_for(part_of(Plain))} == {name for _, name in BROKEN}
