"""Cascade between two real nodes: enrolment, catalogues, requests, rows, and everything that goes wrong."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .pair import Pair, Side, Trouble, wait_until

pytestmark = pytest.mark.timeout(280)
KEPT = ("ga_residents", "rs_insured", "mz_destitute")
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def number(region: str, place: int) -> str:
    """An invented citizen number with the right check digit."""
    body = f"{region}19{50 + place % 40}{1 + place % 12:02d}{1 + place % 28:02d}{place % 1000:03d}"
    return body + "10X98765432"[sum(w * int(d) for w, d in zip(WEIGHTS, body, strict=True)) % 11]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("nodes"))
    try:
        for side in made.both():
            side.ready()
            # A few entries are as good as a thousand, and quicker.
            side.do(
                "Resource.objects.filter(kind='dataset').exclude(name__in=given)"
                ".update(state='draft')",
                KEPT,
            )
        made.upper.do(
            "actions.identify(code='320700', name='连云港市', level='city', address=given, by=SYSTEM)",
            made.upper.wire.address,
        )
        made.lower.do(
            "actions.identify(code='320707', name='赣榆区', level='county', address=given,"
            " algorithm='sm2-sm3', by=SYSTEM)",
            made.lower.wire.address,
        )
        # The district has published one entry of its own so far.
        made.lower.do("""
Resource.objects.filter(kind='dataset').update(state='draft')
row = Resource.objects.get(name='mz_destitute')
row.state, row.title = 'published', '赣榆区特困人员信息'
row.code = row.code.split('/')[0] + '/900001'
row.save()
""")
        yield made
    finally:
        made.close()


# ---- enrolment ---------------------------------------------------------------------------


def test_a_node_is_enrolled_by_a_one_time_code(pair: Pair) -> None:
    upper, lower = pair.both()
    join = "actions.join(address=given[0], invitation=given[1], by=SYSTEM)"
    code = upper.do(
        "answer = actions.invite(code='320707', name='赣榆区', level='county', by=SYSTEM)[1]"
    )
    with pytest.raises(Trouble) as refused:
        lower.do(join, [upper.wire.address, "2222-2222-2222-2222-2222"])
    assert "接入码不正确" in refused.value.text
    with pytest.raises(Trouble):
        upper.do("actions.confirm_link(link=link(), address=given, by=SYSTEM)", lower.wire.address)
    lower.do(join, [upper.wire.address, code])
    # The code was good for one enrolment.
    with pytest.raises(Trouble):
        lower.do(join, [upper.wire.address, code])
    # Both operators see the same two fingerprints.
    mine, theirs = "queries.key(SYSTEM).kid", "link().keys[-1]['kid']"
    assert upper.do(f"answer = {mine}") == lower.do(f"answer = {theirs}")
    assert lower.do(f"answer = {mine}") == upper.do(f"answer = {theirs}")
    # Until the upper operator has compared them, nothing is taken.
    assert "核对指纹" in pair.talk()
    upper.do("actions.confirm_link(link=link(), address=given, by=SYSTEM)", lower.wire.address)
    assert pair.talk() == ""


def test_another_address_is_called_only_when_an_operator_says_so(pair: Pair) -> None:
    upper, lower = pair.both()
    here = lower.wire.address
    post = """
from lianyun.capabilities.cascade.actions.outbox import post
post(link(), 'node.changed', 'node', {'name': '赣榆区', 'address': given})
"""
    seen = "answer = [link().address, link().proposed]"
    settle = "actions.settle_address(link=link(), address=given[0], accept=given[1], by=SYSTEM)"
    elsewhere = "http://10.0.0.1:5432"
    lower.do(post, elsewhere)
    assert pair.talk() == ""
    assert upper.do(seen) == [here, elsewhere]
    # What he saw is no longer what the other node says.
    with pytest.raises(Trouble):
        upper.do(settle, ["http://10.0.0.2:5432", True])
    # Confirmed or not, what lies inside is called only where the list names it.
    upper.do(settle, [elsewhere, True])
    assert upper.do(seen) == [elsewhere, ""]
    assert "不允许访问内网地址" in upper.do("answer = actions.converse('320707', force=True)")
    lower.do(post, here)
    assert pair.talk() == ""
    upper.do(settle, [here, True])
    assert upper.do("answer = actions.converse('320707', force=True)") == ""
    lower.do(post, elsewhere)
    assert pair.talk() == ""
    upper.do(settle, [elsewhere, False])
    assert upper.do(seen) == [here, ""]


def test_only_a_node_below_may_be_invited(pair: Pair) -> None:
    invite = "actions.invite(code=given, name='他市', level='county', by=SYSTEM)"
    for code in ("320102", "320700", "32070"):
        with pytest.raises(Trouble):
            pair.upper.do(invite, code)


# ---- messages ----------------------------------------------------------------------------


def knock(side: Side, node: Side, body: dict[str, Any], **changes: str) -> httpx.Response:
    """A request as `side` would sign it to `node`; `changes` are made to its headers after signing."""
    told = side.do(
        """
from lianyun.capabilities.cascade.actions.doors import caller_for, reserve_stamp
caller, stamp, nonce = caller_for(link()), reserve_stamp(link()), rules.new_nonce()
text = rules.request_text('POST', rules.BASE + 'exchange', caller.node, caller.peer, stamp, nonce, given.encode())
answer = {'Lianyun-Node': caller.node, 'Lianyun-Peer': caller.peer, 'Lianyun-Key': caller.signer.kid,
          'Lianyun-Stamp': str(stamp), 'Lianyun-Nonce': nonce, 'Lianyun-Signature': caller.signer.sign(text)}
""",
        json.dumps(body),
    )
    return httpx.post(
        f"http://127.0.0.1:{node.port}/api/cascade/v1/exchange",
        content=json.dumps(body),
        headers={**told, **changes},
        timeout=30,
    )


def signed(
    side: Side, messages: list[tuple[int, str, str, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Messages as `side` would sign them."""
    return side.do(  # type: ignore[no-any-return]
        """
from lianyun.capabilities.cascade.actions.doors import caller_for
c = caller_for(link())
answer = [dict(seq=s, kind=k, topic=t, body=b, kid=c.signer.kid,
               signature=c.signer.sign(rules.message_text(c.node, c.peer, s, k, t, b)))
          for s, k, t, b in given]
""",
        messages,
    )


def test_forged_replayed_and_misdirected_requests_are_refused(pair: Pair) -> None:
    upper, lower = pair.both()
    empty: dict[str, Any] = {"messages": [], "ack": 0}
    good = knock(lower, upper, empty)
    assert good.status_code == 200, good.text
    assert good.headers["lianyun-signature"]
    again = httpx.post(
        f"http://127.0.0.1:{upper.port}/api/cascade/v1/exchange",
        content=good.request.content,
        headers=good.request.headers,
        timeout=30,
    )
    assert (again.status_code, again.json()["error"]) == (409, "replayed")
    other = knock(lower, upper, empty, **{"Lianyun-Peer": "320600"})
    assert other.json()["error"] == "wrong_node"
    stranger = knock(lower, upper, empty, **{"Lianyun-Node": "320723"})
    assert stranger.json()["error"] == "unknown_node"
    later = knock(lower, upper, empty, **{"Lianyun-Stamp": "99999999999999"})
    assert later.json()["error"] == "bad_signature"
    old_key = knock(lower, upper, empty, **{"Lianyun-Key": "0" * 64})
    assert old_key.json()["error"] == "unknown_key"
    forged = knock(lower, upper, empty, **{"Lianyun-Signature": "MEUCIQ=="})
    assert forged.json()["error"] == "bad_signature"
    assert upper.do("answer = link().refused") >= 4
    # And nobody can talk us into believing him with a page in place of a node.
    for path in ("exchange", "enrol"):
        odd = httpx.post(f"http://127.0.0.1:{upper.port}/api/cascade/v1/{path}", content=b"\xff{")
        assert 400 <= odd.status_code < 500


def test_messages_take_effect_once_and_in_order(pair: Pair) -> None:
    upper, lower = pair.both()
    pair.settle()
    first = lower.do("answer = link().sent") + 1
    at = upper.do("answer = link().received")
    assert at == first - 1
    body = {"name": "赣榆区", "address": lower.wire.address}
    told = signed(lower, [(first + n, "node.changed", f"t{n}", {**body, "n": n}) for n in range(4)])
    ack = {"ack": lower.do("answer = link().received")}
    # What comes before its turn is not taken, and the answer says from where to send.
    gap = knock(lower, upper, {**ack, "messages": [told[2], told[0]]}).json()
    assert (gap["ack"], gap["ordered"]) == (first - 1, False)
    assert upper.do("answer = link().gaps") == 1
    some = knock(lower, upper, {**ack, "messages": told[:2]}).json()
    assert some["ack"] == first + 1
    # The same again changes nothing; the same number with other content is an alarm.
    same = knock(lower, upper, {**ack, "messages": [*told[:2], told[2]]}).json()
    assert same["ack"] == first + 2
    other = signed(lower, [(first, "node.changed", "t0", {**body, "n": 99})])
    changed = knock(lower, upper, {**ack, "messages": other}).json()
    assert changed["ordered"] is False
    assert "不一致" in upper.do("answer = link().last_error")
    # A message whose own signature does not hold is not taken, though the request is signed.
    bad = [{**told[3], "body": {**told[3]["body"], "address": "http://127.0.0.1:1"}}]
    assert knock(lower, upper, {**ack, "messages": bad}).json()["ack"] == first + 2
    assert knock(lower, upper, {**ack, "messages": [told[3]]}).json()["ack"] == first + 3
    counts = upper.do(
        "answer = [link().incoming.filter(seq=s).count() for s in given]",
        [first, first + 1, first + 2, first + 3],
    )
    assert counts == [1, 1, 1, 1]
    assert upper.do("answer = link().incoming.filter(applied_at=None).count()") == 0
    lower.do("Link.objects.update(sent=given, acked=given)", first + 3)


def test_a_broken_message_blocks_its_own_topic_only(pair: Pair) -> None:
    upper, lower = pair.both()
    lower.do("""
from lianyun.capabilities.cascade.actions.outbox import post
post(link(), 'entry.withdrawn', 'entry:x', {})
post(link(), 'entry.withdrawn', 'entry:x', {'code': 'nobody/1'})
post(link(), 'entry.withdrawn', 'entry:y', {'code': 'nobody/2'})
post(link(), 'no.such.kind', 'z', {})
""")
    pair.talk()
    stuck = upper.do(
        "answer = [(m.kind, m.topic, m.error) for m in queries.parked(SYSTEM, link())]"
    )
    assert [(k, t) for k, t, _ in stuck] == [
        ("entry.withdrawn", "entry:x"),
        ("entry.withdrawn", "entry:x"),
        ("no.such.kind", "z"),
    ]
    assert "不符合协议" in stuck[0][2]
    assert "升级本节点" in stuck[2][2]
    for _ in range(2):
        upper.do("""
m = next(m for m in queries.parked(SYSTEM, link()) if m.error)
actions.skip_message(message=m, reason='测试消息，无需执行', by=SYSTEM)
""")
        upper.work()
    assert upper.do("answer = queries.parked(SYSTEM, link())") == []


@pytest.mark.slow
def test_a_storm_of_messages_is_taken_whole(pair: Pair) -> None:
    upper, lower = pair.both()
    pair.settle(2)
    before = upper.do("answer = link().received")
    lower.do("""
from lianyun.capabilities.cascade.models import Link, Outgoing
row = link()
body = {'name': '赣榆区', 'address': queries.node(SYSTEM).address}
Outgoing.objects.bulk_create(
    Outgoing(link=row, seq=row.sent + n, kind='node.changed', topic=f's{n}', body=body)
    for n in range(1, 451))
Link.objects.update(sent=row.sent + 450)
""")
    assert pair.talk() == ""
    assert upper.do("answer = link().received") == before + 450
    assert upper.do("answer = link().incoming.filter(applied_at=None).count()") == 0
    assert lower.do("answer = link().acked == link().sent")


def test_a_failed_link_is_tried_again_and_catches_up(pair: Pair) -> None:
    upper, lower = pair.both()
    upper.wire.cut()
    lower.do("""
from lianyun.capabilities.cascade.actions.outbox import post
for n in range(3):
    post(link(), 'node.changed', f'c{n}', {'name': '赣榆区', 'address': queries.node(SYSTEM).address})
""")
    waits = []
    for _ in range(3):
        assert "自动重试" in pair.talk()
        waits.append(
            lower.do("answer = (link().next_try_at - django.utils.timezone.now()).total_seconds()")
        )
    assert waits[0] < waits[1] < waits[2]
    line = lower.do(
        "l = queries.link(SYSTEM, '320700'); answer = [l.state, l.lag, l.link.last_error]"
    )
    assert line[0] == ["连接中断", "red"]
    assert "3 条待送" in line[1]
    # Days later, and with clocks that differ by days.
    lower.do("""
import datetime
Outgoing.objects.filter(acked_at=None).update(
    created_at=django.utils.timezone.now() - datetime.timedelta(days=5))
""")
    assert "5 天" in lower.do("answer = queries.link(SYSTEM, '320700').lag")
    upper.do("Link.objects.update(newest=given)", int((time.time() - 9 * 86400) * 1000))
    upper.wire.mend()
    assert pair.talk() == ""
    assert lower.do(
        "l = queries.link(SYSTEM, '320700'); answer = [l.waiting, l.link.failures]"
    ) == [0, 0]


def test_a_receiver_restored_from_a_backup_is_told_again(pair: Pair) -> None:
    upper, lower = pair.both()
    top = upper.do("answer = link().received")
    upper.do(
        """
link().incoming.filter(seq__gt=given - 2).delete()
Link.objects.update(received=given - 2)
""",
        top,
    )
    lower.do("""
from lianyun.capabilities.cascade.actions.outbox import post
post(link(), 'node.changed', 'b', {'name': '赣榆区', 'address': queries.node(SYSTEM).address})
""")
    assert pair.talk() == ""
    assert upper.do("answer = link().received") == top + 1


def test_keys_are_changed_without_a_break(pair: Pair) -> None:
    upper, lower = pair.both()
    before = lower.do("answer = link().own_key.kid")
    lower.do("actions.rotate_key(by=SYSTEM, algorithm='ecdsa-p256-sha256')")
    assert pair.talk() == ""
    assert pair.talk() == ""
    after = lower.do("answer = link().own_key.kid")
    assert after != before
    assert upper.do("answer = [k['kid'] for k in link().keys]") == [after]
    upper.do("actions.rotate_key(by=SYSTEM, algorithm='sm2-sm3')")
    for _ in range(3):
        assert pair.talk() == ""
    assert upper.do("answer = link().own_key.algorithm") == "sm2-sm3"
    assert lower.do("answer = len(link().keys)") == 1


# ---- catalogues --------------------------------------------------------------------------


def test_entries_of_the_lower_node_appear_above(pair: Pair) -> None:
    upper, lower = pair.both()
    pair.settle()
    found = upper.do("""
r = Resource.objects.select_related('owner').get(data__origin__node='320707')
answer = [r.title, r.owner.name, r.state, r.data['origin']['department'], r.code, r.name]
""")
    assert found[:3] == ["赣榆区特困人员信息", "赣榆区", "published"]
    assert "民政" in found[3]
    assert found[4].endswith("/900001")
    # Nobody above edits it, not even who may edit all entries.
    for verb in (
        "new_version(resource=r, by=SYSTEM)",
        "withdraw_resource(resource=r, reason='不要了', by=SYSTEM)",
    ):
        with pytest.raises(Trouble) as refused:
            upper.do(
                "from lianyun.capabilities.catalogue import api as catalogue\n"
                f"r = Resource.objects.get(data__origin__node='320707'); catalogue.{verb}"
            )
        assert "赣榆区" in refused.value.text
    # What it offers below is there, what is not shared is not.
    names = lower.do("answer = sorted(m.name for m in queries.offers(SYSTEM))")
    assert names == sorted(KEPT)


def publish(side: Side, name: str, title: str) -> None:
    """Publish an entry at a node as a review that ended well would."""
    side.do(
        """
from lianyun.kernel.event import record
row = Resource.objects.get(name=given[0])
row.state, row.title = 'published', given[1]
row.save()
with transaction.atomic():
    record('resource.published', row, by=SYSTEM)
""",
        [name, title],
    )


def test_conflicts_wait_for_an_officer(pair: Pair) -> None:
    upper, lower = pair.both()
    ours = upper.do("answer = Resource.objects.get(name='ga_residents').title")
    publish(lower, "ga_residents", "赣榆区户籍人口")
    pair.settle()
    found = upper.do("m = Mirror.objects.get(name='ga_residents'); answer = [m.pk, m.conflict]")
    assert found[1] == "code"
    assert upper.do("answer = Resource.objects.get(name='ga_residents').title") == ours
    upper.do(
        "actions.decide_conflict(mirror=Mirror.objects.get(pk=given), decision='both',"
        " note='区级数据范围不同', by=SYSTEM)",
        found[0],
    )
    kept = upper.do("""
m = Mirror.objects.select_related('resource').get(name='ga_residents')
answer = [m.conflict, m.resource.code, m.resource.name, Resource.objects.get(name='ga_residents').title]
""")
    assert kept[0] == ""
    assert "/320707" in kept[1]
    assert kept[2] == "n320707_ga_residents"
    assert kept[3] == ours
    # Changed on both sides: listed, and neither overwritten before the decision.
    upper.do("""
from lianyun.kernel.resource import publish
r = Resource.objects.get(name='n320707_ga_residents')
r.title = '赣榆户籍（市级改名）'; r.save()
with transaction.atomic():
    publish(r, {'title': r.title}, by=SYSTEM)
""")
    publish(lower, "ga_residents", "赣榆区户籍人口信息")
    pair.settle()
    both = upper.do("""
m = Mirror.objects.select_related('resource').get(name='ga_residents')
answer = [m.conflict, m.resource.title]
""")
    assert both == ["edited", "赣榆户籍（市级改名）"]
    with pytest.raises(Trouble):
        upper.do(
            "actions.decide_conflict(mirror=Mirror.objects.get(pk=given), decision='both',"
            " note='不适用', by=SYSTEM)",
            found[0],
        )
    upper.do(
        "actions.decide_conflict(mirror=Mirror.objects.get(pk=given), decision='theirs',"
        " note='以区级为准', by=SYSTEM)",
        found[0],
    )
    assert upper.do("answer = Resource.objects.get(name='n320707_ga_residents').title") == (
        "赣榆区户籍人口信息"
    )
    # An entry of ours for the same thing under another code is a conflict too; ours may stand alone.
    title = upper.do("answer = Resource.objects.get(name='rs_insured').title")
    lower.do(
        "r = Resource.objects.get(name='rs_insured'); r.code = r.code.split('/')[0] + '/900002'; r.save()"
    )
    publish(lower, "rs_insured", title)
    pair.settle()
    other = upper.do("m = Mirror.objects.get(name='rs_insured'); answer = [m.pk, m.conflict]")
    assert other[1] == "entry"
    upper.do(
        "actions.decide_conflict(mirror=Mirror.objects.get(pk=given), decision='keep',"
        " note='市级已统一归集', by=SYSTEM)",
        other[0],
    )
    publish(lower, "rs_insured", title)
    pair.settle()
    assert upper.do(
        "m = Mirror.objects.get(name='rs_insured'); answer = [m.conflict, m.resource_id]"
    ) == ["", None]


def test_a_withdrawal_follows(pair: Pair) -> None:
    upper, lower = pair.both()
    lower.do("""
from lianyun.kernel.event import record
row = Resource.objects.get(name='rs_insured')
row.state = 'withdrawn'; row.save()
with transaction.atomic():
    record('resource.withdrawn', row, by=SYSTEM)
""")
    lower.do("""
from lianyun.capabilities.catalogue import api as catalogue
catalogue.withdraw_resource(resource=Resource.objects.get(name='mz_destitute'), reason='调整', by=SYSTEM)
""")
    pair.settle()
    assert (
        upper.do("answer = Resource.objects.get(name='n320707_mz_destitute').state") == "withdrawn"
    )
    publish(lower, "mz_destitute", "赣榆区特困人员信息")
    pair.settle()
    assert (
        upper.do("answer = Resource.objects.get(name='n320707_mz_destitute').state") == "published"
    )


# ---- requests ----------------------------------------------------------------------------


def load(side: Side, name: str, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Load rows into a dataset at a node, as collection would."""
    return side.do(  # type: ignore[no-any-return]
        """
from lianyun.lake.land import from_rows
name, rows = given
spec = collection.dataset_spec(Resource.objects.get(name=name))
b = collection.begin_file(dataset=name, label='test', mode='full', by=SYSTEM)
values = [[row.get(i.name) for i in spec.items] for row in rows]
b = collection.carry(b, lambda: from_rows([i.title for i in spec.items], list(enumerate(values, 2))),
                     by=SYSTEM, allow_shrink=True)
assert b.state == 'succeeded', b.message
assert b.rejected == 0, [r.reasons for r in collection.rejected(b, SYSTEM, limit=3)]
answer = collection.figures(b)
""",
        [name, rows],
    )


def residents(side: Side, count: int, regions: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows for ga_residents, spread over regions."""
    items = side.do(
        "answer = [[i.name, i.type] for i in collection.dataset_spec(Resource.objects.get(name='ga_residents')).items]"
    )
    names = {n for n, _ in items}
    out = []
    for place in range(count):
        region = regions[place % len(regions)]
        own = number(region, place)
        row = {
            "citizen_number": own,
            "name": f"张{place}",
            "birth_date": f"{own[6:10]}-{own[10:12]}-{own[12:14]}",
            "sex": "1" if int(own[16]) % 2 else "2",
            "region_code": region,
            "nationality": "01",
            "household_number": f"{place:09d}",
            "update_time": "2026-01-02 08:00:00",
        }
        out.append({k: v for k, v in row.items() if k in names})
    return out


ASK = """
import datetime
m = Mirror.objects.get(link__side='upper', name=given['name'])
wanted = sharing.Request(
    basis='《社会救助暂行办法》第十二条', scene='核验低保申请人户籍', purpose='核验户籍',
    fields=tuple(given['fields']), until=datetime.date.today() + datetime.timedelta(days=200),
    plain=tuple(given.get('plain', ())), plain_reason='逐人核验须用原值' if given.get('plain') else '',
    scope={k: tuple(v) for k, v in given.get('scope', {}).items()}, method='批量交换')
ask = actions.ask_upper(mirror=m, request=wanted, by=officer(given.get('who', 'mz')))
item = ask.case.items.get(step='consent')
actions.do_step(item=item, outcome='agree', note='同意', by=officer(given.get('who', 'mz')))
answer = ask.exchange
"""

STEP = """
case = Ask.objects.get(exchange=given[0]).case
item = case.items.filter(done_at=None, step__startswith=given[1]).first()
sharing.do_step(item=item, outcome=given[2], note=given[3], by=officer('ga'))
"""


def test_a_request_travels_up_and_the_clock_runs_there(pair: Pair) -> None:
    upper, lower = pair.both()
    load(upper, "ga_residents", residents(upper, 300, ("320707", "320703", "320722")))
    exchange = lower.do(
        ASK,
        {
            "name": "ga_residents",
            "fields": ["citizen_number", "name", "region_code", "birth_date"],
            "plain": ["citizen_number"],
        },
    )
    pair.settle()
    above = upper.do(
        """
a = Ask.objects.select_related('case__applicant').get(exchange=given)
i = a.case.items.get(done_at=None)
answer = [a.case.path.key, str(a.case.applicant), i.step, str(i.due_on), a.case.code]
""",
        exchange,
    )
    assert above[0] == "share_request"
    assert above[1].startswith("赣榆区")
    assert above[2].startswith("answer")
    below = lower.do(
        """
a = Ask.objects.select_related('case').get(exchange=given)
i = a.case.items.get(done_at=None)
answer = [i.step, str(i.due_on), a.told['case'], i.title]
""",
        exchange,
    )
    assert below[0] == "upper"
    assert below[1] == above[3] != "None"
    assert below[2] == above[4]
    # The provider asks for more; the department below completes it; the clock is the provider's.
    upper.do(STEP, [exchange, "answer", "supplement", "请补充法定依据全文"])
    pair.settle()
    waiting = lower.do(
        """
a = Ask.objects.get(exchange=given)
i = a.case.items.get(done_at=None)
answer = [i.step, a.case.items.filter(outcome='supplement').first().note]
""",
        exchange,
    )
    assert waiting == ["supplement", "请补充法定依据全文"]
    lower.do(
        """
a = Ask.objects.get(exchange=given)
r = sharing.Request.of({**a.case.data['request'], 'basis': '《社会救助暂行办法》第十二条，全文附后'})
actions.do_step(item=a.case.items.get(done_at=None), outcome='submit', request=r, by=officer('mz'))
""",
        exchange,
    )
    pair.settle()
    for step in (("answer", "agree"), ("approve", "agree"), ("deliver", "done")):
        upper.do(STEP, [exchange, *step, "同意"])
    pair.settle(6)
    state = lower.do(
        """
a = Ask.objects.select_related('case', 'grant', 'target').get(exchange=given)
answer = [a.case.state, a.case.outcome, a.grant.state, a.grant.in_force(), a.target.name, a.grant.terms['fields']]
""",
        exchange,
    )
    assert state[:4] == ["closed", "delivered", "active", True]
    assert state[5] == ["citizen_number", "name", "region_code", "birth_date"]
    # Only rows of the district came, masked and cut as granted.
    rows = lower.do(
        """
with collection.lake().connect(read_only=True) as con:
    answer = con.execute(f'SELECT citizen_number, name, region_code FROM lake.trusted.{given} ORDER BY 1').fetchall()
""",
        state[4],
    )
    assert len(rows) == 100
    assert {r[2] for r in rows} == {"320707"}
    assert all(r[1].endswith("*") and len(r[0]) == 18 and "*" not in r[0] for r in rows)
    batch = lower.do("answer = Batch.objects.get(resource__name=given).outcome", state[4])
    assert (batch["landed"], batch["rejected"]) == (100, 0)
    # Both nodes keep the crossing under the same number, each with a record that can be proven.
    crossings = "answer = [[c.exchange, c.rows, bool(c.record)] for c in Crossing.objects.filter(what='回流')]"
    assert upper.do(crossings) == lower.do(crossings)
    assert upper.do(crossings)[0][1:] == [100, True]
    assert upper.do(
        "from lianyun.capabilities.audit import api as audit\nanswer = audit.verify().ok"
    )
    # The department's own service below answers under the grant.
    assert lower.do(
        "from lianyun.capabilities.services import api as services\n"
        "a = Ask.objects.select_related('grant').get(exchange=given)\n"
        "answer = services.client_of(SYSTEM, a.grant) is not None",
        exchange,
    )


def delivered(side: Side) -> str:
    """The exchange of the request that was granted."""
    return str(side.do("answer = Ask.objects.exclude(grant=None).earliest('pk').exchange"))


GRANT = "a = Ask.objects.select_related('grant').exclude(grant=None).earliest('pk'); answer = [a.grant.state, a.grant.in_force()]"


def told(side: Side, code: str = "") -> dict[str, Any]:
    """What a transfer (the newest one) brought: from where, rows, deletions, and its end."""
    return side.do(  # type: ignore[no-any-return]
        """
t = Transfer.objects.get(code=given) if given else Transfer.objects.latest('pk')
m = t.manifest
answer = {'stage': t.stage, 'since': m.get('since'), 'rows': m.get('rows'), 'gone': m.get('gone'),
          'verdict': t.verdict, 'batch': t.batch, 'error': t.error}
""",
        code,
    )


COME_BACK = """
a = Ask.objects.select_related('target').exclude(target=None).earliest('pk')
with collection.lake().connect(read_only=True) as con:
    answer = [list(map(str, r)) for r in con.execute(
        f'SELECT citizen_number, name, region_code FROM lake.trusted.{a.target.name} ORDER BY 1').fetchall()]
"""


def test_only_what_changed_above_comes_again(pair: Pair) -> None:
    upper, lower = pair.both()
    rows = residents(upper, 240, ("320707", "320703", "320722"))
    # One moves out of the district, one into it, one has another name, and one elsewhere too.
    rows[0]["region_code"] = "320703"
    rows[1]["region_code"] = "320707"
    rows[3]["name"] = "李四"
    rows[4]["name"] = "王五"
    load(upper, "ga_residents", rows)
    pair.settle(5)
    now = told(lower)
    assert (now["stage"], now["rows"], now["gone"]) == ("done", 2, 21)
    assert now["since"]
    assert {k: now["verdict"][k] for k in ("inserted", "updated", "deleted")} == {
        "inserted": 1,
        "updated": 1,
        "deleted": 21,
    }
    held = lower.do(COME_BACK)
    assert len(held) == 80
    assert {r[2] for r in held} == {"320707"}
    assert rows[0]["citizen_number"] not in {r[0] for r in held}
    assert [r[1] for r in held if r[0] == rows[3]["citizen_number"]] == ["李*"]
    # What changes outside the district is told as nothing, without a batch; the position moves.
    rows[4]["name"] = "赵六"
    load(upper, "ga_residents", rows)
    pair.settle(5)
    quiet = told(lower)
    assert (quiet["stage"], quiet["rows"], quiet["gone"], quiet["batch"]) == ("done", 0, 0, "")
    rows[3]["name"] = "周七"
    load(upper, "ga_residents", rows)
    pair.settle(5)
    assert (told(lower)["rows"], told(lower)["gone"]) == (1, 0)
    # Both nodes name in their records who was in it.
    assert upper.do("answer = Transfer.objects.latest('pk').manifest['record'] != ''")


def test_a_position_that_was_lost_is_mended_by_a_whole_transfer(pair: Pair) -> None:
    upper, lower = pair.both()
    # The district's node came back from a backup that knows nothing of the last transfer.
    lower.do("""
last = Transfer.objects.filter(sending=False, stage='done').latest('pk')
Crossing.objects.filter(exchange=last.code).delete()
last.delete()
""")
    rows = residents(upper, 230, ("320707", "320703", "320722"))
    load(upper, "ga_residents", rows)
    pair.settle(7)
    states = upper.do(
        "answer = [[t.stage, t.error, t.manifest.get('since')] for t in Transfer.objects.order_by('-pk')[:2]]"
    )
    assert states[0] == ["done", "", ""]
    assert states[1][0] == "failed"
    assert "不一致" in states[1][1]
    assert len(lower.do(COME_BACK)) == 77


def test_a_stop_above_stops_the_use_below_at_once(pair: Pair) -> None:
    upper, lower = pair.both()
    suspend = """
from lianyun.kernel import grant as grants
a = Ask.objects.select_related('grant').exclude(grant=None).earliest('pk')
with transaction.atomic():
    grants.suspend(a.grant, reason='核查使用情况', by=SYSTEM)
"""
    resume = suspend.replace("suspend", "resume")
    upper.do(suspend)
    upper.work()
    # The upper node told it; the lower one did nothing of itself.
    assert lower.do(GRANT) == ["suspended", False]
    assert "核查使用情况" in lower.do(
        "answer = Ask.objects.exclude(grant=None).earliest('pk').grant.reason"
    )
    upper.do(resume)
    upper.work()
    assert pair.talk() == ""
    assert lower.do(GRANT) == ["active", True]


def test_a_link_that_is_down_ends_the_use_with_the_lease(pair: Pair) -> None:
    upper, lower = pair.both()
    upper.do("actions.set_lease(link=link(), seconds=5, by=SYSTEM)")
    assert pair.talk() == ""
    # A lease that was given for longer is not shortened, so begin from a fresh one.
    lower.do(
        "import datetime\nGrant.objects.update(valid_to=django.utils.timezone.now() + datetime.timedelta(seconds=5))"
    )
    upper.wire.cut()
    lower.wire.cut()
    upper.do("""
from lianyun.kernel import grant as grants
a = Ask.objects.select_related('grant').exclude(grant=None).earliest('pk')
with transaction.atomic():
    grants.revoke(a.grant, reason='授权撤回', by=SYSTEM)
""")
    upper.work()
    assert lower.do(GRANT)[0] == "active"
    # No process below has to notice: the right itself has an end.
    wait_until(lambda: lower.do(GRANT) == ["active", False], 15)
    assert "租期已过" in lower.do(
        "answer = queries.standing(Ask.objects.exclude(grant=None).earliest('pk').grant)[0]"
    )
    upper.wire.mend()
    lower.wire.mend()
    assert pair.talk() == ""
    assert lower.do(GRANT) == ["revoked", False]
    upper.do("actions.set_lease(link=link(), seconds=300, by=SYSTEM)")


@pytest.mark.slow
def test_a_purpose_fulfilled_below_ends_the_right_above(pair: Pair) -> None:
    upper, lower = pair.both()
    fields = ["citizen_number", "name", "region_code"]
    exchange = lower.do(ASK, {"name": "ga_residents", "fields": fields, "who": "jy"})
    pair.settle(2)
    for step in (("answer", "agree"), ("approve", "agree"), ("deliver", "done")):
        upper.do(STEP, [exchange, *step, "同意"])
    pair.settle(6)
    # Its key is masked; each row still has a mark by which a change finds it again.
    look = """
a = Ask.objects.select_related('target').get(exchange=given)
with collection.lake().connect(read_only=True) as con:
    answer = con.execute(
        'SELECT count(*), count(DISTINCT row_key), min(length(row_key)), '
        f"count(*) FILTER (name LIKE '钱%') FROM lake.trusted.{a.target.name}").fetchone()
"""
    assert lower.do(look, exchange) == [77, 77, 32, 0]
    rows = residents(upper, 230, ("320707", "320703", "320722"))
    rows[3]["name"] = "钱八"
    load(upper, "ga_residents", rows[:-3])
    pair.settle(5)
    assert lower.do(look, exchange)[::3] == [76, 1]
    # The area stands in the grant above too, so that no other way of use is wider.
    scope = upper.do("answer = Ask.objects.get(exchange=given).grant.terms['scope']", exchange)
    assert scope["region_code"]
    assert all(code.startswith("320707") for code in scope["region_code"])
    lower.do(
        """
g = Ask.objects.select_related('grant__grantee').get(exchange=given).grant
by = Actor(department('jy'), department('jy'), (), {'sharing.request': None})
sharing.finish_use(grant=g, note='核验工作已经结束', by=by)
""",
        exchange,
    )
    pair.settle(2)
    ended = upper.do(
        "g = Ask.objects.get(exchange=given).grant; answer = [g.state, g.reason]", exchange
    )
    assert ended[0] == "revoked"
    assert "核验工作已经结束" in ended[1]


def test_a_lower_node_cannot_speak_as_an_upper_one(pair: Pair) -> None:
    upper, lower = pair.both()
    upper.do("""
from lianyun.kernel import grant as grants
a = Ask.objects.select_related('grant').exclude(grant=None).earliest('pk')
Grant.objects.filter(pk=a.grant_id).update(state='suspended')
""")
    lower.do("""
from lianyun.capabilities.cascade.actions.outbox import post
e = Ask.objects.exclude(grant=None).earliest('pk').exchange
post(link(), 'grant.changed', 'a', {'exchange': e, 'grant': 'x', 'state': 'active', 'reason': ''})
post(link(), 'request.progress', 'b', {'exchange': e, 'closed': 'delivered'})
post(link(), 'transfer.opened', 'c', {'transfer': '../../x', 'kind': 'upload'})
post(link(), 'transfer.opened', 'd', {'transfer': '320700-20260101000000-00000000', 'kind': 'upload'})
""")
    pair.talk()
    errors = upper.do("answer = [m.error for m in queries.parked(SYSTEM, link())]")
    assert len(errors) == 4
    assert "无权" in errors[0]
    assert "无权" in errors[1]
    assert "编号" in errors[2]
    assert "编号" in errors[3]
    assert upper.do(GRANT)[0] == "suspended"
    upper.do("""
for m in queries.parked(SYSTEM, link()):
    actions.skip_message(message=m, reason='测试消息，无需执行', by=SYSTEM)
Grant.objects.filter(state='suspended').update(state='revoked')
""")


def test_another_area_cannot_be_asked_for(pair: Pair) -> None:
    upper, lower = pair.both()
    asked = {
        "name": "ga_residents",
        "fields": ["citizen_number", "region_code"],
        "scope": {"region_code": ["320703"]},
    }
    with pytest.raises(Trouble) as refused:
        lower.do(ASK, asked)
    assert "辖区" in refused.value.text
    # A lower node that does not keep to that is refused above, and told why.
    lower.do("rules.scope_problem = lambda *a: ''")
    lower.do("from lianyun.kernel.models import Case\nanswer = 1")
    exchange = lower.do(ASK, asked)
    pair.settle()
    told = lower.do(
        "a = Ask.objects.get(exchange=given); answer = [a.case.outcome, a.told['note']]", exchange
    )
    assert told[0] == "refused"
    assert "超出本节点辖区" in told[1]
    assert not upper.do("answer = Ask.objects.filter(exchange=given).exists()", exchange)


def test_the_sender_cuts_to_the_area_whatever_the_grant_says(pair: Pair) -> None:
    upper, _ = pair.both()
    sql = upper.do("""
from lianyun.lake.portion import take
g = Grant.objects.filter(kind='data').first()
g.terms = {**g.terms, 'scope': {'region_code': ['320703', '320707']}, 'fields': ['citizen_number', 'region_code']}
t = Transfer(link=link(), resource=Resource.objects.get(name='ga_residents'), grant=g)
with take(collection.lake(), sending.portion_of(t)) as taken:
    answer = taken.con.execute(taken.rows).fetchall()
""")
    assert {r[-1] for r in sql} == {"320707"}


# ---- uploads -----------------------------------------------------------------------------


def upload(lower: Side, run: bool = True, whole: bool = True) -> str:
    """Begin an upload of the district's residents; returns its number."""
    code = lower.do(
        """
f = actions.arrange_upload(resource=Resource.objects.get(name='ga_residents'), link=link(), auto=False, by=SYSTEM)
answer = actions.send_flow(flow=f, whole=given, by=SYSTEM).code
""",
        whole,
    )
    if run:
        lower.work()
    return str(code)


def stage(side: Side, code: str) -> str:
    return str(side.do("answer = Transfer.objects.get(code=given).stage", code))


def test_an_upload_is_checked_and_its_verdict_comes_back(pair: Pair) -> None:
    upper, lower = pair.both()
    good = residents(lower, 200, ("320707",))
    foreign = residents(lower, 206, ("320703",))[200:]
    load(lower, "ga_residents", [*good, *foreign])
    code = upload(lower)
    pair.settle()
    verdict = lower.do("answer = Transfer.objects.get(code=given).verdict", code)
    assert (verdict["landed"], verdict["accepted"], verdict["rejected"]) == (206, 200, 6)
    assert len(verdict["rejects"]) == 6
    assert "不属于赣榆区" in verdict["rejects"][0]["reasons"][0]
    assert stage(lower, code) == stage(upper, code) == "done"
    landed = upper.do(
        "b = Batch.objects.get(resource__name='n320707_ga_residents'); answer = [b.landed, b.accepted, b.rejected]"
    )
    assert landed == [206, 200, 6]
    same = "answer = [[c.exchange, c.rows] for c in Crossing.objects.filter(what='上传')]"
    assert upper.do(same) == lower.do(same) == [[code, 206]]
    # Nothing is left lying about.
    assert not list((lower.home / "cascade").rglob("*.parquet"))
    assert not list((upper.home / "cascade").rglob("*.parquet"))


def many(lower: Side, rows: int) -> None:
    """Make uploads of many small chunks."""
    lower.do(
        "row_files.write_chunks.__kwdefaults__['rows_each'] = given",
        rows,
    )


def test_a_cut_connection_is_taken_up_again(pair: Pair) -> None:
    upper, lower = pair.both()
    many(lower, 40)
    code = upload(lower, run=False)
    lower.do(
        "sending.prepare(Transfer.objects.select_related('link', 'resource__owner', 'grant').get(code=given))",
        code,
    )
    assert pair.talk() == ""
    upper.wire.limit = 12_000
    lower.do("actions.carry_transfer(given)", code)
    done = upper.do("answer = Transfer.objects.get(code=given).done", code)
    total = lower.do("answer = len(Transfer.objects.get(code=given).chunks)", code)
    assert 0 < done < total
    assert lower.do("answer = Transfer.objects.get(code=given).error", code)
    upper.wire.mend()
    lower.do("actions.carry_transfer(given)", code)
    pair.settle()
    assert stage(lower, code) == stage(upper, code) == "done"
    assert lower.do("answer = Transfer.objects.get(code=given).verdict['accepted']", code) == 200


def test_a_receiver_killed_in_the_middle_of_a_chunk_loses_nothing(pair: Pair) -> None:
    upper, lower = pair.both()
    many(lower, 50_000)
    code = upload(lower, run=False)
    lower.do(
        "sending.prepare(Transfer.objects.select_related('link', 'resource__owner', 'grant').get(code=given))",
        code,
    )
    assert pair.talk() == ""
    size = lower.do("answer = Transfer.objects.get(code=given).manifest['bytes']", code)
    assert size > 3000
    # Half a chunk has arrived, and the rest hangs in the wire, when the receiver is killed.
    upper.wire.limit, upper.wire.hold = 1500 + size // 2, threading.Event()
    pushing = threading.Thread(target=lambda: lower.do("actions.carry_transfer(given)", code))
    pushing.start()
    assert upper.wire.cut_happened.wait(30)
    upper.kill_web()
    upper.wire.hold.set()
    pushing.join(60)
    assert upper.do("answer = row_files.have_chunks(given) == set()", code)
    upper.start_web()
    wait_until(upper.healthy)
    upper.wire.mend()
    lower.do("actions.carry_transfer(given)", code)
    pair.settle()
    assert stage(lower, code) == stage(upper, code) == "done"


def killed(side: Side, code: str, given: Any) -> None:
    """Run code in a process of this node that is killed (-9) in the middle of it."""
    hand = side.new_hand()
    assert hand.stdin is not None
    assert hand.stdout is not None
    hand.stdout.readline()
    hand.stdin.write(json.dumps({"code": f"import os, signal\n{code}", "given": given}) + "\n")
    hand.stdin.flush()
    assert hand.wait(60) == -signal.SIGKILL


def test_changes_killed_half_way_have_their_effect_once(pair: Pair) -> None:
    upper, lower = pair.both()
    load(lower, "ga_residents", residents(lower, 213, ("320707",))[3:])
    # The sender is killed, too: when its files are written and nothing has been told.
    code = upload(lower, run=False, whole=False)
    killed(
        lower,
        "sending.post = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\nactions.carry_transfer(given)",
        code,
    )
    assert stage(lower, code) == "preparing"
    lower.work()
    assert stage(upper, code) == "landing"
    # The worker that lands it is killed between the lake's commit and the verdict.
    killed(
        upper,
        "receiving._landed = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\nactions.land_transfer(given)",
        code,
    )
    assert stage(upper, code) == "landing"
    pair.settle()
    assert stage(lower, code) == stage(upper, code) == "done"
    batches = upper.do(
        "answer = Batch.objects.filter(resource__name='n320707_ga_residents', source_ref=f'cascade:{given}').count()",
        code,
    )
    assert batches == 1
    now = told(lower, code)
    assert now["since"]
    # Six more are gone here which the upper node had never taken.
    assert (now["rows"], now["gone"]) == (13, 9)
    assert [now["verdict"][k] for k in ("inserted", "updated", "deleted")] == [13, 0, 3]
    # Nothing new is nothing to send.
    assert told(lower, upload(lower, whole=False))["rows"] == 0


def test_a_chunk_of_another_transfer_or_content_is_refused(pair: Pair) -> None:
    _upper, lower = pair.both()
    code = upload(lower, run=False)
    lower.do(
        "sending.prepare(Transfer.objects.select_related('link', 'resource__owner', 'grant').get(code=given))",
        code,
    )
    assert pair.talk() == ""
    put = """
from lianyun.capabilities.cascade.actions.doors import caller_for, reserve_stamp
from lianyun.capabilities.cascade.adapters import wire
try:
    answer = wire.call(caller_for(link()), 'PUT', given[0], given[1].encode(), reserve_stamp(link()))
except wire.WireError as error:
    answer = [error.code, error.signed]
"""
    assert lower.do(put, [f"transfers/{code}/chunks/0", "not a chunk"]) == ["bad_chunk", True]
    assert lower.do(put, [f"transfers/{code}/chunks/7", "x"]) == ["malformed", True]
    assert lower.do(put, ["transfers/320700-x/chunks/0", "x"]) == ["unknown_transfer", True]
    lower.do("actions.carry_transfer(given)", code)
    pair.settle()
    assert stage(lower, code) == "done"


def test_a_stopped_link_gives_and_takes_nothing(pair: Pair) -> None:
    upper, lower = pair.both()
    upper.do("actions.disable_link(link=link(), reason='安全检查', by=SYSTEM)")
    assert "停用" in pair.talk()
    assert lower.do("answer = link().leased_until <= django.utils.timezone.now()")
    upper.do("actions.enable_link(link=link(), by=SYSTEM)")
    assert pair.talk() == ""


def test_a_node_enrolled_anew_begins_again(pair: Pair) -> None:
    upper, lower = pair.both()
    code = upper.do(
        "answer = actions.invite(code='320707', name='赣榆区', level='county', by=SYSTEM)[1]"
    )
    lower.do(
        "actions.join(address=given[0], invitation=given[1], by=SYSTEM)", [upper.wire.address, code]
    )
    upper.do("actions.confirm_link(link=link(), address=given, by=SYSTEM)", lower.wire.address)
    pair.settle()
    assert pair.talk() == ""
    assert upper.do("answer = queries.parked(SYSTEM, link())") == []
    titles = upper.do(
        "answer = sorted(m.title for m in Mirror.objects.filter(link__side='lower', withdrawn=False))"
    )
    assert "赣榆区特困人员信息" in titles


def test_the_api_is_described(pair: Pair) -> None:
    told = httpx.get(f"http://127.0.0.1:{pair.upper.port}/api/cascade/v1/openapi.json").json()
    assert told["openapi"] == "3.1.0"
    kinds = set(told["components"]["schemas"]["Message"]["properties"]["kind"]["enum"])
    assert kinds == set(pair.upper.do("answer = list(exchange.HANDLERS)"))
    node = httpx.get(f"http://127.0.0.1:{pair.upper.port}/api/cascade/v1/node").json()
    assert node["code"] == "320700"
    assert len(node["fingerprint"]) == 64
    assert Path(pair.upper.home).is_dir()
    assert os.path.exists(pair.lower.home)
