"""Landing: nasty files lose no row, and every row knows its line."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import httpx
import openpyxl
import psycopg
import pytest
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lianyun.lake import land
from lianyun.lake.shelves import Lake, LakeError, open_duckdb


def read(source: land.Source) -> list[dict[str, Any]]:
    found = [row for batch in source.reader() for row in batch.to_pylist()]
    return sorted(found, key=lambda row: row["_line"])


def values(row: dict[str, Any]) -> list[str]:
    return [v for k, v in row.items() if not k.startswith("_")]


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("gb18030", b""),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_encoding_gives_the_same_rows(
    tmp_path: Path, encoding: str, bom: bytes, newline: str
) -> None:
    text = newline.join(
        ["姓名,地址,数量", "张三,连云港市海州区,1", '李四,"赣榆,青口",2', "𠮷田,㐂镇,3"]
    )
    path = tmp_path / "a.csv"
    path.write_bytes(bom + text.encode(encoding))
    source = land.open_file(path)
    assert source.columns == ["姓名", "地址", "数量"]
    got = read(source)
    assert [values(r) for r in got] == [
        ["张三", "连云港市海州区", "1"],
        ["李四", "赣榆,青口", "2"],
        ["𠮷田", "㐂镇", "3"],
    ]
    assert [r["_line"] for r in got] == [2, 3, 4]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|", "^", "，"])
def test_delimiters_are_detected(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "a.txt"
    lines = [
        delimiter.join(r) for r in (["姓名", "编号", "备注"], ["张三", "01", "无"], ["李", "2", ""])
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert land.sniff(path).delimiter == delimiter
    assert [values(r) for r in read(land.open_file(path))] == [
        ["张三", "01", "无"],
        ["李", "2", ""],
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_bad_rows_are_kept_with_their_reasons(tmp_path: Path, encoding: str) -> None:
    good = "张三,海州区,1".encode(encoding)
    parts = [
        "姓名,地址,数量".encode(encoding),
        good,
        "李四,坏".encode(encoding) + b"\xff\xfe\x80,2",
        "王五,连云区".encode(encoding),
        "赵六,东海县,3,多".encode(encoding),
        "钱\x00七,灌云,4".encode(encoding),
        b"",
        '孙八,"灌南\n第二行",5'.encode(encoding),
        '周"九,带引号"的,6'.encode(encoding),
        '"吴十,没有闭合,7'.encode(encoding),
        *[good] * 50,
        "制表人：某某".encode(encoding),
    ]
    path = tmp_path / "a.csv"
    path.write_bytes(b"\r\n".join(parts))
    got = {r["_line"]: r for r in read(land.open_file(path))}
    problems = {line: r["_problem"] for line, r in got.items() if r["_problem"]}
    assert problems[3] == land.BAD_BYTES
    assert "\\xff" in got[3]["_text"]
    assert got[3]["_text"].startswith("李四,坏")
    assert "少列" in problems[4]
    assert "多列" in problems[5]
    assert problems[6] == land.NUL_BYTE
    assert problems[11] == "引号没有闭合"
    assert problems[62] == land.NOT_A_ROW
    assert set(problems) == {3, 4, 5, 6, 11, 62}
    assert values(got[8]) == ["孙八", "灌南\n第二行", "5"]
    assert values(got[10]) == ['周"九', '带引号"的', "6"]
    assert len([r for r in got.values() if r["c0"] == "张三"]) == 51


def test_a_large_file_with_scattered_faults_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    expected: dict[int, str] = {}
    line = 2
    with path.open("wb") as file:
        file.write("编号,内容,尾\n".encode())
        for index in range(60_000):
            if index % 9_001 == 9_000:
                file.write(b"\xff\xff,x,y\n")
                expected[line] = land.BAD_BYTES
            elif index % 7_001 == 7_000:
                file.write(f"{index},少\n".encode())
                expected[line] = "列数"
            elif index % 5_003 == 5_002:
                file.write(f'{index},"两\n行",y\n'.encode())
                line += 1
            else:
                file.write(f"{index},{'连云港' * 20},y\n".encode())
            line += 1
    rows = read(land.open_file(path))
    assert len(rows) == 60_000
    bad = {r["_line"]: r["_problem"] for r in rows if r["_problem"]}
    assert bad.keys() == expected.keys()
    assert all(bad[k].startswith(v) for k, v in expected.items())
    lines = path.read_bytes().split(b"\n")
    for row in rows[::997]:
        if not row["_problem"]:
            assert lines[row["_line"] - 1].decode().startswith(row["c0"] + ",")


cell = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\r\ufdd0", exclude_categories=["Cs", "Cc"])
    | st.sampled_from(['"', ",", "\n", " ", "，", "'"]),
    max_size=8,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    table=st.lists(st.tuples(cell, cell, cell), min_size=1, max_size=30),
    encoding=st.sampled_from(["utf-8", "gb18030"]),
)
def test_what_a_proper_writer_wrote_is_read_back(
    tmp_path: Path, table: list[tuple[str, str, str]], encoding: str
) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("甲", "乙", "丙"), *table])
    path = tmp_path / "p.csv"
    path.write_bytes(out.getvalue().encode(encoding))
    looks = land.Sniffed("csv", ("甲", "乙", "丙"), encoding, 0, ",", "\n", 1)
    got = read(land.from_csv(path, looks))
    assert [r["_problem"] for r in got] == [None] * len(table)
    assert [tuple(values(r)) for r in got] == table


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.binary(max_size=400))
def test_any_bytes_are_accounted_for(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "b.csv"
    path.write_bytes("甲,乙\n".encode() + body)
    looks = land.Sniffed("csv", ("甲", "乙"), "utf-8", 0, ",", "\n", 1)
    rows = read(land.from_csv(path, looks))
    lines = [r["_line"] for r in rows]
    assert len(set(lines)) == len(lines)
    filled = [line for line in body.split(b"\n") if line.strip(b"\r")]
    assert bool(rows) == bool(filled)
    assert all(r["_problem"] or None not in values(r) for r in rows)


def test_excel_titles_merged_headers_and_footers(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["连云港市某某情况统计表"])
    sheet.merge_cells("A1:E1")
    sheet.append(["填报单位：海州区"])
    sheet.append(["序号", "户主", None, "住址", "金额"])
    sheet.append([None, "姓名", "证件号", None, None])
    for place in ("B3:C3", "A3:A4", "D3:D4", "E3:E4"):
        sheet.merge_cells(place)
    sheet.append([1, "张三", "320706199001010011", "海州", 12.5])
    sheet.append([2, "李四", "320706199001010012", None, 0.3])
    sheet.merge_cells("D5:D6")
    sheet.append([None] * 5)
    sheet.append(["合计", None, None, None, 12.8])
    sheet.append(["注：本表数据截至年底"])
    path = tmp_path / "a.xlsx"
    book.save(path)
    source = land.open_file(path)
    assert source.columns == ["序号", "户主_姓名", "户主_证件号", "住址", "金额"]
    rows = read(source)
    assert [values(r) for r in rows[:2]] == [
        ["1", "张三", "320706199001010011", "海州", "12.5"],
        ["2", "李四", "320706199001010012", "海州", "0.3"],
    ]
    assert [(r["_line"], r["_problem"]) for r in rows[2:]] == [
        (8, land.NOT_A_ROW),
        (9, land.NOT_A_ROW),
    ]
    assert source.sniffed is not None
    assert "连云港市某某情况统计表" in source.sniffed.title


def test_an_old_excel_file_is_read(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("名册")
    for row, cells in enumerate(
        [["海州区名册"], ["姓名", "出生日期", "金额"], ["张三", dt.date(1990, 3, 7), 12.5]]
    ):
        for column, value in enumerate(cells):
            style = xlwt.easyxf(num_format_str="YYYY-MM-DD") if isinstance(value, dt.date) else None
            sheet.write(row, column, value, *([style] if style else []))
    sheet.merge(0, 0, 0, 2)
    path = tmp_path / "a.xls"
    book.save(str(path))
    source = land.open_file(path)
    assert source.columns == ["姓名", "出生日期", "金额"]
    assert [values(r) for r in read(source)] == [["张三", "1990-03-07", "12.5"]]


def test_a_stray_cell_in_the_last_corner_costs_nothing(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["编号", "名称", "数量"])
    for number in range(1, 50):
        sheet.append([number, f"第{number}行", number / 2])
    sheet.cell(1_048_576, 16_384, "远处")
    path = tmp_path / "far.xlsx"
    book.save(path)
    source = land.open_file(path)
    assert source.columns == ["编号", "名称", "数量"]
    rows = read(source)
    assert [values(r) for r in rows[:2]] == [["1", "第1行", "0.5"], ["2", "第2行", "1"]]
    assert len(rows) == 50
    assert (rows[-1]["_line"], rows[-1]["_problem"]) == (1_048_576, land.BEYOND)


def test_big5_is_told_from_gb18030(tmp_path: Path) -> None:
    text = (
        "編號,企業名稱,地址\n1,連雲港測試有限公司,江蘇省連雲港市海州區\n2,臺灣水產行,中山路一百號\n"
    )
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("big5"))
    assert land.detect_encoding(path)[0] == "cp950"
    assert values(read(land.open_file(path))[0])[1] == "連雲港測試有限公司"
    for encoding in ("gb18030", "gbk"):
        path.write_bytes(text.encode(encoding))
        assert land.detect_encoding(path)[0] == "gb18030", "traditional text in GBK stays GBK"
    plain = "编号,企业名称,地址\n1,连云港测试有限公司,江苏省连云港市海州区\n"
    path.write_bytes(plain.encode("gb2312"))
    assert land.detect_encoding(path)[0] == "gb18030"
    assert values(read(land.open_file(path))[0])[1] == "连云港测试有限公司"


def test_json_lines_keep_broken_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"a":1,"b":"x"}\n{"a":1.50,"c":{"d":[1]}}\n{broken\n[1]\n\n{"b":null,"a":true}\n'
        + b'{"a":"\xff"}\n'
    )
    source = land.open_file(path)
    assert source.columns == ["a", "b", "c"]
    rows = read(source)
    assert [r["_line"] for r in rows] == [1, 2, 3, 4, 6, 7]
    assert values(rows[1]) == ["1.5", None, '{"d":[1]}']
    assert [r["_problem"] for r in rows] == [
        None,
        None,
        "不是合法的 JSON",
        "不是 JSON 对象",
        None,
        land.BAD_BYTES,
    ]


def test_one_json_document_is_searched_for_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    rows = [{"n": 1}, {"n": 2, "名": "二"}]
    for document in (rows, {"code": 0, "data": {"total": 2, "list": rows}}):
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
        source = land.open_file(path)
        assert source.columns == ["n", "名"]
        assert [values(r) for r in read(source)] == [["1", None], ["2", "二"]]


def test_parquet_and_sqlite(tmp_path: Path) -> None:
    con = open_duckdb()
    con.execute(
        f"COPY (SELECT i AS n, i * 1.25 AS x, DATE '2024-01-01' AS d FROM range(3) t(i)) "
        f"TO '{tmp_path}/a.parquet' (FORMAT parquet)"
    )
    assert [values(r) for r in read(land.open_file(tmp_path / "a.parquet"))][1] == [
        "1",
        "1.25",
        "2024-01-01",
    ]
    base = tmp_path / "a.sqlite"
    with sqlite3.connect(base) as db:
        db.execute("CREATE TABLE 人员 (n INTEGER, t TEXT)")
        db.executemany(
            "INSERT INTO 人员 VALUES (?, ?)", [(1, "甲"), ("不是数", "乙"), (None, "丙")]
        )
    db.close()
    rows = read(land.from_sqlite(base, "人员"))
    assert [values(r) for r in rows] == [["1", "甲"], ["不是数", "乙"], [None, "丙"]]
    with pytest.raises(LakeError):
        land.from_sqlite(tmp_path / "nothing", "x")


def test_postgres_is_read_exactly_and_by_watermark(lake: Lake) -> None:
    with psycopg.connect(lake.dsn, autocommit=True) as pg:
        pg.execute('CREATE TABLE "源 表" (n numeric, t timestamp, "名" text)')
        pg.execute(
            "INSERT INTO \"源 表\" VALUES (12345678901234567890.123456789, '2024-01-01 08:00', 'a''b'),"
            "(NULL, '2024-02-01', NULL)"
        )
    rows = read(land.from_postgres(lake.dsn, "源 表"))
    assert values(rows[0]) == ["12345678901234567890.123456789", "2024-01-01 08:00:00", "a'b"]
    assert values(rows[1]) == [None, "2024-02-01 00:00:00", None]
    later = land.from_postgres(lake.dsn, "源 表", watermark="t", since="2024-01-15")
    assert len(read(later)) == 1


def _pages(request: httpx.Request) -> httpx.Response:
    page = int(request.url.params.get("page", "1"))
    cursor = request.url.params.get("after")
    if request.url.path == "/cursor":
        start = int(cursor or 0)
        body = {
            "rows": [{"n": i} for i in range(start, min(start + 2, 5))],
            "next": str(start + 2) if start + 2 < 5 else None,
        }
        return httpx.Response(200, content=json.dumps(body))
    rows = [{"n": i, "t": "字"} for i in range((page - 1) * 2, min(page * 2, 5))]
    return httpx.Response(200, content=json.dumps({"data": {"list": rows}}))


def test_http_pages_and_cursors() -> None:
    transport = httpx.MockTransport(_pages)
    paged = land.from_http("http://city.test/list", items="data.list", transport=transport)
    assert [r["c0"] for r in read(paged)] == ["0", "1", "2", "3", "4"]
    assert len(read(paged)) == 5
    cursor = land.from_http(
        "http://city.test/cursor",
        items="rows",
        cursor_param="after",
        cursor="next",
        transport=transport,
    )
    assert len(read(cursor)) == 5
    with pytest.raises(LakeError, match="找不到数据列表"):
        land.from_http("http://city.test/list", items="nothing", transport=transport)


def test_titles_match_whatever_their_dress() -> None:
    from lianyun.lake.check import ItemCheck

    items = (
        ItemCheck("id", "公民身份号码", aliases=("身份证号",)),
        ItemCheck("area", "面积（平方米）"),
        ItemCheck("code", "统一社会信用代码"),
    )
    assert land.match_columns([" 身份 证号", "面积(平方米)", "CODE", "别的"], items) == {
        0: "id",
        1: "area",
        2: "code",
    }
    assert land.match_columns(["面积", "户主_公民身份号码"], items) == {0: "area", 1: "id"}
    assert land.match_columns(["甲_公民身份号码", "乙_公民身份号码"], items) == {}
    shared = [
        ItemCheck("standard", "补贴标准", aliases=("补贴金额",)),
        ItemCheck("amount", "补贴金额"),
    ]
    assert land.match_columns(["补贴标准", "补贴金额"], shared) == {0: "standard", 1: "amount"}


def test_parquet_is_read_alike_by_the_lake_itself(tmp_path: Path) -> None:
    file = tmp_path / "mixed.parquet"
    with duckdb.connect() as con:
        con.execute(
            "COPY (SELECT i AS n, CASE WHEN i = 3 THEN 'a' || chr(0) || 'b' WHEN i = 5 THEN '' "
            "WHEN i <> 7 THEN '名' || i END AS 名称, DATE '2026-01-01' + i::INT AS d "
            f"FROM range(10) r(i)) TO '{file}'"
        )
    source = land.from_parquet(file)
    streamed = source.reader().read_all().sort_by("_line")
    with open_duckdb() as con:
        itself = con.execute(f"SELECT * FROM {source.scan} ORDER BY _line").to_arrow_table()
    assert itself.to_pylist() == streamed.to_pylist()
    assert [row["_line"] for row in itself.to_pylist() if row["_problem"]] == [4]
