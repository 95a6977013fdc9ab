"""Sample desks: officers who take filed applications to different ends, and citizens who rate them.

Everything goes through the doors that officers and citizens use; a second call finds nothing new.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Tell = Callable[[float, str], None]
CLERK, WATCHER = "zwb.zonghe", "zwb.jiancha"
DESKS = ("ga", "mz", "rs", "scjg", "zr", "zj", "sws", "rh")
"""Departments whose applications the sample city works; the others' wait in the pool."""
FAR = ("granted", "waiting", "review", "granted", "supplement", "refused", "decide", "joint")
"""How far the sample city's applications come, in turn."""


def open_doors(home: Path, tell: Tell) -> dict[str, str]:
    """Accounts of the window, of approvers and heads, of the supervisor; account → title."""
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    password = (home / "demo-password").read_text().strip()
    wanted = [
        ("zwb", "综合窗口人员", CLERK, "window_clerk"),
        ("zwb", "监察人员", WATCHER, "supervisor"),
    ]
    for slug in DESKS:
        wanted.append((slug, "审批人员", f"{slug}.shenpi", "approver"))
        wanted.append((slug, "审批负责人", f"{slug}.pizhun", "approval_head"))
    have = set(get_user_model().objects.values_list("username", flat=True))
    told = {}
    for number, (slug, name, username, role) in enumerate(wanted):
        tell(number / len(wanted), name)
        party = department(slug)
        if username not in have:
            identity.create_account(
                party, name, username, [role], password=password, must_change=False, by=SYSTEM
            )
        if slug in ("zwb", "ga"):
            told[username] = f"{party.short} {name}"
    return told


def work(officer: Callable[[str], Any], tell: Tell) -> dict[str, int]:
    """Take what was filed to different ends, rate what is closed, urge once; returns how many of each."""
    from lianyun.capabilities.desk import api as desk
    from lianyun.capabilities.ratings import api as ratings
    from lianyun.capabilities.supervision import api as supervision
    from lianyun.kernel.access import SYSTEM, UserError, actor_of
    from lianyun.kernel.models import Case

    told = {"worked": 0, "granted": 0, "rated": 0, "urged": 0}
    if ratings.whole(SYSTEM).total:
        return told
    rows = list(desk.cases(SYSTEM).order_by("id")[:40])
    for number, case in enumerate(rows):
        tell(number / (len(rows) + 1), case.title)
        _take(case, FAR[number % len(FAR)], officer)
        told["worked"] += 1
    levels = iter(["1", "2", "5", "1", "3", "1", "4", "2"])
    closed = [r for r in rows if Case.objects.filter(pk=r.pk, state=Case.CLOSED).exists()]
    for case in closed:
        told["granted"] += Case.objects.filter(pk=case.pk, outcome="granted").exists()
        level = next(levels, "1")
        if case.applicant is None:
            continue
        said = {"5": "来回补了两次材料", "4": "等得有点久"}.get(level, "")
        try:
            ratings.rate_case(case, level, text=said, channel="mobile", by=actor_of(case.applicant))
        except UserError:  # withdrawn
            continue
        told["rated"] += 1
    waiting = desk.queue(SYSTEM).filter(step="review").first()
    if waiting is not None:
        supervision.urge(waiting, "临近承诺时限，请按时办结", by=officer(WATCHER))
        told["urged"] = 1
    told["urged"] += sum(supervision.watch().values())
    return told


def _take(case: Any, far: str, officer: Callable[[str], Any]) -> None:
    """One application as far as its turn says; what its path does not have is left out."""
    from lianyun.capabilities.desk import api as desk
    from lianyun.kernel.access import UserError

    def do(step: str, outcome: str, who: str, **more: Any) -> None:
        slugs = [i.department.slug for i in case.items.filter(step=step, done_at=None)]
        for slug in slugs:
            if slug not in DESKS:
                return
            item = case.items.filter(step=step, done_at=None, department__slug=slug).get()
            by = officer(CLERK if who == "window" else f"{slug}.{who}")
            try:
                desk.work(item, outcome, by=by, **more)
            except UserError:  # a licence that lacks something waits for its officer
                return

    lists = [{"material": "", "name": "申请材料", "what": "照片看不清，请重新上传"}]
    if far == "waiting":
        return
    if far == "supplement":
        do("receive", "supplement", "window", missing=lists)
        do("settle", "supplement", "shenpi", missing=lists)
        return
    do("receive", "accept", "window")
    if far == "review":
        return
    ends = far == "refused"
    note = "不符合受理条件中的第一项" if ends else "材料齐全，符合条件"
    do("opinion", "agree", "shenpi", note="同意")
    do("review", "refuse" if ends else "grant", "shenpi", note=note)
    do("settle", "refuse" if ends else "grant", "shenpi", note=note)
    if far == "decide":
        return
    do("decide", "refuse" if ends else "grant", "pizhun", note=note)
    for step in ("contract", "seal", "tax", "bank", "insurance"):
        do(step, "agree", "shenpi", note="已办理")
    do("decide", "grant", "pizhun", note=note)
