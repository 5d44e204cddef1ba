"""Does the comparison find anything? One-line changes of a kernel's maple_tree.c, one by one.

    python tests/campaigns/mutations.py [--kernel 7.3] [--time S] [--arch A,B] [--only NAME,...]

A mutation is a short rule: in which function, which pattern, what instead. It is applied to the
user's copy of the kernel when the campaign runs. Each changed kernel is compared with the emulator
on generated traces, on one machine after the other, until the first difference or until the time
is up. With ``--pairs`` it is compared with itself, without the emulator: on the first machine and
on each other one. The table goes to stdout, as docs/your-kernel.md has it; notes go to stderr.
All mutants that rules can make, by hundreds, are those of mutation_score.py.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from layout.ckernel.build import build
from layout.ckernel.fuzz import Options, fuzz
from layout.ckernel.oracle import Limits
from layout.ckernel.pair import pair_of
from layout.ckernel.source import CODE, HEADER, open_source
from layout.ckernel.versus import versus


@dataclass(frozen=True)
class Mutation:
    """In ``function`` the match number ``which`` of ``pattern`` becomes ``instead``."""

    name: str
    kind: str
    function: str
    pattern: str
    instead: str
    which: int = 0

    def apply(self, code: str) -> str:
        """The changed code. Raises ValueError if the rule does not fit this kernel."""
        start, end = body(code, self.function)
        found = list(re.finditer(self.pattern, code[start:end]))
        if len(found) <= self.which:
            message = f"{self.name}: {self.function} has no {self.pattern}"
            raise ValueError(message)
        match = found[self.which]
        return (
            code[: start + match.start()] + match.expand(self.instead) + code[start + match.end() :]
        )


def body(code: str, function: str) -> tuple[int, int]:
    """Where a function's definition begins and ends."""
    for match in re.finditer(
        rf"^[^\s/*][^;{{}}]*\b{function}\([^;{{}}]*\)\s*\{{", code, re.MULTILINE
    ):
        return match.end(), code.index("\n}", match.end())
    message = f"there is no function {function}"
    raise ValueError(message)


META, GAP, ZERO, PARENT, ONE, ORDER, SCARCE = (
    "forgotten metadata", "gap", "missing zeroing", "wrong parent slot", "off by one",
    "byte order", "allocation",
)  # fmt: skip

OF_6_12 = (
    Mutation("end-not-written", META, "ma_set_meta", r"meta->end = \w+;", ";"),
    Mutation("gap-not-written", META, "ma_set_meta", r"meta->gap = \w+;", ";"),
    Mutation("new-root-without-end", META, "mas_root_expand", r"ma_set_meta\(.*?\);", ";"),
    Mutation("append-without-end", META, "mas_wr_append", r"ma_set_meta\(.*?\);", ";"),
    Mutation("end-in-a-full-leaf", META, "mas_leaf_set_meta", r" - 1\)", ")"),
    Mutation("next-slot-as-parent-slot", PARENT, "mas_set_parent", r"\(slot <<", "((slot + 1) <<"),
    Mutation("right-child-in-left-slot", PARENT, "mas_split_final_node", r"mast->r->offset", "mast->l->offset"),
    Mutation("copy-in-slot-0", PARENT, "mas_copy_node", r"val \|", ""),
    Mutation("popped-node-not-zeroed", ZERO, "mas_pop_node", r"memset\(.*?\);", ";"),
    Mutation("popped-node-zeroed-but-a-word", ZERO, "mas_pop_node", r"sizeof\(\*ret\)", "sizeof(*ret) - sizeof(long)"),
    Mutation("last-slot-not-cleared", ZERO, "mab_mas_cp", r"slots\[\S+\] = NULL;", ";"),
    Mutation("pushed-node-keeps-count", ZERO, "mas_push_node", r"reuse->node_count = 0;", ";"),
    Mutation("bulk-node-keeps-count", ZERO, "mas_alloc_nodes", r"slot\[0\]->node_count = 0;", "slot[0];"),
    Mutation("first-gap-short", ONE, "mas_leaf_max_gap", r"min \+ 1", "min"),
    Mutation("second-gap-skipped", ONE, "mas_leaf_max_gap", r"i = 2;", "i = 3;"),
    Mutation("append-overlaps", ONE, "mas_wr_append", r"index - 1", "index"),
    Mutation("one-pivot-more", ONE, "mas_wr_node_store", r"\(copy_size - 1\)", "copy_size"),
    Mutation("last-pivot-forgotten", ONE, "mas_wr_node_store", r"dst_pivots\[new_end\] = \S+;", ";"),
    Mutation("split-one-later", ONE, "mab_calc_split", r"b_end / 2", "(b_end + 1) / 2"),
    Mutation("three-way-split-later", ONE, "mab_calc_split", r"b_end / 3", "b_end / 3 + 1"),
    Mutation("forward-limit", ONE, "mas_next_slot", r"pivot >= max", "pivot > max"),
    Mutation("backward-limit", ONE, "mas_prev_slot", r"pivot <= min", "pivot < min"),
    Mutation("area-too-long", ONE, "mas_empty_area", r"size - 1;", "size;"),
    Mutation("no-gap-skipped-backwards", ONE, "mas_rev_awalk", r"offset -= 2;", "offset -= 1;"),
    Mutation("later-gap-of-equal-ones", GAP, "ma_max_gap", r"> max_gap", ">= max_gap"),
    Mutation("gap-grown-alone", GAP, "mas_update_gap", r"!= max_gap", "< max_gap"),
    Mutation("gap-closed-unseen", GAP, "mas_wr_slot_store", r" \|\| gap", ""),
    Mutation("spanning-store-one-node-short", SCARCE, "mas_prealloc_calc", r"\* 3 \+ 1", "* 3", which=1),
    Mutation("walk-back-into-child", SCARCE, "mt_free_walk", r"parent_slot \+ 1", "parent_slot"),
    Mutation("dead-without-barrier", SCARCE, "mte_set_node_dead", r"smp_wmb\(\);", ";"),
    Mutation("end-read-as-a-word", ORDER, "ma_meta_end", r"meta->end", "*(unsigned long *)meta"),
    Mutation("metadata-written-as-a-short", ORDER, "ma_set_meta", r"meta->end = end;", "*(unsigned short *)meta = end << 8 | offset;"),
    Mutation("parent-slot-written-as-a-short", ORDER, "mte_destroy_descend", r"node->parent_slot =", "*(unsigned short *)&node->parent_slot ="),
)  # fmt: skip


_GONE = {
    "next-slot-as-parent-slot", "right-child-in-left-slot", "last-slot-not-cleared",
    "pushed-node-keeps-count", "bulk-node-keeps-count", "first-gap-short", "second-gap-skipped",
    "split-one-later", "three-way-split-later", "gap-grown-alone",
}  # fmt: skip
"""Mutations of lines that 7.3 has not, or has in another function."""

OF_7_3 = (
    *(mutation for mutation in OF_6_12 if mutation.name not in _GONE),
    Mutation("next-slot-as-parent-slot", PARENT, "mas_set_parent_slots", r"start_slot \+ i", "start_slot + i + 1"),
    Mutation("parents-of-the-first-child-only", PARENT, "mas_set_parent_slots", r"i < count", "i < 1"),
    Mutation("converged-without-parent", PARENT, "cp_converged", r"cp->dst\[0\]\.node->parent = .*?;", ";"),
    Mutation("slots-not-zeroed", ZERO, "node_finalise", r"memset\(ma_slots.*?\);", ";"),
    Mutation("pivots-not-zeroed", ZERO, "node_finalise", r"memset\(ma_pivots\(node, mt\) \+ end,", "memset(ma_pivots(node, mt) + end + 1,"),
    Mutation("tail-not-zeroed", ZERO, "mas_wr_node_store", r"memset\(dst_pivots \+ clear_from, 0,", "memset(dst_pivots + clear_from, 1,"),
    Mutation("no-end-in-a-node-with-15", META, "node_finalise", r"end <= max_end - 1", "end < max_end - 1"),
    Mutation("first-gap-short", ONE, "ma_leaf_max_gap", r"min \+ 1", "min"),
    Mutation("second-gap-skipped", ONE, "ma_leaf_max_gap", r"i = 2;", "i = 3;"),
    Mutation("split-one-later", ONE, "dst_setup", r"\(cp->data - 1\) / 2", "cp->data / 2"),
    Mutation("three-way-split-later", ONE, "dst_setup", r"\+ 2\) / 3", "+ 3) / 3"),
    Mutation("full-pair-split-early", ONE, "dst_setup", r"cp->data < mt_slots\[mt\] \* 2", "cp->data <= mt_slots[mt] * 2"),
    Mutation("data-one-short", ONE, "cp_data_calc", r"cp->end \+ 1", "cp->end"),
    Mutation("last-pivot-not-copied", ONE, "node_copy", r"d_start \+ size <= mt_pivots", "d_start + size < mt_pivots"),
    Mutation("null-at-a-border", ONE, "cp_data_write", r"!ma_slots\(dst, d_mt\)\[dst_offset - 1\]", "ma_slots(dst, d_mt)[0] == NULL"),
    Mutation("left-sibling-first", ONE, "rebalance_sib", r"sib->offset < sib->end", "!sib->offset"),
    Mutation("null-not-joined", ONE, "mas_extend_spanning_null", r"r_mas->offset\+\+;", ";"),
    Mutation("gap-grown-alone", GAP, "mas_update_gap_known", r"!= gap", "< gap"),
    Mutation("gaps-not-copied", GAP, "node_copy", r"memcpy\(d_gaps, .*?\);", ";"),
    Mutation("node-gap-not-found", GAP, "node_finalise", r"gap_slot = i;", "gap_slot = 0;"),
    Mutation("rebalance-one-node-short", SCARCE, "mas_prealloc_calc", r"sufficient_height\) \* 2 \+ 1", "sufficient_height) * 2"),
    Mutation("single-node-lost", SCARCE, "mas_alloc_nodes", r"kfree\(mas->alloc\);", ";"),
    Mutation("state-kept-after-refusal", SCARCE, "mas_nomem", r"mas_reset\(mas\);", "mas->status = ma_start;"),
    Mutation("meta-of-nodes-as-a-short", ORDER, "ma_set_meta", r"meta->gap = offset;", "*(unsigned short *)&meta->end = end | offset << 8;"),
)  # fmt: skip

MUTATIONS = {"6.12": OF_6_12, "7.3": OF_7_3}


def campaign(
    version: str, arches: list[str], wanted: list[str], seconds: float, *, pairs: bool
) -> None:
    """Print the table's rows, one as soon as it is known."""
    source = open_source(deb=f"linux-source-{version}")
    sys.stderr.write(f"{source}\n")
    heads = [f"{arches[0]}, {other}" for other in arches[1:]] if pairs else arches
    print(f"| mutation | kind | {' | '.join(heads)} |")
    print(f"|---|---|{'---|' * len(heads)}", flush=True)
    for mutation in MUTATIONS[version]:
        if wanted and mutation.name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name in (CODE, HEADER):
                (root / name).parent.mkdir(parents=True)
            shutil.copy(source.header, root / HEADER)
            (root / CODE).write_text(mutation.apply(source.code.read_text()))
            if pairs:
                cells = [pair_cell(root, arches[0], other, seconds) for other in arches[1:]]
            else:
                cells = [cell(root, arch, seconds) for arch in arches]
        print(f"| {mutation.name} | {mutation.kind} | {' | '.join(cells)} |", flush=True)


def cell(root: Path, arch: str, seconds: float) -> str:
    """What one machine shows: the time to find it, and how many operations show it."""
    built = build(open_source(str(root)), arch)
    options = Options(seconds=seconds, jobs=1, shrink_seconds=seconds, stop_at_first=True)
    result = fuzz([built], options, None, lambda _: None)
    shutil.rmtree(built.directory)
    if not result.found:
        return f"not in {result.traces} traces"
    found = result.found[0]
    shown = ", ".join(found.mismatch.name[1:3])
    return f"{found.seconds:.1f} s, {len(found.shrunk)} ({found.mismatch.operation.op}: {shown})"


def pair_cell(root: Path, one: str, other: str, seconds: float) -> str:
    """What two machines show of the same change, without the emulator."""
    builds = [build(open_source(str(root)), arch) for arch in (one, other)]
    limits = Limits(seconds=seconds, shrink_seconds=seconds, stop_at_first=True)
    result = versus([pair_of(*builds, results=False)], limits, None, lambda _: None)
    for built in builds:
        shutil.rmtree(built.directory)
    if not result.found:
        return f"not in {result.traces} traces"
    found = result.found[0]
    operation = found.parting.operation.op
    return f"{result.seconds:.1f} s, {len(found.shrunk)} ({operation}: {found.parting.field})"


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time", type=float, default=10, help="seconds a machine and mutation")
    parser.add_argument("--arch", default="x86_64,s390x")
    parser.add_argument("--only", default="")
    parser.add_argument("--kernel", default="6.12", choices=MUTATIONS)
    parser.add_argument("--pairs", action="store_true", help="without the emulator")
    args = parser.parse_args()
    wanted = [name for name in args.only.split(",") if name]
    campaign(args.kernel, args.arch.split(","), wanted, args.time, pairs=args.pairs)


if __name__ == "__main__":
    main()
