"""The dialect: what DuckDB's SQL becomes on Spark, and what is refused."""

from __future__ import annotations

import re

import pytest

from lianyun.lake.engines.dialect import Untranslatable, java_regex, strptime_regex, to_spark


@pytest.mark.parametrize(
    ("pattern", "java"),
    [
        ("^[0-9]+$", r"^[0-9]+\z"),
        ("a.b", r"a[^\n]b"),
        (r"\s*x", r"[\t\n\f\r ]*x"),
        ("[[:alpha:]&&x]", r"[\p{Alpha}\&\&x]"),
        ("[^]a]", r"[^\]a]"),
        ("[a[b]", r"[a\[b]"),
        (r"(\d{3}|\$)$", r"(\d{3}|\$)\z"),
    ],
)
def test_patterns_keep_their_meaning(pattern: str, java: str) -> None:
    assert java_regex(pattern) == java


def test_a_format_reads_what_strptime_reads() -> None:
    shape, iso = strptime_regex("%Y/%m/%d %H:%M")
    python = shape.replace(r"\z", r"\Z")
    found = re.match(python, " 2020/1/2  5:06 ")
    assert found
    assert iso == "$1-$2-$3 $4:$5:0"
    assert found.groups() == ("2020", "1", "2", "5", "06")
    assert not re.match(python, "12020/1/2 5:06")


@pytest.mark.parametrize(
    ("sql", "spark"),
    [
        ("SELECT strlen(a) FROM t", "SELECT OCTET_LENGTH(a) FROM t"),
        ("SELECT a // b FROM t", "SELECT a DIV NULLIF(b, 0) FROM t"),
        ("SELECT [5, 6][2] FROM t", "SELECT GET(ARRAY(5, 6), 1) FROM t"),
        (
            "SELECT [5, 6][CAST(a AS INT)] FROM t",
            "SELECT CASE WHEN NOT (CAST(ROUND(CAST(a AS DECIMAL(38, 6))) AS INT)) IS NULL THEN "
            "GET(ARRAY(5, 6), CAST((CAST(ROUND(CAST(a AS DECIMAL(38, 6))) AS INT)) - 1 AS INT)) END"
            " FROM t",
        ),
        ("SELECT a[2:3] FROM t", "SELECT SUBSTR(a, 2, 2) FROM t"),
        ("SELECT regexp_full_match(a, 'x+') FROM t", r"SELECT a RLIKE '\\A(?:x+)\\z' FROM t"),
        ("SELECT CAST(a AS TIMESTAMP) FROM t", "SELECT CAST(a AS TIMESTAMP_NTZ) FROM t"),
        ("SELECT arg_max(a, (b, c)) FROM t", "SELECT MAX_BY(a, STRUCT(b, c)) FROM t"),
        (
            "SELECT date_diff('year', a, b) FROM t",
            "SELECT (CAST((YEAR(b) - YEAR(a)) AS BIGINT)) FROM t",
        ),
        (
            "SELECT CAST(json_object('k', a) AS VARCHAR) FROM t",
            "SELECT CAST(TO_JSON(NAMED_STRUCT('k', a), MAP('ignoreNullFields', 'false')) AS STRING)"
            " FROM t",
        ),
    ],
)
def test_statements(sql: str, spark: str) -> None:
    assert to_spark(sql) == spark


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT hash(a) FROM t",
        "SELECT age(a, b) FROM t",
        "SELECT levenshtein(a, b) FROM t",  # DuckDB counts bytes, Spark characters
        "SELECT regexp_replace(a, 'x', '') FROM t",
        "SELECT regexp_matches(a, b) FROM t",
        "SELECT date_diff('week', a, b) FROM t",
        "SELECT substr(a, 0, 2) FROM t",
        "SELECT try_strptime(a, '%j') FROM t",
        "SELECT quantile_cont(a, 0.5) FROM t",
        "SELECT * FROM read_csv('x')",
        "SELECT FROM WHERE",
    ],
)
def test_what_spark_would_answer_differently_is_refused(sql: str) -> None:
    with pytest.raises(Untranslatable):
        to_spark(sql)


def test_tables_are_named_by_the_run_and_ctes_are_not() -> None:
    sql = to_spark("WITH c AS (SELECT 1 AS x) SELECT * FROM lake.trusted.a, c", lambda t: "v1")
    assert sql == "WITH c AS (SELECT 1 AS x) SELECT * FROM `v1` AS `a`, c"


def test_short_lists_stand_in_the_statement() -> None:
    sql = to_spark("SELECT a IN (SELECT code FROM l) FROM t", None, lambda t: ["1", "2"])
    assert sql == "SELECT a IN ('1', '2') FROM t"
