"""Lists: filters, order, pages, exports and what they escape."""

from __future__ import annotations

import csv
import io
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from openpyxl import load_workbook

from lianyun.kernel.event import Event
from lianyun.kernel.party import Party
from lianyun.ui.tables import Column, Filter, Table, around

ROWS = [
    SimpleNamespace(pk=i, title=f"目录{i:02d}", n=i * 1000, ok=i % 2 == 0, gone=None)
    for i in range(1, 46)
]
COLUMNS = [
    Column("title", "名称", primary=True, sort=True, link=lambda r: f"/x/{r.pk}/"),
    Column("n", "行数", kind="number", sort=True),
    Column("ok", "可用"),
    Column("gone", "空"),
]


def table(query: str = "", rows: Any = None, **more: Any) -> Table:
    request = RequestFactory().get(f"/list/{query}")
    more.setdefault("columns", COLUMNS)
    return Table(request, ROWS if rows is None else rows, **more)


def text(answer: Any) -> str:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return body.decode("utf-8-sig")


def test_pages() -> None:
    first = table(page_size=20)
    assert (first.total, first.pages, first.first, first.last) == (45, 3, 1, 20)
    assert first.previous_url == ""
    assert first.next_url == "/list/?page=2"
    last = table("?page=3", page_size=20)
    assert len(last.page_rows) == 5
    assert last.next_url == ""


@pytest.mark.parametrize("page", ["0", "-1", "x", "99999999999", "4", "１"])
def test_strange_pages_are_pages(page: str) -> None:
    assert table(f"?page={page}").page_rows


def test_order_by_a_known_column_only() -> None:
    assert table("?sort=-n").page_rows[0].n == 45000
    assert table("?sort=ok").page_rows[0].n == 1000
    assert table("?sort=__class__").page_rows[0].n == 1000


def test_filters_narrow_and_survive_paging() -> None:
    found = table("?q=目录1&page=1", filters=[Filter("q", "关键词", lookup="title")], page_size=4)
    assert found.total == 10
    assert found.is_filtered
    assert "q=" in found.next_url
    chosen = Filter(
        "ok", "可用", "select", [("1", "是")], apply=lambda r, v: [x for x in r if x.ok]
    )
    assert table("?ok=1", filters=[chosen]).total == 22
    assert table("?ok=7", filters=[chosen]).total == 45, "a value that is not offered is ignored"


def test_cells_are_escaped_and_linked() -> None:
    rows = [SimpleNamespace(pk=1, title="<script>", n=None, ok=True, gone="")]
    cells = table(rows=rows).lines()[0]["cells"]
    assert cells[0]["html"] == '<a href="/x/1/">&lt;script&gt;</a>'
    assert "—" in cells[1]["html"]
    assert cells[2]["html"] == "是"


def test_csv_holds_all_filtered_rows_and_no_formula() -> None:
    rows = [SimpleNamespace(pk=1, title="=HYPERLINK(1)", n=5, ok=True, gone=None)]
    made = table(rows=rows, export_name="目录")
    lines = list(csv.reader(io.StringIO(text(made.as_csv()))))
    assert lines == [["名称", "行数", "可用", "空"], ["'=HYPERLINK(1)", "5", "是", ""]]
    assert len(text(table(page_size=5, export_name="目录").as_csv()).splitlines()) == 46


def test_excel_keeps_texts_as_texts() -> None:
    rows = [SimpleNamespace(pk=1, title="=1+1", n=5, ok=False, gone="007")]
    book = load_workbook(io.BytesIO(table(rows=rows, export_name="目录").as_xlsx().content))
    line = next(iter(book.active.iter_rows(min_row=2)))  # type: ignore[union-attr]
    assert [c.value for c in line] == ["=1+1", 5, "否", "007"]
    assert line[0].data_type == "s"


def test_a_request_for_the_file_gets_the_file_and_htmx_the_part() -> None:
    request = RequestFactory().get("/list/?export=csv-t")
    made = Table(request, ROWS, COLUMNS, export_name="目录")
    assert made.respond(request, "none.html")["Content-Type"].startswith("text/csv")
    request = RequestFactory().get("/list/?page=2", headers={"HX-Target": "table-t"})
    part = Table(request, ROWS, COLUMNS).respond(request, "none.html")
    assert isinstance(part, HttpResponse)
    body = part.content.decode()
    assert body.lstrip().startswith('<div id="table-t"')
    assert "目录21" in body
    assert "<html" not in body


def test_nothing_found_and_nothing_there_read_differently() -> None:
    filters = [Filter("q", "关键词", lookup="title")]
    request = RequestFactory().get("/list/?q=没有", headers={"HX-Target": "table-t"})
    found = Table(request, ROWS, COLUMNS, filters=filters).respond(request, "none.html")
    assert "清除筛选" in found.content.decode()
    request = RequestFactory().get("/list/", headers={"HX-Target": "table-t"})
    found = Table(request, [], COLUMNS, filters=filters).respond(request, "none.html")
    assert "还没有内容" in found.content.decode()


def test_two_tables_on_a_page_keep_apart() -> None:
    made = table("?page=2&other-page=3", name="other", page_size=10)
    assert made.page == 3
    assert made.next_url == "/list/?page=2&other-page=4"


def test_querysets_filter_and_sort_in_the_database(db: None) -> None:
    for i in range(3):
        Party.objects.create(kind="department", slug=f"d{i}", name=f"部门{i}")
    rows = Party.objects.filter(slug__startswith="d", name__startswith="部门")
    made = table(
        "?sort=-name&q=部门",
        rows=rows,
        columns=[Column("name", "名称", sort=True)],
        filters=[Filter("q", "词", lookup="name__icontains|slug__icontains")],
    )
    assert [p.name for p in made.page_rows] == ["部门2", "部门1", "部门0"]


def test_keyset_pages_walk_there_and_back(db: None) -> None:
    for i in range(7):
        Event.objects.create(kind="a.b", subject="keyset:x", by="system:x", data={"i": i})
    rows = Event.objects.filter(subject="keyset:x")

    def at(url: str) -> Table:
        return table(
            url.removeprefix("/list/"),
            rows=rows,
            columns=[Column("data.i", "号")],
            keyset="-id",
            page_size=3,
        )

    first = at("")
    assert [e.data["i"] for e in first.page_rows] == [6, 5, 4]
    assert first.previous_url == ""
    second = at(first.next_url)
    assert [e.data["i"] for e in second.page_rows] == [3, 2, 1]
    third = at(second.next_url)
    assert [e.data["i"] for e in third.page_rows] == [0]
    assert third.next_url == ""
    back = at(third.previous_url)
    assert [e.data["i"] for e in back.page_rows] == [3, 2, 1]
    assert at("?after=abc").page_rows == first.page_rows


def test_page_numbers_around_the_current_one() -> None:
    assert around(1, 1) == [1]
    assert around(5, 10) == [1, 2, None, 4, 5, 6, None, 9, 10]
    assert around(2, 4) == [1, 2, 3, 4]
