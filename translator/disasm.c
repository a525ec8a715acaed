/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disassembly for reports and logs (disasm.h). */
#include "disasm.h"

#include <capstone/capstone.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct disasm {
	csh handle[DISASM_NMODES];
	cs_insn *insn[DISASM_NMODES];
};

int disasm_create(struct disasm **out)
{
	static const cs_mode modes[DISASM_NMODES] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };
	struct disasm *disasm = calloc(1, sizeof(*disasm));

	if (!disasm)
		return -ENOMEM;
	for (int mode = 0; mode < DISASM_NMODES; mode++) {
		if (cs_open(CS_ARCH_X86, modes[mode], &disasm->handle[mode]) != CS_ERR_OK ||
		    !(disasm->insn[mode] = cs_malloc(disasm->handle[mode]))) {
			disasm_destroy(disasm);
			return -ENOMEM;
		}
	}
	*out = disasm;
	return 0;
}

void disasm_destroy(struct disasm *disasm)
{
	if (!disasm)
		return;
	for (int mode = 0; mode < DISASM_NMODES; mode++) {
		if (disasm->insn[mode])
			cs_free(disasm->insn[mode], 1);
		if (disasm->handle[mode])
			cs_close(&disasm->handle[mode]);
	}
	free(disasm);
}

unsigned disasm_format(struct disasm *disasm, enum disasm_mode mode, const uint8_t *bytes,
		       unsigned avail, uint64_t address, char *text, size_t size)
{
	const uint8_t *code = bytes;
	size_t left = avail;
	cs_insn *insn = disasm->insn[mode];

	if (!cs_disasm_iter(disasm->handle[mode], &code, &left, &address, insn)) {
		snprintf(text, size, "(bad)");
		return 0;
	}
	snprintf(text, size, "%s%s%s", insn->mnemonic, insn->op_str[0] ? " " : "", insn->op_str);
	return insn->size;
}
