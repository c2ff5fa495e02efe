"""Labels in a store's order, and the runner's only uses of them before evaluation.

Training on benign traffic only *is* a use of labels. It happens here, and every receipt prints it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from netvigil import config
from netvigil.contracts import LABELS, AlignedLabels, FlowTable, LabelTable
from netvigil.errors import RunError, SourceError
from netvigil.protocols import FlowLabeller, MatchingLabeller
from netvigil.splits import TRAIN, Split
from netvigil.store import FlowStore

UNKNOWN, BENIGN, ATTACK = 0, 1, 2


@dataclass(frozen=True)
class Truth:
    """What is known about every flow of a store.

    Shapes:
        state: int8 [flows]: 0 unknown, 1 benign, 2 attack
        attack: int32 [flows], place in `names`; -1 where there is none
    """

    state: NDArray[np.int8]
    attack: NDArray[np.int32]
    names: tuple[str, ...]

    def aligned(self, rows: NDArray[np.bool_]) -> AlignedLabels:
        """Return the labels of the chosen rows of the store."""
        state, attack = self.state[rows], self.attack[rows]
        names = np.array([*self.names, ""], dtype=str)  # the last one stands for -1
        return AlignedLabels(state != UNKNOWN, state == ATTACK, names[attack])

    def classes(self) -> NDArray[np.int64]:
        """Return each flow's class as a number: 0 unknown, 1 benign, 2 an attack without a name.

        Attacks with a name follow, in the order of their names.
        """
        named = np.argsort(np.argsort(np.array(self.names, dtype=str), kind="stable"))
        rank = np.append(named, -1).astype(np.int64)  # the last one stands for -1
        return np.where(self.state == ATTACK, rank[self.attack] + 3, self.state.astype(np.int64))

    def table(self, store: FlowStore) -> LabelTable:
        """Return the known flows' labels with their ids."""
        known = self.state != UNKNOWN
        aligned = self.aligned(known)
        ids = store.column("flow_id").to_numpy()[known]
        return LabelTable.of(ids, aligned.is_attack, pa.array(aligned.attack, pa.string()))

    @staticmethod
    def unknown(flows: int) -> Truth:
        """Return the truth of a source without labels."""
        return Truth(np.zeros(flows, np.int8), np.full(flows, -1, np.int32), ())


def labels_of(store: FlowStore, labeller: FlowLabeller) -> Iterator[tuple[FlowTable, LabelTable]]:
    """Yield each batch of a store with its labels."""
    lookup = _InlineLookup(store.inline())
    for flows in store.batches():
        yield flows, labeller.label(flows, lookup.rows(flows.flow_id))


def label_store(
    store: FlowStore, labeller: FlowLabeller, *, progress: Callable[[int], None] | None = None
) -> Truth:
    """Label every flow of a store.

    Raises:
        SourceError: None of the labeller's truth met a flow.
        RunError: The labeller knows none of the flows.
    """
    states, attacks = [], []
    names: dict[str, int] = {}
    for flows, labels in labels_of(store, labeller):
        aligned = labels.align(flows.flow_id)
        states.append(np.where(aligned.is_attack, ATTACK, aligned.known).astype(np.int8))
        distinct, place = np.unique(aligned.attack, return_inverse=True)
        codes = np.array([names.setdefault(n, len(names)) if n else -1 for n in distinct.tolist()])
        attacks.append(codes[place].astype(np.int32))
        if progress:
            progress(len(flows))
    if isinstance(labeller, MatchingLabeller):
        labeller.require_matches()
    truth = Truth(np.concatenate(states), np.concatenate(attacks), tuple(names))
    if not truth.state.any():
        msg = f"The labels say nothing about any of the {len(truth.state):,} flows."
        do = "Check the label file's times (offset_s, tolerance_s), addresses and mapping."
        raise RunError(msg, where=type(labeller).__name__, do=do)
    return truth


def write_labels(truth: Truth, store: FlowStore, path: Path) -> None:
    """Write the known flows' labels as a Parquet `LabelTable`."""
    pq.write_table(truth.table(store).table, path, compression="lz4")


def read_labels(path: Path) -> LabelTable:
    """Read a label file that netvigil wrote.

    Raises:
        SourceError: This is not one.
    """
    try:
        return LabelTable(pq.read_table(path, read_dictionary=["attack"]).cast(LABELS))
    except (pa.ArrowException, OSError, ValueError) as error:
        msg = "This is not a netvigil label file."
        do = "Write one with `netvigil data label`."
        raise SourceError(msg, where=f"{path}: {error}", do=do) from error


class StoredLabels:
    """The labeller `table`: looks flows up in a label file by their id.

    Flow ids count the rows of one source, so the file must be of the same source; nothing can check
    that.
    """

    def __init__(self, path: Path) -> None:
        table = read_labels(path).table
        order = np.argsort(table["flow_id"].to_numpy(), kind="stable")
        self._table = table.take(pa.array(order))
        self._ids = self._table["flow_id"].to_numpy()

    def label(self, flows: FlowTable, inline: pa.Table | None) -> LabelTable:
        """Return the stored labels of these flows."""
        del inline
        return self.of(flows.flow_id)

    def of(self, flow_id: NDArray[np.int64]) -> LabelTable:
        """Return the stored labels of the flows with these ids."""
        if not len(self._ids):
            return LabelTable.empty()
        place = np.minimum(np.searchsorted(self._ids, flow_id), len(self._ids) - 1)
        return LabelTable(self._table.take(pa.array(place[self._ids[place] == flow_id])))


@dataclass(frozen=True)
class TrainFilter:
    """Which flows of the train part stay, and what that did to the attack share."""

    keep: NDArray[np.bool_]
    before: float
    after: float
    dropped_attacks: int
    dropped_benign: int


def train_filter(settings: config.Train, split: Split, truth: Truth) -> TrainFilter:
    """Apply the contamination settings to the train part.

    Shapes:
        keep: bool [flows] over the whole store; true exactly for the flows to train on

    Raises:
        RunError: The target share cannot be reached, or nothing is left.
    """
    train = split.role == TRAIN
    attack = train & (truth.state == ATTACK)
    keep = train.copy()
    rng = np.random.default_rng(settings.seed)
    if settings.uses_labels and not np.any(truth.state[train]):
        msg = "Settings of [train] read labels, but no flow of the train part is labelled."
        raise RunError(msg, do="Add a [labels] section, or take the settings out.")
    if settings.drop_attacks:
        keep &= ~attack
    if settings.benign_window_keep < 1:
        keep &= _keep_benign_windows(settings, split, attack, train, rng)
    if settings.target_contamination is not None:
        keep &= _reach(settings.target_contamination, keep & attack, keep & ~attack, rng)
    if not keep.any():
        msg = "No flow is left to train on."
        raise RunError(msg, where=f"[train] {settings}")
    return TrainFilter(
        keep=keep,
        before=_share(attack, train),
        after=_share(attack & keep, keep),
        dropped_attacks=int((attack & ~keep).sum()),
        dropped_benign=int((train & ~attack & ~keep).sum()),
    )


def _keep_benign_windows(
    settings: config.Train,
    split: Split,
    attack: NDArray[np.bool_],
    train: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Keep a share of the windows without an attack, and every window with one (AutoGraphAD)."""
    if split.start_us is None:
        msg = "benign_window_keep needs a clock, and this source has none."
        raise RunError(msg, do="Use target_contamination, which counts flows.")
    window = split.start_us // round(settings.window_s * 1e6)
    numbers, place = np.unique(window[train], return_inverse=True)
    hit = np.zeros(len(numbers), np.bool_)
    hit[place[attack[train]]] = True
    clean = np.flatnonzero(~hit)
    kept = rng.choice(clean, size=round(settings.benign_window_keep * len(clean)), replace=False)
    hit[kept] = True
    keep = train.copy()
    keep[train] = hit[place]
    return keep


def _reach(
    target: float, attack: NDArray[np.bool_], benign: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Keep as many flows as possible so that attacks make up the target share."""
    attacks, benigns = int(attack.sum()), int(benign.sum())
    if not attacks or not benigns:
        msg = f"An attack share of {target:.2%} needs attacks and benign flows in the train part."
        raise RunError(msg, where=f"attacks: {attacks:,}, others: {benigns:,}")
    wanted_benign = round(attacks * (1 - target) / target)
    if wanted_benign <= benigns:
        return attack | _sample(benign, wanted_benign, rng)
    wanted_attacks = round(benigns * target / (1 - target))
    if not wanted_attacks:
        msg = f"An attack share of {target:.2%} is less than one attack among the other flows."
        raise RunError(msg, where=f"others: {benigns:,}", do="Raise train.target_contamination.")
    return benign | _sample(attack, wanted_attacks, rng)


def _sample(mask: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    kept = np.zeros(len(mask), np.bool_)
    kept[rng.choice(np.flatnonzero(mask), size=count, replace=False)] = True
    return kept


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else 0.0


class _InlineLookup:
    """Finds the label text of some flows by a sorted search: readers number flows upwards."""

    def __init__(self, inline: pa.Table | None) -> None:
        self.inline = inline
        self.ids = inline["flow_id"].to_numpy() if inline is not None else None

    def rows(self, flow_id: NDArray[np.int64]) -> pa.Table | None:
        if self.inline is None or self.ids is None:
            return None
        if not len(self.ids):
            return self.inline
        if not np.all(self.ids[1:] > self.ids[:-1]):
            order = np.argsort(self.ids, kind="stable")
            self.inline, self.ids = self.inline.take(pa.array(order)), self.ids[order]
        place = np.minimum(np.searchsorted(self.ids, flow_id), len(self.ids) - 1)
        return self.inline.take(pa.array(place[self.ids[place] == flow_id]))
