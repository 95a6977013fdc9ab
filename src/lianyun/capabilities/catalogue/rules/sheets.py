"""Sheets: catalogue files as rows become entries, and every mistake gets its row, column and cure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .entries import ERROR, LEVELS, OPEN, SHARE, WARN, Finding, World, check

RESOURCES, ITEMS = "资源", "信息项"
RESOURCE_COLUMNS = (
    "资源代码",
    "名称",
    "提供方代码",
    "提供方",
    "摘要",
    "分类",
    "格式",
    "共享类型",
    "共享条件",
    "法律依据",
    "共享方式",
    "开放属性",
    "开放条件",
    "更新周期",
    "安全分级",
    "发布日期",
    "关联资源代码",
    "标识",
)
ITEM_COLUMNS = (
    "资源代码",
    "序号",
    "信息项名称",
    "英文名",
    "数据元",
    "数据类型",
    "格式",
    "必填",
    "主键",
    "说明",
)
OPTIONAL = {
    "标识",
    "提供方",
    "关联资源代码",
    "开放条件",
    "发布日期",
    "法律依据",
    "共享条件",
    "说明",
    "主键",
    "英文名",
}
ALIASES = {
    "信息资源代码": "资源代码",
    "资源名称": "名称",
    "信息资源名称": "名称",
    "数据目录名称": "名称",
    "提供单位": "提供方",
    "信息资源提供方": "提供方",
    "信息资源提供方代码": "提供方代码",
    "信息资源摘要": "摘要",
    "信息资源格式": "格式",
    "数据格式": "格式",
    "更新频率": "更新周期",
    "共享属性": "共享类型",
    "是否向社会开放": "开放属性",
    "数据分级": "安全分级",
    "字段名": "英文名",
    "是否必填": "必填",
    "是否主键": "主键",
    "表示格式": "格式",
    "备注": "说明",
}
FIELD_COLUMN = {
    "code": "资源代码",
    "class": "分类",
    "title": "名称",
    "summary": "摘要",
    "format": "格式",
    "cycle": "更新周期",
    "name": "标识",
    "provider": "提供方代码",
    "level": "安全分级",
    "share.type": "共享类型",
    "share.conditions": "共享条件",
    "share.basis": "法律依据",
    "share.method": "共享方式",
    "open.type": "开放属性",
    "open.conditions": "开放条件",
    "related": "关联资源代码",
    "items": "资源代码",
}
ITEM_FIELD_COLUMN = {
    "title": "信息项名称",
    "name": "英文名",
    "element": "数据元",
    "type": "数据类型",
    "format": "格式",
}


@dataclass(frozen=True)
class Issue:
    """One mistake in a file: where it is, what is wrong, and what to write instead."""

    sheet: str
    row: int
    column: str
    code: str
    problem: str
    advice: str = ""
    severity: str = ERROR

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass
class Line:
    """One entry of a file with the rows it came from; `row` counts as the officer's programme does."""

    content: dict[str, Any]
    row: int
    item_rows: list[int] = field(default_factory=list)
    sheet: str = RESOURCES
    item_sheet: str = ITEMS
    bad: bool = False
    judged: bool = False


@dataclass
class Parsed:
    """What a file says: its entries in order, and the mistakes found while reading."""

    lines: list[Line]
    issues: list[Issue]


def text_of(value: Any) -> str:
    """A cell as text: whole numbers without a point, dates as 2026-01-31, blanks trimmed."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value).replace("\u3000", " ").strip()


def _choice(text: str, names: Mapping[int, str], extra: Mapping[str, int] | None = None) -> Any:
    """A code by its number, its name or the beginning of its name; the text where there is none."""
    if extra and text in extra:
        return extra[text]
    lead = re.match(r"\d+", text)
    if lead and int(lead[0]) in names:
        return int(lead[0])
    for number, name in names.items():
        if text and (name.startswith(text) or text.startswith(name)):
            return number
    return text or None


def share_of(text: str) -> Any:
    """Share type 1, 2 or 3 from what is written: 2, 有条件, 有条件共享."""
    return _choice(text, SHARE)


def open_of(text: str, conditions: str = "") -> Any:
    """Open attribute 0, 1 or 2; 是 with a condition is 有条件开放."""
    if text in ("是", "开放", "true", "True"):
        return 1 if conditions and conditions != OPEN[2] else 2
    return _choice(text, OPEN, {"": 0, "否": 0, "不开放": 0, "false": 0, "False": 0})


def level_of(text: str) -> Any:
    """Security level 1 to 4 from 3, 三级, 三级（敏感）."""
    return _choice(text.removeprefix("第"), LEVELS, {"一": 1, "二": 2, "三": 3, "四": 4})


_YES = {"是", "1", "y", "yes", "true", "√", "必填", "主键"}
_NO = {"", "否", "0", "n", "no", "false", "×", "-"}


def flag_of(text: str) -> bool | None:
    """Yes or no; None where it is neither."""
    low = text.lower()
    return True if low in _YES else False if low in _NO else None


def day_of(text: str) -> str | None:
    """A date as 2026-01-31 from 20260131, 2026/1/31, 2026年1月31日; None where it is none."""
    found = re.fullmatch(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?(?:[ T].*)?", text)
    try:
        return dt.date(*(int(g) for g in found.groups())).isoformat() if found else None
    except ValueError:
        return None


def type_of(text: str, world: World) -> str:
    """A data type's letter from C, 字符型, 字符型C; the text where there is none."""
    bare = text.strip()
    if bare.upper() in world.types:
        return bare.upper()
    for letter, name in world.types.items():
        if bare and (bare.startswith(name) or name.startswith(bare)):
            return letter
    return bare


def split_list(text: str) -> list[str]:
    """Codes in one cell, between 、 , ; or blanks."""
    return [part for part in re.split(r"[、,，;；\s]+", text) if part]


def _item(
    row: Mapping[str, str], world: World
) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    problems: list[tuple[str, str, str]] = []
    written = row.get("数据元", "")
    element = world.element_names.get(written, written)
    facts = world.elements.get(element)
    title = row.get("信息项名称", "") or (facts.title if facts else "")
    name = row.get("英文名", "").strip()
    if not name and title:
        from pypinyin import lazy_pinyin

        name = element if facts else "_".join(lazy_pinyin(title))[:63].lower()
        name = re.sub(r"[^a-z0-9_]", "", name)
    kind = type_of(row.get("数据类型", ""), world) or (facts.type if facts else "")
    item: dict[str, Any] = {
        "name": name,
        "title": title,
        "element": element,
        "type": kind,
        "format": row.get("格式", "") or (facts.format if facts else ""),
        "note": row.get("说明", ""),
    }
    for key, column in (("required", "必填"), ("key", "主键")):
        value = flag_of(row.get(column, ""))
        if value is None:
            problems.append((column, f"“{row[column]}”不是“是”或“否”", "请填 是 或 否"))
        item[key] = bool(value)
    return item, problems


def header_of(rows: Sequence[Sequence[Any]], wanted: Iterable[str]) -> tuple[int, dict[str, int]]:
    """The row that names the columns (within the first ten) and each column's place.

    Returns (-1, {}) where no row names at least three of them.
    """
    names = set(wanted)
    best: tuple[int, dict[str, int]] = (-1, {})
    for at, row in enumerate(rows[:10]):
        found: dict[str, int] = {}
        for place, cell in enumerate(row):
            label = re.sub(r"[\s*＊（(].*$", "", text_of(cell).lstrip("*＊"))
            label = label if label in names else ALIASES.get(label, label)
            if label in names:
                found.setdefault(label, place)
        if len(found) > max(len(best[1]), 2):
            best = (at, found)
    return best


def _table(
    sheet: str, rows: Sequence[Sequence[Any]], columns: Sequence[str], issues: list[Issue]
) -> Iterable[tuple[int, dict[str, str]]]:
    at, places = header_of(rows, columns)
    if at < 0:
        issues.append(
            Issue(
                sheet,
                1,
                "",
                "",
                f"工作表“{sheet}”前十行中找不到表头",
                f"表头应为：{'、'.join(columns)}",
            )
        )
        return
    for missing in [c for c in columns if c not in places and c not in OPTIONAL]:
        issues.append(
            Issue(
                sheet,
                at + 1,
                missing,
                "",
                f"工作表“{sheet}”缺少“{missing}”一列",
                "请按模板补上这一列",
            )
        )
    for number, row in enumerate(rows[at + 1 :], at + 2):
        values = {name: text_of(row[p]) if p < len(row) else "" for name, p in places.items()}
        if any(values.values()):
            yield number, values


def read_rows(
    resource_rows: Sequence[Sequence[Any]], item_rows: Sequence[Sequence[Any]], world: World
) -> Parsed:
    """Entries from the sheets 资源 and 信息项; row numbers are those that Excel shows."""
    issues: list[Issue] = []
    lines: dict[str, Line] = {}
    for number, row in _table(RESOURCES, resource_rows, RESOURCE_COLUMNS, issues):
        code = row.get("资源代码", "").replace(" ", "")
        line = Line(_resource(row, code, number, world, issues), number)
        if not code:
            issues.append(
                Issue(
                    RESOURCES,
                    number,
                    "资源代码",
                    "",
                    "没有填写资源代码",
                    "请填写“分类代码/顺序码”，例如 101003/000001",
                )
            )
            continue
        if code in lines:
            issues.append(
                Issue(
                    RESOURCES,
                    number,
                    "资源代码",
                    code,
                    f"资源代码“{code}”与第 {lines[code].row} 行重复",
                    "请改用不同的顺序码，或删除重复的一行",
                )
            )
            lines[code].bad = True
            continue
        line.bad = any(
            i.row == number and i.sheet == RESOURCES and i.severity == ERROR for i in issues
        )
        lines[code] = line
    orders: dict[str, list[tuple[int, int, dict[str, Any]]]] = {}
    for number, row in _table(ITEMS, item_rows, ITEM_COLUMNS, issues):
        code = row.get("资源代码", "").replace(" ", "")
        owner = lines.get(code)
        if owner is None:
            issues.append(
                Issue(
                    ITEMS,
                    number,
                    "资源代码",
                    code,
                    f"资源代码“{code}”在“资源”工作表中没有对应的行" if code else "没有填写资源代码",
                    "请核对代码，或在“资源”工作表中补上这个资源",
                )
            )
            continue
        item, problems = _item(row, world)
        order = row.get("序号", "")
        if order and not order.isdigit():
            problems.append(("序号", f"序号“{order}”不是整数", "请填 1、2、3……"))
        for column, problem, advice in problems:
            issues.append(Issue(ITEMS, number, column, code, problem, advice))
            owner.bad = True
        orders.setdefault(code, []).append((int(order) if order.isdigit() else 10**6, number, item))
    for code, found in orders.items():
        found.sort(key=lambda entry: entry[:2])
        lines[code].content["items"] = [item for _, _, item in found]
        lines[code].item_rows = [number for _, number, _ in found]
    return Parsed(list(lines.values()), issues)


def _resource(
    row: Mapping[str, str], code: str, number: int, world: World, issues: list[Issue]
) -> dict[str, Any]:
    provider = row.get("提供方代码", "") or row.get("提供方", "")
    slug = world.providers.get(provider, "")
    named = world.providers.get(row.get("提供方", ""), "")
    if slug and row.get("提供方") and named != slug:
        issues.append(
            Issue(
                RESOURCES,
                number,
                "提供方",
                code,
                f"提供方“{row['提供方']}”与代码 {provider}（{world.departments[slug]}）不一致",
                "以代码为准；请核对后改正其中之一",
                WARN,
            )
        )
    lead = re.match(r"[0-9A-Za-z]+", row.get("分类", ""))
    published = row.get("发布日期", "")
    day = day_of(published)
    if published and day is None:
        issues.append(
            Issue(
                RESOURCES,
                number,
                "发布日期",
                code,
                f"发布日期“{published}”不是日期",
                "请写成 2026-01-31",
            )
        )
    return {
        "code": code,
        "name": row.get("标识", ""),
        "title": row.get("名称", ""),
        "provider": slug or provider,
        "summary": row.get("摘要", ""),
        "class": lead[0] if lead else code.partition("/")[0],
        "format": row.get("格式", ""),
        "share": {
            "type": share_of(row.get("共享类型", "")),
            "conditions": row.get("共享条件", ""),
            "basis": row.get("法律依据", ""),
            "method": row.get("共享方式", ""),
        },
        "open": {
            "type": open_of(row.get("开放属性", ""), row.get("开放条件", "")),
            "conditions": row.get("开放条件", ""),
        },
        "cycle": row.get("更新周期", ""),
        "level": level_of(row.get("安全分级", "")),
        "published_on": day or "",
        "related": split_list(row.get("关联资源代码", "")),
        "items": [],
    }


def from_declared(data: Mapping[str, Any], world: World) -> dict[str, Any]:
    """An entry from a declaration in the shape of packs/*/datasets/*.yaml."""
    share, opened = data.get("share") or {}, data.get("open") or {}
    category, serial = str(data.get("class") or ""), str(data.get("serial") or "")
    code = str(data.get("code") or (f"{category}/{serial}" if serial else ""))
    provider = str(data.get("provider") or "")
    keys = {str(k) for k in data.get("key") or []}
    conditions = str(opened.get("conditions") or "")
    kind = opened.get("type")
    if kind is None:
        kind = open_of("是" if opened.get("open") else "否", conditions)
    items = []
    for entry in data.get("items") or []:
        facts = world.elements.get(str(entry.get("element") or ""))
        items.append(
            {
                "name": str(entry.get("name") or ""),
                "title": str(entry.get("title") or (facts.title if facts else "")),
                "element": str(entry.get("element") or ""),
                "type": type_of(str(entry.get("type") or (facts.type if facts else "")), world),
                "format": str(entry.get("format") or (facts.format if facts else "")),
                "required": bool(entry.get("required")),
                "key": bool(entry.get("key")) or str(entry.get("name")) in keys,
                "note": str(entry.get("note") or ""),
            }
        )
    return {
        "code": code,
        "name": str(data.get("name") or ""),
        "title": str(data.get("title") or ""),
        "provider": world.providers.get(provider, provider),
        "summary": str(data.get("summary") or ""),
        "class": category or code.partition("/")[0],
        "format": str(data.get("format") or ""),
        "share": {
            "type": share_of(text_of(share.get("type"))),
            "conditions": str(share.get("conditions") or ""),
            "basis": str(share.get("basis") or ""),
            "method": str(share.get("method") or ""),
        },
        "open": {"type": kind, "conditions": conditions},
        "cycle": str(data.get("cycle") or ""),
        "level": level_of(text_of(data.get("level"))),
        "published_on": day_of(text_of(data.get("published_on"))) or "",
        "related": [str(c) for c in data.get("related") or []],
        "items": items,
    }


def judge(lines: Iterable[Line], world: World) -> list[Issue]:
    """Check every entry; those with an error are marked judged, each finding gets its cell."""
    out: list[Issue] = []
    for line in lines:
        for found in check(line.content, world):
            out.append(_located(found, line))
            line.judged = line.judged or found.severity == ERROR
    return out


def _located(found: Finding, line: Line) -> Issue:
    code = str(line.content.get("code") or "")
    parts = found.field.split(".")
    if parts[0] == "items" and len(parts) == 3:
        at = int(parts[1])
        row = line.item_rows[at] if at < len(line.item_rows) else line.row
        column = ITEM_FIELD_COLUMN.get(parts[2], parts[2])
        return Issue(
            line.item_sheet, row, column, code, found.message, found.advice, found.severity
        )
    column = FIELD_COLUMN.get(found.field, found.field)
    return Issue(line.sheet, line.row, column, code, found.message, found.advice, found.severity)
