"""Data elements: the grammar of formats, the check digits, the masks."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianyun.kernel.element import (
    BadFormat,
    ElementSpec,
    Format,
    citizen_check_digit,
    citizen_number_ok,
    credit_check_digit,
    credit_code_ok,
    mask_value,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("an18", Format("an", 18, 18)),
        ("an..50", Format("an", 0, 50)),
        ("an3..8", Format("an", 3, 8)),
        ("n..17,2", Format("n", 0, 17, 2)),
        ("a..ul", Format("a", 0, None)),
        ("an5(aannn)", Format("an", 5, 5, 0, "aannn")),
        ("YYYYMMDD", Format("date", 8, 8, 0, "YYYYMMDD")),
        ("YYYYMMDDThhmmss", Format("date", 15, 15, 0, "YYYYMMDDThhmmss")),
        ("YYYYMMDDhh:mm:ss", Format("date", 16, 16, 0, "YYYYMMDDhh:mm:ss")),
    ],
)
def test_formats_of_the_standard(text: str, expected: Format) -> None:
    assert Format.parse(text) == expected


@pytest.mark.parametrize("text", ["", "x5", "an9..3", "n..2,5", "an..5,2", "an5(aan)", "an..", "5"])
def test_formats_outside_the_grammar_are_refused(text: str) -> None:
    with pytest.raises(BadFormat, match="表示格式"):
        Format.parse(text)


@given(st.text(max_size=20))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(BadFormat):
        Format.parse(text)


@pytest.mark.parametrize(
    "number", ["360426199101010071", "371001198010082394", "440882199102104195"]
)
def test_real_citizen_number_vectors(number: str) -> None:
    assert citizen_number_ok(number)
    wrong = number[:17] + ("0" if number[17] != "0" else "1")
    assert not citizen_number_ok(wrong)


@given(st.from_regex(r"[1-9][0-9]{16}", fullmatch=True))
def test_every_citizen_number_has_one_check_digit(first: str) -> None:
    good = [c for c in "0123456789X" if citizen_check_digit(first) == c]
    assert len(good) == 1
    # The closed form of ISO 7064 MOD 11-2, written independently.
    assert "0123456789X".index(good[0]) == (1 - 2 * int(first, 13)) % 11


def test_credit_codes() -> None:
    assert credit_code_ok("11100000000013338W")
    assert credit_code_ok("91110000600037341L")
    assert not credit_code_ok("91110000600037341M")
    assert not credit_code_ok("9111000060003734IL")
    assert credit_check_digit("11100000000013338") == "W"


def test_masks_keep_just_enough_to_recognise() -> None:
    assert mask_value("citizen_number", "320706199001011234") == "320***********1234"
    assert mask_value("name", "欧阳娜娜") == "欧***"
    assert mask_value("phone", "13900001234") == "139****1234"
    assert mask_value("name", None) is None
    assert mask_value("all", "x") == "****"
    assert "浦东路" not in mask_value("address", "江苏省连云港市海州区浦东路1号")


def test_a_spec_with_unknown_words_is_refused() -> None:
    with pytest.raises(BadFormat, match="脱敏"):
        ElementSpec("a", "甲", mask="half")
    with pytest.raises(BadFormat, match="数据类型"):
        ElementSpec("a", "甲", type="Z")
