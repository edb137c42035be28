"""``python -m hearth.cli``: the ``hearth`` command where no script of that name is installed."""

from hearth.cli.root import main

main()
