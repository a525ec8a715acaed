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
	munmap(ram->flat, ram->size);
	close(ram->fd);
	memset(ram, 0, sizeof(*ram));
	ram->fd = -1;
}

void guest_ram_written_slow(struct guest_ram *ram, gpa_t gpa, uint32_t len)
{
	while (len) {
		uint32_t n = GUEST_PAGE_SIZE - gpa_offset(gpa);

		if (n > len)
			n = len;
		if (gpa.v < ram->size && (guest_ram_flags(ram, gpa) & RAM_PAGE_TRACED) &&
		    ram->written)
			ram->written(ram->written_opaque, gpa, n);
		gpa = gpa_add(gpa, n);
		len -= n;
	}
}
