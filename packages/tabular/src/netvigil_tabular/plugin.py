"""The door of netvigil-tabular: which parts exist. Importing it loads no torch or scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator

from netvigil import hookimpl, parts


@hookimpl
def netvigil_encoders() -> Iterator[parts.Encoder]:
    """Autoencoders on flow features."""
    yield from ()
