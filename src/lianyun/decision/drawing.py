"""Drawing: where each node and flow of a process stands, so that any BPMN viewer can show it.

Nodes stand in columns by their longest way from the start (ways back do not count) and in rows in
the order in which they are met; flows run in right angles, ways back above all rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from lxml import etree

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
DI = "http://www.omg.org/spec/BPMN/20100524/DI"
DC = "http://www.omg.org/spec/DD/20100524/DC"
DD = "http://www.omg.org/spec/DD/20100524/DI"

GAP_X, GAP_Y, MARGIN = 60, 40, 40
_SIZES = {"startEvent": (36, 36), "endEvent": (36, 36), "intermediateCatchEvent": (36, 36)}
_SKIP = {
    "sequenceFlow", "boundaryEvent", "extensionElements", "incoming", "outgoing", "documentation",
    "multiInstanceLoopCharacteristics", "laneSet", "textAnnotation", "association",
}  # fmt: skip


@dataclass
class _Plan:
    """Boxes (x, y, width, height) and lines (points) of one process, from its own corner (0, 0)."""

    boxes: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)
    lines: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    width: float = 0
    height: float = 0


def _name(node: etree._Element) -> str:
    return str(etree.QName(node).localname)


def _size(node: etree._Element, inner: dict[str, _Plan]) -> tuple[float, float]:
    name = _name(node)
    if name == "subProcess":
        plan = inner[node.get("id")]
        return plan.width + 2 * MARGIN, plan.height + 2 * MARGIN
    if name.endswith("Gateway"):
        return 50, 50
    return _SIZES.get(name, (120, 80))


def _columns(ids: list[str], ways: list[tuple[str, str]]) -> tuple[dict[str, int], set[int]]:
    """Each node's column, and the numbers of the ways that lead back."""
    out: dict[str, list[tuple[int, str]]] = {i: [] for i in ids}
    for number, (source, target) in enumerate(ways):
        out[source].append((number, target))
    back: set[int] = set()
    order: list[str] = []
    state: dict[str, int] = {}
    for first in ids:
        if first in state:
            continue
        stack = [(first, iter(out[first]))]
        state[first] = 1
        while stack:
            node, left = stack[-1]
            for number, target in left:
                if state.get(target) == 1:
                    back.add(number)
                elif target not in state:
                    state[target] = 1
                    stack.append((target, iter(out[target])))
                    break
            else:
                state[node] = 2
                order.append(node)
                stack.pop()
    column = dict.fromkeys(ids, 0)
    for node in reversed(order):
        for number, target in out[node]:
            if number not in back:
                column[target] = max(column[target], column[node] + 1)
    return column, back


def _plan(process: etree._Element) -> _Plan:
    nodes = {n.get("id"): n for n in process if n.get("id") and _name(n) not in _SKIP}
    bounds = {n.get("id"): n for n in process if _name(n) == "boundaryEvent"}
    inner = {i: _plan(n) for i, n in nodes.items() if _name(n) == "subProcess"}
    flows = [f for f in process if _name(f) == "sequenceFlow"]
    host = {i: n.get("attachedToRef") for i, n in bounds.items()}
    ways = [(host.get(f.get("sourceRef"), f.get("sourceRef")), f.get("targetRef")) for f in flows]
    column, back = _columns(list(nodes), ways)
    rows: dict[int, int] = {}
    row: dict[str, int] = {}
    for ident in sorted(nodes, key=lambda i: column[i]):
        before = [row[s] for s, t in ways if t == ident and s in row]
        wanted = max(min(before, default=0), rows.get(column[ident], 0))
        row[ident] = wanted
        rows[column[ident]] = wanted + 1
    sizes = {i: _size(n, inner) for i, n in nodes.items()}
    wide: dict[int, float] = {}
    high: dict[int, float] = {}
    for ident, (width, height) in sizes.items():
        wide[column[ident]] = max(wide.get(column[ident], 0), width)
        high[row[ident]] = max(high.get(row[ident], 0), height)
    top = 30.0 * (1 + len(back)) if back else 0.0
    left = {c: sum(wide[n] + GAP_X for n in wide if n < c) for c in wide}
    upper = {r: top + sum(high[n] + GAP_Y for n in high if n < r) for r in high}
    plan = _Plan(
        width=sum(w + GAP_X for w in wide.values()) - GAP_X,
        height=top + sum(h + GAP_Y for h in high.values()),
    )
    for ident, (width, height) in sizes.items():
        x = left[column[ident]] + (wide[column[ident]] - width) / 2
        y = upper[row[ident]] + (high[row[ident]] - height) / 2
        plan.boxes[ident] = (x, y, width, height)
        if ident in inner:
            for sub, (bx, by, bw, bh) in inner[ident].boxes.items():
                plan.boxes[sub] = (bx + x + MARGIN, by + y + MARGIN, bw, bh)
            for line, points in inner[ident].lines.items():
                plan.lines[line] = [(px + x + MARGIN, py + y + MARGIN) for px, py in points]
    for ident, on in host.items():
        x, y, width, height = plan.boxes[on]
        plan.boxes[ident] = (x + width * 0.65, y + height - 18, 36, 36)
    lane, below = 0, 0
    solid = [box for ident, box in plan.boxes.items() if ident in nodes]
    floor = plan.height
    for number, flow in enumerate(flows):
        source, target = plan.boxes[flow.get("sourceRef")], plan.boxes[flow.get("targetRef")]
        if number in back:
            lane += 1
            plan.lines[flow.get("id")] = _line_back(source, target, top - 30.0 * lane)
            continue
        begins = host.get(flow.get("sourceRef"), flow.get("sourceRef"))
        out = left[column[begins]] + wide[column[begins]]
        into = left[column[flow.get("targetRef")]]
        way = _line(source, target, into, flow.get("sourceRef") in bounds)
        if _blocked(way, [b for b in solid if b not in (source, target)]):
            below += 1
            way = _line_below(source, target, out, into, floor + 18.0 * below)
        plan.lines[flow.get("id")] = way
    plan.height = floor + 18.0 * below
    return plan


_Box = tuple[float, float, float, float]


def _line(source: _Box, target: _Box, into: float, from_bound: bool) -> list[tuple[float, float]]:
    """Across, and up or down in the gap before the target's column (which begins at `into`)."""
    sx, sy = source[0] + source[2], source[1] + source[3] / 2
    tx, ty = target[0], target[1] + target[3] / 2
    if from_bound:
        sx, sy = source[0] + source[2] / 2, source[1] + source[3]
        down = sy + 14
        return [(sx, sy), (sx, down), (into - GAP_X / 3, down), (into - GAP_X / 3, ty), (tx, ty)]
    if sy == ty:
        return [(sx, sy), (tx, ty)]
    middle = into - GAP_X / 2
    return [(sx, sy), (middle, sy), (middle, ty), (tx, ty)]


def _blocked(line: list[tuple[float, float]], boxes: list[_Box]) -> bool:
    """Whether a line in right angles would run through a box."""
    return any(
        min(ax, bx) < x + w and max(ax, bx) > x and min(ay, by) < y + h and max(ay, by) > y
        for (ax, ay), (bx, by) in pairwise(line)
        for x, y, w, h in boxes
    )


def _line_below(
    source: _Box, target: _Box, out: float, into: float, lane: float
) -> list[tuple[float, float]]:
    """Under all boxes, where the straight way would run through one."""
    sx, sy = source[0] + source[2], source[1] + source[3] / 2
    tx, ty = target[0], target[1] + target[3] / 2
    down, up = out + GAP_X / 4, into - GAP_X / 4
    return [(sx, sy), (down, sy), (down, lane), (up, lane), (up, ty), (tx, ty)]


def _line_back(source: _Box, target: _Box, lane: float) -> list[tuple[float, float]]:
    sx, tx = source[0] + source[2] / 2, target[0] + target[2] / 2
    return [(sx, source[1]), (sx, lane), (tx, lane), (tx, target[1])]


def _bounds(of: etree._Element, x: float, y: float, width: float, height: float) -> None:
    place = {"x": x + MARGIN, "y": y + MARGIN, "width": width, "height": height}
    etree.SubElement(of, f"{{{DC}}}Bounds", {name: f"{at:g}" for name, at in place.items()})


def draw(root: etree._Element, key: str) -> None:
    """Add a diagram of every process to the definitions, the main one first."""
    processes = [p for p in root if _name(p) == "process"]
    processes.sort(key=lambda p: p.get("id") != key)
    for process in processes:
        plan, ident = _plan(process), process.get("id")
        diagram = etree.SubElement(root, f"{{{DI}}}BPMNDiagram", id=f"diagram_{ident}")
        plane = etree.SubElement(
            diagram, f"{{{DI}}}BPMNPlane", id=f"plane_{ident}", bpmnElement=ident
        )
        kinds = {n.get("id"): _name(n) for n in process.iter() if n.get("id")}
        named = {n.get("id"): n.get("name") for n in process.iter() if n.get("id")}
        for node, (x, y, width, height) in plan.boxes.items():
            shape = etree.SubElement(
                plane, f"{{{DI}}}BPMNShape", id=f"shape_{node}", bpmnElement=node
            )
            if kinds[node] == "subProcess":
                shape.set("isExpanded", "true")
            if kinds[node] == "exclusiveGateway":
                shape.set("isMarkerVisible", "true")
            _bounds(shape, x, y, width, height)
            if named.get(node) and (kinds[node].endswith(("Event", "Gateway"))):
                label = etree.SubElement(shape, f"{{{DI}}}BPMNLabel")
                wide = min(14.0 * len(named[node]), 140.0)
                _bounds(label, x + (width - wide) / 2, y + height + 6, wide, 14)
        for flow, points in plan.lines.items():
            edge = etree.SubElement(plane, f"{{{DI}}}BPMNEdge", id=f"edge_{flow}", bpmnElement=flow)
            for x, y in points:
                etree.SubElement(
                    edge, f"{{{DD}}}waypoint", x=f"{x + MARGIN:g}", y=f"{y + MARGIN:g}"
                )
