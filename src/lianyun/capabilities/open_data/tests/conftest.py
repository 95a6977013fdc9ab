"""A city whose packs are installed, officers of its departments, and a lake of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lianyun.capabilities.open_data.models import Opening
from lianyun.kernel.access import Actor
from lianyun.project.testing import LakePlace

from .rows import appoint, open_one


@pytest.fixture
def city(db: None, fresh_lake: LakePlace, settings: Any, tmp_path: Path) -> None:
    """All packs installed, datasets catalogued; opened files go to a folder of the test's own."""
    settings.HOME = tmp_path / "home"


@pytest.fixture
def officer(city: None) -> Callable[..., Actor]:
    """An officer of a department with roles."""
    return appoint


@pytest.fixture
def opened(city: None) -> Callable[..., Opening]:
    """Opens a dataset through all its doors and publishes it; returns the opening."""
    return lambda dataset, **more: open_one(dataset, appoint, **more)
