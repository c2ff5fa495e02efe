"""`AlertTable`: our decisions, with enough in each row to act without the input file."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from netvigil.errors import ContractError

ALERTS = pa.schema(
    [
        ("flow_id", pa.int64()),
        ("start", pa.timestamp("us", tz="UTC")),
        ("end", pa.timestamp("us", tz="UTC")),
        ("src_ip", pa.string()),
        ("src_port", pa.uint16()),
        ("dst_ip", pa.string()),
        ("dst_port", pa.uint16()),
        ("protocol", pa.uint8()),
        ("score", pa.float64()),
        ("cut", pa.float64()),
        ("reasons", pa.list_(pa.string())),
        ("bundle", pa.string()),
    ]
)
"""`reasons` are short sentences in words; `bundle` is the digest of the bundle that decided."""


@dataclass(frozen=True)
class AlertTable:
    """Flows whose score lies above the cut.

    Shapes:
        table: [alerts, columns of `ALERTS`]

    Raises:
        ContractError: Other columns; a score that is not above its cut.
    """

    table: pa.Table

    def __post_init__(self) -> None:
        if self.table.schema.names != ALERTS.names or self.table.schema.types != ALERTS.types:
            msg = f"An alert table has the columns {', '.join(ALERTS.names)}."
            raise ContractError(msg, where=f"Found: {', '.join(self.table.schema.names)}")
        if (self.table["score"].to_numpy() <= self.table["cut"].to_numpy()).any():
            msg = "An alert's score does not exceed its cut."
            raise ContractError(msg)

    def __len__(self) -> int:
        return int(self.table.num_rows)
