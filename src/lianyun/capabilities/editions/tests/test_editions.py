"""Editions: numbered without gaps, the same content adds none, nobody without the right adds one."""

import pytest

from lianyun.capabilities.editions import api
from lianyun.kernel.access import ANONYMOUS, SYSTEM, Denied

pytestmark = pytest.mark.django_db


def test_an_edition_is_added_and_found() -> None:
    first = api.publish("forms", "garden", {"title": "甲"}, by=SYSTEM)
    again = api.publish("forms", "garden", {"title": "甲"}, by=SYSTEM)
    second = api.publish("forms", "garden", {"title": "乙"}, note="改名", by=SYSTEM)
    assert (first.number, again.pk, second.number) == (1, first.pk, 2)
    found = api.find("forms", "garden")
    assert found is not None
    assert found.content == {"title": "乙"}
    assert [e.number for e in api.newest("forms") if e.code == "garden"] == [2]
    assert "garden" in api.codes("forms")
    assert api.find("licences", "garden") is None
    with pytest.raises(Denied):
        api.publish("forms", "garden", {"title": "丙"}, by=ANONYMOUS)
    with pytest.raises(ValueError, match="no editions"):
        api.publish("datasets", "garden", {}, by=SYSTEM)
