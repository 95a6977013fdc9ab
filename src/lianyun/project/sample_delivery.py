"""Sample delivery: a department has a colleague's table brought into its own database.

Through the doors that officers use; a second call leaves it alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg

from lianyun.project import postgres
from lianyun.project.sample_exchange import walk

DATABASE = "lianyun_medical_insurance"
ASKER, DATASET, WHY = "yb", "rs_insured", "职工参保信息比对"
FIELDS = ("citizen_number", "name", "unit_name", "insurance_status")


def bring(officer: Callable[[str], Any]) -> dict[str, Any]:
    """The request, its grant, the receiver and the first parcel; how many rows stand there.

    The receiver is a database of its own on the demo's server, reached by its socket: the operator
    vouches for it, as for any address that is not on the public network.
    """
    from lianyun.capabilities.delivery import api as delivery
    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.models import Grant

    own = postgres.database_url()
    place = urlsplit(own)._replace(path=f"/{DATABASE}").geturl()
    if Grant.objects.filter(resource__name=DATASET, grantee__slug=ASKER).exists():
        return {"rows": 0}
    with psycopg.connect(own, autocommit=True) as con:
        found = con.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if found is None:
            con.execute(f'CREATE DATABASE "{DATABASE}" TEMPLATE template0'.encode())
    grant = walk(ASKER, DATASET, FIELDS, WHY, "feed", officer)
    with psycopg.connect(place) as con:
        info = con.info
        where, user = urlencode({"host": info.host}), info.user
    made = delivery.open_subscription(
        grant=grant,
        kind="postgresql",
        location=f"postgresql:///{DATABASE}?{where}",
        options={"table": "rs_insured"},
        credentials={"user": user},
        vouched=True,
        by=SYSTEM,
    )
    delivery.carry(code=made.code, by=SYSTEM)
    with psycopg.connect(place) as con:
        row = con.execute("SELECT count(*) FROM rs_insured").fetchone()
    return {"rows": row[0] if row else 0}
