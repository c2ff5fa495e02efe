"""Feature selection and projection, each fitted on the train range; no scikit-learn is loaded."""

from __future__ import annotations

__all__: list[str] = []
