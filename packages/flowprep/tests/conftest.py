from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings

from netvigil.contracts import CANONICAL, OPTIONAL, FlowInfo, FlowTable

# No deadline: shared machines are slow at times. Fewer examples than 100: there are many tests.
settings.register_profile("flowprep", deadline=None, max_examples=50)
if "NETVIGIL_EXAMPLES" not in os.environ:  # see conftest.py of the workspace
    settings.load_profile("flowprep")

MakeFlows = Callable[..., FlowTable]


@pytest.fixture
def make_flows() -> MakeFlows:
    """Make a flow table of a few rows: mappings with times in seconds; the rest is null."""

    def make(
        rows: Sequence[Mapping[str, Any]], *, clock: bool = True, direction: str = "bi"
    ) -> FlowTable:
        extra = {name for row in rows for name in row} - set(CANONICAL)
        kinds = dict(CANONICAL) | {n: OPTIONAL.get(n, pa.float32()) for n in sorted(extra)}
        values: dict[str, list[Any]] = {name: [row.get(name) for row in rows] for name in kinds}
        values["flow_id"] = [row.get("flow_id", place) for place, row in enumerate(rows)]
        for name in ("start", "end"):
            values[name] = [round(row[name] * 1e6) if clock else None for row in rows]
        columns = {
            n: pa.array(v, pa.int64()).cast(kinds[n])
            if n in ("start", "end")
            else pa.array(v, kinds[n])
            for n, v in values.items()
        }
        basis = "clock" if clock else "row-order"
        return FlowTable(pa.table(columns), FlowInfo("test", basis, "ip", direction))

    return make


@pytest.fixture
def data() -> Path:
    """The folder of real data, or a skip."""
    default = Path(__file__).parents[3].parent / "shared" / "data"
    folder = Path(os.environ.get("NETVIGIL_DATA") or default)
    if not folder.is_dir():
        pytest.skip("no real data: set NETVIGIL_DATA to the folder that DATA.md describes")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
