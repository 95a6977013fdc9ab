"""Exchange actions: conversations between two nodes: send, take in order, apply once, come back later."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from lianyun.kernel.access import UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Grant

from .. import rules
from ..adapters import keys, wire
from ..models import Incoming, Link, Outgoing, Transfer
from . import entries, nodes, requests, transfers
from .doors import caller_for, reserve_stamp
from .outbox import mark_acked, this_node, wake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lianyun.kernel.access import Actor

log = logging.getLogger("lianyun.cascade")
_LOCK = 0x6C79_2001
ROUNDS = 200

Handler = Callable[[Link, dict[str, Any]], None]
HANDLERS: dict[str, Handler] = {
    "key.announced": nodes.take_key,
    "node.changed": nodes.take_change,
    "entry.published": entries.take_entry,
    "entry.withdrawn": entries.take_withdrawal,
    "request.sent": requests.take_request,
    "request.supplemented": requests.take_supplement,
    "request.withdrawn": requests.take_withdrawal,
    "request.progress": requests.take_progress,
    "grant.issued": requests.take_grant,
    "grant.changed": requests.take_grant_change,
    "use.ended": requests.take_end,
    "transfer.opened": transfers.take_opening,
    "changes.opened": transfers.take_opening,
    "transfer.refused": transfers.take_refusal,
    "transfer.landed": transfers.take_verdict,
}
KIND_TITLES = {
    "key.announced": "更换密钥",
    "node.changed": "节点信息变更",
    "entry.published": "目录发布",
    "entry.withdrawn": "目录撤销",
    "request.sent": "共享申请",
    "request.supplemented": "补充材料",
    "request.withdrawn": "撤回申请",
    "request.progress": "办理进展",
    "grant.issued": "授权签发",
    "grant.changed": "授权变更",
    "use.ended": "使用结束",
    "transfer.opened": "全量传送",
    "changes.opened": "变更传送",
    "transfer.refused": "拒收传送",
    "transfer.landed": "入湖结果",
}


# ---- what a conversation carries ---------------------------------------------------------


def waiting_messages(link: Link, after: int) -> list[dict[str, Any]]:
    """The next messages for the other node, signed one by one, within the size of a round."""
    node = this_node()
    assert node is not None
    assert link.own_key is not None
    signer = keys.Signer(link.own_key.kid, link.own_key.secret)
    out: list[dict[str, Any]] = []
    size = 0
    rows = Outgoing.objects.filter(link=link, seq__gt=after).order_by("seq")
    for row in rows[: rules.MESSAGES_A_ROUND]:
        text = rules.message_text(node.code, link.code, row.seq, row.kind, row.topic, row.body)
        size += len(text)
        if out and size > rules.BYTES_A_ROUND:
            break
        out.append(
            {
                "seq": row.seq,
                "kind": row.kind,
                "topic": row.topic,
                "body": row.body,
                "kid": signer.kid,
                "signature": signer.sign(text),
            }
        )
    return out


def take_messages(link: Link, messages: list[Any]) -> bool:
    """Keep the messages that follow on what we have; returns whether all of them were in order.

    A repeated one is passed over; one that came before with other content is an alarm; behind a gap
    nothing is taken (the answer tells which number we expect). A signature that does not hold stops
    the taking. Raises UserError for what is no message at all.
    """
    node = this_node()
    assert node is not None
    known = {k["kid"]: k["public"] for k in link.keys}
    with transaction.atomic():
        row = Link.objects.select_for_update().get(pk=link.pk)
        parked = row.incoming.filter(applied_at=None).count()
        ordered, kept = True, list[Incoming]()
        for message in messages[: rules.MESSAGES_A_ROUND]:
            try:
                seq, kind = int(message["seq"]), str(message["kind"])
                topic, body = str(message["topic"]), dict(message["body"])
                kid, signature = str(message["kid"]), str(message["signature"])
            except (KeyError, TypeError, ValueError) as error:
                raise UserError(rules.ERRORS["malformed"]) from error
            judged = rules.judge(seq, row.received)
            if judged.gap:
                row.gaps += 1
                ordered = False
                break
            text = rules.message_text(link.code, node.code, seq, kind, topic, body)
            mark = rules.digest(text)
            if judged.repeated:
                before = row.incoming.filter(seq=seq).values_list("digest", flat=True).first()
                if before is not None and before != mark:
                    row.refused += 1
                    row.last_error = f"第 {seq} 号消息与先前收到的内容不一致，已拒绝"
                    ordered = False
                continue
            if parked >= rules.MOST_PARKED:
                ordered = False
                break
            if kid not in known or not keys.verified(known[kid], text, signature):
                row.refused += 1
                row.last_error = f"第 {seq} 号消息的签名无效，已拒绝"
                ordered = False
                break
            kept.append(
                Incoming(
                    link=row,
                    seq=seq,
                    kind=kind[:40],
                    topic=topic[:160],
                    body=body,
                    digest=mark,
                    signature=signature,
                    kid=kid,
                )
            )
            row.received = seq
        Incoming.objects.bulk_create(kept)
        row.save(update_fields=["received", "gaps", "refused", "last_error"])
    link.received = row.received
    return ordered


# ---- effects -----------------------------------------------------------------------------


def apply_waiting(link: Link) -> int:
    """Give every kept message its effect, in order, each in a transaction of its own; how many.

    One that fails stays with its error, and so do later ones of the same topic; others go on.
    """
    count = 0
    blocked: set[str] = set()
    numbers = link.incoming.filter(applied_at=None).order_by("seq").values_list("pk", flat=True)
    for number in list(numbers):
        done = _apply(number, blocked)
        if done is None:
            break
        count += done
    return count


def _apply(number: int, blocked: set[str]) -> int | None:
    """1 where a message had its effect now, 0 where not, None where another process is at work."""
    try:
        with transaction.atomic():
            row = (
                Incoming.objects.select_for_update(of=("self",), skip_locked=True)
                .select_related("link")
                .filter(pk=number)
                .first()
            )
            if row is None:
                return None
            if row.applied_at is not None:
                return 0
            if row.topic in blocked:
                return 0
            handler = HANDLERS.get(row.kind)
            if handler is None:
                raise UserError(f"不认识的消息种类“{row.kind}”，请升级本节点后重试")
            handler(row.link, row.body)
            row.applied_at, row.error = timezone.now(), ""
            row.save(update_fields=["applied_at", "error"])
            return 1
    except UserError as refused:
        text = str(refused)
    except (KeyError, TypeError, ValueError) as malformed:
        log.warning("message %s is malformed: %r", number, malformed)
        text = f"消息内容不符合协议（{type(malformed).__name__}）"
    except Exception as error:
        log.exception("message %s failed", number)
        text = f"处理时出现意外错误：{type(error).__name__}"
    failed = Incoming.objects.filter(pk=number)
    failed.update(error=text[:500], tries=F("tries") + 1)
    blocked.update(failed.values_list("topic", flat=True))
    return 0


def apply_link(code: str) -> int:
    """Try again everything of one link that has had no effect yet."""
    return apply_waiting(Link.objects.get(code=code))


# ---- the answering side ------------------------------------------------------------------


def answer_round(link: Link, told: dict[str, Any]) -> dict[str, Any]:
    """Take what the other node sent, give what waits for it; the answer of POST exchange."""
    mark = int(told.get("ack") or 0)
    with transaction.atomic():
        mark_acked(link, mark)
    ordered = take_messages(link, list(told.get("messages") or []))
    apply_waiting(link)
    link.refresh_from_db()
    nodes.change_over(link)
    out: dict[str, Any] = {
        "ack": link.received,
        "ordered": ordered,
        "time": timezone.now().isoformat(),
        "messages": waiting_messages(link, mark),
        "waiting": max(link.sent - mark, 0),
    }
    if link.side == rules.LOWER:
        out["lease"] = {"seconds": link.lease_seconds, "grants": grants_of(link)}
    return out


def grants_of(link: Link) -> dict[str, str]:
    """Every grant across this link by its code, with its state here and now."""
    now = timezone.now()
    out = {}
    for grant in Grant.objects.filter(pk__in=link.asks.exclude(grant=None).values("grant")):
        ended = grant.valid_to is not None and grant.valid_to <= now
        out[grant.code] = "expired" if ended and grant.state == Grant.ACTIVE else grant.state
    return out


# ---- the calling side --------------------------------------------------------------------


@contextmanager
def alone(link: Link) -> Iterator[bool]:
    """Yields True for the one process that talks on this link now; the lock dies with it."""
    holder = connection.get_new_connection({**connection.get_connection_params()})
    try:
        holder.autocommit = True
        row = holder.execute("SELECT pg_try_advisory_lock(%s, %s)", (_LOCK, link.pk)).fetchone()
        yield bool(row and row[0])
    finally:
        holder.close()


def converse(code: str, *, force: bool = False) -> str:
    """Talk with the other node until neither has anything left; returns "" or what went wrong.

    A failure is kept with the link and tried again later, after ever longer pauses. `force` does
    not wait for that.
    """
    link = Link.objects.select_related("own_key").filter(code=code).first()
    if link is None or not link.enabled or link.enrolled_at is None or not link.address:
        return ""
    now = timezone.now()
    if not force and link.next_try_at is not None and link.next_try_at > now:
        return link.last_error
    with alone(link) as mine:
        if not mine:
            return ""
        try:
            for _ in range(ROUNDS):
                if not _round(link):
                    break
        except wire.WireError as error:
            return _failed(link, error)
        apply_waiting(link)
    moving = link.transfers.filter(sending=True, stage__in=[Transfer.PREPARING, Transfer.MOVING])
    for transfer in moving:
        wake("carry", transfer.code, code=transfer.code)
    return ""


def _round(link: Link) -> bool:
    """One request and its answer; returns whether there is more to say."""
    link.refresh_from_db()
    sent_at, before = timezone.now(), link.acked
    messages = waiting_messages(link, link.acked)
    body = json.dumps(
        {"messages": messages, "ack": link.received, "time": sent_at.isoformat()},
        ensure_ascii=False,
    ).encode()
    answer = wire.call(caller_for(link), "POST", "exchange", body, reserve_stamp(link))
    with transaction.atomic():
        mark_acked(link, int(answer["ack"]))
        row = Link.objects.select_for_update().get(pk=link.pk)
        row.failures, row.next_try_at, row.last_error = 0, None, ""
        row.last_contact_at = timezone.now()
        row.skew_ms = _skew(sent_at, str(answer.get("time") or ""))
        if int(answer["ack"]) < row.acked:
            # The other node went back to an older state (a backup): tell it again from there.
            row.acked, row.gaps = max(int(answer["ack"]), 0), row.gaps + 1
        row.save()
        nodes.drop_former_keys(row, str(answer[wire.USED_KEY]))
    link.refresh_from_db()
    nodes.change_over(link)
    try:
        take_messages(link, list(answer.get("messages") or []))
    except UserError as malformed:
        raise wire.WireError(str(malformed), "malformed", True) from malformed
    apply_waiting(link)
    if "lease" in answer and link.side == rules.UPPER:
        requests.renew(link, dict(answer["lease"]), sent_at)
    link.refresh_from_db()
    progressed = not messages or link.acked >= int(messages[0]["seq"]) or link.acked < before
    if not progressed and not answer.get("messages"):
        # The other side took nothing: it is full, or it refused; later again.
        raise wire.WireError(rules.ERRORS["busy"], "busy", True)
    return link.acked < link.sent or bool(answer.get("messages"))


def _skew(sent_at: dt.datetime, told: str) -> int:
    """The other clock minus ours, in milliseconds, as the middle of the call saw it."""
    try:
        theirs = dt.datetime.fromisoformat(told)
    except ValueError:
        return 0
    if theirs.tzinfo is None:
        return 0
    middle = sent_at + (timezone.now() - sent_at) / 2
    return int((theirs - middle).total_seconds() * 1000)


def _failed(link: Link, error: wire.WireError) -> str:
    with transaction.atomic():
        row = Link.objects.select_for_update().get(pk=link.pk)
        row.failures += 1
        wait = rules.wait_seconds(row.failures)
        row.next_try_at = timezone.now() + dt.timedelta(seconds=wait)
        row.last_error = str(error)[:500]
        row.save(update_fields=["failures", "next_try_at", "last_error"])
        if wait < 60:
            # Longer pauses end with the clock's own tick.
            wake("converse", f"{row.code}:later", seconds=wait, link=row.code)
    if error.code == "disabled" and error.signed and link.side == rules.UPPER:
        requests.end_leases(link, "上级节点已停用与本节点的连接")
    return str(error)


def move_on() -> None:
    """The clock's tick: talk on every link (a lower node renews its leases so), apply what waits."""
    for link in Link.objects.filter(enabled=True).exclude(enrolled_at=None):
        apply_waiting(link)
        idle = link.side == rules.LOWER and link.acked >= link.sent
        if not idle:
            converse(link.code)
        landing = link.transfers.filter(sending=False, stage=Transfer.LANDING)
        for transfer in landing:
            wake("land", transfer.code, code=transfer.code)


# ---- officers ----------------------------------------------------------------------------


@action("cascade.manage")
def retry_link(*, link: Link, by: Actor) -> None:
    """Try now instead of at the next turn."""
    row = Link.objects.select_for_update().get(pk=link.pk)
    row.next_try_at = None
    row.save(update_fields=["next_try_at"])
    record("link.retried", row, by=by)
    wake("converse", row.code, link=row.code)


@action("cascade.manage")
def retry_message(*, message: Incoming, by: Actor) -> None:
    """Try a message again whose effect failed."""
    if message.applied_at is not None:
        raise UserError("该消息已经生效")
    record("message.retried", message.link, by=by, data={"seq": message.seq, "kind": message.kind})
    wake("apply", message.link.code, link=message.link.code)


@action("cascade.manage")
def skip_message(*, message: Incoming, reason: str, by: Actor) -> None:
    """Let a message be without effect, with a reason on record, so that later ones can go on."""
    if len(reason.strip()) < 5:
        raise UserError("请写明不执行该消息的理由")
    row = Incoming.objects.select_for_update().get(pk=message.pk)
    if row.applied_at is not None:
        raise UserError("该消息已经生效")
    row.applied_at, row.error = timezone.now(), f"未执行：{reason.strip()}"[:500]
    row.save(update_fields=["applied_at", "error"])
    record(
        "message.skipped",
        row.link,
        by=by,
        data={"seq": row.seq, "kind": row.kind, "reason": reason.strip()},
    )
    wake("apply", row.link.code, link=row.link.code)


__all__ = [
    "HANDLERS",
    "KIND_TITLES",
    "answer_round",
    "apply_waiting",
    "converse",
    "grants_of",
    "move_on",
    "retry_link",
    "retry_message",
    "skip_message",
    "take_messages",
    "waiting_messages",
]
