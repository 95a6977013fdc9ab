"""Rules of a data service: what a call may look like, how a secret is kept, what an answer contains."""

from __future__ import annotations

from .calls import (
    MAXIMUM_ROWS,
    Address,
    Asked,
    BadCall,
    asked_rows,
    chosen_lookup,
    decoded,
    split_path,
    split_query,
    version_of,
)
from .credentials import TRIAL, new_client_id, new_secret, new_trial_id, secret_hash, split_token
from .fields import IDENTITY_CHECKS, Field, json_type, lookups_of, masks_of, sample_of, schema_of
from .kinds import KINDS, OPERATIONS, RESULTS, TRIES, VERBS, Design, operations_of, trial_terms

__all__ = [
    "IDENTITY_CHECKS",
    "KINDS",
    "MAXIMUM_ROWS",
    "OPERATIONS",
    "RESULTS",
    "TRIAL",
    "TRIES",
    "VERBS",
    "Address",
    "Asked",
    "BadCall",
    "Design",
    "Field",
    "asked_rows",
    "chosen_lookup",
    "decoded",
    "json_type",
    "lookups_of",
    "masks_of",
    "new_client_id",
    "new_secret",
    "new_trial_id",
    "operations_of",
    "sample_of",
    "schema_of",
    "secret_hash",
    "split_path",
    "split_query",
    "split_token",
    "trial_terms",
    "version_of",
]
