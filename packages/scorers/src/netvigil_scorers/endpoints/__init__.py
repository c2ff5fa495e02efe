"""Encoders that look flows up by their endpoints: how rare those are, and what is usual there."""

from __future__ import annotations
