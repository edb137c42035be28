"""The ``hearth`` command: a client of the API, and the way to start the platform's processes.

Start with ``root.main``. Each command is a module in ``commands``, imported when it is used; heavy
imports are inside the functions that need them, so that ``hearth list`` starts at once. What a
command decides is in ``core``. Errors become one sentence and an exit code (``errors``).
"""

from hearth.cli.root import main

__all__ = ["main"]
