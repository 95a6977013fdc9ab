"""Clocks: a case's legal days, computed from what happened and nothing else (working days)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Deadline = Callable[[dt.date, int], dt.date]
Between = Callable[[dt.date, dt.date], int]


@dataclass(frozen=True)
class Limit:
    """What a path declares of a step: its working days (None: no clock) and the clock it shares."""

    days: int | None
    clock: str = ""


@dataclass(frozen=True)
class Happened:
    """One recorded event of a case: opened, stepped, suspended, resumed or extended.

    `opens` are the steps that began with it; `step` is the one done or extended.
    """

    kind: str
    on: dt.date
    step: str = ""
    opens: tuple[str, ...] = ()
    days: int = 0
    article: str = ""


@dataclass
class Run:
    """One clock as it ran: from when, until when it must be done, when it was, what moved it."""

    step: str
    began: dt.date
    due: dt.date | None
    done: dt.date | None = None
    paused: list[tuple[dt.date, dt.date | None, str]] = field(default_factory=list)
    extended: list[tuple[int, str]] = field(default_factory=list)

    def used(self, today: dt.date, between: Between) -> int:
        """Working days used: from the day after it began, without those that stood still."""
        end = self.done or today
        days = between(self.began, end)
        for since, until, _ in self.paused:
            days -= max(between(max(since, self.began), min(until or end, end)), 0)
        return days


def recompute(
    limits: Mapping[str, Limit],
    events: Iterable[Happened],
    deadline: Deadline,
    between: Between,
) -> list[Run]:
    """Every step of a case as its events make it, in the order of their beginning.

    A step that shares a clock with an earlier one takes over that one's day, unless it begins a
    second time and has days of its own. A pause moves every open day by the working days it
    lasted; an extension moves the open step it names.
    """
    runs: list[Run] = []
    since: tuple[dt.date, str] | None = None
    for event in events:
        if event.kind == "stepped":
            open_ = _open(runs, event.step)
            if open_ is not None:
                open_.done = event.on
        elif event.kind == "suspended":
            since = (event.on, event.article)
            for run in runs:
                if run.done is None:
                    run.paused.append((event.on, None, event.article))
        elif event.kind == "resumed" and since is not None:
            _resume(runs, since, event.on, deadline, between)
            since = None
        elif event.kind == "extended":
            open_ = _open(runs, event.step)
            if open_ is not None and open_.due is not None:
                open_.due = deadline(open_.due, event.days)
                open_.extended.append((event.days, event.article))
        for step in event.opens:
            runs.append(Run(step, event.on, _due(limits, runs, step, event.on, deadline)))
    return runs


def _open(runs: list[Run], step: str) -> Run | None:
    return next((r for r in reversed(runs) if r.step == step and r.done is None), None)


def _resume(
    runs: list[Run],
    since: tuple[dt.date, str],
    on: dt.date,
    deadline: Deadline,
    between: Between,
) -> None:
    lost = max(between(since[0], on), 0)
    for run in runs:
        if run.done is not None:
            continue
        if run.paused:
            run.paused[-1] = (run.paused[-1][0], on, since[1])
        if run.due is not None:
            run.due = deadline(run.due, lost)


def _due(
    limits: Mapping[str, Limit], runs: list[Run], step: str, on: dt.date, deadline: Deadline
) -> dt.date | None:
    limit = limits[step]
    if limit.clock:
        others = {s for s, other in limits.items() if other.clock == limit.clock and s != step}
        begun = next((r for r in reversed(runs) if r.step in others and r.due is not None), None)
        again = limit.days is not None and any(r.step == step for r in runs)
        if begun is not None and not again:
            return begun.due
    return None if limit.days is None else deadline(on, limit.days)


def verdict(run: Run, today: dt.date, standing: bool) -> str:
    """按时办结, 逾期办结, 计时中, 中止 or 逾期未办 for one clock; `standing`: the case is suspended."""
    if run.due is None:
        return "不计时"
    if run.done is not None:
        return "按时办结" if run.done <= run.due else "逾期办结"
    if standing:
        return "中止"
    return "计时中" if today <= run.due else "逾期未办"


def near(days: int | None) -> int:
    """With how many working days left a day is near: a third of the term, two at most."""
    return 2 if days is None else min(2, days // 3)
