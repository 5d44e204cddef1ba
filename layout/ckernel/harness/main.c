/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c: one program out of the kernel's maple_tree.c and the harness around it.
 *
 *   harness [SECONDS [sums] [stay]] < OPERATIONS > TRANSCRIPT
 *
 * An operation is its line in the trace, its name and hex numbers, as execute.py writes them: all
 * arguments are there. Without a line it stands in the next one. SECONDS of processor time are what one operation may take; with "sums" a
 * line has a checksum of the memory after it. With "stay" an empty line ends a trace: the program
 * answers with one, forgets all, and waits for the next trace. Exit status:
 * 0; 1 if a validate failed or the run ended in a fault, which the last line tells; 2 for an
 * operation that this kernel does not have; 3 if the machine has too little memory.
 *
 * It is one translation unit because static functions of maple_tree.c are called.
 */

#include "kernel.h"
#include "report.c"
#include "memory.c"
#include MAPLE_TREE_C
#include "operations.c"

enum { MOST_ARGUMENTS = 8 };

static const struct operation *find_operation(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
		if (!strcmp(operations[i].name, name))
			return &operations[i];
	fprintf(stderr, "line %lu: this kernel has no %s\n", line_number, name);
	return NULL;
}

static void begin_trace(void)
{
	for (unsigned int k = 0; k < TREES; k++)
		mt_init_flags(TREE(k), 0);
	tree = TREE(0);
	memset(&cursor, 0, sizeof(cursor));
	/* the checks of maple_tree.h count, and a failed one prints how many passed */
	maple_tree_tests_run.counter = maple_tree_tests_passed.counter = 0;
}

static void end_trace(void)
{
	keep_coverage(); /* before the answer: who reads it may look at once */
	make_room(&out, 1);
	out.bytes[out.length++] = '\n';
	flush(out.length);
	out.length = line_number = 0;
	memory_reset();
	begin_trace();
}

int main(int argc, char **argv)
{
	bool stays = false;
	char line[1024];

	if (argc > 1)
		seconds_for_operation = atoi(argv[1]);
	for (int i = 2; i < argc; i++) {
		with_sums |= !strcmp(argv[i], "sums");
		stays |= !strcmp(argv[i], "stay");
	}
	memory_init();
	catch_signals();
	maple_tree_init();
	begin_trace();
	while (fgets(line, sizeof(line), stdin)) {
		word arguments[MOST_ARGUMENTS] = { 0 };
		const struct operation *operation;
		char *at, *name;
		size_t length;

		if (stays && *line == '\n') {
			end_trace();
			continue;
		}
		line_number++;
		at = line;
		if (*line >= '0' && *line <= '9')
			line_number = strtoul(line, &at, 10);
		name = at + strspn(at, " ");
		length = strcspn(name, " \n");
		at = name + length;
		if (*at)
			*at++ = 0;
		for (size_t i = 0; i < MOST_ARGUMENTS && *at && *at != '\n'; i++)
			arguments[i] = strtoul(at, &at, 16);
		operation = find_operation(name);
		if (!operation) {
			flush(out.length);
			return 2;
		}
		run_operation(operation, arguments);
	}
	flush(out.length);
	return failed ? 1 : 0;
}
