"""Pipelines on a real standalone cluster (one master, two workers) and on Sail: DuckDB's answers.

One cluster serves the whole file. Where pyspark or Java 17 is missing these tests cannot run, and
say so; `make test` installs both where it may.
"""

from __future__ import annotations

import datetime
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lianyun.lake import compare, engines, link, match
from lianyun.lake.check import DomainCode, ItemCheck, RowRule, compile_checks
from lianyun.lake.engines import cluster, quality, spark
from lianyun.lake.land import Source
from lianyun.lake.merge import DatasetSpec, load
from lianyun.lake.shelves import Lake, LakeError
from lianyun.lake.tests.conftest import ANNA, BORIS, CARLA

pytestmark = [pytest.mark.spark, pytest.mark.timeout(240)]
SMALL = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xss2m"
SETTINGS = ";".join(
    [
        "spark.executor.memory=512m",
        "spark.driver.memory=512m",
        "spark.driver.host=127.0.0.1",
        "spark.driver.bindAddress=127.0.0.1",
        "spark.sql.shuffle.partitions=2",
        f"spark.driver.extraJavaOptions={SMALL}",
        f"spark.executor.extraJavaOptions={SMALL}",
        # rows are few here and statements long: compiling them would take longer than running
        "spark.sql.codegen.factoryMode=NO_CODEGEN",
    ]
)


def _cluster(kind: str) -> Iterator[str]:
    before = {name: os.environ.get(name) for name in ("LIANYUN_SPARK_CONF", "SPARK_LOCAL_IP")}
    os.environ.update(LIANYUN_SPARK_CONF=SETTINGS, SPARK_LOCAL_IP="127.0.0.1")
    try:
        engines.check(f"{kind}://127.0.0.1")
    except LakeError as error:
        pytest.skip(f"{kind} 没有测试：{error}")
    try:
        with cluster.standalone() if kind == "spark" else cluster.sail() as url:
            yield url
            spark.stop()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@pytest.fixture(scope="module")
def standalone() -> Iterator[str]:
    """The URL of a standalone master with two workers."""
    yield from _cluster("spark")


@pytest.fixture(scope="module")
def sail() -> Iterator[str]:
    """The URL of a Sail server."""
    yield from _cluster("sc")


@pytest.fixture
def lake_pair(lake_dsn: str, tmp_path: Path) -> tuple[Lake, Lake]:
    """Two empty lakes for the same rows: one for DuckDB, one for the other engine."""
    first, second = (
        Lake(lake_dsn, str(tmp_path / name), memory_limit="300MB", metadata_schema=name)
        for name in ("here", "there")
    )
    return first, second


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Names the engine of everything that follows; every table is worth it."""

    def name(url: str) -> None:
        monkeypatch.setenv("LIANYUN_ENGINE", url)
        monkeypatch.setenv("LIANYUN_SPARK_FROM", "0")

    return name


def _evolved(con: duckdb.DuckDBPyConnection) -> None:
    """A table with deleted rows, and columns added, renamed and widened after the first rows."""
    con.execute(
        "CREATE TABLE lake.trusted.a (id BIGINT, d DECIMAL(10,2), seen TIMESTAMP, day DATE, n VARCHAR,"
        " l VARCHAR[], h UBIGINT, b BOOLEAN, f DOUBLE, gone VARCHAR, i INTEGER)"
    )
    con.execute(
        "INSERT INTO lake.trusted.a SELECT i, i / 3, TIMESTAMP '1899-01-01 08:05:43' + to_hours(i::INT),"
        " DATE '1000-01-01' + i::INT, '名' || i, ['甲', NULL, 'b'], 18446744073709551615 - i,"
        " i % 2 = 0, i / 7, 'x', i FROM range(50) t(i)"
    )
    con.execute("DELETE FROM lake.trusted.a WHERE id % 5 = 1")
    con.execute("ALTER TABLE lake.trusted.a ADD COLUMN more VARCHAR")
    con.execute("ALTER TABLE lake.trusted.a RENAME COLUMN n TO name")
    con.execute("ALTER TABLE lake.trusted.a DROP COLUMN gone")
    con.execute("ALTER TABLE lake.trusted.a ALTER COLUMN i SET DATA TYPE BIGINT")
    con.execute("ALTER TABLE lake.trusted.a ADD COLUMN n VARCHAR")
    con.execute(
        "INSERT INTO lake.trusted.a (id, d, seen, name, n, more, i) SELECT i, -0.01, "
        "TIMESTAMP '1986-06-01 00:30:00.123456', NULL, '新' || i, '', 5000000000 "
        "FROM range(50, 70) t(i)"
    )
    con.execute("DELETE FROM lake.trusted.a WHERE id IN (2, 51)")


READ = "SELECT * FROM lake.trusted.a"
JOINED = (
    "SELECT a.id, few.f, a.d * 3 AS d3, sum(a.d) OVER (ORDER BY a.id) AS running, 1.5 AS q, "
    "row_number() OVER (ORDER BY a.seen DESC, a.id) AS place, CAST(a.d AS VARCHAR) AS shown "
    "FROM lake.trusted.a JOIN few ON few.id = a.id"
)
KEPT = ["id", "d", "seen", "day", "name", "l", "b", "f", "more", "n", "i"]


def _answers(lake: Lake, con: duckdb.DuckDBPyConnection, url: str) -> list[Any]:
    con.execute("BEGIN")
    con.execute("CREATE OR REPLACE TEMP TABLE few AS SELECT unnest([2, 4, 55]) AS id, 'x' AS f")
    with engines.running(lake, con, url) as run:
        run.make("everything", READ)
        run.make("joined", JOINED)
        run.lay("laid", "SELECT count(*) AS n FROM everything")
        out = [
            con.execute("DESCRIBE everything").fetchall(),
            con.execute("DESCRIBE joined").fetchall(),
            con.execute("FROM everything ORDER BY id").fetchall(),
            con.execute("FROM joined ORDER BY id").fetchall(),
            con.execute("FROM laid").fetchall(),
        ]
    con.execute("ROLLBACK")
    return out


def _files(lake: Lake) -> set[str]:
    return {
        str(p.relative_to(lake.folder))
        for p in Path(lake.folder).rglob("*")
        if p.is_file() and "_scratch" not in p.parts
    }


@pytest.mark.parametrize("kind", [pytest.param("standalone", marks=pytest.mark.slow), "sail"])
def test_a_table_with_a_history_is_read_as_it_stands(
    lake: Lake, kind: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(kind)
    with lake.connect() as con:
        _evolved(con)
        before = _files(lake)
        assert _answers(lake, con, url) == _answers(lake, con, "")
        assert _files(lake) == before


@pytest.mark.parametrize("kind", [pytest.param("standalone", marks=pytest.mark.slow), "sail"])
def test_results_enter_the_lake_without_a_copy(
    lake: Lake, kind: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(kind)
    listed = ", ".join(KEPT)
    with lake.connect() as con:
        _evolved(con)
        con.execute(f"CREATE TABLE lake.library.z AS SELECT {listed} FROM lake.trusted.a LIMIT 0")
        con.execute("BEGIN")
        with engines.running(lake, con, url) as run:
            added = run.append("library", "z", KEPT, f"SELECT {listed} FROM lake.trusted.a")
        con.execute("COMMIT")
        wanted = con.execute(f"SELECT {listed} FROM lake.trusted.a ORDER BY id").fetchall()
        assert added == len(wanted)
        assert con.execute("FROM lake.library.z ORDER BY id").fetchall() == wanted
        stored = con.execute(
            "SELECT data_file FROM ducklake_list_files('lake', 'z', schema => 'library')"
        ).fetchall()
        assert stored
        assert all("/spark-" in file for (file,) in stored)
        # what Spark wrote is a table like any other: it evolves, and Spark reads it again
        con.execute("ALTER TABLE lake.library.z RENAME COLUMN name TO called")
        con.execute("DELETE FROM lake.library.z WHERE id < 10")
        for place in (url, ""):
            con.execute("BEGIN")
            with engines.running(lake, con, place) as run:
                run.make("again", "SELECT * FROM lake.library.z")
                rows = con.execute("FROM again ORDER BY id").fetchall()
            con.execute("ROLLBACK")
            assert rows == [r for r in wanted if r[0] >= 10]
    assert lake.orphans(older_than="0 seconds") == []


@pytest.mark.slow
def test_a_job_that_dies_leaves_orphans_only(lake: Lake, standalone: str) -> None:
    with lake.connect() as con:
        _evolved(con)
        con.execute("CREATE TABLE lake.library.z (id BIGINT)")
        con.execute("BEGIN")
        run = spark.SparkRun(lake, con, standalone)
        run.append("library", "z", ["id"], "SELECT id FROM lake.trusted.a")
        con.execute("ROLLBACK")  # the process ends here: nobody cleans up
        assert con.execute("SELECT count(*) FROM lake.library.z").fetchall() == [(0,)]
        left = [f for f in _files(lake) if "/spark-" in f]
        assert left
        run._holding.close()
    removed = lake.orphans(older_than="0 seconds")
    assert {Path(f).name for f in removed} >= {Path(f).name for f in left}
    assert not [f for f in _files(lake) if "/spark-" in f]


@pytest.mark.parametrize("kind", [pytest.param("standalone", marks=pytest.mark.slow), "sail"])
def test_a_failing_statement_says_so_and_leaves_nothing(
    lake: Lake, kind: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(kind)
    with lake.connect() as con:
        _evolved(con)
        before = _files(lake)
        con.execute("BEGIN")
        with (
            pytest.raises(LakeError, match="Spark 没有算完"),
            engines.running(lake, con, url) as run,
        ):
            run.make("x", "SELECT CAST(name AS BIGINT) AS n FROM lake.trusted.a")
        con.execute("ROLLBACK")
        with (
            pytest.raises(LakeError, match="没有相同含义"),
            engines.running(lake, con, url) as run,
        ):
            run.make("x", "SELECT hash(name) AS n FROM lake.trusted.a")
    assert _files(lake) == before


# ---------------------------------------------------------------- quality

TOWNS = [
    DomainCode(
        f"{n:06}",
        "镇",
        datetime.date(1990, 1, 1) if n % 2 else None,
        datetime.date(2000, 1, 1) if n % 3 == 0 else None,
    )
    for n in range(320600, 320850)
]
ITEMS = (
    ItemCheck("id", "公民身份号码", check="citizen_number", regions=[c.code for c in TOWNS]),
    ItemCheck("name", "姓名", format="an..10", required=True),
    ItemCheck("amount", "金额", "Y", "n..10,2"),
    ItemCheck("n", "数量", "I", "n..5"),
    ItemCheck("f", "比率", "F"),
    ItemCheck("born", "出生日期", "D"),
    ItemCheck("at", "时间", "T"),
    ItemCheck("yes", "是否", "L"),
    ItemCheck("code", "统一社会信用代码", check="credit_code"),
    ItemCheck("town", "区划", check="region", domain=TOWNS, domain_on="born"),
    ItemCheck("plate", "车牌", format="an6(aannnn)"),
)
RULES = (
    RowRule("r1", "出生日期与号码一致", "strftime(born, '%Y%m%d') = id[7:14]"),
    RowRule("r2", "单价过高", "amount / n < 100 OR CAST(name AS INTEGER) > 5", "warn"),
    RowRule("r3", "先后", "date_diff('month', born, CAST(at AS DATE)) > 0", "warn"),
    RowRule("r4", "姓名", "regexp_matches(name, '^[^\\s.]+$') AND length(name) > 1", "warn"),
    RowRule("r5", "数量", "n // 3 > n % 2 AND coalesce(amount, 0) < 1e9", "warn"),
)
DIRT = {
    "id": [
        ANNA,
        BORIS,
        CARLA,
        ANNA[:-1] + "9",
        "360426910101007",
        ANNA.lower(),
        " " + ANNA,
        "1.10101E+17",
        "11010119900230771X",
        "320706200002290015",
        "0",
        "'" + ANNA,
        "３６０４２６１９９１０１０１００７１",
        "320706184912310011",
        "abcdefghijklmnopqr",
    ],
    "name": [
        "张三",
        "a.b",
        "7",
        "１",
        "\u3000王五\u3000",
        "王\t五",
        "x" * 11,
        "𠮷野",
        "阿卜杜拉·买买提",
    ],
    "amount": [
        "1",
        "1.50",
        "1.005",
        "-3.2",
        "1,234.50",
        "￥5",
        "99999999.99",
        "123456789.99",
        "1e3",
        "1.5e-2",
        ".5",
        "5.",
        "１２．３",
        "1.",
        "--1",
        "0",
    ],
    "n": ["0", "12", "12.0", "12.5", "99999", "100000", "-5", "１２", "1,000", "0x1F", "007"],
    "f": ["0", "1.5", "1e10", "1e309", "nan", "inf", "1d", "12,345.6", ".5"],
    "born": [
        "2000-01-01",
        "2000-1-1",
        "20000101",
        "2000/1/1",
        "2000年1月1日",
        "2000.01.01",
        "20000101123000",
        "2000-02-30",
        "2000/02/29 10:20",
        "0999-01-01",
        "２０００－０１－０１",
        "２０００／１／１",
        "20001301",
        "2000-01-01abc",
        "2000-01-01 10:20:30.123",
        "2000-01",
        "36526",
    ],
    "at": [
        "2000-01-01 10:20:30",
        "2000-01-01T10:20:30.5",
        "2000-01-01 10:20:30.1234567",
        "2000/1/1 1:2",
        "20000101102030",
        "20000101T102030",
        "2000年1月1日10时20分30秒",
        "2000-01-01T10:20:30Z",
        "2000-01-01 10:20:30+0800",
        "1990-07-01T00:00:00-05:00",
        "2000-01-01 24:00:00",
        "2000-01-01 23:59:60",
        "20000132",
        "2000/01/01 10:20:30.25",
    ],
    "yes": ["1", "0", "是", "false", "×", "无", "2", "1.0"],
    "code": [
        "91350100M000100Y43",
        "91350100m000100y43",
        "91350100M000100Y44",
        "320700123456789",
        "91I50100M000100Y43",
        "1234567890123",
        "统一社会信用代码一二三四五六七八九十",
    ],
    "town": ["320706", "320706000000", "320601", "320603", "32", "999999", "32070６", "abc"],
    "plate": ["ab1234", "苏G1234", "AB123４"],
}
EMPTY = ["", " ", "\u3000x ", "NULL", "N/A", "-", "\ufeff", "'", "\n", "a\nb"]


def _dirty(rows: int, seed: int = 3) -> list[tuple[Any, ...]]:
    dice = random.Random(seed)

    def value(name: str) -> str | None:
        luck = dice.random()
        if luck < 0.1:
            return dice.choice([None, *EMPTY])
        found = dice.choice(DIRT[name])
        if luck < 0.2:
            return dice.choice([" ", "\u3000", "\t"]) + found
        return found + dice.choice([" ", "\u200b", "\n"]) if luck < 0.25 else found

    return [(line, *(value(item.name) for item in ITEMS)) for line in range(rows)]


@pytest.mark.slow
@pytest.mark.parametrize("excel", [False, True])
def test_every_check_gives_the_same_verdict_and_reasons(
    lake: Lake, standalone: str, excel: bool
) -> None:
    with lake.connect() as con:
        columns = ", ".join(f'"{i.name}" VARCHAR' for i in ITEMS)
        con.execute(f"CREATE TEMP TABLE arrived (_line BIGINT, {columns})")
        marks = ", ".join("?" for _ in range(len(ITEMS) + 1))
        con.executemany(f"INSERT INTO arrived VALUES ({marks})", _dirty(1500, 3 + excel))
        checks = compile_checks(ITEMS, RULES, excel=excel)
        checks.prepare(con)
        found = []
        for url in ("", standalone):
            con.execute("BEGIN")
            with engines.running(lake, con, url) as run:
                quality.judge(run, con, checks, "arrived")
                found.append(
                    [
                        con.execute(f"FROM {name} ORDER BY _line").fetchall()
                        for name in (quality.JUDGED, quality.REASONED)
                    ]
                )
            con.execute("ROLLBACK")
        assert repr(found[0][0]) == repr(found[1][0])
        assert found[0][1] == found[1][1]
        assert len(found[0][1]) > 1000


@pytest.mark.slow
def test_check_digits_of_whole_columns_are_right_on_the_cluster(
    lake: Lake, standalone: str
) -> None:
    values = [*DIRT["id"], *DIRT["code"], "110101185002290012", "9135010XM000100Y43", None]
    with lake.connect() as con:
        con.execute("CREATE TEMP TABLE told AS SELECT unnest(?) AS x", [values])
        answers = []
        for url in ("", standalone):
            con.execute("BEGIN")
            with engines.running(lake, con, url) as run:
                run.make(
                    "certainly",
                    "SELECT x, citizen_numbers_ok(x), credit_codes_ok(x), count(*) FILTER "
                    "(NOT credit_codes_ok(x)) FROM told GROUP BY ALL",
                )
                answers.append(con.execute("FROM certainly ORDER BY x").fetchall())
            con.execute("ROLLBACK")
        assert answers[0] == answers[1]
        assert sum(bool(row[1]) + bool(row[2]) for row in answers[0]) >= 3


# ---------------------------------------------------------------- whole pipelines


def _people(lake: Lake, rows: Callable[..., Source]) -> None:
    """Three departments' data on the same people, with gaps, contradictions and changes."""
    dice = random.Random(11)
    names = ["张三", "李四", "王五", "赵六", "欧阳娜娜"]

    def spec(name: str, *more: ItemCheck) -> DatasetSpec:
        return DatasetSpec(name, (ItemCheck("id", "编号", required=True), *more), ("id",))

    register = spec(
        "register",
        ItemCheck("name", "姓名"),
        ItemCheck("born", "出生日期", "D"),
        ItemCheck("moved", "变更日期", "D"),
        ItemCheck("income", "收入", "Y", "n..12,2"),
    )
    insured = spec(
        "insured",
        ItemCheck("name", "姓名"),
        ItemCheck("phone", "电话"),
        ItemCheck("seen", "日期", "D"),
        ItemCheck("base", "基数", "Y", "n..12,2"),
    )

    def person(number: int) -> tuple[Any, ...]:
        return (
            f"P{number:04}",
            dice.choice([*names, None]),
            f"19{dice.randint(40, 99)}-0{dice.randint(1, 9)}-11",
            f"202{dice.randint(0, 5)}-03-0{dice.randint(1, 9)}",
            f"{dice.randint(0, 900000) / 100:.2f}",
        )

    def cover(number: int) -> tuple[Any, ...]:
        return (
            f"P{number:04}",
            dice.choice([*names, None, '引号"\\反斜']) if number % 3 else dice.choice(names),
            dice.choice(["13800000000", None, "0518-1"]),
            f"202{dice.randint(0, 5)}-03-0{dice.randint(1, 9)}",
            f"{dice.randint(0, 900000) / 100:.2f}",
        )

    titles = {s.name: [i.title for i in s.items] for s in (register, insured)}

    def bring(which: DatasetSpec, batch: str, values: list[tuple[Any, ...]], mode: str) -> None:
        load(lake, which, rows(*values, columns=titles[which.name]), mode, batch)

    bring(register, "r1", [person(n) for n in range(300)], "full")
    bring(insured, "i1", [cover(n) for n in range(150, 450)], "full")
    bring(register, "r2", [person(n) for n in range(0, 90, 3)], "incremental")
    bring(insured, "i2", [cover(n) for n in range(160, 440)], "full")


def _library() -> link.LibrarySpec:
    def one(name: str, *sources: link.FieldSource, wins: str = "authority") -> link.LibraryField:
        return link.LibraryField(name, name, sources, wins)

    a, b = "register", "insured"
    return link.LibrarySpec(
        "population",
        "id",
        (
            one("name", link.FieldSource(a, "name"), link.FieldSource(b, "name")),
            one(
                "money",
                link.FieldSource(a, "income", date="moved"),
                link.FieldSource(b, "base", date="seen"),
                wins="latest",
            ),
            one("phone", link.FieldSource(b, "phone")),
            one("born", link.FieldSource(a, "born")),
        ),
    )


def _table(lake: Lake, name: str, without: set[str], order: str) -> list[tuple[Any, ...]]:
    with lake.connect() as con:
        found = [d[0] for d in con.execute(f"FROM {name} LIMIT 0").description or ()]
        listed = ", ".join(f'"{c}"' for c in found if c not in without)
        return con.execute(f"SELECT {listed} FROM {name} ORDER BY {order}").fetchall()


def _built(lake: Lake) -> list[Any]:
    """What golden() made: the first building, then nothing new, then all of it anew."""
    out: list[Any] = []
    for batch in ("g1", "g2"):
        made = link.golden(lake, _library(), batch)
        out += [made.inserted, made.updated, made.deleted, made.unchanged, made.conflicts]
        out += [made.fields, made.freshness]
    with lake.connect() as con:
        con.execute("DELETE FROM lake.library.population WHERE id < 'P0100'")
        con.execute("UPDATE lake.library.population SET name = '旧' WHERE id > 'P0400'")
    made = link.golden(lake, _library(), "g3")
    out += [made.inserted, made.updated, made.deleted, made.unchanged, made.conflicts]
    return [*out, _table(lake, "lake.library.population", {"_updated_at"}, "id")]


RULES_COMPARED = [
    compare.Rule(
        "absent",
        "missing",
        compare.Side("register", ("id",), name="name", show=("born", "income"), date="born"),
        compare.Side("insured", ("id",), name="name"),
    ),
    compare.Rule(
        "unequal",
        "differs",
        compare.Side("register", ("id",), amount="income", name="name", show=("income",)),
        compare.Side("insured", ("id",), amount="base", name="name", show=("base", "phone")),
        direction="both",
        absolute=10,
        relative=0.1,
        amount="difference",
    ),
    compare.Rule(
        "later",
        "after",
        compare.Side("insured", ("id",), date="seen", amount="base", show=("seen",)),
        compare.Side("register", ("id",), date="moved", show=("moved",)),
        grace=30,
    ),
]


def _compared(lake: Lake) -> list[Any]:
    out: list[Any] = []
    for rule in RULES_COMPARED:
        made = compare.compare(lake, rule, f"run-{rule.name}")
        out += [made.found, made.incomplete, made.fresh, made.amount, made.doubts]
        out.append(_table(lake, f"lake.findings.{rule.name}", {"found_at"}, "id"))
    return out


@pytest.mark.parametrize("kind", [pytest.param("standalone", marks=pytest.mark.slow), "sail"])
def test_golden_records_and_comparisons_are_the_same(
    lake_pair: tuple[Lake, Lake],
    rows: Callable[..., Source],
    on: Callable[[str], None],
    kind: str,
    request: pytest.FixtureRequest,
) -> None:
    url = request.getfixturevalue(kind)
    answers = []
    for lake, engine in zip(lake_pair, ("", url), strict=True):
        _people(lake, rows)
        on(engine)
        answers.append([_built(lake), _compared(lake)])
        on("")
    assert answers[0] == answers[1]
    assert len(answers[0][0][-1]) == 440
    files = [f for f in _files(lake_pair[1]) if f.startswith("library/population/spark-")]
    assert files
    assert not [f for f in _files(lake_pair[1]) if f.startswith("_spark")]


@pytest.mark.slow
def test_linkage_gives_the_same_pairs(
    lake_pair: tuple[Lake, Lake],
    rows: Callable[..., Source],
    on: Callable[[str], None],
    standalone: str,
) -> None:
    # names of two characters: from three on DuckDB's levenshtein counts bytes and Spark's does not
    dice = random.Random(5)
    surnames, given = "张王李赵陈刘杨黄周吴", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚"
    people = [
        (
            dice.choice(surnames) + dice.choice(given),
            f"{dice.randint(1940, 2005)}{dice.randint(1, 12):02}{dice.randint(1, 28):02}",
            f"1{dice.randint(3000000000, 9999999999)}",
        )
        for _ in range(200)
    ]

    def wrong(person: tuple[str, str, str]) -> tuple[str, str, str]:
        name, born, phone = person
        luck = dice.random()
        if luck < 0.1:
            name = name[:-1] + dice.choice(given)
        elif luck < 0.2:
            born = born[:-1] + str(dice.randint(0, 9))
        elif luck < 0.3:
            phone = f"1{dice.randint(3000000000, 9999999999)}"
        return name, born, phone

    left = [(f"L{n}", *person) for n, person in enumerate(people)]
    right = [(f"R{n}", *wrong(person)) for n, person in enumerate(people[:150])]
    items = (
        ItemCheck("id", "编号", required=True),
        ItemCheck("name", "姓名"),
        ItemCheck("born", "出生日期"),
        ItemCheck("phone", "电话"),
    )
    titles = [i.title for i in items]
    spec = match.MatchSpec(
        "same_people",
        match.Side("clinic", ("id",)),
        match.Side("school", ("id",)),
        (
            match.Field("name", "姓名", "person_name", "name", "name"),
            match.Field("born", "出生日期", "date", "born", "born"),
            match.Field("phone", "电话", "phone", "phone", "phone"),
        ),
        blocks=(("name",), ("born",), ("phone",)),
        certain=(("name", "born"), ("born", "phone")),
        train=(("born",),),
    )
    answers = []
    for lake, engine in zip(lake_pair, ("", standalone), strict=True):
        for name, values in (("clinic", left), ("school", right)):
            source = rows(*values, columns=titles)
            load(lake, DatasetSpec(name, items, ("id",)), source, "full", name)
        on(engine)
        made = match.run(lake, spec, "m1")
        on("")
        with lake.connect() as con:
            answers.append(
                con.execute(
                    "SELECT left_key, right_key, levels, state, probability "
                    "FROM lake.links.same_people__pairs ORDER BY ALL"
                ).fetchall()
            )
    assert [row[:4] for row in answers[0]] == [row[:4] for row in answers[1]]
    for here, there in zip(*answers, strict=True):  # two trainings, in another order of additions
        assert here[4] == pytest.approx(there[4], abs=0.05)
    assert made.merged > 120


@pytest.mark.parametrize("mode", [pytest.param("full", marks=pytest.mark.slow), "append"])
def test_a_load_checked_on_the_cluster_is_the_same_load(
    lake_pair: tuple[Lake, Lake],
    rows: Callable[..., Source],
    on: Callable[[str], None],
    standalone: str,
    mode: str,
) -> None:
    key = ItemCheck("no", "编号", format="an..6", required=True)
    spec = DatasetSpec("dirty", (key, *ITEMS[1:4], ITEMS[7]), ("no",), rules=RULES[3:4])
    titles = [i.title for i in spec.items]
    first, second = (
        [(f"N{row[0] % 120}", *row[2:5], row[8]) for row in _dirty(150, seed)] for seed in (7, 8)
    )
    answers = []
    for lake, engine in zip(lake_pair, ("", standalone), strict=True):
        on(engine)
        found: list[Any] = []
        for batch, values in (("b1", first), ("b2", second)):
            made = load(
                lake, spec, rows(*values, columns=titles), mode, batch, allow_shrink=True
            ).as_dict()
            found.append({k: v for k, v in made.items() if k not in ("seconds", "snapshot")})
        on("")
        found.append(_table(lake, "lake.trusted.dirty", {"_loaded_at"}, "_batch, _line"))
        found.append(_table(lake, "lake.rejects.dirty", {"_rejected_at"}, "_batch, _line"))
        answers.append(found)
        assert not [f for f in _files(lake) if f.startswith("_spark")]
    assert repr(answers[0]) == repr(answers[1])
    assert answers[0][0]["accepted"]
