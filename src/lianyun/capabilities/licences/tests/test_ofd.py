"""OFD: the same licence as a national fixed-layout file, made once, recorded, verified like the PDF."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pypdfium2
import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from lxml import etree

from lianyun.capabilities.licences import actions
from lianyun.capabilities.licences.adapters import shelf
from lianyun.capabilities.licences.models import Licence
from lianyun.capabilities.licences.queries import kinds, verdicts
from lianyun.capabilities.licences.rules import fixed, types
from lianyun.kernel.access import ANONYMOUS, Actor, Denied, UserError
from lianyun.kernel.models import Event, Party
from lianyun.trust import ofd

from .conftest import PERMIT

pytestmark = pytest.mark.django_db


def texts(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        root = etree.fromstring(file.read("Doc_0/Pages/Page_0/Content.xml"))
    return [e.text for e in root.iter(f"{{{ofd.NAMESPACE}}}TextCode")]


def browser(who: Actor, name: str) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create(username=name, party=who.party))
    return client


def test_the_file_is_made_once_and_says_what_the_pdf_says(
    sealed: Party, permit: Licence, citizen: Actor, stranger: Actor, head: Actor
) -> None:
    with pytest.raises(Denied):
        actions.original_ofd(permit, by=stranger)
    document, data = actions.original_ofd(permit, by=citizen)
    again, same = actions.original_ofd(permit, by=citizen)
    assert (document.pk, data) == (again.pk, same)
    assert shelf.get(document.ofd, "ofd") == data
    assert Event.objects.filter(kind="licence.file_made", data__form="ofd").count() == 1
    assert [e.data for e in Event.objects.filter(kind="licence.file_read")] == [{"form": "ofd"}]
    other, pdf = actions.original(permit, by=citizen)
    assert other.pk == document.pk
    printed = pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_range()
    printed = "".join(c for c in printed if not c.isspace() and c != "\u200b")
    shown = "".join(texts(data)).replace(" ", "").replace("　", "")
    for value in ("居住证", PERMIT["name"], PERMIT["citizen_number"], PERMIT["residence_address"],
                  "2026年05月20日", "签发机关", "新东派出所", "市公安局", "模拟数据"):  # fmt: skip
        assert value in shown
        assert value in printed

    told = verdicts.by_file(ANONYMOUS, data)
    assert (told.code, told.good) == ("valid", True), told.points
    assert ("证照类型", "居住证") in told.facts
    changed = verdicts.by_file(ANONYMOUS, data.replace("张三丰".encode(), "张三风".encode()))
    assert changed.code == "changed"
    assert not changed.facts
    assert any("Doc_0/Pages/Page_0/Content.xml" in text for _, text in changed.points)
    assert verdicts.by_file(ANONYMOUS, b"PK\x03\x04 nothing").code == "form"
    actions.suspend_licence(permit, reason="核查", by=head)
    assert verdicts.by_file(ANONYMOUS, data).code == "suspended"


def test_the_pages_offer_it_and_verify_it(
    permit: Licence, citizen: Actor, police: Actor, client: Client
) -> None:
    mine = browser(citizen, "shimin")
    at = f"/my/licences/{permit.identifier}/"
    assert "下载 OFD" in mine.get(at).content.decode()
    answer: Any = mine.get(f"{at}ofd/")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/ofd")
    data = answer.content
    # A department without a seal: the register answers, and knows this very file.
    told = client.post("/api/verify/", data, content_type="application/ofd").json()
    assert told["result"] == "unsealed"
    upload = SimpleUploadedFile("licence.ofd", data.replace("张三丰".encode(), "张三风".encode()))
    page = client.post("/verify/", {"file": upload}).content.decode()
    assert "文件被改动过" in page
    assert "Content.xml" in page

    desk = browser(police, "ga")
    place = f"/workbench/licences/{permit.identifier}/"
    assert "下载 OFD" in desk.get(place).content.decode()
    assert desk.post(place, {"purpose": "", "file": "ofd"}).status_code == 400
    saved: Any = desk.post(place, {"purpose": "归档核对", "file": "ofd"})
    assert (saved["Content-Type"], saved.content) == ("application/ofd", data)
    assert Event.objects.filter(kind="licence.file_read", by=police.ref).exists()
    pdf: Any = desk.post(place, {"purpose": "归档核对", "file": "pdf"})
    assert pdf["Content-Type"] == "application/pdf"


def test_only_a_type_that_declares_it_gives_one(
    permit: Licence, citizen: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {n for n, k in kinds.kinds().items() if "ofd" in k.files}
    assert both == {"business_licence", "residence_permit"}
    told = {"name": "some_permit", "title": "许可", "issuer": "ga", "serial": "009", "holders": ["person"],
            "number": "n", "holder": {"number": "n", "name": "n"}, "dates": {"issued": "n"},
            "elements": [{"name": "n", "title": "号", "type": "C"}]}  # fmt: skip
    assert types.read(told, {}).files == ("pdf",)
    with pytest.raises(types.BadType, match="files"):
        types.read({**told, "files": ["ofd"]}, {})
    monkeypatch.setitem(kinds.kinds(), permit.kind, types.read({**told, "name": permit.kind}, {}))
    with pytest.raises(UserError, match="没有 OFD"):
        actions.original_ofd(permit, by=citizen)


def test_much_text_is_set_smaller(permit: Licence) -> None:
    sheet = actions.sheet_of(permit, permit.check_code)
    long = {**sheet.values, "residence_address": "海州区新东街道" * 140}
    page = fixed.page_of(sheet.__class__(**{**vars(sheet), "values": long}))
    placed = [p for p in page.pieces if isinstance(p, ofd.Text)]
    assert "".join(p.text for p in placed).count("海州区") >= 130
    assert max(p.y for p in placed) < page.height
    assert max(p.x + sum(ofd.advances(p.text, p.size)) for p in placed) < page.width
