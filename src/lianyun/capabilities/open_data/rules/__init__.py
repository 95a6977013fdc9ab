"""Rules: what may be opened and how coarse, whether a promise is kept, what a chart shows, what a key is."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PROPOSED, OPEN, RETURNED, CLOSED = "proposed", "open", "returned", "closed"
STAGES = (
    (PROPOSED, "待审核"),
    (OPEN, "已开放"),
    (RETURNED, "已退回"),
    (CLOSED, "已下架"),
)
TONES = {PROPOSED: "amber", OPEN: "green", RETURNED: "red", CLOSED: "grey"}
UNCONDITIONAL, CONDITIONAL = "unconditional", "conditional"
KINDS = ((UNCONDITIONAL, "无条件开放"), (CONDITIONAL, "有条件开放"))
REQUEST, CORRECTION, APPLICATION, ACCESS = "request", "correction", "application", "access"
VOICES = (
    (REQUEST, "开放需求"),
    (CORRECTION, "纠错"),
    (APPLICATION, "利用成果"),
    (ACCESS, "使用申请"),
)
PATHS = {
    REQUEST: "open_request",
    CORRECTION: "open_request",
    APPLICATION: "open_application",
    ACCESS: "open_access",
}
NO_SHARE = 3
"""The share type 不予共享."""
RAW_LEVEL = 2
"""Data of a higher level never go out as they are."""
HOW_TITLES = {
    "keep": "原样开放",
    "drop": "不开放",
    "age": "改为年龄段",
    "month": "只到年月",
    "year": "只到年份",
    "region": "只到上级区划或类目",
    "band": "改为数值区间",
    "grid": "坐标取约数",
}
ROLE_TITLES = {"plain": "普通项", "quasi": "准标识符", "sensitive": "敏感项"}
CYCLE_DAYS: dict[str, int | None] = {
    "实时": 1,
    "每日": 1,
    "每周": 7,
    "每旬": 10,
    "每月": 31,
    "每季度": 92,
    "每年": 366,
    "不定期": None,
}
"""Days a publication may take; unlike a collection's, even what changes at once is published daily."""
GRACE = 1
WINDOWS = {"api": 60, "key_api": 60, "download": 60, "voice": 3600, "rating": 3600, "key": 86_400}
"""Seconds: the window in which each kind of use is counted."""
RATED_ENOUGH = 3
"""Ratings: fewer say nothing yet."""
FORMULA = re.compile(r"\s*[=+\-@\t\r]")


# ---- what goes out -------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """A dataset's item as far as opening it depends on it."""

    name: str
    title: str
    type: str
    format: str
    key: bool = False
    domain: str = ""
    check: str = ""
    mask: str = "none"
    personal: bool = False
    sensitive: bool = False

    @property
    def place(self) -> bool:
        """Whether it holds codes of divisions, towns or villages."""
        return self.check == "region" or self.domain in ("towns", "villages")

    @property
    def length(self) -> int:
        """The longest text its format allows; 0 where none is said."""
        found = re.search(r"(\d+)(?:,\d+)?$", self.format)
        return int(found[1]) if found else 0


@dataclass(frozen=True)
class Step:
    """What becomes of one item: plain data of the lake's Treatment."""

    name: str
    how: str = "keep"
    role: str = "plain"
    width: float = 0

    def as_dict(self) -> dict[str, Any]:
        """For a JSON column."""
        return {"name": self.name, "how": self.how, "role": self.role, "width": self.width}


@dataclass(frozen=True)
class Proposal:
    """A first recipe for a dataset, and how each column may become coarser."""

    steps: tuple[Step, ...]
    ladders: dict[str, tuple[Step, ...]] = field(default_factory=dict)
    scope: dict[str, list[str]] = field(default_factory=dict)
    k: int = 1
    l: int = 1  # noqa: E741 - the letter is the measure's name


_NUMBERED = ("_number", "_account", "_certificate", "_code", "vin", "email", "phone", "_unit")
_OFTEN = ("birth_date", "sex", "town_code", "region_code", "village_code")


def identifies(item: Item) -> bool:
    """Whether an item by itself names a person, or is a number by which one can be looked up."""
    return (
        item.check == "citizen_number"
        or item.mask not in ("", "none")
        or (item.personal and not item.domain and item.type in "CM" and item.format[:1] == "a")
    )


def propose(items: Sequence[Item], level: int, limits: Mapping[str, Any]) -> Proposal:
    """A recipe to begin with, by the level of the data.

    Level 1 tells of organisations and places: all stays but what is personal, and natural persons'
    rows where a column says which they are. Above it, keys, names and free text go, and what could
    together point at somebody (age, place, sex, categories, months) becomes coarse; `limits` is the
    section `anonymity` of packs/core/open.yaml.
    """
    k = int(limits["k"].get(level, limits["k"].get(str(level), 10)))
    if level <= 1:
        steps = tuple(
            Step(i.name, "drop" if identifies(i) or i.check == "citizen_number" else "keep")
            for i in items
        )
        scope = {i.name: ["1"] for i in items if i.domain == "party_type"}
        return Proposal(steps, scope=scope)
    made: dict[str, tuple[Step, tuple[Step, ...]]] = {}
    for item in items:
        found = _coarse(item, personal=level > RAW_LEVEL)
        if found is not None:
            made[item.name] = found
    quasi = [i.name for i in items if i.name in made and made[i.name][0].role == "quasi"]
    regions = sorted(
        (n for n in quasi if made[n][0].how == "region" and made[n][0].width == 6),
        key=lambda n: _OFTEN.index(n) if n in _OFTEN else len(_OFTEN),
    )
    for name in regions[1:]:
        quasi.remove(name)
        del made[name]
    quasi.sort(key=lambda n: _OFTEN.index(n) if n in _OFTEN else len(_OFTEN))
    for name in quasi[int(limits["quasi"]) :]:
        del made[name]
    steps = tuple(made[i.name][0] if i.name in made else Step(i.name, "drop") for i in items)
    sensitive = any(s.role == "sensitive" for s in steps)
    return Proposal(
        steps,
        {n: ladder for n, (_, ladder) in made.items() if ladder},
        k=k,
        l=int(limits["l"]) if sensitive else 1,
    )


def heading(item: Item, how: str) -> str:
    """What a column is called once it was made coarser."""
    if how == "age":
        return "年龄段" if item.title.startswith("出生") else f"{item.title}（年龄段）"
    if how == "region" and item.place:
        return "所在县区"
    ending = {"month": "（年月）", "year": "（年份）", "band": "（区间）", "region": "（大类）"}
    return f"{item.title}{ending.get(how, '')}"


def loose(items: Sequence[Item], steps: Sequence[Step], level: int) -> list[str]:
    """Titles of items that would go out as plain ones and could help to find somebody.

    Nothing on level 1, which tells of organisations and places.
    """
    if level <= 1:
        return []
    known = {i.name: i for i in items}
    found = []
    for step in steps:
        if step.how == "drop" or step.role != "plain" or step.name not in known:
            continue
        usual = _coarse(known[step.name], personal=level > RAW_LEVEL)
        if usual is None or usual[0].role != "plain":
            found.append(known[step.name].title)
    return found


def _coarse(item: Item, *, personal: bool) -> tuple[Step, tuple[Step, ...]] | None:
    """The first step of an item that may stay in coarse form, and the steps after it; else None."""
    name = item.name

    def quasi(how: str, width: float = 0) -> Step:
        return Step(name, how, "quasi", width)

    gone = Step(name, "drop", "quasi")
    if identifies(item) or name in ("update_time", "remark"):
        return None
    if name == "birth_date":
        return quasi("age", 5), (quasi("age", 10), quasi("age", 20), gone)
    if item.place:
        return quasi("region", 6), (gone,)
    if item.type in "DT":
        return quasi("month"), (quasi("year"), gone)
    if item.key and not item.domain and not name.startswith(("report_", "paid_month")):
        return None
    if item.domain:
        if item.sensitive:
            return Step(name, "keep", "sensitive"), (Step(name, "drop", "sensitive"),)
        return quasi("keep"), (gone,)
    if name in ("report_month", "paid_month"):
        return quasi("keep"), (quasi("region", 4), gone)
    if name in ("longitude", "latitude"):
        return None if personal else (Step(name, "grid", "plain", 0.001), ())
    if name == "diagnosis_code":
        return Step(name, "region", "sensitive", 3), (Step(name, "drop", "sensitive"),)
    if item.type in "NYIBF":
        width = _width(item)
        return quasi("band", width), (quasi("band", width * 5), gone)
    if name == "report_year" or (item.type == "C" and 0 < item.length <= 10 and not item.key):
        return (quasi("keep"), (gone,)) if not name.endswith(_NUMBERED) else None
    if not personal and name in ("address", "road"):
        return Step(name), ()
    return None


def _width(item: Item) -> float:
    """A first width of bands, by how large the format lets a number be."""
    if item.type == "I" or "," not in item.format:
        return 1 if item.length <= 2 else 10 if item.length <= 3 else 100
    if item.length <= 8:
        return 10
    return 500 if item.length <= 12 else 100_000


@dataclass(frozen=True)
class Finding:
    """One line of a risk report: whether it stands in the way, and what it says."""

    ok: bool
    title: str
    told: str


def judge(
    *,
    level: int,
    share_type: int,
    declared_open: bool,
    kept: Sequence[Item],
    loose: Sequence[str],
    people: bool,
    grouped: bool,
    k: int,
    l: int,  # noqa: E741 - the letter is the measure's name
    form: str,
    out: int,
    suppressed: float,
    smallest: int,
    diverse: int,
    limits: Mapping[str, Any],
) -> list[Finding]:
    """What stands in the way of opening these rows in this way; all must be ok.

    `kept` are the items that would go out unchanged, `loose` the titles of those that should count
    as quasi-identifiers and do not, `people` whether the dataset tells of people, `grouped` whether
    there are quasi-identifiers at all (rows without are raw); the rest is the measure.
    """
    least = int(limits["k"].get(level, limits["k"].get(str(level), 10)))
    most = float(limits["suppressed"])
    found = []
    if not grouped and share_type == NO_SHARE:
        found.append(Finding(False, "共享属性", "“不予共享”的数据不得原样开放，须先匿名化"))
    if not grouped and level > RAW_LEVEL:
        found.append(Finding(False, "安全级别", f"{level} 级数据不得原样开放，须先匿名化"))
    named = [i.title for i in kept if identifies(i)]
    if named:
        found.append(Finding(False, "直接标识符", f"{'、'.join(named)}可以直接指向个人，不得开放"))
    else:
        found.append(Finding(True, "直接标识符", "开放的数据项中没有直接指向个人的"))
    if not out:
        found.append(Finding(False, "可开放的行", "没有一行可以开放"))
    if not grouped and people and level <= RAW_LEVEL:
        found.append(Finding(False, "准标识符", "没有指明哪些数据项结合起来可能识别个人"))
    if loose:
        told = f"{'、'.join(loose)}可能参与识别个人，应作为准标识符或敏感项处理，或者不开放"
        found.append(Finding(False, "准标识符", told))
    if grouped:
        found.append(
            Finding(
                k >= least, "k 值", f"方案要求每组不少于 {k} 行，{level} 级数据须不少于 {least}"
            )
        )
        if out:
            found.append(
                Finding(
                    smallest >= k or form == "counts",
                    "最小分组",
                    f"开放后最小的一组有 {smallest:,} 行，认出其中一行的概率最高 {1 / max(smallest, 1):.1%}",
                )
            )
        if form == "rows" or suppressed:
            found.append(
                Finding(
                    suppressed <= most,
                    "不予开放的行",
                    f"因分组过小等原因有 {suppressed:.1%} 的行不开放，上限 {most:.0%}",
                )
            )
        if diverse:
            found.append(
                Finding(
                    diverse >= l and l >= int(limits["l"]),
                    "l 多样性",
                    f"每组内敏感项至少有 {diverse} 种取值，须不少于 {max(l, int(limits['l']))}",
                )
            )
    elif level <= 1:
        found.append(Finding(True, "k 值", "单位、设施和指标类数据，不涉及个人分组"))
    if not grouped and not declared_open:
        found.append(Finding(True, "目录", "目录登记为“不予开放”，批准后应同步变更目录的开放属性"))
    return found


def refused(findings: Iterable[Finding]) -> str:
    """What stands in the way, in one sentence; empty where nothing does."""
    return "；".join(f"{f.title}：{f.told}" for f in findings if not f.ok)


# ---- promises ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Promise:
    """Whether the update promise is kept: tone for a badge, and words."""

    tone: str
    title: str
    late: int = 0

    @property
    def kept(self) -> bool:
        """False only where an update is overdue."""
        return self.late == 0


def promise(cycle: str, updated: dt.datetime | None, now: dt.datetime) -> Promise:
    """Judge a published dataset by its last update; one day of grace, 不定期 promises nothing."""
    days = CYCLE_DAYS.get(cycle)
    if updated is None:
        return Promise("grey", "尚未发布")
    if days is None:
        return Promise("blue", "不定期更新")
    late = math.floor((now - updated).total_seconds() / 86_400) - days - GRACE + 1
    if late > 0:
        return Promise("red", f"承诺{cycle}更新，已逾期 {late} 天", late)
    return Promise("green", f"承诺{cycle}更新，按期")


# ---- charts --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """A chart that suits a dataset: kind, title, pairs of label and number, the unit."""

    kind: str
    title: str
    pairs: list[tuple[str, float]]
    unit: str
    first: str


def chart_of(
    columns: Sequence[Mapping[str, Any]], profile: Mapping[str, Mapping[str, Any]]
) -> Drawn | None:
    """The most telling chart of a dataset: rows by category, else by month; None where none fits.

    `columns` are {name, title, domain, codes}; `codes` maps a value to what people call it.
    """
    best: tuple[float, Drawn] | None = None
    for column in columns:
        told = profile.get(str(column["name"])) or {}
        title = str(column["title"])
        if values := told.get("values"):
            if not 2 <= len(values) <= 24:
                continue
            codes = column.get("codes") or {}
            pairs = [(str(codes.get(v, v)), float(n)) for v, n in values]
            if any(len(label) > 24 for label, _ in pairs):
                continue
            top = max(n for _, n in pairs)
            spread = sum(n for _, n in pairs) / (top * len(pairs))
            score = spread + (1.0 if column.get("codes") else 0) + min(len(pairs), 8) / 16
            kind = "donut" if len(pairs) <= 4 else "bars" if len(pairs) > 8 else "bar"
            if title.endswith(("年龄", "出生日期")):
                pairs.sort(key=lambda p: p[0])
                kind = "bar"
            drawn = Drawn(kind, f"按{title}统计", pairs[:16], "条", title)
        elif months := told.get("months"):
            if len(months) < 3:
                continue
            pairs = [(str(m), float(n)) for m, n in months]
            score = 0.6 + min(len(pairs), 24) / 48
            drawn = Drawn("area", f"按{title}统计（按月）", pairs, "条", "月份")
        else:
            continue
        if best is None or score > best[0]:
            best = (score, drawn)
    return best[1] if best else None


# ---- keys and counts -----------------------------------------------------------------------


def new_key() -> str:
    """A key for the interface: `ok_` and 40 characters that nobody guesses."""
    return f"ok_{secrets.token_urlsafe(30)}"


def digest(text: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(text.encode()).hexdigest()


def window(now: dt.datetime, seconds: int) -> int:
    """The number of the time window a moment lies in."""
    return int(now.timestamp()) // seconds


def average(stars: Sequence[int]) -> float | None:
    """The mean rating of 1 to 5, drawn towards 3.5 by five imagined ratings; None while too few."""
    if len(stars) < RATED_ENOUGH:
        return None
    return round((sum(stars) + 5 * 3.5) / (len(stars) + 5), 1)


def size_title(size: int) -> str:
    """Bytes as people read them."""
    amount = float(size)
    for unit in ("字节", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "字节" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.2f} GB"
