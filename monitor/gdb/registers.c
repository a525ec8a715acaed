/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers by gdb's numbers (registers.h). */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "monitor/processor/processor.h"
#include "registers.h"

/* Kinds, and what index chooses among them. */
enum kind { GENERAL, EIP, EFLAGS, SEGMENT, ST, FPU_CONTROL, XMM, MXCSR, BASE, CONTROL, EFER };

/* In the order of the description. */
static const struct group {
	enum kind kind;
	unsigned count, size;
} groups[] = {
	{ GENERAL, 8, 4 }, { EIP, 1, 4 }, { EFLAGS, 1, 4 }, { SEGMENT, 6, 4 }, { ST, 8, 10 },
	{ FPU_CONTROL, 8, 4 }, { XMM, 8, 16 }, { MXCSR, 1, 4 }, { BASE, 6, 4 }, { CONTROL, 4, 4 },
	{ EFER, 1, 4 },
};

static const enum x86_seg segment_order[] = { X86_CS, X86_SS, X86_DS, X86_ES, X86_FS, X86_GS };
static const unsigned control_order[] = { 0, 2, 3, 4 };

#define REG(name, bits, type) \
	"<reg name=\"" name "\" bitsize=\"" #bits "\" type=\"" type "\"/>"
#define INT(name) REG(name, 32, "int32")
#define ST_REG(n) "<reg name=\"st" n "\" bitsize=\"80\" type=\"i387_ext\" group=\"float\"/>"
#define FPU(name) "<reg name=\"" name "\" bitsize=\"32\" type=\"int\" group=\"float\"/>"
#define XMM_REG(n) "<reg name=\"xmm" n "\" bitsize=\"128\" type=\"vec128\"/>"
#define VECTOR(id, type, count) \
	"<vector id=\"" id "\" type=\"" type "\" count=\"" count "\"/>"
#define FIELD(name, type) "<field name=\"" name "\" type=\"" type "\"/>"
#define FLAG(name, bit) "<field name=\"" name "\" start=\"" bit "\" end=\"" bit "\"/>"

/*
 * No architecture is named: what it would say, i386, could not be changed to i8086 by the user of
 * gdb, who wants to see 16-bit code now and 32-bit code later.
 */
const char gdb_target_xml[] =
	"<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
	"<feature name=\"org.gnu.gdb.i386.core\">"
	"<flags id=\"i386_eflags\" size=\"4\">"
	FLAG("CF", "0") FLAG("", "1") FLAG("PF", "2") FLAG("AF", "4") FLAG("ZF", "6")
	FLAG("SF", "7") FLAG("TF", "8") FLAG("IF", "9") FLAG("DF", "10") FLAG("OF", "11")
	FLAG("NT", "14") FLAG("RF", "16") FLAG("VM", "17") FLAG("AC", "18") FLAG("VIF", "19")
	FLAG("VIP", "20") FLAG("ID", "21") "</flags>"
	INT("eax") INT("ecx") INT("edx") INT("ebx")
	REG("esp", 32, "data_ptr") REG("ebp", 32, "data_ptr") INT("esi") INT("edi")
	REG("eip", 32, "code_ptr") REG("eflags", 32, "i386_eflags")
	INT("cs") INT("ss") INT("ds") INT("es") INT("fs") INT("gs")
	ST_REG("0") ST_REG("1") ST_REG("2") ST_REG("3") ST_REG("4") ST_REG("5") ST_REG("6")
	ST_REG("7")
	FPU("fctrl") FPU("fstat") FPU("ftag") FPU("fiseg") FPU("fioff") FPU("foseg") FPU("fooff")
	FPU("fop") "</feature>"
	"<feature name=\"org.gnu.gdb.i386.sse\">"
	VECTOR("v4f", "ieee_single", "4") VECTOR("v2d", "ieee_double", "2")
	VECTOR("v16i8", "int8", "16") VECTOR("v8i16", "int16", "8") VECTOR("v4i32", "int32", "4")
	VECTOR("v2i64", "int64", "2")
	"<union id=\"vec128\">" FIELD("v4_float", "v4f") FIELD("v2_double", "v2d")
	FIELD("v16_int8", "v16i8") FIELD("v8_int16", "v8i16") FIELD("v4_int32", "v4i32")
	FIELD("v2_int64", "v2i64") FIELD("uint128", "uint128") "</union>"
	"<flags id=\"i386_mxcsr\" size=\"4\">"
	FLAG("IE", "0") FLAG("DE", "1") FLAG("ZE", "2") FLAG("OE", "3") FLAG("UE", "4")
	FLAG("PE", "5") FLAG("DAZ", "6") FLAG("IM", "7") FLAG("DM", "8") FLAG("ZM", "9")
	FLAG("OM", "10") FLAG("UM", "11") FLAG("PM", "12") FLAG("FZ", "15") "</flags>"
	XMM_REG("0") XMM_REG("1") XMM_REG("2") XMM_REG("3") XMM_REG("4") XMM_REG("5")
	XMM_REG("6") XMM_REG("7") REG("mxcsr", 32, "i386_mxcsr") "</feature>"
	"<feature name=\"org.ringfence.system\">"
	INT("cs_base") INT("ss_base") INT("ds_base") INT("es_base") INT("fs_base") INT("gs_base")
	INT("cr0") INT("cr2") INT("cr3") INT("cr4") INT("efer") "</feature></target>";

unsigned gdb_register_count(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < RF_ARRAY_SIZE(groups); i++)
		n += groups[i].count;
	return n;
}

/* *index: in the group. */
static const struct group *find_group(unsigned n, unsigned *index)
{
	const struct group *g = groups;

	assert(n < gdb_register_count());
	for (; n >= g->count; g++)
		n -= g->count;
	*index = n;
	return g;
}

unsigned gdb_register_size(unsigned n)
{
	unsigned index;

	return find_group(n, &index)->size;
}

/* --- x87 --- */

enum tag { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

/* What FSTENV stores for a register that is not empty (SDM vol. 1, 8.1.7). */
static enum tag tag_of(const uint8_t st[16])
{
	uint64_t mantissa;
	uint16_t exponent;

	memcpy(&mantissa, st, 8);
	memcpy(&exponent, st + 8, 2);
	exponent &= 0x7fff;
	if (!exponent)
		return mantissa ? TAG_SPECIAL : TAG_ZERO;
	return exponent == 0x7fff || !(mantissa >> 63) ? TAG_SPECIAL : TAG_VALID;
}

/* FXSAVE's form has the registers by their distance from the top, and a bit for each by number. */
static uint16_t tag_word(const struct fxsave_image *fpu)
{
	const unsigned top = fpu->fsw >> 11 & 7;
	uint16_t word = 0;

	for (unsigned i = 0; i < 8; i++) {
		const enum tag tag = fpu->ftw >> i & 1 ? tag_of(fpu->st[(i - top) & 7]) :
							 TAG_EMPTY;

		word |= tag << 2 * i;
	}
	return word;
}

static uint8_t abridged_tags(uint16_t word)
{
	uint8_t bits = 0;

	for (unsigned i = 0; i < 8; i++)
		bits |= ((word >> 2 * i & 3) != TAG_EMPTY) << i;
	return bits;
}

static uint32_t fpu_control(const struct fxsave_image *fpu, unsigned index)
{
	switch (index) {
	case 0: return fpu->fcw;
	case 1: return fpu->fsw;
	case 2: return tag_word(fpu);
	case 3: return fpu->fcs;
	case 4: return fpu->fip;
	case 5: return fpu->fds;
	case 6: return fpu->fdp;
	default: return fpu->fop;
	}
}

static void fpu_control_set(struct fxsave_image *fpu, unsigned index, uint32_t value)
{
	switch (index) {
	case 0: fpu->fcw = (value & 0x1f3f) | 0x40; break;
	case 1: fpu->fsw = value; break;
	case 2: fpu->ftw = abridged_tags(value); break;
	case 3: fpu->fcs = value; break;
	case 4: fpu->fip = value; break;
	case 5: fpu->fds = value; break;
	case 6: fpu->fdp = value; break;
	default: fpu->fop = value & 0x7ff;
	}
}

/* --- getting --- */

static uint32_t word_get(const struct cpu *cpu, enum kind kind, unsigned index)
{
	switch (kind) {
	case GENERAL: return cpu->regs[index];
	case EIP: return cpu->eip;
	case EFLAGS: return cpu->eflags;
	case SEGMENT: return cpu->seg[segment_order[index]].selector;
	case FPU_CONTROL: return fpu_control(&cpu->fpu, index);
	case MXCSR: return cpu->fpu.mxcsr;
	case BASE: return cpu->seg[segment_order[index]].base;
	case CONTROL:
		return (const uint32_t[]){ cpu->cr0, cpu->cr2, cpu->cr3, cpu->cr4 }[index];
	default: return (uint32_t)cpu->efer;
	}
}

void gdb_register_get(const struct cpu *cpu, unsigned n, uint8_t value[GDB_REGISTER_MOST])
{
	unsigned index;
	const struct group *g = find_group(n, &index);
	uint32_t word;

	memset(value, 0, GDB_REGISTER_MOST);
	if (g->kind == ST) {
		memcpy(value, cpu->fpu.st[index], g->size);
	} else if (g->kind == XMM) {
		memcpy(value, cpu->fpu.xmm[index], g->size);
	} else {
		word = word_get(cpu, g->kind, index);
		memcpy(value, &word, sizeof(word));
	}
}

/* --- setting --- */

/* VM stays: it changes what is in segment registers. So do IOPL's unused bits and the like. */
#define EFLAGS_SETTABLE \
	(X86_ARITH_FLAGS | X86_TF | X86_IF | X86_DF | X86_IOPL | X86_NT | X86_RF | X86_AC | \
	 X86_VIF | X86_VIP | X86_ID)

static int eip_set(struct vcpu *vcpu, uint32_t value)
{
	vcpu->cpu.eip = value;
	vcpu->cpu.halted = false;
	vcpu->cpu.inhibit = 0;
	vcpu->cpu.eflags &= ~X86_RF; /* it was about the instruction that is left */
	debugger_moved(vcpu);
	return 0;
}

/* CS and SS of protected mode go with the privilege level, and are not set here. */
static int segment_set(struct vcpu *vcpu, enum x86_seg seg, uint32_t value)
{
	struct cpu *cpu = &vcpu->cpu;

	if (value > 0xffff)
		return -EINVAL;
	if (seg == X86_CS)
		debugger_moved(vcpu);
	if (!(cpu->cr0 & CR0_PE) || cpu->eflags & X86_VM) {
		segment_set_real(cpu, seg, (uint16_t)value);
		return 0;
	}
	if (seg == X86_CS || seg == X86_SS)
		return -EINVAL;
	return segment_load(vcpu, seg, (uint16_t)value) == X86_OK ? 0 : -EINVAL;
}

/* As MOV CR at CPL 0 would. */
static int control_set(struct vcpu *vcpu, unsigned crn, uint32_t value)
{
	struct cpu *cpu = &vcpu->cpu;
	const uint8_t cpl = cpu->cpl;
	enum x86_status status;

	cpu->cpl = 0;
	status = control_reg_write(vcpu, crn, value);
	cpu->cpl = cpl;
	return status == X86_OK ? 0 : -EINVAL;
}

static int mxcsr_set(struct cpu *cpu, uint32_t value)
{
	if (value & ~0xffffu)
		return -EINVAL;
	cpu->fpu.mxcsr = value;
	return 0;
}

static int word_set(struct vcpu *vcpu, enum kind kind, unsigned index, uint32_t value)
{
	struct cpu *cpu = &vcpu->cpu;

	switch (kind) {
	case GENERAL:
		cpu->regs[index] = value;
		return 0;
	case EIP: return eip_set(vcpu, value);
	case EFLAGS:
		cpu->eflags = (cpu->eflags & ~EFLAGS_SETTABLE) | (value & EFLAGS_SETTABLE);
		return 0;
	case SEGMENT: return segment_set(vcpu, segment_order[index], value);
	case FPU_CONTROL:
		fpu_control_set(&cpu->fpu, index, value);
		return 0;
	case MXCSR: return mxcsr_set(cpu, value);
	case CONTROL: return control_set(vcpu, control_order[index], value);
	default: return -EINVAL; /* bases come from selectors; EFER is WRMSR's */
	}
}

int gdb_register_set(struct vcpu *vcpu, unsigned n, const uint8_t value[GDB_REGISTER_MOST])
{
	uint8_t have[GDB_REGISTER_MOST];
	unsigned index;
	const struct group *g = find_group(n, &index);
	uint32_t word;

	gdb_register_get(&vcpu->cpu, n, have);
	if (!memcmp(have, value, g->size)) /* what cannot be set may be set to what it is */
		return 0;
	if (g->kind == ST) {
		memcpy(vcpu->cpu.fpu.st[index], value, g->size);
		return 0;
	}
	if (g->kind == XMM) {
		memcpy(vcpu->cpu.fpu.xmm[index], value, g->size);
		return 0;
	}
	memcpy(&word, value, sizeof(word));
	return word_set(vcpu, g->kind, index, word);
}
