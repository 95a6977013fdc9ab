"""Rehearsing: an item's materials judged by the hall's own rules in an invented world (模拟数据)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from lianyun.capabilities.items import api as items
from lianyun.capabilities.licences import api as licences

from ..adapters import sources
from ..rules import asked as asking
from ..rules import grounds
from .looking import Judged

YES, NO, OTHER, DOWN, LOW = "yes", "no", "other", "down", "low"
REHEARSED = {
    asking.LICENCE: {YES: "持有，有效", OTHER: "持有，已过期", LOW: "持有，可信等级 D", NO: "没有"},
    asking.LIBRARY: {YES: "有记录，内容齐全", OTHER: "有记录，所需内容为空", NO: "没有记录", DOWN: "暂时查不到"},
    asking.DATASET: {YES: "有登记，核对一致", OTHER: "有登记，核对不一致", NO: "没有登记", DOWN: "暂时查不到"},
    asking.EARLIER: {YES: "以前交过，仍有效", OTHER: "以前交过，已过期", NO: "没有交过"},
}  # fmt: skip
"""How an invented source may answer, in words, by kind of source; the first is what is taken."""


def sources_of(item: Any, answers: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(key, kind, title) of each source of the materials that these answers ask for, each once."""
    found: dict[str, tuple[str, str, str]] = {}
    for material in items.materials(item, answers):
        for ground in material.grounds:
            key = asking.source_of(ground)
            kind, _, name = key.partition(":")
            if key:
                found[key] = (key, kind, _title(kind, name))
    return list(found.values())


def _title(kind: str, name: str) -> str:
    if kind == asking.LICENCE:
        one = licences.find_kind(name)
        return f"{one.title}（电子证照）" if one else name
    if kind == asking.LIBRARY:
        return sources.library_title(name)
    if kind == asking.DATASET:
        return str(sources.dataset(name).get("title") or name)
    return "以前提交的材料"


def rehearse(
    item: Any,
    answers: Mapping[str, str],
    values: Mapping[str, Any],
    world: Mapping[str, str],
    promised: frozenset[str],
) -> list[Judged]:
    """Each material with what every ground would find in this world."""
    return [
        Judged(m, tuple(_finding(g, m, values, world, m.id in promised) for g in m.grounds))
        for m in items.materials(item, answers)
    ]


def _finding(
    ground: Any, material: Any, values: Mapping[str, Any], world: Mapping[str, str], promised: bool
) -> grounds.Finding:
    if ground.by == grounds.PROMISE:
        return grounds.by_promise(ground.text, timezone.now() if promised else None)
    key = asking.source_of(ground)
    kind, _, name = key.partition(":")
    how, title, today = world.get(key, YES), _title(kind, name), timezone.localdate()
    if how == DOWN:
        return grounds.Finding(
            ground.by, grounds.DOWN, f"{title}暂时没有响应，可稍后重试或直接上传"
        )
    match ground.by:
        case grounds.LICENCE:
            one = licences.find_kind(ground.type)
            plain = one.title if one else ground.type
            held = grounds.Held(
                ground.type, plain, "样例", "模拟编号", "D" if how == LOW else "A", "模拟发证机关",
                today - dt.timedelta(days=100), today + dt.timedelta(days=265), how != OTHER, "已过期",
            )  # fmt: skip
            told = [] if how == NO else [held]
            return grounds.by_licence(ground.type, plain, told, sources.terms()["grades"])
        case grounds.LIBRARY:
            row = grounds.Row(
                key, title, "模拟来源",
                {n: "" if how == OTHER else f"模拟{n}" for n in ground.need}, today.isoformat(),
            )  # fmt: skip
            shown = dict.fromkeys(ground.need, "模拟数据")
            return grounds.by_row(None if how == NO else row, ground.need, {}, shown, title)
        case grounds.EARLIER:
            days = int(sources.terms()["earlier_days"])
            on = today - dt.timedelta(days=days + 1 if how == OTHER else 10)
            before = grounds.Before("模拟办件", "以前的事项", material.name, on, "", "")
            return grounds.by_earlier(None if how == NO else before, days, today)
        case _:
            match = {c: str(values.get(f) or f"模拟{f}") for c, f in ground.match.items()}
            need = {c: str(values.get(c) or f"模拟{c}") for c in ground.need}
            says = {c: "另一个值" if how == OTHER else v for c, v in need.items()}
            rows = [grounds.Row(key, title, "模拟来源", {**match, **says}, today.isoformat())]
            titles = sources.dataset_titles(name)
            return grounds.by_verification([] if how == NO else rows, match, need, titles, title)


__all__ = ["REHEARSED", "rehearse", "sources_of"]
