"""Answer: what was posted, turned into values or into words that say what to do; what is asked at all."""

from __future__ import annotations

import datetime as dt
import re
import secrets
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from .form import MAX_ROWS, Asker, Field, Form, Part

ROW_ID = "_id"
_ROW = re.compile(r"[a-z0-9]{6}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\ud800-\udfff]")
_PHONE = re.compile(r"1[3-9]\d{9}|0\d{2,3}-?\d{7,8}")
_DATE = re.compile(r"(\d{4})\s*[-/.年]?\s*(\d{1,2})\s*[-/.月]?\s*(\d{1,2})\s*日?")
_KEPT_TEXT = 20_000

Answers = Mapping[str, Any]
Posted = Mapping[str, Sequence[str]]
Files = Mapping[str, Sequence[Any]]
"""Kept files by slot (see `slot_of`)."""
DRAWN, TYPED = "drawn", "typed"


@dataclass(frozen=True)
class Means:
    """What judging an answer needs of the floor below: the condition language, code lists, check digits.

    `evaluate(expression, facts)` may raise anything where operands do not fit; `checks` are by name
    (citizen_number, credit_code).
    """

    evaluate: Callable[[str, dict[str, Any]], Any]
    choices: Callable[[str], Sequence[tuple[str, str]]]
    checks: Mapping[str, Callable[[str], bool]]
    today: dt.date


@dataclass
class Checked:
    """A part's posted answers, judged: the good values, and what is wrong by the input's name."""

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors


class Wrong(ValueError):
    """An answer that cannot be taken; the message tells the person what to do."""


def new_row_id() -> str:
    """A name for one more row of a repeated part; it stays the row's when others are removed."""
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(6))


def slot_of(part: Part, asked: Field, row_id: str = "") -> str:
    """The name under which the files of a question (of a row) are kept."""
    return f"{part.id}.{row_id}.{asked.id}" if part.repeat else asked.id


def input_name(part: Part, asked: Field, row: int | None = None) -> str:
    """The name of a question's input on the page."""
    return asked.id if row is None else f"{part.id}-{row}-{asked.id}"


# ---- what is asked -------------------------------------------------------------------------


def options_of(asked: Field, means: Means) -> Sequence[tuple[str, str]]:
    """What may be chosen, as (code, name)."""
    return asked.options or means.choices(asked.domain)


def facts(form: Form, code: str, answers: Answers, shown: set[str], means: Means) -> dict[str, Any]:
    """The answers as one of the forms calls them, for its conditions: only what is `shown`."""
    out: dict[str, Any] = {"today": means.today.isoformat()}
    for part in form.parts:
        if part.repeat is not None:
            for asker in part.askers:
                if asker.form == code:
                    rows = answers.get(part.id) or []
                    out[f"count_{asker.own}"] = len(rows) if part.id in shown else 0
            continue
        for asked in part.fields:
            for asker in asked.askers:
                if asker.form == code:
                    out[asker.own] = answers.get(asked.id) if asked.id in shown else None
    return out


def _holds(expression: str, known: dict[str, Any], means: Means) -> bool:
    if not expression:
        return True
    try:
        return bool(means.evaluate(expression, known))
    except Exception:
        # An unanswered question compared with a number: the condition does not hold (yet).
        return False


def _asked(
    part: Part, askers: Sequence[Asker], known: Mapping[str, dict[str, Any]], means: Means
) -> bool:
    """Whether one of the forms asks: its condition of the part and its own hold."""
    for asker in askers:
        about = known[asker.form]
        wanted = [a.when for a in part.askers if a.form == asker.form]
        if all(_holds(w, about, means) for w in wanted) and _holds(asker.when, about, means):
            return True
    return False


def visible(form: Form, answers: Answers, means: Means) -> set[str]:
    """Names of the fields and parts that are asked, given the answers; hidden answers decide nothing.

    A condition may name a later question. Conditions that lean on each other in a circle are taken
    as they stand after eight rounds. A repeated part's fields are asked by row (`row_visible`).
    """
    shown = {f.id for _, f in form.plain_fields()} | {p.id for p in form.parts}
    for _ in range(8):
        known = {code: facts(form, code, answers, shown, means) for code in form.codes}
        now: set[str] = set()
        for part in form.parts:
            fields = [f.id for f in part.fields if _asked(part, f.askers, known, means)]
            if part.repeat is not None:
                if any(_asked(part, [a], known, means) for a in part.askers):
                    now.add(part.id)
            elif fields:
                now |= {part.id, *fields}
        if now == shown:
            break
        shown = now
    return shown


def row_visible(form: Form, part: Part, row: Answers, answers: Answers, means: Means) -> set[str]:
    """Names of the fields asked in one row of a repeated part."""
    shown = visible(form, answers, means)
    base = {code: facts(form, code, answers, shown, means) for code in form.codes}
    return _row_visible(part, row, base, means)


def _row_visible(
    part: Part, row: Answers, base: Mapping[str, dict[str, Any]], means: Means
) -> set[str]:
    shown = {f.id for f in part.fields}
    for _ in range(8):
        known = {}
        for code, about in base.items():
            own = {
                a.own: row.get(f.id) if f.id in shown else None
                for f in part.fields
                for a in f.askers
                if a.form == code
            }
            known[code] = {**about, **own}
        now = {f.id for f in part.fields if _asked(part, f.askers, known, means)}
        if now == shown:
            break
        shown = now
    return shown


def demanded(part: Part, asked: Field, known: Mapping[str, dict[str, Any]], means: Means) -> bool:
    """Whether one of the forms that ask the field now demands an answer."""
    return any(a.required and _asked(part, [a], known, means) for a in asked.askers)


def drivers(part: Part) -> set[str]:
    """Names of the fields of a part on which other fields of the same part depend."""
    used = {n for f in part.fields for n in f.names()}
    return {f.id for f in part.fields if used & {a.own for a in f.askers}}


# ---- one answer ----------------------------------------------------------------------------


def parse(asked: Field, raw: Sequence[str], means: Means) -> Any:
    """The value of what was posted for a question; None for no answer. Raises Wrong.

    Text → str, choice → code, multi → list of codes, date and moment → ISO text, number and money →
    int or float (at most 15 digits, so that nothing is lost), declaration → True.
    """
    if asked.kind == "multi":
        known = dict(options_of(asked, means))
        chosen = list(dict.fromkeys(v for v in raw if v))
        if any(v not in known for v in chosen):
            raise Wrong("请从列出的选项中选择")
        return chosen or None
    text = raw[0] if raw else ""
    if _CONTROL.search(text):
        raise Wrong("含有无法识别的字符，请删去后重新填写")
    if len(text) > _KEPT_TEXT:
        raise Wrong(f"内容太长（{len(text)} 个字），请缩短后再填")
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not text:
        return None
    if asked.kind == "declaration":
        return True
    if asked.kind == "choice":
        if text not in dict(options_of(asked, means)):
            raise Wrong("请从列出的选项中选择")
        return text
    if asked.kind == "date":
        return _date(asked, text, means)
    if asked.kind == "moment":
        return _moment(text)
    if asked.kind in ("number", "money"):
        return _number(asked, text)
    return _text(asked, text, means)


def _text(asked: Field, text: str, means: Means) -> str:
    if not asked.rows:
        text = re.sub(r"\s*\n\s*", " ", text)
    if asked.check in ("citizen_number", "credit_code"):
        text = re.sub(r"\s", "", text).upper()
        if not means.checks[asked.check](text):
            if asked.check == "citizen_number":
                raise Wrong("公民身份号码不对，请核对 18 位号码，末位可能是 X")
            raise Wrong("统一社会信用代码不对，请照营业执照核对 18 位代码")
        return text
    if asked.check == "phone":
        text = re.sub(r"[\s－—]", "", text)
        if not _PHONE.fullmatch(text):
            raise Wrong("请填写 11 位手机号码，或带区号的固定电话，如 0518-85801234")
        return text
    low, high = int(float(asked.low or 0)), int(float(asked.high or 0))
    if high and len(text) > high:
        raise Wrong(f"最多 {high} 个字，现在是 {len(text)} 个，请缩短")
    if asked.shape == "n" and not re.fullmatch(r"[0-9]+", text):
        raise Wrong("只能填写数字")
    if asked.shape == "a" and re.search(r"\d", text):
        raise Wrong("这里不能有数字，请核对")
    if len(text) < low:
        raise Wrong(f"应有 {low} 个字，现在是 {len(text)} 个，请补全")
    if asked.element == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}", text):
        raise Wrong("请填写完整的电子邮箱，如 name@example.com")
    if asked.pattern and not re.fullmatch(asked.pattern, text):
        raise Wrong(asked.say)
    return text


def _date(asked: Field, text: str, means: Means) -> str:
    found = _DATE.fullmatch(text)
    try:
        day = dt.date(*(int(p) for p in found.groups())) if found else None
    except ValueError:
        day = None
    if day is None or day.year < 1850 or day.year > 2200:
        raise Wrong("请填写完整的日期，如 2026-01-31")
    for bound, early in ((asked.low, True), (asked.high, False)):
        if bound is None:
            continue
        limit = means.today if bound == "today" else dt.date.fromisoformat(str(bound))
        told = "今天" if bound == "today" else f"{limit.year} 年 {limit.month} 月 {limit.day} 日"
        if early and day < limit:
            raise Wrong(f"日期不能早于{told}，请核对")
        if not early and day > limit:
            raise Wrong(f"日期不能晚于{told}，请核对")
    return day.isoformat()


def _moment(text: str) -> str:
    try:
        return dt.datetime.fromisoformat(text).replace(tzinfo=None).isoformat(timespec="minutes")
    except ValueError:
        raise Wrong("请填写完整的日期和时间，如 2026-01-31 09:30") from None


def _number(asked: Field, text: str) -> int | float:
    plain = unicodedata.normalize("NFKC", text).replace(",", "").replace(" ", "")
    plain = plain.removesuffix(asked.unit) if asked.unit else plain
    plain = plain.removeprefix("¥")
    if not re.fullmatch(r"[+-]?\d{1,30}(\.\d{1,30})?", plain):
        raise Wrong("请只填写数字" + (f"，单位是{asked.unit}" if asked.unit else ""))
    try:
        value = Decimal(plain)
    except InvalidOperation:
        raise Wrong("请只填写数字") from None
    if len(value.as_tuple().digits) > 15:
        raise Wrong("数字太长，请核对")
    exponent = value.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > asked.decimals:
        raise Wrong(f"最多 {asked.decimals} 位小数" if asked.decimals else "请填写整数")
    low = asked.low if asked.low is not None else (0 if asked.kind == "money" else None)
    if low is not None and value < Decimal(str(low)):
        raise Wrong(f"不能小于 {low:g}{asked.unit}")
    if asked.high is not None and value > Decimal(str(asked.high)):
        raise Wrong(f"不能大于 {_plain(float(asked.high))}{asked.unit}")
    return int(value) if value == value.to_integral_value() else float(value)


def _plain(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def absent(asked: Field) -> str:
    """What to say where a demanded answer is missing."""
    if asked.kind == "declaration":
        return "请阅读后勾选"
    if asked.kind == "file":
        return f"请上传{asked.title}"
    if asked.kind == "signature":
        return "请签名，或填写本人姓名代替"
    return f"请{'选择' if asked.kind in ('choice', 'multi') else '填写'}{asked.title}"


def same_name(one: str, other: str) -> bool:
    """Whether two written names are one: width, blanks and the dot in foreign names do not matter."""
    plain = [
        re.sub(r"[\s·•・．.]", "", unicodedata.normalize("NFKC", name)).upper()
        for name in (one, other)
    ]
    return plain[0] == plain[1] != ""


def foreign_signatures(part: Part, values: Answers, names: Collection[str]) -> dict[str, str]:
    """What is wrong by question: names typed in place of a signature that are none of the signers'.

    What stands in a repeated part is signed by others than the applicant, and is not compared.
    """
    if part.repeat is not None or not names:
        return {}
    out: dict[str, str] = {}
    for asked in part.fields:
        value = values.get(asked.id) if asked.kind == "signature" else None
        if not isinstance(value, dict) or value.get("way") != TYPED:
            continue
        if not any(same_name(str(value["name"]), name) for name in names):
            out[asked.id] = "填写的姓名与申请人（经办人）不一致，请填写本人姓名，或者手写签名"
    return out


# ---- a part --------------------------------------------------------------------------------


def rows_posted(part: Part, posted: Posted) -> list[int]:
    """The numbers of the rows that were posted for a repeated part, in order."""
    head = f"{part.id}-"
    tail = f"-{ROW_ID}"
    found = {
        int(name[len(head) : -len(tail)])
        for name in posted
        if name.startswith(head)
        and name.endswith(tail)
        and re.fullmatch(r"\d{1,4}", name[len(head) : -len(tail)])
    }
    return sorted(found)


def _take(asked: Field, raw: Sequence[str], kept: Sequence[Any], means: Means) -> tuple[Any, str]:
    """(value, what is wrong) of one question; `kept` are its files, which were kept when they came."""
    if asked.kind == "file":
        return list(kept) or None, ""
    if asked.kind == "signature" and kept:
        return {"way": DRAWN, "files": list(kept)}, ""
    try:
        value = parse(asked, raw, means)
    except Wrong as wrong:
        return None, str(wrong)
    if asked.kind == "signature" and value is not None:
        return {"way": TYPED, "name": value}, ""
    return value, ""


def with_files(form: Form, answers: Answers, files: Files) -> dict[str, Any]:
    """The answers with the files that are really there in the place of those remembered."""
    out = dict(answers)
    for part in form.parts:
        special = [f for f in part.fields if f.kind in ("file", "signature")]
        if not special:
            continue
        if part.repeat is None:
            for asked in special:
                out[asked.id] = _present(asked, out.get(asked.id), files.get(asked.id, ()))
        else:
            rows = []
            for row in out.get(part.id) or []:
                name = str(row.get(ROW_ID))
                told = {
                    f.id: _present(f, row.get(f.id), files.get(slot_of(part, f, name), ()))
                    for f in special
                }
                rows.append({**row, **told})
            out[part.id] = rows
    return out


def _present(asked: Field, value: Any, kept: Sequence[Any]) -> Any:
    if asked.kind == "file":
        return list(kept) or None
    if kept:
        return {"way": DRAWN, "files": list(kept)}
    return value if isinstance(value, dict) and value.get("way") == TYPED else None


def check(
    form: Form,
    part: Part,
    posted: Posted,
    answers: Answers,
    means: Means,
    *,
    files: Files,
    fixed: frozenset[str] = frozenset(),
    shown: set[str] | None = None,
) -> Checked:
    """A part's answers judged: (values, errors), in plain Chinese that says what to do.

    `answers` are those so far; `fixed` names fields that were filled in and may not be changed;
    `files` are those kept so far, by slot; `shown` is what is `visible`, where the posted answers are
    those that stand already.
    Answers of questions that are not asked are kept if they are good and never complained of;
    posted names that are no question of this part are left alone.
    """
    if part.repeat is not None:
        return _check_rows(form, part, posted, answers, means, files)
    out = Checked()
    problems: dict[str, str] = {}
    for asked in part.fields:
        if asked.id in fixed:
            out.values[asked.id] = answers.get(asked.id)
            continue
        value, wrong = _take(asked, posted.get(asked.id, ()), files.get(asked.id, ()), means)
        if wrong:
            problems[asked.id] = wrong
        out.values[asked.id] = value
    all_of = {**answers, **out.values}
    shown = visible(form, all_of, means) if shown is None else shown
    known = {code: facts(form, code, all_of, shown, means) for code in form.codes}
    for asked in part.fields:
        if asked.id not in shown:
            continue
        if asked.id in problems:
            out.errors[asked.id] = problems[asked.id]
        elif _empty(out.values[asked.id]) and demanded(part, asked, known, means):
            out.errors[asked.id] = absent(asked)
    _judge_rules(part, known, shown, out, means, lambda name: name)
    return out


def _empty(value: Any) -> bool:
    return value is None or value == "" or value == []


def _judge_rules(
    part: Part,
    known: Mapping[str, dict[str, Any]],
    shown: set[str],
    out: Checked,
    means: Means,
    name_of: Callable[[str], str],
) -> None:
    """Rules between answers; a rule with an unanswered question in it waits."""
    for rule in part.rules:
        asked = next(
            (
                f
                for f in part.fields
                if any((a.form, a.own) == (rule.form, rule.field) for a in f.askers)
            ),
            None,
        )
        if asked is None or asked.id not in shown or name_of(asked.id) in out.errors:
            continue
        try:
            good = means.evaluate(rule.good, known[rule.form])
        except Exception:
            continue
        if not good:
            out.errors[name_of(asked.id)] = rule.say


def _check_rows(
    form: Form, part: Part, posted: Posted, answers: Answers, means: Means, files: Files
) -> Checked:
    assert part.repeat is not None
    out = Checked()
    numbers = rows_posted(part, posted)
    if len(numbers) > part.repeat.high:
        out.errors[part.id] = f"最多填写 {part.repeat.high} 项，请删去多余的"
    numbers = numbers[:MAX_ROWS]
    rows: list[dict[str, Any]] = []
    wrongs: list[dict[str, str]] = []
    for number in numbers:
        told = (posted.get(f"{part.id}-{number}-{ROW_ID}") or [""])[0]
        name = told if _ROW.fullmatch(told) else new_row_id()
        row: dict[str, Any] = {ROW_ID: name}
        wrong: dict[str, str] = {}
        for asked in part.fields:
            raw = posted.get(input_name(part, asked, number), ())
            value, problem = _take(asked, raw, files.get(slot_of(part, asked, name), ()), means)
            row[asked.id] = value
            if problem:
                wrong[asked.id] = problem
        rows.append(row)
        wrongs.append(wrong)
    out.values[part.id] = rows
    all_of = {**answers, part.id: rows}
    shown = visible(form, all_of, means)
    base = {code: facts(form, code, all_of, shown, means) for code in form.codes}
    for number, row, wrong in zip(numbers, rows, wrongs, strict=True):
        inside = _row_visible(part, row, base, means)
        known = {
            code: {
                **about,
                **{
                    a.own: row.get(f.id)
                    for f in part.fields
                    for a in f.askers
                    if a.form == code and f.id in inside
                },
            }
            for code, about in base.items()
        }

        def name_of(name: str, number: int = number) -> str:
            return f"{part.id}-{number}-{name}"

        for asked in part.fields:
            if asked.id not in inside:
                continue
            if asked.id in wrong:
                out.errors[name_of(asked.id)] = wrong[asked.id]
            elif _empty(row[asked.id]) and demanded(part, asked, known, means):
                out.errors[name_of(asked.id)] = absent(asked)
        _judge_rules(part, known, inside, out, means, name_of)
    _judge_number(part, rows, out)
    return out


def _judge_number(part: Part, rows: Sequence[Answers], out: Checked) -> None:
    repeat = part.repeat
    if repeat is None or part.id in out.errors:
        return
    if len(rows) < repeat.low:
        out.errors[part.id] = f"至少填写 {repeat.low} 项（{repeat.item}），请添加"
    elif rows and repeat.total is not None and not out.errors:
        name, wanted, say = repeat.total
        asked = part.field(name)
        found = sum(Decimal(str(r.get(asked.id) or 0)) for r in rows)
        if found != Decimal(str(wanted)):
            out.errors[part.id] = f"{say}，现在合计 {_plain(float(found))}"


def posted_of(part: Part, answers: Answers) -> dict[str, list[str]]:
    """The inputs of a part as a page would post them again: the stored answers as raw texts."""
    out: dict[str, list[str]] = {}
    if part.repeat is None:
        for asked in part.fields:
            out[asked.id] = _raw(answers.get(asked.id))
        return out
    for number, row in enumerate(answers.get(part.id) or []):
        out[f"{part.id}-{number}-{ROW_ID}"] = [str(row.get(ROW_ID) or new_row_id())]
        for asked in part.fields:
            out[input_name(part, asked, number)] = _raw(row.get(asked.id))
    return out


def _raw(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [str(value["name"])] if value.get("way") == TYPED else []
    if value is None:
        return []
    if isinstance(value, list):
        return [str(v) for v in value if not isinstance(v, dict)]
    return ["1" if value is True else str(value)]


ON = "_on"
"""Name of the hidden inputs by which a page says which tick boxes stood on it."""
_TICKED = ("multi", "declaration")


def completed(part: Part, posted: Posted, before: Posted) -> dict[str, list[str]]:
    """The posted inputs of a part, those that did not stand on the page as they were `before`.

    A question that was not asked when the page was drawn keeps its answer. Boxes without a tick are
    not posted: those that the page names (`ON`; all of them, where it names none) are empty. Posted
    names that are no question of this part are left behind.
    """
    named = posted.get(ON)
    if part.repeat is None:
        return {f.id: _given(f, f.id, f.id, posted, before, named) for f in part.fields}
    rows = {
        (before.get(f"{part.id}-{n}-{ROW_ID}") or [""])[0]: n for n in rows_posted(part, before)
    }
    out: dict[str, list[str]] = {}
    for number in rows_posted(part, posted):
        told = list(posted[f"{part.id}-{number}-{ROW_ID}"])
        out[f"{part.id}-{number}-{ROW_ID}"] = told
        was = rows.get(told[0] if told else "")
        for asked in part.fields:
            name = input_name(part, asked, number)
            old = "" if was is None else input_name(part, asked, was)
            out[name] = _given(asked, name, old, posted, before, named)
    return out


def _given(
    asked: Field,
    name: str,
    old: str,
    posted: Posted,
    before: Posted,
    named: Sequence[str] | None,
) -> list[str]:
    if name in posted:
        return list(posted[name])
    if asked.kind in _TICKED and (named is None or name in named):
        return []
    return list(before.get(old, ()))


def problems(
    form: Form,
    answers: Answers,
    means: Means,
    files: Files,
    *,
    shown: set[str] | None = None,
) -> dict[str, Checked]:
    """What is still wrong or missing, by part, among the parts that are asked (`shown`, if known)."""
    shown = visible(form, answers, means) if shown is None else shown
    fixed = frozenset(f.id for _, f in form.plain_fields() if not _empty(answers.get(f.id)))
    out: dict[str, Checked] = {}
    for part in form.parts:
        if part.id not in shown:
            continue
        # What was stored was judged when it came; only what is missing now must be found.
        found = check(
            form,
            part,
            posted_of(part, answers),
            answers,
            means,
            files=files,
            fixed=fixed,
            shown=shown,
        )
        if not found.ok:
            out[part.id] = found
    return out


def submitted(
    form: Form,
    answers: Answers,
    means: Means,
    code: str = "",
    *,
    shown: set[str] | None = None,
) -> dict[str, Any]:
    """The answers that count: only of questions that are asked; one form's in its own words.

    Without `code` a merged form's names are used. Rows lose nothing but hidden fields. `shown` is
    what is `visible`, where the caller knows it.
    """
    shown = visible(form, answers, means) if shown is None else shown
    base = {c: facts(form, c, answers, shown, means) for c in form.codes}
    out: dict[str, Any] = {}
    for part in form.parts:
        if part.id not in shown:
            continue
        if part.repeat is not None:
            rows = []
            for row in answers.get(part.id) or []:
                inside = _row_visible(part, row, base, means)
                rows.append(
                    {
                        name: row.get(f.id)
                        for f in part.fields
                        if f.id in inside and not _empty(row.get(f.id))
                        for name in _own(f.askers, f.id, code)
                    }
                )
            for name in _own(part.askers, part.id, code) if rows else ():
                out[name] = rows
            continue
        for asked in part.fields:
            if asked.id in shown and not _empty(answers.get(asked.id)):
                for name in _own(asked.askers, asked.id, code):
                    out[name] = answers[asked.id]
    return out


def _own(askers: Sequence[Asker], name: str, code: str) -> Iterator[str]:
    if not code:
        yield name
        return
    for asker in askers:
        if asker.form == code:
            yield asker.own
            return


def spoken(asked: Field, value: Any, means: Means) -> str:
    """A value in words: codes by their names, dates in Chinese, amounts with their unit."""
    if _empty(value):
        return ""
    if asked.kind == "choice":
        return dict(options_of(asked, means)).get(str(value), str(value))
    if asked.kind == "multi":
        known = dict(options_of(asked, means))
        return "、".join(known.get(str(v), str(v)) for v in value)
    if asked.kind == "date":
        day = dt.date.fromisoformat(str(value))
        return f"{day.year}年{day.month}月{day.day}日"
    if asked.kind == "moment":
        return dt.datetime.fromisoformat(str(value)).strftime("%Y-%m-%d %H:%M")
    if asked.kind == "money":
        return f"{Decimal(str(value)):,.2f} {asked.unit}".strip()
    if asked.kind == "number":
        return f"{value} {asked.unit}".strip()
    if asked.kind == "declaration":
        return "已确认"
    if isinstance(value, dict):
        return f"{value['name']}（以姓名代替手写签名）" if value.get("way") == TYPED else "手写签名"
    if isinstance(value, list):
        return "、".join(str(f["name"]) for f in value)
    return str(value)
