"""Actions: every write of seals."""

from .keys import (
    Office,
    adopt_issuer,
    answered,
    ask_higher,
    list_of,
    make_authority,
    office,
    office_of,
)
from .lives import (
    PATH,
    do_step,
    give_back,
    renew_key,
    report_lost,
    request_seal,
    stop_seal,
)
from .uses import Document, File, seal_files, use_seals

__all__ = [
    "PATH",
    "Document",
    "File",
    "Office",
    "adopt_issuer",
    "answered",
    "ask_higher",
    "do_step",
    "give_back",
    "list_of",
    "make_authority",
    "office",
    "office_of",
    "renew_key",
    "report_lost",
    "request_seal",
    "seal_files",
    "stop_seal",
    "use_seals",
]
