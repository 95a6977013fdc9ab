"""Devices: a terminal is registered by its hall, enrolled with a one-time code, seen, closed."""

from __future__ import annotations

import datetime as dt
import secrets

from django.db import models
from django.utils import timezone

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Party

from ..adapters.declared import rules as declared
from ..models import Device, Hall
from ..queries.halls import MANAGE, key_hash
from ..rules.booking import CODE, LETTERS, plain

TRIES = 12
"""So many look-ups by code a terminal may make in a minute."""
STALE = dt.timedelta(minutes=1)


def _of_hall(hall: Hall, *args: object, **kwargs: object) -> Party:
    return hall.department


def _of_device(device: Device, *args: object, **kwargs: object) -> Party:
    return device.hall.department


def _new_code(row: Device) -> str:
    code = "".join(secrets.choice(LETTERS) for _ in range(CODE))
    row.code_hash = key_hash(code)
    row.code_until = timezone.now() + dt.timedelta(minutes=int(declared()["device_code_minutes"]))
    return code


@action(MANAGE, department=_of_hall)
def add_device(hall: Hall, *, name: str, street: str, by: Actor) -> tuple[Device, str]:
    """Register a terminal; returns it with its one-time code, which is told only now."""
    if not name.strip() or not street.strip():
        raise UserError("请填写终端名称和安放地点")
    row = Device(hall=hall, name=name.strip()[:60], street=street.strip()[:120])
    code = _new_code(row)
    row.save()
    record("terminal.registered", row, by=by, data={"title": row.name, "street": row.street})
    return row, code


@action(MANAGE, department=_of_device)
def renew_code(device: Device, *, by: Actor) -> str:
    """A new one-time code for a terminal that was set up anew; its former key ends."""
    row = Device.objects.select_for_update().get(pk=device.pk)
    if row.closed_at is not None:
        raise UserError("这台终端已停用")
    code = _new_code(row)
    row.key_hash, row.enrolled_at = None, None
    row.save()
    record("terminal.code_renewed", row, by=by, data={"title": row.name})
    return code


@action(MANAGE, department=_of_device)
def close_device(device: Device, *, by: Actor) -> None:
    """Take a terminal out of use: its next page is the registration."""
    row = Device.objects.select_for_update().get(pk=device.pk)
    row.closed_at, row.key_hash, row.code_hash = timezone.now(), None, ""
    row.save()
    record("terminal.closed", row, by=by, data={"title": row.name})


@action(None)
def enroll(code: str, *, by: Actor) -> tuple[Device, str]:
    """A terminal shows its one-time code and gets its key; the code is used up. Raises UserError."""
    row = (
        Device.objects.select_for_update(of=("self",))
        .select_related("hall")
        .filter(code_hash=key_hash(plain(code)), code_until__gt=timezone.now(), closed_at=None)
        .exclude(code_hash="")
        .first()
    )
    if row is None:
        raise UserError("注册码不正确或已过期，请向大厅管理员要一个新的")
    key = secrets.token_urlsafe(32)
    row.key_hash, row.code_hash, row.code_until = key_hash(key), "", None
    row.enrolled_at = row.last_seen = timezone.now()
    row.save()
    record("terminal.enrolled", row, by=by, data={"title": row.name, "street": row.street})
    return row, key


def seen(device: Device) -> None:
    """Note that a terminal is alive, at most once a minute; no event, or the ledger would be full of it."""
    now = timezone.now()
    if device.last_seen is None or now - device.last_seen > STALE:
        Device.objects.filter(pk=device.pk).update(last_seen=now)


def spend(device: Device) -> None:
    """Count one look-up by code; raises UserError above the limit, so that codes are not tried out."""
    minute = int(timezone.now().timestamp() // 60)
    fresh = Device.objects.filter(pk=device.pk).exclude(minute=minute)
    if fresh.update(minute=minute, tries=1):
        return
    Device.objects.filter(pk=device.pk).update(tries=models.F("tries") + 1)
    if Device.objects.filter(pk=device.pk, tries__gt=TRIES).exists():
        raise UserError("查询次数过多，请一分钟后再试")


__all__ = ["add_device", "close_device", "enroll", "renew_code", "seen", "spend"]
