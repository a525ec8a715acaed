/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: string instructions, REP included (SDM vol. 2, REP).
 *
 * A REP form does a batch of iterations and then, if its count is not used up, leaves eip at
 * itself, so that events are noticed; each iteration commits ECX, ESI and EDI, so that a fault in
 * the middle finds the progress of those before it. REP MOVS and REP STOS go page by page through
 * host pointers where the segments and the software TLB allow.
 */
#include <assert.h>
#include "internal.h"

#define BATCH 4096u

struct string_op {
	const struct insn *insn;
	unsigned size;
	int32_t step;        /* +-size by DF */
	uint32_t mask;       /* of the address size */
};

static struct string_op string_begin(struct vcpu *vcpu, const struct insn *i)
{
	unsigned size = insn_size(i);

	return (struct string_op){
		.insn = i, .size = size,
		.step = vcpu->cpu.eflags & X86_DF ? -(int32_t)size : (int32_t)size,
		.mask = i->addr_size == 4 ? 0xffffffffu : 0xffffu,
	};
}

static void advance(struct cpu *cpu, const struct string_op *op, unsigned reg, uint32_t by)
{
	cpu->regs[reg] = (cpu->regs[reg] & ~op->mask) | ((cpu->regs[reg] + by) & op->mask);
}

static enum x86_status read_source(struct vcpu *vcpu, const struct string_op *op, uint32_t *value)
{
	return seg_read(vcpu, op->insn->seg, vcpu->cpu.regs[X86_ESI] & op->mask, op->size, value);
}

static enum x86_status read_destination(struct vcpu *vcpu, const struct string_op *op,
					uint32_t *value)
{
	return seg_read(vcpu, X86_ES, vcpu->cpu.regs[X86_EDI] & op->mask, op->size, value);
}

static enum x86_status write_destination(struct vcpu *vcpu, const struct string_op *op,
					 uint32_t value)
{
	return seg_write(vcpu, X86_ES, vcpu->cpu.regs[X86_EDI] & op->mask, op->size, value);
}

/* --- One iteration of each --- */

typedef enum x86_status (*string_fn)(struct vcpu *vcpu, const struct string_op *op);

static enum x86_status movs_once(struct vcpu *vcpu, const struct string_op *op)
{
	uint32_t value;

	RETURN_IF_FAULT(read_source(vcpu, op, &value));
	RETURN_IF_FAULT(write_destination(vcpu, op, value));
	advance(&vcpu->cpu, op, X86_ESI, op->step);
	advance(&vcpu->cpu, op, X86_EDI, op->step);
	return X86_OK;
}

static enum x86_status stos_once(struct vcpu *vcpu, const struct string_op *op)
{
	RETURN_IF_FAULT(write_destination(vcpu, op, vcpu->cpu.regs[X86_EAX]));
	advance(&vcpu->cpu, op, X86_EDI, op->step);
	return X86_OK;
}

static enum x86_status lods_once(struct vcpu *vcpu, const struct string_op *op)
{
	uint32_t value;

	RETURN_IF_FAULT(read_source(vcpu, op, &value));
	reg_set(&vcpu->cpu, X86_EAX, value, op->size);
	advance(&vcpu->cpu, op, X86_ESI, op->step);
	return X86_OK;
}

static void compare(struct cpu *cpu, unsigned size, uint32_t a, uint32_t b)
{
	uint32_t ax;

	/*
	 * Compared in the top bits of a register, all sizes set the same flags but AF and PF; so by
	 * size.
	 */
	if (size == 1)
		asm("cmpb %b[b], %b[a]" ASM_SAVE_FLAGS : "=a"(ax) : [a] "q"(a), [b] "q"(b) : "cc");
	else if (size == 2)
		asm("cmpw %w[b], %w[a]" ASM_SAVE_FLAGS : "=a"(ax) : [a] "r"(a), [b] "r"(b) : "cc");
	else
		asm("cmpl %[b], %[a]" ASM_SAVE_FLAGS : "=a" (ax) : [a] "r" (a), [b] "r" (b) : "cc");
	flags_from_ax(cpu, ax);
}

static enum x86_status cmps_once(struct vcpu *vcpu, const struct string_op *op)
{
	uint32_t source, destination;

	/* In this order, as processors do: if both fault, it shows. */
	RETURN_IF_FAULT(read_destination(vcpu, op, &destination));
	RETURN_IF_FAULT(read_source(vcpu, op, &source));
	compare(&vcpu->cpu, op->size, source, destination);
	advance(&vcpu->cpu, op, X86_ESI, op->step);
	advance(&vcpu->cpu, op, X86_EDI, op->step);
	return X86_OK;
}

static enum x86_status scas_once(struct vcpu *vcpu, const struct string_op *op)
{
	uint32_t destination;

	RETURN_IF_FAULT(read_destination(vcpu, op, &destination));
	compare(&vcpu->cpu, op->size, vcpu->cpu.regs[X86_EAX], destination);
	advance(&vcpu->cpu, op, X86_EDI, op->step);
	return X86_OK;
}

/* The store is checked before the port is read, since reading may have effects. */
static enum x86_status ins_once(struct vcpu *vcpu, const struct string_op *op)
{
	uint16_t port = vcpu->cpu.regs[X86_EDX];
	uint32_t value = 0;
	struct rmw rmw;

	RETURN_IF_FAULT(io_permission(vcpu, port, op->size));
	RETURN_IF_FAULT(rmw_begin(vcpu, X86_ES, vcpu->cpu.regs[X86_EDI] & op->mask, op->size, &rmw,
				  &value));
	interp_watch_io(vcpu, port, op->size);
	value = vm_pio_read(vcpu->vm, port, op->size);
	RETURN_IF_FAULT(rmw_end(vcpu, &rmw, op->size, &value));
	advance(&vcpu->cpu, op, X86_EDI, op->step);
	return X86_OK;
}

static enum x86_status outs_once(struct vcpu *vcpu, const struct string_op *op)
{
	uint16_t port = vcpu->cpu.regs[X86_EDX];
	uint32_t value;

	RETURN_IF_FAULT(io_permission(vcpu, port, op->size));
	RETURN_IF_FAULT(read_source(vcpu, op, &value));
	interp_watch_io(vcpu, port, op->size);
	vm_pio_write(vcpu->vm, port, value, op->size);
	advance(&vcpu->cpu, op, X86_ESI, op->step);
	return X86_OK;
}

/* --- Page-wise REP MOVS and REP STOS, upwards --- */

/*
 * Host address of [seg:offset] and, in *count, how many of that many elements lie before the
 * segment's and the page's end.
 */
static uint8_t *run_pointer(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset,
			    const struct string_op *op, enum access kind, uint32_t *count,
			    gpa_t *gpa)
{
	const struct cpu *cpu = &vcpu->cpu;
	const struct segment *s = &cpu->seg[seg];
	uint64_t room = s->limit < op->mask ? s->limit : op->mask;
	uint32_t in_page;
	uint8_t *host;

	if (!segment_is_plain(s) || accesses_are_watched(cpu) || offset > room)
		return NULL;
	room = room - offset + 1;
	host = tlb_host(vcpu, s->base + offset, op->size, kind, gpa);
	in_page = GUEST_PAGE_SIZE - ((s->base + offset) & ~GUEST_PAGE_MASK);
	if (room > in_page)
		room = in_page;
	if (room / op->size < *count)
		*count = room / op->size;
	return *count ? host : NULL;
}

/*
 * Element by element where the destination begins within the source, as the instruction would
 * propagate what it has just stored. Where it begins below, no source is stored to before it is
 * read: so screens scroll.
 */
static void copy_run(uint8_t *to, const uint8_t *from, uint32_t count, unsigned size)
{
	if (to <= from || from + (size_t)count * size <= to) {
		memmove(to, from, (size_t)count * size);
		return;
	}
	for (; count; count--, to += size, from += size)
		memmove(to, from, size);
}

static void fill_run(uint8_t *to, uint32_t value, uint32_t count, unsigned size)
{
	if (size == 1) {
		memset(to, value, count);
		return;
	}
	for (; count; count--, to += size)
		memcpy(to, &value, size);
}

/* Does up to count iterations at once; returns how many, 0 if the slow way must be gone. */
static uint32_t run_movs(struct vcpu *vcpu, const struct string_op *op, uint32_t count)
{
	struct cpu *cpu = &vcpu->cpu;
	gpa_t gpa, ignored;
	const uint8_t *from = run_pointer(vcpu, op->insn->seg, cpu->regs[X86_ESI] & op->mask, op,
					  ACCESS_READ, &count, &ignored);
	uint8_t *to = from ? run_pointer(vcpu, X86_ES, cpu->regs[X86_EDI] & op->mask, op,
					 ACCESS_WRITE, &count, &gpa) :
			     NULL;

	if (!to || guest_ram_flags(&vcpu->vm->ram, gpa) & RAM_PAGE_ROM)
		return 0;
	copy_run(to, from, count, op->size);
	guest_ram_written(&vcpu->vm->ram, gpa, count * op->size);
	advance(cpu, op, X86_ESI, count * op->size);
	advance(cpu, op, X86_EDI, count * op->size);
	return count;
}

static uint32_t run_stos(struct vcpu *vcpu, const struct string_op *op, uint32_t count)
{
	struct cpu *cpu = &vcpu->cpu;
	gpa_t gpa;
	uint8_t *to = run_pointer(vcpu, X86_ES, cpu->regs[X86_EDI] & op->mask, op, ACCESS_WRITE,
				  &count, &gpa);

	if (!to || guest_ram_flags(&vcpu->vm->ram, gpa) & RAM_PAGE_ROM)
		return 0;
	fill_run(to, cpu->regs[X86_EAX], count, op->size);
	guest_ram_written(&vcpu->vm->ram, gpa, count * op->size);
	advance(cpu, op, X86_EDI, count * op->size);
	return count;
}

/* --- Repetition --- */

/* Indexed by the opcode's bits 3..1 for A4..AF. */
static const string_fn string_table[8] = { NULL, NULL,      movs_once, cmps_once,
					   NULL, stos_once, lods_once, scas_once };

static string_fn string_function(const struct insn *i)
{
	if (i->opcode < 0x70)
		return i->opcode < 0x6e ? ins_once : outs_once;
	assert(i->opcode >= 0xa4 && string_table[i->opcode >> 1 & 7]);
	return string_table[i->opcode >> 1 & 7];
}

static uint32_t run(struct vcpu *vcpu, const struct string_op *op, uint32_t count)
{
	if (op->step < 0)
		return 0;
	if ((op->insn->opcode & 0xfe) == 0xa4)
		return run_movs(vcpu, op, count);
	return (op->insn->opcode & 0xfe) == 0xaa ? run_stos(vcpu, op, count) : 0;
}

/* CMPS and SCAS stop on ZF: REPE (F3) goes on while it is set, REPNE (F2) while clear. */
static bool compares(const struct insn *i)
{
	return (i->opcode & 0xf6) == 0xa6;
}

/*
 * A fault leaves the iterations done so far done, but the arithmetic flags as the instruction found
 * them (SDM vol. 2, REP): of interest to CMPS and SCAS, the only ones to write any.
 */
static bool work_waits(struct vcpu *vcpu)
{
	return atomic_load_explicit(&vcpu->cpu.events, memory_order_relaxed) & EVENT_STOP;
}

/*
 * Leaves once there is work to do: what the last iteration did to a device may have changed what
 * memory is.
 */
static enum x86_status repeat(struct vcpu *vcpu, const struct insn *i)
{
	struct string_op op = string_begin(vcpu, i);
	string_fn once = string_function(i);
	struct cpu *cpu = &vcpu->cpu;
	const uint32_t flags = cpu->eflags & X86_ARITH_FLAGS;
	/*
	 * Under TF every iteration traps (SDM vol. 3, 17.3.1.4), and breakpoints strike after each.
	 */
	const bool alone = cpu->eflags & X86_TF || cpu->dr[7] & 0xff || vcpu->debugger.stepping;
	uint32_t budget = alone ? 1 : BATCH;

	while (cpu->regs[X86_ECX] & op.mask) {
		uint32_t count = cpu->regs[X86_ECX] & op.mask, done;

		if (budget == 0) {
			/*
			 * What comes in between, a trap or an interrupt, saves RF set (SDM vol. 3,
			 * 17.3.1.1).
			 */
			cpu->eflags |= X86_RF;
			cpu->eip -= i->len;
			return X86_OK;
		}
		done = run(vcpu, &op, count < budget ? count : budget);
		if (!done) {
			enum x86_status status = once(vcpu, &op);

			if (status) {
				cpu->eflags = (cpu->eflags & ~X86_ARITH_FLAGS) | flags;
				return status;
			}
			done = 1;
		}
		advance(cpu, &op, X86_ECX, -done);
		budget = work_waits(vcpu) || vcpu->debugger.why == DEBUGGER_WATCHPOINT ?
				 0 : budget - done;
		if (compares(i) && !(cpu->eflags & X86_ZF) == !!(i->prefixes & PFX_REP))
			break;
	}
	return X86_OK;
}

static enum x86_status once_only(struct vcpu *vcpu, const struct insn *i)
{
	struct string_op op = string_begin(vcpu, i);

	return string_function(i)(vcpu, &op);
}

insn_handler pick_string(const struct insn *i)
{
	return i->prefixes & (PFX_REP | PFX_REPNE) ? repeat : once_only;
}
