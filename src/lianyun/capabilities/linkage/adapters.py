"""Adapter: the lake as linkage uses it: declarations, runs, pairs, rows, entities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.conf import settings

from lianyun.kernel import packs
from lianyun.kernel.access import UserError
from lianyun.lake import entity as lake_entity
from lianyun.lake import match
from lianyun.lake.entity import Applied, Decision, Link
from lianyun.lake.match import Matched, MatchSpec, Tell
from lianyun.lake.shelves import Lake, LakeError


@cache
def _lake(catalogue: str, folder: str) -> Lake:
    return Lake(catalogue, folder)


def lake() -> Lake:
    """The lake that the settings name."""
    return _lake(settings.LAKE_CATALOGUE_URL, settings.LAKE)


@cache
def spec(name: str) -> MatchSpec:
    """A declared linkage; raises UserError where no pack declares it."""
    try:
        return match.read(packs.declaration("linkages", name).data)
    except KeyError as error:
        raise UserError(f"没有名为“{name}”的关联") from error
    except LakeError as error:
        raise UserError(str(error)) from error


def run(name: str, code: str, decisions: Sequence[Decision], tell: Tell) -> Matched:
    """Link; raises UserError with what is wrong."""
    try:
        return match.run(lake(), spec(name), code, decisions=decisions, tell=tell)
    except LakeError as error:
        raise UserError(str(error)) from error


def apply(name: str, code: str, decisions: Sequence[Decision]) -> Applied:
    """Bring the crosswalk to these decisions."""
    try:
        return lake_entity.apply(lake(), spec(name), decisions, code)
    except LakeError as error:
        raise UserError(str(error)) from error


def pairs(name: str, state: str, *, last: bool = False, limit: int = 1000) -> list[dict[str, Any]]:
    """Pairs of the newest run in a state (auto, review)."""
    return lake_entity.pairs(lake(), spec(name), state, last=last, limit=limit)


def pairs_among(name: str, members: Sequence[Link]) -> list[dict[str, Any]]:
    """Pairs of the newest run within an entity."""
    return lake_entity.pairs_among(lake(), spec(name), [m.key for m in members])


def rows(name: str, wanted: Sequence[tuple[int, str]]) -> dict[tuple[int, str], dict[str, Any]]:
    """Trusted rows of (side, key) as they stand now."""
    return lake_entity.rows(lake(), spec(name), wanted)


def entities(name: str, *, offset: int, limit: int) -> list[tuple[str, int, float]]:
    """Entities: name, members, weakest link."""
    return lake_entity.entities(lake(), spec(name), offset=offset, limit=limit)


def entity(name: str, key: str) -> list[Link]:
    """The members of an entity."""
    return lake_entity.entity(lake(), spec(name), key)
