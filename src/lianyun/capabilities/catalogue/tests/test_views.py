"""Pages: every page opens for whom it should, and forms do what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from lianyun.capabilities.catalogue import actions, adapters, api
from lianyun.capabilities.catalogue.models import Import
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.models import Code, CodeList, Resource
from lianyun.kernel.party import department

PAGES = ["list", "overview", "desk", "elements", "codelists"]


@pytest.mark.parametrize("name", PAGES)
def test_pages_open_for_readers(browser_of: Callable[..., Client], name: str) -> None:
    answer = browser_of("data_officer", "ga").get(reverse(f"catalogue:{name}"))
    assert answer.status_code == 200


def test_visitors_go_to_the_login_page(city: None) -> None:
    answer = Client().get(reverse("catalogue:list"))
    assert answer.status_code == 302
    assert "login" in answer["Location"]


@pytest.mark.parametrize("tab", ["", "items", "versions", "lineage", "share"])
def test_every_tab_of_a_resource(browser_of: Callable[..., Client], tab: str) -> None:
    client = browser_of("data_officer", "mz")
    answer = client.get(reverse("catalogue:detail", args=["ga_residents"]), {"tab": tab})
    assert answer.status_code == 200
    assert "户籍人口信息" in answer.content.decode()


def test_the_list_finds_and_lights_up(browser_of: Callable[..., Client]) -> None:
    page = browser_of("data_officer", "ga").get(reverse("catalogue:list"), {"q": "婚姻登記"})
    text = page.content.decode()
    assert "结婚<mark>登记</mark>信息" in text
    page = browser_of("data_officer", "ga").get(reverse("catalogue:list"), {"q": "<b>&x"})
    assert "<b>&x" not in page.content.decode()


@pytest.mark.parametrize("query", ["page=999", "page=x", "share=x", "category=zzz", "sort=none"])
def test_odd_addresses_do_no_harm(browser_of: Callable[..., Client], query: str) -> None:
    assert (
        browser_of("leader", "sjj").get(reverse("catalogue:list") + "?" + query).status_code == 200
    )


def test_an_officer_draws_up_edits_and_submits(browser_of: Callable[..., Client]) -> None:
    client = browser_of("data_officer", "mz")
    form: dict[str, Any] = {
        "provider": "mz",
        "title": "殡葬服务机构",
        "class": "307001",
        "summary": "机构名录",
        "format": "数据库",
        "cycle": "每月",
        "level": "2",
        "share_type": "2",
        "share_conditions": "限履职使用",
        "share_method": "服务接口",
        "open_type": "0",
        "item-order": ["2", "1"],
        "item-element": ["", "entity_name"],
        "item-title": ["床位数", "机构名称"],
        "item-name": ["beds", "entity_name"],
        "item-type": ["I", "C"],
        "item-format": ["n..5", "an..100"],
        "item-required": ["", "1"],
        "item-key": ["", "1"],
        "item-note": ["", ""],
    }
    answer = client.post(reverse("catalogue:new"), form)
    assert answer.status_code == 302
    row = Resource.objects.get(title="殡葬服务机构")
    assert [i.name for i in row.items.order_by("position")] == ["entity_name", "beds"]
    assert row.data["key"] == ["entity_name"]
    edit = reverse("catalogue:edit", args=[row.name])
    assert client.get(edit).status_code == 200
    assert (
        client.post(edit, {**form, "title": "殡葬服务机构名录", "submit": "1"}).status_code == 302
    )
    row.refresh_from_db()
    assert row.title == "殡葬服务机构名录"
    assert row.state == Resource.REGISTERING
    head = browser_of("share_head", "mz")
    desk = head.get(reverse("catalogue:desk")).content.decode()
    assert "殡葬服务机构名录" in desk
    item = row.entry.case.items.get()
    page = reverse("catalogue:review", args=[item.pk])
    assert head.get(page).status_code == 200
    case = head.get(reverse("catalogue:case", args=[row.entry.case.code]))
    assert case["Location"] == page
    missing = head.post(page, {"outcome": "return", "note": ""})
    assert missing.status_code == 400
    assert "必须写明理由" in missing.content.decode()
    assert head.post(page, {"outcome": "agree", "note": ""}).status_code == 302


def test_a_bad_form_keeps_what_was_typed(browser_of: Callable[..., Client]) -> None:
    client = browser_of("data_officer", "mz")
    answer = client.post(
        reverse("catalogue:new"), {"provider": "mz", "title": "未选分类的目录", "item-title": []}
    )
    assert answer.status_code == 400
    assert "未选分类的目录" in answer.content.decode()


def test_nobody_draws_up_for_another_department(browser_of: Callable[..., Client]) -> None:
    client = browser_of("data_officer", "mz")
    answer = client.post(reverse("catalogue:new"), {"provider": "ga", "title": "越权"})
    assert answer.status_code == 400
    assert not Resource.objects.filter(title="越权").exists()


def test_an_element_fills_its_row(browser_of: Callable[..., Client]) -> None:
    client = browser_of("data_officer", "mz")
    row = client.get(reverse("catalogue:item_row"), {"item-element": "citizen_number"})
    assert "公民身份号码" in row.content.decode()
    assert "an18" in row.content.decode()


def test_import_page_job_and_workbook_of_mistakes(
    browser_of: Callable[..., Client], run_jobs: Callable[[], int]
) -> None:
    client = browser_of("bureau_catalogue", "sjj")
    assert client.get(reverse("catalogue:import")).status_code == 200
    wrong = client.post(
        reverse("catalogue:import"), {"file": SimpleUploadedFile("a.txt", b"nothing")}
    )
    assert wrong.status_code == 400
    body = api.export_catalogue(viewer=SYSTEM)
    sent = client.post(reverse("catalogue:import"), {"file": SimpleUploadedFile("目录.xlsx", body)})
    job = Import.objects.get()
    assert sent["Location"] == reverse("catalogue:import_detail", args=[job.code])
    assert client.get(sent["Location"]).status_code == 200
    poll = reverse("catalogue:import_progress", args=[job.code])
    assert "HX-Redirect" not in client.get(poll)
    run_jobs()
    assert client.get(poll)["HX-Redirect"] == sent["Location"]
    done = client.get(sent["Location"])
    assert done.status_code == 200
    assert client.get(sent["Location"], {"sort": "-row", "severity": "error"}).status_code == 200
    issues = client.get(reverse("catalogue:import_issues", args=[job.code]))
    assert issues.content[:2] == b"PK"
    assert client.get(reverse("catalogue:import_template")).content[:2] == b"PK"
    assert browser_of("data_officer", "mz").get(poll).status_code == 400


def test_an_unreadable_file_says_so(
    browser_of: Callable[..., Client], run_jobs: Callable[[], int]
) -> None:
    client = browser_of("data_officer", "mz")
    client.post(reverse("catalogue:import"), {"file": SimpleUploadedFile("a.xlsx", b"PKbroken")})
    run_jobs()
    job = Import.objects.get()
    assert job.failed
    page = client.get(reverse("catalogue:import_detail", args=[job.code])).content.decode()
    assert "没有导入任何内容" in page


def test_exports_hold_the_filtered_rows(browser_of: Callable[..., Client]) -> None:
    client = browser_of("data_officer", "mz")
    answer = client.get(reverse("catalogue:export"), {"department": "mz"})
    parsed = adapters.read_file(
        answer.content,
        "x.xlsx",
        __import__("lianyun.capabilities.catalogue.queries", fromlist=["world"]).world(),
    )
    assert {line.content["provider"] for line in parsed.lines} == {"mz"}
    text = client.get(reverse("catalogue:export"), {"department": "mz", "format": "yaml"})
    assert "结婚登记信息" in text.content.decode()


def test_elements_and_code_lists(browser_of: Callable[..., Client]) -> None:
    client = browser_of("leader", "sjj")
    assert client.get(reverse("catalogue:element", args=["citizen_number"])).status_code == 200
    assert client.get(reverse("catalogue:element", args=["nothing"])).status_code == 400
    assert client.get(reverse("catalogue:elements"), {"q": "身份"}).status_code == 200
    assert client.get(reverse("catalogue:elements"), {"personal": "True"}).status_code == 200
    listing = CodeList.objects.create(name="lamps", title="路灯")
    Code.objects.create(list=listing, code="1", name="旧", valid_to="2020-12-31")
    Code.objects.create(list=listing, code="2", name="新", valid_from="2021-01-01")
    url = reverse("catalogue:codelist", args=["lamps"])
    now = client.get(url).context
    assert [c.code for c in now["listing"].rows] == ["2"]
    then = client.get(url, {"day": "2020-06-01"}).context
    assert [c.code for c in then["listing"].rows] == ["1"]
    both = client.get(url, {"day": "2022-01-01", "since": "2020-01-01"}).context
    assert both["added"] == [("2", "新")]
    assert both["retired"] == [("1", "旧")]
    assert client.get(url, {"day": "nonsense"}).status_code == 400


def test_revise_compare_withdraw_pages(
    browser_of: Callable[..., Client], officer: Callable[[str, str], Actor]
) -> None:
    client = browser_of("data_officer", "mz")
    url = reverse("catalogue:revise", args=["mz_marriages"])
    assert client.post(url).status_code == 302
    assert client.get(reverse("catalogue:detail", args=["mz_marriages"])).status_code == 200
    assert client.get(reverse("catalogue:edit", args=["mz_marriages"])).status_code == 200
    assert client.post(reverse("catalogue:discard", args=["mz_marriages"])).status_code == 302
    assert client.get(reverse("catalogue:compare", args=["mz_marriages"])).status_code == 200
    head = browser_of("share_head", "mz")
    leave = reverse("catalogue:withdraw", args=["mz_marriages"])
    assert head.get(leave).status_code == 200
    assert head.post(leave, {"reason": ""}).status_code == 400
    assert head.post(leave, {"reason": "职责划转"}).status_code == 302
    assert browser_of("data_officer", "mz").get(leave).status_code == 403


def test_a_draft_of_another_department_has_no_page(
    browser_of: Callable[..., Client], officer: Callable[[str, str], Actor], content: dict[str, Any]
) -> None:
    row = actions.draft_resource(
        provider=department("mz"), content=content, by=officer("data_officer", "mz")
    )
    url = reverse("catalogue:detail", args=[row.name])
    assert browser_of("data_officer", "mz").get(url).status_code == 200
    assert browser_of("data_officer", "ga").get(url).status_code == 400
    listed = browser_of("data_officer", "ga").get(reverse("catalogue:list"), {"q": "殡葬服务机构"})
    assert row.title not in listed.content.decode()
