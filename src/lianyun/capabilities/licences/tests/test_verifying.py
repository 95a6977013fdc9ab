"""Verifying: the file, its copies and its credential; each fault is named, nothing can be listed."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import zxingcpp
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lianyun.capabilities.licences import actions
from lianyun.capabilities.licences.adapters import press, shelf
from lianyun.capabilities.licences.models import Document, Licence
from lianyun.capabilities.licences.queries import licences, status, verdicts
from lianyun.kernel.access import ANONYMOUS, Actor, Denied, UserError
from lianyun.kernel.models import Event, Party
from lianyun.trust import check_licence

from .conftest import PERMIT

pytestmark = pytest.mark.django_db


def verdict(data: bytes) -> verdicts.Verdict:
    return verdicts.by_file(ANONYMOUS, data)


def test_the_file_is_made_once_and_proves_itself(
    sealed: Party, permit: Licence, citizen: Actor, head: Actor
) -> None:
    document, data = actions.original(permit, by=citizen)
    again, same = actions.original(permit, by=citizen)
    assert document.pk == again.pk
    assert data == same
    assert document.sealed
    told = verdict(data)
    assert (told.code, told.good) == ("valid", True), told.points
    page = pypdfium2.PdfDocument(data)[0]
    text = page.get_textpage().get_text_range().replace(" ", "")
    assert "居住证" in text
    assert "张三丰" in text
    assert "模拟数据" in text
    found = zxingcpp.read_barcodes(page.render(scale=3).to_numpy())
    assert [b.text for b in found] == [f"{shelf.site()}/verify/{permit.check_code}/"]

    at = data.index(b"/Keywords") if b"/Keywords" in data else len(data) // 3
    for place in (at + 20, len(data) // 2):
        changed = bytearray(data)
        changed[place] ^= 1
        assert verdict(bytes(changed)).code in ("changed", "form")
    assert verdict(data + b"\n% more").code == "changed"

    actions.suspend_licence(permit, reason="核查", by=head)
    assert verdict(data).code == "suspended"
    actions.resume_licence(permit, reason="无误", by=head)
    actions.end_licence(permit, ending="revoked", reason="骗取", by=head)
    told = verdict(data)
    assert told.code == "revoked"
    assert (True, "盖章后文件没有被改动") in told.points


def test_a_forged_file_is_foreign_unsealed_or_unknown(
    sealed: Party, permit: Licence, citizen: Actor
) -> None:
    drawn = press.draw(actions.documents.sheet_of(permit, permit.check_code))
    assert verdict(drawn).code == "changed"  # no seal, and not the file on record
    assert not verdict(drawn).facts
    assert verdict(b"%PDF-1.7 nothing").code in ("form", "unknown")
    assert verdict(b"hello").code == "form"
    forged = Licence(
        grant=permit.grant, kind=permit.kind, identifier=permit.identifier, number="1",
        sealed=permit.sealed, check_code="0" * 32, trust="A", issued_on=permit.issued_on,
        begins_on=permit.begins_on, ends_on=None,
    )  # fmt: skip
    data, made = actions.documents._sealed(
        press.draw(actions.documents.sheet_of(forged, "0" * 32)),
        permit,
        "licences.issue",
        by=citizen,
    )
    assert made
    assert verdict(data).code == "unknown"


def test_another_departments_seal_is_foreign(
    sealed: Party, permit: Licence, citizen: Actor
) -> None:
    """A genuine seal of this city under a licence that its department did not issue."""
    _, data = actions.original(permit, by=citizen)
    other = Party.objects.get(kind="department", slug="mz")
    permit.grant.__class__.objects.filter(pk=permit.grant_id).update(grantor=other)
    told = verdict(data)
    assert told.code == "foreign"
    assert any("不是颁发机关" in text for _, text in told.points)
    assert not told.facts


def test_without_a_seal_the_register_still_answers(permit: Licence, citizen: Actor) -> None:
    document, data = actions.original(permit, by=citizen)
    assert not document.sealed
    assert verdict(data).code == "unsealed"


def test_a_copy_is_bound_to_its_purpose_and_can_be_taken_back(
    sealed: Party, permit: Licence, citizen: Actor, stranger: Actor
) -> None:
    until = timezone.localdate() + dt.timedelta(days=10)
    wanted: dict[str, Any] = {"purpose": "办理子女入学", "recipient": "市教育局", "until": until}
    with pytest.raises(Denied):
        actions.make_copy(permit, by=stranger, **wanted)
    copy, data = actions.make_copy(permit, by=citizen, **wanted)
    told = verdict(data)
    assert told.good
    assert any("办理子女入学" in text for _, text in told.points)
    text = pypdfium2.PdfDocument(data)[0].get_textpage().get_text_range()
    assert "仅限用于办理子女入学" in text
    Document.objects.filter(pk=copy.pk).update(ends_on=timezone.localdate() - dt.timedelta(days=1))
    assert verdict(data).code == "copy_over"
    actions.withdraw_copy(copy, by=citizen)
    assert verdict(data).code == "copy_withdrawn"
    assert verdicts.by_code(ANONYMOUS, copy.check_code).code == "copy_withdrawn"
    with pytest.raises(UserError, match="一年以内"):
        actions.make_copy(permit, by=citizen, **{**wanted, "until": dt.date(2099, 1, 1)})
    Licence.objects.filter(pk=permit.pk).update(ends_on=until - dt.timedelta(days=1))
    with pytest.raises(UserError, match="不能晚于证照的有效期"):
        actions.make_copy(permit, by=citizen, **wanted)


def test_an_expired_licence_is_named(police: Actor) -> None:
    old = {**PERMIT, "issued_on": "2020-01-01", "valid_from": "2020-01-01"}
    made = actions.issue_licence("residence_permit", None, old, once="old", by=police)
    assert verdicts.by_code(ANONYMOUS, made.check_code).code == "expired"


def test_a_credential_offline_and_with_its_status(
    permit: Licence, citizen: Actor, head: Actor, stranger: Actor, client: Client, tmp_path: Path
) -> None:
    with pytest.raises(Denied):
        actions.credential_of(permit, ["age_over_18"], by=stranger)
    text = actions.credential_of(permit, ["age_over_18"], by=citizen)
    told = verdicts.by_credential(ANONYMOUS, text)
    assert told.good
    assert dict(told.facts) == {
        "证照类型": "居住证",
        "颁发机关": "市公安局",
        "已满 18 周岁": "是",
    }
    files = {n: tmp_path / n for n in ("c.sd-jwt", "keys.json", "list.jwt")}
    files["c.sd-jwt"].write_text(text)
    files["keys.json"].write_bytes(client.get("/.well-known/jwt-vc-issuer").content)
    number = status.uri_of(permit.pk).rpartition("/")[2]
    files["list.jwt"].write_bytes(client.get(f"/licences/status/{number}").content)
    run = [str(files["c.sd-jwt"]), "--keys", str(files["keys.json"]), "--status"]
    assert check_licence.main([*run, str(files["list.jwt"])]) == 0
    actions.end_licence(permit, ending="annulled", reason="本人申请", by=head)
    files["list.jwt"].write_bytes(client.get(f"/licences/status/{number}").content)
    assert check_licence.main([*run, str(files["list.jwt"])]) == 1
    assert verdicts.by_credential(ANONYMOUS, text).code == "annulled"
    files["keys.json"].write_text('{"keys": []}')
    assert check_licence.main(run[:3]) == 1
    with pytest.raises(UserError, match="不在有效状态"):
        actions.credential_of(permit, ["age_over_18"], by=citizen)


def test_keys_are_changed_and_the_old_still_verify(
    permit: Licence, citizen: Actor, head: Actor
) -> None:
    text = actions.credential_of(permit, ["age_over_18"], by=citizen)
    before = actions.signing_key().kid
    actions.new_signing_key(by=head.__class__(everything=True), again=True)
    assert actions.signing_key().kid != before
    assert verdicts.by_credential(ANONYMOUS, text).good


def test_nobody_lists_licences_by_trying(permit: Licence, client: Client) -> None:
    wrong = [client.get(f"/verify/{n:032x}/").content for n in range(2)]
    assert client.get(f"/verify/{permit.number}/").content.count("没有查到".encode()) == 1
    assert len(wrong[0]) == len(wrong[1])
    for _ in range(actions.limits.LIMITS["verify"]):
        answer = client.get(f"/verify/{'a' * 32}/")
    assert answer.status_code == 400
    assert "操作过于频繁" in answer.content.decode()
    found = verdicts.by_code(ANONYMOUS, permit.check_code)
    assert ("持证主体", "张**") in found.facts
    assert PERMIT["citizen_number"] not in str(found)
    assert PERMIT["licence_number"] not in str(found)


def test_the_interface_answers_in_json(permit: Licence, client: Client, citizen: Actor) -> None:
    def post(body: Any, kind: str = "application/json") -> Any:
        return client.post("/api/verify/", body, content_type=kind)

    told = post({"code": permit.check_code}).json()
    assert told["valid"]
    assert told["result"] == "valid"
    assert post({"code": "x"}).json()["result"] == "unknown"
    assert post(b"[1]").status_code == post(b"{").status_code == post({}).status_code == 400
    _, data = actions.original(permit, by=citizen)
    assert post(data, "application/pdf").json()["result"] == "unsealed"
    text = actions.credential_of(permit, ["name"], by=citizen)
    assert post({"credential": text}).json()["facts"]["姓名"] == "张三丰"
    assert client.get("/api/verify/").status_code == 405
    kind = client.get("/licences/types/residence_permit").json()
    assert kind["name"] == "居住证"
    assert client.get("/licences/status/99").status_code == 404
    assert json.loads(client.get("/.well-known/jwt-vc-issuer").content)["issuer"] == shelf.site()


def test_an_officer_reads_only_what_his_department_issued(
    permit: Licence, clerk: Actor, police: Actor
) -> None:
    with pytest.raises(Denied):
        licences.one(clerk, permit.identifier)
    with pytest.raises(Denied):
        actions.original(permit, by=clerk)
    assert licences.one(police, permit.identifier).pk == permit.pk
    actions.original(permit, by=police)
    assert Event.objects.filter(kind="licence.file_made", by=police.ref).count() == 1


@given(st.binary(max_size=400), st.integers(min_value=0, max_value=20_000))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_bytes_break_the_reader_of_files(
    permit: Licence, citizen: Actor, noise: bytes, place: int
) -> None:
    _, data = actions.original(permit, by=citizen)
    for form in (noise, b"%PDF-1.7\n" + noise, data[:place] + noise + data[place:]):
        assert verdict(form).title
