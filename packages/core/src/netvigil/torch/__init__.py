"""One training loop for all methods, in plain torch: the extra `netvigil[torch]`.

`settings` is free of torch, so that a plugin's `config.py` can build on it without loading any.
"""

from __future__ import annotations

__all__: list[str] = []
