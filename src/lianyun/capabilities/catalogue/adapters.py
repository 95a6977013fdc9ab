"""Adapters: catalogue files: Excel and YAML in, Excel and YAML out."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation
from python_calamine import CalamineError, CalamineWorkbook

from .rules.entries import CYCLES, LEVELS, METHODS, OPEN, SHARE, World
from .rules.sheets import (
    ITEM_COLUMNS,
    ITEMS,
    RESOURCE_COLUMNS,
    RESOURCES,
    Issue,
    Line,
    Parsed,
    from_declared,
    read_rows,
)

HEAD = PatternFill("solid", fgColor="0B55B0")
WIDTHS = {"摘要": 40, "共享条件": 40, "法律依据": 36, "名称": 28, "提供方": 24, "说明": 30}


class Unreadable(Exception):
    """A file that is neither a workbook nor YAML; the message is Chinese and says what to do."""


def read_file(content: bytes, file_name: str, world: World) -> Parsed:
    """Entries of a catalogue file, .xlsx/.xls by its sheets or YAML by its entries."""
    if content[:2] == b"PK" or content[:4] == b"\xd0\xcf\x11\xe0":
        return _read_workbook(content, world)
    if file_name.lower().endswith((".yaml", ".yml")):
        return _read_yaml(content, world)
    raise Unreadable("不是 Excel 工作簿（.xlsx）或 YAML 文件，请下载模板后填写")


def _read_workbook(content: bytes, world: World) -> Parsed:
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        names = book.sheet_names
        sheets = {
            wanted: book.get_sheet_by_name(found).to_python(skip_empty_area=False)
            for wanted in (RESOURCES, ITEMS)
            if (found := _sheet(names, wanted)) is not None
        }
    except CalamineError as error:
        raise Unreadable(f"Excel 文件打不开：{error}；请另存为 .xlsx 后重试") from error
    missing = [f"“{s}”" for s in (RESOURCES, ITEMS) if s not in sheets]
    if missing:
        raise Unreadable(
            f"缺少工作表{'、'.join(missing)}；文件里有：{'、'.join(names)}。请按模板命名工作表"
        )
    return read_rows(sheets[RESOURCES], sheets[ITEMS], world)


def _sheet(names: Sequence[str], wanted: str) -> str | None:
    exact = [n for n in names if n.strip() == wanted]
    return exact[0] if exact else next((n for n in names if wanted in n), None)


class _Marked(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A YAML loader whose mappings know on which line they began."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        out = super().construct_mapping(node, deep=True)
        out["__line__"] = node.start_mark.line + 1
        return out


_Marked.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG,
    lambda loader, node: loader.construct_mapping(node),
)


def _read_yaml(content: bytes, world: World) -> Parsed:
    try:
        data = yaml.load(content.decode("utf-8-sig"), Loader=_Marked)
    except UnicodeDecodeError as error:
        raise Unreadable("YAML 文件须为 UTF-8 编码") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"第 {mark.line + 1} 行" if mark else ""
        raise Unreadable(f"YAML {where}写法有误：{getattr(error, 'problem', error)}") from error
    if isinstance(data, dict):
        data = data.get("resources") if "resources" in data else [data]
    if not isinstance(data, list):
        raise Unreadable("YAML 文件应为资源的列表，或含 resources 列表")
    lines: list[Line] = []
    issues: list[Issue] = []
    seen: dict[str, int] = {}
    for entry in data:
        if not isinstance(entry, dict):
            issues.append(
                Issue("YAML", 1, "", "", f"“{str(entry)[:40]}”不是一个资源", "每个资源是一组键值")
            )
            continue
        row = entry["__line__"]
        items = [i for i in entry.get("items") or [] if isinstance(i, dict)]
        line = Line(
            from_declared({**entry, "items": items}, world),
            row,
            [i["__line__"] for i in items],
            "YAML",
            "YAML",
        )
        code = line.content["code"]
        if not code:
            issues.append(
                Issue("YAML", row, "资源代码", "", "没有资源代码", "请写 code，或 class 和 serial")
            )
            continue
        if code in seen:
            issues.append(
                Issue(
                    "YAML",
                    row,
                    "资源代码",
                    code,
                    f"资源代码“{code}”与第 {seen[code]} 行重复",
                    "请改用不同的顺序码",
                )
            )
            continue
        seen[code] = row
        lines.append(line)
    return Parsed(lines, issues)


def _head(sheet: Any, columns: Sequence[str]) -> None:
    sheet.freeze_panes = "C2"
    cells = []
    for at, name in enumerate(columns, 1):
        cell = WriteOnlyCell(sheet, value=name)
        cell.font = Font(bold=True, color="FFFFFF")
        cell.fill = HEAD
        cell.alignment = Alignment(horizontal="center", vertical="center")
        cells.append(cell)
        letter = chr(64 + at)
        sheet.column_dimensions[letter].width = WIDTHS.get(name, 15)
    sheet.append(cells)


def _choices(sheet: Any, columns: Sequence[str], choices: Mapping[str, Iterable[str]]) -> None:
    for name, values in choices.items():
        letter = chr(65 + columns.index(name))
        rule = DataValidation(type="list", formula1=f'"{",".join(values)}"', allow_blank=True)
        rule.showErrorMessage = False
        rule.add(f"{letter}2:{letter}5000")
        sheet.data_validations.append(rule)


def workbook(
    entries: Iterable[Mapping[str, Any]], providers: Mapping[str, tuple[str, str]]
) -> bytes:
    """An .xlsx file of entries, in the columns that an import reads; none gives the template.

    `providers` maps a department's slug to (code, name).
    """
    book = Workbook(write_only=True)
    sheet, items = book.create_sheet(RESOURCES), book.create_sheet(ITEMS)
    _choices(
        sheet,
        RESOURCE_COLUMNS,
        {
            "共享类型": SHARE.values(),
            "共享方式": METHODS,
            "开放属性": OPEN.values(),
            "更新周期": CYCLES,
            "安全分级": [str(n) for n in LEVELS],
        },
    )
    _choices(items, ITEM_COLUMNS, {"必填": ("是", "否"), "主键": ("是", "否")})
    _head(sheet, RESOURCE_COLUMNS)
    _head(items, ITEM_COLUMNS)
    for e in entries:
        code, name = providers.get(e["provider"], ("", e["provider"]))
        share, opened = e["share"], e["open"]
        sheet.append(
            [
                e["code"],
                e["title"],
                code,
                name,
                e["summary"],
                e["class"],
                e["format"],
                SHARE.get(share["type"], ""),
                share["conditions"],
                share["basis"],
                share["method"],
                OPEN.get(opened["type"], ""),
                opened["conditions"],
                e["cycle"],
                e["level"],
                e["published_on"],
                "、".join(e["related"]),
                e["name"],
            ]
        )
        for at, i in enumerate(e["items"], 1):
            yes = ("是" if i["required"] else "否", "是" if i["key"] else "否")
            items.append(
                [
                    e["code"],
                    at,
                    i["title"],
                    i["name"],
                    i["element"],
                    i["type"],
                    i["format"],
                    *yes,
                    i["note"],
                ]
            )
    return _bytes(book)


def issues_workbook(issues: Iterable[Mapping[str, Any]]) -> bytes:
    """An .xlsx file of what is wrong in an import: one row for each mistake."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("问题清单")
    columns = ("工作表", "行号", "列", "资源代码", "问题", "怎样改", "程度")
    for letter, width in zip("ABCDEFG", (10, 8, 14, 20, 60, 60, 8), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"
    cells = []
    for name in columns:
        cell = WriteOnlyCell(sheet, value=name)
        cell.font, cell.fill = Font(bold=True, color="FFFFFF"), HEAD
        cells.append(cell)
    sheet.append(cells)
    for i in issues:
        grade = "错误" if i["severity"] == "error" else "提示"
        sheet.append(
            [i["sheet"], i["row"], i["column"], i["code"], i["problem"], i["advice"], grade]
        )
    return _bytes(book)


def yaml_text(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """Entries as YAML that an import reads."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    body = {"resources": [dict(e) for e in entries]}
    return yaml.dump(body, Dumper=dumper, allow_unicode=True, sort_keys=False, width=200).encode()


def _bytes(book: Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
