"""Rules of cascade: areas, order, waiting, signatures' texts and one-time codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianyun.capabilities.cascade import rules
from lianyun.capabilities.cascade.adapters import keys


@pytest.mark.parametrize(
    ("division", "prefix"),
    [("320000", "32"), ("320700", "3207"), ("320707", "320707"), ("110000", "11")],
)
def test_an_area_is_a_prefix(division: str, prefix: str) -> None:
    assert rules.area_prefix(division) == prefix


@pytest.mark.parametrize(
    ("lower", "upper", "yes"),
    [
        ("320707", "320700", True),
        ("320700", "320000", True),
        ("320700", "320707", False),
        ("320700", "320700", False),
        ("320102", "320700", False),
    ],
)
def test_below(lower: str, upper: str, yes: bool) -> None:
    assert rules.below(lower, upper) is yes


@pytest.mark.parametrize("code", ["", "32070", "3207000", "32070a", "020700", "３２０７００"])
def test_a_node_code_is_a_division(code: str) -> None:
    assert rules.code_problem(code)


@pytest.mark.parametrize(
    "address",
    ["", "ftp://h", "http://", "http://u:p@h", "http://h?x=1", "http://h#x", "http://h /x", "h:80"],
)
def test_an_address_is_a_plain_one(address: str) -> None:
    assert rules.address_problem(address)
    assert not rules.address_problem("https://ly.example.gov.cn:8443/node")


def test_pauses_double_up_to_ten_minutes() -> None:
    waits = [rules.wait_seconds(n) for n in range(1, 40)]
    assert waits[:4] == [5, 10, 20, 40]
    assert waits == sorted(waits)
    assert waits[-1] == 600


@given(st.integers(0, 2**45), st.integers(0, 2**45))
def test_a_stamp_always_rises(now: int, last: int) -> None:
    made = rules.next_stamp(now, last)
    assert made > last
    assert made >= now
    assert not rules.stale(made, last)


@given(st.lists(st.integers(1, 12), max_size=60))
def test_whatever_the_order_each_number_is_taken_once(numbers: list[int]) -> None:
    taken: list[int] = []
    for number in numbers:
        judged = rules.judge(number, len(taken))
        assert judged.take + judged.repeated + judged.gap == 1
        if judged.take:
            taken.append(number)
    assert taken == list(range(1, len(taken) + 1))


def test_what_is_signed_tells_all_its_parts_apart() -> None:
    first = rules.request_text("POST", "/x", "320707", "320700", 1, "n", b"a")
    for other in (
        rules.request_text("PUT", "/x", "320707", "320700", 1, "n", b"a"),
        rules.request_text("POST", "/y", "320707", "320700", 1, "n", b"a"),
        rules.request_text("POST", "/x", "320707", "320600", 1, "n", b"a"),
        rules.request_text("POST", "/x", "320707", "320700", 2, "n", b"a"),
        rules.request_text("POST", "/x", "320707", "320700", 1, "m", b"a"),
        rules.request_text("POST", "/x", "320707", "320700", 1, "n", b"b"),
        rules.answer_text("320707", "320700", "n", 200, b"a"),
    ):
        assert other != first
    assert rules.message_text("a", "b", 1, "k", "t", {"x": 1, "y": [2]}) == rules.message_text(
        "a", "b", 1, "k", "t", {"y": [2], "x": 1}
    )


def test_a_one_time_code_survives_being_read_out() -> None:
    code = rules.new_invitation()
    assert len(code) == 24
    spoken = code.lower().replace("-", " ")
    assert rules.proof(spoken, b"x") == rules.proof(code, b"x")
    assert rules.proof(code, b"y") != rules.proof(code, b"x")
    assert rules.proof(rules.new_invitation(), b"x") != rules.proof(code, b"x")


@pytest.mark.parametrize("algorithm", list(keys.ALGORITHMS))
def test_signatures_hold_for_their_own_bytes_and_key_alone(algorithm: str) -> None:
    mine, other = keys.new_pair(algorithm), keys.new_pair(algorithm)
    assert keys.fingerprint(mine.public) == mine.kid
    assert "PRIVATE" not in mine.secret
    signature = keys.Signer(mine.kid, mine.secret).sign(b"text")
    assert keys.verified(mine.public, b"text", signature)
    assert not keys.verified(mine.public, b"texT", signature)
    assert not keys.verified(other.public, b"text", signature)
    for bad in ("", "!!", signature[:-8]):
        assert not keys.verified(mine.public, b"text", bad)
    assert not keys.verified("no key", b"text", signature)


def test_the_area_is_read_from_the_finest_item_that_says_it_all() -> None:
    items = [
        {"name": "village", "element": "village_code"},
        {"name": "area", "element": "region_code"},
    ]
    assert rules.area_column(items) == "area"
    assert rules.area_column(items[:1]) == "village"
    assert rules.area_column([{"name": "amount"}]) == ""
    assert rules.scope_problem({"area": ["320703"]}, "area", "320707")
    assert not rules.scope_problem({"area": ["320707100"]}, "area", "320707")
    assert rules.area_rule("area", "320700", "连云港市")["sql"].endswith("'3207')")


def test_names_of_others_data_stay_table_names() -> None:
    long = "x" * 63
    assert len(rules.adopted_name("320707", long)) <= 58
    one = rules.returned_name("320700", long, "GX-1")
    assert len(one) <= 58
    assert one != rules.returned_name("320700", long, "GX-2")
    assert rules.adopted_code("320707", "203002/000901") == "203002/320707000901"


def test_what_is_not_shared_does_not_go_down() -> None:
    secret = {"share": {"type": 3}, "level": 2}
    assert rules.crosses(secret, rules.UPPER)
    assert not rules.crosses(secret, rules.LOWER)
    assert not rules.crosses({"share": {"type": 2}, "level": 4}, rules.LOWER)
    assert rules.crosses({"share": {"type": 2}, "level": 3}, rules.LOWER)


@pytest.mark.parametrize(
    "code", ["../../x", "320707-20260101000000-0000000G", "320700-20260101000000-00000000", ""]
)
def test_a_transfer_number_names_no_other_folder(code: str) -> None:
    assert not rules.good_transfer(code, "320707")
    assert rules.good_transfer("320707-20260101000000-0a1b2c3d", "320707")
