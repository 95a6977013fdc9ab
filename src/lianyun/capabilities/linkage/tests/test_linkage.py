"""Linkage: runs, pairs under masks, decisions that hold, are undone and do not contradict."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.audit.models import CallRecord
from lianyun.capabilities.identity.models import User
from lianyun.capabilities.linkage import actions, adapters, api, jobs, queries, rules
from lianyun.capabilities.linkage.models import Pair, Run
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Event

from .conftest import NAME

pytestmark = pytest.mark.django_db
Officer = Callable[..., Actor]


def crosswalk() -> list[tuple[Any, ...]]:
    """The crosswalk without run and time."""
    with adapters.lake().connect(read_only=True) as con:
        return con.execute(
            "SELECT linkage, dataset, key, entity, basis FROM lake.links.crosswalk ORDER BY ALL"
        ).fetchall()


def test_a_run_lays_pairs_before_officers(sources: None, officer: Officer) -> None:
    heard: list[float] = []
    run = api.run_linkage(name=NAME, by=SYSTEM, tell=lambda f, _: heard.append(f))
    assert run.standing == "succeeded"
    assert heard[-1] == 1.0
    assert run.outcome["left"] == 120
    assert run.outcome["merged"] > 80
    assert Event.objects.filter(kind="linkage.finished").exists()
    right = [(k[2:], e) for _, d, k, e, _ in crosswalk() if d == "mz_hardship_visits"]
    assert right
    assert Pair.objects.filter(kind="check").count() <= rules.CHECKS
    assert Pair.objects.filter(kind="review").count() == run.outcome["waiting"]
    # Counts are for all who may read; pairs for those whose rows are compared.
    assert [k.name for k in queries.linkages(officer("mz", "share_head"))]
    with pytest.raises(Denied):
        queries.pairs(officer("jy", "data_officer"), NAME)
    with pytest.raises(Denied):
        api.run_linkage(name=NAME, by=officer("mz", "data_officer"))
    # No key and no name stands in an event's open part.
    told = "".join(str(e.data) for e in Event.objects.filter(kind__startswith="link"))
    assert not audit.people_in([told])


def test_a_decision_outlives_a_run_and_is_undone(sources: None, officer: Officer) -> None:
    api.run_linkage(name=NAME, by=SYSTEM)
    before = crosswalk()
    mine, other = officer("mz", "data_officer"), officer("ga", "data_officer")
    pair = Pair.objects.filter(kind="check").first()
    assert pair is not None
    api.decide(pair=pair, verdict="different", note="住址不是同一家", by=mine)
    jobs.apply(NAME)
    assert pair.left_key not in {k for _, d, k, *_ in crosswalk() if d == "mz_hardship_visits"}
    api.run_linkage(name=NAME, by=SYSTEM)
    pair.refresh_from_db()
    assert pair.verdict == "different"
    assert pair.left_key not in {k for _, d, k, *_ in crosswalk() if d == "mz_hardship_visits"}
    # Another officer cannot overrule without taking it back first.
    with pytest.raises(UserError, match="已判定"):
        api.decide(pair=pair, verdict="same", by=other)
    api.undo(pair=pair, by=other)
    jobs.apply(NAME)
    assert crosswalk() == before
    with pytest.raises(UserError, match="无需撤销"):
        api.undo(pair=pair, by=other)
    with pytest.raises(UserError, match="请选择"):
        api.decide(pair=pair, verdict="maybe", by=mine)
    kinds = list(Event.objects.filter(subject=pair.ref).values_list("kind", flat=True))
    assert kinds == ["link.decided", "link.undone"]


def test_contradictions_are_named(sources: None, officer: Officer) -> None:
    api.run_linkage(name=NAME, by=SYSTEM)
    mine = officer("mz", "data_officer")
    pair = Pair.objects.filter(kind="check").first()
    assert pair is not None
    stranger = next(e for _, d, _, e, _ in crosswalk() if e != pair.right_key)
    second = Pair.objects.create(linkage=NAME, left_key=pair.left_key, right_key=stranger)
    api.decide(pair=pair, verdict="same", by=mine)
    api.decide(pair=second, verdict="same", by=mine)
    jobs.apply(NAME)
    assert queries.contradictions(mine, NAME) == [(second, None)]


def test_evidence_adds_up_and_is_masked(sources: None, officer: Officer) -> None:
    run = api.run_linkage(name=NAME, by=SYSTEM)
    mine = officer("mz", "data_officer")
    for pair in queries.pairs(mine, NAME)[:30]:
        found = queries.evidence(mine, pair)
        *parts, total = found.steps
        by_title = {s.title: s for s in parts}
        # How common a value is only weighs where names are the same.
        assert (rules.RARITY in by_title) <= (by_title["姓名"].told == "姓名相同")
        assert by_title["性别"].told in ("相同", "不同", "有一方为空")
        assert abs(sum(s.bits for s in parts) - total.bits) < 0.6
        assert abs(rules.chance(pair.weight) - pair.probability) < 1e-6
        assert all(0 <= s.left <= 100 and s.left + s.width <= 101 for s in found.steps)
        shown = "".join(p for line in found.lines for p, _ in (*line.left, *line.right))
        shown += "".join(k for pair_ in found.keys for k in pair_)
        assert pair.right_key not in shown
        assert "*" in shown
    assert run.outcome["model"]["fields"].keys() == {"name", "born", "sex", "phone", "address"}


def test_a_reading_in_clear_is_on_record(sources: None, officer: Officer) -> None:
    api.run_linkage(name=NAME, by=SYSTEM)
    pair = Pair.objects.filter(kind="check").first()
    assert pair is not None
    mine = officer("mz", "data_officer")
    with pytest.raises(UserError, match="用途"):
        actions.read_pair(pair=pair, purpose=" ", by=mine)
    with pytest.raises(Denied):
        actions.read_pair(pair=pair, purpose="核对", by=officer("jy", "data_officer"))
    found = actions.read_pair(pair=pair, purpose="核对走访对象身份", by=mine)
    assert found.keys[1][1] == pair.right_key
    calls = CallRecord.objects.all()
    assert {c.resource for c in calls} == {"mz_hardship_visits", "ga_residents"}
    assert {c.key_hash for c in calls} == {audit.keyed_hash(pair.right_key)}
    told = "".join(str(e.data) for e in Event.objects.filter(kind="link.read"))
    assert pair.right_key not in told


def test_what_fails_is_on_record(city: None, fresh_lake: Any) -> None:
    with pytest.raises(UserError, match="还没有数据"):
        api.run_linkage(name=NAME, by=SYSTEM)
    assert Run.objects.get().standing == "failed"
    assert Event.objects.filter(kind="linkage.failed").exists()
    with pytest.raises(UserError, match="没有名为"):
        api.queue_run(name="nothing", by=SYSTEM)


def test_a_dead_run_is_closed(city: None) -> None:
    run = Run.objects.create(code="k1", linkage=NAME)
    Run.objects.update(started_at="2026-01-01T00:00:00+08:00")
    jobs.reconcile()
    run.refresh_from_db()
    assert run.standing == "failed"
    assert "中断" in run.error


def test_differences_are_marked() -> None:
    left, right = rules.differences("张*12号", "张*13号")
    assert ("2", True) in left
    assert ("3", True) in right
    assert rules.differences("", "甲") == ([], [("甲", True)])
    assert rules.percent(1.0) == "99.99% 以上"


def test_pages(sources: None, officer: Officer) -> None:
    api.run_linkage(name=NAME, by=SYSTEM)
    mine = officer("mz", "data_officer")
    user = User.objects.create(username="mz.zhuanyuan", party=mine.party)
    browser = Client()
    browser.force_login(user)
    session = browser.session
    session["seen"] = time.time()
    session.save()

    def read(name: str, *args: Any) -> str:
        answer = browser.get(reverse(f"linkage:{name}", args=args), follow=True)
        assert answer.status_code == 200, answer.content.decode()[:500]
        return answer.content.decode()

    assert "户籍人口" in read("list")
    assert "各项比较的证据强度" in read("home", NAME)
    pair = Pair.objects.filter(kind="check").first()
    assert pair is not None
    page = read("pair", NAME, pair.pk)
    assert "并排比较" in page
    assert pair.right_key not in page
    assert browser.get(reverse("linkage:pair", args=[NAME, 10**9])).status_code == 404
    assert browser.get(reverse("linkage:home", args=["nothing"])).status_code == 404
    plain = browser.post(
        reverse("linkage:pair", args=[NAME, pair.pk]), {"purpose": "核对走访对象身份"}
    ).content.decode()
    assert pair.right_key in plain
    assert (
        browser.post(reverse("linkage:pair", args=[NAME, pair.pk]), {"verdict": "same"}).status_code
        == 302
    )
    pair.refresh_from_db()
    assert pair.verdict == "same"
    assert "撤销判定" in read("pair", NAME, pair.pk)
    assert "抽查" in read("pairs", NAME)
    rows, _ = queries.entities(mine, NAME, 1)
    assert rows
    inside = read("entity", NAME, rows[0].token)
    assert "被关联的登记" in inside
    number = inside.partition('name="pair" value="')[2].partition('"')[0]
    answer = browser.post(reverse("linkage:entity", args=[NAME, rows[0].token]), {"pair": number})
    assert answer.status_code == 302
    assert Event.objects.filter(kind="link.disputed").exists()
    assert browser.get(reverse("linkage:entity", args=[NAME, "0-00"])).status_code == 400
    assert read("review", NAME)
