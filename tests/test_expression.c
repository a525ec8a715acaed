/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Expressions and formats of the prompt's commands: values, what follows, refusals. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "monitor/control/expression.h"
#include "monitor/control/format.h"

static const struct cpu cpu = {
	.regs = { [X86_EAX] = 0x11, [X86_ESP] = 0xfffffff0 },
	.eip = 0x10,
	.eflags = 0x202,
	.cr3 = 0x5000,
	.seg = { [X86_CS] = { .selector = 0x1234, .base = 0x12340, .limit = 0xffff } },
};

Test(expression, values)
{
	static const struct { const char *text; int64_t value; const char *rest; } cases[] = {
		{ "0", 0, "" }, { "  0x10  ", 16, "" }, { "010", 8, "" }, { "'a'", 97, "" },
		{ "1+2*3", 7, "" }, { "(1+2)*3", 9, "" }, { "10-3-2", 5, "" }, { "7/2%2", 1, "" },
		{ "1+6&3", 3, "" }, { "1|6^2", 5, "" }, { "-1", -1, "" }, { "~0", -1, "" },
		{ "--2", 2, "" }, { "$eax", 0x11, "" }, { "$eax+1", 0x12, "" },
		{ "$esp", 0xfffffff0, "" }, { "$sp+0x20", 0x100000010, "" },
		{ "$eip", 0x12350, "" }, { "$pc", 0x12350, "" }, { "$cs", 0x1234, "" },
		{ "$cs.base", 0x12340, "" }, { "$cs.limit", 0xffff, "" }, { "$cr3", 0x5000, "" },
		{ "$eflags", 0x202, "" }, { "1 2", 1, "2" }, { "1 + 2", 3, "" },
		{ "16 /tmp/x", 16, "/tmp/x" }, { "16 / 2", 8, "" }, { "16/2", 8, "" },
		{ "0x10.1", 16, ".1" }, { "0xffffffffffffffff", -1, "" },
		{ "(0-0x7fffffffffffffff-1)/-1", INT64_MIN, "" },
		{ "(0-0x7fffffffffffffff-1)%-1", 0, "" },
	};

	for (size_t i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		const char *text = cases[i].text;
		struct error error = { 0 };
		int64_t value = 99;

		cr_expect_eq(expression_parse(&cpu, &text, &value, &error), 0, "%s: %s",
			     cases[i].text, error.text);
		cr_expect_eq(value, cases[i].value, "%s: %lld", cases[i].text, (long long)value);
		cr_expect_str_eq(text, cases[i].rest);
	}
}

Test(expression, refusals)
{
	static const struct { const char *text, *words; } cases[] = {
		{ "", "missing" }, { "1+", "missing" }, { "x", "missing at 'x'" },
		{ "(1", "a ')' is missing" }, { "(1 2", "before 2" }, { "1/0", "zero" },
		{ "1%(1-1)", "zero" }, { "$foo", "'$foo' is not a register" },
		{ "$", "'$' is not a register" }, { "12ab", "'12ab' is not a number" },
		{ "0x10000000000000000", "64 bits" }, { "'", "character" }, { "'ab'", "character" },
		{ "((((((((((((((((((((((((((((((((((((((((1", "brackets" },
		{ "----------------------------------------1", "brackets" },
	};

	for (size_t i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		const char *text = cases[i].text;
		struct error error = { 0 };
		int64_t value;

		cr_expect_eq(expression_parse(&cpu, &text, &value, &error), -EINVAL, "%s",
			     cases[i].text);
		cr_expect_not_null(strstr(error.text, cases[i].words), "%s: '%s'", cases[i].text,
				   error.text);
	}
}

Test(expression, formats)
{
	static const struct { const char *text; struct format format; } cases[] = {
		{ "", { 1, 'x', 4 } }, { "3", { 3, 'x', 4 } }, { "xb", { 1, 'x', 1 } },
		{ "bx", { 1, 'x', 1 } }, { "12dg", { 12, 'd', 8 } }, { "c", { 1, 'c', 1 } },
		{ "cw", { 1, 'c', 1 } }, { "5i", { 5, 'i', 4 } }, { "oh", { 1, 'o', 2 } },
	};
	static const char *const wrong[] = { "q", "0x", "-1x", "99999999x", "3xz" };

	for (size_t i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		struct format format = { .kind = 'x', .size = 4 };
		const char *text = cases[i].text;

		cr_expect_eq(format_parse(&text, &format, NULL), 0, "%s", cases[i].text);
		cr_expect_eq(format.count, cases[i].format.count);
		cr_expect_eq(format.kind, cases[i].format.kind);
		cr_expect_eq(format.size, cases[i].format.size);
	}
	for (size_t i = 0; i < RF_ARRAY_SIZE(wrong); i++) {
		struct format format = { .kind = 'x', .size = 4 };
		struct error error = { 0 };
		const char *text = wrong[i];

		cr_expect_eq(format_parse(&text, &format, &error), -EINVAL, "%s", wrong[i]);
		cr_expect_not_null(strstr(error.text, wrong[i]), "'%s'", error.text);
	}
}

Test(expression, printed_values)
{
	static const struct { struct format format; uint64_t value; const char *text; } cases[] = {
		{ { 1, 'x', 4 }, 0x1f, "0x0000001f" }, { { 1, 'x', 1 }, 0, "0x00" },
		{ { 1, 'd', 1 }, 0xff, "  -1" }, { { 1, 'u', 1 }, 0xff, " 255" },
		{ { 1, 'd', 2 }, 0x8000, "-32768" }, { { 1, 'o', 1 }, 8, " 010" },
		{ { 1, 'c', 1 }, 'a', "'a'" }, { { 1, 'c', 1 }, '\n', "'\\n'" },
		{ { 1, 'c', 1 }, '\'', "'\\''" }, { { 1, 'c', 1 }, 0, "'\\x00'" },
	};

	for (size_t i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		char *text;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		format_value(out, &cases[i].format, cases[i].value, true);
		fclose(out);
		cr_expect_str_eq(text, cases[i].text, "'%s', not '%s'", text, cases[i].text);
		free(text);
	}
}
