"""For tests, demos and plugin authors: synthetic traffic, conformance checks, strategies.

Shipped with core, so that a third party's package is tested with the same tools as ours.
"""

from __future__ import annotations
