"""Command line: `lianyun …`, the door for operators and scripts."""

from __future__ import annotations

import os
import sys


def _manage(arguments: list[str]) -> int:
    from django.core.management import execute_from_command_line

    execute_from_command_line(["lianyun manage", *arguments])
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    from lianyun.project import postgres

    arguments = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lianyun.project.settings")
    if arguments[:1] == ["manage"]:
        postgres.ensure()
        return _manage(arguments[1:])
    if arguments[:1] == ["worker"]:
        import django

        django.setup()
        from lianyun.project import worker

        return worker.main()
    if arguments[:1] == ["up"]:
        from lianyun.project.supervisor import Supervisor

        return Supervisor().run()
    return 2


if __name__ == "__main__":
    sys.exit(main())
