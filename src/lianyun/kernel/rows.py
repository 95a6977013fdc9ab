"""Rows: what is written most, as plain SQL: a few rows in one INSERT, very many in one stream (COPY)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
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


@cache
def _shape(model: type[models.Model], numbered: bool) -> tuple[str, list[tuple[str, bool]]]:
    fields = [f for f in model._meta.concrete_fields if numbered or not f.primary_key]
    listed = ", ".join(f'"{f.column}"' for f in fields)
    told = [(f.attname, isinstance(f, models.JSONField)) for f in fields]
    return f'INSERT INTO "{model._meta.db_table}" ({listed}) VALUES', told


def inserting(rows: Sequence[models.Model], *, numbered: bool = False) -> tuple[str, list[Any]]:
    """The text and the values of one INSERT of rows of one table; `numbered`: with their own numbers."""
    begin, fields = _shape(type(rows[0]), numbered)
    places = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * len(rows))
    values = [
        json.dumps(value) if spelled and value is not None else value
        for row in rows
        for name, spelled in fields
        for value in (getattr(row, name),)
    ]
    return f"{begin} {places}", values


@cache
def _columns(model: type[models.Model], table: str) -> tuple[list[str], str, list[int]]:
    fields = model._meta.concrete_fields
    listed = ", ".join(f'{table}."{f.column}"' for f in fields)
    spelled = [n for n, f in enumerate(fields) if isinstance(f, models.JSONField)]
    return [f.attname for f in fields], listed, spelled


def together(
    parts: Sequence[tuple[type[models.Model], str]], rest: str, values: Sequence[Any]
) -> list[list[Any]]:
    """Rows of several tables read in one statement, each part as its model's object.

    `parts` are models with the alias of their table in `rest`, all that follows the list of columns.
    None stands where a left join found nothing. For what is read most: Django's own way costs more.
    """
    told = [(model, *_columns(model, table)) for model, table in parts]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(listed for _, _, listed, _ in told)} {rest}", values)
        found = cursor.fetchall()
    out: list[list[Any]] = []
    for row in found:
        at, made = 0, list[Any]()
        for model, names, _, spelled in told:
            part = list(row[at : at + len(names)])
            at += len(names)
            for n in spelled:
                part[n] = json.loads(part[n]) if isinstance(part[n], str) else part[n]
            missing = part[0] is None
            made.append(None if missing else model.from_db(connection.alias, names, part))
        out.append(made)
    return out


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


__all__ = ["inserting", "numbers", "pour", "together"]
