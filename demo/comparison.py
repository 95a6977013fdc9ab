"""Comparison: what departments' data say about each other, honest, wrong on purpose, and innocent.

Each dataset here is half of a story told by two departments. Most rows agree; some are planted to
disagree as they do in life (`planted`), and some only look so (inheritance pays no deed tax, the
newest month is not reported yet, a number was typed wrongly). `truth` says which are which, counted
on the rows that were really delivered clean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb

from . import vocabulary as words
from .city import count, literal
from .dirt import FAULTS, REJECT, STRUCTURE, check_digit, full_width, rule, spaces
from .sources import SOURCES as SOURCES_OF_ALL
from .sources import Source, _pg, _xlsx

MONTHS = 6
MONTH = "strftime(today() - to_months({m}::INTEGER), '%Y%m')"
FIRST = "date_trunc('month', today() - to_months({m}::INTEGER))::DATE"

# Tables whose truth is counted hold still: no row of theirs comes, goes or changes on later days.
_CALM = {
    "ga_driving_enrolments": _pg("src_ga", "t_driving_enrolments"),
    "sws_declarations": _pg("src_sws", "t_declarations", cron="0 3 21 * *"),
    "sws_deed_tax": _pg("src_sws", "t_deed_tax"),
    "sws_prepayments": _pg("src_sws", "t_prepayments"),
    "zr_transfers": _pg("src_zr", "t_transfers"),
    "zj_construction_permits": _pg("src_zj", "t_construction_permits"),
    "fg_projects": _xlsx("发改/投资项目调度表.xlsx", "调度表", 1),
    "tj_investment": Source("jsonl", "统计/固定资产投资项目.jsonl", cron="30 3 15 * *"),
    "mz_destitute": Source("sqlite", "minzheng.sqlite", "destitute", cron="30 3 10 * *"),
    "zgh_hardship": _xlsx("工会/困难职工帮扶发放明细.xlsx", "明细", 1),
    "wj_place_permits": Source("jsonl", "卫健/公共场所卫生许可.jsonl"),
}
SOURCES: dict[str, Source] = {name: replace(source, calm=True) for name, source in _CALM.items()}

DIRT = {
    "ga_driving_enrolments": [check_digit("citizen_number", 0.003), spaces(rate=0.01), rule("negative_fee", "fee", 0.003, "'-' || {c}", "培训费用为负数")],
    "sws_declarations": [rule("negative_sales", "sales", 0.004, "'-' || {c}", "申报销售额为负数", where="{c} > '1'"), spaces("entity_name", 0.004)],
    "sws_deed_tax": [rule("negative_price", "taxable_price", 0.02, "'-' || {c}", "计税价格为负数"), spaces(rate=0.01)],
    "sws_prepayments": [rule("negative_sales", "sales", 0.01, "'-' || {c}", "申报工程价款为负数")],
    "zr_transfers": [check_digit("citizen_number", 0.008), spaces(rate=0.01)],
    "zj_construction_permits": [spaces("project_name", 0.02)],
    "fg_projects": [spaces("project_name", 0.01), rule("negative_investment", "invested", 0.004, "'-' || {c}", "本月完成投资为负数")],
    "tj_investment": [rule("negative_investment", "invested", 0.006, "'-' || {c}", "本月完成投资为负数")],
    "mz_destitute": [full_width("relief_amount", 0.01), spaces(rate=0.01)],
    "zgh_hardship": [check_digit("citizen_number", 0.03), spaces(rate=0.02)],
    "wj_place_permits": [spaces("entity_name", 0.02), rule("reversed_validity", "valid_to", 0.01, "strftime(valid_from::DATE - 20, '%Y-%m-%d')", "有效期颠倒")],
}  # fmt: skip

# What truth needs of each delivered dataset.
KEPT = {
    "ga_driving_enrolments": "school_code, strftime(enrolled_on::DATE, '%Y%m') AS month",
    "sws_declarations": "credit_code, report_month, sales::DECIMAL(17,2) AS sales",
    "sws_deed_tax": "contract_number",
    "sws_prepayments": "project_code, sales::DECIMAL(17,2) AS sales",
    "zr_transfers": "contract_number",
    "zj_construction_permits": "project_code, contract_price::DECIMAL(17,2) AS price",
    "fg_projects": "project_code, report_month",
    "tj_investment": "project_code, report_month",
    "mz_destitute": "citizen_number, paid_on::DATE AS paid_on",
    "mz_temporary_relief": "citizen_number, relief_reason, strftime(handled_on::DATE, '%Y%m') AS month",
    "zgh_hardship": "citizen_number, relief_reason, strftime(handled_on::DATE, '%Y%m') AS month",
    "wj_place_permits": "credit_code, valid_to::DATE AS valid_to",
    "wj_deaths": "citizen_number",
    "rs_pensions": "citizen_number, paid_month",
}


def register() -> None:
    """Make the sources and the dirt of these datasets known to the writers."""
    SOURCES_OF_ALL.update(SOURCES)
    FAULTS.update(DIRT)


def build(con: duckdb.DuckDBPyConnection, people: int) -> None:
    """Create the stories: tables `cmp_*` with a column `fate` (honest, planted, or an innocent kind)."""
    reasons = literal(words.RELIEF_REASONS)
    schools = max(6, people // 2500)
    con.execute(f"""
    CREATE TABLE cmp_school AS SELECT f.e, f.credit_code, f.town, f.county_name,
      '连云港' || pick(['平安','通达','顺风','港城','海州','新浦','东方','安驾','驰远'], e, 'dsn') || row_number() OVER (ORDER BY e)::VARCHAR || '机动车驾驶员培训有限公司' AS name
      FROM firm f WHERE f.status = '1' ORDER BY u(e, 'dschool'), e LIMIT {schools}""")
    # One in six school-months declares far too little; one in six a little less, which is nobody's fault.
    con.execute(f"""
    CREATE TABLE cmp_school_month AS SELECT *, e * 10 + m AS k, {MONTH.format(m="m")} AS month,
      CASE WHEN u(e * 10 + m, 'dsf') < .16 THEN 'planted' WHEN u(e * 10 + m, 'dsf') < .32 THEN 'slightly_less' WHEN u(e * 10 + m, 'dsf') < .4 THEN 'refunded' ELSE 'honest' END AS fate
      FROM cmp_school, range(1, {MONTHS + 1}) r(m)""")
    each = max(8, people // 1200)
    con.execute(f"""
    CREATE TABLE cmp_enrolment AS SELECT s.k * 1000 + n AS k, s.*, a.name AS student, a.id AS student_number,
      (2800 + 100 * n(s.k * 1000 + n, 'dfee', 0, 20))::DECIMAL(10,2) AS fee, {FIRST.format(m="m")} + n(s.k * 1000 + n, 'dday', 0, 26)::INTEGER AS enrolled_on,
      fate = 'refunded' AND n <= {each} // 2 AS refunded
      FROM cmp_school_month s, range(1, {each + 1}) q(n) JOIN adult a ON a.k = (hash(s.k * 1000 + n, 'dst') % (SELECT count(*) FROM adult))::BIGINT""")
    con.execute("""
    CREATE TABLE cmp_declared AS SELECT k, credit_code, name, town, county_name, month, m, fate,
      round(total * CASE fate WHEN 'planted' THEN .25 + u(k, 'dsh') * .3 WHEN 'slightly_less' THEN .9 ELSE 1 + u(k, 'dsh') * .2 END, 2)::DECIMAL(17,2) AS sales
      FROM (SELECT s.k, s.credit_code, s.name, s.town, s.county_name, s.month, s.m, s.fate, sum(en.fee) FILTER (NOT en.refunded) AS total
        FROM cmp_school_month s JOIN cmp_enrolment en ON en.k // 1000 = s.k GROUP BY ALL)""")
    # Hairdressers, laundries and the like: some go on after the last licence has run out.
    con.execute("""
    CREATE TABLE cmp_place AS SELECT *, CASE WHEN x < .1 THEN 'planted' WHEN x < .25 THEN 'renewed' WHEN x < .33 THEN 'stopped' ELSE 'honest' END AS fate,
      CASE WHEN x < .33 THEN ago(n(e, 'plx', 75, 150)) ELSE ago(n(e, 'plv', -1300, -10)) END AS valid_to
      FROM (SELECT *, u(e, 'plf') AS x FROM shop WHERE status = '1' AND word IN ('理发店','洗衣店','饭店','超市'))""")
    # Houses sold, inherited and given.
    transfers = max(60, people * 12 // 1000)
    con.execute(f"""
    CREATE TABLE cmp_transfer AS SELECT *, CASE WHEN deal <> '买卖' THEN 'inherited_or_given' WHEN x < .07 THEN 'planted_missing' WHEN x < .14 THEN 'planted_price' WHEN x < .24 THEN 'slightly_less' ELSE 'honest' END AS fate,
      'CL' || lpad(i::VARCHAR, 10, '0') AS contract, round(area * n(i, 'trp', 5200, 12500), 2)::DECIMAL(17,2) AS price, ago(n(i, 'trd', 5, 700)) AS registered_on
      FROM (SELECT *, CASE WHEN u(i,'trk') < .8 THEN '买卖' WHEN u(i,'trk') < .9 THEN '继承' ELSE '赠与' END AS deal, u(i, 'trf') AS x, round(60 + u(i, 'tra') * 90, 2)::DECIMAL(10,2) AS area
        FROM person WHERE age BETWEEN 25 AND 70 AND NOT dead ORDER BY u(i, 'transfer'), i LIMIT {transfers})""")
    # Building works: permitted, some completed, and what their builders declared.
    works = max(40, people * 4 // 1000)
    con.execute(f"""
    CREATE TABLE cmp_work AS SELECT *, CASE WHEN completed_on IS NULL THEN 'under_way' WHEN x < .15 THEN 'planted' WHEN x < .3 THEN 'slightly_less' ELSE 'honest' END AS fate FROM (
      SELECT w, f.credit_code, f.name, f.address, f.town, owner.name AS owner, '2507-3207' || lpad((w * 17)::VARCHAR, 6, '0') || '-89-01' AS project,
        owner.name || pick(['厂房','综合楼','住宅小区','研发中心','仓库'], w, 'wkn') || w::VARCHAR || '号工程' AS title, u(w, 'wkf') AS x,
        (2000000 + 10000 * n(w, 'wkp', 0, 4000))::DECIMAL(17,2) AS price, ago(n(w, 'wki', 300, 900)) AS issued_on, CASE WHEN u(w, 'wkc') < .65 THEN ago(n(w, 'wkd', 20, 200)) END AS completed_on
      FROM range(1, {works + 1}) r(w)
      JOIN (SELECT *, row_number() OVER (ORDER BY e) - 1 AS r, count(*) OVER () AS many FROM firm WHERE section = 'E' OR e % 9 = 0) f ON f.r = w % f.many
      JOIN firm owner ON owner.e = 1 + w % (SELECT count(*) FROM firm))""")
    # Projects that the planners push and the statisticians count.
    projects = max(40, people * 6 // 1000)
    con.execute(f"""
    CREATE TABLE cmp_project AS SELECT w, f.credit_code, f.name AS owner, f.town, '2508-3207' || lpad((w * 13)::VARCHAR, 6, '0') || '-04-01' AS project,
      f.name || pick(['扩建','技改','新建','智能化改造'], w, 'pjn') || '项目' || w::VARCHAR AS title, u(w, 'pjf') AS x,
      CASE WHEN u(w,'pjs') < .2 THEN 60 + n(w,'pjp',0,400) ELSE 800 + n(w, 'pjp', 0, 60000) END::DECIMAL(14,2) AS planned,
      CASE WHEN u(w,'pjs') < .2 THEN 'too_small' WHEN u(w,'pjf') < .1 THEN 'planted_missing' ELSE 'honest' END AS fate
      FROM range(1, {projects + 1}) r(w) JOIN firm f ON f.e = 1 + (w * 7) % (SELECT count(*) FROM firm)""")
    con.execute(f"""
    CREATE TABLE cmp_project_month AS SELECT p.*, m, {MONTH.format(m="m")} AS month, w * 10 + m AS k, round(400 + u(w * 10 + m, 'pji') * planned / 20, 2)::DECIMAL(14,2) AS invested,
      CASE WHEN fate <> 'honest' THEN fate WHEN u(w * 10 + m, 'pmf') < .06 THEN 'planted_more' WHEN u(w * 10 + m, 'pmf') < .1 THEN 'planted_less' WHEN u(w * 10 + m, 'pmf') < .25 THEN 'rounded' ELSE 'honest' END AS month_fate
      FROM cmp_project p, range(1, {MONTHS + 1}) r(m)""")
    # People in want: paid after death, or twice for the same trouble.
    con.execute("""
    CREATE TABLE cmp_destitute AS SELECT *, CASE WHEN dead AND death_date < ago(70) AND u(i, 'dsd') < .4 THEN 'planted' WHEN dead THEN 'stopped' ELSE 'honest' END AS fate,
      CASE WHEN u(i,'dkd') < .8 THEN '分散供养' ELSE '集中供养' END AS support, (900 + 10 * n(i, 'dam', 0, 60))::DECIMAL(10,2) AS amount
      FROM person WHERE kind = 'R' AND age >= 60 AND u(i, 'dest') < CASE WHEN dead THEN .25 ELSE .02 END""")
    con.execute("""
    CREATE TABLE cmp_slip AS SELECT a.i, a.name, d.id FROM (SELECT *, row_number() OVER (ORDER BY i) AS r FROM cmp_destitute WHERE NOT dead) a
      JOIN (SELECT *, row_number() OVER (ORDER BY i) AS r FROM person p WHERE dead AND kind = 'R' AND death_date < ago(260) AND i NOT IN (SELECT i FROM cmp_destitute)) d USING (r) WHERE r <= 3 AND a.name <> d.name""")
    con.execute(f"""
    CREATE TABLE cmp_relief AS SELECT *, CASE WHEN x < .3 THEN 'planted' WHEN x < .45 THEN 'other_reason' WHEN x < .6 THEN 'other_month' WHEN x < .7 THEN 'namesake' END AS fate FROM (
      SELECT *, u(i, 'zgf') AS x, pick({reasons}, i, 'trr') AS reason, ago(n(i, 'tr', 20, 700)) AS handled_on FROM person WHERE NOT dead AND age > 17 AND u(i, 'temp') < .008)""")


def queries() -> dict[str, str]:
    """The SELECT of each dataset, as in `tables`."""
    reasons = literal(words.RELIEF_REASONS)
    bureau = "'国家税务总局连云港市' || county_name || '税务局'"
    months = f"range(1, {MONTHS + 1}) r(m)"
    late = f"least({FIRST.format(m='m')} + 45, ago(1))"
    return {
        "ga_driving_enrolments": """SELECT k AS _k, 'JX' || lpad(k::VARCHAR, 14, '0') AS record_number, student_number AS citizen_number, student AS name, pick(['C1','C1','C2','C2','B2'], k, 'dcl') AS driving_class, credit_code AS school_code, name AS school_name,
      fee, enrolled_on, CASE WHEN refunded THEN enrolled_on + 9 END AS refunded_on, town AS town_code, moment(k, 'dsu', n(k, 'dsu', 1, 4)) AS update_time FROM cmp_enrolment""",
        "sws_declarations": f"""SELECT _k, 'ZZS' || lpad(_k::VARCHAR, 14, '0') AS record_number, credit_code, entity_name, report_month, sales, round(sales * .03, 2)::DECIMAL(17,2) AS tax_amount, declared_on, tax_bureau, town AS town_code, declared_on::TIMESTAMP + to_seconds(n(_k, 'zst', 30000, 60000)) AS update_time FROM (
      SELECT k AS _k, credit_code, name AS entity_name, month AS report_month, sales, {late} AS declared_on, {bureau} AS tax_bureau, town FROM cmp_declared
      UNION ALL SELECT 1000000 + e * 10 + m, credit_code, name, {MONTH.format(m="m")}, CASE WHEN fate = 'stopped' AND {FIRST.format(m="m")} > valid_to THEN 0 ELSE round(8000 + u(e * 10 + m, 'pls') * 60000, 2) END::DECIMAL(17,2), {late}, {bureau}, town FROM cmp_place, {months}
      UNION ALL SELECT 5000000 + e * 10 + m, credit_code, name, {MONTH.format(m="m")}, round(capital::DOUBLE * (20 + u(e * 10 + m, 'fds') * 300), 2)::DECIMAL(17,2), {late}, {bureau}, town FROM firm, {months} WHERE status = '1' AND e NOT IN (SELECT e FROM cmp_school) AND u(e, 'fdx') < .5)""",
        "sws_deed_tax": """SELECT i AS _k, 'QS' || lpad(i::VARCHAR, 14, '0') AS record_number, contract AS contract_number, id AS citizen_number, name, taxed AS taxable_price, round(taxed * .015, 2)::DECIMAL(17,2) AS tax_amount, registered_on - n(i, 'qsd', 0, 20)::INTEGER AS paid_on, moment(i, 'qs', n(i, 'qsu', 1, 5)) AS update_time
      FROM (SELECT *, round(price * CASE fate WHEN 'planted_price' THEN .45 + u(i, 'qsr') * .3 WHEN 'slightly_less' THEN .95 ELSE 1 END, 2)::DECIMAL(17,2) AS taxed FROM cmp_transfer WHERE deal = '买卖' AND fate <> 'planted_missing')""",
        "sws_prepayments": """SELECT w * 10 + part AS _k, 'YJ' || lpad((w * 10 + part)::VARCHAR, 12, '0') AS record_number, project AS project_code, credit_code, name AS entity_name, round(price * share / 3, 2)::DECIMAL(17,2) AS sales, round(price * share / 3 * .02, 2)::DECIMAL(17,2) AS tax_amount, least(issued_on + (80 * part)::INTEGER, ago(3)) AS paid_on, moment(w * 10 + part, 'yj', n(w * 10 + part, 'yju', 1, 60)) AS update_time
      FROM (SELECT *, CASE fate WHEN 'planted' THEN CASE WHEN x < .04 THEN 0 ELSE .3 + x * 2 END WHEN 'slightly_less' THEN .93 WHEN 'under_way' THEN .5 ELSE 1 END AS share FROM cmp_work), range(1, 4) q(part) WHERE share > 0""",
        "zr_transfers": """SELECT i AS _k, 'ZY' || lpad(i::VARCHAR, 12, '0') AS record_number, CASE WHEN deal = '买卖' THEN contract END AS contract_number, deal AS transfer_kind, name, id AS citizen_number, CASE WHEN deal = '买卖' THEN price END AS price, area AS property_area, address AS property_location, town AS town_code, registered_on, moment(i, 'zyt', n(i, 'zyu', 1, 4)) AS update_time FROM cmp_transfer""",
        "zj_construction_permits": """SELECT w AS _k, '3207' || lpad((w * 31)::VARCHAR, 12, '0') || '-SX' AS permit_number, project AS project_code, title AS project_name, owner AS owner_name, name AS builder_name, credit_code AS builder_code, price AS contract_price, address, town AS town_code, issued_on, completed_on, moment(w, 'sg', n(w, 'sgu', 1, 15)) AS update_time FROM cmp_work""",
        "fg_projects": """SELECT k AS _k, project AS project_code, title AS project_name, credit_code, owner AS entity_name, planned, month AS report_month, invested, town AS town_code, moment(k, 'fgp', 8) AS update_time FROM cmp_project_month""",
        # The newest month is not reported yet by most.
        "tj_investment": f"""SELECT k AS _k, project AS project_code, title AS project_name, credit_code, month AS report_month, round(CASE month_fate WHEN 'planted_more' THEN invested * .4 WHEN 'planted_less' THEN invested * 1.9 WHEN 'rounded' THEN round(invested, -1) ELSE invested END, 2)::DECIMAL(14,2) AS invested, {FIRST.format(m="m - 1")} + 9 AS reported_on, moment(k, 'tji', 6) AS update_time
      FROM cmp_project_month WHERE fate = 'honest' AND (m > 1 OR u(k, 'tjl') < .2)""",
        "mz_destitute": f"""SELECT i * 10 + m AS _k, 'TK' || lpad((i * 10 + m)::VARCHAR, 12, '0') AS record_number, coalesce((SELECT s.id FROM cmp_slip s WHERE s.i = d.i), id) AS citizen_number, name, support AS support_kind, amount AS relief_amount, {MONTH.format(m="m")} AS paid_month, {FIRST.format(m="m")} + 9 AS paid_on, bank(i, 'tkb') AS bank_account, town AS town_code, code AS village_code
      FROM cmp_destitute d, {months} WHERE NOT dead OR fate = 'planted' OR {FIRST.format(m="m")} + 9 <= death_date + 20""",
        "zgh_hardship": f"""SELECT i AS _k, 'KN' || lpad(i::VARCHAR, 10, '0') AS record_number, id AS citizen_number, name, coalesce(unit, '连云港市灵活就业人员') AS work_unit, reason AS relief_reason, (800 + 100 * n(i, 'zga', 0, 40))::DECIMAL(10,2) AS relief_amount, handled_on, bank(i, 'zgb') AS bank_account, town AS town_code FROM (
      SELECT c.i, c.id, c.name, c.town, job.unit, CASE fate WHEN 'other_reason' THEN {reasons}[1 + (list_position({reasons}, reason) % len({reasons}))] ELSE reason END AS reason, CASE fate WHEN 'other_month' THEN c.handled_on - 75 ELSE c.handled_on END AS handled_on FROM cmp_relief c LEFT JOIN job USING (i) WHERE fate IN ('planted', 'other_reason', 'other_month')
      UNION ALL SELECT o.i, o.id, c.name, o.town, NULL, c.reason, c.handled_on FROM (SELECT *, row_number() OVER (ORDER BY i) AS r FROM cmp_relief WHERE fate = 'namesake') c JOIN (SELECT *, row_number() OVER (ORDER BY u(i, 'zgn'), i) AS r FROM person WHERE NOT dead AND age > 30 AND i NOT IN (SELECT i FROM cmp_relief)) o USING (r)
      UNION ALL SELECT p.i, p.id, p.name, p.town, job.unit, pick({reasons}, p.i, 'zgr'), ago(n(p.i, 'zgd', 20, 700)) FROM person p LEFT JOIN job USING (i) WHERE NOT dead AND age BETWEEN 22 AND 59 AND u(p.i, 'zgx') < .004 AND p.i NOT IN (SELECT i FROM cmp_relief))""",
        "wj_place_permits": """SELECT e * 10 + part AS _k, '连卫公证字〔' || year(ends - 1460)::VARCHAR || '〕第' || lpad((e * 10 + part)::VARCHAR, 6, '0') || '号' AS permit_number, name AS entity_name, credit_code, boss AS legal_representative, pick(['理发、美容','洗浴','住宿','商场'], e, 'plk') AS place_kind, address AS business_address, town AS town_code, ends - 1460 AS issued_on, ends - 1460 AS valid_from, ends AS valid_to
      FROM (SELECT *, CASE part WHEN 1 THEN valid_to ELSE valid_to + 1460 END AS ends FROM cmp_place, range(1, 3) q(part) WHERE part = 1 OR fate = 'renewed')""",
    }


def keep(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Keep what truth needs of the clean rows of `stage`, as they are delivered."""
    if name not in KEPT:
        return
    spoiled = [
        f"'{index}'"
        for index, fault in enumerate(FAULTS.get(name, []))
        if fault.verdict in (REJECT, STRUCTURE)
    ]
    clean = f"_kind IS NULL OR _kind NOT IN ({', '.join(spoiled)})" if spoiled else "TRUE"
    con.execute(f"CREATE TABLE kept_{name} AS SELECT {KEPT[name]} FROM stage WHERE {clean}")


def truth(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """By rule: keys and periods that ought to be found, and how many innocent look-alikes there are."""
    stories = {
        "tax_driving_schools": (
            "SELECT DISTINCT s.credit_code, s.month FROM cmp_school_month s JOIN kept_sws_declarations d ON d.credit_code = s.credit_code AND d.report_month = s.month WHERE s.fate = 'planted'",
            "SELECT fate, count(*) FROM cmp_school_month WHERE fate NOT IN ('planted', 'honest') GROUP BY 1",
        ),
        "tax_property_missing": (
            "SELECT c.contract, '' FROM cmp_transfer c JOIN kept_zr_transfers k ON k.contract_number = c.contract WHERE fate = 'planted_missing'",
            "SELECT fate, count(*) FROM cmp_transfer WHERE fate = 'inherited_or_given' GROUP BY 1 UNION ALL SELECT 'receipt_refused', count(*) FROM cmp_transfer WHERE deal = '买卖' AND fate <> 'planted_missing' AND contract NOT IN (SELECT contract_number FROM kept_sws_deed_tax)",
        ),
        "tax_property_price": (
            "SELECT c.contract, '' FROM cmp_transfer c JOIN kept_zr_transfers k ON k.contract_number = c.contract JOIN kept_sws_deed_tax t ON t.contract_number = c.contract WHERE fate = 'planted_price'",
            "SELECT fate, count(*) FROM cmp_transfer WHERE fate = 'slightly_less' GROUP BY 1",
        ),
        # A builder whose receipt was refused has declared; an honest one is held back, not accused.
        "tax_construction": (
            "SELECT c.project, '' FROM cmp_work c JOIN kept_zj_construction_permits k ON k.project_code = c.project WHERE fate = 'planted' AND (SELECT count(*) FROM kept_sws_prepayments s WHERE s.project_code = c.project) IN (CASE WHEN x < .04 THEN 0 ELSE 3 END)",
            "SELECT fate, count(*) FROM cmp_work WHERE fate NOT IN ('planted', 'honest') GROUP BY 1",
        ),
        "statistics_missing": (
            "SELECT DISTINCT c.project, '' FROM cmp_project c JOIN kept_fg_projects k ON k.project_code = c.project WHERE fate = 'planted_missing'",
            "SELECT fate, count(*) FROM cmp_project WHERE fate = 'too_small' GROUP BY 1",
        ),
        "statistics_amount": (
            "SELECT c.project, c.month FROM cmp_project_month c JOIN kept_fg_projects k ON k.project_code = c.project AND k.report_month = c.month JOIN kept_tj_investment t ON t.project_code = c.project AND t.report_month = c.month WHERE month_fate IN ('planted_more', 'planted_less') AND m > 1",
            "SELECT month_fate, count(*) FROM cmp_project_month WHERE month_fate = 'rounded' GROUP BY 1 UNION ALL SELECT 'not_reported_yet', count(*) FROM cmp_project_month WHERE m = 1 AND fate = 'honest'",
        ),
        "relief_repeated": (
            "SELECT DISTINCT c.id[1:17] || '|' || c.reason, k.month FROM cmp_relief c JOIN kept_mz_temporary_relief k ON k.citizen_number = c.id JOIN kept_zgh_hardship z ON z.citizen_number = c.id AND z.month = k.month AND z.relief_reason = k.relief_reason WHERE fate = 'planted'",
            "SELECT fate, count(*) FROM cmp_relief WHERE fate IN ('other_reason', 'other_month', 'namesake') GROUP BY 1",
        ),
        "deceased_destitute": (
            "SELECT DISTINCT c.id[1:17], '' FROM cmp_destitute c JOIN kept_mz_destitute k ON k.citizen_number = c.id JOIN kept_wj_deaths d ON d.citizen_number = c.id WHERE fate = 'planted' AND k.paid_on > c.death_date + 31",
            "SELECT 'stopped_in_time', count(*) FROM cmp_destitute WHERE fate = 'stopped' UNION ALL SELECT 'number_typed_wrongly', count(*) FROM cmp_slip",
        ),
        "deceased_pension": (
            "SELECT DISTINCT p.id[1:17], '' FROM person p JOIN kept_rs_pensions k ON k.citizen_number = p.id JOIN kept_wj_deaths d ON d.citizen_number = p.id WHERE p.dead AND (k.paid_month[1:4] || '-' || k.paid_month[5:6] || '-01')::DATE > p.death_date",
            "SELECT 'in_the_month_of_death', count(DISTINCT p.id) FROM person p JOIN kept_rs_pensions k ON k.citizen_number = p.id WHERE p.dead AND k.paid_month = strftime(p.death_date, '%Y%m')",
        ),
        "licence_expired": (
            "SELECT DISTINCT c.credit_code, '' FROM cmp_place c JOIN kept_sws_declarations k USING (credit_code) JOIN kept_wj_place_permits w USING (credit_code) WHERE fate = 'planted' AND k.sales > 0 AND (k.report_month[1:4] || '-' || k.report_month[5:6] || '-01')::DATE > c.valid_to",
            "SELECT fate, count(*) FROM cmp_place WHERE fate IN ('renewed', 'stopped') GROUP BY 1",
        ),
    }
    found: dict[str, Any] = {}
    for name, (planted, innocent) in stories.items():
        keys = sorted([list(row) for row in con.execute(planted).fetchall()])
        found[name] = {
            "planted": len(keys),
            "keys": keys,
            "look_alikes": dict(con.execute(innocent).fetchall()),
        }
    found["tax_driving_schools"]["rows"] = count(con, "SELECT count(*) FROM cmp_enrolment")
    return found
