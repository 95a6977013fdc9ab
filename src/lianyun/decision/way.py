"""Way: what a path's BPMN 2.0 text declares, and a short YAML list of steps compiled to such text."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lxml import etree

from . import xml
from .closed import BadPath, check_expression
from .drawing import draw

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
DI = "http://www.omg.org/spec/BPMN/20100524/DI"
DC = "http://www.omg.org/spec/DD/20100524/DC"
DD = "http://www.omg.org/spec/DD/20100524/DI"
OWN = "https://lianyun.invalid/bpmn"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

ALLOWED = {
    "definitions", "process", "startEvent", "endEvent", "userTask", "manualTask", "task",
    "businessRuleTask", "receiveTask", "message", "intermediateCatchEvent", "boundaryEvent",
    "timerEventDefinition", "timeDuration", "messageEventDefinition", "subProcess", "callActivity",
    "multiInstanceLoopCharacteristics", "loopCardinality", "exclusiveGateway", "parallelGateway",
    "inclusiveGateway", "sequenceFlow", "incoming", "outgoing", "conditionExpression",
    "extensionElements", "documentation", "collaboration", "participant", "laneSet", "lane",
    "flowNodeRef", "textAnnotation", "text", "association",
}  # fmt: skip
"""BPMN elements a path may hold: no scripts, no services, no events thrown at the world."""

WORK, DECIDE, WAIT, TIMER = "work", "decide", "wait", "timer"


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

    `kind`: work (an officer or citizen), decide (a decision table), wait (another system's message),
    timer (working days pass). `department` is applicant, provider, bureau, each, or a department's
    slug. `days` is a number, or `days_by` an expression over the case's data. Steps that name the same `clock`
    share one legal limit: a later step gets the first one's due day. `each` names the list over
    which the step is done in parallel; after `fires` working days the path goes on without it;
    when a `final` step is done the case can no longer be withdrawn.
    """

    id: str
    title: str
    permission: str
    department: str
    days: int | None = None
    basis: str = ""
    clock: str = ""
    outcomes: tuple[Outcome, ...] = field(default_factory=tuple)
    kind: str = WORK
    decide: str = ""
    into: str = "verdict"
    message: str = ""
    each: str = ""
    fires: int | str | None = None
    final: bool = False
    days_by: str = ""

    def outcome(self, name: str) -> Outcome:
        """The declared outcome of that name; raises KeyError."""
        for found in self.outcomes:
            if found.name == name:
                return found
        raise KeyError(name)


def _tag(name: str) -> str:
    return f"{{{BPMN}}}{name}"


def parse_xml(text: str) -> etree._Element:
    """Parse BPMN text with entities and network off; raises BadPath where it is not XML."""
    try:
        return xml.parse(text)
    except xml.BadXml as error:
        raise BadPath(f"不是有效的 BPMN 文件：{error}") from error


def number_or_expression(text: str | None) -> int | str | None:
    """Days as declared: a whole number, or an expression (checked); None for nothing."""
    if text is None or not text.strip():
        return None
    if text.strip().isdigit():
        return int(text)
    check_expression(text)
    return text.strip()


_KINDS = {
    _tag("userTask"): WORK,
    _tag("manualTask"): WORK,
    _tag("businessRuleTask"): DECIDE,
    _tag("receiveTask"): WAIT,
    _tag("intermediateCatchEvent"): TIMER,
}


@lru_cache(maxsize=256)
def steps_of(bpmn: str) -> dict[str, Step]:
    """The steps that a BPMN text declares, with their own extension attributes, in its order."""
    root = parse_xml(bpmn)
    messages = {m.get("id"): m.get("name") for m in root.iter(_tag("message"))}
    fires = {}
    for event in root.iter(_tag("boundaryEvent")):
        own = event.find(f"{_tag('extensionElements')}/{{{OWN}}}step")
        fires[event.get("attachedToRef")] = _days(event, own)
    out: dict[str, Step] = {}
    for task in root.iter(*_KINDS):
        kind = _KINDS[task.tag]
        own = task.find(f"{_tag('extensionElements')}/{{{OWN}}}step")
        if own is None and kind != TIMER:
            raise BadPath(f"步骤 {task.get('id')} 没有说明由谁办理")
        told: Mapping[str, str] = own.attrib if own is not None else {}
        ident = str(task.get("id"))
        if ident in out:
            raise BadPath(f"步骤 {ident} 重复")
        if kind == DECIDE and not told.get("decide"):
            raise BadPath(f"步骤 {ident} 没有说明按哪张决策表判定")
        message = messages.get(task.get("messageRef"), "") if kind == WAIT else ""
        if kind == WAIT and not message:
            raise BadPath(f"步骤 {ident} 没有说明等待什么消息")
        days = None if kind == TIMER else number_or_expression(told.get("days"))
        out[ident] = Step(
            id=ident,
            title=task.get("name") or ident,
            permission=told.get("permission", ""),
            department=told.get("department", "provider"),
            days=days if isinstance(days, int) else None,
            days_by=days if isinstance(days, str) else "",
            basis=told.get("basis", ""),
            clock=told.get("clock", ""),
            outcomes=tuple(
                Outcome(
                    o.get("name"), o.get("title"), o.get("reason") == "true", o.get("style", "")
                )
                for o in (own.findall(f"{{{OWN}}}outcome") if own is not None else ())
            )
            or ((Outcome("done", "完成"),) if kind != DECIDE else ()),
            kind=kind,
            decide=told.get("decide", ""),
            into=told.get("into", "verdict"),
            message=message,
            each=_each(task),
            fires=_days(task, own) if kind == TIMER else fires.get(ident),
            final=told.get("final") == "true",
        )
    return out


def _days(event: etree._Element, own: etree._Element | None) -> int | str:
    """Working days of a timer event: our own attribute, else a duration such as P5D."""
    text = own.get("days") if own is not None else None
    duration = event.findtext(f"{_tag('timerEventDefinition')}/{_tag('timeDuration')}")
    if text is None and duration:
        text = duration.strip().removeprefix("P").removesuffix("D")
    found = number_or_expression(text)
    if found is None:
        raise BadPath(f"定时 {event.get('id')} 没有说明多少个工作日")
    return found


def _each(task: etree._Element) -> str:
    """The list over which a step, or the sub-process around it, is done once for each entry."""
    node: etree._Element | None = task
    while node is not None:
        loop = node.findtext(
            f"{_tag('multiInstanceLoopCharacteristics')}/{_tag('loopCardinality')}"
        )
        if loop is not None:
            text = loop.strip()
            if not (text.startswith("count(") and text.endswith(")")):
                raise BadPath(f"步骤 {task.get('id')}：多实例的数目应写成 count(名单)")
            return text[6:-1].strip()
        node = node.getparent()
    return ""


def title_of(bpmn: str, key: str) -> str:
    """The name that a BPMN text gives its process, else the key."""
    named = parse_xml(bpmn).find(f"{_tag('process')}[@id='{key}']")
    return str(named.get("name") or key) if named is not None else key


def check_elements(root: etree._Element, key: str) -> None:
    """Raise BadPath where a text has elements outside the allowed set or a bad expression."""
    ids: set[str] = set()
    processes = {p.get("id") for p in root.iter(_tag("process"))}
    if key not in processes:
        raise BadPath(f"文件中没有标识为 {key} 的流程（process）")
    for node in root.iter():
        if not isinstance(node.tag, str):
            continue
        name = etree.QName(node)
        if name.namespace not in (BPMN, OWN, DI, DC, DD):
            raise BadPath(f"路径 {key} 中不支持元素 {name.localname}（{name.namespace}）")
        if name.namespace != BPMN:
            continue
        if name.localname not in ALLOWED:
            raise BadPath(f"路径 {key} 中不支持元素 {name.localname}")
        ident = node.get("id")
        if ident is not None and ident in ids:
            raise BadPath(f"路径 {key} 中标识 {ident} 重复")
        ids.add(ident)
        if name.localname in ("conditionExpression", "loopCardinality"):
            check_expression(node.text or "")
        if name.localname == "callActivity" and node.get("calledElement") not in processes:
            raise BadPath(f"路径 {key} 调用的子流程 {node.get('calledElement')} 不在文件中")
        if name.localname == "boundaryEvent" and (
            node.get("cancelActivity") == "false" or node.find(_tag("timerEventDefinition")) is None
        ):
            raise BadPath(f"边界事件 {ident}：只支持到期后中断步骤的定时")
        if name.localname.endswith("EventDefinition") and etree.QName(
            node.getparent()
        ).localname not in ("boundaryEvent", "intermediateCatchEvent"):
            raise BadPath(f"路径 {key}：开始和结束事件不能带触发条件")


def run_form(root: etree._Element) -> str:
    """The same process as the engine runs it: whatever we decide, await and time is a task to us.

    Tables, messages and working days are not the engine's business; so a business rule, a receive
    task and a timer become tasks that we complete, and a boundary timer becomes a message of ours.
    """
    root = copy.deepcopy(root)
    for plane in root.findall(f"{{{DI}}}BPMNDiagram"):
        root.remove(plane)
    for task in list(root.iter(_tag("businessRuleTask"), _tag("receiveTask"))):
        task.tag = _tag("userTask")
        task.attrib.pop("messageRef", None)
    for event in list(root.iter(_tag("intermediateCatchEvent"))):
        for definition in event.findall("*"):
            if str(definition.tag).endswith("EventDefinition"):
                event.remove(definition)
        event.tag = _tag("userTask")
    for number, event in enumerate(list(root.iter(_tag("boundaryEvent")))):
        timer = event.find(_tag("timerEventDefinition"))
        event.remove(timer)
        name = f"fires_{event.get('attachedToRef')}"
        etree.SubElement(event, _tag("messageEventDefinition"), messageRef=name)
        root.insert(number, etree.Element(_tag("message"), id=name, name=name))
    return etree.tostring(root, encoding="unicode")


@dataclass
class _Builder:
    """Collects the nodes and flows of one process while a YAML list is compiled."""

    root: etree._Element
    process: etree._Element
    others: Mapping[str, Mapping[str, Any]]
    known: set[str]
    prefix: str = ""
    flows: int = 0

    def node(self, tag: str, ident: str, name: str = "") -> etree._Element:
        element = etree.SubElement(self.process, _tag(tag), id=ident)
        if name:
            element.set("name", name)
        return element

    def flow(self, source: str, target: str, when: str | None = None, name: str = "") -> str:
        self.flows += 1
        ident = f"{self.prefix}flow_{self.flows}"
        element = etree.SubElement(
            self.process, _tag("sequenceFlow"), id=ident, sourceRef=source, targetRef=target
        )
        if name:
            element.set("name", name)
        if when is not None:
            check_expression(when)
            condition = etree.SubElement(element, _tag("conditionExpression"))
            condition.set(f"{{{XSI}}}type", "tFormalExpression")
            condition.text = when
        return ident

    def end(self, name: str) -> str:
        ident = f"{self.prefix}end_{name}"
        if self.process.find(f"{_tag('endEvent')}[@id='{ident}']") is None:
            self.node("endEvent", ident, _ENDS.get(name, name))
        return ident

    def whole(self, steps: list[dict[str, Any]]) -> None:
        """The steps between a start and the ends they lead to."""
        start = f"{self.prefix}start"
        self.node("startEvent", start, "开始")
        self.flow(start, _entry(steps[0]))
        done = f"{self.prefix}end_done"
        _compile(self, steps, done, may_end=True)
        reached = {flow.get("targetRef") for flow in self.process.iter(_tag("sequenceFlow"))}
        if done in reached:
            self.end("done")


_ENDS = {
    "done": "办结", "granted": "准予", "refused": "不予", "withdrawn": "撤回", "delivered": "已交付",
    "not_accepted": "不予受理", "approved": "通过", "rejected": "不通过", "expired": "逾期终止",
}  # fmt: skip


def _entry(step: dict[str, Any]) -> str:
    for key, prefix in (("parallel", "fork_"), ("inclusive", "fork_"), ("choose", "choose_")):
        if key in step:
            return f"{prefix}{step['id']}"
    return str(step["id"])


def _compile(build: _Builder, steps: list[dict[str, Any]], after: str, *, may_end: bool) -> None:
    for at, step in enumerate(steps):
        if not step.get("id"):
            raise BadPath(f"第 {at + 1} 步缺少 id")
        following = _entry(steps[at + 1]) if at + 1 < len(steps) else after
        entries = {str(s.get("id")): _entry(s) for s in steps if s.get("id")}

        def target(
            way: dict[str, Any],
            entries: dict[str, str] = entries,
            following: str = following,
            step: dict[str, Any] = step,
        ) -> str:
            if way.get("end"):
                if not may_end:
                    raise BadPath(f"步骤 {step['id']}：并行分支内不能直接结束办件")
                return build.end(str(way["end"]))
            if way.get("go"):
                if way["go"] not in entries:
                    raise BadPath(f"步骤 {step['id']}：没有名为 {way['go']} 的步骤")
                return entries[way["go"]]
            return following

        if step["id"] in build.known:
            raise BadPath(f"步骤 {step['id']} 重复")
        build.known.add(step["id"])
        if "parallel" in step or "inclusive" in step:
            _compile_branches(build, step, following)
        elif "choose" in step:
            gateway = build.node("exclusiveGateway", _entry(step), step.get("title") or "分流")
            for way in step["choose"]:
                told = str(way.get("title") or way.get("when") or "其他")
                ident = build.flow(_entry(step), target(way), way.get("when"), told)
                if "when" not in way:
                    gateway.set("default", ident)
        elif "use" in step:
            _compile_use(build, step)
            build.flow(str(step["id"]), following)
        elif "steps" in step:
            inner = build.node("subProcess", str(step["id"]), step.get("title", ""))
            _loop(inner, step)
            _Builder(build.root, inner, build.others, build.known, f"{step['id']}__").whole(
                step["steps"]
            )
            _last(inner, "multiInstanceLoopCharacteristics")
            build.flow(str(step["id"]), following)
        else:
            _compile_work(build, step, target)


def _last(element: etree._Element, name: str) -> None:
    """The schema wants loop characteristics before the inner flow elements: keep them first."""
    found = element.find(_tag(name))
    if found is not None:
        element.insert(0, found)


def _compile_branches(build: _Builder, step: dict[str, Any], following: str) -> None:
    """All branches, or those whose condition holds (else the one without), then on together."""
    fork, join = f"fork_{step['id']}", f"join_{step['id']}"
    every = "parallel" in step
    tag = "parallelGateway" if every else "inclusiveGateway"
    gateway = build.node(tag, fork, step.get("title") or ("" if every else "适用的分支"))
    build.node(tag, join)
    for branch in step["parallel"] if every else step["inclusive"]:
        when = None if every else branch.get("when")
        inner = branch if every else branch.get("steps") or []
        told = "" if every else str(branch.get("title") or when or "其他")
        ident = build.flow(fork, _entry(inner[0]) if inner else join, when, told)
        if not every and when is None:
            gateway.set("default", ident)
        _compile(build, inner, join, may_end=False)
    if not every and gateway.get("default") is None:
        gateway.set("default", build.flow(fork, join, None, "其他"))
    build.flow(join, following)


def _compile_use(build: _Builder, step: dict[str, Any]) -> None:
    """A call of another declared path, whose process is put into the same text: the text is whole."""
    key = str(step["use"])
    other = build.others.get(key)
    if other is None:
        raise BadPath(f"步骤 {step['id']}：没有名为 {key} 的子流程")
    call = build.node("callActivity", str(step["id"]), step.get("title") or other["title"])
    call.set("calledElement", key)
    _loop(call, step)
    if build.root.find(f"{_tag('process')}[@id='{key}']") is None:
        process = etree.SubElement(
            build.root, _tag("process"), id=key, name=other["title"], isExecutable="true"
        )
        _Builder(build.root, process, build.others, build.known, f"{key}__").whole(other["steps"])


def _loop(element: etree._Element, step: dict[str, Any]) -> None:
    if step.get("each"):
        check_expression(str(step["each"]))
        loop = etree.SubElement(element, _tag("multiInstanceLoopCharacteristics"))
        count = etree.SubElement(loop, _tag("loopCardinality"))
        count.set(f"{{{XSI}}}type", "tFormalExpression")
        count.text = f"count({step['each']})"


def _timer(event: etree._Element, days: object) -> None:
    own = etree.SubElement(etree.SubElement(event, _tag("extensionElements")), f"{{{OWN}}}step")
    own.set("days", str(days))
    duration = etree.SubElement(
        etree.SubElement(event, _tag("timerEventDefinition")), _tag("timeDuration")
    )
    duration.set(f"{{{XSI}}}type", "tFormalExpression")
    duration.text = f"P{days}D" if str(days).isdigit() else str(days)


def _compile_work(build: _Builder, step: dict[str, Any], target: Any) -> None:
    ident = str(step["id"])
    timer = step.get("timer") or {}
    if "decide" in step:
        tag = "businessRuleTask"
    elif "wait" in step:
        tag = "receiveTask"
    elif timer and "permission" not in step:
        tag = "intermediateCatchEvent"
    else:
        tag = "userTask"
    for key in ("title", "permission") if tag == "userTask" else ("title",):
        if not step.get(key):
            raise BadPath(f"步骤 {ident} 缺少 {key}")
    if timer and number_or_expression(str(timer.get("days", ""))) is None:
        raise BadPath(f"步骤 {ident}：定时缺少 days")
    task = build.node(tag, ident, step["title"])
    if tag == "intermediateCatchEvent":
        _timer(task, timer["days"])
        build.flow(ident, target(timer))
        return
    own = etree.SubElement(etree.SubElement(task, _tag("extensionElements")), f"{{{OWN}}}step")
    for key in ("permission", "department", "days", "basis", "clock", "decide", "into"):
        if step.get(key) is not None:
            own.set(key, str(step[key]))
    number_or_expression(own.get("days"))
    if step.get("final"):
        own.set("final", "true")
    if tag == "businessRuleTask":
        build.flow(ident, target(step))
        return
    if tag == "receiveTask":
        message = str(step["wait"].get("message") or "")
        task.set("messageRef", f"message_{message}")
        if build.root.find(f"{_tag('message')}[@id='message_{message}']") is None:
            build.root.insert(
                0, etree.Element(_tag("message"), id=f"message_{message}", name=message)
            )
    outcomes = step.get("outcomes") or {"done": {"title": "完成"}}
    for name, way in outcomes.items():
        outcome = etree.SubElement(own, f"{{{OWN}}}outcome", name=name, title=way["title"])
        if way.get("reason"):
            outcome.set("reason", "true")
        if way.get("style"):
            outcome.set("style", way["style"])
    _loop(task, step)
    if timer:
        event = build.node("boundaryEvent", f"timer_{ident}", timer.get("title", "到期"))
        event.set("attachedToRef", ident)
        _timer(event, timer["days"])
        build.flow(f"timer_{ident}", target(timer))
    ways = list(outcomes.items())
    if step.get("each"):
        if any(way.get("go") or way.get("end") for _, way in ways):
            raise BadPath(f"步骤 {ident}：逐个办理（each）的步骤之后再用 choose 分流")
        build.flow(ident, target({}))
        return
    if len(ways) == 1:
        build.flow(ident, target(ways[0][1]))
        return
    led: dict[str, list[tuple[str, str]]] = {}
    for name, way in ways:
        led.setdefault(target(way), []).append((name, str(way["title"])))
    if len(led) == 1:
        build.flow(ident, next(iter(led)))
        return
    gateway = build.node("exclusiveGateway", f"after_{ident}", f"{step['title']}的结果")
    build.flow(ident, f"after_{ident}")
    # Outcomes that lead to the same place share a flow; the last outcome's is the default.
    default = target(ways[-1][1])
    for place, names in sorted(led.items(), key=lambda pair: pair[0] == default):
        when = " or ".join(f"outcome_{ident} == '{name}'" for name, _ in names)
        told = "、".join(title for _, title in names)
        flow = build.flow(f"after_{ident}", place, None if place == default else when, told)
        if place == default:
            gateway.set("default", flow)


def _merge(process: etree._Element) -> None:
    """Where several ways meet at a step or an end, they meet in a gateway first."""
    flows = list(process.findall(_tag("sequenceFlow")))
    for node in list(process):
        ident = node.get("id")
        into = [f for f in flows if f.get("targetRef") == ident]
        name = str(etree.QName(node).localname)
        if name == "subProcess":
            _merge(node)
        leaves = sum(f.get("sourceRef") == ident for f in flows)
        if len(into) < 2 or (name.endswith("Gateway") and leaves < 2):
            continue
        process.append(etree.Element(_tag("exclusiveGateway"), id=f"merge_{ident}"))
        for flow in into:
            flow.set("targetRef", f"merge_{ident}")
        etree.SubElement(
            process,
            _tag("sequenceFlow"),
            id=f"flow_into_{ident}",
            sourceRef=f"merge_{ident}",
            targetRef=ident,
        )


def _wire(root: etree._Element) -> None:
    """Name each node's flows in the node too, as the standard has it (readers rely on it)."""
    nodes = {n.get("id"): n for n in root.iter() if n.get("id")}
    for flow in root.iter(_tag("sequenceFlow")):
        for ref, name in (("sourceRef", "outgoing"), ("targetRef", "incoming")):
            if flow.get(ref) not in nodes:
                raise BadPath(f"没有名为 {flow.get(ref)} 的步骤")
            node = nodes[flow.get(ref)]
            at = sum(
                etree.QName(c).localname in ("documentation", "extensionElements", "incoming")
                or (name == "outgoing" and etree.QName(c).localname == "outgoing")
                for c in node
            )
            entry = etree.Element(_tag(name))
            entry.text = flow.get("id")
            node.insert(at, entry)


def compile_path(
    key: str,
    title: str,
    steps: list[dict[str, Any]],
    others: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """BPMN 2.0 text, with a drawing, of a YAML list of steps (docs/guides/flows.md tells them all).

    `others` holds the declared paths (title, steps) that a step may `use`. Raises BadPath naming
    the step.
    """
    if not steps:
        raise BadPath(f"路径 {key} 没有步骤")
    root = etree.Element(
        _tag("definitions"),
        nsmap={None: BPMN, "ly": OWN, "xsi": XSI, "bpmndi": DI, "dc": DC, "di": DD},
    )
    root.set("id", f"definitions_{key}")
    root.set("targetNamespace", OWN)
    process = etree.SubElement(root, _tag("process"), id=key, name=title, isExecutable="true")
    _Builder(root, process, others or {}, set()).whole(steps)
    for one in root.findall(_tag("process")):
        _merge(one)
    _wire(root)
    draw(root, key)
    return etree.tostring(root, pretty_print=True, encoding="unicode")
