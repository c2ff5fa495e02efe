"""What the train range had in each context: how many flows, and how far from the overall mean.

A train flow meets its context without itself, as a flow to come does: otherwise a network would
learn to find the flow in the mean of a context that it is alone in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netvigil.contracts import WindowGraphs, WindowStream
from netvigil.endpoints import Keys, subject_keys
from netvigil.key_counts import KeyCounts
from netvigil_tabular.config import ConditionalConfig


@dataclass(frozen=True)
class Contexts:
    """Sums over the flows of each context; a context's last row stands for all that are unseen.

    Shapes:
        keys: uint64 [contexts] for each kind, rising
        away: float32 [contexts + 1, features] for each kind, summed distance to the overall mean;
        flows: float32 [contexts + 1] for each kind; both are 0 in the last row
        mean: float32 [features], of all train flows
    """

    config: ConditionalConfig
    keys: tuple[Keys, ...]
    away: tuple[Tensor, ...]
    flows: tuple[Tensor, ...]
    mean: Tensor

    @staticmethod
    def learn(windows: WindowStream, config: ConditionalConfig, trained: int) -> Contexts:
        """Count and sum up the first `trained` flows of a stream, in two passes."""
        counts = [KeyCounts() for _ in config.contexts]
        total: NDArray[np.float64] | float = 0.0
        for keys, x in _parts(windows, config, trained):
            total = total + x.sum(axis=0, dtype=np.float64)
            for counted, each in zip(counts, keys, strict=True):
                counted.add(each)
        mean = np.asarray(total) / trained
        known = tuple(_frequent(counted, config.most_contexts) for counted in counts)
        away = [np.zeros((len(each) + 1, len(mean))) for each in known]
        flows = [np.zeros(len(each) + 1) for each in known]
        for keys, x in _parts(windows, config, trained):
            for kind, each in enumerate(keys):
                row, size = _rows(known[kind], each), len(flows[kind])
                flows[kind] += np.bincount(row, minlength=size)
                for feature, values in enumerate(x.T):
                    away[kind][:, feature] += np.bincount(row, values - mean[feature], size)
        for kind in range(len(known)):
            away[kind][-1], flows[kind][-1] = 0, 0
        return Contexts(
            config,
            known,
            tuple(torch.from_numpy(each).float() for each in away),
            tuple(torch.from_numpy(each).float() for each in flows),
            torch.from_numpy(mean).float(),
        )

    def rows(self, windows: WindowGraphs) -> NDArray[np.int32]:
        """Return each flow's row in each kind of context, int32 [flows, kinds]."""
        keys = _keys(windows, self.config)
        found = [_rows(known, each) for known, each in zip(self.keys, keys, strict=True)]
        return np.stack(found, axis=1).astype(np.int32)

    def inputs(self, x: Tensor, rows: Tensor, *, leave_out: bool) -> Tensor:
        """Return what a network sees of flows, [flows, kinds * (features + 1)].

        For each kind: how far the context's mean, drawn towards the overall one, is from it; and
        log10(1 + flows there). With `leave_out` the flows are train flows, and taken out of both.

        Shapes:
            x: [flows, features]; rows: [flows, kinds]
        """
        found = []
        for kind, (away, flows) in enumerate(zip(self.away, self.flows, strict=True)):
            row = rows[:, kind].long()
            summed, seen = away[row], flows[row][:, None]
            if leave_out:
                own = (seen > 0).float()  # a flow of an unseen context is in no sum
                summed, seen = summed - own * (x - self.mean), seen - own
            found += [summed / (seen + self.config.prior_flows), torch.log10(1 + seen)]
        return torch.cat(found, dim=1)

    @property
    def width(self) -> int:
        """Number of a network's inputs."""
        return len(self.keys) * (len(self.mean) + 1)

    def to(self, device: torch.device) -> Self:
        """Return the same on a device."""
        return type(self)(
            self.config,
            self.keys,
            tuple(each.to(device) for each in self.away),
            tuple(each.to(device) for each in self.flows),
            self.mean.to(device),
        )

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return arrays by name, for a state."""
        found: dict[str, NDArray[np.generic]] = {"mean": self.mean.cpu().numpy()}
        for kind, name in enumerate(self.config.contexts):
            found[f"{name}.keys"] = self.keys[kind]
            found[f"{name}.away"] = self.away[kind].cpu().numpy()
            found[f"{name}.flows"] = self.flows[kind].cpu().numpy()
        return found

    @staticmethod
    def of(arrays: dict[str, NDArray[np.generic]], config: ConditionalConfig) -> Contexts:
        """Return what `arrays` gave.

        Raises:
            KeyError, ValueError: Arrays of other contexts, or of shapes that disagree.
        """
        mean = arrays["mean"]
        keys = tuple(arrays[f"{name}.keys"].astype(np.uint64) for name in config.contexts)
        away = [arrays[f"{name}.away"] for name in config.contexts]
        flows = [arrays[f"{name}.flows"] for name in config.contexts]
        for known, summed, counted in zip(keys, away, flows, strict=True):
            size = len(known) + 1
            if summed.shape != (size, len(mean)) or counted.shape != (size,):
                msg = f"{size} contexts have sums {summed.shape} and counts {counted.shape}"
                raise ValueError(msg)
        sums, counts = (
            tuple(torch.from_numpy(np.array(each)) for each in group) for group in (away, flows)
        )
        return Contexts(config, keys, sums, counts, torch.from_numpy(np.array(mean)))


def _parts(
    windows: WindowStream, config: ConditionalConfig, trained: int
) -> Iterator[tuple[list[Keys], NDArray[np.float32]]]:
    """Yield keys and features of the first `trained` flows."""
    left = trained
    for graphs in windows:
        if left <= 0:
            return
        here = min(left, len(graphs.flow_id))
        yield [each[:here] for each in _keys(graphs, config)], graphs.flow_x[:here]
        left -= here


def _keys(windows: WindowGraphs, config: ConditionalConfig) -> list[Keys]:
    keys = subject_keys(windows, encoder=config.part)
    return [keys[name] for name in config.contexts]


def _frequent(counted: KeyCounts, most: int) -> Keys:
    """Return the most frequent keys, at most so many, rising; of equal counts the lowest."""
    order = np.argsort(-counted.counts, kind="stable")
    return np.sort(counted.keys[order[:most]])


def _rows(known: Keys, keys: Keys) -> NDArray[np.int64]:
    """Return each key's place among the known ones; the number of them where it is not there."""
    place = np.searchsorted(known, keys)
    there = np.append(known, np.uint64(0))[place] == keys
    return np.where(there & (place < len(known)), place, len(known))
