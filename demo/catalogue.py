"""Catalogue: the city's resource list as an officer would send it in, a workbook of two sheets."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from openpyxl import Workbook

from .city import PACKS, departments
from .subjects import (
    COMMON,
    ENDINGS,
    EXTRAS,
    PARTY_GROUPS,
    SUBJECTS,
    TEMPLATES,
    TITLE_BASIS,
    Column,
)

RESOURCES, ITEMS = 1071, 12492
RESOURCE_HEAD = [
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
]
ITEM_HEAD = [
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
]
SHARE = {1: "无条件共享", 2: "有条件共享", 3: "不予共享"}
LEVEL = {1: "一级", 2: "二级", 3: "三级", 4: "四级"}
_FORMAT = {
    "document": "电子文件",
    "statistic": "电子表格",
    "assessment": "电子表格",
    "monitor": "服务接口",
}
_AREA = {
    "licence": "02",
    "case": "02",
    "change": "02",
    "result": "02",
    "register": "01",
    "document": "01",
    "person": "01",
    "inspection": "03",
    "event": "03",
    "statistic": "04",
    "assessment": "04",
    "monitor": "04",
    "facility": "05",
    "project": "05",
    "fund": "05",
}


@dataclass
class Entry:
    """One resource of the catalogue with its items."""

    title: str
    slug: str
    class_code: str
    summary: str
    format: str
    share: int
    conditions: str
    basis: str
    method: str
    opened: str
    open_conditions: str
    cycle: str
    level: int
    items: list[list[Any]] = field(default_factory=list)
    serial: str = ""
    related: str = ""

    @property
    def code(self) -> str:
        """Class digits, a slash, and the running number inside the class."""
        return f"{self.class_code}/{self.serial}"


def _elements() -> dict[str, dict[str, Any]]:
    rows = yaml.safe_load((PACKS / "core" / "elements.yaml").read_text("utf-8"))
    return {row["code"]: row for row in rows}


def _declared(known: dict[str, dict[str, Any]]) -> list[Entry]:
    entries = []
    for file in sorted(PACKS.glob("*/datasets/*.yaml")):
        spec = yaml.safe_load(file.read_text("utf-8"))
        share = spec["share"]
        entry = Entry(
            spec["title"], spec["provider"], spec["class"], spec["summary"], spec["format"], share["type"],
            share.get("conditions", ""), share.get("basis", ""), share["method"],
            "无条件开放" if spec["open"]["open"] else "不予开放", spec["open"]["conditions"], spec["cycle"], spec["level"], serial=spec["serial"],
        )  # fmt: skip
        for item in spec["items"]:
            # An item without an element states its own type and format.
            element = known[item["element"]] if item.get("element") else item
            entry.items.append(
                [
                    item["title"],
                    item["name"],
                    item.get("element", ""),
                    element["type"],
                    element["format"],
                    item.get("required", False),
                    item["name"] in spec["key"],
                    "",
                ]
            )
        entries.append(entry)
    return entries


def _made(
    slug: str,
    order: int,
    title: str,
    template: str,
    cycle: str,
    share: int,
    subject: str,
    short: str,
) -> Entry:
    level = {"person": 3}.get(template, 2 if share > 1 else 1)
    conditions = {
        1: "",
        2: "限行政机关为履行法定职责使用，按批准的数据项、用途和期限提供，不得向第三方提供",
        3: "内部人事管理信息，不予共享",
    }[share]
    method = {
        "monitor": "服务接口",
        "document": "文件下载",
        "statistic": "文件下载",
        "assessment": "文件下载",
    }.get(template, "批量交换" if order % 3 else "服务接口")
    opened = "无条件开放" if share == 1 and level == 1 else "不予开放"
    what = {
        "licence": "核发、变更、延续和注销的证照", "case": "从申请、受理到办结的过程", "register": "纳入管理的对象及其基本情况", "change": "登记内容的变更前后情况",
        "person": "纳入管理和服务的人员情况", "statistic": "按期汇总的统计指标", "project": "立项、建设和进度情况", "fund": "资金的安排和拨付情况", "event": "日常业务中登记的事项",
        "result": "事项办理的结果和评价", "document": "形成的文件及其公开情况", "assessment": "年度考核的指标、得分和等次", "monitor": "监测点位采集的数据", "facility": "设施或点位的位置和管理情况", "inspection": "检查的时间、对象、问题和整改情况",
    }[template]  # fmt: skip
    entry = Entry(
        title, slug, f"307{order:03d}{_AREA[template]}", f"{short}记录的{subject}{what}。", _FORMAT.get(template, "数据库"), share,
        conditions, TITLE_BASIS[share], method, opened, "无条件开放" if opened == "无条件开放" else "", cycle, level,
    )  # fmt: skip
    entry.items = [
        _item(column, subject, first=k < 1) for k, column in enumerate(TEMPLATES[template])
    ]
    return entry


def _item(column: Column, subject: str, first: bool = False) -> list[Any]:
    title, name, element, kind, fmt = column
    return [title.format(x=subject), name, element, kind, fmt, first, first, ""]


def entries() -> list[Entry]:
    """All resources: the declared datasets first, then each department's other records.

    Always exactly RESOURCES resources with ITEMS items, as the city published in 2018.
    """
    known = _elements()
    found = _declared(known)
    shorts = {slug: row["short"] for slug, row in departments().items()}
    taken = {(e.slug, e.title) for e in found}
    lines: dict[str, list[tuple[str, str, str, int, str]]] = {}
    for slug in shorts:
        mine: list[tuple[str, str, str, int, str]] = []
        words = SUBJECTS[slug].split()
        for turn in range(2):
            for word in words:
                kind, subject = word[0], word[1:]
                if turn < len(ENDINGS[kind]):
                    ending, template, cycle, share = ENDINGS[kind][turn]
                    mine.append((_join(subject, ending), template, cycle, share, subject))
            if turn == 0:
                own = (
                    shorts[slug]
                    if shorts[slug].startswith("市委")
                    else shorts[slug].removeprefix("市")
                )
                for ending, template, cycle, share in COMMON:
                    if slug in PARTY_GROUPS and ending in (
                        "权责清单事项信息",
                        "行政检查结果信息",
                        "政府信息公开申请办理信息",
                    ):
                        continue
                    mine.append((own + ending, template, cycle, share, own))
        lines[slug] = [line for line in mine if (slug, line[0]) not in taken]
    wanted = RESOURCES - len(found)
    # One resource to each department in turn until the number is reached: small offices run out first.
    chosen: dict[str, int] = dict.fromkeys(shorts, 0)
    while wanted:
        before = wanted
        for slug in shorts:
            if wanted and chosen[slug] < len(lines[slug]):
                chosen[slug] += 1
                wanted -= 1
        if before == wanted:
            raise ValueError("too few subjects for the number of resources")
    for order, slug in enumerate(shorts, 1):
        for title, template, cycle, share, subject in lines[slug][: chosen[slug]]:
            found.append(_made(slug, order, title, template, cycle, share, subject, shorts[slug]))
    _fit(found, known)
    _number(found)
    return found


def _join(subject: str, ending: str) -> str:
    """`取水` + `许可证照信息`; a word that both carry is said once."""
    for size in (4, 3, 2):
        if subject.endswith(ending[:size]):
            return subject + ending[size:]
    return subject + ending


def _fit(found: list[Entry], known: dict[str, dict[str, Any]]) -> None:
    """Add the usual closing items until the number of items is exact."""
    missing = ITEMS - sum(len(e.items) for e in found)
    made = [e for e in found if e.class_code.startswith("307")]
    if missing < 0:
        raise ValueError(f"{-missing} items too many")
    for extra in EXTRAS:
        for entry in made:
            if not missing:
                break
            if all(item[1] != extra[1] for item in entry.items):
                entry.items.append(_item(extra, ""))
                missing -= 1
    if missing:
        raise ValueError(f"{missing} items short")
    for entry in made:
        for item in entry.items:
            if item[2]:
                item[3], item[4] = known[item[2]]["type"], known[item[2]]["format"]


def _number(found: list[Entry]) -> None:
    used: dict[str, int] = {}
    for entry in found:
        if not entry.serial:
            used[entry.class_code] = used.get(entry.class_code, 0) + 1
            entry.serial = f"{used[entry.class_code]:06d}"
    by_title = {(e.slug, e.title): e for e in found}
    for entry in found:
        # A change list and an inspection list belong to the register they are about.
        for ending, main in (
            ("变更信息", "名录信息"),
            ("设施巡检信息", "设施信息"),
            ("许可办理信息", "许可证照信息"),
            ("结果信息", "登记信息"),
            ("资金拨付信息", "项目信息"),
        ):
            if entry.title.endswith(ending):
                partner = by_title.get((entry.slug, entry.title.removesuffix(ending) + main))
                entry.related = partner.code if partner else ""


def write_catalogue(path: Path, as_of: dt.date) -> dict[str, int]:
    """Write the workbook (sheets 资源 and 信息项) and return the numbers of what stands in it."""
    found = entries()
    rows = departments()
    book = Workbook(write_only=True)
    resources, items = book.create_sheet("资源"), book.create_sheet("信息项")
    resources.append(RESOURCE_HEAD)
    items.append(ITEM_HEAD)
    for index, e in enumerate(found):
        published = as_of - dt.timedelta(days=30 + (index * 37) % 900)
        resources.append(
            [e.code, e.title, rows[e.slug]["code"], rows[e.slug]["name"], e.summary, e.class_code, e.format, SHARE[e.share], e.conditions, e.basis, e.method,
             e.opened, e.open_conditions, e.cycle, LEVEL[e.level], published.isoformat(), e.related]
        )  # fmt: skip
        for number, (title, name, element, kind, fmt, required, key, note) in enumerate(e.items, 1):
            items.append(
                [
                    e.code,
                    number,
                    title,
                    name,
                    element,
                    kind,
                    fmt,
                    "是" if required else "否",
                    "是" if key else "否",
                    note,
                ]
            )
    book.save(path)
    return {
        "departments": len({e.slug for e in found}),
        "resources": len(found),
        "items": sum(len(e.items) for e in found),
    }
