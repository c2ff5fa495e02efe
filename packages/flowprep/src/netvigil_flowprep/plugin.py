"""What netvigil-flowprep brings: readers, labellers, transforms, graph builders and the encoder `raw`.

One line per part; whatever is heavy is imported when a part is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from netvigil import hookimpl, parts
