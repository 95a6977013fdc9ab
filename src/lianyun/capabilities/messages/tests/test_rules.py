"""Rules of messages without a database: declarations, words, what leaves the house, night, limits, tries."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lianyun.capabilities.messages.rules import declared, sending, words

CITY = ZoneInfo("Asia/Shanghai")
TERMS = sending.Terms.of(
    {
        "rest": {"from": "22:00", "until": "08:00"},
        "digest_at": "18:00",
        "most_a_day": {"sms": 2, "mail": 3},
        "stale_hours": 72,
        "pool": 30,
        "keep_days": 730,
    }
)


def entry(**changes: Any) -> dict[str, Any]:
    """A sound declaration with changes."""
    return {
        "key": "returned", "title": "补正", "group": "办件", "event": "application.sent_back",
        "to": "applicant", "channels": ["inbox", "sms"],
        "words": {"title": "“{item}”要补正", "text": "请补正：{reason}[[，{until} 前]]。"},
    } | changes  # fmt: skip


def kind(**changes: Any) -> declared.Kind:
    return declared.one(entry(**changes))


def at(hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime(2026, 11, 23, hour, minute, tzinfo=CITY)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"to": "everybody"}, "to 应是"),
        ({"event": ""}, "没有写 event"),
        ({"key": "work_waits"}, "不写 event"),
        ({"to": "holders"}, "permission"),
        ({"channels": ["fax"]}, "channels"),
        ({"channels": ["sms"], "offered": ["sms"]}, "各写一次"),
        ({"urgency": "low"}, "不发短信"),
        ({"legal": True}, "basis"),
        ({"legal": True, "basis": "某法", "channels": ["sms"]}, "消息中心"),
        ({"when": "__import__('os')"}, "不允许"),
        ({"secret": 1}, "不认识"),
        ({"words": {"title": "{item}"}}, "words"),
        ({"words": {"title": "{reason}", "text": ""}}, "标题会出现在短信"),
        ({"words": {"title": "{item.name}", "text": ""}}, "占位符"),
        ({"words": {"title": "{item!r}", "text": ""}}, "占位符"),
        ({"words": {"title": "{item", "text": ""}}, "花括号"),
        ({"words": {"title": "好", "text": "{number}"}}, "number"),
        # What an event tells of a person can be let into the text, never into the title.
        ({"facts": {"who": "name"}, "words": {"title": "{who}", "text": "{who}"}}, "who"),
        ({"link": "hall:case {number}"}, "number"),
    ],
)
def test_a_declaration_that_cannot_be_used_is_named(changes: dict[str, Any], said: str) -> None:
    kinds, faults = declared.read([{**entry(**changes), "pack": "core"}])
    assert not kinds
    assert said in faults[0]
    assert faults[0].startswith("core/messages.yaml：")


def test_one_bad_kind_leaves_the_others() -> None:
    kinds, faults = declared.read([entry(), entry(key="two", to="x"), entry()])
    assert list(kinds) == ["returned"]
    assert len(faults) == 2, "the faulty and the double one"
    assert list(declared.by_event(kinds)) == ["application.sent_back"]


def test_what_the_law_demands_cannot_be_switched_off() -> None:
    legal = kind(legal=True, basis="行政许可法第三十二条", offered=["mail"])
    assert legal.goes("sms", False)
    assert not legal.may_switch("sms")
    assert legal.may_switch("mail")
    assert not legal.goes("mail", None)
    assert legal.goes("mail", True)
    free = kind()
    assert free.goes("sms", None)
    assert not free.goes("sms", False)
    assert not free.goes("mail", True), "a way that is not declared is no way"


def test_a_condition_is_closed_and_never_raises() -> None:
    told = kind(when="step in ['receive'] and outcome == '予以受理'")
    assert told.fits({"step": "receive", "outcome": "予以受理"})
    assert not told.fits({"step": "receive"})
    assert not kind(when="days > 3").fits({"days": "many"}), "what cannot be computed does not hold"


def test_words_are_filled_and_parts_left_out() -> None:
    text = kind().text
    assert words.fill(text, {"reason": "缺副页", "until": "2026-12-01"}) == (
        "请补正：缺副页，2026年12月1日 前。"
    )
    assert words.fill(text, {"reason": "缺副页", "until": ""}) == "请补正：缺副页。"
    # A fact is no template: braces that somebody typed stay braces.
    assert words.fill("{reason}", {"reason": "{item} [[x]]"}) == "{item} [[x]]"
    assert words.shown(["甲", "乙"]) == "甲、乙"
    assert words.shown("2026-12-01T09:30:00") == "2026年12月1日 09:30"


def test_nothing_personal_leaves_the_house() -> None:
    head = "“{item}”：13812345678 320703199003070016 办件 20261123000001"
    for told in (
        words.text_message(head, "连云港市", "https://x.cn"),
        words.mail([head], "张三丰", "连云港市", "")[1],
        words.mail([head, head], "张三丰", "连云港市", "")[1],
    ):
        assert "13812345678" not in told
        assert "320703199003070016" not in told
        assert "20261123000001" in told, "a case's number is no person's"
        assert "三丰" not in told
    assert words.masked("张三丰") == "张**"
    assert words.masked("") == ""
    text = words.text_message("长" * 500, "连云港市", "https://x.cn")
    assert len(text) <= 200
    assert text.endswith("https://x.cn/my/messages/"), "the way to log in is never cut off"
    subject, body = words.mail(["一", "二"], "张三", "连云港市", "https://x.cn")
    assert "2 条消息" in subject
    assert "· 二" in body


def test_texts_rest_at_night_and_what_is_not_urgent_is_gathered() -> None:
    plain, low = kind(), kind(urgency="low", channels=["inbox", "mail"])
    assert sending.when(plain, "sms", TERMS, at(21, 59)) == at(21, 59)
    assert sending.when(plain, "sms", TERMS, at(22)) == at(8) + dt.timedelta(days=1)
    assert sending.when(plain, "sms", TERMS, at(3)) == at(8)
    assert sending.when(plain, "sms", TERMS, at(8)) == at(8)
    assert sending.when(kind(urgency="urgent"), "sms", TERMS, at(3)) == at(3)
    assert sending.when(kind(channels=["mail"]), "mail", TERMS, at(3)) == at(3)
    assert sending.when(low, "mail", TERMS, at(9)) == at(18)
    assert sending.when(low, "mail", TERMS, at(18)) == at(18) + dt.timedelta(days=1)


def test_a_day_bears_so_many_and_the_law_is_not_counted_out() -> None:
    assert not sending.too_many(kind(), "sms", 1, TERMS)
    assert sending.too_many(kind(), "sms", 2, TERMS)
    assert not sending.too_many(kind(legal=True, basis="某法"), "sms", 9, TERMS)


def test_tries_grow_apart_and_end() -> None:
    waits = [sending.again(n) for n in range(1, sending.TRIES + 1)]
    assert waits[-1] is None
    known = [w for w in waits if w is not None]
    assert known == sorted(known)
    assert len(known) == sending.TRIES - 1


@pytest.mark.parametrize("missing", ["rest", "digest_at", "most_a_day", "pool"])
def test_terms_that_lack_a_line_are_told(missing: str) -> None:
    with pytest.raises(sending.BadTerms, match=r"message_terms\.yaml"):
        sending.Terms.of({"rest": {"from": "22:00", "until": "8"}} | {missing: None})
