"""Test set-up for the whole tree: the house's own database stands in for pytest-django's."""

import pytest


@pytest.fixture(scope="session")
def django_db_setup(lianyun_database: None) -> None:
    """Every test database is a copy of the run's template (see lianyun.project.testing)."""
