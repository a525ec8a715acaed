/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest RAM as KVM sees it: memory slots, each a run of physical pages that lies in one piece of
 * the flat mapping and is all ROM or all not. Where there is no slot (the video hole, beyond RAM),
 * accesses come back as KVM_EXIT_MMIO.
 *
 * The first slots are for display memory that is shown, one for each view. They come and go without
 * the others. With the A20 gate shut they are empty, and the device is asked.
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

/* The slot of RAM number n. */
static uint32_t ram_slot(uint32_t n)
{
	return GUEST_VIDEO_VIEWS + n;
}

static int slots_drop(struct kvm_engine *kvm)
{
	while (kvm->slots) {
		int err = slot_set(kvm, ram_slot(kvm->slots - 1), GPA(0), 0, NULL, false);

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

static int video_slot_drop(struct kvm_engine *kvm, unsigned i)
{
	int err = 0;

	if (kvm->video[i].size)
		err = slot_set(kvm, i, GPA(0), 0, NULL, false);
	if (!err)
		kvm->video[i].size = 0;
	return err;
}

/* A slot is dropped before it is another: KVM moves none whose host address changes. */
int kvm_memory_show(struct kvm_engine *kvm)
{
	const struct guest_ram *ram = &kvm->vcpu->vm->ram;
	int err = 0;

	kvm->video_stale = false;
	for (unsigned i = 0; !err && i < GUEST_VIDEO_VIEWS; i++)
		err = video_slot_drop(kvm, i);
	for (unsigned i = 0; !err && i < GUEST_VIDEO_VIEWS; i++) {
		const struct guest_video_view *view = &ram->shown[i];

		if (!view->size || kvm->slots_a20_mask != 0xffffffff)
			continue;
		/* What the guest has put over RAM is not seen (guest_ram.h). */
		if (guest_ram_backs(ram, view->start))
			continue;
		err = slot_set(kvm, i, view->start, view->size, ram->video + view->at, false);
		if (!err)
			kvm->video[i] = *view;
	}
	return err;
}

int kvm_memory_build(struct kvm_engine *kvm)
{
	const struct guest_ram *ram = &kvm->vcpu->vm->ram;
	const uint32_t mask = kvm->vcpu->cpu.a20_mask;
	/* With A20 off the megabyte above RAM shows what is below it. */
	const gpa_t end = GPA(mask == 0xffffffff || ram->rom_size ?
				      guest_ram_end(ram) :
				      (ram->size | (MEGABYTE - 1)) + 1 + MEGABYTE);
	int err = 0;

	kvm->slots_stale = false;
	kvm->stats.slot_builds++;
	for (unsigned i = 0; !err && i < GUEST_VIDEO_VIEWS; i++)
		err = video_slot_drop(kvm, i); /* RAM may be there now */
	if (!err)
		err = slots_drop(kvm);
	for (gpa_t gpa = GPA(0), next; !err && gpa_below(gpa, end); gpa = next) {
		const struct backing backing = backing_of(ram, gpa, mask);

		next = run_end(ram, gpa, end, mask);
		if (!backing.host)
			continue;
		err = slot_set(kvm, ram_slot(kvm->slots), gpa, gpa_distance(gpa, next),
			       backing.host, backing.rom);
		kvm->slots += !err;
	}
	kvm->slots_a20_mask = mask;
	return err ? err : kvm_memory_show(kvm);
}
