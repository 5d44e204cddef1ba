"""``python -m layout.compiled.translate [EXTENSION]``: prints the text that is compiled."""

import sys

from layout.compiled import TABLES
from layout.compiled.translate import Refused, module

try:
    print(module(TABLES[sys.argv[1] if sys.argv[1:] else "_core"]))
except Refused as why:
    sys.exit(str(why))
