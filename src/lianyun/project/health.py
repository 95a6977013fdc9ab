"""Health: whether requests can really be served: database, its shape, the lake's folder, the proof."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import ANONYMOUS
from lianyun.project import schema


def warnings() -> dict[str, str]:
    """What will keep the product from serving unless it is mended in time, by part."""
    standing = audit.standing(ANONYMOUS)
    return {"proof": standing.reason} if standing.open and standing.reason else {}


def problems() -> dict[str, str]:
    """What keeps the product from serving, by part; empty when all is well."""
    found: dict[str, str] = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not schema.current(connection):
            found["migrations"] = "数据库结构尚未更新"
        else:
            standing = audit.standing(ANONYMOUS)
            if not standing.open:
                found["proof"] = standing.reason
    except DatabaseError:
        found["database"] = "数据库无法连接"
    if "://" not in settings.LAKE:
        folder = Path(settings.LAKE)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                found["lake"] = "数据湖目录不可写"
        except OSError:
            found["lake"] = "数据湖目录无法建立"
    return found


def healthz(request: HttpRequest) -> JsonResponse:
    """200 only when requests can really be served, else 503 with what is wrong."""
    found = problems()
    said: dict[str, Any] = {"ok": not found, "problems": found}
    coming = {} if found else warnings()
    if coming:
        said["warnings"] = coming
    return JsonResponse(said, status=503 if found else 200)
