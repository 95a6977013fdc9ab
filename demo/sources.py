"""Sources: departments' databases and files, written the way each department would."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import duckdb
import psycopg
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font

from .city import count
from .dirt import EMPTY_ROWS, FAULTS


@dataclass(frozen=True)
class Source:
    """Where a dataset's rows are kept by its department, and how often they are fetched.

    supplied: how many days ago the department last delivered (0 = daily business).
    calm: no row comes, goes or changes on later days.
    """

    kind: str
    place: str
    table: str = ""
    mode: str = "full"
    watermark: str = ""
    cron: str = "0 2 * * *"
    supplied: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    calm: bool = False


def _pg(schema: str, table: str, incremental: bool = False, cron: str = "0 2 * * *") -> Source:
    return Source(
        "postgresql",
        schema,
        table,
        "incremental" if incremental else "full",
        "update_time" if incremental else "",
        cron,
    )


def _csv(
    place: str,
    encoding: str = "GB18030",
    delimiter: str = ",",
    cron: str = "30 3 1 * *",
    supplied: int = 0,
    dates: str = "-",
) -> Source:
    return Source(
        "csv",
        place,
        cron=cron,
        supplied=supplied,
        options={"encoding": encoding, "delimiter": delimiter, "header": "title", "dates": dates},
    )


def _xlsx(place: str, sheet: str, title_rows: int, cron: str = "30 3 1 * *") -> Source:
    """title_rows: merged title lines above the header; 2 means title, note and a two-line header."""
    return Source(
        "excel",
        place,
        sheet,
        cron=cron,
        options={
            "sheet": sheet,
            "header": "title",
            "header_row": title_rows + 1 if title_rows < 2 else 3,
            "header_rows": 2 if title_rows >= 2 else 1,
            "footer": title_rows >= 2,
        },
    )


SOURCES: dict[str, Source] = {
    "ga_residents": _pg("src_ga", "t_residents"),
    "ga_households": _pg("src_ga", "t_households"),
    "ga_floating": _pg("src_ga", "t_floating", True),
    "ga_residence_permits": _pg("src_ga", "t_residence_permits", True, "0 4 * * 1"),
    "ga_cancellations": _pg("src_ga", "t_cancellations", True),
    "ga_vehicles": _pg("src_ga", "t_vehicles"),
    "ga_drivers": _pg("src_ga", "t_drivers", True),
    "mz_marriages": Source("sqlite", "minzheng.sqlite", "marriages"),
    "mz_divorces": Source("sqlite", "minzheng.sqlite", "divorces"),
    "mz_social_orgs": Source("sqlite", "minzheng.sqlite", "social_orgs", cron="0 4 * * 1"),
    "mz_low_income": Source("sqlite", "minzheng.sqlite", "low_income", cron="30 3 5 * *"),
    "mz_elderly": Source("sqlite", "minzheng.sqlite", "elderly", cron="30 3 5 * *"),
    "mz_temporary_relief": _xlsx("民政/临时救助发放台账.xlsx", "发放台账", 2),
    "mz_cremations": _csv("民政/火化登记.csv", cron="0 4 * * 1"),
    "cl_disabled": _csv("残联/残疾人证持证人员.csv", supplied=160),
    "rs_insured": _pg("src_rs", "t_insured"),
    "rs_contributions": _pg("src_rs", "t_contributions", True, "0 3 16 * *"),
    "rs_pensions": _pg("src_rs", "t_pensions", True, "0 3 11 * *"),
    "rs_unemployed": Source("postgresql", "src_rs", "t_unemployed", "full", "", "0 4 * * 1", 41),
    "rs_employment": _pg("src_rs", "t_employment", True),
    "rs_skills": _csv("人社/职业技能等级证书.csv", "UTF-16", "\t"),
    "wj_births": Source("jsonl", "卫健/出生医学证明.jsonl"),
    "wj_deaths": Source("jsonl", "卫健/死亡医学证明.jsonl"),
    "wj_visits": Source("parquet", "卫健/门急诊就诊.parquet"),
    "wj_vaccinations": Source("parquet", "卫健/预防接种.parquet"),
    "wj_institutions": _csv("卫健/医疗机构执业许可.csv", dates="/"),
    "yb_insured": _pg("src_yb", "t_insured"),
    "yb_settlements": _pg("src_yb", "t_settlements", True),
    "jy_schools": _xlsx("教育/学校基本情况一览表.xlsx", "学校", 2, "30 3 1 9 *"),
    "jy_students": _pg("src_jy", "t_students", cron="30 3 1 * *"),
    "jy_teacher_licences": _xlsx("教育/教师资格认定名册.xlsx", "Sheet1", 1, "30 3 1 1,4,7,10 *"),
    "gjj_accounts": _pg("src_gjj", "t_accounts"),
    "gjj_withdrawals": _csv("公积金/公积金提取明细.csv"),
    "zj_contracts": _pg("src_zj", "t_contracts", True),
    "zj_presales": _xlsx("住建/商品房预售许可.xlsx", "预售许可", 1, "0 4 * * 1"),
    "zr_properties": _pg("src_zr", "t_properties"),
    "zr_mortgages": _pg("src_zr", "t_mortgages", True),
    "zr_land_supply": _xlsx("自然资源/国有建设用地供应结果.xlsx", "供地结果", 2, "30 3 1 1,4,7,10 *"),
    "scjg_enterprises": _pg("src_scjg", "t_enterprises"),
    "scjg_individuals": _pg("src_scjg", "t_individuals"),
    "scjg_credit_codes": Source("postgresql", "src_scjg", "t_credit_codes", calm=True),
    "scjg_food_licences": _pg("src_scjg", "t_food_licences", True),
    "scjg_annual_reports": _csv("市场监管/企业年报.csv", "UTF-16", ",", "30 3 1 7 *"),
    "scjg_equipment": _xlsx("市场监管/特种设备使用登记.xlsx", "设备", 1),
    "bb_institutions": _csv("编办/事业单位法人名录.csv"),
    "sws_taxpayers": _pg("src_sws", "t_taxpayers"),
    "sws_payments": _pg("src_sws", "t_payments", True, "0 3 21 * *"),
    "sws_ratings": _csv("税务/纳税信用等级.csv", cron="30 3 1 5 *"),
    "jt_operators": _csv("交通/道路运输经营业户.csv"),
    "jt_practitioners": Source("jsonl", "交通/道路运输从业人员.jsonl", cron="30 3 1 * *"),
    "sthj_permits": _xlsx("生态环境/排污许可证核发台账.xlsx", "台账", 1),
    "sthj_air": Source("parquet", "生态环境/空气质量日报.parquet"),
    "ny_subsidies": _csv("农业农村/耕地地力保护补贴发放清册.csv", cron="30 3 1 7 *"),
    "ny_cooperatives": Source("jsonl", "农业农村/农民专业合作社.jsonl", cron="30 3 1 1,4,7,10 *", supplied=210),
    "wl_venues": Source("jsonl", "文旅/公共文化场馆.jsonl", cron="30 3 1 1,4,7,10 *"),
    "yj_chemical_permits": _xlsx("应急/危险化学品经营许可.xlsx", "许可", 1),
    "yj_shelters": Source("jsonl", "应急/应急避难场所.jsonl", cron="30 3 1 3 *"),
    "fg_permits": _pg("src_fg", "t_permits", True),
    "fg_penalties": _pg("src_fg", "t_penalties", True),
    "kj_high_tech": _csv("科技/高新技术企业名单.csv", cron="", supplied=730),
    "tsw_volunteers": _csv("团市委/注册志愿者.csv", "UTF-8-SIG", ",", "30 3 1 1,4,7,10 *"),
}  # fmt: skip

MARK = "模拟数据，不对应任何真实的人、单位或地址"


@dataclass(frozen=True)
class Item:
    """A column as the pack declares it: its name, Chinese title and storage type."""

    name: str
    title: str
    type: str
    sql: str


class Writer:
    """Writes one dataset's rows to its department's place; counts what it wrote.

    The table has every item as text, in order of `_n`, with `_kind` naming a structural fault.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, out: Path, dsn: str, as_of: dt.date, fresh: bool
    ) -> None:
        self.con, self.out, self.dsn, self.as_of, self.fresh = con, out, dsn, as_of, fresh
        self.schemas: set[str] = set()
        self.extra: dict[str, int] = {}

    def write(self, dataset: str, title: str, items: list[Item], table: str) -> dict[str, int]:
        """Write `table` and return the structural things put in beside the rows (empty lines …)."""
        source = SOURCES[dataset]
        self.extra = {}
        getattr(self, "_" + source.kind)(dataset, source, title, items, table)
        if source.kind not in ("postgresql", "sqlite") and source.supplied:
            path = self.out / source.place
            moment = dt.datetime.combine(
                self.as_of - dt.timedelta(days=source.supplied), dt.time(10), dt.UTC
            )
            os.utime(path, (moment.timestamp(), moment.timestamp()))
        return self.extra

    def _rows(self, items: list[Item], table: str) -> Iterator[tuple[Any, ...]]:
        columns = ", ".join(item.name for item in items)
        cursor = self.con.execute(f"SELECT _n, _kind, {columns} FROM {table} ORDER BY _n")
        while batch := cursor.fetchmany(20_000):
            yield from batch

    def _path(self, place: str) -> Path:
        path = self.out / place
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _postgresql(
        self, dataset: str, source: Source, title: str, items: list[Item], table: str
    ) -> None:
        target = f"{source.place}.{source.table}"
        types = {"D": "date", "T": "timestamp", "I": "integer", "N": "numeric", "Y": "numeric"}
        columns = ", ".join(f"{item.name} {types.get(item.type, 'varchar')}" for item in items)
        names = ", ".join(item.name for item in items)
        with psycopg.connect(self.dsn) as db, tempfile.TemporaryDirectory() as folder:
            if source.place not in self.schemas:
                db.execute(f"CREATE SCHEMA IF NOT EXISTS {source.place}")
                self.schemas.add(source.place)
            if self.fresh:
                db.execute(f"DROP TABLE IF EXISTS {target}")
            db.execute(f"CREATE TABLE IF NOT EXISTS {target} ({columns})")
            db.execute(f"TRUNCATE {target}")
            db.execute(f"COMMENT ON TABLE {target} IS '{title}（{MARK}）'")
            for item in items:
                db.execute(f"COMMENT ON COLUMN {target}.{item.name} IS '{item.title}'")
            file = Path(folder) / "rows.csv"
            self.con.execute(
                f"COPY (SELECT {names} FROM {table} ORDER BY _n) TO '{file}' (FORMAT csv, HEADER false)"
            )
            with (
                db.cursor().copy(f"COPY {target} ({names}) FROM STDIN (FORMAT csv)") as copy,
                file.open("rb") as handle,
            ):
                while block := handle.read(1 << 20):
                    copy.write(block)

    def _sqlite(
        self, dataset: str, source: Source, title: str, items: list[Item], table: str
    ) -> None:
        path = self._path(source.place)
        if self.fresh and path not in getattr(self, "_opened", set()):
            path.unlink(missing_ok=True)
            self._opened = {path}
        numeric = {"N": "REAL", "Y": "REAL", "I": "INTEGER"}
        columns = ", ".join(f"{item.name} {numeric.get(item.type, 'TEXT')}" for item in items)
        marks = ", ".join("?" * len(items))
        with sqlite3.connect(path) as db:
            db.execute(f"DROP TABLE IF EXISTS {source.table}")
            db.execute(f"CREATE TABLE {source.table} ({columns})")
            db.executemany(
                f"INSERT INTO {source.table} VALUES ({marks})",
                (row[2:] for row in self._rows(items, table)),
            )
        db.close()

    def _faults(self, dataset: str) -> dict[str, tuple[str, int]]:
        """The marks of structural faults of a dataset: mark → (kind, column position)."""
        return {
            str(i): (f.kind, -1 if not f.column else i)
            for i, f in enumerate(FAULTS.get(dataset, []))
            if f.verdict == "structure"
        }

    def _empty_lines(self, dataset: str, rows: int) -> set[int]:
        """After which rows an empty line stands: evenly spread, at least two where declared."""
        per = EMPTY_ROWS.get(dataset, 0)
        count = max(2, rows * per // 1000) if per else 0
        step = max(1, rows // (count + 1))
        return {step * (k + 1) for k in range(count)}

    def _csv(self, dataset: str, source: Source, title: str, items: list[Item], table: str) -> None:
        encoding, delimiter = source.options["encoding"], source.options["delimiter"]
        dates = [k for k, item in enumerate(items) if item.type == "D"]
        faults = self._faults(dataset)
        declared = FAULTS.get(dataset, [])
        names = [item.name for item in items]
        total = count(self.con, f"SELECT count(*) FROM {table}")
        empty, blanks = self._empty_lines(dataset, total), 0
        codec = {"UTF-16": "utf-16-le", "UTF-8-SIG": "utf-8"}.get(encoding, encoding)
        with self._path(source.place).open("wb") as handle:
            handle.write({"UTF-16": b"\xff\xfe", "UTF-8-SIG": b"\xef\xbb\xbf"}.get(encoding, b""))

            def line(values: list[str]) -> bytes:
                buffer = io.StringIO()
                csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n").writerow(values)
                return buffer.getvalue().encode(codec)

            handle.write(line([item.title for item in items]))
            for number, row in enumerate(self._rows(items, table), 1):
                values = ["" if v is None else v for v in row[2:]]
                if source.options["dates"] != "-":
                    for k in dates:
                        values[k] = values[k].replace("-", source.options["dates"])
                kind = faults.get(row[1] or "", ("", 0))[0]
                if kind == "shifted_columns":
                    # Somebody typed the comma of an address without quotes.
                    place = max(1, len(values) // 2)
                    handle.write(
                        (
                            delimiter.join([*values[:place], "补录", *values[place:]]) + "\r\n"
                        ).encode(codec)
                    )
                elif kind == "broken_bytes":
                    spot = names.index(declared[int(row[1])].column)
                    # 0xFF begins no character of GB18030, nor may it stand second.
                    parts = [v.encode(codec) for v in values]
                    parts[spot] = parts[spot][:2] + b"\xff" + parts[spot][2:]
                    handle.write(delimiter.encode().join(parts) + b"\r\n")
                else:
                    handle.write(line(values))
                if number in empty:
                    blanks += 1
                    # Every other one is not quite empty: its delimiters are there.
                    full = blanks % 2 == 0
                    self._note("empty_rows" if full else "blank_lines")
                    text = delimiter * (len(items) - 1) + "\r\n" if full else "\r\n"
                    handle.write(text.encode(codec))

    def _note(self, what: str) -> None:
        self.extra[what] = self.extra.get(what, 0) + 1

    def _excel(
        self, dataset: str, source: Source, title: str, items: list[Item], table: str
    ) -> None:
        book = Workbook(write_only=True)
        book.properties.created = book.properties.modified = dt.datetime.combine(
            self.as_of, dt.time()
        )
        sheet = book.create_sheet(source.table)
        width = len(items)
        two = source.options["header_rows"] == 2
        last = sheet_letter(width)

        def cell(text: str, bold: bool = True) -> WriteOnlyCell:
            made = WriteOnlyCell(sheet, value=text)
            made.font, made.alignment = Font(bold=bold), Alignment(horizontal="center")
            return made

        sheet.merged_cells.ranges.add(f"A1:{last}1")
        sheet.append([cell(f"连云港市{title}"), *[None] * (width - 1)])
        if two:
            sheet.merged_cells.ranges.add(f"A2:{last}2")
            sheet.append(
                [
                    cell(f"制表日期：{self.as_of:%Y年%m月%d日}　（模拟数据）", False),
                    *[None] * (width - 1),
                ]
            )
            half = max(2, width // 2)
            sheet.merged_cells.ranges.add(f"A3:{sheet_letter(half)}3")
            sheet.merged_cells.ranges.add(f"{sheet_letter(half + 1)}3:{last}3")
            sheet.append(
                [
                    cell("基本情况"),
                    *[None] * (half - 1),
                    cell("详细情况"),
                    *[None] * (width - half - 1),
                ]
            )
        sheet.append([cell(item.title) for item in items])
        total = count(self.con, f"SELECT count(*) FROM {table}")
        empty = self._empty_lines(dataset, total)
        for number, row in enumerate(self._rows(items, table), 1):
            sheet.append(
                [_cell(value, item.type) for value, item in zip(row[2:], items, strict=True)]
            )
            if number in empty:
                sheet.append([None] * width)
                self._note("blank_lines")
        if source.options["footer"]:
            sheet.append([f"注：本表共{total}条，{MARK}。"])
            self.extra["footer_rows"] = 1
        book.save(self._path(source.place))

    def _jsonl(
        self, dataset: str, source: Source, title: str, items: list[Item], table: str
    ) -> None:
        faults = self._faults(dataset)
        with self._path(source.place).open("w", encoding="utf-8", newline="\n") as handle:
            for row in self._rows(items, table):
                record = {
                    item.name: _json(value, item.type)
                    for item, value in zip(items, row[2:], strict=True)
                    if value is not None
                }
                text = json.dumps(record, ensure_ascii=False)
                if row[1] in faults:
                    text = text[: len(text) * 2 // 3]
                handle.write(text + "\n")

    def _parquet(
        self, dataset: str, source: Source, title: str, items: list[Item], table: str
    ) -> None:
        columns = ", ".join(f"try_cast({item.name} AS {item.sql}) AS {item.name}" for item in items)
        self.con.execute(
            f"COPY (SELECT {columns} FROM {table} ORDER BY _n) TO '{self._path(source.place)}' (FORMAT parquet, COMPRESSION zstd)"
        )


def sheet_letter(column: int) -> str:
    """The letters of a spreadsheet column, 1 = A."""
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def _cell(value: str | None, type_: str) -> Any:
    if value is None:
        return None
    try:
        if type_ in ("N", "Y"):
            return float(value) if value.isascii() else value
        if type_ == "I":
            return int(value) if value.isascii() else value
        if type_ == "D":
            return dt.date.fromisoformat(value)
    except ValueError:
        return value
    return value


def _json(value: str, type_: str) -> Any:
    if type_ in ("N", "Y", "I"):
        try:
            return float(value) if "." in value else int(value)
        except ValueError:
            return value
    return value


def _without_password(dsn: str) -> str:
    """The address of a database as it may stand in a file."""
    parts = urlsplit(dsn)
    if parts.password is None:
        return dsn
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}@{host}"))


def entry(
    dataset: str, title: str, provider: str, dsn: str, as_of: dt.date, rows: int
) -> dict[str, Any]:
    """A dataset's line in sources.json; file locations are relative to that file's folder."""
    source = SOURCES[dataset]
    found: dict[str, Any] = {
        "dataset": dataset, "title": title, "provider": provider, "kind": source.kind,
        "location": _without_password(dsn) if source.kind == "postgresql" else source.place,
        "table": f"{source.place}.{source.table}" if source.kind == "postgresql" else source.table,
        "options": source.options, "mode": source.mode, "watermark": source.watermark or None,
        "schedule": source.cron or None,
        "last_supplied": (as_of - dt.timedelta(days=source.supplied)).isoformat(), "rows": rows,
    }  # fmt: skip
    return found
