"""Which device to compute on, decided once."""

from __future__ import annotations

import torch

from netvigil.errors import ConfigError

_HERE = "device"


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


def device_name(device: torch.device) -> str | None:
    """Return the name of a GPU, for receipts; None for the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None
