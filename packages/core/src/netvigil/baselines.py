"""Baselines that stand in every table: how new, and how rare, is a flow's source, pair or service?

On real data the rarity of the host pair alone outranks published graph methods, so a method has to
be read beside it. These look at endpoints only, never at a feature, a label or another test flow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from netvigil.addresses import combine, flow_keys
from netvigil.contracts import FlowTable
from netvigil.errors import NotFittedError
from netvigil.key_counts import KeyCounts
from netvigil.protocols import State

Scores = dict[str, NDArray[np.float64]]

SUBJECTS: Mapping[str, str] = {
    "source": "source address",
    "pair": "source and destination address",
    "pair-port": "source and destination address, destination port and protocol",
}
"""Prefix of the baselines' names -> what is counted."""
ALL_BENIGN = "all-benign"
NAMES = (*(f"{s}-{rule}" for s in SUBJECTS for rule in ("novelty", "rarity")), ALL_BENIGN)
"""The rows these baselines add to a table, in order."""

UNSEEN: Mapping[str, str] = {
    "source": "the training traffic never had this source",
    "pair": "the training traffic never had this pair of hosts",
    "pair-port": "the training traffic never had this service between these hosts",
}
"""The reason that an alert states, by what was never counted; the first that holds says most."""

NO_PORT = 1 << 16  # a value that no port has: "not TCP or UDP" is a service of its own
NO_PROTOCOL = 1 << 8


class TrainCounts:
    """Counts endpoints over the train range, then scores any flows by them.

    `update` walks through the train range batch by batch. `novelty` is 1 for a key that the train
    range does not have, else 0; `rarity` is -log(1 + count in the train range), at most 0. A flow's
    score never depends on the flows it comes with.

    Example:
        >>> counts = TrainCounts().update(train)
        >>> counts.scores(test)["pair-rarity"]
        array([-1.38629436,  0.        ])
    """

    def __init__(self) -> None:
        self.flows_ = 0
        self._counts = {subject: KeyCounts() for subject in SUBJECTS}
        self._addresses = False

    def update(self, flows: FlowTable) -> Self:
        """Count one batch of the train range; a missing address counts as an address of its own."""
        self.flows_ += len(flows)
        self._addresses |= flows.has_addresses
        for subject, keys in _keys(flows).items():
            self._counts[subject].add(keys)
        return self

    @property
    def absent(self) -> dict[str, str]:
        """Baselines that this train range cannot give, with the reason."""
        if self._addresses or not self.flows_:
            return {}
        return {name: "the flows have no addresses" for name in NAMES if name != ALL_BENIGN}

    def novelty(self, flows: FlowTable) -> Scores:
        """Return `source-novelty` and so on, float64 [flows] each; nothing without addresses."""
        return {
            f"{subject}-novelty": (count == 0).astype(np.float64)
            for subject, count in self._look_up(flows).items()
        }

    def rarity(self, flows: FlowTable) -> Scores:
        """Return `source-rarity` and so on, float64 [flows] each; nothing without addresses."""
        return {
            f"{subject}-rarity": -np.log1p(count) for subject, count in self._look_up(flows).items()
        }

    def scores(self, flows: FlowTable) -> Scores:
        """Return every baseline of `NAMES` that is not `absent`, in order, float64 [flows] each.

        Raises:
            NotFittedError: No train flow was counted.
        """
        found: Scores = {}
        for subject, count in self._look_up(flows).items():
            found[f"{subject}-novelty"] = (count == 0).astype(np.float64)
            found[f"{subject}-rarity"] = -np.log1p(count)
        found[ALL_BENIGN] = np.zeros(len(flows), np.float64)
        return found

    def get_state(self) -> State:
        """Return what a bundle keeps: distinct keys and their counts, never an address in clear."""
        self._require_counted()
        arrays: dict[str, NDArray[Any]] = {}
        for subject, counts in self._counts.items():
            arrays |= {f"{subject}.keys": counts.keys, f"{subject}.counts": counts.counts}
        return State(arrays=arrays, values={"flows": self.flows_, "addresses": self._addresses})

    def set_state(self, state: State) -> Self:
        """Take over what a bundle kept."""
        self.flows_, self._addresses = int(state.values["flows"]), bool(state.values["addresses"])
        self._counts = {
            subject: KeyCounts.restored(
                state.arrays[f"{subject}.keys"], state.arrays[f"{subject}.counts"]
            )
            for subject in SUBJECTS
        }
        return self

    def unseen(self, flows: FlowTable) -> dict[str, NDArray[np.bool_]]:
        """Say what is new about flows: sentence -> bool [flows], one sentence a flow at most."""
        count = self._look_up(flows)
        told = np.zeros(len(flows), np.bool_)
        found = {}
        for subject, sentence in UNSEEN.items():
            if subject in count:
                found[sentence] = (count[subject] == 0) & ~told
                told |= found[sentence]
        return found

    def _require_counted(self) -> None:
        if not self.flows_:
            msg = "The baselines were asked before they had counted the train range."
            raise NotFittedError(msg, do="Call update(flows) with each batch of the train range.")

    def _look_up(self, flows: FlowTable) -> dict[str, NDArray[np.int64]]:
        self._require_counted()
        if self.absent:
            return {}
        return {subject: self._counts[subject].of(keys) for subject, keys in _keys(flows).items()}


def pair_keys(flows: FlowTable) -> NDArray[np.uint64]:
    """Return the key of each flow's (source, destination) address pair, uint64 [flows]."""
    return combine(flow_keys(flows.table["src_ip"]), flow_keys(flows.table["dst_ip"]))


def service_keys(flows: FlowTable) -> NDArray[np.uint64]:
    """Return the key of each flow's destination port and protocol, uint64 [flows]."""
    port = _filled(flows.table["dst_port"], NO_PORT)
    return combine(port, _filled(flows.table["protocol"], NO_PROTOCOL))


def _keys(flows: FlowTable) -> dict[str, NDArray[np.uint64]]:
    pair = pair_keys(flows)
    return {
        "source": flow_keys(flows.table["src_ip"]),
        "pair": pair,
        "pair-port": combine(pair, service_keys(flows)),
    }


def _filled(column: pa.ChunkedArray, missing: int) -> NDArray[np.uint32]:
    values: NDArray[np.uint32] = column.cast(pa.uint32()).fill_null(missing).to_numpy()
    return values
