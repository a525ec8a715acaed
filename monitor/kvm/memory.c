/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest RAM as KVM sees it: memory slots, each a run of physical pages that lies in one piece of
 * the flat mapping and is all ROM or all not. Where there is no slot (the video hole, beyond RAM),
 * accesses come back as KVM_EXIT_MMIO.
 *
 * With the A20 gate shut, KVM knows nothing of it: then each odd megabyte is a slot that shows the
 * even one below it.
 */
#include <errno.h>
#include "internal.h"
#include "monitor/vm/vm.h"

#define MEGABYTE 0x100000u

static int slot_set(struct kvm_engine *kvm, uint32_t slot, gpa_t gpa, uint64_t size,
		    const uint8_t *host, bool rom)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = rom ? KVM_MEM_READONLY : 0, .guest_phys_addr = gpa.v,
		.memory_size = size, .userspace_addr = (uintptr_t)host,
	};

	return kvm_ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static int slots_drop(struct kvm_engine *kvm)
{
	while (kvm->slots) {
		int err = slot_set(kvm, kvm->slots - 1, GPA(0), 0, NULL, false);

		if (err)
			return err;
		kvm->slots--;
	}
	return 0;
}

/* What guest physical address gpa shows. host NULL: no RAM. */
struct backing {
	uint8_t *host;
	bool rom;
};

static struct backing backing_of(const struct guest_ram *ram, gpa_t gpa, uint32_t a20_mask)
{
	gpa = gpa_a20(gpa, a20_mask);
	return (struct backing){ guest_ram_ptr(ram, gpa),
				 guest_ram_flags(ram, gpa) & RAM_PAGE_ROM };
}

/* The end of the run of pages from start on that continue its backing. */
static gpa_t run_end(const struct guest_ram *ram, gpa_t start, gpa_t end, uint32_t a20_mask)
{
	const struct backing first = backing_of(ram, start, a20_mask);
	gpa_t gpa = gpa_add(start, GUEST_PAGE_SIZE);

	for (; gpa_below(gpa, end); gpa = gpa_add(gpa, GUEST_PAGE_SIZE)) {
		struct backing next = backing_of(ram, gpa, a20_mask);

		if (first.host ? next.host != first.host + gpa_distance(start, gpa) ||
					 next.rom != first.rom :
				 next.host != NULL)
			break;
	}
	return gpa;
}

int kvm_memory_build(struct kvm_engine *kvm)
{
	const struct guest_ram *ram = &kvm->vcpu->vm->ram;
	const uint32_t mask = kvm->vcpu->cpu.a20_mask;
	/* With A20 off the megabyte above RAM shows what is below it. */
	const gpa_t end = GPA(mask == 0xffffffff || ram->rom_size ?
				      guest_ram_end(ram) :
				      (ram->size | (MEGABYTE - 1)) + 1 + MEGABYTE);
	int err;

	kvm->slots_stale = false;
	kvm->stats.slot_builds++;
	err = slots_drop(kvm);
	for (gpa_t gpa = GPA(0), next; !err && gpa_below(gpa, end); gpa = next) {
		const struct backing backing = backing_of(ram, gpa, mask);

		next = run_end(ram, gpa, end, mask);
		if (!backing.host)
			continue;
		err = slot_set(kvm, kvm->slots, gpa, gpa_distance(gpa, next), backing.host,
			       backing.rom);
		kvm->slots += !err;
	}
	kvm->slots_a20_mask = mask;
	return err;
}
