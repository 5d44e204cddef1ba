/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guided.c: the harness as a libFuzzer target. An input is a trace, as text; all inputs run in one
 * process, so all that a run has changed is put back before the next one.
 *
 * What a caller may not do is left out, by rules that look at the state: see may_run(). An operation
 * that ends in a BUG, a signal or an endless loop ends its input. With TIDY in the environment,
 * the lines that were carried out are printed, after a line "#"; of those that came to no end only
 * what ends so on every machine.
 */

#define GUIDED
#define MOST_NODES 0x8000UL

/* what is counted are the kernel's lines alone */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)
#include "kernel.h"
#include "report.c"
#include "memory.c"
#pragma clang attribute pop
#include MAPLE_TREE_C
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)
#include "operations.c"

enum { MOST_ARGUMENTS = 8, MOST_STEPS = 1000, LONGEST_LINE = 160, MOST_BULK = 6000 };

struct step {
	const struct operation *operation;
	size_t given;
	word arguments[MOST_ARGUMENTS];
};

static struct step steps[MOST_STEPS];
static size_t steps_length;

/* -- text */

static bool is_failure(const struct operation *operation)
{
	return !strncmp(operation->name, "fail", 4);
}

static const struct operation *operation_named(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
		if (strlen(operations[i].name) == length && !memcmp(operations[i].name, name, length))
			return &operations[i];
	return NULL;
}

static bool read_word(const char *text, size_t length, word *value)
{
	*value = 0;
	if (length == 1 && *text == '-')
		return *value = ULONG_MAX, true;
	if (length == 2 && !memcmp(text, "on", 2))
		return *value = 1, true;
	if (length == 3 && !memcmp(text, "off", 3))
		return true;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];
		int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (digit < 0)
			return false;
		*value = *value << 4 | digit;
	}
	return length <= sizeof(word) * 2;
}

/* The next word of a line; its length is 0 at the line's end. */
static size_t next_word(const char **at, const char *end)
{
	size_t length = 0;

	while (*at < end && **at == ' ')
		++*at;
	while (*at + length < end && (*at)[length] != ' ')
		length++;
	return length;
}

static void read_line(const char *at, const char *end)
{
	size_t length = next_word(&at, end);
	struct step *step = &steps[steps_length];

	step->operation = operation_named(at, length);
	if (!step->operation)
		return;
	memset(step->arguments, 0, sizeof(step->arguments));
	at += length;
	for (step->given = 0; step->given < strlen(step->operation->arguments); at += length) {
		length = next_word(&at, end);
		if (!length || !read_word(at, length, &step->arguments[step->given]))
			break;
		step->given++;
	}
	steps_length += step->given >= step->operation->required;
}

/* Lines that are no operation are passed over. */
static void read_steps(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;

	for (steps_length = 0; at < end && steps_length < MOST_STEPS;) {
		const char *stop = memchr(at, '\n', end - at);

		if (!stop)
			stop = end;
		read_line(at, stop);
		at = stop + 1;
	}
}

static size_t print_step(char *line, const struct step *step)
{
	size_t length = sprintf(line, "%s", step->operation->name);

	for (size_t i = 0; i < step->given; i++) {
		word value = step->arguments[i];

		if (step->operation->arguments[i] == 's')
			length += sprintf(line + length, value ? " on" : " off");
		else if (!i && is_failure(step->operation) && value == ULONG_MAX)
			return length + sprintf(line + length, " -\n");
		else
			length += sprintf(line + length, " %lx", value);
	}
	return length + sprintf(line + length, "\n");
}

/* -- one input */

static bool cursor_set, damaged;

/* A cursor in a read section may look at a tree in RCU mode that others have changed. */
static enum { FRESH, MAY_READ, STALE } cursor_is;

static void forget_everything(void)
{
	memset((void *)NODE_BASE, 0, nodes_allocated * NODE_BYTES);
	memset(freed, 0, nodes_allocated);
	nodes_allocated = nodes_freed = queue_length = readers = 0;
	memset(&refusal, 0, sizeof(refusal));
	memset(&cursor, 0, sizeof(cursor));
	memset((void *)TREE_BASE, 0, TREES * TREE_STRIDE);
	for (unsigned int k = 0; k < TREES; k++)
		mt_init_flags(TREE(k), 0);
	tree = TREE(0);
	cursor_set = damaged = checks_may_fail = failed = false;
	cursor_is = FRESH;
	out.length = calls.length = frees.length = messages.length = 0;
}

/*
 * A state that left the tree before it was in a node is of no use until 7.2, and an error ends all
 * but steps.
 */
static bool cursor_needs_reset(const struct operation *next)
{
	if (next->run == op_creset)
		return false;
#if defined(HAVE_STATUS) && !defined(HAVE_MAPLE_COPY)
	word node = (word)cursor.node;

	if ((cursor.status == ma_overflow || cursor.status == ma_underflow) &&
	    (!node || node > -0x4000UL))
		return true;
#endif
	return cursor_is == STALE || (cursor_is == MAY_READ && next->kind == CHANGES) ||
	       (IS_ERROR(&cursor) && (next->kind == CHANGES || !*next->arguments));
}

static bool is_look(const char *name)
{
	return !strcmp(name, "validate") || !strcmp(name, "mtdump");
}

static bool may_run(const struct step *step)
{
	const char *name = step->operation->name;
	const word *a = step->arguments;

	if (step->operation->on_cursor && !cursor_set)
		return false;
	if (damaged && step->operation->run != op_init && step->operation->run != op_poke)
		return is_look(name);	/* only what is made for broken trees may look at them */
	if (!strcmp(name, "dump") || !strcmp(name, "memdump") || !strcmp(name, "treemem"))
		return false;	/* the harness's own */
	if (!strcmp(name, "rcu_unlock"))
		return readers;
	if (!strcmp(name, "prealloc"))	/* other stores look themselves */
		return a[0] <= a[1];
	if (!strcmp(name, "cstore"))
		return cursor.index <= cursor.last;
	if (!strcmp(name, "bulk"))
		return a[1] <= MOST_BULK && a[0] <= 2 * MOST_BULK;
	if (!strcmp(name, "expect_raw"))
		return a[0] <= 2 * MOST_BULK;
	if (!strcmp(name, "poke"))
		return a[0] >= NODE_BASE && a[1] < NODE_BYTES && a[2] < 256 &&
		       a[0] - NODE_BASE < nodes_allocated * NODE_BYTES &&
		       !(a[0] % NODE_BYTES) && !freed[(a[0] - NODE_BASE) / NODE_BYTES];
	for (size_t i = 0; i < step->given; i++)
		if (step->operation->arguments[i] == 't' && a[i] >= TREES)
			return false;
	return true;
}

static void note_cursor(const struct operation *operation, bool by_rcu)
{
	if (operation->run == op_cset || operation->run == op_creset || operation->run == op_cpause)
		cursor_is = FRESH;
	else if (operation->on_cursor || cursor_is == STALE)
		return;
	else if (!by_rcu || !readers || operation->run == op_init)
		cursor_is = operation->kind == CHANGES ? STALE : cursor_is;
	else if (operation->kind == CHANGES && operation->run != op_rcu_unlock)
		cursor_is = MAY_READ;
}

static void run_step(const struct step *step)
{
	word arguments[MOST_ARGUMENTS];
	bool by_rcu = readers && cursor_set && mt_in_rcu(cursor.tree);

	memcpy(arguments, step->arguments, sizeof(arguments));
	/* as main.c gets them */
	if (is_failure(step->operation))
		arguments[1] = step->given > 1 ? arguments[1] + 1 : 0;
	else if (step->operation->run == op_cset && step->given == 1)
		arguments[1] = arguments[0];
	out.length = 0;
	run_operation(step->operation, arguments);
	if (step->operation->run == op_cset)
		cursor_set = true;
	note_cursor(step->operation, by_rcu && mt_in_rcu(cursor.tree));
	if (step->operation->run == op_poke)
		damaged = true;
	else if (step->operation->run == op_init)
		damaged = false;
}

static void print_done(const struct step *step)
{
	char line[LONGEST_LINE];

	if (getenv("TIDY"))
		fwrite(line, 1, print_step(line, step), stdout);
}

/* Not a loop, which takes long, and not a wild address, at which anything may lie. */
static bool ends_so_everywhere(void)
{
	return !strcmp(ended_by, "bug") || !strcmp(ended_by, "null") ||
	       !strcmp(ended_by, "double free");
}

static void start_once(void)
{
	static bool started;

	if (started)
		return;
	started = true;
	memory_init();
	catch_signals();
	maple_tree_init();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct itimerval limit = { .it_value.tv_usec = 200000 }, none;
	static volatile size_t at;

	start_once();
	forget_everything();
	read_steps(data, size);
	if (getenv("TIDY"))
		puts("#");
	ended_by = "";
	setitimer(ITIMER_PROF, &limit, NULL);
	in_input = true;
	if (!sigsetjmp(input_exit, 1)) {
		for (at = 0; at < steps_length; at++) {
			static struct step reset = { .given = 0 };

			if (!may_run(&steps[at]))
				continue;
			if (steps[at].operation->on_cursor && cursor_needs_reset(steps[at].operation)) {
				reset.operation = operation_named("creset", 6);
				run_step(&reset);
				print_done(&reset);
			}
			run_step(&steps[at]);
			print_done(&steps[at]);
		}
	} else if (ends_so_everywhere()) {
		print_done(&steps[at]);
	}
	in_input = false;
	setitimer(ITIMER_PROF, &none, NULL);
	if (getenv("TIDY"))
		fflush(stdout);
	return 0;
}

#include "mutate.c"
