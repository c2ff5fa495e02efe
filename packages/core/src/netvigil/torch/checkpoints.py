"""Checkpoints of a fit: one safetensors file with JSON beside the tensors, replaced as a whole."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from netvigil.errors import TrainingError

_KEY = "netvigil"
_START_AGAIN = "Remove the file to start this fit again."


@dataclass(frozen=True)
class Checkpoint:
    """A fit between two epochs: tensors by name, and what else it must remember as JSON values."""

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]


@dataclass
class Checkpoints:
    """The one checkpoint of one fit, in a folder of the fit's own.

    `identity` is what must be equal for a fit to go on from it: settings, seed, shape of the data.
    """

    path: Path
    identity: Mapping[str, Any]
    every_s: float
    _last: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() - self._last >= self.every_s

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace the file; a kill at any time leaves the old one or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"identity": self.identity, "values": checkpoint.values})
        # Copies: safetensors refuses tensors that share memory.
        tensors = {name: t.detach().cpu().clone() for name, t in checkpoint.tensors.items()}
        partial = self.path.with_suffix(".partial")
        partial.write_bytes(save(tensors, {_KEY: text}))
        partial.replace(self.path)
        self._last = time.monotonic()

    def read(self) -> Checkpoint | None:
        """Read the checkpoint back; None where there is none.

        Raises:
            TrainingError: It is damaged, or of other settings, another seed or other data; says
                which.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt", device="cpu") as file:
                note = json.loads(file.metadata()[_KEY])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            identity, values = note["identity"], note["values"]
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            msg = "The checkpoint cannot be read."
            raise TrainingError(msg, where=f"{self.path}: {error}", do=_START_AGAIN) from error
        wanted = json.loads(json.dumps(self.identity))
        if differ := sorted(k for k in {*identity, *wanted} if identity.get(k) != wanted.get(k)):
            msg = f"The checkpoint is of another fit; it differs in: {', '.join(differ)}."
            raise TrainingError(msg, where=str(self.path), do=_START_AGAIN)
        return Checkpoint(tensors, values)
