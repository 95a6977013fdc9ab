"""Press: one compiler for all files of a process, with the template and fonts read once."""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
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
    return printed(sheet.told, format)


def printed(told: str, format: str = "pdf") -> bytes:
    """As `draw`, from a sheet's text: what a worker process is given."""
    with _LOCK:  # a compiler serves one at a time
        made = _compiler(os.getpid()).compile(
            sys_inputs={"told": told}, format=format, timestamp=0, pdf_tags=False
        )
    return bytes(made[0] if isinstance(made, list) else made)


class Presses:
    """Several presses at work, each a process of its own; with one core, this very process.

    A process costs half a second to start: worth it from some dozens of files on.
    """

    def __init__(self, cores: int) -> None:
        self._pool = None
        if cores > 1:
            # Not forked: the compiler keeps threads, which do not live on in a forked process.
            self._pool = ProcessPoolExecutor(cores, mp_context=get_context("spawn"))

    def draw(self, sheets: Iterable[Sheet]) -> Iterator[Future[bytes]]:
        """Begin to draw; what is asked for in the order of the sheets."""
        for sheet in sheets:
            if self._pool is not None:
                yield self._pool.submit(printed, sheet.told)
            else:
                done: Future[bytes] = Future()
                done.set_result(draw(sheet))
                yield done

    def close(self) -> None:
        """Let the presses go."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


__all__ = ["NoFont", "Presses", "draw", "printed"]
