"""Imports: whole resources or nothing of them, again without a duplicate, each mistake with its cell."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest

from lianyun.capabilities.catalogue import actions, adapters, api, queries
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Resource, ResourceVersion
from lianyun.kernel.party import department

Officer = Callable[[str, str], Actor]


@pytest.fixture
def entries(city: None, content: dict[str, Any]) -> list[dict[str, Any]]:
    """Three sound entries of the civil affairs bureau, with dates of publication."""
    item = {"note": "", "required": True, "key": False}
    items = [
        {
            **item,
            "name": "entity_name",
            "title": "机构名称",
            "element": "entity_name",
            "type": "C",
            "format": "an..100",
        },
        {**item, "name": "beds", "title": "床位数", "element": "", "type": "I", "format": "n..5"},
    ]
    return [
        {
            **content,
            "code": f"307001/{n:06d}",
            "name": "",
            "title": f"机构名录之{n}",
            "provider": "mz",
            "published_on": "2026-01-15",
            "related": [],
            "items": items,
        }
        for n in (1, 2, 3)
    ]


def book(
    entries: list[dict[str, Any]], *, cells: dict[tuple[str, str], Any] | None = None
) -> bytes:
    mz = department("mz")
    body = adapters.workbook(entries, {"mz": (mz.code or "", mz.name)})
    if not cells:
        return body
    opened = openpyxl.load_workbook(io.BytesIO(body))
    for (sheet, place), value in cells.items():
        opened[sheet][place] = value
    out = io.BytesIO()
    opened.save(out)
    return out.getvalue()


def bring(body: bytes, by: Actor, name: str = "目录.xlsx") -> api.ImportReport:
    return api.import_catalogue(file=body, file_name=name, by=by)


def test_good_resources_are_taken_and_bad_ones_reported(
    entries: list[dict[str, Any]], officer: Officer
) -> None:
    by = officer("bureau_catalogue", "sjj")
    body = book(entries, cells={("资源", "N3"): "每小时", ("信息项", "G4"): "乱写"})
    report = bring(body, by)
    assert (report.resources, report.created, report.rejected) == (3, 2, 1)
    places = {(i.sheet, i.row, i.column) for i in report.issues}
    assert places == {("资源", 3, "更新周期"), ("信息项", 4, "格式")}
    assert all(i.problem and i.advice for i in report.issues)
    assert not Resource.objects.filter(code="307001/000002").exists()
    row = Resource.objects.get(code="307001/000001")
    assert (row.state, row.version, row.items.count()) == (Resource.PUBLISHED, 1, 2)
    fixed = bring(book(entries), by)
    assert (fixed.created, fixed.unchanged, fixed.rejected) == (1, 2, 0)


def test_the_same_file_again_changes_nothing(
    entries: list[dict[str, Any]], officer: Officer
) -> None:
    by = officer("bureau_catalogue", "sjj")
    body = book(entries)
    bring(body, by)
    versions = ResourceVersion.objects.count()
    again = bring(body, by)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 3)
    assert ResourceVersion.objects.count() == versions
    changed = bring(book(entries, cells={("资源", "B2"): "改了名的名录"}), by)
    assert (changed.updated, changed.unchanged) == (1, 2)
    assert Resource.objects.get(code="307001/000001").version == 2


def test_what_goes_out_comes_in_again(city: None, officer: Officer) -> None:
    by = officer("bureau_catalogue", "sjj")
    for form in ("xlsx", "yaml"):
        body = api.export_catalogue(viewer=SYSTEM, form=form)
        report = bring(body, by, f"all.{form}")
        assert report.unchanged == report.resources == queries.visible(SYSTEM).count()


def test_a_department_brings_drafts_of_its_own_only(
    entries: list[dict[str, Any]], officer: Officer
) -> None:
    by = officer("data_officer", "mz")
    report = bring(book(entries), by)
    assert report.created == 3
    assert set(
        Resource.objects.filter(code__startswith="307001/").values_list("state", flat=True)
    ) == {"draft"}
    other = bring(book(entries), officer("data_officer", "ga"))
    assert other.rejected == 3
    assert "只能导入本部门" in other.issues[0].problem
    with pytest.raises(Denied):
        bring(book(entries), officer("leader", "sjj"))


def test_a_department_revises_what_is_published(
    entries: list[dict[str, Any]], officer: Officer
) -> None:
    bring(book(entries), officer("bureau_catalogue", "sjj"))
    by = officer("data_officer", "mz")
    report = bring(book(entries, cells={("资源", "B2"): "修订名录"}), by)
    assert (report.updated, report.unchanged) == (1, 2)
    row = Resource.objects.get(code="307001/000001")
    assert (row.title, row.version) == ("机构名录之1", 1)
    assert row.entry.draft["title"] == "修订名录"


def test_an_entry_under_review_is_left_alone(
    entries: list[dict[str, Any]], officer: Officer
) -> None:
    by = officer("data_officer", "mz")
    bring(book(entries), by)
    actions.submit_entry(resource=Resource.objects.get(code="307001/000001"), by=by)
    report = bring(book(entries), officer("bureau_catalogue", "sjj"))
    assert report.rejected == 1
    assert "正在审核" in report.issues[0].problem


def test_a_code_of_another_department_is_refused(
    entries: list[dict[str, Any]], officer: Officer
) -> None:
    by = officer("bureau_catalogue", "sjj")
    entries[0]["code"] = "101001/000001"
    entries[0]["class"] = "101001"
    report = bring(book(entries), by)
    assert report.rejected == 1
    assert "属于" in report.issues[0].problem


def test_a_name_in_use_is_refused(entries: list[dict[str, Any]], officer: Officer) -> None:
    entries[0]["name"] = "ga_residents"
    report = bring(book(entries), officer("bureau_catalogue", "sjj"))
    assert [(i.row, i.column) for i in report.issues] == [(2, "标识")]


def test_yaml_names_its_lines(city: None, officer: Officer) -> None:
    text = """resources:
- {class: "307001", serial: "000001", title: 名录, provider: mz, format: 数据库, cycle: 每月, level: 2,
   summary: 摘要, share: {type: 1, method: 服务接口}, open: {open: false},
   items: [{name: entity_name, element: entity_name}]}
- class: "307001"
  serial: "000002"
  title: 坏的
  provider: mz
  items:
  - {name: 坏, title: 坏}
"""
    report = bring(text.encode(), officer("bureau_catalogue", "sjj"), "x.yaml")
    assert (report.created, report.rejected) == (1, 1)
    assert {i.row for i in report.issues} == {5, 10}
    with pytest.raises(UserError, match="写法有误"):
        bring(b"a: [", officer("bureau_catalogue", "sjj"), "x.yaml")


def test_unreadable_files_say_what_to_do(city: None, officer: Officer) -> None:
    by = officer("bureau_catalogue", "sjj")
    with pytest.raises(UserError, match="下载模板"):
        bring(b"hello", by, "x.txt")
    with pytest.raises(UserError, match="打不开"):
        bring(b"PK\x03\x04broken", by)
    other = openpyxl.Workbook()
    other.active.title = "乱"  # type: ignore[union-attr]
    out = io.BytesIO()
    other.save(out)
    with pytest.raises(UserError, match="缺少工作表"):
        bring(out.getvalue(), by)


def test_the_workbook_of_mistakes_opens(entries: list[dict[str, Any]], officer: Officer) -> None:
    report = bring(
        book(entries, cells={("资源", "N3"): "每小时"}), officer("bureau_catalogue", "sjj")
    )
    opened = openpyxl.load_workbook(io.BytesIO(adapters.issues_workbook(report.plain["issues"])))
    rows = list(opened["问题清单"].values)
    assert rows[1][:4] == ("资源", 3, "更新周期", "307001/000002")
