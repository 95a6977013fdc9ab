"""Taking back: an officer sees what a batch changed, takes it back with a reason, and it is on record."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone

from lianyun.capabilities.collection import actions, api, queries
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Batch, Event, Resource

from .conftest import client_of, make_officer
from .test_load import HEAD, A, B

FIRST = HEAD + f"{A},张三,1,1990-01-01,12.50,2026-01-01 08:00:00\n"
SECOND = HEAD + (
    f"{A},张三,1,1990-01-01,99.00,2026-02-01 08:00:00\n"
    + f"{B},王五,1,1990-01-01,1,2026-02-01 08:00:00\n"
)


def load(write: Callable[..., Path], text: str) -> Batch:
    return Batch.objects.get(code=api.load("people", write(text), by=SYSTEM)["batch"])


def rows(people: Resource, viewer: Actor) -> list[str]:
    titles, found = queries.sample(people, viewer)
    return sorted(str(r[titles.index("金额")]) for r in found)


def test_a_wrong_load_is_seen_and_taken_back(
    people: Resource, officer: Actor, write: Callable[..., Path]
) -> None:
    first, second = load(write, FIRST), load(write, SECOND)
    client = client_of(officer)
    url = f"/workbench/collection/batches/{second.code}/"
    seen = client.get(f"{url}changes/").content.decode()
    assert "金额：12.50 → 99.00" in seen
    assert "王五" not in seen
    assert "撤回" in client.get(url).content.decode()
    plan = client.get(f"{url}undo/").content.decode()
    assert "将改回旧值" in plan
    refused = client.post(f"{url}undo/", {"reason": ""})
    assert refused.status_code == 200
    assert rows(people, officer) == ["1.00", "99.00"]
    answer = client.post(f"{url}undo/", {"reason": "导出错了月份"}, follow=True)
    assert "这是一次撤回" in answer.content.decode()
    assert rows(people, officer) == ["12.50"]
    made = Batch.objects.get(mode="undo")
    assert (made.state, made.landed, made.outcome["deleted"], made.outcome["updated"]) == (
        Batch.SUCCEEDED,
        0,
        1,
        1,
    )
    event = Event.objects.get(kind="batch.taken_back")
    assert (event.subject, event.data["reason"]) == (second.ref, "导出错了月份")
    page = client.get(url).content.decode()
    assert "已经撤回" in page
    with pytest.raises(UserError, match="已经"):
        actions.take_back(second, "再来一次", by=officer)
    # A taking back is no load: freshness and score stand on the loads before.
    assert queries.one_row("people", officer).loads == 2
    assert first.code != second.code


def test_only_the_owner_takes_back(people: Resource, write: Callable[..., Path]) -> None:
    batch = load(write, FIRST)
    stranger = make_officer("mz", "data_officer")
    with pytest.raises(Denied):
        actions.take_back(batch, "好奇", by=stranger)
    assert not Batch.objects.filter(mode="undo").exists()


def test_a_watermark_goes_back(people: Resource, officer: Actor, tmp_path: Path) -> None:
    path = tmp_path / "people.db"

    def put(number: str, amount: str, updated: str) -> None:
        with sqlite3.connect(path) as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS t "
                "(citizen_number TEXT PRIMARY KEY, name TEXT, amount TEXT, updated TEXT)"
            )
            db.execute("REPLACE INTO t VALUES (?, '张三', ?, ?)", (number, amount, updated))

    put(A, "1", "2026-01-01 08:00:00")
    source = api.register_source(
        dataset="people",
        name="people-db",
        kind="sqlite",
        location=str(path),
        options={"table": "t"},
        mode="incremental",
        watermark="updated",
        by=SYSTEM,
    )
    actions.run_now(source=source, by=officer)
    put(B, "2", "2026-02-01 08:00:00")
    source.refresh_from_db()
    second = actions.run_now(source=source, by=officer)
    source.refresh_from_db()
    assert source.last_watermark.startswith("2026-02-01")
    actions.take_back(second, "错了", by=officer)
    source.refresh_from_db()
    assert source.last_watermark.startswith("2026-01-01")
    again = actions.run_now(source=source, by=officer)
    assert again.outcome["inserted"] == 1


def test_a_former_state_and_the_difference_of_two(
    people: Resource, officer: Actor, write: Callable[..., Path]
) -> None:
    client = client_of(officer)
    url = "/workbench/collection/datasets/people/history/"
    assert "还没有历史" in client.get(url).content.decode()
    first, second = load(write, FIRST), load(write, SECOND)
    now = client.get(url).content.decode()
    assert now.count("99.00") == 1
    then = client.get(url, {"to": first.code}).content.decode()
    assert "12.50" in then
    assert "99.00" not in then
    both = client.get(url, {"to": second.code, "since": first.code}).content.decode()
    assert "金额：12.50 → 99.00" in both
    assert "王五" not in both
    assert "共有差异" in both
    wrong_way = client.get(url, {"to": first.code, "since": second.code})
    assert wrong_way.status_code == 400
    assert "请调换先后" in wrong_way.content.decode()
    assert "没有这个批次" in client.get(url, {"to": "nothing"}).content.decode()
    assert "之前还没有归集过" in client.get(url, {"day": "2001-01-01"}).content.decode()
    assert "日期应写成" in client.get(url, {"day": "月初"}).content.decode()
    today = f"{timezone.localdate():%Y-%m-%d}"
    assert "99.00" in client.get(url, {"day": today}).content.decode()
    known = queries.states(people, officer, 2)
    assert [(s.code, s.rows) for s in known] == [(second.code, 2), (first.code, 1)]
