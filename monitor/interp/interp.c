/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter's step: fetch through the decode cache, execute, and what comes around an
 * instruction: breakpoints, single stepping, RF, interrupt inhibition, delivery of faults.
 *
 * The decode cache is keyed by guest physical address and default operand size and holds the
 * instruction's bytes, which are compared with guest memory at each use. So self-modified code, DMA
 * and remapped pages need no notice.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include "fpu_proxy.h"
#include "internal.h"
#include "x86/fpu_spill.h"

/* DR6 (SDM vol. 3, 17.2.3). */

int interp_create(struct vcpu *vcpu)
{
	struct interp *interp = calloc(1, sizeof(*interp));
	int err;

	if (!interp)
		return -ENOMEM;
	err = fpu_proxy_create(&interp->proxy);
	if (!err)
		err = interp_blocks_create(interp);
	if (err) {
		fpu_proxy_destroy(interp->proxy);
		free(interp);
		return err;
	}
	interp->code_page = INTERP_NO_FRAME;
	for (unsigned n = 0; n < INTERP_CACHE_ENTRIES; n++)
		interp->cache[n].gpa = GPA_NONE;
	vcpu->interp = interp;
	return 0;
}

void interp_destroy(struct vcpu *vcpu)
{
	struct interp *interp = vcpu_interp(vcpu);

	if (!interp)
		return;
	interp_blocks_destroy(interp);
	fpu_proxy_destroy(interp->proxy);
	free(interp);
	vcpu->interp = NULL;
}

/* --- Fetch --- */

static unsigned cache_index(gpa_t gpa)
{
	return (gpa.v ^ gpa.v >> 14) & (INTERP_CACHE_ENTRIES - 1);
}

insn_handler interp_choose_handler(struct vcpu *vcpu, const struct insn *insn,
				   enum decode_result result)
{
	insn_handler handler = result == DECODE_OK ? interp_find_handler(insn) : op_undefined;

	assert(handler);
	if (handler != op_undefined && insn_features(insn) & ~cpu_features(&vcpu->cpu))
		return op_lacking;
	return handler;
}

static void set_mask(struct icache_entry *entry, unsigned len)
{
	entry->mask[0] = len >= 8 ? ~0ull : (1ull << 8 * len) - 1;
	entry->mask[1] = len <= 8 ? 0 : (1ull << 8 * (len - 8)) - 1;
}

/*
 * The general way: reads what is needed, page by page, within CS.limit, and decodes. An instruction
 * that ends in its first page goes to the cache if that page is RAM.
 */
static enum x86_status fetch_slow(struct vcpu *vcpu, struct icache_entry **out)
{
	struct interp *interp = vcpu_interp(vcpu);
	struct cpu *cpu = &vcpu->cpu;
	const struct segment *cs = &cpu->seg[X86_CS];
	bool code32 = cs->attr & SEG_DB;
	enum access access = ACCESS_EXEC | access_at_cpl(cpu->cpl);
	gva_t gva = cs->base + cpu->eip;
	uint64_t room = cpu->eip > cs->limit ? 0 : (uint64_t)cs->limit - cpu->eip + 1;
	unsigned avail = room < INSN_MAX_LEN ? room : INSN_MAX_LEN,
		 in_page = GUEST_PAGE_SIZE - (gva & ~GUEST_PAGE_MASK);
	unsigned first = avail < in_page ? avail : in_page;
	struct icache_entry *entry = &interp->crossing;
	uint8_t bytes[16] = { 0 };
	enum decode_result result;
	gpa_t gpa;

	if (avail == 0)
		return raise_gp(vcpu);
	RETURN_IF_FAULT(mem_translate(vcpu, gva, access, &gpa));
	RETURN_IF_FAULT(mem_read(vcpu, gva, bytes, first, access));
	result = insn_decode(bytes, first, code32, &entry->insn);
	if (result != DECODE_TRUNCATED && guest_ram_backs(&vcpu->vm->ram, gpa)) {
		struct icache_entry *slot = &interp->cache[cache_index(gpa)];

		slot->insn = entry->insn;
		slot->gpa = gpa;
		slot->code32 = code32;
		memcpy(slot->raw, bytes, sizeof(slot->raw));
		set_mask(slot, slot->insn.len);
		entry = slot;
	} else if (result == DECODE_TRUNCATED && first < avail) {
		RETURN_IF_FAULT(mem_read(vcpu, gva + first, bytes + first, avail - first, access));
		result = insn_decode(bytes, avail, code32, &entry->insn);
	}
	if (result == DECODE_TRUNCATED || result == DECODE_TOO_LONG) {
		entry->gpa = GPA_NONE;
		return raise_gp(vcpu);
	}
	entry->handler = interp_choose_handler(vcpu, &entry->insn, result);
	*out = entry;
	return X86_OK;
}

static inline enum x86_status fetch(struct vcpu *vcpu, struct icache_entry **out)
{
	struct cpu *cpu = &vcpu->cpu;
	const struct segment *cs = &cpu->seg[X86_CS];
	gpa_t gpa;
	const uint8_t *host = tlb_host(vcpu, cs->base + cpu->eip, 1, ACCESS_EXEC, &gpa);
	struct icache_entry *entry;
	uint64_t bytes[2];

	if (rf_unlikely(!host))
		return fetch_slow(vcpu, out);
	entry = &vcpu_interp(vcpu)->cache[cache_index(gpa)];
	/*
	 * Sixteen bytes are read whatever the length: at the very end of guest RAM the general way
	 * is taken.
	 */
	if (rf_unlikely(!gpa_equal(entry->gpa, gpa) || entry->code32 != !!(cs->attr & SEG_DB) ||
			gpa.v + 16 > guest_ram_end(&vcpu->vm->ram) ||
			(uint64_t)cpu->eip + entry->insn.len - 1 > cs->limit))
		return fetch_slow(vcpu, out);
	memcpy(bytes, host, sizeof(bytes));
	if (rf_unlikely(((bytes[0] ^ entry->raw[0]) & entry->mask[0]) |
			((bytes[1] ^ entry->raw[1]) & entry->mask[1])))
		return fetch_slow(vcpu, out);
	*out = entry;
	return X86_OK;
}

/* --- Around the instruction --- */

static enum interp_result deliver(struct vcpu *vcpu)
{
	return exception_deliver(vcpu) == X86_OK ? INTERP_EXCEPTION : INTERP_DEAD;
}

static enum interp_result debug_exception(struct vcpu *vcpu, uint32_t dr6)
{
	fault_raise(&vcpu->cpu, EXC_DB);
	vcpu->cpu.fault.dr6 = dr6;
	return deliver(vcpu);
}

enum interp_result interp_conclude(struct vcpu *vcpu, const struct insn *i, uint32_t eip,
				   enum x86_status status)
{
	if (status == X86_OK)
		return INTERP_OK;
	if (status == STATUS_HALT)
		return INTERP_HALT;
	assert(status == X86_FAULT || status == X86_DEAD);
	if (status != X86_FAULT)
		return INTERP_DEAD;
	if (!i || !(i->attr & (OPA_FAR | OPA_INT)))
		vcpu->cpu.eip = eip;
	return deliver(vcpu);
}

/* Breakpoints on instruction fetch: the DR6 bits of those that match (SDM vol. 3, 17.2.4). */
static uint32_t instruction_breakpoints(const struct cpu *cpu)
{
	gva_t gva = cpu->seg[X86_CS].base + cpu->eip;
	uint32_t dr6 = 0;

	for (unsigned n = 0; n < 4; n++)
		if (cpu->dr[7] >> (2 * n) & 3 && !(cpu->dr[7] >> (16 + 4 * n) & 3) &&
		    cpu->dr[n] == gva)
			dr6 |= 1u << n;
	return dr6;
}

/*
 * Whether the instruction sets EFLAGS.RF itself, so that its end does not clear it: IRET, and far
 * transfers to a task.
 */
static bool loads_rf(const struct insn *i)
{
	return i->attr & OPA_FAR;
}

/*
 * Whether the instruction goes to a handler, whose first instruction is not to be single-stepped:
 * not an INTO that falls through.
 */
static bool enters_handler(const struct cpu *cpu, const struct insn *i)
{
	return i->attr & OPA_INT && (i->opcode != 0xce || cpu->eflags & X86_OF);
}

/*
 * A callout that was made for an integer instruction may find another one there: a page of code can
 * be mapped elsewhere without a flush, and then the translation still goes by the old one
 * (x86/fpu_spill.h).
 */
static inline enum x86_status execute(struct vcpu *vcpu, const struct icache_entry *entry)
{
	const uint32_t fpu = OPA_FPU | OPA_MMX | OPA_SSE;

	assert(vcpu->tcw.fpu_live != FPU_LIVE);
	if (rf_unlikely(vcpu->tcw.fpu_live) &&
	    (entry->insn.attr & fpu || (entry->insn.map == MAP_0F && entry->insn.opcode == 0xae)))
		fpu_spill_x87(&vcpu->cpu);
	return entry->handler(vcpu, &entry->insn);
}

/* The step with debugging, RF or an inhibition in play. */
static enum interp_result step_carefully(struct vcpu *vcpu)
{
	struct interp *interp = vcpu_interp(vcpu);
	struct cpu *cpu = &vcpu->cpu;
	uint32_t eip = cpu->eip, held = cpu->inhibit, dr6;
	bool single_step = cpu->eflags & X86_TF;
	struct icache_entry *entry = NULL;
	enum interp_result result;
	enum x86_status status;

	cpu->inhibit = 0;
	if (cpu->dr[7] & 0xff && !(cpu->eflags & X86_RF) && !(held & INHIBIT_MOVSS)) {
		dr6 = instruction_breakpoints(cpu);
		if (dr6)
			return debug_exception(vcpu, dr6);
	}
	/* What MOV SS held back is taken after this instruction. */
	if (!(held & INHIBIT_MOVSS))
		interp->dr6_pending = 0;
	status = fetch(vcpu, &entry);
	if (status == X86_OK) {
		single_step = single_step && !enters_handler(cpu, &entry->insn);
		cpu->eip += entry->insn.len;
		status = execute(vcpu, entry);
	}
	result = interp_conclude(vcpu, entry ? &entry->insn : NULL, eip, status);
	/* Nothing has been done yet where an x87 error waits for its interrupt. */
	if (result != INTERP_OK && (result != INTERP_HALT || cpu->eip == eip))
		return result;
	/* An unfinished REP keeps RF: the breakpoint on it has been taken. */
	if (!loads_rf(&entry->insn) && !(entry->insn.attr & OPA_STRING && cpu->eip == eip))
		cpu->eflags &= ~X86_RF;
	dr6 = interp->dr6_pending | (single_step ? DR6_BS : 0);
	if (!dr6 || cpu->inhibit & INHIBIT_MOVSS)
		return result;
	interp->dr6_pending = 0;
	return debug_exception(vcpu, dr6);
}

enum interp_result interp_step(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t eip = cpu->eip;
	struct icache_entry *entry;
	enum x86_status status;

	if (rf_unlikely(cpu->eflags & (X86_TF | X86_RF) || cpu->dr[7] & 0xff || cpu->inhibit))
		return step_carefully(vcpu);
	status = fetch(vcpu, &entry);
	if (rf_unlikely(status))
		return interp_conclude(vcpu, NULL, eip, status);
	cpu->eip = eip + entry->insn.len;
	status = execute(vcpu, entry);
	if (rf_likely(status == X86_OK))
		return INTERP_OK;
	return interp_conclude(vcpu, &entry->insn, eip, status);
}

/* --- For debuggers --- */

/* False: it goes on waiting, or the VM ends. */
static bool step_out_of_halt(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;

	vcpu_wait_for_interrupt(vcpu);
	if (atomic_load(&cpu->events) & (EVENT_STOP | EVENT_RESET))
		return false;
	return vcpu_deliver_interrupts(vcpu) == X86_OK && !cpu->halted;
}

void interp_step_alone(struct vcpu *vcpu)
{
	const bool done = vcpu->cpu.halted ? step_out_of_halt(vcpu) :
					     interp_step(vcpu) != INTERP_DEAD;

	if (done && vcpu->debugger.stepping)
		debugger_stop(vcpu, DEBUGGER_STEPPED);
}
