"""`/healthz` is 200 only when requests can really be served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

pytestmark = pytest.mark.django_db


def test_all_is_well(client: Any, fresh_lake: Any) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"ok": True, "problems": {}}


def test_a_lake_that_cannot_be_written_is_named(client: Any, settings: Any, tmp_path: Path) -> None:
    file = tmp_path / "a-file-not-a-folder"
    file.touch()
    settings.LAKE = str(file)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert "lake" in answer.json()["problems"]


def test_a_missing_migration_is_named(client: Any, fresh_lake: Any) -> None:
    MigrationRecorder(connection).record_unapplied("kernel", "0001_initial")
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert "migrations" in answer.json()["problems"]


def test_every_answer_has_the_policy(client: Any) -> None:
    for path in ("/healthz", "/no/such/page"):
        assert "script-src 'self'" in client.get(path).headers["Content-Security-Policy"]
