"""Overlaps: pairs of datasets that look like repeated collection."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from lianyun.kernel.access import Actor

from ..models import Overlap
from .cases import _all


def overlap_list(viewer: Actor) -> QuerySet[Overlap]:
    """Pairs that the viewer's department is a side of (all for the bureau), open ones first."""
    viewer.require("sharing.read")
    rows = Overlap.objects.select_related("resource__owner", "other__owner", "decided_by")
    if not _all(viewer):
        scope = viewer.departments("sharing.read") or frozenset()
        rows = rows.filter(Q(resource__owner_id__in=scope) | Q(other__owner_id__in=scope))
    return rows.order_by("-state", "-shared", "id")


def overlap(viewer: Actor, number: int) -> Overlap | None:
    """One pair, if the viewer may see it."""
    return overlap_list(viewer).filter(pk=number).first()
