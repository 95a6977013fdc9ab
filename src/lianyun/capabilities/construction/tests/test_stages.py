"""Stages of a project: one waits for the other, or is let in on a promise that is kept or broken."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from lianyun.capabilities.construction import actions, queries
from lianyun.capabilities.construction.models import Project
from lianyun.capabilities.items import api as items
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Denied, UserError, actor_of
from lianyun.kernel.models import Case, Party, WorkItem
from lianyun.kernel.party import department

File = Callable[..., Case]


@pytest.fixture
def project(city: None) -> Project:
    if items.find("stage_land") is None:
        items.sync_declared(by=SYSTEM)
    firm = Party.objects.create(kind="legal_entity", name="甲公司", code="91110000600037341L")
    return actions.register_project(
        owner=firm, name="滨海二期厂房", kind="private_building", site="连云区某路",
        investment=Decimal(8000), area=Decimal(12000), by=SYSTEM,
    )  # fmt: skip


@pytest.fixture
def files(project: Project, run_jobs: Callable[[], int]) -> File:
    def file(stage: str, promise: bool = False, **more: Any) -> Case:
        lead = items.find(f"stage_{stage}")
        assert lead is not None
        case = cases.open_case(
            "construction_stage",
            title=lead.name,
            subject=lead.ref,
            applicant=more.get("applicant", project.owner),
            department=department(lead.department),
            data={
                "item": lead.code,
                "item_name": lead.name,
                "promised_days": 20,
                "situations": {"former": "promise" if promise else "have"},
                "facts": {"project_code": more.get("code", project.code)},
            },
            by=SYSTEM,
        )
        run_jobs()
        actions.admit_all()
        case.refresh_from_db()
        return case

    return file


def waiting(case: Case) -> list[str]:
    return sorted(case.items.filter(done_at=None).values_list("step", flat=True))


def grant(case: Case, run_jobs: Callable[[], int]) -> None:
    """All departments agree, the lead decides, the paper is given."""
    do = lambda step, outcome: [  # noqa: E731
        cases.step(i, outcome, by=SYSTEM) for i in case.items.filter(step=step, done_at=None)
    ]
    do("receive", "accept")
    do("opinion", "agree")
    do("decide", "grant")
    do("deliver", "deliver")
    run_jobs()


def test_a_stage_waits_for_the_former_ones_result(
    project: Project, files: File, run_jobs: Callable[[], int]
) -> None:
    early = files("works")
    assert (early.state, early.outcome) == ("closed", "not_accepted")  # nothing was applied for yet
    land = files("land")
    assert waiting(land) == ["receive"]
    cases.step(land.items.get(step="receive"), "accept", by=SYSTEM)
    opinions = WorkItem.objects.filter(case=land, step="opinion")
    assert {o.department.slug for o in opinions if o.department} == {"zr", "fg"}
    assert len({o.due_on for o in opinions}) == 1
    again = files("land")
    assert (again.outcome, again.data["gate"]["note"]) == (
        "not_accepted",
        "本阶段已有在办的申请，请勿重复申报",
    )
    works = files("works")
    assert waiting(works) == ["gate"]
    grant(land, run_jobs)
    assert waiting(works) == ["receive"]
    view = queries.view(SYSTEM, project)
    assert [s.words for s in view.stages] == ["已批准", "办理中", "未申报", "未申报"]
    assert [s.may_apply for s in view.stages] == [False, False, True, False]
    assert [b.span.title for b in view.bars if b.span.deep] == [
        "市自然资源和规划局",
        "市发展改革委",
    ]


def test_a_promise_lets_in_but_decides_nothing(
    project: Project, files: File, run_jobs: Callable[[], int]
) -> None:
    land, works = files("land"), files("works", promise=True)
    assert works.data["gate"]["outcome"] == "tolerated"
    cases.step(works.items.get(step="receive"), "accept", by=SYSTEM)
    for item in works.items.filter(step="opinion", done_at=None):
        cases.step(item, "agree", by=SYSTEM)
    assert waiting(works) == ["owed"]
    build = files("build", promise=True)  # on a promise of a promise
    grant(land, run_jobs)
    assert waiting(works) == ["decide"]
    # The next one's former is refused: what rested on it cannot be granted.
    cases.step(build.items.get(step="receive"), "accept", by=SYSTEM)
    for item in build.items.filter(step="opinion", done_at=None):
        cases.step(item, "agree", by=SYSTEM)
    cases.step(works.items.get(step="decide"), "refuse", note="设计方案不符合规划条件", by=SYSTEM)
    run_jobs()
    assert waiting(build) == ["refusal"]


def test_a_promise_that_is_not_kept_ends_it(
    project: Project, files: File, run_jobs: Callable[[], int]
) -> None:
    files("land")
    works = files("works", promise=True)
    cases.step(works.items.get(step="receive"), "accept", by=SYSTEM)
    for item in works.items.filter(step="opinion", done_at=None):
        cases.step(item, "agree", by=SYSTEM)
    owed = works.items.get(step="owed", done_at=None)
    assert owed.fires_on is not None
    assert owed.fires_on > timezone.localdate() + dt.timedelta(days=20)
    WorkItem.objects.filter(pk=owed.pk).update(fires_on=timezone.localdate() - dt.timedelta(days=1))
    owed.refresh_from_db()
    assert cases.fire(owed)
    works.refresh_from_db()
    assert (works.state, works.outcome) == ("closed", "lapsed")


def test_only_ones_own_project_and_its_stages(project: Project, files: File, officer: Any) -> None:
    stranger = Party.objects.create(kind="legal_entity", name="乙公司")
    other = files("land", applicant=stranger)
    assert "不是本单位的项目" in other.data["gate"]["note"]
    assert files("land", code="2026-320700-47-04-999999").outcome == "not_accepted"
    small = actions.register_project(
        owner=project.owner, name="小仓库", kind="simple_low_risk", site="海州区",
        investment=Decimal(90), area=Decimal(300), by=SYSTEM,
    )  # fmt: skip
    assert "不需要办理本阶段" in files("land", code=small.code).data["gate"]["note"]
    assert waiting(files("works", code=small.code)) == ["receive"]  # its first stage
    person = actor_of(Party.objects.create(kind="person", name="张三丰"))
    assert queries.own(person, project.code) is None
    wanted: dict[str, Any] = {
        "name": "丙",
        "kind": "private_building",
        "site": "某路",
        "area": Decimal(1),
    }
    with pytest.raises(Denied):
        actions.register_project(owner=stranger, investment=Decimal(1), by=person, **wanted)
    for wrong in (
        {"code": "123"},
        {"code": project.code},
        {"kind": "none"},
        {"investment": Decimal(0)},
    ):
        told = {"investment": Decimal(1), **wanted, **wrong}
        with pytest.raises(UserError):
            actions.register_project(owner=person.party, by=person, **told)  # type: ignore[arg-type]
    agent, head = officer("zwb", "window_clerk"), officer("zj", "approval_head")
    with pytest.raises(UserError, match="没有请求"):
        actions.take_project(project=project, by=agent)
    Project.objects.filter(pk=project.pk).update(agent_wanted_at=timezone.now())
    with pytest.raises(Denied):
        actions.take_project(project=project, by=head)
    actions.take_project(project=project, by=agent)
    with pytest.raises(UserError, match="已有代办员"):
        actions.take_project(project=project, by=officer("zwb", "window_clerk"))
