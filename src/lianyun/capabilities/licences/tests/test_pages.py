"""Pages: every page of the desk, the counter and the wallet opens for those who may."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from lianyun.capabilities.licences import actions
from lianyun.capabilities.licences.models import Licence
from lianyun.kernel.access import Actor

pytestmark = pytest.mark.django_db


def browser(who: Actor, name: str) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create(username=name, party=who.party))
    return client


def opened(client: Client, path: str) -> str:
    answer: Any = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.content.decode()[-800:])
    return str(answer.content.decode())


def test_the_wallet(permit: Licence, citizen: Actor, clerk: Actor) -> None:
    client = browser(citizen, "shimin")
    at = f"/my/licences/{permit.identifier}/"
    assert "居住证" in opened(client, "/my/licences/")
    assert "苍梧路6号" in opened(client, at)
    for page in ("give/", "copy/"):
        assert "居住证" in opened(client, at + page)
    shown = opened(client, f"{at}show/")
    assert "每分钟自动更换" in shown
    code = actions.show(permit, by=citizen)
    asked = actions.ask(code, purpose="老年优待", wanted=["age_over_60"], by=clerk)
    assert "请求查看" in opened(client, "/my/licences/")
    assert "已满 60 周岁" in opened(client, f"{at}show/")
    assert client.post(f"/my/licences/answer/{asked.pk}/", {"answer": "yes"}).status_code == 302
    assert "老年优待" in opened(client, "/my/licences/looks/")
    assert client.get(f"{at}file/")["Content-Type"] == "application/pdf"
    counter = browser(clerk, "mz")
    assert "证照核验" in opened(counter, "/workbench/licences/counter/")
    assert "已满 60 周岁" in opened(counter, f"/workbench/licences/counter/{asked.pk}/")
    assert client.get("/my/licences/1.2.3/").status_code == 403


def test_the_desk(fresh_lake: object, permit: Licence, police: Actor) -> None:
    client = browser(police, "ga")
    assert "批量签发" in opened(client, "/workbench/licences/")
    page = opened(client, f"/workbench/licences/{permit.identifier}/")
    assert "320703199003070016" not in page
    assert "没有需要核实的证照" in opened(client, "/workbench/licences/left/")
    assert "覆盖率" in opened(client, "/workbench/licences/figures/")
    assert "签发依据" in opened(client, "/workbench/licences/new/residence_permit/")
    clear = client.post(f"/workbench/licences/{permit.identifier}/", {"purpose": "核对"})
    assert "320703199003070016" in clear.content.decode()


def test_figures_come_as_files(fresh_lake: object, permit: Licence, officer: Any) -> None:
    """The city's leader sees all departments; a department its own; nobody else any."""
    whole = browser(officer("sjj", "leader"), "lingdao")
    page = opened(whole, "/workbench/licences/figures/")
    assert "各部门三项指标" in page
    assert "营业执照" in page
    own = browser(officer("ga", "data_officer"), "ga")
    assert "营业执照" not in opened(own, "/workbench/licences/figures/")
    for what in ("departments", "kinds"):
        answer: Any = whole.get("/workbench/licences/figures/", {"export": f"csv-{what}"})
        lines = b"".join(answer.streaming_content).decode().splitlines()
        assert lines[0].lstrip("\ufeff").endswith("登记,已有证照的登记,在册,覆盖率,完整率,合格率")
        assert len(lines) > 2
    told = {line.split(",")[0]: line for line in lines}
    assert told["居住证"].endswith(",0,0,1,—,0.0%,100.0%")
    nobody = browser(officer("zwb", "counter_clerk"), "zwb")
    assert nobody.get("/workbench/licences/figures/").status_code == 403
