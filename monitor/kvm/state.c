/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * struct cpu <-> KVM's registers. Each part has a get and a put; kvm_get_state() and
 * kvm_put_state() are all of them in turn.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <x86intrin.h>
#include "internal.h"
#include "monitor/vm/vm.h"

/* ---- general registers ---- */

static const struct { enum x86_reg reg; size_t offset; } general[] = {
	{ X86_EAX, offsetof(struct kvm_regs, rax) }, { X86_ECX, offsetof(struct kvm_regs, rcx) },
	{ X86_EDX, offsetof(struct kvm_regs, rdx) }, { X86_EBX, offsetof(struct kvm_regs, rbx) },
	{ X86_ESP, offsetof(struct kvm_regs, rsp) }, { X86_EBP, offsetof(struct kvm_regs, rbp) },
	{ X86_ESI, offsetof(struct kvm_regs, rsi) }, { X86_EDI, offsetof(struct kvm_regs, rdi) },
};

static __u64 *kvm_reg(struct kvm_regs *regs, size_t i)
{
	return (__u64 *)((char *)regs + general[i].offset);
}

static int get_general(struct kvm_engine *kvm, struct cpu *cpu)
{
	struct kvm_regs regs;
	int err = kvm_ioctl(kvm->vcpu_fd, KVM_GET_REGS, &regs);

	for (size_t i = 0; !err && i < RF_ARRAY_SIZE(general); i++)
		cpu->regs[general[i].reg] = *kvm_reg(&regs, i);
	if (!err) {
		cpu->eip = regs.rip;
		cpu->eflags = regs.rflags;
	}
	return err;
}

static int put_general(struct kvm_engine *kvm, const struct cpu *cpu)
{
	struct kvm_regs regs = { .rip = cpu->eip, .rflags = cpu->eflags };

	for (size_t i = 0; i < RF_ARRAY_SIZE(general); i++)
		*kvm_reg(&regs, i) = cpu->regs[general[i].reg];
	return kvm_ioctl(kvm->vcpu_fd, KVM_SET_REGS, &regs);
}

/* ---- segments and control registers ---- */

static struct kvm_segment segment_to_kvm(const struct segment *s)
{
	return (struct kvm_segment){
		.base = s->base, .limit = s->limit, .selector = s->selector,
		.type = s->attr & SEG_TYPE, .s = !!(s->attr & SEG_S),
		.dpl = (s->attr & SEG_DPL) >> SEG_DPL_SHIFT, .present = !!(s->attr & SEG_P),
		.avl = !!(s->attr & SEG_AVL), .db = !!(s->attr & SEG_DB), .g = !!(s->attr & SEG_G),
		.unusable = !(s->attr & SEG_P),
	};
}

static struct segment segment_from_kvm(const struct kvm_segment *k)
{
	struct segment s = { .base = k->base, .limit = k->limit, .selector = k->selector };

	if (k->unusable || !k->present)
		return s;
	s.attr = k->type | k->dpl << SEG_DPL_SHIFT | SEG_P | (k->s ? SEG_S : 0) |
		 (k->avl ? SEG_AVL : 0) | (k->db ? SEG_DB : 0) | (k->g ? SEG_G : 0);
	return s;
}

static const struct { enum x86_seg seg; size_t offset; } segments[] = {
	{ X86_ES, offsetof(struct kvm_sregs2, es) }, { X86_CS, offsetof(struct kvm_sregs2, cs) },
	{ X86_SS, offsetof(struct kvm_sregs2, ss) }, { X86_DS, offsetof(struct kvm_sregs2, ds) },
	{ X86_FS, offsetof(struct kvm_sregs2, fs) }, { X86_GS, offsetof(struct kvm_sregs2, gs) },
};

static struct kvm_segment *kvm_segment_of(struct kvm_sregs2 *sregs, size_t i)
{
	return (struct kvm_segment *)((char *)sregs + segments[i].offset);
}

static uint8_t cpl_of(const struct kvm_sregs2 *sregs, const struct cpu *cpu)
{
	if (!(cpu->cr0 & CR0_PE))
		return 0;
	return cpu->eflags & X86_VM ? 3 : sregs->ss.dpl;
}

/* After get_general(), for EFLAGS.VM. */
static int get_system(struct kvm_engine *kvm, struct cpu *cpu)
{
	struct kvm_sregs2 sregs;
	int err = kvm_ioctl(kvm->vcpu_fd, KVM_GET_SREGS2, &sregs);

	if (err)
		return err;
	for (size_t i = 0; i < RF_ARRAY_SIZE(segments); i++)
		cpu->seg[segments[i].seg] = segment_from_kvm(kvm_segment_of(&sregs, i));
	cpu->ldtr = segment_from_kvm(&sregs.ldt);
	cpu->tr = segment_from_kvm(&sregs.tr);
	cpu->gdtr = (struct table_register){ sregs.gdt.base, sregs.gdt.limit };
	cpu->idtr = (struct table_register){ sregs.idt.base, sregs.idt.limit };
	cpu->cr0 = sregs.cr0;
	cpu->cr2 = sregs.cr2;
	cpu->cr3 = sregs.cr3;
	cpu->cr4 = sregs.cr4;
	cpu->efer = sregs.efer;
	cpu->apic_base = sregs.apic_base;
	cpu->cpl = cpl_of(&sregs, cpu);
	if (sregs.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID) {
		for (int i = 0; i < 4; i++)
			cpu->pdpte[i] = sregs.pdptrs[i];
	}
	return 0;
}

static bool uses_pdptes(const struct cpu *cpu)
{
	return cpu->cr0 & CR0_PG && cpu->cr4 & CR4_PAE;
}

static int put_system(struct kvm_engine *kvm, const struct cpu *cpu)
{
	struct kvm_sregs2 sregs = {
		.ldt = segment_to_kvm(&cpu->ldtr), .tr = segment_to_kvm(&cpu->tr),
		.gdt = { .base = cpu->gdtr.base, .limit = cpu->gdtr.limit },
		.idt = { .base = cpu->idtr.base, .limit = cpu->idtr.limit }, .cr0 = cpu->cr0,
		.cr2 = cpu->cr2, .cr3 = cpu->cr3, .cr4 = cpu->cr4, .efer = cpu->efer,
		.apic_base = cpu->apic_base,
	};

	for (size_t i = 0; i < RF_ARRAY_SIZE(segments); i++)
		*kvm_segment_of(&sregs, i) = segment_to_kvm(&cpu->seg[segments[i].seg]);
	if (uses_pdptes(cpu)) {
		sregs.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
		for (int i = 0; i < 4; i++)
			sregs.pdptrs[i] = cpu->pdpte[i];
	}
	return kvm_ioctl(kvm->vcpu_fd, KVM_SET_SREGS2, &sregs);
}

/* ---- x87 and SSE ---- */

/*
 * Through the XSAVE image (SDM vol. 1, 13.4), whose first part is FXSAVE's: KVM_SET_FPU leaves
 * MXCSR out.
 */
#define XSAVE_HEADER_WORD (sizeof(struct fxsave_image) / sizeof(__u32)) /* XSTATE_BV */
#define XSTATE_X87_SSE    3u

_Static_assert(sizeof(struct fxsave_image) == 512, "the legacy region");

static int get_fpu(struct kvm_engine *kvm, struct cpu *cpu)
{
	const uint32_t mxcsr_mask = cpu->fpu.mxcsr_mask;
	struct kvm_xsave image;
	int err = kvm_ioctl(kvm->vcpu_fd, KVM_GET_XSAVE, &image);

	if (err)
		return err;
	memcpy(&cpu->fpu, image.region, sizeof(cpu->fpu));
	cpu->fpu.mxcsr_mask = mxcsr_mask;
	return 0;
}

static int put_fpu(struct kvm_engine *kvm, const struct cpu *cpu)
{
	struct kvm_xsave image = { .region = { [XSAVE_HEADER_WORD] = XSTATE_X87_SSE } };

	memcpy(image.region, &cpu->fpu, sizeof(cpu->fpu));
	return kvm_ioctl(kvm->vcpu_fd, KVM_SET_XSAVE, &image);
}

/* ---- debug registers ---- */

static int get_debug(struct kvm_engine *kvm, struct cpu *cpu)
{
	struct kvm_debugregs k;
	int err = kvm_ioctl(kvm->vcpu_fd, KVM_GET_DEBUGREGS, &k);

	if (err)
		return err;
	for (int i = 0; i < 4; i++)
		cpu->dr[i] = k.db[i];
	cpu->dr[6] = k.dr6;
	cpu->dr[7] = k.dr7;
	return 0;
}

static int put_debug(struct kvm_engine *kvm, const struct cpu *cpu)
{
	struct kvm_debugregs k = { .dr6 = cpu->dr[6], .dr7 = cpu->dr[7] };

	for (int i = 0; i < 4; i++)
		k.db[i] = cpu->dr[i];
	return kvm_ioctl(kvm->vcpu_fd, KVM_SET_DEBUGREGS, &k);
}

/* ---- MSRs and the TSC ---- */

enum { SLOT_SYSENTER_CS, SLOT_SYSENTER_ESP, SLOT_SYSENTER_EIP, SLOT_PAT, SLOT_TSC_ADJUST, NSLOTS };

struct msr_list {
	struct kvm_msrs head;
	struct kvm_msr_entry entry[NSLOTS];
};

static const struct msr_list no_msrs = {
	.head.nmsrs = NSLOTS,
	.entry = {
		[SLOT_SYSENTER_CS].index = MSR_SYSENTER_CS,
		[SLOT_SYSENTER_ESP].index = MSR_SYSENTER_ESP,
		[SLOT_SYSENTER_EIP].index = MSR_SYSENTER_EIP, [SLOT_PAT].index = MSR_PAT,
		[SLOT_TSC_ADJUST].index = MSR_TSC_ADJUST,
	},
};

/* The ioctls for MSRs say how many they did. */
static int msr_result(int done, int wanted)
{
	return done < 0 ? done : done == wanted ? 0 : -EINVAL;
}

int kvm_put_msr(struct kvm_engine *kvm, uint32_t index, uint64_t value)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry entry; } list = {
		.head.nmsrs = 1, .entry = { .index = index, .data = value },
	};

	return msr_result(kvm_ioctl(kvm->vcpu_fd, KVM_SET_MSRS, &list), 1);
}

static int get_msrs(struct kvm_engine *kvm, struct cpu *cpu)
{
	struct msr_list list = no_msrs;
	int err = msr_result(kvm_ioctl(kvm->vcpu_fd, KVM_GET_MSRS, &list), NSLOTS);

	if (err)
		return err;
	cpu->sysenter_cs = list.entry[SLOT_SYSENTER_CS].data;
	cpu->sysenter_esp = list.entry[SLOT_SYSENTER_ESP].data;
	cpu->sysenter_eip = list.entry[SLOT_SYSENTER_EIP].data;
	cpu->pat = list.entry[SLOT_PAT].data;
	cpu->tsc_adjust = list.entry[SLOT_TSC_ADJUST].data;
	return 0;
}

static int put_msrs(struct kvm_engine *kvm, const struct cpu *cpu)
{
	struct msr_list list = no_msrs;

	list.entry[SLOT_SYSENTER_CS].data = cpu->sysenter_cs;
	list.entry[SLOT_SYSENTER_ESP].data = cpu->sysenter_esp;
	list.entry[SLOT_SYSENTER_EIP].data = cpu->sysenter_eip;
	list.entry[SLOT_PAT].data = cpu->pat;
	list.entry[SLOT_TSC_ADJUST].data = cpu->tsc_adjust;
	return msr_result(kvm_ioctl(kvm->vcpu_fd, KVM_SET_MSRS, &list), NSLOTS);
}

/*
 * The offset itself, where KVM lets us at it (Linux 5.16). Writing the MSR instead is a guess: KVM
 * takes small changes for an attempt at setting several processors alike, and undoes them.
 */
static struct kvm_device_attr tsc_attribute(uint64_t *offset)
{
	return (struct kvm_device_attr){ .group = KVM_VCPU_TSC_CTRL,
					 .attr = KVM_VCPU_TSC_OFFSET,
					 .addr = (uintptr_t)offset };
}

static int get_tsc(struct kvm_engine *kvm, struct cpu *cpu)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} list = { .head.nmsrs = 1, .entry.index = MSR_TSC };
	struct kvm_device_attr attribute = tsc_attribute(&cpu->tsc_offset);
	int err = kvm_ioctl(kvm->vcpu_fd, KVM_GET_DEVICE_ATTR, &attribute);

	if (!err)
		return 0;
	err = msr_result(kvm_ioctl(kvm->vcpu_fd, KVM_GET_MSRS, &list), 1);
	if (!err)
		cpu->tsc_offset = list.entry.data - __rdtsc();
	return err;
}

static int put_tsc(struct kvm_engine *kvm, const struct cpu *cpu)
{
	uint64_t offset = cpu->tsc_offset;
	struct kvm_device_attr attribute = tsc_attribute(&offset);

	if (!kvm_ioctl(kvm->vcpu_fd, KVM_SET_DEVICE_ATTR, &attribute))
		return 0;
	return kvm_put_msr(kvm, MSR_TSC, __rdtsc() + offset);
}

/* ---- what is about to be delivered ---- */

static int get_events(struct kvm_engine *kvm, struct cpu *cpu)
{
	struct kvm_vcpu_events *e = &kvm->events;
	int err = kvm_ioctl(kvm->vcpu_fd, KVM_GET_VCPU_EVENTS, e);

	if (err)
		return err;
	cpu->nmi_blocked = e->nmi.masked;
	cpu->inhibit = (e->interrupt.shadow & KVM_X86_SHADOW_INT_STI ? INHIBIT_STI : 0) |
		       (e->interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS ? INHIBIT_MOVSS : 0);
	return 0;
}

static int put_events(struct kvm_engine *kvm, const struct cpu *cpu)
{
	struct kvm_vcpu_events *e = &kvm->events;

	e->nmi.masked = cpu->nmi_blocked;
	e->interrupt.shadow = (cpu->inhibit & INHIBIT_STI ? KVM_X86_SHADOW_INT_STI : 0) |
			      (cpu->inhibit & INHIBIT_MOVSS ? KVM_X86_SHADOW_INT_MOV_SS : 0);
	e->flags |= KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_NMI_PENDING;
	return kvm_ioctl(kvm->vcpu_fd, KVM_SET_VCPU_EVENTS, e);
}

/* Only with interrupt controllers in the kernel does KVM know of HLT. */
static int get_halted(struct kvm_engine *kvm, struct cpu *cpu)
{
	struct kvm_mp_state state;
	int err = kvm->irqchip_in_kernel ? kvm_ioctl(kvm->vcpu_fd, KVM_GET_MP_STATE, &state) : 0;

	if (!err && kvm->irqchip_in_kernel)
		cpu->halted = state.mp_state == KVM_MP_STATE_HALTED;
	return err;
}

static int put_halted(struct kvm_engine *kvm, struct cpu *cpu)
{
	struct kvm_mp_state state = { .mp_state = cpu->halted ? KVM_MP_STATE_HALTED :
								KVM_MP_STATE_RUNNABLE };
	int err = kvm->irqchip_in_kernel ? kvm_ioctl(kvm->vcpu_fd, KVM_SET_MP_STATE, &state) : 0;

	if (!err && kvm->irqchip_in_kernel)
		cpu->halted = false;
	return err;
}

/* ---- all of it ---- */

int kvm_get_state(struct kvm_engine *kvm)
{
	static int (*const parts[])(struct kvm_engine *, struct cpu *) = {
		get_general, get_system, get_fpu, get_debug, get_msrs, get_tsc, get_events,
		get_halted,
	};

	if (!kvm->in_kvm)
		return 0;
	for (size_t i = 0; i < RF_ARRAY_SIZE(parts); i++) {
		int err = parts[i](kvm, &kvm->vcpu->cpu);

		if (err)
			return err;
	}
	kvm->in_kvm = false;
	/* It was not kept up while KVM ran. */
	soft_tlb_flush(kvm->vcpu, true);
	return 0;
}

int kvm_put_state(struct kvm_engine *kvm)
{
	/* EFLAGS comes after CR0 and the segments, whose meaning it changes; events come last. */
	static int (*const parts[])(struct kvm_engine *, const struct cpu *) = {
		put_msrs, put_tsc, put_system, put_general, put_fpu, put_debug, put_events,
	};
	struct cpu *cpu = &kvm->vcpu->cpu;

	assert(!kvm->in_kvm && vcpu_is_mine(kvm->vcpu));
	for (size_t i = 0; i < RF_ARRAY_SIZE(parts); i++) {
		int err = parts[i](kvm, cpu);

		if (err)
			return err;
	}
	/*
	 * What KVM last said of interrupts is no longer so: it has to be asked, by requesting the
	 * window.
	 */
	kvm->run->ready_for_interrupt_injection = 0;
	cpu->nmi_blocked = false;
	cpu->inhibit = 0;
	kvm->in_kvm = true;
	return put_halted(kvm, cpu);
}
