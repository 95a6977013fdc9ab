"""A city, its officers, and grants whose calls are on record."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from lianyun.capabilities.audit.models import CallRecord
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM
from lianyun.kernel.models import Grant, Party, Resource


@pytest.fixture
def grant(city: None) -> Callable[..., Grant]:
    """A grant of a dataset to a department."""

    def make(slug: str, dataset: str = "ga_residents", **more: Any) -> Grant:
        resource = Resource.objects.get(name=dataset)
        return grants.issue(
            kind="data",
            to=Party.objects.get(kind="department", slug=slug),
            grantor=resource.owner,
            resource=resource,
            terms={"fields": ["name"], "purpose": "低保核对"},
            by=SYSTEM,
            **more,
        )

    return make


@pytest.fixture
def called(city: None) -> Callable[..., None]:
    """Puts calls under a grant on record: at a local day and hour, of so many keys."""

    def make(
        grant: Grant,
        day: dt.date,
        hour: int,
        calls: int,
        *,
        keys: int = 5,
        outcome: str = "ok",
        channel: str = "api",
        resource: str = "",
    ) -> None:
        at = timezone.make_aware(dt.datetime.combine(day, dt.time(hour, 5)))
        CallRecord.objects.bulk_create(
            CallRecord(
                uid=secrets.token_hex(12),
                at=at + dt.timedelta(seconds=n % 3000),
                channel=channel,
                by=grant.grantee.ref,
                department_id=grant.grantee_id,
                grant_code=grant.code,
                resource=resource or (grant.resource.name if grant.resource else ""),
                key_hash=f"{outcome[:2]}{hour:02d}{n % keys:028d}",
                rows=1 if outcome == "ok" else 0,
                micros=900,
                outcome=outcome,
                link=1,
            )
            for n in range(calls)
        )

    return make
