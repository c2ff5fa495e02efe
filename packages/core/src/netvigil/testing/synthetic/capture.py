"""`stream` and `traffic`: a synthetic capture, piece by piece or whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, Unpack

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from netvigil.contracts import FlowBatch, FlowTable, LabelTable
from netvigil.testing.synthetic.campaigns import campaigns
from netvigil.testing.synthetic.events import Events
from netvigil.testing.synthetic.routines import routines
from netvigil.testing.synthetic.scenario import Scenario, Settings
from netvigil.testing.synthetic.schedules import Schedule
from netvigil.testing.synthetic.sessions import rhythm, sessions
from netvigil.testing.synthetic.tables import INFO, table
from netvigil.testing.synthetic.world import World

PIECE = 65_536  # flows per batch, about: 20 MB, and large enough that NumPy's overhead vanishes


class Traffic(NamedTuple):
    """Flows and their truth; every flow is known."""

    flows: FlowTable
    labels: LabelTable


def traffic(flows: int = 60_000, *, seed: int = 0, **settings: Unpack[Settings]) -> Traffic:
    """Make a whole synthetic capture of exactly this many flows, with labels; see `Scenario`.

    Example:
        >>> flows, labels = traffic(1_000, seed=7)
        >>> len(flows), int(labels.table["is_attack"].to_numpy().sum())
        (1000, 30)
    """
    batches = list(stream(flows, seed=seed, **settings))
    whole = pa.concat_tables([b.flows.table for b in batches]).combine_chunks()
    text = pa.concat_tables([b.inline for b in batches if b.inline is not None])
    labels = LabelTable.of(
        text["flow_id"].to_numpy(), pc.equal(text["label"], "attack").to_numpy(), text["attack"]
    )
    return Traffic(FlowTable(whole, INFO), labels)


def stream(
    flows: int = 60_000, *, seed: int = 0, **settings: Unpack[Settings]
) -> Iterator[FlowBatch]:
    """Yield a synthetic capture in time order, about 65,536 flows at a time, with label text.

    Memory does not grow with the number of flows. The ids count from 0; the batches put together
    are the table that `traffic` gives for the same settings, bit for bit.
    """
    scenario = Scenario(flows=flows, seed=seed, **settings)
    world = World.of(scenario)
    routine, hostile = routines(scenario, world), campaigns(scenario, world)
    free = scenario.flows - scenario.attack_flows - routine.total
    edges, shares = _pieces(scenario, routine, hostile, free)
    counts = np.random.default_rng([scenario.seed, 3]).multinomial(free, shares)
    first_id, late = 0, None
    for piece, (first, last) in enumerate(pairwise(edges.tolist())):
        rng = np.random.default_rng([scenario.seed, 4, piece])
        events = Events.concat(
            [
                *([] if late is None else [late]),
                sessions(world, int(counts[piece]), first, last, scenario, rng),
                routine.between(first, last),
                hostile.between(first, last),
            ]
        ).in_order()
        if piece + 2 < len(edges):  # what a session does after this piece belongs to the next
            cut = int(np.searchsorted(events.time, last))
            events, late = events.rows(slice(cut)), events.rows(slice(cut, None))
        if len(events):
            yield table(
                events,
                world.addresses,
                world.dark,
                first_id=first_id,
                start_us=scenario.start_us,
                rng=rng,
            )
        first_id += len(events)


def _pieces(
    scenario: Scenario, routine: Schedule, hostile: Schedule, free: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cut the time axis into stretches of about `PIECE` flows; also return their session shares."""
    grid, share = rhythm(scenario)
    fine = np.unique(np.concatenate([grid, np.linspace(0, scenario.duration_s, 4_097)]))
    share_before = np.interp(fine, grid, share)
    before = free * share_before + routine.total * fine / scenario.duration_s + hostile.before(fine)
    pieces = max(-(-scenario.flows // PIECE), 1)
    edges = np.interp(np.linspace(0, before[-1], pieces + 1), before, fine)
    edges[0], edges[-1] = 0.0, scenario.duration_s
    shares = np.diff(np.interp(edges, grid, share))
    return edges, shares / shares.sum()
