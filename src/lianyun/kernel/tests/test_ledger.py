"""The ledger: chained, verifiable, able to forget; actions that record nothing are refused."""

from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from procrastinate.contrib.django.models import ProcrastinateJob

from lianyun.kernel import event as ledger
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.action import NothingRecorded, action
from lianyun.kernel.batch import Batch, fail, finish, start
from lianyun.kernel.event import Event, forget, gathered, record, seal, verify
from lianyun.kernel.grant import holds, issue, resume, revoke, suspend
from lianyun.kernel.party import Party
from lianyun.kernel.resource import Resource, publish, register

from .conftest import officer

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_events(db: None) -> None:
    """A ledger in which nothing has happened."""
    Event.objects.all().delete()


def dataset(owner: Party) -> Resource:
    return register(code="301001/000001", name="rows", kind="dataset", title="行", owner=owner)[0]


def test_events_gathered_are_one_statement_in_their_order(no_events: None) -> None:
    with CaptureQueriesContext(connection) as asked, gathered():
        first = record("thing.begun", "thing:1", by=SYSTEM)
        with gathered():
            record("thing.done", "thing:1", by=SYSTEM)
        assert first.pk is None
    assert sum("kernel_event" in q["sql"] for q in asked) == 1
    kinds = Event.objects.order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["thing.begun", "thing.done"]
    assert first.pk == Event.objects.order_by("id")[0].pk


def test_only_those_concerned_hear_of_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = [("all", ""), ("path", "joint"), ("key", "?bundle")]
    monkeypatch.setattr(ledger, "listeners", lambda kind: heard if kind == "case.told" else ())

    def runs(case: object) -> set[str]:
        before = set(ProcrastinateJob.objects.values_list("pk", flat=True))
        record("case.told", "case:1", by=SYSTEM, case=case)
        jobs = ProcrastinateJob.objects.exclude(pk__in=before)
        return {job.args["run"] for job in jobs}

    assert runs(None) == {"all"}
    assert runs(SimpleNamespace(pk=1, key="joint", data={})) == {"all", "path"}
    assert runs(SimpleNamespace(pk=1, key="other", data={"bundle": {}})) == {"all", "key"}


def test_the_chain_names_the_first_broken_link(no_events: None) -> None:
    for number in range(5):
        record("thing.done", f"thing:{number}", by=SYSTEM, data={"n": number})
    assert seal() == 5
    assert verify().ok
    third = Event.objects.get(seq=3)
    Event.objects.filter(pk=third.pk).update(data={"n": 99})
    verdict = verify()
    assert verdict.broken == third.pk
    assert verdict.checked == 2
    Event.objects.filter(pk=third.pk).update(data={"n": 2})
    assert verify().ok
    Event.objects.filter(pk=third.pk).delete()
    assert "缺少第 3 条" in verify().reason


def test_personal_data_can_be_forgotten_and_not_forged(no_events: None) -> None:
    record("person.seen", "person:1", by=SYSTEM, personal={"name": "张三"})
    assert verify().ok
    Event.objects.update(personal={"name": "李四"})
    assert "个人信息" in verify().reason
    assert forget(Event.objects.all()) == 1
    assert verify().ok
    assert "张三" not in str(Event.objects.values())


def test_an_action_is_allowed_atomic_and_recorded(giver: Party) -> None:
    @action("x.write", department=lambda party, **_: party)
    def rename(party: Party, *, say: bool, by: Actor) -> None:
        party.name = "新名"
        party.save()
        if say:
            record("party.renamed", party, by=by)

    with pytest.raises(Denied):
        rename(giver, say=True, by=officer("甲", giver))
    with pytest.raises(NothingRecorded):
        rename(giver, say=False, by=officer("乙", giver, "x.write"))
    assert Party.objects.get(pk=giver.pk).name == "提供局", "rolled back"
    rename(giver, say=True, by=officer("丙", giver, "x.write"))
    assert Party.objects.get(pk=giver.pk).name == "新名"
    with pytest.raises(TypeError):
        rename(giver, say=True)  # type: ignore[call-arg]


def test_a_batch_must_add_up(giver: Party) -> None:
    batch = start(dataset(giver), by=SYSTEM)
    from django.db import IntegrityError, transaction

    with pytest.raises(IntegrityError), transaction.atomic():
        finish(batch, {"landed": 3, "accepted": 1, "rejected": 1}, by=SYSTEM)
    finish(batch, {"landed": 3, "accepted": 2, "rejected": 1}, by=SYSTEM)
    assert Batch.objects.get(pk=batch.pk).state == Batch.SUCCEEDED
    other = start(dataset(giver), by=SYSTEM)
    fail(other, "连接中断", by=SYSTEM)
    assert Event.objects.filter(kind="batch.failed").count() == 1


def test_a_grant_lives_pauses_and_ends(giver: Party, asker: Party) -> None:
    rows = dataset(giver)
    grant = issue(kind="data", to=asker, resource=rows, once="case-1", by=SYSTEM)
    assert issue(kind="data", to=asker, resource=rows, once="case-1", by=SYSTEM).pk == grant.pk
    assert holds(asker, rows) == grant
    suspend(grant, reason="疑似超范围使用", by=SYSTEM)
    assert holds(asker, rows) is None
    resume(grant, reason="已整改", by=SYSTEM)
    assert holds(asker, rows) == grant
    revoke(grant, reason="用途完成", by=SYSTEM)
    assert holds(asker, rows) is None
    with pytest.raises(UserError, match="撤销"):
        resume(grant, reason="x", by=SYSTEM)


def test_versions_are_kept(giver: Party) -> None:
    rows = dataset(giver)
    assert [publish(rows, {"n": n}, by=SYSTEM) for n in (1, 2)] == [1, 2]
    assert [v.snapshot["n"] for v in rows.versions.all()] == [2, 1]


def test_the_ledger_has_an_order_of_its_own(no_events: None) -> None:
    record("a.done", "x:1", by=SYSTEM)
    assert seal() == 1
    record("b.done", "x:1", by=SYSTEM)
    assert seal() == 1
    assert [e.seq for e in ledger.timeline("x:1")] == [1, 2]
