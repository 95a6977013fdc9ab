"""Nationals: who comes by the national platform, let in as whom it names."""

from __future__ import annotations

from typing import Any

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor, UserError

from ..adapters import national


def _known() -> national.Platform:
    found = national.platform()
    if found is None:
        raise UserError("本市还没有接入国家政务服务平台登录")
    return found


def begin_national(back: str, *, anew: bool = False) -> tuple[str, dict[str, Any]]:
    """Where the browser goes and what its session keeps; raises UserError."""
    try:
        return national.begin(_known(), back, anew=anew)
    except national.NotProven as wrong:
        raise UserError(str(wrong)) from wrong


def finish_national(
    errand: dict[str, Any] | None, answer: dict[str, str], back: str, *, by: Actor
) -> tuple[Any, str, float]:
    """The login (identity's user) of whom the platform names, its title, and when he entered there.

    Raises UserError.
    """
    known = _known()
    try:
        # Before any row is touched: the platform may take its seconds.
        person = national.finish(known, errand, answer, back)
    except national.NotProven as wrong:
        raise UserError(str(wrong)) from wrong
    user = identity.enter_by_platform(
        known.issuer, person.subject, person.name, person.number, person.level,
        simulated=known.simulated, by=by,
    )  # fmt: skip
    title = f"{known.title}（模拟数据）" if known.simulated else known.title
    return user, title, person.entered


__all__ = ["begin_national", "finish_national"]
