"""Event: one thing that happened, in the one append-only ledger: audit, outbox, timeline.

Events are written inside the transaction of the action they tell of, and sealed afterwards into a
hash chain by one sealer at a time, so that writers never wait for each other (ADR 0004). Personal
data stand beside the hashed part under a salted digest: they can be forgotten, the chain stays whole.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection, models, transaction
from django.utils import timezone
from procrastinate.contrib.django import app

from . import rows
from .manifest import function_at, listeners
from .party import Party

if TYPE_CHECKING:
    from .access import Actor

SEAL_LOCK = 0x6C79_0001
GENESIS = "0" * 64
DELIVER = "lianyun.deliver"

recorded: ContextVar[int] = ContextVar("recorded", default=0)
_held: ContextVar[list[tuple[Event, Any]] | None] = ContextVar("held", default=None)


class Event(models.Model):
    """One recorded step; never changed, except that its personal part may be forgotten."""

    kind = models.CharField("事件", max_length=80)
    at = models.DateTimeField("时间", default=timezone.now)
    subject = models.CharField("对象", max_length=160)
    by = models.CharField("行为人", max_length=120)
    by_name = models.CharField("行为人姓名", max_length=120, blank=True, default="")
    department = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    case_id_ref = models.BigIntegerField("办件", null=True)
    data = models.JSONField("内容", default=dict)
    personal = models.JSONField("个人信息", null=True)
    salt = models.CharField(max_length=32, blank=True, default="")
    personal_digest = models.CharField(max_length=64, blank=True, default="")
    seq = models.BigIntegerField("链序", null=True, unique=True)
    hash = models.CharField("链值", max_length=64, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "事件"
        indexes = [
            models.Index(fields=["subject", "id"]),
            models.Index(fields=["case_id_ref", "id"]),
            models.Index(fields=["kind", "at"]),
            models.Index(fields=["id"], name="event_unsealed", condition=models.Q(seq=None)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

    def digest(self, before: str) -> str:
        """The chain value of this event after the one with the value `before` (SHA-256, hex)."""
        told = [
            before, self.pk, self.kind, self.at.timestamp(), self.subject, self.by, self.by_name,
            self.department_id, self.case_id_ref, self.data, self.personal_digest,
        ]  # fmt: skip
        body = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()


def _personal_digest(salt: str, personal: Any) -> str:
    body = json.dumps(personal, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{salt}{body}".encode()).hexdigest()


def ref_of(subject: Any) -> str:
    """The portable pointer of a subject: its `ref`, or the text itself."""
    return subject if isinstance(subject, str) else subject.ref


def record(
    kind: str,
    subject: Any,
    *,
    by: Actor,
    data: dict[str, Any] | None = None,
    personal: dict[str, Any] | None = None,
    case: Any = None,
) -> Event:
    """Write one event in the current transaction and wake its listeners after commit.

    `kind` is noun.past (`grant.issued`); `data` holds nothing personal: that goes to `personal`.
    Who acts for another is recorded with him (`data.behalf`, and in the name).
    """
    plain = json.loads(json.dumps(personal, default=str)) if personal else None
    both = {"behalf": by.behalf.ref} if by.behalf is not None else {}
    salt = secrets.token_hex(16) if plain else ""
    event = Event(
        kind=kind,
        subject=ref_of(subject),
        by=by.ref,
        by_name=f"{by.name}（代{by.behalf.name}）"[:120] if by.behalf is not None else by.name,
        department_id=by.department.pk if by.department is not None else None,
        case_id_ref=getattr(case, "pk", case),
        data=json.loads(json.dumps({**(data or {}), **both}, default=str)),
        personal=plain,
        salt=salt,
        personal_digest=_personal_digest(salt, plain) if plain else "",
    )
    recorded.set(recorded.get() + 1)
    if (held := _held.get()) is not None:
        held.append((event, case))
    else:
        _write([(event, case)])
    return event


@contextmanager
def gathered() -> Iterator[None]:
    """Events recorded within are written by one statement at its end, in their order.

    They have no number before, and nothing within may be undone alone (by a savepoint).
    """
    outer, held = _held.get(), list[tuple[Event, Any]]()
    token = _held.set(held if outer is None else outer)
    try:
        yield
    finally:
        _held.reset(token)
    if held:
        _write(held)


def _write(told: list[tuple[Event, Any]]) -> None:
    """Write events, each with its case, and queue what those who listen are to do."""
    text, values = rows.inserting([event for event, _ in told])
    with connection.cursor() as cursor:
        cursor.execute(f"{text} RETURNING id", values)
        numbers = [int(row[0]) for row in cursor.fetchall()]
    jobs: list[dict[str, Any]] = []
    for number, (event, case) in zip(numbers, told, strict=True):
        event.pk = number
        event._state.adding, event._state.db = False, connection.alias
        for run, mark in listeners(event.kind):
            key, path = getattr(case, "data", ()), mark and getattr(case, "key", None)
            if mark == path or (mark[:1] == "?" and mark[1:] in key):
                jobs.append({"event_id": event.pk, "run": run})
    if jobs:
        app.configure_task(DELIVER, queue="events").batch_defer(*jobs)


def record_many(kind: str, entries: Iterable[tuple[Any, dict[str, Any]]], *, by: Actor) -> int:
    """Write one event for each (subject, data) in one statement; returns how many.

    For what happens to thousands at once: nobody may listen to such a kind (ValueError), and
    nothing personal may stand in the data.
    """
    if listeners(kind):
        raise ValueError(f"{kind} has listeners: record each")
    ref, name = by.ref, by.name
    department = by.department.pk if by.department is not None else None
    events = [
        (kind, ref_of(subject), ref, name, department, json.dumps(data, default=str))
        for subject, data in entries
    ]
    rows.pour(Event, ("kind", "subject", "by", "by_name", "department_id", "data"), events)
    recorded.set(recorded.get() + len(events))
    return len(events)


def deliver(event_id: int, run: str) -> None:
    """Call one listener with one event (a job of its own, with retries); it must bear a second call."""
    function_at(run)(Event.objects.get(pk=event_id))


def timeline(subject: Any) -> models.QuerySet[Event]:
    """Events about a subject, oldest first."""
    return Event.objects.filter(subject=ref_of(subject)).order_by("id")


def forget(events: models.QuerySet[Event]) -> int:
    """Erase the personal part of events (个人信息保护法 art. 47); the chain still verifies."""
    return events.update(personal=None, salt="")


def seal(limit: int = 5000) -> int:
    """Chain the committed, unsealed events; returns how many. One sealer at a time, others leave."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEAL_LOCK])
            if not cursor.fetchone()[0]:
                return 0
        last = Event.objects.exclude(seq=None).order_by("-seq").first()
        number, value = (last.seq or 0, last.hash) if last else (0, GENESIS)
        waiting = list(Event.objects.filter(seq=None).order_by("id")[:limit])
        for event in waiting:
            number += 1
            value = event.digest(value)
            event.seq, event.hash = number, value
        Event.objects.bulk_update(waiting, ["seq", "hash"], batch_size=1000)
        return len(waiting)


@dataclass(frozen=True)
class Verdict:
    """What a walk over the chain found: links checked, and the first broken one, if any."""

    checked: int
    broken: int | None = None
    reason: str = ""

    @property
    def ok(self) -> bool:
        """True when every link holds."""
        return self.broken is None


def verify() -> Verdict:
    """Walk the whole chain; names the first event that was changed, taken out or put in."""
    while seal():
        pass
    value, number = GENESIS, 0
    for event in Event.objects.exclude(seq=None).order_by("seq").iterator(chunk_size=2000):
        number += 1
        if event.seq != number:
            return Verdict(number - 1, number, f"链中缺少第 {number} 条事件")
        value = event.digest(value)
        if value != event.hash:
            return Verdict(number - 1, event.pk, f"事件 {event.pk}（链序 {number}）的内容被改动过")
        if event.personal is not None and event.personal_digest != _personal_digest(
            event.salt, event.personal
        ):
            return Verdict(number - 1, event.pk, f"事件 {event.pk} 的个人信息部分被改动过")
    return Verdict(number)
