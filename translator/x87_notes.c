/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What translated code notes for the x87 last-instruction pointers (SDM vol. 1, 8.1.8). The host's
 * own will not do: an AMD processor loses them at each task switch and signal of the host's, unless
 * an exception is pending, and a recent Intel one keeps the data pointer only then.
 *
 * Each copied instruction that sets the pointers has a site. Nothing is stored while more such
 * instructions may follow: the site *waits*, and struct tu_insn has it, so that whoever interrupts
 * the code can tell (translator_x87_catch_up()). It is stored before anything that may lead out of
 * the TU, and before the registers of the operand's address may change:
 *
 *   fld [eax]; fmul [eax+8]; faddp; fstp [ebx]; add eax, ecx; jnz ...
 *       one note, of FSTP, before JNZ: its address is in EBX, which ADD does not change
 *
 * The note comes before the next instruction begins, and counts as the end of the one before.
 */
#include <assert.h>
#include "guest_address.h"

static bool is_fninit(const struct insn *i)
{
	return i->opcode == 0xdb && i->modrm == 0xe3;
}

static bool is_fnstsw_ax(const struct insn *i)
{
	return i->opcode == 0xdf && i->modrm == 0xe0;
}

static struct x87_site *new_site(struct build *b)
{
	struct translator *tr = b->tr;
	const struct x87_site *waiting = b->x87_site ? &tr->x87_sites[b->x87_site - 1] : NULL;
	struct x87_site *site = &tr->x87_sites[tr->nx87_sites++];

	assert(tr->nx87_sites <= X87_SITE_MAX);
	*site = (struct x87_site){ .eip = b->eip, .seg = X86_NSEG };
	/* The address of an operand before it may still have to be stored. */
	if (waiting && waiting->has_address) {
		site->has_address = true;
		site->address = waiting->address;
	}
	b->x87_site = tr->nx87_sites;
	return site;
}

void x87_copied(struct build *b, const struct insn *i)
{
	struct x87_site *site;

	if (!insn_is_x87(i) || (insn_is_x87_control(i) && !is_fninit(i)))
		return;
	site = new_site(b);
	site->fop = insn_x87_opcode(i);
	if (i->mem) {
		site->seg = i->seg;
		site->has_address = true;
		site->address = operand_effective(b, i);
	} else if (is_fninit(i)) {
		*site = (struct x87_site){ .seg = X86_NSEG, .initial = true, .has_address = true,
					   .address = memref_plain(NO_REG, 0) };
	}
}

static void emit_data_pointer(struct build *b, struct memref address)
{
	const struct memref to = memref_cpu(TCW_OFF(x87_fdp));
	unsigned reg = H_R10;

	if (address.base == NO_REG && address.index == NO_REG) {
		emit_store32_imm(&b->e, address.disp, to);
		return;
	}
	if (address.base != NO_REG && address.index == NO_REG && !address.disp) {
		reg = address.base;
	} else {
		guest_address_clobbered(b);
		emit_lea32(&b->e, H_R10, address);
	}
	emit_store32(&b->e, reg, to);
}

void x87_note(struct build *b)
{
	const struct x87_site *site;

	if (!b->x87_site)
		return;
	site = &b->tr->x87_sites[b->x87_site - 1];
	if (site->has_address)
		emit_data_pointer(b, site->address);
	emit_store32_imm(&b->e, b->x87_site, memref_cpu(TCW_OFF(x87_site)));
	b->x87_site = 0;
}

static bool address_stays(const struct build *b, const struct insn *i)
{
	const struct x87_site *site = &b->tr->x87_sites[b->x87_site - 1];

	if (!site->has_address)
		return true;
	return (site->address.base == NO_REG || insn_keeps_register(i, site->address.base)) &&
	       (site->address.index == NO_REG || insn_keeps_register(i, site->address.index));
}

/* Copied, with no way out of the TU but a host fault. What is not sure is false. */
static bool site_may_wait(const struct build *b, const struct insn *i)
{
	if (b->adapt & ~ADAPT_EXACT || mode_is_soft(b) || (i->mem && i->addr_size != 4))
		return false;
	if (insn_is_x87(i))
		return !is_fnstsw_ax(i) && b->mode & MODE_FPU;
	return i->has_modrm && insn_writes_what_it_names(i) && address_stays(b, i);
}

void x87_note_before(struct build *b, const struct insn *next)
{
	if (b->x87_site && !(next && site_may_wait(b, next)))
		x87_note(b);
}
