"""Scores of many kinds made one: tail probabilities on held-out flows, combined without labels."""

from __future__ import annotations
