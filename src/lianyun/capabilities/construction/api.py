"""Construction's door: register a project, let stages begin, what helps its owner."""

from __future__ import annotations

from .actions import admit_all, ask_agent, note_help, register_project, take_project
from .models import Project

__all__ = [
    "Project",
    "admit_all",
    "ask_agent",
    "note_help",
    "register_project",
    "take_project",
]
