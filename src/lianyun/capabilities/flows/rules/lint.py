"""Lint: a path or a decision as somebody wrote it, read whole, and everything that is wrong with it.

The rules of drawing are those of bpmnlint (its names are kept, so that whoever knows them finds
them); the others are this city's: who does a step, by which law, within which days.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from lxml import etree

from lianyun.decision import BadTable, compile_decision, load
from lianyun.decision.closed import BadPath
from lianyun.decision.compiled import compile_path
from lianyun.decision.drawing import draw
from lianyun.decision.engine import spec_of
from lianyun.decision.table import Table
from lianyun.decision.way import DI, Step, check_elements, parse_xml, steps_of, tag_of, title_of

from .words import limit_of, way_of

ERROR, WARNING = "error", "warning"
PATH, DECISION = "path", "decision"
LARGEST = 300_000
"""Characters of a YAML text; a path of a hundred steps has 20,000."""

MOST_ALIASES = 12

_KEY = re.compile(r"[a-z][a-z0-9_]{1,59}")
_TASKS = ("userTask", "manualTask", "task", "businessRuleTask", "receiveTask", "callActivity")
_GATES = ("exclusiveGateway", "parallelGateway", "inclusiveGateway")
_EVENTS = ("startEvent", "endEvent", "intermediateCatchEvent", "boundaryEvent")
_NODES = (*_TASKS, "subProcess", *_GATES, *_EVENTS)
_DESKS = ("applicant", "provider", "bureau", "each")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong (or only unwise: a warning), where, and what to do about it."""

    rule: str
    severity: str
    where: str
    words: str


@dataclass(frozen=True)
class Known:
    """What a text may name: permissions with their titles, departments, decisions, other paths."""

    permissions: Mapping[str, str] = field(default_factory=dict)
    departments: frozenset[str] = frozenset()
    decisions: frozenset[str] = frozenset()
    paths: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """A text as it was read: `made` is its BPMN or DMN, empty where it cannot be read at all."""

    kind: str
    key: str
    title: str
    basis: str
    text: str
    made: str
    faults: tuple[Fault, ...]
    also_running: str = ""
    """Of a decision: the ground on which it judges cases that began before it, too (ADR 0045)."""

    @property
    def good(self) -> bool:
        """Whether it may be published: no error stands in it."""
        return bool(self.made) and not any(f.severity == ERROR for f in self.faults)

    @property
    def errors(self) -> tuple[Fault, ...]:
        """What has to be put right first."""
        return tuple(f for f in self.faults if f.severity == ERROR)


class _FewAliases(yaml.SafeLoader):
    """YAML with a dozen references at most: a few lines of nested ones could stand for gigabytes."""

    aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > MOST_ALIASES:
                raise BadPath(f"文件中的 YAML 锚点引用（*）不能超过 {MOST_ALIASES} 处")
        return super().compose_node(parent, index)


def _yaml(text: str) -> dict[str, Any]:
    """The mapping that a YAML text holds; raises BadPath with line and column."""
    if len(text) > LARGEST:
        raise BadPath(f"文件过大（超过 {LARGEST // 10_000} 万字）")
    try:
        data = yaml.load(text, Loader=_FewAliases)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark
        where = f"第 {at.line + 1} 行第 {at.column + 1} 列" if at is not None else "文件"
        raise BadPath(f"{where}不是有效的 YAML：{error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise BadPath(f"不是有效的 YAML：{error}") from error
    except RecursionError as error:
        raise BadPath("文件嵌套过深") from error
    if not isinstance(data, dict):
        raise BadPath("文件应以 title、steps 等键开头，每行写成“键: 值”")
    return data


def _is_xml(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n").startswith("<")


def _plain(text: str) -> str:
    """The text without what editors put before it, and without an XML declaration."""
    text = text.lstrip("\ufeff \t\r\n")
    if text.startswith("<?xml"):
        text = text.partition("?>")[2].lstrip()
    return text


def _failed(kind: str, key: str, text: str, words: str, title: str = "") -> Reading:
    return Reading(kind, key, title, "", text, "", (Fault("readable", ERROR, "文件", words),))


def read_path(key: str, text: str, known: Known) -> Reading:
    """A path's text (our YAML list of steps, or BPMN 2.0) with everything that is wrong with it."""
    if not _KEY.fullmatch(key):
        return _failed(PATH, key, text, "标识只用小写字母、数字和下划线，以字母开头")
    title, basis = "", ""
    try:
        if _is_xml(text):
            made = _plain(text)
            title = title_of(made, key)
        else:
            data = _yaml(text)
            title, basis = str(data.get("title") or "").strip(), str(data.get("basis") or "")
            steps = data.get("steps")
            if not title or not isinstance(steps, list):
                raise BadPath("缺少 title（名称）或 steps（步骤清单）")
            made = compile_path(key, title, steps, known.paths)
        root = parse_xml(made)
        check_elements(root, key)
        found = _drawing(root)
        if any(f.severity == ERROR for f in found):  # the engine would only say that it cannot
            return Reading(PATH, key, title[:200], basis, text, "", _sorted(found))
        made = _drawn(made, key)
        spec_of(made, key)
        found += _steps(steps_of(made), known)
    except BadPath as error:
        return _failed(PATH, key, text, str(error), title)
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        return _failed(PATH, key, text, f"有的步骤写法不对：{error}", title)
    if not basis and not _is_xml(text):
        found.append(Fault("basis", WARNING, title, "没有写明依据（basis）"))
    return Reading(PATH, key, title[:200], basis, text, made, _sorted(found))


def _drawn(text: str, key: str) -> str:
    """BPMN text with a drawing: one that was written without gets ours."""
    root = parse_xml(text)
    if root.find(f".//{{{DI}}}BPMNDiagram") is not None:
        return text
    draw(root, key)
    return etree.tostring(root, pretty_print=True, encoding="unicode")


def _sorted(found: Iterable[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(dict.fromkeys(found), key=lambda f: f.severity != ERROR))


# ---- how it is drawn ---------------------------------------------------------------------------


def _drawing(root: etree._Element) -> list[Fault]:
    """The findings of bpmnlint's recommended rules on elements that a path may hold."""
    found: list[Fault] = []
    for process in root.iter(tag_of("process"), tag_of("subProcess")):
        found += _process(process)
    return found


def _process(process: etree._Element) -> list[Fault]:
    nodes = {n.get("id"): n for n in process.iterchildren(*(tag_of(t) for t in _NODES))}
    flows = list(process.iterchildren(tag_of("sequenceFlow")))
    into: dict[Any, list[etree._Element]] = {}
    out: dict[Any, list[etree._Element]] = {}
    for one in flows:
        out.setdefault(one.get("sourceRef"), []).append(one)
        into.setdefault(one.get("targetRef"), []).append(one)
    where = _name(process)
    found: list[Fault] = []
    starts = [n for n in nodes.values() if n.tag == tag_of("startEvent")]
    if not starts:
        found.append(Fault("start-event-required", ERROR, where, "缺少开始事件"))
    if len(starts) > 1:
        found.append(Fault("single-blank-start-event", ERROR, where, "只能有一个开始事件"))
    if not any(n.tag == tag_of("endEvent") for n in nodes.values()):
        found.append(Fault("end-event-required", ERROR, where, "缺少结束事件"))
    pairs: set[tuple[Any, Any]] = set()
    for one in flows:
        ends = (one.get("sourceRef"), one.get("targetRef"))
        if ends in pairs and one.find(tag_of("conditionExpression")) is None:
            what = f"到“{_name(nodes.get(ends[1]))}”有重复的连线"
            found.append(
                Fault("no-duplicate-sequence-flows", ERROR, _name(nodes.get(ends[0])), what)
            )
        pairs.add(ends)
    for ident, node in nodes.items():
        found += _node(node, into.get(ident, []), out.get(ident, []))
    return found


def _name(node: etree._Element | None) -> str:
    if node is None:
        return "流程"
    return str(node.get("name") or node.get("id") or "流程")


def _node(
    node: etree._Element, into: list[etree._Element], out: list[etree._Element]
) -> list[Fault]:
    kind, where = etree.QName(node).localname, _name(node)
    found: list[Fault] = []
    gate = kind in _GATES
    attached = kind == "boundaryEvent"
    if not into and not out and not attached:
        return [Fault("no-disconnected", ERROR, where, "没有与其他步骤连接")]
    if not into and kind not in ("startEvent", "boundaryEvent"):
        found.append(Fault("no-implicit-start", ERROR, where, "没有步骤通向这里"))
    if not out and kind != "endEvent":
        found.append(Fault("no-implicit-end", ERROR, where, "没有后续步骤，也不是结束"))
    if not node.get("name") and (not gate or (len(out) > 1 and kind != "parallelGateway")):
        found.append(Fault("label-required", WARNING, where, "没有写名称"))
    if gate and len(into) > 1 and len(out) > 1:
        found.append(
            Fault("no-gateway-join-fork", WARNING, where, "同一个网关又汇合又分流，请分成两个")
        )
    if gate and len(into) == 1 and len(out) == 1:
        found.append(Fault("superfluous-gateway", WARNING, where, "只进一条、只出一条，可以去掉"))
    if not gate and len(into) > 1:
        found.append(Fault("fake-join", WARNING, where, "多条连线直接汇入，请先用网关汇合"))
    told = [f for f in out if f.find(tag_of("conditionExpression")) is not None]
    if kind != "parallelGateway" and len(out) > 1:
        default = node.get("default")
        if told or default or kind in ("exclusiveGateway", "inclusiveGateway"):
            for one in out:
                if one not in told and one.get("id") != default:
                    words = (
                        f"到“{one.get('name') or one.get('targetRef')}”的连线没有条件，也不是缺省"
                    )
                    found.append(Fault("conditional-flows", ERROR, where, words))
        elif not gate:
            found.append(Fault("no-implicit-split", ERROR, where, "直接分出多条连线，请用网关分流"))
    found += [
        Fault("label-required", WARNING, where, "有条件的连线没有写名称")
        for one in told
        if not one.get("name")
    ]
    return found


# ---- who, when, by which law --------------------------------------------------------------------


def _steps(steps: Mapping[str, Step], known: Known) -> list[Fault]:
    found: list[Fault] = []
    if not any(s.permission for s in steps.values()):
        found.append(Fault("somebody-works", WARNING, "流程", "没有一个由人办理的步骤"))
    for step in steps.values():
        found += _step(step, known)
    return found


def _step(step: Step, known: Known) -> list[Fault]:
    where, found = step.title, []
    if step.kind == "work" and not step.permission:
        found.append(Fault("permission", ERROR, where, "没有写明由哪个权限办理（permission）"))
    if step.permission and step.permission not in known.permissions:
        found.append(Fault("permission", ERROR, where, f"没有名为 {step.permission} 的权限"))
    if step.department not in _DESKS and step.department not in known.departments:
        found.append(Fault("department", ERROR, where, f"没有标识为 {step.department} 的部门"))
    if step.department == "each" and not step.each:
        found.append(Fault("department", ERROR, where, "department 写 each 时，须用 each 指明名单"))
    fixed = step.decide and not step.decide.startswith("=")
    if fixed and step.decide not in known.decisions:
        found.append(Fault("decision", ERROR, where, f"没有名为 {step.decide} 的决策表"))
    if step.kind == "work" and step.permission:
        if not step.basis:
            found.append(Fault("basis", WARNING, where, "没有写明依据（basis）"))
        timed = step.days is not None or step.days_by or step.clock or step.fires is not None
        if not timed and step.department != "applicant":
            found.append(Fault("days", WARNING, where, "没有办理时限（days 或 clock）"))
        names = [o.title for o in step.outcomes]
        if len(set(names)) < len(names):
            found.append(Fault("outcomes", ERROR, where, "有两个结果名称相同"))
        found += [
            Fault(
                "outcomes", WARNING, where, f"“{o.title}”是不利结果，应要求写明理由（reason: true）"
            )
            for o in step.outcomes
            if o.style == "bad" and not o.reason
        ]
    return found


# ---- decisions ------------------------------------------------------------------------------------


def read_decision(key: str, text: str) -> Reading:
    """A decision's text (our YAML, or DMN) with everything that is wrong with it."""
    if not _KEY.fullmatch(key):
        return _failed(DECISION, key, text, "标识只用小写字母、数字和下划线，以字母开头")
    basis, title, also = "", "", ""
    try:
        if _is_xml(text):
            made = _plain(text)
        else:
            data = _yaml(text)
            title, basis = str(data.get("title") or "").strip(), str(data.get("basis") or "")
            also = str(data.get("also_running") or "").strip()[:300]
            if not title:
                raise BadTable("缺少 title（名称）")
            made = compile_decision(key, data)
        model = load(made)
    except (BadPath, BadTable) as error:
        return _failed(DECISION, key, text, str(error), title)
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        return _failed(DECISION, key, text, f"写法不对：{error}", title)
    found = [f for table in model.tables for f in _table(table)]
    if not model.tables:
        found.append(Fault("table", WARNING, model.title, "没有决策表，只有表达式"))
    if not basis and not _is_xml(text):
        found.append(Fault("basis", WARNING, title, "没有写明依据（basis）"))
    shown = (title or model.title)[:200]
    return Reading(DECISION, key, shown, basis, text, made, _sorted(found), also)


def _table(table: Table) -> list[Fault]:
    found: list[Fault] = []
    if not table.rules:
        found.append(Fault("rules", ERROR, table.title, "没有一条规则"))
    seen: dict[tuple[str, ...], int] = {}
    for number, rule in enumerate(table.rules, start=1):
        where = f"{table.title} 第 {number} 条"
        if not any(rule.notes):
            found.append(
                Fault("notes", WARNING, where, "没有写明依据或说明：命中时申请人看到的就是它")
            )
        before = seen.setdefault(rule.tests, number)
        if before != number and table.policy[0] in "UFA":
            found.append(Fault("rules", ERROR, where, f"条件与第 {before} 条完全相同"))
        if all(t.strip() in ("", "-") for t in rule.tests) and number < len(table.rules):
            if table.policy == "F":
                found.append(Fault("rules", ERROR, where, "没有任何条件，后面的规则不会命中"))
            elif table.policy == "U":
                found.append(Fault("rules", ERROR, where, "没有任何条件，与其他规则重叠"))
    return found


# ---- what changed ---------------------------------------------------------------------------------


_WHERE = {
    "applicant": "申请人",
    "provider": "办理部门",
    "bureau": "市大数据局",
    "each": "名单中各部门",
}


def changes(
    before: Mapping[str, Step], now: Mapping[str, Step], permissions: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """(step, how it was, how it is), the changed ones only; empty where a step was not there."""

    def told(step: Step | None) -> str:
        if step is None:
            return ""
        parts = [step.title, way_of(step), limit_of(step)]
        if step.permission:
            who = permissions.get(step.permission, step.permission)
            ways = "、".join(o.title for o in step.outcomes)
            parts += [f"{_WHERE.get(step.department, step.department)}（{who}）", f"结果：{ways}"]
        return "；".join([*parts, *([f"依据：{step.basis}"] if step.basis else [])])

    names = dict.fromkeys([*before, *now])
    rows = [(n, told(before.get(n)), told(now.get(n))) for n in names]
    return [
        ((now.get(n) or before[n]).title, was, told_now)
        for n, was, told_now in rows
        if was != told_now
    ]


def step_marks(before: Mapping[str, Step], now: Mapping[str, Step]) -> dict[str, list[str]]:
    """The steps that were added, removed or changed, by id."""
    return {
        "added": [n for n in now if n not in before],
        "removed": [n for n in before if n not in now],
        "changed": [n for n in now if n in before and now[n] != before[n]],
    }


__all__ = [
    "DECISION",
    "ERROR",
    "PATH",
    "WARNING",
    "Fault",
    "Known",
    "Reading",
    "changes",
    "read_decision",
    "read_path",
    "step_marks",
]
