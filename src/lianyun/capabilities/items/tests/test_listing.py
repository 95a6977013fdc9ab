"""The list of items: packs' items come on it, people find them, officers change, review, import them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from lianyun.capabilities.items import api, queries
from lianyun.capabilities.items.actions import (
    discard_draft,
    draft_item,
    edit_item,
    import_items,
    perform_import,
    resume_item,
    retire_item,
    review_item,
    start_import,
    submit_item,
    sync_declared,
)
from lianyun.capabilities.items.actions.editing import Changed
from lianyun.capabilities.items.models import Listing
from lianyun.capabilities.items.rules.content import digest
from lianyun.kernel import install, packs
from lianyun.kernel.access import ANONYMOUS, SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Event, WorkItem
from lianyun.kernel.party import department
from lianyun.kernel.path import compile_path, declare

Officer = Callable[..., Actor]


@pytest.fixture
def city(db: None) -> None:
    """Departments, the path of a review, and the declared items."""
    install._departments()
    told = packs.declaration("paths", "publish_item").data
    declare(
        "publish_item", told["title"], compile_path("publish_item", told["title"], told["steps"])
    )
    sync_declared(by=SYSTEM)


def test_declared_items_are_sound_and_found_by_everyday_words(city: None) -> None:
    report = sync_declared(by=SYSTEM)
    assert report.published == 0
    assert report.unchanged == len(packs.declarations("items"))
    with_faults = Listing.objects.filter(faults__gt=0)
    assert not with_faults, [
        f.text for row in with_faults for f in queries.faults_of(SYSTEM, queries.content_of(row))[1]
    ]
    permit = api.find("freight_permit")
    assert permit is not None
    assert permit.version == 1
    assert permit.result.licence == "freight_permit"
    assert {m.id for m in api.materials(permit, {"vehicle": "own"})} == {
        "driving_licence",
        "vehicle_licence",
    }
    for text in ("货车进城", "通行證", "huoche", "大货车进城证怎么办", permit.implementing_code):
        assert "freight_permit" in [x.code for x in api.search(text).lines], text
    for said, code in {
        "驾照到期了怎么换": "driving_licence_renewal",
        "暂住证": "residence_permit_first",
        "我想开饭店": "food_business_permit",
        "退休取公积金": "housing_fund_retirement",
        "看病报销": "medical_expense_claim",
        "当老师要什么证": "teacher_qualification",
        "房子过户": "property_sale",
        "开公司": "company_opening",
        "低保怎么申请": "minimum_living_allowance",
        "领失业金": "unemployment_benefit",
        "請不起律師": "legal_aid",
        "挖路": "road_excavation",
    }.items():
        assert code in [x.code for x in api.search(said).lines[:3]], said
    assert api.search("qqqq").total == 0
    assert api.find("no_such") is None


def test_an_officer_revises_and_the_city_sees_it_only_after_the_review(
    city: None, officer: Officer
) -> None:
    clerk, head = officer("ga", "data_officer"), officer("ga", "share_head")
    hall, other = officer("sjj", "bureau_catalogue"), officer("jy", "data_officer")
    row = Listing.objects.get(code="freight_permit")
    content = {**queries.content_of(row), "promised_days": 21}
    with pytest.raises(Denied):
        edit_item(listing=row, content=content, by=other)
    row = edit_item(listing=row, content=content, by=clerk)
    with pytest.raises(UserError, match="超过了法定 20 个工作日"):
        submit_item(listing=row, by=clerk)
    row = edit_item(
        listing=row, content={**content, "promised_days": 3, "legal_days": 15}, by=clerk
    )
    opened = digest(queries.content_of(row))  # two open the page; the quicker one saves
    row = edit_item(
        listing=row,
        content={**queries.content_of(row), "hours": "九点到五点"},
        seen=opened,
        by=clerk,
    )
    with pytest.raises(Changed, match=f"{clerk.name}于"):
        edit_item(listing=row, content=content, seen=opened, by=clerk)
    row.refresh_from_db()
    assert row.draft["hours"] == "九点到五点"
    case = submit_item(listing=row, by=clerk)
    with pytest.raises(UserError, match="正在审核"):
        edit_item(listing=row, content=content, by=clerk)
    with pytest.raises(UserError, match="无需重复"):
        submit_item(listing=row, by=clerk)
    sign = WorkItem.objects.get(case=case)
    with pytest.raises(Denied):
        review_item(item=sign, outcome="agree", by=clerk)
    review_item(item=sign, outcome="agree", by=head)
    found = api.find("freight_permit")
    assert found is not None
    assert found.legal_days == 20
    review_item(item=WorkItem.objects.get(case=case, done_at=None), outcome="agree", by=hall)
    found = api.find("freight_permit")
    assert found is not None
    assert (found.version, found.legal_days) == (2, 15)
    kept = api.find("freight_permit", 1)
    assert kept is not None
    assert kept.legal_days == 20
    retire_item(listing=row, reason="并入货运一件事", by=head)
    assert api.find("freight_permit") is None
    assert api.find("freight_permit", 2) is not None
    with pytest.raises(UserError, match="并入货运一件事"):
        queries.item_page(ANONYMOUS, "freight_permit", {})
    resume_item(listing=row, by=head)
    assert api.find("freight_permit") is not None
    kinds = list(
        Event.objects.filter(subject=row.ref).order_by("id").values_list("kind", flat=True)
    )
    assert kinds[-3:] == ["item.published", "item.retired", "item.resumed"]


def test_a_new_item_is_drawn_up_and_thrown_away(city: None, officer: Officer) -> None:
    clerk = officer("ga", "data_officer")
    row = draft_item(department=department("ga"), code="dog_card", name="养犬登记", by=clerk)
    assert row.faults
    assert api.find("dog_card") is None
    with pytest.raises(UserError, match="已经使用"):
        draft_item(department=department("ga"), code="dog_card", name="养犬登记", by=clerk)
    with pytest.raises(UserError, match="没有标准材料"):
        edit_item(
            listing=row,
            content={**queries.content_of(row), "materials": [{"standard": "gone"}]},
            by=clerk,
        )
    discard_draft(listing=row, by=clerk)
    assert not Listing.objects.filter(code="dog_card").exists()


def test_what_is_exported_comes_back_unchanged_and_bad_rows_say_why(
    city: None, officer: Officer
) -> None:
    from lianyun.capabilities.items.views.desk import workbook_for

    hall, clerk = officer("sjj", "bureau_catalogue"), officer("ga", "data_officer")
    book = workbook_for(hall)
    report = import_items(content=book, file_name="事项.xlsx", publish=True, by=hall)
    assert (report.unchanged, report.rejected) == (report.items, 0), report.issues[:5]
    assert report.items == len(packs.declarations("items"))
    assert report.materials > report.items
    # A clerk may bring the own department's only, and gives drafts.
    report = import_items(content=book, file_name="事项.xlsx", by=clerk)
    own = Listing.objects.filter(department__slug="ga").count()
    assert report.unchanged == own
    assert report.rejected == report.items - own
    assert "您只能导入本部门的事项" in {i["problem"] for i in report.issues}
    with pytest.raises(Denied):
        import_items(content=book, file_name="事项.xlsx", publish=True, by=clerk)
    # The worker does a started import once, as whoever started it.
    job = start_import(content=book, file_name="事项.xlsx", publish=False, by=clerk)
    done = perform_import(job.code)
    assert done is not None
    assert done.unchanged == own
    assert perform_import(job.code) is None
    broken = start_import(content=b"PK", file_name="坏.xlsx", publish=False, by=clerk)
    assert perform_import(broken.code) is None
    broken.refresh_from_db()
    assert broken.failed
    assert "打不开" in broken.message
    with pytest.raises(UserError, match="打不开"):
        import_items(content=b"PK no workbook", file_name="坏.xlsx", by=hall)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_submit_at_once_one_is_told(officer: Officer) -> None:
    install._departments()
    told = packs.declaration("paths", "publish_item").data
    declare(
        "publish_item", told["title"], compile_path("publish_item", told["title"], told["steps"])
    )
    sync_declared(by=SYSTEM)
    clerk = officer("ga", "data_officer")
    row = Listing.objects.get(code="freight_permit")
    edit_item(listing=row, content=queries.content_of(row), by=clerk)
    said: list[Any] = []

    def press() -> None:
        try:
            said.append(submit_item(listing=row, by=clerk).code)
        except UserError as mistake:
            said.append(str(mistake))
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted("无需重复" in x for x in said) == [False, True], said
