"""Supervised classifiers on a flow's own features; importing it loads no scikit-learn or torch."""

from __future__ import annotations

__all__: list[str] = []
