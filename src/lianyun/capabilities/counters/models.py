"""Hall: its counters, slots and appointments, its tickets, its terminals, and what couriers carry.

A ticket lives for minutes and moves thousands of times a day; it is a row with a stage, not a Case
(ADR 0034). What the visitor asks for becomes a Case when it is filed.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Party

from .rules import hours, order, parcels


class Hall(models.Model):
    """One hall (also a village's): where it is, when it is open, which queues it keeps.

    `queues` is a list of {letter, title, capacity, departments?, items?}; a queue without
    departments and items takes everything that the hall's reach may be asked for.
    """

    code = models.SlugField("代码", max_length=40, unique=True)
    title = models.CharField("名称", max_length=100)
    address = models.CharField("地址", max_length=200, blank=True, default="")
    phone = models.CharField("电话", max_length=40, blank=True, default="")
    reach = models.CharField("层级", max_length=10, choices=list(hours.REACHES.items()))
    division = models.CharField("区划代码", max_length=12, blank=True, default="")
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="管理部门")
    days = models.CharField("开放日", max_length=10, choices=list(hours.DAYS.items()))
    hours = models.JSONField("开放时间", default=list)
    closed = models.JSONField("另行休息的日子", default=list)
    queues = models.JSONField("队列", default=list)
    active = models.BooleanField("启用", default=True)
    edited_at = models.DateTimeField("修改时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "大厅"
        ordering = ["id"]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"hall:{self.code}"

    @property
    def hours_text(self) -> str:
        """Opening hours in words."""
        return f"{hours.DAYS.get(self.days, '')} {hours.spelled(self.hours)}"

    def queue(self, letter: str) -> dict[str, Any]:
        """One queue's declaration; an unknown letter has only itself."""
        return next((q for q in self.queues if q["letter"] == letter), {"letter": letter})

    def queue_title(self, letter: str) -> str:
        """A queue's name."""
        return str(self.queue(letter).get("title", letter))


class Counter(models.Model):
    """One window: the queues it serves (none named: all, 综合窗口) and who sits there now."""

    hall = models.ForeignKey(Hall, models.PROTECT, related_name="counters")
    number = models.PositiveSmallIntegerField("窗口号")
    title = models.CharField("名称", max_length=40)
    letters = models.JSONField("受理队列", default=list)
    clerk = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    since = models.DateTimeField("上岗时间", null=True)
    resting = models.BooleanField("暂停", default=False)
    active = models.BooleanField("启用", default=True)

    class Meta:
        verbose_name = verbose_name_plural = "窗口"
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["hall", "number"], name="counter_number_once"),
            models.UniqueConstraint(fields=["clerk"], name="one_counter_a_clerk"),
        ]

    def __str__(self) -> str:
        return f"{self.number} 号 {self.title}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"counter:{self.pk}"

    def serves(self, letter: str) -> bool:
        """Whether it calls this queue."""
        return not self.letters or letter in self.letters


class Slot(models.Model):
    """One half hour of one queue: how many may book it and how many did; the database keeps the bound."""

    hall = models.ForeignKey(Hall, models.PROTECT, related_name="slots")
    letter = models.CharField(max_length=2)
    day = models.DateField("日期")
    begin = models.PositiveSmallIntegerField("开始（分钟）")
    end = models.PositiveSmallIntegerField("结束（分钟）")
    capacity = models.PositiveSmallIntegerField("可预约")
    taken = models.PositiveSmallIntegerField("已预约", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "时段"
        ordering = ["day", "begin"]
        constraints = [
            models.UniqueConstraint(fields=["hall", "letter", "day", "begin"], name="slot_once"),
            models.CheckConstraint(
                name="slot_not_overbooked", condition=models.Q(taken__lte=models.F("capacity"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.text}"

    @property
    def text(self) -> str:
        """09:00—09:30."""
        return f"{hours.text_of(self.begin)}—{hours.text_of(self.end)}"

    @property
    def starts(self) -> dt.datetime:
        """The moment at which it begins."""
        midnight = dt.datetime.combine(self.day, dt.time(), timezone.get_default_timezone())
        return midnight + dt.timedelta(minutes=self.begin)


class Closing(models.Model):
    """A day on which a hall, or one queue of it (`letter`), does not open; lifted ones stay on record."""

    hall = models.ForeignKey(Hall, models.PROTECT, related_name="closings")
    letter = models.CharField("队列", max_length=2, blank=True, default="")
    day = models.DateField("日期")
    reason = models.CharField("原因", max_length=200)
    by = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    made_at = models.DateTimeField("安排时间", default=timezone.now)
    moved = models.PositiveIntegerField("改期的预约", default=0)
    called_off = models.PositiveIntegerField("取消的预约", default=0)
    lifted_at = models.DateTimeField("取消安排时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "停办安排"
        ordering = ["day", "letter"]
        constraints = [
            models.UniqueConstraint(
                fields=["hall", "letter", "day"],
                condition=models.Q(lifted_at=None),
                name="closed_once_a_day",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.what}"

    @property
    def what(self) -> str:
        """The whole hall, or which queue of it."""
        return f"{self.letter} {self.hall.queue_title(self.letter)}" if self.letter else "全厅"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"closing:{self.pk}"


class Booking(models.Model):
    """An appointment of a person for an item in a slot; its code checks in."""

    code = models.CharField("预约码", max_length=12, unique=True)
    slot = models.ForeignKey(Slot, models.PROTECT, related_name="bookings")
    day = models.DateField("日期")
    item = models.CharField("事项", max_length=80)
    item_name = models.CharField("事项名称", max_length=200)
    group = models.CharField("优先群体", max_length=20, blank=True, default="")
    person = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="办事人")
    by = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="预约人")
    made_at = models.DateTimeField("预约时间", default=timezone.now)
    cancelled_at = models.DateTimeField("取消时间", null=True)
    missed_at = models.DateTimeField("爽约记录时间", null=True)
    why = models.CharField("停办原因", max_length=200, blank=True, default="")
    before = models.CharField("原来的时段", max_length=60, blank=True, default="")
    successor = models.OneToOneField(
        "self", models.PROTECT, null=True, related_name="former", verbose_name="改约为"
    )

    class Meta:
        verbose_name = verbose_name_plural = "预约"
        ordering = ["-day", "-id"]
        indexes = [models.Index(fields=["person", "-day"]), models.Index(fields=["by", "-day"])]
        constraints = [
            models.UniqueConstraint(
                fields=["person", "item", "day"],
                condition=models.Q(cancelled_at=None),
                name="one_booking_an_item_and_day",
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.item_name}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"booking:{self.pk}"

    @property
    def called_off(self) -> bool:
        """Whether the hall, not the person, has cancelled it."""
        return self.cancelled_at is not None and bool(self.why)


class Device(models.Model):
    """One self-service terminal: where it stands; known by a key that only it has."""

    name = models.CharField("名称", max_length=60)
    hall = models.ForeignKey(Hall, models.PROTECT, related_name="devices")
    street = models.CharField("安放地点", max_length=120)
    code_hash = models.CharField(max_length=64, blank=True, default="")
    code_until = models.DateTimeField("注册码有效至", null=True)
    key_hash = models.CharField(max_length=64, null=True, unique=True)
    made_at = models.DateTimeField("登记时间", default=timezone.now)
    enrolled_at = models.DateTimeField("启用时间", null=True)
    last_seen = models.DateTimeField("最近在线", null=True)
    closed_at = models.DateTimeField("停用时间", null=True)
    minute = models.BigIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = verbose_name_plural = "自助终端"
        ordering = ["hall", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"terminal:{self.pk}"


class Ticket(models.Model):
    """One number of one day: waits, is called, is served; a visitor without an account has no name."""

    WAITING, CALLED, SERVING, DONE, MISSED, LEFT = (
        "waiting", "called", "serving", "done", "missed", "left",
    )  # fmt: skip
    STAGES: ClassVar = [
        (WAITING, "等候中"),
        (CALLED, "已叫号"),
        (SERVING, "办理中"),
        (DONE, "已办结"),
        (MISSED, "过号"),
        (LEFT, "已放弃"),
    ]
    TONES: ClassVar = {
        WAITING: "blue", CALLED: "amber", SERVING: "green",
        DONE: "grey", MISSED: "red", LEFT: "grey",
    }  # fmt: skip

    code = models.CharField(max_length=20, unique=True)
    hall = models.ForeignKey(Hall, models.PROTECT, related_name="tickets")
    day = models.DateField("日期")
    letter = models.CharField("队列", max_length=2)
    number = models.PositiveIntegerField("号")
    booking = models.OneToOneField(Booking, models.PROTECT, null=True, related_name="ticket")
    person = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    device = models.ForeignKey(Device, models.PROTECT, null=True, related_name="+")
    item = models.CharField("事项", max_length=80, blank=True, default="")
    item_name = models.CharField("事项名称", max_length=200, blank=True, default="")
    group = models.CharField("优先群体", max_length=20, blank=True, default="")
    lane = models.CharField("通道", max_length=10, choices=list(order.LANES.items()))
    stage = models.CharField("进度", max_length=10, choices=STAGES, default=WAITING)
    place_at = models.DateTimeField("排队时刻")
    taken_at = models.DateTimeField("取号时间")
    counter = models.ForeignKey(Counter, models.PROTECT, null=True, related_name="tickets")
    wanted = models.ForeignKey(Counter, models.PROTECT, null=True, related_name="+")
    clerk = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    called_at = models.DateTimeField("叫号时间", null=True)
    first_called_at = models.DateTimeField("首次叫号", null=True)
    calls = models.PositiveSmallIntegerField("叫号次数", default=0)
    served_at = models.DateTimeField("开始办理", null=True)
    ended_at = models.DateTimeField("结束时间", null=True)
    application = models.CharField("申请编号", max_length=24, blank=True, default="")
    rating = models.TextField("评价码（密文）", blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "号"
        ordering = ["id"]
        indexes = [
            models.Index(fields=["hall", "day", "stage"]),
            models.Index(fields=["hall", "-called_at"]),
            models.Index(fields=["person", "-id"]),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["hall", "day", "letter", "number"], name="number_once_a_day"
            ),
            models.UniqueConstraint(
                fields=["counter"],
                condition=models.Q(stage__in=("called", "serving")),
                name="one_ticket_a_counter",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"ticket:{self.pk}"

    @property
    def label(self) -> str:
        """A012."""
        return f"{self.letter}{self.number:03d}"

    @property
    def tone(self) -> str:
        """The colour of its stage."""
        return self.TONES[self.stage]


class Parcel(models.Model):
    """Papers of one case that a courier carries; the address is sealed, only the courier is told it."""

    case = models.ForeignKey(Case, models.PROTECT, related_name="+")
    application = models.CharField("申请编号", max_length=24)
    item_name = models.CharField("事项名称", max_length=200)
    person = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="申请人")
    by = models.ForeignKey(Party, models.PROTECT, related_name="+")
    department = models.ForeignKey(Party, models.PROTECT, related_name="+", verbose_name="办理部门")
    hall = models.ForeignKey(Hall, models.PROTECT, related_name="+", verbose_name="大厅")
    way = models.CharField("寄送", max_length=10, choices=list(parcels.WAYS.items()))
    sealed = models.TextField("地址（密文）")
    shown = models.CharField("地址（脱敏）", max_length=120)
    courier = models.CharField("寄递企业", max_length=60)
    waybill = models.CharField("运单号", max_length=40, blank=True, default="")
    chosen_at = models.DateTimeField("选择时间", default=timezone.now)
    sent_at = models.DateTimeField("下单时间", null=True)
    tracked_at = models.DateTimeField("最近查询", null=True)
    delivered_at = models.DateTimeField("签收时间", null=True)
    cancelled_at = models.DateTimeField("取消时间", null=True)
    trail = models.JSONField("轨迹", default=list)

    class Meta:
        verbose_name = verbose_name_plural = "寄送"
        ordering = ["-id"]
        indexes = [models.Index(fields=["application"])]
        constraints = [
            models.UniqueConstraint(
                fields=["case", "way"],
                condition=models.Q(cancelled_at=None),
                name="one_parcel_a_way",
            )
        ]

    def __str__(self) -> str:
        return f"{self.item_name} {self.get_way_display()}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"parcel:{self.pk}"

    @property
    def stage(self) -> str:
        """Where it is: a key of parcels.STAGES."""
        if self.cancelled_at is not None:
            return parcels.CANCELLED
        if self.delivered_at is not None:
            return parcels.DELIVERED
        if self.sent_at is None:
            return parcels.CHOSEN
        return parcels.CARRIED if len(self.trail) > 1 else parcels.SENT

    @property
    def words(self) -> tuple[str, str]:
        """The stage in Chinese and its colour."""
        return parcels.STAGES[self.stage]


__all__ = ["Booking", "Closing", "Counter", "Device", "Hall", "Parcel", "Slot", "Ticket"]
