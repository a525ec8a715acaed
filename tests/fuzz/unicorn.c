/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unicorn (QEMU's processor emulation as a library) as executor: flat segments, and only cases that
 * run to their end, since the state it shows at a fault is not precise. It is a second opinion that
 * needs nothing of the host; where the host judges, the host is right.
 */
#include <stdlib.h>
#include <string.h>
#include <unicorn/unicorn.h>
#include "executor.h"
#include "translator/opcode_map.h"

#define MAX_INSNS 20000

struct unicorn {
	struct executor x;
	uc_engine *uc;
	uint8_t *memory[REGIONS];
	bool excepted;
};

static struct unicorn *of(struct executor *x)
{
	return (struct unicorn *)x;
}

static void nothing(struct executor *x)
{
}

/* --- the state --- */

static const int reg_names[8] = {
	UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX, UC_X86_REG_ESP,
	UC_X86_REG_EBP, UC_X86_REG_ESI, UC_X86_REG_EDI,
};

static uint16_t tag_word(uint8_t abridged)
{
	uint16_t tags = 0;

	for (unsigned n = 0; n < 8; n++)
		tags |= (abridged >> n & 1 ? 0 : 3) << 2 * n;
	return tags;
}

static uint8_t abridged_tags(uint16_t tags)
{
	uint8_t abridged = 0;

	for (unsigned n = 0; n < 8; n++)
		abridged |= ((tags >> 2 * n & 3) != 3) << n;
	return abridged;
}

static void write_fpu(uc_engine *uc, const struct fxsave_image *fpu)
{
	uint16_t tags = tag_word(fpu->ftw), fcw = fpu->fcw, fsw = fpu->fsw;
	uint32_t mxcsr = fpu->mxcsr;

	uc_reg_write(uc, UC_X86_REG_FPCW, &fcw);
	uc_reg_write(uc, UC_X86_REG_FPSW, &fsw);
	uc_reg_write(uc, UC_X86_REG_FPTAG, &tags);
	uc_reg_write(uc, UC_X86_REG_MXCSR, &mxcsr);
	for (unsigned n = 0; n < 8; n++) {
		uc_reg_write(uc, UC_X86_REG_ST0 + n, fpu->st[n]);
		uc_reg_write(uc, UC_X86_REG_XMM0 + n, fpu->xmm[n]);
	}
}

static void read_fpu(uc_engine *uc, struct fxsave_image *fpu)
{
	uint16_t tags, fcw, fsw;
	uint32_t mxcsr;

	memset(fpu, 0, sizeof(*fpu));
	uc_reg_read(uc, UC_X86_REG_FPCW, &fcw);
	uc_reg_read(uc, UC_X86_REG_FPSW, &fsw);
	uc_reg_read(uc, UC_X86_REG_FPTAG, &tags);
	uc_reg_read(uc, UC_X86_REG_MXCSR, &mxcsr);
	fpu->fcw = fcw;
	fpu->fsw = fsw;
	fpu->ftw = abridged_tags(tags);
	fpu->mxcsr = mxcsr;
	for (unsigned n = 0; n < 8; n++) {
		uc_reg_read(uc, UC_X86_REG_ST0 + n, fpu->st[n]);
		uc_reg_read(uc, UC_X86_REG_XMM0 + n, fpu->xmm[n]);
	}
}

static void on_interrupt(uc_engine *uc, uint32_t number, void *opaque)
{
	((struct unicorn *)opaque)->excepted = true;
	uc_emu_stop(uc);
}

/* --- a run --- */

static void unicorn_store(struct executor *x, uint32_t at, const void *data, uint32_t len)
{
	for (unsigned n = 0; n < REGIONS; n++)
		if (at - region_base(n) < REGION_SIZE)
			memcpy(of(x)->memory[n] + (at - region_base(n)), data, len);
}

/* It executes an instruction that stores to the code around it twice. */
static bool changed_itself(const struct unicorn *u, const struct fuzz_case *c)
{
	return memcmp(u->memory[REGION_CODE] + (c->eip - BF_CODE), c->bytes, c->len);
}

static void unicorn_run(struct executor *x, const struct fuzz_case *c, struct outcome *out)
{
	const uint8_t stop[CASE_STOP_BYTES] = { BF_STOP };
	struct unicorn *u = of(x);
	uint32_t eip = 0, eflags = c->eflags;
	uc_err result;

	unicorn_store(x, c->eip, c->bytes, c->len);
	if (c->eip + c->len + sizeof(stop) <= BF_CODE + BF_CODE_SIZE)
		unicorn_store(x, c->eip + c->len, stop, sizeof(stop));
	uc_ctl_remove_cache(u->uc, BF_CODE, BF_CODE + REGION_SIZE);
	for (unsigned n = 0; n < 8; n++)
		uc_reg_write(u->uc, reg_names[n], &c->regs[n]);
	uc_reg_write(u->uc, UC_X86_REG_EFLAGS, &eflags);
	write_fpu(u->uc, &c->fpu);
	u->excepted = false;
	result = uc_emu_start(u->uc, c->eip, c->eip + c->len, 0, MAX_INSNS);
	uc_reg_read(u->uc, UC_X86_REG_EIP, &eip);
	memset(out, 0, sizeof(*out));
	out->kind = result || u->excepted || eip != c->eip + c->len || changed_itself(u, c) ?
			    OUTCOME_UNJUDGED :
			    OUTCOME_STOP;
	out->vector = EXC_GP;
	for (unsigned n = 0; n < 8; n++)
		uc_reg_read(u->uc, reg_names[n], &out->regs[n]);
	uc_reg_read(u->uc, UC_X86_REG_EFLAGS, &eflags);
	out->eip = eip;
	/* It has neither the interrupt flag's privilege nor the exception that ends a case. */
	out->eflags = eflags | X86_IF | X86_RF;
	memcpy(out->seg, c->seg, sizeof(out->seg));
	read_fpu(u->uc, &out->fpu);
}

static void unicorn_load(struct executor *x, const struct memory *memory)
{
	for (unsigned n = 0; n < REGIONS; n++)
		memcpy(of(x)->memory[n], memory->region[n], REGION_SIZE);
}

static const uint8_t *unicorn_region(struct executor *x, enum region region)
{
	return of(x)->memory[region];
}

/* --- life --- */

static void unicorn_destroy(struct executor *x)
{
	uc_close(of(x)->uc);
	for (unsigned n = 0; n < REGIONS; n++)
		free(of(x)->memory[n]);
	free(x);
}

static const struct executor_ops unicorn_ops = {
	nothing, nothing, unicorn_load, unicorn_region, unicorn_store, unicorn_run, unicorn_destroy,
};

static bool map_range(struct unicorn *u, enum region region, unsigned first, unsigned last,
		      uint32_t protection)
{
	const uint32_t at = first * GUEST_PAGE_SIZE;

	return !uc_mem_map_ptr(u->uc, region_base(region) + at, (last - first) * GUEST_PAGE_SIZE,
			       protection, u->memory[region] + at);
}

static bool map_regions(struct unicorn *u)
{
	for (unsigned n = 0; n < REGIONS; n++) {
		u->memory[n] = aligned_alloc(GUEST_PAGE_SIZE, REGION_SIZE);
		if (!u->memory[n])
			return false;
	}
	return map_range(u, REGION_CODE, 0, 16, UC_PROT_ALL) &&
	       map_range(u, REGION_DATA, 0, BF_ABSENT_PAGE, UC_PROT_ALL) &&
	       map_range(u, REGION_DATA, BF_ABSENT_PAGE + 1, BF_READONLY_PAGE, UC_PROT_ALL) &&
	       map_range(u, REGION_DATA, BF_READONLY_PAGE, BF_READONLY_PAGE + 1,
			 UC_PROT_READ | UC_PROT_EXEC) &&
	       map_range(u, REGION_DATA, BF_READONLY_PAGE + 1, BF_SUPERVISOR_PAGE, UC_PROT_ALL) &&
	       map_range(u, REGION_DATA, BF_SUPERVISOR_PAGE + 1, 16, UC_PROT_ALL);
}

struct executor *unicorn_create(const char **why)
{
	struct unicorn *u = calloc(1, sizeof(*u));
	uc_hook hook;

#ifdef __SANITIZE_ADDRESS__
	*why = "Unicorn leaks memory";
	free(u);
	return NULL;
#endif
	*why = "Unicorn does not start";
	if (!u)
		return NULL;
	u->x = (struct executor){ .name = "unicorn", .ops = &unicorn_ops, .is_unicorn = true };
	if (uc_open(UC_ARCH_X86, UC_MODE_32, &u->uc) ||
	    uc_ctl_set_cpu_model(u->uc, UC_CPU_X86_NEHALEM) || !map_regions(u) ||
	    uc_hook_add(u->uc, &hook, UC_HOOK_INTR, on_interrupt, u, 1, 0))
		return NULL;
	return &u->x;
}
