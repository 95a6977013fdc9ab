"""Action: register a project, let a stage begin when its time has come, help its owner."""

from __future__ import annotations

from decimal import Decimal

from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.kernel import case as cases
from lianyun.kernel import packs
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event, Party

from . import queries, rules
from .models import Project, StageCase


@action(None)
def register_project(
    *, owner: Party, name: str, kind: str, site: str, investment: Decimal, area: Decimal,
    code: str = "", by: Actor,
) -> Project:  # fmt: skip
    """Register a project with the code that it was given, or give it one (模拟赋码).

    Raises UserError (shape, a code that stands already, unknown kind) and Denied.
    """
    if not by.everything and (by.party is None or owner not in queries.principals(by)):
        raise Denied("只能为自己或所代理的单位登记项目")
    if (
        not by.everything
        and by.party is not None
        and owner != by.party
        and not identity.may_act(by.party, owner, "apply")
    ):
        raise Denied("您的授权不包含办理，不能登记项目")
    if kind not in queries.kinds():
        raise UserError("请选择项目类型")
    if not name.strip() or not site.strip():
        raise UserError("请填写项目名称和建设地点")
    if investment <= 0 or area < 0:
        raise UserError("总投资应大于 0，建筑面积不能小于 0")
    wanted = code.strip()
    if wanted and not rules.code_ok(wanted):
        raise UserError("项目代码应为 24 位，如 2026-320700-47-04-500001")
    if wanted and Project.objects.filter(code=wanted).exists():
        raise UserError("这个项目代码已经登记，请核对；如是本单位的项目，请联系政务服务办")
    given = wanted or _next_code()
    row = Project.objects.create(
        code=given, name=name.strip()[:200], kind=kind, owner=owner, site=site.strip()[:200],
        investment=investment, area=area, given=not wanted,
    )  # fmt: skip
    record(
        "project.registered", row, by=by,
        data={"title": "项目登记", "note": f"{queries.kinds()[kind].title}，项目代码 {given}"},
    )  # fmt: skip
    return row


def _next_code() -> str:
    division = str(packs.mapping("core", "city.yaml").get("division") or "320700")
    year, number = timezone.localdate().year, Project.objects.filter(given=True).count() + 1
    while Project.objects.filter(code=rules.new_code(year, division, number)).exists():
        number += 1
    return rules.new_code(year, division, number)


# ---- the gate --------------------------------------------------------------------------------


def on_filed(event: Event) -> None:
    """An application was filed: one for a stage meets the gate; called again nothing happens."""
    case = Case.objects.filter(pk=event.case_id_ref or 0, path__key=rules.PATH).first()
    if case is not None:
        admit(case=case, by=SYSTEM)


def on_closed(event: Event) -> None:
    """A stage has ended: those that wait for it, or were let in on a promise, hear of it."""
    ended = (
        StageCase.objects.filter(case_id=event.case_id_ref or 0).select_related("project").first()
    )
    if ended is not None:
        tell_waiting(project=ended.project, by=SYSTEM)


def admit_all() -> int:
    """Everything that waits at a gate, looked at again; returns how many went on."""
    return sum(admit(case=case, by=SYSTEM) for case in queries.to_admit())


@action(None)
def admit(*, case: Case, by: Actor) -> bool:
    """Let an application for a stage go on, let it wait, or send it back; whether it went on.

    The project is named by the code in the form; another's project is no project of the applicant.
    """
    if not by.everything:
        raise Denied("只有系统按规则受理")
    stage = queries.stage_of_item(str(case.data.get("item") or ""))
    said = str((case.data.get("facts") or {}).get("project_code") or "").strip()
    project = (
        Project.objects.select_for_update().filter(code=said, owner=case.applicant).first()
        if said
        else None
    )
    once = f"construction:{case.code}"
    if not case.items.filter(step="gate", done_at=None).exists():
        record("project.seen", project or case, by=by)
        return False
    kind = queries.kinds()[project.kind] if project is not None else None
    declared = kind.stage(stage) if kind is not None else None
    if project is None or kind is None or declared is None:
        words = (
            "申请表中的项目代码没有登记，或者不是本单位的项目"
            if project is None
            else "这类项目不需要办理本阶段"
        )
        record("project.blocked", case, by=by, case=case, data={"reason": words})
        return cases.receive(case, rules.GATE, {"note": words}, once, outcome=rules.BLOCKED, by=by)
    row, _ = StageCase.objects.get_or_create(
        case=case, defaults={"project": project, "stage": stage}
    )
    same = project.stages.filter(stage=stage).exclude(pk=row.pk).exclude(admitted=rules.BLOCKED)
    running = (
        same.exclude(case__state=Case.CLOSED).exists()
        or same.filter(case__outcome="granted").exists()
    )
    promised = (case.data.get("situations") or {}).get("former") == "promise"
    outcome, words = rules.admit(queries.former(project, stage), promised=promised, running=running)
    if kind.before(stage) is None and outcome == rules.READY:
        words = "这是本项目的第一个阶段，可以受理"
    row.admitted, row.words = outcome, words
    row.save(update_fields=["admitted", "words"])
    told = {
        "title": f"{declared.title}：{rules.ADMITTED.get(outcome, '等待前一阶段')}",
        "note": words,
    }
    record("project.stage_judged", project, by=by, data={**told, "case": case.code})
    if not outcome:
        return False
    given = {
        "note": words,
        "project": project.code,
        "stage": stage,
        "days": declared.days,
        "departments": list(declared.departments),
        "owed_days": kind.owed_days,
    }
    gone = cases.receive(case, rules.GATE, given, once, outcome=outcome, by=by)
    if outcome == rules.TOLERATED:
        _tell_former(row, by)
    return gone


@action(None)
def tell_waiting(*, project: Project, by: Actor) -> None:
    """The former stage of some stage has ended: gates open, promises are kept or broken."""
    held = Project.objects.select_for_update().get(pk=project.pk)
    record("project.looked_over", held, by=by)
    for row in held.stages.select_related("case").exclude(case__state=Case.CLOSED):
        if row.admitted == rules.TOLERATED:
            _tell_former(row, by)
        elif not row.admitted:
            admit(case=row.case, by=by)


def _tell_former(row: StageCase, by: Actor) -> None:
    """Answer a stage that was let in on a promise, once, when its former stage has ended."""
    how = queries.former(row.project, row.stage)
    if row.supplied_at is not None or how not in (rules.GRANTED, rules.ENDED):
        return
    row.supplied_at = timezone.now()
    row.save(update_fields=["supplied_at"])
    good = how == rules.GRANTED
    words = "前一阶段的批文已取得" if good else "前一阶段未获批准"
    cases.receive(
        row.case, rules.FORMER, {"note": words}, f"construction-former:{row.case.code}",
        outcome="supplied" if good else "failed", by=by,
    )  # fmt: skip
    record("project.promise_kept" if good else "project.promise_broken", row.case, by=by,
           case=row.case, data={"note": words})  # fmt: skip


# ---- help ------------------------------------------------------------------------------------


@action(None)
def ask_agent(*, project: Project, by: Actor) -> None:
    """The owner asks for somebody who helps with all stages."""
    if queries.own(by, project.code) is None:
        raise Denied("没有这个项目")
    row = Project.objects.select_for_update().get(pk=project.pk)
    if row.agent_id is not None or row.agent_wanted_at is not None:
        raise UserError("已经请求过代办")
    row.agent_wanted_at = timezone.now()
    row.save(update_fields=["agent_wanted_at"])
    record("project.agent_wanted", row, by=by, data={"title": "请求代办"})


@action("construction.help")
def take_project(*, project: Project, by: Actor) -> None:
    """An agent takes a project on; of two who press at once one has it."""
    row = Project.objects.select_for_update().get(pk=project.pk)
    if by.party is None:
        raise Denied("请由代办员本人登录")
    if row.agent_wanted_at is None:
        raise UserError("建设单位没有请求代办")
    if row.agent_id is not None:
        raise UserError("已有代办员")
    row.agent = by.party
    row.save(update_fields=["agent"])
    record("project.agent_taken", row, by=by, data={"title": "代办员已接手", "note": by.name})


@action("construction.help")
def note_help(*, project: Project, note: str, by: Actor) -> None:
    """What the agent did or advises; the owner reads it on the project's page."""
    if by.party is None or project.agent_id != by.party.pk:
        raise Denied("只有本项目的代办员可以记录代办情况")
    if not note.strip():
        raise UserError("请写明代办情况")
    record("project.helped", project, by=by, data={"title": "代办记录", "note": note.strip()[:300]})
