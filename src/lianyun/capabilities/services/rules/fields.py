"""Field: one column that a service gives: its kind, mask, JSON schema and an invented value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

IDENTITY_CHECKS = ("citizen_number", "credit_code")


@dataclass(frozen=True)
class Field:
    """One column that a resource has: what it is called, of what kind, and how it is masked."""

    name: str
    title: str
    type: str = "C"
    format: str = "an..100"
    mask: str = "none"
    check: str = ""
    element: str = ""
    personal: bool = False
    definition: str = ""
    domain: str = ""


def lookups_of(key: Sequence[str], fields: Iterable[Field]) -> list[list[str]]:
    """By what a service may be asked: the key, and every column that holds a person's or entity's number."""
    out = [list(key)] if key else []
    for field in fields:
        if field.check in IDENTITY_CHECKS and [field.name] not in out:
            out.append([field.name])
    return out


def masks_of(fields: Iterable[Field], plain: Iterable[str]) -> dict[str, str]:
    """The mask of every field, except those granted in clear."""
    clear = set(plain)
    return {f.name: f.mask for f in fields if f.mask != "none" and f.name not in clear}


def json_type(field: Field) -> str:
    """The JSON type of a field; decimal numbers are strings, so that no digit is lost."""
    if field.type in "BF":
        return "number"
    if field.type == "I" or (field.type in "NY" and "," not in field.format):
        return "integer"
    return "boolean" if field.type == "L" else "string"


def schema_of(field: Field, mask: str = "") -> dict[str, Any]:
    """The JSON schema of one field as a service gives it."""
    kind = "string" if mask else json_type(field)
    out: dict[str, Any] = {"title": field.title, "type": [kind, "null"]}
    if field.type == "D" and not mask:
        out["format"] = "date"
    if field.type == "T" and not mask:
        out["format"] = "date-time"
    notes = [field.definition, f"表示格式 {field.format}"]
    if field.domain:
        notes.append(f"值域 {field.domain}")
    if mask:
        notes.append("已脱敏")
    out["description"] = "；".join(n for n in notes if n)
    return out


_SAMPLES = {
    "citizen_number": "320700190001010011",
    "credit_code": "913207000000000000",
    "name": "示例",
    "phone": "13800000000",
    "address": "江苏省连云港市示例路1号",
}


def sample_of(field: Field) -> Any:
    """An invented value for an example; it belongs to nobody."""
    for word in (field.check, field.mask):
        if word in _SAMPLES:
            return _SAMPLES[word]
    if field.type == "D":
        return "2020-01-01"
    if field.type == "T":
        return "2020-01-01T08:00:00"
    if field.type == "L":
        return True
    return {"integer": 1, "number": 1.5}.get(json_type(field), "示例")
