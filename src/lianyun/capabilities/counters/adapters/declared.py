"""Declared: rules and halls as packs/core/halls.yaml says them."""

from __future__ import annotations

from typing import Any

from lianyun.kernel import packs


def declared() -> dict[str, Any]:
    """The whole file."""
    return packs.mapping("core", "halls.yaml")


def rules() -> dict[str, Any]:
    """Lengths, limits and the order of queues."""
    return dict(declared()["rules"])


def groups() -> dict[str, str]:
    """Privileged groups by id."""
    return {g["id"]: g["title"] for g in declared()["groups"]}


def courier() -> dict[str, Any]:
    """Which courier, and its address; without one the stand-in answers."""
    return dict(declared()["courier"])


__all__ = ["courier", "declared", "groups", "rules"]
