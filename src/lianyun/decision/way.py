"""Way: what a path's BPMN 2.0 text declares; its steps, and the form in which the engine runs it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from lxml import etree

from . import xml
from .closed import BadPath, check_expression

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


def tag_of(name: str) -> str:
    """A BPMN element's name in its namespace."""
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
    tag_of("userTask"): WORK,
    tag_of("manualTask"): WORK,
    tag_of("businessRuleTask"): DECIDE,
    tag_of("receiveTask"): WAIT,
    tag_of("intermediateCatchEvent"): TIMER,
}


@lru_cache(maxsize=256)
def steps_of(bpmn: str) -> dict[str, Step]:
    """The steps that a BPMN text declares, with their own extension attributes, in its order."""
    root = parse_xml(bpmn)
    messages = {m.get("id"): m.get("name") for m in root.iter(tag_of("message"))}
    fires = {}
    for event in root.iter(tag_of("boundaryEvent")):
        own = event.find(f"{tag_of('extensionElements')}/{{{OWN}}}step")
        fires[event.get("attachedToRef")] = _days(event, own)
    out: dict[str, Step] = {}
    for task in root.iter(*_KINDS):
        kind = _KINDS[task.tag]
        own = task.find(f"{tag_of('extensionElements')}/{{{OWN}}}step")
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
    duration = event.findtext(f"{tag_of('timerEventDefinition')}/{tag_of('timeDuration')}")
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
            f"{tag_of('multiInstanceLoopCharacteristics')}/{tag_of('loopCardinality')}"
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
    named = parse_xml(bpmn).find(f"{tag_of('process')}[@id='{key}']")
    return str(named.get("name") or key) if named is not None else key


def check_elements(root: etree._Element, key: str) -> None:
    """Raise BadPath where a text has elements outside the allowed set or a bad expression."""
    ids: set[str] = set()
    processes = {p.get("id") for p in root.iter(tag_of("process"))}
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
            node.get("cancelActivity") == "false"
            or node.find(tag_of("timerEventDefinition")) is None
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
    for task in list(root.iter(tag_of("businessRuleTask"), tag_of("receiveTask"))):
        task.tag = tag_of("userTask")
        task.attrib.pop("messageRef", None)
    for event in list(root.iter(tag_of("intermediateCatchEvent"))):
        for definition in event.findall("*"):
            if str(definition.tag).endswith("EventDefinition"):
                event.remove(definition)
        event.tag = tag_of("userTask")
    for number, event in enumerate(list(root.iter(tag_of("boundaryEvent")))):
        timer = event.find(tag_of("timerEventDefinition"))
        event.remove(timer)
        name = f"fires_{event.get('attachedToRef')}"
        etree.SubElement(event, tag_of("messageEventDefinition"), messageRef=name)
        root.insert(number, etree.Element(tag_of("message"), id=name, name=name))
    return etree.tostring(root, encoding="unicode")
