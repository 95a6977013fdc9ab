"""Adapters: the vault for drafts, the shelf for their files, what the kernel knows of elements."""

from .declared import faults, faults_of
from .means import codes, declared, form, form_of, forms, frozen_at_opening, means, world
from .shelf import drop as drop_file
from .shelf import get as get_file
from .shelf import put as put_file
from .shelf import seal, unseal

__all__ = [
    "codes",
    "declared",
    "drop_file",
    "faults",
    "faults_of",
    "form",
    "form_of",
    "forms",
    "frozen_at_opening",
    "get_file",
    "means",
    "put_file",
    "seal",
    "unseal",
    "world",
]
