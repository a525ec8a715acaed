/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Expressions of the prompt's commands (expression.h). */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "expression.h"

#define DEEPEST 32 /* brackets and signs within each other */

struct parser {
	const struct cpu *cpu;
	const char *at;
	unsigned depth;
	struct error *error;
};

static void skip_spaces(struct parser *p)
{
	while (isspace((unsigned char)*p->at))
		p->at++;
}

/* --- registers --- */

#define CPU(name, member) { name, offsetof(struct cpu, member) }
#define SEGMENT(name, n) \
	CPU(name, seg[n].selector), CPU(name ".base", seg[n].base), CPU(name ".limit", seg[n].limit)

static const struct {
	const char *name;
	size_t offset;
} registers[] = {
	CPU("eax", regs[X86_EAX]), CPU("ecx", regs[X86_ECX]), CPU("edx", regs[X86_EDX]),
	CPU("ebx", regs[X86_EBX]), CPU("esp", regs[X86_ESP]), CPU("sp", regs[X86_ESP]),
	CPU("ebp", regs[X86_EBP]), CPU("fp", regs[X86_EBP]), CPU("esi", regs[X86_ESI]),
	CPU("edi", regs[X86_EDI]), CPU("eflags", eflags), CPU("cr0", cr0), CPU("cr2", cr2),
	CPU("cr3", cr3), CPU("cr4", cr4), SEGMENT("es", X86_ES), SEGMENT("cs", X86_CS),
	SEGMENT("ss", X86_SS), SEGMENT("ds", X86_DS), SEGMENT("fs", X86_FS), SEGMENT("gs", X86_GS),
	CPU("gdtr", gdtr.base), CPU("idtr", idtr.base),
};

static bool register_is(const char *name, const char *text, size_t len)
{
	return strlen(name) == len && !memcmp(name, text, len);
}

static bool register_find(const struct cpu *cpu, const char *text, size_t len, int64_t *value)
{
	uint32_t word = 0;
	uint16_t half;

	if (register_is("eip", text, len) || register_is("pc", text, len)) {
		*value = (uint32_t)(cpu->seg[X86_CS].base + cpu->eip);
		return true;
	}
	for (size_t i = 0; i < RF_ARRAY_SIZE(registers); i++) {
		const char *at = (const char *)cpu + registers[i].offset;

		if (!register_is(registers[i].name, text, len))
			continue;
		memcpy(&word, at, 4);
		memcpy(&half, at, 2);
		*value = len == 2 && text[1] == 's' ? half : word; /* a selector */
		return true;
	}
	return false;
}

static int parse_register(struct parser *p, int64_t *value)
{
	const char *name = ++p->at;

	while (isalnum((unsigned char)*p->at) || *p->at == '_' || *p->at == '.')
		p->at++;
	if (register_find(p->cpu, name, p->at - name, value))
		return 0;
	return error_set(p->error, -EINVAL,
			 "'$%.*s' is not a register; there are $eax..$edi, $eip, $eflags, $cs..$gs "
			 "with .base and .limit, $cr0..$cr4, $gdtr and $idtr",
			 (int)(p->at - name), name);
}

/* --- the rest --- */

static int parse_sum(struct parser *p, int64_t *value);

static int parse_number(struct parser *p, int64_t *value)
{
	char *end;

	if (!isdigit((unsigned char)*p->at))
		return *p->at ? error_set(p->error, -EINVAL, "a value is missing at '%s'", p->at) :
				error_set(p->error, -EINVAL, "a value is missing at the end");
	errno = 0;
	*value = (int64_t)strtoull(p->at, &end, 0);
	if (errno || isalnum((unsigned char)*end))
		return error_set(p->error, -EINVAL, "'%.*s' is not a number%s",
				 (int)strcspn(p->at, " "), p->at,
				 errno ? " of 64 bits" : "; hexadecimal ones begin with 0x");
	p->at = end;
	return 0;
}

static int parse_character(struct parser *p, int64_t *value)
{
	if (!p->at[1] || p->at[2] != '\'')
		return error_set(p->error, -EINVAL, "%s is not a character like 'c'", p->at);
	*value = (unsigned char)p->at[1];
	p->at += 3;
	return 0;
}

static int parse_brackets(struct parser *p, int64_t *value)
{
	int err;

	p->at++;
	err = parse_sum(p, value);
	if (err)
		return err;
	if (*p->at != ')')
		return error_set(p->error, -EINVAL, "a ')' is missing%s%s",
				 *p->at ? " before " : "", p->at);
	p->at++;
	return 0;
}

static int parse_unary(struct parser *p, int64_t *value);

static int parse_signed(struct parser *p, int64_t *value)
{
	const char sign = *p->at++;
	int err = parse_unary(p, value);

	if (sign == '-')
		*value = -(uint64_t)*value;
	else if (sign == '~')
		*value = ~*value;
	return err;
}

static int parse_unary(struct parser *p, int64_t *value)
{
	int err;

	skip_spaces(p);
	*value = 0;
	if (++p->depth > DEEPEST)
		return error_set(p->error, -EINVAL, "more than %d brackets and signs within each "
				 "other; leave some out", DEEPEST);
	err = *p->at == '$'  ? parse_register(p, value) :
	      *p->at == '\'' ? parse_character(p, value) :
	      *p->at == '('  ? parse_brackets(p, value) :
	      *p->at && strchr("+-~", *p->at) ? parse_signed(p, value) :
						parse_number(p, value);
	p->depth--;
	skip_spaces(p);
	return err;
}

static int divide(struct parser *p, char operator, int64_t *value, int64_t by)
{
	if (!by)
		return error_set(p->error, -EINVAL, "a division by zero");
	if (by == -1) /* of the lowest value, too */
		*value = operator== '/' ? (int64_t)-(uint64_t)*value : 0;
	else
		*value = operator== '/' ? *value / by : *value % by;
	return 0;
}

static int apply(struct parser *p, char operator, int64_t *value, int64_t right)
{
	const uint64_t left = *value;

	switch (operator) {
	case '+': *value = left + right; return 0;
	case '-': *value = left - right; return 0;
	case '&': *value = left & right; return 0;
	case '|': *value = left | right; return 0;
	case '^': *value = left ^ right; return 0;
	case '*': *value = left * right; return 0;
	default: return divide(p, operator, value, right);
	}
}

/* "16 /tmp/x": the next argument. */
static bool begins_path(const struct parser *p, const char *begin)
{
	return *p->at == '/' && p->at > begin && p->at[-1] == ' ' && p->at[1] != ' ';
}

static int parse_chain(struct parser *p, const char *operators,
		       int (*part)(struct parser *p, int64_t *value), int64_t *value)
{
	const char *begin = p->at;
	int err = part(p, value);

	while (!err && *p->at && strchr(operators, *p->at) && !begins_path(p, begin)) {
		const char operator = *p->at++;
		int64_t right;

		err = part(p, &right);
		if (!err)
			err = apply(p, operator, value, right);
	}
	return err;
}

static int parse_product(struct parser *p, int64_t *value)
{
	return parse_chain(p, "*/%", parse_unary, value);
}

static int parse_logic(struct parser *p, int64_t *value)
{
	return parse_chain(p, "&|^", parse_product, value);
}

static int parse_sum(struct parser *p, int64_t *value)
{
	return parse_chain(p, "+-", parse_logic, value);
}

int expression_parse(const struct cpu *cpu, const char **text, int64_t *value, struct error *error)
{
	struct parser p = { .cpu = cpu, .at = *text, .error = error };
	int err = parse_sum(&p, value);

	*text = p.at;
	return err;
}
