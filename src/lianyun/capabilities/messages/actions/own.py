"""Own: read, and choose what comes by which way."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils import timezone

from lianyun.kernel.access import Actor, Denied
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from .. import queries
from ..models import Choice, Message, Sending


def mark_read(message: Message, *, by: Actor) -> None:
    """Note that the reader has opened it; no event: what somebody has read is nobody's affair."""
    if by.party is None or message.party_id != by.party.pk:
        raise Denied("这不是您的消息")
    Message.objects.filter(pk=message.pk, read_at=None).update(read_at=timezone.now())


def read_all(*, by: Actor) -> int:
    """Note that the reader has seen all that is unread; returns how many."""
    rows = queries.inbox(by, unread_only=True).order_by()
    return Message.objects.filter(pk__in=rows.values("pk")).update(read_at=timezone.now())


@action(None)
def choose(wanted: Mapping[tuple[str, str], bool], *, by: Actor) -> int:
    """Switch kinds on and off by way, for the person alone; returns how many switches moved.

    What the law demands stays as it is, whatever is sent. What waits on a way that is switched off
    does not go any more. Raises Denied for a visitor.
    """
    if by.party is None:
        raise Denied("请先登录")
    moved = []
    for switches in queries.switches(by).values():
        for switch in switches:
            key = switch.kind.key
            for way, _, on, free in switch.ways:
                new = wanted.get((key, way), on)
                if not free or new == on:
                    continue
                moved.append(f"{key}:{way}:{'on' if new else 'off'}")
                Choice.objects.update_or_create(
                    party=by.party, key=key, channel=way, defaults={"on": new}
                )
                if not new:
                    Sending.objects.filter(
                        message__party=by.party, message__key=key, channel=way,
                        sent_at=None, ended_at=None,
                    ).update(ended_at=timezone.now(), problem="本人已关闭")  # fmt: skip
    record("message.choices_changed", by.ref, by=by, data={"moved": moved})
    return len(moved)


__all__ = ["choose", "mark_read", "read_all"]
