"""Readers without a lock beside one writer, store by store, in every order that machines allow.

In reading order: :mod:`~layout.interleave.barriers` has the kernel's barriers and the machines'
memory orders; :mod:`~layout.interleave.stores` records the stores of operations and
:mod:`~layout.interleave.windows` says which lines of a trace are recorded together;
:mod:`~layout.interleave.view` is the memory of a reader, who sees some of them;
:mod:`~layout.interleave.readers` has the kernel's read operations, load by load;
:mod:`~layout.interleave.programs` says what readers do and :mod:`~layout.interleave.judge` what
they may see; :mod:`~layout.interleave.search` carries all of it out.

Not to be taken for :mod:`layout.defects.interleave`, which runs whole steps in every order.
"""
