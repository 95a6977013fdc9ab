"""The first pages that anybody sees: they come, they are Chinese, they are accessible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("path", ["/", "/login/"])
def test_a_first_page_is_accessible(
    path: str, site: str, tab: Any, accessible: Callable[[Any], None]
) -> None:
    answer = tab.goto(f"{site}{path}")
    assert answer.status == 200
    assert tab.locator("html").get_attribute("lang") == "zh-CN"
    accessible(tab)
