"""Sample builder: one small service made, checked, agreed to by two others and published, in the browser's way.

Everything goes through the doors that the builder's pages use; a second call leaves it alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Tell = Callable[[float, str], None]
CODE, NAME, SLUG = "garden_adoption", "社区绿地认养登记", "zr"
ANALYST, HEAD, REVIEWER = "zr.sheji", "zr.pizhun", "zwb.shenhe"

PARTS: dict[str, str] = {
    "item": """
name: 社区绿地认养登记
type: "20"
basic_code: "322099008001"
objects: [person]
kind: instant
promised_days: 0
proof: 2
basis: 《城市绿化条例》第二十条；认养办法为本市约定
conditions: [认养人年满十八周岁。, 认养面积不超过一百平方米。]
situations:
  - {id: who, question: 您以什么身份认养？, options: [{id: self, title: 本人}, {id: family, title: 全家一起}]}
materials:
  - {standard: id_card}
  - id: care_promise
    name: 养护承诺书
    grounds: [{by: promise, text: 本人承诺按季节浇水、修剪，不圈占、不硬化，认养期满恢复原状。}]
themes: {person: ["14"]}
channels: ["1", "2"]
reach: [city, county, town]
content: 把小区旁边的一块公共绿地认养下来，由您和家人养护，期限一年。
keywords: [认养花园, 养花种草, 绿地认养]
faq: [{q: 可以种菜吗, a: 不可以，只种花草和灌木。}]
result: {name: 社区绿地认养证, days: 365, elements: {place: place, area: area}}
""",
    "form": """
title: 社区绿地认养申请表
parts:
  - id: applicant
    title: 认养人
    fields:
      - {id: name, element: person_name, required: true, from: {identity: name}, locked: true}
      - {id: phone, element: phone, required: true, from: {identity: phone}}
  - id: garden
    title: 绿地
    fields:
      - {id: place, title: 绿地位置, kind: text, max: 100, required: true, help: 小区名称和大致方位}
      - {id: area, title: 面积, kind: number, min: 1, max: 500, unit: 平方米, required: true}
      - {id: plants, title: 打算种什么, kind: choice, options: {flower: 花草, shrub: 灌木, both: 都有}, required: true}
      - {id: truth, title: 承诺, kind: declaration, text: 以上内容真实。, required: true}
""",
    "path": "use: item_instant",
    "decision": """
title: 绿地认养规则
basis: 认养办法为本市约定
policy: F
inputs:
  - {name: applicant_age, title: 申请人周岁, type: number}
  - {name: area, title: 面积, type: number}
outputs:
  - {name: result, title: 结论, type: string, values: [granted, refused, review]}
  - {name: reason, title: 说明, type: string}
rules:
  - {when: ["< 18", "-"], then: [refused, 未满十八周岁，请由监护人认养], note: 认养人须年满十八周岁}
  - {when: ["-", "<= 100"], then: [granted, 面积在一百平方米以内，当场登记], note: 一百平方米以内当场登记}
  - {when: ["-", "-"], then: [review, 面积较大，由工作人员现场查看], note: 超过一百平方米}
""",
    "licence": """
title: 社区绿地认养证
serial: "901"
holders: [person]
basis: 认养办法为本市约定
number: number
numbering: LD{year}{serial:05}
holder: {name: holder_name, number: holder_number}
dates: {issued: issued_on, to: valid_to}
years: 1
elements:
  - {name: number, title: 认养证编号, type: C, required: true}
  - {name: holder_name, element: person_name, title: 认养人, required: true}
  - {name: holder_number, element: citizen_number, title: 身份号码, required: true}
  - {name: place, title: 绿地位置, type: C, required: true, wide: true}
  - {name: area, title: 面积（平方米）, type: N}
  - {name: issued_on, title: 发证日期, type: D, required: true}
  - {name: valid_to, title: 有效期至, type: D}
look: {layout: landscape, colour: "#1e6b3a", heading: 社区绿地认养证}
""",
}
"""What an analyst of natural resources fills in, part by part."""


def open_doors(home: Path, tell: Tell) -> dict[str, str]:
    """Accounts of the analyst, of the department's head, of the reviewer; account → title."""
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.identity import api as identity
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.party import department

    password = (home / "demo-password").read_text().strip()
    told = {}
    for number, (slug, name, username, role) in enumerate(
        (
            (SLUG, "服务设计员", ANALYST, "service_analyst"),
            (SLUG, "审批负责人", HEAD, "approval_head"),
            ("zwb", "服务审核员", REVIEWER, "bureau_catalogue"),
        )
    ):
        tell(number / 3, name)
        if not get_user_model().objects.filter(username=username).exists():
            identity.create_account(
                department(slug), name, username, [role], password=password,
                must_change=False, by=SYSTEM,
            )  # fmt: skip
        told[username] = f"{department(slug).short} {name}"
    return told


def build(officer: Callable[[str], Any], tell: Tell) -> dict[str, int]:
    """Make, check, submit, sign, review and publish the service; returns what became of it."""
    from lianyun.capabilities.builder import api as builder
    from lianyun.capabilities.items import api as items
    from lianyun.kernel.case import work_items
    from lianyun.kernel.party import department

    if items.find(CODE) is not None:
        return {"built": 0, "findings": 0, "version": 0}
    analyst = officer(ANALYST)
    tell(0.1, "编制")
    row = builder.begin_workbook(department(SLUG), CODE, NAME, by=analyst)
    for part, text in PARTS.items():
        row = builder.save_part(row, part, yaml.safe_load(text), base=row.number, by=analyst).row
    tell(0.5, "检查")
    checked = builder.check(row, analyst)
    case = builder.submit(row, note="绿地认养，当场办结", by=analyst)
    for part_done, username in ((0.7, HEAD), (0.9, REVIEWER)):
        tell(part_done, "审核")
        by = officer(username)
        step = work_items(by).get(case=case)
        builder.review_service(step, "agree", by=by)
    # A revision under way: what differs from what is live can be looked at.
    row = builder.find(analyst, CODE)
    wider = yaml.safe_load(PARTS["decision"])
    wider["rules"][1] |= {"when": ["-", "<= 150"], "note": "一百五十平方米以内当场登记"}
    builder.save_part(row, "decision", wider, base=row.number, by=analyst)
    made = items.find(CODE)
    return {
        "built": 1,
        "findings": len(checked.findings),
        "version": made.version if made is not None else 0,
    }
