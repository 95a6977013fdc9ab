"""Seals: PDF signatures and checks beside bare pyHanko, SM2 beside its bare library.

``python benchmarks/seals.py [--rounds N] [--each N] [--pages N]`` signs the same document with
PAdES B-LT (same certificates, OCSP answer, list and time-stamping key, no network) by the product
and by pyHanko called per file with its validation context made once, in turns; then both check what
was signed. pyHanko's bottom line is asked of every kind of document made. SM2 is measured through
the product's adapter and by gmssl-pyx alone, in turns. CPU seconds of this one process, so the
figures are per core. Targets: SM2 at least 90 % of the library, PDFs at least 3 times pyHanko,
checks at least 200 a second. Then how a signature grows with the document.
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import gmssl_pyx
from asn1crypto import crl as asn1_crl
from asn1crypto import keys as asn1_keys
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils import generic, writer
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.timestamps import TimeStamper
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from lianyun.trust import drawing, issuing, sealing
from lianyun.trust.issuing import GOOD, Issuer, Places, Responder
from lianyun.trust.signatures import ECDSA, SM2, PrivateKey, new_key
from lianyun.trust.timestamps import Authority

SM2_TARGET, PDF_TARGET, CHECK_TARGET = 0.9, 3.0, 200.0
ORGAN = "连云港市市场监督管理局"
DER = Encoding.DER


def document(pages: int) -> bytes:
    """A document of some pages with 4 kB of drawing each."""
    made = writer.PdfFileWriter()
    for number in range(pages):
        content = b"\n".join(
            b"%d %d 3 2 re f" % (i % 500, (i * 7 + number) % 800) for i in range(250)
        )
        stream = made.add_object(generic.StreamObject(stream_data=content))
        box = generic.ArrayObject(map(generic.NumberObject, (0, 0, 595, 842)))
        made.insert_page(writer.PageObject(contents=stream, media_box=box))
    out = BytesIO()
    made.write(out)
    return out.getvalue()


class Stamping(TimeStamper):
    """The same time-stamping authority for pyHanko."""

    def __init__(self, authority: Authority) -> None:
        super().__init__()
        self._authority = authority

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        """The authority's answer, in this process."""
        return tsp.TimeStampResp.load(self._authority.answer(req.dump()))


class House:
    """One authority and one signer, for both sides."""

    def __init__(self) -> None:
        root, own, answers, self.stamps, self.key = (new_key(ECDSA) for _ in range(5))
        name = issuing.distinguished
        self.root = issuing.new_root(root, name("根证书", "样例市"))
        self.issuer = issuing.certify_issuer(
            Issuer(root, self.root), own.public, name("签发机构", "样例市"), Places()
        )
        middle = Issuer(own, self.issuer)
        responder = issuing.certify_responder(middle, answers.public, name("状态", "样例市"))
        self.stamper = issuing.certify_stamper(
            middle, self.stamps.public, name("时间戳", "样例市"), Places()
        )
        self.certificate = issuing.certify_signer(
            middle, self.key.public, name(ORGAN, ORGAN), Places()
        )
        said = Responder(answers, responder, self.issuer, minutes=600)
        self.answers = tuple(
            said.about(c.serial_number, GOOD) for c in (self.certificate, self.stamper)
        )
        self.lists = (issuing.make_list(Issuer(root, self.root), [], 1),)
        self.held = tuple(c.public_bytes(DER) for c in (self.root, responder, self.stamper))
        pem = [
            c.public_bytes(Encoding.PEM).decode() for c in (self.stamper, self.root, self.issuer)
        ]
        self.authority = Authority(self.stamps, *pem)

    def ours(self) -> sealing.Signer:
        """The product's signer."""
        return sealing.Signer(
            self.key,
            self.certificate,
            (self.issuer,),
            self.authority.stamp,
            sealing.Evidence(self.held, self.answers, self.lists),
            ORGAN,
            sealing.SealImage(drawing.official(ORGAN, "证照专用章")),
        )

    def context(self, **more: Any) -> ValidationContext:
        """pyHanko's validation context with everything in hand."""
        return ValidationContext(
            trust_roots=[_asn1(self.root.public_bytes(DER))],
            other_certs=[_asn1(c) for c in (self.issuer.public_bytes(DER), *self.held)],
            ocsps=[asn1_ocsp.OCSPResponse.load(a) for a in self.answers],
            crls=[asn1_crl.CertificateList.load(c) for c in self.lists],
            allow_fetching=False,
            revocation_mode="soft-fail",
            **more,
        )

    def theirs(self) -> Callable[[bytes], bytes]:
        """pyHanko's signer, called per file as its guide does."""
        store = SimpleCertificateStore()
        store.register_multiple(
            [_asn1(c.public_bytes(DER)) for c in (self.issuer, self.stamper, self.root)]
        )
        signer = signers.SimpleSigner(
            signing_cert=_asn1(self.certificate.public_bytes(DER)),
            signing_key=_key(self.key),
            cert_registry=store,
        )
        stamper = Stamping(self.authority)
        context = self.context()

        def sign(content: bytes) -> bytes:
            told = signers.PdfSignatureMetadata(
                field_name="A",
                md_algorithm="sha256",
                subfilter=SigSeedSubFilter.PADES,
                embed_validation_info=True,
                validation_context=context,
            )
            made = signers.PdfSigner(told, signer=signer, timestamper=stamper).sign_pdf(
                IncrementalPdfFileWriter(BytesIO(content))
            )
            return bytes(made.getbuffer())

        return sign


def _asn1(data: bytes) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(data)


def _key(key: PrivateKey) -> asn1_keys.PrivateKeyInfo:
    return asn1_keys.PrivateKeyInfo.load(base64.b64decode("".join(key.pem.split("\n")[1:-2])))


def pyhanko_says(content: bytes, house: House) -> bool:
    """pyHanko's bottom line on a document."""
    reader = PdfFileReader(BytesIO(content))
    return bool(validate_pdf_signature(reader.embedded_signatures[0], house.context()).bottom_line)


def rate(work: Callable[[], Any], each: int) -> float:
    """Calls a second of CPU."""
    begun = time.process_time()
    for _ in range(each):
        work()
    return each / (time.process_time() - begun)


def in_turns(sides: dict[str, Callable[[], Any]], rounds: int, each: int) -> dict[str, float]:
    """The median rate of each side over rounds in which all take their turn."""
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for work in sides.values():
        work()
    for _ in range(rounds):
        for name, work in sides.items():
            seen[name].append(rate(work, each))
    return {name: statistics.median(values) for name, values in seen.items()}


def main() -> int:
    """Measure, print one line a figure, end with 1 where a target is missed."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--each", type=int, default=15)
    asked.add_argument("--pages", type=int, default=64)
    given = asked.parse_args()
    # pyHanko warns at each file that it may not fetch: that is what is wanted.
    logging.disable(logging.WARNING)
    missed = False

    def tell(name: str, **figures: Any) -> None:
        print(json.dumps({"figure": name, **figures}, ensure_ascii=False), flush=True)

    key, text = new_key(SM2), b"message digest"
    made = key.sign(text)
    sm2 = in_turns(
        {
            "sign": lambda: key.sign(text),
            "library_sign": lambda: gmssl_pyx.sm2_sign(key.secret, key.public.point, text),
            "verify": lambda: key.public.verify(text, made),
            "library_verify": lambda: gmssl_pyx.sm2_verify(key.public.point, text, made),
        },
        given.rounds,
        given.each * 2,
    )
    for what in ("sign", "verify"):
        part = sm2[what] / sm2[f"library_{what}"]
        missed |= part < SM2_TARGET
        tell(
            f"sm2_{what}",
            per_second=round(sm2[what]),
            gmssl_pyx=round(sm2[f"library_{what}"]),
            ratio=round(part, 3),
            target=SM2_TARGET,
        )

    house = House()
    signer, theirs = house.ours(), house.theirs()
    content, now = document(1), dt.datetime.now(dt.UTC)

    def ours(what: bytes = content, *, visible: bool = False) -> bytes:
        return sealing.sign_pdf(
            what,
            signer=signer,
            reason="签发",
            when=now,
            visible=signer.image if visible else None,
        )

    samples = {"ours": ours(), "seen": ours(visible=True), "pyhanko": theirs(content)}
    for name, sample in samples.items():
        if not pyhanko_says(sample, house) or not sealing.check_pdf(sample, [house.root]).good:
            print(f"{name}: not valid", file=sys.stderr)
            return 1
    pdf = in_turns(
        {
            "ours": ours,
            "seen": lambda: ours(visible=True),
            "pyhanko": lambda: theirs(content),
        },
        given.rounds,
        given.each,
    )
    ratio = pdf["ours"] / pdf["pyhanko"]
    missed |= ratio < PDF_TARGET
    tell(
        "pdf_sign_per_core",
        per_second=round(pdf["ours"], 1),
        with_picture=round(pdf["seen"], 1),
        pyhanko=round(pdf["pyhanko"], 1),
        ratio=round(ratio, 2),
        target=PDF_TARGET,
        kilobytes_added=round((len(samples["ours"]) - len(content)) / 1000, 1),
    )
    check = in_turns(
        {
            "ours": lambda: sealing.check_pdf(samples["seen"], [house.root]),
            "pyhanko": lambda: pyhanko_says(samples["seen"], house),
        },
        given.rounds,
        given.each,
    )
    missed |= check["ours"] < CHECK_TARGET
    tell(
        "pdf_check_per_core",
        per_second=round(check["ours"], 1),
        pyhanko=round(check["pyhanko"], 1),
        ratio=round(check["ours"] / check["pyhanko"], 2),
        target=CHECK_TARGET,
    )
    long = document(given.pages)
    grown = in_turns({"one": ours, "many": lambda: ours(long)}, given.rounds, given.each)
    tell(
        "pdf_sign_growth",
        pages=given.pages,
        size_ratio=round(len(long) / len(content), 1),
        time_ratio=round(grown["one"] / grown["many"], 2),
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
