"""``python -m mikroroom``: the command, where its script is not on the path."""

import sys

from mikroroom.cli import main

sys.exit(main())
