/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes of traces for libFuzzer: lines come, go and are repeated, arguments move to places that
 * the trace has used. What an operation takes is in its declaration, which table.h has; here is
 * only what is likely to matter to a tree.
 */

static u64 random_state;

static word random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dULL;
}

static word below(word limit) { return (random_word() >> 16) % limit; }
static bool one_in(word number) { return !below(number); }

/* -- arguments */

/* An index that the trace has used, or 0. */
static word used_index(void)
{
	for (int tries = 0; steps_length && tries < 8; tries++) {
		const struct step *step = &steps[below(steps_length)];
		size_t i = step->given ? below(step->given) : 0;

		if (step->given && step->operation->arguments[i] == 'i')
			return step->arguments[i];
	}
	return 0;
}

static word an_index(void)
{
	switch (below(12)) {
	case 0: return below(0x200);
	case 1: return below(4) ? below(2) : ULONG_MAX - below(2);
	case 2: return ULONG_MAX - below(0x800);
	case 3: return random_word() >> below(BITS_PER_LONG);
	case 4: return used_index() + (1UL << below(BITS_PER_LONG));
	case 5: return used_index() - (1UL << below(12));
	case 6: return used_index() / 2 + used_index() / 2;
	case 7: return used_index() + below(0x40);
	default: return used_index() + below(3) - 1;
	}
}

static word an_entry(void)
{
	static const word odd[] = { 0x406, 0x1006, ULONG_MAX, ULONG_MAX - 3, 2, 6, 0x102 };

	if (one_in(24))
		return odd[below(ARRAY_SIZE(odd))];
	return one_in(4) ? 0 : one_in(2) ? 2 * below(0x1000) + 1 : (1 + below(0x1000)) << 12;
}

static word a_count(void)
{
	switch (below(6)) {
	case 0: return below(0x400);
	case 1: return used_index();
	case 2: return 1UL << below(BITS_PER_LONG);
	default: return below(0x18);
	}
}

static word an_argument(char kind)
{
	static const word flags[] = { 0, 1, 2, 3, 1, 3, 0x300, 0x301, 0x303 };

	switch (kind) {
	case 'i': return an_index();
	case 'e': return an_entry();
	case 'c': return a_count();
	case 't': return below(3);
	case 'f': return flags[below(ARRAY_SIZE(flags))];
	case 's': return below(2);
	case 'a': return NODE_BASE + NODE_BYTES * below(0x20);
	default: return one_in(2) ? below(0x20) : below(0x100);
	}
}

/* Ranges are two indexes side by side, the first not above the last. */
static void put_in_order(struct step *step)
{
	const char *kinds = step->operation->arguments;

	for (size_t i = 0; i + 1 < step->given; i++) {
		word *a = &step->arguments[i];

		if (kinds[i] == 'i' && kinds[i + 1] == 'i' && a[0] > a[1] && !one_in(16))
			swap(a[0], a[1]);
	}
}

static void choose_arguments(struct step *step)
{
	const char *kinds = step->operation->arguments;
	word *a = step->arguments;

	step->given = strlen(kinds);
	if (step->given > step->operation->required && one_in(2))
		step->given = step->operation->required;
	for (size_t i = 0; i < step->given; i++) {
		a[i] = an_argument(kinds[i]);
		if (i && kinds[i] == 'i' && kinds[i - 1] == 'i' && !one_in(3))
			a[i] = a[i - 1] + (one_in(3) ? below(0x1000) : below(0x18));
	}
	if (is_failure(step->operation))
		a[0] = one_in(6) ? ULONG_MAX : below(0x20), a[1] = below(3);
	if (!strcmp(step->operation->name, "poke"))
		a[1] = below(NODE_BYTES);
	if (!strcmp(step->operation->name, "bulk")) {
		a[1] = one_in(3) ? below(MOST_BULK) : below(0x200);
		a[0] = one_in(4) ? a[1] + below(0x40) : a[1];
		a[2] = one_in(2) ? 0 : below(0x1000);
		a[3] = 1UL << below(13);
		a[4] = one_in(2) ? 1 : 1 + below(a[3]);
		a[5] = one_in(2) ? 1 : 0x1000;
	}
	put_in_order(step);
}

static void choose_step(struct step *step)
{
	do
		step->operation = &operations[below(ARRAY_SIZE(operations))];
	while (step->operation->run == op_not_here || !strcmp(step->operation->name, "memdump") || !strcmp(step->operation->name, "dump") ||
	       !strcmp(step->operation->name, "treemem") ||
	       (!strcmp(step->operation->name, "poke") && !one_in(4)));
	choose_arguments(step);
}

/* -- lines */

static void open_gap(size_t at, size_t count)
{
	count = min(count, MOST_STEPS - steps_length);
	memmove(&steps[at + count], &steps[at], (steps_length - at) * sizeof(*steps));
	steps_length += count;
}

static void take_out(size_t at, size_t count)
{
	memmove(&steps[at], &steps[at + count], (steps_length - at - count) * sizeof(*steps));
	steps_length -= count;
}

/* Entries side by side, one after the other or each before the last: leaves fill and split. */
static void insert_row(size_t at)
{
	static const char *const names[] = { "store", "store", "insert", "mstore", "prealloc" };
	const char *name = names[below(ARRAY_SIZE(names))];
	size_t count = min(4 + below(one_in(4) ? 200 : 24), MOST_STEPS - steps_length);
	word first = an_index(), step = 1 + below(one_in(2) ? 4 : 0x1000), length = 1 + below(step);
	bool falling = one_in(3);

	open_gap(at, count);
	for (size_t i = 0; i < count; i++) {
		struct step *new = &steps[at + i];

		new->operation = operation_named(name, strlen(name));
		new->given = 3;
		new->arguments[0] = first + (falling ? -i : i) * step;
		new->arguments[1] = max(new->arguments[0], new->arguments[0] + length - 1);
		new->arguments[2] = 2 * i + 1;
	}
}

/* Some erases, or stores of NULL, side by side: nodes become too empty. */
static void insert_hole(size_t at)
{
	size_t count = min(2 + below(24), MOST_STEPS - steps_length);
	word first = used_index(), step = 1 + below(one_in(2) ? 4 : 0x1000);

	open_gap(at, count);
	for (size_t i = 0; i < count; i++) {
		struct step *new = &steps[at + i];

		new->operation = operation_named("erase", 5);
		new->given = 1;
		new->arguments[0] = first + i * step;
	}
}

static void mutate_once(void)
{
	size_t at = steps_length ? below(steps_length) : 0, count;
	struct step *step = &steps[at];

	switch (steps_length ? below(16) : 0) {
	case 0: case 1: case 2:
		if (steps_length == MOST_STEPS)
			return;
		at = below(steps_length + 1);
		open_gap(at, 1);
		choose_step(&steps[at]);
		return;
	case 3:
		take_out(at, 1);
		return;
	case 4:
		take_out(at, min(steps_length - at, 1 + below(32)));
		return;
	case 5:
		insert_row(at);
		return;
	case 6:
		insert_hole(at);
		return;
	case 7: {	/* the same lines again */
		size_t to = below(steps_length + 1);
		static struct step kept[64];

		count = min(min(steps_length - at, 1 + below(ARRAY_SIZE(kept))),
			    MOST_STEPS - steps_length);
		memcpy(kept, step, count * sizeof(*kept));
		open_gap(to, count);
		memcpy(&steps[to], kept, count * sizeof(*kept));
		return;
	}
	case 8: {	/* refuse what the next line asks for */
		static const char *const names[] = { "fail", "failnw" };
		const char *name = names[below(2)];

		if (steps_length == MOST_STEPS)
			return;
		open_gap(at, 1);
		step->operation = operation_named(name, strlen(name));
		step->given = one_in(4) ? 1 : 2;
		step->arguments[0] = below(one_in(3) ? 40 : 5);
		step->arguments[1] = below(4);
		return;
	}
	case 9: {	/* another operation with the same arguments */
		const struct operation *other = &operations[below(ARRAY_SIZE(operations))];

		if (!strcmp(other->arguments, step->operation->arguments))
			step->operation = other;
		return;
	}
	case 10:	/* two lines change places */
		swap(steps[at], steps[below(steps_length)]);
		return;
	default:
		if (!step->given)
			return;
		count = below(step->given);
		if (one_in(3))
			step->arguments[count] += below(5) - 2;
		else
			step->arguments[count] = an_argument(step->operation->arguments[count]);
		put_in_order(step);
		return;
	}
}

static size_t print_steps(uint8_t *data, size_t most)
{
	size_t length = 0;

	for (size_t i = 0; i < steps_length; i++) {
		char line[LONGEST_LINE];
		size_t more = print_step(line, &steps[i]);

		if (length + more > most)
			break;
		memcpy(data + length, line, more);
		length += more;
	}
	return length;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed)
{
	random_state = seed * 0x9e3779b97f4a7c15ULL | 1;
	random_word();
	read_steps(data, size);
	for (word times = 1 + below(one_in(3) ? 8 : 2); times; times--)
		mutate_once();
	return print_steps(data, most);
}

/* The beginning of one trace and the end of another. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
		size_t size2, uint8_t *to, size_t most, unsigned int seed)
{
	static struct step kept[MOST_STEPS];
	size_t length;

	random_state = seed * 0x9e3779b97f4a7c15ULL | 1;
	random_word();
	read_steps(data1, size1);
	length = below(steps_length + 1);
	memcpy(kept, steps, length * sizeof(*kept));
	read_steps(data2, size2);
	if (steps_length)
		take_out(0, below(steps_length));
	steps_length = min(steps_length, MOST_STEPS - length);
	memmove(&steps[length], steps, steps_length * sizeof(*steps));
	memcpy(steps, kept, length * sizeof(*kept));
	steps_length += length;
	return print_steps(to, most);
}

#pragma clang attribute pop
