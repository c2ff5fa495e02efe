"""Graph builders: flows cut into windows, all windows of a batch in one pass."""

from __future__ import annotations
