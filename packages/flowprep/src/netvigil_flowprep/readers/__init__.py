"""Readers: one module per family of dialects, all on one engine (`delimited`)."""

from __future__ import annotations
