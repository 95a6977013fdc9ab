"""Notices: queued once for each event and channel, within a limit, sent by jobs that try again."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.element import mask_value
from lianyun.kernel.event import Event, record

from .. import adapters, queries, rules
from ..models import Account, Notice
from . import limits


def on_event(event: Event) -> None:
    """Listener: queue what the people concerned are told of an event; bears a second call."""
    told = queries.concerned(SYSTEM, event)
    if told:
        queue_notices(event, told, by=SYSTEM)


@action("identity.notify")
def queue_notices(event: Event, told: list[tuple[Account, dict[str, Any]]], *, by: Actor) -> int:
    """Queue the notices of an event for these accounts; returns how many."""
    made = 0
    for account, facts in told:
        text = rules.notice_text(event.kind, facts)[:300]
        for channel, sealed in _ways(account, event):
            use = adapters.PHONE_USE if channel == "sms" else adapters.MAIL_USE
            to = adapters.unseal(sealed, use)
            where = str(mask_value("phone", to)) if channel == "sms" else rules.mask_mail(to)
            row, new = Notice.objects.get_or_create(
                account=account, event=event.pk, channel=channel,
                defaults={"where": where, "to_sealed": sealed, "text": text},
            )  # fmt: skip
            if not new:
                continue
            made += 1
            if limits.count("notices_per_account", str(account.pk)):
                record("notice.queued", row, by=by, data={"channel": channel})
            else:
                row.problem = "超过每日上限，未发送"
                row.save(update_fields=["problem"])
    record("notices.weighed", event.subject, by=by, data={"kind": event.kind, "made": made})
    return made


def _ways(account: Account, event: Event) -> list[tuple[str, str]]:
    """(channel, sealed address); a change is told to the former telephone or address, if there was one."""
    former = event.personal or {}
    phone = former.get("former") or account.phone_sealed
    mail = former.get("former_mail") or account.mail_sealed
    return [(c, s) for c, s in (("sms", phone), ("mail", mail)) if s]


def send_notice(event: Event) -> None:
    """Listener: send one queued notice; raises to be tried again. Killed in between, it is sent twice."""
    row = queries.notice(SYSTEM, int(event.subject.partition(":")[2]))
    if row is None or row.sent_at is not None:
        return
    try:
        if row.channel == "sms":
            shown = adapters.send_text(adapters.unseal(row.to_sealed, adapters.PHONE_USE), row.text)
        else:
            to = adapters.unseal(row.to_sealed, adapters.MAIL_USE)
            shown = adapters.send_mail(to, "账号安全通知", row.text)
    except UserError as wrong:
        note_sent(row, str(wrong), simulated=False, by=SYSTEM)
        raise
    note_sent(row, "", simulated=bool(shown), by=SYSTEM)


@action("identity.notify")
def note_sent(row: Notice, problem: str, *, simulated: bool, by: Actor) -> None:
    """Note that a notice went out, or why it did not."""
    row.problem, row.simulated = problem[:100], simulated
    row.sent_at = None if problem else timezone.now()
    row.save(update_fields=["problem", "simulated", "sent_at"])
    record("notice.failed" if problem else "notice.sent", row, by=by, data={"channel": row.channel})


__all__ = ["note_sent", "on_event", "queue_notices", "send_notice"]
