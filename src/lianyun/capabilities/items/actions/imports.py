"""Import actions: a workbook of items is read, checked and taken, each item whole or not at all."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from procrastinate.contrib.django import app

from lianyun.kernel.access import UserError, actor_of
from lianyun.kernel.action import action
from lianyun.kernel.event import record, record_many
from lianyun.kernel.models import Case, Party

from .. import queries
from ..adapters import Sheets, Unreadable, read_workbook
from ..models import ItemImport, Listing
from ..queries.around import CODE_LISTS, around, names_of
from ..rules import sheets
from ..rules.checks import ERROR, check
from ..rules.content import EMPTY, spelled
from ..rules.item import BadItem, Item, read
from . import store

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

Tell = Callable[[float, str], None]
RUN = "lianyun.capabilities.items.jobs.run_import"
ISSUES = 2000
"""So many issues are kept of one file; more are counted."""


@dataclass
class ImportReport:
    """What an import took and refused: items = created + updated + unchanged + rejected."""

    items: int = 0
    materials: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    published: bool = False
    seconds: float = 0.0
    issues: list[dict[str, Any]] = field(default_factory=list)
    issue_count: int = 0

    def note(
        self, sheet: str, row: int, name: str, column: str, problem: str, severity: str = ERROR
    ) -> None:
        """Keep one issue."""
        self.issue_count += 1
        if len(self.issues) < ISSUES:
            self.issues.append(
                {
                    "sheet": sheet,
                    "row": row,
                    "name": name,
                    "column": column,
                    "problem": problem,
                    "severity": severity,
                }
            )


def _silent(fraction: float, message: str) -> None:
    pass


def _names(parties: dict[str, Party]) -> sheets.Names:
    return sheets.Names(
        {name: names_of(name) for name in CODE_LISTS},
        {slug: (p.code or "", p.name) for slug, p in parties.items()},
    )


def _grouped(
    rows: list[tuple[int, dict[str, str]]] | None,
) -> dict[str, list[tuple[int, dict[str, str]]]] | None:
    if rows is None:
        return None
    out: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for at, row in rows:
        out.setdefault(row.get("标识", "").strip(), []).append((at, row))
    return out


@dataclass
class _Plan:
    ready: list[store.Ready] = field(default_factory=list)
    new: set[str] = field(default_factory=set)


def _plan(read_in: Sheets, *, publish: bool, by: Actor, report: ImportReport) -> _Plan:
    parties = queries.departments(by)
    lean, known, names = around(parties), queries.known(by, parties), _names(parties)
    scope = by.departments("items.edit")
    materials, situations = _grouped(read_in.materials), _grouped(read_in.situations)
    stands = {
        row.code: row
        for row in Listing.objects.select_related("case", "department").filter(
            code__in=[row.get("标识", "").strip() for _, row in read_in.items]
        )
    }
    plan, seen = _Plan(), set()
    for at, row in read_in.items:
        found = sheets.item_content(row, names, at)
        content = found.content
        code, name = str(content.get("code") or ""), str(content.get("name") or "")
        problems = [(sheets.ITEMS, at, c, m) for c, m in found.problems]
        if not code:
            problems.append((sheets.ITEMS, at, "标识", "没有填写"))
        elif code in seen:
            problems.append((sheets.ITEMS, at, "标识", f"标识 {code} 在文件中重复"))
        seen.add(code)
        old = stands.get(code)
        party = parties.get(str(content["department"]))
        if party is not None and scope is not None and party.pk not in scope:
            problems.append((sheets.ITEMS, at, "实施主体代码", "您只能导入本部门的事项"))
        if old is not None and party is not None and old.department_id != party.pk:
            problems.append(
                (sheets.ITEMS, at, "实施主体代码", f"标识 {code} 属于{old.department.name}")
            )
        if old is not None and old.case is not None and old.case.state != Case.CLOSED:
            problems.append((sheets.ITEMS, at, "标识", "这个事项正在审核中，不能导入"))
        if materials is not None:
            content["materials"] = []
            for number, (line, one) in enumerate(materials.get(code, ()), 1):
                try:
                    content["materials"].append(sheets.material_content(one, names, number))
                except ValueError as error:
                    problems.append((sheets.MATERIALS, line, "免交依据", str(error)))
        if situations is not None:
            content["situations"] = sheets.situations_content(
                [one for _, one in situations.get(code, ())]
            )
        report.materials += len(content.get("materials") or ())
        before = (old.draft or old.content or {}) if old is not None else EMPTY
        item = None
        if not problems:
            try:
                whole = spelled({**before, **content}, lean)
                item = read(whole, lean)
            except (BadItem, ValueError, TypeError) as error:
                problems.append((sheets.ITEMS, at, "", str(error)))
        if item is not None:
            for finding in check(item, known):
                if publish and finding.severity == ERROR:
                    problems.append((sheets.ITEMS, at, finding.field, finding.message))
                else:
                    report.note(sheets.ITEMS, at, name, finding.field, finding.message, "warning")
        for sheet, line, column, message in problems:
            report.note(sheet, line, name, column, message)
        if problems or item is None:
            report.rejected += 1
        elif old is not None and _same(old, item, publish=publish):
            report.unchanged += 1
        else:
            if old is None:
                plan.new.add(code)
            faults = 0 if publish else store.errors(item, known)
            plan.ready.append(store.Ready(item, whole, faults=faults))
    report.items = len(read_in.items)
    return plan


def _same(old: Listing, item: Item, *, publish: bool) -> bool:
    stands = old.content if publish or old.draft is None else old.draft
    if stands is None or (publish and old.draft is not None):
        return False
    lean = around({old.department.slug or "": old.department})
    before = read(stands, lean)
    closing, review = item.result.closing, item.review
    return replace(before, review=review, result=replace(before.result, closing=closing)) == item


@action("items.edit")
def _apply(
    *,
    content: bytes,
    file_name: str,
    publish: bool,
    by: Actor,
    tell: Tell,
    job: ItemImport | None,
) -> ImportReport:
    began = time.monotonic()
    if publish:
        by.require("items.review")
    tell(0.05, "正在读取文件")
    try:
        read_in = read_workbook(content)
    except Unreadable as error:
        raise UserError(str(error)) from error
    tell(0.2, f"读到 {len(read_in.items):,} 个事项，正在逐项检查")
    store.lock()
    report = ImportReport(published=publish)
    plan = _plan(read_in, publish=publish, by=by, report=report)
    tell(0.5, "正在写入")
    rows = store.put(
        plan.ready,
        publish=publish,
        by=by,
        parties=queries.departments(by),
        note=f"导入文件 {file_name}",
    )
    report.created = len(plan.new)
    report.updated = len(rows) - len(plan.new)
    record_many(
        "item.imported",
        [(row, {"version": row.version, "published": publish}) for row in rows],
        by=by,
    )
    report.seconds = round(time.monotonic() - began, 2)
    job = job or ItemImport(
        code=_code(), file_name=file_name[:255], by=by.party, department=by.department
    )
    job.publish, job.report, job.file = publish, vars(report), None
    job.finished_at, job.progress, job.message = timezone.now(), 1, ""
    job.save()
    counts = ("items", "created", "updated", "unchanged", "rejected")
    record(
        "items.imported",
        job,
        by=by,
        data={"file": file_name, **{k: getattr(report, k) for k in counts}},
    )
    return report


def import_items(
    *, content: bytes, file_name: str, publish: bool = False, by: Actor, tell: Tell = _silent
) -> ImportReport:
    """Import a workbook of items at once: drafts, or (with `items.review`) published at once.

    All or nothing for each item; running the same file again changes nothing. Raises UserError
    where the file cannot be read, Denied without `items.edit`.
    """
    return _apply(content=content, file_name=file_name, publish=publish, by=by, tell=tell, job=None)


def _code() -> str:
    return f"s{timezone.localtime():%Y%m%d%H%M%S}{secrets.token_hex(2)}"


@action("items.edit")
def start_import(*, content: bytes, file_name: str, publish: bool, by: Actor) -> ItemImport:
    """Take a file in and let the worker import it; its progress stands in the returned row."""
    if publish:
        by.require("items.review")
    job = ItemImport.objects.create(
        code=_code(),
        file_name=file_name[:255],
        file=content,
        publish=publish,
        by=by.party,
        department=by.department,
        message="等待处理",
    )
    record("items.import_started", job, by=by, data={"file": file_name, "bytes": len(content)})
    app.configure_task("lianyun.run", queue="jobs").defer(path=RUN, arguments={"code": job.code})
    return job


def perform_import(code: str) -> ImportReport | None:
    """Do a started import as the person who started it; a finished one is left alone."""
    job = ItemImport.objects.select_related("by", "department").get(code=code)
    if job.finished_at is not None or job.file is None or job.by is None:
        return None
    by = actor_of(job.by, job.department)

    def tell(fraction: float, message: str) -> None:
        ItemImport.objects.filter(pk=job.pk).update(progress=fraction, message=message)

    try:
        return _apply(
            content=bytes(job.file),
            file_name=job.file_name,
            publish=job.publish,
            by=by,
            tell=tell,
            job=job,
        )
    except UserError as mistake:
        ItemImport.objects.filter(pk=job.pk).update(
            failed=True, message=str(mistake)[:500], finished_at=timezone.now(), file=None
        )
        return None
