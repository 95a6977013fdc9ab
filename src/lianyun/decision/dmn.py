"""DMN: decisions, their tables and what they require, read from DMN 1.1–1.5 XML and asked with facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from . import feel, values, xml
from .table import AGGREGATIONS, POLICIES, BadTable, Input, Output, Rule, Table, Verdict

DMN = "https://www.omg.org/spec/DMN/20191111/MODEL/"
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
