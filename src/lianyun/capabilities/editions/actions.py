"""Actions: an edition is added; what is so already is left alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.db import connection

from lianyun.kernel.access import Actor
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from .models import Edition

KINDS = ("forms", "licences")
_LOCK = 0x6C79_0701


@action("editions.publish")
def publish(
    kind: str, code: str, content: Mapping[str, Any], *, note: str = "", by: Actor
) -> Edition:
    """Make this content the newest edition; the same content again adds none.

    Whoever calls has judged the content by the rules of its kind. Raises ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"no editions of {kind}")
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()
    with connection.cursor() as cursor:  # two at once take turns, so that numbers have no gaps
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    last = Edition.objects.filter(kind=kind, code=code).order_by("-number").first()
    if last is not None and last.digest == digest:
        record("edition.unchanged", last, by=by)
        return last
    made = Edition.objects.create(
        kind=kind,
        code=code,
        number=(last.number if last else 0) + 1,
        content=json.loads(json.dumps(content, ensure_ascii=False, default=str)),
        digest=digest,
        note=note[:300],
        by=by.party,
    )
    record(
        "edition.published", made, by=by, data={"kind": kind, "code": code, "version": made.number}
    )
    return made
