"""City: the inhabitants, households and organisations from which every department's rows are drawn."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
from pathlib import Path

import duckdb
import pyarrow as pa

from . import vocabulary as words

PACKS = Path(__file__).resolve().parents[1] / "packs"
CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CREDIT_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def literal(values: list[str]) -> str:
    """A list of words as a DuckDB list literal."""
    return "[" + ", ".join("'" + v.replace("'", "''") + "'" for v in values) + "]"


def pack_rows(file: str) -> list[dict[str, str]]:
    """Rows of a CSV file of the core pack."""
    with (PACKS / "core" / file).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def departments() -> dict[str, dict[str, str]]:
    """The sixty departments by slug (slug, code, name, short)."""
    return {row["slug"]: row for row in pack_rows("departments.csv")}


def connect(seed: int, as_of: dt.date, memory: str = "6GB") -> duckdb.DuckDBPyConnection:
    """A private DuckDB in which draws depend on nothing but (row, tag, seed)."""
    con = duckdb.connect(config={"memory_limit": memory, "autoinstall_known_extensions": "false"})
    con.execute("SET preserve_insertion_order = true")
    macros = [
        f"u(i, t) AS (hash(i::BIGINT, t, {int(seed)}::BIGINT) >> 11)::DOUBLE / 9007199254740992.0",
        "n(i, t, lo, hi) AS (lo + floor(u(i, t) * (hi - lo + 1)))::BIGINT",
        "pick(l, i, t) AS l[1 + floor(u(i, t) * len(l))::BIGINT]",
        f"today() AS DATE '{as_of.isoformat()}'",
        "ago(days) AS (today() - days::INTEGER)",
        # A moment of a working day, `days` before today.
        "moment(i, t, days) AS (ago(days)::TIMESTAMP + to_seconds(28800 + n(i, t || 's', 0, 34000)))",
        "phone(i, t) AS '129' || lpad(n(i, t, 0, 99999999)::VARCHAR, 8, '0')",
        "landline(i, t) AS '0518-0' || lpad(n(i, t, 0, 999999)::VARCHAR, 6, '0')",
        "bank(i, t) AS '99' || lpad(n(i, t, 0, 99999999999)::VARCHAR, 17, '0')",
        "citizen_check(s) AS '10X98765432'[1 + ("
        + " + ".join(f"{w} * s[{i + 1}]::INTEGER" for i, w in enumerate(CITIZEN_WEIGHTS))
        + ") % 11]",
        # 'MN' is not an allocated prefix of organisation codes: these firms cannot exist.
        "org_check(d) AS (SELECT CASE c WHEN 10 THEN 'X' WHEN 11 THEN '0' ELSE c::VARCHAR END FROM "
        "(SELECT 11 - (227 + 9*d[1]::INT + 10*d[2]::INT + 5*d[3]::INT + 8*d[4]::INT + 4*d[5]::INT"
        " + 2*d[6]::INT) % 11 AS c))",
        f"credit_value(c) AS strpos('{CREDIT_ALPHABET}', c) - 1",
        f"credit_check(s) AS '{CREDIT_ALPHABET}'[1 + (31 - ("
        + " + ".join(f"{w} * credit_value(s[{i + 1}])" for i, w in enumerate(CREDIT_WEIGHTS))
        + ") % 31) % 31]",
        f"surname(i, t) AS pick({literal(words.slots(words.SURNAMES))}, i, t)",
        f"road(i, t) AS pick({literal(words.ROADS)}, i, t)",
        f"estate(i, t) AS pick({literal(words.ESTATES)}, i, t)",
    ]
    pools = {key: literal(list(chars)) for key, chars in words.GIVEN.items()}
    cases = " ".join(f"WHEN '{key}' THEN {value}" for key, value in pools.items())
    macros.append(
        "given(i, k) AS CASE WHEN u(i, 'g1') < CASE WHEN k LIKE '%mid' THEN 0.36 ELSE 0.14 END "
        f"THEN pick(CASE k {cases} END, i, 'ga') "
        f"ELSE pick(CASE k {cases} END, i, 'ga') || pick(CASE k {cases} END, i, 'gb') END"
    )
    for macro in macros:
        con.execute(f"CREATE MACRO {macro}")
    return con


def count(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The one number that a query returns."""
    row = con.execute(sql).fetchone()
    return int(row[0]) if row else 0


def _borders() -> dict[str, list[list[list[float]]]]:
    """The counties' rings by code, from the core pack."""
    file = PACKS / "core" / "geo" / "counties.geojson"
    found: dict[str, list[list[list[float]]]] = {}
    for feature in json.loads(file.read_text("utf-8"))["features"]:
        shape = feature["geometry"]
        parts = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
        found[feature["properties"]["code"]] = [ring for part in parts for ring in part]
    return found


def _inside(x: float, y: float, rings: list[list[list[float]]]) -> bool:
    """Whether a ray to the east crosses the rings an odd number of times."""
    odd = False
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
            if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                odd = not odd
    return odd


def _places(con: duckdb.DuckDBPyConnection) -> None:
    towns = {row["code"]: row["name"] for row in pack_rows("codes/towns.csv")}
    weights: list[tuple[str, float]] = []
    rows = []
    for row in pack_rows("codes/villages.csv"):
        code, county = row["code"], row["code"][:6]
        kind = code[6]
        weight = {"0": 2.4, "1": 1.0, "2": 0.8}.get(kind, 0.5)
        if "社区" in row["name"] and kind == "1":
            weight *= 1.6
        weights.append((county, weight))
        short = row["name"]
        for suffix in ("居民委员会", "村民委员会", "居委会", "村委会"):
            short = short.removesuffix(suffix)
        rows.append((code, short, code[:9], towns[code[:9]], county, kind != "1" and kind != "2"))
    totals: dict[str, float] = {}
    for county, weight in weights:
        totals[county] = totals.get(county, 0) + weight
    upper, table = 0.0, []
    borders = _borders()
    full = sum(words.COUNTY_SHARES[c] for c in totals)
    for index, (place, (county, weight)) in enumerate(zip(rows, weights, strict=True)):
        share = weight / totals[county] * words.COUNTY_SHARES[county] / full
        lon, lat = words.COUNTY_CENTRES[county]
        # Nobody knows the village's point: a fixed spiral round the county's centre stands for it.
        angle, radius = index * 2.399963, 0.02 + 0.13 * ((index * 0.61803) % 1)
        ring = borders.get("320703" if county == "320771" else county)
        for turn in range(60):
            x, y = lon + radius * math.cos(angle), lat + radius * 0.8 * math.sin(angle)
            if not ring or _inside(x, y, ring):
                break
            angle, radius = angle + 2.399963, 0.15 * ((index + turn) * 0.61803 % 1)
        table.append(
            (
                index,
                upper,
                upper + share,
                place[0],
                place[1],
                place[2],
                place[3],
                "320703" if county == "320771" else county,
                words.COUNTY_NAMES[county],
                place[5],
                round(x, 6),
                round(y, 6),
            )
        )
        upper += share
    names = [
        "v",
        "lo",
        "hi",
        "code",
        "name",
        "town",
        "town_name",
        "county",
        "county_name",
        "urban",
        "lon",
        "lat",
    ]
    places = pa.table(dict(zip(names, map(list, zip(*table, strict=True)), strict=True)))
    con.register("places", places)
    con.execute("CREATE TABLE village AS SELECT * FROM places ORDER BY v")
    con.unregister("places")
    divisions = {
        r["code"]: r["name"] for r in pack_rows("codes/divisions.csv") if not r["valid_to"]
    }
    told = [
        (code, divisions.get(code[:2] + "0000", "") + divisions.get(code[:4] + "00", "") + name)
        for code, name in divisions.items()
        if not code.endswith("00")
    ]
    origins = pa.table({"region": [c for c, _ in told], "origin": [n for _, n in told]})
    con.register("origins", origins)
    con.execute("CREATE TABLE origin AS SELECT * FROM origins ORDER BY region")
    con.unregister("origins")
    outside = [
        row["code"]
        for row in pack_rows("codes/divisions.csv")
        if not row["valid_to"]
        and row["code"][:4] != "3207"
        and not row["code"].endswith("00")
        and row["code"][:2] in ("32", "34", "37", "41")
    ]
    con.execute(f"CREATE MACRO outside(i, t) AS pick({literal(outside)}, i, t)")


ADDRESS = (
    "'江苏省连云港市' || {v}.county_name || {v}.town_name || {v}.name || CASE WHEN {v}.urban THEN "
    "road({k}, 'road' || {t}) || n({k}, 'no' || {t}, 1, 288)::VARCHAR || '号' || estate({k}, 'est' || {t}) "
    "|| n({k}, 'bl' || {t}, 1, 40)::VARCHAR || '幢' || n({k}, 'un' || {t}, 1, 4)::VARCHAR || '单元' || "
    "n({k}, 'fl' || {t}, 1, 18)::VARCHAR || '0' || n({k}, 'rm' || {t}, 1, 4)::VARCHAR || '室' ELSE "
    "n({k}, 'gr' || {t}, 1, 14)::VARCHAR || '组' || n({k}, 'hs' || {t}, 1, 160)::VARCHAR || '号' END"
)

# The county code that was in force when a person was first registered (codes are never reissued).
REGION = """CASE
  WHEN u(i, 'elsewhere') < 0.09 THEN outside(i, 'from')
  WHEN county = '320706' THEN CASE
    WHEN byear >= 2014 THEN '320706'
    WHEN byear >= 1987 THEN CASE WHEN u(i, 'rc') < 0.6 THEN '320705' ELSE '320706' END
    WHEN u(i, 'rc') < 0.55 THEN '320705' WHEN u(i, 'rc') < 0.85 THEN '320706'
    WHEN u(i, 'rc') < 0.91 THEN '320702' ELSE '320704' END
  WHEN county = '320707' THEN CASE WHEN byear >= 2014 THEN '320707'
    WHEN byear < 1960 AND u(i, 'rc') < 0.03 THEN '322128' ELSE '320721' END
  WHEN county = '320722' THEN CASE WHEN byear < 1960 AND u(i, 'rc') < 0.03 THEN '322127' ELSE '320722' END
  WHEN county = '320723' THEN CASE WHEN byear < 1960 AND u(i, 'rc') < 0.03 THEN '322222' ELSE '320723' END
  WHEN county = '320724' THEN CASE WHEN byear < 1996 THEN '320822' ELSE '320724' END
  WHEN county = '320703' THEN CASE WHEN byear < 2001 AND u(i, 'rc') < 0.12 THEN '320704' ELSE '320703' END
  ELSE county END"""


def build(con: duckdb.DuckDBPyConnection, people: int) -> None:
    """Create the tables village, household, person, firm, shop and the small registers.

    `people` is the number of inhabitants: nine in ten are registered, the others live here from
    elsewhere (流动人口). Time grows linearly with it.
    """
    _places(con)
    registered = round(people * 0.92)
    houses = max(8, round(registered / 2.7))
    con.execute(f"""
    CREATE TABLE household AS
    WITH base AS (
      SELECT h, CASE WHEN u(h,'size') < .20 THEN 1 WHEN u(h,'size') < .44 THEN 2 WHEN u(h,'size') < .70 THEN 3
        WHEN u(h,'size') < .86 THEN 4 WHEN u(h,'size') < .95 THEN 5 ELSE 6 END AS size, u(h,'village') AS x
      FROM range(1, {houses} + 1) r(h)),
    cut AS (SELECT *, sum(size) OVER (ORDER BY h) AS upto FROM base)
    SELECT h, least(size, {registered} - (upto - size))::BIGINT AS size, v.v,
      CASE WHEN size = 1 THEN CASE WHEN u(h,'ha') < .4 THEN n(h,'hage',22,40) ELSE n(h,'hage',41,92) END
           WHEN size = 2 THEN CASE WHEN u(h,'ha') < .35 THEN n(h,'hage',24,40) ELSE n(h,'hage',41,88) END
           ELSE n(h,'hage',29,58) END AS head_age,
      surname(h,'hs') AS surname,
      {ADDRESS.format(v="v", k="h", t="'a'")} AS address,
      v.county || lpad(h::VARCHAR, 10, '0') AS number,
      u(h,'moved') < 0.035 AS moved
    FROM cut ASOF JOIN village v ON cut.x >= v.lo WHERE upto - size < {registered}
    ORDER BY h""")
    # Those who moved inside the city keep their former address in tables that nobody updated.
    con.execute(f"""
    CREATE TABLE former AS SELECT h, {ADDRESS.format(v="v", k="h", t="'b'")} AS address
    FROM (SELECT h, u(h, 'village2') AS x FROM household WHERE moved) hh
    ASOF JOIN village v ON hh.x >= v.lo ORDER BY h""")
    con.execute(f"""
    CREATE TABLE raw AS
    WITH r AS (
      SELECT row_number() OVER (ORDER BY h, pos) AS i, 'R' AS kind, h, pos, size, v, surname AS hsur, head_age
      FROM household, unnest(range(1, size + 1)) t(pos)),
    floating AS (
      SELECT {registered} + f AS i, 'F' AS kind, {houses} + f AS h, 1 AS pos, 1 AS size, v.v, surname({registered} + f, 'hs') AS hsur,
        n({registered} + f, 'fage', 19, 56) AS head_age
      FROM (SELECT f, u({registered} + f, 'fv') AS x FROM range(1, {people - registered} + 1) q(f)) z
      ASOF JOIN village v ON z.x >= v.lo),
    everyone AS (SELECT * FROM r UNION ALL SELECT * FROM floating),
    aged AS (
      SELECT *, CASE
        WHEN pos = 1 THEN head_age
        WHEN pos = 2 THEN greatest(21, head_age - n(i,'gap',-2,5))
        WHEN pos IN (3, 4) THEN greatest(0, head_age - n(i,'kid',23,33) - (pos - 3) * 3)
        ELSE least(96, head_age + n(i,'par',22,29)) END AS age0,
        CASE WHEN pos = 1 AND size = 1 OR kind = 'F' OR pos IN (3, 4) THEN CASE WHEN u(i,'sex') < .515 THEN '1' ELSE '2' END
          WHEN pos IN (1, 6) THEN '1' ELSE '2' END AS sex
      FROM everyone)
    SELECT *, (today() - (age0 * 365.25)::INTEGER - n(i,'bd',0,364)::INTEGER) AS birth FROM aged ORDER BY i""")
    nationality = literal(
        ["01"] * 985 + ["03"] * 6 + ["11"] * 2 + ["02"] * 2 + ["15", "06", "05", "08", "10"]
    )
    con.execute(f"""
    CREATE TABLE person AS
    WITH a AS (
      SELECT raw.*, date_diff('year', birth, today()) - CASE WHEN strftime(birth,'%m%d') > strftime(today(),'%m%d') THEN 1 ELSE 0 END AS age,
        year(birth) AS byear, village.* EXCLUDE (v, lo, hi, name), village.name AS village_name
      FROM raw JOIN village USING (v)),
    b AS (SELECT *, CASE WHEN kind = 'F' THEN outside(i, 'from') ELSE {REGION} END AS region0 FROM a),
    c AS (SELECT *, region0 || strftime(birth,'%Y%m%d') AS s14,
      row_number() OVER (PARTITION BY region0, birth, sex ORDER BY i) AS rank FROM b),
    d AS (SELECT *, s14 || lpad((2 * ((hash(s14, sex) % 400 + rank)::BIGINT % 500) + CASE sex WHEN '1' THEN 1 ELSE 0 END)::VARCHAR, 3, '0') AS s17 FROM c)
    SELECT d.* EXCLUDE (s14, s17, rank, age0, hsur, head_age), s17 || citizen_check(s17) AS id,
      CASE WHEN pos IN (2, 6) OR (pos = 5) THEN surname(i, 'own') ELSE hsur END ||
        given(i, CASE sex WHEN '1' THEN 'm' ELSE 'f' END || CASE WHEN byear < 1966 THEN '_old' WHEN byear < 2003 THEN '_mid' ELSE '_new' END) AS name,
      coalesce(hh.address, '') AS address, hh.number AS household, coalesce(hh.moved, false) AS moved, f.address AS old_address,
      pick({nationality}, i, 'nat') AS nationality,
      CASE WHEN d.age < 6 THEN '90' WHEN d.age < 12 THEN '80' WHEN d.age < 15 THEN '70' WHEN d.age < 18 THEN '60'
        WHEN d.byear < 1960 THEN pick(['90','81','81','71','71','61','41'], i, 'edu') WHEN d.byear < 1982 THEN pick(['81','71','71','71','61','61','41','31','21'], i, 'edu')
        ELSE pick(['71','71','61','61','41','44','31','31','21','21','21','14'], i, 'edu') END AS education,
      CASE WHEN d.age < 20 THEN '10' WHEN d.pos = 2 OR (d.pos = 1 AND d.size > 1) THEN CASE WHEN u(i,'rem') < .05 THEN '22' ELSE '21' END
        WHEN d.age > 70 THEN '30' WHEN d.age < 30 THEN '10' WHEN u(i,'mar') < .5 THEN '10' WHEN u(i,'mar') < .8 THEN '40' ELSE '21' END AS marital,
      phone(i, 'ph') AS phone,
      d.age >= 60 AND u(i,'dead') < 0.045 OR d.age BETWEEN 1 AND 59 AND u(i,'dead') < 0.001 AS dead,
      ago(n(i,'dd',20,700)) AS death_date,
      CASE WHEN d.age BETWEEN 20 AND 59 AND u(i,'job') < CASE WHEN d.kind = 'F' THEN .8 WHEN urban THEN .66 ELSE .42 END THEN u(i,'emp') END AS job_x
    FROM d LEFT JOIN household hh ON d.h = hh.h LEFT JOIN former f ON f.h = d.h
    ORDER BY i""")
    con.execute(f"""
    UPDATE person SET address = (SELECT {ADDRESS.format(v="vv", k="person.i", t="'f'")} FROM village vv WHERE vv.v = person.v) WHERE kind = 'F'""")
    con.execute("UPDATE person SET dead = false WHERE kind = 'F'")
    con.execute("DROP TABLE raw")
    _organisations(con, people)


def _organisations(con: duckdb.DuckDBPyConnection, people: int) -> None:
    firms, shops = max(40, round(people * 0.03)), max(60, round(people * 0.055))
    trades = ", ".join(
        f"({k}, '{a}', '{b}', '{c}', '{d}')" for k, (a, b, c, d) in enumerate(words.TRADES)
    )
    brand1, brand2 = literal(list(words.BRANDS_1)), literal(list(words.BRANDS_2))
    con.execute(
        f"CREATE TABLE trade AS SELECT * FROM (VALUES {trades}) t(k, word, section, code, scope)"
    )
    con.execute(
        "CREATE TABLE adult AS SELECT row_number() OVER (ORDER BY i) - 1 AS k, i, id, name, phone, age, kind "
        "FROM person WHERE age BETWEEN 24 AND 65 AND NOT dead ORDER BY i"
    )
    adults = count(con, "SELECT count(*) FROM adult")
    con.execute(f"""
    CREATE TABLE firm AS
    WITH a AS (
      SELECT e, 100000 + e AS org, u(e,'fv') AS x, n(e,'trade',0,{len(words.TRADES) - 1}) AS k, n(e,'boss',0,{adults - 1}) AS bk
      FROM range(1, {firms} + 1) r(e)),
    b AS (SELECT a.*, v.* EXCLUDE (lo, hi, name), v.name AS village_name, '91' || v.county || 'MN' || org || org_check(org::VARCHAR) AS s17
      FROM a ASOF JOIN village v ON a.x >= v.lo)
    SELECT b.* EXCLUDE (s17, x, k, bk), s17 || credit_check(s17) AS credit_code, t.word, t.section, t.code AS industry, t.scope,
      CASE WHEN u(e,'pre') < .35 THEN '连云港市' WHEN u(e,'pre') < .8 THEN '连云港' ELSE '江苏' END
        || pick({brand1}, e, 'b1') || pick({brand2}, e, 'b2') || CASE WHEN u(e,'b3') < .3 THEN pick({brand1}, e, 'b4') ELSE '' END
        || t.word || CASE WHEN u(e,'jt') < .01 THEN '集团' ELSE '' END || CASE WHEN u(e,'gf') < .03 THEN '股份有限公司' ELSE '有限公司' END AS name,
      adult.name AS boss, adult.id AS boss_id, adult.phone AS boss_phone,
      ago(n(e,'founded',60,9000)) AS founded,
      round(pow(10, 1 + u(e,'cap') * 3.2))::DECIMAL(17,4) AS capital,
      CASE WHEN u(e,'st') < .86 THEN '1' WHEN u(e,'st') < .9 THEN '2' WHEN u(e,'st') < .985 THEN '3' ELSE '4' END AS status,
      '江苏省连云港市' || county_name || town_name || road(e,'ar') || n(e,'an',1,399)::VARCHAR || '号' AS address,
      landline(e,'tel') AS phone
    FROM b JOIN trade t USING (k) JOIN adult ON adult.k = b.bk ORDER BY e""")
    shop_words = literal([w for w, _ in words.SHOPS])
    shop_sections = literal([s for _, s in words.SHOPS])
    con.execute(f"""
    CREATE TABLE shop AS
    WITH a AS (SELECT e, 300000 + e AS org, u(e,'shv') AS x, n(e,'shk',1,{len(words.SHOPS)}) AS k, n(e,'shb',0,{adults - 1}) AS bk
      FROM range(1, {shops} + 1) r(e)),
    b AS (SELECT a.*, v.* EXCLUDE (lo, hi, name), v.name AS village_name, '92' || v.county || 'MN' || org || org_check(org::VARCHAR) AS s17
      FROM a ASOF JOIN village v ON a.x >= v.lo)
    SELECT b.* EXCLUDE (s17, x, k, bk), s17 || credit_check(s17) AS credit_code, {shop_words}[b.k] AS word, {shop_sections}[b.k] AS section,
      county_name || pick({brand1}, e, 's1') || pick({brand2}, e, 's2') || {shop_words}[b.k] AS name,
      adult.name AS boss, adult.id AS boss_id, adult.phone AS boss_phone, ago(n(e,'sf',30,5500)) AS founded,
      CASE WHEN u(e,'ss') < .9 THEN '1' ELSE '3' END AS status,
      '江苏省连云港市' || county_name || town_name || road(e,'sr') || n(e,'sn',1,399)::VARCHAR || '号' AS address
    FROM b JOIN adult ON adult.k = b.bk ORDER BY e""")
    con.execute(
        "CREATE TABLE job AS SELECT p.i, f.e, f.credit_code, f.name AS unit FROM person p "
        f"JOIN firm f ON f.e = 1 + floor({firms} * p.job_x * p.job_x)::BIGINT WHERE p.job_x IS NOT NULL AND NOT p.dead ORDER BY p.i"
    )
