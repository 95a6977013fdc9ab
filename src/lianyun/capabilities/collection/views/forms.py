"""Forms: what officers fill in to register sources, upload files and shape proposals."""

from __future__ import annotations

from typing import Any

from django import forms

from lianyun.kernel.element import TYPES
from lianyun.ui.forms import Styled

from .. import rules

LOCATION_HELP = {
    "postgresql": "形如 postgresql://主机:5432/库名，不要写用户名和密码",
    "mysql": "形如 mysql://主机:3306/库名，不要写用户名和密码",
    "sqlite": "收件箱中的文件名，如 szgl.db",
    "csv": "收件箱中的文件名，编码和分隔符自动识别",
    "excel": "收件箱中的文件名，表头位置和合并单元格自动识别",
    "jsonl": "收件箱中的文件名，每行一个 JSON 对象",
    "parquet": "收件箱中的文件名",
    "http": "形如 https://主机/接口路径",
}
SCHEDULES = [
    ("", "不定时（手动运行）"),
    ("0 * * * *", "每小时"),
    ("0 2 * * *", "每天 02:00"),
    ("0 3 * * 1", "每周一 03:00"),
    ("0 4 1 * *", "每月 1 日 04:00"),
]


class SourceForm(Styled):
    """A source of one kind; fields that the kind does not know are taken away."""

    dataset = forms.ChoiceField(label="数据集")
    name = forms.RegexField(
        r"^[a-z][a-z0-9_-]*$",
        label="来源标识",
        max_length=80,
        help_text="小写字母、数字、下划线或连字符，如 ga_residents_db",
        error_messages={"invalid": "以小写字母开头，只用小写字母、数字、下划线和连字符"},
    )
    title = forms.CharField(label="来源名称", max_length=200, required=False)
    location = forms.CharField(label="地址", max_length=500)
    table = forms.CharField(label="表名", max_length=200, help_text="可写 模式.表名")
    sheet = forms.CharField(
        label="工作表", max_length=100, required=False, help_text="留空取行数最多的一张"
    )
    items = forms.CharField(
        label="数据所在路径",
        max_length=100,
        required=False,
        help_text="返回 JSON 中数据列表的位置，如 data.rows；根即列表时留空",
    )
    page_param = forms.CharField(label="页码参数", max_length=40, required=False, initial="page")
    size_param = forms.CharField(label="页大小参数", max_length=40, required=False)
    user = forms.CharField(label="用户名", max_length=100, required=False)
    password = forms.CharField(
        label="密码",
        max_length=200,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="加密保存，任何页面都不会再显示；修改时留空表示不变",
    )
    token = forms.CharField(
        label="访问令牌",
        max_length=500,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="加密保存，以 Authorization: Bearer 发送；修改时留空表示不变",
    )
    mode = forms.ChoiceField(
        label="归集方式",
        choices=[
            ("full", "全量：与库中数据比对，源端已删除的行随之删除"),
            ("incremental", "增量：只新增和更新，不删除"),
        ],
    )
    watermark = forms.CharField(
        label="增量字段",
        max_length=100,
        required=False,
        help_text="源表中随每次变更增大的列，如 update_time；每次只读取更大的行",
    )
    schedule = forms.ChoiceField(label="运行计划", choices=SCHEDULES, required=False)

    def __init__(self, kind: str, *args: Any, datasets: Any, fixed: bool = False, **more: Any):
        super().__init__(*args, **more)
        self.kind = kind
        self.fields["dataset"].choices = [  # type: ignore[attr-defined]
            (d.name, f"{d.title}（{d.owner}）") for d in datasets
        ]
        self.fields["location"].help_text = LOCATION_HELP[kind]
        keep = {"dataset", "name", "title", "location", "mode", "schedule"}
        if kind in (*rules.DATABASE_KINDS, "sqlite"):
            keep |= {"table", "watermark"}
        if kind in rules.DATABASE_KINDS:
            keep |= {"user", "password"}
        if kind == "excel":
            keep |= {"sheet"}
        if kind == "http":
            keep |= {"items", "page_param", "size_param", "token"}
        for name in list(self.fields):
            if name not in keep:
                del self.fields[name]
        if fixed:
            self.fields["dataset"].disabled = self.fields["name"].disabled = True

    def arguments(self) -> dict[str, Any]:
        """What `actions.register_source` takes."""
        told = self.cleaned_data
        options = {
            k: told[k]
            for k in ("table", "sheet", "items", "page_param", "size_param")
            if told.get(k)
        }
        if self.kind == "http" and not told.get("page_param"):
            options["page_param"] = ""
        return {
            "dataset": told["dataset"],
            "name": told["name"],
            "title": told.get("title", ""),
            "kind": self.kind,
            "location": told["location"],
            "options": options,
            "credentials": {k: told[k] for k in ("user", "password", "token") if told.get(k)},
            "mode": told["mode"],
            "watermark": told.get("watermark", ""),
            "schedule": told.get("schedule", ""),
        }


class UploadFile(Styled):
    """A file to load or to draw a proposal from."""

    file = forms.FileField(
        label="文件",
        help_text="CSV（GB18030、UTF-8、UTF-16 自动识别）、Excel（.xlsx、.xls）、JSON Lines 或 Parquet",
        error_messages={"required": "请选择一个文件", "empty": "文件是空的"},
    )


class CorrectionFile(Styled):
    """The corrected file of rejected rows."""

    file = forms.FileField(
        label="更正后的文件",
        help_text="必须保留“行号”一列",
        error_messages={"required": "请选择更正后的文件", "empty": "文件是空的"},
    )


class TargetForm(Styled):
    """Into which dataset an uploaded file goes, and how."""

    dataset = forms.ChoiceField(label="装载到数据集")
    mode = forms.ChoiceField(
        label="方式",
        choices=[
            ("incremental", "增量：只新增和更新，不删除"),
            ("full", "全量：文件中没有的行将被删除"),
        ],
    )

    def __init__(self, *args: Any, datasets: Any, **more: Any):
        super().__init__(*args, **more)
        self.fields["dataset"].choices = [  # type: ignore[attr-defined]
            ("", "请选择"),
            *((d.name, f"{d.title}（{d.owner}）") for d in datasets),
        ]


class NewDataset(Styled):
    """The head of a dataset that a proposal becomes."""

    title = forms.CharField(label="数据集名称", max_length=200)
    code = forms.RegexField(
        r"^[a-z][a-z0-9_]*$",
        label="标识",
        max_length=60,
        help_text="小写字母、数字和下划线，将作为数据湖中的表名",
        error_messages={"invalid": "以小写字母开头，只用小写字母、数字和下划线"},
    )
    department = forms.ChoiceField(label="提供部门")

    def __init__(self, *args: Any, departments: Any, **more: Any):
        super().__init__(*args, **more)
        self.fields["department"].choices = [  # type: ignore[attr-defined]
            (p.slug, p.name) for p in departments
        ]


TYPE_CHOICES = [(letter, f"{letter} {title}") for letter, title in TYPES.items()]


def proposed_items(data: Any, count: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The items and key that an officer made of a proposal's grid."""
    items, key = [], []
    for at in range(count):
        if not data.get(f"use-{at}"):
            continue
        name = str(data.get(f"name-{at}") or "").strip()
        items.append(
            {
                "name": name,
                "title": str(data.get(f"title-{at}") or "").strip() or name,
                "type": str(data.get(f"type-{at}") or "C"),
                "format": str(data.get(f"format-{at}") or "").strip(),
                "required": bool(data.get(f"required-{at}")),
                "check": str(data.get(f"check-{at}") or "") or None,
            }
        )
        if data.get(f"key-{at}"):
            key.append(name)
    return items, key


class UndoForm(Styled):
    """Why a batch is taken back."""

    reason = forms.CharField(
        label="撤回原因",
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="例如：源系统导出错了月份。原因写入事件，长期保存",
    )
