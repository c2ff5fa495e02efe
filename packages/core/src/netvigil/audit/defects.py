"""Published defects of known data sets, recognised by format, columns, dates and class names."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Severity = Literal["high", "medium", "low"]

ENGELEN = (
    "Engelen, Rimmer, Joosen: Troubleshooting an Intrusion Detection Dataset: the CICIDS2017 Case"
    " Study, IEEE SPW 2021, doi:10.1109/SPW53761.2021.00009"
)
LIU = (
    "Liu, Engelen, Lynar, Essam, Joosen: Error Prevalence in NIDS datasets: A Case Study on"
    " CIC-IDS-2017 and CSE-CIC-IDS-2018, IEEE CNS 2022, doi:10.1109/CNS56114.2022.9947235"
)
LANVIN = (
    "Lanvin et al.: Errors in the CICIDS2017 dataset and the significant differences in detection"
    " performances it makes, CRiSIS 2022, hal-03775466"
)
FLOOD = (
    "Flood, Engelen, Aspinall, Desmet: Bad Design Smells in Benchmark NIDS Datasets, IEEE EuroS&P"
    " 2024, doi:10.1109/EuroSP60621.2024.00042"
)
SARHAN = (
    "Sarhan, Layeghy, Portmann: Towards a Standard Feature Set for Network Intrusion Detection"
    " System Datasets, Mobile Networks and Applications 2022, doi:10.1007/s11036-021-01843-0"
)
LAYEGHY = "Layeghy, Gallagher, Portmann: Benchmarking the Benchmark, 2021, arXiv:2104.09029"
WESTERMO = (
    "Strandberg et al.: The Westermo network traffic data set, 2023,"
    " github.com/westermo/network-traffic-dataset"
)
TAVALLAEE = (
    "Tavallaee, Bagheri, Lu, Ghorbani: A detailed analysis of the KDD CUP 99 data set, CISDA 2009,"
    " doi:10.1109/CISDA.2009.5356528"
)
MCHUGH = "McHugh: Testing Intrusion Detection Systems, ACM TISSEC 2000, doi:10.1145/382912.382923"
GARCIA = (
    "García, Grill, Stiborek, Zunino: An empirical comparison of botnet detection methods,"
    " Computers & Security 2014, doi:10.1016/j.cose.2014.05.011"
)
RING = (
    "Ring et al.: Flow-based benchmark data sets for intrusion detection, ECCWS 2017;"
    " the CIDDS technical reports"
)


@dataclass(frozen=True)
class Traits:
    """What a data set is recognised by; class names in plain form (lower case, underscores)."""

    format: str
    columns: frozenset[str]
    classes: frozenset[str]
    first: datetime | None

    @staticmethod
    def of(
        *,
        format_name: str,
        columns: Collection[str],
        classes: Collection[str],
        first_us: int | None,
    ) -> Traits:
        """Bring names into plain form."""
        first = None
        if first_us is not None and 0 <= first_us < 4_102_444_800_000_000:  # up to 2100
            first = datetime.fromtimestamp(first_us / 1e6, UTC)
        names = frozenset(plain(name) for name in classes)
        return Traits(format_name.lower(), frozenset(columns), names, first)


@dataclass(frozen=True)
class Defect:
    """One published defect: what it is recognised by, what is wrong, what to do, who says so."""

    name: str
    severity: Severity
    applies: Callable[[Traits], bool]
    what: str
    do: str
    source: str


def known_defects(traits: Traits) -> list[Defect]:
    """Return the defects that apply, in the order of the list."""
    return [defect for defect in DEFECTS if defect.applies(traits)]


def plain(name: str) -> str:
    """Return a class name without case and separators.

    Example:
        >>> plain(" Infiltration - Portscan")
        'infiltration_portscan'
    """
    return re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")


def _cic(traits: Traits, year: int) -> bool:
    if not re.search(r"cic|cse", traits.format) or traits.format.startswith("nf"):
        return False
    return str(year) in traits.format or (traits.first is not None and traits.first.year == year)


def _cic_2017_original(traits: Traits) -> bool:
    # The corrected release renames Bot to Botnet and splits attempts and the inner scan off.
    corrected = {"botnet", "infiltration_portscan"} & traits.classes or any(
        name.endswith("attempted") for name in traits.classes
    )
    return _cic(traits, 2017) and not corrected


def _unsw(traits: Traits) -> bool:
    return "unsw" in traits.format or {"x_sttl", "x_ct_state_ttl"} <= traits.columns


def _kdd(traits: Traits) -> bool:
    return "kdd" in traits.format or "x_dst_host_srv_count" in traits.columns


def _nf(traits: Traits) -> bool:
    return traits.format.startswith(("nf-", "netflow-nf")) or (
        "x_src_to_dst_second_bytes" in traits.columns
    )


def _misconf(traits: Traits) -> bool:
    return any("misconf" in name for name in traits.classes)


DEFECTS = (
    Defect(
        "CICIDS2017, original release",
        "high",
        _cic_2017_original,
        "The original CSV files were built with a faulty flow meter and have wrong labels, packets"
        " out of order and doubled, and attacks that were never labelled.",
        "Use the corrected release, or say that figures on this one do not compare.",
        f"{ENGELEN}; {LIU}; {LANVIN}",
    ),
    Defect(
        "CSE-CIC-IDS2018 infiltration",
        "high",
        lambda t: _cic(t, 2018) or (_nf(t) and any(n.startswith("infilt") for n in t.classes)),
        "Most flows labelled infiltration are doubtful, and the failures of all methods gather"
        " there; the flow meter's faults are those of CICIDS2017.",
        "Name the class in evaluate.exclude to get a second headline without it.",
        LIU,
    ),
    Defect(
        "UNSW-NB15 TTL shortcut",
        "high",
        _unsw,
        "TTL-derived columns (sttl, dttl, ct_state_ttl) correlate extremely with the label, which"
        " says how the traffic was generated and nothing about attacks.",
        "Keep them denied; where features.allow_shortcuts names one, state it with every figure.",
        SARHAN,
    ),
    Defect(
        "UNSW-NB15 background traffic",
        "medium",
        _unsw,
        "Benign traffic is synthetic and its statistics differ much from those of real networks.",
        "Do not carry figures over to another network without a test there.",
        LAYEGHY,
    ),
    Defect(
        "Westermo misconfiguration classes",
        "high",
        lambda t: "westermo" in t.format or _misconf(t),
        "The MISCONF classes label all ordinary traffic of a device during the event, so no"
        " detector can tell those flows from the same traffic before it.",
        'Set evaluate.exclude = ["misconf", "misconf_duplication"] and read both headlines.',
        WESTERMO,
    ),
    Defect(
        "NSL-KDD",
        "high",
        _kdd,
        "Traffic of 1998 in which about half of the rows are attacks, without addresses and time;"
        " the simulation it comes from was never validated.",
        "Use it as a smoke test only.",
        f"{TAVALLAEE}; {MCHUGH}",
    ),
    Defect(
        "NF-* collections",
        "medium",
        _nf,
        "These flows were made again from older captures and inherit their labels' defects;"
        " versions 1 and 2 have no time, and second-bytes and throughput columns overflow.",
        "Check the defects of the parent data set, and use version 3 for a split by time.",
        SARHAN,
    ),
    Defect(
        "CTU-13 background",
        "medium",
        lambda t: bool(re.search(r"ctu|argus|binetflow", t.format)),
        "Background flows were never inspected: they are unknown, not benign.",
        "Leave them unknown; metrics then rest on the labelled flows only.",
        GARCIA,
    ),
    Defect(
        "CIDDS emulation",
        "low",
        lambda t: "cidds" in t.format,
        "The internal traffic is emulated by scripts, and public addresses are anonymised tokens.",
        "Read the external server's flows apart from the emulated ones.",
        RING,
    ),
)
