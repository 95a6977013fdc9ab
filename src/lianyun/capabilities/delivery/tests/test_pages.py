"""Pages: each shows to whom it concerns what is there, and nothing to others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from lianyun.capabilities.delivery import actions
from lianyun.kernel.access import SYSTEM, Actor
from lianyun.kernel.models import Grant

from .conftest import Database, Fill, person
from .test_databases import carry, subscribe

Make = Callable[..., Grant]
BASE = "/workbench/delivery/"


def browser(actor: Actor) -> Client:
    users: Any = get_user_model().objects
    assert actor.party is not None
    client = Client()
    client.force_login(users.create(username=f"u{actor.party.pk}", party=actor.party))
    session = client.session
    session["seen"] = time.time()
    session.save()
    return client


def test_every_page_shows(
    fill: Fill,
    grant: Make,
    receiver: Actor,
    mariadb: Database,
    run_jobs: Callable[[], int],
    officer: Callable[..., Actor],
) -> None:
    fill("b1", [person(1)])
    given = grant(masks={"name": "name"}, operations=["feed", "file"])
    row = subscribe(given, mariadb, receiver)
    carry(row)
    file = actions.ask_file(grant=given, form="csv", by=receiver)
    page = browser(receiver)
    shown = page.get(f"{BASE}files/")
    assert "正在生成" in shown.content.decode()
    assert page.get(f"{BASE}files/{file.code}/progress/").status_code == 200
    actions.make_file(code=file.code, by=SYSTEM)
    for path, words in (
        ("", "测试人员"),
        ("receivers/", "数据去向"),
        ("dead/", "没有死信"),
        (f"new/{given.code}/", "选择接收方式"),
        *((f"new/{given.code}/?kind={k}", "保存") for k in ("mysql", "sftp", "webhook", "pull")),
        (f"subscriptions/{row.code}/", "已是最新"),
        (f"subscriptions/{row.code}/edit/", "已加密保存"),
        (f"subscriptions/{row.code}/edit/?kind=folder", "接收地址"),
        ("files/", "CSV"),
    ):
        answer = page.get(f"{BASE}{path}")
        assert answer.status_code == 200, (path, answer.content.decode()[:2000])
        assert words in answer.content.decode(), path
        assert "S3cret" not in answer.content.decode()
    fetched = page.get(f"{BASE}files/{file.code}/fetch/")
    assert b"".join(fetched.streaming_content).startswith(b"\xef\xbb\xbf")  # type: ignore[attr-defined]
    tested = page.post(f"{BASE}subscriptions/{row.code}/act/", {"do": "test"}, follow=True)
    assert "连接成功" in tested.content.decode()
    for doing in ("pause", "resume", "run"):
        assert page.post(f"{BASE}subscriptions/{row.code}/act/", {"do": doing}).status_code == 302
    provider = browser(officer("ga", "data_officer"))
    assert "测试人员" in provider.get(f"{BASE}receivers/").content.decode()
    answer = provider.get(f"{BASE}takers/people_d/")
    assert answer.status_code == 200
    assert provider.get(f"{BASE}subscriptions/{row.code}/edit/").status_code == 404
    stranger = browser(officer("mz", "data_officer"))
    assert stranger.get(f"{BASE}subscriptions/{row.code}/").status_code == 404
    assert stranger.get(f"{BASE}files/{file.code}/fetch/").status_code == 404
    assert "测试人员" not in stranger.get(BASE).content.decode()
    bureau = browser(officer("sjj", "bureau_operator"))
    assert "测试人员" in bureau.get(BASE).content.decode()


def test_a_dead_letter_is_settled_on_its_page(
    fill: Fill, grant: Make, receiver: Actor, mariadb: Database
) -> None:
    fill("b1", [person(1)])
    row = subscribe(grant(), mariadb, receiver)
    carry(row)
    mariadb.ask("DROP TABLE people_d")
    mariadb.ask("DELETE FROM _lianyun_position")
    mariadb.ask("CREATE TABLE people_d (mine int)")
    fill("b2", [person(1), person(2)])
    carry(row)
    page = browser(receiver)
    assert "测试人员" in page.get(f"{BASE}dead/").content.decode()
    dead = row.deliveries.get(finished_at=None)
    shown = page.get(f"{BASE}dead/{dead.pk}/")
    assert "同名的表" in shown.content.decode()
    refused = page.post(f"{BASE}dead/{dead.pk}/", {"do": "skip", "reason": "不需要这些数据了"})
    assert "首次全量不能跳过" in refused.content.decode()
    mariadb.ask("DROP TABLE people_d")
    page.post(f"{BASE}dead/{dead.pk}/", {"do": "retry"})
    carry(row)
    assert len(mariadb.rows()) == 2


@pytest.mark.parametrize("path", ["", "receivers/", "dead/", "files/"])
def test_visitors_are_sent_to_the_login_page(city: None, path: str) -> None:
    assert Client().get(f"{BASE}{path}").status_code == 302
