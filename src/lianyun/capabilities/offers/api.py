"""Offers' door: propose what packs declare, approve, choose, evaluate, claim; what packs get wrong."""

from __future__ import annotations

from collections.abc import Iterator

from lianyun.decision.closed import BadExpression

from .actions import (
    claim,
    evaluate,
    look,
    look_at_policies,
    propose_declared,
    stop_rule,
    switch_off,
    switch_on,
    work_claim,
    work_rule,
)
from .adapters import all_facts, declarations
from .models import Claim, Rule
from .queries import step_for, wants
from .rules.declared import BadRule, read
from .rules.facts import BadFact


def pack_faults() -> Iterator[str]:
    """What is wrong in the packs' facts, rules and policies, in words (for `make check`)."""
    try:
        sheets = all_facts()
    except (BadFact, BadExpression) as error:
        yield f"facts：{error}"
        return
    for code, (kind, content) in declarations().items():
        try:
            read(kind, content, sheets)
        except (BadRule, BadFact, BadExpression) as error:
            yield f"{kind} {code}：{error}"


__all__ = [
    "Claim",
    "Rule",
    "claim",
    "evaluate",
    "look",
    "look_at_policies",
    "pack_faults",
    "propose_declared",
    "step_for",
    "stop_rule",
    "switch_off",
    "switch_on",
    "wants",
    "work_claim",
    "work_rule",
]
