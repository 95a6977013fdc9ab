"""Rules: when a comparison is due, where a finding stands, and what its confidence is made of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NEW, CHECKING, CONFIRMED, CLOSED, DISMISSED, HELD, GONE = (
    "new", "checking", "confirmed", "closed", "dismissed", "held", "gone",
)  # fmt: skip
STAGES = (
    (NEW, "待立案"),
    (CHECKING, "核查中"),
    (CONFIRMED, "属实，处置中"),
    (CLOSED, "属实，已办结"),
    (DISMISSED, "不属实"),
    (HELD, "数据不全"),
    (GONE, "已消除"),
)
TONES = {
    NEW: "blue",
    CHECKING: "amber",
    CONFIRMED: "violet",
    CLOSED: "green",
    DISMISSED: "grey",
    HELD: "grey",
    GONE: "grey",
}
OPEN = (CHECKING, CONFIRMED)
DOUBTS = {
    "late": "一方数据逾期未更新，暂不作判断",
    "period": "该期数据尚未报齐，暂不作判断",
    "rejects": "对方有同号记录被拒收待校核，不能当作没有",
    "name": "号码相同而姓名不同，可能是号码录错",
    "weak": "置信度低于规则要求",
}
KINDS = {
    "missing": "应有而无",
    "differs": "数额不符",
    "overlap": "不得重叠",
    "after": "事后发生",
}
CYCLES = {"每日": 1, "每周": 7, "每旬": 10, "每月": 28, "每季度": 89, "每年": 364}
BATCH = 200
"""How many findings are opened as cases at once."""
JUDGED_ENOUGH = 10
WEAK_RULE = 0.5
"""A rule of which fewer than this share of judged findings were true is named in amber."""


def due(cycle: str, last: dt.date | None, today: dt.date) -> bool:
    """Whether a rule of this cycle is to run today, given the day of its last finished run."""
    days = CYCLES.get(cycle)
    if days is None:
        return False
    return last is None or (today - last).days >= days


def stage_after(stage: str, standing: str, evidence: str, judged: str) -> tuple[str, bool]:
    """Where a finding stands once a run has spoken, and whether it is to be judged anew.

    A judged finding (dismissed or closed) comes back only with other evidence than was judged; one
    that is being worked on stays with its desk whatever the data say meanwhile.
    """
    if stage in OPEN:
        return stage, False
    if stage in (DISMISSED, CLOSED):
        if standing == "found" and evidence != judged:
            return NEW, True
        return stage, False
    return {"found": NEW, "incomplete": HELD, "gone": GONE}[standing], False


def trust(confirmed: int, dismissed: int) -> float | None:
    """The share of judged findings that were true; None while too few are judged."""
    judged = confirmed + dismissed
    return confirmed / judged if judged >= JUDGED_ENOUGH else None


@dataclass(frozen=True)
class Factor:
    """One part of a confidence: what it is, its share, and why."""

    title: str
    value: float
    told: str


def factors(
    *, base: float, linked: bool, confidence: float, names: tuple[str, str] | None
) -> list[Factor]:
    """What a finding's confidence is made of, so that the desk can weigh it.

    `names` are both sides' names without blanks, where both sides have them.
    """
    out = [
        Factor(
            "关联依据",
            base,
            "按关联库的记录对应，概率计入"
            if linked
            else "按号码精确对应"
            if base >= 1
            else "按名称、地址等对应，可靠性低于号码",
        )
    ]
    name = 1.0
    if names is not None:
        left, right = names
        if not left or not right:
            name, told = 0.95, "一方没有姓名（名称），无法互证"
        elif left == right:
            told = "两边姓名（名称）一致"
        else:
            name, told = 0.6, "两边姓名（名称）不一致"
        out.append(Factor("姓名（名称）互证", name, told))
    rest = confidence / (base * name) if base * name else 0.0
    out.append(
        Factor(
            "数据完整程度" if not linked else "数据完整程度与关联概率",
            round(min(rest, 1.0), 4),
            "两边数据集通过检查的行所占比例" + ("，乘以记录关联的概率" if linked else ""),
        )
    )
    return out


def plain(declared: Mapping[str, Any]) -> list[str]:
    """What a rule does, in sentences for those who do not read SQL."""
    left, right = declared["left"], declared["right"]
    keys = "、".join(declared["match"])
    a, b = f"“{left['title']}”", f"“{right['title']}”"
    out = []
    match declared["kind"]:
        case "missing":
            out.append(f"凡{a}中有、{b}中没有的，列为发现；两边按{keys}对应。")
        case "differs":
            word = {"over": "大于", "under": "小于", "both": "不同于"}[
                declared.get("direction") or "over"
            ]
            tolerance = declared.get("tolerance") or {}
            limits = []
            if tolerance.get("absolute"):
                limits.append(f"差额超过 {float(tolerance['absolute']):,.0f} 元")
            if tolerance.get("relative"):
                limits.append(f"超过较大一方的 {float(tolerance['relative']):.0%}")
            out.append(
                f"按{keys}汇总，{a}的金额{word}{b}的金额，"
                + (f"且{'、'.join(limits)}的，列为发现。" if limits else "的，列为发现。")
            )
            if declared.get("absent") == "zero":
                out.append(f"{b}中没有对应记录的，按零计。")
        case "overlap":
            out.append(f"同时出现在{a}和{b}中的，列为发现；两边按{keys}对应。")
        case "after":
            which = "最早" if (declared.get("event") or "first") == "first" else "最晚"
            grace = int(declared.get("grace") or 0)
            since = f"自{b}中{which}的日期起 {grace} 天以后" if grace else f"晚于{b}中{which}的日期"
            out.append(f"{since}，{a}中仍有记录的，列为发现；按{keys}对应。")
    if left.get("where"):
        out.append(f"{a}只看满足规则条件的记录。")
    if left.get("period") and right.get("period"):
        out.append("逐期比较；一方还没有报齐的期次不作判断，标为“数据不全”。")
    out.append("一方数据逾期，或对方的记录到了却被拒收的，不认定为发现，标为“数据不全”。")
    return out
