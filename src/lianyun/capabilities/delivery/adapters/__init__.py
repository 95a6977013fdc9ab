"""Adapters: the outside of delivery: the lake's portions, receivers of every kind, secrets, files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import psycopg
from django.conf import settings

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import api as collection
from lianyun.lake import portion
from lianyun.lake.portion import Portion, Taken, take
from lianyun.trust.vault import VaultError

from .. import rules
from ..rules import Parcel, Receipt, ReceiverError, Stand
from . import files
from .files import downloads, write_csv, write_parquet, write_xlsx
from .mariadb import MariaDB
from .postgres import Postgres
from .webhook import Webhook, lines

_SECRET, _SALT = "delivery.secret", "delivery.salt"
_RUN_LOCK = 0x6C79_4401


class Receiver(Protocol):
    """One place that takes parcels."""

    def test(self) -> str:
        """Whether it would take one: a sentence; raises ReceiverError with what is wrong."""

    def stands(self, subscription: str, number: int) -> Stand | None:
        """Where it stands by its own account; None where it keeps none or has nothing."""

    def packing(self, taken: Taken) -> contextlib.AbstractContextManager[None]:
        """While it lasts the parcel may be made ready here; nothing leaves before `give`."""

    def give(
        self,
        taken: Taken,
        parcel: Parcel,
        still: Callable[[], None],
        sent: Callable[[int], None],
        free: Callable[[int], None],
    ) -> Receipt:
        """Hand over a parcel. `still` raises Stopped once nothing more may leave; `sent` notes parts.

        `free` waits until a piece of a change may leave, by its number (-1: the last, and so all).
        """


def sealed(values: Mapping[str, str]) -> str:
    """Credentials of a receiver as they are kept; "" for none."""
    kept = {k: v for k, v in values.items() if v}
    return audit.encrypt(json.dumps(kept).encode(), _SECRET) if kept else ""


def unsealed(text: str) -> dict[str, str]:
    """The credentials again; raises ReceiverError where the installation's key is another one."""
    if not text:
        return {}
    try:
        return dict(json.loads(audit.decrypt(text, _SECRET)))
    except VaultError as error:
        raise ReceiverError(
            "接收方的凭据无法解密（平台密钥已更换），请重新填写", final=True
        ) from error


def sealed_salt(salt: str) -> str:
    """What makes a receiver's opaque keys its own, as it is kept."""
    return audit.encrypt(salt.encode(), _SALT)


def salt_of(text: str) -> str:
    """The salt again."""
    return audit.decrypt(text, _SALT).decode()


def open_receiver(
    kind: str,
    location: str,
    options: Mapping[str, Any],
    secrets: Mapping[str, str],
    *,
    vouched: bool,
) -> Receiver:
    """The receiver behind a subscription; raises ReceiverError where its address cannot be used."""
    user, password = secrets.get("user", ""), secrets.get("password", "")
    match kind:
        case rules.POSTGRESQL:
            return Postgres(location, user, password, str(options.get("schema") or ""), vouched)
        case rules.MYSQL:
            return MariaDB(location, user, password, vouched)
        case rules.WEBHOOK:
            return Webhook(location, secrets.get("key", ""), vouched)
        case rules.FOLDER:
            return files.Files(
                str(options.get("format") or "csv"),
                lambda: contextlib.nullcontext(files.Folder(location)),
            )
        case rules.SFTP:

            @contextlib.contextmanager
            def connected() -> Iterator[files.Store]:
                with files.sftp(
                    location,
                    user,
                    password,
                    secrets.get("private_key", ""),
                    str(options.get("fingerprint") or ""),
                    vouched=vouched,
                ) as (store, _):
                    yield store

            return files.Files(str(options.get("format") or "csv"), connected)
    raise ReceiverError(f"接收方式“{kind}”不由平台推送", final=True)


def positions(told: Portion) -> list[str]:
    """The batches that a receiver may stand at, oldest first."""
    return portion.positions(collection.lake(), told)


def taking(
    told: Portion, since: str = "", upto: str = "", *, shape: str = ""
) -> contextlib.AbstractContextManager[Taken | None]:
    """What is next for a receiver; see `lianyun.lake.portion.take`."""
    return take(collection.lake(), told, since, upto, most=rules.MOST, shape=shape)


@contextlib.contextmanager
def alone(number: int) -> Iterator[bool]:
    """Whether this process is the only one that works on a subscription; the lock dies with it."""
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as holder:
        row = holder.execute(
            "SELECT pg_try_advisory_lock(%s, %s)", (_RUN_LOCK, number % 2_147_483_647)
        ).fetchone()
        yield bool(row and row[0])


__all__ = [
    "Portion",
    "Receiver",
    "Taken",
    "alone",
    "downloads",
    "lines",
    "open_receiver",
    "positions",
    "salt_of",
    "sealed",
    "sealed_salt",
    "taking",
    "unsealed",
    "write_csv",
    "write_parquet",
    "write_xlsx",
]
