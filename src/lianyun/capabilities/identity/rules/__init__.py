"""Rules: what may enter, how surely a person is known, who may act for whom; all pure."""

from .login import *  # noqa: F403
from .notices import *  # noqa: F403
from .otp import *  # noqa: F403
from .proof import *  # noqa: F403
