"""Pack check: every declaration of every pack is looked at before it reaches a city."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from lianyun.capabilities.enrolment import api as enrolment
from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.items import api as items
from lianyun.capabilities.messages import api as messages
from lianyun.capabilities.offers import api as offers
from lianyun.capabilities.packages import api as packages
from lianyun.decision import BadTable, compile_decision, load
from lianyun.kernel import packs
from lianyun.kernel.element import BadFormat, ElementSpec, Format
from lianyun.kernel.manifest import permissions
from lianyun.kernel.path import BadPath, compile_path, spec_of, steps_of
from lianyun.lake import compare, match, places
from lianyun.lake.check import RowRule, vet_rule
from lianyun.lake.shelves import LakeError

Note = Callable[[str], None]

CONTRACTS = {"evolve", "discard_value", "freeze", "discard_row"}
SEVERITIES = {"reject", "warn"}
WINS = {"authority", "latest"}
DESKS = {"applicant", "provider", "bureau", "each"}
_NAME = re.compile(r"[a-z][a-z0-9_]{1,59}")
_ASCII_FOLDER = re.compile(r"[a-z][a-z0-9_]*")
_CODE_COLUMNS = {"code", "name", "valid_from", "valid_to", "parent", "level", "note"}
_DATASET_KEYS = {
    "name", "title", "provider", "class", "serial", "summary", "format", "share", "open", "cycle",
    "level", "key", "contract", "items", "rules", "related", "system", "note", "crs",
}  # fmt: skip


class _World:
    """What declarations may refer to, read once from all packs."""

    def __init__(self) -> None:
        self.elements: dict[str, ElementSpec] = {}
        self.departments = {row["slug"] for row in packs.table("core", "departments.csv")}
        self.classes = {row["code"] for row in packs.table("core", "classes.csv")}
        self.cycles = {row["name"] for row in packs.table("core", "codes/update_cycle.csv")}
        self.lists = {name for name, _ in packs.code_files()}
        self.datasets = {d.name: d.data for d in packs.declarations("datasets")}
        self.permissions = set(permissions())


def _packs(note: Note) -> None:
    names = set(packs.pack_names())
    for folder in sorted(path for path in packs.packs_dir().iterdir() if path.is_dir()):
        if folder.name not in names:
            note(f"{folder.name}：缺少 pack.yaml")
            continue
        data = packs._yaml(folder / "pack.yaml")
        if not _ASCII_FOLDER.fullmatch(folder.name) or data.get("name") != folder.name:
            note(f"{folder.name}/pack.yaml：name 应与文件夹同名（小写字母、数字、下划线）")
        for key in ("title", "description"):
            if not data.get(key):
                note(f"{folder.name}/pack.yaml：缺少 {key}")
        for needed in data.get("needs") or []:
            if needed not in names:
                note(f"{folder.name}/pack.yaml：依赖的包 {needed} 不存在")
        for file in folder.rglob("*.py"):
            note(f"{file.relative_to(packs.packs_dir())}：行业包里不能有程序")


def _elements(world: _World, note: Note) -> None:
    for entry in packs.lists("elements.yaml"):
        code = str(entry.get("code") or "?")
        try:
            spec = ElementSpec.of(entry)
        except (BadFormat, TypeError) as error:
            note(f"{entry['pack']}/elements.yaml：{code}：{error}")
            continue
        if code in world.elements:
            note(f"{entry['pack']}/elements.yaml：数据元 {code} 重复")
        if spec.domain and spec.domain not in world.lists:
            note(f"{entry['pack']}/elements.yaml：{code}：代码表 {spec.domain} 不存在")
        world.elements[code] = spec


def _code_lists(note: Note) -> None:
    for name, file in packs.code_files():
        where = f"{file.parent.parent.name}/codes/{file.name}"
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            if not {"code", "name"} <= set(reader.fieldnames or ()):
                note(f"{where}：首行应有 code,name,valid_from,valid_to")
                continue
            seen: set[tuple[str, str]] = set()
            for number, row in enumerate(reader, start=2):
                key = (row["code"], row.get("valid_from") or "")
                if not row["code"] or not row["name"]:
                    note(f"{where} 第 {number} 行：代码或名称为空")
                if key in seen:
                    note(f"{where} 第 {number} 行：代码 {row['code']} 重复")
                seen.add(key)
                days = [row.get("valid_from") or "", row.get("valid_to") or ""]
                if any(day and not _is_day(day) for day in days):
                    note(f"{where} 第 {number} 行：有效期应为 YYYY-MM-DD")
                elif all(days) and days[0] > days[1]:
                    note(f"{where} 第 {number} 行：失效日期早于生效日期")
        if not name.isascii():
            note(f"{where}：文件名应为小写英文")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _datasets(world: _World, note: Note) -> None:
    codes: dict[str, str] = {}
    rules: dict[str, str] = {}
    for declared in packs.declarations("datasets"):
        data, where = declared.data, f"{declared.pack}/datasets/{declared.file.name}"

        def wrong(text: str, where: str = where) -> None:
            note(f"{where}：{text}")

        if declared.file.stem != data.get("name") or not _NAME.fullmatch(declared.file.stem):
            wrong("name 应与文件同名，小写英文、数字、下划线")
        for key in sorted(set(data) - _DATASET_KEYS):
            wrong(f"不认识的键 {key}")
        for key in ("title", "summary", "class", "serial", "cycle", "level", "items"):
            if not data.get(key):
                wrong(f"缺少 {key}")
        if data.get("provider") not in world.departments:
            wrong(f"提供方 {data.get('provider')} 不在部门表")
        if str(data.get("class")) not in world.classes:
            wrong(f"分类 {data.get('class')} 不在 core/classes.csv")
        code = f"{data.get('class')}/{data.get('serial')}"
        if code in codes:
            wrong(f"目录代码 {code} 与 {codes[code]} 重复")
        codes[code] = where
        if data.get("cycle") not in world.cycles:
            wrong(f"更新周期 {data.get('cycle')} 不在代码表 update_cycle")
        if data.get("contract", "evolve") not in CONTRACTS:
            wrong(f"contract 应为 {'、'.join(sorted(CONTRACTS))} 之一")
        _sharing(data, wrong)
        columns = _items(data, world, wrong)
        for item in data.get("key") or []:
            if item not in columns:
                wrong(f"主键 {item} 不是信息项")
        for rule in data.get("rules") or []:
            name = str(rule.get("code") or "?")
            if name in rules:
                wrong(f"规则 {name} 与 {rules[name]} 重名")
            rules[name] = where
            if rule.get("severity") not in SEVERITIES:
                wrong(f"规则 {name}：severity 应为 reject 或 warn")
            if not rule.get("title"):
                wrong(f"规则 {name}：缺少 title")
            try:
                vet_rule(
                    RowRule(name, str(rule.get("title")), str(rule.get("sql"))), sorted(columns)
                )
            except LakeError as error:
                wrong(f"规则 {name}：{error}")


def _sharing(data: dict[str, Any], wrong: Note) -> None:
    share = data.get("share") or {}
    kind = share.get("type")
    if kind not in {1, 2, 3}:
        wrong("share.type 应为 1（无条件）、2（有条件）或 3（不予共享）")
    if kind == 2 and not share.get("conditions"):
        wrong("有条件共享须写明共享条件（国令809号第十五条）")
    if kind == 3 and not share.get("basis"):
        wrong("不予共享须写明法律、行政法规或者国务院决定依据（国令809号第十五条）")
    if data.get("level") not in {1, 2, 3, 4}:
        wrong("level 应为 1 至 4")


def _items(data: dict[str, Any], world: _World, wrong: Note) -> set[str]:
    columns: set[str] = set()
    personal = False
    for item in data.get("items") or []:
        name = str(item.get("name") or "?")
        if not _NAME.fullmatch(name):
            wrong(f"信息项 {name}：名称应为小写英文、数字、下划线")
        if name in columns:
            wrong(f"信息项 {name} 重复")
        columns.add(name)
        if not item.get("title"):
            wrong(f"信息项 {name}：缺少 title")
        code = item.get("element")
        if code:
            spec = world.elements.get(str(code))
            if spec is None:
                wrong(f"信息项 {name}：数据元 {code} 不存在")
            elif spec.personal and (spec.sensitive or spec.check or spec.mask == "name"):
                # An office telephone is drawn from the same element as a person's: only what
                # tells who somebody is makes a dataset personal beyond doubt.
                personal = True
        elif not item.get("type") or not item.get("format"):
            wrong(f"信息项 {name}：没有数据元时须写 type 与 format")
        if item.get("format"):
            try:
                Format.parse(str(item["format"]))
            except BadFormat as error:
                wrong(f"信息项 {name}：{error}")
    if personal and data.get("level") in {1, 2}:
        wrong("含个人信息的数据集 level 不低于 3")
    return columns


_LIBRARY_KEYS = {
    "name", "title", "summary", "key", "fields", "form", "group", "class", "serial", "cycle",
    "level", "share", "icon", "unit", "rows", "holder", "kind", "region", "expires", "series",
}  # fmt: skip


def _libraries(world: _World, note: Note) -> None:
    codes = {f"{d.get('class')}/{d.get('serial')}" for d in world.datasets.values()}
    for declared in packs.declarations("libraries"):
        where = f"{declared.pack}/libraries/{declared.file.name}"
        data = declared.data

        def wrong(text: str, where: str = where) -> None:
            note(f"{where}：{text}")

        for key in sorted(set(data) - _LIBRARY_KEYS):
            wrong(f"不认识的键 {key}")
        for key in ("title", "summary", "key", "fields"):
            if not data.get(key):
                wrong(f"缺少 {key}")
        if str(data.get("class")) not in world.classes:
            wrong(f"分类 {data.get('class')} 不在 core/classes.csv")
        code = f"{data.get('class')}/{data.get('serial')}"
        if code in codes:
            wrong(f"目录代码 {code} 重复")
        codes.add(code)
        form = data.get("form", "golden")
        if form not in {"golden", "list", "series"}:
            wrong("form 应为 golden、list 或 series")
        for entry in data.get("fields") or []:
            name = str(entry.get("name") or "?")
            if entry.get("element") and entry["element"] not in world.elements:
                wrong(f"{name}：数据元 {entry['element']} 不存在")
            if not entry.get("element") and not (entry.get("type") and entry.get("format")):
                wrong(f"{name}：没有数据元时须写 type 与 format")
        names = {str(entry.get("name")) for entry in data.get("fields") or []}
        if form == "golden":
            _golden_fields(data, world, wrong)
        else:
            _list_rows(data, names, world, wrong)
        refs = [data.get(k) for k in ("holder", "kind", "region", "expires") if data.get(k)]
        for ref in [*refs, *(data.get("series") or ())]:
            if str(ref) not in names:
                wrong(f"{ref} 不是字段")


def _golden_fields(data: dict[str, Any], world: _World, wrong: Note) -> None:
    for entry in data.get("fields") or []:
        name = str(entry.get("name") or "?")
        if entry.get("wins", "authority") not in WINS:
            wrong(f"{name}：wins 应为 authority 或 latest")
        for source in entry.get("sources") or []:
            dataset = world.datasets.get(source.get("dataset"))
            if dataset is None:
                wrong(f"{name}：数据集 {source.get('dataset')} 不存在")
                continue
            columns = {item["name"] for item in dataset.get("items") or []}
            key = data.get("key")
            if source.get("column") not in columns:
                wrong(f"{name}：{source['dataset']} 没有 {source.get('column')}")
            if source.get("key", key) not in columns:
                wrong(f"{name}：{source['dataset']} 没有主键 {source.get('key', key)}")
        if not entry.get("sources"):
            wrong(f"{name}：没有来源")


def _list_rows(data: dict[str, Any], names: set[str], world: _World, wrong: Note) -> None:
    if not data.get("rows"):
        wrong("缺少 rows")
    for row in data.get("rows") or []:
        dataset = world.datasets.get(row.get("dataset"))
        if dataset is None:
            wrong(f"数据集 {row.get('dataset')} 不存在")
            continue
        columns = {item["name"] for item in dataset.get("items") or []}
        used = [*(row.get("columns") or {}).values(), *(row.get("where") or {})]
        used += [*(row.get("point") or ()), *filter(None, (row.get("date"), row.get("vintage")))]
        for column in used:
            if column not in columns:
                wrong(f"{row['dataset']} 没有 {column}")
        for field in {*(row.get("columns") or {}), *(row.get("values") or {})} - names:
            wrong(f"{row['dataset']}：{field} 不是字段")
        if not dataset.get("key"):
            wrong(f"{row['dataset']} 没有主键，不能逐行进入库")
        if dataset.get("crs") and dataset["crs"] not in places.SYSTEMS:
            wrong(f"{row['dataset']}：坐标系 {dataset['crs']} 不认识")


def _comparisons(world: _World, note: Note) -> None:
    columns = {
        name: [str(item["name"]) for item in data.get("items") or []]
        for name, data in world.datasets.items()
    }
    for declared in packs.declarations("comparisons"):
        data, where = declared.data, f"{declared.pack}/comparisons/{declared.file.name}"
        if declared.file.stem != data.get("name"):
            note(f"{where}：name 应与文件同名")
        for key in ("title", "group", "summary", "ask", "innocent", "basis", "subject", "match"):
            if not data.get(key):
                note(f"{where}：缺少 {key}")
        if data.get("desk") not in world.departments:
            note(f"{where}：承办部门 {data.get('desk')} 不在部门表")
        if data.get("cycle") not in world.cycles:
            note(f"{where}：周期 {data.get('cycle')} 不在代码表 update_cycle")
        try:
            rule = compare.read(data)
            for side in (rule.left, rule.right):
                if side.dataset not in columns:
                    raise LakeError(f"数据集 {side.dataset} 不存在")
            compare.vet(rule, columns)
        except (LakeError, TypeError, ValueError) as error:
            note(f"{where}：{error}")


def _linkages(world: _World, note: Note) -> None:
    for declared in packs.declarations("linkages"):
        where = f"{declared.pack}/linkages/{declared.file.name}"
        for key in ("title", "summary"):
            if not declared.data.get(key):
                note(f"{where}：缺少 {key}")
        if declared.file.stem != declared.data.get("name"):
            note(f"{where}：name 应与文件同名")
        try:
            spec = match.read(declared.data)
        except (LakeError, TypeError, ValueError) as error:
            note(f"{where}：{error}")
            continue
        for number, side in enumerate(spec.sides):
            dataset = world.datasets.get(side.dataset)
            if dataset is None:
                note(f"{where}：数据集 {side.dataset} 不存在")
                continue
            columns = {str(item["name"]) for item in dataset.get("items") or []}
            used = [f.left if number == 0 else f.right for f in spec.fields]
            for column in {*side.key, *used} - columns:
                note(f"{where}：数据集 {side.dataset} 没有 {column}")


def _paths(world: _World, note: Note) -> None:
    for name, where, bpmn in _path_texts(note):
        for step in steps_of(bpmn).values():
            if step.permission and step.permission not in world.permissions:
                note(f"{where}：{name}.{step.id}：权限 {step.permission} 没有能力声明")
            if step.department and step.department not in DESKS | world.departments:
                note(f"{where}：{name}.{step.id}：部门 {step.department} 不存在")


def _path_texts(note: Note) -> Iterator[tuple[str, str, str]]:
    """Every path as BPMN text, compiled from YAML or read from a .bpmn file."""
    others = {d.name: d.data for d in packs.declarations("paths")}
    for declared in packs.declarations("paths"):
        where = f"{declared.pack}/paths/{declared.file.name}"
        try:
            yield (
                declared.name,
                where,
                compile_path(
                    declared.name,
                    str(declared.data.get("title") or ""),
                    declared.data.get("steps") or [],
                    others,
                ),
            )
        except (BadPath, KeyError) as error:
            note(f"{where}：{error}")
    for file in sorted(packs.packs_dir().glob("*/paths/*.bpmn")):
        where = str(file.relative_to(packs.packs_dir()))
        text = file.read_text("utf-8")
        try:
            spec_of(text, file.stem)
        except BadPath as error:
            note(f"{where}：{error}")
            continue
        yield file.stem, where, text


def _decisions(note: Note) -> None:
    keys = {d.name for d in packs.declarations("decisions")}
    for declared in packs.declarations("decisions"):
        try:
            compile_decision(declared.name, declared.data)
        except BadTable as error:
            note(f"{declared.pack}/decisions/{declared.file.name}：{error}")
    for file in packs.files("decisions", "dmn"):
        where = str(file.relative_to(packs.packs_dir()))
        if file.stem in keys:
            note(f"{where}：决策 {file.stem} 已有同名 YAML")
        try:
            load(file.read_text("utf-8"))
        except BadTable as error:
            note(f"{where}：{error}")


def _roles(world: _World, note: Note) -> None:
    for role in packs.lists("roles.yaml"):
        if role.get("scope", "own") not in {"own", "all"}:
            note(f"{role['pack']}/roles.yaml：{role.get('name')}：scope 应为 own 或 all")
        for permission in role.get("permissions") or []:
            if permission not in world.permissions:
                note(
                    f"{role['pack']}/roles.yaml：{role.get('name')}：权限 {permission} 没有能力声明"
                )


def faults() -> list[str]:
    """Everything wrong in the packs, one Chinese line each; empty when all is well."""
    found: list[str] = []
    try:
        world = _World()
        _packs(found.append)
        _elements(world, found.append)
        _code_lists(found.append)
        _datasets(world, found.append)
        _libraries(world, found.append)
        _comparisons(world, found.append)
        _linkages(world, found.append)
        _paths(world, found.append)
        _decisions(found.append)
        _roles(world, found.append)
        found += forms.pack_faults()
        found += items.pack_faults()
        found += messages.pack_faults()
        found += packages.pack_faults()
        found += offers.pack_faults()
        found += enrolment.pack_faults()
    except packs.BadPack as error:
        found.append(str(error))
    return found


def summary() -> str:
    """What was looked at, in Chinese."""
    counts = {
        "个包": len(packs.pack_names()),
        "个数据元": len(packs.lists("elements.yaml")),
        "个代码表": len(list(packs.code_files())),
        "个数据集": len(packs.declarations("datasets")),
        "个基础库": len(packs.declarations("libraries")),
        "条比对规则": len(packs.declarations("comparisons")),
        "项关联": len(packs.declarations("linkages")),
        "条路径": len(packs.declarations("paths")),
        "张决策表": len(packs.declarations("decisions")),
        "个事项": len(packs.declarations("items")),
    }
    return "、".join(f"{count} {word}" for word, count in counts.items())


def folder() -> Path:
    """The folder that was looked at."""
    return packs.packs_dir()
