"""Collect: a department's database to a checked dataset, against a bare copy and against dlt.

``python benchmarks/collect.py [--rows N] [--wide N]`` fills a PostgreSQL and a MariaDB of its own
with a register of eight columns and takes it from each three ways, every side in a process of its
own: a bare stream to one Parquet file (PostgreSQL: ADBC and Arrow's writer; MariaDB, for which no
ADBC driver is in the registry: DuckDB's scanner and COPY), dlt with each of its Arrow backends
(the quickest counts; installed beside the product), and the lake: landed, checked item by item,
merged. `landed_of_bare` compares what is alike, the rows as they came in Parquet; `of_bare` and
`of_dlt` count the lake's checks and its second, typed table too, which the peers do not make.
Targets: landed_of_bare 0.8, of_dlt 2.5, 1 GB of memory at most. ``--wide`` rows of 600 columns are then taken from PostgreSQL under 1 GB.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BARE, DLT = 0.8, 2.5
TARGET_BYTES = 1_000_000_000
WIDE_COLUMNS = 600
COLUMNS = (
    ("serial", "bigint"),
    ("citizen_number", "varchar(18)"),
    ("name", "varchar(50)"),
    ("region", "varchar(6)"),
    ("address", "varchar(200)"),
    ("birth_date", "date"),
    ("amount", "decimal(12,2)"),
    ("updated_at", "timestamp"),
)
DLT_SCRIPT = """
import json, os, resource, sys, time
url, backend, folder = sys.argv[1:4]
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "false"
import dlt
from dlt.sources.sql_database import sql_table
begun = time.perf_counter()
table = sql_table(credentials=url, table="register", backend=backend, chunk_size=100_000)
pipeline = dlt.pipeline("bench", pipelines_dir=folder + "/p",
    destination=dlt.destinations.filesystem(bucket_url="file://" + folder + "/out"), dataset_name="d")
pipeline.run(table, loader_file_format="parquet")
rows = pipeline.last_trace.last_normalize_info.row_counts["register"]
print(json.dumps({"seconds": time.perf_counter() - begun, "rows": rows,
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def people_sql(first: int, rows: int) -> str:
    """DuckDB SQL of `rows` rows of the register; numbers carry right check digits."""
    digits = " + ".join(
        f"CAST(body[{i + 1}] AS BIGINT) * {w}"
        for i, w in enumerate((7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))
    )
    return f"""
SELECT serial, body || substr('10X98765432', 1 + (({digits}) % 11)::INTEGER, 1) AS citizen_number,
  '王' || substr('明华建国秀英丽军强敏', 1 + (serial % 10)::INTEGER, 1) AS name, region,
  '江苏省连云港市海州区朝阳中路' || (serial % 9999) || '号' AS address, born AS birth_date,
  (serial * 37 % 9999999 / 100)::DECIMAL(12,2) AS amount,
  TIMESTAMP '2026-01-01 08:00:00' + to_seconds(serial) AS updated_at
FROM (SELECT *, region || strftime(born, '%Y%m%d') || lpad((serial % 1000)::VARCHAR, 3, '0') AS body
  FROM (SELECT i AS serial, ['320703', '320706', '320707', '320722'][1 + (i % 4)] AS region,
    DATE '1940-01-01' + (i * 7919 % 24000)::INTEGER AS born
    FROM range({first}, {first + rows}) t(i)))"""


def checks() -> tuple[Any, ...]:
    """The register's items as a department would declare them."""
    from lianyun.lake.check import ItemCheck

    return (
        ItemCheck("serial", "序号", "N", "n..18", required=True),
        ItemCheck("citizen_number", "公民身份号码", check="citizen_number", required=True),
        ItemCheck("name", "姓名", format="an..50", required=True),
        ItemCheck("region", "区划", check="region", format="n6"),
        ItemCheck("address", "地址", format="an..100"),
        ItemCheck("birth_date", "出生日期", "D"),
        ItemCheck("amount", "金额", "Y", "n..12,2"),
        ItemCheck("updated_at", "更新时间", "T"),
    )


def bare(kind: str, url: str, folder: str) -> dict[str, Any]:
    """The table as one Parquet file, nothing looked at."""
    begun = time.perf_counter()
    rows = 0
    if kind == "postgres":
        import adbc_driver_postgresql.dbapi as adbc
        import pyarrow.parquet as parquet

        with adbc.connect(url) as con, con.cursor() as cursor:
            cursor.execute("SELECT * FROM register")
            reader = cursor.fetch_record_batch()
            with parquet.ParquetWriter(f"{folder}/bare.parquet", reader.schema) as out:
                for batch in reader:
                    out.write_batch(batch)
                    rows += batch.num_rows
    else:
        import duckdb

        from lianyun.lake.shelves import load_extension

        con = duckdb.connect(config={"threads": 2})
        load_extension(con, "mysql_scanner")
        con.execute(f"ATTACH '{url}' AS src (TYPE mysql, READ_ONLY)")
        done = con.execute(f"COPY (FROM src.bench.register) TO '{folder}/bare.parquet'").fetchone()
        rows = done[0] if done else 0
    return {"seconds": time.perf_counter() - begun, "rows": rows}


def lake(kind: str, url: str, folder: str, dsn: str) -> dict[str, Any]:
    """The lake: land, check, merge; its catalogue is there already."""
    from lianyun.lake.check import ItemCheck
    from lianyun.lake.land import from_mysql, from_postgres
    from lianyun.lake.merge import DatasetSpec, load
    from lianyun.lake.shelves import Lake

    items = checks()
    if kind == "wide":
        items = tuple(ItemCheck(f"c{i}", f"c{i}") for i in range(WIDE_COLUMNS))
    place = Lake(dsn, f"{folder}/lake")
    with place.connect():
        pass
    begun = time.perf_counter()
    source = (
        from_mysql(url, "register")
        if kind == "mariadb"
        else from_postgres(url, "register" if kind == "postgres" else "wide")
    )
    spec = DatasetSpec("register", items, ("serial",) if kind != "wide" else ("c0",))
    landed = [0.0]

    def tell(fraction: float, message: str) -> None:
        if fraction >= 0.55 and not landed[0]:
            landed[0] = time.perf_counter() - begun

    outcome = load(place, spec, source, "full", "bench", tell)
    return {
        "landed_seconds": landed[0],
        "seconds": time.perf_counter() - begun,
        "rows": outcome.landed,
        "accepted": outcome.accepted,
        "rejected": outcome.rejected,
    }


def fill(server: Any, maria: Any, rows: int, wide: int, folder: Path) -> None:
    """The register (and the wide table) written into the departments' databases."""
    import duckdb
    import psycopg

    listed = ", ".join(f"{n} {t}" for n, t in COLUMNS)
    duck = duckdb.connect(config={"threads": 2})
    csv = folder / "rows.csv"
    with psycopg.connect(server.url("department"), autocommit=True) as pg:
        pg.execute(f"CREATE TABLE register ({listed}, PRIMARY KEY (serial))".encode())
        for first in range(0, rows, 1_000_000):
            some = min(1_000_000, rows - first)
            duck.execute(f"COPY ({people_sql(first, some)}) TO '{csv}' (HEADER false)")
            with csv.open("rb") as file, pg.cursor().copy(b"COPY register FROM STDIN CSV") as copy:
                while block := file.read(1 << 20):
                    copy.write(block)
            if maria is not None:
                with maria.connect(local_infile=True) as con:
                    cursor = con.cursor()
                    cursor.execute("CREATE DATABASE IF NOT EXISTS bench CHARACTER SET utf8mb4")
                    told = listed.replace("timestamp", "datetime")
                    cursor.execute(
                        f"CREATE TABLE IF NOT EXISTS bench.register ({told}, PRIMARY KEY (serial))"
                    )
                    cursor.execute(
                        f"LOAD DATA LOCAL INFILE '{csv}' INTO TABLE bench.register "
                        "CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"'"
                    )
                    con.commit()
            csv.unlink()
        if wide:
            body = ", ".join(f"c{i} text" for i in range(WIDE_COLUMNS))
            pg.execute(f"CREATE UNLOGGED TABLE wide ({body})".encode())
            values = ", ".join(
                ["i::text"] + [f"'v' || ((i * {j} + 7) % 10007)" for j in range(1, WIDE_COLUMNS)]
            )
            pg.execute(
                f"INSERT INTO wide SELECT {values} FROM generate_series(1, {int(wide)}) i".encode()
            )
        pg.execute(b"ANALYZE")


def dlt_python(folder: Path) -> str:
    """A Python with dlt beside the product."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    env = folder / "dlt"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(env)], check=True)
    packages = [
        "dlt[filesystem,parquet,sql_database]", "connectorx", "psycopg2-binary", "pymysql", "numpy",
    ]  # fmt: skip
    python = str(env / "bin" / "python")
    subprocess.run([uv, "pip", "install", "-q", "--python", python, *packages], check=True)
    return python


def child(arguments: list[str]) -> dict[str, Any]:
    """Runs one side in a fresh process and returns its figures."""
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["?"])[-1][:300]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def quicker(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """The quickest of several runs; a failed one only where all failed."""
    good = [t for t in turns if "seconds" in t]
    return min(good, key=lambda t: float(t["seconds"])) if good else turns[0]


def main() -> int:
    """Measures every side; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description="部门数据库 → 已检查、可查询的数据集")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--wide", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--side", choices=("bare", "lake"))
    parser.add_argument("--kind")
    parser.add_argument("--url")
    parser.add_argument("--folder")
    parser.add_argument("--dsn")
    args = parser.parse_args()
    if args.side:
        made = (
            bare(args.kind, args.url, args.folder)
            if args.side == "bare"
            else lake(args.kind, args.url, args.folder, args.dsn)
        )
        made["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(made))
        return 0
    import psycopg

    from lianyun.project import postgres
    from lianyun.project.mariadb import mariadb

    results: list[dict[str, Any]] = []
    good = True
    with tempfile.TemporaryDirectory(prefix="collect-") as name, postgres.temporary() as server:
        folder = Path(name)
        with psycopg.connect(server.url("postgres"), autocommit=True) as con:
            con.execute("CREATE DATABASE department")
        python = dlt_python(folder)
        (folder / "mariadb").mkdir()
        quick = ("--general-log=0", "--innodb-buffer-pool-size=256M")
        with mariadb(folder / "mariadb", *quick) as maria:
            socket_file = maria.path
            fill(server, maria, args.rows, args.wide, folder)
            kinds = {
                "postgres": (server.url("department"), server.url("department")),
                "mariadb": (
                    f"host=localhost socket={socket_file} user=root database=bench",
                    f"mysql://root@localhost/bench?socket={socket_file}",
                ),
            }
            for kind, (plain, url) in kinds.items():
                sides: dict[str, list[dict[str, Any]]] = {"bare": [], "lake": [], "dlt": []}
                for turn in range(args.turns):
                    own = [sys.executable, __file__, "--kind", kind, "--folder"]
                    sides["bare"].append(child([*own, name, "--side", "bare", "--url", plain]))
                    base = f"lake_{kind}_{turn}"
                    with psycopg.connect(server.url("postgres"), autocommit=True) as con:
                        con.execute(f"CREATE DATABASE {base}".encode())
                    place = ["--side", "lake", "--url", url, "--dsn", server.url(base)]
                    sides["lake"].append(child([*own, f"{name}/{base}", *place]))
                    shutil.rmtree(f"{name}/{base}", ignore_errors=True)
                    for backend in ("pyarrow", "connectorx"):
                        target = (
                            url.replace("postgresql://", "postgresql+psycopg2://")
                            if kind == "postgres"
                            else f"mysql+pymysql://root@localhost/bench?unix_socket={socket_file}"
                        )
                        out = f"{name}/dlt_{kind}_{turn}_{backend}"
                        found = child([python, "-c", DLT_SCRIPT, target, backend, out])
                        sides["dlt"].append({**found, "backend": backend})
                        shutil.rmtree(out, ignore_errors=True)
                best = {side: quicker(turns) for side, turns in sides.items()}
                ours = best["lake"]
                row = {
                    "source": kind,
                    "rows": args.rows,
                    **{
                        f"{side}_rows_per_second": round(args.rows / b["seconds"])
                        if "seconds" in b
                        else b["error"]
                        for side, b in best.items()
                    },
                    "dlt_backend": best["dlt"].get("backend"),
                    "landed_of_bare": round(best["bare"]["seconds"] / ours["landed_seconds"], 2),
                    "of_bare": round(best["bare"]["seconds"] / ours["seconds"], 2),
                    "of_dlt": round(best["dlt"]["seconds"] / ours["seconds"], 2)
                    if "seconds" in best["dlt"]
                    else None,
                    "lake_peak_mb": round(ours["peak_bytes"] / 1e6),
                    "accepted": ours["accepted"],
                    "rejected": ours["rejected"],
                }
                results.append(row)
                print(json.dumps(row, ensure_ascii=False), flush=True)
                good &= ours["rows"] == args.rows == ours["accepted"] + ours["rejected"]
                good &= row["landed_of_bare"] >= BARE and (row["of_dlt"] or 0) >= DLT
                good &= ours["peak_bytes"] <= TARGET_BYTES
        if args.wide:
            with psycopg.connect(server.url("postgres"), autocommit=True) as con:
                con.execute("CREATE DATABASE lake_wide")
            own = [sys.executable, __file__, "--kind", "wide", "--folder", f"{name}/wide"]
            place = ["--side", "lake", "--url", server.url("department")]
            found = child([*own, *place, "--dsn", server.url("lake_wide")])
            row = {"source": "wide", "columns": WIDE_COLUMNS, **found}
            results.append(row)
            print(json.dumps(row, ensure_ascii=False), flush=True)
            good &= found.get("rows") == args.wide and found["peak_bytes"] <= TARGET_BYTES
    print(json.dumps({"benchmark": "collect", "target_met": bool(good), "results": results}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
