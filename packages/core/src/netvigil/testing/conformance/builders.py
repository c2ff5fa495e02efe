"""What a graph builder owes: every flow once, in its own window, nothing from after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil import parts
from netvigil.addresses import flow_keys
from netvigil.contracts import FlowFeatures, FlowInfo, FlowTable, WindowGraphs
from netvigil.errors import IncompatiblePartsError
from netvigil.testing.conformance.rules import Subject, checks
from netvigil.testing.synthetic.capture import traffic

FEATURES = ("duration_s", "x_bidirectional_mean_ps", "x_src2dst_max_ps")


def every_flow_exactly_once(subject: Subject) -> None:
    """The windows hold every flow exactly once, each with its own features."""
    flows = sample(subject)
    graphs = _build(subject, flows)
    subject.require(isinstance(graphs, WindowGraphs), "`build` returns WindowGraphs.")
    ids = np.sort(graphs.flow_id)
    subject.require(
        np.array_equal(ids, np.sort(flows.flow_id)),
        "every flow is in the windows exactly once.",
        found=f"{len(flows):,} flows in, {len(np.unique(ids)):,} distinct of {len(ids):,} out.",
        mend="A reverse edge or virtual node must not add a row to flow_id.",
    )
    rows = _rows_of(flows, graphs.flow_id)
    subject.require(
        graphs.feature_names == FEATURES
        and np.array_equal(graphs.flow_x, _features(flows).x[rows]),
        "flow_x holds each flow's own features, under their names.",
        mend="Reorder flow_id and flow_x by the same permutation.",
    )
    subject.require(
        graphs.schema == getattr(subject.part, "emits", None),
        "the windows have the schema that `emits` says.",
        found=f"'{graphs.schema}'",
    )


def flows_stand_in_their_window(subject: Subject) -> None:
    """Flows of one window number share a window; windows ascend and none is empty."""
    flows = sample(subject)
    made = subject.make()
    number = made.window_of(flows, first_row=0)
    graphs = made.build(flows, _features(flows), number)
    own = number[_rows_of(flows, graphs.flow_id)]
    per_window = graphs.window_of_flow()
    pairs = len(np.unique(np.stack([own, per_window]), axis=1).T)
    subject.require(
        pairs == len(np.unique(number)) == len(graphs),
        "`build` keeps the windows of `window_of`, leaving out empty ones.",
        found=f"{len(np.unique(number))} window numbers, {len(graphs)} windows.",
    )
    subject.require(np.all(np.diff(graphs.window_start) > 0), "windows ascend in time.")
    subject.require(
        np.all(np.diff(number) >= 0) and number.dtype == np.int64,
        "`window_of` never decreases and is int64.",
    )


def nothing_from_after_the_window(subject: Subject) -> None:
    """A window is the same whether or not anything came after it."""
    flows = sample(subject)
    made = subject.make()
    number = made.window_of(flows, first_row=0)
    cut = _middle_cut(number)
    early = _build(subject, flows.slice(0, cut))
    # What comes later is made as unlike what was before as can be.
    features = _features(flows)
    features.x[cut:] = 1_000 * features.x[cut:] + 1_000
    whole = made.build(flows, features, number)
    _require_equal(
        subject,
        early,
        whole[: len(early)],
        "a window does not change when later flows arrive.",
        "Compute windows, nodes and features from the window's own flows.",
    )


def batches_can_be_cut_between_windows(subject: Subject) -> None:
    """Building two batches, cut between windows, gives the windows of building them at once."""
    flows = sample(subject)
    made = subject.make()
    number = made.window_of(flows, first_row=0)
    cut = _middle_cut(number)
    later = flows.slice(cut)
    subject.require(
        np.array_equal(made.window_of(later, first_row=cut), number[cut:]),
        "a window number depends on the flow's own time or row alone.",
        found="With `first_row` set, a later batch gets other window numbers.",
        mend="Count windows from a fixed origin: the epoch, or row 0 of the stream.",
    )
    whole = made.build(flows, _features(flows), number)
    late = made.build(later, _features(later), number[cut:])
    _require_equal(
        subject,
        late,
        whole[len(whole) - len(late) :],
        "batches may be cut between windows.",
        "Keep nothing from one `build` to the next.",
    )


def order_of_rows_is_irrelevant(subject: Subject) -> None:
    """Flows that start together may come in any order: nothing about any of them changes."""
    flows = sample(subject)
    start = flows.start_us
    dice = np.random.default_rng(43).random(len(flows))
    shuffled = flows.take(np.lexsort((dice, start)).astype(np.int64))
    subject.require(
        _by_flow(_build(subject, flows)) == _by_flow(_build(subject, shuffled)),
        "the order of rows is irrelevant.",
        found="After shuffling flows of equal start, some flow has another window, endpoint or "
        "feature.",
    )


def endpoints_are_the_addresses(subject: Subject) -> None:
    """In `flow-host` windows a flow links the hosts of its addresses, keyed as everywhere."""
    if getattr(subject.part, "emits", "") != "flow-host":
        return
    flows = sample(subject)
    graphs = _build(subject, flows)
    rows = _rows_of(flows, graphs.flow_id)
    for ends, column in zip(graphs.node_rows(), ("src_ip", "dst_ip"), strict=True):
        subject.require(
            np.array_equal(graphs.node_key[ends], flow_keys(flows.table[column])[rows]),
            f"a flow's endpoint has the key of its {column}.",
            mend="Use netvigil.addresses.flow_keys, and rows within the window's own nodes.",
        )
    node = np.repeat(np.arange(len(graphs)), np.diff(graphs.node_ptr))
    distinct = np.unique(np.stack([node.astype(np.uint64), graphs.node_key]), axis=1).shape[1]
    subject.require(
        distinct == len(graphs.node_key), "a host is one node of a window, not several."
    )


def what_it_cannot_build_is_refused(subject: Subject) -> None:
    """`check` refuses flows without addresses or clock, with the reason, or they can be built."""
    flows = sample(subject)
    for words, crippled in (
        ("addresses", _without_addresses(flows)),
        ("a clock", _without_clock(flows)),
    ):
        made = subject.make()
        try:
            made.check(crippled)
        except IncompatiblePartsError:
            continue
        try:
            number = made.window_of(crippled, first_row=0)
            built = made.build(crippled, _features(crippled), number)
        except Exception as error:  # noqa: BLE001 - any failure here was to be announced by `check`
            subject.require(
                fine=False,
                rule=f"`check` refuses flows without {words}, or they can be built.",
                found=f"`check` passes, then {type(error).__name__}: {error}",
                mend="Raise IncompatiblePartsError in `check`.",
            )
        subject.require(len(built.flow_id) == len(crippled), "every flow is built.")


def inputs_stay_unchanged(subject: Subject) -> None:
    """`build` writes neither into the features nor into the window numbers."""
    flows = sample(subject)
    made = subject.make()
    features, number = _features(flows), made.window_of(flows, first_row=0)
    before = features.x.copy(), number.copy()
    made.build(flows, features, number)
    subject.require(
        np.array_equal(before[0], features.x) and np.array_equal(before[1], number),
        "its inputs stay as they are.",
        mend="Copy before writing in place.",
    )


def sample(subject: Subject) -> FlowTable:
    """Return the given flows, or 25 minutes of traffic with equal starts and self-loops."""
    if subject.given.flows is not None:
        return subject.given.flows
    flows = traffic(600, seed=3, duration_s=1_500, hosts=24).flows
    # Whole seconds make flows that start together; a host that talks to itself is legal.
    start = flows.start_us // 1_000_000 * 1_000_000
    source, target = flows.table["src_ip"], flows.table["dst_ip"]
    loops = pa.array(np.arange(len(flows)) % 50 == 0)
    target = pa.compute.if_else(loops, source.cast(pa.string()), target.cast(pa.string()))
    table = _with(flows.table, start=pa.array(start).view(flows.table["start"].type))
    table = _with(table, dst_ip=target.combine_chunks().dictionary_encode())
    return FlowTable(table, flows.info)


def _with(table: pa.Table, **columns: pa.Array) -> pa.Table:
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def _without_addresses(flows: FlowTable) -> FlowTable:
    none = pa.nulls(len(flows), flows.table["src_ip"].type)
    return FlowTable(_with(flows.table, src_ip=none, dst_ip=none), flows.info)


def _without_clock(flows: FlowTable) -> FlowTable:
    none = pa.nulls(len(flows), flows.table["start"].type)
    info = FlowInfo(format="conformance", time_basis="row-order")
    return FlowTable(_with(flows.table, start=none, end=none), info)


def _features(flows: FlowTable) -> FlowFeatures:
    columns = [flows.table[name].to_numpy().astype(np.float32) for name in FEATURES]
    return FlowFeatures(np.stack(columns, axis=1), FEATURES)


def _build(subject: Subject, flows: FlowTable) -> Any:
    made = subject.make()
    made.check(flows)
    return made.build(flows, _features(flows), made.window_of(flows, first_row=0))


def _middle_cut(number: NDArray[np.int64]) -> int:
    """Return the first row of a window near the middle (0 where there is one window only)."""
    return int(np.searchsorted(number, number[len(number) // 2]))


def _rows_of(flows: FlowTable, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(flows.flow_id)
    place = np.searchsorted(flows.flow_id, ids, sorter=order)
    return order[np.minimum(place, len(order) - 1)]


def _by_flow(graphs: WindowGraphs) -> dict[int, tuple[Any, ...]]:
    """Return what the windows say about each flow, by its id."""
    starts = graphs.window_start[graphs.window_of_flow()].tolist()
    ends: list[list[int]] = [[0] * len(starts)] * 2
    if graphs.has_nodes:
        ends = [graphs.node_key[rows].tolist() for rows in graphs.node_rows()]
    values = (row.tobytes() for row in graphs.flow_x)
    return dict(zip(graphs.flow_id.tolist(), zip(starts, *ends, values, strict=True), strict=True))


def _require_equal(
    subject: Subject, left: WindowGraphs, right: WindowGraphs, rule: str, mend: str
) -> None:
    subject.require(
        len(left) == len(right) and _by_flow(left) == _by_flow(right),
        rule,
        found=f"{len(left)} windows against {len(right)}, or another window, endpoint or feature.",
        mend=mend,
    )


CHECKS = checks(
    parts.GraphBuilder,
    every_flow_exactly_once,
    flows_stand_in_their_window,
    nothing_from_after_the_window,
    batches_can_be_cut_between_windows,
    order_of_rows_is_irrelevant,
    endpoints_are_the_addresses,
    what_it_cannot_build_is_refused,
    inputs_stay_unchanged,
)
