"""Short: the YAML form of a decision (docs/guides/flows.md), made into DMN 1.3 XML with its drawing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

from . import feel, values
from .dmn import DMN, OWN, load, quoted
from .table import AGGREGATIONS, POLICIES, BadTable

DMNDI = "https://www.omg.org/spec/DMN/20191111/DMNDI/"
DC = "http://www.omg.org/spec/DMN/20180521/DC/"
DI = "http://www.omg.org/spec/DMN/20180521/DI/"

_BARE = re.compile(r"""[^<>=()\[\]"?+*/.,@]+""")


def _bare(text: str, kind: str) -> str:
    """A cell of the short form: bare words in a column of texts are texts."""
    text = text.strip()
    if kind != "string" or text in ("-", "", "null") or '"' in text:
        return text
    if text.startswith("not(") and text.endswith(")"):
        return f"not({_bare(text[4:-1], kind)})"
    words = [w.strip() for w in text.split(",")]
    if all(_BARE.fullmatch(w) for w in words):
        return ", ".join(quoted(w) for w in words)
    return text


def _cell(value: object, kind: str) -> str:
    if isinstance(value, str):
        return _bare(value, kind)
    if kind == "string" and value is not None:
        return quoted(str(value))
    if hasattr(value, "isoformat"):
        return quoted(value)
    return quoted(values.feel(value))


def compile_decision(key: str, data: Mapping[str, Any]) -> str:
    """DMN 1.3 text of the short YAML form: `title, policy, inputs, outputs, rules`.

    `tables:` holds several such forms, each with a `key`; a later one may use an earlier one's
    outcome by its key. Raises BadTable.
    """
    tables = [dict(t) for t in data.get("tables") or ()] or [{**data, "key": key}]
    title = str(data.get("title") or key)
    root = etree.Element(
        f"{{{DMN}}}definitions",
        nsmap={None: DMN, "dmndi": DMNDI, "dc": DC, "di": DI, "ly": OWN},
        id=f"definitions_{key}",
        name=title,
        namespace=OWN,
    )
    try:
        own = {str(t["key"]): _types(t) for t in tables}
        asked: dict[str, str] = {}
        for table in tables:
            for column in table.get("inputs") or ():
                for name in _used(str(column["name"]), tuple(own)):
                    if name not in own:
                        asked.setdefault(name, column["type"] if name == column["name"] else "")
        for name, kind in asked.items():
            element = etree.SubElement(root, f"{{{DMN}}}inputData", id=_ident(name), name=name)
            _variable(element, name, kind)
        for table in tables:
            _write(root, table, own)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadTable(f"决策表 {key} 的写法有误：缺少或写错 {error}") from error
    _draw(root)
    text = etree.tostring(root, pretty_print=True, encoding="unicode")
    load(text)
    return text


def _result(value: object, kind: str) -> str:
    """An output cell of the short form: in a column of texts whatever holds no quotes is the text."""
    if isinstance(value, str) and kind == "string" and value.strip() and '"' not in value:
        return value if value.strip() == "null" else quoted(value.strip())
    return _cell(value, kind)


def _types(table: Mapping[str, Any]) -> str:
    outputs = table["outputs"]
    return str(outputs[0].get("type", "")) if len(outputs) == 1 else ""


def _used(text: str, names: tuple[str, ...]) -> list[str]:
    try:
        return sorted(feel.names_in(feel.expression(text, names)))
    except feel.BadFeel as error:
        raise BadTable(str(error)) from error


def _ident(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_]", lambda m: f"_{ord(m[0]):x}", name)
    return f"input_{plain}"


def _variable(element: etree._Element, name: str, kind: str) -> None:
    variable = etree.SubElement(element, f"{{{DMN}}}variable", name=name)
    variable.set("id", f"{element.get('id')}_variable")
    if kind:
        variable.set("typeRef", kind)


def _sub(parent: etree._Element, name: str, text: str, ident: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{DMN}}}{name}")
    if ident:
        element.set("id", ident)
    etree.SubElement(element, f"{{{DMN}}}text").text = text
    return element


def _write(root: etree._Element, table: Mapping[str, Any], own: Mapping[str, str]) -> None:
    key, title = str(table["key"]), str(table.get("title") or table["key"])
    decision = etree.SubElement(root, f"{{{DMN}}}decision", id=key, name=key)
    decision.set(f"{{{OWN}}}title", title)
    decision.set("label", title)
    _variable(decision, key, own[key])
    inputs, outputs = list(table.get("inputs") or ()), list(table["outputs"])
    used = {n for c in inputs for n in _used(str(c["name"]), tuple(own))}
    for number, name in enumerate(sorted(used)):
        need = etree.SubElement(
            decision, f"{{{DMN}}}informationRequirement", id=f"{key}_need_{number}"
        )
        if name in own:
            etree.SubElement(need, f"{{{DMN}}}requiredDecision", href=f"#{name}")
        else:
            etree.SubElement(need, f"{{{DMN}}}requiredInput", href=f"#{_ident(name)}")
    policy = str(table.get("policy") or "U")
    body = etree.SubElement(decision, f"{{{DMN}}}decisionTable", id=f"{key}_table")
    body.set("hitPolicy", POLICIES.get(policy[:1], policy))
    if policy[1:]:
        body.set("aggregation", AGGREGATIONS.get(policy[1:], policy))
    for number, column in enumerate(inputs):
        kind = str(column["type"])
        element = etree.SubElement(body, f"{{{DMN}}}input", id=f"{key}_input_{number}")
        element.set("label", str(column.get("title") or column["name"]))
        asked = _sub(element, "inputExpression", str(column["name"]), f"{key}_asks_{number}")
        asked.set("typeRef", kind)
        if column.get("values"):
            allowed = column["values"]
            listed = (
                allowed if isinstance(allowed, str) else ", ".join(_cell(v, kind) for v in allowed)
            )
            _sub(element, "inputValues", listed, f"{key}_allows_{number}")
    for number, column in enumerate(outputs):
        kind = str(column.get("type") or "string")
        element = etree.SubElement(body, f"{{{DMN}}}output", id=f"{key}_output_{number}")
        element.set("label", str(column.get("title") or column["name"]))
        element.set("name", str(column["name"]))
        element.set("typeRef", kind)
        if column.get("values"):
            listed = ", ".join(_result(v, kind) for v in column["values"])
            _sub(element, "outputValues", listed, f"{key}_results_{number}")
        if "default" in column:
            default = _result(column["default"], kind)
            _sub(element, "defaultOutputEntry", default, f"{key}_default_{number}")
    etree.SubElement(body, f"{{{DMN}}}annotation", name="依据与说明")
    for number, row in enumerate(table["rules"], start=1):
        ident = str(row.get("id") or f"{key}_{number}")
        rule = etree.SubElement(body, f"{{{DMN}}}rule", id=ident)
        cells = list(row.get("when") or ["-"] * len(inputs))
        results = row["then"] if isinstance(row["then"], list) else [row["then"]]
        if len(cells) != len(inputs) or len(results) != len(outputs):
            raise BadTable(f"{title}：第 {number} 条规则的格数与列数不符")
        for at, (cell, column) in enumerate(zip(cells, inputs, strict=True)):
            text = _cell(cell, str(column["type"]))
            _sub(rule, "inputEntry", text, f"{ident}_when_{at}")
        for at, (cell, column) in enumerate(zip(results, outputs, strict=True)):
            text = _result(cell, str(column.get("type") or "string"))
            _sub(rule, "outputEntry", text, f"{ident}_then_{at}")
        _sub(rule, "annotationEntry", str(row.get("note") or ""))


def _draw(root: etree._Element) -> None:
    """A requirements diagram: decisions above, what they ask for below."""
    diagram = etree.SubElement(
        etree.SubElement(root, f"{{{DMNDI}}}DMNDI"), f"{{{DMNDI}}}DMNDiagram", id="diagram"
    )
    decisions = list(root.iter(f"{{{DMN}}}decision"))
    given = list(root.iter(f"{{{DMN}}}inputData"))
    places = [
        *[(d, 160.0 + 240 * n, 80.0, 180.0, 80.0) for n, d in enumerate(decisions)],
        *[(d, 160.0 + 180 * n, 300.0, 125.0, 45.0) for n, d in enumerate(given)],
    ]
    middles: dict[str, tuple[float, float]] = {}
    for element, x, y, width, height in places:
        ident = str(element.get("id"))
        shape = etree.SubElement(
            diagram, f"{{{DMNDI}}}DMNShape", id=f"shape_{ident}", dmnElementRef=ident
        )
        etree.SubElement(
            shape, f"{{{DC}}}Bounds",
            height=f"{height:g}", width=f"{width:g}", x=f"{x:g}", y=f"{y:g}",
        )  # fmt: skip
        middles[ident] = (x + width / 2, y + height / 2)
    for decision in decisions:
        for need in decision.iter(f"{{{DMN}}}informationRequirement"):
            source = need[0].get("href").removeprefix("#")
            edge = etree.SubElement(
                diagram,
                f"{{{DMNDI}}}DMNEdge",
                id=f"edge_{need.get('id')}",
                dmnElementRef=need.get("id"),
            )
            for x, y in (middles[source], middles[decision.get("id")]):
                etree.SubElement(edge, f"{{{DI}}}waypoint", x=f"{x:g}", y=f"{y:g}")
