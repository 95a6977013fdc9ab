"""The site: everybody finds what is open, counts equal lengths, and what is not open is nowhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from lianyun.capabilities.open_data import actions, adapters, api
from lianyun.capabilities.open_data.models import Key, Opening, Rating, Tally, Use, Voice
from lianyun.capabilities.open_data.queries import site
from lianyun.kernel.access import ANONYMOUS, SYSTEM, Actor, UserError
from lianyun.kernel.models import Case, Event

from .rows import put, residents, stops

ATTACKS = (
    "1; DROP TABLE kernel_party",
    "' OR '1'='1",
    "x' UNION SELECT username FROM identity_user --",
    "read_csv('/etc/passwd')",
    "$$",
    "\\",
    "%",
)
ROWS = "/open/api/datasets/jt_stops/rows"


@pytest.fixture
def stops_open(opened: Callable[..., Opening]) -> Opening:
    """Sixty bus stops, open to everybody."""
    put("jt_stops", stops())
    return opened("jt_stops")


def read(client: Client, path: str, **data: Any) -> Any:
    """A JSON answer."""
    return client.get(path, data).json()


# ---- finding -------------------------------------------------------------------------------


def test_counts_equal_lengths(stops_open: Opening, opened: Callable[..., Opening]) -> None:
    put("ga_residents", residents())
    opened("ga_residents", kind="conditional")
    everything = site.search(ANONYMOUS, site.Choice())
    assert everything.total == len(everything.rows) == 2
    for field in ("departments", "themes", "kinds"):
        single = field.removesuffix("s")
        counted = getattr(everything, field)
        assert sum(n for _, _, n in counted) == 2
        for value, _, n in counted:
            narrowed = site.search(ANONYMOUS, site.Choice(**{single: value}))
            assert narrowed.total == len(narrowed.rows) == n
            # The other values of the same list keep their numbers, so that one can change one's mind.
            assert {v: k for v, _, k in getattr(narrowed, field)} == {v: k for v, _, k in counted}
    for word, n in (("公交", 1), ("站点名称", 1), ("户籍 人口", 1), ("没有的词", 0), ("%", 0)):
        found = site.search(ANONYMOUS, site.Choice(q=word))
        assert (found.total, len(found.rows)) == (n, n), word
    home = site.home(ANONYMOUS)
    assert home.datasets == 2
    assert home.rows == sum(o.current.rows for o in everything.rows if o.current)
    assert sum(n for _, _, n in home.departments) == sum(n for _, n in home.themes) == 2


def test_what_is_not_open_is_nowhere(
    client: Client, stops_open: Opening, officer: Callable[..., Actor]
) -> None:
    from lianyun.kernel.models import Resource

    put("ga_residents", residents())
    by = officer("ga", "data_officer")
    resource = Resource.objects.select_related("owner").get(name="ga_residents")
    api.propose(
        resource=resource, recipe=api.proposal(by, resource).recipe, title="户籍人口", summary="",
        kind="unconditional", licence="cc-by-4.0", cycle="每月", by=by,
    )  # fmt: skip
    pages = [
        "/open/", "/open/datasets/", "/open/datasets/?q=户籍", "/open/datasets/jt_stops/",
        "/open/api/datasets", "/open/api/datasets?q=户籍", "/open/catalog.jsonld",
        "/open/catalog.ttl", "/open/feed.atom", "/open/feed.rss", "/sitemap.xml",
        "/open/api/3/action/package_list", "/open/api/3/action/package_search",
        "/open/api/3/action/organization_list", "/open/api/3/action/group_list",
        "/open/api/3/action/tag_list", "/open/api/3/action/current_package_list_with_resources",
    ]  # fmt: skip
    for path in pages:
        answer = client.get(path)
        assert answer.status_code == 200, path
        text = answer.content.decode()
        assert "ga_residents" not in text, path
        assert "户籍人口" not in text, path
    gone = [
        "/open/datasets/ga_residents/", "/open/datasets/ga_residents/ga_residents.csv",
        "/open/datasets/ga_residents/dcat.ttl", "/open/datasets/ga_residents/datapackage.json",
        "/open/api/datasets/ga_residents", "/open/api/datasets/ga_residents/rows",
        "/open/api/3/action/package_show?id=ga_residents",
        "/open/api/3/action/datastore_search?resource_id=ga_residents",
    ]  # fmt: skip
    for path in gone:
        assert client.get(path).status_code == 404, path


def test_conditional_rows_need_an_allowed_key(
    client: Client, opened: Callable[..., Opening], officer: Callable[..., Actor]
) -> None:
    put("jt_stops", stops())
    found = opened("jt_stops", kind="conditional")
    page = client.get("/open/datasets/jt_stops/").content.decode()
    assert "申请使用" in page
    assert "朝阳路" not in page
    assert client.get("/open/datasets/jt_stops/jt_stops.csv").status_code == 404
    assert client.get(ROWS).status_code == 403
    path = "/open/api/3/action/datastore_search?resource_id=jt_stops"
    assert client.get(path).status_code == 403
    key = actions.give_key(title="试用", address="192.0.2.1", by=ANONYMOUS)
    headers = {"X-API-Key": key}
    assert client.get(ROWS, headers=headers).status_code == 403
    data = {
        "title": "做到站查询", "told": "只在本校课程中使用", "who": "某校", "contact": "张老师", "key": key,
    }  # fmt: skip
    assert client.post("/open/datasets/jt_stops/apply/", data).status_code == 302
    voice = Voice.objects.get(kind="access")
    assert voice.case is not None
    item = voice.case.items.get(done_at=None)
    actions.answer(
        item=item, outcome="agree", note="", publish=False, by=officer("jt", "data_officer")
    )
    assert client.get(ROWS, headers=headers).json()["total"] == 60
    assert client.get("/open/datasets/jt_stops/jt_stops.csv", headers=headers).status_code == 200
    Key.objects.update(stopped=True)
    assert client.get(ROWS, headers=headers).status_code == 401
    assert found.name == "jt_stops"


# ---- rows ----------------------------------------------------------------------------------


def test_rows_by_declared_columns(client: Client, stops_open: Opening) -> None:
    told = read(client, ROWS, region_code="320703", _sort="-stop_code", _limit=5)
    assert told["total"] == 30
    codes = [r["stop_code"] for r in told["rows"]]
    assert codes == sorted(codes, reverse=True)
    assert len(codes) == 5
    assert told["next_offset"] == 5
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = read(client, ROWS, _limit=7, _offset=offset, _sort="stop_name")
        seen += [r["stop_code"] for r in page["rows"]]
        offset = page["next_offset"]
    assert len(seen) == len(set(seen)) == page["total"] == 60
    assert read(client, ROWS, _q="路7号")["total"] == 1
    assert read(client, ROWS, stop_code__in="S00001,S00002")["total"] == 2
    assert read(client, ROWS, longitude__gte="119.25")["total"] == 10
    assert read(client, ROWS, stop_name__contains="=HYPER")["rows"][0]["stop_code"] == "S00000"
    assert set(read(client, ROWS, _fields="lines", _limit=1)["rows"][0]) == {"lines"}
    assert "total" not in read(client, ROWS, _total="0")


def test_nothing_from_outside_is_sql(client: Client, stops_open: Opening) -> None:
    for n, attack in enumerate(ATTACKS):
        # From an address of its own: together they would be more than the open rate lets one do.
        _is_a_word_only(Client(REMOTE_ADDR=f"198.51.100.{n + 1}"), attack)
    for name in ("datastore_search_sql", "datastore_upsert", "package_create"):
        assert client.post(f"/open/api/3/action/{name}", {"sql": "SELECT 1"}).status_code == 404


def _is_a_word_only(client: Client, attack: str) -> None:
    """Nothing of the text reaches the engine but as a value."""
    for parameters in (
        {attack: "1"},
        {"_fields": attack},
        {"_sort": attack},
        {"_limit": attack},
        {"_offset": attack},
        {f"stop_code__{attack}": "1"},
    ):
        assert client.get(ROWS, parameters).status_code == 400, parameters
    for parameters in ({"stop_code": attack}, {"stop_name__contains": attack}, {"_q": attack}):
        answer = client.get(ROWS, parameters)
        assert answer.status_code == 200
        assert answer.json()["total"] == 0, parameters
    assert client.get(ROWS, {"longitude": attack}).status_code == 400
    store = "/open/api/3/action/datastore_search"
    for data in ({"filters": {attack: 1}}, {"sort": attack}, {"fields": [attack]}):
        told = {"resource_id": "jt_stops", **data}
        answer = client.post(store, json.dumps(told), content_type="application/json")
        assert answer.status_code == 409, data
    answer = client.post(
        store,
        json.dumps({"resource_id": "jt_stops", "filters": {"stop_code": [attack]}}),
        content_type="application/json",
    )
    assert answer.json()["result"]["total"] == 0


ODD = (
    "",
    "{",
    "[]",
    "null",
    '{"resource_id": {"a": 1}}',
    '{"resource_id": "jt_stops", "filters": 5}',
)


def test_odd_requests_are_refused_in_words(client: Client, stops_open: Opening) -> None:
    for body in ODD:
        answer = client.post(
            "/open/api/3/action/datastore_search", body, content_type="application/json"
        )
        assert answer.status_code in (404, 409), body
        assert answer.json()["success"] is False, body
        assert answer.json()["error"]["message"], body


def test_hostile_texts_are_refused_in_words(client: Client, stops_open: Opening) -> None:
    store = "/open/api/3/action/datastore_search"
    many = {"resource_id": "jt_stops", "filters": {"stop_code": ["x"] * 201}}
    bodies = (
        "[" * 200_000,
        '{"resource_id": "\\ud800"}',
        '{"resource_id": "\\u0000"}',
        json.dumps(many),
    )
    for body in bodies:
        answer = client.post(store, body, content_type="application/json")
        assert answer.status_code == 409, body[:40]
    body = json.dumps({"resource_id": "jt_stops", "q": "x" * 300_000})
    assert client.post(store, body, content_type="application/json").status_code == 413
    zero = "%00"
    assert client.get(f"/open/api/datasets?q={zero}&department={zero}").status_code == 400
    assert client.get(f"/open/api/datasets/jt_stops/rows?stop_code={zero}").status_code == 400
    assert client.get(f"/open/datasets/?department=a{zero}&theme={zero}").status_code == 200


def test_a_modest_rate_without_a_key_and_more_with_one(
    client: Client, stops_open: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(site.settings()["rates"], "api_anonymous", 3)
    monkeypatch.setattr("lianyun.capabilities.open_data.rules.window", lambda now, seconds: 7)
    codes = [client.get(ROWS).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    refused = client.get(ROWS)
    assert int(refused["Retry-After"]) > 0
    assert client.get(ROWS, REMOTE_ADDR="192.0.2.9").status_code == 200
    # One network of IPv6 is one visitor.
    for place in range(3):
        assert client.get(ROWS, REMOTE_ADDR=f"2001:db8::{place}").status_code == 200
    assert client.get(ROWS, REMOTE_ADDR="2001:db8::99").status_code == 429
    key = actions.give_key(title="多用", address="192.0.2.1", by=ANONYMOUS)
    answers = [client.get(ROWS, headers={"X-API-Key": key}) for _ in range(5)]
    assert {a.status_code for a in answers} == {200}
    assert answers[0]["RateLimit-Limit"] == "600"
    assert client.get(ROWS, headers={"X-API-Key": "ok_wrong"}).status_code in (401, 429)
    assert not Tally.objects.filter(who__contains="192.0.2").exists(), "addresses are not kept"
    assert Use.objects.get(opening=stops_open).calls == 12


# ---- files ---------------------------------------------------------------------------------


def test_a_download_is_whole_and_can_be_resumed(client: Client, stops_open: Opening) -> None:
    actions.add_sheet(name="jt_stops", number=1, by=SYSTEM)
    stops_open.current.refresh_from_db()  # type: ignore[union-attr]
    assert stops_open.current is not None
    for kind, told in stops_open.current.files.items():
        path = f"/open/datasets/jt_stops/jt_stops.{kind}"
        answer = client.get(path)
        body = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
        assert len(body) == told["bytes"] == int(answer["Content-Length"])
        assert hashlib.sha256(body).hexdigest() == told["sha256"]
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        assert answer["Repr-Digest"] == f"sha-256=:{digest}:"
        part = client.get(path, headers={"Range": "bytes=10-19"})
        assert part.status_code == 206
        assert b"".join(part.streaming_content) == body[10:20]  # type: ignore[attr-defined]
        tail = client.get(path, headers={"Range": "bytes=-5"})
        assert b"".join(tail.streaming_content) == body[-5:]  # type: ignore[attr-defined]
        assert client.get(path, headers={"If-None-Match": answer["ETag"]}).status_code == 304
        assert client.get(path, headers={"Range": "bytes=99999999-"}).status_code == 416
    assert client.get("/open/datasets/jt_stops/other.csv").status_code == 404
    assert client.get("/open/datasets/jt_stops/jt_stops.exe").status_code == 404


def test_the_site_tells_search_engines_and_feed_readers(
    client: Client, stops_open: Opening
) -> None:
    Opening.objects.update(title="公交</script><script>alert(1)</script>站点")
    page = client.get("/open/datasets/jt_stops/").content.decode()
    found = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    told = json.loads(found[1])
    assert told["@type"] == "Dataset"
    assert told["name"] == "公交</script><script>alert(1)</script>站点"
    assert "<script>alert" not in page
    assert {d["encodingFormat"] for d in told["distribution"]} >= {"text/csv"}
    atom = ET.fromstring(client.get("/open/feed.atom").content)
    assert len(atom.findall("{http://www.w3.org/2005/Atom}entry")) == 1
    rss = ET.fromstring(client.get("/open/feed.rss").content)
    assert len(rss.findall("channel/item")) == 1
    urls = ET.fromstring(client.get("/sitemap.xml").content)
    places = [e.text for e in urls.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert "http://testserver/open/datasets/jt_stops/" in places
    for place in places:
        assert client.get((place or "").removeprefix("http://testserver")).status_code == 200
    assert "Sitemap: http://testserver/sitemap.xml" in client.get("/robots.txt").content.decode()


# ---- the public ----------------------------------------------------------------------------


def test_a_request_is_answered_and_shown_only_if_so_decided(
    client: Client, city: None, officer: Callable[..., Actor]
) -> None:
    data = {"title": "停车场", "told": "想要全市停车场名录", "contact": "13900000000"}
    sent = client.post("/open/requests/new/", data)
    code = sent["Location"].rstrip("/").rsplit("/", 1)[1]
    assert "正在办理" in client.get(f"/open/answers/{code}/").content.decode()
    voice = Voice.objects.get(code=code)
    assert "13900000000" not in client.get(f"/open/answers/{code}/").content.decode()
    assert voice.case is not None
    item = voice.case.items.get(done_at=None)
    assert item.due_on is not None
    by = officer("sjj", "bureau_operator")
    with pytest.raises(UserError, match="理由"):
        actions.answer(item=item, outcome="accept", note="", publish=True, by=by)
    actions.answer(item=item, outcome="accept", note="已列入计划", publish=True, by=by)
    assert "已列入计划" in client.get(f"/open/answers/{code}/").content.decode()
    assert "停车场" in client.get("/open/requests/").content.decode()
    assert client.get("/open/requests/", {"code": code.lower()}).status_code == 302
    assert client.get("/open/answers/AAAAAAAAAAAA/").status_code == 404
    event = Event.objects.get(kind="voice.raised")
    assert "13900000000" not in json.dumps(event.data, ensure_ascii=False)


def test_what_people_made_is_reviewed_first(
    client: Client, stops_open: Opening, officer: Callable[..., Actor]
) -> None:
    data = {
        "title": "站点地图", "told": "按站查线路", "url": "javascript:alert(1)", "who": "甲", "contact": "乙",
    }  # fmt: skip
    assert client.post("/open/applications/new/?dataset=jt_stops", data).status_code == 400
    data["url"] = "https://example.org/map"
    assert client.post("/open/applications/new/?dataset=jt_stops", data).status_code == 302
    assert "站点地图" not in client.get("/open/applications/").content.decode()
    voice = Voice.objects.get(kind="application")
    assert voice.case is not None
    item = voice.case.items.get(done_at=None)
    actions.answer(
        item=item, outcome="agree", note="", publish=False, by=officer("sjj", "bureau_operator")
    )
    assert "站点地图" in client.get("/open/applications/").content.decode()
    assert "站点地图" in client.get("/open/datasets/jt_stops/").content.decode()


def test_a_correction_of_a_row_goes_the_way_of_all_corrections(
    client: Client, stops_open: Opening
) -> None:
    path = "/open/datasets/jt_stops/correct/"
    data = {"key_stop_code": "S00007", "item": "stop_name", "told": "站名已改为海棠路"}
    assert client.post(path, data | {"key_stop_code": "S99999"}).status_code == 400
    assert not Case.objects.filter(path__key="correction").exists()
    assert client.post(path, data).status_code == 302
    case = Case.objects.get(path__key="correction")
    assert case.department is not None
    assert case.department.slug == "jt"


def test_people_cannot_be_named_in_a_correction(
    client: Client, opened: Callable[..., Opening]
) -> None:
    put("ga_residents", residents())
    opened("ga_residents")
    page = client.get("/open/datasets/ga_residents/correct/").content.decode()
    assert "匿名化" in page
    assert "公民身份号码" not in page


def test_ratings_are_not_stuffed(client: Client, stops_open: Opening) -> None:
    for stars in ("1", "2", "5"):
        client.post("/open/datasets/jt_stops/rate/", {"stars": stars})
    assert [r.stars for r in Rating.objects.all()] == [5]
    stops_open.refresh_from_db()
    assert stops_open.stars is None, "one visitor says nothing yet"
    for place in range(2, 5):
        client.post("/open/datasets/jt_stops/rate/", {"stars": "4"}, REMOTE_ADDR=f"192.0.2.{place}")
    stops_open.refresh_from_db()
    assert stops_open.stars == pytest.approx((5 + 12 + 17.5) / 9, abs=0.05)
    for bad in ("0", "6", "", "x", "-1"):
        client.post("/open/datasets/jt_stops/rate/", {"stars": bad}, REMOTE_ADDR="192.0.2.50")
    assert Rating.objects.count() == 4


def test_what_the_public_sends_is_limited(
    client: Client, city: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lianyun.capabilities.open_data.rules.window", lambda now, seconds: 7)
    data = {"title": "需求", "told": "想要更多数据"}
    codes = [client.post("/open/requests/new/", data).status_code for _ in range(11)]
    assert codes == [302] * 10 + [400]
    keys = [client.post("/open/keys/", {"title": "试用"}) for _ in range(4)]
    assert [a.status_code for a in keys] == [200, 200, 200, 400]
    shown = re.findall(r"ok_[\w-]{40}", keys[0].content.decode())
    assert shown
    assert not Key.objects.filter(digest=shown[0]).exists(), "only a digest is kept"
    assert adapters.blurred("a") != adapters.blurred("b")
