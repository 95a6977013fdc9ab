"""Linkage: two registers without numbers, written down on the spot by other hands.

Visitors of villages note who seems to be in need; inspectors of building sites note who builds. Names
come in variant characters, by their sound, or short; dates with a digit off or day and month changed
places; telephones are missing or typed wrongly; addresses are short. `truth` says who each row is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb

from . import vocabulary as words
from .city import literal
from .dirt import FAULTS, _folded, full_width, spaces
from .sources import SOURCES as SOURCES_OF_ALL
from .sources import Source

# Another character of the same sound, as a hasty hand writes it.
HOMOPHONES = {
    "伟": "玮", "军": "钧", "丽": "莉", "静": "婧", "明": "铭", "华": "桦", "英": "瑛", "建": "健", "志": "智",
    "云": "芸", "平": "萍", "国": "帼", "杰": "洁", "玲": "铃", "红": "虹", "辉": "晖", "文": "雯", "成": "诚",
    "永": "泳", "兰": "岚", "芳": "方", "洋": "阳", "宇": "雨", "浩": "皓", "涵": "晗", "欣": "昕", "怡": "仪",
}  # fmt: skip

SOURCES: dict[str, Source] = {
    name: replace(source, calm=True)
    for name, source in {
        "mz_hardship_visits": Source("jsonl", "民政/困难群众走访登记.jsonl", cron="30 3 1 * *"),
        "zj_site_units": Source("jsonl", "住建/工地参建单位登记.jsonl", cron="30 3 1 * *"),
    }.items()
}
DIRT = {
    "mz_hardship_visits": [spaces(rate=0.01), full_width("residence_address", 0.02)],
    "zj_site_units": [spaces("entity_name", 0.02), full_width("address", 0.02)],
}


def register() -> None:
    """Make the sources and the dirt of these datasets known to the writers."""
    SOURCES_OF_ALL.update(SOURCES)
    FAULTS.update(DIRT)


def _by_sound(column: str) -> str:
    sql = column
    for plain, other in HOMOPHONES.items():
        sql = f"replace({sql}, '{plain}', '{other}')"
    # The surname stays: people hear it first.
    return f"{column}[1] || ({sql})[2:]"


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Create `lnk_visit` and `lnk_site`: each row with whom it really is."""
    con.execute(f"""
    CREATE TABLE lnk_visit AS SELECT i, id, kind, 'ZF' || lpad((hash(i, 'zf') % 10000000000)::VARCHAR, 10, '0') || lpad((i % 100)::VARCHAR, 2, '0') AS record_number,
      CASE WHEN u(i,'lvn') < .12 THEN {_folded("name")} WHEN u(i,'lvn') < .24 THEN {_by_sound("name")} WHEN u(i,'lvn') < .26 AND length(name) = 3 THEN name[1] || '小' || name[3] ELSE name END AS name,
      sex,
      CASE WHEN u(i,'lvb') < .08 AND day(birth) <= 12 THEN make_date(year(birth), day(birth), month(birth)) WHEN u(i,'lvb') < .16 THEN make_date(year(birth), month(birth), 1 + (day(birth) + 9) % 28)
        WHEN u(i,'lvb') < .2 THEN birth - 3653 WHEN u(i,'lvb') < .26 THEN NULL ELSE birth END AS birth_date,
      CASE WHEN age <= 15 OR u(i,'lvp') < .3 THEN NULL WHEN u(i,'lvp') < .36 THEN phone[1:9] || ((phone[10]::INTEGER + 3) % 10)::VARCHAR || phone[11] ELSE phone END AS phone,
      CASE WHEN u(i,'lva') < .35 THEN replace(address, '江苏省连云港市', '') WHEN u(i,'lva') < .55 THEN replace(replace(address, '江苏省连云港市' || county_name, ''), '幢', '号楼')
        WHEN u(i,'lva') < .62 THEN '江苏省连云港市' || county_name || town_name || village_name ELSE address END AS residence_address,
      pick({literal(words.RELIEF_REASONS)}, i, 'lvr') AS relief_reason, ago(n(i,'lvd',3,120)) AS handled_on
    FROM person WHERE NOT dead AND (kind = 'R' AND age > 5 AND u(i,'visit') < .025 OR kind = 'F' AND u(i,'visit') < .02)""")
    con.execute(f"""
    CREATE TABLE lnk_site AS SELECT e, credit_code, 'GD' || lpad((hash(e, 'gd') % 10000000000)::VARCHAR, 10, '0') || lpad((e % 100)::VARCHAR, 2, '0') AS record_number,
      CASE WHEN u(e,'lsn') < .2 THEN replace(replace(name, '有限公司', ''), '股份', '') WHEN u(e,'lsn') < .35 THEN replace(replace(name, '连云港市', ''), '连云港', '') WHEN u(e,'lsn') < .45 THEN replace(name, '有限公司', '有限责任公司')
        WHEN u(e,'lsn') < .55 THEN {_folded("name")} WHEN u(e,'lsn') < .6 THEN replace(name, '连云港', '连云港（市）') ELSE name END AS entity_name,
      CASE WHEN u(e,'lsb') < .15 THEN NULL WHEN u(e,'lsb') < .25 THEN {_by_sound("boss")} ELSE boss END AS legal_representative,
      CASE WHEN u(e,'lsp') < .3 THEN boss_phone WHEN u(e,'lsp') < .45 THEN NULL ELSE phone END AS phone,
      CASE WHEN u(e,'lsa') < .4 THEN replace(address, '江苏省连云港市', '') WHEN u(e,'lsa') < .55 THEN NULL ELSE address END AS address,
      ago(n(e,'lsd',3,90)) AS handled_on
    FROM firm WHERE status = '1' AND u(e,'site') < .3""")


def queries() -> dict[str, str]:
    """The SELECT of each dataset, as in `tables`."""
    return {
        "mz_hardship_visits": "SELECT i AS _k, record_number, name, sex, birth_date, phone, residence_address, relief_reason, handled_on FROM lnk_visit WHERE birth_date IS NULL OR birth_date <= handled_on",
        "zj_site_units": "SELECT e AS _k, record_number, entity_name, legal_representative, phone, address, handled_on FROM lnk_site",
    }


def truth(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """By linkage: how many rows there are, and who those are who can be found, by record number."""
    return {
        "hardship_residents": {
            "rows": (con.execute("SELECT count(*) FROM lnk_visit").fetchone() or (0,))[0],
            "pairs": dict(
                con.execute(
                    "SELECT record_number, id FROM lnk_visit JOIN keep_ga_residents r ON r.citizen_number = lnk_visit.id ORDER BY 1"
                ).fetchall()
            ),
        },
        "site_units_enterprises": {
            "rows": (con.execute("SELECT count(*) FROM lnk_site").fetchone() or (0,))[0],
            "pairs": dict(
                con.execute("SELECT record_number, credit_code FROM lnk_site ORDER BY 1").fetchall()
            ),
        },
    }
