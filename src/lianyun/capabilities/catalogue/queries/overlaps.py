"""Overlaps: pairs of departments' datasets that hold mostly the same items (Order 809 art. 19)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Resource

from ..models import Item

COMMON = 12
"""An item that more datasets than this hold (an identity number, a date) is no sign of overlap."""
MOST = 500
"""Pairs that are told: who has decided about these finds the next ones."""


@dataclass(frozen=True)
class Pair:
    """A dataset whose items mostly stand in another department's: which, of how many."""

    resource: int
    other: int
    shared: tuple[str, ...]
    total: int

    @property
    def part(self) -> float:
        """The part of the dataset's items that the other holds too."""
        return len(self.shared) / self.total


def overlaps(viewer: Actor, least: float = 0.6, fewest: int = 4) -> list[Pair]:
    """Pairs of different owners' datasets that hold mostly the same items, the clearest first.

    Items are the same by their data element, else by their title. At least `fewest` of the shared
    ones must be items that few datasets hold, and at least `least` of all items of the smaller
    dataset, which is named first, must stand in the other.
    """
    rows = Item.objects.filter(resource__kind=Resource.DATASET).exclude(
        resource__state=Resource.WITHDRAWN
    )
    held: dict[int, dict[str, str]] = defaultdict(dict)
    where: dict[str, list[int]] = defaultdict(list)
    owner: dict[int, int] = {}
    listed = rows.values_list("resource_id", "resource__owner_id", "element", "title")
    for resource, owned_by, element, title in listed.order_by("resource_id", "position"):
        word = f"e:{element}" if element else f"t:{title.strip()}"
        owner[resource] = owned_by
        if word not in held[resource]:
            held[resource][word] = title
            where[word].append(resource)
    near: set[tuple[int, int]] = set()
    for found in where.values():
        if 1 < len(found) <= COMMON:
            for at, one in enumerate(found):
                near.update((one, two) for two in found[at + 1 :] if owner[one] != owner[two])
    out = []
    for one, two in near:
        words = [word for word in held[one] if word in held[two]]
        if sum(len(where[word]) <= COMMON for word in words) < fewest:
            continue
        same = [held[one][word] for word in words]
        small, large = sorted((one, two), key=lambda pk: (len(held[pk]), -pk))
        total = len(held[small])
        if len(same) >= least * total:
            out.append(Pair(small, large, tuple(same), total))
    return sorted(out, key=lambda p: (-p.part, -len(p.shared), p.resource, p.other))[:MOST]


__all__ = ["COMMON", "MOST", "Pair", "overlaps"]
