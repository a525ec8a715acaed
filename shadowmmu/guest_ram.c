/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest physical memory; see guest_ram.h. */
#include "guest_ram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Flags are kept for every page of 4 GiB, so that an address without RAM is harmless to look up. */
#define FLAG_PAGES (1u << 20)

int guest_ram_init(struct guest_ram *ram, uint64_t size)
{
	int err;

	memset(ram, 0, sizeof(*ram));
	ram->fd = -1;
	if (!size || size > GUEST_RAM_MAX || size % GUEST_PAGE_SIZE)
		return -EINVAL;
	ram->fd = memfd_create("guest-ram", MFD_CLOEXEC);
	if (ram->fd < 0)
		return -errno;
	if (ftruncate(ram->fd, (off_t)size) < 0) {
		err = -errno;
		goto fail_fd;
	}
	ram->flat =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, ram->fd, 0);
	if (ram->flat == MAP_FAILED) {
		err = -errno;
		goto fail_fd;
	}
	/* Anonymous memory: only the pages in use cost anything. */
	ram->page_flags = mmap(NULL, FLAG_PAGES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram->page_flags == MAP_FAILED) {
		err = -errno;
		goto fail_flat;
	}
	ram->size = size;
	return 0;
fail_flat:
	munmap(ram->flat, size);
fail_fd:
	close(ram->fd);
	memset(ram, 0, sizeof(*ram));
	ram->fd = -1;
	return err;
}

void guest_ram_destroy(struct guest_ram *ram)
{
	if (!ram->flat)
		return;
	munmap(ram->page_flags, FLAG_PAGES);
	munmap(ram->flat, guest_ram_end(ram));
	close(ram->fd);
	memset(ram, 0, sizeof(*ram));
	ram->fd = -1;
}

int guest_ram_add_rom(struct guest_ram *ram, const void *data, uint64_t size)
{
	const gpa_t base = GPA(GUEST_ROM_END - size);
	uint8_t *flat;

	assert(!ram->rom_size);
	if (!size || size > GUEST_ROM_MAX || size % GUEST_PAGE_SIZE)
		return -EINVAL;
	/* What lies between RAM and ROM is a hole in the file, which costs nothing. */
	if (ftruncate(ram->fd, (off_t)GUEST_ROM_END) < 0)
		return -errno;
	flat = mmap(NULL, GUEST_ROM_END, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		    ram->fd, 0);
	if (flat == MAP_FAILED)
		return -errno;
	munmap(ram->flat, ram->size);
	ram->flat = flat;
	ram->rom_size = size;
	memcpy(guest_ram_at(ram, base), data, size);
	for (uint64_t at = 0; at < size; at += GUEST_PAGE_SIZE)
		guest_ram_set_flag(ram, gpa_add(base, at), RAM_PAGE_ROM);
	return 0;
}

void guest_ram_written_slow(struct guest_ram *ram, gpa_t gpa, uint32_t len)
{
	while (len) {
		uint32_t n = GUEST_PAGE_SIZE - gpa_offset(gpa);

		if (n > len)
			n = len;
		if (gpa.v < guest_ram_end(ram) && (guest_ram_flags(ram, gpa) & RAM_PAGE_TRACED) &&
		    ram->written)
			ram->written(ram->written_opaque, gpa, n);
		gpa = gpa_add(gpa, n);
		len -= n;
	}
}
