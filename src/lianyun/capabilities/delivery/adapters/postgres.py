"""PostgreSQL as a receiver: the granted rows in a table of its own, position and rows in one commit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from lianyun.lake.portion import Given, Piece, Taken
from lianyun.lake.publish import postgres_type
from lianyun.lake.shelves import quote

from .. import rules
from ..rules import Parcel, Receipt, ReceiverError, Stand
from . import hosts, pump

_POSITION = (
    "CREATE TABLE IF NOT EXISTS _lianyun_position (subscription text PRIMARY KEY, "
    "delivery bigint NOT NULL, position text NOT NULL, shape text NOT NULL, "
    "table_name text NOT NULL, taken_at timestamptz NOT NULL DEFAULT now())"
)
_NOTE = (
    "INSERT INTO _lianyun_position (subscription, delivery, position, shape, table_name) "
    "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (subscription) DO UPDATE SET "
    "delivery = excluded.delivery, position = excluded.position, shape = excluded.shape, "
    "table_name = excluded.table_name, taken_at = now()"
)
_NOTHING = "''"
FREE = 70
"""Share of a page (%) that is filled at first, so that a changed row finds room beside the old one."""


class Postgres:
    """A department's PostgreSQL; the account needs CREATE on the schema and nothing more."""

    def __init__(self, location: str, user: str, password: str, schema: str, vouched: bool) -> None:
        self.parts = rules.split_location(location, vouched=vouched)
        self.user, self.password, self.vouched = user, password, vouched
        self.schema = schema or "public"
        self.ahead: pump.Ahead | None = None

    @contextlib.contextmanager
    def packing(self, taken: Taken) -> Iterator[None]:
        """See Receiver: what has changed is written aside."""
        bodies = [_body(pump.keys(taken), taken.gone)] if taken.deletes and not taken.full else []
        bodies += [
            _body(taken.columns, rows)
            for p in taken.pieces
            for rows, count in ((p.come, p.newcomers), (p.changed, p.others))
            if count
        ]
        self.ahead = pump.Ahead(taken, bodies)
        try:
            yield
        finally:
            self.ahead.close()

    @contextlib.contextmanager
    def _open(self) -> Iterator[psycopg.Connection[Any]]:
        host, port = self.parts.hostname or "", self.parts.port or 5432
        where = {"host": host}
        if host:
            where["hostaddr"] = hosts.address_of(host, port, vouched=self.vouched)
            where["port"] = str(port)
        else:
            where["host"] = rules.socket_of(self.parts)
        database = self.parts.path.lstrip("/") or "postgres"
        try:
            con = psycopg.connect(
                **where,  # type: ignore[arg-type]
                dbname=database,
                user=self.user,
                password=self.password,
                connect_timeout=10,
                application_name="lianyun delivery",
                tcp_user_timeout=60_000,
                options="-c lock_timeout=60000 -c client_min_messages=warning",
            )
        except psycopg.Error as error:
            raise explained(error, database) from error
        try:
            con.execute(f"SET search_path = {quote(self.schema)}".encode())
            yield con
            con.commit()
        except psycopg.Error as error:
            raise explained(error, database) from error
        finally:
            con.close()

    def test(self) -> str:
        """Connect and see whether a table could be made; nothing stays."""
        with self._open() as con:
            row = con.execute("SELECT version()").fetchone()
            con.execute(b"CREATE TEMP TABLE _lianyun_test (a int) ON COMMIT DROP")
            right = con.execute(
                "SELECT has_schema_privilege(%s, 'CREATE')", (self.schema,)
            ).fetchone()
            if not right or not right[0]:
                raise ReceiverError(
                    f"账号“{self.user}”没有在模式“{self.schema}”中建表的权限，请对方执行 "
                    f"GRANT CREATE, USAGE ON SCHEMA {self.schema} TO {self.user}"
                )
        return f"连接成功：{str(row[0]).split(',')[0][:60] if row else 'PostgreSQL'}，可以建表写入"

    def stands(self, subscription: str, number: int) -> Stand | None:
        """What the receiver's own table says; None where it has not taken anything."""
        with self._open() as con:
            there = con.execute("SELECT to_regclass('_lianyun_position')").fetchone()
            if there is None or there[0] is None:
                return None
            return self._stand(con, subscription, "")

    def _stand(self, con: psycopg.Connection[Any], subscription: str, lock: str) -> Stand | None:
        row = con.execute(
            f"SELECT p.position, p.shape, p.delivery, to_regclass(quote_ident(p.table_name)) "
            f"FROM _lianyun_position p WHERE subscription = %s{lock}".encode(),
            (subscription,),
        ).fetchone()
        # a table that somebody dropped has to be filled anew
        return Stand(row[0], row[1], row[2]) if row and row[3] is not None else None

    def give(
        self,
        taken: Taken,
        parcel: Parcel,
        still: Callable[[], None],
        sent: Callable[[int], None],
        free: Callable[[int], None],
    ) -> Receipt:
        """Bring a parcel in one transaction with its position; a parcel that is there changes nothing."""
        with self._open() as con:
            con.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 71))", (parcel.subscription,)
            )
            con.execute(_POSITION.encode())
            stand = self._stand(con, parcel.subscription, " FOR UPDATE")
            there = (stand.position, stand.shape) if stand else None
            if not taken.full and there == (parcel.upto, parcel.shape):
                return Receipt()
            if not taken.full and (stand is None or stand.position != parcel.stood):
                raise ReceiverError("接收库的位置在传送时改变了，将重新核对后再送", away=True)
            fresh = self._table(con, taken, parcel, ours=self._known(con, parcel))
            place, size = quote(parcel.table), 0
            free(0)
            if fresh and taken.full:
                size = self._copy(con, taken, taken.rows, place, taken.columns, still)
            else:
                size = self._merge(con, taken, place, still, free)
            con.execute(
                _NOTE,
                (parcel.subscription, parcel.number, parcel.upto, parcel.shape, parcel.table),
            )
            still()
        return Receipt(size)

    def _known(self, con: psycopg.Connection[Any], parcel: Parcel) -> bool:
        """Whether the table is one that this subscription made."""
        row = con.execute(
            "SELECT 1 FROM _lianyun_position WHERE subscription = %s AND table_name = %s",
            (parcel.subscription, parcel.table),
        ).fetchone()
        return row is not None

    def _table(
        self, con: psycopg.Connection[Any], taken: Taken, parcel: Parcel, *, ours: bool
    ) -> bool:
        """Make the table or bring its columns up to date; True where it has no rows."""
        place = quote(parcel.table)
        have = dict(
            con.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
                (place,),
            ).fetchall()
        )
        if have and not ours:
            raise ReceiverError(
                f"接收库中已有同名的表“{parcel.table}”，不是本订阅建立的；请改用别的表名",
                final=True,
            )
        wanted = {c.name: postgres_type(c.kind) for c in taken.columns}
        key = con.execute(
            "SELECT array_agg(a.attname::text) FROM pg_index i JOIN pg_attribute a "
            "ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
            "WHERE i.indrelid = to_regclass(%s) AND i.indisprimary",
            (place,),
        ).fetchone()
        if have and set(key[0] or () if key else ()) != set(taken.keys):
            con.execute(f"DROP TABLE {place}".encode())
            have = {}
        if not have:
            body = ", ".join(f"{quote(n)} {t}" for n, t in wanted.items())
            keys = ", ".join(quote(k) for k in taken.keys)
            con.execute(
                f"CREATE TABLE {place} ({body}, PRIMARY KEY ({keys})) "
                f"WITH (fillfactor = {FREE})".encode()
            )
            self._comment(con, taken.columns, parcel)
            return True
        steps = [f"DROP COLUMN {quote(n)}" for n in have if n not in wanted]
        steps += [f"ADD COLUMN {quote(n)} {t}" for n, t in wanted.items() if n not in have]
        steps += [
            f"ALTER COLUMN {quote(n)} TYPE {t} USING NULL"
            for n, t in wanted.items()
            if n in have and not _same(have[n], t)
        ]
        if steps and taken.full:
            con.execute(f"ALTER TABLE {place} {', '.join(steps)}".encode())
        row = con.execute(f"SELECT 1 FROM {place} LIMIT 1".encode()).fetchone()
        return row is None

    def _comment(
        self, con: psycopg.Connection[Any], columns: tuple[Given, ...], parcel: Parcel
    ) -> None:
        def words(text: str) -> str:
            return "'" + text.replace("'", "''").replace("\x00", "") + "'"

        place = quote(parcel.table)
        con.execute(f"COMMENT ON TABLE {place} IS {words(parcel.title)}".encode())
        for column in columns:
            title = parcel.titles.get(column.name, "")
            if title:
                con.execute(
                    f"COMMENT ON COLUMN {place}.{quote(column.name)} IS {words(title)}".encode()
                )

    def _merge(
        self,
        con: psycopg.Connection[Any],
        taken: Taken,
        place: str,
        still: Callable[[], None],
        free: Callable[[int], None],
    ) -> int:
        con.execute(b"SET LOCAL temp_buffers = '64MB'")
        keys = ", ".join(quote(k) for k in taken.keys)
        on = " AND ".join(f"t.{quote(k)} = x.{quote(k)}" for k in taken.keys)
        size = 0
        if taken.deletes:
            con.execute(
                f"CREATE TEMP TABLE _gone ON COMMIT DROP AS SELECT {keys} FROM {place} LIMIT 0".encode()
            )
            size += self._copy(con, taken, taken.gone, "_gone", pump.keys(taken), still)
            con.execute(f"DELETE FROM {place} t USING _gone x WHERE {on}".encode())
        if taken.full:
            size += self._replace(con, taken, place, taken.ordered, still)
            con.execute(b"ANALYZE _come")
            con.execute(
                f"DELETE FROM {place} t WHERE NOT EXISTS (SELECT 1 FROM _come x WHERE {on})".encode()
            )
            return size
        for number, piece in enumerate(taken.pieces):
            free(number)
            size += self._bring(con, taken, piece, place, still)
        return size

    def _bring(
        self,
        con: psycopg.Connection[Any],
        taken: Taken,
        piece: Piece,
        place: str,
        still: Callable[[], None],
    ) -> int:
        size = 0
        if piece.newcomers:
            try:
                with con.transaction():
                    size += self._copy(con, taken, piece.come, place, taken.columns, still)
            except psycopg.errors.UniqueViolation:
                # somebody there has added such rows by hand: ours take their place
                return size + self._replace(con, taken, place, piece.rows, still)
        if piece.others:
            size += self._update(con, taken, piece, place, still)
        return size

    def _update(
        self,
        con: psycopg.Connection[Any],
        taken: Taken,
        piece: Piece,
        place: str,
        still: Callable[[], None],
    ) -> int:
        """Bring rows that the receiver should have; those that somebody removed there come back.

        By key and by the index alone: what it costs grows with the change, not with the table. An
        UPDATE leaves out the lock and the second look of ON CONFLICT.
        """
        on = " AND ".join(f"t.{quote(k)} = x.{quote(k)}" for k in taken.keys)
        listed = ", ".join(quote(c.name) for c in taken.columns)
        sets = ", ".join(f"{quote(c.name)} = x.{quote(c.name)}" for c in taken.columns if not c.key)
        self._empty(con, "_changed", place)
        size = self._copy(con, taken, piece.changed, "_changed", taken.columns, still)
        con.execute(b"SET LOCAL enable_hashjoin = off")
        con.execute(b"SET LOCAL enable_mergejoin = off")
        done = con.execute(f"UPDATE {place} t SET {sets} FROM _changed x WHERE {on}".encode())
        if done.rowcount < piece.others:
            con.execute(
                f"INSERT INTO {place} ({listed}) SELECT {listed} FROM _changed x "
                f"WHERE NOT EXISTS (SELECT 1 FROM {place} t WHERE {on})".encode()
            )
        return size

    def _empty(self, con: psycopg.Connection[Any], name: str, place: str) -> None:
        """A table of this transaction's own without rows, of the shape of another."""
        con.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS {name} (LIKE {place}) ON COMMIT DROP".encode()
        )
        con.execute(f"TRUNCATE {name}".encode())

    def _copy(
        self,
        con: psycopg.Connection[Any],
        taken: Taken,
        sql: str,
        place: str,
        columns: tuple[Given, ...],
        still: Callable[[], None],
    ) -> int:
        """COPY a statement's rows into a table; returns the bytes that went over."""
        listed = ", ".join(quote(c.name) for c in columns)
        size = 0
        with (
            con.cursor() as cursor,
            cursor.copy(f"COPY {place} ({listed}) FROM STDIN (FORMAT csv)".encode()) as copy,
            pump.piped(taken, *_body(columns, sql), self.ahead) as descriptor,
        ):
            for piece in pump.chunks(descriptor, still):
                copy.write(piece)
                size += len(piece)
        return size

    def _replace(
        self,
        con: psycopg.Connection[Any],
        taken: Taken,
        place: str,
        rows: str,
        still: Callable[[], None],
    ) -> int:
        """Bring rows of which nobody knows whether the receiver has them; they stay in `_come`."""
        keys = ", ".join(quote(k) for k in taken.keys)
        self._empty(con, "_come", place)
        size = self._copy(con, taken, rows, "_come", taken.columns, still)
        rest = [c.name for c in taken.columns if not c.key]
        sets = ", ".join(f"{quote(n)} = excluded.{quote(n)}" for n in rest)
        listed = ", ".join(quote(c.name) for c in taken.columns)
        doing = f"UPDATE SET {sets}" if rest else "NOTHING"
        con.execute(
            f"INSERT INTO {place} AS t ({listed}) SELECT {listed} FROM _come "
            f"ON CONFLICT ({keys}) DO {doing}".encode()
        )
        return size


def _body(columns: tuple[Given, ...], sql: str) -> pump.Body:
    """A statement's rows as COPY reads them."""
    shown = ", ".join(
        f"{pump.without(quote(c.name), 'chr(0)', _NOTHING)} AS {quote(c.name)}"
        if c.kind == "VARCHAR"
        else quote(c.name)
        for c in columns
    )
    return (
        f"SELECT {shown} FROM ({sql})",
        f"FORMAT csv, HEADER false, NULLSTR ''{pump.texts(columns)}",
    )


def _same(have: str, wanted: str) -> bool:
    plain = {"timestamp without time zone": "timestamp"}
    return plain.get(have, have).replace("numeric", "decimal") == wanted.replace(
        "numeric", "decimal"
    )


def explained(error: psycopg.Error, database: str) -> ReceiverError:
    """What an officer can do about a receiver's refusal; never shows the password."""
    text = str(error).strip()
    state = error.sqlstate or ""
    low = text.lower()
    if state in ("28P01", "28000") or "password authentication failed" in low:
        return ReceiverError("接收库的用户名或密码不正确，请核对后重新填写")
    if state == "3D000" or ("does not exist" in low and "database" in low):
        return ReceiverError(f"接收库中没有数据库“{database}”")
    if state == "42501":
        return ReceiverError("接收库的账号权限不足，请对方授予建表和读写的权限")
    if state in ("53100", "53200"):
        return ReceiverError("接收库的磁盘或内存不足，请对方清理后再试", away=True)
    if state == "55P03":
        return ReceiverError("接收库的表被别的操作长时间锁住，将稍后再试", away=True)
    if state == "2BP01":
        return ReceiverError(
            "接收库中有视图等对象依赖该表，无法改变表结构，请对方先处理", final=True
        )
    if state[:2] in ("22", "23"):
        return ReceiverError(f"接收库不接受数据：{text.splitlines()[0][:300]}")
    if "timeout" in low or "timed out" in low:
        return ReceiverError("连接接收库超时，请检查网络和防火墙", away=True)
    if "refused" in low:
        return ReceiverError("接收库拒绝连接，请检查端口和数据库服务是否启动", away=True)
    if isinstance(error, psycopg.OperationalError):
        return ReceiverError("与接收库的连接中断，将自动重试", away=True)
    return ReceiverError(f"接收库报错：{text.splitlines()[0][:300] if text else state}")
