"""Components: lamps, badges, numbers, timelines, charts, maps and the menu."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.template import Context, Template
from django.test import RequestFactory

from lianyun.kernel.access import ANONYMOUS, SYSTEM
from lianyun.ui import charts, maps
from lianyun.ui.menu import menu
from lianyun.ui.templatetags import ui as tags

FRIDAY = dt.datetime(2026, 11, 20, 2, 0, tzinfo=dt.UTC)


def draw(source: str, **context: Any) -> str:
    request = RequestFactory().get("/x/?tab=a&page=2")
    return Template("{% load ui %}" + source).render(Context({"request": request, **context}))


@pytest.mark.parametrize(
    ("due", "tone", "words"),
    [
        (dt.date(2026, 11, 27), "green", "剩余 5 个工作日"),
        (dt.date(2026, 11, 24), "amber", "剩余 2 个工作日"),
        (dt.date(2026, 11, 20), "amber", "今日到期"),
        (dt.date(2026, 11, 19), "red", "已逾期 1 个工作日"),
        (None, "grey", "不限时"),
    ],
)
def test_lamps_count_working_days(due: dt.date | None, tone: str, words: str) -> None:
    with time_machine.travel(FRIDAY, tick=False):
        made = tags.lamp(due)
    assert f'class="lamp {tone}"' in made
    assert words in made


def test_lamps_of_done_things() -> None:
    due = dt.date(2026, 11, 20)
    assert "按时办结" in tags.lamp(due, FRIDAY)
    assert "逾期办结" in tags.lamp(due, FRIDAY + dt.timedelta(days=1))


def test_numbers() -> None:
    assert tags.count(12846) == "12,846"
    assert tags.count(98.6) == "98.6"
    assert tags.count(98.0) == "98"
    assert tags.count(None) == "—"
    assert tags.percent(0.9876) == "98.8%"


def test_everything_is_escaped() -> None:
    assert "<b>" not in tags.badge("<b>")
    assert "<b>" not in draw("{% note t %}", t="<b>")
    assert "<b>" not in draw("{% detail p %}", p=[("a", "<b>")])
    assert "<b>" not in draw("{% timeline e %}", e=[{"what": "<b>", "when": None}])
    nasty = charts.one("bar", "图", [("</script><b>", 1)])
    assert "</script><b>" not in draw("{% chart c %}", c=nasty)


def test_icons_are_silent_unless_named() -> None:
    assert 'aria-hidden="true"' in tags.icon("folder")
    assert 'aria-label="&lt;看&gt;"' in tags.icon("eye", "<看>")
    assert tags.icon("no-such") == tags.icon("file")


def test_diff_shows_what_changed_only() -> None:
    made = draw("{% diff r %}", r=[("周期", "每月", "每日"), ("名称", "甲", "甲")])
    assert "<del>每月</del>" in made
    assert "<ins>每日</ins>" in made
    assert "甲" not in made


def test_a_query_string_changes_in_place() -> None:
    assert draw("{% query page=3 %}") == "?page=3&amp;tab=a"
    assert draw("{% query page=None %}") == "?tab=a"


def test_progress_polls_until_done() -> None:
    assert 'hx-get="/p/"' in draw('{% progress 0.4 "检查" url="/p/" %}')
    done = draw('{% progress 1.4 "检查" url="/p/" done=True %}')
    assert "hx-get" not in done
    assert 'aria-valuenow="100"' in done


def test_a_chart_has_its_table_and_an_empty_one_says_so() -> None:
    figure = charts.Chart("bar", "目录数", ["甲", "乙"], [charts.Series("目录", [3, None])], "条")
    made = draw("{% chart c %}", c=figure)
    assert "<td>甲</td>" in made
    assert '"values": [3, null]' in made
    assert "暂无数据" in draw("{% chart c %}", c=charts.one("bar", "目录数", []))


def test_the_map_draws_every_county() -> None:
    figure = maps.Choropleth("数", {"320706": 5, "320722": 10}, "个", {"320706": "/x/"})
    made = draw("{% county_map m %}", m=figure)
    names = ["海州区", "连云区", "赣榆区", "东海县", "灌云县", "灌南县"]
    assert all(name in made for name in names)
    assert made.count("<path") == 6
    assert 'href="/x/"' in made
    for county in maps.counties()[0]:
        assert 0 < county.x < maps.WIDTH
        assert 0 < county.y < figure.height
    assert len(figure.features()["features"]) == 6


def test_the_menu_shows_what_one_may_open(db: None) -> None:
    assert menu(ANONYMOUS) == []
    groups = menu(SYSTEM, "/workbench/accounts/new/")
    marked = [item.title for group in groups for item in group.items if item.current]
    assert marked == ["账号管理"]


def test_events_read_in_chinese() -> None:
    assert tags.event_title("grant.issued") == "授权已授予"
    assert tags.event_title("account.locked") == "账号已锁定"
