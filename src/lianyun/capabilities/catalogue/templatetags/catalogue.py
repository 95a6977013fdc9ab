"""Tags: share types as badges, words lit up in a text, the depth of a class."""

from __future__ import annotations

import re
from typing import Any

from django import template
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

from lianyun.ui.templatetags.ui import badge

from ..rules import words
from ..rules.entries import SHARE

register = template.Library()
TONES = {1: "green", 2: "blue", 3: "red"}


@register.simple_tag
def share(kind: Any) -> SafeString:
    """The badge of a share type: green 无条件, blue 有条件, red 不予."""
    return badge(SHARE.get(kind, kind), TONES.get(kind, "grey"))


@register.filter
def lit(text: Any, asked: str) -> SafeString:
    """A text with the words that were looked for marked; everything else escaped."""
    plain = str(text or "")
    pieces = [p for p in words.pieces(asked or "") if p]
    if not pieces:
        return conditional_escape(plain)
    choice = "|".join(re.escape(p) for p in sorted(pieces, key=len, reverse=True))
    pattern = re.compile(f"(?:{choice})+", re.I)
    out, at = [], 0
    for found in pattern.finditer(plain):
        out.append(conditional_escape(plain[at : found.start()]))
        out.append(format_html("<mark>{}</mark>", found[0]))
        at = found.end()
    out.append(conditional_escape(plain[at:]))
    return mark_safe("".join(out))


@register.filter
def depth(code: str) -> int:
    """How deep a class stands: 类 0, 项 1, 目 2, 细目 3."""
    return {1: 0, 3: 1, 6: 2}.get(len(str(code)), 3)
