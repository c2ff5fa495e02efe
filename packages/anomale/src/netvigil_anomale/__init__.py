"""Anomal-E for netvigil: E-GraphSAGE trained by deep graph infomax."""

from __future__ import annotations

__all__: list[str] = []
