"""Calendar: the days of a round in their order, and what may be done in which step."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

PREPARE, APPROVE, REGISTER, CHECK, OBJECT = "prepare", "approve", "register", "check", "object"
CHOOSE, ALLOT, SIGN, CONFIRM, OVER = "choose", "allot", "sign", "confirm", "over"
"""The steps of the path enrolment_round; OVER is a round that has ended."""

PHASES = {
    PREPARE: ("制定方案", "grey"),
    APPROVE: ("等待审定方案", "amber"),
    REGISTER: ("登记", "blue"),
    CHECK: ("核查积分", "blue"),
    OBJECT: ("积分公示，受理异议", "amber"),
    CHOOSE: ("填报志愿", "blue"),
    ALLOT: ("派位", "blue"),
    SIGN: ("等待审定派位结果", "amber"),
    CONFIRM: ("结果已公布，确认入学", "green"),
    OVER: ("已结束", "grey"),
}
STAGES = {"primary": "小学一年级", "junior": "初中一年级"}


@dataclass(frozen=True)
class Day:
    """One entry of a round's calendar: its key, title, whether it is needed."""

    key: str
    title: str
    needed: bool = True


DAYS = (
    Day("register_from", "登记开始"),
    Day("register_until", "登记截止"),
    Day("check_until", "核查积分截止"),
    Day("choose_until", "填报志愿截止"),
    Day("allot_on", "派位"),
    Day("confirm_until", "确认入学截止"),
    Day("again_until", "补录志愿截止", needed=False),
    Day("again_confirm_until", "补录确认截止", needed=False),
)
TITLES = {d.key: d.title for d in DAYS}


def faults(days: Mapping[str, dt.datetime | None]) -> list[str]:
    """What is wrong with a calendar: a day missing, or two that stand the wrong way round."""
    out = [f"请填写“{d.title}”" for d in DAYS if d.needed and not days.get(d.key)]
    told = [(d.title, days[d.key]) for d in DAYS if days.get(d.key)]
    for (before, one), (after, other) in itertools.pairwise(told):
        if one is not None and other is not None and other <= one:
            out.append(f"“{after}”应晚于“{before}”")
    return out


def registering(phase: str, days: Mapping[str, dt.datetime], now: dt.datetime) -> str:
    """Why nobody can register at this moment; empty where one can."""
    if phase in (PREPARE, APPROVE):
        return "这一轮还没有开放登记"
    if phase != REGISTER or now >= days["register_until"]:
        until = days["register_until"]
        return f"登记已于 {until:%Y-%m-%d %H:%M} 截止，不能再提交"
    if now < days["register_from"]:
        return f"登记从 {days['register_from']:%Y-%m-%d %H:%M} 开始"
    return ""


def until(phase: str, turn: int, days: Mapping[str, dt.datetime]) -> dt.datetime | None:
    """Until when a step lasts, in the first allotment or a later one (`turn` from 1)."""
    later = turn > 1
    keys = {
        REGISTER: "register_until",
        CHECK: "check_until",
        CHOOSE: "again_until" if later else "choose_until",
        CONFIRM: "again_confirm_until" if later else "confirm_until",
    }
    return days.get(keys.get(phase, ""))


def age_problem(born: dt.date, first: dt.date, last: dt.date) -> str:
    """Why a child cannot enter in this round; empty where it can (义务教育法 art. 11)."""
    if born > last:
        return f"孩子 {born:%Y-%m-%d} 出生，未达到本轮的入学年龄（应在 {last:%Y-%m-%d} 及以前出生）"
    if born < first:
        return f"孩子 {born:%Y-%m-%d} 出生，已超过本轮的入学年龄（应在 {first:%Y-%m-%d} 及以后出生），请联系学校办理插班"
    return ""
