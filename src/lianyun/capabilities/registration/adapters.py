"""Adapters: names that are registered already, in the lake; a new firm's row into the register."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping
from pathlib import Path

import duckdb
import psycopg

from lianyun.capabilities.collection import api as collection
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.packs import declaration
from lianyun.lake.shelves import LakeError

DATASET = "scjg_enterprises"
SOURCES = (
    ("trusted", DATASET, "coalesce(entity_status, '1') <> '3'"),
    ("trusted", "scjg_individuals", "coalesce(entity_status, '1') <> '3'"),
    ("library", "legal_entity", "coalesce(status, '1') <> '3'"),
)
MOST = 3000


def names_with(letters: str) -> list[str]:
    """Registered names that hold any two neighbouring characters of `letters`; raises UserError.

    The registers stand beside the library: a firm of this minute is not in the library yet.
    """
    pairs = sorted({letters[i : i + 2] for i in range(len(letters) - 1)} or {letters})
    found: set[str] = set()
    answered = False
    for schema, table, alive in SOURCES:
        like = " OR ".join("contains(entity_name, ?)" for _ in pairs)
        statement = (
            f"SELECT DISTINCT entity_name FROM lake.{schema}.{table}"
            f" WHERE ({like}) AND {alive} LIMIT {MOST}"
        )
        try:
            with collection.lake().connect(read_only=True) as con:
                found |= {str(n) for (n,) in con.execute(statement, pairs).fetchall() if n}
            answered = True
        except duckdb.CatalogException:
            continue
        except (duckdb.Error, LakeError, psycopg.Error, OSError) as error:
            raise UserError("企业名称库现在查询不到，请稍后再试") from error
    return sorted(found) if answered else []


def put(row: Mapping[str, str], by: Actor) -> str:
    """A row into the register's dataset, merged by its key; returns the batch's code.

    Raises UserError where the register's own rules refuse it.
    """
    titles = {i["name"]: i["title"] for i in declaration("datasets", DATASET).data["items"]}
    with tempfile.TemporaryDirectory(prefix="lianyun-firm-") as folder:
        file = Path(folder) / f"{row['credit_code']}.csv"
        with file.open("w", encoding="utf-8-sig", newline="") as handle:
            out = csv.writer(handle)
            out.writerow([titles[k] for k in row])
            out.writerow(list(row.values()))
        told = collection.load(DATASET, file, by=by)
    if told["accepted"] != 1:
        raise UserError("登记信息没有通过企业登记库的校验，请在数据归集中查看拒收原因")
    return str(told["batch"])
