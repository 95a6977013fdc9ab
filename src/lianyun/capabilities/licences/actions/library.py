"""Library: licences born here flow as rows into the licences library, what changed since the last time."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.collection import api as collection
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Batch

from ..adapters import sheets
from ..queries import rows

OVERLAP = dt.timedelta(minutes=2)
"""So much is sent again: who was writing while the last rows were read is not left out."""


def tell_library(*, by: Actor) -> Batch | None:
    """Send what was issued, changed or ended here since the last batch; None where nothing was.

    Rows that came from a register are not sent: the register's own rows stand in the library. The
    batch wakes the library, which builds what it touches. May be run as often as one likes.
    """
    last = rows.last_told(by)
    told = list(rows.changed(by, last - OVERLAP if last else None))
    if not told:
        return None
    with tempfile.TemporaryDirectory(prefix="licences-") as folder:
        file = sheets.written(told, Path(folder) / "dz_licences.csv")
        batch = collection.load_file(rows.DATASET, file, mode="incremental", by=by)
    audit.record_reading(
        by=by,
        resource="电子证照库",
        people=[row["holder_number"] for row in told],
        purpose="电子证照归入基础库",
    )
    return batch


__all__ = ["tell_library"]
