/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * testcase.c: one test function of TEST_CASE, called TEST_FUNCTION, as lib/test_maple_tree.c
 * would call it. A check that fails is a line of JSON with a fault, and exit status 1.
 */

#include "kernel.h"
#include "report.c"
#include "memory.c"
#include MAPLE_TREE_C
/* one long function: gcc takes minutes to optimise what runs once */
#pragma GCC push_options
#pragma GCC optimize("O0")
#include TEST_CASE
#pragma GCC pop_options

int main(void)
{
	memory_init();
	catch_signals();
	maple_tree_init();
	mt_init_flags(TREE(0), 0);
	operation_name = "test";
	begin_line();
	TEST_FUNCTION(TREE(0));
	run_callbacks();
	if (nodes_allocated != nodes_freed)
		stop_operation("bug", 0, "the test has not freed all nodes");
	return 0;
}
