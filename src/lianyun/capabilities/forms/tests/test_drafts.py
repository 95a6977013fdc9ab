"""Drafts: walked by browser requests without a script: saved, wrong, stale, parked, attached, closed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import Http404
from django.test import Client
from django.utils import timezone

from lianyun.capabilities.forms import actions, adapters, api, queries
from lianyun.capabilities.forms.models import Declaration as Kept
from lianyun.capabilities.forms.models import Draft
from lianyun.capabilities.forms.tests.test_rules import png
from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError, actor_of
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Event
from lianyun.kernel.packs import Declaration

pytestmark = pytest.mark.django_db
NUMBER, OTHER = "320703199003070016", "320703198811110034"


def person(number: str, name: str) -> Actor:
    return actor_of(identity.party_of_number(number, name=name))


@pytest.fixture
def citizen(city: None) -> Actor:
    return person(NUMBER, "张三丰")


@pytest.fixture
def draft(citizen: Actor) -> Draft:
    assert citizen.party is not None
    made = api.open_draft(
        ["freight_permit"], citizen.party, subject="item:freight_permit", once="1",
        back_to="/my/", next_to="/my/next/", by=citizen,
    )  # fmt: skip
    known = {
        "name": api.Filled("张三丰", "实名信息"),
        "citizen_number": api.Filled(NUMBER, "实名信息"),
        "residence_address": api.Filled("海州区苍梧路6号", "公安局 人口库", "2026-11-02"),
        "plate_type": api.Filled("99", "公安局 机动车"),
        "nonsense": api.Filled("x", "y"),
    }
    assert api.fill(made, known, by=citizen) == ["name", "citizen_number", "residence_address"]
    return made


def browser(who: Actor, name: str = "shimin") -> Client:
    client = Client(enforce_csrf_checks=False)
    client.force_login(get_user_model().objects.create(username=name, party=who.party))
    return client


@pytest.fixture
def client(citizen: Actor) -> Client:
    return browser(citizen)


def at(draft: Draft, part: str) -> str:
    return f"/forms/{draft.code}/{part}/"


def version(draft: Draft, part: str) -> str:
    draft.refresh_from_db()
    return str(queries.opened(draft).content.parts.get(part, 0))


def post(client: Client, draft: Draft, part: str, do: str = "next", **told: Any) -> Any:
    told.setdefault("version", version(draft, part))
    return client.post(at(draft, part), {"do": do, **told})


APPLICANT = {"applicant_kind": "person", "phone": "13900001111", "residence_address": "新东街道1号"}
VEHICLE = {"plate_number": "苏G12345", "plate_type": "01", "vehicle_type": "H11", "load": "9.5"}
TODAY = timezone.localdate().isoformat()
JOURNEY = {
    "goods": "food", "route": "郁洲路", "period": "night", "begins_on": TODAY, "ends_on": TODAY,
}  # fmt: skip


def test_from_the_first_part_to_the_end(client: Client, citizen: Actor, draft: Draft) -> None:
    assert client.get(f"/forms/{draft.code}/")["Location"] == at(draft, "applicant")
    page = client.get(at(draft, "applicant"))
    body = page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert "来自 公安局 人口库，2026-11-02" in body or "applicant_kind" in body
    assert f'value="{NUMBER}"' not in body, "a locked value is text, no input"
    wrong = post(
        client,
        draft,
        "applicant",
        phone="12",
        residence_address="<b>x</b>",
        applicant_kind="person",
    ).content.decode()
    assert "有 1 处需要修改" in wrong
    assert 'href="#phone"' in wrong
    assert "<b>x</b>" not in wrong
    assert "&lt;b&gt;x&lt;/b&gt;" in client.get(at(draft, "applicant")).content.decode(), "kept"
    # Posted numbers of others and fields of no form change nothing.
    done = post(client, draft, "applicant", citizen_number=OTHER, admin="1", **APPLICANT)
    assert done["Location"] == at(draft, "vehicle"), "the entity's part is not asked"
    shown = client.get(at(draft, "applicant")).content.decode()
    assert "您已更正" in shown
    assert "海州区苍梧路6号" in shown
    assert post(client, draft, "vehicle", **VEHICLE)["Location"] == at(draft, "drivers")
    early = client.post(f"/forms/{draft.code}/check/")
    assert early["Location"].endswith("/check/"), "not before everything is there"
    assert post(client, draft, "drivers")["Location"] == at(draft, "journey")
    back = post(client, draft, "journey", **{**JOURNEY, "ends_on": "2020-01-01"})
    assert "不能早于今天" in back.content.decode()
    assert post(client, draft, "journey", to="check", **JOURNEY)["Location"].endswith("/check/")
    assert "请签名" in post(client, draft, "promise", truth="1").content.decode()
    foreign = post(client, draft, "promise", truth="1", signed="李四").content.decode()
    assert "与申请人（经办人）不一致" in foreign
    last = post(client, draft, "promise", truth="1", signed="张 三丰")
    assert last["Location"] == f"/forms/{draft.code}/check/"
    checked = client.get(f"/forms/{draft.code}/check/").content.decode()
    assert "郁洲路" in checked
    assert "?to=check" in checked
    assert client.post(f"/forms/{draft.code}/check/")["Location"] == "/my/next/"
    assert "重型普通货车" in checked
    assert api.close_draft(draft, by=citizen) is True
    assert api.close_draft(draft, by=citizen) is False, "sent twice, closed once"
    draft.refresh_from_db()
    assert api.drafts(citizen) == []
    (kept,) = Kept.objects.all()
    assert draft.declared == [kept.digest], "named, not copied"
    assert kept.content["code"] == "freight_permit"
    assert queries.form_of(draft) is queries.form_of(draft), "read once"
    draft.declared = [kept.content]  # as drafts were closed before
    assert queries.form_of(draft).code == "freight_permit"
    draft.refresh_from_db()
    answers = api.answers(draft, citizen, form="freight_permit")
    assert answers["citizen_number"] == NUMBER
    assert answers["load"] == 9.5
    assert "entity_name" not in answers
    assert post(client, draft, "vehicle", **VEHICLE)["Location"].endswith("/check/")
    with pytest.raises(UserError, match="已经提交"):
        api.fill(draft, {}, by=citizen)
    assert [e.kind for e in timeline(draft)][-1] == "draft.closed_again"
    told = " ".join(str(e.data) + str(e.personal) for e in Event.objects.all())
    assert "苍梧路" not in told, "the ledger names parts and fields, never answers"
    assert "苍梧路" not in draft.sealed
    officer = Actor(held={"forms.read": None})
    seen = {x.name: x for s in api.summary(draft, officer) for x in s.lines}
    assert seen["citizen_number"].text == "320***********0016"
    assert seen["citizen_number"].masked
    assert seen["residence_address"].corrected
    assert seen["signed"].text == "张**（以姓名代替手写签名）"
    with pytest.raises(Denied):
        api.answers(draft, officer)
    with pytest.raises(Denied):
        api.summary(draft, officer, reveal=True)
    api.reopen_draft(draft, next_to="/my/again/", by=citizen)
    assert post(client, draft, "vehicle", **VEHICLE)["Location"] == at(draft, "drivers")


def test_a_question_that_comes_up_brings_what_is_known(client: Client, draft: Draft) -> None:
    drawn = client.post(
        at(draft, "applicant"),
        {"do": "refresh", "version": "0", "_on": "", "applicant_kind": "person", "phone": ""},
        headers={"HX-Request": "true"},
    ).content.decode()
    assert 'name="residence_address" value="海州区苍梧路6号"' in drawn
    assert "您已更正" not in drawn
    told = {"applicant_kind": "person", "phone": "13900001111"}
    assert (
        post(client, draft, "applicant", **told, residence_address="新东街道1号").status_code == 302
    )
    hidden = {"applicant_kind": "entity", "phone": "13900001111"}
    assert post(client, draft, "applicant", **hidden)["Location"] == at(draft, "entity")
    kept = queries.opened(Draft.objects.get())
    assert kept.answers["residence_address"] == "新东街道1号", "kept, though not asked now"
    assert "residence_address" not in kept.shown


def test_two_windows_notice_each_other(client: Client, draft: Draft) -> None:
    assert post(client, draft, "vehicle", version="0", **VEHICLE).status_code == 302
    again = post(client, draft, "vehicle", version="0", **VEHICLE)
    assert again.status_code == 302, "the same twice is once"
    late = post(client, draft, "vehicle", version="0", **{**VEHICLE, "load": "3"})
    assert "另一个窗口" in late.content.decode()
    assert 'value="3"' in late.content.decode()
    seen = queries.opened(Draft.objects.get())
    assert seen.answers["load"] == 9.5, "nothing overwritten"
    assert post(client, draft, "vehicle", **{**VEHICLE, "load": "3"}).status_code == 302
    assert queries.opened(Draft.objects.get()).answers["load"] == 3


def test_leaving_without_saving_and_an_ended_session_lose_nothing(
    client: Client, citizen: Actor, draft: Draft
) -> None:
    assert post(client, draft, "vehicle", do="keep", plate_number="苏G7").status_code == 204
    page = client.get(at(draft, "vehicle")).content.decode()
    assert "苏G7" in page
    assert "还没有保存" in page
    assert "填写了但还没有保存" in client.get(f"/forms/{draft.code}/check/").content.decode()
    post(client, draft, "vehicle", do="discard")
    assert "苏G7" not in client.get(at(draft, "vehicle")).content.decode()
    assert post(client, draft, "vehicle", do="later", plate_number="苏")["Location"] == "/my/"
    visitor = Client()
    sent = visitor.post(at(draft, "vehicle"), {"do": "next", "version": "0", **VEHICLE})
    assert sent["Location"].startswith("/login/?next=/forms/")
    assert "苏G12345" not in str(dict(visitor.session)), "sealed while it waits"
    user = get_user_model().objects.get(username="shimin")
    visitor.force_login(user)
    found = visitor.get(at(draft, "vehicle")).content.decode()
    assert "已经找回" in found
    assert "苏G12345" in found


def test_rows_come_and_go_without_a_script(client: Client, draft: Draft) -> None:
    add = post(client, draft, "drivers", do="add")
    assert add["Location"] == f"{at(draft, 'drivers')}?stay=1"
    row = queries.page(queries.opened(Draft.objects.get()), "drivers").rows[0].id
    one = {"drivers-0-_id": row, "drivers-0-driver_name": "李四"}
    post(client, draft, "drivers", do="add", **one)
    page = client.get(at(draft, "drivers")).content.decode()
    assert "李四" in page
    assert 'name="drivers-1-driver_name"' in page
    wrong = post(client, draft, "drivers", **one)
    assert "drivers-0-driver_number" in wrong.content.decode()
    assert "其他驾驶人 1" in wrong.content.decode()
    post(client, draft, "drivers", do=f"drop:{row}", **one)
    assert "还没有填写" in client.get(at(draft, "drivers")).content.decode()
    for _ in range(3):
        rows = queries.page(queries.opened(Draft.objects.get()), "drivers").rows
        post(client, draft, "drivers", "add", **{f"drivers-{r.number - 1}-_id": r.id for r in rows})
    assert "最多填写 3 项" in client.get(at(draft, "drivers")).content.decode()
    many = {f"drivers-{n}-driver_name": "x" for n in range(5000)}
    assert post(client, draft, "drivers", **many).status_code == 400


def test_files_are_sealed_and_only_what_they_are(
    client: Client, citizen: Actor, draft: Draft, settings: Any
) -> None:
    picture = png(40, 30)
    up = SimpleUploadedFile("../../苏G12345.exe", picture, "text/html")
    assert post(client, draft, "vehicle", do="upload", photos=up, load="7").status_code == 302
    page = client.get(at(draft, "vehicle")).content.decode()
    assert "苏G12345.png" in page
    assert 'value="7"' in page
    kept = api.attachments(draft, citizen)[0]
    shown: Any = client.get(f"/forms/{draft.code}/files/{kept.code}/")
    assert shown.content == picture
    assert shown["Content-Type"] == "image/png"
    assert "sandbox" in shown["Content-Security-Policy"]
    on_disk = list((Path(settings.HOME) / "forms").rglob(f"{kept.code}.sealed"))
    assert len(on_disk) == 1
    assert b"PNG" not in on_disk[0].read_bytes()
    bad = SimpleUploadedFile("a.png", b"<html>", "image/png")
    assert "只能上传图片" in post(client, draft, "vehicle", photos=bad, **VEHICLE).content.decode()
    assert client.get(at(draft, "vehicle")).content.decode().count("苏G12345") >= 2
    for n in (1, 2):
        api.keep_attachment(draft, "photos", ("x.png", png(5 + n)), most=3, by=citizen)
    with pytest.raises(UserError, match="最多上传 3 个"):
        api.keep_attachment(draft, "photos", ("y.png", png(9)), most=3, by=citizen)
    assert api.keep_attachment(draft, "photos", ("again.png", picture), most=3, by=citizen) == kept
    ink = {"signed-ink": "data:image/png;base64,AAAA", "truth": "1"}
    assert (
        "不完整" in post(client, draft, "promise", **ink).content.decode()
        or "只能" in post(client, draft, "promise", **ink).content.decode()
    )
    post(client, draft, "vehicle", do=f"detach:{kept.code}", **VEHICLE)
    assert kept.code not in {a.code for a in api.attachments(draft, citizen)}


def test_a_draft_is_for_its_owner_and_whoever_acts_for_him(
    client: Client, citizen: Actor, draft: Draft, officer: Any
) -> None:
    stranger = person(OTHER, "李四")
    theirs = browser(stranger, "lisi")
    for path in ("", "applicant/", "check/", "files/xxxxxxxxxxxxxxxxxxxx/"):
        assert theirs.get(f"/forms/{draft.code}/{path}").status_code == 404
    assert theirs.post(at(draft, "vehicle"), VEHICLE).status_code == 404
    with pytest.raises(Http404):
        actions.save_part(draft, "vehicle", {}, 0, by=stranger)
    assert client.get(at(draft, "entity")).status_code == 404, "a part that is not asked"
    assert client.get(at(draft, "nothing")).status_code == 404
    assert client.get("/forms/none/applicant/").status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(get_user_model().objects.get(username="shimin"))
    assert strict.post(at(draft, "vehicle"), VEHICLE).status_code == 403
    huge = post(client, draft, "vehicle", plate_number="长" * 4_000_000)
    assert huge.status_code == 400
    long = post(client, draft, "vehicle", **{**VEHICLE, "plate_number": "长" * 900_000})
    assert "内容太长" in long.content.decode()
    assert len(long.content) < 200_000
    odd = client.post(
        at(draft, "vehicle"), b"do=next&version=0&plate_number=%ff%fe%00",
        content_type="application/x-www-form-urlencoded",
    )  # fmt: skip
    assert "无法识别的字符" in odd.content.decode()
    assert citizen.party is not None
    clerk = officer("mz", "data_officer", name="王帮办")
    helped = api.open_draft(
        ["person_basic"], citizen.party, subject="item:x", once="2",
        back_to="/my/", next_to="/my/", by=clerk,
    )  # fmt: skip
    assert queries.draft(clerk, helped.code) == helped
    assert helped in api.drafts(clerk)
    assert helped in api.drafts(citizen)
    with pytest.raises(Http404):
        queries.draft(clerk, draft.code)
    with pytest.raises(UserError, match="不在本站"):
        api.open_draft(
            ["person_basic"], citizen.party, subject="x", once="3", back_to="//evil.example",
            next_to="/", by=citizen,
        )  # fmt: skip
    again = api.open_draft(
        ["person_basic"], citizen.party, subject="item:x", once="2", back_to="/my/",
        next_to="/my/", by=citizen,
    )  # fmt: skip
    assert again == helped
    later = timezone.now() + dt.timedelta(days=queries.KEPT_DAYS + 1)
    assert actions.tidy(by=SYSTEM, now=later) == 2
    assert not Draft.objects.exists()


def test_two_items_fill_in_one_form(citizen: Actor) -> None:
    assert citizen.party is not None
    both = api.merged(["person_basic", "freight_permit"])
    assert [f.id for p in both.parts for f in p.fields].count("citizen_number") == 1
    made = api.open_draft(
        ["person_basic", "freight_permit"], citizen.party, subject="x", once="4",
        back_to="/my/", next_to="/my/", by=citizen,
    )  # fmt: skip
    api.fill(made, {"name": api.Filled("张三丰", "实名信息")}, by=citizen)
    for code in ("person_basic", "freight_permit"):
        assert api.answers(made, citizen, form=code) == {"name": "张三丰"}
    assert "applicant" in api.missing(made, citizen)
    with pytest.raises(UserError, match="没有表单"):
        api.merged(["nothing"])


def test_a_packs_form_that_names_what_is_not_there_is_told() -> None:
    asked = [
        {"id": "a", "element": "person_name", "from": {"library": "population", "item": "soul"}},
        {"id": "b", "element": "phone", "from": {"dataset": "nowhere", "item": "phone"}},
        {"id": "c", "title": "c", "kind": "choice", "domain": "no_list"},
    ]
    data = {"title": "x", "parts": [{"id": "p", "title": "p", "fields": asked}]}
    file = Path("packs/core/forms/x.yaml")
    told = list(adapters.faults([Declaration("core", "x", data, file)]))
    assert len(told) == 3
    assert all(word in " ".join(told) for word in ("soul", "nowhere", "no_list"))
    assert api.pack_faults() == []
