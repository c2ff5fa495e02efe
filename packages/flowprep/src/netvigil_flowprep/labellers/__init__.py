"""Labellers: the only parts that write ground truth."""

from __future__ import annotations
