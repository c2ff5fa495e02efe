"""Which flows teach, which set the threshold, which are only tested.

A split gives every flow one role. The default cuts the time axis; a flow that reaches over the next
part's beginning, or starts in the purge gap, has no role, because its counters were still growing
when that part began.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netvigil import config
from netvigil.errors import ConfigError, RunError
from netvigil.repeats import first_copies
from netvigil.store import FlowStore

UNUSED, TRAIN, CALIBRATE, TEST, REPEATED = 0, 1, 2, 3, 4
SHUFFLED = frozenset({"paper-shuffled", "paper-stratified"})
"""Protocols by which a model learns from flows that come after some it is tested on."""
BENIGN = 1
"""The class of benign flows in `Truth.classes`."""
CLOCKLESS = frozenset({"rows", "paper-stratified"})
"""Protocols that need no clock."""
ROLES = {"train": TRAIN, "calibrate": CALIBRATE, "test": TEST}


@dataclass(frozen=True)
class Split:
    """The role of every flow of a store.

    Shapes:
        role: int8 [flows], in the store's order: 0 unused, 1 train, 2 calibrate, 3 test, 4 left out
            as it repeats an earlier flow
        start_us: int64 [flows], or None without a clock

    `repeats` counts exact repeats of an earlier flow, `repeats_across` those of them that stand in
    another part than their first copy; None where nobody looked.
    """

    role: NDArray[np.int8]
    start_us: NDArray[np.int64] | None
    settings: dict[str, Any]
    repeats: int | None = None
    repeats_across: int | None = None

    def describe(self) -> dict[str, Any]:
        """Return the settings, and of each part the number of flows, first and last start."""
        parts = {name: self._part(code) for name, code in ROLES.items()}
        unused = int(np.sum(self.role == UNUSED))
        return {**self.settings, "parts": parts, "unused": unused}

    def require(self, name: str) -> None:
        """Raise `RunError` where a part is empty."""
        if not np.any(self.role == ROLES[name]):
            msg = f"The split leaves no flow in its {name} part."
            counts = ", ".join(f"{n}: {np.sum(self.role == c):,}" for n, c in ROLES.items())
            raise RunError(msg, where=f"[split] {self.settings} -> {counts}", do=_ADVICE)

    def duration_s(self, name: str) -> float | None:
        """Return the time from the first to the last start of a part, or None without a clock."""
        if self.start_us is None:
            return None
        inside = self.start_us[self.role == ROLES[name]]
        return float(inside[-1] - inside[0]) / 1e6 if len(inside) else 0.0

    def _part(self, code: int) -> dict[str, Any]:
        inside = self.role == code
        part: dict[str, Any] = {"flows": int(inside.sum())}
        if self.start_us is not None and part["flows"]:
            times = self.start_us[inside]
            part |= {"first": iso(int(times[0])), "last": iso(int(times[-1]))}
        return part


_ADVICE = (
    "Move the fractions, set axis = 'flows' where traffic comes in bursts, or give ranges; "
    "`netvigil data inspect` shows the source's time range."
)


def make_split(
    settings: config.Split,
    store: FlowStore,
    *,
    classes: NDArray[np.int64] | None = None,
    tested: NDArray[np.bool_] | None = None,
) -> Split:
    """Give each flow of a store its role; exact repeats of an earlier flow are found where asked.

    Shapes:
        classes: int64 [flows], the class of each flow as `Truth.classes` numbers them; read by
            `paper-stratified` only
        tested: bool [flows], those of a test source, or None where the test part is cut off the
            source itself; with it, what would be cut off has no role

    Raises:
        ConfigError: A protocol that needs a clock on a source without one, or ranges that overlap.
    """
    split = _deal(settings, store, classes, tested)
    if settings.duplicates == "ignore":
        return split
    first = first_copies(store)
    again = first != np.arange(len(first))
    across = again & (split.role != split.role[first])
    # The first copy keeps the role that its place gives it, so what is later never decides.
    left = np.where(again, np.int8(REPEATED), split.role)
    return replace(
        split,
        role=left if settings.duplicates == "drop" else split.role,
        repeats=int(again.sum()),
        repeats_across=int(across.sum()),
    )


def _deal(
    settings: config.Split,
    store: FlowStore,
    classes: NDArray[np.int64] | None,
    tested: NDArray[np.bool_] | None,
) -> Split:
    """Divide the source; a test source has its role already."""
    start = _start_of(store)
    if start is None and settings.protocol not in CLOCKLESS:
        msg = f"Flows read as '{store.info.format}' have no clock and cannot be split by time."
        do = "Set split.protocol = 'rows'; it cuts by row order, and the receipt says so."
        raise ConfigError(msg, where=f"split.protocol = '{settings.protocol}'", do=do)
    end = None
    if settings.protocol in {"time", "ranges"}:
        end = store.column("end").cast("int64").to_numpy()
    if tested is None:
        return _divide(settings, len(store), start, end, classes)
    own = ~tested
    some = _divide(
        settings,
        int(own.sum()),
        None if start is None else start[own],
        None if end is None else end[own],
        None if classes is None else classes[own],
    )
    role = np.full(len(store), TEST, np.int8)
    role[own] = np.where(some.role == TEST, UNUSED, some.role)
    return Split(role, start, some.settings)


def _divide(
    settings: config.Split,
    rows: int,
    start: NDArray[np.int64] | None,
    end: NDArray[np.int64] | None,
    classes: NDArray[np.int64] | None,
) -> Split:
    if settings.protocol == "paper-stratified":
        return _stratified(settings, classes, start)
    if settings.protocol == "rows" or start is None:
        return _rows(settings, rows, start)
    if settings.protocol == "paper-shuffled":
        return _shuffled(settings, start)
    assert end is not None
    if settings.protocol == "ranges":
        return _ranges(settings, start, end)
    return _by_time(settings, start, end)


def iso(us: int) -> str:
    """Return a time as ISO 8601 in UTC, for people."""
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds")


def _by_time(settings: config.Split, start: NDArray[np.int64], end: NDArray[np.int64]) -> Split:
    shares = np.array([settings.train, settings.train + settings.calibrate])
    if settings.axis == "time":
        span = int(start[-1]) - int(start[0])
        cuts = (start[0] + np.round(shares * span)).astype(np.int64)
    else:
        cuts = start[np.minimum(np.round(shares * len(start)).astype(np.int64), len(start) - 1)]
    if shares[1] >= 1:
        cuts[1] = start[-1] + 1  # nothing is left to test: the last flow has its role too
    purge = round(settings.purge_s * 1e6)
    first, second = (int(c) for c in cuts)
    role = np.full(len(start), UNUSED, np.int8)
    role[(start < first) & (end < first + max(purge, 1))] = TRAIN
    role[(start >= first + purge) & (start < second) & (end < second + max(purge, 1))] = CALIBRATE
    role[start >= second + purge] = TEST
    described = {
        "protocol": "time",
        "axis": settings.axis,
        "train": settings.train,
        "calibrate": settings.calibrate,
        "purge_s": settings.purge_s,
        "cuts": [iso(first), iso(second)],
    }
    return Split(role, start, described)


def _ranges(settings: config.Split, start: NDArray[np.int64], end: NDArray[np.int64]) -> Split:
    role = np.full(len(start), UNUSED, np.int8)
    described: dict[str, Any] = {"protocol": "ranges"}
    taken: list[tuple[int, int]] = []
    for name, code in ROLES.items():
        pair = getattr(settings, f"{name}_range")
        low, high = (_microseconds(text, f"split.{name}_range") for text in pair)
        inside = (start >= low) & (start < high)
        if low >= high or any(low < b and a < high for a, b in taken):
            msg = f"The range of the {name} part is empty or overlaps another."
            raise ConfigError(msg, where=f"split.{name}_range = {list(pair)}")
        taken.append((low, high))
        # What learns must not see a flow that ends after its own part does.
        role[inside & ((end < high) if code != TEST else True)] = code
        described[f"{name}_range"] = list(pair)
    return Split(role, start, described)


def _shuffled(settings: config.Split, start: NDArray[np.int64]) -> Split:
    window = start // round(settings.window_s * 1e6)
    numbers, place = np.unique(window, return_inverse=True)
    order = np.random.default_rng(settings.seed).permutation(len(numbers))
    cuts = np.round(np.cumsum([settings.train, settings.calibrate]) * len(numbers)).astype(np.int64)
    role_of = np.full(len(numbers), TEST, np.int8)
    role_of[order[: cuts[0]]] = TRAIN
    role_of[order[cuts[0] : cuts[1]]] = CALIBRATE
    described = {
        "protocol": "paper-shuffled",
        "window_s": settings.window_s,
        "train": settings.train,
        "calibrate": settings.calibrate,
        "seed": settings.seed,
        "warning": "windows are dealt out at random: a model sees the future",
    }
    return Split(role_of[place], start, described)


def _stratified(
    settings: config.Split, classes: NDArray[np.int64] | None, start: NDArray[np.int64] | None
) -> Split:
    """Deal the flows of each class out at random, in equal shares."""
    if classes is None or len(np.unique(classes)) < 2:
        msg = "A stratified split needs flows of several labelled classes."
        raise ConfigError(
            msg, where="split.protocol = 'paper-stratified'", do="Check the [labels] section."
        )
    dealt = _as_scikit_learn if settings.dice == "scikit-learn" else _by_rank
    described = {
        "protocol": "paper-stratified",
        "dice": settings.dice,
        "dealt_first": settings.dealt_first,
        "train": settings.train,
        "calibrate": settings.calibrate,
        "seed": settings.seed,
        "warning": "flows are dealt out at random within each attack class: the split reads "
        "labels, and a model sees the future",
    }
    return Split(dealt(settings, classes), start, described)


def _by_rank(settings: config.Split, classes: NDArray[np.int64]) -> NDArray[np.int8]:
    """Give each flow a random rank within its class, and cut the ranks."""
    dice = np.random.default_rng(settings.seed).permutation(len(classes))
    order = np.lexsort((dice, classes))
    _, first, sizes = np.unique(classes[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, sizes)
    cuts = [np.round(s * sizes) for s in (settings.train, settings.train + settings.calibrate)]
    before_test = np.where(rank < np.repeat(cuts[0], sizes), TRAIN, CALIBRATE)
    role = np.empty(len(order), np.int8)
    role[order] = np.where(rank < np.repeat(cuts[1], sizes), before_test, TEST)
    return role


def _as_scikit_learn(settings: config.Split, classes: NDArray[np.int64]) -> NDArray[np.int8]:
    """Deal as `train_test_split(rows, stratify=classes, random_state=seed)` does.

    First the test part, then the calibration part from what is left.

    Raises:
        ConfigError: A class too small to be dealt out, in scikit-learn's words.
    """
    from sklearn.model_selection import train_test_split

    # Shares are decimals; 1 - 0.7 as a float is more than 0.3, and scikit-learn rounds up.
    if settings.dealt_first == "attacks":
        classes = np.where(classes == BENIGN, classes.max() + 1, classes)
    test = round(1 - settings.train - settings.calibrate, 12)
    shares = ((TEST, test), (CALIBRATE, round(settings.calibrate / (1 - test), 12)))
    role = np.full(len(classes), TRAIN, np.int8)
    left = np.arange(len(classes))
    for code, share in shares:
        if share <= 0:
            continue
        try:
            left, dealt = train_test_split(
                left, test_size=share, stratify=classes[left], random_state=settings.seed
            )
        except ValueError as error:
            msg = "A class has too few flows for a stratified split by scikit-learn's dice."
            do = "Leave split.dice out: netvigil's deals classes of any size."
            raise ConfigError(msg, where=" ".join(str(error).split()), do=do) from error
        role[dealt] = code
    return role


def _start_of(store: FlowStore) -> NDArray[np.int64] | None:
    if store.info.time_basis != "clock":
        return None
    start: NDArray[np.int64] = store.column("start").cast("int64").to_numpy()
    return start


def _rows(settings: config.Split, rows: int, start: NDArray[np.int64] | None) -> Split:
    first, second = (
        round(share * rows) for share in (settings.train, settings.train + settings.calibrate)
    )
    role = np.full(rows, TEST, np.int8)
    role[:first], role[first:second] = TRAIN, CALIBRATE
    described = {"protocol": "rows", "train": settings.train, "calibrate": settings.calibrate}
    return Split(role, start, described)


def _microseconds(text: str, where: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"'{text}' is not an ISO 8601 time."
        raise ConfigError(
            msg, where=where, do="Write 2023-03-10T10:29:34 or with an offset."
        ) from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1e6)
