"""Action: the only door to a write: allowed, atomic, recorded."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import transaction

from .access import Actor
from .event import recorded

P = ParamSpec("P")
R = TypeVar("R")


class NothingRecorded(Exception):
    """An action changed something and recorded no event: a fault of the programme."""


def action(
    permission: str | None, *, department: Callable[..., Any] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a write: it must be called with `by=Actor`, which must hold `permission`.

    `department` is a function of the same arguments that names the department concerned; the
    permission is then asked for that department. `permission=None` is for what every known or
    unknown visitor may do (log in). Raises Denied, and NothingRecorded where no event was written.
    """

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            by = kwargs.get("by")
            if not isinstance(by, Actor):
                raise TypeError(f"{function.__name__} needs by=Actor")
            if permission is not None:
                where = department(*args, **kwargs) if department else None
                by.require(permission, where)
            before = recorded.get()
            with transaction.atomic():
                result = function(*args, **kwargs)
                if recorded.get() == before:
                    raise NothingRecorded(f"{function.__module__}.{function.__name__}")
            return result

        call.permission = permission  # type: ignore[attr-defined]
        call.is_action = True  # type: ignore[attr-defined]
        return call

    return wrap
