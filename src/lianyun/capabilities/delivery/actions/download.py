"""Downloading: a file made of what a grant allows, recorded, there for some days, then gone."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from django.utils import timezone
from procrastinate.contrib.django import app

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.services import api as services
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Grant
from lianyun.lake.portion import Given
from lianyun.lake.shelves import LakeError, quote

from .. import adapters, queries, rules
from ..models import Download
from ..rules import Receipt, ReceiverError, Stopped
from .parcels import RUN, still_of


@action("delivery.use")
def ask_file(*, grant: Grant, form: str, by: Actor) -> Download:
    """Ask for a file of a grant's rows as they stand now; a worker makes it.

    Raises UserError where the grant does not allow files, or one is being made already.
    """
    by.require("delivery.use", grant.grantee)
    if form not in rules.DOWNLOADS:
        raise UserError("文件格式应为 CSV、XLSX 或 Parquet")
    if not grant.in_force() or not queries.allows(grant, "file"):
        raise UserError("该授权不允许文件下载，或已暂停、到期")
    Grant.objects.select_for_update().get(pk=grant.pk)
    waiting = Download.objects.filter(grant=grant, format=form, finished_at=None)
    if waiting.exists():
        raise UserError("同样的文件正在生成，请稍候")
    row = Download.objects.create(
        code=f"WJ-{timezone.localdate():%Y%m%d}-{secrets.token_hex(12)}",
        grant=grant,
        format=form,
        asked_by=by.party,
        message="排队等待",
    )
    record(
        "download.asked", row, by=by, case=grant.case_id, data={"grant": grant.code, "format": form}
    )
    app.configure_task(RUN, queue="jobs").defer(
        path="lianyun.capabilities.delivery.jobs.make_file", arguments={"code": row.code}
    )
    return row


def make_file(*, code: str, by: Actor) -> Download:
    """Make a file that was asked for; a failure is told by its row. Safe to repeat."""
    by.require("delivery.supervise")
    row = Download.objects.select_related(
        "grant__resource__owner", "grant__grantee", "grant__case"
    ).get(code=code)
    if row.finished_at is not None:
        return row
    path = queries.path_of(row)
    aside = path.with_name(f".{path.name}.part")
    try:
        _make(row, path, aside, by)
    except (Stopped, ReceiverError, LakeError, UserError) as error:
        _break_off(row=row, message=str(error), by=by)
    except Exception as error:
        full = getattr(error, "errno", None) == 28 or "No space left" in str(error)
        message = "平台磁盘空间不足，请联系平台运营" if full else str(error)[:300]
        _break_off(row=row, message=message, by=by)
    finally:
        aside.unlink(missing_ok=True)
    row.refresh_from_db()
    return row


def _make(row: Download, path: Path, aside: Path, by: Actor) -> None:
    grant = row.grant
    if not grant.in_force() or not queries.allows(grant, "file"):
        raise UserError("授权已暂停、撤销或到期")
    resource = grant.resource
    assert resource is not None
    still = still_of(grant)
    tell = Download.objects.filter(pk=row.pk).update
    tell(progress=0.05, message="读取数据")
    told = queries.portion_of(SYSTEM, grant, "")
    titles = queries.titles_of(SYSTEM, resource)
    with adapters.taking(told) as taken:
        assert taken is not None
        # an opaque key is for those who take changes; a file has none
        columns = [c for c in taken.columns if c.name in told.fields]
        names = [titles.get(c.name, c.name) for c in columns]
        if len(set(names)) < len(names):
            names = [c.name for c in columns]
        heads = names if row.format != "parquet" else [c.name for c in columns]
        csv = row.format == "csv"
        listed = ", ".join(
            f"{_plain(c) if csv else quote(c.name)} AS {quote(n)}"
            for c, n in zip(columns, heads, strict=True)
        )
        sql = f"SELECT {listed} FROM ({taken.rows})"
        if csv:
            done = adapters.write_csv(taken, sql, aside, still)
        elif row.format == "parquet":
            done = adapters.write_parquet(taken, sql, aside, still)
        else:
            if taken.upserts > rules.XLSX_ROWS:
                raise UserError(
                    f"共 {taken.upserts:,} 行，超过一张工作表的 {rules.XLSX_ROWS:,} 行，"
                    "请选择 CSV 或 Parquet"
                )
            total = max(taken.upserts, 1)
            done = adapters.write_xlsx(
                taken, sql, aside, names, still, lambda n: _tell(row, 0.05 + 0.85 * n / total)
            )
        tell(progress=0.92, message="登记交换记录")
        asked = {"download": row.code, "format": row.format, "upto": taken.upto}
        audit.record_exchange(
            channel="file",
            grant_code=grant.code,
            resource=resource.name,
            operation="file",
            version=0,
            by=Actor(party=grant.grantee, department=grant.grantee),
            people=taken.persons(),
            purpose=str(grant.terms.get("purpose") or ""),
            case_code=grant.case.code if grant.case else "",
            request=json.dumps(asked).encode(),
            response_digest=bytes.fromhex(done.digest),
            rows=taken.upserts,
            micros=0,
            outcome="ok" if taken.upserts else "empty",
        )
        aside.replace(path)
        _finish(row=row, position=taken.upto, rows=taken.upserts, done=done, by=by)


def _plain(column: Given) -> str:
    """SQL of a value that no spreadsheet takes for a formula: these files are opened with one."""
    name = quote(column.name)
    if column.kind != "VARCHAR":
        return name
    return (
        f"CASE WHEN left({name}, 1) IN ('=', '+', '-', '@') THEN chr(39) || {name} ELSE {name} END"
    )


def _tell(row: Download, progress: float) -> None:
    Download.objects.filter(pk=row.pk).update(progress=progress, message="写入文件")


@action(None)
def _finish(*, row: Download, position: str, rows: int, done: Receipt, by: Actor) -> None:
    now = timezone.now()
    Download.objects.filter(pk=row.pk).update(
        position=position,
        rows=rows,
        size=done.size,
        digest=done.digest,
        progress=1,
        message="已生成",
        error="",
        finished_at=now,
        expires_at=now + dt.timedelta(days=rules.DAYS_KEPT),
    )
    record(
        "download.made",
        row,
        by=by,
        case=row.grant.case_id,
        data={"rows": rows, "sha256": done.digest, "position": position},
    )


@action(None)
def _break_off(*, row: Download, message: str, by: Actor) -> None:
    Download.objects.filter(pk=row.pk).update(
        error=message[:2000] or "失败", finished_at=timezone.now(), progress=0, message="没有生成"
    )
    record("download.failed", row, by=by, case=row.grant.case_id, data={"error": message[:300]})


@action("delivery.use")
def fetch_file(
    *, row: Download, by: Actor, headers: Iterable[tuple[bytes, bytes]] = (), peer: str = ""
) -> Path:
    """Hand a file to a browser at an address (`headers` and `peer` as they came); it is on record.

    Raises UserError where the file has expired, Denied where the grant asks for a proof that a
    browser does not have: a signature, a certificate, an address inside its networks.
    """
    by.require("delivery.use", row.grant.grantee)
    if problem := services.browser_problem(row.grant, headers=headers, peer=peer):
        raise Denied(problem)
    try:
        return _hand_out(row, by)
    except services.Refused as refused:
        raise UserError(refused.title) from refused


@action(None)
def collect_file(*, client: services.Client, code: str, by: Actor) -> tuple[Download, Path]:
    """Hand a file to the holder of a credential, who has proven all that the grant asks for.

    Raises Denied where the file is not of the credential's grant, UserError where it has expired,
    Refused above the grant's limits.
    """
    row = Download.objects.filter(code=code, grant=client.grant).first()
    if row is None:
        raise Denied("该凭证的授权下没有这个文件")
    return row, _hand_out(row, by, client.client_id)


def _hand_out(row: Download, by: Actor, client_id: str = "") -> Path:
    found = Download.objects.select_for_update(of=("self",)).select_related("grant").get(pk=row.pk)
    path = queries.path_of(found)
    if not found.grant.in_force() or not queries.allows(found.grant, "file"):
        raise UserError("授权已暂停、撤销或到期，文件不能再下载")
    if not found.there(timezone.now()) or not path.is_file():
        raise UserError(f"文件已过期（保留 {rules.DAYS_KEPT} 天），请重新生成")
    services.use_call(found.grant)
    found.fetched += 1
    found.save(update_fields=["fetched"])
    told = {"sha256": found.digest, **({"client": client_id} if client_id else {})}
    record("download.fetched", found, by=by, case=found.grant.case_id, data=told)
    return path


def sweep_files(*, by: Actor) -> int:
    """Remove files whose time or right is over, and those whose making was cut off; returns how many."""
    by.require("delivery.supervise")
    gone = 0
    for row in queries.stale_downloads(timezone.now()):
        path = queries.path_of(row)
        if path.exists():
            path.unlink()
            gone += 1
    limit = timezone.now().timestamp() - 86_400
    for part in adapters.downloads().glob(".*.part"):
        with contextlib.suppress(OSError):
            if part.stat().st_mtime < limit:
                part.unlink()
                gone += 1
    return gone
