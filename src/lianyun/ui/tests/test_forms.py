"""Forms made from declared items: every check of an element, in Chinese, and one-time tokens."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.contrib.sessions.backends.db import SessionStore
from django.test import RequestFactory

from lianyun.kernel.element import ElementSpec, citizen_check_digit, credit_check_digit
from lianyun.ui.forms import element_form, new_token, once

CITIZEN = "32070619900101001"
CITIZEN += citizen_check_digit(CITIZEN)
FIRM = "91320700MA1WABCD2"
FIRM += credit_check_digit(FIRM)


def choices(name: str) -> list[tuple[str, str]]:
    return {"sex": [("1", "男性"), ("2", "女性")]}[name]


def errors(item: dict[str, Any], value: str) -> list[str]:
    form = element_form([{"name": "x", "title": "某项", **item}], choices=choices)({"x": value})
    form.is_valid()
    return list(form.errors.get("x", []))


@pytest.mark.parametrize(
    ("item", "good", "bad", "word"),
    [
        ({"format": "an18", "check": "citizen_number"}, CITIZEN, "320706199001010010", "身份号码"),
        ({"format": "an18", "check": "credit_code"}, FIRM, "91320700MA1WABCD20", "信用代码"),
        ({"format": "an..5"}, "海州区", "海州区海州区", "5"),
        ({"format": "an3"}, "abc", "ab", "3"),
        ({"format": "n6"}, "320706", "32070a", "数字"),
        ({"format": "a..10"}, "海州", "海州1", "数字"),
        ({"format": "an5(aannn)"}, "GB123", "G1123", "格式"),
        ({"type": "N", "format": "n..5,2"}, "123.45", "12345.67", "数字"),
        ({"type": "I", "format": "n..3"}, "999", "1000", "999"),
        ({"type": "D", "format": "YYYYMMDD"}, "20261122", "2026-13-01", "日期"),
        ({"type": "T", "format": "YYYYMMDDThhmmss"}, "2026-11-22 09:30:00", "昨天", "时间"),
        ({"format": "n1", "domain": "sex"}, "1", "9", "列表"),
        ({"type": "L", "format": "n1"}, "0", "7", "7"),
    ],
)
def test_checks(item: dict[str, Any], good: str, bad: str, word: str) -> None:
    assert errors(item, good) == []
    told = errors(item, bad)
    assert told
    assert word in told[0]


def test_required_items_say_what_is_missing() -> None:
    assert errors({"format": "an..5", "required": True}, "") == ["请填写某项"]
    assert errors({"format": "n1", "domain": "sex", "required": True}, "") == ["请选择某项"]
    assert errors({"format": "an..5"}, "") == []


def test_a_spec_alone_is_a_required_field() -> None:
    form = element_form([ElementSpec("name", "姓名", format="an..50")])({})
    assert not form.is_valid()
    assert form.errors["name"] == ["请填写姓名"]


def test_long_texts_get_an_area_and_codes_a_list() -> None:
    made = element_form(
        [
            {"name": "why", "title": "依据", "format": "an..500"},
            {"name": "sex", "title": "性别", "format": "n1", "domain": "sex"},
        ],
        choices=choices,
        readonly=["sex"],
    )()
    assert isinstance(made.fields["why"].widget, forms.Textarea)
    assert isinstance(made.fields["sex"], forms.ChoiceField)
    assert made.fields["sex"].disabled


def test_a_form_is_accepted_once(db: None) -> None:
    token = new_token()

    def sent(key: str, value: str) -> Any:
        request = RequestFactory().post("/", {"once": value})
        request.session = SessionStore(key)
        return request

    assert once(sent("a" * 32, token))
    assert not once(sent("a" * 32, token))
    assert once(sent("b" * 32, token)), "another session's page is another page"
    assert once(RequestFactory().post("/", {})), "a programme sends no token"
