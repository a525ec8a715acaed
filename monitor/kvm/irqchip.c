/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -accel kvm,irqchip=kernel: 8259s, I/O APIC and local APIC are KVM's, in the host's kernel. Ours
 * stay on the bus but no access reaches them; the board's interrupt lines are led to KVM's instead
 * (vm->gsi). The timers remain ours.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include "internal.h"
#include "monitor/vm/vm.h"

#define ISA_IRQS   16
#define GSIS       24
#define PIC_INPUTS 8
/*
 * IRQ 9, 10 and 11, PCI's and the SCI's, are level triggered: firmware's setting, as in
 * pc_board_reset().
 */
#define SLAVE_ELCR 0x0e

struct kvm_irqchip_state {
	struct kvm_irqchip chip[3]; /* master, slave, I/O APIC */
	struct kvm_lapic_state lapic;
};

struct routing {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry entry[ISA_IRQS + GSIS];
};

static void route(struct routing *routing, unsigned gsi, unsigned chip, unsigned pin)
{
	assert(routing->head.nr < RF_ARRAY_SIZE(routing->entry));
	routing->entry[routing->head.nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

/*
 * The board's lines: each reaches the controllers that have an input for it. The 8259s' IRQ 2 is
 * the cascade; pin 2 of the I/O APIC is a line of its own, which the board sets with IRQ 0 too, and
 * pin 0 is not wired.
 */
static int set_routing(struct kvm_engine *kvm)
{
	struct routing routing = { 0 };

	for (unsigned gsi = 0; gsi < GSIS; gsi++) {
		if (gsi < ISA_IRQS && gsi != 2)
			route(&routing, gsi,
			      gsi < PIC_INPUTS ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
			      gsi % PIC_INPUTS);
		if (gsi)
			route(&routing, gsi, KVM_IRQCHIP_IOAPIC, gsi);
	}
	return kvm_ioctl(kvm->vm_fd, KVM_SET_GSI_ROUTING, &routing);
}

int kvm_irqchip_create(struct kvm_engine *kvm)
{
	int err = kvm->irqchip_in_kernel ? kvm_ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, NULL) : 0;

	return err || !kvm->irqchip_in_kernel ? err : set_routing(kvm);
}

int kvm_irqchip_remember(struct kvm_engine *kvm)
{
	struct kvm_irqchip_state *state;
	int err = 0;

	if (!kvm->irqchip_in_kernel)
		return 0;
	state = calloc(1, sizeof(*state));
	if (!state)
		return -ENOMEM;
	kvm->irqchip = state;
	for (unsigned i = 0; !err && i < RF_ARRAY_SIZE(state->chip); i++) {
		state->chip[i].chip_id = i; /* KVM_IRQCHIP_PIC_MASTER, _SLAVE, _IOAPIC */
		err = kvm_ioctl(kvm->vm_fd, KVM_GET_IRQCHIP, &state->chip[i]);
	}
	state->chip[KVM_IRQCHIP_PIC_SLAVE].chip.pic.elcr = SLAVE_ELCR;
	return err ? err : kvm_ioctl(kvm->vcpu_fd, KVM_GET_LAPIC, &state->lapic);
}

/* KVM remembers the level of each line apart from the chips. */
static void lower_lines(struct kvm_engine *kvm)
{
	pthread_mutex_t *lock = &kvm->vcpu->vm->device_lock;

	pthread_mutex_lock(lock);
	for (unsigned gsi = 0; gsi < GSIS; gsi++)
		kvm_irqchip_set_gsi(kvm, gsi, false);
	pthread_mutex_unlock(lock);
}

int kvm_irqchip_reset(struct kvm_engine *kvm)
{
	struct kvm_irqchip_state *state = kvm->irqchip;
	int err = 0;

	lower_lines(kvm);
	for (unsigned i = 0; !err && i < RF_ARRAY_SIZE(state->chip); i++)
		err = kvm_ioctl(kvm->vm_fd, KVM_SET_IRQCHIP, &state->chip[i]);
	return err ? err : kvm_ioctl(kvm->vcpu_fd, KVM_SET_LAPIC, &state->lapic);
}

void kvm_irqchip_destroy(struct kvm_engine *kvm)
{
	free(kvm->irqchip);
	kvm->irqchip = NULL;
}

void kvm_irqchip_set_gsi(void *opaque, unsigned gsi, bool level)
{
	struct kvm_engine *kvm = opaque;
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	assert(gsi < GSIS);
	assert(!kvm->vcpu->thread_valid || lock_is_held(&kvm->vcpu->vm->device_lock));
	/* It fails only for a line that is not routed. */
	kvm_ioctl(kvm->vm_fd, KVM_IRQ_LINE, &line);
}
