"""Encoders side by side: one embedding, and the terms of all under their encoders' names.

What is unusual about a flow has several answers (its own features, what is usual between its hosts,
how rare its endpoints are), each given by an encoder of its own. Joined, they cross the rest of the
pipeline as one encoder: one spool, one bundle room, one row in the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from netvigil import parts
from netvigil.contracts import EncodedFlows, WindowGraphs, WindowStream
from netvigil.errors import BundleError, ConfigError, IncompatiblePartsError
from netvigil.protocols import Encoder, Refits, State, Watch, Watched

PASSES = ("none", "one", "many")


def joined_part(main: parts.Part[Any], beside: Sequence[parts.Part[Any]]) -> parts.Encoder:
    """Describe encoders side by side as one part: `main`'s name and settings, what all can do.

    Raises:
        ConfigError: Two encoders of one name, whose terms could not be told apart.
        IncompatiblePartsError: One beside that emits no terms, or no windows that all accept.
    """
    encoders = [part for part in (main, *beside) if isinstance(part, parts.Encoder)]
    names = [part.name for part in encoders]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        msg = f"Encoder '{twice}' stands beside itself."
        raise ConfigError(msg, where="[encoder] beside", do="Name each encoder once.")
    silent = next((part.name for part in encoders[1:] if "terms" not in part.emits), None)
    if silent is not None:
        msg = f"Encoder '{silent}' emits no terms, so it adds nothing beside another."
        do = "Make it the main encoder: [encoder] name."
        raise IncompatiblePartsError(msg, where="[encoder] beside", do=do)
    first = encoders[0]
    accepts = tuple(s for s in first.accepts if all(s in part.accepts for part in encoders))
    if not accepts:
        listed = "; ".join(f"{part.name}: {', '.join(part.accepts)}" for part in encoders)
        msg = "These encoders read no windows in common."
        raise IncompatiblePartsError(msg, where=f"[encoder] beside: {listed}")
    return replace(
        first,
        accepts=accepts,
        emits=first.emits | {"terms"},
        passes=max((part.passes for part in encoders), key=PASSES.index),
        seeded=any(part.seeded and part.passes != "none" for part in encoders),
        trusted_types=tuple(dict.fromkeys(t for part in encoders for t in part.trusted_types)),
    )


class JoinedEncoder:
    """Fits several encoders on the same windows and joins what they say.

    Shapes:
        encode: `main`'s embedding and terms as they are, and each other's terms as
            "<encoder>.<term>", float32 [flows]
    """

    def __init__(self, main: Encoder, beside: Mapping[str, Encoder]) -> None:
        self.main, self.beside = main, dict(beside)

    @property
    def encoders(self) -> list[Encoder]:
        """All of them, `main` first."""
        return [self.main, *self.beside.values()]

    @property
    def passes(self) -> int:
        """How often `fit` walks through its windows, all encoders together."""
        return sum(e.passes if isinstance(e, Watched) else 0 for e in self.encoders)

    @property
    def accelerator(self) -> str | None:
        """The GPU that one of them is on, for receipts."""
        found = (getattr(encoder, "accelerator", None) for encoder in self.encoders)
        return next((name for name in found if name), None)

    @property
    def validation_loss_(self) -> float | None:
        """What `main` reports, where it trains on a loss."""
        return getattr(self.main, "validation_loss_", None)

    def watch(self, watch: Watch) -> None:
        """Report the next `fit` of each to `watch`; each keeps its own checkpoints."""
        for i, encoder in enumerate(self.encoders):
            if isinstance(encoder, Watched):
                folder = watch.checkpoints
                encoder.watch(replace(watch, checkpoints=folder / str(i) if folder else None))

    def fit(self, windows: WindowStream, *, seed: int) -> Self:
        """Fit one after another, each with the same seed."""
        self.main = self.main.fit(windows, seed=seed)
        self.beside = {n: e.fit(windows, seed=seed) for n, e in self.beside.items()}
        return self

    def refit(self, windows: WindowStream, *, seed: int) -> Self:
        """Refit those that are cheap to fit; the others stay as they are."""
        self.main = _refitted(self.main, windows, seed)
        self.beside = {n: _refitted(e, windows, seed) for n, e in self.beside.items()}
        return self

    def encode(self, windows: WindowGraphs) -> EncodedFlows:
        """Encode by each and join."""
        encoded = self.main.encode(windows)
        terms = dict(encoded.terms)
        for name, encoder in self.beside.items():
            found = encoder.encode(windows)
            terms |= {f"{name}.{term}": values for term, values in found.terms.items()}
        return replace(encoded, terms=terms)

    def get_state(self) -> State:
        """Return the states of all, numbered."""
        states = [encoder.get_state() for encoder in self.encoders]
        return State(
            arrays={f"{i}.{n}": a for i, s in enumerate(states) for n, a in s.arrays.items()},
            values={"encoders": [dict(state.values) for state in states]},
            estimators={
                f"{i}.{n}": e for i, s in enumerate(states) for n, e in s.estimators.items()
            },
        )

    def set_state(self, state: State) -> Self:
        """Take over the states of all."""
        values = state.values.get("encoders")
        if not isinstance(values, list) or len(values) != len(self.encoders):
            msg = f"This is not a state of {len(self.encoders)} encoders side by side."
            raise BundleError(msg, do="Fit the pipeline again and save a new bundle.")
        for i, encoder in enumerate(self.encoders):
            arrays, estimators = (_of(i, held) for held in (state.arrays, state.estimators))
            encoder.set_state(State(arrays, values[i], estimators))
        return self


def _refitted(encoder: Encoder, windows: WindowStream, seed: int) -> Encoder:
    return encoder.refit(windows, seed=seed) if isinstance(encoder, Refits) else encoder


def _of(number: int, held: Mapping[str, Any]) -> dict[str, Any]:
    """Return what belongs to one encoder, under its own names."""
    prefix = f"{number}."
    return {name[len(prefix) :]: held[name] for name in held if name.startswith(prefix)}
