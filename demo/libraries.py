"""Libraries: what the base and theme libraries need beside the departments' everyday tables.

Places in three coordinate systems (one source does not say which), indicators with their revisions,
red and black lists, scenic spots with visitors. Few rows, as such tables are.
"""

from __future__ import annotations

from dataclasses import replace

import duckdb

from . import vocabulary as words
from .city import departments, literal
from .dirt import FAULTS, credit_digit, rule, spaces
from .sources import SOURCES as SOURCES_OF_ALL
from .sources import Source, _csv, _pg, _xlsx

_CALM = {
    "mz_divisions": Source("sqlite", "minzheng.sqlite", "divisions", cron="30 3 1 1 *"),
    "zr_addresses": _pg("src_zr", "t_addresses", cron="0 4 * * 1"),
    "jt_stops": Source("jsonl", "交通/公交站点.jsonl", cron="30 3 1 1,4,7,10 *"),
    "cg_parts": _csv("城管/城市部件普查.csv", cron="30 3 1 1,4,7,10 *"),
    "tj_indicators": _csv("统计/主要经济指标.csv", "UTF-8-SIG", ",", "30 3 20 * *"),
    "rh_finance": _xlsx("人民银行/金融运行指标.xlsx", "存贷款", 1, "30 3 15 * *"),
    "fg_credit_lists": _pg("src_fg", "t_credit_lists"),
    "wl_scenic": Source("jsonl", "文旅/A级景区.jsonl", cron="30 3 1 1,4,7,10 *"),
    "wl_lodgings": _csv("文旅/旅游住宿单位.csv"),
    "wl_visitors": Source("parquet", "文旅/景区客流.parquet"),
}
SOURCES: dict[str, Source] = {name: replace(source, calm=True) for name, source in _CALM.items()}

_ELSEWHERE = "经度录入错误"
DIRT = {
    "zr_addresses": [rule("outside_city", "longitude", 0.002, "'19.300000'", _ELSEWHERE), spaces("address", 0.004)],
    "jt_stops": [rule("outside_city", "longitude", 0.005, "'19.300000'", _ELSEWHERE)],
    "cg_parts": [rule("outside_city", "longitude", 0.004, "'19.300000'", _ELSEWHERE), spaces("managed_by", 0.01)],
    "tj_indicators": [rule("two_digit_period", "period", 0.001, "{c}[3:6]", "统计期只有四位")],
    "fg_credit_lists": [credit_digit(rate=0.02), rule("unknown_list", "list_type", 0.01, "'灰名单'", "名单类别不在规定范围")],
    "wl_lodgings": [rule("no_rooms", "rooms", 0.03, "'0'", "房间数为零")],
    "wl_visitors": [rule("negative_visitors", "visitors", 0.002, "'-' || {c}", "接待人次为负数")],
}  # fmt: skip

# code, name, unit, frequency, the city's level, yearly growth, seasonal swing (shares).
INDICATORS = [
    ("GDP", "地区生产总值", "亿元", "季", 1150.0, 0.055, 0.06),
    ("IND_GROWTH", "规模以上工业增加值增速", "%", "月", 8.6, 0.0, 0.12),
    ("RETAIL", "社会消费品零售总额", "亿元", "月", 112.0, 0.05, 0.09),
    ("FAI_GROWTH", "固定资产投资增速", "%", "月", 5.2, 0.0, 0.2),
    ("REVENUE", "一般公共预算收入", "亿元", "月", 22.4, 0.03, 0.18),
    ("TRADE", "外贸进出口总额", "亿美元", "月", 9.8, 0.04, 0.1),
    ("PORT", "港口货物吞吐量", "万吨", "月", 2790.0, 0.04, 0.06),
    ("POWER", "全社会用电量", "亿千瓦时", "月", 23.6, 0.06, 0.15),
    ("CPI", "居民消费价格指数", "上年同月=100", "月", 100.6, 0.0, 0.006),
    ("INCOME", "居民人均可支配收入", "元", "季", 10350.0, 0.052, 0.11),
]
FINANCE = [
    ("DEPOSIT", "本外币存款余额", "亿元", "月", 5620.0, 0.08, 0.01),
    ("LOAN", "本外币贷款余额", "亿元", "月", 6140.0, 0.1, 0.005),
]
SCENIC = [
    ("花果山景区", "5A", "320706", 20000), ("连岛景区", "4A", "320703", 18000),
    ("孔望山景区", "4A", "320706", 8000), ("渔湾景区", "4A", "320706", 7000),
    ("海上云台山景区", "4A", "320703", 9000), ("大伊山景区", "4A", "320723", 9000),
    ("潮河湾景区", "3A", "320723", 5000), ("抗日山景区", "4A", "320707", 6000),
    ("海州湾海洋乐园", "4A", "320707", 8000), ("水晶文化景区", "3A", "320722", 4000),
    ("西双湖景区", "3A", "320722", 4500), ("二郎神文化遗迹公园", "3A", "320724", 4000),
]  # fmt: skip
SHARES = {
    "320700": 1.0,
    "320703": 0.2,
    "320706": 0.26,
    "320707": 0.17,
    "320722": 0.15,
    "320723": 0.12,
    "320724": 0.1,
}


def register() -> None:
    """Make the sources and the dirt of these datasets known to the writers."""
    SOURCES_OF_ALL.update(SOURCES)
    FAULTS.update(DIRT)


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Macros by which departments' surveyors offset their points (GCJ-02, BD-09)."""
    wave = "(20*sin(6*pi()*u) + 20*sin(2*pi()*u)) * 2/3"
    for macro in (
        "gcj_e(u, v) AS 300 + u + 2*v + 0.1*u*u + 0.1*u*v + 0.1*sqrt(abs(u)) + " + wave
        + " + (20*sin(pi()*u) + 40*sin(u/3*pi())) * 2/3 + (150*sin(u/12*pi()) + 300*sin(u/30*pi())) * 2/3",
        "gcj_n(u, v) AS -100 + 2*u + 3*v + 0.2*v*v + 0.1*u*v + 0.2*sqrt(abs(u)) + " + wave
        + " + (20*sin(pi()*v) + 40*sin(v/3*pi())) * 2/3 + (160*sin(v/12*pi()) + 320*sin(v*pi()/30)) * 2/3",
        "bend(y) AS 1 - 0.00669342162296594323 * sin(radians(y)) * sin(radians(y))",
        "gcj_lon(x, y) AS x + gcj_e(x - 105, y - 35) * 180 / (6378245.0 / sqrt(bend(y)) * cos(radians(y)) * pi())",
        "gcj_lat(x, y) AS y + gcj_n(x - 105, y - 35) * 180 / (6378245.0 * (1 - 0.00669342162296594323) / (bend(y) * sqrt(bend(y))) * pi())",
        "bd_far(x, y) AS sqrt(x*x + y*y) + 0.00002 * sin(y * pi() * 50 / 3)",
        "bd_turn(x, y) AS atan2(y, x) + 0.000003 * cos(x * pi() * 50 / 3)",
        "bd_lon(x, y) AS bd_far(x, y) * cos(bd_turn(x, y)) + 0.0065",
        "bd_lat(x, y) AS bd_far(x, y) * sin(bd_turn(x, y)) + 0.006",
    ):  # fmt: skip
        con.execute(f"CREATE MACRO {macro}")


def _series(rows: list[tuple[str, str, str, str, float, float, float]], regions: str) -> str:
    told = ", ".join(
        f"({k}, '{c}', '{n}', '{u}', '{f}', {b}, {g}, {s})"
        for k, (c, n, u, f, b, g, s) in enumerate(rows)
    )
    return f"""(SELECT *, (k * 10 + r) * 100 + m AS key, strftime(today() - to_months(m::INTEGER), '%Y%m') AS period,
      date_trunc('month', today() - to_months(m::INTEGER))::DATE AS month
      FROM (VALUES {told}) i(k, code, name, unit, frequency, level, growth, swing),
        (VALUES {regions}) g(r, region, share), range(1, 37) t(m)
      WHERE frequency = '月' OR month(today() - to_months(m::INTEGER)) % 3 = 0)"""


def queries() -> dict[str, str]:
    """The SELECT of every dataset here, as `tables.queries` gives the others."""
    name = {slug: row["name"] for slug, row in departments().items()}
    counties = ", ".join(
        f"('{c}', '{words.COUNTY_NAMES[c]}', {x}, {y})"
        for c, (x, y) in words.COUNTY_CENTRES.items()
        if c != "320771"
    )
    regions = ", ".join(f"({k}, '{c}', {s})" for k, (c, s) in enumerate(SHARES.items()))
    value = """round((CASE WHEN unit IN ('%', '元') OR code = 'CPI' THEN level * (1 + (share - .2) * (u(k * 10 + r, 'lv') - .5) * .3) ELSE level * share END)
      * (1 + swing * sin(month(month) * .5236 + k)) * pow(1 + growth, -m / 12.0) * (1 + (u(key, 'noise') - .5) * .02), 2)"""
    first = "least(month + 48, ago(1))"
    scenic = ", ".join(
        f"({k}, '{n}', '{g}', '{c}', {w}, {words.COUNTY_CENTRES[c][0]}, {words.COUNTY_CENTRES[c][1]})"
        for k, (n, g, c, w) in enumerate(SCENIC)
    )
    deciders = literal([name[s] for s in ("scjg", "sws", "fg", "zj", "rs")])
    return {
        "mz_divisions": f"""SELECT k AS _k, division_code, division_name, division_level, parent_code, region_code, lon::DECIMAL(10,6) AS longitude, lat::DECIMAL(10,6) AS latitude, ago(n(k,'dvd',100,400))::TIMESTAMP + to_seconds(36000) AS update_time FROM (
      SELECT v AS k, code AS division_code, name AS division_name, '村居' AS division_level, town AS parent_code, county AS region_code, lon, lat FROM village
      UNION ALL SELECT 100000 + min(v), town, any_value(town_name), '乡镇街道', min(county), min(county), round(avg(lon), 4), round(avg(lat), 4) FROM village GROUP BY town
      UNION ALL SELECT 200000 + code::BIGINT % 1000, code, name, '县区', '320700', code, lon, lat FROM (VALUES {counties}) c(code, name, lon, lat))""",
        "zr_addresses": """SELECT h AS _k, '3207' || lpad(h::VARCHAR, 10, '0') AS address_code, hh.address, CASE WHEN v.urban THEN '小区楼栋' ELSE '农村门牌' END AS address_type, CASE WHEN v.urban THEN road(h, 'roada') END AS road,
      n(h, 'noa', 1, 288)::VARCHAR || '号' AS house_number, v.county AS region_code, v.town AS town_code, v.code AS village_code, (v.lon + (u(h,'jx') - .5) * .006)::DECIMAL(10,6) AS longitude, (v.lat + (u(h,'jy') - .5) * .005)::DECIMAL(10,6) AS latitude,
      moment(h, 'zad', n(h,'zadu',1,900)) AS update_time FROM household hh JOIN village v USING (v)""",
        "jt_stops": """SELECT v AS _k, 'GJ' || code AS stop_code, name || CASE WHEN v % 4 = 0 THEN '北' WHEN v % 4 = 2 THEN '路口' ELSE '' END || '站' AS stop_name, '第' || (1 + v % 88)::VARCHAR || '路' AS lines, county AS region_code, town AS town_code,
      bd_lon(gx, gy)::DECIMAL(10,6) AS longitude, bd_lat(gx, gy)::DECIMAL(10,6) AS latitude FROM (SELECT *, gcj_lon(lon, lat) AS gx, gcj_lat(lon, lat) AS gy FROM village WHERE v % 2 = 0)""",
        "cg_parts": """SELECT v AS _k, 'CG' || lpad(v::VARCHAR, 8, '0') AS part_code, pick(['公共厕所','果皮箱','检查井盖','路灯','交通护栏','公共座椅'], v, 'cgt') AS part_type, '江苏省连云港市' || county_name || town_name || name AS address, county_name || '城市管理局' AS managed_by, county AS region_code,
      gcj_lon(lon, lat)::DECIMAL(10,6) AS longitude, gcj_lat(lon, lat)::DECIMAL(10,6) AS latitude FROM village""",
        # A first figure some weeks after the period; quarterly ones, and some monthly, are revised.
        "tj_indicators": f"""SELECT key * 2 + x AS _k, code AS indicator_code, name AS indicator_name, region AS region_code, period, frequency, round({value} * CASE x WHEN 1 THEN 1 + (u(key, 'rev') - .5) * .016 ELSE 1 END, 2)::DECIMAL(17,2) AS indicator_value, unit,
      CASE x WHEN 1 THEN month + CASE frequency WHEN '季' THEN 330 ELSE 79 END ELSE {first} END AS released_on FROM {_series(INDICATORS, regions)}, range(0, 2) q(x)
      WHERE x = 0 OR ((frequency = '季' AND month + 330 < today()) OR (frequency = '月' AND u(key, 'rv?') < .08 AND month + 79 < today()))""",
        "rh_finance": f"""SELECT key AS _k, code AS indicator_code, name AS indicator_name, region AS region_code, period, frequency, {value}::DECIMAL(17,2) AS indicator_value, unit, {first} AS released_on
      FROM {_series(FINANCE, "(0, '320700', 1.0)")}""",
        "fg_credit_lists": f"""SELECT e AS _k, CASE WHEN red THEN 'HM' ELSE 'SX' END || year(ago(n(e,'cl',30,900)))::VARCHAR || lpad(e::VARCHAR, 6, '0') AS list_number, credit_code, name AS entity_name, CASE WHEN red THEN '红名单' ELSE '黑名单' END AS list_type,
      CASE WHEN red THEN pick(['A级纳税人','重合同守信用企业','劳动保障诚信示范企业'], e, 'cln') ELSE pick(['严重违法失信企业名单','拖欠农民工工资失信联合惩戒对象','重大税收违法失信主体'], e, 'cln') END AS list_name,
      CASE WHEN red THEN '连续三年诚信守法经营' ELSE pick(['长期停业未经营且无法联系','拖欠劳动者报酬经责令支付逾期未支付','虚开增值税专用发票','提供虚假材料取得行政许可'], e, 'clf') END AS listed_for, pick({deciders}, e, 'cld') AS deciding_authority, ago(n(e,'cl',30,900)) AS decided_on,
      ago(n(e,'cl',30,900) - 1095) AS published_until, CASE WHEN NOT red AND u(e,'clr') < .3 THEN ago(n(e,'cl',30,900) // 2) END AS repaired_on, moment(e, 'clm', n(e,'cl',30,900) // 2) AS update_time
      FROM (SELECT *, u(e, 'red?') < .6 AS red FROM firm WHERE u(e, 'list?') < .12)""",
        "wl_scenic": f"""SELECT k AS _k, 'JQ' || county || lpad(k::VARCHAR, 3, '0') AS scenic_code, name AS facility_name, grade, '江苏省连云港市' || (SELECT any_value(county_name) FROM village v WHERE v.county = s.county) || name AS address, (SELECT min(town) FROM village v WHERE v.county = s.county) AS town_code,
      capacity, landline(k, 'scn') AS phone, (x + (u(k,'scx') - .5) * .05)::DECIMAL(10,6) AS longitude, (y + (u(k,'scy') - .5) * .04)::DECIMAL(10,6) AS latitude FROM (VALUES {scenic}) s(k, name, grade, county, capacity, x, y)""",
        "wl_lodgings": """SELECT e AS _k, credit_code, county_name || pick(['花果山','海州湾','云台','连岛','伊山','西双湖'], e, 'lg1') || pick(['民宿','宾馆','酒店','客栈'], e, 'lg2') || lpad(e::VARCHAR, 4, '0') || '号店' AS entity_name, pick(['民宿','旅馆','酒店'], e, 'lgt') AS lodging_type, n(e,'lgr',6,160) AS rooms, address, town AS town_code
      FROM shop WHERE e % 12 = 0""",
        "wl_visitors": f"""SELECT k * 1000 + d AS _k, 'JQ' || county || lpad(k::VARCHAR, 3, '0') AS scenic_code, ago(d) AS visited_on, (capacity * (.05 + .3 * u(k * 1000 + d, 'vis')) * CASE WHEN dayofweek(ago(d)) IN (0, 6) THEN 1.9 ELSE 1 END)::BIGINT AS visitors
      FROM (VALUES {scenic}) s(k, name, grade, county, capacity, x, y), range(1, 121) r(d)""",
    }
