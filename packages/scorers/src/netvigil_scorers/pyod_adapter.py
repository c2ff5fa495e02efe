"""PyOD's and scikit-learn's detectors as netvigil scorers: one table, one adapter.

Every convention is translated here. The libraries are asked only to fit; what they learnt is read
out as a formula (`netvigil_scorers.formulas`), which scores blocks of one fixed shape. So no
`contamination` or `threshold_` ever cuts anything, a flow's score never depends on its companions
(unless the detector is `transductive`), and a bundle holds arrays instead of detectors. To add a
detector, write its config and one line of `DETECTORS`; with `formulas.Held` it is kept whole.
"""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import EncodedFlows, ScoreTable
from netvigil.errors import ContractError, NotFittedError
from netvigil.protocols import State
from netvigil_scorers import detector_configs as configs
from netvigil_scorers import formulas, sklearn_configs
from netvigil_scorers.formulas.formula import Formula, from_state, in_blocks, to_state

T = TypeVar("T", bound=np.generic)
log = logging.getLogger("netvigil.scorers")
LEAST_FLOWS = 2  # one flow has neither spread nor neighbours


@dataclass(frozen=True)
class Detector:
    """One line of the table: where the detector's class is, and how its result is read.

    `trusted_types` is what skops may find in the formula's estimators, where it has any. A detector
    that draws no random numbers is not `seeded`: every seed gives it the same model, and the same
    sample of flows where `fit_rows` calls for one. A `transductive` one ranks a batch as a whole.
    `fits_on` is what it is handed to learn from; float32 spares a copy of all flows.
    """

    name: str
    source: str
    config: type[configs.DetectorConfig]
    formula: type[Formula] = formulas.Held
    trusted_types: tuple[str, ...] = ()
    seeded: bool = True
    transductive: bool = False
    fits_on: type[np.floating[Any]] = np.float64


TREES = ("sklearn.tree._tree.Tree",)

DETECTORS = (
    Detector("pca", "pyod.models.pca:PCA", configs.PcaConfig, formulas.Pca, seeded=False),
    Detector("hbos", "pyod.models.hbos:HBOS", configs.HbosConfig, formulas.Hbos, seeded=False),
    Detector("cblof", "pyod.models.cblof:CBLOF", configs.CblofConfig, formulas.Cblof),
    Detector(
        "iforest", "pyod.models.iforest:IForest", configs.IForestConfig, formulas.Forest, TREES
    ),
    Detector("knn", "pyod.models.knn:KNN", configs.KnnConfig, formulas.Distance, seeded=False),
    Detector("lof", "pyod.models.lof:LOF", configs.LofConfig, formulas.Density, seeded=False),
    Detector(
        "ocsvm", "pyod.models.ocsvm:OCSVM", configs.OcsvmConfig, formulas.Kernel, seeded=False
    ),
    Detector("mcd", "pyod.models.mcd:MCD", configs.McdConfig, formulas.Mahalanobis),
    Detector("gmm", "pyod.models.gmm:GMM", configs.GmmConfig, formulas.Mixture),
    Detector(
        "dbscan",
        "sklearn.cluster:DBSCAN",
        sklearn_configs.DbscanConfig,
        formulas.Dbscan,
        seeded=False,
    ),
    Detector(
        "hdbscan",
        "sklearn.cluster:HDBSCAN",
        sklearn_configs.HdbscanConfig,
        formulas.Hdbscan,
        seeded=False,
    ),
    Detector(
        "elliptic-envelope",
        "sklearn.covariance:EllipticEnvelope",
        sklearn_configs.EllipticEnvelopeConfig,
        formulas.Envelope,
    ),
    Detector(
        "nystroem-ocsvm",
        "sklearn.linear_model:SGDOneClassSVM",
        sklearn_configs.NystroemOcsvmConfig,
        formulas.Nystroem,
        fits_on=np.float32,
    ),
    Detector(
        "ecod",
        "pyod.models.ecod:ECOD",
        sklearn_configs.EcodConfig,
        formulas.Ecod,
        seeded=False,
        transductive=True,
    ),
    Detector(
        "copod",
        "pyod.models.copod:COPOD",
        sklearn_configs.CopodConfig,
        formulas.Copod,
        seeded=False,
        transductive=True,
    ),
)


class PyodScorer:
    """A detector of the table behind netvigil's `Scorer` protocol.

    Where flows share encodings (`encoded.row`), each encoding is scored once; the scores are those
    of the encoding written out, bit for bit.

    Shapes:
        encoded.embedding: float32 [flows, dim], or [rows, dim] with `row`, any scale
        score: float64 [flows], higher means more anomalous, no fixed range

    Raises:
        NotFittedError: If `score` or `get_state` comes before `fit`.
        ContractError: No embedding; another `dim` than in training; flows the detector cannot be
            fitted on, with its own reason.

    Example:
        >>> import numpy as np
        >>> from netvigil.contracts import EncodedFlows
        >>> x = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
        >>> flows = EncodedFlows(np.arange(300), np.zeros(300, np.int64), embedding=x)
        >>> detector = DETECTORS[1]
        >>> PyodScorer(detector, detector.config()).fit(flows, seed=0).score(flows).score.shape
        (300,)
    """

    def __init__(self, detector: Detector, config: Any) -> None:
        self.detector, self.config = detector, config
        self.formula_: Formula | None = None
        self.dim_ = 0

    def fit(self, encoded: EncodedFlows, *, seed: int) -> Self:
        """Fit on the embedding of the train range, or a seeded sample of it (`fit_rows`).

        The sample is one of flows, not of distinct encodings: an encoding that many flows share
        counts as often as they do. Only the sample is written out (`shared_rows`).
        """
        seed = seed if self.detector.seeded else 0
        rows = self._sample(self._embedding(encoded), encoded.row, seed)
        detector = self._make(len(rows), seed)
        try:
            with _told_to_the_log(self.detector.name):
                formula = self.detector.formula.learn(detector, rows, self.config)
        except ValueError as error:
            reason = " ".join(str(error).split())
            msg = f"Scorer '{self.detector.name}' cannot be fitted on these {len(rows):,} flows."
            raise ContractError(
                msg, where=reason, do="Change its settings, or use another scorer."
            ) from error
        self.formula_, self.dim_ = formula, rows.shape[1]
        return self

    def score(self, encoded: EncodedFlows) -> ScoreTable:
        """Score each flow by itself, the same bits in any company, unless it is transductive."""
        formula = self._fitted()
        score = self._measured(encoded, formula.score, np.float64)
        return ScoreTable(flow_id=encoded.flow_id, score=score, window_start=encoded.window_start)

    def _measured(
        self,
        encoded: EncodedFlows,
        measure: Callable[[NDArray[np.float32]], NDArray[Any]],
        kind: type[T],
    ) -> NDArray[T]:
        """Measure each flow, or each encoding that flows share."""
        rows = self._embedding(encoded)
        if rows.shape[1] != self.dim_:
            name = self.detector.name
            msg = f"Scorer '{name}' was fitted on {self.dim_} features, not {rows.shape[1]}."
            raise ContractError(msg, do="Encode with the pipeline it was fitted with.")
        row = encoded.row
        if row is not None and (self.detector.transductive or len(rows) > len(row)):
            # Companions count as often as they occur; or of few flows, most encodings are nobody's.
            rows, row = rows[row], None
        measured = in_blocks(self._fitted(), rows, measure, kind)
        return measured if row is None else measured[row]

    def get_state(self) -> State:
        """Return the formula: arrays and plain values, and for a few detectors an estimator."""
        return to_state(self._fitted(), dim=self.dim_)

    def set_state(self, state: State) -> Self:
        """Take over a formula."""
        kind = self.detector.formula
        self.formula_, self.dim_ = from_state(kind, state, name=self.detector.name)
        return self

    def _fitted(self) -> Formula:
        if self.formula_ is None:
            msg = f"Scorer '{self.detector.name}' has not been fitted."
            raise NotFittedError(msg, do="Call fit first, or load a fitted bundle.")
        return self.formula_

    def _embedding(self, encoded: EncodedFlows) -> NDArray[np.float32]:
        if (
            encoded.embedding is None
            or encoded.embedding.ndim != 2
            or not encoded.embedding.shape[1]
        ):
            msg = f"Scorer '{self.detector.name}' needs an embedding [flows, dim]."
            have = (
                f"This encoding holds the terms {', '.join(encoded.terms)}."
                if encoded.terms
                else ""
            )
            raise ContractError(
                msg, where=have, do="Use an encoder that emits one, or weighted-terms."
            )
        return encoded.embedding.astype(np.float32, copy=False)

    def _sample(
        self, rows: NDArray[np.float32], row: NDArray[np.int64] | None, seed: int
    ) -> NDArray[Any]:
        """Write out the flows to fit on, [sample, dim]."""
        flows = len(rows) if row is None else len(row)
        if flows < LEAST_FLOWS:
            msg = f"Scorer '{self.detector.name}' cannot be fitted on {flows} flows."
            raise ContractError(
                msg, do=f"It needs at least {LEAST_FLOWS}; give training a larger part."
            )
        cap = self.config.most_rows(shared=row is not None)
        if cap is not None and flows > cap:
            chosen = np.sort(np.random.default_rng(seed).choice(flows, cap, replace=False))
            rows = rows[chosen if row is None else row[chosen]]
        elif row is not None:
            rows = rows[row]
        return rows.astype(self.detector.fits_on, copy=False)

    def _make(self, rows: int, seed: int) -> Any:
        module, _, name = self.detector.source.partition(":")
        kind = getattr(import_module(module), name)
        settings = self.config.settings(rows)
        if "random_state" in inspect.signature(kind).parameters:
            settings["random_state"] = seed % 2**32  # the seeds scikit-learn takes
        return kind(**settings)


class ClusterScorer(PyodScorer):
    """A detector whose formula is made of clusters; implements `netvigil.protocols.Clustering`."""

    def clusters(self, encoded: EncodedFlows) -> NDArray[np.int64]:
        """Return each flow's cluster, int64 [flows], -1 where it is in none."""
        formula = self._fitted()
        assert isinstance(formula, formulas.Clusters)
        return self._measured(encoded, formula.assign, np.int64)


def scorer_of(detector: Detector) -> type[PyodScorer]:
    """Return the class of scorers for this line of the table."""
    return ClusterScorer if issubclass(detector.formula, formulas.Clusters) else PyodScorer


@contextmanager
def _told_to_the_log(name: str) -> Iterator[None]:
    """Turn what PyOD and scikit-learn warn about into log lines."""
    with warnings.catch_warnings(record=True, action="always") as caught, np.errstate(all="ignore"):
        yield
    for warning in caught or ():
        log.info("%s: %s", name, " ".join(str(warning.message).split()))
