"""Items: as many made-up service items as a city has, as a workbook that the import reads (模拟数据)."""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openpyxl import Workbook

PACKS = Path(__file__).resolve().parents[1] / "packs"
ITEMS = 7505
SUBJECTS = (
    "户籍", "婚姻", "社会保险", "企业", "车辆", "不动产", "教育", "医疗", "环境", "林地", "港口",
    "渔业", "文物", "养老", "消防", "燃气", "供水", "道路", "桥梁", "食品", "药品", "计量", "标准",
    "商标", "农药", "种子", "兽药", "水利", "河道", "采砂", "广告", "停车", "物业", "人才", "档案",
    "体育", "演出", "出版", "广播", "宗教", "民族", "外事", "审计", "统计", "气象", "地震", "测绘",
)  # fmt: skip
DEEDS = ("登记", "许可", "备案", "确认", "检查申请", "补贴发放", "变更", "延续", "注销", "补证")
SCOPES = ("新办", "市级", "个人", "单位", "跨区", "简易", "一般", "重点", "临时", "年度")
THINGS = (
    "申请表",
    "身份证明",
    "营业执照",
    "场所证明",
    "委托书",
    "检测报告",
    "方案",
    "合同",
    "照片",
)
GROUNDS = {
    "身份证明": "共享数据 population 取 name、citizen_number",
    "营业执照": "电子证照 business_licence",
    "场所证明": "电子证照 property_certificate\n告知承诺 申请人承诺对场所享有合法使用权。",
}
STAGES = "\n".join(
    f"{n}. {title}" for n, title in enumerate(("受理", "审核", "审批", "办结", "送达"), 1)
)


def departments() -> list[dict[str, str]]:
    """The departments that handle items, as packs/core lists them."""
    with (PACKS / "core" / "departments.csv").open(encoding="utf-8-sig", newline="") as handle:
        return [r for r in csv.DictReader(handle) if r["code"].startswith(("113", "123"))]


def rows(
    count: int = ITEMS, seed: int = 1
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """One item after another: its row of the sheet 事项 and its rows of 材料; the same for a seed."""
    dice = random.Random(seed)
    bodies = departments()
    for n in range(count):
        body = bodies[n % len(bodies)]
        permit = n % 3 == 0
        kind = "01" if permit else "20"
        person = dice.random() < 0.5
        instant = dice.random() < 0.3
        legal = dice.choice((5, 10, 20, 30))
        name = (
            f"{dice.choice(SCOPES)}{dice.choice(SUBJECTS)}{dice.choice(DEEDS)}"
            f"（{body['short']}第 {n + 1} 项）"
        )
        code = f"made_{n + 1:05d}"
        item = {
            "标识": code,
            "事项名称": name,
            "基本编码": f"32{kind}{n // 1000 + 50:02d}{n % 1000:03d}{seed % 1000:03d}",
            "事项类型代码": kind,
            "设定依据": "本市办事指南（模拟数据）",
            "行使层级代码": "3",
            "实施主体": body["name"],
            "实施主体代码": body["code"],
            "实施主体性质代码": "1",
            "法定办结时限": str(legal),
            "法定办结时限单位": "工作日",
            "承诺办结时限": "0" if instant else str(dice.randint(1, min(legal, 10))),
            "受理条件": "符合规定的申请人。\n材料齐全。",
            "办理流程": STAGES,
            "结果名称": "办理结果告知文",
            "结果样本": "告知书样式",
            "是否收费": "0",
            "通办范围代码": "0",
            "服务对象代码": "1" if person else "2",
            "自然人服务主题代码": f"{dice.randint(1, 31):02d}" if person else "",
            "法人服务主题代码": "" if person else f"{dice.randint(1, 34):02d}",
            "办理形式代码": "1、2、3",
            "是否网办": "1",
            "是否支持物流快递": "1",
            "办理地点": "连云港市政务服务中心综合窗口：模拟地址",
            "办理时间": "工作日 9:00—17:00",
            "咨询电话": "0518-12345",
            "监督电话": "0518-12388",
            "常见问题": "问：要多久？\n答：见承诺时限。",
            "办件类型": "即办件" if instant else "承诺件",
            "到现场次数": "0",
            "必须现场办理原因": "无",
            "申请表": "person_basic" if person else "entity_basic",
            "一生事代码": f"{dice.randint(1, 13):02d}" if person else f"{dice.randint(51, 60)}",
            "受理层级": "city、county、town、village" if n % 5 == 0 else "city、county",
            "关键词": "",
            "数据性质": "模拟数据",
        }
        materials = [
            {
                "标识": code,
                "材料标识": f"m{at}",
                "材料名称": thing,
                "出具机构": "",
                "原件份数": "1",
                "复印件份数": "0",
                "是否必备材料": "1",
                "免交依据": GROUNDS.get(thing, ""),
            }
            for at, thing in enumerate(dice.sample(THINGS, dice.randint(2, 6)), 1)
        ]
        yield item, materials


def write(file: Path, count: int = ITEMS, seed: int = 1) -> None:
    """The workbook of `count` items."""
    book = Workbook(write_only=True)
    items, materials = book.create_sheet("事项"), book.create_sheet("材料")
    heads: tuple[list[str], list[str]] | None = None
    for item, listed in rows(count, seed):
        if heads is None:
            heads = list(item), list(listed[0])
            items.append(heads[0])
            materials.append(heads[1])
        items.append(list(item.values()))
        for one in listed:
            materials.append(list(one.values()))
    book.save(file)


def main() -> int:
    """``python -m demo.items FILE [--count N] [--seed S]``: a workbook for 工作台 → 事项导入."""
    parser = argparse.ArgumentParser(description="生成事项工作簿（模拟数据）")
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=ITEMS)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    write(told.file, told.count, told.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
