"""Round, school, registration, allotment, seat: one year's enrolment, who entered, who got which place."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.db import models
from django.db.models import Q
from django.utils import timezone

from lianyun.kernel.models import Case, Party


class Round(models.Model):
    """One enrolment of a year and stage; how far it is stands in its case (path enrolment_round).

    `content` is the points table as it was approved, with the version of its decision table;
    `secret` the sealed half of the lots' seed, promised by `promise` (its SHA-256) before anybody
    registered; `seed` is public once the ranking is.
    """

    code = models.SlugField("代码", max_length=40, unique=True)
    scheme = models.CharField("积分方案", max_length=60)
    title = models.CharField("名称", max_length=120)
    year = models.PositiveSmallIntegerField("年份")
    stage = models.CharField("学段", max_length=10)
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="组织部门")
    by = models.ForeignKey(
        Party, models.PROTECT, null=True, related_name="+", verbose_name="制定人"
    )
    case = models.OneToOneField(Case, models.PROTECT, null=True, related_name="+")
    content = models.JSONField("积分表", default=dict)
    table_version = models.PositiveIntegerField("决策表版本", default=0)
    days = models.JSONField("日程", default=dict)
    secret = models.TextField("抽签密文", blank=True, default="")
    promise = models.CharField("抽签承诺", max_length=64, blank=True, default="")
    seed = models.CharField("抽签种子", max_length=64, blank=True, default="")
    digest = models.CharField("名单摘要", max_length=64, blank=True, default="")
    turn = models.PositiveSmallIntegerField("第几次派位", default=1)
    objections_until = models.DateField("异议截止", null=True)
    published_at = models.DateTimeField("积分公示", null=True)
    ranked_at = models.DateTimeField("位次公布", null=True)
    settled_at = models.DateTimeField("全部办结", null=True)
    made_at = models.DateTimeField("建立时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "积分入学轮次"
        ordering = ["-year", "-id"]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"enrolment_round:{self.code}"

    @property
    def moments(self) -> dict[str, dt.datetime]:
        """The calendar's days by key, in the city's time."""
        return {
            k: timezone.localtime(dt.datetime.fromisoformat(v)) for k, v in self.days.items() if v
        }


class School(models.Model):
    """A school of a round: how many places it offers here, whom it serves (codes of towns)."""

    round = models.ForeignKey(Round, models.CASCADE, related_name="schools")
    code = models.CharField("学校标识码", max_length=20)
    name = models.CharField("学校", max_length=100)
    places = models.PositiveIntegerField("学位")
    towns = models.JSONField("施教区", default=list)

    class Meta:
        verbose_name = verbose_name_plural = "招生学校"
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["round", "code"], name="enrolment_school_once")
        ]

    def __str__(self) -> str:
        return self.name


class Registration(models.Model):
    """One child in one round, entered by its guardian; what was found of the family is sealed.

    `sealed` holds facts and counted lines under the vault; `points`, `ties` and `rank` are what the
    ranking needs. `number` is what is published. A place is given up by `declined_at`.
    """

    code = models.CharField("登记编号", max_length=24, unique=True)
    round = models.ForeignKey(Round, models.PROTECT, related_name="registrations")
    child = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="孩子")
    guardian = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="监护人")
    application = models.CharField("申请编号", max_length=24, db_index=True)
    case = models.OneToOneField(Case, models.PROTECT, null=True, related_name="+")
    number = models.CharField("公示编号", max_length=20, blank=True, default="")
    sealed = models.TextField("积分明细（密文）", blank=True, default="")
    points = models.DecimalField("积分", max_digits=7, decimal_places=2, null=True)
    ties = models.JSONField("同分比较", default=list)
    town = models.CharField("居住地", max_length=12, blank=True, default="")
    rank = models.PositiveIntegerField("位次", null=True)
    wishes = models.JSONField("志愿", default=list)
    together = models.BooleanField("与兄弟姐妹一同派位", default=False)
    school = models.ForeignKey(School, models.PROTECT, null=True, related_name="placed")
    wish = models.PositiveSmallIntegerField("录取志愿", null=True)
    begun_at = models.DateTimeField("开始时间", default=timezone.now)
    filed_at = models.DateTimeField("提交时间", null=True)
    out_at = models.DateTimeField("退出时间", null=True)
    out_why = models.CharField("退出原因", max_length=200, blank=True, default="")
    confirmed_at = models.DateTimeField("确认入学", null=True)
    declined_at = models.DateTimeField("放弃学位", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "积分入学登记"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["round", "child"],
                condition=Q(filed_at__isnull=False, out_at=None),
                name="enrolment_child_once",
            ),
            models.UniqueConstraint(
                fields=["round", "child", "guardian"],
                condition=Q(out_at=None),
                name="enrolment_begun_once",
            ),
        ]
        indexes = [
            models.Index(fields=["guardian", "-id"]),
            models.Index(fields=["round", "rank"]),
            models.Index(fields=["round", "number"]),
        ]

    def __str__(self) -> str:
        return self.number or self.code

    @property
    def ref(self) -> str:
        """Portable pointer; the hall knows the application as a part of it."""
        return f"enrolment:{self.code}"

    @property
    def shown_points(self) -> str:
        """The points as people write them: 62.5, not 62.50."""
        return "" if self.points is None else f"{Decimal(self.points).normalize():f}"


class Allotment(models.Model):
    """One computed allotment of a round's turn; the same inputs always give the same digest."""

    round = models.ForeignKey(Round, models.PROTECT, related_name="allotments")
    turn = models.PositiveSmallIntegerField("第几次派位")
    made_by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    made_at = models.DateTimeField("派位时间", default=timezone.now)
    inputs = models.CharField("依据摘要", max_length=64)
    digest = models.CharField("结果摘要", max_length=64)
    units = models.PositiveIntegerField("参加派位")
    placed = models.PositiveIntegerField("录取")
    lines = models.JSONField("各校录取线", default=list)
    signed_by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    published_at = models.DateTimeField("公布时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "派位"
        ordering = ["turn"]
        constraints = [
            models.UniqueConstraint(fields=["round", "turn"], name="enrolment_allotted_once")
        ]

    def __str__(self) -> str:
        return f"{self.round_id} 第 {self.turn} 次"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"enrolment_allotment:{self.pk}"


class Seat(models.Model):
    """What an allotment says of one child: the school and which wish it was, or where it waits."""

    allotment = models.ForeignKey(Allotment, models.CASCADE, related_name="seats")
    registration = models.ForeignKey(Registration, models.PROTECT, related_name="seats")
    school = models.ForeignKey(School, models.PROTECT, null=True, related_name="+")
    wish = models.PositiveSmallIntegerField("第几志愿", null=True)
    wishes = models.JSONField("所填志愿", default=list)
    waits = models.JSONField("候补位次", default=dict)

    class Meta:
        verbose_name = verbose_name_plural = "派位结果"
        constraints = [
            models.UniqueConstraint(
                fields=["allotment", "registration"], name="enrolment_seat_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.allotment_id} {self.registration_id}"


__all__ = ["Allotment", "Registration", "Round", "School", "Seat"]
