"""Builder's door: a service made, saved, checked, submitted, agreed to, packed and taken in, without a browser."""

from __future__ import annotations

from lianyun.kernel.access import Actor

from . import queries
from .actions import (
    begin_workbook,
    copy_item,
    import_pack,
    review_service,
    save_part,
    submit,
    withdraw,
)
from .models import Workbook
from .queries import Checked
from .rules import archive
from .rules import content as _content


def find(viewer: Actor, code: str) -> Workbook:
    """One of the viewer's workbooks; raises UserError."""
    return queries.find(viewer, code)


def check(row: Workbook, viewer: Actor) -> Checked:
    """Everything that is wrong with a workbook's newest content."""
    return queries.check(row.content, row.code, str(row.department.slug), viewer)


def pack_of(row: Workbook, viewer: Actor) -> bytes:
    """The workbook's newest content as a pack in a zip."""
    viewer.require("builder.read")
    declared = _content.assembled(row.content, row.code, str(row.department.slug))
    told = f"由服务编制导出：{row.title}（第 {row.number} 次修订）"
    lineage = sorted(found := queries.digests(viewer, row), key=lambda d: -found[d])
    return archive.packed(archive.files(declared, row.code, row.title, told, lineage))


__all__ = [
    "Checked",
    "Workbook",
    "begin_workbook",
    "check",
    "copy_item",
    "find",
    "import_pack",
    "pack_of",
    "review_service",
    "save_part",
    "submit",
    "withdraw",
]
