"""Table: the one way to draw a list: columns, filters, sort, pages, export, empty state."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, urlencode

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from lianyun.kernel.access import UserError

EXPORT_LIMIT = 200_000
"""Rows: more than this is a job for a data service, not for a page."""

Cell = Callable[[Any], Any]


def around(page: int, last: int) -> list[int | None]:
    """The page numbers a reader of page `page` of `last` is offered; None is a gap."""
    shown = sorted({1, 2, last - 1, last, page - 1, page, page + 1} & set(range(1, last + 1)))
    out: list[int | None] = []
    for number in shown:
        if out and number - (out[-1] or number) > 1:
            out.append(None)
        out.append(number)
    return out


@dataclass(frozen=True)
class Column:
    """One column: `name` is an attribute path (`owner.short`) unless `cell` computes the value.

    `kind`: text, number, date, stamp, badge, state, code, lamp, actions. `sort` is an order_by name
    (or for plain lists any truthy value). `link` gives a row's address. `wide` columns give way on
    phones with `phone=False`. `export` overrides what goes into files (False: nothing).
    """

    name: str
    title: str
    kind: str = "text"
    cell: Cell | None = None
    link: Cell | None = None
    sort: str | bool = False
    primary: bool = False
    phone: bool = True
    sub: Cell | None = None
    tone: Cell | None = None
    export: Cell | bool = True


@dataclass(frozen=True)
class Filter:
    """One filter: kind search | select | date; `apply(rows, value)` narrows the rows.

    Without `apply`, `lookup` names the field(s) of a QuerySet (`title__icontains`, several by `|`).
    `choices` are (value, title) pairs or a function that gives them.
    """

    name: str
    title: str
    kind: str = "search"
    choices: Sequence[tuple[str, str]] | Callable[[], Sequence[tuple[str, str]]] = ()
    apply: Callable[[Any, str], Any] | None = None
    lookup: str = ""
    placeholder: str = ""

    def options(self) -> list[tuple[str, str]]:
        """The choices, evaluated."""
        made = self.choices() if callable(self.choices) else self.choices
        return [(str(value), title) for value, title in made]


@dataclass(frozen=True)
class Empty:
    """What an empty list says: what it means and what to do next."""

    title: str = "还没有内容"
    text: str = ""
    url: str = ""
    action: str = ""
    icon: str = "inbox"


@dataclass(frozen=True)
class Bulk:
    """An action on ticked rows: posts their `pick` values to `url`."""

    title: str
    url: str
    confirm: str = ""
    tone: str = ""


@dataclass
class Table:
    """A list of a QuerySet or a sequence; give it the request and it answers for itself.

    Use `table.respond(request, "x/list.html", context)` in a view: the whole page, or only the
    table for htmx, or the file for `?export=csv|xlsx`. `name` keeps several tables on one page apart.
    `keyset` names a unique, sortable field for lists too long to count (newest first: `-id`).
    """

    request: HttpRequest
    rows: Any
    columns: Sequence[Column]
    filters: Sequence[Filter] = ()
    name: str = "t"
    order: str = ""
    page_size: int = 20
    keyset: str = ""
    empty: Empty = field(default_factory=Empty)
    export_name: str = ""
    caption: str = ""
    bulk: Sequence[Bulk] = ()
    row_class: Cell | None = None
    pick: Cell = field(default=lambda row: row.pk)

    def __post_init__(self) -> None:
        self.values = {
            f.name: self.request.GET.get(self._key(f.name), "").strip() for f in self.filters
        }
        self.filtered = self._narrow(self.rows)
        self._prepare()

    # what a template reads -----------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id of the element that htmx replaces."""
        return f"table-{self.name}"

    @property
    def is_filtered(self) -> bool:
        """True when any filter is set."""
        return any(self.values.values())

    @property
    def reset_url(self) -> str:
        """The address without this table's filters."""
        return self._url({self._key(f.name): None for f in self.filters})

    def filter_fields(self) -> list[dict[str, Any]]:
        """The filters with their current values."""
        return [
            {
                "filter": f,
                "key": self._key(f.name),
                "id": f"{self.id}-{f.name}",
                "value": self.values[f.name],
                "options": f.options() if f.kind == "select" else [],
            }
            for f in self.filters
        ]

    def kept_params(self) -> list[tuple[str, str]]:
        """Other parameters of the address that a filter form must carry along."""
        mine = (
            {self._key(f.name) for f in self.filters}
            | {self._key(k) for k in ("page", "after", "before")}
            | {"export"}
        )
        return [(k, str(v)) for k, v in self.request.GET.items() if k not in mine]

    def heads(self) -> list[dict[str, Any]]:
        """Column heads with their sort links."""
        heads = []
        for column in self.columns:
            head: dict[str, Any] = {
                "column": column,
                "url": "",
                "sorted": "",
                "class": _css(column),
            }
            if column.sort and not self.keyset:
                down = self.current_order == f"-{column.name}"
                up = self.current_order == column.name
                head["sorted"] = "descending" if down else "ascending" if up else ""
                head["icon"] = "sort-down" if down else "sort-up" if up else "sort"
                wanted = f"-{column.name}" if up else column.name
                head["url"] = self._url({self._key("sort"): wanted, self._key("page"): None})
            heads.append(head)
        return heads

    def lines(self) -> list[dict[str, Any]]:
        """The rows of this page, cell by cell."""
        lines = []
        for row in self.page_rows:
            cells = [
                {
                    "title": column.title,
                    "class": _css(column),
                    "html": self._html(column, row),
                    "sub": column.sub(row) if column.sub else "",
                }
                for column in self.columns
            ]
            lines.append(
                {
                    "cells": cells,
                    "class": self.row_class(row) if self.row_class else "",
                    "pick": self.pick(row) if self.bulk else "",
                }
            )
        return lines

    def export_urls(self) -> list[tuple[str, str]]:
        """(format, address) of the exports."""
        if not self.export_name:
            return []
        return [
            ("Excel", self._url({"export": f"xlsx-{self.name}"})),
            ("CSV", self._url({"export": f"csv-{self.name}"})),
        ]

    def page_links(self) -> list[dict[str, Any]]:
        """Numbered pages around the current one, with gaps."""
        return [
            {"gap": True}
            if number is None
            else {
                "number": number,
                "url": self._url({self._key("page"): number}),
                "current": number == self.page,
            }
            for number in around(self.page, self.pages)
        ]

    @property
    def previous_url(self) -> str:
        """The address of the page before, or empty."""
        if self.keyset:
            if not self.has_previous:
                return ""
            return self._url(
                {self._key("before"): self._cursor(self.page_rows[0]), self._key("after"): None}
            )
        return self._url({self._key("page"): self.page - 1}) if self.page > 1 else ""

    @property
    def next_url(self) -> str:
        """The address of the page after, or empty."""
        if self.keyset:
            if not self.has_next:
                return ""
            return self._url(
                {self._key("after"): self._cursor(self.page_rows[-1]), self._key("before"): None}
            )
        return self._url({self._key("page"): self.page + 1}) if self.page < self.pages else ""

    # answers --------------------------------------------------------------------------------

    def respond(
        self, request: HttpRequest, template: str, context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page, the table alone (htmx), or the exported file."""
        wanted = request.GET.get("export", "")
        if wanted and self.export_name and wanted.endswith(f"-{self.name}"):
            if wanted.startswith("xlsx"):
                return self.as_xlsx()
            # Views answer with HttpResponse; a stream is one in all but its class.
            return cast("HttpResponse", self.as_csv())
        if request.headers.get("HX-Target") == self.id:
            return render(request, "ui/_table.html", {"table": self})
        return render(request, template, {"table": self, **(context or {})})

    def as_csv(self) -> StreamingHttpResponse:
        """All filtered rows as CSV (UTF-8 with BOM, which Excel and WPS open rightly)."""

        def lines() -> Iterator[str]:
            yield "\ufeff"
            for values in self._export():
                buffer = io.StringIO()
                csv.writer(buffer).writerow([_harmless(v) for v in values])
                yield buffer.getvalue()

        answer = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = self._attachment("csv")
        return answer

    def as_xlsx(self) -> HttpResponse:
        """All filtered rows as an Excel file; texts stay texts, so long numbers keep their zeros."""
        book = Workbook(write_only=True)
        sheet = book.create_sheet(self.export_name[:31] or "导出")
        for values in self._export():
            line = []
            for value in values:
                plain = value if isinstance(value, int | float | dt.date) else str(value)
                cell = WriteOnlyCell(sheet, value=plain)
                if isinstance(plain, str):
                    cell.data_type = "s"
                line.append(cell)
            sheet.append(line)
        out = io.BytesIO()
        book.save(out)
        answer = HttpResponse(
            out.getvalue(),
            content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        )
        answer["Content-Disposition"] = self._attachment("xlsx")
        return answer

    # inside -----------------------------------------------------------------------------------

    def _key(self, name: str) -> str:
        return name if self.name == "t" else f"{self.name}-{name}"

    def _url(self, changes: dict[str, Any]) -> str:
        params = {k: v for k, v in self.request.GET.items() if k != "export"}
        for key, value in changes.items():
            params.pop(key, None)
            if value not in (None, ""):
                params[key] = str(value)
        return f"{self.request.path}?{urlencode(params)}" if params else self.request.path

    def _narrow(self, rows: Any) -> Any:
        for f in self.filters:
            value = self.values[f.name]
            if not value:
                continue
            if f.kind == "select" and value not in {v for v, _ in f.options()}:
                continue
            if f.kind == "date":
                try:
                    dt.date.fromisoformat(value)
                except ValueError:
                    continue
            if f.apply is not None:
                rows = f.apply(rows, value)
            elif f.lookup and isinstance(rows, QuerySet):
                wanted = Q()
                for lookup in f.lookup.split("|"):
                    wanted |= Q(**{lookup: value})
                rows = rows.filter(wanted)
            elif f.lookup:
                rows = [r for r in rows if value in str(reach(r, f.lookup) or "")]
        return rows

    def _prepare(self) -> None:
        wanted = self.request.GET.get(self._key("sort"), "") or self.order
        column = next((c for c in self.columns if c.sort and c.name == wanted.lstrip("-")), None)
        self.current_order = wanted if column else ""
        rows = self.filtered
        if column and not self.keyset:
            rows = self._sorted(rows, column, wanted.startswith("-"))
        self.ordered = rows
        self.total: int | None = None
        self.page, self.pages, self.has_previous, self.has_next = 1, 1, False, False
        if self.keyset:
            self._keyset_page()
            return
        self.total = rows.count() if isinstance(rows, QuerySet) else len(rows)
        self.pages = max(1, -(-self.total // self.page_size))
        asked = self.request.GET.get(self._key("page"), "1")
        self.page = (
            min(max(int(asked), 1), self.pages) if asked.isdecimal() and len(asked) < 9 else 1
        )
        start = (self.page - 1) * self.page_size
        self.first = start + 1 if self.total else 0
        self.page_rows = list(rows[start : start + self.page_size])
        self.last = start + len(self.page_rows)

    def _sorted(self, rows: Any, column: Column, down: bool) -> Any:
        sign = "-" if down else ""
        if isinstance(rows, QuerySet):
            name = column.sort if isinstance(column.sort, str) else column.name.replace(".", "__")
            return rows.order_by(f"{sign}{name}", f"{sign}pk")

        def key(row: Any) -> tuple[bool, Any]:
            value = reach(row, column.name)
            return (value is None, value if value is not None else "")

        return sorted(rows, key=key, reverse=down)

    def _cursor(self, row: Any) -> str:
        return str(reach(row, self.keyset.lstrip("-").replace("__", ".")))

    def _keyset_page(self) -> None:
        name, down = self.keyset.lstrip("-"), self.keyset.startswith("-")
        after = self.request.GET.get(self._key("after"), "")
        before = self.request.GET.get(self._key("before"), "")
        rows = self.filtered.order_by(self.keyset)
        try:
            if after:
                rows = rows.filter(**{f"{name}__{'lt' if down else 'gt'}": after})
            elif before:
                rows = self.filtered.order_by(name if down else f"-{name}").filter(
                    **{f"{name}__{'gt' if down else 'lt'}": before}
                )
            found = list(rows[: self.page_size + 1])
        except (ValueError, TypeError):
            after = before = ""
            found = list(self.filtered.order_by(self.keyset)[: self.page_size + 1])
        more = len(found) > self.page_size
        found = found[: self.page_size]
        if before:
            found.reverse()
        self.has_next = bool(before) or more
        self.has_previous = bool(after) or (bool(before) and more)
        self.page_rows = found

    def _html(self, column: Column, row: Any) -> Any:
        value = column.cell(row) if column.cell else reach(row, column.name)
        html = shown(column, value, row)
        if column.link:
            url = column.link(row)
            if url:
                return format_html('<a href="{}">{}</a>', url, html)
        return html

    def _export(self) -> Iterator[list[Any]]:
        columns = [c for c in self.columns if c.export is not False and c.kind != "actions"]
        yield [c.title for c in columns]
        rows: Any = self.ordered
        if isinstance(rows, QuerySet):
            rows = rows[: EXPORT_LIMIT + 1].iterator(chunk_size=2000)
        for number, row in enumerate(rows):
            if number >= EXPORT_LIMIT:
                raise UserError(f"一次最多导出 {EXPORT_LIMIT:,} 行，请先筛选")
            yield [_plain(c, row) for c in columns]

    def _attachment(self, ending: str) -> str:
        name = f"{self.export_name}-{timezone.localdate():%Y%m%d}.{ending}"
        return f"attachment; filename=\"export.{ending}\"; filename*=UTF-8''{quote(name)}"


def reach(row: Any, path: str) -> Any:
    """The value at a dotted path of attributes or keys; None where it breaks off."""
    value = row
    for part in path.split("."):
        if value is None:
            return None
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    return value


def shown(column: Column, value: Any, row: Any = None) -> Any:
    """A value as a page shows it, by the column's kind."""
    from .templatetags import ui as tags

    if isinstance(value, SafeString):
        return value
    if column.kind == "lamp":
        return tags.lamp(value)
    if value is None or value == "":
        return format_html('<span class="muted">{}</span>', "—")
    if column.kind == "number":
        return tags.count(value)
    if column.kind == "date":
        local = (
            timezone.localtime(value)
            if isinstance(value, dt.datetime) and timezone.is_aware(value)
            else value
        )
        return f"{local:%Y-%m-%d}"
    if column.kind == "stamp":
        return tags.stamp(value)
    if column.kind == "state":
        return tags.state(value)
    if column.kind == "badge":
        return tags.badge(value, column.tone(row) if column.tone else "grey")
    if isinstance(value, bool):
        return "是" if value else "否"
    return value


def _css(column: Column) -> str:
    names = {
        "number": "num",
        "date": "date",
        "stamp": "date",
        "badge": "badge-cell",
        "state": "badge-cell",
        "code": "code",
        "lamp": "lamp-cell",
        "actions": "actions nowrap",
    }
    words = [names.get(column.kind, "")]
    words += ["primary"] * column.primary + ["none"] * (not column.phone)
    return " ".join(w for w in words if w)


def _plain(column: Column, row: Any) -> Any:
    from .templatetags import ui as tags

    if callable(column.export):
        value = column.export(row)
    elif column.cell and column.kind not in ("lamp",):
        value = column.cell(row)
    else:
        value = reach(row, column.name)
    if isinstance(value, SafeString):
        value = reach(row, column.name)
    if column.kind == "state":
        return tags.STATES.get(str(value), (str(value or ""),))[0]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, dt.datetime):
        local = timezone.localtime(value) if timezone.is_aware(value) else value
        return f"{local:%Y-%m-%d %H:%M:%S}"
    return value if isinstance(value, int | float | dt.date) else str(value)


def _harmless(value: Any) -> Any:
    """A cell that a spreadsheet will not run as a formula (CSV injection)."""
    if isinstance(value, str) and value[:1] in "=+-@\t\r" and value[:1]:
        return f"'{value}"
    return value
