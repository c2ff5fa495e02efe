"""netvigil: network traffic in, scored, explained, honestly evaluated anomalies out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netvigil.hookspecs import hookimpl

__all__ = ["__version__", "hookimpl"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # `netvigil --help` imports this package; pluggy and pydantic wait until a plugin asks.
    if name == "hookimpl":
        from netvigil.hookspecs import hookimpl

        return hookimpl
    msg = f"module 'netvigil' has no attribute '{name}'"
    raise AttributeError(msg)
