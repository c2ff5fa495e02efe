from __future__ import annotations

from pathlib import Path

import pytest

from netvigil.detect import detect
from netvigil.errors import SourceError

from .reading import PARTS, write
from .test_readers_dialects import (
    CIC_2017,
    CIC_2018,
    CIDDS,
    NEW,
    NF_V1,
    NF_V2,
    NF_V3,
    OLD,
    OLD_ROW,
    ROW_V1,
    ROW_V2,
    ROW_V3,
    cic_2017_row,
    nfstream_frame,
)

CIDDS_ROW = "2017-03-15 00:01:16.632,0.003,TCP,1.1.1.1,1,1.1.1.2,2,1,108,1,.AP...,0,normal,-,-,-"
TEXTS = {
    "nf-v1": (NF_V1, ROW_V1),
    "nf-v2": (NF_V2, ROW_V2),
    "nf-v3": (NF_V3, ROW_V3),
    "cidds": (CIDDS, CIDDS_ROW),
    "nfdump": (OLD, OLD_ROW.format(back="0,0")),
    "nfdump-new": (NEW, "2024-01-01 10:00:00.000,1.5,17,1.1.1.1,53,1.1.1.2,5353,2,300,1"),
    "cic-ids2017": (CIC_2017, cic_2017_row("3/7/2017 8:55")),
    "cse-cic-ids2018": (CIC_2018, "443,6,28/02/2018 08:22:13,9,6,7,708,3718,1,8192,Benign"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_each_dialect_is_recognised_and_no_other_one_claims_it(tmp_path: Path, name: str):
    source = write(tmp_path / "a.csv", *TEXTS[name])
    detection = detect(source, list(PARTS.values()))
    assert detection.name == name
    assert detection.reason
    others = [part for part in PARTS.values() if part.name != name]
    with pytest.raises(SourceError):
        detect(source, others)


def test_parquet_is_recognised_by_its_columns(tmp_path: Path):
    nfstream_frame().write_parquet(tmp_path / "a.parquet")
    assert detect(tmp_path / "a.parquet", list(PARTS.values())).name == "nfstream"


def test_listing_readers_imports_neither_polars_nor_pandas():
    import subprocess
    import sys

    code = (
        "import sys; from netvigil_flowprep import plugin; list(plugin.netvigil_flow_readers());"
        "assert not {'polars', 'pandas'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
