"""Element: one data element (name, format, domain, check, mask), from which all checks are drawn."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import models

TYPES = {
    "C": "字符型",
    "N": "数值型",
    "Y": "货币型",
    "D": "日期型",
    "T": "日期时间型",
    "L": "逻辑型",
    "M": "备注型",
    "G": "通用型",
    "B": "双精度型",
    "I": "整型",
    "F": "浮点型",
}
MASKS = ("none", "citizen_number", "name", "phone", "address", "account", "all")
CHECKS = ("citizen_number", "credit_code", "region")


class BadFormat(ValueError):
    """A representation format that does not follow the grammar of GB/T 18142 as GB/T 39046 uses it."""


@dataclass(frozen=True)
class Format:
    """A parsed representation format: `an..18` is kind 'an', 0 to 18 characters.

    Lengths count characters (not bytes of GB 2312, where a Chinese character is two).
    """

    kind: str
    minimum: int = 0
    maximum: int | None = None
    decimals: int = 0
    pattern: str | None = None

    @classmethod
    def parse(cls, text: str) -> Format:
        """Parse `a5`, `an..50`, `an3..8`, `n..17,2`, `an..ul`, `an5(aannn)`, `YYYYMMDD` and the like.

        Source: GB/T 39046-2020 table 3. Raises BadFormat naming the text.
        """
        stripped = text.strip().replace("，", ",")
        if re.fullmatch(r"(YYYY(MM(DD)?)?)?(T?hh:?mm(:?ss)?)?", stripped) and stripped:
            return cls("date", len(stripped), len(stripped), 0, stripped)
        if stripped == "ul":
            return cls("an")
        found = re.fullmatch(
            r"(an|a|n)(?:(\d+)?(\.\.)(\d+|ul)|(\d+))(?:,(\d+))?(?:\(([an]+)\))?", stripped
        )
        if not found:
            raise BadFormat(f"表示格式“{text}”不合规范，应如 an18、an..50、n..17,2、YYYYMMDD")
        kind, low, _, high, fixed, decimals, pattern = found.groups()
        minimum: int
        maximum: int | None
        if fixed:
            minimum, maximum = int(fixed), int(fixed)
        else:
            minimum, maximum = int(low or 0), None if high == "ul" else int(high)
        if decimals:
            # A number's length is a bound on its digits, never a fixed width.
            minimum = 0
            if kind != "n" or (maximum is not None and int(decimals) > maximum):
                raise BadFormat(f"表示格式“{text}”：小数位只用于数值，且不能多于总位数")
        if maximum is not None and minimum > maximum:
            raise BadFormat(f"表示格式“{text}”：最小长度大于最大长度")
        if pattern and maximum != len(pattern):
            raise BadFormat(f"表示格式“{text}”：样式长度与总长不符")
        return cls(kind, minimum, maximum, int(decimals or 0), pattern)


@dataclass(frozen=True)
class ElementSpec:
    """A data element as declared: what a column, a form field and an API schema are made from."""

    code: str
    title: str
    type: str = "C"
    format: str = "an..100"
    domain: str | None = None
    check: str | None = None
    mask: str = "none"
    personal: bool = False
    sensitive: bool = False
    unit: str = ""
    definition: str = ""
    identifier: str = ""

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise BadFormat(
                f"数据元 {self.code}：数据类型“{self.type}”不在 {'、'.join(TYPES)} 之中"
            )
        if self.mask not in MASKS:
            raise BadFormat(f"数据元 {self.code}：脱敏方式“{self.mask}”不存在")
        if self.check is not None and self.check not in CHECKS:
            raise BadFormat(f"数据元 {self.code}：校验方式“{self.check}”不存在")
        Format.parse(self.format)

    @property
    def parsed(self) -> Format:
        """The representation format, parsed."""
        return Format.parse(self.format)

    @classmethod
    def of(cls, data: dict[str, Any]) -> ElementSpec:
        """Build from a pack's entry, ignoring keys that are not the element's own."""
        known = {k: v for k, v in data.items() if k in cls.__dataclass_fields__}
        return cls(**known)


_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_CHECK = "10X98765432"
_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)


def citizen_check_digit(first17: str) -> str:
    """The check character of a citizen number (GB 11643-1999) for its first 17 digits."""
    total = sum(int(c) * w for c, w in zip(first17, _CITIZEN_WEIGHTS, strict=True))
    return _CITIZEN_CHECK[total % 11]


def citizen_number_ok(text: str) -> bool:
    """True for a well-formed 18-character citizen number: digits, a real birth date, the check.

    The region code is not looked at: it was given at first registration and may be retired.
    """
    if not re.fullmatch(r"[1-9]\d{16}[\dX]", text):
        return False
    try:
        dt.date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    return citizen_check_digit(text[:17]) == text[17]


def credit_check_digit(first17: str) -> str:
    """The check character of a unified social credit code (GB 32100-2015)."""
    total = sum(
        _CREDIT_ALPHABET.index(c) * w for c, w in zip(first17, _CREDIT_WEIGHTS, strict=True)
    )
    return _CREDIT_ALPHABET[(31 - total % 31) % 31]


def credit_code_ok(text: str) -> bool:
    """True for a well-formed unified social credit code with the right check character."""
    if not re.fullmatch(r"[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}", text):
        return False
    return credit_check_digit(text[:17]) == text[17]


def mask_value(mask: str, value: Any) -> Any:
    """The display form of a value under a mask: a name keeps its surname, a number its ends.

    Source: common practice under GB/T 35273. Empty values stay as they are.
    """
    if value is None or mask == "none":
        return value
    text = str(value)
    if not text:
        return text
    if mask == "citizen_number":
        return text[:3] + "*" * max(len(text) - 7, 1) + text[-4:] if len(text) > 7 else "****"
    if mask == "name":
        return text[0] + "*" * max(len(text) - 1, 1)
    if mask == "phone":
        return text[:3] + "****" + text[-4:] if len(text) > 7 else "****"
    if mask == "account":
        return "*" * max(len(text) - 4, 4) + text[-4:]
    if mask == "address":
        return text[:6] + "****" if len(text) > 6 else "****"
    return "****"


class Element(models.Model):
    """A data element of the city's standard (核心数据元素标准), as declared by a pack."""

    code = models.CharField("字段名称", max_length=80, unique=True)
    identifier = models.CharField("标识符", max_length=32, blank=True)
    title = models.CharField("中文名称", max_length=200)
    type = models.CharField("数据类型", max_length=1, choices=list(TYPES.items()))
    format = models.CharField("表示格式", max_length=60)
    domain = models.CharField("值域", max_length=80, blank=True, default="")
    check_kind = models.CharField("校验", max_length=40, blank=True, default="")
    mask = models.CharField("脱敏", max_length=40, default="none")
    personal = models.BooleanField("个人信息", default=False)
    sensitive = models.BooleanField("敏感个人信息", default=False)
    unit = models.CharField("计量单位", max_length=40, blank=True, default="")
    definition = models.TextField("定义", blank=True, default="")
    pack = models.CharField("来源包", max_length=60, default="core")

    class Meta:
        verbose_name = verbose_name_plural = "数据元"
        ordering = ["code"]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"element:{self.code}"

    @property
    def spec(self) -> ElementSpec:
        """The element as the plain value from which checks and forms are made."""
        return ElementSpec(
            code=self.code,
            title=self.title,
            type=self.type,
            format=self.format,
            domain=self.domain or None,
            check=self.check_kind or None,
            mask=self.mask,
            personal=self.personal,
            sensitive=self.sensitive,
            unit=self.unit,
            definition=self.definition,
            identifier=self.identifier,
        )


class CodeList(models.Model):
    """A value domain: a named list of codes."""

    name = models.CharField("名称", max_length=80, unique=True)
    title = models.CharField("中文名称", max_length=200)
    source = models.CharField("来源", max_length=200, blank=True, default="")
    pack = models.CharField("来源包", max_length=60, default="core")

    class Meta:
        verbose_name = verbose_name_plural = "代码表"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.title

    @property
    def ref(self) -> str:
        """Portable pointer."""
        return f"codelist:{self.name}"


class Code(models.Model):
    """One code of a list, valid from a date until a date; codes are retired, never deleted."""

    list = models.ForeignKey(CodeList, models.CASCADE, related_name="codes", verbose_name="代码表")
    code = models.CharField("代码", max_length=40)
    name = models.CharField("名称", max_length=200)
    valid_from = models.DateField("启用日期", null=True)
    valid_to = models.DateField("停用日期", null=True)
    note = models.CharField("说明", max_length=200, blank=True, default="")

    class Meta:
        verbose_name = verbose_name_plural = "代码"
        ordering = ["list", "code"]
        indexes = [models.Index(fields=["list", "code"])]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


@cache
def domain_choices(name: str) -> tuple[tuple[str, str], ...]:
    """The codes of a list that are valid today, as (code, name) pairs for a form."""
    today = dt.date.today()  # noqa: DTZ011 - a legal date, in the city's own time zone
    rows = Code.objects.filter(list__name=name).exclude(valid_to__lt=today)
    return tuple(rows.values_list("code", "name"))
