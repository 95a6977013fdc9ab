"""Outbox: a message for another node, written in the transaction of what it tells."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone
from procrastinate import exceptions
from procrastinate.contrib.django import app

from ..models import Crossing, Key, Link, Node, Outgoing

RUN = "lianyun.run"
JOBS = "lianyun.capabilities.cascade.jobs."


def wake(job: str, lock: str, *, seconds: int = 0, **arguments: Any) -> bool:
    """Queue a job once: while one of this `lock` waits, another is not added."""
    later: Any = {"seconds": seconds} if seconds else None
    task = app.configure_task(
        RUN, queue="jobs", queueing_lock=f"cascade:{job}:{lock}", schedule_in=later
    )
    try:
        with transaction.atomic():
            task.defer(path=f"{JOBS}{job}", arguments=arguments)
    except exceptions.AlreadyEnqueued:
        return False
    return True


def post(link: Link, kind: str, topic: str, body: dict[str, Any]) -> Outgoing:
    """Put a message at the end of a link's outbox; it exists only if the caller commits.

    The link's row is locked until then, so sequence numbers have no gaps and no order of their own.
    """
    with transaction.atomic():
        row = Link.objects.select_for_update().get(pk=link.pk)
        row.sent += 1
        row.save(update_fields=["sent"])
        made = Outgoing.objects.create(
            link=row, seq=row.sent, kind=kind, topic=topic[:160], body=body
        )
        link.sent = row.sent
        wake("converse", link.code, link=link.code)
    return made


def note_crossing(
    link: Link,
    exchange: str,
    what: str,
    subject: str,
    *,
    sending: bool,
    rows: int = 0,
    record: str = "",
) -> None:
    """Keep on this side that something crossed; the second call of the same changes nothing."""
    Crossing.objects.get_or_create(
        exchange=exchange,
        what=what,
        defaults={
            "link": link,
            "subject": subject[:300],
            "sending": sending,
            "rows": rows,
            "record": record,
        },
    )


def this_node() -> Node | None:
    """This node's identity, if it has one."""
    return Node.objects.first()


def current_key() -> Key | None:
    """The newest key pair that is not retired."""
    return Key.objects.filter(retired_at=None).order_by("-id").first()


def mark_acked(link: Link, upto: int) -> None:
    """The other node has everything up to this number."""
    row = Link.objects.select_for_update().get(pk=link.pk)
    # A number that we never gave is not believed.
    upto = min(upto, row.sent)
    if upto > row.acked:
        Outgoing.objects.filter(link=row, seq__gt=row.acked, seq__lte=upto).update(
            acked_at=timezone.now()
        )
        row.acked = upto
        row.save(update_fields=["acked"])
    link.acked = row.acked


__all__ = ["current_key", "mark_acked", "note_crossing", "post", "this_node", "wake"]
