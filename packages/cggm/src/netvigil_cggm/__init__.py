"""CGGM for netvigil: a conditional generator of traffic graphs, and how real its graphs look."""

from __future__ import annotations

__all__: list[str] = []
