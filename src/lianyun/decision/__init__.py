"""Decision: what a file may say of how a matter goes on: conditions, tables, ways; pure, no Django."""

from .dmn import Model, decide, load
from .short import compile_decision
from .table import BadTable, Rule, Table, Verdict

__all__ = ["BadTable", "Model", "Rule", "Table", "Verdict", "compile_decision", "decide", "load"]
