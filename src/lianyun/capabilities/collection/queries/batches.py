"""Batches: what was loaded, by whom, and which rows were refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Q, QuerySet

from lianyun.kernel.access import UserError
from lianyun.kernel.models import Batch, Event, Resource
from lianyun.lake import land
from lianyun.lake.shelves import quote, table_columns

from .. import adapters, rules
from ..models import Correction, Source

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


def batches(viewer: Actor, resource: Resource | None = None) -> QuerySet[Batch]:
    """Loads, the newest first, of one dataset or of all that the viewer may run or read."""
    rows = Batch.objects.select_related("resource__owner").order_by("-id")
    return rows.filter(resource=resource) if resource is not None else rows


def batch(code: str, viewer: Actor) -> Batch:
    """The batch with this number; raises UserError where there is none."""
    found = Batch.objects.select_related("resource__owner").filter(code=code).first()
    if found is None:
        raise UserError(f"没有批次“{code}”，请核对批次号")
    return found


def started_by(found: Batch, viewer: Actor) -> str:
    """Who began a batch, as the ledger has it."""
    event = Event.objects.filter(subject=found.ref, kind="batch.started").order_by("id").first()
    return event.by_name if event else ""


def source_title(found: Batch, viewer: Actor) -> str:
    """What a batch's source is called: the registered source, or the file."""
    kind, _, name = found.source_ref.partition(":")
    if kind == "source":
        row = Source.objects.filter(name=name).first()
        return row.title if row else name
    return {
        "file": f"文件 {name}",
        "upload": f"上传 {name}",
        "corrected": f"更正 {name}",
        "undo": f"撤回批次 {name}",
    }.get(kind, found.source_ref or "—")


def loads() -> Q:
    """Batches that brought rows: the successful ones that are no taking back."""
    return Q(state=Batch.SUCCEEDED) & ~Q(mode=rules.UNDO)


def runs_of(found: Source, viewer: Actor, last: int = 10) -> list[Batch]:
    """The last loads of a source."""
    return list(Batch.objects.filter(source_ref=found.ref).order_by("-id")[:last])


@dataclass(frozen=True)
class Rejected:
    """One refused row: its line, what arrived, and why it was refused."""

    batch: str
    line: int
    values: dict[str, str]
    text: str
    reasons: list[str]
    codes: list[str]
    corrected_by: str | None = None

    @property
    def pk(self) -> int:
        """Its line: unique within a batch."""
        return self.line

    @property
    def why(self) -> str:
        """All reasons in one line."""
        return "；".join(self.reasons)

    @property
    def raw(self) -> str:
        """The row as it arrived, in one line."""
        if self.text:
            return self.text
        return "，".join(f"{k}={v}" for k, v in self.values.items() if v not in (None, ""))


def rejected(
    found: Batch, viewer: Actor, offset: int = 0, limit: int = 1000, codes: Sequence[str] = ()
) -> list[Rejected]:
    """The refused rows of a batch as they arrived; with `codes` those that one of these refused.

    They are unmasked, so only those who may set them right read them; raises Denied.
    """
    viewer.require("collection.run", found.resource.owner)
    if found.state != Batch.SUCCEEDED or not found.rejected:
        return []
    name = found.resource.name
    where = "_batch = ?"
    args: list[Any] = [found.code]
    if codes:
        where += " AND list_has_any(_codes, ?)"
        args.append(list(codes))
    with adapters.lake().connect(read_only=True) as con:
        if not table_columns(con, "rejects", name):
            return []
        rows = con.execute(
            "SELECT _line, _raw, _text, _reasons, _codes, _corrected_by "
            f"FROM lake.rejects.{quote(name)} WHERE {where} "
            f"ORDER BY _line LIMIT {int(limit)} OFFSET {int(offset)}",
            args,
        ).fetchall()
    return [
        Rejected(
            found.code,
            line,
            json.loads(raw) if raw else {},
            text or "",
            list(reasons),
            list(why),
            corrected,
        )
        for line, raw, text, reasons, why, corrected in rows
    ]


def may_see_rejects(viewer: Actor, resource: Resource) -> bool:
    """Refused rows are shown as they arrived, unmasked: only to those who may set them right."""
    return viewer.may("collection.run", resource.owner)


def corrections_of(found: Batch, viewer: Actor) -> QuerySet[Correction]:
    """The batches that brought rows of this one again."""
    return found.corrections.select_related("batch").order_by("-batch_id")


REJECT_COLUMNS = ("行号", "拒收原因")


def rejects_csv(found: Batch, rows: Sequence[Rejected]) -> bytes:
    """The refused rows of a batch as a CSV that can be corrected and uploaded again."""
    arrived = (found.outcome.get("titles") or {}).values()
    titles = list(dict.fromkeys([*arrived, *(t for r in rows for t in r.values)]))
    if any(r.text for r in rows):
        titles.append("原文")
    return land.write_csv(
        [*REJECT_COLUMNS, *titles],
        (
            [
                r.line,
                r.why,
                *((r.text if t == "原文" else r.values.get(t) or "") for t in titles),
            ]
            for r in rows
        ),
    )
