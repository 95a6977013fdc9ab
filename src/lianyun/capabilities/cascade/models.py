"""Link: a node above or below this one, what is exchanged with it, and how far that has come."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from lianyun.kernel.models import Case, Grant, Party, Resource

from . import rules


class Node(models.Model):
    """This node itself: one row; its division code is its name among nodes."""

    code = models.CharField("节点代码", max_length=6, unique=True)
    name = models.CharField("名称", max_length=100)
    level = models.CharField("级别", max_length=20, choices=list(rules.LEVELS.items()))
    address = models.CharField("地址", max_length=300, blank=True, default="")
    created_at = models.DateTimeField("建立时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "本节点"

    def __str__(self) -> str:
        return f"{self.name}（{self.code}）"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"node:{self.code}"


class Key(models.Model):
    """A key pair of this node; the secret half is kept encrypted."""

    kid = models.CharField("指纹", max_length=64, unique=True)
    algorithm = models.CharField("算法", max_length=20)
    public = models.TextField("公钥")
    secret = models.TextField("私钥（加密）")
    created_at = models.DateTimeField("建立时间", default=timezone.now)
    retired_at = models.DateTimeField("停用时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "节点密钥"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.kid[:16]


class Link(models.Model):
    """The tie to one other node. `side` says what the other one is to us.

    The link counts: `sent` the newest message written for it, `acked` the newest it has taken,
    `received` the newest taken from it. Only `address` is ever called; what the other node says of
    itself is `proposed` until an operator here confirms it. Personal data: none.
    """

    code = models.CharField("节点代码", max_length=6, unique=True)
    name = models.CharField("名称", max_length=100)
    level = models.CharField("级别", max_length=20, choices=list(rules.LEVELS.items()))
    side = models.CharField("对方是", max_length=10, choices=list(rules.SIDES.items()))
    address = models.CharField("地址", max_length=300, blank=True, default="")
    proposed = models.CharField("对方自称的地址", max_length=300, blank=True, default="")
    party = models.ForeignKey(Party, models.PROTECT, null=True, related_name="+")
    keys = models.JSONField("对方公钥", default=list)
    own_key = models.ForeignKey(Key, models.PROTECT, null=True, related_name="+")
    invitation = models.TextField("接入码（加密）", blank=True, default="")
    invited_until = models.DateTimeField("接入码有效至", null=True)
    tries = models.PositiveSmallIntegerField("试用次数", default=0)
    enrolled_at = models.DateTimeField("接入时间", null=True)
    enabled = models.BooleanField("启用", default=False)
    reason = models.CharField("停用原因", max_length=300, blank=True, default="")
    lease_seconds = models.PositiveIntegerField("租期（秒）", default=rules.USUAL_LEASE)
    sent = models.BigIntegerField("已发出", default=0)
    acked = models.BigIntegerField("已确认", default=0)
    received = models.BigIntegerField("已收到", default=0)
    stamp = models.BigIntegerField(default=0)
    newest = models.BigIntegerField(default=0)
    failures = models.PositiveIntegerField("连续失败", default=0)
    next_try_at = models.DateTimeField("下次尝试", null=True)
    last_error = models.CharField("最近错误", max_length=500, blank=True, default="")
    last_contact_at = models.DateTimeField("最近联通", null=True)
    leased_until = models.DateTimeField("租期至", null=True)
    skew_ms = models.BigIntegerField("时钟偏差（毫秒）", default=0)
    gaps = models.PositiveIntegerField("发现缺号次数", default=0)
    refused = models.PositiveIntegerField("拒绝次数", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "级联连接"
        ordering = ["side", "code"]

    def __str__(self) -> str:
        return f"{self.name}（{self.code}）"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"link:{self.code}"


class Outgoing(models.Model):
    """One message to a node, kept until (and after) it has been acknowledged."""

    link = models.ForeignKey(Link, models.CASCADE, related_name="outgoing")
    seq = models.BigIntegerField("序号")
    kind = models.CharField("种类", max_length=40)
    topic = models.CharField("主题", max_length=160)
    body = models.JSONField("内容")
    created_at = models.DateTimeField("写入时间", default=timezone.now)
    acked_at = models.DateTimeField("确认时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "发出消息"
        ordering = ["link", "seq"]
        constraints = [models.UniqueConstraint(fields=["link", "seq"], name="outgoing_once")]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"


class Incoming(models.Model):
    """One message from a node with its signature; `applied_at` says that it has had its effect."""

    link = models.ForeignKey(Link, models.CASCADE, related_name="incoming")
    seq = models.BigIntegerField("序号")
    kind = models.CharField("种类", max_length=40)
    topic = models.CharField("主题", max_length=160)
    body = models.JSONField("内容")
    digest = models.CharField("摘要", max_length=64)
    signature = models.TextField("签名")
    kid = models.CharField("密钥指纹", max_length=64)
    received_at = models.DateTimeField("收到时间", default=timezone.now)
    applied_at = models.DateTimeField("生效时间", null=True)
    error = models.CharField("问题", max_length=500, blank=True, default="")
    tries = models.PositiveIntegerField("尝试次数", default=0)

    class Meta:
        verbose_name = verbose_name_plural = "收到消息"
        ordering = ["link", "seq"]
        indexes = [
            models.Index(
                fields=["link", "seq"],
                name="incoming_waiting",
                condition=models.Q(applied_at=None),
            )
        ]
        constraints = [models.UniqueConstraint(fields=["link", "seq"], name="incoming_once")]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"


class Nonce(models.Model):
    """A request that has been answered: the same one is refused."""

    link = models.ForeignKey(Link, models.CASCADE, related_name="+")
    nonce = models.CharField(max_length=32)
    stamp = models.BigIntegerField()

    class Meta:
        verbose_name = verbose_name_plural = "已用随机数"
        indexes = [models.Index(fields=["link", "stamp"])]
        constraints = [models.UniqueConstraint(fields=["link", "nonce"], name="nonce_once")]

    def __str__(self) -> str:
        return self.nonce


class Announced(models.Model):
    """An entry of ours as a peer was last told of it; an empty digest: told that it was withdrawn."""

    link = models.ForeignKey(Link, models.CASCADE, related_name="+")
    resource = models.ForeignKey(Resource, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)

    class Meta:
        verbose_name = verbose_name_plural = "已通告目录"
        constraints = [models.UniqueConstraint(fields=["link", "resource"], name="announced_once")]

    def __str__(self) -> str:
        return f"{self.link_id} {self.resource_id}"


class Mirror(models.Model):
    """An entry of another node as that node last told it, and what became of it here."""

    link = models.ForeignKey(Link, models.CASCADE, related_name="mirrors")
    code = models.CharField("资源代码", max_length=80)
    name = models.CharField("标识", max_length=63)
    title = models.CharField("名称", max_length=300)
    department = models.CharField("原提供部门", max_length=200)
    content = models.JSONField("内容")
    withdrawn = models.BooleanField("已撤销", default=False)
    resource = models.ForeignKey(Resource, models.SET_NULL, null=True, related_name="+")
    version = models.PositiveIntegerField("收录版本", default=0)
    conflict = models.CharField(
        "冲突", max_length=20, blank=True, default="", choices=list(rules.CONFLICTS.items())
    )
    against = models.ForeignKey(Resource, models.SET_NULL, null=True, related_name="+")
    decision = models.CharField(
        "处理", max_length=20, blank=True, default="", choices=list(rules.DECISIONS.items())
    )
    decided_by = models.CharField("处理人", max_length=120, blank=True, default="")
    note = models.CharField("理由", max_length=300, blank=True, default="")
    changed_at = models.DateTimeField("更新时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "他级目录"
        ordering = ["link", "code"]
        constraints = [models.UniqueConstraint(fields=["link", "code"], name="mirror_once")]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"mirror:{self.pk}"


class Ask(models.Model):
    """One request across nodes as it stands on this side; `exchange` is the same on both."""

    exchange = models.CharField("交换编号", max_length=60, unique=True)
    link = models.ForeignKey(Link, models.PROTECT, related_name="asks")
    case = models.OneToOneField(Case, models.PROTECT, related_name="+")
    mirror = models.ForeignKey(Mirror, models.PROTECT, null=True, related_name="asks")
    grant = models.OneToOneField(Grant, models.PROTECT, null=True, related_name="+")
    target = models.ForeignKey(Resource, models.PROTECT, null=True, related_name="+")
    ends_at = models.DateTimeField("授权终止", null=True)
    told = models.JSONField("对方进展", default=dict)
    sent_at = models.DateTimeField("报出时间", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "跨级申请"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.exchange

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"ask:{self.exchange}"


class Flow(models.Model):
    """A standing arrangement to send a dataset's rows: up as a declared upload, down under a grant."""

    link = models.ForeignKey(Link, models.CASCADE, related_name="flows")
    resource = models.ForeignKey(Resource, models.CASCADE, related_name="+")
    grant = models.OneToOneField(Grant, models.PROTECT, null=True, related_name="+")
    auto = models.BooleanField("随更新自动传送", default=True)
    opened_at = models.DateTimeField("建立时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "传送安排"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["link", "resource"],
                name="upload_once",
                condition=models.Q(grant=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.link_id} {self.resource_id}"

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"flow:{self.pk}"


class Transfer(models.Model):
    """Rows on their way between two nodes, in chunks; `code` is the same on both sides."""

    UPLOAD, RETURN = "upload", "return"
    KINDS: ClassVar = [(UPLOAD, "上传"), (RETURN, "回流")]
    PREPARING, MOVING, LANDING, DONE, FAILED = "preparing", "moving", "landing", "done", "failed"
    STAGES: ClassVar = [
        (PREPARING, "准备数据"),
        (MOVING, "传送中"),
        (LANDING, "入湖检查"),
        (DONE, "完成"),
        (FAILED, "失败"),
    ]

    code = models.CharField("交换编号", max_length=60, unique=True)
    link = models.ForeignKey(Link, models.PROTECT, related_name="transfers")
    kind = models.CharField("种类", max_length=10, choices=KINDS)
    sending = models.BooleanField("发出")
    resource = models.ForeignKey(Resource, models.PROTECT, related_name="+")
    grant = models.ForeignKey(Grant, models.PROTECT, null=True, related_name="+")
    stage = models.CharField("阶段", max_length=20, choices=STAGES, default=PREPARING)
    manifest = models.JSONField("清单", default=dict)
    done = models.PositiveIntegerField("已传块数", default=0)
    batch = models.CharField("批次", max_length=40, blank=True, default="")
    verdict = models.JSONField("接收结果", default=dict)
    error = models.CharField("问题", max_length=500, blank=True, default="")
    by_name = models.CharField("发起人", max_length=120, blank=True, default="")
    began_at = models.DateTimeField("开始", default=timezone.now)
    ended_at = models.DateTimeField("结束", null=True)

    class Meta:
        verbose_name = verbose_name_plural = "数据传送"
        ordering = ["-id"]
        indexes = [models.Index(fields=["link", "stage"])]

    def __str__(self) -> str:
        return self.code

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"transfer:{self.code}"

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The chunks as the sender listed them: n, rows, bytes, sha256, gone."""
        return list(self.manifest.get("chunks") or [])

    @property
    def fraction(self) -> float:
        """How far it is, 0 to 1, for the progress bar."""
        if self.stage == Transfer.DONE:
            return 1.0
        share = self.done / max(len(self.chunks), 1)
        return {Transfer.PREPARING: 0.02, Transfer.LANDING: 0.92}.get(self.stage, 0.1 + 0.8 * share)


class Crossing(models.Model):
    """One thing that crossed between two nodes; both keep it under the same `exchange` number."""

    exchange = models.CharField("交换编号", max_length=80)
    link = models.ForeignKey(Link, models.PROTECT, related_name="crossings")
    sending = models.BooleanField("发出")
    what = models.CharField("内容", max_length=40)
    subject = models.CharField("对象", max_length=300)
    rows = models.BigIntegerField("行数", default=0)
    record = models.CharField("交换记录", max_length=80, blank=True, default="")
    at = models.DateTimeField("时间", default=timezone.now)

    class Meta:
        verbose_name = verbose_name_plural = "跨级交换"
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["exchange", "what"], name="crossing_once")]

    def __str__(self) -> str:
        return self.exchange
