"""Observations: what instruments and quays report by themselves: weather and water by the hour, berths.

Rows come from hours, not from people; a small city keeps fewer days, so that it stays small.
"""

from __future__ import annotations

import duckdb

from .dirt import FAULTS, rule
from .sources import SOURCES as SOURCES_OF_ALL
from .sources import Source, _csv

SOURCES = {
    "qx_weather": Source("parquet", "气象/自动气象站小时观测.parquet", calm=True),
    "sl_levels": Source("parquet", "水利/水文站小时水情.parquet", calm=True),
    "gk_berths": _csv("港口/码头泊位名录.csv", cron="30 3 1 1,4,7,10 *"),
}
DIRT = {
    "qx_weather": [rule("missing_code", "temperature", 0.0002, "'999.90'", "缺测码当作气温")],
    "sl_levels": [rule("gauge_fell", "water_level", 0.0002, "'-9.99'", "水尺倒伏，水位为负")],
    "gk_berths": [rule("no_tonnage", "berth_tonnage", 0.02, "'0'", "靠泊能力为零")],
}
WEATHER_STATIONS, WATER_STATIONS, BERTHS = 28, 26, 96


def register() -> None:
    """Make the sources and the dirt of these datasets known to the writers."""
    SOURCES_OF_ALL.update(SOURCES)
    FAULTS.update(DIRT)


def build(con: duckdb.DuckDBPyConnection, people: int) -> None:
    """The hours that stations remember: a year in a city of 20,000, at least two days."""
    days = min(365, max(2, people * 365 // 20_000))
    con.execute(
        "CREATE TABLE obs_hour AS SELECT h, today()::TIMESTAMP - to_hours(h::INTEGER) AS seen_at, "
        "dayofyear(today() - (h // 24)::INTEGER) AS day, (24 - h % 24) % 24 AS hour "
        f"FROM range(1, {days * 24 + 1}) r(h)"
    )
    con.execute(
        "CREATE TABLE obs_place AS SELECT row_number() OVER (ORDER BY v) AS s, county, town, town_name, lon, lat "
        "FROM (SELECT min(v) AS v, any_value(county) AS county, town, any_value(town_name) AS town_name, "
        "round(avg(lon), 4) AS lon, round(avg(lat), 4) AS lat FROM village GROUP BY town)"
    )


def queries() -> dict[str, str]:
    """The SELECT of every dataset here, as `tables.queries` gives the others."""
    return {
        "qx_weather": f"""SELECT s * 100000 + h AS _k, 'M' || town || 'Q' AS station_code, town_name || '自动气象站' AS station_name, seen_at AS observed_at, (15.5 - 12.5 * cos((day - 20) / 58.1) + 4 * sin((hour - 9) / 3.82) + (u(s * 100000 + h, 'qt') - .5) * 3)::DECIMAL(5,2) AS temperature,
      CASE WHEN u(day * 100 + hour, 'qr') < .04 THEN round(u(s * 100000 + h, 'qrr') * 9, 1) ELSE 0 END::DECIMAL(5,1) AS rainfall, round(.4 + u(s * 100000 + h, 'qw') * 6.5, 1)::DECIMAL(4,1) AS wind_speed, least(100, 52 + u(s * 100000 + h, 'qh') * 40)::INTEGER AS humidity
      FROM obs_place, obs_hour WHERE s <= {WEATHER_STATIONS}""",
        "sl_levels": f"""SELECT s * 100000 + h AS _k, 'W' || town || 'S' AS station_code, town_name || CASE s % 3 WHEN 0 THEN '水位站' WHEN 1 THEN '闸上水文站' ELSE '水库站' END AS station_name, seen_at AS observed_at, (2.1 + (s % 7) * .6 + .5 * sin((day - 120) / 58.1) + .12 * sin(h / 1.98) + u(s * 100000 + h, 'sw') * .05)::DECIMAL(6,2) AS water_level, (2.1 + (s % 7) * .6 + 1.6)::DECIMAL(6,2) AS warning_level
      FROM obs_place, obs_hour WHERE s > {WEATHER_STATIONS} AND s <= {WEATHER_STATIONS + WATER_STATIONS}""",
        "gk_berths": f"""SELECT b AS _k, 'BW' || lpad(b::VARCHAR, 4, '0') AS record_number, ['连云','赣榆','徐圩','灌河'][1 + (b % 4)::INTEGER] || '港区' || b::VARCHAR || '号泊位' AS facility_name, pick(['集装箱','散货','散货','液体化工','件杂货','客滚'], b, 'gkt') AS facility_type, (pick([5, 10, 20, 35, 70, 100, 150, 300], b, 'gkn') * 1000)::BIGINT AS berth_tonnage, (119.18 + u(b,'gx') * .35)::DECIMAL(10,6) AS longitude, (34.55 + u(b,'gy') * .35)::DECIMAL(9,6) AS latitude
      FROM range(1, {BERTHS + 1}) r(b)""",
    }
