"""Two revisions side by side on one machine: which cases became slower, heavier, or grow faster.

Both sides run each case alternately in fresh processes (`pairs` says what is made of the times). A
case that more rounds could decide, or that is about to fail, is run again; the others are not.
Beside the clock stand counts that do not waver: Python objects and interpreter steps per flow, the
exponent by which time grows over n, 2n, 4n and 8n, peak memory, modules that `--help` imports, and
on request instructions.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netvigil.bench import orders, rules
from netvigil.bench.pairs import Change, Verdict, change, judged
from netvigil.bench.sides import Side
from netvigil.errors import ConfigError, nearest

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is compared, and how long it may take.

    Shapes:
        rounds, most: rounds of every case, and at most of one that is unsure
        seconds: least time of the timed calls of one process
        within_s: after so many seconds nothing is begun that can be left out
        quick: hot paths only, and no detectors: theirs is the speed of the libraries they wrap,
            which take longer to import than to measure
        kept: case -> A/A noise that an earlier calibration found
    """

    packages: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    size: int | None = None
    device: str = "cpu"
    seed: int = 0
    rounds: int = 6
    most: int = 18
    seconds: float = 0.2
    within_s: float = math.inf
    threads: int = 1
    cpu: int | None = None
    quick: bool = False
    instructions: bool = False
    kept: Mapping[str, float] = field(default_factory=dict)

    @property
    def limits(self) -> orders.Limits:
        """How each process is held."""
        return orders.Limits(self.threads, self.cpu)


@dataclass(frozen=True)
class Compared:
    """One case on both sides; pairs of figures are (base, head).

    Shapes:
        rate: items per second, the median over rounds
        facts: None where head can no longer run it
        reasons: why it fails, in words; remarks: what somebody may want to look at
    """

    name: str
    package: str
    room: str
    unit: str
    items: int
    rate: tuple[float, float]
    facts: rules.Facts | None
    reasons: tuple[str, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The whole comparison: fails where any case or the module count does."""

    base: Side
    head: Side
    cases: tuple[Compared, ...]
    modules: tuple[int | None, int | None]
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether anything became worse for certain."""
        return bool(self.reasons) or any(case.reasons for case in self.cases)


@dataclass
class _Seen:
    """What rounds showed of one case, by side: 0 base, 1 head."""

    about: Mapping[str, Any]
    per_item: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    peaks: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    items: list[int] = field(default_factory=lambda: [0, 0])
    objects: list[float] = field(default_factory=lambda: [math.nan] * 2)
    steps: list[float] = field(default_factory=lambda: [math.nan] * 2)
    growth: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    instructions: list[float] = field(default_factory=lambda: [math.nan] * 2)
    errors: list[str] = field(default_factory=lambda: ["", ""])


def compare(base: Side, head: Side, plan: Plan, tell: Tell = lambda _: None) -> Outcome:
    """Compare the cases that both sides have.

    Raises:
        ConfigError: A package or case that head does not have; nothing to compare.
        RunError: A process failed.
    """
    return _Gate(base, head, plan, tell).run()


class _Gate:
    def __init__(self, base: Side, head: Side, plan: Plan, tell: Tell) -> None:
        self.sides, self.plan, self.tell = (base, head), plan, tell
        self.begin = time.monotonic()
        self.notes: list[str] = []
        self.seen: dict[str, _Seen] = {}

    def run(self) -> Outcome:
        self._find()
        self._rounds(self.seen, self.plan.rounds)
        for what, look in (("growth", self._growth), ("objects", self._objects)):
            if self._late():
                self.notes.append(f"No time was left for: {what}.")
            else:
                look()
        self._again()
        if self.plan.instructions:
            self._instructions()
        modules = [orders.modules_of_help(side) for side in self.sides]
        return Outcome(
            *self.sides,
            cases=tuple(self._compared()),
            modules=(modules[0], modules[1]),
            reasons=tuple(rules.modules(*modules)),
            notes=tuple(self.notes),
            seconds=time.monotonic() - self.begin,
        )

    def _late(self) -> bool:
        return time.monotonic() - self.begin > self.plan.within_s

    def _find(self) -> None:
        has = [orders.listed(side, self.plan.limits) for side in self.sides]
        wanted = _chosen(has[1], self.plan)
        for name, about in wanted.items():
            if name in has[0]:
                self.seen[name] = _Seen(about)
        new, gone = sorted(wanted.keys() - has[0].keys()), sorted(has[0].keys() - has[1].keys())
        self.notes += [f"New in {self.sides[1].name}: {', '.join(new)}."] if new else []
        self.notes += [f"No longer in {self.sides[1].name}: {', '.join(gone)}."] if gone else []
        if not self.seen:
            msg = "The two sides have no case in common."
            raise ConfigError(msg, do="`netvigil bench --list` shows what is installed.")

    def _order(self, what: str, names: Iterable[str]) -> dict[str, Any]:
        plan = self.plan
        sizes = {n: plan.size or self.seen[n].about["flows"] for n in names}
        return {
            "what": what,
            "cases": list(sizes),
            "sizes": sizes,
            "seed": plan.seed,
            "device": plan.device,
            "seconds": plan.seconds,
        }

    def _ask(self, side: int, what: str, names: Sequence[str]) -> dict[str, Any]:
        """Ask one package's cases of one side, and keep what fails apart."""
        answers = orders.ask(self.sides[side], self._order(what, names), self.plan.limits)
        for name in names:
            error = answers.get(name, {"error": "no answer"}).get("error")
            if error:
                self.seen[name].errors[side] = error
        return {n: a for n, a in answers.items() if "error" not in a and n in self.seen}

    def _packages(self, names: Iterable[str]) -> dict[str, list[str]]:
        grouped: dict[str, list[str]] = defaultdict(list)
        for name in names:
            if not any(self.seen[name].errors):
                grouped[self.seen[name].about["package"]].append(name)
        return grouped

    def _rounds(self, names: Iterable[str], count: int) -> None:
        for package, cases in self._packages(names).items():
            for number in range(count):
                done = len(self.seen[cases[0]].per_item[0])
                for side in (0, 1) if done % 2 == 0 else (1, 0):
                    self.tell(f"{package}, round {number + 1}, {self.sides[side].name}")
                    for name, answer in self._ask(side, "time", cases).items():
                        seen = self.seen[name]
                        items = max(answer["items"], 1)
                        seen.items[side] = answer["items"]
                        seen.per_item[side].append(min(answer["seconds"]) / items)
                        seen.peaks[side].append(answer["peak_mb"])

    def _changes(self) -> dict[str, Change]:
        return {
            name: change(*_even(seen.per_item))
            for name, seen in self.seen.items()
            if not any(seen.errors)
        }

    def _again(self) -> None:
        """Run again what more rounds could decide, and what is about to fail."""
        confirmed: set[str] = set()
        while not self._late():
            said = judged(self._changes(), self.plan.kept)
            again = [
                name
                for name, (verdict, _, _) in said.items()
                if len(self.seen[name].per_item[0]) < self.plan.most
                and (verdict == "unsure" or (verdict == "slower" and name not in confirmed))
            ]
            if not again:
                return
            confirmed.update(again)
            for cases in self._packages(again).values():
                if not self._late():
                    self._rounds(cases, self.plan.rounds)

    def _objects(self) -> None:
        """Count on head; on base only where head has some, which may be what it always had."""
        for package, cases in self._packages(self.seen).items():
            names = [name for name in cases if self.seen[name].about["hot"]]
            for side in (1, 0):
                if not names:
                    break
                self.tell(f"{package}, objects, {self.sides[side].name}")
                for name, answer in self._ask(side, "objects", names).items():
                    self.seen[name].objects[side] = answer["objects"]
                    self.seen[name].steps[side] = answer["steps"]
                names = [name for name in names if rules.counted(*self._counts(name))]

    def _counts(self, name: str) -> tuple[float, float]:
        return self.seen[name].objects[1], self.seen[name].steps[1]

    def _growth(self) -> None:
        """Look at head; where it is steep, at both sides and again."""
        for package, cases in self._packages(self.seen).items():
            names = [name for name in cases if self.seen[name].about["unit"] == "flows"]
            self._grow(package, 1, names)
            names = [name for name in names if rules.steep(self._exponents(name)[1])]
            for look in range(rules.GROWTH_LOOKS):
                self._grow(package, 0, names)
                if look:
                    self._grow(package, 1, names)
                names = [n for n in names if rules.grows(*self._exponents(n)) and not self._late()]

    def _grow(self, package: str, side: int, names: Sequence[str]) -> None:
        if names:
            self.tell(f"{package}, growth, {self.sides[side].name}")
            for name, answer in self._ask(side, "growth", names).items():
                self.seen[name].growth[side].append(rules.exponent(answer["growth"]))

    def _exponents(self, name: str) -> tuple[float, float]:
        base, head = self.seen[name].growth
        return rules.middle(base), rules.middle(head)

    def _instructions(self) -> None:
        for name, seen in self.seen.items():
            for side in (0, 1):
                self.tell(f"{name}, instructions, {self.sides[side].name}")
                order = self._order("repeats", [name])
                count = orders.instructions(self.sides[side], name, order, self.plan.limits)
                seen.instructions[side] = count

    def _compared(self) -> Iterable[Compared]:
        changes = self._changes()
        said = judged(changes, self.plan.kept)
        for name, seen in self.seen.items():
            about = {key: seen.about[key] for key in ("name", "package", "room", "unit")}
            if seen.errors[0]:
                self.notes.append(f"{name} fails on {self.sides[0].name}: {seen.errors[0]}")
            elif seen.errors[1]:
                why = (f"fails: {seen.errors[1]}",)
                yield Compared(**about, items=0, rate=rules.NOTHING, facts=None, reasons=why)
            else:
                facts = self._facts(name, changes[name], said[name])
                base, head = (statistics.median(times) for times in seen.per_item)
                yield Compared(
                    **about,
                    items=seen.items[1],
                    rate=(1 / base, 1 / head),
                    facts=facts,
                    reasons=tuple(rules.reasons(facts)),
                    remarks=tuple(rules.remarks(facts, seen.items)),
                )

    def _facts(self, name: str, found: Change, said: tuple[Verdict, float, float]) -> rules.Facts:
        seen, (verdict, floor, p) = self.seen[name], said
        return rules.Facts(
            change=found,
            verdict=verdict,
            floor=floor,
            p=p,
            hot=seen.about["hot"],
            peaks=seen.peaks,
            objects=(seen.objects[0], seen.objects[1]),
            steps=(seen.steps[0], seen.steps[1]),
            growth=self._exponents(name),
            instructions=(seen.instructions[0], seen.instructions[1]),
        )


def _chosen(has: Mapping[str, dict[str, Any]], plan: Plan) -> dict[str, dict[str, Any]]:
    packages = {about["package"] for about in has.values()}
    for kind, wanted, known in (("package", plan.packages, packages), ("case", plan.cases, has)):
        for name in wanted:
            if name not in known:
                msg = f"There is no {kind} '{name}' with benchmarks."
                raise ConfigError(msg, do=nearest(name, known))
    return {
        name: about
        for name, about in has.items()
        if (not plan.packages or about["package"] in plan.packages)
        and (not plan.cases or name in plan.cases)
        and (not plan.quick or (about["hot"] and about["room"] != "score"))
    }


def _even(times: tuple[list[float], list[float]]) -> tuple[list[float], list[float]]:
    rounds = min(len(times[0]), len(times[1]))
    return times[0][:rounds], times[1][:rounds]
