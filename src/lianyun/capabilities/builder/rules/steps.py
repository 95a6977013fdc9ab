"""Steps: what a path is composed of in the browser, as the desks understand it (docs/guides/flows.md)."""

from __future__ import annotations

import copy
from typing import Any

PALETTE: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("receive", "收件与受理", "窗口看申请是否齐全：受理、一次告知补正或不予受理", {
        "id": "receive", "title": "收件与受理", "permission": "desk.accept", "department": "provider",
        "days": 5, "outcomes": {
            "accept": {"title": "予以受理", "style": "good"},
            "supplement": {"title": "一次告知补正", "go": "supplement"},
            "reject": {"title": "不予受理", "reason": True, "end": "not_accepted", "style": "bad"},
        }}),
    ("supplement", "申请人补正", "等申请人补齐材料；补正后回到受理", {
        "id": "supplement", "title": "申请人补正材料", "permission": "hall.supplement",
        "department": "applicant", "outcomes": {
            "submit": {"title": "已补正", "go": "receive", "style": "good"},
            "withdraw": {"title": "撤回申请", "end": "withdrawn"},
        }}),
    ("rule", "决策表判定", "按本服务的决策表得出结论，后面要有分流", {
        "id": "rule", "title": "按规则判定", "decide": "= decision"}),
    ("way", "按条件分流", "按判定结果或申请内容走不同的路", {
        "id": "way", "title": "判定结果", "choose": [
            {"when": "verdict.result == 'granted'", "go": "deliver", "title": "规则准予"},
            {"go": "decide", "title": "其他，由人决定"},
        ]}),
    ("review", "审查", "审批人员审查，提出准予或不予的意见", {
        "id": "review", "title": "审查", "permission": "desk.review", "department": "provider",
        "days": "promised_days", "clock": "decision", "outcomes": {
            "grant": {"title": "建议准予", "style": "good"},
            "refuse": {"title": "建议不予", "reason": True, "style": "bad"},
        }}),
    ("opinions", "征求各部门意见", "事项的每个共同实施部门同时提出意见", {
        "id": "opinions", "title": "征求意见", "permission": "desk.review", "department": "each",
        "each": "departments", "days": 3, "outcomes": {
            "agree": {"title": "同意", "style": "good"},
            "object": {"title": "不同意", "reason": True, "style": "bad"},
        }}),
    ("notice", "公示", "等若干个工作日，到期自动继续", {
        "id": "notice", "title": "公示", "timer": {"days": 5}}),
    ("wait", "等部门系统答复", "等一个业务系统发来答复", {
        "id": "registry", "title": "等待业务系统答复", "wait": {"message": "registry_done"}}),
    ("decide", "决定", "审批负责人作出准予或不予的决定（与审查人不同）", {
        "id": "decide", "title": "决定", "final": True, "permission": "desk.decide",
        "department": "provider", "days": "promised_days", "clock": "decision", "outcomes": {
            "grant": {"title": "准予", "style": "good"},
            "refuse": {"title": "不予", "reason": True, "end": "refused", "style": "bad"},
        }}),
    ("deliver", "制证送达", "签发结果证照并送达申请人", {
        "id": "deliver", "title": "制证送达", "permission": "desk.deliver", "department": "provider",
        "days": 10, "outcomes": {"deliver": {"title": "送达", "end": "granted", "style": "good"}}}),
)  # fmt: skip
"""(kind, title, explanation, step): ids and outcomes are those that the approval desk knows."""

BY = {
    "desk.accept": "综合窗口人员（受理）",
    "desk.review": "审批人员（审查）",
    "desk.decide": "审批负责人（决定）",
    "desk.deliver": "审批人员（制证送达）",
    "hall.supplement": "申请人",
}
AT = {
    "provider": "实施部门",
    "applicant": "申请人",
    "each": "名单中的每个部门",
    "bureau": "大数据局",
}


def composed(kinds: tuple[str, ...] = ("receive", "supplement", "decide", "deliver")) -> list[Any]:
    """A path to begin with, of these kinds of steps."""
    known = {kind: step for kind, _, _, step in PALETTE}
    out = [copy.deepcopy(known[kind]) for kind in kinds]
    if "receive" in kinds and "decide" in kinds:
        # What follows the acceptance is not the supplement, which stands next in the list.
        out[kinds.index("receive")]["outcomes"]["accept"]["go"] = next(
            k for k in kinds if k not in ("receive", "supplement")
        )
    return out


def every(steps: Any) -> list[dict[str, Any]]:
    """All steps of a list, those inside branches included, in their order."""
    out: list[dict[str, Any]] = []
    for step in steps if isinstance(steps, list) else []:
        if not isinstance(step, dict):
            continue
        out.append(step)
        for branch in step.get("parallel") or []:
            out += every(branch)
        for branch in step.get("inclusive") or []:
            out += every(branch.get("steps") if isinstance(branch, dict) else [])
        out += every(step.get("steps"))
    return out


__all__ = ["AT", "BY", "PALETTE", "composed", "every"]
