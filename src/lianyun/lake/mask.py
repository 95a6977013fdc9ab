"""Mask: the display form of a column, computed by the database as the kernel computes one value."""

from __future__ import annotations

HIDDEN = "'****'"
ELEVEN = "'***********'"
"""What stands between the ends of an 18-character number."""


def as_text(column: str, kind: str = "VARCHAR") -> str:
    """SQL of a column as Python's ``str`` would write it; `kind` is the column's DuckDB type."""
    if kind == "VARCHAR":
        return column
    if kind == "BOOLEAN":
        return f"CASE WHEN {column} THEN 'True' WHEN NOT {column} THEN 'False' END"
    if kind.startswith("TIMESTAMP"):
        whole = f"CAST(date_trunc('second', {column}) AS VARCHAR)"
        return (
            f"CASE WHEN microsecond({column}) % 1000000 = 0 THEN {whole} "
            f"ELSE strftime({column}, '%Y-%m-%d %H:%M:%S.%f') END"
        )
    return f"CAST({column} AS VARCHAR)"


def masked(column: str, mask: str, kind: str = "VARCHAR") -> str:
    """SQL of a column under a mask: NULL and '' stay, all else is what ``mask_value`` gives.

    `column` is an SQL expression (quote names first). Lengths count characters, as there. With
    `none` the column comes as it is, otherwise as text. A mask nobody knows hides everything.
    """
    if mask == "none":
        return column
    text = as_text(column, kind)
    # `concat` makes one string where `||` makes two, and the usual lengths need no `repeat`
    ends = f"concat(left({text}, 3), {{}}, right({text}, 4))"
    stars = f"repeat('*', length({text}) - 7)"
    match mask:
        case "citizen_number":
            shown = (
                f"CASE WHEN length({text}) = 18 THEN {ends.format(ELEVEN)} "
                f"WHEN length({text}) > 7 THEN {ends.format(stars)} "
                f"ELSE {HIDDEN} END"
            )
        case "name":
            shown = (
                f"CASE WHEN length({text}) = 3 THEN concat(left({text}, 1), '**') "
                f"WHEN length({text}) < 3 THEN concat(left({text}, 1), '*') "
                f"ELSE concat(left({text}, 1), repeat('*', length({text}) - 1)) END"
            )
        case "phone":
            shown = f"CASE WHEN length({text}) > 7 THEN {ends.format(HIDDEN)} ELSE {HIDDEN} END"
        case "account":
            shown = f"concat(repeat('*', greatest(length({text}) - 4, 4)), right({text}, 4))"
        case "address":
            shown = f"CASE WHEN length({text}) > 6 THEN concat(left({text}, 6), '****') ELSE {HIDDEN} END"
        case _:
            shown = HIDDEN
    if kind != "VARCHAR":  # a value that is not text is never empty
        return f"CASE WHEN {column} IS NOT NULL THEN {shown} END"
    return f"CASE WHEN {column} IS NULL THEN NULL WHEN {column} = '' THEN '' ELSE {shown} END"
