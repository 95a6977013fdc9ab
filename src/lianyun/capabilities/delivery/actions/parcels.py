"""Carrying: parcel after parcel to one receiver, by one process at a time, each with its record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import transaction
from django.utils import timezone
from procrastinate import exceptions
from procrastinate.contrib.django import app

from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Grant
from lianyun.lake.shelves import LakeError

from .. import adapters, queries, rules
from ..models import Delivery, Subscription
from ..rules import Parcel, Receipt, ReceiverError, Stopped
from .recording import Recording

RUN = "lianyun.run"
MOST_PARCELS = 500
"""So many parcels in one job; the next minute goes on."""
log = logging.getLogger("lianyun.delivery")


def queue(code: str) -> bool:
    """Have a worker look at a subscription; False where one is asked to already."""
    task = app.configure_task(
        RUN, queue="jobs", queueing_lock=f"delivery:{code}", lock=f"delivery:{code}"
    )
    try:
        with transaction.atomic():
            task.defer(path="lianyun.capabilities.delivery.jobs.carry", arguments={"code": code})
    except exceptions.AlreadyEnqueued:
        return False
    return True


def queue_due(*, by: Actor) -> list[str]:
    """Queue every subscription that has something to take or to try again; returns their codes."""
    by.require("delivery.supervise")
    return [row.code for row in queries.waiting(timezone.now()) if queue(row.code)]


def carry(*, code: str, by: Actor) -> int:
    """Bring a receiver up to date as far as it takes parcels; returns how many it took.

    Safe to repeat and to be killed at any point: the receiver's position and the rows are one
    transaction (databases), a parcel that lies there whole is known by its mark (files), and a part
    that is sent twice carries the same idempotency key (webhook).
    """
    by.require("delivery.supervise")
    row = Subscription.objects.get(code=code)
    with adapters.alone(row.pk) as mine:
        if not mine:
            return 0
        done = 0
        while done < MOST_PARCELS and _step(code, by):
            done += 1
        return done


def _step(code: str, by: Actor) -> bool:
    """One parcel; False where nothing more is to be done now."""
    row = Subscription.objects.select_related(
        "grant__resource__owner", "grant__grantee", "grant__case"
    ).get(code=code)
    now = timezone.now()
    parcel = row.deliveries.filter(finished_at=None).first()
    if (
        row.kind == rules.PULL
        or row.paused
        or not (row.grant.in_force(now) and queries.allows(row.grant, "feed"))
        or (parcel is not None and parcel.dead_at is not None)
        or (row.next_at is not None and row.next_at > now)
    ):
        return False
    try:
        return _bring(row, parcel, by)
    except Stopped as stopped:
        _fail(row=row, message=str(stopped), final=False, away=True, by=by)
    except ReceiverError as error:
        _fail(row=row, message=str(error), final=error.final, away=error.away, by=by)
    except LakeError as error:
        _fail(row=row, message=str(error), final=False, away=True, by=by)
    except Exception as error:
        log.exception("delivery %s", code)
        _fail(row=row, message=f"平台内部错误：{str(error)[:300]}", final=False, away=False, by=by)
    return False


def _bring(row: Subscription, open_one: Delivery | None, by: Actor) -> bool:
    receiver = adapters.open_receiver(
        row.kind,
        row.location,
        row.options,
        adapters.unsealed(row.secret),
        vouched=row.vouched,
    )
    stand = receiver.stands(row.code, row.number)
    if (
        open_one is not None
        and stand is not None
        and (stand.number, stand.position, stand.shape)
        == (open_one.number, open_one.upto, open_one.shape)
    ):
        # it had been taken when we were cut off before noting so
        settle(delivery=open_one, receipt=None, by=by)
        return True
    if row.kind in rules.DATABASES:
        stood, shape = (stand.position, stand.shape) if stand else ("", "")
    else:
        stood, shape = row.position, row.shape
    since = "" if row.anew else _beyond_skipped(row, stood)
    upto = open_one.upto if open_one is not None and open_one.since == since else ""
    told = queries.portion_of(SYSTEM, row.grant, queries.salt_of(row))
    with adapters.taking(told, since, upto, shape=shape) as taken:
        if taken is None:
            up_to_date(row, since, shape)
            return False
        quiet = not taken.full and not taken.upserts and not taken.deletes
        if quiet and row.kind not in rules.DATABASES:
            up_to_date(row, taken.upto, taken.shape)
            return True
        delivery = None if quiet else begin(row=row, open_one=open_one, taken=taken, by=by)
        assert row.grant.resource is not None
        parcel = Parcel(
            row.code,
            delivery.number if delivery else row.number,
            taken.since,
            taken.upto,
            taken.shape,
            str(row.options.get("table") or row.grant.resource.name),
            str(row.grant.resource),
            queries.titles_of(SYSTEM, row.grant.resource),
            delivery.part if delivery else 0,
            stood,
        )

        def sent(part: int) -> None:
            if delivery is not None:
                Delivery.objects.filter(pk=delivery.pk).update(part=part)

        due = delivery if delivery is not None and not delivery.recorded else None
        people = Recording.of(taken) if due is not None else []
        with receiver.packing(taken), Recording(row, due, taken, people) as recording:
            receipt = receiver.give(taken, parcel, still_of(row.grant), sent, recording.wait)
    if delivery is None:
        up_to_date(row, parcel.upto, parcel.shape)
    else:
        settle(delivery=delivery, receipt=receipt, by=by)
    return True


def _beyond_skipped(row: Subscription, position: str) -> str:
    """The position after parcels that somebody decided to leave out."""
    skipped = row.deliveries.exclude(skipped_by="").exclude(since="")
    seen: set[str] = set()
    while position and position not in seen:
        seen.add(position)
        left = skipped.filter(since=position).order_by("-id").first()
        if left is None:
            break
        position = left.upto
    return position


def still_of(grant: Grant) -> Callable[[], None]:
    """A check, at most each second, that the right still holds; raises Stopped."""
    last = 0.0

    def check() -> None:
        nonlocal last
        if time.monotonic() - last < 1:
            return
        last = time.monotonic()
        if not Grant.objects.get(pk=grant.pk).in_force():
            raise Stopped("授权已暂停、撤销或到期，传送已中止并撤回")

    return check


@action(None)
def begin(
    *, row: Subscription, open_one: Delivery | None, taken: adapters.Taken, by: Actor
) -> Delivery:
    """The open delivery for what is taken; one for another change gives way to it."""
    wanted = (taken.since, taken.upto, taken.shape)
    if open_one is not None and (open_one.since, open_one.upto, open_one.shape) != wanted:
        open_one.delete()
        open_one = None
    if open_one is None:
        open_one = Delivery(
            subscription=row,
            number=row.number + 1,
            since=taken.since,
            upto=taken.upto,
            shape=taken.shape,
        )
    open_one.upserts, open_one.deletes = taken.upserts, taken.deletes
    open_one.attempts += 1
    open_one.save()
    record(
        "delivery.begun",
        row,
        by=by,
        case=row.grant.case_id,
        data={"number": open_one.number, "upto": taken.upto, "attempt": open_one.attempts},
    )
    return open_one


def up_to_date(row: Subscription, position: str, shape: str) -> None:
    """Nothing that this receiver may see has changed: only the position moves."""
    Subscription.objects.filter(pk=row.pk).update(
        position=position,
        shape=shape or row.shape,
        taken_at=timezone.now() if row.position != position or row.error else row.taken_at,
        attempts=0,
        next_at=None,
        error="",
    )
    row.deliveries.filter(finished_at=None).delete()


@action(None)
def settle(*, delivery: Delivery, receipt: Receipt | None, by: Actor) -> None:
    row = Subscription.objects.select_for_update().get(pk=delivery.subscription_id)
    now = timezone.now()
    if receipt is not None and receipt.size:
        delivery.size, delivery.digest = receipt.size, receipt.digest
    delivery.finished_at, delivery.error = now, ""
    delivery.save(update_fields=["size", "digest", "finished_at", "error"])
    row.position, row.shape, row.number = delivery.upto, delivery.shape, delivery.number
    row.taken_at, row.attempts, row.next_at, row.error = now, 0, None, ""
    row.anew = row.anew and not delivery.full
    row.save()
    record(
        "delivery.finished",
        row,
        by=by,
        case=row.grant.case_id,
        data={
            "number": delivery.number,
            "since": delivery.since,
            "upto": delivery.upto,
            "upserts": delivery.upserts,
            "deletes": delivery.deletes,
            "digest": delivery.digest,
            "record": delivery.recorded,
        },
    )


@action(None)
def _fail(*, row: Subscription, message: str, final: bool, away: bool, by: Actor) -> None:
    """Wait longer each time; what is refused for good, or too often, is a dead letter."""
    row = Subscription.objects.select_for_update().get(pk=row.pk)
    now = timezone.now()
    row.attempts += 1
    row.error = message[:2000]
    row.next_at = now + rules.pause(row.attempts)
    row.save(update_fields=["attempts", "error", "next_at"])
    dead = final or (not away and row.attempts >= rules.ATTEMPTS)
    parcel = row.deliveries.filter(finished_at=None).first()
    if dead and parcel is None:
        parcel = Delivery(subscription=row, number=row.number + 1, since=row.position, upto="")
    if parcel is not None:
        parcel.error = row.error
        parcel.dead_at = now if dead else None
        parcel.save()
    if dead or row.attempts == 1:
        record(
            "delivery.dead" if dead else "delivery.failed",
            row,
            by=by,
            case=row.grant.case_id,
            data={
                "to": row.grant.grantee.ref,
                "title": str(row.grant.resource),
                "number": parcel.number if parcel is not None else row.number + 1,
                "error": row.error[:300],
                "attempts": row.attempts,
            },
        )
    else:
        record("delivery.failed_again", row, by=by, data={"attempts": row.attempts})
