"""Content: a declaration as it is kept: standard materials spelled out, so that a version never changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .item import Around, BadItem


def spelled(data: Mapping[str, Any], around: Around) -> dict[str, Any]:
    """The declaration with each standard material replaced by what it says today. Raises BadItem."""
    out = dict(data)
    materials = []
    for entry in data.get("materials") or []:
        told = dict(entry)
        if standard := told.pop("standard", None):
            if standard not in around.materials:
                raise BadItem(f"事项 {data.get('code')}：没有标准材料 {standard}")
            told = {"id": standard, **around.materials[standard], **told}
        materials.append(told)
    out["materials"] = materials
    return json.loads(json.dumps(out, ensure_ascii=False, default=str))


def digest(data: Mapping[str, Any]) -> str:
    """SHA-256 of a content, whatever the order of its keys."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


EMPTY: dict[str, Any] = {
    "type": "20", "objects": ["person"], "kind": "promised", "proof": 2, "legal_days": 0,
    "promised_days": 1, "conditions": [], "situations": [], "materials": [], "form": "person_basic",
    "result": {}, "channels": ["1", "2", "3"], "themes": {}, "life": [], "faq": [],
}  # fmt: skip
"""What a new item begins with."""
