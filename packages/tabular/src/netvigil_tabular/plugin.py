"""The door of netvigil-tabular: which parts exist. Importing it loads no torch or scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from netvigil import hookimpl, parts
from netvigil_tabular.classifiers.adapter import TabularClassifier, TrainedClassifier
from netvigil_tabular.classifiers.table import CLASSIFIERS


@hookimpl
def netvigil_encoders() -> Iterator[parts.Encoder]:
    """Autoencoders on flow features."""
    yield from ()


@hookimpl
def netvigil_classifiers() -> Iterator[parts.Classifier]:
    """Every line of the table of classifiers; they learn from labels."""
    for kind in CLASSIFIERS:
        yield parts.Classifier(
            name=kind.name,
            summary=kind.config.summary,
            config=kind.config,
            make=partial(TrainedClassifier if kind.trained else TabularClassifier, kind),
            seeded=kind.seeded,
            trusted_types=kind.trusted_types,
            presets=kind.presets,
        )
