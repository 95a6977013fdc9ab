"""Messages with rows: whom an event is told to, once; by which way; a real mail server, its bad days."""

from __future__ import annotations

import datetime as dt
import socket
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.header import decode_header, make_header
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.test import Client
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.identity.adapters import MAIL_USE, PHONE_USE, phone_hash, seal
from lianyun.capabilities.identity.models import Agency, User
from lianyun.capabilities.messages import actions, adapters, queries
from lianyun.capabilities.messages.models import Choice, Message, Sending
from lianyun.kernel import case as cases
from lianyun.kernel import event, grant
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError, actor_of
from lianyun.kernel.case import Case
from lianyun.kernel.event import Event, record
from lianyun.kernel.party import Party, department

PERSON = "320703199003070016"
DAY = timezone.now().replace(hour=4, minute=0)  # noon in the city: no night, no digest


class Sink:
    """A mail server that keeps what it is given, or refuses."""

    def __init__(self) -> None:
        self.kept: list[tuple[list[str], str, str]] = []
        self.refuse = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse:
            return "451 later"
        told = message_from_bytes(envelope.content)
        body = told.get_payload(decode=True).decode()
        self.kept.append(
            (envelope.rcpt_tos, str(make_header(decode_header(told["Subject"]))), body)
        )
        return "250 OK"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Sink, int]]:
    sink = Sink()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    running = Controller(sink, hostname="127.0.0.1", port=port)
    running.start()
    yield sink, port
    running.stop()


@pytest.fixture
def mail(server: tuple[Sink, int], settings: Any) -> Sink:
    sink, settings.EMAIL_PORT = server
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    sink.kept.clear()
    sink.refuse = False
    return sink


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is at noon, whenever it runs."""
    monkeypatch.setattr(timezone, "now", lambda: DAY)


@pytest.fixture
def citizen(city: None) -> Actor:
    return person("张三丰", PERSON, "13812345678", "san@example.cn")


def person(name: str, number: str, phone: str = "", address: str = "") -> Actor:
    party = identity.party_of_number(number, name=name)
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    if phone:
        account.phone_sealed, account.phone_hash = seal(phone, PHONE_USE), phone_hash(phone)
    account.mail_sealed = seal(address, MAIL_USE) if address else ""
    account.save()
    User.objects.create(username=f"u{party.pk}", party=party, password_set_at=timezone.now())
    return actor_of(party)


def opened(applicant: Party) -> Case:
    return cases.open_case(
        "item_promised",
        title="居住证签注",
        subject="item:residence",
        applicant=applicant,
        department=department("ga"),
        data={
            "item": "residence",
            "item_name": "居住证签注",
            "application": "A1",
            "promised_days": 3,
        },
        by=SYSTEM,
    )


def told() -> int:
    """Seal and read on."""
    event.seal()
    return actions.take(by=SYSTEM)


def send_back(case: Case, why: str = "缺副页") -> Event:
    return record("application.sent_back", case, by=SYSTEM, case=case, data={"note": why})


def test_an_applicant_hears_once_by_three_ways(citizen: Actor, mail: Sink) -> None:
    case = opened(citizen.party)  # type: ignore[arg-type]
    item = case.items.get()
    cases.step(item, "accept", by=SYSTEM)
    send_back(case, f"请补 {PERSON} 的副页，电话 13812345678")
    assert told() == 2
    assert told() == 0, "what was read is not read again"
    from lianyun.capabilities.messages.models import Cursor

    Cursor.objects.update(seq=0)
    assert told() == 0, "and where it is read again, nothing is told twice"
    accepted, returned = Message.objects.order_by("id")
    assert (accepted.key, returned.key) == ("case_accepted", "case_returned")
    assert returned.link == "hall:case A1"
    assert PERSON in returned.text, "behind the login the person reads what the officer wrote"
    went = actions.send_due(by=SYSTEM)
    assert went == {"sent": 2, "simulated": 2}
    assert {s.badge[0] for s in Sending.objects.filter(channel="sms")} == {"模拟数据：未真正发送"}
    assert Sending.objects.filter(channel="sms").first().where == "138****5678"  # type: ignore[union-attr]
    for to, subject, body in mail.kept:
        assert to == ["san@example.cn"]
        assert "居住证签注" in subject
        assert "张**" in body
        for secret in (PERSON, "13812345678", "三丰", "副页"):
            assert secret not in subject + body
    assert actions.send_due(by=SYSTEM) == {}, "what went does not go again"


def test_a_filing_wakes_nobody_and_writes_no_message(citizen: Actor) -> None:
    """No kind of event is listened to for messages: a step pays nothing for what is told of it."""
    from procrastinate.contrib.django.models import ProcrastinateJob

    from lianyun.kernel.manifest import listeners

    jobs = ProcrastinateJob.objects.count()
    send_back(opened(citizen.party))  # type: ignore[arg-type]
    assert ProcrastinateJob.objects.count() == jobs
    assert not Message.objects.exists()
    mine = [r for k in adapters.heard() for r in listeners(k) if ".messages." in r]
    assert mine == []


def test_a_bad_day_of_the_mail_server(citizen: Actor, mail: Sink, monkeypatch: Any) -> None:
    send_back(opened(citizen.party))  # type: ignore[arg-type]
    told()
    mail.refuse = True
    assert actions.send_due(by=SYSTEM) == {"failed": 1, "simulated": 1}
    row = Sending.objects.get(channel="mail")
    assert (row.tries, row.sent_at, row.ended_at) == (1, None, None)
    assert "邮件" in row.problem
    assert actions.send_due(by=SYSTEM) == {}, "not before its time"
    now = DAY
    for _ in range(5):
        now += dt.timedelta(days=1)
        monkeypatch.setattr(timezone, "now", lambda now=now: now)
        assert actions.send_due(by=SYSTEM) == {"failed": 1}
    row.refresh_from_db()
    assert row.tries == 6
    assert row.ended_at is not None, "given up"
    mail.refuse = False
    assert actions.send_due(by=SYSTEM) == {}
    with pytest.raises(Denied):
        actions.resend([row.pk], by=citizen)
    assert actions.resend([row.pk], by=SYSTEM) == 1
    assert actions.send_due(by=SYSTEM) == {"sent": 1}
    with pytest.raises(UserError, match="没有可以重新发送"):
        actions.resend([row.pk], by=SYSTEM)
    assert len(mail.kept) == 1


def test_a_worker_that_dies_leaves_it_to_be_tried_again(
    citizen: Actor, mail: Sink, monkeypatch: Any
) -> None:
    from lianyun.capabilities.messages.actions import sending

    send_back(opened(citizen.party))  # type: ignore[arg-type]
    told()
    assert len(sending._claimed()) == 2  # and here it dies
    assert actions.send_due(by=SYSTEM) == {}, (
        "another worker does not send what this one has in hand"
    )
    monkeypatch.setattr(timezone, "now", lambda: DAY + dt.timedelta(minutes=2))
    assert actions.send_due(by=SYSTEM) == {"sent": 1, "simulated": 1}


def test_what_is_chosen_counts_and_the_law_stays(citizen: Actor) -> None:
    case = opened(citizen.party)  # type: ignore[arg-type]
    off = {("case_resumed", "inbox"): False, ("case_resumed", "mail"): False}
    law = {("case_returned", way): False for way in ("inbox", "mail", "sms")}
    assert actions.choose({**off, **law}, by=citizen) == 2
    assert actions.choose({**off, **law}, by=citizen) == 0
    record("case.resumed", case, by=SYSTEM, case=case)
    send_back(case)
    assert told() == 1
    assert Message.objects.get().key == "case_returned"
    assert Sending.objects.count() == 2
    # What waits on a way that is switched off does not go any more.
    actions.choose({("case_resumed", "mail"): True}, by=citizen)
    record("case.resumed", case, by=SYSTEM, case=case, data={"x": 1})
    told()
    waits = Sending.objects.get(message__key="case_resumed")
    assert not waits.message.shown, "mail only: not in the inbox"
    actions.choose({("case_resumed", "mail"): False}, by=citizen)
    waits.refresh_from_db()
    assert waits.problem == "本人已关闭"
    with pytest.raises(Denied):
        actions.choose({}, by=Actor())


def test_the_days_limit_holds_but_for_the_law(citizen: Actor) -> None:
    most = adapters.terms().most["mail"]
    case = opened(citizen.party)  # type: ignore[arg-type]
    for _ in range(most + 3):
        record("case.resumed", case, by=SYSTEM, case=case)
    send_back(case)
    told()
    held = Sending.objects.filter(channel="mail", ended_at__isnull=False)
    assert held.count() == 3
    assert {s.problem for s in held} == {"超过每日上限，只放入消息中心"}
    assert not Sending.objects.get(message__key="case_returned", channel="mail").ended_at


def test_a_digest_is_one_mail(citizen: Actor, mail: Sink, monkeypatch: Any) -> None:
    actions.choose({("data_read", "mail"): True}, by=citizen)
    hashed = identity.number_hash(PERSON)
    party = citizen.party
    assert party is not None
    party.data = {**party.data, "citizen_hash": hashed}
    party.save(update_fields=["data"])
    from lianyun.capabilities.audit import api as audit

    reader = person("李四", "320703198805050039")
    ga = department("ga")
    for by in (Actor(reader.party, ga, held={"libraries.read": None}), citizen):
        audit.record_reading(by=by, resource="library.population", people=[PERSON], purpose="核验")
    audit.seal_calls()
    today = timezone.localdate()
    assert actions.tell_readings(today, by=SYSTEM) == 1, "his own look is not told"
    assert actions.tell_readings(today, by=SYSTEM) == 0
    assert actions.tell_readings(today - dt.timedelta(days=1), by=SYSTEM) == 0
    row = Message.objects.get()
    assert "共 1 次" in row.text
    assert str(ga.name) in row.text
    again = Message.objects.create(
        party=party, key="data_read", once="x", title="又一条", text="", urgency="low"
    )
    due = Sending.objects.get().due_at
    Sending.objects.create(message=again, channel="mail", due_at=due, digest=True)
    assert actions.send_due(by=SYSTEM) == {}
    monkeypatch.setattr(timezone, "now", lambda: due)
    assert actions.send_due(by=SYSTEM) == {"sent": 2}
    ((_, subject, body),) = mail.kept
    assert "2 条消息" in subject
    assert "又一条" in body
    assert "公安" not in body, "who looked stands behind the login"


def test_a_firm_is_told_through_who_acts_for_it(citizen: Actor) -> None:
    firm = identity.party_of_credit_code("91110000600037341L", name="甲公司")
    other = person("李四", "320703198805050039")
    today = timezone.localdate()
    for agent, scope in ((citizen.party, ["follow"]), (other.party, ["sign"])):
        Agency.objects.create(
            kind="agent",
            principal=firm,
            agent=agent,
            scope=scope,
            since=today,
            accepted_at=timezone.now(),
        )
    send_back(opened(firm))
    assert told() == 1
    row = Message.objects.get()
    assert (row.party, row.about) == (citizen.party, firm)
    assert queries.unread(citizen) == 1
    assert queries.unread(Actor(citizen.party, behalf=firm)) == 1
    assert queries.unread(Actor(citizen.party, behalf=other.party)) == 0
    assert queries.unread(other) == 0
    assert queries.message(other, row.pk) is None
    with pytest.raises(Denied):
        actions.mark_read(row, by=other)


def test_officers_hear_of_their_work(officer: Callable[..., Actor], citizen: Actor) -> None:
    one, two = officer("ga", "approver"), officer("ga", "approver")
    clerk = officer("ga", "window_clerk")
    case = opened(citizen.party)  # type: ignore[arg-type]
    cases.step(case.items.get(), "accept", by=SYSTEM)
    item = case.items.get(done_at=None)
    cases.urge(item, "请快一点", by=citizen)
    told()
    urged = Message.objects.filter(key="urged")
    assert {m.party for m in urged} >= {one.party, two.party}
    assert clerk.party not in {m.party for m in urged}, "only who may do that step"
    cases.claim(item, by=one)
    cases.hand_over(item, two.party, "出差", by=one)
    told()
    given = Message.objects.get(key="handed_over")
    assert given.party == two.party
    assert given.link == f"desk:case {case.code}"
    today = timezone.localdate()
    type(item).objects.filter(pk=item.pk).update(due_on=today - dt.timedelta(days=4))
    assert actions.tell_work(today, by=SYSTEM) >= 1
    assert actions.tell_work(today, by=SYSTEM) == 0, "once a day"
    mine = Message.objects.get(key="work_waits", party=two.party)
    assert "1 件已超期" in mine.title
    assert not Message.objects.filter(key="work_waits", party=one.party).exists(), (
        "claimed by another"
    )


def test_departments_hear_of_grants_and_named_events(
    officer: Callable[..., Actor], citizen: Actor
) -> None:
    user = officer("mz", "data_officer")
    given = grant.issue(kind="data", to=department("mz"), by=SYSTEM)
    grant.suspend(given, reason="超范围使用", by=SYSTEM)
    licence = grant.issue(kind="hall", to=citizen.party, by=SYSTEM)  # type: ignore[arg-type]
    grant.revoke(licence, reason="本人撤回", by=SYSTEM)
    record(
        "share.answered",
        "case:x",
        by=SYSTEM,
        data={"to": "department:mz", "title": "共享申请", "word": "同意共享"},
    )
    record("booking.called_off", "booking:1", by=SYSTEM, data={
        "to": citizen.party.ref, "item_name": "居住证签注", "hall_name": "市民服务中心",  # type: ignore[union-attr]
        "day": "2026-12-01", "slot": "09:00", "reason": "停电",
    })  # fmt: skip
    record(
        "booking.called_off", "booking:2", by=SYSTEM, data={"to": ["person:999999", 7], "day": None}
    )
    told()
    assert {m.key for m in Message.objects.filter(party=user.party)} == {
        "grant_changed",
        "share_told",
    }
    ((row),) = Message.objects.filter(party=citizen.party)
    assert row.title == "您预约的2026年12月1日 09:00已取消，请改约"
    assert "停电" in row.text


def test_one_event_that_cannot_be_read_does_not_silence_the_others(citizen: Actor) -> None:
    bad = record("ticket.called", "ticket:none", by=SYSTEM)
    send_back(opened(citizen.party))  # type: ignore[arg-type]
    assert told() == 1
    fault = Event.objects.get(kind="message.not_made")
    assert (fault.subject, fault.data["kind"]) == (bad.subject, "ticket.called")


def test_what_is_days_old_is_not_told_and_old_messages_go(citizen: Actor, monkeypatch: Any) -> None:
    case = opened(citizen.party)  # type: ignore[arg-type]
    Event.objects.filter(pk=send_back(case).pk).update(at=DAY - dt.timedelta(days=4))
    assert told() == 0
    send_back(case)
    assert told() == 1
    assert actions.forget(by=SYSTEM) == 0
    monkeypatch.setattr(timezone, "now", lambda: DAY + dt.timedelta(days=731))
    assert actions.forget(by=SYSTEM) == 1


def test_whoever_leaves_takes_the_messages_along(citizen: Actor) -> None:
    send_back(opened(citizen.party))  # type: ignore[arg-type]
    told()
    actions.choose({("case_resumed", "mail"): False}, by=citizen)
    gone = record("account.erased", f"identity:{citizen.party.pk}", by=SYSTEM)  # type: ignore[union-attr]
    for _ in range(2):
        actions.on_account_erased(gone)
    assert not Message.objects.exists()
    assert not Choice.objects.exists()


def test_accounts_are_told_in_the_inbox_in_identitys_words(citizen: Actor) -> None:
    record("identity.proved", f"identity:{citizen.party.pk}", by=SYSTEM, data={"level": 3})  # type: ignore[union-attr]
    assert told() == 1
    row = Message.objects.get()
    assert "实名等级已变为" in row.text
    assert not row.sendings.exists(), "identity sends its own text and mail"


def test_whose_ticket_is_near_is_told_once(citizen: Actor, officer: Callable[..., Actor]) -> None:
    from lianyun.capabilities.counters import api as counters
    from lianyun.capabilities.counters.models import Hall, Ticket

    Hall.objects.filter(code="city").update(days="daily", hours=[["00:00", "24:00"]], closed=[])
    hall, clerk = counters.hall_of(SYSTEM, "city"), officer("zwb", "window_clerk")
    tickets = [counters.take(hall, "A", by=clerk) for _ in range(7)]
    # Whoever came by appointment is known; the fifth and the last are.
    Ticket.objects.filter(pk__in=[tickets[4].pk, tickets[6].pk]).update(person=citizen.party)
    seat = counters.sign_on(counters.counters(SYSTEM, hall)[0], by=clerk)
    for told_now in (1, 0):
        ticket = counters.call_next(seat, by=clerk)
        Event.objects.filter(kind="ticket.called").update(at=DAY)
        assert told() == told_now
        counters.finish(ticket, by=clerk)
    row = Message.objects.get(key="ticket_near")
    assert tickets[4].label in row.title
    assert "前面还有 3 位" in row.title
    assert row.link == f"counters:ticket {tickets[4].code}"
    assert row.sendings.get().due_at == DAY, "at once, whatever the hour"


def test_pages_are_ones_own(citizen: Actor, officer: Callable[..., Actor]) -> None:
    send_back(opened(citizen.party))  # type: ignore[arg-type]
    told()
    row = Message.objects.get()
    page, other = Client(), Client()
    page.force_login(citizen.party.account)  # type: ignore[union-attr]
    other.force_login(person("李四", "320703198805050039").party.account)  # type: ignore[union-attr]
    assert "需要补正材料" in page.get("/my/messages/").content.decode()
    assert other.get(f"/my/messages/{row.pk}/").status_code == 404
    assert page.get("/workbench/messages/").status_code == 403
    assert Client().get("/my/messages/").status_code == 302
    shown = page.get(f"/my/messages/{row.pk}/").content.decode()
    assert "缺副页" in shown
    assert "/my/cases/A1/" in shown
    row.refresh_from_db()
    assert row.read_at is not None
    assert "没有消息" in page.get("/my/messages/?show=unread").content.decode()
