"""Needs: what the catalogue already holds that resembles a need."""

from __future__ import annotations

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Resource


def similar(viewer: Actor, text: str, limit: int = 6) -> list[Resource]:
    """Published data of any department that the words of a need lead to, best first."""
    if len(text.strip()) < 2:
        return []
    filters = catalogue.Filters(q=text.strip()[:100], state=Resource.PUBLISHED)
    rows = catalogue.search(viewer, filters, size=limit).rows
    return [r for r in rows if r.kind in (Resource.DATASET, Resource.LIBRARY)]
