"""Adapters: the vault for drafts, the shelf for their files, what the kernel knows of elements."""

from .declared import faults
from .means import declared, form, forms, means
from .shelf import drop as drop_file
from .shelf import get as get_file
from .shelf import put as put_file
from .shelf import seal, unseal

__all__ = [
    "declared",
    "drop_file",
    "faults",
    "form",
    "forms",
    "get_file",
    "means",
    "put_file",
    "seal",
    "unseal",
]
