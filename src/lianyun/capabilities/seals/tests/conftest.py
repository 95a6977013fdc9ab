"""A department with a seal, its keeper, its head and the bureau."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from lianyun.capabilities.seals import actions, queries
from lianyun.capabilities.seals.models import Seal
from lianyun.kernel import install
from lianyun.kernel.access import SYSTEM, Actor, Membership, actor_of
from lianyun.kernel.models import Case, Party


def blank_pdf(text: bytes = b"permit", pages: int = 1) -> bytes:
    """A small PDF of our own making, with a right cross-reference table."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * i) for i in range(pages))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, pages),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for _ in range(pages):
        stream = b"BT /F1 24 Tf 72 700 Td (%b) Tj ET" % text
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % (len(objects) + 2),
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
        ]
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % at for at in places)
    return out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        start,
    )


@dataclass
class Desk:
    """Everybody whom a seal's life needs."""

    keeper: Actor
    head: Actor
    bureau: Actor
    maker: Actor
    outsider: Actor

    def apply(self, **given: Any) -> Case:
        """An application of the market bureau's."""
        wanted = {
            "kind": "organ",
            "title": "市市场监督管理局证照专用章",
            "name": "连云港市市场监督管理局",
            "below": "证照专用章",
            "automatic": ["licences.issue"],
            "reason": "依法出具电子证照",
        }
        assert self.keeper.department is not None
        return actions.request_seal(
            department=self.keeper.department, by=self.keeper, **{**wanted, **given}
        )

    def make(self, **given: Any) -> Seal:
        """A seal through all of its steps."""
        case = self.apply(**given)
        for by in (self.head, self.bureau, self.maker):
            item = case.items.get(done_at=None)
            outcome = item.declared.outcomes[0].name
            case = actions.do_step(item=item, outcome=outcome, by=by)
        found = queries.seal_of_case(self.bureau, case)
        assert found is not None
        return found


@pytest.fixture
def post(db: None) -> Callable[..., Actor]:
    """Makes an officer; departments, roles and paths are all that seals need of the packs."""
    install.install(by=SYSTEM)

    def make(slug: str, role: str) -> Actor:
        department = Party.objects.get(kind="department", slug=slug)
        person = Party.objects.create(kind="person", name=f"{department.short}干部")
        Membership.objects.create(party=person, department=department, role=role)
        return actor_of(person)

    return make


@pytest.fixture
def desk(post: Callable[..., Actor]) -> Desk:
    """Officers of 市场监管, of the bureau, and of another department."""
    return Desk(
        post("scjg", "seal_keeper"),
        post("scjg", "share_head"),
        post("sjj", "bureau_operator"),
        post("sjj", "seal_maker"),
        post("ga", "seal_keeper"),
    )
