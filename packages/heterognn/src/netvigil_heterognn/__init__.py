"""HeteroGNN for netvigil: a supervised graph network of flows and hosts."""

from __future__ import annotations

__all__: list[str] = []
