"""Health: whether requests can really be served: database, its shape, the lake's folder."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from lianyun.project import schema


def problems() -> dict[str, str]:
    """What keeps the product from serving, by part; empty when all is well."""
    found: dict[str, str] = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not schema.current(connection):
            found["migrations"] = "数据库结构尚未更新"
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
    return JsonResponse({"ok": not found, "problems": found}, status=503 if found else 200)
