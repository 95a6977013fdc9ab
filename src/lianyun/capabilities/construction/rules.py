"""Rule: project codes, kinds of projects with their stages, when a stage may begin, the bars of the picture."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PATH = "construction_stage"
GATE, FORMER = "construction_gate", "construction_former"
"""Messages for which the path waits: whether a stage may begin; what became of the former one."""

STAGES = {
    "land": "立项用地规划许可",
    "works": "工程建设许可",
    "build": "施工许可",
    "accept": "竣工验收",
}
"""The four stages of 国办发〔2019〕11号."""

READY, TOLERATED, BLOCKED = "ready", "tolerated", "blocked"
ADMITTED = {READY: "可以受理", TOLERATED: "容缺受理", BLOCKED: "不能受理"}
OWED_DAYS = 20
"""Working days for what was promised, where a kind says nothing else."""

_CODE = re.compile(r"\d{4}-\d{6}-\d{2}-\d{2}-\d{6}")


class BadKind(ValueError):
    """A declared kind of projects that cannot be read; the message names it and what is wrong."""


@dataclass(frozen=True)
class Stage:
    """One stage of a kind: its item, how many working days, which departments give an opinion."""

    key: str
    item: str
    days: int
    departments: tuple[str, ...]

    @property
    def title(self) -> str:
        """The stage's name."""
        return STAGES[self.key]


@dataclass(frozen=True)
class Kind:
    """One kind of projects: its stages in order, and how long what is promised may be owed."""

    key: str
    title: str
    basis: str
    stages: tuple[Stage, ...]
    owed_days: int = OWED_DAYS

    @property
    def days(self) -> int:
        """Working days of all stages together."""
        return sum(s.days for s in self.stages)

    def stage(self, key: str) -> Stage | None:
        """The stage with this key; a simple kind may leave stages out."""
        return next((s for s in self.stages if s.key == key), None)

    def before(self, key: str) -> Stage | None:
        """The stage that comes before, None for the first."""
        keys = [s.key for s in self.stages]
        at = keys.index(key)
        return self.stages[at - 1] if at else None


def kind(name: str, told: Mapping[str, Any], items: Mapping[str, str]) -> Kind:
    """A kind as a pack declares it; `items` maps stages to the items by which they are applied for."""
    stages = []
    for key, said in (told.get("stages") or {}).items():
        if key not in STAGES or key not in items:
            raise BadKind(f"项目类型 {name}：没有阶段 {key}")
        departments = tuple(said.get("departments") or ())
        days = said.get("days")
        if not isinstance(days, int) or days < 1 or not departments:
            raise BadKind(f"项目类型 {name}：阶段 {key} 应写明工作日数和部门")
        stages.append(Stage(key, items[key], days, departments))
    if not stages or [s.key for s in stages] != [k for k in STAGES if k in {s.key for s in stages}]:
        raise BadKind(f"项目类型 {name}：阶段应按 {'、'.join(STAGES)} 的次序")
    return Kind(
        name, str(told["title"]), str(told.get("basis") or ""), tuple(stages),
        int(told.get("owed_days") or OWED_DAYS),
    )  # fmt: skip


def code_ok(text: str) -> bool:
    """Whether a text has the shape of a project code: year, division, industry, way, running number."""
    return bool(_CODE.fullmatch(text))


def new_code(year: int, division: str, number: int) -> str:
    """A project code for one that has none yet (模拟赋码): 04 marks 备案, 47 房屋建筑业."""
    return f"{year:04d}-{division:0>6}-47-04-{500000 + number:06d}"


# ---- when a stage may begin ------------------------------------------------------------------

GRANTED, RUNNING, NONE, ENDED = "granted", "running", "none", "ended"


def admit(former: str, *, promised: bool, running: bool) -> tuple[str, str]:
    """What becomes of an application for a stage: (outcome or "" to wait, the words).

    `former` is how the former stage stands (GRANTED for the first stage); `promised` that the
    applicant promises what is missing; `running` that the same stage is with the departments now.
    """
    if running:
        return BLOCKED, "本阶段已有在办的申请，请勿重复申报"
    if former == GRANTED:
        return READY, "前一阶段已完成，可以受理"
    if former == ENDED:
        return BLOCKED, "前一阶段未获批准，请先重新申报前一阶段"
    if former == NONE:
        return BLOCKED, "前一阶段还没有申报，不能越过"
    if promised:
        return TOLERATED, "前一阶段正在办理，按申请人的承诺容缺受理，批文应在期限内取得"
    return "", "前一阶段正在办理，取得批文后自动受理"


# ---- the picture -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Span:
    """One row of the picture: from when until when (or planned until), and how it stands."""

    title: str
    tone: str
    words: str
    since: dt.date | None = None
    until: dt.date | None = None
    deep: bool = False
    link: str = ""


@dataclass(frozen=True)
class Bar:
    """A span with its place on the time line, in per cent of its width."""

    span: Span
    left: float
    width: float


def bars(spans: Sequence[Span], today: dt.date) -> tuple[list[Bar], list[tuple[float, str]], float]:
    """The picture: bars, the marks of its months (place, words), and where today stands."""
    known = [d for s in spans for d in (s.since, s.until) if d is not None] + [today]
    first, last = min(known), max(known)
    length = max((last - first).days, 27) + 1

    def at(day: dt.date) -> float:
        return round(100 * (day - first).days / length, 2)

    out = []
    for span in spans:
        if span.since is None:
            out.append(Bar(span, 0, 0))
            continue
        end = span.until or today
        width = max(100 * ((end - span.since).days + 1) / length, 1.2)
        out.append(Bar(span, at(span.since), round(min(width, 100 - at(span.since)), 2)))
    marks = [(0.0, f"{first.month}月{first.day}日")]
    month = (first.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    while (month - first).days < length:
        if at(month) - marks[-1][0] > 12:
            marks.append((at(month), f"{month.month}月"))
        month = (month + dt.timedelta(days=32)).replace(day=1)
    return out, marks, at(today)


def worst(tones: Iterable[str]) -> str:
    """The tone of many."""
    order = ["grey", "green", "blue", "amber", "red"]
    return max(tones, key=order.index, default="grey")
