"""DMN: decisions, their tables and what they require, read from DMN 1.1–1.5 XML and written as 1.3.

`compile_decision` makes such text of a short YAML form (docs/guides/flows.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from . import feel, values, xml
from .table import AGGREGATIONS, POLICIES, BadTable, Input, Output, Rule, Table, Verdict

DMN = "https://www.omg.org/spec/DMN/20191111/MODEL/"
DMNDI = "https://www.omg.org/spec/DMN/20191111/DMNDI/"
DC = "http://www.omg.org/spec/DMN/20180521/DC/"
DI = "http://www.omg.org/spec/DMN/20180521/DI/"
OWN = "https://lianyun.invalid/dmn"
_READ = {
    "http://www.omg.org/spec/DMN/20151101/dmn.xsd",
    "http://www.omg.org/spec/DMN/20180521/MODEL/",
    DMN,
    "https://www.omg.org/spec/DMN/20211108/MODEL/",
    "https://www.omg.org/spec/DMN/20230324/MODEL/",
}
_MOST_DECISIONS = 200
_LETTERS = {name: letter for letter, name in POLICIES.items()}
_SIGNS = {name: sign for sign, name in AGGREGATIONS.items()}


@dataclass(frozen=True)
class Literal:
    """A decision that is one expression."""

    text: str


@dataclass(frozen=True)
class Invocation:
    """A decision that calls a function of the model with named arguments."""

    function: str
    bindings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Node:
    """One decision of a model: its logic, its type, and the decisions it requires first."""

    name: str
    title: str
    logic: Table | Literal | Invocation
    type: str = ""
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Model:
    """All decisions of one file; `main` is the one that nothing else requires (the last such)."""

    name: str
    title: str
    nodes: Mapping[str, Node]
    inputs: Mapping[str, str]
    functions: Mapping[str, feel.Function] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    @property
    def main(self) -> Node:
        """The decision that is asked when none is named."""
        required = {r for n in self.nodes.values() for r in n.requires}
        return [n for n in self.nodes.values() if n.name not in required][-1]

    @property
    def tables(self) -> tuple[Table, ...]:
        """The decision tables, the required ones first."""
        return tuple(n.logic for n in self.nodes.values() if isinstance(n.logic, Table))


def decide(model: Model, facts: Mapping[str, Any], name: str | None = None) -> Verdict:
    """Ask a model (its main decision, or the named one) with facts as JSON or Python holds them.

    The verdict's rules and notes are those of every table on the way. Raises BadTable where a
    table's hit policy does not allow the answer or a value is outside the allowed ones.
    """
    scope: dict[str, Any] = {k: values.feel(v) for k, v in facts.items()}
    for known, kind in model.inputs.items():
        scope[known] = values.feel(facts.get(known), kind)
    scope.update(model.functions)
    rules: list[str] = []
    notes: list[str] = []
    done: dict[str, Verdict] = {}

    def answer(node: Node) -> Verdict:
        if node.name in done:
            return done[node.name]
        for needed in node.requires:
            answer(model.nodes[needed])
        try:
            match node.logic:
                case Table():
                    found = node.logic.decide(scope)
                case Literal(text):
                    value = feel.evaluate(feel.expression(text, model.names), scope)
                    found = Verdict(value, {node.name: value})
                case Invocation(function, bindings):
                    called = model.functions[function]
                    given = {
                        p: feel.evaluate(feel.expression(t, model.names), scope)
                        for p, t in bindings
                    }
                    value = feel.evaluate(called.body, {**model.functions, **given})
                    found = Verdict(value, {node.name: value})
        except feel.BadFeel as error:
            raise BadTable(f"{node.title}：{error}") from error
        rules.extend(found.rules)
        notes.extend(found.annotations)
        typed = values.feel(found.value, node.type) if node.type else found.value
        scope[node.name] = typed
        outputs = {node.name: typed} if not isinstance(node.logic, Table) else found.outputs
        done[node.name] = Verdict(typed, outputs, found.rules, found.annotations)
        return done[node.name]

    wanted = model.main if name is None else model.nodes.get(name)
    if wanted is None:
        raise BadTable(f"{model.title}：没有名为“{name}”的决策")
    last = answer(wanted)
    return Verdict(last.value, last.outputs, tuple(rules), tuple(dict.fromkeys(notes)))


class _Reader:
    """One DMN text being read."""

    def __init__(self, root: etree._Element) -> None:
        self.root = root
        self.space = etree.QName(root).namespace or ""
        self.types: dict[str, str] = {}
        self.allowed: dict[str, str] = {}
        for item in root.iter(self.tag("itemDefinition")):
            name = item.get("name") or ""
            base = (self.text(item, "typeRef") or "").rpartition(":")[2]
            if (
                item.get("isCollection") == "true"
                or item.find(self.tag("itemComponent")) is not None
            ):
                base = ""
            self.types[name] = base
            allowed = self.text(item, "allowedValues/text")
            if allowed:
                self.allowed[name] = allowed

    def tag(self, name: str) -> str:
        return f"{{{self.space}}}{name}"

    def find(self, node: etree._Element, path: str) -> etree._Element | None:
        return node.find("/".join(self.tag(p) for p in path.split("/")))

    def all(self, node: etree._Element, path: str) -> list[etree._Element]:
        return list(node.findall("/".join(self.tag(p) for p in path.split("/"))))

    def text(self, node: etree._Element, path: str) -> str:
        found = self.find(node, path)
        return (found.text or "").strip() if found is not None else ""

    def kind(self, named: str | None) -> str:
        """The base type of a typeRef (`feel:string`, an item definition's name, or a type)."""
        name = (named or "").rpartition(":")[2]
        for _ in range(10):
            if name not in self.types:
                break
            name = self.types[name]
        return name

    def type_of(self, element: etree._Element) -> str:
        variable = self.find(element, "variable")
        return self.kind(variable.get("typeRef") if variable is not None else None)


def load(text: str) -> Model:
    """The model of a DMN text; raises BadTable where it is no decision that can be run."""
    try:
        root = xml.parse(text)
    except xml.BadXml as error:
        raise BadTable(f"不是有效的 DMN 文件：{error}") from error
    reader = _Reader(root)
    if etree.QName(root).localname != "definitions" or reader.space not in _READ:
        raise BadTable("不是 DMN 文件：根元素应为 DMN 的 definitions")
    decisions = reader.all(root, "decision")
    if not decisions or len(decisions) > _MOST_DECISIONS:
        raise BadTable("文件中没有决策，或决策过多")
    name_of = {d.get("id") or d.get("name"): d.get("name") for d in decisions}
    if len(set(name_of.values())) < len(decisions) or not all(name_of.values()):
        raise BadTable("每个决策应有不同的 name")
    inputs = {i.get("name") or "": reader.type_of(i) for i in reader.all(root, "inputData")}
    models = reader.all(root, "businessKnowledgeModel")
    names = _names(root, reader, [*inputs, *[str(n) for n in name_of.values()]])
    nodes = {n.name: n for n in (_node(d, reader, names, name_of) for d in decisions)}
    model = Model(
        name=root.get("name") or str(decisions[-1].get("name")),
        title=root.get("name") or str(decisions[-1].get("name")),
        nodes=_ordered(nodes),
        inputs=inputs,
        functions={str(m.get("name")): _function(m, reader, names) for m in models},
        names=names,
    )
    for node in nodes.values():
        if isinstance(node.logic, Table):
            node.logic.check()
        if isinstance(node.logic, Invocation) and node.logic.function not in model.functions:
            raise BadTable(f"{node.title}：没有名为 {node.logic.function} 的函数")
    return model


def _names(root: etree._Element, reader: _Reader, more: list[str]) -> tuple[str, ...]:
    found = set(more)
    for name in ("formalParameter", "itemComponent", "businessKnowledgeModel", "variable"):
        found |= {n.get("name") or "" for n in root.iter(reader.tag(name))}
    return tuple(sorted(n for n in found if n))


def _ordered(nodes: dict[str, Node]) -> dict[str, Node]:
    """The required ones first; raises BadTable for a circle."""
    out: dict[str, Node] = {}
    left = dict(nodes)
    while left:
        free = [n for n in left.values() if all(r in out for r in n.requires)]
        if not free:
            raise BadTable(f"决策互相依赖成环：{'、'.join(left)}")
        for node in free:
            out[node.name] = left.pop(node.name)
    return out


def _logic(text: str, where: str, names: tuple[str, ...]) -> str:
    try:
        feel.expression(text, names)
    except feel.BadFeel as error:
        raise BadTable(f"{where}：{error}") from error
    return text


def _function(element: etree._Element, reader: _Reader, names: tuple[str, ...]) -> feel.Function:
    logic = reader.find(element, "encapsulatedLogic")
    body = reader.text(logic, "literalExpression/text") if logic is not None else ""
    if logic is None or not body:
        raise BadTable(f"函数 {element.get('name')}：只支持一个表达式的函数体")
    parameters = tuple(str(p.get("name")) for p in reader.all(logic, "formalParameter"))
    text = _logic(body, f"函数 {element.get('name')}", names)
    return feel.Function(parameters, feel.expression(text, names))


def _node(
    element: etree._Element,
    reader: _Reader,
    names: tuple[str, ...],
    name_of: Mapping[str | None, str | None],
) -> Node:
    name = str(element.get("name"))
    requires = []
    for needed in reader.all(element, "informationRequirement/requiredDecision"):
        href = (needed.get("href") or "").rpartition("#")[2]
        if href not in name_of:
            raise BadTable(f"{name}：所依赖的决策 {href} 不在文件中")
        requires.append(str(name_of[href]))
    title = element.get(f"{{{OWN}}}title") or element.get("label") or name
    table = reader.find(element, "decisionTable")
    literal = reader.find(element, "literalExpression")
    call = reader.find(element, "invocation")
    logic: Table | Literal | Invocation
    if table is not None:
        logic = _table(table, reader, name, title, names)
    elif literal is not None:
        logic = Literal(_logic(reader.text(literal, "text"), title, names))
    elif call is not None:
        bindings = []
        for binding in reader.all(call, "binding"):
            parameter = reader.find(binding, "parameter")
            text = _logic(reader.text(binding, "literalExpression/text"), title, names)
            bindings.append((str(parameter.get("name")) if parameter is not None else "", text))
        logic = Invocation(reader.text(call, "literalExpression/text"), tuple(bindings))
    else:
        raise BadTable(f"{title}：只支持决策表、表达式和函数调用")
    return Node(name, title, logic, reader.type_of(element), tuple(requires))


def _table(
    table: etree._Element, reader: _Reader, name: str, title: str, names: tuple[str, ...]
) -> Table:
    inputs = []
    for column in reader.all(table, "input"):
        asked = reader.find(column, "inputExpression")
        named = (asked.get("typeRef") or "") if asked is not None else ""
        short = named.rpartition(":")[2]
        inputs.append(
            Input(
                expression=reader.text(column, "inputExpression/text"),
                title=column.get("label") or reader.text(column, "inputExpression/text"),
                type=reader.kind(named),
                values=reader.text(column, "inputValues/text") or reader.allowed.get(short, ""),
            )
        )
    columns = reader.all(table, "output")
    outputs = []
    for column in columns:
        listed = reader.text(column, "outputValues/text")
        outputs.append(
            Output(
                name=column.get("name") or (name if len(columns) == 1 else ""),
                title=column.get("label") or column.get("name") or title,
                type=reader.kind(column.get("typeRef")),
                values=_listed(listed, names) if listed else (),
                default=reader.text(column, "defaultOutputEntry/text"),
            )
        )
    rules = []
    for number, row in enumerate(reader.all(table, "rule"), start=1):
        rules.append(
            Rule(
                id=row.get("id") or f"{name}_{number}",
                tests=tuple(reader.text(e, "text") or "-" for e in reader.all(row, "inputEntry")),
                results=tuple(reader.text(e, "text") for e in reader.all(row, "outputEntry")),
                notes=tuple(reader.text(e, "text") for e in reader.all(row, "annotationEntry"))
                or tuple(n for n in (reader.text(row, "description"),) if n),
            )
        )
    sign = _SIGNS.get(table.get("aggregation") or "", "")
    return Table(
        name=name,
        title=title,
        policy=_LETTERS.get(table.get("hitPolicy") or "UNIQUE", "?") + sign,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        rules=tuple(rules),
        notes=tuple(a.get("name") or "" for a in reader.all(table, "annotation")),
        names=names,
    )


def _listed(text: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The entries of an output's list of values, each as its own text."""
    try:
        node = feel.unary_tests(text, names)
    except feel.BadFeel as error:
        raise BadTable(str(error)) from error
    if node[0] != "tests":
        return ()
    return tuple(quoted(feel.evaluate(test, {})) for test in node[1])


def quoted(value: Any) -> str:
    """A value as S-FEEL text."""
    plain = values.plain(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if plain is None:
        return "null"
    if isinstance(plain, str):
        text = plain.replace("\\", "\\\\").replace('"', '\\"')
        return f'{"" if isinstance(value, str) else "@"}"{text}"'
    return str(plain)


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
