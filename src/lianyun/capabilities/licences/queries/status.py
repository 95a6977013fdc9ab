"""Status: the list in which every licence has its place, as credentials point to it."""

from __future__ import annotations

import json

from joserfc.jwk import ECKey

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Grant

from ..adapters import shelf
from ..models import IssuerKey, Licence
from ..rules import credential

SIZE = 1 << 17
SECONDS = 60
"""How long a reader may keep a list: a revoked licence is refused after a minute at the latest."""


def uri_of(number: int) -> str:
    """The address of the list that holds a licence (its row number)."""
    return f"{shelf.site()}/licences/status/{number // SIZE}"


def place_of(number: int) -> int:
    """A licence's place in its list."""
    return number % SIZE


def number_of(uri: str, place: int) -> int | None:
    """The licence (its row number) of a place in a list of this installation, else None."""
    start = f"{shelf.site()}/licences/status/"
    number = uri.removeprefix(start)
    if not uri.startswith(start) or not number.isascii() or not number.isdigit():
        return None
    if len(number) > 9 or not 0 <= place < SIZE:
        return None
    return int(number) * SIZE + place


def statuses(viewer: Actor, number: int) -> dict[int, int]:
    """Of list `number`, the places that are not valid, with their status."""
    rows = (
        Licence.objects.filter(pk__gte=number * SIZE, pk__lt=(number + 1) * SIZE)
        .exclude(grant__state=Grant.ACTIVE)
        .values_list("pk", "grant__state")
    )
    return {
        place_of(pk): credential.SUSPENDED if state == Grant.SUSPENDED else credential.INVALID
        for pk, state in rows.iterator()
    }


def lists(viewer: Actor) -> int:
    """How many lists there are."""
    last = Licence.objects.order_by("-pk").values_list("pk", flat=True).first()
    return 0 if last is None else last // SIZE + 1


def public_keys(viewer: Actor) -> dict[str, ECKey]:
    """All keys that ever signed, public halves, by name."""
    rows = IssuerKey.objects.order_by("-id")
    return {row.kid: ECKey.import_key(json.loads(row.public)) for row in rows}


__all__ = ["SECONDS", "SIZE", "lists", "number_of", "place_of", "public_keys", "statuses", "uri_of"]
