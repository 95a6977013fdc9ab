"""Rows: licences as rows of the licences library (packs/licences/datasets/dz_licences.yaml)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from lianyun.kernel.access import Actor
from lianyun.kernel.element import citizen_number_ok
from lianyun.kernel.models import Batch

from ..models import Licence
from . import kinds, licences

DATASET = "dz_licences"
MOST = 20_000


def last_told(viewer: Actor) -> dt.datetime | None:
    """When the last good batch of licences began, or None."""
    found = Batch.objects.filter(resource__name=DATASET, state=Batch.SUCCEEDED)
    return found.order_by("-id").values_list("started_at", flat=True).first()


def changed(viewer: Actor, since: dt.datetime | None) -> Iterator[dict[str, str]]:
    """Licences born here that were given, changed or ended since then; replaced versions not.

    The row's key is the identifier without its version: the next version takes the row's place.
    """
    found = (
        Licence.objects.filter(source="")
        .exclude(ending=Licence.REPLACED)
        .select_related("grant__grantee", "grant__grantor", "grant__case")
        .order_by("grant__changed_at")
    )
    if since is not None:
        found = found.filter(grant__changed_at__gte=since)
    for row in found[:MOST].iterator(chunk_size=500):
        kind = kinds.kind(row.kind)
        told = licences.elements(row)
        number = told[kind.holder_number]
        code, words, _ = licences.standing(row)
        yield {
            "serial": row.identifier.rsplit(".", 2)[0],
            "identifier": row.identifier,
            "licence_type": kind.title,
            "licence_number": row.number,
            "holder_type": "自然人" if citizen_number_ok(number) else "法人",
            "holder_number": number,
            "holder_name": str(told.get(kind.holder_name) or row.grant.grantee.name),
            "issued_on": row.issued_on.isoformat(),
            "valid_from": row.begins_on.isoformat(),
            "valid_to": row.ends_on.isoformat() if row.ends_on else "",
            "authority": str(row.grant.grantor.name if row.grant.grantor else ""),
            "trust_grade": row.trust,
            # Past its end the library says so itself (expires); here: whether it still stands.
            "state": "有效" if code in ("valid", "expired", "early") else words,
            "case_code": row.grant.case.code if row.grant.case else "",
        }


__all__ = ["DATASET", "changed", "last_told"]
