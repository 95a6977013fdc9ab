"""Path: the declared way of a case, BPMN 2.0 run by SpiffWorkflow, or a short YAML list compiled to it.

Conditions are a closed expression language: comparisons, and/or/not, sums over the case's data;
nothing from a file is ever executed as Python.
"""

from __future__ import annotations

import ast
import hashlib
import operator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from django.db import models
from lxml import etree
from SpiffWorkflow.bpmn.parser.BpmnParser import BpmnParser, BpmnValidator
from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine
from SpiffWorkflow.bpmn.serializer import BpmnWorkflowSerializer

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
OWN = "https://lianyun.invalid/bpmn"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

ALLOWED = {
    "definitions",
    "process",
    "startEvent",
    "endEvent",
    "userTask",
    "manualTask",
    "task",
    "subProcess",
    "exclusiveGateway",
    "parallelGateway",
    "inclusiveGateway",
    "sequenceFlow",
    "incoming",
    "outgoing",
    "conditionExpression",
    "extensionElements",
    "documentation",
    "collaboration",
    "participant",
    "laneSet",
    "lane",
    "flowNodeRef",
    "textAnnotation",
    "text",
    "association",
}


class BadPath(Exception):
    """A declared path that cannot be run; the message names the step and what is wrong."""


class BadExpression(BadPath):
    """An expression outside the closed language."""


_COMPARE: dict[type[ast.cmpop], Any] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_ARITHMETIC: dict[type[ast.operator], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@lru_cache(maxsize=2048)
def _parsed(expression: str) -> ast.expr:
    if len(expression) > 2000:
        raise BadExpression("条件表达式过长")
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadExpression(f"条件“{expression}”写法有误") from error
    for node in ast.walk(tree):
        allowed = (
            ast.BoolOp,
            ast.And,
            ast.Or,
            ast.UnaryOp,
            ast.Not,
            ast.USub,
            ast.Compare,
            ast.BinOp,
            ast.Name,
            ast.Load,
            ast.Constant,
            ast.List,
            ast.Tuple,
            ast.Attribute,
            *_COMPARE,
            *_ARITHMETIC,
        )
        if not isinstance(node, allowed):
            raise BadExpression(f"条件“{expression}”中不允许使用 {type(node).__name__}")
    return tree


def check_expression(expression: str) -> None:
    """Raise BadExpression unless the text is in the closed language."""
    _parsed(expression)


def evaluate(expression: str, values: dict[str, Any]) -> Any:
    """The value of an expression over `values`; `a.b` reads a key of a mapping; missing is None.

    Raises BadExpression where the text is outside the language or its operands do not fit.
    """
    try:
        return _value(_parsed(expression), values)
    except (TypeError, ZeroDivisionError) as error:
        raise BadExpression(f"条件“{expression}”无法计算：{error}") from error


def _value(node: ast.expr, values: dict[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return values.get(node.id)
        case ast.Attribute():
            owner = _value(node.value, values)
            return owner.get(node.attr) if isinstance(owner, dict) else None
        case ast.List() | ast.Tuple():
            return [_value(e, values) for e in node.elts]
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, values)
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, values)
        case ast.BinOp():
            left, right = _value(node.left, values), _value(node.right, values)
            if isinstance(node.op, ast.Mult) and not all(
                isinstance(v, int | float) for v in (left, right)
            ):
                raise BadExpression("只有数可以相乘")
            return _ARITHMETIC[type(node.op)](left, right)
        case ast.BoolOp(op=ast.And()):
            return all(_value(v, values) for v in node.values)
        case ast.BoolOp():
            return any(_value(v, values) for v in node.values)
        case ast.Compare():
            left = _value(node.left, values)
            for op, right_node in zip(node.ops, node.comparators, strict=True):
                right = _value(right_node, values)
                if not _COMPARE[type(op)](left, right):
                    return False
                left = right
            return True
    raise BadExpression(f"不允许使用 {type(node).__name__}")


class ClosedEngine(PythonScriptEngine):
    """SpiffWorkflow's script engine replaced: conditions only, over the case's data; no scripts."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__()
        self.values = values

    def validate(self, expression: str) -> None:
        check_expression(expression)

    def evaluate(
        self, task: Any, expression: str, external_context: dict[str, Any] | None = None
    ) -> Any:
        return evaluate(expression, {**self.values, **task.data})

    def execute(self, task: Any, script: str, external_context: Any = None) -> bool:
        raise BadPath("路径中不允许脚本")

    def call_service(self, task: Any, **kwargs: Any) -> None:
        raise BadPath("路径中不允许直接调用服务")


@dataclass(frozen=True)
class Outcome:
    """One way in which a step may end; `reason` makes a written reason obligatory."""

    name: str
    title: str
    reason: bool = False
    style: str = ""


@dataclass(frozen=True)
class Step:
    """One piece of work: who may do it (`permission` in `department`), within how many working days.

    `department` is applicant, provider, bureau, or a department's slug. `days` may be None. Steps
    that name the same `clock` share one legal limit: a later step gets the first one's due day.
    """

    id: str
    title: str
    permission: str
    department: str
    days: int | None = None
    basis: str = ""
    clock: str = ""
    outcomes: tuple[Outcome, ...] = field(default_factory=tuple)

    def outcome(self, name: str) -> Outcome:
        """The declared outcome of that name; raises KeyError."""
        for found in self.outcomes:
            if found.name == name:
                return found
        raise KeyError(name)


class Path(models.Model):
    """One version of a declared path; running cases stay on the version they began with."""

    key = models.CharField("标识", max_length=80)
    version = models.PositiveIntegerField("版本")
    title = models.CharField("名称", max_length=200)
    bpmn = models.TextField("BPMN")
    digest = models.CharField(max_length=64)
    data = models.JSONField("其他", default=dict)
    created_at = models.DateTimeField("建立时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "办理路径"
        ordering = ["key", "-version"]
        constraints = [models.UniqueConstraint(fields=["key", "version"], name="path_version_once")]

    def __str__(self) -> str:
        return f"{self.title} v{self.version}"

    @property
    def steps(self) -> dict[str, Step]:
        """The path's steps by id, in the order of the file."""
        return steps_of(self.bpmn)


def _tag(name: str) -> str:
    return f"{{{BPMN}}}{name}"


def parse_xml(text: str) -> etree._Element:
    """Parse BPMN text with entities and network off; raises BadPath where it is not XML."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        return etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise BadPath(f"不是有效的 BPMN 文件：{error}") from error


@lru_cache(maxsize=256)
def steps_of(bpmn: str) -> dict[str, Step]:
    """The steps (user tasks) that a BPMN text declares, with their own extension attributes."""
    out: dict[str, Step] = {}
    for task in parse_xml(bpmn).iter(_tag("userTask"), _tag("manualTask")):
        own = task.find(f"{_tag('extensionElements')}/{{{OWN}}}step")
        if own is None:
            raise BadPath(f"步骤 {task.get('id')} 没有说明由谁办理")
        days = own.get("days")
        out[task.get("id")] = Step(
            id=task.get("id"),
            title=task.get("name") or task.get("id"),
            permission=own.get("permission", ""),
            department=own.get("department", "provider"),
            days=int(days) if days else None,
            basis=own.get("basis", ""),
            clock=own.get("clock", ""),
            outcomes=tuple(
                Outcome(
                    o.get("name"), o.get("title"), o.get("reason") == "true", o.get("style", "")
                )
                for o in own.findall(f"{{{OWN}}}outcome")
            ),
        )
    return out


@lru_cache(maxsize=256)
def spec_of(bpmn: str, key: str) -> tuple[Any, dict[str, Any]]:
    """The engine's process specification of a BPMN text: (spec, sub-process specs); cached.

    Raises BadPath where the text has elements outside the allowed set or a bad condition.
    """
    root = parse_xml(bpmn)
    for node in root.iter():
        if not isinstance(node.tag, str):
            continue
        name = etree.QName(node)
        if name.namespace == BPMN and name.localname not in ALLOWED:
            raise BadPath(f"路径 {key} 中不支持元素 {name.localname}")
        if name.namespace == BPMN and name.localname == "conditionExpression":
            check_expression(node.text or "")
    parser = BpmnParser(validator=BpmnValidator())
    try:
        parser.add_bpmn_str(bpmn.encode())
        return parser.get_spec(key), parser.get_subprocess_specs(key)
    except Exception as error:
        raise BadPath(f"路径 {key} 无法运行：{error}") from error


@dataclass
class _Builder:
    """Collects the nodes and flows of one process while a YAML list is compiled."""

    process: etree._Element
    flows: int = 0

    def node(self, tag: str, ident: str, name: str = "") -> etree._Element:
        element = etree.SubElement(self.process, _tag(tag), id=ident)
        if name:
            element.set("name", name)
        return element

    def flow(self, source: str, target: str, when: str | None = None) -> str:
        self.flows += 1
        ident = f"flow_{self.flows}"
        element = etree.SubElement(
            self.process, _tag("sequenceFlow"), id=ident, sourceRef=source, targetRef=target
        )
        if when is not None:
            check_expression(when)
            condition = etree.SubElement(element, _tag("conditionExpression"))
            condition.set(f"{{{XSI}}}type", "tFormalExpression")
            condition.text = when
        return ident

    def end(self, name: str) -> str:
        ident = f"end_{name}"
        if self.process.find(f"{_tag('endEvent')}[@id='{ident}']") is None:
            self.node("endEvent", ident, name)
        return ident


def _entry(step: dict[str, Any]) -> str:
    if "parallel" in step:
        return f"fork_{step['id']}"
    if "choose" in step:
        return f"choose_{step['id']}"
    return str(step["id"])


def _compile(build: _Builder, steps: list[dict[str, Any]], after: str, known: set[str]) -> None:
    for at, step in enumerate(steps):
        following = _entry(steps[at + 1]) if at + 1 < len(steps) else after
        entries = {str(s["id"]): _entry(s) for s in steps}

        def target(
            way: dict[str, Any],
            entries: dict[str, str] = entries,
            following: str = following,
            step: dict[str, Any] = step,
        ) -> str:
            if way.get("end"):
                if after != "end_done":
                    raise BadPath(f"步骤 {step['id']}：并行分支内不能直接结束办件")
                return build.end(str(way["end"]))
            if way.get("go"):
                if way["go"] not in entries:
                    raise BadPath(f"步骤 {step['id']}：没有名为 {way['go']} 的步骤")
                return entries[way["go"]]
            return following

        if step["id"] in known:
            raise BadPath(f"步骤 {step['id']} 重复")
        known.add(step["id"])
        if "parallel" in step:
            fork, join = f"fork_{step['id']}", f"join_{step['id']}"
            build.node("parallelGateway", fork, step.get("title", ""))
            build.node("parallelGateway", join)
            for branch in step["parallel"]:
                build.flow(fork, _entry(branch[0]))
                _compile(build, branch, join, known)
            build.flow(join, following)
        elif "choose" in step:
            gateway = build.node("exclusiveGateway", _entry(step), step.get("title", ""))
            for way in step["choose"]:
                ident = build.flow(_entry(step), target(way), way.get("when"))
                if "when" not in way:
                    gateway.set("default", ident)
        else:
            _compile_work(build, step, target)


def _compile_work(build: _Builder, step: dict[str, Any], target: Any) -> None:
    ident = str(step["id"])
    for key in ("title", "permission"):
        if not step.get(key):
            raise BadPath(f"步骤 {ident} 缺少 {key}")
    task = build.node("userTask", ident, step["title"])
    own = etree.SubElement(etree.SubElement(task, _tag("extensionElements")), f"{{{OWN}}}step")
    for key in ("permission", "department", "days", "basis", "clock"):
        if step.get(key) is not None:
            own.set(key, str(step[key]))
    outcomes = step.get("outcomes") or {"done": {"title": "完成"}}
    for name, way in outcomes.items():
        outcome = etree.SubElement(own, f"{{{OWN}}}outcome", name=name, title=way["title"])
        if way.get("reason"):
            outcome.set("reason", "true")
        if way.get("style"):
            outcome.set("style", way["style"])
    ways = list(outcomes.items())
    if len(ways) == 1:
        build.flow(ident, target(ways[0][1]))
        return
    gateway = build.node("exclusiveGateway", f"after_{ident}")
    build.flow(ident, f"after_{ident}")
    for name, way in ways[:-1]:
        build.flow(f"after_{ident}", target(way), f"outcome_{ident} == '{name}'")
    gateway.set("default", build.flow(f"after_{ident}", target(ways[-1][1])))


def compile_path(key: str, title: str, steps: list[dict[str, Any]]) -> str:
    """BPMN 2.0 text of a YAML list of steps.

    A step has `id, title, permission, department, days, basis, outcomes`; each outcome has a `title`
    and goes to the next step, to `go: step`, or ends the case with `end: outcome`. Beside steps
    there are `parallel: [[…], […]]` (all branches, then on) and `choose: [{when, go}, …, {go}]`.
    Raises BadPath naming the step.
    """
    if not steps:
        raise BadPath(f"路径 {key} 没有步骤")
    root = etree.Element(_tag("definitions"), nsmap={None: BPMN, "ly": OWN, "xsi": XSI})
    root.set("targetNamespace", OWN)
    process = etree.SubElement(root, _tag("process"), id=key, name=title, isExecutable="true")
    build = _Builder(process)
    build.node("startEvent", "start")
    build.end("done")
    build.flow("start", _entry(steps[0]))
    _compile(build, steps, "end_done", set())
    text = etree.tostring(root, pretty_print=True, encoding="unicode")
    spec_of(text, key)
    return text


def declare(key: str, title: str, bpmn: str, data: dict[str, Any] | None = None) -> Path:
    """Make the path's newest version be this text; nothing happens where it already is."""
    spec_of(bpmn, key)
    digest = hashlib.sha256((bpmn + title + repr(data or {})).encode()).hexdigest()
    last = Path.objects.filter(key=key).order_by("-version").first()
    if last is not None and last.digest == digest:
        return last
    return Path.objects.create(
        key=key,
        version=(last.version if last else 0) + 1,
        title=title,
        bpmn=bpmn,
        digest=digest,
        data={**(data or {}), "steps": [asdict(s) for s in steps_of(bpmn).values()]},
    )


def current(key: str) -> Path:
    """The newest version of a path; raises BadPath where none is declared."""
    found = Path.objects.filter(key=key).order_by("-version").first()
    if found is None:
        raise BadPath(f"没有名为 {key} 的办理路径")
    return found


SERIALIZER = BpmnWorkflowSerializer(BpmnWorkflowSerializer.configure())
