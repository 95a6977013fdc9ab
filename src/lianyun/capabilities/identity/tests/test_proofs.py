"""Proofs and notices: face, certificate, guardians by paper, and what the person is told of it."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import socket
from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header, make_header
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from django.utils import timezone

from lianyun.capabilities.identity import actions, adapters, api, queries, rules
from lianyun.capabilities.identity.models import Account, Agency, Certificate, Notice
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.event import Event
from lianyun.trust import signatures

from .conftest import House
from .test_persons import NUMBER, OTHER, PASSWORD, again, citizen, clerk, prove

PICTURE = b"\xff\xd8\xff" + bytes(12_000)
CHILD = "320703201801010018"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What the population library answers; the library itself has tests of its own."""
    rows: dict[str, dict[str, Any]] = {
        NUMBER: {"姓名": "张三丰"},
        OTHER: {"姓名": "李四"},
        CHILD: {"姓名": "张小宝"},
    }
    monkeypatch.setattr(adapters, "_golden", lambda library, key, purpose: rows.get(key))
    return rows


# ---- document and face -----------------------------------------------------------------------


def test_the_stand_in_for_faces_says_so_and_takes_nobodys_login(
    house: House, library: dict[str, Any]
) -> None:
    _, wrong = citizen("13800000001")
    with pytest.raises(UserError, match="照片"):
        actions.prove_face(b"GIF89a" + bytes(20_000), PICTURE, by=wrong)
    account = actions.prove_face(PICTURE, PICTURE, by=wrong)
    assert account is not None
    assert (account.level, account.way, account.simulated) == (rules.PERSON, rules.FACE, True)
    # Somebody else with the same name and number does not get the login by two pictures.
    _, thief = citizen("13800000002")
    assert actions.prove_face(PICTURE, PICTURE, by=thief) is None
    assert api.level_of(thief) == rules.SELF
    # The counter proves in earnest: the mark goes.
    proven = prove(again(thief), clerk(house))
    assert (proven.level, proven.simulated) == (rules.PERSON, False)


def test_another_name_in_the_library_proves_nobody(db: None, library: dict[str, Any]) -> None:
    library[NUMBER] = {"姓名": "张无忌"}
    _, actor = citizen("13800000001")
    assert actions.prove_face(PICTURE, PICTURE, by=actor) is None
    library[NUMBER] = {"姓名": "张三丰", "死亡日期": dt.date(2020, 1, 1)}
    assert actions.prove_face(PICTURE, PICTURE, by=actor) is None
    assert Event.objects.filter(kind="identity.refused").count() == 2


class _Faces:
    """A face service on this machine, as docs/guides/identity.md describes it."""

    def __init__(self) -> None:
        import threading
        from http.server import BaseHTTPRequestHandler, HTTPServer

        faces, self.answers, self.asked = self, [], []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                faces.asked.append((self.headers["Authorization"], body))
                status, text = faces.answers.pop(0)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_the_face_service_decides(db: None, settings: Any) -> None:
    faces = _Faces()
    settings.FACE_URL = f"http://127.0.0.1:{faces.server.server_port}/compare"
    settings.FACE_TOKEN = "key"
    faces.answers = [
        (200, b'{"matched": false, "serial": "1"}'),
        (200, b'{"matched": "yes"}'),
        (200, b"nonsense"),
        (500, b""),
        (200, b'{"matched": true, "serial": "F-7"}'),
    ]
    _, actor = citizen("13800000001")
    assert actions.prove_face(PICTURE, PICTURE, by=actor) is None
    assert actions.prove_face(PICTURE, PICTURE, by=actor) is None
    for _ in range(2):
        with pytest.raises(UserError, match="没有应答"):
            actions.prove_face(PICTURE, PICTURE, by=actor)
    account = actions.prove_face(PICTURE, PICTURE, by=actor)
    assert account is not None
    assert not account.simulated
    token, body = faces.asked[-1]
    assert token == "Bearer key"
    assert NUMBER.encode() in body
    assert PICTURE in body
    event = Event.objects.get(kind="identity.proved")
    assert event.data["document"] == "人像核验 F-7"
    faces.server.shutdown()


# ---- certificates ----------------------------------------------------------------------------


class Browser:
    """What the page's script does with its key."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.spki = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.kid = hashlib.sha256(self.spki).hexdigest()

    def sign(self, data: bytes) -> bytes:
        return signatures.to_raw(self.key.sign(data, ec.ECDSA(hashes.SHA256())))


def certified(house: House, browser: Browser) -> tuple[Actor, Certificate]:
    by = clerk(house)
    _, actor = citizen("13800000001")
    with pytest.raises(UserError, match="实人核验"):
        actions.ask_certificate(browser.spki, "c", b"", "Chrome", by=actor)
    prove(actor, by)
    actor = again(actor)
    with pytest.raises(UserError, match="没有证明"):
        actions.ask_certificate(browser.spki, "c", Browser().sign(b"x"), "Chrome", by=actor)
    row = actions.ask_certificate(
        browser.spki, "c", browser.sign(actions.asking("c")), "Chrome", by=actor
    )
    visit = actions.go_to_counter(by=actor)
    with pytest.raises(UserError, match="核对码"):
        actions.issue_certificate(visit.code, "0000 0000 0000", True, by=by)
    return actor, actions.issue_certificate(visit.code, row.words, True, by=by)


def test_a_certificate_proves_its_owner(house: House) -> None:
    browser = Browser()
    actor, row = certified(house, browser)

    def show(challenge: str, signature: bytes, kid: str = browser.kid) -> bool:
        return actions.prove_certificate(kid, challenge, signature, by=actor)

    signed = browser.sign(actions.proving("fresh"))
    assert not show("another", signed)
    assert not show("", browser.sign(actions.proving("")))
    assert not show("fresh", browser.sign(actions.asking("fresh")))
    assert not show("fresh", Browser().sign(actions.proving("fresh")))
    assert api.level_of(actor) == rules.PERSON
    assert show("fresh", signed)
    assert api.level_of(actor) == rules.CERTIFICATE
    # Another person cannot use it, nor an authority of another city vouch for it.
    _, other = citizen("13800000002", "李四", OTHER)
    Account.objects.filter(party=other.party).update(level=rules.PERSON)
    assert not actions.prove_certificate(browser.kid, "fresh", signed, by=other)
    root, _sealed = adapters.new_authority("别的市")
    assert not adapters.signed_by(row.pem, root, actions.proving("fresh"), signed)
    # What ends with the certificate: the level, at once and by itself.
    Account.objects.filter(party=actor.party).update(certified_until=timezone.now())
    assert api.level_of(actor) == rules.PERSON
    assert show("fresh", signed)
    actions.end_certificate(row.pk, by=actor)
    assert api.level_of(actor) == rules.PERSON
    assert not show("fresh", signed)


def test_the_page_spends_its_challenge(house: House) -> None:
    browser = Browser()
    citizen("13800000001")
    prove(citizen("13800000003", "张三丰", NUMBER)[1], clerk(house))
    page = Client()
    page.post("/login/", {"username": "13800000003", "password": PASSWORD})
    shown = page.get("/my/identity/certificate/").content.decode()
    assert "在这台设备上申请" in shown
    challenge = page.session["certificate_challenge"]
    form = {
        "do": "ask",
        "spki": base64.b64encode(browser.spki).decode(),
        "signature": base64.b64encode(browser.sign(actions.asking(challenge))).decode(),
    }
    assert page.post("/my/identity/certificate/", {**form, "spki": "%%"}).status_code == 400
    assert page.post("/my/identity/certificate/", form).status_code == 400, "the challenge is spent"
    page.get("/my/identity/certificate/")
    challenge = page.session["certificate_challenge"]
    form["signature"] = base64.b64encode(browser.sign(actions.asking(challenge))).decode()
    assert page.post("/my/identity/certificate/", form).status_code == 302
    assert Certificate.objects.get().kid == browser.kid


# ---- guardians and representatives -----------------------------------------------------------


def test_a_guardian_by_paper_and_its_end(house: House, library: dict[str, Any]) -> None:
    by = clerk(house)
    _, actor = citizen("13800000001")
    prove(actor, by)
    actor = again(actor)

    def bind(name: str, number: str, ground: str, until: dt.date | None = None) -> Agency:
        visit = actions.go_to_counter(by=actor)
        return actions.bind_guardian(
            visit.code, name, number, ground, "连民指〔2026〕3号", until, True, by=by
        )

    with pytest.raises(UserError, match="人口库不一致"):
        bind("别的孩子", CHILD, "committee")
    child = bind("张小宝", CHILD, "committee")
    assert child.until == dt.date(2035, 12, 31)
    assert "居（村）民委员会" in child.basis
    assert api.may_act(actor, child.principal, "apply")
    year = timezone.localdate() + dt.timedelta(days=365)
    with pytest.raises(UserError, match="文书"):
        bind("李四", OTHER, "parent", year)
    with pytest.raises(UserError, match="复核日期"):
        bind("李四", OTHER, "court")
    assert bind("李四", OTHER, "court", year).until == year
    with pytest.raises(UserError, match="自己"):
        bind("张三丰", NUMBER, "court", year)
    visit = actions.go_to_counter(by=actor)
    actions.end_at_counter(visit.code, child.pk, "连民撤〔2026〕1号", True, by=by)
    assert not api.may_act(actor, child.principal, "apply")


def test_a_firm_that_is_gone_has_no_representative(house: House, library: dict[str, Any]) -> None:
    by, code = clerk(house), "91110000600037341L"
    _, actor = citizen("13800000001")
    prove(actor, by)
    library[code] = {"单位名称": "甲公司", "法定代表人": "张三丰", "登记状态": "注销"}

    def bind() -> Agency:
        visit = actions.go_to_counter(by=again(actor))
        return actions.bind_representative(visit.code, code, True, by=by)

    with pytest.raises(UserError, match="法人库"):
        bind()
    library[code]["登记状态"] = "存续"
    assert api.may_act(again(actor), bind().principal, "sign")
    library[code]["法定代表人"] = "李四"
    with pytest.raises(UserError, match="法人库"):
        bind()


# ---- notices ---------------------------------------------------------------------------------


class Sink:
    """A mail server that keeps what it is given, or refuses."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.refuse = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse:
            return "451 later"
        self.kept.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 OK"


def test_what_happens_to_an_account_is_told(
    house: House, settings: Any, run_jobs: Callable[[], int]
) -> None:
    sink = Sink()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(sink, hostname="127.0.0.1", port=port)
    server.start()
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = port
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    try:
        user, actor = citizen("13800000001")
        assert actions.send_code("san@example.cn", "mail", address="10.0.0.1", by=actor) == ""
        code = sink.kept[0][1].get_payload(decode=True).decode()[4:10]
        assert actions.check_code("san@example.cn", "mail", code, by=actor)
        actions.change_mail("san@example.cn", by=actor)
        run_jobs()
        sink.kept.clear()
        # A second device, a second level: a text (stand-in) and a mail each.
        sink.refuse = True
        for agent in ("Chrome/1 Windows", "Firefox/2 Android"):
            Client(headers={"User-Agent": agent}).post(
                "/login/", {"username": "13800000001", "password": PASSWORD}
            )
        event = Event.objects.get(kind="device.met")
        actions.on_event(event)
        actions.on_event(event)
        sms, mail = Notice.objects.filter(event=event.pk).order_by("-channel")
        assert "新设备（Firefox · 安卓）" in sms.text
        assert (sms.where, mail.where) == ("138****0001", "s***@example.cn")
        queued = Event.objects.filter(kind="notice.queued").order_by("id")
        for one in queued.filter(subject=sms.ref):
            actions.send_notice(one)
        with pytest.raises(UserError, match="邮件"):
            actions.send_notice(queued.get(subject=mail.ref))
        sms.refresh_from_db()
        mail.refresh_from_db()
        assert (sms.simulated, sms.sent_at is not None, mail.sent_at) == (True, True, None)
        assert "邮件" in mail.problem
        sink.refuse = False
        for _ in range(2):
            actions.send_notice(queued.get(subject=mail.ref))
        ((to, message),) = sink.kept
        assert to == ["san@example.cn"]
        assert str(make_header(decode_header(message["Subject"]))) == "账号安全通知"
        # A changed telephone is told to the former one.
        actions.change_phone(user, "13900000009", PASSWORD, by=actor)
        actions.on_event(Event.objects.get(kind="identity.phone_changed"))
        changed = Event.objects.get(kind="identity.phone_changed").pk
        assert Notice.objects.get(event=changed, channel="sms").where == "138****0001"
        page = Client()
        page.post("/login/", {"username": "13900000009", "password": PASSWORD})
        shown = page.get("/my/identity/").content.decode()
        assert "模拟数据：未真正发送" in shown
        assert "13900000009" not in shown
    finally:
        server.stop()


def test_no_flood_of_notices(house: House) -> None:
    _, actor = citizen("13800000001")
    account = Account.objects.get(party=actor.party)
    for _ in range(22):
        actions.ask_erasure(actor.party.account, PASSWORD, by=actor)  # type: ignore[union-attr]
    for event in Event.objects.filter(kind="erasure.asked"):
        actions.on_event(event)
    assert Notice.objects.filter(account=account, problem="").count() == 20
    assert Notice.objects.exclude(problem="").count() == 2


def test_both_sides_of_a_mandate_are_told(house: House) -> None:
    by = clerk(house)
    _, boss = citizen("13800000001")
    _, agent = citizen("13800000002", "李四", OTHER)
    prove(boss, by)
    prove(agent, by, "李四", OTHER)
    firm = api.party_of_credit_code("91110000600037341L", name="甲公司")
    today = timezone.localdate()
    Agency.objects.create(
        kind=rules.REPRESENTATIVE, principal=firm, agent=boss.party, since=today,
        accepted_at=timezone.now(),
    )  # fmt: skip
    offer = actions.appoint_agent(firm.pk, "李四", OTHER, ["apply"], today, today, by=again(boss))
    told = queries.concerned(SYSTEM, Event.objects.get(kind="agency.offered"))
    assert [row.party for row, _ in told] == [agent.party]
    actions.accept_agency(offer.pk, by=again(agent))
    told = queries.concerned(SYSTEM, Event.objects.get(kind="agency.accepted"))
    assert {row.party for row, _ in told} == {agent.party, boss.party}
