"""OFD files: laid out as the standard's schema says, the same bytes each time, every changed part named."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from fontTools.ttLib import TTFont
from lxml import etree

from lianyun.trust import ofd, sealing
from lianyun.trust.signatures import ECDSA, SM2

from .test_sealing import House

DAY = dt.date(2026, 5, 20)
NOW = dt.datetime(2026, 5, 20, 8, 30, tzinfo=dt.UTC)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c63f80f00010101001bb6ee560000000049454e44ae426082"
)
LINES = ("居住证", "姓名", "张三丰 & <Li>", "no glyph: \U0002ffff", "bad\x0bcharacter")
ABOUT = ofd.About("0" * 32, "居住证", "市公安局", DAY, {"电子证照标识": "1.2.156", "空": ""})
PAGE = ofd.Page(
    210, 135,
    (
        ofd.Path((("M", (6, 6)), ("L", (200, 6)), ("C", (1, 2, 3, 4, 5, 6)), ("Z", ())), (1, 2, 3), 0.9),
        *(ofd.Text(text, 20, 20 + 8 * n, 4.5) for n, text in enumerate(LINES)),
        ofd.Image(PNG, 20, 100, 20, 20),
        ofd.Image(PNG, 50, 100, 20, 20),
    ),
)  # fmt: skip
# The order of children in the schemas of GB/T 33190-2016, appendix A.
ORDER = {
    "OFD": ["DocBody"],
    "DocBody": ["DocInfo", "DocRoot", "Versions", "Signatures"],
    "DocInfo": ["DocID", "Title", "Author", "Subject", "Abstract", "CreationDate", "ModDate", "DocUsage", "Cover", "Keywords", "Creator", "CreatorVersion", "CustomDatas"],
    "CustomDatas": ["CustomData"],
    "Document": ["CommonData", "Pages"],
    "CommonData": ["MaxUnitID", "PageArea", "PublicRes", "DocumentRes", "TemplatePage", "DefaultCS"],
    "PageArea": ["PhysicalBox", "ApplicationBox", "ContentBox", "BleedBox"],
    "Pages": ["Page"],
    "Res": ["Fonts", "MultiMedias"],
    "Fonts": ["Font"],
    "Font": ["FontFile"],
    "MultiMedias": ["MultiMedia"],
    "MultiMedia": ["MediaFile"],
    "Page": ["Template", "PageRes", "Area", "Content"],
    "Content": ["Layer"],
    "Layer": None,
    "PathObject": ["StrokeColor", "FillColor", "AbbreviatedData"],
    "TextObject": ["FillColor", "StrokeColor", "TextCode"],
    "ImageObject": ["Border"],
    "Signatures": ["MaxSignId", "Signature"],
    "Signature": ["SignedInfo", "SignedValue"],
    "SignedInfo": ["Provider", "SignatureMethod", "SignatureDateTime", "References", "StampAnnot", "Seal"],
    "References": ["Reference"],
    "Reference": ["CheckValue"],
}  # fmt: skip


@pytest.fixture(scope="module")
def house() -> House:
    return House()


def signed(house: House, algorithm: str = ECDSA) -> bytes:
    return sealing.sign_ofd(ABOUT, PAGE, signer=house.signer(algorithm), when=NOW, at=(150, 40))


@pytest.fixture(scope="module")
def file(house: House) -> bytes:
    return signed(house)


def parts_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {n: archive.read(n) for n in archive.namelist()}


def checked(data: bytes, house: House) -> sealing.Verdict:
    return sealing.check_ofd(data, [house.root], revoked=lambda certificate: None)


def test_the_parts_are_laid_out_as_the_schema_says(file: bytes) -> None:
    parts = parts_of(file)
    assert zipfile.ZipFile(io.BytesIO(file)).testzip() is None
    for name, data in parts.items():
        if not name.endswith(".xml"):
            continue
        for element in etree.fromstring(data).iter():
            tag = etree.QName(element)
            assert tag.namespace == ofd.NAMESPACE
            allowed = ORDER.get(tag.localname, [])
            if allowed is not None:
                places = [allowed.index(etree.QName(c).localname) for c in element]
                assert places == sorted(places), (name, tag.localname)
    space = {"o": ofd.NAMESPACE}
    entry = etree.fromstring(parts["OFD.xml"])
    assert entry.findtext(".//o:DocRoot", None, space) == "Doc_0/Document.xml"
    assert entry.findtext(".//o:Signatures", None, space) in parts
    assert entry.find(".//o:CustomData[@Name='电子证照标识']", space).text == "1.2.156"
    document = etree.fromstring(parts["Doc_0/Document.xml"])
    content = etree.fromstring(parts["Doc_0/Pages/Page_0/Content.xml"])
    resources = [etree.fromstring(parts[f"Doc_0/{n}Res.xml"]) for n in ("Public", "Document")]
    numbers = [int(e.get("ID")) for root in (document, content, *resources) for e in root.iter() if e.get("ID")]  # fmt: skip
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) <= int(document.findtext(".//o:MaxUnitID", None, space))
    files = {m.get("ID"): m[0].text for root in resources for m in root.iter() if m.get("ID")}
    assert all(f"Doc_0/Res/{name}" in parts for name in files.values())
    for image in content.iter(f"{{{ofd.NAMESPACE}}}ImageObject"):
        assert parts[f"Doc_0/Res/{files[image.get('ResourceID')]}"] == PNG
    texts = content.findall(".//o:TextCode", space)
    assert [t.text for t in texts] == [line.replace("\x0b", "") for line in LINES]
    font = TTFont(io.BytesIO(parts["Doc_0/Res/font_1.ttf"]))
    known = font.getBestCmap()
    for text in texts:
        assert len(text.get("DeltaX").split()) == len(text.text) - 1
        assert {ord(c) for c in text.text} - {0x2FFFF} <= set(known)
    assert font["glyf"][known[ord("张")]].numberOfContours > 0


def test_the_same_page_gives_the_same_bytes() -> None:
    one = ofd.write(ABOUT, PAGE)
    ofd._font_file.cache_clear()
    assert ofd.write(ABOUT, PAGE) == one


@pytest.mark.parametrize("algorithm", [ECDSA, SM2])
def test_a_signed_file_proves_itself_and_names_a_foreigner(house: House, algorithm: str) -> None:
    data = signed(house, algorithm)
    verdict = checked(data, house)
    assert verdict.good, verdict.problems
    assert verdict.organ.startswith("连云港市")
    assert verdict.marks[0].claimed == "20260520083000Z"
    foreign = checked(data, House())
    assert foreign.intact
    assert "untrusted" in {p.code for p in foreign.problems}
    bare = sealing.check_ofd(ofd.write(ABOUT, PAGE), [house.root])
    assert [p.code for p in bare.problems] == ["unsigned"]
    alone = sealing.check_ofd(data, [house.root])
    assert [p.code for p in alone.problems] == ["unknown_status"]


def test_openssl_verifies_the_signed_value(file: bytes, house: House, tmp_path: Path) -> None:
    parts = parts_of(file)
    (tmp_path / "value").write_bytes(parts["Doc_0/Signs/Sign_0/SignedValue.dat"])
    (tmp_path / "text").write_bytes(parts["Doc_0/Signs/Sign_0/Signature.xml"])
    (tmp_path / "root").write_bytes(house.root.public_bytes(Encoding.PEM))
    command = (
        "openssl cms -verify -binary -inform DER -in value -content text -CAfile root -purpose any"
    )
    run = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    (tmp_path / "text").write_bytes(parts["Doc_0/Signs/Sign_0/Signature.xml"] + b" ")
    assert subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False).returncode  # fmt: skip


def test_a_changed_byte_in_any_part_is_named(file: bytes, house: House) -> None:
    parts = parts_of(file)
    assert len(parts) == 10
    for name, data in parts.items():
        middle = len(data) // 2
        other = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        # As a disk would do it, and as somebody does who knows how to mend the container.
        for changed in (file.replace(data, other), ofd.packed({**parts, name: other})):
            assert changed != file
            verdict = checked(changed, house)
            assert not verdict.good
            if name == "Doc_0/Signs/Sign_0/SignedValue.dat" and verdict.intact:
                # Inside the signature's own time stamp: the stamp is what is named.
                assert [p.code for p in verdict.problems] == ["bad_stamp"]
                continue
            assert not verdict.intact
            assert any(name in str(p) for p in verdict.problems), (name, verdict.problems)
    less = {n: d for n, d in parts.items() if "image" not in n}
    more = {**parts, "Doc_0/Extra.xml": b"<x/>"}
    assert [str(p) for p in checked(ofd.packed(less), house).problems] == ["部件 Doc_0/Res/image_2.png 缺失"]  # fmt: skip
    assert [p.code for p in checked(ofd.packed(more), house).problems] == ["appended"]
    for place in (10, len(file) - 40):  # a clock in a header, the directory
        moved = file[:place] + bytes([file[place] ^ 1]) + file[place + 1 :]
        try:
            assert not checked(moved, house).intact
        except sealing.NotOfd:
            assert place != 10


def test_a_signer_is_bound_to_its_page(house: House) -> None:
    digest = hashlib.sha256(ofd.write(ABOUT, PAGE)).hexdigest()
    signer = house.signer(document_digest=digest)
    assert sealing.sign_ofd(ABOUT, PAGE, signer=signer, when=NOW, at=(1, 1))
    with pytest.raises(sealing.CannotSign):
        sealing.sign_ofd(ABOUT, ofd.Page(210, 135, ()), signer=signer, when=NOW, at=(1, 1))


def archive(entries: list[tuple[str, bytes]], how: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as made:
        for name, data in entries:
            made.writestr(name, data)
    return out.getvalue()


ROOT = ("OFD.xml", b"<x/>")
HOSTILE: dict[str, Callable[[], bytes]] = {
    "a bomb": lambda: archive([ROOT, ("a.xml", bytes(8_000_000))], zipfile.ZIP_DEFLATED),
    "a way out": lambda: archive([ROOT, ("../../etc/passwd.xml", b"x")]),
    "from the root": lambda: archive([ROOT, ("/etc/passwd.xml", b"x")]),
    "backslashes": lambda: archive([ROOT, ("..\\a.xml", b"x")]),
    "too many": lambda: archive([ROOT, *((f"a{n}.xml", b"") for n in range(3000))]),
    "nothing in it": lambda: archive([]),
    "no entry": lambda: archive([("a.xml", b"x")]),
    "cut": lambda: archive([ROOT])[:40],
    "not a zip": lambda: b"PK\x03\x04" + bytes(300),
    "too large": lambda: b"PK\x03\x04" + bytes(17 * 1024 * 1024),
    "one part told twice as long": lambda: archive([ROOT]).replace(
        struct.pack("<II", 4, 4), struct.pack("<II", 1 << 30, 1 << 30)
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_containers_are_refused(name: str, house: House) -> None:
    with pytest.raises(sealing.NotOfd):
        checked(HOSTILE[name](), house)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused(house: House) -> None:
    with pytest.raises(sealing.NotOfd):
        checked(archive([ROOT, ROOT]), house)


def test_hostile_descriptions_are_not_believed(file: bytes, house: House, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    parts = parts_of(file)
    told = parts["Doc_0/Signs/Sign_0/Signature.xml"]
    laughs = b"".join(b'<!ENTITY l%d "%b">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))
    for text in (
        b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file://%b'>]><x>&e;</x>" % str(secret).encode(),
        b'<!DOCTYPE x [<!ENTITY l0 "lol">%b]><x>&l11;</x>' % laughs,
        told.replace(b"<ofd:Signature ", b"<!DOCTYPE a []><ofd:Signature "),
        told.replace(b"SM3", b"MD5"),
        told[:200],
        b"<x/>" * 2,
        b"<a>" * 100_000,
        b"",
    ):
        forged = ofd.packed({**parts, "Doc_0/Signs/Sign_0/Signature.xml": text})
        verdict = checked(forged, house)
        assert not verdict.intact
        assert "s3cret" not in str(verdict)
    broken = ofd.packed(
        {**parts, "Doc_0/Signs/Sign_0/SignedValue.dat": b"\x30\x84\xff\xff\xff\xff"}
    )
    assert [p.code for p in checked(broken, house).problems] == ["bad_signature"]
    for place in range(0, len(file), len(file) // 40):
        for data in (file[:place], file[:place] + file[place + 7 :]):
            try:
                assert not checked(data, house).good
            except sealing.NotOfd:
                continue
