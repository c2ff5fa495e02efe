"""Names, times and progress of a run's phases; the display is somebody else's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

Advance = Callable[[int], None]


class Display(Protocol):
    """Shows progress: `phase` yields a function to call with the number of flows just done."""

    def phase(self, name: str, total: int | None) -> AbstractContextManager[Advance]:
        """Show one phase of `total` flows, where that is known, while the context lasts."""
        ...


class Quiet:
    """A display that shows nothing, for libraries, pipes and `--json`."""

    @contextmanager
    def phase(self, name: str, total: int | None) -> Iterator[Advance]:  # noqa: ARG002 - a Display
        """Show nothing."""
        yield lambda _: None


@dataclass
class Phases:
    """Times every phase, tells the display, and appends a line per phase to `log`."""

    display: Display = field(default_factory=Quiet)
    log: Path | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    flows: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """Run one phase; the yielded function counts flows."""
        done = 0
        begin = time.perf_counter()
        with self.display.phase(name, total) as advance:

            def count(flows: int) -> None:
                nonlocal done
                done += flows
                advance(flows)

            yield count
        took = time.perf_counter() - begin
        self.seconds[name] = self.seconds.get(name, 0.0) + took
        self.flows[name] = self.flows.get(name, 0) + done
        self.write(phase=name, seconds=round(took, 6), flows=done)

    def write(self, **values: object) -> None:
        """Append one JSON line to the log."""
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")

    def summary(self) -> dict[str, dict[str, float | int | None]]:
        """Return seconds, flows and flows per second of each phase."""
        return {
            name: {
                "seconds": round(took, 6),
                "flows": self.flows[name],
                "flows_per_s": round(self.flows[name] / took, 1)
                if took and self.flows[name]
                else None,
            }
            for name, took in self.seconds.items()
        }
