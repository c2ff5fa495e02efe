"""Scorers and thresholds for netvigil: PyOD's detectors, weighted error terms, rules for a cut."""

from __future__ import annotations

__all__: list[str] = []
