"""Messages as they come: what they must say, and what they may still do, in whatever order."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from lianyun.capabilities.relay import rules
from lianyun.capabilities.relay.rules import document

AT = "2026-03-02T09:00:00+08:00"


def said(kind: str, at: str = AT, **told: Any) -> rules.Said:
    base = {"number": "m1", "kind": kind, "case": "c-1", "at": at}
    more = {
        "progress": {"title": "审核中"},
        "supplement": {"items": [{"name": "合同", "what": "缺第二页"}]},
        "suspended": {"cause": "experts", "reason": "专家评审"},
        "resumed": {},
        "result": {"outcome": "granted"},
    }[kind]
    return rules.read(base | more | told)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([], "对象"),
        ({"number": "a b", "kind": "progress"}, "number"),
        ({"number": "m1", "kind": "gossip"}, "kind"),
        ({"number": "m1", "kind": "resumed", "case": "c", "at": "2026-03-02T09:00:00"}, "时区"),
        ({"number": "m1", "kind": "resumed", "at": AT}, "case"),
        ({"number": "m1", "kind": "progress", "case": "c", "at": AT, "title": "长" * 61}, "60"),
        ({"number": "m1", "kind": "supplement", "case": "c", "at": AT, "items": []}, "全部"),
        ({"number": "m1", "kind": "result", "case": "c", "at": AT, "outcome": "maybe"}, "outcome"),
        ({"number": "m1", "kind": "result", "case": "c", "at": AT, "outcome": "refused"}, "reason"),
        ({"number": "m1", "kind": "progress", "case": "c", "at": AT, "title": {"a": 1}}, "文字"),
        (
            {"number": "m1", "kind": "result", "case": "c", "at": AT, "outcome": "granted",
             "licence": {"elements": {"a": [1]}}},
            "证照内容",
        ),
    ],
)  # fmt: skip
def test_a_message_says_what_it_must(told: Any, words: str) -> None:
    with pytest.raises(rules.BadMessage, match=words):
        rules.read(told)


def test_nothing_undoes_a_result() -> None:
    ended = rules.Standing(outcome="granted")
    for kind in ("progress", "supplement", "suspended", "resumed", "result"):
        assert rules.judge(said(kind), ended) == rules.LATE
    contrary = said("result", outcome="refused", reason="不符")
    assert rules.judge(contrary, ended) == rules.CONFLICT
    assert rules.judge(contrary, rules.Standing()) == rules.TAKEN


def test_the_senders_clock_orders_pauses() -> None:
    resumed_at = dt.datetime.fromisoformat("2026-03-02T10:00:00+08:00")
    standing = rules.Standing(clock_at=resumed_at)
    assert rules.judge(said("suspended"), standing) == rules.LATE
    assert rules.judge(said("suspended", "2026-03-02T03:00:00+00:00"), standing) == rules.TAKEN
    assert rules.judge(said("progress"), standing) == rules.TAKEN


def test_what_is_missing_is_told_once() -> None:
    with pytest.raises(rules.BadMessage, match="supplement_once"):
        rules.judge(said("supplement"), rules.Standing(supplemented=True))


def test_silence_has_lamps() -> None:
    now = dt.datetime(2026, 3, 5, 9, tzinfo=dt.UTC)
    lamps = [rules.silence(now - dt.timedelta(hours=h), now, 24)[1] for h in (1, 25, 73)]
    assert lamps == ["green", "amber", "red"]
    assert rules.lamp(closed=False, paused=False, error="", dead=0, lamps=lamps)[1] == "red"
    assert rules.lamp(closed=False, paused=False, error="", dead=0, lamps=[])[0] == "正常"


@pytest.mark.parametrize(
    "address", ["ftp://a/", "https://", "https://u:p@a/", "https://a/?x=1", "https://a:b/"]
)
def test_an_address_names_a_host_and_nothing_secret(address: str) -> None:
    with pytest.raises(ValueError, match=r"地址"):
        rules.parts_of(address)


def test_the_interface_is_described() -> None:
    told = document.document()
    assert set(told["components"]["schemas"]["Message"]["properties"]["kind"]["enum"]) == set(
        rules.KINDS
    )
    assert "/api/relay/v1/messages" in told["paths"]
