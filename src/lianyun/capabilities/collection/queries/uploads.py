"""Uploads: what a file proposes to be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lianyun.kernel.access import UserError
from lianyun.lake import land
from lianyun.lake.check import ItemCheck
from lianyun.lake.infer import Proposal, ascii_name, propose
from lianyun.lake.shelves import LakeError

from .sources import loadable
from .spec import content

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


def proposal(path: Path) -> tuple[land.Sniffed, list[Proposal]]:
    """What an uploaded file looks like and which items it would make; raises UserError."""
    try:
        opened = land.open_file(path)
        return opened.sniffed or land.sniff(path), propose(opened, limit=200_000)
    except LakeError as error:
        raise UserError(f"文件读不出来：{error}") from error


def spelled(title: str) -> str:
    """A title in ASCII, for an identifier."""
    return ascii_name(title)


def best_match(columns: Sequence[str], viewer: Actor) -> str:
    """The dataset of the viewer that a file's columns fit best, or empty.

    Six columns of ten must be items of it, the key among them; of several, the one with most.
    """
    best, most = "", (0, 0.0)
    for resource in loadable(viewer).select_related("owner", "entry__category")[:200]:
        told = content(resource)
        items = [ItemCheck(i["name"], i.get("title") or i["name"]) for i in told.get("items") or ()]
        found = set(land.match_columns(columns, items).values())
        if not found or not found >= set(told.get("key") or ()):
            continue
        fit = (len(found), len(found) / len(items))
        if len(found) >= 0.6 * len(columns) and fit > most:
            best, most = resource.name, fit
    return best
