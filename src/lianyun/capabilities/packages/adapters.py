"""Declared: the packages that packs declare (packs/*/packages/*.yaml), read once in a process."""

from __future__ import annotations

from functools import cache

from lianyun.decision.closed import evaluate, fault_of
from lianyun.kernel import packs

from .rules.package import BadPackage, Package, read

holds = evaluate
"""Evaluates a condition over answers in the closed language."""


@cache
def _read() -> tuple[dict[str, Package], tuple[str, ...]]:
    good: dict[str, Package] = {}
    bad: list[str] = []
    for d in packs.declarations("packages"):
        where = f"{d.pack}/packages/{d.file.name}"
        try:
            one = read(d.data, problem=fault_of, pack=d.pack)
        except (BadPackage, KeyError, TypeError, ValueError) as error:
            bad.append(f"{where}：{error}")
            continue
        if one.code != d.file.stem:
            bad.append(f"{where}：code 应与文件同名")
        elif one.code in good:
            bad.append(f"{where}：另一个包已有套餐 {one.code}")
        else:
            good[one.code] = one
    return good, tuple(bad)


def declared() -> dict[str, Package]:
    """The packages that can be read, by code."""
    return _read()[0]


def unreadable() -> tuple[str, ...]:
    """What is wrong with those that cannot be, one Chinese line each."""
    return _read()[1]


@cache
def names_of(code_list: str) -> dict[str, str]:
    """Code → name of one of the packs' code lists."""
    for name, file in packs.code_files():
        if name == code_list:
            pack = file.parent.parent.name
            return {row["code"]: row["name"] for row in packs.table(pack, f"codes/{name}.csv")}
    return {}


__all__ = ["declared", "holds", "names_of", "unreadable"]
