"""``python -m layout``: the command maple-layout."""

import sys

from _maple_layout import main

if __name__ == "__main__":
    sys.exit(main())
