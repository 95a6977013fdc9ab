"""Names that may not stand, that are taken, that are near; credit codes with both check characters."""

from __future__ import annotations

import pytest

from lianyun.capabilities.registration import queries, rules
from lianyun.kernel.element import credit_check_digit, credit_code_ok

KNOWN = ["连云港山海商贸有限公司", "连云港市海山水产有限公司", "东海县晶都水晶有限公司"]


@pytest.mark.parametrize(
    ("name", "level", "said"),
    [
        ("连云港云台山茶业有限公司", rules.GOOD, ""),
        ("连云港山海商贸有限公司", rules.BAD, "已经登记"),
        ("连云港 山海商贸（有限公司）", rules.BAD, "已经登记"),
        ("连云港山海贸易有限公司", rules.NEAR, ""),
        ("连云港市晶都水晶有限公司", rules.NEAR, ""),
        ("中国云台山茶业有限公司", rules.BAD, "中国"),
        ("连云港国务院服务有限公司", rules.BAD, "国务院"),
        ("连云港ABC商贸有限公司", rules.BAD, "拼音字母"),
        ("连云港云台山茶业", rules.BAD, "组织形式"),
        ("连云港商贸有限公司", rules.GOOD, ""),
        ("公司", rules.BAD, "4 至 60"),
        ("连云港<b>商贸有限公司", rules.BAD, "规范汉字"),
    ],
)
def test_a_name_is_held_against_rules_and_names(name: str, level: str, said: str) -> None:
    verdict = rules.judge(name, KNOWN, queries.words())
    assert verdict.level == level, verdict
    assert said in "；".join(verdict.reasons)


def test_one_character_apart_is_near() -> None:
    assert rules.apart("云台山", "云台仙") == 1
    assert rules.apart("云台山", "花果山") == 2
    verdict = rules.judge("连云港云台仙茶业有限公司", ["连云港云台山茶业有限公司"], queries.words())
    assert verdict.near == ("连云港云台山茶业有限公司",)


def test_codes_bear_both_check_characters() -> None:
    assert rules.organisation_check("19220382") == "1"  # a published organisation code
    codes = set()
    for number in (1, 2, 30, 31, 32, 961, 10**6):
        body = rules.body_of("320703", number)
        code = body + credit_check_digit(body)
        assert credit_code_ok(code)
        assert code.startswith("91320703MA")
        codes.add(code)
    assert len(codes) == 7
