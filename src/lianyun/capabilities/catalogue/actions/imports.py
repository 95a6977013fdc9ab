"""Import actions: a catalogue file is read, judged and taken, each resource whole or not at all."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from procrastinate.contrib.django import app

from lianyun.kernel.access import UserError, actor_of
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Party, Resource

from ..adapters import Unreadable, read_file
from ..models import Entry, Import
from ..queries import contents, world
from ..rules.entries import ERROR
from ..rules.sheets import Issue, Line, Parsed, judge
from . import store

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

Tell = Callable[[float, str], None]
RUN = "lianyun.capabilities.catalogue.jobs.run_import"


@dataclass
class ImportReport:
    """What an import took and refused; resources = created + updated + unchanged + rejected."""

    resources: int = 0
    items: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    seconds: float = 0.0
    issues: list[Issue] = field(default_factory=list)
    code: str = ""

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON."""
        out = {k: v for k, v in vars(self).items() if k != "issues"}
        return {**out, "issues": [i.plain for i in self.issues]}


@dataclass
class Plan:
    """A file read and judged, not yet written."""

    parsed: Parsed
    file_name: str
    digest: str
    began: float


def _code() -> str:
    return f"i{timezone.localtime():%Y%m%d%H%M%S}{secrets.token_hex(2)}"


def _silent(fraction: float, message: str) -> None:
    pass


def plan_import(*, content: bytes, file_name: str, by: Actor, tell: Tell = _silent) -> Plan:
    """Read and judge a file; nothing is written. Raises UserError where it cannot be read at all."""
    began = time.monotonic()
    tell(0.05, "正在读取文件")
    around = world(by)
    try:
        parsed = read_file(content, file_name, around)
    except Unreadable as error:
        raise UserError(str(error)) from error
    tell(0.3, f"读到 {len(parsed.lines):,} 个资源，正在逐条检查")
    # A related resource may stand in the same file.
    for line in parsed.lines:
        if isinstance(line.content["level"], int):
            around.levels.setdefault(line.content["code"], line.content["level"])  # type: ignore[attr-defined]
    parsed.issues.extend(judge(parsed.lines, around))
    _names(parsed)
    return Plan(parsed, file_name, hashlib.sha256(content).hexdigest(), began)


def _names(parsed: Parsed) -> None:
    taken = dict(Resource.objects.values_list("name", "code"))
    for line in parsed.lines:
        name, code = line.content["name"], line.content["code"]
        if name and taken.setdefault(name, code) != code:
            line.bad = True
            parsed.issues.append(
                Issue(
                    line.sheet,
                    line.row,
                    "标识",
                    code,
                    f"标识“{name}”已被资源 {taken[name]} 使用",
                    "请另取一个，或留空由系统生成",
                )
            )


def _refuse(line: Line, issues: list[Issue], column: str, problem: str, advice: str) -> None:
    line.bad = True
    issues.append(Issue(line.sheet, line.row, column, line.content["code"], problem, advice))


def _forbidden(plan: Plan, by: Actor) -> None:
    scope = by.departments("catalogue.edit")
    if scope is None:
        return
    mine = set(Party.objects.filter(pk__in=scope).values_list("slug", flat=True))
    for line in plan.parsed.lines:
        if not line.bad and line.content["provider"] not in mine:
            _refuse(
                line,
                plan.parsed.issues,
                "提供方代码",
                "您只能导入本部门的目录",
                "请删去这一行，或交由该部门、目录管理员导入",
            )


@dataclass
class _Sorted:
    """The good entries of a file by what is to be done with them."""

    publish: list[dict[str, Any]] = field(default_factory=list)
    draft: list[dict[str, Any]] = field(default_factory=list)
    revise: list[tuple[Entry, dict[str, Any]]] = field(default_factory=list)
    unchanged: int = 0
    new: set[str] = field(default_factory=set)


def _same(old: dict[str, Any], new: dict[str, Any]) -> bool:
    return {**old, "published_on": ""} == {**new, "published_on": ""}


def _sort(plan: Plan, by: Actor) -> _Sorted:
    out = _Sorted()
    good = [line for line in plan.parsed.lines if not line.bad]
    known = {
        r.code: r
        for r in Resource.objects.filter(code__in=[g.content["code"] for g in good]).select_related(
            "owner", "entry__category", "entry__case"
        )
    }
    catalogued = [r for r in known.values() if hasattr(r, "entry")]
    found = zip(catalogued, contents(by, catalogued), strict=True)
    before = {r.code: content for r, content in found}
    publisher = by.may("catalogue.import") and by.may("catalogue.review_publish")
    for line in good:
        new = line.content
        row = known.get(new["code"])
        stands = before.get(new["code"])
        if stands and _same(stands, {**new, "name": new["name"] or stands["name"]}) and line.judged:
            # It stands so already: a file that changes nothing is not refused.
            plan.parsed.issues = [i for i in plan.parsed.issues if i.code != new["code"]]
            out.unchanged += 1
            continue
        if line.judged:
            line.bad = True
            continue
        if row is None or row.code not in before:
            (out.publish if publisher and new["published_on"] else out.draft).append(new)
            out.new.add(new["code"])
            continue
        old, entry = before[new["code"]], row.entry
        new["name"] = new["name"] or old["name"]
        new["published_on"] = new["published_on"] or old["published_on"]
        if old["provider"] != new["provider"]:
            _refuse(
                line,
                plan.parsed.issues,
                "提供方代码",
                f"资源代码 {new['code']} 属于{row.owner.name}",
                "请改用其他顺序码；机构改革移交的资源由目录管理员办理",
            )
        elif entry.case is not None and entry.case.state != Case.CLOSED:
            _refuse(
                line,
                plan.parsed.issues,
                "资源代码",
                "这个资源正在审核中，不能导入",
                "待审核办结后再导入",
            )
        elif _same(old, new) and (
            row.state == Resource.PUBLISHED or not new["published_on"] or not publisher
        ):
            out.unchanged += 1
        elif publisher and new["published_on"]:
            out.publish.append(new)
        elif row.state == Resource.DRAFT:
            out.draft.append(new)
        elif entry.draft is not None and _same(entry.draft, new):
            out.unchanged += 1
        else:
            out.revise.append((entry, {**new, "published_on": ""}))
    return out


@action("catalogue.edit")
def apply_import(*, plan: Plan, by: Actor, job: Import | None = None) -> ImportReport:
    """Write the good entries of a plan; running the same file again changes nothing.

    Whoever may publish for the whole city has entries with a 发布日期 published at once; a department's
    own import gives drafts, and copies in work of what is already published.
    """
    store.lock()
    _forbidden(plan, by)
    todo = _sort(plan, by)
    note = f"导入文件 {plan.file_name}"[:300]
    rows = store.put(todo.publish, publish=True, by=by, note=note)
    rows += store.put(todo.draft, publish=False, by=by)
    for entry, content in todo.revise:
        entry.draft = content
        rows.append(entry.resource)
    Entry.objects.bulk_update([e for e, _ in todo.revise], ["draft"], batch_size=200)
    for row in rows:
        fresh = row.code in todo.new
        record(
            "resource.registered" if fresh else "resource.changed",
            row,
            by=by,
            data={"title": "导入目录" if fresh else "导入修订", "version": row.version},
        )
    lines = plan.parsed.lines
    report = ImportReport(
        resources=len(lines),
        items=sum(len(line.content["items"]) for line in lines if not line.bad),
        created=len(todo.new),
        updated=len(rows) - len(todo.new),
        unchanged=todo.unchanged,
        rejected=sum(line.bad for line in lines),
        issues=sorted(
            plan.parsed.issues, key=lambda i: (i.severity != ERROR, i.sheet != "资源", i.row)
        ),
        seconds=round(time.monotonic() - plan.began, 2),
    )
    job = job or Import(
        code=_code(), file_name=plan.file_name[:255], by=by.party, department=by.department
    )
    report.code = job.code
    job.report, job.finished_at, job.progress, job.content = report.plain, timezone.now(), 1, None
    job.message = ""
    job.save()
    record(
        "catalogue.imported",
        job,
        by=by,
        data={
            "file": plan.file_name,
            "sha256": plan.digest,
            **{
                k: getattr(report, k)
                for k in ("resources", "items", "created", "updated", "unchanged", "rejected")
            },
        },
    )
    return report


def import_catalogue(
    *, file: bytes | Path, file_name: str = "", by: Actor, tell: Tell = _silent
) -> ImportReport:
    """Import a catalogue file (.xlsx with the sheets 资源 and 信息项, or YAML) at once.

    All or nothing for each resource: good ones are taken, bad ones reported with sheet, row, column,
    problem and cure. Raises UserError where the file cannot be read, Denied without `catalogue.edit`.
    """
    by.require("catalogue.edit")
    content = file if isinstance(file, bytes) else file.read_bytes()
    name = file_name or (file.name if isinstance(file, Path) else "目录.xlsx")
    plan = plan_import(content=content, file_name=name, by=by, tell=tell)
    tell(0.6, "正在写入")
    return apply_import(plan=plan, by=by)


@action("catalogue.edit")
def start_import(*, content: bytes, file_name: str, by: Actor) -> Import:
    """Take a file in and let the worker import it; its progress stands in the returned row."""
    job = Import.objects.create(
        code=_code(),
        file_name=file_name[:255],
        content=content,
        by=by.party,
        department=by.department,
        message="等待处理",
    )
    record("catalogue.import_started", job, by=by, data={"file": file_name, "bytes": len(content)})
    app.configure_task("lianyun.run", queue="jobs").defer(path=RUN, arguments={"code": job.code})
    return job


def perform_import(code: str) -> ImportReport | None:
    """Do a started import as the person who started it; a finished one is left alone."""
    job = Import.objects.select_related("by", "department").get(code=code)
    if job.finished_at is not None or job.content is None or job.by is None:
        return None
    by = actor_of(job.by, job.department)

    def tell(fraction: float, message: str) -> None:
        Import.objects.filter(pk=job.pk).update(progress=fraction, message=message)

    try:
        plan = plan_import(content=bytes(job.content), file_name=job.file_name, by=by, tell=tell)
        tell(0.6, "正在写入")
        return apply_import(plan=plan, by=by, job=job)
    except UserError as mistake:
        Import.objects.filter(pk=job.pk).update(
            failed=True, message=str(mistake)[:500], finished_at=timezone.now(), content=None
        )
        return None
    except Exception as fault:
        Import.objects.filter(pk=job.pk).update(message=f"处理中断，将自动重试：{fault}"[:500])
        raise
