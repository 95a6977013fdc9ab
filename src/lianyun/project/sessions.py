"""Session: Django's rows, each written once a request, and who a session speaks of, read at once.

Django's own store writes a session three times at a login (an empty row to hold the key, the
caller's, the middleware's) and reads the user, the person and the posts one by one (ADR 0038).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends.db import SessionStore as Rows
from django.db import connection
from django.utils import timezone
from django.utils.crypto import get_random_string

from lianyun.kernel.access import Membership
from lianyun.kernel.party import Party
from lianyun.kernel.rows import together

if TYPE_CHECKING:
    from lianyun.capabilities.identity.models import User

_KEPT = "SELECT session_data FROM django_session WHERE session_key = %s AND expire_date > %s"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class SessionStore(Rows):
    """A session whose row is written when it is saved, and then only where something is new.

    A drawn key (165 random bits) is not looked up first: its row is inserted, so that another's can
    never be taken over.
    """

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self._drawn = False
        self._kept: dict[str, Any] | None = None

    def load(self) -> dict[str, Any]:
        """What the row holds; a session without one begins anew, under another key."""
        with connection.cursor() as cursor:
            cursor.execute(_KEPT, [self.session_key, timezone.now()])
            found = cursor.fetchone()
        if found is None:
            self._session_key = None
            return {}
        return dict(self.decode(found[0]))

    def create(self) -> None:
        """Draw a key; the row follows when the session is saved."""
        self._session_key = get_random_string(32, _LETTERS)
        self._drawn, self._kept = True, None
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Write the row, unless it stands there so already; UpdateError where it was deleted meanwhile."""
        data = self._get_session(no_load=must_create or self._drawn)  # type: ignore[attr-defined]
        if self.session_key is None:  # there was none, or no row of this key
            self.create()
        if self._drawn and not must_create:
            session = self.create_model_instance(data)
            session.save(force_insert=True)
        elif must_create or data != self._kept:
            super().save(must_create=must_create)
        self._drawn, self._kept = False, copy.deepcopy(data)


class Known(ModelBackend):
    """Whom a session speaks of: the login, its person and the person's posts, in one statement."""

    def get_user(self, user_id: Any) -> User | None:
        """The login, if it is open; read anew with each request, never kept beyond it."""
        user = _read(int(user_id))
        return user if user is not None and self.user_can_authenticate(user) else None


def _read(number: int) -> User | None:
    from lianyun.capabilities.identity.api import with_posts
    from lianyun.capabilities.identity.models import User

    found = together(
        ((User, "u"), (Party, "p"), (Membership, "m"), (Party, "d")),
        "FROM identity_user u LEFT JOIN kernel_party p ON p.id = u.party_id"
        " LEFT JOIN kernel_membership m ON m.party_id = p.id"
        " LEFT JOIN kernel_party d ON d.id = m.department_id WHERE u.id = %s ORDER BY m.id",
        [number],
    )
    if not found:
        return None
    user: User = found[0][0]
    user.party = found[0][1]
    posts = [post for _, _, post, _ in found if post is not None]
    for row in found if posts else ():
        row[2].department = row[3]
    return with_posts(user, posts)


__all__ = ["Known", "SessionStore"]
