"""Feature transforms: fitted on the train range, without labels; one per file."""

from __future__ import annotations
