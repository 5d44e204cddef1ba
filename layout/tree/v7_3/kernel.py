"""Linux 7.3's maple tree code: a table of what is not as in 7.2."""

from __future__ import annotations

from typing import ClassVar

from layout.tree.v7_2.kernel import Kernel72
from layout.tree.v7_3 import write


class Kernel73(Kernel72):
    """Linux 7.3's maple tree code at work on one machine's memory."""

    version: ClassVar[str] = "7.3"

    # -- write
    seam_store_type_in_leaf = write.seam_store_type_in_leaf
    seam_first_overwritten = write.seam_first_overwritten
    mas_update_gap_known = write.mas_update_gap_known
    seam_gap_of_replaced = write.seam_gap_of_replaced
    mas_set_parent_slots = write.mas_set_parent_slots
    mas_adopt_children = write.mas_adopt_children
    mas_nomem = write.mas_nomem
    mas_nomem_nofail = write.mas_nomem_nofail
    mas_erase = write.mas_erase
