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
    """The label text of a file, found by flow id: a code per row, and the distinct texts once."""

    def __init__(self, inline: pa.Table | None) -> None:
        if inline is None:
            inline = pa.table({"flow_id": pa.array([], pa.int64())})
        ids = inline["flow_id"].to_numpy()
        rising = bool(np.all(ids[1:] > ids[:-1]))
        order = slice(None) if rising else np.argsort(ids, kind="stable")
        self._ids = ids[order]
        # A source that rejected nothing has the ids 0, 1, 2, ...: then an id is its own place.
        self._dense = bool(len(ids) and self._ids[0] == 0 and self._ids[-1] == len(ids) - 1)
        self._texts = {name: _codes(inline[name], order) for name in inline.column_names[1:]}

    def of(self, flow_id: NDArray[np.int64]) -> pa.Table | None:
        if not len(self._ids):
            return None
        place = np.minimum(
            flow_id if self._dense else np.searchsorted(self._ids, flow_id), len(self._ids) - 1
        )
        found = self._ids[place] == flow_id
        if not found.all():
            place, flow_id = place[found], flow_id[found]
        texts = {}
        for name, (codes, distinct) in self._texts.items():
            chosen = codes[place]
            if (chosen >= 0).any():
                indices = pa.array(chosen, mask=chosen < 0)
                texts[name] = pa.DictionaryArray.from_arrays(indices, distinct).cast(pa.string())
        return pa.table([pa.array(flow_id), *texts.values()], names=["flow_id", *texts])


def _codes(
    column: pa.ChunkedArray, order: NDArray[np.int64] | slice
) -> tuple[NDArray[np.int32], pa.Array]:
    """Return each row's place among the distinct texts, -1 for null, and these."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    codes = whole.indices.fill_null(-1).to_numpy().astype(np.int32, copy=False)
    return codes[order], whole.dictionary.cast(pa.string())
