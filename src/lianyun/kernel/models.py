"""Models: the kernel's tables in one place, for Django to find."""

from .access import Membership
from .batch import Batch
from .case import Answer, Case, Numbering, Pause, WorkItem
from .element import Code, CodeList, Element
from .event import Event
from .grant import Grant
from .indicator import Indicator, Measurement
from .party import Party
from .path import Decision, Path
from .resource import Resource, ResourceVersion

__all__ = [
    "Answer",
    "Batch",
    "Case",
    "Code",
    "CodeList",
    "Decision",
    "Element",
    "Event",
    "Grant",
    "Indicator",
    "Measurement",
    "Membership",
    "Numbering",
    "Party",
    "Path",
    "Pause",
    "Resource",
    "ResourceVersion",
    "WorkItem",
]
