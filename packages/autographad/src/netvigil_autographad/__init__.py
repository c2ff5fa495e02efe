"""AutoGraphAD for netvigil: a heterogeneous variational graph autoencoder of flows and hosts."""

from __future__ import annotations

__all__: list[str] = []
