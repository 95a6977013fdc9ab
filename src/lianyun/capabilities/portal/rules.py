"""Rules: which sign stands for a class of the catalogue."""

from __future__ import annotations

ICONS = {
    "101": "users",
    "102": "building",
    "103": "map",
    "104": "shield",
    "105": "card",
    "106": "chart",
    "201": "heart",
    "202": "pulse",
    "203": "grant",
    "204": "leaf",
    "205": "alert",
    "206": "tag",
    "207": "target",
    "208": "scale",
    "209": "building",
    "210": "home",
    "211": "leaf",
    "212": "bell",
    "213": "cap",
    "214": "briefcase",
}


def icon_of(code: str) -> str:
    """The icon of a class code; what has no sign of its own is a building (部门) or a folder."""
    return ICONS.get(code[:3]) or ("building" if code.startswith("3") else "folder")


def short_name(name: str) -> str:
    """A class's name without the word that all of them carry (人口信息 → 人口)."""
    return name.removesuffix("信息") or name
