"""Dirt: the faults that real departments' data have, put in at known rates and counted."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from .city import count
from .vocabulary import VARIANTS

REJECT, WARN, REPAIR, CONFLICT, STRUCTURE = "reject", "warn", "repair", "conflict", "structure"


@dataclass(frozen=True)
class Fault:
    """One kind of fault in one column: `rate` of the rows, SQL that spoils `{c}`, who is eligible.

    verdict: reject (no check can let it pass), warn (a rule warns; an old number is still the
    person's), repair (a cautious normaliser mends it), conflict (only another department shows it),
    structure (the file itself is broken there).
    """

    kind: str
    column: str
    rate: float
    spoil: str
    verdict: str = REJECT
    where: str = "true"
    title: str = ""


def _folded(column: str) -> str:
    sql = column
    for plain, variant in VARIANTS.items():
        sql = f"replace({sql}, '{plain}', '{variant}')"
    return sql


_FULL = "translate({c}, '0123456789', '０１２３４５６７８９')"
_PLAUSIBLE = "length({c}) = 18"


def check_digit(column: str, rate: float = 0.003) -> Fault:
    """A citizen number whose last character does not fit."""
    return Fault(
        "wrong_check_digit",
        column,
        rate,
        "{c}[1:17] || CASE {c}[18] WHEN '0' THEN '1' ELSE '0' END",
        REJECT,
        _PLAUSIBLE,
        "身份号码校验位错误",
    )


def legacy(column: str, rate: float = 0.004) -> Fault:
    """A citizen number in the old form of fifteen digits."""
    return Fault(
        "fifteen_digits",
        column,
        rate,
        "{c}[1:6] || {c}[9:17]",
        WARN,
        "length({c}) = 18 AND {c}[7:8] = '19'",
        "十五位旧身份号码",
    )


def lower_x(column: str, rate: float = 0.003) -> Fault:
    """The check character X in lower case."""
    return Fault(
        "lower_case_x", column, rate, "lower({c})", REPAIR, "{c}[18] = 'X'", "校验位为小写x"
    )


def credit_digit(column: str = "credit_code", rate: float = 0.006) -> Fault:
    """A credit code whose last character does not fit."""
    return Fault(
        "wrong_credit_check",
        column,
        rate,
        "{c}[1:17] || CASE {c}[18] WHEN '0' THEN '1' ELSE '0' END",
        REJECT,
        _PLAUSIBLE,
        "统一社会信用代码校验位错误",
    )


def spaces(column: str = "name", rate: float = 0.005) -> Fault:
    """Blanks behind the value, narrow and wide."""
    return Fault(
        "trailing_spaces",
        column,
        rate,
        "{c} || CASE WHEN _n % 2 = 0 THEN '  ' ELSE '　' END",
        REPAIR,
        "{c} IS NOT NULL",
        "末尾空格",
    )


def full_width(column: str, rate: float = 0.003) -> Fault:
    """Digits of full width."""
    return Fault(
        "full_width_digits", column, rate, _FULL, REPAIR, "regexp_matches({c}, '[0-9]')", "全角数字"
    )


def variant(column: str = "name", rate: float = 0.006) -> Fault:
    """The same person's name in traditional or variant characters."""
    return Fault(
        "name_variant",
        column,
        rate,
        _folded("{c}"),
        CONFLICT,
        f"{_folded('{c}')} <> {{c}}",
        "异体字、繁体字姓名",
    )


def date(column: str, rate: float = 0.003) -> Fault:
    """A day that no calendar has."""
    return Fault(
        "impossible_date",
        column,
        rate,
        "{c}[1:4] || '-02-30'",
        REJECT,
        "{c} IS NOT NULL",
        "不存在的日期",
    )


def code(column: str, value: str, rate: float = 0.002) -> Fault:
    """A code that is not in the value domain."""
    return Fault(
        "unknown_code", column, rate, f"'{value}'", REJECT, "{c} IS NOT NULL", "代码不在值域内"
    )


def missing(column: str, rate: float = 0.002) -> Fault:
    """A required value left out."""
    return Fault("missing_required", column, rate, "NULL", REJECT, "{c} IS NOT NULL", "必填项为空")


def rule(
    kind: str,
    column: str,
    rate: float,
    spoil: str,
    title: str,
    verdict: str = REJECT,
    where: str = "{c} IS NOT NULL",
) -> Fault:
    """A value that breaks one of the dataset's own rules."""
    return Fault(kind, column, rate, spoil, verdict, where, title)


def broken_bytes(column: str, rate: float = 0.004) -> Fault:
    """A byte that GB18030 does not know inside the value; the writer puts it in."""
    return Fault(
        "broken_bytes", column, rate, "{c}", STRUCTURE, "length({c}) > 0", "编码损坏的字节"
    )


def shifted(rate: float = 0.004) -> Fault:
    """An unquoted comma pushes the columns to the right; the writer puts it in."""
    return Fault("shifted_columns", "", rate, "", STRUCTURE, "true", "列错位")


_BIRTH = rule(
    "birth_mismatch",
    "birth_date",
    0.002,
    "strftime({c}::DATE + 366, '%Y-%m-%d')",
    "出生日期与身份号码不符",
    where="{c} IS NOT NULL AND {c} < '2024'",
)

FAULTS: dict[str, list[Fault]] = {
    "ga_residents": [check_digit("citizen_number", 0.0015), _BIRTH, code("nationality", "77", 0.001), spaces(rate=0.004), full_width("phone", 0.002),
        rule("village_elsewhere", "village_code", 0.0015, "'320706010001'", "村居不属于所在乡镇", WARN, "{c}[1:9] <> '320706010'"), missing("name", 0.0005)],
    "ga_households": [rule("no_members", "member_count", 0.001, "'0'", "户内人数为零", WARN), spaces("head_name", 0.003)],
    "ga_floating": [check_digit("citizen_number", 0.006), code("region_code", "990101", 0.006), spaces(rate=0.008), _BIRTH],
    "ga_vehicles": [rule("short_vin", "vin", 0.004, "{c}[1:16]", "车辆识别代号少一位"), code("vehicle_type", "Z99", 0.002), spaces("plate_number", 0.003)],
    "ga_drivers": [check_digit("citizen_number", 0.002), rule("points_too_many", "penalty_points", 0.002, "'15'", "累积记分超过十二分", WARN)],
    "mz_marriages": [legacy("male_number", 0.006), check_digit("female_number", 0.003), date("registered_on", 0.003), variant("female_name", 0.005), rule("same_person", "female_number", 0.0006, "male_number", "男女双方号码相同")],
    "mz_divorces": [legacy("female_number", 0.01), date("registered_on", 0.006)],
    "mz_social_orgs": [credit_digit(rate=0.02)],
    "mz_low_income": [rule("negative_amount", "relief_amount", 0.005, "'-' || {c}", "救助金额为负数"), spaces(rate=0.01), code("relief_type", "99", 0.005)],
    "mz_elderly": [legacy("citizen_number", 0.006), spaces(rate=0.01)],
    "mz_cremations": [check_digit("citizen_number", 0.03), date("death_date", 0.03), broken_bytes("name", 0.03)],
    "mz_temporary_relief": [full_width("relief_amount", 0.02), check_digit("citizen_number", 0.015)],
    "cl_disabled": [broken_bytes("name", 0.008), shifted(0.008), legacy("citizen_number", 0.01), code("disability_type", "9", 0.006), spaces(rate=0.01)],
    "rs_insured": [legacy("citizen_number", 0.004), check_digit("citizen_number", 0.002), variant(rate=0.006), spaces(rate=0.004), _BIRTH],
    "rs_contributions": [rule("negative_base", "contribution_base", 0.0005, "'-' || {c}", "缴费基数为负数")],
    "rs_pensions": [check_digit("citizen_number", 0.001)],
    "rs_unemployed": [rule("registered_too_early", "unemployed_on", 0.01, "strftime(registered_on::DATE + 40, '%Y-%m-%d')", "失业日期晚于登记日期")],
    "rs_employment": [rule("contract_reversed", "valid_to", 0.004, "strftime(valid_from::DATE - 10, '%Y-%m-%d')", "合同终止早于开始")],
    "rs_skills": [rule("score_too_high", "rating_score", 0.006, "'180.00'", "评定成绩超过一百分"), full_width("licence_number", 0.006), date("issued_on", 0.005)],
    "wj_births": [rule("weight_implausible", "birth_weight", 0.006, "'34'", "出生体重不合理（误填公斤）", WARN), missing("mother_name", 0.004), check_digit("mother_number", 0.004), Fault("broken_json", "", 0.003, "", STRUCTURE, "true", "残缺的JSON行")],
    "wj_visits": [rule("fee_mismatch", "self_paid", 0.002, "({c}::DECIMAL(10,2) + 100)::VARCHAR", "费用合计不符"), check_digit("citizen_number", 0.001), code("visit_type", "8", 0.001)],
    "wj_institutions": [credit_digit(rate=0.02), broken_bytes("institution_name", 0.02), shifted(0.02), rule("reversed_validity", "valid_to", 0.02, "strftime(valid_from::DATE - 30, '%Y-%m-%d')", "有效期颠倒")],
    "wj_vaccinations": [rule("before_birth", "vaccinated_on", 0.0015, "strftime(birth_date::DATE - 20, '%Y-%m-%d')", "接种日期早于出生日期"), check_digit("citizen_number", 0.001)],
    "yb_insured": [lower_x("citizen_number", 0.003), variant(rate=0.003), full_width("phone", 0.002), check_digit("citizen_number", 0.001), _BIRTH],
    "yb_settlements": [rule("fee_mismatch", "fund_paid", 0.001, "({c}::DECIMAL(10,2) + 50)::VARCHAR", "费用合计不符")],
    "jy_schools": [code("region_code", "320799", 0.006), rule("negative_students", "student_count", 0.004, "'-1'", "在校生数为负数"), full_width("student_count", 0.008)],
    "jy_students": [check_digit("citizen_number", 0.003), _BIRTH, rule("number_not_id", "student_number", 0.002, "'G320700' || {c}[8:19]", "学籍号与身份号码不符", WARN, "{c}[2:7] <> '320700'"), variant(rate=0.004)],
    "jy_teacher_licences": [spaces(rate=0.02), check_digit("citizen_number", 0.01)],
    "gjj_accounts": [check_digit("citizen_number", 0.002), spaces(rate=0.004), rule("negative_balance", "fund_balance", 0.001, "'-' || {c}", "账户余额为负数")],
    "gjj_withdrawals": [full_width("withdraw_amount", 0.006), shifted(0.004), broken_bytes("name", 0.004)],
    "zj_contracts": [rule("zero_area", "property_area", 0.004, "'0'", "建筑面积为零"), check_digit("buyer_number", 0.004)],
    "zj_presales": [credit_digit(rate=0.03), spaces("project_name", 0.03)],
    "zr_properties": [legacy("citizen_number", 0.01), rule("zero_area", "property_area", 0.002, "'0'", "建筑面积为零"), variant("owner_name", 0.004)],
    "zr_mortgages": [rule("reversed_term", "valid_to", 0.005, "strftime(valid_from::DATE - 1, '%Y-%m-%d')", "履行期颠倒")],
    "scjg_enterprises": [credit_digit(rate=0.004), rule("approved_too_early", "approved_on", 0.005, "strftime(founded_on::DATE - 30, '%Y-%m-%d')", "核准日期早于成立日期"), spaces("entity_name", 0.006), Fault("legacy_registration", "credit_code", 0.005, "'3207' || lpad(_n::VARCHAR, 11, '0')", WARN, _PLAUSIBLE, "信用代码填为十五位注册号")],
    "scjg_individuals": [credit_digit(rate=0.003), full_width("phone", 0.004)],
    "bb_institutions": [credit_digit(rate=0.02), broken_bytes("entity_name", 0.02), shifted(0.02)],
    "scjg_annual_reports": [credit_digit(rate=0.005), rule("negative_staff", "employee_count", 0.004, "'-' || {c}", "从业人数为负数"), full_width("revenue", 0.004), rule("two_digit_year", "report_year", 0.003, "{c}[3:4]", "年度只有两位")],
    "scjg_food_licences": [rule("bad_prefix", "permit_number", 0.006, "'XK' || {c}[3:]", "许可证编号前缀错误")],
    "scjg_equipment": [rule("inspected_backwards", "next_inspection_on", 0.008, "strftime(inspected_on::DATE - 5, '%Y-%m-%d')", "下次检验早于检验"), code("equipment_type", "7777", 0.005)],
    "sws_taxpayers": [credit_digit("credit_code", 0.003), spaces("entity_name", 0.004)],
    "sws_payments": [rule("period_after_payment", "report_month", 0.001, "'209901'", "税款所属期晚于缴纳月份")],
    "sws_ratings": [credit_digit(rate=0.004), rule("score_too_high", "rating_score", 0.004, "'120.00'", "评价得分超过一百分"), broken_bytes("entity_name", 0.004)],
    "jt_operators": [credit_digit(rate=0.03), shifted(0.03), date("issued_on", 0.03)],
    "jt_practitioners": [check_digit("citizen_number", 0.008), Fault("broken_json", "", 0.006, "", STRUCTURE, "true", "残缺的JSON行")],
    "sthj_permits": [rule("outside_city", "longitude", 0.02, "'19.300000'", "经度录入错误"), spaces("entity_name", 0.02)],
    "sthj_air": [rule("pm_swapped", "pm25", 0.002, "(pm10::DECIMAL(8,2) + 20)::VARCHAR", "细颗粒物高于可吸入颗粒物", WARN)],
    "ny_subsidies": [full_width("farmland_area", 0.004), shifted(0.003), broken_bytes("name", 0.003), rule("amount_mismatch", "subsidy_amount", 0.003, "({c}::DECIMAL(10,2) + 120)::VARCHAR", "补贴金额与面积不符"), legacy("citizen_number", 0.004)],
    "wl_venues": [rule("outside_city", "latitude", 0.01, "'3.460000'", "纬度录入错误")],
    "yj_chemical_permits": [rule("reversed_validity", "valid_to", 0.03, "strftime(valid_from::DATE - 9, '%Y-%m-%d')", "有效期颠倒")],
    "yj_shelters": [rule("no_capacity", "capacity", 0.01, "'0'", "容纳人数为零")],
    "fg_permits": [rule("legal_person_without_code", "credit_code", 0.006, "NULL", "法人相对人缺统一社会信用代码"), spaces("party_name", 0.006)],
    "fg_penalties": [credit_digit(rate=0.02), rule("fine_missing", "fine_amount", 0.02, "NULL", "罚款缺金额", WARN, "penalty_type = '03'")],
    "tsw_volunteers": [spaces(rate=0.008), full_width("phone", 0.006), code("politics", "88", 0.004)],
}  # fmt: skip
# Share of rows that stand twice under one key (the second copy is the newer one).
DUPLICATES = {
    "ga_residents": 0.001, "mz_elderly": 0.004, "rs_insured": 0.001, "cl_disabled": 0.008, "ny_subsidies": 0.003,
    "scjg_annual_reports": 0.004, "wj_births": 0.004, "gjj_withdrawals": 0.004, "tsw_volunteers": 0.006, "jy_schools": 0.004,
}  # fmt: skip
# Empty lines put into files, by count per thousand rows (at least one).
EMPTY_ROWS = {
    "cl_disabled": 5, "ny_subsidies": 3, "mz_temporary_relief": 20, "jy_schools": 4, "rs_skills": 4, "sws_ratings": 3, "scjg_equipment": 6,
}  # fmt: skip


def soil(con: duckdb.DuckDBPyConnection, dataset: str, table: str) -> None:
    """Mark and spoil rows of `table` (all items as text, `_n`, `_kind`), one fault to a row.

    A rate always means at least one row while eligible rows last, so small cities show every fault.
    """
    rows = count(con, f"SELECT count(*) FROM {table}")
    for index, fault in enumerate(FAULTS.get(dataset, [])):
        wanted = max(1, round(rows * fault.rate))
        where = fault.where.format(c=fault.column)
        sets = [f"_kind = '{index}'"]
        if fault.column and fault.spoil != "{c}":
            sets.append(f"{fault.column} = {fault.spoil.format(c=fault.column)}")
        con.execute(
            f"UPDATE {table} SET {', '.join(sets)} WHERE _n IN (SELECT _n FROM {table} "
            f"WHERE _kind IS NULL AND _event IS NULL AND ({where}) ORDER BY u(_n, 'dirt{dataset}{index}'), _n LIMIT {wanted})"
        )
