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
    # The usual length is asked first, so that most rows meet one test (a NULL has no length and
    # falls through). `substring` costs two thirds of `left` and `right`, and `concat` makes one
    # string where `||` makes two: masking is most of what a masked file costs beyond a plain one.
    size, first = f"length({text})", f"substring({text}, 1, 1)"
    ends = f"concat(substring({text}, 1, 3), {{}}, substring({text}, -4))"
    shorter = ""
    match mask:
        case "citizen_number":
            usual = f"WHEN {size} = 18 THEN {ends.format(ELEVEN)} "
            stars = f"repeat('*', {size} - 7)"
            shorter = f"WHEN {size} > 7 THEN {ends.format(stars)} "
            rest = HIDDEN
        case "name":
            usual = f"WHEN {size} > 1 THEN rpad({first}, CAST({size} AS INTEGER), '*') "
            rest = f"concat({first}, '*')"
        case "phone":
            usual, rest = f"WHEN {size} > 7 THEN {ends.format(HIDDEN)} ", HIDDEN
        case "account":
            usual = f"WHEN {size} > 8 THEN concat(repeat('*', {size} - 4), right({text}, 4)) "
            rest = f"concat('****', right({text}, 4))"
        case "address":
            cut = f"concat(substring({text}, 1, 6), {HIDDEN}) "
            # more than 24 bytes are more than six characters, and need not be counted
            usual, shorter = f"WHEN strlen({text}) > 24 THEN {cut}", f"WHEN {size} > 6 THEN {cut}"
            rest = HIDDEN
        case _:
            usual, rest = "", HIDDEN
    if kind != "VARCHAR":  # a value that is not text is never empty
        return f"CASE WHEN {column} IS NULL THEN NULL {usual}{shorter}ELSE {rest} END"
    empty = f"WHEN {column} IS NULL THEN NULL WHEN {column} = '' THEN '' "
    return f"CASE {usual}{empty}{shorter}ELSE {rest} END"
