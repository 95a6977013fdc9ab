"""Scaffold: a new capability or a new pack that passes `make check` at birth."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import dedent

from lianyun.kernel.manifest import CAPABILITIES
from lianyun.kernel.packs import packs_dir

_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
_ATTICS = {"utils", "helpers", "common", "signals"}


def _write(base: Path, files: dict[str, str]) -> list[Path]:
    made = []
    for name, text in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), "utf-8")
        made.append(path)
    return made


def capability(name: str) -> list[Path]:
    """The rooms of a new capability: one page, one query, its permission and its test."""
    title = name.replace("_", " ").capitalize()
    return _write(
        CAPABILITIES / name,
        {
            "__init__.py": f'"""{title}: what this capability is for, in one sentence."""\n',
            "manifest.yaml": f"""
                title: {title}
                owner: 市大数据局
                needs: []
                permissions:
                  {name}.read: 查看{title}
                menu:
                  - {{title: {title}, url: "{name}:home", permission: {name}.read, group: 其他}}
                """,
            "queries.py": f'''
                """Queries: what {name} reads; every function takes its viewer."""

                from __future__ import annotations

                from lianyun.kernel.access import Actor


                def greeting(viewer: Actor) -> str:
                    """What the first page says to its viewer."""
                    viewer.require("{name}.read")
                    return f"{{viewer.name}}，您好"
                ''',
            "views.py": f'''
                """Views: the pages of {name}."""

                from __future__ import annotations

                from django.http import HttpResponse
                from django.shortcuts import render

                from lianyun.ui.pages import ActorRequest, page

                from . import queries


                @page(permission="{name}.read")
                def home(request: ActorRequest) -> HttpResponse:
                    """The first page."""
                    greeting = queries.greeting(request.actor)
                    return render(request, "{name}/home.html", {{"greeting": greeting}})
                ''',
            "urls.py": f'''
                """URLs of {name}."""

                from django.urls import path

                from . import views

                app_name = "{name}"
                urlpatterns = [path("workbench/{name}/", views.home, name="home")]
                ''',
            f"templates/{name}/home.html": f"""
                {{% extends "ui/workbench.html" %}}
                {{% block title %}}{title}{{% endblock %}}
                {{% block heading %}}{title}{{% endblock %}}
                {{% block content %}}
                <p>{{{{ greeting }}}}</p>
                {{% endblock %}}
                """,
            "migrations/__init__.py": '"""Migrations."""\n',
            "tests/__init__.py": f'"""Tests of {name}."""\n',
            f"tests/test_{name}.py": f'''
                """{title}: its first page is for those who hold the permission."""

                import pytest

                from lianyun.capabilities.{name} import queries
                from lianyun.kernel.access import ANONYMOUS, SYSTEM, Denied


                def test_the_permission_is_asked_for() -> None:
                    assert queries.greeting(SYSTEM)
                    with pytest.raises(Denied):
                        queries.greeting(ANONYMOUS)
                ''',
        },
    )


def pack(name: str) -> list[Path]:
    """A new pack: its own description, ready for datasets, codes, libraries and paths."""
    return _write(
        packs_dir() / name,
        {
            "pack.yaml": f"""
                name: {name}
                title: {name}
                needs: [core]
                description: 这个行业包声明什么，用一句话说明
                """,
        },
    )


def main(arguments: list[str] | None = None) -> int:
    """``python -m lianyun.project.scaffold capability|pack NAME …``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    pairs = list(zip(arguments[::2], arguments[1::2], strict=False))
    if not pairs or len(arguments) % 2:
        sys.stderr.write("用法：make new capability=名称 或 make new pack=名称\n")
        return 2
    for kind, name in pairs:
        base = CAPABILITIES if kind == "capability" else packs_dir()
        if not _NAME.fullmatch(name) or name in _ATTICS:
            sys.stderr.write(f"名称“{name}”应为小写英文名词，如 licences\n")
            return 2
        if (base / name).exists():
            sys.stderr.write(f"{base / name} 已存在\n")
            return 1
        for path in capability(name) if kind == "capability" else pack(name):
            sys.stdout.write(f"+ {path.relative_to(base.parent)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
