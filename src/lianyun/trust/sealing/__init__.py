"""Sealing: a PDF signed with a visible seal (PAdES B-LT), or an OFD; and what a sealed file proves.

PAdES: ETSI EN 319 142-1. Everything needed later (certificates, status, lists) is written into the
document before it is signed, so that one revision holds it all and no network is asked.
"""

from .check import Mark, NotPdf, Problem, Verdict, check_pdf
from .ofd import NotOfd, check_ofd, sign_ofd
from .sign import CannotSign, Evidence, SealImage, Signer, sign_pdf

__all__ = [
    "CannotSign",
    "Evidence",
    "Mark",
    "NotOfd",
    "NotPdf",
    "Problem",
    "SealImage",
    "Signer",
    "Verdict",
    "check_ofd",
    "check_pdf",
    "sign_ofd",
    "sign_pdf",
]
