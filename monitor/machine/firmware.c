/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware in memory.
 *
 * The memory below 1 MiB always holds what reads see there: RAM, or else firmware and, where there
 * is none, ones. RAM that is not seen is kept aside meanwhile. A segment whose reads go to the PCI
 * bus drops all writes, also where its register would send them to RAM: software that needs that
 * mode is not known, and QEMU does the same.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "devices/board/pc_board.h"
#include "firmware.h"
#include "firmware_file.h"

#define LOW_START 0xc0000u
#define LOW_END   0x100000u
#define SEGMENT_SIZE 0x4000u
#define ROM_BELOW_1M 0x20000u

static int load(struct firmware *fw, const struct vm_config *config, struct error *error)
{
	static const struct firmware_file_kind kind = {
		.name = "bios-256k.bin", .option = "bios", .unit = 0x10000, .most = GUEST_ROM_MAX,
		.instead = ", or start a kernel with -kernel",
	};
	struct firmware_file file;
	int err = firmware_file_read(config, &kind, config->bios, &file, error);

	if (err)
		return err;
	err = guest_ram_add_rom(&fw->vm->ram, file.data, file.size);
	firmware_file_free(&file);
	return err ? error_set(error, err, "cannot get memory for the firmware: %s",
			       strerror(-err)) :
		     0;
}

struct segment_range {
	uint32_t start, size;
};

static struct segment_range segment_range(unsigned segment)
{
	const uint32_t start = LOW_START + segment * SEGMENT_SIZE;

	return (struct segment_range){ start, segment == FIRMWARE_SEGMENTS - 1 ?
						      LOW_END - start : SEGMENT_SIZE };
}

static uint8_t segment_bits(const uint8_t pam[PCI_HOST_PAMS], unsigned segment)
{
	const uint8_t bits = segment == FIRMWARE_SEGMENTS - 1 ?
				     pam[0] >> 4 : pam[1 + segment / 2] >> (segment % 2 * 4);

	return bits & (PAM_READ_RAM | PAM_WRITE_RAM);
}

/* What the PCI bus answers in a segment: a page of it at a time is firmware, or nothing. */
static void show_bus(struct firmware *fw, struct segment_range range)
{
	const struct guest_ram *ram = &fw->vm->ram;

	for (uint32_t at = range.start; at < range.start + range.size; at += GUEST_PAGE_SIZE) {
		const uint32_t from_end = LOW_END - at;
		uint8_t *page = guest_ram_at(ram, GPA(at));

		if (from_end > ROM_BELOW_1M || from_end > ram->rom_size)
			memset(page, 0xff, GUEST_PAGE_SIZE);
		else
			memcpy(page, guest_ram_at(ram, GPA(GUEST_ROM_END - from_end)),
			       GUEST_PAGE_SIZE);
	}
}

static void set_writable(struct guest_ram *ram, struct segment_range range, bool writable)
{
	for (uint32_t at = range.start; at < range.start + range.size; at += GUEST_PAGE_SIZE) {
		if (writable)
			guest_ram_clear_rom(ram, GPA(at));
		else
			guest_ram_set_flag(ram, GPA(at), RAM_PAGE_ROM);
	}
}

static void change_segment(struct firmware *fw, unsigned segment, uint8_t bits)
{
	const struct segment_range range = segment_range(segment);
	uint8_t *seen = guest_ram_at(&fw->vm->ram, GPA(range.start)),
		*hidden = fw->hidden + range.start - LOW_START;

	if ((bits ^ fw->shown[segment]) & PAM_READ_RAM) {
		if (bits & PAM_READ_RAM) {
			memcpy(seen, hidden, range.size);
		} else {
			memcpy(hidden, seen, range.size);
			show_bus(fw, range);
		}
	}
	set_writable(&fw->vm->ram, range, bits == (PAM_READ_RAM | PAM_WRITE_RAM));
	fw->shown[segment] = bits;
}

void firmware_follow(struct firmware *fw)
{
	uint8_t pam[PCI_HOST_PAMS];
	bool changed = false;

	assert(vcpu_is_mine(&fw->vm->vcpu));
	/* Devices store to memory under the lock. */
	pthread_mutex_lock(&fw->vm->device_lock);
	pc_board_pam(fw->vm->board, pam);
	for (unsigned i = 0; i < FIRMWARE_SEGMENTS; i++) {
		const uint8_t bits = segment_bits(pam, i);

		if (bits == fw->shown[i])
			continue;
		change_segment(fw, i, bits);
		changed = true;
	}
	pthread_mutex_unlock(&fw->vm->device_lock);
	if (changed)
		vcpu_memory_changed(&fw->vm->vcpu);
}

static void follow_work(struct vcpu *vcpu, struct vm_work *work)
{
	struct firmware *fw = rf_container_of(work, struct firmware, work);

	pthread_mutex_lock(&fw->vm->device_lock);
	fw->queued = false;
	pthread_mutex_unlock(&fw->vm->device_lock);
	firmware_follow(fw);
}

void firmware_follow_soon(void *opaque, unsigned n, uint32_t value)
{
	struct firmware *fw = opaque;

	if (!fw->vm || fw->queued)
		return;
	fw->queued = true;
	fw->work.run = follow_work;
	vm_queue_work(fw->vm, &fw->work);
}

int firmware_create(struct firmware *fw, struct vm *vm, const struct vm_config *config,
		    struct error *error)
{
	int err;

	memset(fw, 0, sizeof(*fw));
	fw->vm = vm;
	err = load(fw, config, error);
	if (err)
		return err;
	fw->hidden = calloc(1, LOW_END - LOW_START);
	if (!fw->hidden)
		return error_set(error, -ENOMEM, "no memory for the firmware");
	/* As after power-on: nothing below 1 MiB but what is on the bus. */
	for (unsigned i = 0; i < FIRMWARE_SEGMENTS; i++) {
		show_bus(fw, segment_range(i));
		set_writable(&vm->ram, segment_range(i), false);
	}
	return 0;
}

void firmware_destroy(struct firmware *fw)
{
	free(fw->hidden);
	fw->hidden = NULL;
}
