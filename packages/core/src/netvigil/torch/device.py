"""Which device to compute on, decided once, and with how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from netvigil.errors import ConfigError

_HERE = "device"
SEVERAL_THREADS = 4096
"""Flows of a step from which PyTorch's threads pay. Below, they mostly wait for one another: two
took as long as one on idle cores (steps of 256 to 1,024 flows), and many times as long on busy
ones."""


def resolve_device(name: str) -> torch.device:
    """Return the device of that name; `auto` is the GPU where there is one, else the CPU.

    Raises:
        ConfigError: No device is called that; a GPU is asked for and there is none, or none of that
            number.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in {"cpu", "cuda"}:
        msg = f"No device is called '{name}'."
        raise ConfigError(msg, where=_HERE, do="Choose auto, cpu, cuda or cuda:N.")
    if device.type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        msg = f"'{name}' is asked for, but PyTorch sees no GPU on this machine."
        raise ConfigError(msg, where=_HERE, do='Choose device = "auto" or "cpu".')
    number = torch.cuda.current_device() if device.index is None else device.index
    if number >= torch.cuda.device_count():
        msg = f"'{name}' is asked for, but there are {torch.cuda.device_count()} GPUs."
        raise ConfigError(msg, where=_HERE, do="GPUs are numbered from cuda:0.")
    return torch.device("cuda", number)


@contextmanager
def threads_for(flows: int, device: torch.device) -> Iterator[None]:
    """Compute with one thread while steps of so few flows are taken on a CPU."""
    before = torch.get_num_threads()
    if device.type == "cpu" and flows < SEVERAL_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def settle(device: str) -> None:
    """Wait until a GPU has done all it was given, so that a clock can be read; a CPU always has."""
    if resolve_device(device).type == "cuda":
        torch.cuda.synchronize(device)


def device_name(device: torch.device) -> str | None:
    """Return the name of a GPU, for receipts; None for the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None
