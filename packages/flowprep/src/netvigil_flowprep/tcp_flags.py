"""TCP flags however a source writes them, as the bits of the TCP header."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

BITS = {"F": 0x01, "S": 0x02, "R": 0x04, "P": 0x08, "A": 0x10, "U": 0x20, "E": 0x40, "C": 0x80}
COUNTER_BITS = {
    "fin": 0x01, "syn": 0x02, "rst": 0x04, "psh": 0x08,
    "ack": 0x10, "urg": 0x20, "ece": 0x40, "cwr": 0x80,
}  # fmt: skip


def flags_of_text(text: str | None) -> int | None:
    """Return the bits of a flag text: letters with dots ('.AP.SF'), hex ('0x1b') or a number.

    Hex without a prefix is not guessed. Text that is none of these gives None.

    Example:
        >>> flags_of_text(".AP.SF"), flags_of_text("0x1b"), flags_of_text("27")
        (27, 27, 27)
    """
    text = (text or "").strip().upper()
    if not text:
        return None
    try:
        number = int(text, 16) if text.startswith("0X") else int(text)
    except ValueError:
        letters = set(text) - set(".- _")
        return sum(BITS[letter] for letter in letters) if letters <= BITS.keys() else None
    return number if 0 <= number <= 0xFF else None


def flags_of_texts(texts: pl.Series) -> pl.Series:
    """Return the bits of each of these (distinct) texts as UInt8."""
    return pl.Series(texts.name, [flags_of_text(text) for text in texts], dtype=pl.UInt8)


def flags_of_hex(text: str | None) -> int | None:
    """Return the bits of hex text without a prefix, as Suricata writes it ('1b').

    Example:
        >>> flags_of_hex("1b")
        27
    """
    try:
        number = int((text or "").strip(), 16)
    except ValueError:
        return None
    return number if 0 <= number <= 0xFF else None


def flags_of_counts(columns: dict[str, str]) -> pl.Expr:
    """Return an expression of bits set where a counter column is above 0.

    `columns` maps a flag's name ('syn') to the column that counts it.
    """
    parts = [
        pl.when(pl.col(column) > 0).then(COUNTER_BITS[flag]).otherwise(0).cast(pl.UInt8)
        for flag, column in columns.items()
    ]
    return pl.sum_horizontal(parts).cast(pl.UInt8)


def flag_features(bits: pl.Expr, names: Sequence[str]) -> dict[str, pl.Expr]:
    """Return a column of 0 and 1 for each of these flags ('syn'), as features of a flow.

    Example:
        >>> made = flag_features(pl.col("bits"), ("ack", "syn"))
        >>> pl.DataFrame({"bits": [0x12, 0x02]}).select(**made).rows()
        [(1.0, 1.0), (0.0, 1.0)]
    """
    return {f"x_flag_{name}": (bits & COUNTER_BITS[name] > 0).cast(pl.Float32) for name in names}
