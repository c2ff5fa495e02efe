"""Encoder `context`: how far a flow is from what its hosts and their service usually exchange.

For each context (a host pair, a source with a service, a destination with a service) the train
range gives a mean and a variance of every feature. A flow's term is the mean over features of
log(1 + z squared) against its context: unusual for these partners, however usual elsewhere. The
logarithm is the shape of a Cauchy likelihood: one wild feature does not drown the others.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netvigil.contracts import EncodedFlows, WindowGraphs, WindowStream, require_reiterable
from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil.key_counts import KeyCounts
from netvigil.parts import PartConfig
from netvigil.protocols import State
from netvigil_scorers.endpoints.subjects import Keys, Subject, subject_keys

NAME = "context"
ROWS = 8192  # flows compared at a time: their z values fit into a core's cache


class ContextConfig(PartConfig):
    """Settings of `context`."""

    contexts: Annotated[tuple[Subject, ...], Field(min_length=1)] = Field(
        ("pair", "source-service", "destination-service"),
        description="what flows are compared within; each becomes a term",
    )
    prior_flows: float = Field(
        5.0,  # a pair seen five times is half itself, half everybody
        gt=0,
        description="how many flows' worth of the overall mean and variance each context starts "
        "with",
    )
    floor: float = Field(
        0.01, gt=0, description="least variance of a feature, in squared units of scaled features"
    )
    most_contexts: int = Field(
        20_000,  # 17 MB of 54 features for each kind of context
        ge=1,
        description="contexts of one kind that are kept, the most frequent; flows of others are "
        "compared with everybody",
    )


class Moments(NamedTuple):
    """What is usual in each context of one kind; the last row is everybody.

    Shapes:
        keys: uint64 [contexts], rising; mean, precision: float32 [contexts + 1, features]
    """

    keys: Keys
    mean: NDArray[np.float32]
    precision: NDArray[np.float32]

    def rows(self, keys: Keys) -> NDArray[np.int64]:
        """Return the row of each key's context, or the last one."""
        return _place(self.keys, keys)


class Context:
    """Compares each flow with the train flows of its context.

    Shapes:
        terms: context -> float32 [flows], 0 for a flow that is its context's mean

    Raises:
        NotFittedError: If `encode` or `get_state` comes before `fit`.
        ContractError: A one-shot iterator, no flows, windows without hosts and services, or with
            other features than in training.

    Example:
        >>> from netvigil.testing.synthetic.windows import windows
        >>> train = windows(4)
        >>> made = Context(ContextConfig(contexts=("pair",))).fit([train], seed=0)
        >>> made.encode(train).terms["pair"].shape == (len(train.flow_id),)
        True
    """

    def __init__(self, config: ContextConfig) -> None:
        self.config = config
        self.features_: tuple[str, ...] = ()
        self._moments: dict[Subject, Moments] = {}

    def fit(self, windows: WindowStream, *, seed: int) -> Self:
        """Count contexts in one pass, sum their features up in another; nothing is random."""
        del seed
        counts = {subject: KeyCounts() for subject in self.config.contexts}
        features: tuple[str, ...] | None = None
        for graphs in require_reiterable(windows):
            features = graphs.feature_names if len(graphs.flow_id) else features
            keys = subject_keys(graphs, encoder=NAME)
            for subject, counted in counts.items():
                counted.add(keys[subject])
        if features is None:
            msg = f"There are no flows to fit '{NAME}' on."
            raise ContractError(msg, do="Widen the train range, or keep more of its flows.")
        sums = {
            subject: _Sums(_frequent(counted, self.config.most_contexts), len(features))
            for subject, counted in counts.items()
        }
        for graphs in windows:
            keys = subject_keys(graphs, encoder=NAME)
            for subject, summed in sums.items():
                summed.add(keys[subject], np.asarray(graphs.flow_x))
        self._moments = {subject: summed.moments(self.config) for subject, summed in sums.items()}
        self.features_ = features
        return self

    def refit(self, windows: WindowStream, *, seed: int) -> Self:
        """Fit on the whole train range, once scorers are calibrated on what was held out."""
        return self.fit(windows, seed=seed)

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        """Compare each flow; its terms depend on nothing but itself."""
        self._require_fit()
        if windows.feature_names != self.features_:
            msg = f"These windows have other features than those that '{NAME}' was fitted on."
            raise ContractError(msg, do="Prepare them with the pipeline of the bundle.")
        keys = subject_keys(windows, encoder=NAME)
        return EncodedFlows(
            flow_id=windows.flow_id,
            window_start=np.repeat(windows.window_start, np.diff(windows.flow_ptr)),
            terms={
                subject: _distance(windows.flow_x, moments, moments.rows(keys[subject]))
                for subject, moments in self._moments.items()
            },
        )

    def get_state(self) -> State:
        """Return the moments of every context."""
        self._require_fit()
        arrays: dict[str, NDArray[np.generic]] = {}
        for subject, moments in self._moments.items():
            arrays |= {f"{subject}.{name}": a for name, a in moments._asdict().items()}
        return State(arrays=arrays, values={"features": list(self.features_)})

    def set_state(self, state: State) -> Self:
        """Take over moments."""
        try:
            self._moments = {
                subject: Moments(*(state.arrays[f"{subject}.{name}"] for name in Moments._fields))
                for subject in self.config.contexts
            }
            self.features_ = tuple(str(name) for name in state.values["features"])
        except KeyError as error:
            msg = f"This is not a state of encoder '{NAME}' with these settings."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.") from error
        return self

    def _require_fit(self) -> None:
        if not self._moments:
            msg = f"'{NAME}' is used before fit."
            raise NotFittedError(msg, do="Call fit, or load a bundle.")


class _Sums:
    """Sums of features and their squares per context, float64 [contexts + 1, features]."""

    def __init__(self, keys: Keys, features: int) -> None:
        self.keys = keys
        self.flows = np.zeros(len(keys) + 1)
        self.first, self.second = np.zeros((2, len(keys) + 1, features))

    def add(self, keys: Keys, x: NDArray[np.float32]) -> None:
        """Add a batch; all of it counts for everybody."""
        row = _place(self.keys, keys)
        order = np.argsort(row, kind="stable")
        for start in range(0, len(order), ROWS):
            here = order[start : start + ROWS]
            values = x[here].astype(np.float64)
            begin = np.flatnonzero(np.append(True, row[here][1:] != row[here][:-1]))
            context = row[here][begin]
            kept = context < len(self.keys)
            for total, part in ((self.first, values), (self.second, values**2)):
                total[context[kept]] += np.add.reduceat(part, begin)[kept]
                total[-1] += part.sum(axis=0)
        self.flows += np.bincount(row, minlength=len(self.flows))

    def moments(self, config: ContextConfig) -> Moments:
        """Return means and precisions, each context drawn towards everybody."""
        total = self.flows.sum()
        mean, second = self.first[-1] / total, self.second[-1] / total
        second = np.maximum(second, mean**2 + config.floor)
        prior, flows = config.prior_flows, self.flows[:-1, None]
        means = np.vstack([(self.first[:-1] + prior * mean) / (flows + prior), mean])
        seconds = np.vstack([(self.second[:-1] + prior * second) / (flows + prior), second])
        variance = np.maximum(seconds - means**2, config.floor)
        return Moments(self.keys, means.astype(np.float32), (1.0 / variance).astype(np.float32))


def _frequent(counts: KeyCounts, most: int) -> Keys:
    """Return the keys seen most often, at most so many, rising; of equal counts the lowest."""
    if len(counts.keys) <= most:
        return counts.keys
    order = np.lexsort((counts.keys, -counts.counts))[:most]
    return np.sort(counts.keys[order])


def _place(known: Keys, keys: Keys) -> NDArray[np.int64]:
    """Return the place of each key among the known ones, or their number where it is not."""
    if not len(known):
        return np.zeros(len(keys), np.int64)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, place, len(known))


def _distance(
    x: NDArray[np.float32], moments: Moments, row: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the mean over features of log(1 + z squared), float32 [flows]."""
    term = np.empty(len(x), np.float32)
    for first in range(0, len(x), ROWS):
        here = slice(first, first + ROWS)
        z = x[here] - moments.mean[row[here]]
        np.square(z, out=z)
        z *= moments.precision[row[here]]
        term[here] = np.log1p(z, out=z).mean(axis=1)
    return term
