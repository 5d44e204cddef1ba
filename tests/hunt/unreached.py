"""The lines of maple_tree.c that no trace executes, by the reason, and what shows the reason.

A reason is a rule about the conditions around a line. Some rules rest on what a search in the source
shows; the others are belief, and say so.
"""

import re
from collections import Counter

DEAD = "A second thread would have to change the tree between two reads of one operation"
TYPE = "No writer makes a node of the type `maple_dense`, or of one that does not exist"
UNCALLED = "No operation of a trace calls it"
FRESH = "The harness calls it with new states alone"
DECIMAL = "`mt_dump()` in decimal; `mtdump` asks for hexadecimal"
TESTS = "For the kernel's own tests in user space: no operation calls it"
NO_PIVOTS = "`validate` stops before: it has read the pivots of a dense node, which are at NULL"
STOPPED = "The harness ends `validate` at the first check that fails"
CHECK = "Belief: a check of this code itself would have to fail first"
ASKED = "Belief: the same was asked before, or cannot come to be"
OPEN = "Not reached yet"

SHOWN = (DEAD, TYPE, UNCALLED, FRESH, DECIMAL, TESTS, NO_PIVOTS, STOPPED)
BELIEVED = (CHECK, ASKED)
REASONS = (*SHOWN, *BELIEVED, OPEN)

READS_AGAIN = re.compile(
    r"(?:if|while) \(.*(?:dead_node\(|mas_rewalk_if_dead\(|mas_ascend\(|mas_(?:next|prev)_node\(|"
    r"a_node == p_node|p_node != mte_parent\()"
)
STARTED_AGAIN = re.compile(r"if \((?:!entry && )?(?:unlikely\()?mas_is_start\(&?mas\)\)?\)( \{)?$")
"""A walk leaves its state at the start where it has met a dead node."""

WRITERS = {"mte_set_node_dead", "rcu_assign_pointer"}
"""What a write calls before a node is dead or another one takes its place."""

BELIEF = {
    CHECK: {
        "mas_dump": "case ",
        "mas_wr_dump": "",
        "mas_prealloc_calc": "case wr_invalid:",
        "mas_wr_store_entry": "case wr_invalid:",
        "mas_wr_store_type": "",
        "spanning_sib": "",
    },
    ASKED: {
        "mas_alloc_nodes": "",
        "mas_ascend": r"if \(ma_is_root\(a_node\)\)",
        "mas_empty_area": r"if \(unlikely\(offset == MAPLE_NODE_SLOTS\)\)",
        "mas_empty_area_rev": "if ",
        "mas_extend_spanning_null": "",
        "mas_next_entry": r"if \(mas->last >= limit\)",
        "mas_next_setup": r"after switch \(mas->status\)",
        "mas_next_slot": r"if \((mas->last >= max|WARN_ON_ONCE\(mas_is_overflow)",
        "mas_parent_type": r"if \(WARN_ON\(p_type & MAPLE_PARENT_ROOT\)\)",
        "mas_pop_node": "if ",
        "mas_prev_node": r"if \((max < min|ma_is_root\(node\))\)",
        "mas_prev_slot": r"if \((mas->index <= min|WARN_ON_ONCE\(mas_is_underflow)",
        "mas_push_node": r"if \(requested > 1\)",
        "mas_set_parent": "case maple_leaf_64:",
        "mast_overflow": "if ",
        "mt_clear_meta": "if ",
        "mt_find": r"if \(MT_WARN_ON\(",
        "mte_mid_split_check": "",
        "mte_parent_slot": r"if \(unlikely\(val & MA_ROOT_PARENT\)\)",
    },
}
"""Functions, and conditions in them, of lines that are believed to be out of reach."""


def damaged(source):
    """What is there to look at damage: traces call ``validate`` and ``mtdump`` after a ``poke``."""
    return source.reached_from("mt_validate", "mt_dump")


def never_called(source, *others):
    """The functions that neither this file nor the other texts name but where they are defined."""
    named = Counter(re.findall(r"\b[a-z_]\w+\b", "\n".join([*source.lines, *others])))
    return {name for name in source.bodies if named[name] == len(source.makes(name))}


def reason(source, name, number, uncalled):
    """Why a line of a function is not reached."""
    around = source.guard(name, number)
    first = around[0] if around else ""
    text = source.lines[number].strip()
    again = STARTED_AGAIN.match(first) and text.startswith("goto retry;")
    dead = again or READS_AGAIN.match(first) or "dead_node" in first or text == "dead_node:"
    dense = any("ma_is_dense(" in each or "maple_dense" in each for each in around)
    untyped = re.match(r"default:|after switch \((?:type|mt|p_type)\)", first)
    started = any(each.startswith("not if (mas_is_start(mas))") for each in around)
    prepared = name == "mas_store" and any("MA_STATE_PREALLOC" in each for each in around)
    believed = [why for why in BELIEVED if re.match(BELIEF[why].get(name, r"\Z."), first)]
    # that may leave a state at the start
    activates = name == "mas_next_setup" and "mas_may_activate" in source.calls[name]
    rules = (
        (name in uncalled, TESTS if source.is_for_tests(name) else UNCALLED),
        (any("mt_dump_dec" in each for each in around), DECIMAL),
        (dead, OPEN if WRITERS & source.reached_from(name) else DEAD),
        (name == "mas_validate_gaps" and (dense or text == "counted:"), NO_PIVOTS),
        (name == "mt_validate" and first.startswith("if (MAS_WARN_ON("), STOPPED),
        (dense or untyped, OPEN if name in damaged(source) else TYPE),
        (started or source.is_else_of(number, "mas_is_start(mas)") or prepared, FRESH),
        (believed and not activates, (*believed, OPEN)[0]),
    )
    return next((why for holds, why in rules if holds), OPEN)


def classify(source, missed, *others):
    """The functions and how many of their lines, by reason. ``missed`` has line numbers."""
    uncalled = never_called(source, *others)
    found = {why: Counter() for why in REASONS}
    for name, numbers in missed.items():
        for number in numbers:
            found[reason(source, name, number, uncalled)][name] += 1
    return found
