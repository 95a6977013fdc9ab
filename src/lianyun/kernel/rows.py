"""Rows: very many rows of one table, written in one stream (COPY), their numbers given beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models


def numbers(model: type[models.Model], count: int) -> list[int]:
    """So many new numbers for rows of a table; numbers that are not used leave a gap."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [model._meta.db_table, count],
        )
        return [int(row[0]) for row in cursor.fetchall()]


def pour(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows of these columns (fields' attnames, JSON as text) in the current transaction.

    A field that is not among them gets its default, the same in all rows. Like bulk_create it sends
    no signals; a constraint that is broken raises IntegrityError and nothing is written.
    """
    rest = [
        field
        for field in model._meta.concrete_fields
        if field.attname not in columns and not field.primary_key
    ]
    blank = model()
    constant = tuple(
        field.get_db_prep_save(field.pre_save(blank, True), connection) for field in rest
    )
    named = {f.attname: str(f.column) for f in model._meta.concrete_fields}
    quote = connection.ops.quote_name
    listed = ", ".join(quote(named[c]) for c in (*columns, *(field.attname for field in rest)))
    into = f"COPY {quote(model._meta.db_table)} ({listed}) FROM STDIN"
    wrapped = connection.wrap_database_errors
    with wrapped, connection.cursor() as cursor, cursor.copy(into) as stream:
        for row in rows:
            stream.write_row((*row, *constant))


__all__ = ["numbers", "pour"]
