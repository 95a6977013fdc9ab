"""De-identification: nobody is alone, whatever the rows; what is measured is what goes out."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lianyun.lake import deidentify as d
from lianyun.lake import release as r
from lianyun.lake.shelves import Lake, LakeError

if TYPE_CHECKING:
    from lianyun.project.testing import LakePlace

TODAY = dt.date(2026, 11, 22)
T = d.Treatment


@pytest.fixture
def lake(lake_place: LakePlace) -> Lake:
    """A lake with one table of people."""
    made = Lake(lake_place.catalogue_url, str(lake_place.folder))
    with made.connect() as con:
        con.execute(
            "CREATE TABLE lake.trusted.p (number VARCHAR, born DATE, sex VARCHAR, town VARCHAR, "
            "paid DECIMAL(10,2), illness VARCHAR)"
        )
    return made


def fill(lake: Lake, rows: list[tuple[object, ...]]) -> None:
    """These rows and no others."""
    with lake.connect() as con:
        con.execute("DELETE FROM lake.trusted.p")
        if rows:
            con.executemany("INSERT INTO lake.trusted.p VALUES (?, ?, ?, ?, ?, ?)", rows)


def recipe(k: int, l: int = 1, **more: object) -> d.Recipe:  # noqa: E741 - the measure's letter
    """Age, sex and county as quasi-identifiers, an illness as what must not be learnt."""
    return d.Recipe(
        (
            T("number", d.DROP),
            T("born", d.AGE, d.QUASI, 10),
            T("sex", d.KEEP, d.QUASI),
            T("town", d.REGION, d.QUASI, 6),
            T("illness", d.KEEP, d.SENSITIVE),
        ),
        k,
        l,
        **more,  # type: ignore[arg-type]
    )


person = st.tuples(
    st.just("N"),
    st.one_of(st.none(), st.dates(dt.date(1930, 1, 1), dt.date(2026, 1, 1))),
    st.sampled_from(["1", "2", None]),
    st.sampled_from(["320703001", "320706002", "32070", "", None]),
    st.one_of(st.none(), st.integers(0, 10_000)),
    st.sampled_from(["A", "B", "C", None]),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(person, max_size=60), k=st.integers(1, 6), l=st.integers(1, 3))
def test_every_group_that_goes_out_is_large_and_varied(
    lake: Lake,
    tmp_path: Path,
    rows: list[tuple[object, ...]],
    k: int,
    l: int,  # noqa: E741 - the measure's letter
) -> None:
    fill(lake, rows)
    made = r.write(lake, "p", recipe(k, l), tmp_path / "v", titles={}, today=TODAY)
    assert made.risk.rows == len(rows)
    assert made.rows == made.risk.out == len(rows) - made.risk.suppressed
    columns = dict(made.columns)
    _, listed, total = r.ask(tmp_path, tmp_path / "v", columns, r.Question(limit=1000), made.rows)
    assert total == len(listed) == made.rows
    groups = Counter(tuple(row[:3]) for row in listed)
    assert all(n >= k for n in groups.values())
    assert min(groups.values(), default=0) == made.risk.smallest_after
    if l > 1:
        for group in groups:
            found = {row[3] for row in listed if tuple(row[:3]) == group}
            assert found == {None} or len(found) >= l
    # Whoever was held back stood in a group that is too small or too much alike: nobody without cause.
    assert sum(made.risk.sizes_after) == made.rows
    assert sum(made.risk.sizes_before) == len(rows)


def test_softer_until_few_are_held_back(lake: Lake) -> None:
    fill(
        lake,
        [
            ("N", dt.date(1950 + i % 50, 1, 1), "12"[i % 2], f"3207030{i % 30:02d}", i, "AB"[i % 2])
            for i in range(300)
        ],
    )
    start = d.Recipe((T("born", d.AGE, d.QUASI, 1), T("town", d.KEEP, d.QUASI)), 5)
    ladders = {
        "born": [T("born", d.AGE, d.QUASI, 10), T("born", d.AGE, d.QUASI, 50)],
        "town": [T("town", d.REGION, d.QUASI, 6), T("town", d.DROP, d.QUASI)],
    }
    assert d.measure(lake, "p", start, TODAY).share_suppressed > 0.9
    softened, risk = d.soften(lake, "p", start, ladders, 0.1, TODAY)
    assert risk.share_suppressed <= 0.1
    assert risk.smallest_after >= 5
    assert softened != start
    assert d.measure(lake, "p", softened, TODAY) == risk


@pytest.mark.slow
def test_counts_are_rounded_without_bias_and_alike_each_time(lake: Lake, tmp_path: Path) -> None:
    fill(lake, [("N", None, "1", f"{t:09d}", 1, None) for t in range(400) for _ in range(t % 7)])
    counts = d.Recipe((T("town", d.KEEP, d.QUASI),), 5, form=d.COUNTS, small=d.NOISE)
    sums = []
    for place in ("a", "b", "c"):
        made = r.write(
            lake, "p", counts, tmp_path / place, titles={}, today=TODAY, secret=place[:1]
        )
        _, rows, _ = r.ask(
            tmp_path, tmp_path / place, dict(made.columns), r.Question(limit=1000), made.rows
        )
        assert all(n % 5 == 0 and n > 0 for _, n in rows)
        sums.append(sum(n for _, n in rows))
    true = sum(t % 7 for t in range(400))
    assert all(abs(s - true) < true * 0.2 for s in sums)
    assert len(set(sums)) > 1, "another secret throws other dice"
    again = r.write(lake, "p", counts, tmp_path / "d", titles={}, today=TODAY, secret="a")
    assert (
        again.files["json"]
        == r.write(lake, "p", counts, tmp_path / "e", titles={}, today=TODAY, secret="a").files[
            "json"
        ]
    )


@pytest.mark.parametrize(
    "treatment",
    [T("sex", d.AGE, d.QUASI, 10), T("born", d.REGION, d.QUASI, 6), T("town", d.BAND, d.QUASI, 5),
     T("paid", d.BAND, d.QUASI, 0), T("nothing"), T("born", "sql: 1", d.QUASI)],
)  # fmt: skip
def test_what_does_not_fit_is_refused(lake: Lake, treatment: d.Treatment) -> None:
    with pytest.raises(LakeError):
        d.measure(lake, "p", d.Recipe((treatment,), 5), TODAY)
    with pytest.raises(LakeError, match="还没有归集"):
        d.measure(lake, "nowhere", d.Recipe((T("sex"),)), TODAY)


def test_a_reader_opens_nothing_else(lake: Lake, tmp_path: Path) -> None:
    fill(lake, [("N", None, "1", "320703001", 1, None)])
    made = r.write(lake, "p", d.Recipe((T("sex"),)), tmp_path / "in" / "v", titles={}, today=TODAY)
    columns = dict(made.columns)
    for name in ("sex FROM p; --", '"', "file_row_number", "*"):
        for question in (
            r.Question(columns=(name,)),
            r.Question(order=((name, False),)),
            r.Question(filters=((name, "eq", 1),)),
        ):
            with pytest.raises(r.BadQuestion):
                r.ask(tmp_path / "in", tmp_path / "in" / "v", columns, question, 1)
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with r._reading(tmp_path / "in") as con:
        for statement in (
            f"SELECT * FROM read_csv('{secret}')",
            f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
            "SET enable_external_access = true",
            "INSTALL httpfs",
        ):
            with pytest.raises(Exception, match=r"(?i)permission|locked|disabled|cannot"):
                con.execute(statement)
