"""Transfer actions: rows go up as declared uploads and come down under grants, as changes in chunks."""

from .ending import fail_transfer
from .flows import arrange_upload, on_batch_finished, send_due, send_flow, stop_flow
from .receiving import land_transfer, missing_chunks, receive_chunk, take_opening
from .sending import carry_transfer, take_refusal, take_verdict

__all__ = [
    "arrange_upload",
    "carry_transfer",
    "fail_transfer",
    "land_transfer",
    "missing_chunks",
    "on_batch_finished",
    "receive_chunk",
    "send_due",
    "send_flow",
    "stop_flow",
    "take_opening",
    "take_refusal",
    "take_verdict",
]
