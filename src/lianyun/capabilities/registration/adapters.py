"""Adapters: the enterprise register in the lake: names taken, a firm's row, a row written; the vault."""

from __future__ import annotations

import csv
import datetime as dt
import json
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from lianyun.capabilities.audit import api as audit
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
AWAY = "企业登记库现在查询不到，请稍后再试"


def names_with(letters: str) -> dict[str, set[str]]:
    """Registered names that hold any two neighbouring characters of `letters`, each with the codes of
    the firms that bear it; raises UserError.

    The registers stand beside the library: a firm of this minute is not in the library yet.
    """
    pairs = sorted({letters[i : i + 2] for i in range(len(letters) - 1)} or {letters})
    found: dict[str, set[str]] = {}
    for schema, table, alive in SOURCES:
        like = " OR ".join("contains(entity_name, ?)" for _ in pairs)
        statement = (
            f"SELECT DISTINCT entity_name, credit_code FROM lake.{schema}.{table}"
            f" WHERE ({like}) AND {alive} LIMIT {MOST}"
        )
        try:
            with collection.lake().connect(read_only=True) as con:
                for name, code in con.execute(statement, pairs).fetchall():
                    if name:
                        found.setdefault(str(name), set()).add(str(code or ""))
        except duckdb.CatalogException:
            continue
        except (duckdb.Error, LakeError, psycopg.Error, OSError) as error:
            raise UserError("企业名称库现在查询不到，请稍后再试") from error
    return found


def _titles() -> dict[str, str]:
    return {i["name"]: i["title"] for i in declaration("datasets", DATASET).data["items"]}


def registered(code: str) -> dict[str, str] | None:
    """A firm's row in the register as texts by column, empty ones left out; None where it has none.

    Personal numbers come along in clear: whoever asks records the reading. Raises UserError.
    """
    names = list(_titles())
    try:
        with collection.lake().connect(read_only=True) as con:
            result = con.execute(
                f"SELECT * FROM lake.trusted.{DATASET} WHERE credit_code = ?", [code]
            )
            columns = [c[0] for c in result.description or ()]
            line = result.fetchone()
    except duckdb.CatalogException:
        return None
    except (duckdb.Error, LakeError, psycopg.Error, OSError) as error:
        raise UserError(AWAY) from error
    if line is None:
        return None
    row = dict(zip(columns, line, strict=True))
    return {n: _text(row[n]) for n in names if row.get(n) not in (None, "")}


def _text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value)


def put(row: Mapping[str, str], by: Actor) -> str:
    """A row into the register's dataset, merged by its key; returns the batch's code.

    Raises UserError where the register's own rules refuse it.
    """
    titles = _titles()
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


def seal(told: Any, use: str) -> str:
    """Something as the database keeps it."""
    return audit.encrypt(json.dumps(told, ensure_ascii=False).encode(), use)


def unseal(sealed: str, use: str) -> Any:
    """What `seal` was given."""
    return json.loads(audit.decrypt(sealed, use))
