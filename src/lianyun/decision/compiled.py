"""Compiled: a short YAML list of steps made into BPMN 2.0 text with its drawing (docs/guides/flows.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from .closed import BadPath, check_expression
from .drawing import draw
from .way import BPMN, DC, DD, DI, OWN, XSI, number_or_expression
from .way import tag_of as _tag


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
