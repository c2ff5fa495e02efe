"""Flow preparation: readers, captures, labellers, joins, transforms, windows and graphs."""

from __future__ import annotations

__all__: list[str] = []
