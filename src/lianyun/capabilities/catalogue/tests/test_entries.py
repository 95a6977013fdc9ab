"""Entries: declared, found, hidden, drafted, reviewed, revised, withdrawn."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.db import connection

from lianyun.capabilities.catalogue import actions, api, queries
from lianyun.capabilities.catalogue.models import CatalogueClass, Entry
from lianyun.capabilities.catalogue.rules.compare import compare
from lianyun.kernel import packs
from lianyun.kernel.access import ANONYMOUS, SYSTEM, Actor, Denied, UserError
from lianyun.kernel.models import Case, Event, Resource, WorkItem
from lianyun.kernel.party import department

Officer = Callable[[str, str], Actor]


def names(page: queries.Page) -> list[str]:
    return [r.name for r in page.rows]


def find(viewer: Actor, text: str, **more: Any) -> queries.Page:
    return queries.search(viewer, queries.Filters(q=text, **more), size=100)


# ---- declared ------------------------------------------------------------------------------


def test_packs_become_the_catalogue(city: None) -> None:
    declared = packs.declarations("datasets")
    assert Resource.objects.filter(entry__isnull=False).count() == len(declared)
    row = api.resource_of("ga_residents")
    assert row.state == Resource.PUBLISHED
    assert row.code == "101001/000001"
    assert row.version == 1
    assert len(api.items_of(row)) == len(
        packs.declaration("datasets", "ga_residents").data["items"]
    )
    again = actions.sync_declared(by=SYSTEM)
    assert (again.created, again.updated, again.unchanged) == (0, 0, len(declared))
    assert CatalogueClass.objects.get(code="101001").parent.code == "101"  # type: ignore[union-attr]


def test_siblings_get_items_and_specs(city: None) -> None:
    row = api.resource_of("ga_residents")
    first = api.items_of(row)[0]
    assert first.name == "citizen_number"
    assert first.spec.check == "citizen_number"
    assert first.spec.mask == "citizen_number"
    told = api.dataset_spec(row)
    assert told["key"] == ["citizen_number"]
    assert told["rules"]
    assert told["contract"] == "evolve"


# ---- found ---------------------------------------------------------------------------------


def test_simplified_and_traditional_find_alike(city: None) -> None:
    assert {"mz_marriages", "mz_divorces"} <= set(names(find(SYSTEM, "婚姻登記")))
    assert names(find(SYSTEM, "婚姻登記")) == names(find(SYSTEM, "婚姻登记"))
    assert {"mz_marriages", "mz_divorces"} <= set(names(find(SYSTEM, "婚姻")))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("男方姓名", "mz_marriages"),
        ("市民政局", "mz_marriages"),
        ("婚姻与生育", "mz_marriages"),
        ("101003/000001", "mz_marriages"),
        ("mz_marr", "mz_marriages"),
        ("jhdj", "mz_marriages"),
        ("婚", "mz_marriages"),
        ("户籍", "ga_residents"),
        ("户藉人口", "ga_residents"),
    ],
)
def test_by_item_department_class_code_and_sound(city: None, text: str, name: str) -> None:
    assert name in names(find(SYSTEM, text))


def test_a_name_comes_before_a_mention(city: None) -> None:
    assert names(find(SYSTEM, "结婚登记"))[0] == "mz_marriages"


@pytest.mark.parametrize(
    "text", ["%", "_", "'", "\\", "；", "()", "a" * 500, "不存在的词语组合甲乙丙"]
)
def test_odd_words_do_no_harm(city: None, text: str) -> None:
    find(SYSTEM, text)


def test_facet_counts_equal_their_lists(city: None, officer: Officer) -> None:
    viewer = officer("data_officer", "ga")
    for filters in (
        queries.Filters(),
        queries.Filters(q="信息"),
        queries.Filters(share="2", category="101"),
        queries.Filters(q="登记", department="mz"),
    ):
        for facet in queries.facets(viewer, filters):
            for choice in facet.choices[:6]:
                wanted = queries.Filters(**{**vars(filters), facet.key: choice.value})
                assert queries.search(viewer, wanted).total == choice.count, (facet.key, choice)


# ---- hidden --------------------------------------------------------------------------------


def test_drafts_are_hidden_from_other_departments(
    officer: Officer, content: dict[str, Any]
) -> None:
    mine, other = officer("data_officer", "mz"), officer("data_officer", "ga")
    before = {f.key: sum(c.count for c in f.choices) for f in queries.facets(other)}
    row = actions.draft_resource(provider=department("mz"), content=content, by=mine)
    assert row.name in names(find(mine, "殡葬服务机构"))
    for viewer in (other, officer("leader", "sjj"), officer("bureau_operator", "sjj"), ANONYMOUS):
        assert row.name not in names(find(viewer, "殡葬服务机构"))
        assert row.pk not in queries.visible(viewer).values_list("pk", flat=True)
        assert queries.overview(viewer)["resources"] < Resource.objects.count()
        with pytest.raises(UserError):
            queries.detail(viewer, row.name)
        assert row.code not in {e["code"] for e in queries.export_entries(viewer)}
        assert row.name not in [r.name for r in queries.suggestions(viewer, "殡葬")]
    after = {f.key: sum(c.count for c in f.choices) for f in queries.facets(other)}
    assert after == before
    edges = [(row.ref, row.title, "library:population", "人口库", "")]
    api.register_lineage(origin="test", edges=edges)
    seen = queries.lineage(other, "library:population")
    assert row.title not in [n.title for n in seen.nodes]


def test_visitors_see_what_may_be_shared(city: None) -> None:
    Resource.objects.filter(name="ga_residents").update(level=4)
    Entry.objects.filter(resource__name="mz_marriages").update(share_type=3)
    shown = names(api.public_search("", size=100))
    assert "ga_residents" not in shown
    assert "mz_marriages" not in shown
    assert "scjg_enterprises" in shown
    assert api.public_totals()["resources"] == len(shown)
    assert sum(n for _, n in api.public_departments()) == len(shown)
    assert api.public_entry("scjg_enterprises")["items"]
    with pytest.raises(UserError):
        api.public_entry("mz_marriages")


# ---- drafted -------------------------------------------------------------------------------


def test_codes_are_built_and_dense(officer: Officer, content: dict[str, Any]) -> None:
    by = officer("data_officer", "mz")
    first = actions.draft_resource(provider=department("mz"), content=content, by=by)
    second = actions.draft_resource(
        provider=department("mz"), content={**content, "title": "另一目录"}, by=by
    )
    assert (first.code, second.code) == ("307001/000001", "307001/000002")
    with pytest.raises(UserError, match="已经使用"):
        actions.draft_resource(
            provider=department("mz"), content={**content, "code": first.code}, by=by
        )


def test_an_officer_writes_for_the_own_department_only(
    officer: Officer, content: dict[str, Any]
) -> None:
    with pytest.raises(Denied):
        actions.draft_resource(
            provider=department("ga"), content=content, by=officer("data_officer", "mz")
        )
    row = actions.draft_resource(
        provider=department("mz"), content=content, by=officer("data_officer", "mz")
    )
    with pytest.raises(Denied):
        actions.edit_resource(resource=row, content=content, by=officer("data_officer", "ga"))
    with pytest.raises(Denied):
        actions.submit_entry(resource=row, by=officer("share_head", "mz"))


def test_another_class_gives_another_code(officer: Officer, content: dict[str, Any]) -> None:
    by = officer("data_officer", "mz")
    row = actions.draft_resource(provider=department("mz"), content=content, by=by)
    moved = actions.edit_resource(resource=row, content={**content, "class": "307002"}, by=by)
    assert moved.pk == row.pk
    assert moved.code == "307002/000001"
    assert Resource.objects.filter(pk=row.pk, code="307002/000001").exists()


def test_a_proposal_can_be_registered_and_replaced(
    officer: Officer, content: dict[str, Any]
) -> None:
    by = officer("data_officer", "mz")
    wanted = {**content, "code": "307001/000077", "name": "mz_proposed"}
    row = api.register_dataset(provider=department("mz"), content=wanted, by=by)
    again = api.register_dataset(
        provider=department("mz"), content={**wanted, "items": wanted["items"][:1]}, by=by
    )
    assert again.pk == row.pk
    assert len(api.items_of(again)) == 1


def test_a_draft_can_be_thrown_away(officer: Officer, content: dict[str, Any]) -> None:
    by = officer("data_officer", "mz")
    row = actions.draft_resource(provider=department("mz"), content=content, by=by)
    actions.discard_draft(resource=row, by=by)
    assert not Resource.objects.filter(pk=row.pk).exists()
    with pytest.raises(UserError, match="只能撤销"):
        actions.discard_draft(resource=Resource.objects.get(name="mz_marriages"), by=by)


# ---- reviewed ------------------------------------------------------------------------------


@pytest.fixture
def submitted(officer: Officer, content: dict[str, Any]) -> tuple[Resource, Case]:
    by = officer("data_officer", "mz")
    row = actions.draft_resource(provider=department("mz"), content=content, by=by)
    return row, actions.submit_entry(resource=row, by=by)


def waiting(case: Case) -> WorkItem:
    return case.items.get(done_at=None)


def test_the_way_to_publication_by_the_right_roles(
    submitted: tuple[Resource, Case], officer: Officer
) -> None:
    row, case = submitted
    row.refresh_from_db()
    assert row.state == Resource.REGISTERING
    for wrong in (
        officer("data_officer", "mz"),
        officer("share_head", "ga"),
        officer("bureau_catalogue", "sjj"),
        ANONYMOUS,
    ):
        with pytest.raises(Denied):
            actions.do_review(item=waiting(case), outcome="agree", by=wrong)
    head, bureau = officer("share_head", "mz"), officer("bureau_catalogue", "sjj")
    actions.do_review(item=waiting(case), outcome="agree", by=head)
    register = waiting(case)
    assert register.step == "register_review"
    with pytest.raises(Denied):
        actions.do_review(item=register, outcome="agree", by=head)
    assert queries.review_desk(bureau)[0][1].pk == row.pk
    actions.do_review(item=register, outcome="agree", by=bureau)
    row.refresh_from_db()
    assert row.state == Resource.PUBLISHING
    publish = waiting(case)
    assert publish.due_on == register.due_on
    actions.do_review(item=publish, outcome="agree", by=bureau)
    row.refresh_from_db()
    assert (row.state, row.version) == (Resource.PUBLISHED, 1)
    assert row.versions.get().snapshot["title"] == row.title
    assert row.entry.published_on is not None
    assert row.name in names(find(officer("data_officer", "ga"), row.title))
    kinds = set(Event.objects.filter(subject=row.ref).values_list("kind", flat=True))
    assert {"resource.created", "resource.submitted", "resource.published"} <= kinds


def test_register_and_publish_share_two_working_days(
    officer: Officer, content: dict[str, Any]
) -> None:
    by = officer("data_officer", "mz")
    row = actions.draft_resource(provider=department("mz"), content=content, by=by)
    # 2026-09-30 is the last working day before the National Day holidays.
    with time_machine.travel(dt.datetime(2026, 9, 30, 1, tzinfo=dt.UTC), tick=False):
        case = actions.submit_entry(resource=row, by=by)
        actions.do_review(item=waiting(case), outcome="agree", by=officer("share_head", "mz"))
        register = waiting(case)
    assert register.due_on == dt.date(2026, 10, 9)
    with time_machine.travel(dt.datetime(2026, 10, 8, 1, tzinfo=dt.UTC), tick=False):
        actions.do_review(item=register, outcome="agree", by=officer("bureau_catalogue", "sjj"))
        assert waiting(case).due_on == dt.date(2026, 10, 9)
    with time_machine.travel(dt.datetime(2026, 10, 12, 1, tzinfo=dt.UTC), tick=False):
        assert waiting(case).overdue


def test_returned_with_a_reason_goes_back_to_draft(
    submitted: tuple[Resource, Case], officer: Officer
) -> None:
    row, case = submitted
    head = officer("share_head", "mz")
    with pytest.raises(UserError, match="理由"):
        actions.do_review(item=waiting(case), outcome="return", by=head)
    actions.do_review(item=waiting(case), outcome="return", note="摘要太短", by=head)
    row.refresh_from_db()
    assert row.state == Resource.DRAFT
    shown = queries.detail(officer("data_officer", "mz"), row.name)
    assert "摘要太短" in shown.returned
    assert shown.may_edit
    again = actions.submit_entry(resource=row, by=officer("data_officer", "mz"))
    assert again.pk != case.pk


def test_what_is_wrong_cannot_be_submitted(officer: Officer, content: dict[str, Any]) -> None:
    by = officer("data_officer", "mz")
    row = actions.draft_resource(
        provider=department("mz"), content={**content, "summary": ""}, by=by
    )
    with pytest.raises(UserError, match="摘要"):
        actions.submit_entry(resource=row, by=by)


def test_under_review_nothing_moves(
    submitted: tuple[Resource, Case], officer: Officer, content: dict[str, Any]
) -> None:
    row, _ = submitted
    by = officer("data_officer", "mz")
    with pytest.raises(UserError, match="正在审核"):
        actions.edit_resource(resource=row, content=content, by=by)
    with pytest.raises(UserError, match="无需重复提交"):
        actions.submit_entry(resource=row, by=by)
    with pytest.raises(UserError, match="正在审核"):
        actions.discard_draft(resource=row, by=by)


def test_a_decision_at_another_desk_moves_the_resource_too(
    submitted: tuple[Resource, Case], officer: Officer
) -> None:
    from lianyun.kernel import case as cases

    row, case = submitted
    cases.step(waiting(case), "return", note="请补充", by=officer("share_head", "mz"))
    event = Event.objects.filter(kind="case.closed").latest("pk")
    actions.on_case_closed(event)
    row.refresh_from_db()
    assert row.state == Resource.DRAFT
    before = Event.objects.count()
    actions.on_case_closed(event)
    assert Event.objects.count() == before


@pytest.mark.django_db(transaction=True)
def test_of_two_reviewers_at_once_one_wins(officer: Officer, content: dict[str, Any]) -> None:
    by, head = officer("data_officer", "mz"), officer("share_head", "mz")
    row = actions.draft_resource(provider=department("mz"), content=content, by=by)
    item = waiting(actions.submit_entry(resource=row, by=by))
    start, said = threading.Barrier(2), []

    def press() -> None:
        start.wait()
        try:
            actions.do_review(item=item, outcome="agree", by=head)
            said.append("done")
        except UserError as told:
            said.append(str(told))
        finally:
            connection.close()

    both = [threading.Thread(target=press) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(s == "done" for s in said) == [False, True]
    assert any("已由" in s for s in said)
    assert WorkItem.objects.filter(case=item.case, step="register_review").count() == 1


# ---- revised and withdrawn -----------------------------------------------------------------


def test_the_published_version_stays_visible_while_a_copy_is_in_work(officer: Officer) -> None:
    by, other = officer("data_officer", "mz"), officer("data_officer", "ga")
    row = Resource.objects.get(name="mz_marriages")
    actions.new_version(resource=row, by=by)
    draft = queries.entry_for(by, queries.look_up(by, row.name))
    draft["title"] = "结婚登记信息（修订）"
    draft["items"] = [{**draft["items"][0], "note": "改"}, *draft["items"][2:]]
    actions.edit_resource(resource=row, content=draft, by=by)
    assert queries.detail(other, row.name).content["title"] == "结婚登记信息"
    assert queries.detail(other, row.name).draft is None
    assert queries.entry_for(other, queries.look_up(other, row.name))["title"] == "结婚登记信息"
    assert find(other, "修订").total == find(SYSTEM, "修订").total
    case = actions.submit_entry(resource=row, by=by)
    row.refresh_from_db()
    assert row.state == Resource.PUBLISHED
    actions.do_review(item=waiting(case), outcome="agree", by=officer("share_head", "mz"))
    bureau = officer("bureau_catalogue", "sjj")
    shown = queries.review(bureau, waiting(case).pk)
    assert shown.changes is not None
    assert {i.kind for i in shown.changes.items} == {"removed", "changed"}
    for _ in range(2):
        actions.do_review(item=waiting(case), outcome="agree", by=bureau)
    row.refresh_from_db()
    assert (row.version, row.title, row.code) == (2, "结婚登记信息（修订）", "101003/000001")
    assert row.entry.draft is None
    old, new = queries.version(other, row.name, 1), queries.version(other, row.name, 2)
    found = compare(old, new)
    assert ("名称", "结婚登记信息", "结婚登记信息（修订）") in found.fields
    assert actions.sync_declared(by=SYSTEM).updated == 0


def test_withdrawing_needs_a_reason_and_the_right(officer: Officer) -> None:
    row = Resource.objects.get(name="mz_marriages") if Resource.objects.exists() else None
    head = officer("share_head", "mz")
    row = Resource.objects.get(name="mz_marriages")
    with pytest.raises(Denied):
        actions.withdraw_resource(resource=row, reason="x", by=officer("data_officer", "mz"))
    with pytest.raises(Denied):
        actions.withdraw_resource(resource=row, reason="x", by=officer("share_head", "ga"))
    with pytest.raises(UserError, match="理由"):
        actions.withdraw_resource(resource=row, reason=" ", by=head)
    actions.withdraw_resource(resource=row, reason="职责划转", by=head)
    other = officer("data_officer", "ga")
    assert row.name not in names(find(other, "结婚登记"))
    assert row.versions.count() == 1


# ---- lineage -------------------------------------------------------------------------------


def test_lineage_runs_from_source_to_service(city: None) -> None:
    api.register_lineage(
        origin="collection:ga",
        edges=[("source:ga_pg", "公安库", "dataset:ga_residents", "户籍人口信息", "每日")],
    )
    api.register_lineage(
        origin="services",
        edges=[("library:population", "人口库", "service:people", "人口核验", "")],
    )
    graph = queries.lineage(SYSTEM, "dataset:ga_residents", "户籍人口信息")
    assert [n.ref for n in graph.upstream] == ["source:ga_pg"]
    downstream = [n.ref for n in graph.downstream]
    assert downstream[-1] == "service:people"
    assert "library:population" in downstream
    events = Event.objects.count()
    api.register_lineage(
        origin="services",
        edges=[("library:population", "人口库", "service:people", "人口核验", "")],
    )
    assert Event.objects.count() == events
