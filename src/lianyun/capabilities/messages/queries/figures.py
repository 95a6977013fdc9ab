"""Figures: what was sent, failed and simulated, by kind, way and day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor

from .. import adapters
from ..models import Message, Sending
from ..rules import declared

SENT = Q(sent_at__isnull=False, simulated=False)
SIMULATED = Q(sent_at__isnull=False, simulated=True)
FAILED = Q(sent_at=None, tries__gt=0)
HELD = Q(sent_at=None, tries=0, ended_at__isnull=False)
WAITS = Q(sent_at=None, tries=0, ended_at=None)


@dataclass(frozen=True)
class Figures:
    """How many in some days."""

    messages: int
    read: int
    sent: int
    simulated: int
    failed: int
    held: int
    waiting: int


def _since(days: int) -> dt.datetime:
    first = timezone.localdate() - dt.timedelta(days=days - 1)
    return timezone.make_aware(dt.datetime.combine(first, dt.time()))


def figures(viewer: Actor, days: int) -> Figures:
    """Messages and sendings of the last days."""
    viewer.require("messages.read")
    since = _since(days)
    told = Message.objects.filter(made_at__gte=since, shown=True).aggregate(
        messages=Count("id"), read=Count("id", filter=Q(read_at__isnull=False))
    )
    went = Sending.objects.filter(made_at__gte=since).aggregate(
        sent=Count("id", filter=SENT),
        simulated=Count("id", filter=SIMULATED),
        failed=Count("id", filter=FAILED),
        held=Count("id", filter=HELD),
        waiting=Count("id", filter=WAITS),
    )
    return Figures(**told, **went)


def daily(viewer: Actor, days: int) -> tuple[list[str], dict[str, list[int]]]:
    """(days, numbers by how it went) for the chart."""
    viewer.require("messages.read")
    rows = (
        Sending.objects.filter(made_at__gte=_since(days))
        .annotate(day=TruncDate("made_at"))
        .values("day")
        .annotate(
            sent=Count("id", filter=SENT),
            simulated=Count("id", filter=SIMULATED),
            failed=Count("id", filter=FAILED),
            held=Count("id", filter=HELD),
        )
        .order_by("day")
    )
    found = {r["day"]: r for r in rows}
    first = timezone.localdate() - dt.timedelta(days=days - 1)
    line = [first + dt.timedelta(days=n) for n in range(days)]
    return [f"{d.month}/{d.day}" for d in line], {
        k: [found[d][k] if d in found else 0 for d in line]
        for k in ("sent", "simulated", "failed", "held")
    }


def by_kind(viewer: Actor, days: int) -> list[dict[str, Any]]:
    """For each kind of message: told, read, and how its mails and texts went."""
    viewer.require("messages.read")
    since = _since(days)
    told = {
        r["key"]: r
        for r in Message.objects.filter(made_at__gte=since)
        .values("key")
        .annotate(messages=Count("id"), read=Count("id", filter=Q(read_at__isnull=False)))
        .order_by()
    }
    went = {
        (r["message__key"], r["channel"]): r
        for r in Sending.objects.filter(made_at__gte=since)
        .values("message__key", "channel")
        .annotate(
            sent=Count("id", filter=SENT),
            simulated=Count("id", filter=SIMULATED),
            failed=Count("id", filter=FAILED),
        )
        .order_by()
    }
    out = []
    for kind in adapters.kinds().values():
        if kind.key not in told:
            continue
        line: dict[str, Any] = {"kind": kind, **told[kind.key]}
        for channel in declared.OUTER:
            how: dict[str, Any] = dict(went.get((kind.key, channel), {}))
            line[channel] = {k: how.get(k, 0) for k in ("sent", "simulated", "failed")}
        out.append(line)
    return sorted(out, key=lambda line: -line["messages"])


def stands_in(viewer: Actor) -> list[str]:
    """Which ways nobody serves here, in words: a sample city simulates them, a real one fails."""
    viewer.require("messages.read")
    then = "为模拟数据，没有真正发送" if identity.sample_city() else "发不出去，会记为失败"
    return [
        f"没有配置{server}（{variable}）：{way}{then}。"
        for there, server, variable, way in (
            (settings.EMAIL_HOST, "邮件服务器", "LIANYUN_MAIL_HOST", "邮件"),
            (settings.TEXT_GATEWAY_URL, "短信网关", "LIANYUN_TEXT_GATEWAY_URL", "短信"),
        )
        if not there
    ]


def sendings(viewer: Actor) -> QuerySet[Sending]:
    """Mails and texts, newest first; the reader is not named."""
    viewer.require("messages.read")
    return Sending.objects.select_related("message").order_by("-id")


__all__ = [
    "FAILED",
    "HELD",
    "SENT",
    "SIMULATED",
    "WAITS",
    "Figures",
    "by_kind",
    "daily",
    "figures",
    "sendings",
    "stands_in",
]
