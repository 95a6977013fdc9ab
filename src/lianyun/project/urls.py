"""URLs: one table of doors: the health check, and every capability's own `urls`."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver, include, path

from lianyun.project.health import healthz

urlpatterns: list[URLPattern | URLResolver] = [path("healthz", healthz, name="healthz")]

# A capability mounts itself: its `urls.py` holds full paths (`workbench/catalogue/…`).
for _name in ["ui", *(f"capabilities.{name}" for name in settings.CAPABILITIES)]:
    if find_spec(f"lianyun.{_name}.urls"):
        urlpatterns.append(path("", include(f"lianyun.{_name}.urls")))

PATHS = 2048


def remember_paths() -> None:
    """Keep which view the paths asked for last belong to; for the server's start.

    A walk through some five hundred patterns costs 0.6 ms, and a path without a slash at its end
    is walked twice. Unknown paths are not kept.
    """
    resolver: Any = get_resolver()
    if not hasattr(resolver.resolve, "cache_info"):
        resolver.resolve = lru_cache(PATHS)(resolver.resolve)
