"""Door: one ASGI application for the web server, with a short way for data services.

``/api/data/`` and event streams go to a bare ASGI application of the services capability,
where a request costs a fraction of Django's own handler; everything else is Django as WSGI
in a pool of threads behind a bridge (its ASGI handler costs 4-6 ms a request).
"""

from __future__ import annotations

import gc
import os
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from lianyun.project.bridge import Bridge, Receive, Scope, Send

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lianyun.project.settings")
FAST = "lianyun.capabilities.services.fast"
FAST_PATHS = ("/api/data/", "/api/stream/", "/api/oauth/", "/api/receipts/")

django_application: Any = get_wsgi_application()
_slow = Bridge(django_application, int(os.environ.get("LIANYUN_WEB_THREADS", "8")))


def _fast_application() -> Application | None:
    parent = FAST.rpartition(".")[0]
    if find_spec(parent) is None or find_spec(FAST) is None:
        return None
    found: Application = import_module(FAST).app
    return found


_fast = _fast_application()
# All pages are loaded before the first one is asked for; what is loaded stays, so it is not
# searched for garbage again and again.
import_module(settings.ROOT_URLCONF).remember_paths()
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 20)


async def _lifespan(receive: Receive, send: Send) -> None:
    """For servers that ask: nothing to open here, so always ready."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Send each request its way."""
    if scope["type"] == "http":
        if _fast is not None and scope["path"].startswith(FAST_PATHS):
            await _fast(scope, receive, send)
        else:
            await _slow(scope, receive, send)
    elif scope["type"] == "lifespan":
        if _fast is not None:
            await _fast(scope, receive, send)
        else:
            await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
