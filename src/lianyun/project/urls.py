"""URLs: one table of doors: the health check, and every capability's own `urls`."""

from __future__ import annotations

from importlib.util import find_spec

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from lianyun.project.health import healthz

urlpatterns: list[URLPattern | URLResolver] = [path("healthz", healthz, name="healthz")]

# A capability mounts itself: its `urls.py` holds full paths (`workbench/catalogue/…`).
for _name in ["ui", *(f"capabilities.{name}" for name in settings.CAPABILITIES)]:
    if find_spec(f"lianyun.{_name}.urls"):
        urlpatterns.append(path("", include(f"lianyun.{_name}.urls")))
