"""``python -m hearth.loader``: a warm pod in a container."""

import sys

from hearth.loader.warm import main

sys.exit(main())
