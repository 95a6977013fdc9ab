"""Asking as officers do: rights, masks, records, cancelling, keeping, sharing, taking away."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as parquet
import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from lianyun.capabilities.analysis import actions, adapters, api, queries
from lianyun.capabilities.analysis.models import Question, Run
from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.audit.models import CallRecord
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError, actor_of
from lianyun.kernel.models import Event, Party

from .conftest import NUMBERS, Officer

BY_TOWN = "SELECT town, count(*) AS n FROM people GROUP BY town"


def asked(sql: str, by: Actor, **more: Any) -> Run:
    """A question answered in this process."""
    run = actions.begin(sql=sql, purpose="数据质量检查", by=by)
    return actions.carry(run.code, by=by, **more)


def enter(actor: Actor) -> Client:
    users: Any = get_user_model().objects
    user = users.create(username=f"u{actor.party.pk}", party=actor.party)
    users.filter(pk=user.pk).update(must_change=False)
    client = Client()
    client.force_login(user)
    session = client.session
    session["seen"] = time.time()
    session.save()
    return client


def test_one_sees_ones_own_and_what_is_granted(officer: Officer, give: Callable[..., Any]) -> None:
    police, civil, schools = officer("ga"), officer("mz"), officer("jy")
    assert set(queries.allowed_tables(police)) == {"people"}
    assert set(queries.allowed_tables(schools)) == set()
    bureau = officer("sjj", "bureau_operator")
    assert {"people", "benefits"} <= set(queries.allowed_tables(bureau))
    with pytest.raises(UserError, match="没有权限读取"):
        asked("SELECT * FROM people", civil)
    grant = give("mz", "people", ["name", "town"], {"name": "name"}, scope={"town": ["连云"]})
    run = asked("SELECT * FROM people", civil)
    assert run.good, run.error
    rows = queries.answer(run, civil).to_pylist()
    assert {r["town"] for r in rows} == {"连云"}
    assert {r["name"].strip("*") for r in rows} == {"王"}
    grants.revoke(grant, reason="不再需要", by=SYSTEM)
    assert run.code
    with pytest.raises(UserError, match="权限已经变化"):
        queries.answer(run, civil)
    with pytest.raises(Denied):
        queries.allowed_tables(officer("ga", "share_head"))


def test_small_groups_of_people_are_not_told(officer: Officer) -> None:
    police = officer("ga")
    run = asked(BY_TOWN, police)
    assert run.guarded
    assert queries.answer(run, police).to_pylist() == [{"town": "海州", "n": 9}]
    assert api.ask(BY_TOWN, SYSTEM).num_rows == 2, "the machine's operator counts everything"


def test_two_departments_are_joined_without_numbers(
    officer: Officer, give: Callable[..., Any]
) -> None:
    civil = officer("mz")
    give("mz", "people", ["citizen_number", "town"], {"citizen_number": "citizen_number"})
    found = set(_suggested(civil, "benefits"))
    assert found == {("people", "a.citizen_number_link", "citizen_number_link")}
    joined = (
        "SELECT p.town, count(*) AS n, sum(b.amount) AS s FROM people p "
        "JOIN benefits b ON p.citizen_number_link = b.citizen_number_link GROUP BY p.town"
    )
    run = asked(joined, civil)
    assert queries.answer(run, civil).to_pylist()[0]["n"] == 7
    assert NUMBERS[0] not in str(queries.answer(run, civil).to_pylist())


def _suggested(viewer: Actor, base: str) -> list[tuple[str, str, str]]:
    from lianyun.capabilities.analysis import rules

    found = rules.suggestions(queries.tables(viewer), [("a", base)])
    return [(s.table, s.left, s.right) for s in found]


def test_no_link_ties_a_plain_number_to_a_masked_row(
    officer: Officer, give: Callable[..., Any]
) -> None:
    civil = officer("mz")
    give("mz", "people", ["citizen_number", "town"], {})
    assert queries.allowed_tables(civil)["people"].links == ()
    assert _suggested(civil, "benefits") == []
    run = asked("SELECT citizen_number_link FROM people", civil)
    assert "citizen_number_link" in run.error


def test_every_reading_is_on_record(officer: Officer, give: Callable[..., Any]) -> None:
    civil = officer("mz")
    give("mz", "people", ["citizen_number", "town"], {})
    run = asked("SELECT citizen_number FROM people WHERE town = '连云'", civil)
    call = CallRecord.objects.get(resource="people", channel="ask")
    assert (call.rows, call.purpose) == (3, "数据质量检查")
    assert {call.key_hash, *call.others} == {audit.keyed_hash(n) for n in NUMBERS[9:]}
    person = Party.objects.create(kind=Party.PERSON, name="王小十")
    audit.link_person(party=person, citizen_number=NUMBERS[10], by=SYSTEM)
    assert "数据质量检查" in enter(actor_of(person)).get("/seen/").content.decode()
    told = Event.objects.get(kind="question.asked", subject=run.ref)
    assert told.data["tables"] == ["people"]
    assert "SELECT" not in str(told.data), "what was asked may name a person"
    assert "SELECT" in told.personal["sql"]
    assert Event.objects.filter(kind="question.answered", subject=run.ref).exists()
    browser = enter(civil)
    answer = browser.get(reverse("analysis:export", args=[run.code, "csv"]))
    assert b"".join(answer.streaming_content).startswith("\ufeff".encode())
    assert CallRecord.objects.filter(resource="people", channel="export").count() == 1
    assert Event.objects.filter(kind="question.exported").count() == 1
    assert audit.verify().ok


def test_a_heavy_question_waits_to_be_confirmed(
    officer: Officer, monkeypatch: pytest.MonkeyPatch
) -> None:
    police = officer("ga")
    from dataclasses import replace

    small = replace(adapters.limits(), confirm_rows=5)
    monkeypatch.setattr(adapters, "limits", lambda rows=None: small)
    run = asked("SELECT town FROM people", police)
    assert run.waits
    assert run.finished_at is None
    browser = enter(police)
    page = browser.get(reverse("analysis:run", args=[run.code])).content.decode()
    assert "这次查询比较大" in page
    assert "12 行" in page
    browser.post(reverse("analysis:confirm", args=[run.code]))
    run.refresh_from_db()
    assert not run.waits
    done = actions.carry(run.code, by=police, confirmed=True)
    assert done.good
    assert done.rows == 12
    again = asked("SELECT town FROM people", police)
    actions.cancel(run=again, by=police)
    again.refresh_from_db()
    assert again.outcome[0] == "已取消"


ENDLESS = "SELECT sum(length(t0.town)) FROM " + ", ".join(f"people t{n}" for n in range(9))


def test_a_closed_page_stops_its_question(
    officer: Officer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bureau = SYSTEM
    monkeypatch.setattr(actions, "UNSEEN_SECONDS", 1.0)
    run = actions.begin(sql=ENDLESS, purpose="试验", by=bureau)
    began = time.monotonic()
    done = actions.carry(run.code, by=bureau, confirmed=True)
    assert "页面已关闭" in done.error
    assert done.cancelled_at is not None
    assert time.monotonic() - began < 15


@pytest.mark.django_db(transaction=True)
def test_cancelling_stops_it_from_another_process(db: None) -> None:
    run = Run.objects.create(code="q1", sql=ENDLESS)
    watch = actions._Watch(run, watched=True)
    assert not watch.cancelled()
    Run.objects.filter(pk=run.pk).update(cancelled_at=timezone.now())
    seen = threading.Event()
    end = time.monotonic() + 5
    while time.monotonic() < end and not seen.is_set():
        if watch.cancelled():
            seen.set()
        time.sleep(0.05)
    assert seen.is_set()
    run.refresh_from_db()
    assert run.beat_at <= timezone.now()


def test_wrong_questions_are_explained_in_the_page(officer: Officer) -> None:
    browser = enter(officer("ga"))
    url = reverse("analysis:editor")
    for bad in ("DROP TABLE people", "SELECT * FROM read_csv('/etc/passwd')", "SELECT ("):
        page = browser.post(url, {"sql": bad, "purpose": "试验"})
        assert page.status_code == 200
        assert "查询没有执行" in page.content.decode()
    page = browser.post(url, {"sql": BY_TOWN, "purpose": ""}).content.decode()
    assert "查询没有执行" in page
    assert not Run.objects.exists()
    stranger = enter(officer("jy"))
    page = stranger.post(url, {"sql": BY_TOWN, "purpose": "试验"}).content.decode()
    assert "没有权限读取" in page


def test_builder_to_answer_to_files(officer: Officer) -> None:
    police = officer("ga")
    browser = enter(police)
    url = reverse("analysis:builder")
    assert "测试人员" in browser.get(url).content.decode()
    form = {
        "base": "people",
        "f-0-column": "a.born",
        "f-0-op": "ge",
        "f-0-value": "1980-01-01",
        "g-0-column": "a.town",
        "m-0-fn": "people",
        "purpose": "人口分布",
    }
    part = browser.post(url, form, headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<form id="builder"')
    assert "count(DISTINCT a.&quot;citizen_number_link&quot;)" in part
    wrong = browser.post(url, {**form, "f-0-value": "昨天", "do": "run"}).content.decode()
    assert "日期应如" in wrong
    answer = browser.post(url, {**form, "do": "run"})
    run = Run.objects.get()
    assert answer["Location"] == reverse("analysis:run", args=[run.code])
    waiting = browser.get(answer["Location"]).content.decode()
    assert "取消查询" in waiting
    assert "HX-Refresh" not in browser.get(reverse("analysis:progress", args=[run.code]))
    actions.carry(run.code, by=police)
    assert browser.get(reverse("analysis:progress", args=[run.code]))["HX-Refresh"] == "true"
    page = browser.get(answer["Location"]).content.decode()
    assert "data-chart" in page
    assert "海州" in page
    assert ">连云<" not in page
    raw = b"".join(browser.get(f"{answer['Location']}answer.csv").streaming_content)
    assert raw.decode("utf-8-sig") == "镇街,人数\r\n海州,9\r\n"
    file = browser.get(f"{answer['Location']}answer.parquet").content
    assert parquet.read_table(io.BytesIO(file)).num_rows == 1
    assert browser.get(f"{answer['Location']}answer.exe").status_code == 404
    other = enter(officer("mz"))
    for path in ("", "answer.csv", "progress/"):
        assert other.get(f"{answer['Location']}{path}").status_code == 400
    for name in ("questions", "history"):
        assert browser.get(reverse(f"analysis:{name}")).status_code == 200


def test_codes_are_shown_with_their_names(officer: Officer) -> None:
    from lianyun.capabilities.catalogue import api as catalogue
    from lianyun.kernel.models import Resource

    row = Resource.objects.get(name="people")
    told = catalogue.dataset_spec(row)
    told["items"][2] |= {"element": "region_code", "name": "town", "title": "行政区划"}
    catalogue.edit_resource(resource=row, content=told, by=SYSTEM)
    run = asked("SELECT '320706' AS \"行政区划\", '海州' AS other, count(*) FROM people", SYSTEM)
    assert run.good, run.error
    assert queries.shown(run, SYSTEM)["rows"] == [["海州区（320706）", "海州", 12]]
    assert queries.answer(run, SYSTEM).column(0).to_pylist() == ["320706"], "files keep the code"


def test_shared_questions_run_with_the_readers_rights(officer: Officer) -> None:
    police, colleague, stranger = officer("ga"), officer("ga"), officer("jy")
    run = asked(BY_TOWN, police)
    kept = actions.keep(run=run, title="各镇街人数", sharing="city", by=police)
    mine = actions.keep(run=run, title="私人", by=police)
    assert set(queries.questions(colleague)) == {kept}
    with pytest.raises(UserError):
        queries.question(mine.code, colleague)
    page = enter(stranger).post(
        reverse("analysis:question", args=[kept.code]), {"purpose": "看一看"}
    )
    assert "没有权限读取" in page.content.decode()
    browser = enter(colleague)
    answer = browser.post(reverse("analysis:question", args=[kept.code]), {"purpose": "看一看"})
    assert answer.status_code == 302
    assert Run.objects.get(by=colleague.party).question == kept
    refused = browser.post(reverse("analysis:remove", args=[kept.code]))
    assert refused.status_code == 400
    assert Question.objects.filter(pk=kept.pk).exists()
    actions.remove(question=kept, by=police)
    assert not Question.objects.filter(pk=kept.pk).exists()
    named = asked(f"SELECT town FROM people WHERE name = '{NUMBERS[0]}'", police)
    with pytest.raises(UserError, match="身份号码"):
        actions.keep(run=named, title="某人", sharing="department", by=police)


def test_answers_are_swept_and_lost_runs_closed(officer: Officer) -> None:
    import os

    police = officer("ga")
    run = asked(BY_TOWN, police)
    lost = actions.begin(sql=BY_TOWN, purpose="试验", by=police)
    Run.objects.filter(pk=lost.pk).update(beat_at=timezone.now() - queries.LOST * 2)
    then = time.time() - 25 * 3600
    os.utime(adapters.answer_file(run.code), (then, then))
    assert actions.sweep(by=SYSTEM) == 2
    run.refresh_from_db()
    lost.refresh_from_db()
    assert run.sql == ""
    assert "中断" in lost.error
    assert queries.shown(run, police) is None
    page = enter(police).get(reverse("analysis:run", args=[run.code])).content.decode()
    assert "保存期限" in page


def test_only_so_many_at_once(officer: Officer) -> None:
    police = officer("ga")
    for _ in range(actions.MINE_AT_ONCE):
        actions.begin(sql=BY_TOWN, purpose="试验", by=police)
    with pytest.raises(UserError, match="正在进行"):
        actions.begin(sql=BY_TOWN, purpose="试验", by=police)
