"""A seal's life, and every way in which it could be abused (docs/security/seals.md names each)."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from lianyun.capabilities.seals import actions, api, queries, rules
from lianyun.capabilities.seals.actions.keys import as_pem
from lianyun.capabilities.seals.models import Authority, KeptKey, Seal, SealKey, Use
from lianyun.kernel.access import ANONYMOUS, Actor, Denied, Membership, UserError, actor_of
from lianyun.kernel.models import Event, Party
from lianyun.trust import issuing
from lianyun.trust.sealing import CannotSign, Signer, sign_pdf
from lianyun.trust.signatures import ECDSA, SM2, new_key

from .conftest import Desk, blank_pdf

pytestmark = pytest.mark.django_db


def digest(pdf: bytes) -> str:
    return hashlib.sha256(pdf).hexdigest()


def sealed(desk: Desk, pdf: bytes, use: str = "licences.issue") -> bytes:
    department = desk.keeper.department
    assert department is not None
    signer = api.signer_for(department, use, document_digest=digest(pdf), by=desk.keeper)
    return sign_pdf(
        pdf, signer=signer, reason="签发证照", when=timezone.localtime(), visible=signer.image
    )


def codes(pdf: bytes) -> set[str]:
    return {p.code for p in api.check(pdf).problems}


def test_a_seal_is_asked_for_approved_made_and_used(desk: Desk) -> None:
    seal = desk.make()
    assert seal.state == "active"
    assert seal.keeper == desk.keeper.party
    pdf = blank_pdf()
    verdict = api.check(sealed(desk, pdf))
    assert verdict.good, verdict.problems
    assert verdict.organ == "连云港市市场监督管理局"
    assert verdict.when is not None
    use = Use.objects.get()
    assert (use.by, use.document_digest) == (desk.keeper.party, digest(pdf))
    assert Event.objects.filter(kind="seal.used", subject=seal.grant.ref).count() == 1
    # The department sees it, the bureau sees it, another department does not.
    assert queries.uses(desk.keeper).count() == queries.uses(desk.bureau).count() == 1
    assert queries.uses(desk.outsider).count() == 0
    assert queries.seal(desk.outsider, seal.code) is None


def test_nobody_makes_a_seal_alone(desk: Desk) -> None:
    case = desk.apply()
    item = case.items.get(done_at=None)
    for by in (desk.keeper, desk.outsider):
        with pytest.raises(Denied):
            actions.do_step(item=item, outcome="agree", by=by)
    with pytest.raises(Denied):
        actions.request_seal(
            department=Party.objects.get(slug="ga"), kind="organ", title="章", name="市公安局",
            reason="冒用", by=desk.keeper,
        )  # fmt: skip
    refused = actions.do_step(item=item, outcome="refuse", note="已有同样的章", by=desk.head)
    assert refused.outcome == "refused"
    assert not Seal.objects.exists()


def test_asking_consenting_approving_and_making_are_four_people(desk: Desk) -> None:
    case = desk.apply()

    def also(who: Actor, slug: str, role: str) -> Actor:
        department = Party.objects.get(kind="department", slug=slug)
        assert who.party is not None
        Membership.objects.create(party=who.party, department=department, role=role)
        return actor_of(who.party)

    # Roles may meet in one person; what he did before keeps him from the next step.
    keeper = also(desk.keeper, "scjg", "share_head")
    with pytest.raises(UserError, match="申请"):
        actions.do_step(item=case.items.get(done_at=None), outcome="agree", by=keeper)
    case = actions.do_step(item=case.items.get(done_at=None), outcome="agree", by=desk.head)
    case = actions.do_step(item=case.items.get(done_at=None), outcome="agree", by=desk.bureau)
    with pytest.raises(UserError, match="核准"):
        actions.do_step(
            item=case.items.get(done_at=None),
            outcome="made",
            by=also(desk.bureau, "sjj", "seal_maker"),
        )
    assert not Seal.objects.exists()
    case = actions.do_step(item=case.items.get(done_at=None), outcome="made", by=desk.maker)
    assert Seal.objects.filter(case=case).count() == 1


def test_a_refused_or_unreadable_application_says_why(desk: Desk) -> None:
    with pytest.raises(UserError, match="字形"):
        desk.apply(name="连云港市\U000e0041局")
    with pytest.raises(UserError, match="持有人"):
        desk.apply(kind="personal", name="张建国", below="", automatic=[])
    with pytest.raises(UserError, match="理由"):
        desk.apply(reason=" ")


def test_an_insider_cannot_use_a_seal_in_silence(desk: Desk, post: Callable[..., Actor]) -> None:
    """Threat: an insider. Without the right, without a use, or for another document there is no signature."""
    seal = desk.make()
    pdf, other = blank_pdf(), blank_pdf(b"forged")
    clerk = post("scjg", "data_officer")
    department = seal.department
    with pytest.raises(Denied):
        api.signer_for(department, "manual", document_digest=digest(pdf), by=clerk)
    with pytest.raises(Denied):
        api.signer_for(department, "documents", document_digest=digest(pdf), by=clerk)
    assert not Use.objects.exists()
    # What the organ allowed once for all is open to the capability, and recorded with the clerk's name.
    signer = api.signer_for(department, "licences.issue", document_digest=digest(pdf), by=clerk)
    with pytest.raises(CannotSign, match="登记"):
        sign_pdf(other, signer=signer, reason="", when=timezone.localtime())
    made = sign_pdf(pdf, signer=signer, reason="", when=timezone.localtime())
    assert api.check(made).good
    with pytest.raises(CannotSign, match="只能签一份"):
        sign_pdf(pdf, signer=signer, reason="", when=timezone.localtime())
    assert [u.by for u in Use.objects.all()] == [clerk.party]
    with pytest.raises(UserError, match="摘要"):
        api.signer_for(department, "licences.issue", document_digest="abc", by=clerk)


def test_a_personal_seal_is_its_holders_alone(desk: Desk) -> None:
    assert desk.head.party is not None
    seal = desk.make(
        kind="personal", title="李建国名章", name="李建国", below="", automatic=[],
        holder=desk.head.party,
    )  # fmt: skip
    file = actions.File("批复.pdf", blank_pdf())
    with pytest.raises(Denied, match="本人"):
        actions.seal_files(
            seal=seal, files=[file], purpose="批复", page=0, x=100, y=100, by=desk.keeper
        )
    made = actions.seal_files(
        seal=seal, files=[file], purpose="批复", page=0, x=100, y=100, by=desk.head
    )
    assert api.check(made[0].content).signer == "李建国名章"
    assert list(queries.mine(desk.head)) == [seal]
    assert queries.uses(desk.head, seal).count() == 1


def test_a_lost_seal_rests_and_a_stopped_one_ends_but_old_seals_stay_good(desk: Desk) -> None:
    """Threat: revoked but used. A stop counts at once; what was stamped before it keeps its worth."""
    seal = desk.make()
    before = sealed(desk, blank_pdf())
    first = seal.keys.get()
    actions.report_lost(seal=seal, reason="介质遗失", by=desk.keeper)
    with pytest.raises(UserError, match="挂失"):
        sealed(desk, blank_pdf())
    with pytest.raises(Denied):
        actions.give_back(seal=seal, reason="找到", by=desk.keeper)
    actions.give_back(seal=seal, reason="已找到并核实", by=desk.bureau)
    seal = Seal.objects.get(pk=seal.pk)
    newest = sealed(desk, blank_pdf())
    assert api.check(newest).good
    assert seal.keys.count() == 2
    actions.stop_seal(seal=seal, why="key_compromise", reason="疑似泄露", by=desk.keeper)
    with pytest.raises(UserError, match="已停用"):
        sealed(desk, blank_pdf())
    for old in (before, newest):
        verdict = api.check(old)
        assert verdict.good, verdict.problems
        assert "仍然有效" in verdict.marks[0].notes[0]
    first.refresh_from_db()
    assert first.withdrawn_for == "key_compromise" or first.withdrawn_for == "superseded"
    with pytest.raises(UserError, match="撤销"):
        actions.stop_seal(seal=seal, why="ended", reason="再停一次", by=desk.keeper)


def test_a_signature_made_after_the_stop_is_named(desk: Desk) -> None:
    """Threat: a stolen key goes on signing with an old status answer in hand."""
    seal = desk.make()
    pdf = blank_pdf()
    stolen: Signer = api.signer_for(
        seal.department, "licences.issue", document_digest=digest(pdf), by=desk.keeper
    )
    actions.stop_seal(seal=seal, why="key_compromise", reason="失窃", by=desk.keeper)
    key = SealKey.objects.get()
    # The stop counted from the second that has passed when the thief signs.
    assert key.withdrawn_at is not None
    key.withdrawn_at -= timezone.timedelta(seconds=2)
    key.save()
    made = sign_pdf(pdf, signer=stolen, reason="", when=timezone.localtime())
    assert codes(made) == {"revoked"}


def test_a_forged_seal_has_the_picture_and_nothing_else(desk: Desk) -> None:
    """Threat: a forged seal. Same picture, same names, another authority."""
    seal = desk.make()
    real = api.signer_for(
        seal.department, "licences.issue", document_digest=digest(blank_pdf()), by=desk.keeper
    )
    key = new_key(ECDSA)
    root = issuing.new_root(key, actions.office().root.subject)
    own = new_key(ECDSA)
    forged = issuing.certify_signer(
        issuing.Issuer(key, root), own.public, real.certificate.subject, issuing.Places()
    )
    pdf = blank_pdf()
    made = sign_pdf(
        pdf,
        signer=Signer(own, forged, (root,), real.stamp, real.evidence, real.organ),
        reason="签发证照",
        when=timezone.localtime(),
        visible=real.image,
    )
    assert codes(made) == {"untrusted"}
    # Without our stamp even its time is its own word.
    bare = sign_pdf(
        pdf,
        signer=Signer(own, forged, (root,), None),
        reason="",
        when=timezone.localtime(),
        visible=real.image,
    )
    assert codes(bare) == {"untrusted", "no_stamp"}
    # The picture alone is no signature.
    assert codes(pdf) == {"unsigned"}


def test_a_stolen_database_or_key_file_alone_opens_no_key(desk: Desk) -> None:
    """Threat: a stolen key file. Rows hold no key in clear; another installation's vault opens none."""
    from lianyun.trust.vault import Vault, VaultError

    desk.make()
    for row in KeptKey.objects.all():
        assert "PRIVATE KEY" not in row.secret
        assert row.secret.startswith("v1.")
        with pytest.raises(VaultError):
            Vault(b"x" * 32).decrypt(row.secret, "seals.key")
    text = " ".join(map(str, Event.objects.values_list("data", flat=True)))
    assert "PRIVATE" not in text


def test_old_algorithms_still_verify_and_weaker_ones_are_refused(desk: Desk, settings: Any) -> None:
    """Threat: downgrade. ECDSA, then SM2: both stay good; a key signs with its own algorithm alone."""
    seal = desk.make()
    old = sealed(desk, blank_pdf())
    actions.renew_key(seal=seal, algorithm=SM2, by=desk.keeper)
    new = sealed(desk, blank_pdf())
    assert api.check(old).good
    verdict = api.check(new)
    assert verdict.good, verdict.problems
    assert verdict.marks[0].algorithm == "SM2 / SM3"
    assert old.count(b"/Contents <") == new.count(b"/Contents <") == 1
    with pytest.raises(UserError, match="算法"):
        actions.renew_key(seal=seal, algorithm="md5-rsa", by=desk.keeper)
    assert seal.keys.filter(retired_at=None).get().algorithm == SM2


def test_a_batch_is_sealed_whole_or_not_at_all(desk: Desk) -> None:
    seal = desk.make()
    good = [actions.File(f"{i}.pdf", blank_pdf(b"%d" % i)) for i in range(3)]
    made = actions.seal_files(
        seal=seal, files=good, purpose="批量", page=1, x=150, y=60, by=desk.keeper
    )
    assert all(api.check(f.content).good for f in made)
    assert Use.objects.count() == 3
    with pytest.raises(UserError, match=r"坏\.pdf"):
        actions.seal_files(
            seal=seal,
            files=[*good, actions.File("坏.pdf", b"%PDF-1.7 broken")],
            purpose="批量",
            page=0,
            x=150,
            y=60,
            by=desk.keeper,
        )
    assert Use.objects.count() == 3


def test_list_and_answer_say_so_at_once(desk: Desk, live_server: Any, tmp_path: Path) -> None:
    """openssl asks our responder and reads our list, before and after a stop."""
    seal = desk.make()
    key = seal.keys.get()
    office = actions.office()
    pem = tmp_path / "seal.pem"
    pem.write_text(key.certificate)
    (tmp_path / "issuer.pem").write_text(key.issuer.certificate)
    root = Authority.objects.get(use=Authority.ROOT)
    (tmp_path / "root.pem").write_text(root.certificate)

    def openssl(*arguments: str) -> str:
        done = subprocess.run(
            ["openssl", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        return done.stdout + done.stderr

    def asked() -> str:
        return openssl(
            "ocsp", "-issuer", "issuer.pem", "-cert", "seal.pem", "-CAfile", "root.pem",
            "-url", f"{live_server.url}/seals/ca/ocsp",
        )  # fmt: skip

    def listed() -> str:
        answer = Client().get(f"/seals/ca/{office.row.thumbprint[:16]}.crl")
        assert answer["Content-Type"] == "application/pkix-crl"
        (tmp_path / "list.crl").write_bytes(answer.content)
        return openssl(
            "crl", "-inform", "DER", "-in", "list.crl", "-CAfile", "issuer.pem", "-noout", "-text"
        )

    assert "OK" in openssl("verify", "-CAfile", "root.pem", "-untrusted", "issuer.pem", "seal.pem")
    first = asked()
    assert "Response verify OK" in first
    assert "seal.pem: good" in first
    assert "Nonce" not in first
    empty = listed()
    assert "verify OK" in empty
    assert "No Revoked" in empty
    actions.stop_seal(seal=seal, why="key_compromise", reason="泄露", by=desk.keeper)
    then = asked()
    assert "seal.pem: revoked" in then
    assert "keyCompromise" in then
    assert key.serial.upper().lstrip("0") in listed()
    # A question that is none gets an answer that says so, and no error page.
    assert Client().post("/seals/ca/ocsp", b"junk", "application/ocsp-request").content.hex() == (
        "30030a0101"
    )
    got = Client().get("/seals/ca/ocsp/bm90aGluZw==")
    assert got.status_code == 200


def test_departments_have_their_own_files_stamped(desk: Desk, tmp_path: Path) -> None:
    """openssl asks for a time stamp and verifies it up to our root; what is no question is refused."""
    office = actions.office()
    for name, held in (("root", office.root), ("issuer", office.issuer.certificate)):
        (tmp_path / f"{name}.pem").write_text(as_pem(held))
    (tmp_path / "paper").write_bytes(b"a department's own file")

    def openssl(*arguments: str) -> str:
        done = subprocess.run(
            ["openssl", "ts", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        return done.stdout + done.stderr

    openssl("-query", "-data", "paper", "-sha256", "-cert", "-out", "asked.tsq")
    asked = (tmp_path / "asked.tsq").read_bytes()
    client = Client()
    answer = client.post("/seals/ca/tsa", asked, "application/timestamp-query")
    assert answer["Content-Type"] == "application/timestamp-reply"
    (tmp_path / "told.tsr").write_bytes(answer.content)
    verify = ("-verify", "-queryfile", "asked.tsq", "-in", "told.tsr", "-CAfile", "root.pem")
    assert "Verification: OK" in openssl(*verify, "-untrusted", "issuer.pem")
    (tmp_path / "paper").write_bytes(b"another file")
    openssl("-query", "-data", "paper", "-sha256", "-cert", "-out", "asked.tsq")
    assert "Verification: FAILED" in openssl(*verify, "-untrusted", "issuer.pem")
    refused = bytes.fromhex("30053003020102")
    for size in range(len(asked)):
        assert office.stamper.answer(asked[:size]) == refused
    for junk in (b"", b"junk", b"0" * 30_000, asked + b"x"):
        assert client.post("/seals/ca/tsa", junk, "application/timestamp-query").content == refused
    assert client.get("/seals/ca/tsa").status_code == 405


def test_the_citys_root_takes_our_roots_place(
    desk: Desk, post: Callable[..., Actor], tmp_path: Path
) -> None:
    """The city's authority is openssl here: it signs our request; seals lead to its root from then on."""
    seal = desk.make()
    old = sealed(desk, blank_pdf())
    admin = post("sjj", "security_admin")
    (tmp_path / "a.csr").write_text(actions.ask_higher(by=admin))
    (tmp_path / "a.ext").write_text(
        "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes",
        "-keyout", "city.key", "-out", "city.pem", "-days", "3650", "-subj", "/C=CN/CN=City Root",
    )  # fmt: skip
    openssl(
        "x509", "-req", "-in", "a.csr", "-CA", "city.pem", "-CAkey", "city.key", "-CAcreateserial",
        "-out", "a.pem", "-days", "1800", "-extfile", "a.ext",
    )  # fmt: skip
    pending = queries.pending_issuer(admin)
    assert pending is not None
    chain = (tmp_path / "a.pem").read_text() + (tmp_path / "city.pem").read_text()
    other = (tmp_path / "city.pem").read_text()
    for wrong in (other, "nothing", chain[:200]):
        with pytest.raises(UserError):
            actions.adopt_issuer(chain=wrong, label=pending[0], where=pending[1], by=admin)
    first = Authority.objects.get(use=Authority.ROOT)
    with pytest.raises(UserError, match="不是本次申请"):
        actions.adopt_issuer(chain=chain, label=first.label, where=first.store, by=admin)
    actions.adopt_issuer(chain=chain, label=pending[0], where=pending[1], by=admin)
    actions.renew_key(seal=seal, algorithm=ECDSA, by=desk.keeper)
    new = sealed(desk, blank_pdf())
    assert api.check(new).good, api.check(new).problems
    assert api.check(old).good
    assert len(api.roots()) == 2
    assert actions.office().root.subject.rfc4514_string() == "CN=City Root,C=CN"
    # The former authority goes on answering for what it certified.
    actions.stop_seal(seal=seal, why="ended", reason="撤并", by=desk.keeper)
    former = Authority.objects.filter(use=Authority.ISSUER).exclude(retired_at=None).get()
    assert len(queries.withdrawn(ANONYMOUS, former)) == 1


def test_pages(desk: Desk, client: Client) -> None:
    """The desk, the ledger, the signing page with one file and with many, and the public check."""
    from lianyun.capabilities.identity.models import User

    seal = desk.make()
    user = User.objects.create(
        username="keeper", party=desk.keeper.party, password_set_at=timezone.now()
    )
    client.force_login(user)
    for path in ("", "new/", "mine/", "sign/", "uses/", f"held/{seal.code}/"):
        assert client.get(f"/workbench/seals/{path}").status_code == 200, path
    assert client.get("/workbench/seals/authority/").status_code == 403
    assert b"<svg" in client.get(f"/workbench/seals/held/{seal.code}/picture.svg").content
    form = {"seal": seal.code, "purpose": "年检", "page": 0, "x": 150, "y": 60}
    one = SimpleUploadedFile("甲.pdf", blank_pdf(), "application/pdf")
    answer = client.post("/workbench/seals/sign/", {**form, "documents": one})
    assert answer["Content-Type"] == "application/pdf"
    whole = answer.content
    two = [SimpleUploadedFile("甲.pdf", blank_pdf(b"%d" % i)) for i in range(2)]
    parcel = client.post("/workbench/seals/sign/", {**form, "documents": two})
    with zipfile.ZipFile(io.BytesIO(parcel.content)) as box:
        assert box.namelist() == ["甲-已盖章.pdf", "甲-已盖章-2.pdf"]
    bad = client.post(
        "/workbench/seals/sign/", {**form, "documents": SimpleUploadedFile("x.pdf", b"x")}
    )
    assert "不是完好的 PDF" in bad.content.decode()

    def told(pdf: bytes) -> str:
        visitor = Client()
        return visitor.post(
            "/seals/check/", {"file": SimpleUploadedFile("f.pdf", pdf)}
        ).content.decode()

    assert "文件完好，印章真实有效" in told(whole)
    assert "被改动过" in told(whole.replace(b"permit", b"Permit"))
    assert "没有电子印章" in told(blank_pdf())
    assert "不是 PDF 文件" in told(b"hello")
    assert (
        rules.AUTOMATIC["licences.issue"]
        in client.get(f"/workbench/seals/held/{seal.code}/").content.decode()
    )
