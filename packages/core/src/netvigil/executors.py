"""Where independent jobs run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Serial:
    """Runs jobs one after another, in order."""

    def map(self, job: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield `job(item)` for each item."""
        for item in items:
            yield job(item)
