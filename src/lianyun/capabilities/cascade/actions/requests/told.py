"""Told: whose messages about a request are believed."""

from __future__ import annotations

from lianyun.kernel.access import UserError

from ...models import Ask, Link


def only(link: Link, side: str) -> None:
    """Some things only an upper node may tell, some only a lower one."""
    if link.side != side:
        raise UserError(f"{link.get_side_display()}节点无权发送此类消息")


def received(link: Link, exchange: str) -> Ask:
    ask = Ask.objects.select_related("case__applicant", "grant").filter(exchange=exchange).first()
    if ask is None or ask.link_id != link.pk:
        raise UserError(f"没有编号为 {exchange} 的申请")
    return ask
