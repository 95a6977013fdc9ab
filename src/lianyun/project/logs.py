"""Log: lines for operators, from which secrets and personal numbers are taken out."""

from __future__ import annotations

import logging
import re

_MASKS = [
    # postgresql://user:password@host
    (re.compile(r"(\w+://[^:/@\s]+:)[^@\s]+@"), r"\1***@"),
    (
        re.compile(
            r"(?i)\b(password|passwd|secret|token|authorization|api[_-]?key)"
            r"(['\"]?\s*[=:]\s*['\"]?)(?:bearer\s+)?[^\s'\",;&]+"
        ),
        r"\1\2***",
    ),
    # a licence given once: who has the address may open it
    (re.compile(r"(/verify/given/)[^/\s'\"]+"), r"\1***"),
    # citizen numbers: the first six digits tell the county, enough for an operator
    (re.compile(r"(?<!\d)(\d{6})\d{8}(\d{3}[\dXx])(?!\d)"), r"\1********\2"),
    # mobile numbers
    (re.compile(r"(?<!\d)(1[3-9]\d)\d{4}(\d{4})(?!\d)"), r"\1****\2"),
]


def masked(text: str) -> str:
    """The text without passwords, tokens, citizen numbers and mobile numbers."""
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return text


class Masked(logging.Filter):
    """Masks every line before it is written, whoever wrote it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the message by its masked form; never drops a record."""
        record.msg = masked(record.getMessage())
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = masked(logging.Formatter().formatException(record.exc_info))
        return True
