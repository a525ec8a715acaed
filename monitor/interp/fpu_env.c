/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: the x87 environment and state images in memory: FLDENV, FSTENV, FSAVE, FRSTOR (SDM
 * vol. 1, figures 8-9 to 8-12), FXSAVE, FXRSTOR, LDMXCSR and STMXCSR.
 */
#include "internal.h"

#define MXCSR_VALID 0xffffu
#define FXSAVE_BYTES 288u /* up to XMM7: what 32-bit code's FXSAVE writes (SDM vol. 1, 10.5.1) */

/* --- The tag word: two bits a register outside, one inside --- */

enum { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

static unsigned register_tag(const uint8_t *st)
{
	uint64_t mantissa;
	uint16_t exponent;

	memcpy(&mantissa, st, 8);
	memcpy(&exponent, st + 8, 2);
	exponent &= 0x7fff;
	if (exponent == 0 && mantissa == 0)
		return TAG_ZERO;
	return exponent == 0 || exponent == 0x7fff || !(mantissa >> 63) ? TAG_SPECIAL : TAG_VALID;
}

static uint16_t full_tags(const struct fxsave_image *fpu)
{
	unsigned top = fpu->fsw >> 11 & 7;
	uint16_t tags = 0;

	for (unsigned n = 0; n < 8; n++)
		tags |= (fpu->ftw >> n & 1 ? register_tag(fpu->st[(n - top) & 7]) : TAG_EMPTY)
			<< 2 * n;
	return tags;
}

static uint8_t abridged_tags(uint16_t tags)
{
	uint8_t abridged = 0;

	for (unsigned n = 0; n < 8; n++)
		abridged |= ((tags >> 2 * n & 3) != TAG_EMPTY) << n;
	return abridged;
}

/* --- The environment: seven words or doublewords --- */

static bool segmented_pointers(const struct cpu *cpu)
{
	return cpu_uses_descriptors(cpu);
}

static unsigned environment_size(const struct insn *i)
{
	return i->op_size == 4 ? 28 : 14;
}

/*
 * In real and virtual-8086 mode pointers are linear, split over two fields, and the opcode shares
 * the second.
 */
static void environment_fields(const struct cpu *cpu, uint32_t fields[7])
{
	const struct fxsave_image *fpu = &cpu->fpu;
	uint32_t fip = ((uint32_t)fpu->fcs << 4) + fpu->fip,
		 fdp = ((uint32_t)fpu->fds << 4) + fpu->fdp;

	fields[0] = 0xffff0000u | fpu->fcw;
	fields[1] = 0xffff0000u | fpu->fsw;
	fields[2] = 0xffff0000u | full_tags(fpu);
	if (segmented_pointers(cpu)) {
		fields[3] = fpu->fip;
		fields[4] = fpu->fcs | (uint32_t)(fpu->fop & 0x7ff) << 16;
		fields[5] = fpu->fdp;
		fields[6] = 0xffff0000u | fpu->fds;
	} else {
		fields[3] = 0xffff0000u | (fip & 0xffff);
		fields[4] = (fip & 0xffff0000u) >> 4 | (fpu->fop & 0x7ff);
		fields[5] = 0xffff0000u | (fdp & 0xffff);
		fields[6] = (fdp & 0xffff0000u) >> 4;
	}
}

static void environment_pack(const struct insn *i, const uint32_t fields[7], uint8_t *image)
{
	for (unsigned n = 0; n < 7; n++)
		memcpy(image + n * i->op_size, &fields[n], i->op_size);
}

/*
 * A new status word. The image holds the registers in stack order: they stay where they are while
 * TOP moves.
 */
static void load_status(struct fxsave_image *fpu, uint16_t fsw)
{
	const unsigned moved = ((fsw >> 11) - (fpu->fsw >> 11)) & 7;
	uint8_t st[8][16];

	memcpy(st, fpu->st, sizeof(st));
	for (unsigned n = 0; n < 8; n++)
		memcpy(fpu->st[n], st[(n + moved) & 7], 16);
	fpu->fsw = fsw;
}

static void environment_load(struct cpu *cpu, const struct insn *i, const uint8_t *image)
{
	struct fxsave_image *fpu = &cpu->fpu;
	uint32_t fields[7] = { 0 };

	for (unsigned n = 0; n < 7; n++)
		memcpy(&fields[n], image + n * i->op_size, i->op_size);
	fpu->fcw = (fields[0] & 0x1f3f) | 0x40;
	load_status(fpu, fields[1]);
	fpu->ftw = abridged_tags(fields[2]);
	fpu_update_summary(fpu);
	if (segmented_pointers(cpu)) {
		fpu->fip = fields[3];
		fpu->fcs = fields[4];
		fpu->fop = i->op_size == 4 ? fields[4] >> 16 & 0x7ff : 0;
		fpu->fdp = fields[5];
		fpu->fds = fields[6];
	} else {
		fpu->fip = (fields[3] & 0xffff) | (fields[4] & 0x0ffff000u) << 4;
		fpu->fop = fields[4] & 0x7ff;
		fpu->fdp = (fields[5] & 0xffff) | (fields[6] & 0x0ffff000u) << 4;
		fpu->fcs = fpu->fds = 0;
	}
}

/* D9 /4 */
static enum x86_status op_fldenv(struct vcpu *vcpu, const struct insn *i)
{
	uint8_t image[28];

	RETURN_IF_FAULT(interp_read_block(vcpu, i->seg, insn_ea(&vcpu->cpu, i), image,
					  environment_size(i)));
	environment_load(&vcpu->cpu, i, image);
	return X86_OK;
}

/* D9 /6: masks all exceptions once the image is stored. */
static enum x86_status op_fstenv(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t fields[7];
	uint8_t image[28];

	environment_fields(cpu, fields);
	environment_pack(i, fields, image);
	RETURN_IF_FAULT(
		interp_write_block(vcpu, i->seg, insn_ea(cpu, i), image, environment_size(i)));
	cpu->fpu.fcw |= 0x3f;
	fpu_update_summary(&cpu->fpu);
	return X86_OK;
}

/* DD /6 */
static enum x86_status op_fsave(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned size = environment_size(i);
	uint32_t fields[7];
	uint8_t image[108];

	environment_fields(cpu, fields);
	environment_pack(i, fields, image);
	for (unsigned n = 0; n < 8; n++)
		memcpy(image + size + 10 * n, cpu->fpu.st[n], 10);
	RETURN_IF_FAULT(interp_write_block(vcpu, i->seg, insn_ea(cpu, i), image, size + 80));
	load_status(&cpu->fpu, 0);
	fpu_init(&cpu->fpu);
	return X86_OK;
}

/* DD /4 */
static enum x86_status op_frstor(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned size = environment_size(i);
	uint8_t image[108];

	RETURN_IF_FAULT(interp_read_block(vcpu, i->seg, insn_ea(cpu, i), image, size + 80));
	environment_load(cpu, i, image);
	for (unsigned n = 0; n < 8; n++) {
		memset(cpu->fpu.st[n], 0, 16);
		memcpy(cpu->fpu.st[n], image + size + 10 * n, 10);
	}
	return X86_OK;
}

insn_handler pick_fpu_env(const struct insn *i)
{
	if (!i->mem || (i->opcode != 0xd9 && i->opcode != 0xdd))
		return NULL;
	switch (insn_reg(i)) {
	case 4: return i->opcode == 0xd9 ? op_fldenv : op_frstor;
	case 6: return i->opcode == 0xd9 ? op_fstenv : op_fsave;
	default: return NULL;
	}
}

/* --- 0F AE --- */

static enum x86_status fx_check(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;

	if (cpu->cr0 & (CR0_EM | CR0_TS))
		return fault_raise(cpu, EXC_NM);
	return (cpu->seg[i->seg].base + insn_ea(cpu, i)) & 15 ? raise_gp(vcpu) : X86_OK;
}

/* The whole 512-byte area must be writable, though the tail is not touched. */
static enum x86_status op_fxsave(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t ea = insn_ea(cpu, i);

	RETURN_IF_FAULT(fx_check(vcpu, i));
	RETURN_IF_FAULT(interp_probe_block(vcpu, i->seg, ea, 512));
	cpu->fpu.mxcsr_mask = MXCSR_VALID;
	cpu->fpu.reserved1 = 0;
	cpu->fpu.reserved2 = cpu->fpu.reserved3 = 0;
	return interp_write_block(vcpu, i->seg, ea, &cpu->fpu, FXSAVE_BYTES);
}

static enum x86_status op_fxrstor(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	struct fxsave_image image;

	RETURN_IF_FAULT(fx_check(vcpu, i));
	RETURN_IF_FAULT(interp_read_block(vcpu, i->seg, insn_ea(cpu, i), &image, sizeof(image)));
	if (image.mxcsr & ~MXCSR_VALID)
		return raise_gp(vcpu);
	memcpy(&cpu->fpu, &image, FXSAVE_BYTES);
	cpu->fpu.fcw = (image.fcw & 0x1f3f) | 0x40;
	/* ES and B follow from the rest, whatever the image says. */
	fpu_update_summary(&cpu->fpu);
	fpu_release_ignne(cpu);
	return X86_OK;
}

static enum x86_status sse_usable(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;

	if (cpu->cr0 & CR0_EM || !(cpu->cr4 & CR4_OSFXSR))
		return fault_raise(cpu, EXC_UD);
	return cpu->cr0 & CR0_TS ? fault_raise(cpu, EXC_NM) : X86_OK;
}

static enum x86_status op_ldmxcsr(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t value;

	RETURN_IF_FAULT(sse_usable(vcpu));
	RETURN_IF_FAULT(rm_read(vcpu, i, 4, &value));
	if (value & ~MXCSR_VALID)
		return raise_gp(vcpu);
	vcpu->cpu.fpu.mxcsr = value;
	return X86_OK;
}

static enum x86_status op_stmxcsr(struct vcpu *vcpu, const struct insn *i)
{
	RETURN_IF_FAULT(sse_usable(vcpu));
	return rm_write(vcpu, i, 4, vcpu->cpu.fpu.mxcsr);
}

/* Memory forms; the register forms are fences, which one processor does not need. */
insn_handler pick_group_0fae(const struct insn *i)
{
	static const insn_handler memory[8] = {
		op_fxsave, op_fxrstor, op_ldmxcsr, op_stmxcsr, op_undefined, op_undefined,
		op_undefined, op_clflush,
	};

	return i->mem ? memory[insn_reg(i)] : op_nop;
}
