"""Rows: samples and counts from the lake, masked."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from lianyun.kernel.access import UserError
from lianyun.kernel.element import mask_value
from lianyun.kernel.models import Batch, Resource
from lianyun.lake import history, merge
from lianyun.lake.shelves import LakeError, quote, table_columns

from .. import adapters
from .spec import content, elements_of

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


def counted(
    outcome: merge.Outcome, resource: Resource, supplied: str | None = None
) -> dict[str, Any]:
    """A lake outcome as a batch keeps it, with all rows of the dataset and its newest row's time.

    `supplied` is the date of the file it came from (ISO text), where there was one.
    """
    items = content(resource).get("items") or ()
    stamp = next((i["name"] for i in items if i.get("element") == "update_time"), None)
    total, newest = _extent(outcome.dataset, stamp)
    return {**outcome.as_dict(), "total": total, "newest": newest, "supplied": supplied}


def total_rows(name: str) -> int:
    """How many rows a dataset has in the lake; 0 where nothing was ever loaded."""
    return _extent(name)[0]


def _extent(name: str, stamp: str | None = None) -> tuple[int, str | None]:
    """A dataset's rows, and the latest time in a column (not after tomorrow) as ISO text."""
    with adapters.lake().connect(read_only=True) as con:
        have = table_columns(con, "trusted", name)
        if not have:
            return 0, None
        latest = "NULL"
        if stamp in have:
            latest = (
                f"CAST(max({quote(stamp)}) FILTER ({quote(stamp)} <= "
                "CAST(now() AS TIMESTAMP) + INTERVAL 1 DAY) AS VARCHAR)"
            )
        row = con.execute(f"SELECT count(*), {latest} FROM lake.trusted.{quote(name)}").fetchone()
    return (int(row[0]), row[1]) if row else (0, None)


def newest_stamp(found: Batch | None) -> dt.datetime | None:
    """When a dataset's data last moved: its newest row, else the date of the file that brought it."""
    told = (found.outcome.get("newest") or found.outcome.get("supplied")) if found else None
    if not told:
        return None
    try:
        moment = dt.datetime.fromisoformat(str(told))
        return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
    except ValueError:
        return None


def masks(resource: Resource) -> dict[str, str]:
    """Item name → the mask of its element; an item without one is masked by its check."""
    items = content(resource).get("items") or ()
    elements = elements_of(items)
    out = {}
    for item in items:
        element = elements.get(item.get("element") or "")
        out[item["name"]] = element.mask if element else str(item.get("mask") or "none")
        if element is None and item.get("check") == "citizen_number":
            out[item["name"]] = "citizen_number"
    return out


def sample(
    resource: Resource, viewer: Actor, limit: int = 10, after: str | None = None
) -> tuple[list[str], list[list[Any]]]:
    """Some rows of a dataset, masked: (titles, rows); empty where nothing was loaded.

    `after` names the batch after which it is looked at; as it is now without.
    """
    hide = masks(resource)
    titles = {i["name"]: i.get("title") or i["name"] for i in content(resource).get("items") or ()}
    with adapters.lake().connect(read_only=True) as con:
        have = [c for c in table_columns(con, "trusted", resource.name) if not c.startswith("_")]
        if not have:
            return [], []
        listed = ", ".join(quote(c) for c in have)
        place = f"lake.trusted.{quote(resource.name)}"
        if after is not None:
            try:
                place = f"({history.as_of(con, resource.name, batch=after)})"
            except LakeError as error:
                raise UserError(str(error)) from error
        rows = con.execute(f"SELECT {listed} FROM {place} LIMIT {int(limit)}").fetchall()
    secret = resource.level >= 3
    return [titles.get(c, c) for c in have], [
        [
            masked(hide.get(c, "all" if secret and c not in titles else "none"), v)
            for c, v in zip(have, row, strict=True)
        ]
        for row in rows
    ]


def masked(mask: str, value: Any) -> Any:
    """A value under a mask; as it is under `none`."""
    return mask_value(mask, value) if mask != "none" else value
