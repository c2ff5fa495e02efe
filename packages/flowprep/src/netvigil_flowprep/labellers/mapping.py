"""Which column of a truth table is what: a TOML file names them.

    [columns]                      # ours = theirs; leave out what the table lacks
    src_ip = "Source IP"
    src_port = "Source Port"
    dst_ip = "Destination IP"
    dst_port = "Destination Port"
    protocol = "Protocol"
    start = "Start time"
    end = "Last time"
    category = "Attack category"

    [time]
    unit = "s"                     # of epoch numbers: s, ms or us
    format = "%d/%m/%Y %H:%M"      # of text; ISO 8601 needs none

Without a mapping file the table's columns must have our names.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from netvigil.errors import ConfigError, nearest
from netvigil.parts import PartConfig

NAMES = (
    "src_ip",
    "src_port",
    "dst_ip",
    "dst_port",
    "protocol",
    "start",
    "end",
    "category",
    "is_attack",
)


class TimeCells(PartConfig):
    """How times are written."""

    unit: Literal["s", "ms", "us"] = Field("s", description="unit of epoch numbers")
    format: str | None = Field(None, description="strptime format of text that is not ISO 8601")


class Mapping(PartConfig):
    """Our column name -> the table's, and how its times are written."""

    columns: dict[str, str] = Field(default_factory=dict)
    time: TimeCells = TimeCells()

    @staticmethod
    def read(path: Path | None) -> Mapping:
        """Read a mapping file; None gives our own names.

        Raises:
            ConfigError: No such file, no TOML, an unknown name.
        """
        if path is None:
            return Mapping()
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            msg = "The mapping file of the truth table cannot be read."
            raise ConfigError(msg, where=f"{path}: {error}") from error
        for name in values.get("columns", {}):
            if name not in NAMES:
                msg = f"A truth table has no column '{name}'."
                do = nearest(name, NAMES) or f"Ours are: {', '.join(NAMES)}."
                raise ConfigError(msg, where=f"{path}, [columns]", do=do)
        try:
            return Mapping.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            msg = f"The mapping file of the truth table is wrong: {first['msg']}."
            raise ConfigError(msg, where=f"{path}, {place}") from error

    def resolve(self, have: list[str], *, where: str) -> dict[str, str]:
        """Return our name -> the table's column, for the columns that there are.

        Raises:
            ConfigError: A named column is not in the table, or nothing in it identifies a flow.
        """
        wanted = self.columns or {name: name for name in NAMES if name in have}
        stripped = {name.strip().lower(): name for name in have}
        found = {}
        for ours, theirs in wanted.items():
            column = theirs if theirs in have else stripped.get(theirs.strip().lower())
            if column is None:
                msg = f"The truth table has no column '{theirs}' (for {ours})."
                do = nearest(theirs, have) or f"It has: {', '.join(have)}."
                raise ConfigError(msg, where=where, do=do)
            found[ours] = column
        if not {"src_ip", "dst_ip", "start"} & set(found):
            msg = "Nothing in the truth table identifies a flow: neither an address nor a time."
            do = f"Name its columns in a mapping file; it has: {', '.join(have)}."
            raise ConfigError(msg, where=where, do=do)
        return found
