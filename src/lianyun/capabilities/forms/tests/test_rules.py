"""Rules: forms as packs write them are read, judged and merged; what is wrong is said in words."""

from __future__ import annotations

import datetime as dt
import io
import struct
import zipfile
import zlib
from typing import Any

import pytest
import yaml

from lianyun.capabilities.forms import rules
from lianyun.capabilities.forms.rules import files
from lianyun.decision.closed import check_expression, evaluate
from lianyun.kernel.element import ElementSpec, citizen_number_ok, credit_code_ok

ELEMENTS = {
    "person_name": ElementSpec("person_name", "姓名", format="an..50", mask="name", personal=True),
    "citizen_number": ElementSpec(
        "citizen_number", "公民身份号码", format="an18", check="citizen_number",
        mask="citizen_number", personal=True,
    ),
    "phone": ElementSpec("phone", "联系电话", format="an..20", mask="phone", personal=True),
    "sex": ElementSpec("sex", "性别", format="n1", domain="sex"),
    "postcode": ElementSpec("postcode", "邮政编码", format="n6"),
    "born": ElementSpec("born", "出生日期", type="D", format="YYYYMMDD"),
    "pay": ElementSpec("pay", "工资", type="Y", format="n..10,2"),
    "count": ElementSpec("count", "人数", type="I", format="n..3"),
}  # fmt: skip
MEANS = rules.Means(
    evaluate,
    lambda name: (("1", "男"), ("2", "女")),
    {"citizen_number": citizen_number_ok, "credit_code": credit_code_ok},
    dt.date(2026, 11, 22),
)
FORM = """
title: 搬家申请
parts:
  - id: person
    title: 申请人
    fields:
      - {id: name, element: person_name, required: true}
      - {id: number, element: citizen_number, required: true}
      - {id: why, title: 理由, kind: text, max: 20, required: true, when: "way == 'other'"}
      - {id: way, title: 方式, kind: choice, required: true, options: {self: 自己, other: 其他}}
      - {id: from_day, title: 开始, kind: date, min: today, required: true}
      - {id: to_day, title: 结束, kind: date}
      - {id: pay, element: pay}
    rules:
      - {good: "to_day >= from_day", say: 结束不能早于开始, field: to_day}
  - id: cars
    title: 车辆
    when: "way == 'other'"
    repeat: {min: 1, max: 3, item: 一辆车, total: {field: share, equals: 100, say: 比例合计应为 100%}}
    fields:
      - {id: plate, title: 车牌, kind: text, max: 10, required: true}
      - {id: share, title: 比例, kind: number, decimals: 1, required: true}
      - {id: note, title: 说明, kind: text, max: 10, required: true, when: "plate == 'X'"}
"""
GOOD = {
    "name": ["张三"],
    "number": ["32070319900307001６".replace("６", "6")],
    "way": ["self"],
    "from_day": ["2026-11-22"],
}


def read(text: str, code: str = "moving") -> rules.Form:
    return rules.read(code, yaml.safe_load(text), rules.World(ELEMENTS, check_expression))


@pytest.fixture(scope="module")
def form() -> rules.Form:
    return read(FORM)


def posted(**changes: Any) -> dict[str, list[str]]:
    return {**GOOD, **{k: v if isinstance(v, list) else [v] for k, v in changes.items()}}


def check(form: rules.Form, part: str, told: dict[str, list[str]], answers: Any = None) -> Any:
    return rules.check(form, form.part(part), told, answers or {}, MEANS, files={})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("element: person_name", "element: nobody"), "数据元 nobody"),
        (("way == 'other'", "weg == 'other'"), "没有声明的 weg"),
        (("way == 'other'", "__import__('os')"), "不允许"),
        (("id: why", "id: name"), "重复"),
        (("id: cars", "id: way"), "用了两次"),
        (("kind: choice", "kind: radio"), "kind 只能是"),
        (("max: 3, item", "max: 3000, item"), "次数有误"),
        (("{id: to_day,", "{id: to_day, colour: red,"), "不认识的键 colour"),
        (("{id: pay, element: pay}", "{id: pay, element: pay, from: {moon: x}}"), "from 只能来自"),
        (("field: share", "field: plate"), "repeat.total"),
        (("title: 搬家申请", ""), "缺少 title"),
    ],
)
def test_a_bad_declaration_says_what_is_wrong(change: tuple[str, str], says: str) -> None:
    with pytest.raises(rules.BadForm, match="表单 moving") as told:
        read(FORM.replace(*change))
    assert says in str(told.value)


def test_the_elements_give_kinds_lengths_and_masks(form: rules.Form) -> None:
    number = form.part("person").field("number")
    assert (number.kind, number.check, number.mask, number.high) == (
        "text", "citizen_number", "citizen_number", 18.0,
    )  # fmt: skip
    assert form.part("person").field("pay").kind == "money"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "", "请填写姓名"),
        ("name", "长" * 51, "最多 50 个字，现在是 51 个"),
        ("name", "张\x00三", "无法识别的字符"),
        ("name", "张\ufffd三", "无法识别的字符"),
        ("name", "甲" * 20_001, "内容太长"),
        ("number", "320703199003070017", "公民身份号码不对"),
        ("way", "fly", "请从列出的选项中选择"),
        ("way", "", "请选择方式"),
        ("from_day", "2026-02-30", "完整的日期"),
        ("from_day", "2026-11-21", "不能早于今天"),
        ("to_day", "2026-11-01", ""),
        ("pay", "一百", "请只填写数字"),
        ("pay", "1.234", "最多 2 位小数"),
        ("pay", "-1", "不能小于 0元"),
        ("pay", "12345678901234567", "数字太长"),
        ("pay", "1e400", "请只填写数字"),
    ],
)
def test_wrong_answers_are_told_what_to_do(
    form: rules.Form, field: str, value: str, says: str
) -> None:
    found = check(form, "person", posted(**{field: value}))
    assert set(found.errors) == {field}
    assert says in found.errors[field]


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("name", "  <b>张三</b> ", "<b>张三</b>"),
        ("number", " 320703 19900307 0016 ", "320703199003070016"),
        ("from_day", "2026年12月1日", "2026-12-01"),
        ("pay", "1,234.50元", 1234.5),
        ("pay", "１２", 12),
    ],
)
def test_honest_spellings_are_understood(
    form: rules.Form, field: str, value: str, kept: Any
) -> None:
    found = check(form, "person", posted(**{field: value}))
    assert found.ok
    assert found.values[field] == kept


def test_what_is_not_in_the_form_is_left_alone(form: rules.Form) -> None:
    found = check(form, "person", posted(admin="1", plate="X"))
    assert found.ok
    assert set(found.values) == {f.id for f in form.part("person").fields}


def test_a_condition_may_name_a_later_question_and_hidden_answers_decide_nothing(
    form: rules.Form,
) -> None:
    assert check(form, "person", posted(way="other")).errors == {"why": "请填写理由"}
    hidden = check(form, "person", posted(why="长" * 30))
    assert hidden.ok, "nobody is told about a question that is not asked"
    shown = rules.visible(form, {"way": "other"}, MEANS)
    assert {"why", "cars"} <= shown
    assert not {"why", "cars"} & rules.visible(form, {"way": "self", "why": "x"}, MEANS)
    chain = read(
        """
title: t
parts:
  - {id: a, title: a, fields: [{id: one, title: 1, kind: choice, options: {y: 是, n: 否}}]}
  - {id: b, title: b, when: "one == 'y'", fields: [{id: two, title: 2, kind: text}]}
  - {id: c, title: c, when: "two == 'x'", fields: [{id: three, title: 3, kind: text}]}
"""
    )
    kept = {"one": "n", "two": "x", "three": "z"}
    assert rules.visible(chain, kept, MEANS) == {"a", "one"}
    assert rules.submitted(chain, kept, MEANS) == {"one": "n"}
    assert rules.submitted(chain, {**kept, "one": "y"}, MEANS) == {**kept, "one": "y"}


def test_rows_are_counted_summed_and_judged_each(form: rules.Form) -> None:
    def rows(*told: tuple[str, str]) -> dict[str, list[str]]:
        out: dict[str, list[str]] = {}
        for n, (plate, share) in enumerate(told):
            out |= {f"cars-{n}-_id": [f"row00{n}"], f"cars-{n}-plate": [plate]}
            out[f"cars-{n}-share"] = [share]
        return out

    before = {"way": "other"}
    assert check(form, "cars", rows(("苏G1", "60"), ("苏G2", "40.0")), before).ok
    assert "现在合计 90" in check(form, "cars", rows(("苏G1", "90")), before).errors["cars"]
    assert "至少填写 1" in check(form, "cars", {}, before).errors["cars"]
    assert "最多填写 3" in check(form, "cars", rows(*[("苏", "25")] * 4), before).errors["cars"]
    assert "最多" in check(form, "cars", rows(*[("苏", "1")] * 5000), before).errors["cars"]
    found = check(form, "cars", rows(("X", "100"), ("", "0")), before)
    assert set(found.errors) == {"cars-0-note", "cars-1-plate"}
    odd = check(form, "cars", {"cars-7-_id": ["../../x"], "cars-7-plate": ["苏"]}, before)
    assert [len(r["_id"]) for r in odd.values["cars"]] == [6]


def test_what_did_not_stand_on_the_page_stays(form: rules.Form) -> None:
    part = form.part("person")
    before = {"name": ["张三"], "why": ["搬家"], "way": ["other"]}
    told = rules.completed(part, {"name": [""], "way": ["self"], "x": ["1"]}, before)
    assert (told["name"], told["way"], told["why"]) == ([""], ["self"], ["搬家"])
    assert "x" not in told
    ticks = read(
        """
title: t
parts:
  - id: a
    title: a
    fields:
      - {id: one, title: 1, kind: multi, options: {y: 是, n: 否}}
      - {id: two, title: 2, kind: declaration, text: 真实}
"""
    ).part("a")
    was = {"one": ["y"], "two": ["1"]}
    assert rules.completed(ticks, {"_on": ["", "one"]}, was) == {"one": [], "two": ["1"]}
    assert rules.completed(ticks, {"_on": [""]}, was) == was
    assert rules.completed(ticks, {}, was) == {"one": [], "two": []}
    rows = form.part("cars")
    had = {"cars-0-_id": ["aaaaaa"], "cars-0-note": ["甲"], "cars-1-_id": ["bbbbbb"]}
    had["cars-1-note"] = ["乙"]
    moved = rules.completed(rows, {"cars-0-_id": ["bbbbbb"], "cars-0-plate": ["X"]}, had)
    assert (moved["cars-0-note"], moved["cars-0-plate"]) == (["乙"], ["X"])


OTHER = """
title: 停车申请
parts:
  - id: person
    title: 申请人
    fields:
      - {id: applicant, element: person_name, required: true}
      - {id: why, title: 理由, kind: date}
      - {id: sex, element: sex, required: true, when: "applicant == '张三'"}
  - {id: end, title: 结尾, fields: [{id: sure, title: 声明, kind: declaration, text: 真实}]}
"""


def test_two_forms_ask_once_and_each_gets_its_own_words(form: rules.Form) -> None:
    both = rules.merged([form, read(OTHER, "parking")])
    person = both.part("person")
    assert [f.id for f in person.fields].count("name") == 1
    assert {"parking__why", "sex"} <= {f.id for f in person.fields}
    assert [p.id for p in both.parts] == ["person", "cars", "end"]
    answers = {
        "name": "张三", "number": "320703199003070016", "way": "self", "from_day": "2026-11-22",
        "parking__why": "2026-12-01", "sex": "1", "sure": True,
    }  # fmt: skip
    assert "sex" in rules.visible(both, answers, MEANS)
    assert rules.problems(both, answers, MEANS, {}) == {}
    own = rules.submitted(both, answers, MEANS, "parking")
    assert own == {"applicant": "张三", "why": "2026-12-01", "sex": "1", "sure": True}
    assert rules.submitted(both, answers, MEANS, "moving")["name"] == "张三"
    with pytest.raises(rules.BadForm):
        rules.merged([form, form])


# ---- files ---------------------------------------------------------------------------------


def png(width: int = 2, height: int = 2, tail: bytes = b"") -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\x00" + b"\x10\x40\x90" * min(width, 4096))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body)
        + chunk(b"IEND", b"") + tail
    )  # fmt: skip


def archive(**entries: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in entries.items():
            package.writestr(name.replace("__", "/").replace("TYPES", "[Content_Types].xml"), data)
    return out.getvalue()


def test_a_file_is_what_its_bytes_are() -> None:
    assert files.kind_of(png(), ("image",)) is files.PNG
    assert files.kind_of(b"%PDF-1.7\n...\n%%EOF\n", ("pdf",)) is files.PDF
    jpeg = b"\xff\xd8\xff\xe0\x00\x04AB\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00\xff\xd9"
    assert files.kind_of(jpeg, ("image",)) is files.JPEG
    word = archive(TYPES=b"x", **{"word__document.xml": b"x"})
    assert files.kind_of(word, ("word",)) is files.DOCX


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "空的"),
        (b"<script>alert(1)</script>", "只能上传"),
        (b"MZ\x90\x00", "只能上传"),
        (png()[:-20], "不完整"),
        (png().replace(b"\x00\x00\x00\x02\x00\x00\x00\x02", b"\x00\x00\x00\x03\x00\x00\x00\x02"), "不完整"),
        (png(60_000, 60_000), "像素太多"),
        (png(0, 5), "损坏"),
        (b"%PDF-1.7 and no end", "不完整"),
        (b"\xff\xd8\xff\xe0\x00\x04AB", "不完整"),
        (b"PK\x03\x04 broken", "损坏"),
        (archive(a=b"0" * 210_000_000), "展开后太大"),
        (b"%PDF-" + b"0" * (20 * 1024 * 1024), "20 MB"),
    ],
)  # fmt: skip
def test_what_may_not_be_kept_is_refused_in_words(data: bytes, says: str) -> None:
    with pytest.raises(rules.Wrong, match=says):
        files.kind_of(data, ("pdf", "image", "word"))


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd.png"),
        ("C:\\boot\\我的照片.JPG", "我的照片.png"),
        ("a\x00b\r\nc.png", "abc.png"),
        ("....", "附件.png"),
        ("长" * 300 + ".png", "长" * 80 + ".png"),
        ('x"<>.png', "x___.png"),
    ],
)
def test_a_files_name_stays_a_name(name: str, clean: str) -> None:
    assert files.clean_name(name, files.PNG) == clean


def test_a_name_is_the_same_however_it_is_written() -> None:
    assert rules.same_name("买买提·阿不都", "买买提•阿不都")
    assert rules.same_name(" 张 三丰", "张三丰")
    assert not rules.same_name("张三", "张三丰")
    assert not rules.same_name("", "")
