"""What netvigil-flowprep brings: readers, labellers, transforms, graph builders, a sample, `raw`.

One entry per part. A part's module is imported when the part is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from netvigil import hookimpl, parts


def _lazy(place: str) -> Callable[[Any], Any]:
    """Return a `make` that imports "module:Class" of this package when it is called."""
    module, _, name = place.partition(":")

    def make(config: Any) -> Any:
        return getattr(import_module(f"netvigil_flowprep.{module}"), name)(config)

    return make


def _dialect(place: str) -> Callable[[Any], Any]:
    """Return a `make` of the delimited reader for the dialect "module:NAME" of `readers`."""
    module, _, name = place.partition(":")

    def make(config: Any) -> Any:
        from netvigil_flowprep.readers.delimited import Delimited

        dialect = getattr(import_module(f"netvigil_flowprep.readers.{module}"), name)
        return Delimited(dialect, config)

    return make


@hookimpl
def netvigil_flow_readers() -> Iterator[parts.FlowReader]:
    """Dialects of flow records; lower ranks are asked first by auto-detection."""
    yield from _capture_and_sensor_readers()
    yield from _delimited_readers()


def _capture_and_sensor_readers() -> Iterator[parts.FlowReader]:
    from netvigil_flowprep.capture.config import PcapConfig

    yield parts.FlowReader(
        name="pcap",
        summary="Captures (pcap, pcapng) through NFStream: a file or a folder.",
        config=PcapConfig,
        make=_lazy("capture.reader:Pcap"),
        rank=1,
    )
    yield parts.FlowReader(
        name="zeek",
        summary="Zeek's conn log: TSV, JSON or CSV, labelled or not, a file or a folder.",
        make=_lazy("readers.zeek:Zeek"),
        rank=10,
    )
    yield parts.FlowReader(
        name="suricata",
        summary="Suricata's EVE JSON: its events of type flow.",
        make=_lazy("readers.suricata:Suricata"),
        rank=11,
    )


def _delimited_readers() -> Iterator[parts.FlowReader]:
    from netvigil.parts import NoConfig
    from netvigil_flowprep.readers import config

    yield parts.FlowReader(
        name="netvigil",
        summary="Parquet that netvigil wrote.",
        make=_lazy("readers.netvigil_parquet:NetvigilParquet"),
        rank=5,
    )
    local, cic, none = config.LocalTimeConfig, config.CicConfig, NoConfig
    nfdump, nfstream, westermo = config.NfdumpConfig, config.NFStreamConfig, config.WestermoConfig
    # Names decide all but the headerless dialects, which therefore come last.
    for rank, name, place, settings, summary in (
        (20, "nfstream", "nfstream:DIALECT", nfstream, "NFStream's CSV or Parquet."),
        (20, "nf-v3", "nprobe:V3", none, "NF-*-v3 data sets (nProbe names, with times)."),
        (21, "nf-v2", "nprobe:V2", none, "NF-*-v2 data sets (nProbe names, no times)."),
        (22, "nf-v1", "nprobe:V1", none, "NF-* data sets of the first version (no times)."),
        (20, "ctu-13", "argus:DIALECT", local, "Argus binetflow, such as CTU-13."),
        (20, "cidds", "cidds:DIALECT", config.CiddsConfig, "CIDDS-001 and CIDDS-002."),
        (20, "nfdump-new", "nfdump:NEW", nfdump, "nfdump's CSV since 1.7.5."),
        (20, "cic-ids2017", "cicflowmeter:CIC_IDS2017", cic, "CIC-IDS2017 as published."),
        (20, "cse-cic-ids2018", "cicflowmeter:CSE_CIC_IDS2018", cic, "CSE-CIC-IDS2018."),
        (20, "cicflowmeter", "cicflowmeter:V4", cic, "CICFlowMeter 4, corrected data sets."),
        (20, "cicflowmeter-py", "cicflowmeter:PYTHON", cic, "The Python cicflowmeter."),
        (20, "tstat-tcp", "tstat:TCP", none, "tstat's log_tcp_complete."),
        (20, "tstat-udp", "tstat:UDP", none, "tstat's log_udp_complete."),
        (20, "westermo", "westermo:DIALECT", westermo, "Westermo's flow files."),
        (30, "unsw-nb15-partition", "unsw:PARTITION", none, "UNSW-NB15's train and test sets."),
        (40, "nfdump", "nfdump:OLD", nfdump, "nfdump's CSV up to 1.7.4."),
        (40, "unsw-nb15", "unsw:RAW", none, "UNSW-NB15's raw files."),
        (40, "nsl-kdd", "nsl_kdd:DIALECT", none, "NSL-KDD, with or without header."),
    ):
        yield parts.FlowReader(
            name=name, summary=summary, config=settings, make=_dialect(place), rank=rank
        )


@hookimpl
def netvigil_flow_labellers() -> Iterator[parts.FlowLabeller]:
    """Sources of ground truth."""
    from netvigil_flowprep.labellers.config import EventsConfig, GroundTruthConfig

    yield parts.FlowLabeller(
        name="inline",
        summary="The source's own label column.",
        make=_lazy("labellers.inline:Inline"),
    )
    yield parts.FlowLabeller(
        name="events",
        summary="Intervals with the addresses that caused them: a Westermo log, CSV or TOML.",
        config=EventsConfig,
        make=_lazy("labellers.events:EventLabels"),
    )
    yield parts.FlowLabeller(
        name="ground-truth",
        summary="A table of attacks by addresses, ports, protocol and time.",
        config=GroundTruthConfig,
        make=_lazy("labellers.ground_truth:GroundTruth"),
    )


@hookimpl
def netvigil_flow_joiners() -> Iterator[parts.FlowJoiner]:
    """Rules that join the records of one conversation."""
    from netvigil_flowprep.join import TimeoutConfig

    yield parts.FlowJoiner(
        name="timeout",
        summary="Pieces of one conversation whose gap is below a timeout become one flow.",
        config=TimeoutConfig,
        make=_lazy("join:Timeout"),
    )


@hookimpl
def netvigil_flow_transforms() -> Iterator[parts.FlowTransform]:
    """Feature maps, fitted on the train range; without labels, but for those that say so."""
    yield from _label_free_transforms()
    yield from _supervised_transforms()


def _label_free_transforms() -> Iterator[parts.FlowTransform]:
    from netvigil_flowprep.transforms.categories import CategoriesConfig
    from netvigil_flowprep.transforms.clean import CleanConfig
    from netvigil_flowprep.transforms.log1p import Log1pConfig
    from netvigil_flowprep.transforms.min_max import MinMaxConfig
    from netvigil_flowprep.transforms.quantile_scale import QuantileScaleConfig
    from netvigil_flowprep.transforms.robust_scale import RobustScaleConfig
    from netvigil_flowprep.transforms.standard_scale import StandardScaleConfig

    yield parts.FlowTransform(
        name="clean",
        summary="Fills missing values, refuses infinite ones.",
        config=CleanConfig,
        make=_lazy("transforms.clean:Clean"),
    )
    yield parts.FlowTransform(
        name="log1p",
        summary="Signed logarithm of 1 + |x|, of all columns or of skewed ones.",
        config=Log1pConfig,
        make=_lazy("transforms.log1p:Log1p"),
    )
    yield parts.FlowTransform(
        name="robust-scale",
        summary="Median 0, interquartile range of a standard normal, clipped.",
        config=RobustScaleConfig,
        make=_lazy("transforms.robust_scale:RobustScale"),
    )
    yield parts.FlowTransform(
        name="min-max",
        summary="The train range's extremes become 0 and 1.",
        config=MinMaxConfig,
        make=_lazy("transforms.min_max:MinMax"),
    )
    yield parts.FlowTransform(
        name="standard-scale",
        summary="Mean 0, standard deviation 1, clipped.",
        config=StandardScaleConfig,
        make=_lazy("transforms.standard_scale:StandardScale"),
    )
    yield parts.FlowTransform(
        name="quantile-scale",
        summary="Ranks in the train range: uniform from 0 to 1, or normal.",
        config=QuantileScaleConfig,
        make=_lazy("transforms.quantile_scale:QuantileScale"),
    )
    yield parts.FlowTransform(
        name="l2-row",
        summary="Each flow's features as a vector of length 1.",
        make=_lazy("transforms.l2_row:L2Row"),
    )
    yield parts.FlowTransform(
        name="categories",
        summary="Text columns by frequency: one-hot with a rare bucket, a rarity, or both.",
        config=CategoriesConfig,
        make=_lazy("transforms.categories:Categories"),
    )


def _supervised_transforms() -> Iterator[parts.FlowTransform]:
    from netvigil_flowprep.transforms.label_aware_categories import LabelAwareCategoriesConfig
    from netvigil_flowprep.transforms.target_encoding import TargetEncodingConfig

    yield parts.FlowTransform(
        name="label-aware-categories",
        summary="As categories, rare values kept where attacks prefer them; for parity only.",
        config=LabelAwareCategoriesConfig,
        supervised=True,
        make=_lazy("transforms.label_aware_categories:LabelAwareCategories"),
    )
    yield parts.FlowTransform(
        name="target-encoding",
        summary="Categories as attack rates; reads labels, for parity only.",
        config=TargetEncodingConfig,
        supervised=True,
        make=_lazy("transforms.target_encoding:TargetEncoding"),
    )


@hookimpl
def netvigil_graph_builders() -> Iterator[parts.GraphBuilder]:
    """Windows of flows, with or without a graph."""
    from netvigil_flowprep.graphs.flow_host import FlowHostConfig
    from netvigil_flowprep.graphs.flows_only import FlowsOnlyConfig
    from netvigil_flowprep.graphs.traffic_dispersion import TrafficDispersionConfig

    yield parts.GraphBuilder(
        name="flow-host",
        summary="Flows between hosts in windows of time or count, or in one.",
        config=FlowHostConfig,
        emits="flow-host",
        make=_lazy("graphs.flow_host:FlowHost"),
    )
    yield parts.GraphBuilder(
        name="traffic-dispersion",
        summary="Windows of flows whose hosts carry the mean features of their flows.",
        config=TrafficDispersionConfig,
        emits="traffic-dispersion",
        make=_lazy("graphs.traffic_dispersion:TrafficDispersion"),
    )
    yield parts.GraphBuilder(
        name="none",
        summary="Flows without a graph, for tabular methods and any source.",
        config=FlowsOnlyConfig,
        emits="flows-only",
        needs_addresses=False,
        make=_lazy("graphs.flows_only:FlowsOnly"),
    )


@hookimpl
def netvigil_encoders() -> Iterator[parts.Encoder]:
    """The encoder that learns nothing."""
    yield parts.Encoder(
        name="raw",
        summary="Flow features as they are.",
        accepts=("flow-host", "flows-only"),
        passes="none",
        make=_lazy("raw:Raw"),
    )


@hookimpl
def netvigil_samples() -> Iterator[parts.Sample]:
    """Recorded traffic that comes with this package."""
    yield parts.Sample(
        name="office",
        summary="A small office with servers and controllers, attacked; recorded in a lab.",
        make=_lazy("samples:Office"),
    )


@hookimpl
def netvigil_benchmarks() -> Iterator[parts.Benchmark]:
    """Micro-benchmarks of this package's rooms, each at a size that takes 20 to 500 ms."""
    for place, name, flows, summary in (
        ("file_benchmarks:read_zeek", "read-zeek", 50_000, "Zeek's conn log as TSV."),
        ("file_benchmarks:read_unsw", "read-unsw-nb15", 20_000, "UNSW-NB15's raw CSV."),
        ("file_benchmarks:read_suricata", "read-suricata", 20_000, "Suricata's EVE JSON."),
        ("file_benchmarks:ReadParquet", "read-parquet", 200_000, "Parquet that netvigil wrote."),
        ("file_benchmarks:ConvertUnsw", "convert-unsw-nb15", 20_000, "UNSW-NB15's to Parquet."),
        ("benchmarks:BuildFlowHost", "build-flow-host", 200_000, "Hosts and flows, 180 s."),
        ("benchmarks:BuildDispersion", "build-traffic-dispersion", 100_000, "Features of hosts."),
        ("benchmarks:TransformDefault", "transform-default", 100_000, "Default transforms."),
        ("benchmarks:LabelGroundTruth", "label-ground-truth", 100_000, "By a tenth as many rows."),
        ("benchmarks:JoinPieces", "join-pieces", 100_000, "Pieces of conversations to flows."),
    ):
        yield parts.Benchmark(
            name=name,
            summary=summary,
            make=_lazy(place),
            room=name.partition("-")[0],
            flows=flows,
            hot=name in _HOT,
        )


_HOT = {"read-parquet", "build-flow-host", "build-traffic-dispersion", "transform-default"}
