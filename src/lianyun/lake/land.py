"""Landing: any source turned into a stream of text rows with the line each one stood on.

Every reader yields Arrow batches of ``_line`` (1-based line or record number at the source),
``_problem`` (why the row cannot be read as a row, else NULL), ``_text`` (such a row as it arrived)
and one text column ``c0…`` per source column. Memory is bounded by a few blocks of input.

CSV goes through Arrow's parser block by block; a block is believed only if its lines, records and
bytes add up exactly. Whatever does not add up (bad bytes, wrong column counts, stray quotes, NUL)
is read again, slowly and exactly, and the bad rows are handed on as they are.
"""

from __future__ import annotations

import codecs
import csv
import datetime
import io
import itertools
import queue
import re
import struct
import tempfile
import threading
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.csv as arrow_csv

from .shelves import LakeError, literal, load_extension, open_duckdb, quote

BLOCK = 4 << 20
SMALLEST = 64 << 10
LONGEST_RECORD = 4 << 20
SLICE = 20_000
MARK = "\ufdd0"  # a noncharacter: stands before each byte that could not be decoded
MARK_BYTES = MARK.encode()
DELIMITERS = (",", "\t", ";", "|", "^", "\x01", "，")
BAD_BYTES = "编码错误"
NUL_BYTE = "含有空字符（NUL）"
NOT_A_ROW = "表尾或说明文字，不是数据行"
BEYOND = "表头之外还有内容"
_FOOTER = re.compile(
    r"^\s*(注|备注|说明|制表|填表|审核|复核|合\s*计|总\s*计|小\s*计|数据来源|单位负责人|打印)"
)
_PLAIN_NUMBER = re.compile(r"^[\s\d.,:/\-+%Xx]*\d[\s\d.,:/\-+%Xx]*$")


def _mark_bad_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return MARK + "".join(f"\\x{byte:02x}" for byte in bad), error.end


codecs.register_error("lianyun.mark", _mark_bad_bytes)


@dataclass(frozen=True)
class Sniffed:
    """What a file looks like: encoding, delimiter, header and the first rows."""

    kind: str
    columns: tuple[str, ...]
    encoding: str = ""
    bom: int = 0
    delimiter: str = ""
    newline: str = "\n"
    header_rows: int = 1
    title: str = ""
    sheet: str = ""
    sample_rows: tuple[tuple[str, ...], ...] = ()


@dataclass
class Source:
    """A readable source: column titles and a function that starts reading from the top.

    `fraction` moves from 0 to 1 while it is being read; `excel` allows dates as serial numbers.
    `scan` is SQL of the same rows and columns that any DuckDB can read by itself, where there is
    such: then nothing need pass through this process's hands.
    """

    columns: list[str]
    start: Callable[[Source], Iterator[pa.RecordBatch]]
    label: str = ""
    excel: bool = False
    fraction: float = 0.0
    sniffed: Sniffed | None = None
    temporary: Any = field(default=None, repr=False)
    scan: str = ""

    def schema(self) -> pa.Schema:
        """The Arrow schema of every batch: line, problem, text, one text column each."""
        return row_schema(len(self.columns))

    def reader(self) -> pa.RecordBatchReader:
        """A fresh stream over the whole source."""
        self.fraction = 0.0
        return pa.RecordBatchReader.from_batches(self.schema(), self.start(self))


def row_schema(width: int) -> pa.Schema:
    """The Arrow schema of landed rows with `width` source columns."""
    return pa.schema(
        [("_line", pa.int64()), ("_problem", pa.string()), ("_text", pa.string())]
        + [(f"c{i}", pa.string()) for i in range(width)]
    )


# ---------------------------------------------------------------- rows → Arrow


class _Rows:
    """Collects rows one by one and hands them out as Arrow batches."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.schema = row_schema(width)
        self.lines: list[int] = []
        self.problems: list[str | None] = []
        self.texts: list[str | None] = []
        self.fields: list[Sequence[str | None]] = []
        self.empty: tuple[None, ...] = (None,) * width

    def good(self, line: int, fields: Sequence[str | None]) -> None:
        self.lines.append(line)
        self.problems.append(None)
        self.texts.append(None)
        self.fields.append(fields)

    def bad(self, line: int, problem: str, text: str) -> None:
        self.lines.append(line)
        self.problems.append(problem)
        self.texts.append(text.replace(MARK, "").replace("\x00", "\\x00"))
        self.fields.append(self.empty)

    def __len__(self) -> int:
        return len(self.lines)

    def batch(self) -> pa.RecordBatch:
        columns = list(zip(*self.fields, strict=True)) if self.fields else [()] * self.width
        arrays = [
            pa.array(self.lines, pa.int64()),
            pa.array(self.problems, pa.string()),
            pa.array(self.texts, pa.string()),
            *(pa.array(column, pa.string()) for column in columns),
        ]
        made = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        self.lines, self.problems, self.texts, self.fields = [], [], [], []
        return made


# ---------------------------------------------------------------- encodings


def detect_encoding(path: str | Path) -> tuple[str, int]:
    """The encoding of a text file and the length of its byte-order mark in bytes.

    One of ``utf-8``, ``gb18030`` (GB 2312 and GBK are parts of it), ``cp950`` (Big5),
    ``utf-16-le``, ``utf-16-be``. A few bad bytes do not change the verdict: the encoding with the
    fewest unreadable lines wins, UTF-8 at a tie; Big5 where it reads as common characters what
    GB 18030 would read as rare ones.
    """
    path = Path(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(256 << 10)
        for bom, name in (
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16-le"),
            (codecs.BOM_UTF16_BE, "utf-16-be"),
        ):
            if head.startswith(bom):
                return name, len(bom)
        if len(head) >= 4:
            even, odd = head[0::2].count(0), head[1::2].count(0)
            half = len(head) / 2
            if odd > 0.2 * half and even < 0.05 * half:
                return "utf-16-le", 0
            if even > 0.2 * half and odd < 0.05 * half:
                return "utf-16-be", 0
        sample = [head]
        if head.isascii():
            while chunk := file.read(BLOCK):
                if not chunk.isascii():
                    sample.append(chunk)
                    break
        else:
            for place in (size // 2, max(0, size - (256 << 10))):
                if place > len(head):
                    file.seek(place)
                    file.readline()
                    sample.append(file.read(128 << 10))
    lines = [line for part in sample for line in part.split(b"\n") if not line.isascii()]
    if not lines:
        return "utf-8", 0
    if len(sample) > 1 or size > len(head):
        lines = lines[:-1] or lines  # the last one may be cut in the middle of a character
    wrong = {"utf-8": 0, "gb18030": 0}
    for line in lines:
        for name in wrong:
            try:
                line.decode(name)
            except UnicodeDecodeError:
                wrong[name] += 1
    if wrong["gb18030"] >= wrong["utf-8"]:
        return "utf-8", 0
    return ("cp950" if _is_big5(lines) else "gb18030"), 0


def _common(lines: Sequence[bytes], encoding: str, leads: range) -> float:
    """The share of characters beyond ASCII that stand in the encoding's rows of common ones."""
    common = total = 0
    for line in lines:
        for sign in line.decode("cp950" if encoding == "cp950" else "gb18030", "replace"):
            if sign.isascii():
                continue
            total += 1
            if sign in "，。、；：（）《》“”「」　！？":
                common += 1
                continue
            try:
                code = sign.encode(encoding)
            except UnicodeEncodeError:
                continue
            common += len(code) == 2 and code[0] in leads
    return common / total if total else 0.0


def _is_big5(lines: Sequence[bytes]) -> bool:
    """Whether text that may be GB 18030 is Big5: by where each standard keeps its common characters.

    GB 2312's first level stands in rows B0-D7, Big5's in A4-C6. A handful of characters proves
    nothing: then it is GB 18030.
    """
    some = lines[:2000]
    try:
        signs = sum(not sign.isascii() for line in some for sign in line.decode("cp950"))
    except UnicodeDecodeError:
        return False
    if signs < 12:
        return False
    big5 = _common(some, "cp950", range(0xA4, 0xC7))
    return big5 > 0.9 and _common(some, "gb2312", range(0xB0, 0xD8)) < 0.65


def _utf8_chunks(
    path: Path, encoding: str, skip: int, newline: str, source: Source | None = None
) -> Iterator[bytes]:
    """The file's bytes as UTF-8 in blocks; what cannot be decoded is marked, not dropped.

    UTF-8 input is passed on unchecked (the parser checks it).
    """
    size = max(path.stat().st_size, 1)
    rest = b""
    wide = encoding.startswith("utf-16")
    decoder = codecs.getincrementaldecoder(encoding)("lianyun.mark") if wide else None
    with path.open("rb") as file:
        file.seek(skip)
        while True:
            chunk = file.read(BLOCK)
            if source is not None:
                source.fraction = min(file.tell() / size, 1.0)
            last = not chunk
            if decoder is not None:
                data = decoder.decode(chunk, last).encode("utf-8", "replace")
            elif encoding == "utf-8":
                data = chunk
            else:
                chunk = rest + chunk
                cut = len(chunk) if last else max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
                if not last and cut == 0 and len(chunk) > LONGEST_RECORD:
                    cut = len(chunk)
                chunk, rest = chunk[:cut], chunk[cut:]
                try:
                    text = chunk.decode(encoding)
                except UnicodeDecodeError:
                    text = chunk.decode(encoding, "lianyun.mark")
                data = text.encode("utf-8", "replace")
            if newline == "\r":
                data = data.replace(b"\r", b"\n")
            if data:
                yield data
            if last:
                return


# ---------------------------------------------------------------- CSV, exactly


def _fields(text: str, start: int, delimiter: str) -> tuple[list[str], int] | None:
    """One record from `start`: its fields and where the next begins; None if a quote stays open."""
    found: list[str] = []
    at, size = start, len(text)
    step = len(delimiter)
    while True:
        value = ""
        if at < size and text[at] == '"':
            look = at + 1
            while True:
                close = text.find('"', look)
                if close < 0:
                    return None
                if close + 1 < size and text[close + 1] == '"':
                    look = close + 2
                    continue
                break
            value = text[at + 1 : close].replace('""', '"')
            at = close + 1
        end = text.find("\n", at)
        end = size if end < 0 else end
        comma = text.find(delimiter, at, end)
        if comma >= 0:
            found.append(value + text[at:comma])
            at = comma + step
            continue
        tail = text[at:end]
        found.append(value + (tail[:-1] if tail.endswith("\r") else tail))
        return found, min(end + 1, size)


def _exact(
    text: str, delimiter: str, width: int, line: int, final: bool, rows: _Rows
) -> tuple[int, int]:
    """Reads whole records of `text` into `rows`; returns the characters and lines consumed.

    With `final` the text ends here, so the last record needs no newline.
    """
    at, size, first_line = 0, len(text), line
    while at < size:
        end = text.find("\n", at)
        if end < 0:
            if not final:
                break
            end = size
        plain = text[at:end]
        if plain.endswith("\r"):
            plain = plain[:-1]
        after = min(end + 1, size)
        spanned = 1
        problem = None
        fields: list[str] = []
        record = plain
        if '"' not in plain:
            if not plain:
                at, line = after, line + 1
                continue
            fields = plain.split(delimiter)
        else:
            parsed = _fields(text, at, delimiter)
            if parsed is None:
                if not final and size - at < LONGEST_RECORD:
                    break
                problem = "引号没有闭合"
            else:
                fields, stop = parsed
                if stop >= size and not final and not text.endswith("\n"):
                    break
                if stop > after:
                    second = text[after : text.find("\n", after)].rstrip("\r")
                    swallowed = len(fields) != width and (
                        second.count(delimiter) == width - 1 or stop - at > 64 << 10
                    )
                    if swallowed:
                        problem = "引号没有闭合"
                    else:
                        record = text[at:stop].rstrip("\r\n")
                        spanned = text.count("\n", at, stop)
                        after = stop
        if problem is None and MARK in record:
            problem = BAD_BYTES
        if problem is None and "\x00" in record:
            problem = NUL_BYTE
        if problem is None and len(fields) != width:
            many = "多" if len(fields) > width else "少"
            problem = f"列数不符：应为 {width} 列，实为 {len(fields)} 列（{many}列或错位）"
            if _FOOTER.match(record):
                problem = NOT_A_ROW
        if problem is None:
            rows.good(line, fields)
        else:
            rows.bad(line, problem, record)
        at, line = after, line + spanned
    return at, line - first_line


def _count(first: int, length: int) -> pa.Array:
    """The integers first, first + 1 … as an Arrow array."""
    ones = pa.repeat(pa.scalar(1, pa.int64()), length)
    return compute.add(compute.cumulative_sum(ones), first - 1)


def _hits(data: bytes | pa.Buffer, character: str, low: int = 0, high: int | None = None) -> int:
    """How often an ASCII character occurs; several times as fast as bytes.count where it is often."""
    span = (len(data) if high is None else high) - low
    return int(np.count_nonzero(np.frombuffer(data, np.uint8, span, low) == ord(character)))


def _boundary(data: bytes, low: int, high: int) -> int:
    """The last place ≤ `high` where a record ends if quotes pair up from `low`; -1 if none."""
    end = data.rfind(b"\n", low, high) + 1
    for _ in range(40):
        if end <= low:
            return -1
        if _hits(data, '"', low, end) % 2 == 0:
            return end
        end = data.rfind(b"\n", low, data.rfind(b'"', low, end)) + 1
    return -1


def _quick(
    whole: bytes,
    low: int,
    high: int,
    delimiter: str,
    width: int,
    line: int,
    names: list[str],
    marked: bool,
) -> tuple[pa.RecordBatch, int] | None:
    """The records in ``whole[low:high]`` parsed by Arrow, and their lines; None if any is odd.

    With `marked` the block may hold marks of bytes that could not be decoded.
    """
    if whole.find(b"\x00", low, high) >= 0 or len(delimiter.encode()) > 1:
        return None
    if marked and whole.find(MARK_BYTES, low, high) >= 0:
        return None
    data = memoryview(whole)[low:high]
    lines = _hits(whole, "\n", low, high)
    bad: list[tuple[int, int, str]] = []
    odd = False

    def invalid(row: Any) -> str:
        nonlocal odd
        if "\n" in row.text or row.number is None or '"' in row.text:
            odd = True
        bad.append((row.number or 0, row.actual_columns, row.text))
        return "skip"

    try:
        buffer = pa.py_buffer(data)
        ends = pa.py_buffer(struct.pack("<ii", 0, len(data)))
        pa.StringArray.from_buffers(1, ends, buffer).validate(full=True)  # is it UTF-8?
        table = arrow_csv.read_csv(
            pa.BufferReader(buffer),
            arrow_csv.ReadOptions(
                column_names=names, use_threads=False, block_size=max(len(data) + 1, 1024)
            ),
            arrow_csv.ParseOptions(
                delimiter=delimiter,
                # only for cutting into blocks, where it costs as much as the parsing: this is one
                newlines_in_values=False,
                ignore_empty_lines=False,
                invalid_row_handler=invalid,
            ),
            arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    if odd:
        return None
    good = table.num_rows
    records = good + len(bad)
    table = table.combine_chunks()
    columns = [
        column.chunk(0) if column.num_chunks else pa.array([], pa.string())
        for column in table.columns
    ]
    if good and (compute.min(compute.binary_length(columns[0])).as_py() or 0) == 0:
        blank = whole[low : low + 1] in (b"\n", b"\r") or any(
            whole.find(empty, low, high) >= 0 for empty in (b"\n\n", b"\n\r\n")
        )
        if blank:  # Arrow gives a row for an empty line
            return None
    if records == lines:
        if bad:
            gone = {number - 1 for number, _, _ in bad}
            starts = pa.array([i for i in range(records) if i not in gone], pa.int64())
        else:
            starts = _count(0, records)
        bad_lines = [number - 1 for number, _, _ in bad]
    else:
        if bad:
            return None
        inside = None
        for column in columns:
            count = compute.count_substring(column, "\n")
            inside = count if inside is None else compute.add(inside, count)
        if inside is None or records + (compute.sum(inside).as_py() or 0) != lines:
            return None
        spans = compute.add(compute.cast(inside, pa.int64()), 1)
        ends = compute.cumulative_sum(spans)
        starts = compute.subtract(ends, spans)
        bad_lines = []
    arrays = [compute.add(starts, line), pa.nulls(good, pa.string()), pa.nulls(good, pa.string())]
    batch = pa.RecordBatch.from_arrays([*arrays, *columns], schema=row_schema(width))
    if bad:
        rows = _Rows(width)
        for where, (_, actual, text) in zip(bad_lines, bad, strict=True):
            many = "多" if actual > width else "少"
            problem = f"列数不符：应为 {width} 列，实为 {actual} 列（{many}列或错位）"
            rows.bad(line + where, NOT_A_ROW if _FOOTER.match(text) else problem, text)
        merged = pa.Table.from_batches([batch, rows.batch()]).combine_chunks()
        batch = merged.to_batches()[0]
    return batch, lines


def _csv_batches(
    chunks: Iterator[bytes], delimiter: str, width: int, line: int, marked: bool
) -> Iterator[pa.RecordBatch]:
    """Batches of a CSV body given as UTF-8 blocks; `line` is the number of its first line."""
    names = [f"c{i}" for i in range(width)]
    rows = _Rows(width)
    data = b""
    window = widest = 2 * BLOCK  # what is left of a block goes with the next one
    ended = False
    while not ended:
        chunk = next(chunks, None)
        if chunk is None:
            ended = True
            if data and not data.endswith(b"\n"):
                data += b"\n"
        else:
            data = data + chunk if data else chunk
        at, size = 0, len(data)
        while at < size:
            high = min(at + window, size)
            cut = _boundary(data, at, high)
            made = None
            if cut > 0:
                made = _quick(data, at, cut, delimiter, width, line, names, marked)
            if made is not None:
                if len(rows):
                    yield rows.batch()
                batch, lines = made
                for offset in range(0, batch.num_rows, SLICE * 5):
                    yield batch.slice(offset, SLICE * 5)
                at, line = cut, line + lines
                window = min(window * 4, widest)
                continue
            if not ended and size - at < SMALLEST:
                break
            if window > SMALLEST:
                window = max(window // 8, SMALLEST)
                continue
            span = window
            consumed = 0
            while not consumed:
                high = min(at + span, size)
                edge = data.rfind(b"\n", at, high) + 1
                if edge <= at:
                    edge = data.find(b"\n", high) + 1 or size
                final = ended and edge >= size
                if edge >= size and not ended and data[-1:] != b"\n" and b"\n" not in data[at:]:
                    if size - at < LONGEST_RECORD:
                        break
                    final = True
                text = data[at:edge].decode("utf-8", "lianyun.mark")
                taken, lines = _exact(
                    text, delimiter, width, line, final or span > LONGEST_RECORD, rows
                )
                consumed = len(_original(text[:taken])) if taken < len(text) else edge - at
                if taken == 0:
                    consumed = 0
                    if edge >= size:
                        break
                    span *= 2
                line += lines
            if not consumed:
                if ended:
                    raise LakeError("文件末尾无法解析")
                break
            at += consumed
            if len(rows) >= SLICE:
                yield rows.batch()
        data = data[at:]
    if len(rows):
        yield rows.batch()


def _ahead(batches: Iterator[pa.RecordBatch], depth: int = 4) -> Iterator[pa.RecordBatch]:
    """The same batches, made by a thread that works `depth` batches ahead of the reader."""
    made: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: pa.RecordBatch | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                made.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for batch in batches:
                if not put(batch):
                    return
            put(None)
        except BaseException as error:
            put(error)

    worker = threading.Thread(target=work, name="lake-landing", daemon=True)
    worker.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        worker.join()


def _original(text: str) -> bytes:
    """The bytes a decoded text came from, with marked bytes turned back."""
    if MARK not in text:
        return text.encode("utf-8")
    parts = text.encode("utf-8").split(MARK_BYTES)
    out = [parts[0]]
    for part in parts[1:]:
        run = re.match(rb"(?:\\x[0-9a-f]{2})+", part)
        # a run written by the error handler is turned back; one that was in the text stays
        if run:
            codes = run.group().split(b"\\x")[1:]
            out.append(bytes(int(code, 16) for code in codes) + part[run.end() :])
        else:
            out.append(MARK_BYTES + part)
    return b"".join(out)


# ---------------------------------------------------------------- sniffing


def clean_title(text: str) -> str:
    """A column title on one line without surrounding spaces or BOM."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text).replace("\ufeff", "")).strip()


def _unique(titles: Iterable[str]) -> list[str]:
    seen: Counter[str] = Counter()
    out = []
    for index, title in enumerate(titles, 1):
        name = clean_title(title) or f"列{index}"
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out


def find_header(
    rows: list[list[str]], merges: Sequence[tuple[tuple[int, int], tuple[int, int]]] = ()
) -> tuple[int, int]:
    """Where the header stands in the first rows: (first row, row after the last), 0-based.

    (0, 0) if the rows begin with data. `merges` are merged cells as ((row, col), (row, col)).
    """
    if not rows:
        return 0, 0
    filled = [sum(1 for cell in row if cell.strip()) for row in rows]
    tally = Counter(n for n in filled if n).items()
    width = max(tally, key=lambda p: (p[0] * p[1], p[0]), default=(1, 0))
    usual = max(width[0], 1)
    floor = 1 if usual == 1 else max(2, int(0.6 * usual + 0.5))
    across = [m for m in merges if m[1][1] > m[0][1]]
    for index, row in enumerate(rows[:20]):
        cells = [cell.strip() for cell in row if cell.strip()]
        covered = len(cells) + sum(
            m[1][1] - m[0][1] for m in across if m[0][0] == index and len(cells) > 1
        )
        if covered < floor or (len(cells) < 2 and usual > 1):
            continue
        if any(_PLAIN_NUMBER.match(cell) for cell in cells) or any(len(c) > 60 for c in cells):
            return (0, 0) if index == 0 else (index, index)
        end = index + 1
        grown = True
        while grown and end < min(len(rows), index + 4):
            grown = False
            for (r1, _), (r2, _) in merges:
                if index <= r1 < end and r2 + 1 > end:
                    end, grown = r2 + 1, True
            if not grown and any(m[0][0] == end - 1 for m in across) and end == index + 1:
                end, grown = end + 1, True
        if end == index + 1 and not merges and end < len(rows):
            below = rows[end]
            pairs = [
                (row[i].strip(), (below[i] if i < len(below) else "").strip())
                for i in range(len(row))
            ]
            empty_above = [b for a, b in pairs if not a]
            if (
                empty_above
                and all(empty_above)
                and any(a and not b for a, b in pairs)
                and not any(_PLAIN_NUMBER.match(b) for _, b in pairs if b)
            ):
                end += 1
        return index, end
    return 0, 0


def flatten_header(
    rows: list[list[str]], merges: Sequence[tuple[tuple[int, int], tuple[int, int]]] = ()
) -> list[str]:
    """Titles of a header of one or several rows: upper and lower titles joined by ``_``.

    `merges` are relative to the first of these rows.
    """
    width = max((len(row) for row in rows), default=0)
    grid = [[*row, *[""] * (width - len(row))] for row in rows]
    for (r1, c1), (r2, c2) in merges:
        if r1 < len(grid) and c1 < width:
            value = grid[max(r1, 0)][c1]
            for r in range(max(r1, 0), min(r2, len(grid) - 1) + 1):
                for c in range(c1, min(c2, width - 1) + 1):
                    grid[r][c] = value
    if not merges and len(grid) > 1:
        for c in range(1, width):
            if not grid[0][c].strip() and grid[1][c].strip():
                grid[0][c] = grid[0][c - 1]
    titles = []
    for c in range(width):
        parts: list[str] = []
        for row in grid:
            part = clean_title(row[c])
            if part and (not parts or parts[-1] != part):
                parts.append(part)
        titles.append("_".join(parts))
    return _unique(titles)


def _sample_records(text: str, delimiter: str) -> list[tuple[list[str], int]]:
    """Records of a sample with the place after each one; stops at what cannot be read."""
    out: list[tuple[list[str], int]] = []
    at = 0
    while at < len(text) and len(out) < 500:
        parsed = _fields(text, at, delimiter)
        if parsed is None:
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            parsed = text[at:end].split(delimiter), min(end + 1, len(text))
        fields, at = parsed
        out.append((fields, at))
    return out


def _sniff_csv(path: Path) -> Sniffed:
    encoding, bom = detect_encoding(path)
    with path.open("rb") as file:
        file.seek(bom)
        raw = file.read(256 << 10)
        whole = not file.read(1)
    text = raw.decode(encoding, "lianyun.mark")
    newline = "\r" if "\r" in text and "\n" not in text else "\n"
    if newline == "\r":
        text = text.replace("\r", "\n")
    if not whole:
        text = text[: text.rfind("\n") + 1] or text
    if not text.strip():
        raise LakeError("文件是空的")
    best: tuple[float, str, list[tuple[list[str], int]]] | None = None
    for delimiter in DELIMITERS:
        records = _sample_records(text, delimiter)
        counts = Counter(len(f) for f, _ in records if any(c.strip() for c in f))
        if not counts:
            continue
        usual, times = max(counts.items(), key=lambda p: (p[1], p[0]))
        share = times / sum(counts.values())
        score = 0.01 if usual < 2 else share * (1 + min(usual, 30) / 30)
        if best is None or score > best[0] + 1e-9:
            best = (score, delimiter, records)
    if best is None:
        raise LakeError("文件里没有可以读出的行")
    _, delimiter, records = best
    counts = Counter(len(f) for f, _ in records[1:] if any(c.strip() for c in f))
    usual = max(counts.items(), key=lambda p: (p[1], p[0]))[0] if counts else len(records[0][0])
    head = [fields for fields, _ in records[:30]]
    first, last = find_header([[c.replace(MARK, "") for c in row] for row in head])
    title = " ".join(c.strip() for row in head[:first] for c in row if c.strip())
    if last > first:
        columns = flatten_header([[c.replace(MARK, "") for c in row] for row in head[first:last]])
        if usual > len(columns):
            extra = [f[len(columns) :] for f, _ in records[last:] if len(f) == usual]
            if extra and all(not c.strip() for row in extra for c in row):
                columns += [f"列{i + 1}" for i in range(len(columns), usual)]
        elif usual < len(columns) and not any(c.strip() for c in head[last - 1][usual:]):
            columns = columns[:usual]
    else:
        columns = [f"列{i + 1}" for i in range(usual)]
    if last == first:
        last = first
    return Sniffed(
        "csv",
        tuple(columns),
        encoding,
        bom,
        delimiter,
        newline,
        last,
        title,
        "",
        tuple(tuple(f) for f, _ in records[last : last + 200]),
    )


def from_csv(path: str | Path, sniffed: Sniffed | None = None) -> Source:
    """A delimited text file in any of the encodings that occur; see `detect_encoding`."""
    path = Path(path)
    looks = sniffed or _sniff_csv(path)
    width = len(looks.columns)

    def start(source: Source) -> Iterator[pa.RecordBatch]:
        chunks = _utf8_chunks(path, looks.encoding, looks.bom, looks.newline, source)
        line = 1
        first = next(chunks, b"")
        if looks.header_rows:
            text = first.decode("utf-8", "lianyun.mark")
            at = 0
            for _ in range(looks.header_rows):
                parsed = _fields(text, at, looks.delimiter)
                if parsed is None:
                    end = text.find("\n", at)
                    parsed = [], (len(text) if end < 0 else end + 1)
                at = parsed[1]
            header = text[:at]
            line += header.count("\n")
            first = first[len(_original(header)) :]

        def body() -> Iterator[bytes]:
            if first:
                yield first
            yield from chunks

        marked = looks.encoding != "utf-8"
        yield from _ahead(_csv_batches(body(), looks.delimiter, width, line, marked))
        source.fraction = 1.0

    return Source(list(looks.columns), start, str(path), sniffed=looks)


# ---------------------------------------------------------------- Excel


def cell_text(value: Any) -> str:
    """A cell as an officer would read it: 1 not 1.0, ISO dates, exact decimals, 是/否."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e21:
            return str(int(value))
        return format(Decimal(repr(value)), "f")
    if isinstance(value, datetime.datetime):
        if value.time() == datetime.time():
            return value.date().isoformat()
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


@dataclass
class _Grid:
    """A sheet's cells: its name, head and merged ranges; the rows are read as often as asked for.

    `whole` is False where the sheet is too large to be held: then rows are ragged and streamed.
    """

    name: str
    head: list[list[Any]]
    merges: list[Any]
    height: int
    rows: Callable[[], Iterator[list[Any]]]
    whole: bool = True


_CELL = re.compile(rb'<(?:\w+:)?c [^>]*?r="([A-Z]{1,3})(\d{1,7})"')
CELLS_HELD = 4_000_000
"""Most cells of a sheet (counting the empty ones between) that are held in memory."""


def _column(letters: bytes) -> int:
    number = 0
    for sign in letters:
        number = number * 26 + sign - 64
    return number


def _boxes(path: Path) -> dict[str, int]:
    """The size of each sheet's bounding box in cells, from the XML itself; {} for other files.

    One stray cell in the last corner makes a box of 17 thousand million cells, which the quick
    reader would try to hold.
    """
    found: dict[str, int] = {}
    try:
        with zipfile.ZipFile(path) as book:
            for entry in book.namelist():
                if not re.fullmatch(r"xl/worksheets/[^/]+\.xml", entry):
                    continue
                names: set[bytes] = set()
                last, rest = 0, b""
                with book.open(entry) as sheet:
                    while chunk := sheet.read(1 << 20):
                        cells = _CELL.findall(rest + chunk)
                        if cells:
                            names.update(c for c, _ in cells)
                            last = max(last, max(int(r) for _, r in cells))
                        rest = chunk[-200:]
                found[entry] = last * max((_column(n) for n in names), default=0)
    except (zipfile.BadZipFile, OSError, KeyError, zlib.error):
        return {}
    return found


def _streamed(path: Path, sheet: str | None) -> _Grid:
    """A sheet too large to hold, row by row; merged ranges of the data are not filled."""
    import openpyxl

    def rows(limit: int | None = None) -> Iterator[list[Any]]:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            page = book[chosen]
            page.reset_dimensions()
            for row in page.iter_rows(values_only=True, max_row=limit):
                cells = list(row)
                while cells and cells[-1] is None:
                    cells.pop()
                yield cells
        finally:
            book.close()

    try:
        book = openpyxl.load_workbook(path, read_only=True)
    except Exception as error:
        raise LakeError(f"打不开 Excel 文件：{error}") from error
    sizes = {s.title: book._archive.getinfo(s._worksheet_path).file_size for s in book.worksheets}
    book.close()
    if sheet is not None and sheet not in sizes:
        raise LakeError(f"工作簿里没有名为“{sheet}”的工作表")
    chosen = sheet or max(sizes, key=lambda name: sizes[name])
    head = [["" if c is None else c for c in row] for row in rows(40)]
    width = max((len(row) for row in head), default=0)
    return _Grid(
        chosen,
        [row + [""] * (width - len(row)) for row in head],
        [],
        1_048_576,
        lambda: (["" if c is None else c for c in row] for row in rows()),
        whole=False,
    )


def _sheet(path: Path, sheet: str | None) -> _Grid:
    """The named sheet, or the largest one."""
    import python_calamine

    if max(_boxes(path).values(), default=0) > CELLS_HELD:
        return _streamed(path, sheet)
    try:
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        if sheet is not None and sheet not in book.sheet_names:
            raise LakeError(f"工作簿里没有名为“{sheet}”的工作表")
        names = [sheet] if sheet else book.sheet_names
        sheets = [book.get_sheet_by_name(name) for name in names]
    except LakeError:
        raise
    except Exception as error:
        raise LakeError(f"打不开 Excel 文件：{error}") from error
    if not sheets:
        raise LakeError("工作簿里没有工作表")
    chosen = max(sheets, key=lambda s: s.total_height * max(s.total_width, 1))
    rows = chosen.to_python(skip_empty_area=False)
    merges = list(chosen.merged_cell_ranges or [])
    return _Grid(chosen.name, rows[:40], merges, len(rows), lambda: iter(rows))


def from_excel(path: str | Path, sheet: str | None = None) -> Source:
    """An .xlsx, .xls, .xlsb or .ods sheet; merged headers are flattened, merged data filled.

    Without `sheet` the largest sheet is taken. Completely empty rows are no rows.
    """
    path = Path(path)
    grid = _sheet(path, sheet)
    head = [[cell_text(c) for c in row] for row in grid.head]
    if not any(c.strip() for row in head for c in row):
        raise LakeError("工作表是空的")
    first, last = find_header(head, grid.merges)
    if last > first:
        inside = [
            ((a[0] - first, a[1]), (b[0] - first, b[1]))
            for a, b in grid.merges
            if first <= a[0] < last
        ]
        columns = flatten_header(head[first:last], inside)
    else:
        columns = [f"列{i + 1}" for i in range(max(len(row) for row in head))]
    width = len(columns)
    seen = grid.rows() if grid.whole else iter(grid.head)
    used = max(
        (
            i
            for row in itertools.islice(seen, last, None)
            for i in range(len(row), 0, -1)
            if i <= width and columns[i - 1] == f"列{i}" and cell_text(row[i - 1]).strip()
        ),
        default=0,
    )
    while width > max(1, used) and columns[width - 1] == f"列{width}":
        width -= 1
    columns = columns[:width]
    if grid.whole:
        _fill_merged(grid, last, width)
    title = " ".join(c.strip() for row in head[:first] for c in row if c.strip())

    def start(source: Source) -> Iterator[pa.RecordBatch]:
        rows = _Rows(width)
        total = max(grid.height, 1)
        for index, cells in enumerate(grid.rows()):
            if index < last:
                continue
            texts = [cell_text(c) for c in cells[:width]]
            texts += [""] * (width - len(texts))
            filled = [t for t in texts if t.strip()]
            if not grid.whole and any(cell_text(c).strip() for c in cells[width:]):
                rows.bad(index + 1, BEYOND, "\t".join(cell_text(c) for c in cells).rstrip("\t"))
                continue
            if not filled:
                continue
            lonely = width >= 3 and len(set(filled)) == 1
            if (
                (lonely and (len(filled) == 1 or len(filled) == width))
                and (_FOOTER.match(filled[0]) or (texts[0].strip() and width >= 4))
            ) or (len(filled) * 2 <= width and _FOOTER.match(filled[0])):
                rows.bad(index + 1, NOT_A_ROW, "\t".join(texts).rstrip("\t"))
            else:
                rows.good(index + 1, texts)
            if len(rows) >= SLICE:
                source.fraction = index / total
                yield rows.batch()
        if len(rows):
            yield rows.batch()
        source.fraction = 1.0

    sample = tuple(
        tuple(cell_text(c) for c in row[:width])
        for row in itertools.islice(grid.rows(), last, last + 200)
        if any(cell_text(c).strip() for c in row)
    )
    looks = Sniffed("excel", tuple(columns), header_rows=last, title=title, sheet=grid.name)
    looks = Sniffed(**{**looks.__dict__, "sample_rows": sample})
    return Source(columns, start, f"{path}#{grid.name}", excel=True, sniffed=looks)


def _fill_merged(grid: _Grid, last: int, width: int) -> None:
    """Gives every cell of a merged range below the header the range's value."""
    cells = list(grid.rows())
    for (r1, c1), (r2, c2) in grid.merges:
        if r1 < last or c2 - c1 + 1 >= max(2, width) or r1 >= len(cells):
            continue
        for r in range(r1, min(r2, len(cells) - 1) + 1):
            for c in range(c1, min(c2, len(cells[r]) - 1) + 1):
                cells[r][c] = cells[r1][c1]


# ---------------------------------------------------------------- rows, JSON


def _json_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return cell_text(value) if isinstance(value, float) else str(value)
    return orjson.dumps(value).decode()


def from_rows(columns: Sequence[str], rows: Iterable[tuple[int, Sequence[Any]]]) -> Source:
    """Rows already in hand, each with the line number it shall be known by."""
    kept = [(line, [_json_text(v) for v in values]) for line, values in rows]

    def start(source: Source) -> Iterator[pa.RecordBatch]:
        made = _Rows(len(columns))
        for line, values in kept:
            if any(v is not None and "\x00" in v for v in values):
                made.bad(line, NUL_BYTE, "\t".join(v or "" for v in values))
            else:
                made.good(line, values)
            if len(made) >= SLICE:
                yield made.batch()
        if len(made):
            yield made.batch()
        source.fraction = 1.0

    return Source(list(columns), start, "rows")


def _is_one_document(head: bytes) -> bool:
    """Whether a file that begins so is one JSON array or one object over several lines."""
    if head.startswith(b"["):
        return True
    line = head.split(b"\n", 1)[0].strip()
    return line == b"{" or (line.startswith(b"{") and line.endswith((b"[", b"{", b",")))


def _row_list(document: Any) -> list[Any]:
    """The rows of a JSON document: itself if it is a list, else the longest list of objects in it."""
    if isinstance(document, list):
        return document
    best: list[Any] = []
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            best = value if len(value) > len(best) else best
    return best or [document]


def _json_rows(path: Path) -> Iterator[tuple[int, bytes]]:
    """The objects of a JSON lines file, or of one JSON array, with their line or ordinal."""
    encoding, bom = detect_encoding(path)
    with path.open("rb") as file:
        head = file.read(64 << 10)[bom:].lstrip()
    whole = encoding == "utf-8" and _is_one_document(head)
    if encoding == "utf-8" and not whole:
        with path.open("rb") as file:
            file.seek(bom)
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
        return
    text = path.read_bytes()[bom:].decode(encoding, "lianyun.mark")
    if whole or text.lstrip().startswith("["):
        try:
            items = _row_list(orjson.loads(text))
        except orjson.JSONDecodeError as error:
            raise LakeError(f"JSON 文件无法解析：{error}") from error
        for number, item in enumerate(items, 1):
            yield number, orjson.dumps(item)
        return
    for number, part in enumerate(text.split("\n"), 1):
        if part.strip():
            yield number, part.encode("utf-8", "replace")


def from_jsonl(path: str | Path) -> Source:
    """JSON lines (or one JSON array): columns are the union of the objects' keys in order.

    Nested values stay as JSON text; a line that is no object is a row with a problem.
    """
    path = Path(path)
    keys: dict[str, None] = {}
    sample: list[dict[str, Any]] = []
    for _, line in _json_rows(path):
        try:
            item = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(item, dict):
            keys.update(dict.fromkeys(item))
            if len(sample) < 200:
                sample.append(item)
    if not keys:
        raise LakeError("文件里没有 JSON 对象")
    columns = list(keys)

    def start(source: Source) -> Iterator[pa.RecordBatch]:
        rows = _Rows(len(columns))
        size = max(path.stat().st_size, 1)
        seen = 0
        for number, line in _json_rows(path):
            seen += len(line)
            try:
                item = orjson.loads(line)
            except orjson.JSONDecodeError:
                try:
                    line.decode("utf-8")
                    problem = "不是合法的 JSON"
                except UnicodeDecodeError:
                    problem = BAD_BYTES
                rows.bad(number, problem, line.decode("utf-8", "lianyun.mark").strip())
                continue
            if not isinstance(item, dict):
                rows.bad(number, "不是 JSON 对象", line.decode("utf-8").strip())
            else:
                values = [_json_text(item.get(key)) for key in columns]
                if any(v is not None and "\x00" in v for v in values):
                    rows.bad(number, NUL_BYTE, line.decode("utf-8").strip())
                else:
                    rows.good(number, values)
            if len(rows) >= SLICE:
                source.fraction = min(seen / size, 1.0)
                yield rows.batch()
        if len(rows):
            yield rows.batch()
        source.fraction = 1.0

    rows = tuple(tuple(_json_text(i.get(k)) or "" for k in columns) for i in sample)
    looks = Sniffed("jsonl", tuple(columns), "utf-8", header_rows=0, sample_rows=rows)
    return Source(columns, start, str(path), sniffed=looks)


# ---------------------------------------------------------------- databases, Parquet


def _scanned(
    columns: list[str], label: str, opener: Callable[[], tuple[Any, str]], total: int | None = None
) -> Source:
    """A source that DuckDB scans: `opener` gives a connection and the relation's SQL."""

    def start(source: Source) -> Iterator[pa.RecordBatch]:
        con, relation = opener()
        try:
            listed = ", ".join(
                f"CAST({quote(c)} AS VARCHAR) AS c{i}" for i, c in enumerate(columns)
            )
            stream = con.execute(f"SELECT {listed} FROM {relation}").to_arrow_reader(SLICE)
            yield from _ahead(_numbered(stream, len(columns), source, total))
        finally:
            con.close()

    return Source(columns, start, label)


def _numbered(
    stream: Iterable[pa.RecordBatch],
    width: int,
    source: Source,
    total: int | None = None,
    *,
    nul_possible: bool = True,
) -> Iterator[pa.RecordBatch]:
    """Gives record numbers to batches of text columns; rows with NUL become problems."""
    schema = row_schema(width)
    line = 1
    for batch in stream:
        rows = batch.num_rows
        numbers = _count(line, rows)
        columns = [
            c if c.type == pa.string() else compute.cast(c, pa.string()) for c in batch.columns
        ]
        empty = pa.nulls(rows, pa.string())
        made = pa.RecordBatch.from_arrays([numbers, empty, empty, *columns], schema=schema)
        nul = None
        for column in columns if nul_possible else ():
            if not _may_hold_nul(column):
                continue
            hit = compute.fill_null(compute.match_substring(column, "\x00"), False)
            nul = hit if nul is None else compute.or_(nul, hit)
        if nul is not None and compute.any(nul).as_py():
            bad = _Rows(width)
            for row in made.filter(nul).to_pylist():
                texts = [row[f"c{i}"] or "" for i in range(width)]
                bad.bad(row["_line"], NUL_BYTE, "\t".join(texts))
            yield bad.batch()
            made = made.filter(compute.invert(nul))
        line += rows
        if total:
            source.fraction = min(line / total, 1.0)
        yield made
    source.fraction = 1.0


def _may_hold_nul(texts: pa.StringArray) -> bool:
    """Whether the bytes of a column hold NUL: they are searched as one, not value by value."""
    _, offset_bytes, data = texts.buffers()
    if data is None or not len(texts):
        return False
    offsets = np.frombuffer(offset_bytes, np.int32)
    first, last = int(offsets[texts.offset]), int(offsets[texts.offset + len(texts)])
    return _hits(data, "\x00", first, last) > 0


def from_parquet(path: str | Path) -> Source:
    """A Parquet file; every value is read as the text DuckDB prints for it."""
    place = f"read_parquet({literal(str(path))})"
    con = open_duckdb()
    try:
        columns = [row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {place}").fetchall()]
        counted = con.execute(f"SELECT count(*) FROM {place}").fetchone()
        listed = ", ".join(f"CAST({quote(c)} AS VARCHAR)" for c in columns)
        rows = con.execute(f"SELECT {listed} FROM {place} LIMIT 200").fetchall()
    except Exception as error:
        raise LakeError(f"打不开 Parquet 文件：{error}") from error
    finally:
        con.close()
    total = int(counted[0]) if counted else None
    made = _scanned(columns, str(path), lambda: (open_duckdb(), place), total)
    sample = tuple(tuple(v or "" for v in row) for row in rows)
    made.sniffed = Sniffed("parquet", tuple(columns), header_rows=0, sample_rows=sample)
    if _ROW_NUMBER not in map(str.lower, columns):
        made.scan = _parquet_sql(place, columns)
    return made


_ROW_NUMBER = "file_row_number"


def _parquet_sql(place: str, columns: Sequence[str]) -> str:
    """SQL of a Parquet file's rows as `row_schema` has them, each under its number in the file."""
    texts = ", ".join(f"CAST({quote(c)} AS VARCHAR) AS c{i}" for i, c in enumerate(columns))
    listed = [f"c{i}" for i in range(len(columns))]
    nul = " OR ".join(f"coalesce(contains({c}, chr(0)), FALSE)" for c in listed)
    told = ", ".join(f"coalesce({c}, '')" for c in listed)
    return (
        f"(SELECT _line, CASE WHEN _nul THEN {literal(NUL_BYTE)} END AS _problem, "
        f"CASE WHEN _nul THEN replace(concat_ws(chr(9), {told}), chr(0), '\\x00') END AS _text, "
        + ", ".join(f"CASE WHEN _nul THEN NULL ELSE {c} END AS {c}" for c in listed)
        + f" FROM (SELECT *, {nul} AS _nul FROM "
        f"(SELECT {_ROW_NUMBER} + 1 AS _line, {texts} FROM {place})))"
    )


def _from_where(
    table: str | None, query: str | None, watermark: str | None, since: str | None, mark: str
) -> str:
    """The inner SELECT of a database source; identifiers quoted with `mark`."""

    def named(text: str) -> str:
        return mark + text.replace(mark, mark * 2) + mark

    if query:
        inner = f"SELECT * FROM ({query.rstrip().rstrip(';')}) AS source_rows"
    elif table:
        inner = "SELECT * FROM " + ".".join(named(part) for part in table.split("."))
    else:
        raise LakeError("数据库来源需要写明表名或查询语句")
    if watermark and since is not None:
        escaped = since.replace("'", "''").replace("\\", "\\\\" if mark == "`" else "\\")
        # From the last value on, not after it: a row that came late with the same value is not
        # lost, and one that was read before is found unchanged.
        inner += f" WHERE {named(watermark)} >= '{escaped}'"
    return inner


def from_postgres(
    dsn: str,
    table: str | None = None,
    *,
    query: str | None = None,
    watermark: str | None = None,
    since: str | None = None,
) -> Source:
    """A PostgreSQL table (``schema.table``) or query, streamed by ADBC, every column as exact text.

    With `watermark` and `since` only rows from that watermark on are read.
    """
    import adbc_driver_postgresql.dbapi as adbc
    import psycopg

    inner = _from_where(table, query, watermark, since, '"')
    try:
        with psycopg.connect(dsn) as con:
            con.read_only = True
            cursor = con.execute(f"SELECT * FROM ({inner}) AS q LIMIT 0".encode())
            columns = [c.name for c in cursor.description or ()]
    except psycopg.Error as error:
        raise LakeError(f"源数据库读不出来：{error}") from error
    listed = ", ".join(f"q.{quote(c)}::text AS c{i}" for i, c in enumerate(columns))

    def start(source: Source) -> Iterator[pa.RecordBatch]:
        uri = dsn if "://" in dsn else "postgresql:///?" + _query_of(dsn)
        with adbc.connect(uri) as con, con.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'Asia/Shanghai'")
            cursor.execute("SET datestyle = 'ISO, YMD'")
            cursor.execute(f"SELECT {listed} FROM ({inner}) AS q")
            # PostgreSQL's text never holds NUL. Reading ahead keeps the server busy meanwhile.
            stream = cursor.fetch_record_batch()
            yield from _ahead(_numbered(stream, len(columns), source, nul_possible=False))

    return Source(columns, start, table or "query")


def _query_of(dsn: str) -> str:
    from urllib.parse import urlencode

    from psycopg import conninfo

    return urlencode({k: str(v) for k, v in conninfo.conninfo_to_dict(dsn).items() if v})


def _from_attached(
    extension: str, attach: str, inner: str, label: str, prelude: str = ""
) -> Source:
    def opener() -> tuple[Any, str]:
        con = open_duckdb()
        try:
            load_extension(con, extension)
            if prelude:
                con.execute(prelude)
            con.execute(attach)
        except Exception as error:
            con.close()
            raise LakeError(f"源数据库打不开：{_without_secret(str(error))}") from error
        return con, f"({inner})"

    con, relation = opener()
    try:
        columns = [r[0] for r in con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()]
    except Exception as error:
        raise LakeError(f"源表读不出来：{_without_secret(str(error))}") from error
    finally:
        con.close()
    return _scanned(columns, label, opener)


def _without_secret(text: str) -> str:
    return re.sub(r"(?i)(passwd|password)([= ]+)('[^']*'|\"[^\"]*\"|\S+)", r"\1\2***", text)


def from_sqlite(
    path: str | Path,
    table: str,
    *,
    watermark: str | None = None,
    since: str | None = None,
) -> Source:
    """A table of a SQLite file, every value as text whatever its declared type."""
    if not Path(path).is_file():
        raise LakeError(f"找不到 SQLite 文件“{path}”")
    inner = _from_where(f"src.{table}" if "." not in table else table, None, watermark, since, '"')
    attach = f"ATTACH {literal(str(path))} AS src (TYPE sqlite, READ_ONLY)"
    prelude = "SET sqlite_all_varchar=true"
    return _from_attached("sqlite_scanner", attach, inner, f"{path}#{table}", prelude)


def from_mysql(
    url: str,
    table: str,
    *,
    watermark: str | None = None,
    since: str | None = None,
) -> Source:
    """A MySQL or MariaDB table; `url` is ``mysql://user:password@host:port/database``."""
    from urllib.parse import unquote

    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    database = unquote(parts.path.lstrip("/"))
    fields = {
        "HOST": unquote(options.get("host") or parts.hostname or "127.0.0.1"),
        "PORT": str(parts.port or 0),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "DATABASE": database,
        "SOCKET": options.get("unix_socket") or options.get("socket") or "",
    }
    told = ", ".join(f"{k} {literal(v)}" for k, v in fields.items() if v and v != "0")
    name = f"src.{database}.{table}" if "." not in table else f"src.{table}"
    inner = _from_where(name, None, watermark, since, '"')
    # a secret, not a connection string: values may hold spaces, quotes and Chinese
    secret = f"CREATE TEMPORARY SECRET source_secret (TYPE mysql, {told}); "
    attach = secret + "ATTACH '' AS src (TYPE mysql, READ_ONLY, SECRET source_secret)"
    prelude = "SET mysql_tinyint1_as_boolean=false"
    return _from_attached("mysql_scanner", attach, inner, table, prelude)


# ---------------------------------------------------------------- HTTP


class HttpClient(Protocol):
    """What is needed of a client: httpx.Client has it."""

    def get(self, url: str, *, params: Any = ..., headers: Any = ...) -> Any: ...


def _dig(value: Any, path: str | None) -> Any:
    for part in (path or "").split("."):
        if part == "":
            continue
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value


def from_http(
    url: str,
    *,
    items: str = "",
    page_param: str | None = "page",
    first_page: int = 1,
    size_param: str | None = None,
    size: int = 500,
    cursor_param: str | None = None,
    cursor: str | None = None,
    params: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    client: HttpClient | None = None,
    transport: Any = None,
    max_pages: int = 100_000,
    retries: int = 3,
) -> Source:
    """A paged JSON API: pages until one is empty or short, or until the cursor ends.

    `items` and `cursor` are dotted paths to the rows and to the next cursor in an answer. The
    pages are spooled to a temporary file first, so a load never waits on the network.
    """
    import httpx

    owned = client is None
    http: Any = client or httpx.Client(timeout=60, follow_redirects=False, transport=transport)
    spool = tempfile.NamedTemporaryFile(suffix=".jsonl", delete=False)  # noqa: SIM115
    keeper = _Spool(Path(spool.name))
    total = 0
    try:
        query = {**dict(parse_qsl(urlsplit(url).query)), **(params or {})}
        bare = urlunsplit(urlsplit(url)._replace(query=""))
        token: Any = None
        previous: bytes | None = None
        for number in range(max_pages):
            asked = dict(query)
            if size_param:
                asked[size_param] = str(size)
            if cursor_param:
                if token is not None:
                    asked[cursor_param] = str(token)
            elif page_param:
                asked[page_param] = str(first_page + number)
            body = _get_json(http, bare, asked, headers or {}, retries)
            rows = _dig(body, items)
            if not isinstance(rows, list):
                raise LakeError(f"接口返回中找不到数据列表“{items or '（根）'}”")
            page = b"".join(orjson.dumps(row) + b"\n" for row in rows)
            if rows and page == previous and not cursor_param:
                raise LakeError("接口一直返回同一页，翻页参数可能不对")
            previous = page
            spool.write(page)
            total += len(rows)
            if cursor_param:
                following = _dig(body, cursor)
                if following in (None, "", False) or following == token:
                    break
                token = following
            elif not page_param or not rows or (size_param and len(rows) < size):
                break
        else:
            raise LakeError(f"接口超过 {max_pages} 页仍未结束")
        spool.close()
        if not total:
            raise LakeError("接口没有返回任何数据")
        made = from_jsonl(keeper.path)
    finally:
        spool.close()
        if owned:
            http.close()
    made.label = bare
    made.temporary = keeper
    return made


class _Spool:
    """A temporary file that goes when nobody needs it any more."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __del__(self) -> None:
        self.path.unlink(missing_ok=True)


def _get_json(
    http: Any, url: str, params: dict[str, str], headers: dict[str, str], retries: int
) -> Any:
    import time

    import httpx

    for attempt in range(retries + 1):
        try:
            answer = http.get(url, params=params, headers=headers)
            if answer.status_code < 500 and answer.status_code != 429:
                if answer.status_code >= 400:
                    raise LakeError(f"接口拒绝访问：HTTP {answer.status_code}")
                return orjson.loads(answer.content)
            reason = f"HTTP {answer.status_code}"
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
        except orjson.JSONDecodeError as error:
            raise LakeError("接口返回的不是 JSON") from error
        if attempt < retries:
            time.sleep(0.2 * 2**attempt)
    raise LakeError(f"接口访问失败：{reason}")


# ---------------------------------------------------------------- any file


def open_file(path: str | Path, sheet: str | None = None) -> Source:
    """A file of any kind the lake reads, told apart by its first bytes, then by its name."""
    path = Path(path)
    if not path.is_file():
        raise LakeError(f"找不到文件“{path}”")
    with path.open("rb") as file:
        magic = file.read(8)
    suffix = path.suffix.lower()
    if not magic:
        raise LakeError("文件是空的")
    if magic[:4] == b"PAR1":
        return from_parquet(path)
    if magic[:4] == b"PK\x03\x04" or magic == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        return from_excel(path, sheet)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return from_jsonl(path)
    return from_csv(path)


def sniff(path: str | Path, sheet: str | None = None) -> Sniffed:
    """Encoding, delimiter, header and sample rows of a file, without loading it."""
    looks = open_file(path, sheet).sniffed
    if looks is None:
        raise LakeError("无法识别文件")
    return looks


# ---------------------------------------------------------------- header matching


class Named(Protocol):
    """What header matching needs of an item."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...


def normal_title(text: str, *, keep_brackets: bool = True) -> str:
    """A title for comparison: NFKC, lower case, no spaces or punctuation, brackets optional."""
    text = unicodedata.normalize("NFKC", text).lower()
    if not keep_brackets:
        text = re.sub(r"[(\[【〔<《{].*?[)\]】〕>》}]", "", text)
    return re.sub(r"[\s_\-*:;,.、，。；：·/\\()\[\]【】〔〕<>《》{}\"'“”#￥¥\ufeff]", "", text)


def match_columns(columns: Sequence[str], items: Sequence[Named]) -> dict[int, str]:
    """Source column index → item name, by name, title or alias; exact spelling first."""
    found: dict[int, str] = {}
    taken: set[str] = set()
    for keep in (True, False):
        known: dict[str, str] = {}
        # An item's own name and title come before any other item's alias.
        own = [(text, item.name) for item in items for text in (item.name, item.title)]
        others = [(text, item.name) for item in items for text in item.aliases]
        for text, item_name in own + others:
            key = normal_title(text, keep_brackets=keep)
            if key:
                known.setdefault(key, item_name)
        for index, column in enumerate(columns):
            name = known.get(normal_title(column, keep_brackets=keep))
            if index not in found and name and name not in taken:
                found[index] = name
                taken.add(name)
        tails = [column.rsplit("_", 1)[-1] for column in columns]
        for index, column in enumerate(columns):
            tail = tails[index]
            if tails.count(tail) > 1:
                continue
            name = known.get(normal_title(tail, keep_brackets=keep))
            if index not in found and name and name not in taken and tail != column:
                found[index] = name
                taken.add(name)
    return found


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as a UTF-8 CSV with BOM, which office programs open as it is meant."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(rows)
    return codecs.BOM_UTF8 + out.getvalue().encode("utf-8")
