"""Actions: approve what may speak, choose to listen, evaluate in bulk, answer an offer, claim a subsidy."""

from .approving import on_packs_installed, propose_declared, stop_rule, work_rule
from .choosing import on_account_erased, switch_off, switch_on
from .claiming import claim, dispute, look_at_policies, work_claim
from .evaluating import evaluate, on_batch_finished, on_library_built, sweep
from .own import dismiss, look, note_answers, open_offer

__all__ = [
    "claim",
    "dismiss",
    "dispute",
    "evaluate",
    "look",
    "look_at_policies",
    "note_answers",
    "on_account_erased",
    "on_batch_finished",
    "on_library_built",
    "on_packs_installed",
    "open_offer",
    "propose_declared",
    "stop_rule",
    "sweep",
    "switch_off",
    "switch_on",
    "work_claim",
    "work_rule",
]
