"""Action: urge, propose and decide cards, answer them; and the watch that does what the rules call for."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, WorkItem
from lianyun.kernel.rows import pour

from . import queries, rules
from .models import Tally


def _open(item: WorkItem, rule: rules.Rule, content: str, by: Actor) -> Case:
    if item.done_at is not None:
        raise UserError(f"“{item.title}”已经办理，不需要督办")
    if item.department is None:
        raise UserError("这个环节没有办理部门")
    if not content.strip():
        raise UserError("请写明督办内容")
    path = queries.URGE_PATH if rule.does == rules.URGE else queries.CARD_PATH
    word = f"supervise:{rule.code}:{item.pk}"
    known = Case.objects.filter(once=word).exists()
    made = cases.open_case(
        path,
        title=f"{rules.DOES[rule.does]}：{item.case.title}",
        subject=item.case,
        department=item.department,
        data={
            "rule": rule.code,
            "rule_title": rule.title,
            "does": rule.does,
            "content": content.strip(),
            "step": item.step,
            "step_title": item.title,
            "due_on": item.due_on.isoformat() if item.due_on else "",
            "by": by.name,
        },
        once=word,
        by=by,
    )
    if not known:
        record(
            "application.urged", item.case, by=by, case=item.case,
            data={"outcome": rules.DOES[rule.does], "note": content.strip(), "rule": rule.code},
        )  # fmt: skip
    return made


@action("supervision.watch")
def urge(item: WorkItem, content: str, *, by: Actor) -> Case:
    """Urge a department about one step: it has to answer within its days; once a step by hand."""
    rule = rules.by_hand(queries.declared(), rules.URGE)
    if Case.objects.filter(once=f"supervise:{rule.code}:{item.pk}").exists():
        raise UserError("这个环节已经督办过，请在督办件中跟进")
    return _open(item, rule, content, by)


@action("supervision.watch")
def propose_card(item: WorkItem, colour: str, content: str, *, by: Actor) -> Case:
    """Propose a yellow or red card for a step; whoever holds `supervision.card` decides."""
    if colour not in (rules.YELLOW, rules.RED):
        raise UserError("请选择黄牌或红牌")
    rule = rules.by_hand(queries.declared(), colour)
    if Case.objects.filter(once=f"supervise:{rule.code}:{item.pk}").exists():
        raise UserError("这个环节已经提请过同样的牌")
    return _open(item, rule, content, by)


@action("supervision.read")
def work(case: Case, step: str, outcome: str, *, note: str, by: Actor) -> Case:
    """Do one step of an urge or a card: answer, confirm, issue, object.

    `step` is what the page showed: of two who press at once the second is told. An urge whose
    second answer is not good enough either proposes a yellow card.
    """
    locked = Case.objects.select_for_update().get(pk=case.pk)
    item = locked.items.filter(done_at=None).select_related("case__path", "department").first()
    if item is None:
        raise UserError("这件督办已经办结")
    if item.step != step:
        raise UserError("这一步已经由同事办理，请看最新情况")
    done = cases.step(item, outcome, note=note, by=by)
    if item.step == "decide":
        kind = "card.issued" if outcome == "issue" else "card.dropped"
        record(kind, done, by=by, case=done, data={"outcome": done.data["does"], "reason": note})
    if done.outcome == "to_card":
        _card_after(done, note, by)
    return done


def _card_after(urged: Case, note: str, by: Actor) -> None:
    rule = rules.by_hand(queries.declared(), rules.YELLOW)
    cases.open_case(
        queries.CARD_PATH,
        title=urged.title.replace("督办", "黄牌", 1),
        subject=urged.subject,
        department=urged.department,
        data={
            **urged.data,
            "rule": rule.code,
            "rule_title": rule.title,
            "does": rules.YELLOW,
            "content": f"督办两次答复不认可：{note}",
        },
        once=f"supervise:after:{urged.pk}",
        by=by,
    )


@action("supervision.watch")
def apply_rule(item: WorkItem, rule: rules.Rule, *, by: Actor) -> Case:
    """Do what a rule calls for; called again it is the same urge or card."""
    return _open(item, rule, rule.content, by)


def watch() -> dict[str, int]:
    """Walk over everything overdue and do what the rules call for, once a step and rule.

    Returns how many urges and proposals were opened, by kind.
    """
    told = dict.fromkeys(rules.DOES, 0)
    known = set(Case.objects.filter(once__startswith="supervise:JC").values_list("once", flat=True))
    rows = cases.overdue_items().filter(queries.within()).exclude(department=None)
    for item in rows.exclude(permission__startswith="hall."):
        left = item.days_left
        if left is None:
            continue
        for rule in rules.called_for(queries.declared(), -left):
            if f"supervise:{rule.code}:{item.pk}" not in known:
                apply_rule(item, rule, by=SYSTEM)
                told[rule.does] += 1
    return told


@action(None)
def count_up(*, by: Actor, today: dt.date | None = None) -> int:
    """Count what was finished on the days before today that no tally counts yet; returns the days.

    Called twice it counts nothing twice: the days that are counted are left alone.
    """
    today = today or timezone.localdate()
    first = queries.uncounted()
    rows = WorkItem.objects.filter(done_at__lt=queries.midnight(today))
    if first is not None:
        rows = rows.filter(done_at__gte=queries.midnight(first))
    told = [
        (r["day"], r["department"], area, r["done"], r["in_time"])
        for area in ("", *(a.code for a in queries.areas()))
        for r in queries.finished(rows.filter(queries.within(area)), "day")
    ]
    pour(Tally, ("day", "department_id", "area", "done", "in_time"), told)
    days = len({row[0] for row in told})
    record("supervision.counted", "system:supervision", by=by, data={"days": days})
    return days


__all__ = ["apply_rule", "count_up", "propose_card", "urge", "watch", "work"]
