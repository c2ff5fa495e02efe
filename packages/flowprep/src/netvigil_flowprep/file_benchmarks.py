"""This package's micro-benchmarks of files: reading them, and converting one into another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from netvigil.bench.limits import Needs
from netvigil.bench.scratch import Scratch
from netvigil.dataset import convert
from netvigil.parts import NoConfig
from netvigil.phases import Phases
from netvigil.protocols import FlowReader
from netvigil.store import FlowStore
from netvigil.testing.synthetic import Traffic, stream, traffic
from netvigil_flowprep.exported import write_suricata, write_unsw, write_zeek
from netvigil_flowprep.readers.delimited import Delimited
from netvigil_flowprep.readers.netvigil_parquet import NetvigilParquet
from netvigil_flowprep.readers.suricata import Suricata
from netvigil_flowprep.readers.unsw import RAW
from netvigil_flowprep.readers.zeek import Zeek

BATCH_ROWS = 131_072  # what commands ask readers for


class Written(NamedTuple):
    """A file, and the folder that holds it for as long as this does."""

    path: Path
    folder: Scratch


@dataclass(frozen=True)
class ReadFile:
    """A reader on a file of its dialect, in the operating system's cache."""

    reader: FlowReader
    write: Callable[[Traffic, Path], None]
    name: str

    def setup(self, flows: int, *, seed: int) -> Written:
        """Write the file."""
        return _written(self.write, self.name, flows, seed)

    def run(self, prepared: Written) -> int:
        """Read it."""
        batches = self.reader.read(prepared.path, batch_rows=BATCH_ROWS)
        return sum(len(batch.flows) for batch in batches)


def read_zeek(config: NoConfig) -> ReadFile:
    """Read Zeek's conn log."""
    return ReadFile(Zeek(config), write_zeek, "conn.log")


def read_unsw(config: NoConfig) -> ReadFile:
    """Read a raw file of UNSW-NB15."""
    return ReadFile(Delimited(RAW, config), write_unsw, "UNSW-NB15_1.csv")


def read_suricata(config: NoConfig) -> ReadFile:
    """Read Suricata's EVE log."""
    return ReadFile(Suricata(config), write_suricata, "eve.json")


class ReadParquet:
    """Our own Parquet, 44 columns."""

    def __init__(self, config: NoConfig) -> None:
        self._reader = NetvigilParquet(config)

    def setup(self, flows: int, *, seed: int) -> Written:
        """Write the file as `data convert` does."""
        folder = Scratch()
        store = FlowStore.write(stream(flows, seed=seed), folder.path / "flows.parquet")
        return Written(store.path, folder)

    def run(self, prepared: Written) -> int:
        """Read it."""
        batches = self._reader.read(prepared.path, batch_rows=BATCH_ROWS)
        return sum(len(batch.flows) for batch in batches)

    def needs(self, prepared: Written) -> Needs:
        """Count the file, which is read once, and the tables in memory, which are made of it."""
        batches = self._reader.read(prepared.path, batch_rows=BATCH_ROWS)
        tables = sum(batch.flows.table.nbytes for batch in batches)
        return Needs(moved=prepared.path.stat().st_size + tables, decoded=tables)


class ConvertUnsw:
    """A raw file of UNSW-NB15 to our Parquet and its labels, as `netvigil data convert` does."""

    def __init__(self, config: NoConfig) -> None:
        self.config = config

    def setup(self, flows: int, *, seed: int) -> Written:
        """Write the file."""
        return _written(write_unsw, "UNSW-NB15_1.csv", flows, seed)

    def run(self, prepared: Written) -> int:
        """Convert it, over what was converted before."""
        to = prepared.path.with_name("flows.parquet")
        return int(convert(prepared.path, to, Phases(), reader="unsw-nb15")["flows"])


def _written(write: Callable[[Traffic, Path], None], name: str, flows: int, seed: int) -> Written:
    folder = Scratch()
    path = folder.path / name
    write(traffic(flows, seed=seed), path)
    return Written(path, folder)
