"""Press: one compiler for all files of a process, with the template and fonts read once."""

from __future__ import annotations

import importlib.util
import os
import threading
from functools import cache
from typing import Any

import typst

from lianyun.kernel import packs

from ..rules.drawing import Sheet

_LOCK = threading.Lock()
CJK = ("Noto Serif CJK SC", "Noto Sans CJK SC")


class NoFont(Exception):
    """No font with Chinese characters was found; the message says what to install."""


@cache
def _fonts() -> Any:
    """The system's fonts, with the wheel's Noto Sans CJK where the system has none."""
    fonts = typst.Fonts(include_system_fonts=True, include_embedded_fonts=True)
    if not set(CJK) & set(fonts.families()):
        spec = importlib.util.find_spec("noto_cjk_sans_otc")
        places = list(spec.submodule_search_locations or []) if spec else []
        fonts = typst.Fonts(
            include_system_fonts=True, include_embedded_fonts=True, font_paths=places
        )
        if not set(CJK) & set(fonts.families()):
            raise NoFont("没有找到中文字体，请安装 noto-cjk-sans-otc 或 fonts-noto-cjk")
    return fonts


@cache
def _compiler(process: int) -> Any:
    template = packs.packs_dir() / "licences" / "templates" / "licence.typ"
    return typst.Compiler(str(template), root=str(template.parent), font_paths=_fonts())


def draw(sheet: Sheet, format: str = "pdf") -> bytes:
    """The sheet as PDF (or png); not yet signed."""
    with _LOCK:  # a compiler serves one at a time
        compiler = _compiler(os.getpid())
        made = compiler.compile(
            sys_inputs={"told": sheet.told}, format=format, timestamp=0, pdf_tags=False
        )
    return bytes(made[0] if isinstance(made, list) else made)


__all__ = ["NoFont", "draw"]
