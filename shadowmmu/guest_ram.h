/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest physical memory: one memfd, seen by the monitor through one flat mapping and by translated
 * code through the pieces of it that the shadow tables map into windows.
 *
 * Guest RAM occupies [0, size) less the legacy video hole [0xa0000, 0xc0000). size is at most 3.5
 * GiB, so that RAM, the PCI hole and the APICs never meet. The machine's ROM, if there is one, ends
 * at 4 GiB; it is memory like RAM, with every page of it marked RAM_PAGE_ROM.
 *
 * Every store that C code makes to guest RAM (interpreter, callouts, devices) goes through
 * guest_ram_written() afterwards, so that translations and page-table copies of that memory are
 * told. It is called on the vCPU thread; for others monitor/vm/dma.c has it called there.
 */
#ifndef RF_SHADOWMMU_GUEST_RAM_H
#define RF_SHADOWMMU_GUEST_RAM_H

#include <assert.h>
#include "x86/types.h"

#define GUEST_RAM_MAX   0xe0000000ull
#define GUEST_VIDEO_HOLE_START 0xa0000u
#define GUEST_VIDEO_HOLE_END   0xc0000u
#define GUEST_ROM_END   0x100000000ull
#define GUEST_ROM_MAX   0x01000000ull /* between it and RAM are PCI devices and the APICs */

/*
 * Flags of one guest physical page. A page with any of them is protected: mapped read-only in every
 * window. A traced page is protected because the monitor relies on its contents.
 */
#define RAM_PAGE_CODE   0x01u /* translations were made from it */
#define RAM_PAGE_TABLE  0x02u /* a page table that is relied on without comparing it */
#define RAM_PAGE_ROM    0x04u /* guest writes are dropped */
#define RAM_PAGE_TRACED (RAM_PAGE_CODE | RAM_PAGE_TABLE)
#define RAM_PAGE_PROTECTED (RAM_PAGE_TRACED | RAM_PAGE_ROM)

struct guest_ram {
	int fd;              /* memfd; offset in it = guest physical address */
	uint8_t *flat;       /* whole RAM, read-write, for the monitor */
	uint64_t size;       /* bytes, a multiple of the page size */
	uint64_t rom_size;   /* bytes of ROM below 4 GiB, a multiple of the page size; 0: none */
	uint8_t *page_flags; /* one byte a page */
	/* Called by guest_ram_written() for traced pages, once per touched page. */
	void (*written)(void *opaque, gpa_t gpa, uint32_t len);
	void *written_opaque;
	/*
	 * Called when a page without flags gets one: who has remembered that stores to it need no
	 * look at the flags forgets. NULL: nobody.
	 */
	void (*flagged)(void *opaque, gpa_t gpa);
	void *flagged_opaque;
};

/* Allocates size bytes of zeroed guest RAM (lazily backed by the host). 0 or a negative errno. */
int guest_ram_init(struct guest_ram *ram, uint64_t size) RF_MUST_CHECK;
void guest_ram_destroy(struct guest_ram *ram);

/*
 * Gives the machine size bytes of ROM below 4 GiB, filled from data. Right after guest_ram_init(),
 * before anybody has an address in the flat mapping, which moves. size: whole pages, at most
 * GUEST_ROM_MAX. 0 or a negative errno.
 */
int guest_ram_add_rom(struct guest_ram *ram, const void *data, uint64_t size) RF_MUST_CHECK;

/* No memory lies at or after this address; frames below it have an offset in the memfd. */
static inline uint64_t guest_ram_end(const struct guest_ram *ram)
{
	return ram->rom_size ? GUEST_ROM_END : ram->size;
}

static inline bool guest_ram_is_rom_address(const struct guest_ram *ram, gpa_t gpa)
{
	return gpa.v - (GUEST_ROM_END - ram->rom_size) < ram->rom_size;
}

/* Whether memory, RAM or ROM, is there. */
static inline bool guest_ram_backs(const struct guest_ram *ram, gpa_t gpa)
{
	if (rf_unlikely(gpa.v >= ram->size))
		return guest_ram_is_rom_address(ram, gpa);
	return !(gpa.v >= GUEST_VIDEO_HOLE_START && gpa.v < GUEST_VIDEO_HOLE_END);
}

/* Whether all len bytes from gpa on are RAM: what devices and loaders may reach. */
static inline bool guest_ram_has_range(const struct guest_ram *ram, gpa_t gpa, uint64_t len)
{
	return gpa.v <= ram->size && len <= ram->size - gpa.v &&
	       (gpa.v + len <= GUEST_VIDEO_HOLE_START || gpa.v >= GUEST_VIDEO_HOLE_END);
}

/* Monitor's address of gpa, which the caller knows to be RAM; valid to the end of the piece. */
static inline uint8_t *guest_ram_at(const struct guest_ram *ram, gpa_t gpa)
{
	return ram->flat + gpa.v;
}

/* The way back: the guest's address of what lies in RAM at host. */
static inline gpa_t guest_ram_gpa(const struct guest_ram *ram, const void *host)
{
	const uint64_t offset = (uint64_t)((const uint8_t *)host - ram->flat);

	assert(offset < guest_ram_end(ram));
	return GPA(offset);
}

/* Monitor's address of gpa; valid up to the end of its page. NULL where no RAM is. */
static inline uint8_t *guest_ram_ptr(const struct guest_ram *ram, gpa_t gpa)
{
	return guest_ram_backs(ram, gpa) ? guest_ram_at(ram, gpa) : NULL;
}

static inline uint8_t guest_ram_flags(const struct guest_ram *ram, gpa_t gpa)
{
	return ram->page_flags[gpa_frame(gpa)];
}

/* Sets flag (RAM_PAGE_*) for the page of gpa. */
static inline void guest_ram_set_flag(struct guest_ram *ram, gpa_t gpa, uint8_t flag)
{
	uint8_t *flags = &ram->page_flags[gpa_frame(gpa)];

	assert(flag && !(flag & ~RAM_PAGE_PROTECTED) && gpa.v < guest_ram_end(ram));
	if (!*flags && ram->flagged)
		ram->flagged(ram->flagged_opaque, gpa);
	*flags |= flag;
}

/*
 * Takes RAM_PAGE_ROM from the page. Who has mapped it or noted its flags is the caller's to tell.
 */
static inline void guest_ram_clear_rom(struct guest_ram *ram, gpa_t gpa)
{
	assert(gpa.v < guest_ram_end(ram));
	ram->page_flags[gpa_frame(gpa)] &= (uint8_t)~RAM_PAGE_ROM;
}

void guest_ram_written_slow(struct guest_ram *ram, gpa_t gpa, uint32_t len);

/* To be called after C code stored [gpa, gpa+len); the range may cross pages. */
static inline void guest_ram_written(struct guest_ram *ram, gpa_t gpa, uint32_t len)
{
	if (rf_unlikely(guest_ram_flags(ram, gpa) | guest_ram_flags(ram, gpa_add(gpa, len - 1))) ||
	    len > GUEST_PAGE_SIZE)
		guest_ram_written_slow(ram, gpa, len);
}

#endif
