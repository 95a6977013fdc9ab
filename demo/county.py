"""County: what a district's own departments have: one register of its own, and one that the city keeps too."""

from __future__ import annotations

import argparse
import csv
import random
import sys
from pathlib import Path

from .vocabulary import GIVEN, SURNAMES

CODE, NAME = "320707", "赣榆区"
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
POSTS = ("乡村保洁员", "护林员", "河道管护员", "农家书屋管理员", "道路养护员")
TOWNS = ("320707100", "320707101", "320707102")

DATASETS = {
    "rs_public_posts": """\
name: rs_public_posts
title: 乡村公益性岗位信息
provider: rs
class: "203002"
serial: "000901"
summary: 区人力资源社会保障局开发的乡村公益性岗位及上岗人员。
format: 数据库
share: {type: 2, conditions: 市、区有关部门审核救助和就业帮扶时使用, method: 批量交换}
open: {open: false, conditions: ""}
cycle: 每月
level: 3
key: [post_number]
contract: evolve
items:
 - {name: post_number, title: 岗位编号, type: C, format: an..20, required: true}
 - {name: citizen_number, title: 公民身份号码, element: citizen_number, required: true}
 - {name: name, title: 姓名, element: person_name, required: true}
 - {name: post, title: 岗位名称, type: C, format: an..60, required: true}
 - {name: monthly_pay, title: 月补贴, type: N, format: "n..10,2"}
 - {name: region_code, title: 行政区划代码, element: region_code, required: true}
""",
    "ny_cooperatives": """\
name: ny_cooperatives
title: 农民专业合作社信息
provider: ny
class: "209003"
serial: "000002"
summary: 区农业农村局登记管理的农民专业合作社。
format: 数据库
share: {type: 1, basis: 《政务数据共享条例》第十四条, method: 批量交换}
open: {open: false, conditions: ""}
cycle: 每季度
level: 1
key: [entity_name]
contract: evolve
items:
 - {name: entity_name, title: 单位名称, element: entity_name, required: true}
 - {name: members, title: 成员数, element: member_count}
 - {name: town_code, title: 乡镇街道代码, element: town_code}
""",
}


def _number(region: str, rng: random.Random) -> str:
    day = f"19{rng.randint(60, 99)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
    body = f"{region}{day}{rng.randint(0, 999):03d}"
    return body + "10X98765432"[sum(w * int(d) for w, d in zip(WEIGHTS, body, strict=True)) % 11]


def write(folder: Path, packs: Path, seed: int, rows: int) -> None:
    """Write the district's declarations and its register as CSV; a few rows are wrong, as in life."""
    rng = random.Random(seed)
    pack = packs / "district"
    (pack / "datasets").mkdir(parents=True, exist_ok=True)
    (pack / "pack.yaml").write_text(
        "name: district\ntitle: 区级数据\nneeds: [core]\ndescription: 赣榆区自有的数据集\n", "utf-8"
    )
    for name, text in DATASETS.items():
        (pack / "datasets" / f"{name}.yaml").write_text(text, "utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    surnames, given = list(SURNAMES), GIVEN["m_mid"] + GIVEN["f_mid"]
    with (folder / "rs_public_posts.csv").open("w", encoding="utf-8-sig", newline="") as file:
        out = csv.writer(file)
        out.writerow(["岗位编号", "公民身份号码", "姓名", "岗位名称", "月补贴", "行政区划代码"])
        for place in range(rows):
            # One in a hundred belongs to the neighbour: the city will refuse it.
            region = "320722" if place % 100 == 99 else CODE
            name = rng.choice(surnames) + rng.choice(given) + rng.choice(given)
            pay = rng.choice((600, 800, 1000))
            out.writerow(
                [f"GY{place:06d}", _number(CODE, rng), name, rng.choice(POSTS), pay, region]
            )
    with (folder / "ny_cooperatives.csv").open("w", encoding="utf-8-sig", newline="") as file:
        out = csv.writer(file)
        out.writerow(["单位名称", "成员数", "乡镇街道代码"])
        for place in range(60):
            name = f"{NAME}{rng.choice(surnames)}家{place + 1}号水产专业合作社"
            out.writerow([name, rng.randint(5, 80), rng.choice(TOWNS)])


def main(arguments: list[str] | None = None) -> int:
    """``python -m demo.county --out FOLDER --packs FOLDER``."""
    parser = argparse.ArgumentParser(prog="python -m demo.county")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--packs", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1000)
    options = parser.parse_args(arguments)
    write(options.out, options.packs, options.seed, options.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
