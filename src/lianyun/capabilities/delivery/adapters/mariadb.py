"""MariaDB or MySQL as a receiver: the granted rows in a table of its own, position in the same commit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pymysql

from lianyun.lake.portion import Given, Taken
from lianyun.lake.shelves import quote as quoted

from .. import rules
from ..rules import Parcel, Receipt, ReceiverError, Stand
from . import hosts, pump

_POSITION = (
    "CREATE TABLE IF NOT EXISTS `_lianyun_position` (subscription varchar(60) PRIMARY KEY, "
    "delivery bigint NOT NULL, position varchar(200) NOT NULL, shape varchar(16) NOT NULL, "
    "table_name varchar(64) NOT NULL, taken_at datetime(6) NOT NULL) "
    "ENGINE=InnoDB CHARACTER SET utf8mb4"
)
_NOTE = "REPLACE INTO `_lianyun_position` VALUES (%s, %s, %s, %s, %s, NOW(6))"
_TYPES = {
    "BIGINT": "bigint",
    "INTEGER": "int",
    "UBIGINT": "bigint unsigned",
    "DOUBLE": "double",
    "DATE": "date",
    "TIMESTAMP": "datetime(6)",
    "BOOLEAN": "tinyint(1)",
}
ROWS = 1_000
"""Rows of one INSERT where the server takes no files from clients."""


def _name(identifier: str) -> str:
    return "`" + identifier.replace("`", "``") + "`"


class MariaDB:
    """A department's MariaDB (or MySQL 8); the account needs all rights on its own database."""

    def __init__(self, location: str, user: str, password: str, vouched: bool) -> None:
        self.parts = rules.split_location(location)
        self.user, self.password, self.vouched = user, password, vouched
        self.files = True
        self.exact = "utf8mb4_bin"
        self.ahead: pump.Ahead | None = None

    @contextlib.contextmanager
    def packing(self, taken: Taken) -> Iterator[None]:
        """See Receiver: what has changed is written aside."""
        bodies = [_body(pump.keys(taken), taken.gone)] if taken.deletes and not taken.full else []
        bodies += [_body(taken.columns, p.rows) for p in taken.pieces if p.newcomers or p.others]
        self.ahead = pump.Ahead(taken, bodies)
        try:
            yield
        finally:
            self.ahead.close()

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        """A cursor in autocommit; `give` opens its transaction itself."""
        host, port = self.parts.hostname or "", self.parts.port or 3306
        address = hosts.address_of(host, port, vouched=self.vouched)
        database = self.parts.path.lstrip("/")
        if not database:
            raise ReceiverError("地址中必须写明数据库名，如 mysql://主机:3306/数据库", final=True)
        try:
            con = pymysql.connect(
                host=address,
                port=port,
                user=self.user,
                password=self.password,
                database=database,
                charset="utf8mb4",
                connect_timeout=10,
                read_timeout=600,
                write_timeout=600,
                local_infile=True,
                autocommit=True,
                init_command="SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ZERO_DATE,"
                "NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO', time_zone='+08:00', "
                "innodb_lock_wait_timeout=60",
            )
        except pymysql.Error as error:
            raise explained(error, database) from error
        try:
            with con.cursor() as cursor:
                cursor.execute("SELECT VERSION(), @@local_infile")
                version, files = cursor.fetchone()
                self.files = bool(files)
                self.exact = "utf8mb4_nopad_bin" if "MariaDB" in version else "utf8mb4_0900_bin"
                self.version = str(version)
                yield cursor
        except pymysql.Error as error:
            raise explained(error, database) from error
        finally:
            con.close()

    def test(self) -> str:
        """Connect and see whether a table can be made; nothing stays."""
        with self._open() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE `_lianyun_test` (a int)")
            cursor.execute("DROP TEMPORARY TABLE `_lianyun_test`")
            version = self.version
        return f"连接成功：{version[:40]}，可以建表写入"

    def stands(self, subscription: str, number: int) -> Stand | None:
        """What the receiver's own table says; None where it has not taken anything."""
        with self._open() as cursor:
            cursor.execute("SHOW TABLES LIKE '\\_lianyun\\_position'")
            return self._stand(cursor, subscription, "") if cursor.fetchone() else None

    def _stand(self, cursor: Any, subscription: str, lock: str) -> Stand | None:
        cursor.execute(
            "SELECT position, shape, delivery, (SELECT count(*) FROM information_schema.tables t "
            "WHERE t.table_schema = DATABASE() AND t.table_name = p.table_name) "
            f"FROM `_lianyun_position` p WHERE subscription = %s{lock}",
            (subscription,),
        )
        row = cursor.fetchone()
        return Stand(row[0], row[1], int(row[2])) if row and row[3] and row[0] else None

    def give(
        self,
        taken: Taken,
        parcel: Parcel,
        still: Callable[[], None],
        sent: Callable[[int], None],
        free: Callable[[int], None],
    ) -> Receipt:
        """Bring a parcel in one transaction with its position; a parcel that is there changes nothing."""
        with self._open() as cursor:
            # a connection that has just been cut off may hold it for a moment longer
            cursor.execute("SELECT GET_LOCK(%s, 5)", (f"lianyun:{parcel.subscription}"[:64],))
            if not cursor.fetchone()[0]:
                raise ReceiverError("另一个进程正在向该接收库传送，将稍后再试", away=True)
            cursor.execute(_POSITION)
            fresh = self._table(cursor, taken, parcel)
            cursor.execute("START TRANSACTION")
            try:
                stand = self._stand(cursor, parcel.subscription, " FOR UPDATE")
                there = (stand.position, stand.shape) if stand else None
                if not taken.full and there == (parcel.upto, parcel.shape):
                    return Receipt()
                if not taken.full and (stand is None or stand.position != parcel.stood):
                    raise ReceiverError("接收库的位置在传送时改变了，将重新核对后再送", away=True)
                size = self._fill(cursor, taken, parcel, fresh, still, free)
                cursor.execute(
                    _NOTE,
                    (parcel.subscription, parcel.number, parcel.upto, parcel.shape, parcel.table),
                )
                still()
                cursor.execute("COMMIT")
                return Receipt(size)
            except BaseException:
                with contextlib.suppress(pymysql.Error, OSError):
                    cursor.execute("ROLLBACK")
                raise

    def _kind(self, column: Given, keys: int) -> str:
        if column.kind.startswith("DECIMAL"):
            return column.kind.lower()
        if column.kind in _TYPES:
            return _TYPES[column.kind] + (" NOT NULL" if column.key else "")
        if column.key:
            wide = min(255, 760 // keys)
            return f"varchar({wide}) CHARACTER SET utf8mb4 COLLATE {self.exact} NOT NULL"
        return "longtext CHARACTER SET utf8mb4"

    def _table(self, cursor: Any, taken: Taken, parcel: Parcel) -> bool:
        """Make the table or bring its columns up to date; True where it has no rows.

        DDL commits by itself here, so the subscription is written down as the table's maker first,
        with an empty position that asks for everything.
        """
        place = _name(parcel.table)
        cursor.execute(
            "SELECT column_name, data_type, column_key FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name = %s",
            (parcel.table,),
        )
        have = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
        cursor.execute(
            "SELECT 1 FROM `_lianyun_position` WHERE subscription = %s AND table_name = %s",
            (parcel.subscription, parcel.table),
        )
        if have and cursor.fetchone() is None:
            raise ReceiverError(
                f"接收库中已有同名的表“{parcel.table}”，不是本订阅建立的；请改用别的表名",
                final=True,
            )
        wanted = {c.name: self._kind(c, len(taken.keys)) for c in taken.columns}
        keys = {n for n, (_, key) in have.items() if key == "PRI"}
        steps = [f"DROP COLUMN {_name(n)}" for n in have if n not in wanted]
        steps += [f"ADD COLUMN {_name(n)} {t}" for n, t in wanted.items() if n not in have]
        steps += [
            f"MODIFY COLUMN {_name(n)} {t}"
            for n, t in wanted.items()
            if n in have and t.split("(")[0].split(" ")[0] != have[n][0]
        ]
        if not have or (steps and taken.full):
            cursor.execute(_NOTE, (parcel.subscription, 0, "", "", parcel.table))
        if have and (keys != set(taken.keys) or (steps and taken.full)):
            if keys != set(taken.keys) or any(s.startswith("MODIFY") for s in steps):
                cursor.execute(f"DROP TABLE {place}")
                have = {}
            else:
                cursor.execute(f"ALTER TABLE {place} {', '.join(steps)}")
        if not have:
            body = ", ".join(
                f"{_name(n)} {t} COMMENT {_words(cursor, parcel.titles.get(n, ''))}"
                for n, t in wanted.items()
            )
            listed = ", ".join(_name(k) for k in taken.keys)
            cursor.execute(
                f"CREATE TABLE {place} ({body}, PRIMARY KEY ({listed})) ENGINE=InnoDB "
                f"CHARACTER SET utf8mb4 COMMENT {_words(cursor, parcel.title)}"
            )
            return True
        cursor.execute(f"SELECT 1 FROM {place} LIMIT 1")
        return cursor.fetchone() is None

    def _fill(
        self,
        cursor: Any,
        taken: Taken,
        parcel: Parcel,
        fresh: bool,
        still: Callable[[], None],
        free: Callable[[int], None],
    ) -> int:
        place = _name(parcel.table)
        on = " AND ".join(f"t.{_name(k)} = x.{_name(k)}" for k in taken.keys)
        keys = pump.keys(taken)
        body = ", ".join(f"{_name(c.name)} {self._kind(c, len(keys))}" for c in keys)
        primary = ", ".join(_name(c.name) for c in keys)
        size = 0
        free(0)
        if taken.deletes:
            cursor.execute(f"CREATE TEMPORARY TABLE `_gone` ({body}, PRIMARY KEY ({primary}))")
            size += self._load(cursor, taken, taken.gone, "`_gone`", keys, still)
            leaving = f"DELETE t FROM {place} t JOIN `_gone` x ON {on}"
            cursor.execute(leaving)
        for number, piece in enumerate(taken.pieces):
            free(number)
            if piece.newcomers or piece.others:
                size += self._load(cursor, taken, piece.rows, place, taken.columns, still)
        if taken.full and taken.upserts:
            size += self._load(cursor, taken, taken.ordered, place, taken.columns, still)
        if taken.full and not fresh:
            cursor.execute(f"CREATE TEMPORARY TABLE `_stay` ({body}, PRIMARY KEY ({primary}))")
            listed = ", ".join(quoted(c.name) for c in keys)
            sql = f"SELECT {listed} FROM ({taken.ordered})"
            size += self._load(cursor, taken, sql, "`_stay`", keys, still)
            first = _name(keys[0].name)
            leaving = f"DELETE t FROM {place} t LEFT JOIN `_stay` x ON {on} WHERE x.{first} IS NULL"
            cursor.execute(leaving)
        return size

    def _load(
        self,
        cursor: Any,
        taken: Taken,
        sql: str,
        place: str,
        columns: tuple[Given, ...],
        still: Callable[[], None],
    ) -> int:
        """Bring a statement's rows into a table, replacing those of the same key."""
        if self.files:
            return self._load_file(cursor, taken, sql, place, columns, still)
        if self.ahead is not None:
            self.ahead.wait()
        listed = ", ".join(_name(c.name) for c in columns)
        slots = ", ".join(["%s"] * len(columns))
        size = 0
        for batch in taken.batches(sql, ROWS):
            still()
            rows = [tuple(row.values()) for row in batch.to_pylist()]
            cursor.executemany(f"REPLACE INTO {place} ({listed}) VALUES ({slots})", rows)
            size += batch.nbytes
        return size

    def _load_file(
        self,
        cursor: Any,
        taken: Taken,
        sql: str,
        place: str,
        columns: tuple[Given, ...],
        still: Callable[[], None],
    ) -> int:
        listed = ", ".join(_name(c.name) for c in columns)
        with pump.piped(taken, *_body(columns, sql), self.ahead) as descriptor:
            still()
            # REPLACE, because without it a LOCAL file's bad values would pass as warnings
            cursor.execute(
                f"LOAD DATA LOCAL INFILE '/dev/fd/{descriptor}' REPLACE INTO TABLE {place} "
                "CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' "
                f"ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({listed})"
            )
            still()
        cursor.execute("SHOW COUNT(*) WARNINGS")
        if cursor.fetchone()[0]:
            cursor.execute("SHOW WARNINGS LIMIT 1")
            told = cursor.fetchone()
            raise ReceiverError(f"接收库不能原样保存数据：{str(told[2])[:200]}")
        return 0


def _body(columns: tuple[Given, ...], sql: str) -> pump.Body:
    """A statement's rows as LOAD DATA reads them."""
    shown = ", ".join(f"{_text(c)} AS {quoted(c.name)}" for c in columns)
    return (
        f"SELECT {shown} FROM ({sql})",
        f"FORMAT csv, HEADER false, NULLSTR '\\N'{pump.texts(columns)}",
    )


def _text(column: Given) -> str:
    """SQL of a value as LOAD DATA reads it."""
    if column.kind == "VARCHAR":
        return pump.without(quoted(column.name), "'\\'", "'\\\\'")
    if column.kind == "BOOLEAN":
        return f"CAST({quoted(column.name)} AS INTEGER)"
    return quoted(column.name)


def _words(cursor: Any, text: str) -> str:
    return str(cursor.connection.escape(text[:200]))


def explained(error: pymysql.Error, database: str) -> ReceiverError:
    """What an officer can do about a receiver's refusal; never shows the password."""
    number = error.args[0] if error.args else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    match number:
        case 1045 | 1698:
            return ReceiverError("接收库的用户名或密码不正确，请核对后重新填写")
        case 1049:
            return ReceiverError(f"接收库中没有数据库“{database}”")
        case 1044 | 1142 | 1227 | 1370:
            return ReceiverError("接收库的账号权限不足，请对方授予建表和读写的权限")
        case 1021 | 1114 | 3 | 28:
            return ReceiverError("接收库的磁盘空间不足，请对方清理后再试", away=True)
        case 1205 | 1213:
            return ReceiverError("接收库的表被别的操作锁住，将稍后再试", away=True)
        case 2003:
            if "timed out" in text:
                return ReceiverError("连接接收库超时，请检查网络和防火墙", away=True)
            return ReceiverError("接收库拒绝连接，请检查端口和数据库服务是否启动", away=True)
        case 2006 | 2013 | 2014 | 1053 | 1317 | 0:
            return ReceiverError("与接收库的连接中断，将自动重试", away=True)
        case 1264 | 1265 | 1292 | 1366 | 1406 | 1048 | 1062:
            return ReceiverError(f"接收库不接受数据：{text[:300]}")
    return ReceiverError(f"接收库报错：{text[:300]}")
