"""A lake in an S3-compatible store: a real gateway on loopback that checks every signature."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from lianyun.lake import objects
from lianyun.lake.engines import cluster
from lianyun.lake.land import Source
from lianyun.lake.merge import DatasetSpec, load, rejects
from lianyun.lake.shelves import Lake, LakeError, load_extension
from lianyun.lake.tests.conftest import ANNA, BORIS

KEYS = {"LIANYUN_S3_ACCESS_KEY": "lianyun", "LIANYUN_S3_SECRET_KEY": "a-long-secret/with+signs="}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a JuiceFS gateway (MinIO's S3 server) with one bucket, ``lake``."""
    program = Path(sys.executable).parent / "juicefs"
    if not program.exists():
        pytest.skip(
            "juicefs 未安装，对象存储没有测试：请运行 make test 或安装 requirements-dev.lock"
        )
    folder = tmp_path_factory.mktemp("store")
    place = f"sqlite3://{folder}/meta.db"
    environment = {
        **os.environ,
        "HOME": str(folder),
        "MINIO_ROOT_USER": KEYS["LIANYUN_S3_ACCESS_KEY"],
        "MINIO_ROOT_PASSWORD": KEYS["LIANYUN_S3_SECRET_KEY"],
    }
    made = ["format", "--storage", "file", "--bucket", f"{folder}/data", "--trash-days", "0"]
    subprocess.run(
        [str(program), *made, place, "lake"], env=environment, capture_output=True, check=True
    )
    port, metrics = cluster.free_port(), cluster.free_port()
    served = [
        "gateway",
        "--no-usage-report",
        "--cache-dir",
        f"{folder}/cache",
        "--cache-size",
        "64",
    ]
    served += ["--buffer-size", "64", "--metrics", f"127.0.0.1:{metrics}", place]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), *served, f"127.0.0.1:{port}"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                if httpx.get(f"{url}/minio/health/live").status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        else:
            raise RuntimeError((folder / "log").read_text("utf-8", "replace"))
        yield url
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def store(gateway: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store's URL, with this process told of it."""
    monkeypatch.setenv("LIANYUN_S3_ENDPOINT", gateway)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return gateway


def _listed(url: str, prefix: str) -> int:
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as con:
        objects.reach(con, "s3://lake", load_extension)
        row = con.execute(f"SELECT count(*) FROM glob('s3://lake/{prefix}/**')").fetchone()
        return int(row[0]) if row else 0


def test_a_lake_in_a_store_loads_upserts_reads_and_compacts(
    lake_dsn: str, store: str, people: DatasetSpec, rows: Callable[..., Source]
) -> None:
    lake = Lake(lake_dsn, "s3://lake/city/one", memory_limit="300MB")
    first = load(
        lake,
        people,
        rows((ANNA, "安娜", "1.5", "1991-01-01"), ("x", "", "", "")),
        "full",
        "b1",
    )
    assert (first.landed, first.accepted, first.rejected) == (2, 1, 1)
    second = load(
        lake,
        people,
        rows((ANNA, "安娜", "9.5", "1991-01-01"), (BORIS, "鲍里斯", "2", None)),
        "incremental",
        "b2",
    )
    assert (second.inserted, second.updated) == (1, 1)
    assert len(rejects(lake, "people", "b1")) == 1
    wanted = [(ANNA, 9.5), (BORIS, 2.0)]
    read = "SELECT id, CAST(amount AS DOUBLE) FROM lake.trusted.people ORDER BY id"
    with lake.connect() as con:
        assert con.execute(read).fetchall() == wanted
        files = con.execute(
            "SELECT data_file FROM ducklake_list_files('lake', 'people', schema => 'trusted')"
        ).fetchall()
        assert files
        assert all(str(f).startswith("s3://lake/city/one/trusted/people/") for (f,) in files)
        # a writer that dies leaves a file nobody knows
        con.execute("COPY (SELECT 1 AS a) TO 's3://lake/city/one/trusted/people/stray.parquet'")
        con.execute("CALL ducklake_rewrite_data_files('lake')")
        con.execute("CALL ducklake_merge_adjacent_files('lake')")
        assert con.execute(read).fetchall() == wanted
    removed = lake.orphans(older_than="0 seconds")
    assert any(f.endswith("stray.parquet") for f in removed)
    with lake.connect(read_only=True) as con:
        assert con.execute(read).fetchall() == wanted
    assert _listed(store, "city/one") > 0


def test_keys_never_stand_in_a_statement_or_an_error(
    lake_dsn: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = KEYS["LIANYUN_S3_SECRET_KEY"]
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as con:
        con.execute("CALL enable_logging('QueryLog')")
        objects.reach(con, "s3://lake", load_extension)
        told = str(con.execute("SELECT message FROM duckdb_logs").fetchall())
        assert "CREATE OR REPLACE SECRET" in told
        assert secret not in told
        assert secret not in str(con.execute("FROM duckdb_secrets()").fetchall())
        assert con.execute("SELECT getvariable('lianyun_secret')").fetchall() == [(None,)]
    assert secret not in repr(objects.store())
    monkeypatch.setenv("LIANYUN_S3_SECRET_KEY", "wrong-key")
    lake = Lake(lake_dsn, "s3://lake/other", memory_limit="200MB")
    with pytest.raises((LakeError, duckdb.Error)) as refused, lake.connect() as con:
        con.execute("CREATE TABLE lake.raw.t AS SELECT 1 AS a")
    assert "wrong-key" not in str(refused.value)


def test_a_file_of_keys_is_its_owners_alone(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys"
    file.write_text("# 对象存储\naccess_key = lianyun\nsecret_key = s=1\n", "utf-8")
    monkeypatch.setenv("LIANYUN_S3_CREDENTIALS", str(file))
    file.chmod(0o644)
    with pytest.raises(objects.StoreError, match="chmod 600"):
        objects.store()
    file.chmod(0o600)
    assert (objects.store().access_key, objects.store().secret_key) == ("lianyun", "s=1")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"LIANYUN_S3_SECRET_KEY": ""}, "密钥没有设置"),
        ({"LIANYUN_S3_ENDPOINT": "http://h:1/path"}, "应写作"),
        ({"LIANYUN_S3_CREDENTIALS": "/nowhere/keys"}, "读不到"),
    ],
)
def test_what_is_missing_is_said(
    store: str, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], told: str
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(objects.StoreError, match=told):
        objects.store()
