"""CICFlowMeter's four dialects, brought to one set of names (those of CSE-CIC-IDS2018).

Bytes are payload. The published 2017 and 2018 files write 12-hour times without AM or PM; both
were recorded by day, so hours from 1 to 7 are taken as afternoon (counted as repaired) unless the
file shows that it counts to 24. Their subflow, bulk and flag columns are known to be wrong: prefer
the corrected releases, which are of the dialect `cicflowmeter`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import polars as pl

from netvigil.contracts import FlowInfo
from netvigil_flowprep.readers.config import CicConfig
from netvigil_flowprep.readers.dialect import (
    REAL,
    TEXT,
    WHOLE,
    Dialect,
    Names,
    plain,
)
from netvigil_flowprep.readers.layout import Header, distinct_slugs
from netvigil_flowprep.readers.ports import WITH_PORTS
from netvigil_flowprep.readers.times import ISO, text_us

_WORDS = {
    "total": "tot", "packet": "pkt", "packets": "pkts", "length": "len", "bytes": "byts",
    "count": "cnt", "segment": "seg", "average": "avg", "backward": "bwd", "forward": "fwd",
    "cwe": "cwr", "source": "src", "destination": "dst", "variance": "var",
}  # fmt: skip
_NAMES = {
    "tot_fwd_pkt": "tot_fwd_pkts",
    "tot_len_of_fwd_pkts": "totlen_fwd_pkts",
    "tot_len_of_bwd_pkts": "totlen_bwd_pkts",
    "tot_len_of_fwd_pkt": "totlen_fwd_pkts",
    "tot_len_of_bwd_pkt": "totlen_bwd_pkts",
    "min_pkt_len": "pkt_len_min",
    "max_pkt_len": "pkt_len_max",
    "avg_pkt_size": "pkt_size_avg",
    "avg_fwd_seg_size": "fwd_seg_size_avg",
    "avg_bwd_seg_size": "bwd_seg_size_avg",
    "init_win_byts_fwd": "init_fwd_win_byts",
    "init_win_byts_bwd": "init_bwd_win_byts",
    "fwd_init_win_byts": "init_fwd_win_byts",
    "bwd_init_win_byts": "init_bwd_win_byts",
    "act_data_pkt_fwd": "fwd_act_data_pkts",
    "min_seg_size_fwd": "fwd_seg_size_min",
    **{
        f"{side}_{theirs}": f"{side}_{ours}"
        for side in ("fwd", "bwd")
        for theirs, ours in (
            ("avg_byts_bulk", "byts_b_avg"),
            ("byts_bulk_avg", "byts_b_avg"),
            ("avg_pkts_bulk", "pkts_b_avg"),
            ("pkt_bulk_avg", "pkts_b_avg"),
            ("avg_bulk_rate", "blk_rate_avg"),
            ("bulk_rate_avg", "blk_rate_avg"),
        )
    },
}


def short_name(name: str) -> str:
    """Return the one name of a column that the dialects call differently.

    Example:
        >>> short_name("total_length_of_fwd_packets"), short_name("fwd_packet_bulk_avg")
        ('totlen_fwd_pkts', 'fwd_pkts_b_avg')
    """
    words = "_".join(_WORDS.get(word, word) for word in name.split("_"))
    return _NAMES.get(words, words)


def _renamed_if(marker: str) -> Callable[[Header], Header]:
    """Return a renaming for headers that have this column, which tells the dialects apart."""

    def rename(header: Header) -> Header:
        if marker not in {text.strip() for text in header.texts}:
            return replace(header, names=())
        names = distinct_slugs(short_name(name) for name in header.names)
        return replace(header, names=names)

    return rename


_DAY_FIRST = ("%d/%m/%Y %I:%M:%S %p", "%d/%m/%Y %H:%M:%S%.f", "%d/%m/%Y %H:%M")
_MONTH_FIRST = ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S%.f", "%m/%d/%Y %H:%M")
_HOUR_US = 3_600_000_000


def _prepare(config: CicConfig) -> Mapping[str, pl.Expr]:
    slashed = _DAY_FIRST if config.day_first else _MONTH_FIRST
    return {"local_us": text_us("timestamp", (*slashed, *ISO))}


def _is_afternoon(config: CicConfig) -> pl.Expr:
    hour = pl.col("local_us") // _HOUR_US % 24
    return hour.is_between(1, 7) & pl.lit(config.twelve_hour == "yes")


def _settle_hours(sample: pl.DataFrame, config: CicConfig) -> CicConfig:
    """Take times as 12-hour ones unless the sample shows an hour outside 1..12, or AM and PM."""
    if config.twelve_hour != "auto" or "timestamp" not in sample.columns or not sample.height:
        return config
    hour = sample.with_columns(**_prepare(config))["local_us"] // _HOUR_US % 24
    says = sample["timestamp"].str.contains("(?i)[ap]m").any()
    counts_to_12 = bool(hour.drop_nulls().is_between(1, 12).all())
    return config.model_copy(update={"twelve_hour": "yes" if counts_to_12 and not says else "no"})


def _derive(unit_s: float) -> Callable[[Names, CicConfig], Mapping[str, pl.Expr]]:
    def derive(have: Names, config: CicConfig) -> Mapping[str, pl.Expr]:
        made = plain(
            have,
            {
                "src_ip": "src_ip",
                "dst_ip": "dst_ip",
                "src_port": "src_port",
                "dst_port": "dst_port",
                "protocol": "protocol",
                "fwd_packets": "tot_fwd_pkts",
                "bwd_packets": "tot_bwd_pkts",
                "fwd_bytes": "totlen_fwd_pkts",
                "bwd_bytes": "totlen_bwd_pkts",
                "label": "label",
            },
        )
        made["duration_s"] = pl.col("flow_duration") * unit_s
        if "timestamp" in have:
            local = pl.col("local_us") + 12 * _HOUR_US * _is_afternoon(config).cast(pl.Int64)
            made["start_us"] = local - config.utc_offset_s * 1_000_000
        if "protocol" in have:
            for name in made.keys() & {"src_port", "dst_port"}:
                made[name] = pl.when(pl.col("protocol").is_in(WITH_PORTS)).then(pl.col(name))
            is_icmp = pl.col("protocol").is_in((1, 58))
            for name in have & {"icmp_type", "icmp_code"}:
                made[name] = pl.when(is_icmp).then(pl.col(name))
        return made

    return derive


def _dialect(name: str, marker: str, *, unit_s: float = 1e-6, hours_to_12: bool = False) -> Dialect:
    def info(have: Names, _: CicConfig) -> FlowInfo:
        return FlowInfo(name, "clock" if "timestamp" in have else "row-order", "payload", "bi")

    def repairs(have: Names, config: CicConfig) -> Mapping[str, pl.Expr]:
        if "timestamp" not in have or config.twelve_hour != "yes":
            return {}
        return {"a 12-hour time taken as afternoon": _is_afternoon(config)}

    return Dialect(
        name=name,
        why=f"columns '{marker}' and Flow Duration",
        needs=(frozenset({"flow_duration", "tot_fwd_pkts", "tot_bwd_pkts"}),),
        rename_header=_renamed_if(marker),
        types={
            **dict.fromkeys(("src_ip", "dst_ip", "timestamp", "label", "flow_id"), TEXT),
            **dict.fromkeys(("src_port", "dst_port", "protocol"), WHOLE),
            **dict.fromkeys(("tot_fwd_pkts", "tot_bwd_pkts", "flow_duration"), REAL),
            **dict.fromkeys(("totlen_fwd_pkts", "totlen_bwd_pkts"), REAL),
        },
        # The second header length is the first again; "Attempted Category" says what the label is.
        drop=frozenset({"id", "flow_id", "attempted_category", "fwd_header_len_1", "column_0"}),
        prepare=_prepare,
        derive=_derive(unit_s),
        info=info,
        repairs=repairs,
        config_for=_settle_hours if hours_to_12 else None,
    )


CIC_IDS2017 = _dialect("cic-ids2017", "Total Backward Packets", hours_to_12=True)
CSE_CIC_IDS2018 = _dialect("cse-cic-ids2018", "Tot Bwd Pkts", hours_to_12=True)
V4 = _dialect("cicflowmeter", "Total Bwd packets")
PYTHON = _dialect("cicflowmeter-py", "tot_bwd_pkts", unit_s=1.0)
