"""Our own Parquet files, as `netvigil data convert` writes them, with the flow ids they have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from netvigil.contracts import FlowBatch, FlowTable, ReadReport
from netvigil.errors import ContractError, SourceError
from netvigil.parts import NoConfig
from netvigil.protocols import SourceHead
from netvigil.store import FlowStore
from netvigil_flowprep.readers.parquet import is_parquet


class NetvigilParquet:
    """Reads a file written by `netvigil.store.FlowStore`; implements `protocols.FlowReader`.

    Flows keep their ids and their time order. The first batch carries the row accounting of the
    conversion that made the file.
    """

    def __init__(self, config: NoConfig) -> None:
        self.config = config

    def sniff(self, head: SourceHead) -> str | None:
        """Recognise Parquet with netvigil's own metadata."""
        if not is_parquet(head.head):
            return None
        try:
            metadata = pq.read_metadata(head.path).metadata or {}
        except (pa.ArrowException, OSError):
            return None
        return "Parquet with netvigil's flow metadata" if b"netvigil.flows" in metadata else None

    def read(self, source: Path, *, batch_rows: int) -> Iterator[FlowBatch]:
        """Yield the flows and their label text, `batch_rows` at a time, checked again.

        Raises:
            SourceError: A folder, a damaged file, or one that netvigil did not write.
        """
        if source.is_dir():
            msg = "A folder of netvigil files is not one source: their flow ids collide."
            raise SourceError(msg, where=str(source), do="Read one file at a time.")
        try:
            store = FlowStore.open(source)
            labels = _Labels(store.inline())
            report = store.report
            earlier = replace(report, read=max(report.read - len(store), 0))
            for trusted in store.batches(rows=batch_rows):
                flows = FlowTable(trusted.table, store.info)
                accounted = earlier + ReadReport(read=len(flows))
                earlier = ReadReport()
                yield FlowBatch(flows, accounted, labels.of(flows.flow_id))
        except (ContractError, pa.ArrowException, OSError) as error:
            msg = "This is no whole netvigil flow file."
            raise SourceError(msg, where=f"{source}: {error}", do="Convert it again.") from error


class _Labels:
    """The label text of a file, found by flow id: 16 bytes per row beside the distinct texts."""

    def __init__(self, inline: pa.Table | None) -> None:
        self._inline = inline
        if inline is not None:
            ids = inline["flow_id"].to_numpy()
            self._order = np.argsort(ids, kind="stable")
            self._sorted = ids[self._order]

    def of(self, flow_id: NDArray[np.int64]) -> pa.Table | None:
        if self._inline is None or not len(self._sorted):
            return None
        place = np.minimum(np.searchsorted(self._sorted, flow_id), len(self._sorted) - 1)
        found = self._sorted[place] == flow_id
        rows = self._inline.take(pa.array(self._order[place[found]]))
        texts = {name: rows[name].cast(pa.string()) for name in rows.column_names[1:]}
        kept = {name: text for name, text in texts.items() if text.null_count < len(text)}
        return pa.table([rows["flow_id"], *kept.values()], names=["flow_id", *kept])
