"""Stage: how far an application has come, and what its owner has to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SELF, AGENT, HELPER = "self", "agent", "helper"
RELATIONS = {SELF: "本人", AGENT: "代理人", HELPER: "帮办人员"}

WAYS = {"code": "本人以确认码同意", "paper": "本人签字的书面授权"}

CONFIRM, CONSENT, FORM, MATERIALS, FILED = "confirm", "consent", "form", "materials", "filed"
STEPS = {CONSENT: "授权查询", FORM: "填写表单", MATERIALS: "核对材料", FILED: "提交"}

OUTCOMES = {
    "granted": ("准予", "green"),
    "refused": ("不予", "red"),
    "not_accepted": ("不予受理", "red"),
    "withdrawn": ("已撤回", "grey"),
    "lapsed": ("逾期终止", "red"),
}
"""How the paths of items end."""

STANDINGS = {
    "draft": ("草稿", "grey"),
    "handling": ("办理中", "blue"),
    "supplement": ("待您补正", "amber"),
    "suspended": ("中止", "amber"),
}
CODE_DIGITS = 6
CODE_TRIES = 5


@dataclass(frozen=True)
class Step:
    """One of the steps shown above the pages."""

    name: str
    title: str


def next_stage(
    *, relation: str, confirmed: bool, consented: bool, checked: bool, filed: bool
) -> str:
    """Where to go on: a helper's person agrees before anything is looked up."""
    if filed:
        return FILED
    if relation == HELPER and not confirmed:
        return CONFIRM
    if not consented:
        return CONSENT
    return MATERIALS if checked else FORM


def place_of(stage: str) -> int:
    """The place of a stage among STEPS, from 0."""
    return list(STEPS).index(stage) if stage in STEPS else 0


def standing(*, filed: bool, state: str, outcome: str, waits: bool) -> tuple[str, str, str]:
    """An application's standing as (key, words, tone); `waits` says the applicant has a to-do."""
    if not filed:
        return ("draft", *STANDINGS["draft"])
    if state == "closed":
        return (outcome, *OUTCOMES.get(outcome, ("已办结", "green")))
    if waits:
        return ("supplement", *STANDINGS["supplement"])
    if state == "suspended":
        return ("suspended", *STANDINGS["suspended"])
    return ("handling", *STANDINGS["handling"])


def missing(states: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of required materials that neither a ground nor an upload has met."""
    return [str(s["name"]) for s in states if s["required"] and not s["met"]]


def code_of(keyed: str) -> str:
    """The digits by which a person confirms to a helper, from a keyed hash (hex)."""
    return f"{int(keyed, 16) % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


__all__ = [
    "AGENT",
    "CODE_TRIES",
    "CONFIRM",
    "CONSENT",
    "FILED",
    "FORM",
    "HELPER",
    "MATERIALS",
    "OUTCOMES",
    "RELATIONS",
    "SELF",
    "STANDINGS",
    "STEPS",
    "WAYS",
    "code_of",
    "missing",
    "next_stage",
    "place_of",
    "standing",
]
