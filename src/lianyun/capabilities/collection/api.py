"""Collection's door for its siblings and the command line: load, rejects, infer, sources, uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lianyun.kernel.access import UserError
from lianyun.kernel.models import Batch, Party, Resource
from lianyun.lake import infer as lake_infer
from lianyun.lake.shelves import LakeError

from . import actions, queries
from .actions import (
    begin_file,
    carry,
    carry_queued,
    correct_rejected,
    load_file,
    note_use,
    reconcile,
    register_source,
    run_due,
    run_source,
)
from .adapters import lake
from .queries import (
    Rejected,
    Row,
    board,
    content,
    databases,
    dataset_spec,
    masks,
    reach,
    rejected,
    rule_titles,
)

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor

__all__ = [
    "Rejected",
    "Row",
    "begin_file",
    "board",
    "carry",
    "carry_queued",
    "content",
    "correct_rejected",
    "databases",
    "dataset_spec",
    "figures",
    "infer",
    "lake",
    "load",
    "load_file",
    "load_source",
    "masks",
    "note_use",
    "reach",
    "reconcile",
    "register_source",
    "rejected",
    "rejects",
    "rule_titles",
    "run_due",
    "run_source",
]


def figures(batch: Batch) -> dict[str, Any]:
    """A finished batch in the command line's terms (see docs: contracts, `lianyun load --json`)."""
    told = batch.outcome
    return {
        "batch": batch.code,
        "landed": batch.landed,
        "accepted": batch.accepted,
        "rejected": batch.rejected,
        "inserted": told.get("inserted", 0),
        "updated": told.get("updated", 0),
        "unchanged": told.get("unchanged", 0),
        "deleted": told.get("deleted", 0),
        "seconds": round(batch.seconds or 0.0, 3),
    }


def _finished(batch: Batch) -> dict[str, Any]:
    if batch.state != Batch.SUCCEEDED:
        raise UserError(batch.message or "归集没有完成")
    return figures(batch)


def load(
    dataset: str,
    file: str | Path,
    *,
    by: Actor,
    mode: str = "incremental",
    sheet: str = "",
    allow_shrink: bool = False,
) -> dict[str, Any]:
    """Load a file into a dataset (identifier or resource code) now; returns `figures`.

    Always landed = accepted + rejected. Raises UserError with the reason where nothing was stored.
    """
    return _finished(
        load_file(dataset, Path(file), mode=mode, sheet=sheet, allow_shrink=allow_shrink, by=by)
    )


def load_source(name: str, *, by: Actor) -> dict[str, Any]:
    """Run a registered source to its end in this process (for scripts); returns `figures`."""
    source = queries.source(name, by)
    return _finished(actions.run_now(source=source, by=by))


def rejects(batch: str, *, by: Actor) -> list[dict[str, Any]]:
    """Every rejected row of a batch: {line, reasons, codes, values, text} as it arrived.

    Only for those who may set the dataset's rows right; raises Denied.
    """
    found = queries.batch(batch, by)
    rows = rejected(found, by, limit=10_000_000)
    actions.note_rejected_read(found, rows, by=by, how="export")
    return [
        {
            "line": row.line,
            "reasons": row.reasons,
            "codes": row.codes,
            "values": row.values,
            "text": row.text,
            "corrected_by": row.corrected_by,
        }
        for row in rows
    ]


def infer(
    file: str | Path,
    *,
    register: str | None = None,
    title: str = "",
    owner: Party | None = None,
    sheet: str = "",
    by: Actor,
) -> dict[str, Any]:
    """Propose a dataset from a file: {file, items, key}; with `register` it becomes a dataset.

    `register` is the code under which `load` fills it at once; `owner` defaults to the actor's
    department, else the data bureau. Raises UserError.
    """
    path = Path(file)
    try:
        items = [dataclasses.asdict(p) for p in lake_infer.infer(path, sheet or None)]
    except LakeError as error:
        raise UserError(str(error)) from error
    key = [item["name"] for item in items if item["key"]]
    told: dict[str, Any] = {"file": path.name, "items": items, "key": key}
    if register:
        resource = register_items(
            register, items, title=title or path.stem, owner=owner, key=key, by=by
        )
        told |= {"dataset": resource.name, "code": resource.code}
    return told


def register_items(
    code: str,
    items: Sequence[Mapping[str, Any]],
    *,
    title: str,
    owner: Party | None = None,
    key: Sequence[str] = (),
    by: Actor,
) -> Resource:
    """Register proposed items as a dataset of this code."""
    kept = ("name", "title", "type", "format", "check", "required", "element")
    return actions.register_proposal(
        code=code,
        title=title,
        owner=owner or by.department or queries.bureau(),
        items=[{k: item[k] for k in kept if item.get(k)} for item in items],
        key=key,
        by=by,
    )
