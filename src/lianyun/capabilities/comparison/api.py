"""Comparison's door: run a rule, what stands, open findings as cases."""

from __future__ import annotations

from .actions import open_findings, run_rule, work
from .models import Finding, Run
from .queries import identities, rule_names

__all__ = ["Finding", "Run", "identities", "open_findings", "rule_names", "run_rule", "work"]
