"""Basket: what the viewer's department has put together to ask for in one go."""

from __future__ import annotations

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Resource

from ..models import BasketLine


def basket(viewer: Actor) -> list[Resource]:
    """The datasets in the department's basket, in the order they were put in."""
    viewer.require("sharing.request")
    lines = BasketLine.objects.filter(department=viewer.department)
    return [line.resource for line in lines.select_related("resource__owner")]


def in_basket(viewer: Actor, resource: Resource) -> bool:
    """Whether the department's basket holds a dataset."""
    return BasketLine.objects.filter(department=viewer.department, resource=resource).exists()


def basket_names(viewer: Actor) -> set[str]:
    """The names of the datasets in the basket, for marking a list."""
    rows = BasketLine.objects.filter(department=viewer.department)
    return set(rows.values_list("resource__name", flat=True))
