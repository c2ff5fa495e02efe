"""This package's micro-benchmarks, one per room, on seeded synthetic traffic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pyarrow as pa

from netvigil.bench.limits import Needs
from netvigil.contracts import FlowFeatures, FlowTable
from netvigil.features import extract, select_features
from netvigil.parts import NoConfig
from netvigil.testing.synthetic import traffic
from netvigil_flowprep.graphs.flow_host import FlowHost, FlowHostConfig
from netvigil_flowprep.graphs.traffic_dispersion import TrafficDispersion, TrafficDispersionConfig
from netvigil_flowprep.join import join
from netvigil_flowprep.labellers.config import GroundTruthConfig
from netvigil_flowprep.labellers.ground_truth import GroundTruth
from netvigil_flowprep.merge_rules import rule_of
from netvigil_flowprep.transforms.categories import Categories, CategoriesConfig
from netvigil_flowprep.transforms.clean import Clean, CleanConfig
from netvigil_flowprep.transforms.log1p import Log1p, Log1pConfig
from netvigil_flowprep.transforms.robust_scale import RobustScale, RobustScaleConfig


def _features(flows: FlowTable) -> FlowFeatures:
    contract = select_features(flows.table.column_names, flows.category_names)
    return extract(flows, contract)


class TransformDefault:
    """The default transforms, fitted before."""

    def __init__(self, config: NoConfig) -> None:
        self.config = config
        self.chain = (
            Clean(CleanConfig()),
            Log1p(Log1pConfig()),
            RobustScale(RobustScaleConfig()),
            Categories(CategoriesConfig()),
        )

    def setup(self, flows: int, *, seed: int) -> FlowFeatures:
        """Make features and fit each transform on what the one before gives."""
        features = fed = _features(traffic(flows, seed=seed).flows)
        for transform in self.chain:
            fed = transform.fit(fed, seed=seed).transform(fed)
        return features

    def run(self, prepared: FlowFeatures) -> int:
        """Transform them."""
        for transform in self.chain:
            prepared = transform.transform(prepared)
        return len(prepared)

    def needs(self, prepared: FlowFeatures) -> Needs:
        """Count the features and categories once, and the features that come out of them.

        Each number has its logarithm taken, and each text is looked up by its code.
        """
        categories = sum(values.nbytes for values in prepared.categories.values())
        made = prepared
        for transform in self.chain:
            made = transform.transform(made)
        return Needs(
            moved=prepared.x.nbytes + categories + made.x.nbytes,
            logarithms=prepared.x.size,
            lookups=len(prepared) * len(prepared.categories),
        )


class BuildFlowHost:
    """Flows to windows of hosts and flows."""

    def __init__(self, config: NoConfig) -> None:
        self.config = config
        self._builder = FlowHost(FlowHostConfig())

    def setup(self, flows: int, *, seed: int) -> tuple[FlowTable, FlowFeatures]:
        """Make flows with transformed features."""
        chain = TransformDefault(self.config)
        features = chain.setup(flows, seed=seed)
        for transform in chain.chain:
            features = transform.transform(features)
        return traffic(flows, seed=seed).flows, features

    def run(self, prepared: tuple[FlowTable, FlowFeatures]) -> int:
        """Build them."""
        flows, features = prepared
        window = self._builder.window_of(flows, first_row=0)
        return len(self._builder.build(flows, features, window).flow_id)

    def needs(self, prepared: tuple[FlowTable, FlowFeatures]) -> Needs:
        """Count what links depend on, and two ends and a service written for each flow.

        Hosts are numbered by their keys. So which of them a window has is known only after both
        ends of all of its flows were looked up, and then they are looked up again. Features and ids
        are taken over as they are, and hosts are few beside flows.
        """
        flows, _ = prepared
        read = flows.table.select(FlowHost.links).nbytes
        return Needs(moved=read + 16 * len(flows), lookups=4 * len(flows))


class BuildDispersion:
    """Flows to windows of hosts with the mean features of their flows."""

    def __init__(self, config: NoConfig) -> None:
        self._hosts = BuildFlowHost(config)
        self._builder = TrafficDispersion(TrafficDispersionConfig())

    def setup(self, flows: int, *, seed: int) -> tuple[FlowTable, FlowFeatures]:
        """Make flows with transformed features."""
        return self._hosts.setup(flows, seed=seed)

    def run(self, prepared: tuple[FlowTable, FlowFeatures]) -> int:
        """Build them."""
        flows, features = prepared
        window = self._builder.window_of(flows, first_row=0)
        return len(self._builder.build(flows, features, window).flow_id)

    def needs(self, prepared: tuple[FlowTable, FlowFeatures]) -> Needs:
        """Count what `flow-host` needs, and each feature, which is read and added once."""
        x, hosts = prepared[1].x, self._hosts.needs(prepared)
        return replace(hosts, moved=hosts.moved + x.nbytes, operations=x.size)


ENDS_AND_TIMES = ("src_ip", "src_port", "dst_ip", "dst_port", "protocol", "start", "end")


class LabelGroundTruth:
    """Flows against a table with a tenth as many rows."""

    def __init__(self, config: NoConfig) -> None:
        self.config = config

    def setup(self, flows: int, *, seed: int) -> tuple[FlowTable, GroundTruth]:
        """Write a tenth of the flows down as truth."""
        made = traffic(flows, seed=seed).flows
        with TemporaryDirectory() as folder:
            path = Path(folder) / "truth.parquet"
            pl.DataFrame(made.table.select(ENDS_AND_TIMES)).gather_every(10).write_parquet(path)
            return made, GroundTruth(GroundTruthConfig(truth=path))

    def run(self, prepared: tuple[FlowTable, GroundTruth]) -> int:
        """Label them."""
        flows, labeller = prepared
        labeller.label(flows, None)
        return len(flows)

    def needs(self, prepared: tuple[FlowTable, GroundTruth]) -> Needs:
        """Count ends and times of flows and truth, and an id, a bit and a code for each flow.

        Codes of addresses mean nothing outside their table, so both ends are looked up, and what
        they make with ports and protocol is sought among the rows of truth.
        """
        flows, _ = prepared
        read = flows.table.select(ENDS_AND_TIMES).nbytes
        return Needs(
            moved=1.1 * read + (8 + 1 / 8 + 4) * len(flows),
            lookups=2 * len(flows),
            matched=len(flows),
        )


class JoinPieces:
    """Pieces of conversations into flows."""

    def __init__(self, config: NoConfig) -> None:
        self.config = config

    def setup(self, flows: int, *, seed: int) -> FlowTable:
        """Make flows of which many share their endpoints."""
        made = traffic(flows, seed=seed).flows
        few = pa.array((np.arange(flows) % 7).astype(np.uint16))
        place = made.table.schema.get_field_index("src_port")
        return FlowTable(made.table.set_column(place, "src_port", few), made.info)

    def run(self, prepared: FlowTable) -> int:
        """Join them."""
        join(prepared, timeout_s=60)
        return len(prepared)

    def needs(self, prepared: FlowTable) -> Needs:
        """Count all columns of the pieces, and those of the flows made of them.

        The pieces of a conversation are found by their ends, ports and protocol. They lie between
        those of others, so each value is brought to its flow; of what stays that of the first piece
        only that.
        """
        pieces, made = prepared.table, join(prepared, timeout_s=60).flows.table
        first = sum(rule_of(name) == "first" for name in pieces.column_names)
        values = first * len(made) + (pieces.num_columns - first) * len(pieces)
        return Needs(
            moved=pieces.nbytes + made.nbytes,
            lookups=2 * len(pieces) + values,
            matched=len(pieces),
        )
