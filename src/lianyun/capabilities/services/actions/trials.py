"""Trial: a credential for the test environment, where every row is invented."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Resource

from .. import rules
from ..models import Service, Trial

TRIAL_DAYS = 30


@action("services.read")
def issue_trial(*, source: Resource, by: Actor) -> str:
    """A test credential for the services of one source: `trial_id.secret`, good for 30 days.

    A department has one for each source: another asking replaces the former.
    """
    if by.department is None:
        raise UserError("请先选择所代表的部门")
    if not Service.objects.filter(source=source).exists():
        raise UserError(f"“{source.title}”还没有数据服务")
    secret = rules.new_secret()
    trial, _ = Trial.objects.update_or_create(
        source=source,
        department=by.department,
        defaults={
            "client_id": rules.new_trial_id(),
            "secret_hash": rules.secret_hash(secret),
            "valid_to": timezone.now() + dt.timedelta(days=TRIAL_DAYS),
        },
    )
    record("trial.issued", trial, by=by, data={"source": source.ref})
    return f"{trial.client_id}.{secret}"
