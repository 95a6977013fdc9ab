"""Fixtures: a city with its packs installed, and officers in their posts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from lianyun.kernel.access import Actor, actor_of
from lianyun.kernel.models import Membership, Party
from lianyun.kernel.party import department


@pytest.fixture
def officer(city: None) -> Callable[[str, str], Actor]:
    """An officer by role and department slug; the same twice is the same person."""

    def make(role: str, slug: str) -> Actor:
        name = f"{role}@{slug}"
        party = Party.objects.filter(kind=Party.PERSON, name=name).first()
        if party is None:
            party = Party.objects.create(kind=Party.PERSON, name=name)
            Membership.objects.create(party=party, department=department(slug), role=role)
        return actor_of(party)

    return make


@pytest.fixture
def browser_of(officer: Callable[[str, str], Actor]) -> Callable[[str, str], Client]:
    """A logged-in HTTP client of an officer."""
    from django.contrib.auth import get_user_model

    def make(role: str, slug: str) -> Client:
        party = officer(role, slug).party
        user, _ = get_user_model().objects.get_or_create(
            username=f"{role}_{slug}", defaults={"party": party, "must_change": False}
        )
        client = Client()
        client.force_login(user)
        session = client.session
        session["seen"] = time.time()
        session.save()
        return client

    return make


@pytest.fixture
def content() -> dict[str, Any]:
    """A sound entry of the civil affairs bureau, without a code."""
    return {
        "title": "殡葬服务机构信息",
        "class": "307001",
        "summary": "经审批设立的殡葬服务机构。",
        "format": "数据库",
        "cycle": "每月",
        "level": 2,
        "share": {"type": 2, "conditions": "限履行职责使用", "basis": "", "method": "服务接口"},
        "open": {"type": 0, "conditions": ""},
        "items": [
            {
                "name": "entity_name",
                "title": "机构名称",
                "element": "entity_name",
                "required": True,
            },
            {"name": "founded_on", "title": "设立日期", "element": "founded_on"},
        ],
    }
