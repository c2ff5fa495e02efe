"""Encoder `rarity`: how seldom the train range had a flow's source, pair, service, as terms.

The same counts as the rule baselines of every table (`netvigil.baselines`), with services added, as
one encoder among others: what flows do and who does it are different questions, and on real data
each finds attacks that the other misses.
"""

from __future__ import annotations

from typing import Annotated, Any, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netvigil.contracts import EncodedFlows, WindowGraphs, WindowStream
from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil.key_counts import KeyCounts
from netvigil.parts import PartConfig
from netvigil.protocols import State
from netvigil_scorers.endpoints.subjects import Subject, subject_keys

NAME = "rarity"


class RarityConfig(PartConfig):
    """Settings of `rarity`."""

    subjects: Annotated[tuple[Subject, ...], Field(min_length=1)] = Field(
        get_args(Subject), description="what is counted; each becomes a term"
    )


class Rarity:
    """Counts endpoints over the train range; a term is -log(1 + count there), at most 0.

    Shapes:
        terms: subject -> float32 [flows], 0 where the train range never had it

    Raises:
        NotFittedError: If `encode` or `get_state` comes before `fit`.
        ContractError: No flows to fit on, or windows without hosts and services.

    Example:
        >>> from netvigil.testing.synthetic.windows import windows
        >>> train = windows(4)
        >>> made = Rarity(RarityConfig(subjects=("pair",))).fit([train], seed=0)
        >>> bool((made.encode(train).terms["pair"] < 0).all())
        True
    """

    def __init__(self, config: RarityConfig) -> None:
        self.config = config
        self._counts: dict[Subject, KeyCounts] = {}

    def fit(self, windows: WindowStream, *, seed: int) -> Self:
        """Count in one pass; nothing here is random."""
        del seed
        counts = {subject: KeyCounts() for subject in self.config.subjects}
        flows = 0
        for graphs in windows:
            flows += len(graphs.flow_id)
            keys = subject_keys(graphs, encoder=NAME)
            for subject, counted in counts.items():
                counted.add(keys[subject])
        if not flows:
            msg = f"There are no flows to fit '{NAME}' on."
            raise ContractError(msg, do="Widen the train range, or keep more of its flows.")
        self._counts = counts
        return self

    def refit(self, windows: WindowStream, *, seed: int) -> Self:
        """Fit on the whole train range, once scorers are calibrated on what was held out."""
        return self.fit(windows, seed=seed)

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        """Look each flow up; its terms depend on nothing but itself."""
        if not self._counts:
            msg = f"'{NAME}' is used before fit."
            raise NotFittedError(msg, do="Call fit, or load a bundle.")
        keys = subject_keys(windows, encoder=NAME)
        return EncodedFlows(
            flow_id=windows.flow_id,
            window_start=np.repeat(windows.window_start, np.diff(windows.flow_ptr)),
            terms={
                subject: -np.log1p(counted.of(keys[subject])).astype(np.float32)
                for subject, counted in self._counts.items()
            },
        )

    def get_state(self) -> State:
        """Return the distinct keys and their counts."""
        if not self._counts:
            msg = f"'{NAME}' has not been fitted."
            raise NotFittedError(msg, do="Call fit first, or load a fitted bundle.")
        arrays: dict[str, NDArray[Any]] = {}
        for subject, counted in self._counts.items():
            arrays |= {f"{subject}.keys": counted.keys, f"{subject}.counts": counted.counts}
        return State(arrays=arrays)

    def set_state(self, state: State) -> Self:
        """Take over keys and counts."""
        try:
            self._counts = {
                subject: KeyCounts.restored(
                    state.arrays[f"{subject}.keys"], state.arrays[f"{subject}.counts"]
                )
                for subject in self.config.subjects
            }
        except KeyError as error:
            msg = f"This is not a state of encoder '{NAME}' with these settings."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.") from error
        return self
