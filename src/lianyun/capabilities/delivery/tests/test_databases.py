"""Into a department's database: everything first, then changes, each once, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lianyun.capabilities.delivery import actions, queries, rules
from lianyun.capabilities.delivery.models import Delivery, Subscription
from lianyun.kernel import grant as grants
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.models import Grant

from .conftest import FIELDS, Database, Fill, person

Make = Callable[..., Grant]
# Rights, bounds and patience do not depend on the kind of database.
whichever = pytest.mark.parametrize(
    "database", ["postgresql", pytest.param("mariadb", marks=pytest.mark.slow)], indirect=True
)


def subscribe(grant: Grant, to: Database, by: Actor, **options: Any) -> Subscription:
    return actions.open_subscription(
        grant=grant,
        kind=to.kind,
        location=to.location,
        options=options,
        credentials=to.credentials,
        by=by,
    )


def carry(row: Subscription) -> int:
    """What the worker does, its pause over."""
    Subscription.objects.filter(pk=row.pk).update(next_at=None)
    done = actions.carry(code=row.code, by=SYSTEM)
    row.refresh_from_db()
    return done


def number(n: int) -> str:
    return f"3299{n:014d}"


def test_everything_comes_first_then_changes(
    fill: Fill, grant: Make, receiver: Actor, database: Database
) -> None:
    fill("b1", [person(1), person(2, name="李𠮷\\n\"'"), person(3, name="")])
    row = subscribe(grant(), database, receiver)
    assert actions.test_receiver(row=row, by=receiver)["ok"]
    assert carry(row) == 1
    assert row.error == ""
    assert database.ask("SELECT * FROM people_d ORDER BY 1")[0][0] == number(1)
    assert database.rows() == [(number(1), "张1"), (number(2), "李𠮷\\n\"'"), (number(3), "张3")]
    columns = database.ask(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'people_d' "
        "ORDER BY ordinal_position"
    )
    assert [c[0] for c in columns] == FIELDS  # what was not granted is not there
    fill("b2", [person(1, name="张一"), person(4)])
    fill("b3", [person(1, name="张一"), person(4), person(5)])
    assert carry(row) == 1  # two batches, one net change
    assert database.rows() == [(number(1), "张一"), (number(4), "张4"), (number(5), "张5")]
    assert database.ask("SELECT position FROM _lianyun_position") == [("b3",)]
    assert row.position == "b3"
    assert carry(row) == 0
    last = row.deliveries.first()
    assert last is not None
    assert (last.upserts, last.deletes, last.standing) == (3, 2, "delivered")


def test_rows_move_into_and_out_of_the_scope(
    fill: Fill, grant: Make, receiver: Actor, database: Database
) -> None:
    fill("b1", [person(1, town="A"), person(2, town="B"), person(3, town="A")])
    row = subscribe(grant(scope={"town": ["A"]}), database, receiver, table="mine")
    carry(row)
    assert database.rows("mine") == [(number(1), "张1"), (number(3), "张3")]
    fill("b2", [person(1, town="B"), person(2, town="A"), person(3, town="A")])
    carry(row)
    assert database.rows("mine") == [(number(2), "张2"), (number(3), "张3")]
    fill("b3", [person(1, town="C"), person(2, town="A"), person(3, town="A")])
    before = Delivery.objects.count()
    carry(row)
    assert Delivery.objects.count() == before  # a move outside the scope is nobody's business
    assert row.position == "b3"
    fill("b4", [person(9, town="A"), person(3, town="A")])  # a key rewritten: 2 became 9
    carry(row)
    assert database.rows("mine") == [(number(3), "张3"), (number(9), "张9")]


def test_rows_that_somebody_added_or_removed_there_by_hand_are_put_right(
    fill: Fill, grant: Make, receiver: Actor, database: Database
) -> None:
    fill("b1", [person(n) for n in range(1, 5)])
    row = subscribe(grant(), database, receiver)
    carry(row)
    database.ask(f"DELETE FROM people_d WHERE citizen_number = '{number(2)}'")
    fill("b2", [person(n, name=f"王{n}") for n in range(1, 6)])
    assert carry(row) == 1
    assert database.rows() == [(number(n), f"王{n}") for n in range(1, 6)]
    database.ask(f"INSERT INTO people_d (citizen_number, name) VALUES ('{number(6)}', '谁')")
    fill("b3", [person(n, name=f"李{n}") for n in range(1, 8)])
    assert carry(row) == 1
    assert database.rows() == [(number(n), f"李{n}") for n in range(1, 8)]


def test_masks_hold_and_a_masked_key_is_replaced(
    fill: Fill, grant: Make, receiver: Actor, database: Database
) -> None:
    fill("b1", [person(1), person(2)])
    masks = {"citizen_number": "citizen_number", "name": "name"}
    row = subscribe(grant(masks=masks), database, receiver)
    carry(row)
    told = database.ask("SELECT citizen_number, name, _lianyun_key FROM people_d ORDER BY 3")
    assert {(a, b) for a, b, _ in told} == {
        ("329***********0001", "张*"),
        ("329***********0002", "张*"),
    }
    assert all(len(k) == 32 and "3299" not in k for _, _, k in told)
    fill("b2", [person(2, amount="9.00")])
    carry(row)
    assert database.ask("SELECT citizen_number, amount FROM people_d")[0][1] == pytest.approx(9)
    assert len(database.rows()) == 1


def test_a_correction_and_a_deletion_reach_the_receiver_and_the_desk_shows_who_lacks_it(
    fill: Fill, grant: Make, receiver: Actor, mariadb: Database, people: Any
) -> None:
    fill("b1", [person(1), person(2)])
    row = subscribe(grant(), mariadb, receiver)
    carry(row)
    fill("b2", [person(1, name="改正")], "incremental")
    (one,) = queries.takers(SYSTEM, people, "b2")
    assert not one.taken
    assert queries.takers(SYSTEM, people, "b1")[0].taken
    carry(row)
    assert queries.takers(SYSTEM, people, "b2")[0].taken
    assert mariadb.rows()[0] == (number(1), "改正")


@whichever
def test_a_receiver_restored_from_an_old_copy_catches_up_from_there(
    fill: Fill, grant: Make, receiver: Actor, database: Database
) -> None:
    fill("b1", [person(1)])
    row = subscribe(grant(), database, receiver)
    carry(row)
    kept = database.rows()
    shape = database.ask("SELECT shape FROM _lianyun_position")[0][0]
    fill("b2", [person(1), person(2)])
    carry(row)
    database.ask(f"DELETE FROM people_d WHERE citizen_number <> '{kept[0][0]}'")
    database.ask(f"UPDATE _lianyun_position SET position = 'b1', shape = '{shape}'")
    fill("b3", [person(1), person(2), person(3)])
    carry(row)
    assert len(database.rows()) == 3
    database.ask("DROP TABLE people_d")  # and one that lost its table gets everything
    fill("b4", [person(1), person(4)])
    carry(row)
    assert [r[0] for r in database.rows()] == [number(1), number(4)]
    database.ask("DELETE FROM people_d")
    actions.ask_anew(row=row, reason="接收库误删", by=receiver)
    carry(row)
    assert [r[0] for r in database.rows()] == [number(1), number(4)]
    assert not row.anew


def test_another_grant_of_fields_changes_the_table(
    fill: Fill, grant: Make, receiver: Actor, database: Database
) -> None:
    fill("b1", [person(1), person(2)])
    given = grant()
    row = subscribe(given, database, receiver)
    carry(row)
    Grant.objects.filter(pk=given.pk).update(
        terms={**given.terms, "fields": ["citizen_number", "name", "town"]}
    )
    carry(row)
    assert database.ask("SELECT * FROM people_d ORDER BY 1")[0] == (number(1), "张1", "A")
    Grant.objects.filter(pk=given.pk).update(
        terms={
            **given.terms,
            "fields": ["citizen_number", "town"],
            "masks": {"citizen_number": "citizen_number"},
        }
    )
    carry(row)
    told = database.ask("SELECT citizen_number, town FROM people_d ORDER BY 1")
    assert told == [("329***********0001", "A"), ("329***********0002", "A")]


def test_a_table_of_the_departments_own_is_left_alone(
    fill: Fill, grant: Make, receiver: Actor, database: Database
) -> None:
    fill("b1", [person(1)])
    database.ask("CREATE TABLE people_d (precious int)")
    database.ask("INSERT INTO people_d VALUES (7)")
    row = subscribe(grant(), database, receiver)
    carry(row)
    assert "同名的表" in row.error
    assert database.ask("SELECT precious FROM people_d") == [(7,)]
    dead = queries.dead_letters(receiver).get()
    assert dead.standing == "dead"


def test_a_wrong_password_is_told_and_does_not_leak(
    fill: Fill, grant: Make, receiver: Actor, database: Database
) -> None:
    fill("b1", [person(1)])
    database.credentials["password"] = "guessed-wrong"
    row = subscribe(grant(), database, receiver)
    told = actions.test_receiver(row=row, by=receiver)
    assert not told["ok"]
    assert told["message"] == "接收库的用户名或密码不正确，请核对后重新填写"
    carry(row)
    assert "guessed" not in row.error
    assert row.attempts == 1
    assert row.next_at is not None
    actions.change_subscription(
        row=row,
        kind=row.kind,
        location=row.location,
        options={},
        credentials={"password": "S3cret word"},
        by=receiver,
    )
    assert carry(row) == 1
    assert "S3cret" not in row.secret


@whichever
def test_a_receiver_that_is_away_is_never_given_up(
    fill: Fill, grant: Make, receiver: Actor, database: Database
) -> None:
    fill("b1", [person(1)])
    row = subscribe(grant(), database, receiver)
    carry(row)
    there = row.location
    Subscription.objects.filter(pk=row.pk).update(
        location=there.replace(":" + there.rsplit(":", 1)[1].split("/")[0], ":1"), vouched=True
    )
    for day in range(2, 12):
        fill(f"b{day}", [person(1), person(day)])
        carry(row)
    assert "拒绝连接" in row.error
    assert row.attempts == 10
    assert not queries.dead_letters(receiver).exists()
    assert queries.takers(SYSTEM, row.grant.resource, "b5")[0].taken is False
    Subscription.objects.filter(pk=row.pk).update(location=there, vouched=False)
    assert carry(row) == 1
    assert [r[0] for r in database.rows()] == [number(1), number(11)]
    assert (row.error, row.attempts) == ("", 0)


def test_what_the_receiver_cannot_hold_becomes_a_dead_letter_that_people_settle(
    fill: Fill, grant: Make, receiver: Actor, mariadb: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill("b1", [person(1)])
    row = subscribe(grant(), mariadb, receiver)
    carry(row)
    mariadb.ask("ALTER TABLE people_d MODIFY name varchar(2) NOT NULL")
    fill("b2", [person(1), person(2, name="名字太长")])
    for _ in range(rules.ATTEMPTS):
        carry(row)
    dead = queries.dead_letters(receiver).get()
    assert "不接受数据" in dead.error
    fill("b3", [person(1), person(2, name="名字太长"), person(3)])
    assert carry(row) == 0  # in order: nothing overtakes
    with pytest.raises(UserError):
        actions.skip_dead(parcel=dead, reason="", by=receiver)
    actions.skip_dead(parcel=dead, reason="对方表结构不能改，已线下核对", by=receiver)
    assert carry(row) == 1
    assert [r[0] for r in mariadb.rows()] == [number(1), number(3)]
    assert row.position == "b3"
    skipped = row.deliveries.exclude(skipped_by="").get()
    assert skipped.reason.startswith("对方")
    mariadb.ask("ALTER TABLE people_d MODIFY name longtext")
    actions.ask_anew(row=row, reason="表结构已修正", by=receiver)
    carry(row)
    assert len(mariadb.rows()) == 3


@whichever
def test_a_right_that_rests_or_ends_stops_at_once(
    fill: Fill, grant: Make, receiver: Actor, database: Database, run_jobs: Callable[[], int]
) -> None:
    fill("b1", [person(1)])
    given = grant()
    row = subscribe(given, database, receiver)
    carry(row)
    grants.suspend(given, reason="核查", by=SYSTEM)
    fill("b2", [person(1), person(2)])
    assert carry(row) == 0
    assert len(database.rows()) == 1
    grants.resume(given, reason="核查完毕", by=SYSTEM)
    assert carry(row) == 1
    grants.revoke(given, reason="终止", by=SYSTEM)
    run_jobs()
    row.refresh_from_db()
    assert row.secret == ""
    fill("b3", [person(3)])
    assert carry(row) == 0
    assert len(database.rows()) == 2


@whichever
def test_a_right_that_ends_while_a_parcel_is_on_its_way_takes_nothing_effect(
    fill: Fill,
    grant: Make,
    receiver: Actor,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lianyun.capabilities.delivery.actions import parcels as carrying

    fill("b1", [person(n) for n in range(50)])
    given = grant()
    row = subscribe(given, database, receiver)
    ended = carrying.still_of

    def ends(grant: Grant) -> Callable[[], None]:
        """The provider ends the right just as the first bytes are about to leave."""
        check = ended(grant)

        def look() -> None:
            if Grant.objects.get(pk=grant.pk).state == Grant.ACTIVE:
                grants.revoke(Grant.objects.get(pk=grant.pk), reason="终止", by=SYSTEM)
            check()

        return look

    monkeypatch.setattr(carrying, "still_of", ends)
    carry(row)
    assert "授权已暂停" in row.error
    there = database.ask(
        "SELECT count(*) FROM information_schema.tables WHERE table_name = 'people_d'"
    )
    assert there == [(0,)] or database.rows() == []


@whichever
def test_updates_close_together_are_all_brought(
    fill: Fill, grant: Make, receiver: Actor, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MOST", 3)
    fill("b00", [person(0)])
    row = subscribe(grant(), database, receiver)
    carry(row)
    for n in range(1, 9):
        fill(f"b{n:02d}", [person(n), person(0, name=f"第{n}次")], "incremental")
    carry(row)
    assert len(database.rows()) == 9
    assert database.rows()[0] == (number(0), "第8次")
    assert row.deliveries.count() > 2  # in bounded parcels
