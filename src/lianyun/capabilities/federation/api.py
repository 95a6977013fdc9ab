"""Federation's door: draw up a service over departments' own databases."""

from __future__ import annotations

from .actions import draw_up
from .rules import Chosen, Drawing

__all__ = ["Chosen", "Drawing", "draw_up"]
