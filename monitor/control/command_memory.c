/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that look at guest memory and at what maps it (commands.h). */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "commands.h"

static size_t read_physical(const struct guest_ram *ram, uint64_t address, void *to, size_t size)
{
	size_t done = 0;

	while (done < size) {
		const gpa_t at = GPA(address + done);
		const uint8_t *host = guest_ram_ptr(ram, at);
		size_t piece = GUEST_PAGE_SIZE - gpa_offset(at);

		if (!host)
			break;
		piece = piece < size - done ? piece : size - done;
		memcpy((uint8_t *)to + done, host, piece);
		done += piece;
	}
	return done;
}

size_t command_read_memory(struct vcpu *vcpu, bool physical, uint64_t address, void *to,
			   size_t size)
{
	assert(vcpu_is_mine(vcpu));
	return physical ? read_physical(&vcpu->vm->ram, address, to, size) :
			  mem_peek(vcpu, (gva_t)address, to, size);
}

/* Where a byte of it lies. False: nowhere. */
static bool find_physical(struct vcpu *vcpu, bool physical, uint64_t address, gpa_t *gpa)
{
	const struct paging paging = vcpu_paging(vcpu);
	struct walk walk;

	*gpa = GPA(address);
	if (physical)
		return true;
	if (!walk_guest(&vcpu->vm->ram, &paging, (gva_t)address,
			ACCESS_READ | ACCESS_AC | ACCESS_PROBE, &walk))
		return false;
	*gpa = walk.gpa;
	return true;
}

size_t command_write_memory(struct vcpu *vcpu, bool physical, uint64_t address, const void *from,
			    size_t size)
{
	struct guest_ram *ram = &vcpu->vm->ram;
	size_t done = 0, piece;
	uint8_t *host;
	gpa_t gpa;

	assert(vcpu_is_mine(vcpu));
	for (; done < size; done += piece) {
		if (!find_physical(vcpu, physical, address + done, &gpa))
			break;
		host = guest_ram_ptr(ram, gpa);
		if (!host)
			break;
		piece = GUEST_PAGE_SIZE - gpa_offset(gpa);
		piece = piece < size - done ? piece : size - done;
		memcpy(host, (const uint8_t *)from + done, piece);
		guest_ram_written(ram, gpa, piece);
	}
	return done;
}

/* --- saving --- */

/* 0, or the error for the first page that is not there. */
static int save_check(struct vcpu *vcpu, bool physical, uint64_t address, uint64_t size,
		      struct error *error)
{
	uint8_t byte;

	if (!size || size > 1ull << 32 || address + size < address ||
	    (!physical && address + size > 1ull << 32))
		return error_set(error, -EINVAL,
				 "0x%llx bytes at 0x%llx are none, or more than there are "
				 "addresses",
				 (unsigned long long)size, (unsigned long long)address);
	for (uint64_t at = address; at < address + size;
	     at = (at & ~(uint64_t)(GUEST_PAGE_SIZE - 1)) + GUEST_PAGE_SIZE) {
		if (!command_read_memory(vcpu, physical, at, &byte, 1))
			return error_set(error, -EFAULT, "there is no memory at %s address 0x%llx",
					 physical ? "physical" : "linear", (unsigned long long)at);
	}
	return 0;
}

static int save_open(const char *path, struct error *error)
{
	/* O_NONBLOCK: a FIFO without a reader is an error. */
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);

	return fd >= 0 ? fd : error_set(error, -errno, "cannot write '%s': %s", path,
					error_reason(errno));
}

static int save_piece(int fd, const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		bytes += n;
		size -= n;
	}
	return 0;
}

static int save_all(struct vcpu *vcpu, bool physical, uint64_t address, uint64_t size, int fd)
{
	uint8_t page[GUEST_PAGE_SIZE];
	int err = 0;

	for (uint64_t at = 0; at < size && !err; at += sizeof(page)) {
		const size_t piece = size - at < sizeof(page) ? size - at : sizeof(page);

		if (command_read_memory(vcpu, physical, address + at, page, piece) < piece)
			return -EFAULT;
		err = save_piece(fd, page, piece);
	}
	return err;
}

int command_save_memory(struct vcpu *vcpu, bool physical, uint64_t address, uint64_t size,
			const char *path, struct error *error)
{
	int err = save_check(vcpu, physical, address, size, error);
	int fd;

	if (err)
		return err;
	fd = save_open(path, error);
	if (fd < 0)
		return fd;
	err = save_all(vcpu, physical, address, size, fd);
	if (close(fd) && !err)
		err = -errno;
	return err ? error_set(error, err, "cannot write '%s': %s", path, error_reason(err)) : 0;
}

/* --- pages --- */

static uint64_t page_entry(const struct guest_ram *ram, const struct walk *walk, bool pae)
{
	const uint8_t *at = guest_ram_ptr(ram, walk->entry[walk->levels - 1]);
	uint64_t entry = 0;

	if (at)
		memcpy(&entry, at, pae ? 8 : 4);
	return entry;
}

bool command_visit_pages(struct vcpu *vcpu,
			 void (*visit)(void *opaque, const struct command_page *page), void *opaque)
{
	struct guest_ram *ram = &vcpu->vm->ram;
	const struct paging paging = vcpu_paging(vcpu);
	struct walk walk;
	uint64_t size;

	assert(vcpu_is_mine(vcpu));
	if (!(paging.cr0 & CR0_PG))
		return false;
	for (uint64_t gva = 0; gva < 1ull << 32; gva += size) {
		size = GUEST_PAGE_SIZE;
		if (!walk_guest(ram, &paging, (gva_t)gva, ACCESS_READ | ACCESS_PROBE, &walk))
			continue;
		size = 1ull << walk.page_shift;
		visit(opaque, &(struct command_page){
				      .gva = (gva_t)gva, .size = size, .gpa = walk.gpa,
				      .entry = page_entry(ram, &walk, paging.cr4 & CR4_PAE),
				      .user = walk.user, .writable = walk.writable });
	}
	return true;
}
