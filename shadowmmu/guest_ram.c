/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest physical memory; see guest_ram.h. */
#include "guest_ram.h"

#include <errno.h>
#include <stdatomic.h>
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
	if (ram->video)
		munmap(ram->video, ram->video_size);
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
	if (!ram->video && ftruncate(ram->fd, (off_t)GUEST_ROM_END) < 0)
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

int guest_ram_add_video(struct guest_ram *ram, uint32_t size)
{
	uint8_t *video;

	assert(!ram->video);
	if (!size || size > GUEST_VIDEO_MAX || size % GUEST_PAGE_SIZE)
		return -EINVAL;
	if (ftruncate(ram->fd, (off_t)(GUEST_VIDEO_OFFSET + size)) < 0)
		return -errno;
	video = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, ram->fd,
		     (off_t)GUEST_VIDEO_OFFSET);
	if (video == MAP_FAILED)
		return -errno;
	ram->video = video;
	ram->video_size = size;
	ram->video_unwatched = UINT64_MAX;
	return 0;
}

/* Sets or clears RAM_PAGE_WATCHED of the pages of view that show one of the chunks. */
static void flag_watched(struct guest_ram *ram, const struct guest_video_view *view,
			 uint64_t chunks, bool watched)
{
	for (uint32_t at = 0; at < view->size; at += GUEST_PAGE_SIZE) {
		uint8_t *flags = &ram->page_flags[gpa_frame(gpa_add(view->start, at))];

		if (!(chunks >> (view->at + at) / GUEST_VIDEO_CHUNK & 1))
			continue;
		*flags = (uint8_t)(watched ? *flags | RAM_PAGE_WATCHED :
					     *flags & ~RAM_PAGE_WATCHED);
	}
}

void guest_ram_show(struct guest_ram *ram, unsigned i, struct guest_video_view view)
{
	assert(i < GUEST_VIDEO_VIEWS && view.size <= ram->video_size);
	assert(view.at <= ram->video_size - view.size);
	assert(!((view.start.v | view.size | view.at) % GUEST_PAGE_SIZE));
	assert(view.start.v + view.size <= GUEST_ROM_END);
	flag_watched(ram, &ram->shown[i], UINT64_MAX, false);
	ram->shown[i] = view;
	flag_watched(ram, &ram->shown[i], ~ram->video_unwatched, true);
}

uint64_t guest_ram_watch_video(struct guest_ram *ram)
{
	const uint64_t chunks = atomic_exchange(&ram->video_unwatched, 0);

	for (unsigned i = 0; chunks && i < GUEST_VIDEO_VIEWS; i++)
		flag_watched(ram, &ram->shown[i], chunks, true);
	return chunks;
}

void guest_ram_video_touched(struct guest_ram *ram, gpa_t gpa)
{
	const uint32_t offset = guest_ram_video_offset(ram, gpa);
	uint64_t chunk;

	assert(offset != UINT32_MAX);
	chunk = 1ull << offset / GUEST_VIDEO_CHUNK;
	atomic_fetch_or(&ram->video_unwatched, chunk);
	for (unsigned i = 0; i < GUEST_VIDEO_VIEWS; i++)
		flag_watched(ram, &ram->shown[i], chunk, false);
}

uint64_t guest_ram_file_offset(const struct guest_ram *ram, gpa_t gpa)
{
	assert(guest_ram_shows(ram, gpa));
	return guest_ram_backs(ram, gpa) ? gpa.v :
					   GUEST_VIDEO_OFFSET + guest_ram_video_offset(ram, gpa);
}

gpa_t guest_ram_video_gpa(const struct guest_ram *ram, const void *host)
{
	const uint64_t offset = (uint64_t)((const uint8_t *)host - ram->video);

	for (unsigned i = 0; i < GUEST_VIDEO_VIEWS; i++)
		if (offset - ram->shown[i].at < ram->shown[i].size)
			return gpa_add(ram->shown[i].start, offset - ram->shown[i].at);
	assert(!"host address in guest memory");
	return GPA_NONE;
}

void guest_ram_written_slow(struct guest_ram *ram, gpa_t gpa, uint32_t len)
{
	while (len) {
		uint32_t n = GUEST_PAGE_SIZE - gpa_offset(gpa);

		if (n > len)
			n = len;
		if (guest_ram_flags(ram, gpa) & RAM_PAGE_WATCHED)
			guest_ram_video_touched(ram, gpa);
		if (gpa.v < guest_ram_end(ram) && (guest_ram_flags(ram, gpa) & RAM_PAGE_TRACED) &&
		    ram->written)
			ram->written(ram->written_opaque, gpa, n);
		gpa = gpa_add(gpa, n);
		len -= n;
	}
}
