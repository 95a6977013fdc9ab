"""Sample lives: shares of the sample city grow old: needs, baskets, misuse, disputes, corrections.

Everything goes through the doors that officers and citizens use; a second call leaves it alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

Tell = Callable[[float, str], None]
CITIZEN = "shimin"


def live_on(
    home: Path, grant_code: str, officer: Callable[[str], Any], tell: Tell
) -> dict[str, Any]:
    """A need with a promise, a basket, a clue of misuse, a dispute, a return flow, a citizen's report.

    `grant_code` is the grant that is in use, `officer` gives the actor of an account. Returns how
    many cases of each kind there are.
    """
    from django.utils import timezone

    from lianyun.capabilities.sharing import api as sharing
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.clock import calendar
    from lianyun.kernel.models import Case, Grant, Resource

    made = Case.objects.filter(path__key__in=("need", "misuse", "dispute", "return_flow"))
    if made.exists():
        return {"cases": made.count()}
    today = timezone.localdate()

    def do(case: Any, step: str, outcome: str, by: str, note: str = "", **data: Any) -> Any:
        item = case.items.get(step=step, done_at=None)
        return sharing.do_step(item=item, outcome=outcome, note=note, data=data, by=officer(by))

    grant = Grant.objects.get(code=grant_code)
    tell(0.1, "数据需求")
    need = sharing.post_need(
        need=sharing.Need(
            title="残疾人两项补贴发放信息",
            items=("姓名", "公民身份号码", "补贴类别", "发放金额", "发放月份"),
            duty="义务教育阶段困难学生资助",
            purpose="核对学生家庭是否享受残疾人补贴",
            basis="《关于建立城乡义务教育学生资助政策的通知》",
            cycle="每月",
            repeated="目前由家长到社区开具证明后提交",
        ),
        by=officer("jy.zhuanyuan"),
    )
    do(need, "consent", "agree", "jy.fuzeren")
    do(need, "assign", "assign", "yunying", department="mz")
    promised, _ = calendar().deadline(today, 15)
    do(need, "accept", "accept", "mz.zhuanyuan", by_day=promised.isoformat())

    tell(0.25, "选数车")
    wanted = [
        r
        for r in Resource.objects.filter(
            name__in=("ga_residents", "rs_insured", "mz_marriages", "gjj_accounts")
        ).select_related("owner")
        if r.owner.slug != "mz"
    ]
    asker = officer("wj.zhuanyuan") if _known("wj.zhuanyuan") else officer("jy.zhuanyuan")
    asked = [(r, _request(r, today)) for r in wanted if r.owner != asker.department]
    asked = [(r, q) for r, q in asked if not _asked_already(asker, r)]
    for resource, _ in asked:
        sharing.put_in_basket(resource=resource, by=asker)
    baskets = sharing.ask_for_basket(asked=asked, by=asker) if asked else []

    tell(0.45, "超范围使用线索")
    sharing.open_misuse(
        grant=grant,
        evidence={
            "summary": "夜间按号码顺序连续查询",
            "hours": "01:00 至 03:00",
            "kind": "超出共享目的",
            "rule": "非工作时段且对象号码连续",
        },
        by=officer("yunying"),
    )
    sharing.write_use(
        grant=grant, kind="effect", text="离退休提取免交身份证明，办理时间由 3 天减为当场",
        by=officer("gjj.zhuanyuan"),
    )  # fmt: skip

    tell(0.55, "共享争议和数据回流")
    share = Case.objects.filter(
        path__key="share_request", applicant__slug="mz", department__slug="rs"
    ).first()
    if share is not None:
        sharing.open_dispute(
            subject=share,
            claim="提供部门要求另行签订协议方可答复，属擅自增设条件，请求依法答复",
            by=officer("mz.zhuanyuan"),
        )
    back = sharing.request_return(
        wanted=sharing.Returned(
            upper="省民政厅",
            title="殡葬服务机构火化信息",
            items=("姓名", "公民身份号码", "火化日期"),
            areas=("320700",),
            basis="《社会救助暂行办法》第十三条",
            purpose="及时停发已故人员救助金",
        ),
        by=officer("mz.zhuanyuan"),
    )
    do(back, "consent", "agree", "mz.fuzeren")
    do(back, "forward", "sent", "yunying", document="连数函〔2026〕7号")

    tell(0.7, "本人提出校核")
    reported = _citizen_reports(home)
    tell(0.85, "重复收集和用量")
    overlaps = sharing.find_overlaps(by=SYSTEM)
    sharing.count_use(days=[today], by=SYSTEM)
    return {
        "cases": made.count(),
        "baskets": len(baskets),
        "reported": reported,
        "overlaps": overlaps,
    }


def _known(username: str) -> bool:
    from django.contrib.auth import get_user_model

    return bool(get_user_model().objects.filter(username=username).exists())


def _asked_already(asker: Any, resource: Any) -> bool:
    from lianyun.kernel.models import Case

    rows = Case.objects.filter(
        path__key="share_request", applicant=asker.department, subject=resource.ref
    )
    return rows.exclude(state=Case.CLOSED).exists()


def _request(resource: Any, today: dt.date) -> Any:
    from lianyun.capabilities.catalogue import api as catalogue
    from lianyun.capabilities.sharing import api as sharing

    names = [i.name for i in catalogue.items_of(resource)][:4]
    return sharing.Request(
        basis="《政务数据共享条例》第二十条及本部门法定职责",
        scene="受理业务时核验申请人填报的信息",
        purpose="核验申请人填报信息",
        fields=tuple(names),
        until=today + dt.timedelta(days=200),
        operations=("verify",),
        calls_per_second=20,
        networks=("10.0.0.0/8",),
    )


def _citizen_reports(home: Path) -> int:
    """A citizen with an account of their own says that a telephone number is out of date."""
    from django.contrib.auth import get_user_model

    from lianyun.capabilities.audit import api as audit
    from lianyun.capabilities.collection import api as collection
    from lianyun.capabilities.identity import api as identity
    from lianyun.capabilities.quality import api as quality
    from lianyun.kernel.access import SYSTEM, actor_of

    with collection.lake().connect(read_only=True) as con:
        row = con.execute(
            "SELECT citizen_number, name FROM lake.trusted.ga_residents ORDER BY 1 LIMIT 1"
        ).fetchone()
    if row is None:
        return 0
    number, name = str(row[0]), str(row[1])
    users = get_user_model().objects
    user = users.filter(username=CITIZEN).first()
    if user is None:
        password = (home / "demo-password").read_text().strip()
        user = identity.create_personal_account(name, CITIZEN, password=password, by=SYSTEM)
        assert user.party is not None
        audit.link_person(party=user.party, citizen_number=number, by=SYSTEM)
    party = user.party
    assert party is not None
    party.refresh_from_db()
    quality.report_own_error(
        dataset="ga_residents",
        citizen_number=number,
        key={"citizen_number": number},
        item="marital_status",
        told="去年已在海州区民政局登记结婚，登记后没有更新",
        expected="已婚",
        evidence="结婚证，字号可在现场出示",
        by=actor_of(party),
    )
    return 1
