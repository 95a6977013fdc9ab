"""Text: a part as YAML for whoever likes to write it, and back, without loss and without surprises."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import yaml

MOST = 200_000
"""Characters of one text."""


class BadText(ValueError):
    """A text that is no YAML we take; the message says where and why, in Chinese."""


class _Loader(yaml.SafeLoader):
    """Plain values only: no references (they can grow without bound), no key twice, dates as texts."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark
            raise BadText(f"第 {mark.line + 1} 行：不支持引用（*）")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise BadText(f"第 {key.start_mark.line + 1} 行：不支持合并（<<）")
            name = str(key.value)
            if name in seen:
                raise BadText(f"第 {key.start_mark.line + 1} 行：键“{name}”写了两次")
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in told if not tag.endswith(":timestamp")]
    for first, told in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(text: str) -> dict[str, Any]:
    """The mapping that a text says; raises BadText naming the line."""
    if len(text) > MOST:
        raise BadText(f"文本超过 {MOST // 10_000} 万字")
    try:
        value = yaml.load(text, Loader=_Loader)
    except BadText:
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"第 {mark.line + 1} 行第 {mark.column + 1} 字附近" if mark else ""
        raise BadText(f"{where}写法有误，请检查缩进、冒号和引号") from error
    except (ValueError, RecursionError) as error:
        raise BadText(f"不能读取：{error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadText("最外层应为“键: 值”")
    return value


class _Dumper(yaml.SafeDumper):
    """Lists indented under their key; long texts in blocks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def _words(dumper: yaml.SafeDumper, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _words)


def write(value: Mapping[str, Any]) -> str:
    """A part as YAML text; reading it gives the same part."""
    if not value:
        return ""
    return yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)


def difference(one: Any, other: Any) -> list[tuple[str, str]]:
    """(sign, line) of two values as YAML: "-" only in the first, "+" only in the second, " " both."""
    a, b = (write(v if isinstance(v, Mapping) else {"内容": v}).splitlines() for v in (one, other))
    out = []
    for line in difflib.ndiff(a, b):
        if line[0] in "+- ":
            out.append((line[0], line[2:]))
    return _near(out)


def _near(lines: list[tuple[str, str]], around: int = 3) -> list[tuple[str, str]]:
    """Changed lines with a few around them; what is left out becomes one line of dots."""
    keep = [
        any(sign != " " for sign, _ in lines[max(0, n - around) : n + around + 1])
        for n in range(len(lines))
    ]
    out: list[tuple[str, str]] = []
    for wanted, line in zip(keep, lines, strict=True):
        if wanted:
            out.append(line)
        elif not out or out[-1][0] != "…":
            out.append(("…", ""))
    return out


__all__ = ["MOST", "BadText", "difference", "read", "write"]
