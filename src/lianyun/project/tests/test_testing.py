"""The test bench itself: a database of one's own, Chinese trigrams, a lake's place."""

import psycopg
import pytest
from django.db import connection

from lianyun.project.testing import LakePlace


@pytest.mark.django_db
def test_the_test_database_is_a_copy_of_the_template() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database(), to_regclass('kernel_party') IS NOT NULL")
        name, made = cursor.fetchone()
    assert name.startswith("test_")
    assert made


def test_a_lake_has_an_empty_catalogue_and_folder(lake_place: LakePlace) -> None:
    assert list(lake_place.folder.iterdir()) == []
    with psycopg.connect(lake_place.catalogue_url) as opened:
        tables = opened.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchone() == (0,)


def test_trigrams_know_chinese(lake_dsn: str) -> None:
    with psycopg.connect(lake_dsn) as opened:
        opened.execute("CREATE EXTENSION pg_trgm")
        found = opened.execute("SELECT cardinality(show_trgm('婚姻登记'))").fetchone()
    assert found is not None
    assert found[0] > 2
