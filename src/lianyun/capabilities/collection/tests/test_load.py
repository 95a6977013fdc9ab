"""Loading: what lands is accepted or rejected, nothing is missing, and a rerun changes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.collection import api, queries
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.models import Batch, Event, Resource

from .conftest import client_of, make_officer

HEAD = "公民身份号码,姓名,性别,出生日期,金额,更新时间\n"


def number(first17: str) -> str:
    from lianyun.kernel.element import citizen_check_digit

    return first17 + citizen_check_digit(first17)


A, B, C = (number(f"32070319900101{n}") for n in ("123", "125", "127"))
DIRTY = HEAD + (
    f"{A},张三,1,1990-01-01,12.50,2026-01-01 08:00:00\n"
    + f"{A[:6]}199902301234,李四,1,,1,2026-01-01 08:00:00\n"
    + f"{B},王五,7,,1,2026-01-01 08:00:00\n"
    + f"{C},赵六,1,,-3,2026-01-02 08:00:00\n"
    + "只有一列\n"
)


def test_landed_is_accepted_and_rejected(
    people: Resource, officer: Actor, write: Callable[..., Path]
) -> None:
    figures = api.load("people", write(DIRTY, encoding="gb18030"), by=officer)
    assert figures["landed"] == 5 == figures["accepted"] + figures["rejected"]
    assert figures["inserted"] == figures["accepted"]
    batch = Batch.objects.get(code=figures["batch"])
    assert batch.state == Batch.SUCCEEDED
    assert batch.outcome["total"] == figures["accepted"]
    rejects = api.rejects(batch.code, by=officer)
    assert len(rejects) == figures["rejected"]
    assert all(r["line"] and r["reasons"] for r in rejects)
    assert {r["line"] for r in rejects} >= {3, 4, 6}
    assert any("只有一列" in r["text"] for r in rejects)
    assert Event.objects.filter(kind="batch.finished", subject=batch.ref).count() == 1


@pytest.mark.parametrize(
    "code",
    ["", "9firms", "a b", "企业", "x'; DROP TABLE y", "a" * 80, "307030/", "999/1", "30703/000001"],
)
def test_a_malformed_code_registers_nothing(
    city: None, write: Callable[..., Path], code: str
) -> None:
    before = Resource.objects.count()
    with pytest.raises(UserError, match="不合规"):
        api.register_items(code, [{"name": "a", "title": "甲"}], title="甲", by=SYSTEM)
    assert Resource.objects.count() == before


def test_a_proposal_stands_in_the_catalogue(city: None, write: Callable[..., Path]) -> None:
    path = write("企业编号,企业名称\nA1,甲\nA2,乙\n", "firms.csv")
    told = api.infer(path, register="gy_firms", title="工业企业名录", by=SYSTEM)
    resource = Resource.objects.get(name="gy_firms")
    assert resource.entry.item_count == 2
    assert resource.items.count() == 2
    officer = make_officer(resource.owner.slug, "bureau_catalogue")
    assert catalogue.visible(officer).filter(pk=resource.pk).exists()
    page = client_of(officer).get("/workbench/catalogue/?q=工业企业名录").content.decode()
    assert told["code"] in page
    for taken in ("gy_firms", "gy-firms", told["code"]):
        with pytest.raises(UserError, match="不能重复登记"):
            api.infer(path, register=taken, by=SYSTEM)
    with pytest.raises(UserError, match="不在目录分类中"):
        api.infer(path, register="399999/000001", by=SYSTEM)


def test_an_old_file_is_dead_at_its_first_load(
    people: Resource, officer: Actor, write: Callable[..., Path]
) -> None:
    path = write(HEAD + f"{A},张三,1,1990-01-01,12.50,\n")
    then = time.time() - 730 * 86_400
    os.utime(path, (then, then))
    api.load("people", path, by=officer)
    row = queries.one_row("people", officer)
    assert row.fresh.state == "dead"
    assert row.names_red
    assert "730 天前" in row.fresh.words
    os.utime(path)
    api.load("people", path, by=officer)
    assert queries.one_row("people", officer).fresh.state == "fresh"


def test_proposal_can_be_loaded_at_once(city: None, write: Callable[..., Path]) -> None:
    rows = "".join(f"{i:05d},企业{i},2020-01-{i % 28 + 1:02d},{i}.5\n" for i in range(1, 60))
    path = write("编号,企业名称,成立日期,注册资金\n" + rows, "firms.csv")
    told = api.infer(path, register="test-firms", by=SYSTEM)
    assert told["key"] == ["bian_hao"] or told["key"]
    figures = api.load("test-firms", path, by=SYSTEM)
    assert (figures["landed"], figures["rejected"], figures["inserted"]) == (59, 0, 59)
    again = api.load(told["dataset"], path, by=SYSTEM)
    assert (again["unchanged"], again["inserted"]) == (59, 0)
    with pytest.raises(UserError, match="已有数据"):
        api.infer(path, register="test-firms", by=SYSTEM)
