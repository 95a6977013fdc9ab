"""The workbench's home: what awaits, what is late, where a new city begins."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from lianyun.capabilities.dashboard import rules
from lianyun.kernel.access import SYSTEM, Membership
from lianyun.kernel.case import open_case
from lianyun.kernel.models import Batch, Party, Resource, WorkItem
from lianyun.kernel.party import department


def browser(slug: str, *roles: str) -> Client:
    party = Party.objects.create(kind=Party.PERSON, name="郑专员")
    for role in roles:
        Membership.objects.create(party=party, department=department(slug), role=role)
    client = Client()
    client.force_login(get_user_model().objects.create(username=f"t-{party.pk}", party=party))
    return client


def home(client: Client) -> str:
    answer = client.get("/workbench/")
    assert answer.status_code == 200
    return answer.content.decode()


def dataset(name: str, owner: str, **more: Any) -> Resource:
    return Resource.objects.create(
        code=f"901001/{name}",
        name=name,
        kind=Resource.DATASET,
        title=f"数据{name}",
        owner=department(owner),
        state=Resource.PUBLISHED,
        terms={"cycle": "每日", "share": {"type": 1}},
        **more,
    )


def load(resource: Resource, days_ago: int, rejected: int = 0) -> None:
    at = timezone.now() - dt.timedelta(days=days_ago)
    Batch.objects.create(
        code=f"B-{resource.name}-{days_ago}",
        resource=resource,
        state=Batch.SUCCEEDED,
        landed=100,
        accepted=100 - rejected,
        rejected=rejected,
        outcome={"total": 100},
        score=99.0,
        started_at=at,
        finished_at=at,
    )


def test_visitors_are_led_to_the_login(db: None) -> None:
    assert Client().get("/workbench/")["Location"] == "/login/?next=%2Fworkbench%2F"


def test_a_new_city_is_told_where_to_begin(db: None) -> None:
    page = home(browser("sjj", "bureau_operator"))
    assert "从这里开始" in page
    assert "编制并发布目录" in page
    assert "没有需要您办理的事项" in page


def test_someone_without_a_post_is_told_whom_to_ask(db: None) -> None:
    page = home(browser("sjj"))
    assert "您还没有任职的部门" in page
    assert "从这里开始" not in page


def test_overdue_work_comes_first_and_in_red(db: None) -> None:
    for title in ("海州更正", "灌云更正"):
        open_case(
            "correction", title=title, department=department("ga"),
            data={"provider": "ga"}, by=SYSTEM,
        )  # fmt: skip
    late = WorkItem.objects.get(case__title="灌云更正")
    late.due_on = timezone.localdate() - dt.timedelta(days=30)
    late.save()
    page = home(browser("ga", "data_officer"))
    assert page.index("灌云更正") < page.index("海州更正")
    assert "已逾期" in page
    assert "<b>1</b>件逾期" in page
    assert "海州更正" not in home(browser("gjj", "data_officer")), "other desks' work is not shown"


def test_the_health_of_the_own_datasets(db: None) -> None:
    load(dataset("t_fresh", "ga"), 0)
    load(dataset("t_dead", "ga"), 40)
    load(dataset("t_other", "gjj"), 0)
    page = home(browser("ga", "data_officer"))
    assert "数据t_dead" in page
    assert "入库后从未更新" in page
    assert "从这里开始" not in page
    own = page.split("本部门数据健康")[1].split("</section>")[0]
    assert "数据t_fresh" in own
    assert "数据t_other" not in own


def test_the_page_costs_few_queries(db: None, django_assert_max_num_queries: Any) -> None:
    for i in range(30):
        load(dataset(f"t_{i}", "ga"), i % 3)
    client = browser("ga", "data_officer")
    client.get("/workbench/")
    with django_assert_max_num_queries(45):
        client.get("/workbench/")


def test_days_have_no_gaps() -> None:
    days = rules.days_back(dt.date(2026, 3, 1), 3)
    assert [d.day for d in days] == [27, 28, 1]
    assert rules.by_day(days, {dt.date(2026, 2, 28): 4}) == [0, 4, 0]


@pytest.mark.parametrize(
    ("good", "judged", "told"),
    [
        (0, 0, ("—", "")),
        (95, 100, ("95", "green")),
        (80, 100, ("80", "amber")),
        (1, 2, ("50", "red")),
    ],
)
def test_health_in_words(good: int, judged: int, told: tuple[str, str]) -> None:
    assert rules.health_words(good, judged) == told


def test_greetings() -> None:
    assert [rules.greeting(h) for h in (3, 7, 10, 13, 16, 21)] == [
        "夜深了", "早上好", "上午好", "中午好", "下午好", "晚上好",
    ]  # fmt: skip
