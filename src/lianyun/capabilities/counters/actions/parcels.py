"""Parcels: chosen by the applicant, ordered once at the courier, followed until they are delivered."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.hall import api as hall_api
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Party

from ..adapters import courier as couriers
from ..adapters.declared import courier as declared
from ..models import Hall, Parcel
from ..queries import parcels as queries
from ..rules import parcels as rules

USE = "counters.address"
DOWN = "寄递企业暂时没有响应，已记下您的选择，稍后自动下单"


@action(None)
def choose(
    application: hall_api.Application,
    way: str,
    *,
    hall: Hall,
    address: Mapping[str, str],
    by: Actor,
) -> Parcel:
    """Choose the courier for originals or for the result; the address is sealed at once.

    Raises UserError (not offered, twice, an address that no courier can use).
    """
    if way not in dict(queries.ways(by, application)):
        raise UserError("这份申请不能这样寄送，或者已经选择过")
    try:
        told = rules.address(address)
    except rules.BadAddress as wrong:
        raise UserError(str(wrong)) from wrong
    assert application.case is not None
    assert by.party is not None
    try:
        with transaction.atomic():
            made = Parcel.objects.create(
                case=application.case,
                application=application.code,
                item_name=application.item_name,
                person=application.applicant,
                by=by.party,
                department=application.department,
                hall=hall,
                way=way,
                sealed=audit.encrypt(json.dumps(told.plain()).encode(), USE),
                shown=told.shown,
                courier=str(declared()["name"]),
            )
    except IntegrityError as twice:
        raise UserError("这份申请已经选择过寄送") from twice
    record("parcel.chosen", made, by=by, case=application.case, data={"outcome": rules.WAYS[way]})
    return made


@action(None)
def cancel(parcel: Parcel, *, by: Actor) -> None:
    """Take the choice back while the courier has no order."""
    queries.application_of(by, parcel.application)
    row = Parcel.objects.select_for_update().get(pk=parcel.pk)
    if row.sent_at is not None or row.cancelled_at is not None:
        raise UserError("已经下单，不能取消；请联系寄递企业")
    row.cancelled_at, row.sealed = timezone.now(), ""
    row.save(update_fields=["cancelled_at", "sealed"])
    record("parcel.cancelled", row, by=by, case=row.case)


@action(None)
def order_originals(parcel: Parcel, *, by: Actor) -> Parcel:
    """Have the courier fetch originals at the applicant's door. Raises UserError while it is down."""
    queries.application_of(by, parcel.application)
    if parcel.way != rules.ORIGINALS:
        raise UserError("办理结果由窗口寄出")
    return _order(parcel, by)


def _of_parcel(parcel: Parcel, *args: object, **kwargs: object) -> Party:
    return parcel.department


@action(queries.POST, department=_of_parcel)
def post(parcel: Parcel, *, by: Actor) -> Parcel:
    """Hand the result to the courier, once the case is closed; a second press changes nothing."""
    if parcel.way == rules.RESULT and parcel.case.state != Case.CLOSED:
        raise UserError("办结后才能寄出结果")
    return _order(parcel, by)


def _order(parcel: Parcel, by: Actor) -> Parcel:
    row = (
        Parcel.objects.select_for_update(of=("self",))
        .select_related("hall", "case")
        .get(pk=parcel.pk)
    )
    if row.cancelled_at is not None:
        raise UserError("这件寄送已取消")
    if row.sent_at is not None:
        record("parcel.sent_already", row, by=by, case=row.case)
        return row
    person = json.loads(audit.decrypt(row.sealed, USE))
    desk = {"name": row.hall.title, "phone": row.hall.phone, "place": row.hall.address}
    sender, receiver = (person, desk) if row.way == rules.ORIGINALS else (desk, person)
    try:
        # Tried again after a crash it is the same order: its key and its time stay the same.
        waybill = couriers.courier().place(row.ref, sender, receiver, row.chosen_at)
    except couriers.CourierDown as down:
        raise UserError(DOWN) from down
    except couriers.CourierRefused as refused:
        raise UserError(f"寄递企业没有接单：{refused}") from refused
    row.waybill, row.sent_at = waybill, timezone.now()
    row.trail = [{"at": row.sent_at.isoformat(), "step": "ordered", "words": "已下单"}]
    row.save(update_fields=["waybill", "sent_at", "trail"])
    record("parcel.sent", row, by=by, case=row.case, data={"outcome": f"{row.courier} {waybill}"})
    return row


@action(None)
def track_all(*, by: Actor) -> dict[str, int]:
    """Order what could not be ordered and ask how far the others are; returns how many of each."""
    told = {"ordered": 0, "asked": 0, "delivered": 0, "down": 0}
    for parcel in queries.under_way(by)[:500]:
        try:
            if parcel.sent_at is None:
                _order(parcel, by)
                told["ordered"] += 1
            elif _track(parcel, by):
                told["delivered"] += 1
            told["asked"] += 1
        except UserError:
            told["down"] += 1
    record("parcels.tracked", "system:counters", by=by, data=told)
    return told


def _track(parcel: Parcel, by: Actor) -> bool:
    row = Parcel.objects.select_for_update(of=("self",)).select_related("case").get(pk=parcel.pk)
    try:
        scans = couriers.courier().track(row.waybill)
    except (couriers.CourierDown, couriers.CourierRefused) as wrong:
        raise UserError(str(wrong)) from wrong
    row.tracked_at = timezone.now()
    if len(scans) >= len(row.trail):
        row.trail = [s.plain() for s in scans]
    end: dt.datetime | None = next((s.at for s in scans if s.step == couriers.DELIVERED), None)
    if end is not None and row.delivered_at is None:
        # What was needed to bring it is needed no longer.
        row.delivered_at, row.sealed = end, ""
        record("parcel.delivered", row, by=by, case=row.case, data={"outcome": row.waybill})
    row.save(update_fields=["tracked_at", "trail", "delivered_at", "sealed"])
    return end is not None


@action(None)
def track(parcel: Parcel, *, by: Actor) -> None:
    """Ask now how far a parcel is, for whose application it is."""
    queries.application_of(by, parcel.application)
    if parcel.sent_at is None:
        raise UserError("还没有下单")
    _track(parcel, by)
    record("parcel.asked_after", parcel, by=by, case=parcel.case)


__all__ = ["cancel", "choose", "order_originals", "post", "track", "track_all"]
