"""Adapters: workbooks of items read by calamine and written by openpyxl."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from python_calamine import CalamineError, CalamineWorkbook

from .rules import sheets

HEADS = {
    sheets.ITEMS: (*sheets.ITEM_TITLES, *sheets.OWN),
    sheets.MATERIALS: ("标识", *sheets.MATERIAL_TITLES, *sheets.OWN_MATERIAL[1:]),
    sheets.SITUATIONS: sheets.SITUATION_TITLES,
}


class Unreadable(Exception):
    """A file that is no workbook of items; the message is Chinese and says what to do."""


@dataclass(frozen=True)
class Sheets:
    """The rows of a workbook: (row number, column → text); None: the sheet is not there."""

    items: list[tuple[int, dict[str, str]]]
    materials: list[tuple[int, dict[str, str]]] | None
    situations: list[tuple[int, dict[str, str]]] | None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _rows(book: CalamineWorkbook, name: str) -> list[tuple[int, dict[str, str]]] | None:
    if name not in book.sheet_names:
        return None
    rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
    if not rows:
        return []
    heads = [_text(h).strip().rstrip("*") for h in rows[0]]
    return [
        (at, {h: _text(v) for h, v in zip(heads, row, strict=False) if h})
        for at, row in enumerate(rows[1:], 2)
        if any(_text(v).strip() for v in row)
    ]


def read_workbook(content: bytes) -> Sheets:
    """The rows of an .xlsx or .xls file. Raises Unreadable."""
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        items = _rows(book, sheets.ITEMS)
        materials = _rows(book, sheets.MATERIALS)
        situations = _rows(book, sheets.SITUATIONS)
    except (CalamineError, OSError, ValueError) as error:
        raise Unreadable(f"Excel 文件打不开：{error}；请另存为 .xlsx 后重试") from error
    if items is None:
        names = "、".join(book.sheet_names)
        raise Unreadable(f"缺少工作表“{sheets.ITEMS}”；文件里有：{names}。请按模板命名工作表")
    return Sheets(items, materials, situations)


def write_workbook(
    items: Iterable[Mapping[str, Any]],
    materials: Iterable[Mapping[str, Any]],
    situations: Iterable[Mapping[str, Any]],
) -> bytes:
    """An .xlsx file in the columns that an import reads; nothing gives the template."""
    book = Workbook(write_only=True)
    for name, rows in (
        (sheets.ITEMS, items),
        (sheets.MATERIALS, materials),
        (sheets.SITUATIONS, situations),
    ):
        _sheet(book, name, HEADS[name], rows)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _sheet(
    book: Workbook, name: str, heads: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> None:
    sheet = book.create_sheet(name)
    sheet.freeze_panes = "A2"
    first = []
    for head in heads:
        cell = WriteOnlyCell(sheet, head + ("*" if head in sheets.REQUIRED else ""))
        cell.font, cell.alignment = Font(bold=True), Alignment(wrap_text=True)
        cell.fill = PatternFill("solid", fgColor="DCEBFB")
        first.append(cell)
    sheet.append(first)
    for row in rows:
        sheet.append([_safe(row.get(head, "")) for head in heads])


def _safe(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is given a leading apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "@") else value
