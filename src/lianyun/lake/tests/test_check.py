"""Checks: the SQL agrees with plain Python on every check digit, date and number."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lianyun.lake.check import (
    WIDE_ITEMS,
    DomainCode,
    ItemCheck,
    RowRule,
    compile_checks,
    vet_rule,
)
from lianyun.lake.digits import (
    CITIZEN_DIGITS,
    CITIZEN_WEIGHTS,
    CREDIT_ALPHABET,
    CREDIT_WEIGHTS,
)
from lianyun.lake.shelves import LakeError, load_extension, open_duckdb, storage_type


def judge(
    items: list[ItemCheck],
    table: list[tuple[str | None, ...]],
    rules: tuple[RowRule, ...] = (),
    **options: Any,
) -> tuple[list[dict[str, Any]], list[list[str]]]:
    """Typed rows and reasons of a table of texts."""
    checks = compile_checks(items, rules, **options)
    con = open_duckdb(threads=1)
    load_extension(con, "icu")
    con.execute("SET TimeZone='Asia/Shanghai'")
    columns = ", ".join(f'"{i.name}" VARCHAR' for i in items)
    con.execute(f"CREATE TABLE r (_line BIGINT, {columns})")
    marks = ", ".join("?" * (len(items) + 1))
    con.executemany(f"INSERT INTO r VALUES ({marks})", [(n, *row) for n, row in enumerate(table)])
    checks.prepare(con)
    typed = (
        con.execute(f"FROM ({checks.verdicts('r')}) ORDER BY _line").to_arrow_table().to_pylist()
    )
    reasons = con.execute(f"FROM ({checks.reasons('r')}) ORDER BY _line").fetchall()
    plain = con.execute(f"FROM ({checks.verdicts('r', plain=True)}) WHERE _ok").to_arrow_table()
    for row in plain.to_pylist():
        assert row == typed[row["_line"]]
    con.close()
    for row, told in zip(typed, reasons, strict=True):
        assert row["_ok"] == (not told[2])
        assert len(told[1]) == len(told[2])
    return typed, [r[2] for r in reasons]


def citizen(first: str) -> str:
    total = sum(int(d) * w for d, w in zip(first, CITIZEN_WEIGHTS, strict=True))
    return first + CITIZEN_DIGITS[total % 11]


def credit(first: str) -> str:
    total = sum(CREDIT_ALPHABET.index(c) * w for c, w in zip(first, CREDIT_WEIGHTS, strict=True))
    return first + CREDIT_ALPHABET[(31 - total % 31) % 31]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dates(datetime.date(1900, 1, 1), datetime.date(2020, 12, 31)),
            st.integers(0, 999),
            st.sampled_from(CITIZEN_DIGITS),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_citizen_numbers_agree_with_python(cases: list[tuple[datetime.date, int, str]]) -> None:
    table = [(f"320706{day:%Y%m%d}{serial:03}{last}",) for day, serial, last in cases]
    item = ItemCheck("id", "公民身份号码", check="citizen_number")
    typed, reasons = judge([item], table)
    for (number,), row, told in zip(table, typed, reasons, strict=True):
        right = citizen(number[:17])
        assert row["_ok"] == (number == right)
        if number != right:
            assert told == [f"公民身份号码：校验位错误（应为 {right[17]}）"]


def test_citizen_number_vectors() -> None:
    item = ItemCheck("id", "公民身份号码", check="citizen_number", regions=("360426", "320721"))
    table: list[tuple[str | None, ...]] = [
        ("360426199101010071",),
        (" ３６0426199101010071\u3000",),
        ("360426910101007",),
        ("360426199102300071",),
        ("320706199001010011",),
        ("3.60426E+17",),
        ("36042619910101007a",),
        (None,),
        ("/",),
    ]
    typed, reasons = judge([item], table, today=datetime.date(2026, 1, 1))
    assert [r["id"] for r in typed[:3]] == ["360426199101010071"] * 3
    assert typed[2]["_warnings"] == "id.legacy"
    assert any("出生日期“19910230”" in t for t in reasons[3])
    assert any("前六位“320706”" in t for t in reasons[4])
    assert "科学计数法" in reasons[5][0]
    assert "17 位数字加 1 位数字或 X" in reasons[6][0]
    assert reasons[7] == ["整行为空"]
    assert reasons[8] == ["整行为空"]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(CREDIT_ALPHABET, min_size=9, max_size=9), st.sampled_from(CREDIT_ALPHABET)
        ),
        min_size=1,
        max_size=40,
    )
)
def test_credit_codes_agree_with_python(cases: list[tuple[str, str]]) -> None:
    table = [(f"91320706{body}{last}",) for body, last in cases]
    typed, _ = judge([ItemCheck("c", "信用代码", check="credit_code")], table)
    for (code,), row in zip(table, typed, strict=True):
        assert row["_ok"] == (code == credit(code[:17]))


def test_old_registration_numbers_go_to_their_own_column() -> None:
    items = [ItemCheck("c", "信用代码", check="credit_code", required=True)]
    typed, reasons = judge(items, [("320700000012345",), ("11100000000013338w",), ("9132O7",)])
    assert (typed[0]["c"], typed[0]["c_legacy"]) == (None, "320700000012345")
    assert typed[0]["_warnings"] == "c.legacy"
    assert typed[1]["c"] == "11100000000013338W"
    assert "18 位统一社会信用代码，实为 6 位" in reasons[2][0]
    keyed, _ = judge(items, [("320700000012345",)], key=["c"])
    assert keyed[0]["c"] == "320700000012345"


@pytest.mark.parametrize(
    "text",
    [
        "2018-01-02",
        "20180102",
        "2018/1/2",
        "2018年1月2日",
        "2018.1.2",
        " 2018-1-2 ",
        "２０１８-01-02",
        "2018-01-02 00:00:00",
    ],
)
def test_dates_in_every_dress(text: str) -> None:
    typed, _ = judge([ItemCheck("d", "日期", "D")], [(text,)])
    assert typed[0]["d"] == datetime.date(2018, 1, 2)


@pytest.mark.parametrize(
    "text", ["2018-02-30", "18-1-2", "43102", "昨天", "2018-13-01", "0000-00-00", "20180230"]
)
def test_what_is_no_date(text: str) -> None:
    _, reasons = judge([ItemCheck("d", "日期", "D")], [(text,)])
    assert reasons[0] == [f"日期：应为日期（如 2018-01-02），实为“{text}”"]


def test_serial_dates_only_from_excel() -> None:
    typed, _ = judge(
        [ItemCheck("d", "日期", "D"), ItemCheck("t", "时", "T")], [("43102", "43102.5")], excel=True
    )
    assert typed[0]["d"] == datetime.date(2018, 1, 2)
    assert typed[0]["t"] == datetime.datetime.fromisoformat("2018-01-02 12:00")


@pytest.mark.parametrize(
    "text",
    ["2018-01-02 03:04:05", "2018/1/2 3:04:05", "20180102030405", "20180102T030405", "2018010203:04:05",
     "2018-01-02T03:04:05+08:00", "2018-01-01T19:04:05Z", "2018年1月2日 3时4分5秒"],
)  # fmt: skip
def test_timestamps_in_every_dress(text: str) -> None:
    typed, _ = judge([ItemCheck("t", "时间", "T")], [(text,)])
    assert typed[0]["t"] == datetime.datetime.fromisoformat("2018-01-02 03:04:05")


def test_numbers_are_exact_or_refused() -> None:
    items = [ItemCheck("n", "人数", "N", "n..5"), ItemCheck("y", "金额", "Y", "n..10,2")]
    good = [("12", "1,234.50"), ("１２", "￥5"), ("+7", "1e3"), ("3.00", "-0.10"), ("N/A", "-")]
    typed, reasons = judge(items, [*good])
    assert [r["n"] for r in typed] == [12, 12, 7, 3, None]
    assert [str(r["y"]) for r in typed[:4]] == ["1234.50", "5.00", "1000.00", "-0.10"]
    assert reasons[:4] == [[]] * 4
    _, reasons = judge(items, [("1.5", "1.239"), ("123456", "1,23"), ("abc", "99999999999")])
    assert reasons[0] == [
        "人数：应为整数（最多 5 位），实为“1.5”",
        "金额：应为金额（最多 10 位，其中小数 2 位），实为“1.239”",
    ]
    assert reasons[1][0] == "人数：超过 5 位：“123456”"
    assert len(reasons[1]) == 2
    assert len(reasons[2]) == 2


def test_domains_lengths_and_long_lists() -> None:
    dated = [
        DomainCode("320705", "新浦区", None, datetime.date(2014, 5, 1)),
        DomainCode("320706", "海州区", datetime.date(2014, 5, 2), None),
    ]
    items = [
        ItemCheck(
            "sex",
            "性别",
            domain=[DomainCode("1", "男"), DomainCode("2", "女")],
            domain_name="性别代码",
        ),
        ItemCheck("name", "姓名", format="an..4"),
        ItemCheck("tel", "电话", format="n..11"),
        ItemCheck("many", "多", domain=[f"{n:04}" for n in range(5000)]),
        ItemCheck("day", "日", "D"),
        ItemCheck("area", "区", domain=dated, domain_on="day"),
    ]
    _, reasons = judge(
        items,
        [
            ("1", "张三", "139", "4999", "2014-01-01", "320705"),
            ("3", "欧阳锋锋锋", "13x", "5000", "2020-01-01", "320705"),
        ],
    )
    assert reasons[0] == []
    assert reasons[1] == [
        "性别：“3”不在值域“性别代码”内（应为 1 男、2 女）",
        "姓名：长度不符（最长 4 个字符，实为 5 个）",
        "电话：应全为数字，实为“13x”",
        "多：“5000”不在值域内（应为 0000、0001、0002、0003、0004 等）",
        "区：“320705”不在在该日期有效的值域内（应为 320705 新浦区、320706 海州区）".replace(
            "在在", "在"
        ),
    ]


def test_regions_of_every_length() -> None:
    item = ItemCheck("r", "区划", check="region", domain=["320706", "320706001", "320706001001"])
    _, reasons = judge(
        [item], [("320706",), ("320706000000",), ("320706001001",), ("320799",), ("32x",)]
    )
    assert reasons[:3] == [[], [], []]
    assert reasons[3] == ["区划：“320799”不是曾用或现用的行政区划代码"]
    assert "2–12 位数字" in reasons[4][0]


def test_rules_see_typed_values_and_null_says_nothing() -> None:
    items = [ItemCheck("a", "甲", "N"), ItemCheck("b", "乙", "N")]
    rules = (RowRule("r", "甲应小于乙", "a < b"), RowRule("w", "甲偏大", "10 // a > 1", "warn"))
    typed, reasons = judge(
        items, [("1", "2"), ("2", "1"), ("", "1"), ("9", "10"), ("0", "1")], rules
    )
    assert reasons == [[], ["甲应小于乙"], [], [], []]
    assert typed[3]["_warnings"] == "w"


@pytest.mark.parametrize(
    "sql",
    [
        "(SELECT 1)", "read_text('/etc/passwd') = 'x'", "x > 1", "sum(n) > 1", "n > 1; DROP TABLE r",
        "getenv('HOME') = 'x'", "EXISTS (FROM 'a.csv')", "current_setting('x') = '1'", "n IN (SELECT 1)",
        "row_number() OVER () > 1", "t.n > 1", "nextval('x') > 1", "", "* > 1",
    ],
)  # fmt: skip
def test_rules_cannot_reach_beyond_the_row(sql: str) -> None:
    with pytest.raises(LakeError):
        vet_rule(RowRule("r", "规则", sql), ["n"])


def test_storage_types() -> None:
    assert storage_type("C", "an..18") == "VARCHAR"
    assert storage_type("N", "n..17,2") == "DECIMAL(17,2)"
    assert storage_type("Y") == "DECIMAL(18,2)"
    assert storage_type("N", "n..10") == "BIGINT"
    assert storage_type("N", "n..20") == "DECIMAL(20,0)"
    assert [storage_type(t) for t in "IBFDTLMG"] == [
        "BIGINT", "DOUBLE", "DOUBLE", "DATE", "TIMESTAMP", "BOOLEAN", "VARCHAR", "VARCHAR",
    ]  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.text(st.sampled_from("a王 \t\u3000\u00a0\u200b\ufeff\x01"), max_size=4),
        min_size=1,
        max_size=30,
    )
)
def test_a_wide_table_is_read_as_a_narrow_one(values: list[str]) -> None:
    wide = [ItemCheck(f"c{i}", f"列{i}", format="an..3") for i in range(WIDE_ITEMS + 1)]
    rest = ("x",) * (len(wide) - 1)
    typed, reasons = judge(wide, [(value, *rest) for value in values])
    narrow, same = judge(wide[:2], [(value, "x") for value in values])
    assert [row["c0"] for row in typed] == [row["c0"] for row in narrow]
    assert reasons == same


def test_a_wide_table_written_plainly_takes_the_cheap_way() -> None:
    wide = [ItemCheck(f"c{i}", f"列{i}") for i in range(WIDE_ITEMS + 1)]
    checks = compile_checks(wide, ())
    con = open_duckdb(threads=1)
    con.execute(f"CREATE TABLE r (_line BIGINT, {', '.join(f'c{i} VARCHAR' for i in range(151))})")
    for line, last in enumerate(("海州 新浦", "海州\u3000", "\u200b海州", "a", None)):
        con.execute(f"INSERT INTO r VALUES ({', '.join('?' * 152)})", [line, *("v",) * 150, last])
    plain = con.execute(f"SELECT _line FROM ({checks.verdicts('r', plain=True)}) WHERE _ok")
    assert sorted(row[0] for row in plain.fetchall()) == [0, 3, 4]
    con.close()
