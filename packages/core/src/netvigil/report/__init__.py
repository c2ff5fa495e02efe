"""Pictures of runs, and the one offline page that holds them."""

from __future__ import annotations
