"""Sealed PDFs judged by others (poppler, pyHanko, openssl), every fault named, nothing hostile believed."""

from __future__ import annotations

import base64
import datetime as dt
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyhanko.keys import load_certs_from_pemder_data
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from lianyun.trust import certificates, cms, der, drawing, issuing, keystore, sealing
from lianyun.trust.issuing import GOOD, Issuer, Places, Responder, Withdrawal
from lianyun.trust.sealing import plain
from lianyun.trust.signatures import ECDSA, SM2, BadKey, PrivateKey, new_key
from lianyun.trust.timestamps import Authority

NOW = dt.datetime.now(dt.UTC)
ORGAN = "连云港市市场监督管理局"


def pdf(text: bytes = b"permit") -> bytes:
    """A page of our own making, with a right cross-reference table."""
    stream = b"BT /F1 24 Tf 72 700 Td (%b) Tj ET" % text
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources <<"
        b" /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
    ]
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    table = b"".join(b"%010d 00000 n \n" % at for at in places)
    out += b"xref\n0 5\n0000000000 65535 f \n" + table
    return out + b"trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start


class House:
    """An authority of its own with everything that one seal needs."""

    def __init__(self) -> None:
        root, own, answers, stamps = (new_key(ECDSA) for _ in range(4))
        name = issuing.distinguished
        self.root = issuing.new_root(root, name("根证书", "样例市"))
        self.top = Issuer(root, self.root)
        middle = issuing.certify_issuer(self.top, own.public, name("签发机构", "样例市"), Places())
        self.issuer = Issuer(own, middle)
        responder = issuing.certify_responder(self.issuer, answers.public, name("状态", "样例市"))
        self.responder = Responder(answers, responder, middle)
        stamper = issuing.certify_stamper(
            self.issuer, stamps.public, name("时间戳", "样例市"), Places()
        )
        pem = [c.public_bytes(Encoding.PEM).decode() for c in (stamper, self.root, middle)]
        self.authority = Authority(stamps, *pem)

    def certified(self, key: PrivateKey) -> x509.Certificate:
        subject = issuing.distinguished(f"{ORGAN}公章", ORGAN)
        return issuing.certify_signer(self.issuer, key.public, subject, Places())

    def signer(
        self, algorithm: str = ECDSA, *, key: PrivateKey | None = None, **other: object
    ) -> sealing.Signer:
        own = key or new_key(algorithm)
        certificate = self.certified(own)
        stamper = self.authority.certificate
        evidence = sealing.Evidence(
            tuple(
                c.public_bytes(Encoding.DER)
                for c in (self.root, self.responder.certificate, stamper)
            ),
            tuple(self.responder.about(c.serial_number, GOOD) for c in (certificate, stamper)),
            (issuing.make_list(self.top, [], 1),),
        )
        given = {
            "key": own,
            "certificate": certificate,
            "between": (self.issuer.certificate,),
            "stamp": self.authority.stamp,
            "evidence": evidence,
            "organ": ORGAN,
            "image": sealing.SealImage(drawing.official(ORGAN, "证照专用章")),
            **other,
        }
        return sealing.Signer(**given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def house() -> House:
    return House()


def sealed(signer: sealing.Signer, content: bytes | None = None) -> bytes:
    return sealing.sign_pdf(
        content or pdf(), signer=signer, reason="签发证照", when=NOW, visible=signer.image
    )


@pytest.fixture(scope="module")
def document(house: House) -> bytes:
    return sealed(house.signer())


def codes(content: bytes, house: House, **more: object) -> set[str]:
    verdict = sealing.check_pdf(content, [house.root], **more)  # type: ignore[arg-type]
    assert verdict.good == (not verdict.problems)
    return {p.code for p in verdict.problems}


def test_poppler_and_pyhanko_agree(house: House, document: bytes, tmp_path: Path) -> None:
    """pdfsig calls the signature valid over the whole file; pyHanko's bottom line is good (PAdES B-LT)."""
    (tmp_path / "a.pdf").write_bytes(document)
    (tmp_path / "root.pem").write_bytes(house.root.public_bytes(Encoding.PEM))
    said = subprocess.run(
        ["pdfsig", "a.pdf"], cwd=tmp_path, capture_output=True, text=True, check=False
    ).stdout
    assert "Signature is Valid" in said
    assert "Total document signed" in said
    assert "ETSI.CAdES.detached" in said
    command = [
        Path(sys.executable).with_name("pyhanko"), "sign", "validate", "--trust", "root.pem",
        "--trust-replace", "--no-revocation-check", "a.pdf",
    ]  # fmt: skip
    cli = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert cli.returncode == 0, cli.stdout + cli.stderr
    assert "INTACT:TRUSTED" in cli.stdout
    reader = PdfFileReader(BytesIO(document))
    from pyhanko.sign.validation.dss import DocumentSecurityStore

    # With hard revocation and no network: what is in the document must be enough.
    store = DocumentSecurityStore.read_dss(reader)
    roots = list(load_certs_from_pemder_data(house.root.public_bytes(Encoding.DER)))
    context = store.as_validation_context(
        {"trust_roots": roots, "allow_fetching": False, "revocation_mode": "hard-fail"}
    )
    assert isinstance(context, ValidationContext)
    status = validate_pdf_signature(reader.embedded_signatures[0], context)
    assert status.bottom_line, status.pretty_print_details()
    assert status.timestamp_validity is not None
    assert status.timestamp_validity.trusted
    assert status.trust_problem_indic is None
    assert sealing.check_pdf(document, [house.root]).good


def test_what_is_seen_is_drawn_and_no_font_is_copied(document: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(document)
    fonts = subprocess.run(
        ["pdffonts", tmp_path / "a.pdf"], capture_output=True, text=True, check=True
    ).stdout
    assert "Noto" not in fonts
    subprocess.run(["pdftoppm", "-r", "40", tmp_path / "a.pdf", tmp_path / "a"], check=True)
    picture = next(tmp_path.glob("a*.ppm")).read_bytes()
    pixels = picture.split(b"255\n", 1)[1]
    red = sum(
        1 for i in range(0, len(pixels), 3) if pixels[i] > 180 and max(pixels[i + 1 : i + 3]) < 90
    )
    # A ring, a star and fifteen characters on 66 × 66 points of 40 dpi.
    assert 300 < red < 3000


def press_file() -> bytes:
    """A page in the very form in which the press (typst) writes."""
    stream = b"BT /F1 24 Tf 72 700 Td (permit) Tj ET"
    objects = [
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>",
        b"<</Type/Page/Resources 2 0 R/MediaBox[0 0 595 842]/Parent 1 0 R/Contents 4 0 R>>",
        b"<</Length %d>>\nstream\n%b\nendstream" % (len(stream), stream),
        b"<</Creator(Typst)>>",
        b"<</Type/Catalog/Pages 1 0 R/Lang(zh-CN)/ViewerPreferences<</Direction/L2R>>>>",
    ]
    out, table = b"%PDF-1.7\n%\x80\x80\x80\x80\n\n", b"0000000000 65535 f\r\n"
    for number, body in enumerate(objects, 1):
        table += b"%010d 00000 n\r\n" % len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    end = b"trailer\n<</Size 7/Root 6 0 R/Info 5 0 R/ID[(POvCB6tzX/3Z==)(VKghyjdAPqDI==)]>>\n"
    return out + b"xref\n0 7\n" + table + end + b"startxref\n%d\n%%%%EOF" % len(out)


@pytest.mark.parametrize("algorithm", [ECDSA, SM2])
def test_the_press_s_own_file_is_sealed_as_text(
    house: House, tmp_path: Path, algorithm: str
) -> None:
    """Others read the revision that was put together without them: poppler, pyHanko, a second seal."""
    content = press_file()
    assert plain.pressed(content) is not None
    made = sealed(house.signer(algorithm), content)
    assert made.startswith(content)
    assert made.count(b"%%EOF") == 2
    assert codes(made, house) == set()
    assert codes(made.replace(b"(permit)", b"(Permit)"), house) == {"changed"}
    assert codes(made + b"%", house) == {"appended"}
    two = sealed(house.signer(), made)
    verdict = sealing.check_pdf(two, [house.root])
    assert verdict.good, verdict.problems
    assert len(verdict.marks) == 2
    assert verdict.marks[0].organ == ORGAN
    (tmp_path / "a.pdf").write_bytes(made)
    said = subprocess.run(
        ["pdfsig", "a.pdf"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "Total document signed" in said.stdout
    assert not said.stderr
    assert ("Signature is Valid" in said.stdout) == (algorithm == ECDSA)
    (embedded,) = PdfFileReader(BytesIO(made)).embedded_signatures
    assert embedded.evaluate_signature_coverage().name == "ENTIRE_FILE"
    subprocess.run(["pdftoppm", "-r", "40", tmp_path / "a.pdf", tmp_path / "a"], check=True)
    picture = next(tmp_path.glob("a*.ppm")).read_bytes().split(b"255\n", 1)[1]
    dots = range(0, len(picture), 3)
    assert sum(1 for i in dots if picture[i] > 180 and max(picture[i + 1 : i + 3]) < 90) > 300


def test_what_is_not_quite_the_press_s_own_is_left_to_others(house: House) -> None:
    good = press_file()
    near = (
        pdf(), b"", good[:-1], good[:100], good + b"x", sealed(house.signer(), good),
        good.replace(b"/Count 1", b"/Count 2"), good.replace(b"Kids[3", b"Kids[9"),
        good.replace(b"Kids[3", b"Kids[4"), good.replace(b"/Root 6", b"/Root 5"),
        good.replace(b"/Lang(zh-CN)", b"/DSS 2 0 R  "), good.replace(b"/MediaBox", b"/Annots  "),
        good.replace(b"0 7\n0", b"0 8\n0"), good.replace(b"/Info 5", b"/Encrypt 5"),
        good.replace(b"0000000016 00000 n", b"0000000016 00001 n"),
    )  # fmt: skip
    for wrong in near:
        assert plain.pressed(wrong) is None, wrong[-200:]
    found = plain.pressed(good)
    assert found is not None
    assert (found.size, found.root, found.page) == (7, 6, 3)


def test_drawings_come_back_and_say_what_they_cannot() -> None:
    for made in (
        drawing.official("样例市港口管理局"),
        drawing.personal("李明"),
        drawing.personal("欧阳明华"),
    ):
        assert drawing.from_path(made.size, made.path).path == made.path
        half = made.size / 2 + 0.01
        assert all(abs(v) <= half for _, at in made.ops for v in at)
    assert "&lt;" in drawing.personal("李明").svg("<b>")
    for name in ("局", "x" * 41, "市\U000e0041局"):
        with pytest.raises(drawing.NoGlyph):
            drawing.official(name)
    with pytest.raises(ValueError, match="path"):
        drawing.from_path(10, "M1 2 3")


def test_a_second_seal_leaves_the_first_good(house: House, document: bytes) -> None:
    two = sealed(house.signer(SM2), document)
    verdict = sealing.check_pdf(two, [house.root])
    assert verdict.good, verdict.problems
    assert [m.algorithm for m in verdict.marks] == ["SHA-256", "SM2 / SM3"]
    assert two.startswith(document)


def test_openssl_verifies_the_sm2_signature(house: House, tmp_path: Path) -> None:
    """openssl 3 cannot verify an SM2 CMS by itself; its digest and signature commands can, part by part."""
    made = sealed(house.signer(SM2))
    span = re.search(rb"/ByteRange \[ ?(\d+) (\d+) (\d+) (\d+)", made)
    assert span is not None
    _, one, two, size = map(int, span.groups())
    signed = cms.read(bytes.fromhex(made[one + 1 : two - 1].decode()))
    key = der.pem("PUBLIC KEY", certificates.key_of(signed.certificate).spki)
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "value").write_bytes(signed.value)
    (tmp_path / "whole").write_bytes(made[:one] + made[two : two + size])
    digest = subprocess.run(
        ["openssl", "dgst", "-sm3", "-r", tmp_path / "whole"], capture_output=True, check=True
    ).stdout
    assert digest.split()[0].decode() == signed.digest.hex()
    done = subprocess.run(
        ["openssl", "dgst", "-sm3", "-sigopt", "distid:1234567812345678", "-verify",
         tmp_path / "key.pem", "-signature", tmp_path / "value"],
        input=signed.attributes, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_each_fault_has_its_name(house: House, document: bytes) -> None:
    assert codes(document, house) == set()
    assert codes(pdf(), house) == {"unsigned"}
    assert codes(document.replace(b"(permit)", b"(Permit)"), house) == {"changed"}
    assert codes(document + b"\n%more", house) == {"appended"}
    stranger = House()
    assert codes(document, stranger) >= {"untrusted"}
    assert codes(sealed(house.signer(stamp=None)), house) >= {"no_stamp"}
    bare = house.signer(evidence=sealing.Evidence())
    assert codes(sealed(bare), house) == {"unknown_status"}
    with pytest.raises(sealing.NotPdf):
        sealing.check_pdf(b"text", [house.root])
    # Signed with an authority's own certificate, or the stamper's: neither may sign documents.
    for certificate, key in (
        (house.issuer.certificate, house.issuer.key),
        (house.authority.certificate, house.authority.key),
    ):
        wrong = house.signer(certificate=certificate, key=key)
        assert "wrong_use" in codes(
            sealed(sealing.Signer(key, certificate, (), house.authority.stamp, wrong.evidence)),
            house,
        )


def test_a_withdrawn_certificate_is_named_by_the_document_or_by_the_authority(
    house: House, document: bytes
) -> None:
    early, late = NOW - dt.timedelta(days=1), NOW + dt.timedelta(days=1)
    gone = codes(document, house, revoked=lambda c: Withdrawal(early, "key_compromise"))
    assert gone == {"revoked"}
    after = sealing.check_pdf(document, [house.root], revoked=lambda c: Withdrawal(late, "ended"))
    assert after.good
    assert after.marks[0].notes
    own = new_key(ECDSA)
    signer = house.signer(key=own)
    said = house.responder.about(
        signer.certificate.serial_number, Withdrawal(early.replace(microsecond=0), "ended")
    )
    told = sealing.Evidence(signer.evidence.certificates, (said,), ())
    remade = sealing.Signer(own, signer.certificate, signer.between, signer.stamp, told)
    assert codes(sealed(remade), house) == {"revoked"}
    # An answer by another responder, or one that had run out, says nothing.
    for other in (House().responder, Responder(house.responder.key, house.responder.certificate,
                                               house.issuer.certificate, minutes=-5)):  # fmt: skip
        odd = sealing.Evidence(
            signer.evidence.certificates, (other.about(signer.certificate.serial_number, GOOD),), ()
        )
        remade = sealing.Signer(own, signer.certificate, signer.between, signer.stamp, odd)
        assert codes(sealed(remade), house) == {"unknown_status"}


def test_what_is_added_after_the_seal_is_seen(house: House, document: bytes) -> None:
    """An incremental update that changes the page behind the seal (a shadow attack)."""
    writer = IncrementalPdfFileWriter(BytesIO(document))
    page = writer.root["/Pages"]["/Kids"][0]
    page["/Rotate"] = generic.NumberObject(90)
    writer.mark_update(page.container_ref)
    out = BytesIO()
    writer.write(out)
    assert codes(out.getvalue(), house) == {"appended"}
    # Also when another, good seal is set over the change.
    again = sealed(house.signer(), out.getvalue())
    assert "appended" in codes(again, house)


def test_a_gap_wider_than_the_signature_hides_nothing(house: House, document: bytes) -> None:
    """A byte range that leaves more than the signature out would let content be changed."""
    span = re.search(rb"/ByteRange \[ ?(\d+) (\d+) (\d+) (\d+) ?\]", document)
    assert span is not None
    zero, one, two, size = map(int, span.groups())
    wider = b"/ByteRange [%d %d %d %d]" % (zero, one - 10, two, size)
    moved = document.replace(span[0], wider.ljust(len(span[0])))
    assert codes(moved, house) == {"changed"}


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_broken_or_changed_file_passes_or_crashes(
    house: House, document: bytes, data: st.DataObject
) -> None:
    """Fuzz: cut, flipped, doubled or invented bytes end in a verdict that is not good, or NotPdf."""
    at = data.draw(st.integers(5, len(document) - 1))
    match data.draw(st.sampled_from(["flip", "cut", "insert", "noise"])):
        case "flip":
            made = document[:at] + bytes((document[at] ^ data.draw(st.integers(1, 255)),))
            made += document[at + 1 :]
        case "cut":
            made = document[:at]
        case "insert":
            made = document[:at] + data.draw(st.binary(min_size=1, max_size=40)) + document[at:]
        case _:
            made = b"%PDF-1.7\n" + data.draw(st.binary(max_size=400))
    try:
        verdict = sealing.check_pdf(made, [house.root])
    except sealing.NotPdf:
        return
    if verdict.good:
        # Nobody signs the certificates that lie in a signature beside its signer's, nor whether
        # its hexadecimal text is in small letters: what is proven is the same, about the same.
        gap = slice(
            document.index(b"/Contents <"), document.index(b">", document.index(b"/Contents <"))
        )
        assert len(made) == len(document)
        assert (made[: gap.start], made[gap.stop :]) == (
            document[: gap.start],
            document[gap.stop :],
        )
        assert verdict == sealing.check_pdf(document, [house.root])


def test_a_weak_digest_is_refused(house: House, tmp_path: Path) -> None:
    """SHA-1 by openssl's own hand: the certificate is good, the digest is not believed."""
    key = new_key(ECDSA)
    (tmp_path / "key.pem").write_text(key.pem)
    (tmp_path / "own.pem").write_bytes(house.certified(key).public_bytes(Encoding.PEM))
    made = {}
    for name in ("sha1", "sha256"):
        made[name] = subprocess.run(
            ["openssl", "cms", "-sign", "-binary", "-md", name, "-signer", "own.pem", "-inkey",
             "key.pem", "-outform", "DER"],
            cwd=tmp_path, input=b"data", capture_output=True, check=True,
        ).stdout  # fmt: skip
    assert cms.read(made["sha256"]).holds()
    with pytest.raises(cms.BadSignature, match="摘要算法"):
        cms.read(made["sha1"])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader_of_signatures(data: bytes) -> None:
    with pytest.raises(cms.BadSignature):
        cms.read(data)


def test_pdfs_that_cannot_be_signed_say_so(house: House) -> None:
    signer = house.signer()
    for content in (b"", b"%PDF-1.7", b"x" * 1000, pdf()[:200]):
        with pytest.raises(sealing.CannotSign):
            sealing.sign_pdf(content, signer=signer, reason="", when=NOW)
    assert signer.image is not None
    with pytest.raises(sealing.CannotSign, match="没有要盖章"):
        sealing.sign_pdf(
            pdf(), signer=signer, reason="", when=NOW, visible=signer.image.at(3, 1, 1)
        )
    bound = house.signer(document_digest="0" * 64)
    with pytest.raises(sealing.CannotSign, match="登记"):
        sealed(bound)


def test_no_byte_of_a_signature_is_changed_unseen(house: House, document: bytes) -> None:
    """Certificates that a signature carries are signed by nobody here: the kept ones tell."""
    found = re.search(rb"/Contents\s*<([0-9A-Fa-f]+)>", document)
    assert found is not None
    begin, end = found.span(1)
    used = begin + len(document[begin:end].rstrip(b"0"))
    for at in range(begin, used, 67):
        digit = b"%X" % (int(document[at : at + 1], 16) ^ 5)
        made = document[:at] + digit + document[at + 1 :]
        try:
            assert codes(made, house), at - begin
        except sealing.NotPdf:
            continue


def test_pyhankos_own_signature_is_read(house: House) -> None:
    """A document that pyHanko signed by itself, older style, no stamp: intact, trusted up to the stamp."""
    from asn1crypto import keys as asn1_keys
    from asn1crypto import x509 as asn1_x509
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    key = new_key(ECDSA)
    certificate = house.certified(key)
    held = SimpleCertificateStore()
    held.register(asn1_x509.Certificate.load(house.issuer.certificate.public_bytes(Encoding.DER)))
    inner = der.read(base64.b64decode("".join(key.pem.split("\n")[1:-2]))).whole
    own = signers.SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER)),
        signing_key=asn1_keys.PrivateKeyInfo.load(inner),
        cert_registry=held,
    )
    made = signers.sign_pdf(
        IncrementalPdfFileWriter(BytesIO(pdf())),
        signers.PdfSignatureMetadata(field_name="A"),
        signer=own,
    ).getvalue()
    verdict = sealing.check_pdf(made, [house.root], revoked=lambda c: None)
    assert verdict.intact
    assert {p.code for p in verdict.problems} == {"no_stamp"}


def test_a_key_in_a_token_signs_and_does_not_come_out(house: House, tmp_path: Path) -> None:
    """SoftHSM stands for a hardware store: a key is made there, signs a PDF there, and stays there."""
    # The library reads its configuration once a process: one token for all tests.
    if "SOFTHSM2_CONF" not in os.environ:
        (tmp_path / "tokens").mkdir()
        told = tmp_path / "softhsm2.conf"
        told.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = str(told)
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", "lianyun",
             "--so-pin", "12345678", "--pin", "87654321"],
            check=True, capture_output=True,
        )  # fmt: skip
    found = [
        place
        for place in (
            "/usr/lib/softhsm/libsofthsm2.so",
            "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
            "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        )
        if Path(place).exists()
    ]
    store = keystore.Pkcs11Store(found[0], "lianyun", "87654321")
    public = store.make("seal-1", ECDSA)
    key = store.key("seal-1", public)
    assert public.verify(b"data", key.sign(b"data"))
    made = sealed(house.signer(key=key))  # type: ignore[arg-type]
    assert sealing.check_pdf(made, [house.root]).good
    with pytest.raises(BadKey, match="ECDSA"):
        store.make("seal-2", SM2)
    with pytest.raises(keystore.StoreError):
        store.key("no-such", public).sign(b"data")
    with pytest.raises(keystore.StoreError):
        keystore.Pkcs11Store(found[0], "no-token", "1").make("x", ECDSA)
    import pkcs11

    session = pkcs11.lib(found[0]).get_token(token_label="lianyun").open()
    held = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label="seal-1")
    with pytest.raises(pkcs11.PKCS11Error):
        held[pkcs11.Attribute.VALUE]
