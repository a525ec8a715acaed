/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory operands of host instructions; see host_reach.h. */
#include <capstone/capstone.h>
#include <stdlib.h>
#include <ucontext.h>
#include "host_reach.h"

struct host_reader {
	csh handle;
};

struct host_reader *host_reader_create(void)
{
	struct host_reader *r = calloc(1, sizeof(*r));

	if (!r || cs_open(CS_ARCH_X86, CS_MODE_64, &r->handle) != CS_ERR_OK ||
	    cs_option(r->handle, CS_OPT_DETAIL, CS_OPT_ON) != CS_ERR_OK)
		abort();
	return r;
}

void host_reader_destroy(struct host_reader *r)
{
	cs_close(&r->handle);
	free(r);
}

static int greg_of(x86_reg reg)
{
	static const struct { x86_reg reg; int greg; } map[] = {
		{ X86_REG_RAX, REG_RAX }, { X86_REG_RCX, REG_RCX }, { X86_REG_RDX, REG_RDX },
			{ X86_REG_RBX, REG_RBX },
		{ X86_REG_RSP, REG_RSP }, { X86_REG_RBP, REG_RBP }, { X86_REG_RSI, REG_RSI },
			{ X86_REG_RDI, REG_RDI },
		{ X86_REG_R8, REG_R8 }, { X86_REG_R9, REG_R9 }, { X86_REG_R10, REG_R10 },
			{ X86_REG_R11, REG_R11 },
		{ X86_REG_R12, REG_R12 }, { X86_REG_R13, REG_R13 }, { X86_REG_R14, REG_R14 },
			{ X86_REG_R15, REG_R15 },
	};

	for (unsigned i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		if (map[i].reg == reg)
			return map[i].greg;
	}
	return -1;
}

/* RIZ is Capstone's name of an index that is none. */
static bool is_address_register(x86_reg reg)
{
	return reg == X86_REG_INVALID || reg == X86_REG_RIP || reg == X86_REG_RIZ ||
		greg_of(reg) >= 0;
}

static struct host_reach_operand operand(const cs_insn *insn, const cs_x86_op *op)
{
	return (struct host_reach_operand){
		.base = greg_of(op->mem.base),
		.index = greg_of(op->mem.index),
		.scale = op->mem.scale,
		.disp = op->mem.disp +
			(op->mem.base == X86_REG_RIP ? (int64_t)(insn->address + insn->size) : 0),
		.written = op->access & CS_AC_WRITE,
		.segment = op->mem.segment == X86_REG_FS || op->mem.segment == X86_REG_GS,
		.cut = !is_address_register(op->mem.base) || !is_address_register(op->mem.index),
	};
}

void host_reach(struct host_reader *r, const uint8_t *code, unsigned len, uint64_t address,
	struct host_reach *reach)
{
	cs_insn *insn;

	reach->n = 0;
	if (!cs_disasm(r->handle, code, len, address, 1, &insn))
		return;
	for (unsigned i = 0; i < insn->detail->x86.op_count; i++) {
		const cs_x86_op *op = &insn->detail->x86.operands[i];

		if (op->type == X86_OP_MEM && insn->id != X86_INS_LEA && insn->id != X86_INS_NOP &&
			reach->n < 2)
			reach->operand[reach->n++] = operand(insn, op);
	}
	cs_free(insn, 1);
}
