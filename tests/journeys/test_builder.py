"""A service made in the browser by an analyst: checked, tried, agreed to by two others, filed by a citizen."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml

from lianyun.project import sample_builder as sample
from lianyun.project.testing import fits

PASSWORD = "Haizhou-2026"
PERSON = "320703199003070016"
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1280, "height": 900}
OFFICERS = (
    ("cg", "郑设计", "cg.design", "service_analyst"),
    ("cg", "王设计", "cg.design2", "service_analyst"),
    ("cg", "赵审查", "cg.check", "approver"),
    ("cg", "钱负责", "cg.head", "approval_head"),
    ("zwb", "孙审核", "zwb.review", "bureau_catalogue"),
)


@pytest.fixture(scope="module")
def people(city_database: None) -> dict[str, Any]:
    """The officers by account, and a citizen proven at a counter."""
    return _people()


def _people() -> dict[str, Any]:
    from django.utils import timezone

    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.identity.models import User
    from lianyun.kernel.access import SYSTEM, actor_of
    from lianyun.kernel.party import department

    out: dict[str, Any] = {}
    for slug, name, username, role in OFFICERS:
        user, _ = identity.create_account(
            department(slug), name, username, [role], password=PASSWORD, must_change=False, by=SYSTEM
        )  # fmt: skip
        out[username] = actor_of(user.party)
    party = identity.party_of_number(PERSON, name="张三丰")
    account = identity.account_of(party)
    assert account is not None
    account.level = identity.PERSON
    account.save(update_fields=["level"])
    user = User(username="zhangsanfeng", party=party, password_set_at=timezone.now())
    user.set_password(PASSWORD)
    user.save()
    out["citizen"] = actor_of(party)
    return out


def _agree(case: Any, *officers: Any) -> None:
    from lianyun.capabilities.builder import api as builder
    from lianyun.kernel.case import work_items

    for by in officers:
        builder.review_service(work_items(by).get(case=case), "agree", by=by)


def test_a_service_lives_from_draft_to_withdrawal(people: dict[str, Any]) -> None:
    from lianyun.capabilities.builder import api as builder
    from lianyun.capabilities.items import api as items
    from lianyun.capabilities.licences import api as licences
    from lianyun.kernel.access import ANONYMOUS, UserError
    from lianyun.kernel.case import work_items
    from lianyun.kernel.party import department

    one, two = people["cg.design"], people["cg.design2"]
    head, reviewer, citizen = people["cg.head"], people["zwb.review"], people["citizen"]
    row = builder.begin_workbook(department("cg"), sample.CODE, sample.NAME, by=one)
    with pytest.raises(UserError, match="已经有草案"):
        builder.begin_workbook(department("cg"), sample.CODE, sample.NAME, by=one)
    with pytest.raises(UserError, match="还不能提交"):
        builder.submit(row, by=one)
    for part, text in sample.PARTS.items():
        row = builder.save_part(row, part, yaml.safe_load(text), base=row.number, by=one).row
    checked = builder.check(row, one)
    assert not checked.findings, [f.words for f in checked.findings]
    # Two at once: other keys are merged, the same key is laid aside and told.
    base = row.number
    form = dict(row.content["form"])
    row = builder.save_part(row, "form", {**form, "note": "甲写的"}, base=base, by=one).row
    met = builder.save_part(
        row, "form", {**form, "note": "乙写的", "title": "绿地认养表"}, base=base, by=two
    )
    assert met.clashes == (("note",),)
    assert met.aside is not None
    assert met.aside.content["form"]["note"] == "乙写的"
    assert met.row.content["form"] == {**form, "note": "甲写的", "title": "绿地认养表"}
    row = met.row
    again = builder.import_pack(department("cg"), builder.pack_of(row, one), by=one)
    assert "没有新的修改" in again.words
    # Whoever had a hand in it agrees to nothing; nobody agrees twice.
    case = builder.submit(row, by=one)
    with pytest.raises(UserError, match="正在审核"):
        builder.save_part(row, "form", form, base=row.number, by=one)
    with pytest.raises(UserError, match="已经提交"):
        builder.submit(row, by=two)
    assert items.find(sample.CODE) is None
    _agree(case, head)
    assert items.find(sample.CODE) is None
    _agree(case, reviewer)
    item = items.find(sample.CODE)
    assert item is not None
    assert (item.form, item.decision, item.path) == (sample.CODE, sample.CODE, "item_instant")
    # It goes out as a pack that passes the packs' own checks, and comes back as the same draft.
    packed = builder.pack_of(builder.find(one, sample.CODE), one)
    before = builder.find(one, sample.CODE).content
    again = builder.import_pack(department("cg"), packed, by=one)
    assert json.dumps(again.row.content) == json.dumps(before)
    # A citizen files; the table decides; the licence of the new type is issued, held and verifies.
    filed = _file(citizen)
    assert filed.data["verdict"]["result"] == "granted"
    assert filed.data["judged_by"] == {sample.CODE: 1}
    (licence,) = [h for h in licences.held(citizen.party, citizen) if h.kind == sample.CODE]
    told = licences.elements(licence, citizen)
    assert (told["place"], told["area"], told["holder_number"]) == ("花园小区东门", "20", PERSON)
    assert told["number"].startswith("LD20")
    assert licences.verify(licence.check_code, ANONYMOUS).good
    # A second version leaves what runs on its own; then it is taken down.
    row = builder.find(one, sample.CODE)
    told = dict(row.content["item"])
    row = builder.save_part(row, "item", {**told, "content": "第二版"}, base=row.number, by=one).row
    case = builder.submit(row, by=one)
    _agree(case, head, reviewer)
    newer = items.find(sample.CODE)
    assert newer is not None
    assert newer.version == item.version + 1
    assert filed.data["item_version"] == item.version
    builder.withdraw(builder.find(reviewer, sample.CODE), "试行期满", by=reviewer)
    assert items.find(sample.CODE) is None
    assert not work_items(head).filter(case=case).exists()
    # The same pack is merged on what both had: the other city's words, ours, and what both changed.
    row = builder.find(one, sample.CODE)
    item_now = dict(row.content["item"])
    builder.save_part(row, "item", {**item_now, "content": "本市写的", "kind": "promised", "promised_days": 3}, base=row.number, by=one)  # fmt: skip
    theirs = copy.deepcopy(before)
    theirs["item"] |= {"content": "外市写的", "keywords": ["认养草坪"]}
    done = builder.import_pack(department("cg"), _pack(builder.find(one, sample.CODE), theirs, packed), by=one)  # fmt: skip
    assert [a.places for a in done.asides] == [[["content"]]]
    assert "1 处两边都改过" in done.words
    kept = done.row.content["item"]
    assert (kept["content"], kept["keywords"], kept["promised_days"]) == (
        "本市写的",
        ["认养草坪"],
        3,
    )


def _pack(row: Any, content: dict[str, Any], made_from: bytes) -> bytes:
    """A pack of a service as another city has changed it since it took `made_from` in."""
    from lianyun.capabilities.builder.rules import archive
    from lianyun.capabilities.builder.rules import content as parts

    declared = parts.assembled(content, row.code, str(row.department.slug))
    lineage = [parts.digest(content, row.code), *archive.lineage_of(made_from)]
    return archive.packed(archive.files(declared, row.code, row.title, "外市", lineage))


def _file(citizen: Any, code: str = sample.CODE) -> Any:
    """A citizen adopts a green, by the hall's own door; the jobs that follow have run."""
    from lianyun.capabilities.desk import actions as desk
    from lianyun.capabilities.forms import api as forms
    from lianyun.capabilities.hall import api as hall
    from lianyun.kernel.models import Event

    application = hall.begin(code, applicant=citizen.party, answers={"who": "self"}, by=citizen)
    application = hall.consent(application, keys=[], by=citizen)
    hall.look_up(application, by=citizen)
    application = type(application).objects.get(pk=application.pk)
    draft = forms.draft_of(application.draft, citizen)
    assert draft.declared, "who has begun on a form goes on with it"
    answers = {"name": "张三丰", "phone": "13812345678", "place": "花园小区东门", "area": "20", "plants": "both", "truth": "1"}  # fmt: skip
    for part in forms.merged(draft.forms).parts:
        posted = {f.id: [answers[f.id]] for f in part.fields}
        assert forms.save_part(draft, part.id, posted, 0, by=citizen).good, part.id
    hall.hand_in(application, "id_card", ("证件.png", _picture()), by=citizen)
    hall.promise(application, "care_promise", accepted=True, by=citizen)
    filed = hall.file(type(application).objects.get(pk=application.pk), by=citizen)
    for event in Event.objects.filter(case_id_ref=filed.pk, kind="case.decided"):
        desk.on_case_decided(event)
    filed.refresh_from_db()
    return filed


def _picture() -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    rows = (b"\0" + bytes([7]) * 40) * 30
    head = struct.pack(">IIBBBBB", 40, 30, 8, 0, 0, 0, 0)
    whole = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + whole


def _field(tab: Any, path: str) -> Any:
    """The input of a place in the editor."""
    return tab.locator(f'[data-focus="{path}"]')


def _save(tab: Any, *, following: bool = False) -> None:
    with tab.expect_navigation():
        tab.click(".bsave [data-then]" if following else ".bsave .primary")
    tab.wait_for_selector('[data-editor][data-ready="yes"]')


def _look(tab: Any, accessible: Any) -> None:
    accessible(tab)
    tab.set_viewport_size(PHONE)
    assert fits(tab), tab.url
    tab.set_viewport_size(DESK)


def test_from_an_empty_page_to_a_citizens_case(
    people: dict[str, Any], tab: Any, site: str, sign_in: Any, accessible: Any
) -> None:
    from lianyun.capabilities.desk import actions as desk
    from lianyun.capabilities.items import api as items
    from lianyun.capabilities.licences import api as licences
    from lianyun.kernel.models import Case

    # An analyst begins with a name.
    sign_in(tab, "cg.design", "/workbench/builder/new/")
    tab.fill("#name", "小区长椅捐赠登记")
    tab.fill("#code", "bench_gift")
    with tab.expect_navigation():
        tab.click("main form .primary")
    tab.wait_for_selector('[data-editor][data-ready="yes"]')
    # The item: what is needed first, checked while it is typed.
    _field(tab, "basic_code").fill("322099008002")
    _field(tab, "basis").fill("捐赠办法为本市约定")
    _field(tab, "conditions").fill("长椅符合安全要求")
    tab.get_by_role("checkbox", name="01 生育收养").check()
    tab.wait_for_selector(".bgood")
    _save(tab, following=True)
    # Materials: one, which a promise replaces.
    tab.click("text=＋ 一份材料")
    _field(tab, "materials.0.name").fill("质量承诺书")
    tab.click("text=＋ 一条依据")
    _field(tab, "materials.0.grounds.0.by").select_option("promise")
    _field(tab, "materials.0.grounds.0.text").fill("本人承诺长椅结实、无毛刺。")
    _save(tab, following=True)
    # The form: a part, a data element, a question of its own; the preview is the real renderer.
    tab.click("text=＋ 一个部分")
    _field(tab, "parts.0.title").fill("捐赠人")
    tab.fill("[list=b-elements]", "person_name")
    with tab.expect_response("**/preview/form/"):
        tab.click("text=＋ 按数据元加")
    tab.click(".badd >> text=文字")
    _field(tab, "parts.0.fields.1.title").fill("长椅放在哪里")
    tab.wait_for_selector("[data-preview-box] label:has-text('长椅放在哪里')")
    _look(tab, accessible)
    _save(tab, following=True)
    # The path ships; the drawing is there at once. No table. A licence, drawn while it is designed.
    tab.wait_for_selector('[data-preview-box][data-drawn="yes"]')
    tab.goto(f"{site}/workbench/builder/s/bench_gift/licence/")
    tab.click("text=＋ 设计一个证照")
    assert _field(tab, "title").input_value() == "小区长椅捐赠证"
    _field(tab, "numbering.prefix").fill("CY")
    tab.wait_for_selector("[data-preview-box] img")
    # Back loses nothing of what was not saved.
    tab.click(".bsteps a:has-text('事项要素')")
    tab.wait_for_selector('[data-editor][data-ready="yes"]')
    tab.go_back()
    tab.wait_for_selector(".bback")
    assert _field(tab, "numbering.prefix").input_value() == "CY"
    _save(tab)
    assert tab.locator(".bback").count() == 0
    tab.goto(f"{site}/workbench/builder/s/bench_gift/")
    assert tab.locator(".bfound .error").count() == 0, tab.locator(".bfound").inner_text()
    # An invented person walks it.
    tab.goto(f"{site}/workbench/builder/s/bench_gift/try/")
    with tab.expect_navigation():
        tab.click("text=用模拟数据填好")
    tab.check("input[name=promised]")
    with tab.expect_navigation():
        tab.click("text=看结果")
    assert tab.locator(".bmaterials .badge.green").count() == 1
    for press in ("提交申请（模拟）", "予以受理", "建议准予"):
        with tab.expect_navigation():
            tab.click(f"#s4 button:has-text('{press}')")
    _look(tab, accessible)
    tab.goto(f"{site}/workbench/builder/s/bench_gift/")
    with tab.expect_navigation():
        tab.click("main button:has-text('提交审核')")
    # Two others agree; it is live.
    for officer, press in (("cg.head", "同意提交"), ("zwb.review", "准予发布")):
        sign_in(tab, officer, "/workbench/builder/reviews/")
        with tab.expect_navigation():
            tab.click("main a:has-text('小区长椅捐赠登记')")
        with tab.expect_navigation():
            tab.click(f"button:has-text('{press}')")
    assert items.find("bench_gift") is not None
    # A citizen finds it and files.
    sign_in(tab, "zhangsanfeng", "/my/cases/apply/bench_gift/")
    if "/forms/" not in tab.url:
        with tab.expect_navigation():
            tab.click("main button:has-text('下一步')")
    tab.fill("#person_name", "张三丰")
    tab.fill("#q1", "花园小区东门")
    for press in (".form-end .primary", ".form-end .primary", "button:has-text('我承诺')"):
        with tab.expect_navigation():
            tab.click(f"main {press}")
    tab.get_by_role("link", name="下一步：核对并提交").click()
    tab.check("#true")
    with tab.expect_navigation():
        tab.click("main button:has-text('提交申请')")
    assert tab.url.endswith("/receipt/")
    # Officers grant it; the licence that was designed here is in the wallet, and its code proves it.
    case = Case.objects.get(subject="item:bench_gift")
    for username, outcome in (("cg.check", "accept"), ("cg.check", "grant"), ("cg.head", "grant")):
        item = case.items.filter(done_at=None).get()
        desk.work(item, outcome, by=people[username])
    (licence,) = [h for h in licences.held(people["citizen"].party, people["citizen"]) if h.kind == "bench_gift"]  # fmt: skip
    tab.goto(f"{site}/my/licences/")
    tab.click("main a:has-text('小区长椅捐赠证')")
    tab.wait_for_selector("text=CY20")
    tab.context.clear_cookies()
    tab.goto(f"{site}/verify/{licence.check_code}/")
    tab.wait_for_selector("text=证照真实、有效")
