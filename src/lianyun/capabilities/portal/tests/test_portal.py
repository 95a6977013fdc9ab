"""The public pages: an empty city, a full one, and what stays hidden."""

from __future__ import annotations

import pytest
from django.test import Client

from lianyun.capabilities.portal import rules
from lianyun.kernel.models import Party, Resource


def page(path: str, status: int = 200) -> str:
    answer = Client().get(path)
    assert answer.status_code == status
    return answer.content.decode()


def test_an_empty_city_says_so(db: None) -> None:
    Resource.objects.all().delete()
    Party.objects.filter(kind=Party.DEPARTMENT).update(active=False)
    home = page("/")
    assert "公开目录正在编制" in home
    assert "海州区" in home, "the map of the city needs no data"
    assert "还没有部门" in page("/departments/")
    assert "没有找到相符的目录" in page("/catalogue/")


def test_the_home_counts_what_is_public(city: None) -> None:
    home = page("/")
    assert "公开目录正在编制" not in home
    assert "各部门公开目录" in home
    assert "模拟数据" in home


def test_search_finds_both_ways_of_writing(city: None) -> None:
    for words in ("结婚登记", "結婚登記"):
        assert "结婚登记信息" in page(f"/catalogue/?q={words}")
    assert "没有找到相符的目录" in page("/catalogue/?q=龘龘龘龘")
    assert "&lt;script&gt;" in page("/catalogue/?q=<script>")


@pytest.mark.parametrize("query", ["page=0", "page=99999", "page=x", "share=9", "department=no"])
def test_strange_addresses_are_answered(city: None, query: str) -> None:
    page(f"/catalogue/?{query}")


def test_an_entry_shows_its_items_and_no_row(city: None) -> None:
    shown = page("/catalogue/ga_residents/")
    assert "公民身份号码" in shown
    assert "每日" in shown


def test_what_is_not_public_does_not_exist(city: None) -> None:
    page("/catalogue/no-such/", 404)
    Resource.objects.filter(name="ga_residents").update(state=Resource.DRAFT)
    page("/catalogue/ga_residents/", 404)
    Resource.objects.filter(name="ga_households").update(level=4)
    page("/catalogue/ga_households/", 404)


def test_departments_and_help(city: None) -> None:
    assert "department=ga" in page("/departments/")
    assert "10 个工作日" in page("/help/")


def test_signs_and_names_of_classes() -> None:
    assert rules.icon_of("101001") == "users"
    assert rules.icon_of("307") == "building"
    assert rules.icon_of("299") == "folder"
    assert rules.short_name("人口信息") == "人口"
    assert rules.short_name("信息") == "信息"
