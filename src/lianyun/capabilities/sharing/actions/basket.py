"""Basket: put datasets together, take them out, ask for all of them in one go."""

from __future__ import annotations

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Resource

from .. import rules
from ..models import BasketLine
from .requests import MOST_TOGETHER, Asked, request_basket


@action("sharing.request")
def put_in_basket(*, resource: Resource, by: Actor) -> None:
    """Put a dataset into the department's basket; twice is once.

    Raises UserError where the data may not be asked for at all.
    """
    if by.department is None:
        raise UserError("请先选择所代表的部门")
    by.require("sharing.request", by.department)
    if rules.share_type(resource.terms) == rules.FORBIDDEN:
        raise UserError(f"“{resource.title}”不予共享，不能申请")
    if resource.owner_id == by.department.pk:
        raise UserError("这是本部门提供的数据，无需申请")
    if BasketLine.objects.filter(department=by.department).count() >= MOST_TOGETHER:
        raise UserError(f"选数车最多放 {MOST_TOGETHER} 个数据集，请先提交申请")
    BasketLine.objects.get_or_create(
        department=by.department, resource=resource, defaults={"by": by.party}
    )
    record("basket.filled", resource, by=by)


@action("sharing.request")
def take_from_basket(*, resource: Resource, by: Actor) -> None:
    """Take a dataset out of the department's basket."""
    BasketLine.objects.filter(department=by.department, resource=resource).delete()
    record("basket.emptied", resource, by=by)


@action("sharing.request")
def ask_for_basket(*, asked: Asked, by: Actor) -> list[Case]:
    """Ask for these datasets (see `request_basket`); what was asked for leaves the basket."""
    made = request_basket(asked=asked, by=by)
    names = [resource.name for resource, _ in asked]
    BasketLine.objects.filter(department=by.department, resource__name__in=names).delete()
    return made
