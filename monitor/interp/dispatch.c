/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: from opcode to handler. An entry names either a handler or a picker that looks
 * further. Consulted when an instruction is decoded, not when it is executed.
 */
#include "monitor/processor/processor.h"
#include "internal.h"

struct dispatch {
	insn_handler handler;
	insn_handler (*pick)(const struct insn *i);
};

#define DO(h) { .handler = h }
#define PICK(p) { .pick = p }

/* Puts eip back itself, since it stands in for far transfers too (internal.h). */
enum x86_status op_undefined(struct vcpu *vcpu, const struct insn *i)
{
	vcpu->cpu.eip -= i->len;
	return fault_raise(&vcpu->cpu, EXC_UD);
}

enum x86_status op_lacking(struct vcpu *vcpu, const struct insn *i)
{
	cpu_lacks_note(vcpu, vcpu->cpu.eip - i->len, insn_features(i) & ~cpu_features(&vcpu->cpu));
	return op_undefined(vcpu, i);
}

#define ALU_ROW(base) [base ... (base) + 5] = PICK(pick_alu)

static const struct dispatch map_1byte[256] = {
	ALU_ROW(0x00), ALU_ROW(0x08), ALU_ROW(0x10), ALU_ROW(0x18), ALU_ROW(0x20), ALU_ROW(0x28),
	ALU_ROW(0x30), ALU_ROW(0x38),
	[0x06] = PICK(pick_stack), [0x07] = PICK(pick_stack), [0x0e] = PICK(pick_stack),
	[0x16] = PICK(pick_stack), [0x17] = PICK(pick_stack), [0x1e] = PICK(pick_stack),
	[0x1f] = PICK(pick_stack), [0x27] = DO(op_daa), [0x2f] = DO(op_das), [0x37] = DO(op_aaa),
	[0x3f] = DO(op_aas), [0x40 ... 0x4f] = PICK(pick_incdec),
	[0x50 ... 0x61] = PICK(pick_stack),
	[0x62] = DO(op_bound), [0x63] = DO(op_arpl),
	[0x68] = PICK(pick_stack), [0x69] = DO(op_imul3), [0x6a] = PICK(pick_stack),
	[0x6b] = DO(op_imul3), [0x6c ... 0x6f] = PICK(pick_string),
	[0x70 ... 0x7f] = PICK(pick_jcc),
	[0x80 ... 0x85] = PICK(pick_alu),
	[0x86 ... 0x87] = DO(op_xchg_rm),
	[0x88 ... 0x8b] = PICK(pick_mov),
	[0x8c] = DO(op_mov_from_seg), [0x8d] = DO(op_lea), [0x8e] = DO(op_mov_to_seg),
	[0x8f] = PICK(pick_stack), [0x90] = DO(op_nop), [0x91 ... 0x97] = DO(op_xchg_acc),
	[0x98] = DO(op_cbw), [0x99] = DO(op_cwd), [0x9a] = DO(op_far_direct), [0x9b] = DO(op_wait),
	[0x9c ... 0x9d] = PICK(pick_stack), [0x9e] = DO(op_sahf), [0x9f] = DO(op_lahf),
	[0xa0 ... 0xa3] = PICK(pick_mov),
	[0xa4 ... 0xa7] = PICK(pick_string), [0xa8 ... 0xa9] = PICK(pick_alu),
	[0xaa ... 0xaf] = PICK(pick_string), [0xb0 ... 0xbf] = PICK(pick_mov),
	[0xc0 ... 0xc1] = PICK(pick_shift), [0xc2 ... 0xc3] = DO(op_ret),
	[0xc4 ... 0xc5] = DO(op_load_far), [0xc6 ... 0xc7] = PICK(pick_mov),
	[0xc8 ... 0xc9] = PICK(pick_stack), [0xca ... 0xcb] = DO(op_retf),
	[0xcc ... 0xcd] = DO(op_int), [0xce] = DO(op_into), [0xcf] = DO(op_iret),
	[0xd0 ... 0xd3] = PICK(pick_shift), [0xd4] = DO(op_aam), [0xd5] = DO(op_aad),
	[0xd6] = DO(op_salc), [0xd7] = DO(op_xlat), [0xd8 ... 0xdf] = PICK(pick_fpu),
	[0xe0 ... 0xe3] = DO(op_loop), [0xe4 ... 0xe5] = DO(op_in), [0xe6 ... 0xe7] = DO(op_out),
	[0xe8] = DO(op_call_rel), [0xe9] = DO(op_jmp_rel), [0xea] = DO(op_far_direct),
	[0xeb] = DO(op_jmp_rel), [0xec ... 0xed] = DO(op_in), [0xee ... 0xef] = DO(op_out),
	[0xf1] = DO(op_int), [0xf4] = DO(op_hlt), [0xf5] = DO(op_flag),
	[0xf6 ... 0xf7] = PICK(pick_unary), [0xf8 ... 0xf9] = DO(op_flag),
	[0xfa ... 0xfb] = DO(op_cli_sti), [0xfc ... 0xfd] = DO(op_flag), [0xfe] = PICK(pick_incdec),
	[0xff] = PICK(pick_group_ff),
};

static const struct dispatch map_0f[256] = {
	[0x00] = PICK(pick_group_0f00), [0x01] = PICK(pick_group_0f01),
	[0x02 ... 0x03] = DO(op_lar_lsl), [0x06] = DO(op_clts),
	[0x08 ... 0x09] = DO(op_cache_flush), [0x0d] = DO(op_nop), [0x10 ... 0x17] = PICK(pick_sse),
	[0x18 ... 0x1f] = DO(op_nop), [0x20] = DO(op_mov_cr), [0x21] = DO(op_mov_dr),
	[0x22] = DO(op_mov_cr), [0x23] = DO(op_mov_dr), [0x28 ... 0x2f] = PICK(pick_sse),
	[0x30] = DO(op_msr), [0x31] = DO(op_rdtsc), [0x32] = DO(op_msr), [0x33] = DO(op_rdpmc),
	[0x34] = DO(op_sysenter), [0x35] = DO(op_sysexit),
	[0x40 ... 0x4f] = DO(op_cmov),
	[0x50 ... 0x7f] = PICK(pick_sse),
	[0x80 ... 0x8f] = PICK(pick_jcc),
	[0x90 ... 0x9f] = DO(op_setcc),
	[0xa0 ... 0xa1] = PICK(pick_stack), [0xa2] = DO(op_cpuid), [0xa3] = DO(op_bt),
	[0xa4 ... 0xa5] = DO(op_shld_shrd), [0xa8 ... 0xa9] = PICK(pick_stack), [0xab] = DO(op_bt),
	[0xac ... 0xad] = DO(op_shld_shrd), [0xae] = PICK(pick_group_0fae), [0xaf] = DO(op_imul2),
	[0xb0 ... 0xb1] = DO(op_cmpxchg), [0xb2] = DO(op_load_far), [0xb3] = DO(op_bt),
	[0xb4 ... 0xb5] = DO(op_load_far), [0xb6 ... 0xb7] = DO(op_movx), [0xb8] = DO(op_popcnt),
	[0xba ... 0xbb] = DO(op_bt), [0xbc] = DO(op_bsf), [0xbd] = DO(op_bsr),
	[0xbe ... 0xbf] = DO(op_movx), [0xc0 ... 0xc1] = DO(op_xadd), [0xc2] = PICK(pick_sse),
	[0xc3] = DO(op_movnti), [0xc4 ... 0xc6] = PICK(pick_sse), 
	[0xc7] = PICK(pick_group_0fc7),
	[0xc8 ... 0xcf] = DO(op_bswap), [0xd0 ... 0xfe] = PICK(pick_sse),
};

static const struct dispatch sse_entry = PICK(pick_sse), movbe_entry = DO(op_movbe),
			     crc32_entry = DO(op_crc32);

static const struct dispatch *dispatch_entry(const struct insn *i)
{
	switch (i->map) {
	case MAP_1BYTE: return &map_1byte[i->opcode];
	case MAP_0F:    return &map_0f[i->opcode];
	case MAP_0F38:
		if (i->opcode >= 0xf0)
			return i->sse_prefix == 0xf2 ? &crc32_entry : &movbe_entry;
		return &sse_entry;
	default:        return &sse_entry;
	}
}

insn_handler interp_find_handler(const struct insn *i)
{
	const struct dispatch *entry = dispatch_entry(i);

	if (entry->handler)
		return entry->handler;
	return entry->pick ? entry->pick(i) : op_undefined;
}
