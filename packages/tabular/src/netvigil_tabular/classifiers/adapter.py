"""`TabularClassifier`: a line of the table behind netvigil's `Classifier` protocol."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from netvigil.contracts import EncodedFlows, LabelTable, WindowGraphs, WindowStream
from netvigil.errors import BundleError, ContractError, NotFittedError
from netvigil.protocols import State, Watch
from netvigil_tabular.classifiers.rows import labelled_rows
from netvigil_tabular.classifiers.table import Kind
from netvigil_tabular.classifiers.taught import Taught


class TabularClassifier:
    """Learns classes from flows' own features; graphs around them count for nothing.

    Shapes:
        windows.flow_x: float32 [flows, features], any finite numbers
        classify: one term per class, float32 [flows], `benign` first; the terms of a flow add up to
            1 and are the same bits in any company

    Raises:
        NotFittedError: If `classify` or `get_state` comes before `fit`.
        ContractError: Labels of one class only; rows that the model cannot be fitted on; windows
            with other features than in training.

    Example:
        >>> import numpy as np, pyarrow as pa
        >>> from netvigil.testing.synthetic.windows import windows
        >>> flows = windows(3, seed=0, schema="flows-only")
        >>> truth = np.arange(len(flows.flow_id)) % 3 == 0
        >>> labels = LabelTable.of(flows.flow_id, truth, pa.nulls(len(truth), pa.string()))
        >>> from netvigil_tabular.classifiers.table import CLASSIFIERS
        >>> made = TabularClassifier(CLASSIFIERS[6], CLASSIFIERS[6].config())
        >>> list(made.fit([flows], labels, seed=0).classify(flows).terms)
        ['benign', 'attack']
    """

    def __init__(self, kind: Kind, config: Any) -> None:
        self.kind, self.config = kind, config
        self.taught = Taught(kind.name, config, lambda: kind.model(config))
        self.names_: tuple[str, ...] = ()
        self.features_: tuple[str, ...] = ()

    @property
    def accelerator(self) -> str | None:
        """The GPU that the model is on, for receipts."""
        return getattr(self.taught.model, "accelerator", None)

    def fit(self, windows: WindowStream, labels: LabelTable, *, seed: int) -> Self:
        """Learn from the labelled flows of the train range, or a seeded sample of them."""
        rows = labelled_rows(windows, labels, classifier=self.kind.name)
        self.taught.learn(rows.x, rows.y, rows.names, seed=seed if self.kind.seeded else 0)
        self.names_, self.features_ = rows.names, rows.features
        return self

    def classify(self, windows: WindowGraphs) -> EncodedFlows:
        """Say how probable each class is, for each flow by itself."""
        self._require_fitted()
        if windows.feature_names != self.features_:
            lost = [name for name in self.features_ if name not in windows.feature_names]
            new = [name for name in windows.feature_names if name not in self.features_]
            msg = f"These windows have other features than '{self.kind.name}' was taught with."
            where = f"Missing: {', '.join(lost) or 'none'}; unexpected: {', '.join(new) or 'none'}."
            raise ContractError(msg, where=where, do="Use the pipeline of the bundle.")
        x = np.asarray(windows.flow_x)
        flows, classes = len(x), len(self.names_)
        wide = self.taught.share(x) if flows else np.empty((0, classes))
        share: NDArray[np.float32] = wide.astype(np.float32)
        return EncodedFlows(
            windows.flow_id,
            windows.window_start[windows.window_of_flow()],
            terms={name: share[:, code].copy() for code, name in enumerate(self.names_)},
        )

    def get_state(self) -> State:
        """Return the model with the names of its classes and features."""
        self._require_fitted()
        state = self.taught.state()
        own = {"classes": list(self.names_), "features": list(self.features_)}
        return State(state.arrays, {**own, "model": dict(state.values)}, state.estimators)

    def set_state(self, state: State) -> Self:
        """Take over a model.

        Raises:
            BundleError: A state of something else.
        """
        try:
            names, features = (tuple(map(str, state.values[k])) for k in ("classes", "features"))
            inner = State(state.arrays, state.values["model"], state.estimators)
            self.taught.restore(inner, classes=len(names), features=len(features))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"This is not a state of classifier '{self.kind.name}'."
            where = f"{type(error).__name__}: {error}"
            do = "Fit the pipeline again and save a new bundle."
            raise BundleError(msg, where=where, do=do) from error
        self.names_, self.features_ = names, features
        return self

    def _require_fitted(self) -> None:
        if not self.names_:
            msg = f"Classifier '{self.kind.name}' has not been fitted."
            raise NotFittedError(msg, do="Call fit first, or load a fitted bundle.")


class TrainedClassifier(TabularClassifier):
    """One whose model is trained in epochs, and reports them."""

    _watch = Watch()

    @property
    def passes(self) -> int:
        """How often it walks through its rows."""
        epochs: int = self.config.epochs
        return epochs

    def watch(self, watch: Watch) -> None:
        """Report the next `fit` to `watch`."""
        self._watch = watch

    def fit(self, windows: WindowStream, labels: LabelTable, *, seed: int) -> Self:
        """Learn, telling the watch about every epoch."""
        self.taught.tell(self._watch)
        return super().fit(windows, labels, seed=seed)
