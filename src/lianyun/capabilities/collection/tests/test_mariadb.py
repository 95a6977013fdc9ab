"""MariaDB: a real server on loopback is a source like any other."""

from __future__ import annotations

import pytest

from lianyun.capabilities.collection import actions, api
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Resource
from lianyun.project.testing import MariaDB

from .test_load import A, B

pytestmark = pytest.mark.mariadb


@pytest.fixture(scope="module")
def server(mariadb_server: MariaDB) -> int:
    """The port of a MariaDB with a table of people and a reader."""
    with mariadb_server.connect() as con, con.cursor() as cursor:
        cursor.execute("CREATE DATABASE hz CHARACTER SET utf8mb4")
        cursor.execute("CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'S3cret word'")
        cursor.execute("GRANT SELECT ON hz.* TO reader@'127.0.0.1'")
        cursor.execute(
            "CREATE TABLE hz.people (citizen_number varchar(18), name varchar(50), sex char(1),"
            " birth_date date, amount decimal(10,2), updated datetime)"
        )
        cursor.executemany(
            "INSERT INTO hz.people VALUES (%s, %s, '1', '1990-01-01', %s, %s)",
            [
                (A, "张三", "12.50", "2026-01-01 08:00:00"),
                (B, "李𠮷", "-3", "2026-01-02 08:00:00"),
            ],
        )
        con.commit()
    return mariadb_server.port


def test_a_mariadb_table_is_collected(
    people: Resource, officer: Actor, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIANYUN_SOURCE_HOSTS", f"127.0.0.1:{server}")
    told = {
        "dataset": "people",
        "name": "hz",
        "kind": "mysql",
        "location": f"mysql://127.0.0.1:{server}/hz",
        "options": {"table": "people"},
        "mode": "incremental",
        "watermark": "updated",
        "replace": True,
        "by": officer,
    }
    row = api.register_source(**told, credentials={"user": "reader", "password": "wrong"})
    refused = actions.test_source(source=row, by=officer)
    assert not refused["ok"]
    assert "wrong" not in refused["message"]
    row = api.register_source(**told, credentials={"user": "reader", "password": "S3cret word"})
    assert actions.test_source(source=row, by=officer)["ok"]
    first = api.load_source("hz", by=officer)
    assert (first["landed"], first["accepted"], first["rejected"]) == (2, 2, 0)
    again = api.load_source("hz", by=officer)
    assert again["landed"] == again["unchanged"]
