"""Graph builder `none`: flows in windows without any graph, for tabular methods and any source."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netvigil.contracts import FlowFeatures, FlowTable, WindowGraphs
from netvigil.parts import PartConfig
from netvigil_flowprep.graphs.windows import cut, row_major_features, row_numbers


class FlowsOnlyConfig(PartConfig):
    """Settings of `none`."""

    window_flows: int = Field(
        65_536,  # 13 MB of 50 features: large enough for matrix products, small enough to stream
        ge=1,
        description="flows per window, which is what passes on at once; it changes no score",
    )


class FlowsOnly:
    """Cuts flows into runs of equal count; accepts flows without addresses or clock."""

    links = ("flow_id",)  # what windows depend on, features aside

    def __init__(self, config: FlowsOnlyConfig) -> None:
        self.config = config

    def check(self, flows: FlowTable) -> None:
        """Accept any flows."""
        del flows

    def window_of(self, flows: FlowTable, *, first_row: int) -> NDArray[np.int64]:
        """Return each flow's row in the stream over the window's count."""
        return row_numbers(flows, first_row) // self.config.window_flows

    def build(
        self, flows: FlowTable, features: FlowFeatures, window: NDArray[np.int64]
    ) -> WindowGraphs:
        """Pass the features on, cut into windows."""
        windows = cut(window)
        return WindowGraphs(
            schema="flows-only",
            feature_names=features.names,
            flow_id=flows.flow_id,
            flow_x=row_major_features(features),
            flow_ptr=windows.flow_ptr,
            window_start=windows.number * self.config.window_flows,
            flow_src=np.empty(0, np.int32),
            flow_dst=np.empty(0, np.int32),
            node_ptr=np.zeros(len(windows.number) + 1, np.int64),
            node_key=np.empty(0, np.uint64),
        )
