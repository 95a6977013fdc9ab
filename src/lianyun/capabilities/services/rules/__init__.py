"""Rules of a data service: what a call may look like, how a secret is kept, what an answer contains."""

from __future__ import annotations

from .calls import MAXIMUM_ROWS, BadCall, chosen_lookup, decoded, split_path, split_query
from .credentials import new_client_id, new_secret, secret_hash, split_token
from .fields import IDENTITY_CHECKS, Field, json_type, lookups_of, masks_of, sample_of, schema_of

__all__ = [
    "IDENTITY_CHECKS",
    "MAXIMUM_ROWS",
    "BadCall",
    "Field",
    "chosen_lookup",
    "decoded",
    "json_type",
    "lookups_of",
    "masks_of",
    "new_client_id",
    "new_secret",
    "sample_of",
    "schema_of",
    "secret_hash",
    "split_path",
    "split_query",
    "split_token",
]
