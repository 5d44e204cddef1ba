/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines of JSON, one an operation, and what may end an operation early: a BUG, a signal, an
 * endless loop. A line is put together in memory and counts only once it is whole, so that a
 * crash loses nothing of what was before it.
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/time.h>
#include <unistd.h>

struct text {
	char *bytes;
	size_t length, room;
};

enum { FLUSH_AT = 1 << 20 };

static struct text out;		/* lines that are done, and the one in the making */
static size_t line_start;	/* where that one begins */
static struct text messages;	/* what the kernel printed during this operation */
static unsigned long warnings;
static char last_warning[256];
static unsigned long line_number;
static const char *operation_name = "";
static bool checks_may_fail;	/* in mt_validate: a failed check ends it, not the run */
static sigjmp_buf check_exit;
static unsigned int seconds_for_operation = 10;

static void give_up(const char *why)
{
	fprintf(stderr, "line %lu: %s\n", line_number, why);
	exit(3);
}

static void make_room(struct text *text, size_t more)
{
	if (text->length + more < text->room)
		return;
	text->room = 2 * (text->length + more) + 4096;
	text->bytes = realloc(text->bytes, text->room);
	if (!text->bytes)
		give_up("no memory for the output");
}

static void append_digits(struct text *text, unsigned long long value, unsigned int base)
{
	char digits[24], *at = digits + sizeof(digits);

	do {
		*--at = "0123456789abcdef"[base == 16 ? value & 15 : value % 10];
		value = base == 16 ? value >> 4 : value / 10;
	} while (value);
	memcpy(text->bytes + text->length, at, digits + sizeof(digits) - at);
	text->length += digits + sizeof(digits) - at;
}

/*
 * What nearly all lines are made of; printf takes many times as long under qemu. False, and
 * nothing is appended, where the format has anything else.
 */
static bool append_plain(struct text *text, const char *format, va_list list)
{
	size_t start = text->length;

	for (; *format; format++) {
		unsigned long long value;
		const char *string;
		int wide = 0;

		make_room(text, 32);
		if (*format != '%') {
			text->bytes[text->length++] = *format;
			continue;
		}
		for (format++; *format == 'l' || *format == 'z'; format++)
			wide++;
		if (*format == 's' && !wide) {
			string = va_arg(list, const char *) ?: "(null)";
			make_room(text, strlen(string) + 32);
			memcpy(text->bytes + text->length, string, strlen(string));
			text->length += strlen(string);
		} else if (*format == 'c' && !wide) {
			text->bytes[text->length++] = va_arg(list, int);
		} else if (*format == 'x' || *format == 'u') {
			value = wide > 1 ? va_arg(list, unsigned long long) :
				wide ? va_arg(list, unsigned long) : va_arg(list, unsigned int);
			append_digits(text, value, *format == 'x' ? 16 : 10);
		} else if (*format == 'd' && !wide) {
			int number = va_arg(list, int);

			if (number < 0)
				text->bytes[text->length++] = '-';
			append_digits(text, number < 0 ? -(long long)number : number, 10);
		} else {
			text->length = start;
			return false;
		}
	}
	make_room(text, 1);
	text->bytes[text->length] = 0;
	return true;
}

static void append_list(struct text *text, const char *format, va_list list)
{
	va_list again;
	int length;

	va_copy(again, list);
	if (append_plain(text, format, again)) {
		va_end(again);
		return;
	}
	va_end(again);
	va_copy(again, list);
	length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	make_room(text, length + 1);
	text->length += vsnprintf(text->bytes + text->length, length + 1, format, list);
}

__attribute__((format(printf, 2, 3)))
static void append(struct text *text, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	append_list(text, format, list);
	va_end(list);
}

#define say(...) append(&out, __VA_ARGS__)

static void say_string(const struct text *text)
{
	say("\"");
	for (size_t i = 0; i < text->length; i++) {
		unsigned char c = text->bytes[i];

		if (c == '"' || c == '\\')
			say("\\%c", c);
		else if (c < ' ')
			say("\\u%04x", c);
		else
			say("%c", c);
	}
	say("\"");
}

static void say_bytes(const char *key, const void *memory, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *byte = memory;

	say(",\"%s\":\"", key);
	make_room(&out, 2 * size + 1);
	for (size_t i = 0; i < size; i++) {
		out.bytes[out.length++] = digits[byte[i] >> 4];
		out.bytes[out.length++] = digits[byte[i] & 15];
	}
	say("\"");
}

static void flush(size_t length)
{
	for (size_t at = 0; at < length;) {
		ssize_t done = write(STDOUT_FILENO, out.bytes + at, length - at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			_exit(4);	/* nobody reads any more */
		at += done;
	}
}

static void begin_line(void)
{
	struct itimerval limit = { .it_value.tv_sec = seconds_for_operation };

	messages.length = 0;
	warnings = 0;
	line_start = out.length;
	say("{\"n\":%lu,\"op\":\"%s\"", line_number, operation_name);
	setitimer(ITIMER_PROF, &limit, NULL);
}

static void end_line(void)
{
	if (warnings)
		say(",\"warn\":%lu,\"warn_last\":\"%s\"", warnings, last_warning);
	if (messages.length) {
		say(",\"printk\":");
		say_string(&messages);
	}
	say("}\n");
	if (out.length >= FLUSH_AT) {
		flush(out.length);
		out.length = 0;
	}
}

static void keep_coverage(void)
{
#ifdef KEEP_COVERAGE
	void __gcov_dump(void), __gcov_reset(void);
	__gcov_dump();
	__gcov_reset();
#endif
}

/* The operation's line says why it ended, and the run ends with it. */
__attribute__((noreturn))
static void stop_operation(const char *kind, unsigned long address, const char *what)
{
	out.length = line_start;
	say("{\"n\":%lu,\"op\":\"%s\"", line_number, operation_name);
	say(",\"fault\":{\"kind\":\"%s\",\"address\":\"%lx\",\"message\":\"%s\",\"operation\":\"%s\"}",
	    kind, address, what, operation_name);
	end_line();
	flush(out.length);
	keep_coverage();
	_exit(1);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	unsigned long address = (unsigned long)info->si_addr;
	char what[80];

	if (number == SIGPROF) {
		snprintf(what, sizeof(what), "still running after %u s", seconds_for_operation);
		stop_operation("livelock", 0, what);
	}
	snprintf(what, sizeof(what), "signal %d (%s)", number,
		 number == SIGSEGV ? "SIGSEGV" : number == SIGBUS ? "SIGBUS" :
		 number == SIGABRT ? "SIGABRT" : number == SIGILL ? "SIGILL" :
		 number == SIGFPE ? "SIGFPE" : "SIGTRAP");
	if (number == SIGBUS)
		stop_operation("misaligned", address, what);
	if (number == SIGSEGV && info->si_code == SI_KERNEL)	/* no address: it is not canonical */
		stop_operation("unmapped", 0, what);
	if (number == SIGSEGV)
		stop_operation(address < 4096 ? "null" : "unmapped", address, what);
	stop_operation("bug", 0, what);
}

static void catch_signals(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGPROF };
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t stack = { .ss_size = 256 << 10 };

	stack.ss_sp = malloc(stack.ss_size);	/* the kernel's code may have used up the stack */
	if (!stack.ss_sp || sigaltstack(&stack, NULL))
		give_up("no stack for signals");
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &action, NULL);
}

/* -- what the kernel's code calls */

static void kernel_log(const char *format, ...)
{
	char changed[1024], *to = changed;
	va_list list;

	/* %p as the kernel prints it: all digits */
	for (; *format && to < changed + sizeof(changed) - 16; format++) {
		if (format[0] == '%' && format[1] == 'p') {
			to += sprintf(to, "%%0%zulx", 2 * sizeof(void *));
			format++;
			if (format[1] == 'x')	/* %px: the same, with a promise */
				format++;
		} else {
			*to++ = *format;
		}
	}
	*to = 0;
	va_start(list, format);
	append_list(&messages, changed, list);
	va_end(list);
}

static void kernel_warn(const char *function, int line, const char *condition)
{
	size_t length = 0;

	warnings++;
	for (; condition[length] && condition[length] != '"' && condition[length] != '\\'; length++)
		;
	snprintf(last_warning, sizeof(last_warning), "%s:%d %.*s", function, line, (int)length, condition);
}

static void kernel_bug(const char *function, int line, const char *condition)
{
	char what[128];

	snprintf(what, sizeof(what), "BUG at %s:%d", function, line);
	stop_operation("bug", 0, what);
}

/* A failed check of maple_tree.h has said "WARN at" or "BUG at" before it comes here. */
static void check_failed(const char *function, int line)
{
	bool warning = false;

	if (checks_may_fail)
		siglongjmp(check_exit, 1);
	append(&messages, "%s", "");
	for (const char *at = messages.bytes; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, "WARN at ", 8))
			warning = true;
		else if (!strncmp(at, "BUG at ", 7))
			warning = false;
	}
	if (!warning)
		kernel_bug(function, line, "a debug check");
}
