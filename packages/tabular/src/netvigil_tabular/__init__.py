"""Tabular methods for netvigil: autoencoders, supervised classifiers, feature selection."""

from __future__ import annotations

__all__: list[str] = []
