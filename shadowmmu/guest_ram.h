/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest physical memory: one memfd, seen by the monitor through one flat mapping and by translated
 * code through the pieces of it that the shadow tables map into windows.
 *
 * Guest RAM occupies [0, size) less the legacy video hole [0xa0000, 0xc0000). size is at most 3.5
 * GiB, so that RAM, the PCI hole and the APICs never meet. The machine's ROM, if there is one, ends
 * at 4 GiB; it is memory like RAM, with every page of it marked RAM_PAGE_ROM.
 *
 * A display adapter's memory lies in the memfd too, behind all guest physical addresses. At times
 * parts of it are *shown*: then data accesses of the guest's reach it at some physical addresses,
 * which are no RAM, as they reach RAM. It holds no page tables, and code in it is interpreted.
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
#define GUEST_VIDEO_OFFSET 0x100000000ull /* in the memfd */
#define GUEST_VIDEO_MAX 0x02000000ull
#define GUEST_VIDEO_VIEWS 2
#define GUEST_VIDEO_CHUNK 0x80000u /* display memory is watched in such pieces, 64 at most */

/*
 * Flags of one guest physical page. A page with any of them is protected: mapped read-only in every
 * window. A traced page is protected because the monitor relies on its contents.
 */
#define RAM_PAGE_CODE   0x01u /* translations were made from it */
#define RAM_PAGE_TABLE  0x02u /* a page table that is relied on without comparing it */
#define RAM_PAGE_ROM    0x04u /* guest writes are dropped */
#define RAM_PAGE_WATCHED 0x08u /* display memory: the first store is to be noticed */
#define RAM_PAGE_TRACED (RAM_PAGE_CODE | RAM_PAGE_TABLE)
#define RAM_PAGE_PROTECTED (RAM_PAGE_TRACED | RAM_PAGE_ROM | RAM_PAGE_WATCHED)

/* size bytes of display memory, from byte at on, shown at start. Whole pages; size 0: nothing. */
struct guest_video_view {
	gpa_t start;
	uint32_t size, at;
};

struct guest_ram {
	int fd;              /* memfd; offset in it = guest physical address */
	uint8_t *flat;       /* whole RAM, read-write, for the monitor */
	uint64_t size;       /* bytes, a multiple of the page size */
	uint64_t rom_size;   /* bytes of ROM below 4 GiB, a multiple of the page size; 0: none */
	uint8_t *page_flags; /* one byte a page */
	uint8_t *video;      /* display memory; NULL: none */
	uint32_t video_size; /* bytes, a multiple of the page size */
	struct guest_video_view shown[GUEST_VIDEO_VIEWS]; /* the vCPU thread's */
	/*
	 * A bit for each GUEST_VIDEO_CHUNK of display memory that may have been stored to since it
	 * was last watched. The vCPU thread sets and clears, all may read.
	 */
	_Atomic uint64_t video_unwatched;
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

/*
 * Gives the machine size bytes of zeroed display memory, of which nothing is shown. Before there
 * are engines. size: whole pages, at most GUEST_VIDEO_MAX. 0 or a negative errno.
 */
int guest_ram_add_video(struct guest_ram *ram, uint32_t size) RF_MUST_CHECK;

/* No RAM or ROM lies at or after this address; frames below it have an offset in the memfd. */
static inline uint64_t guest_ram_end(const struct guest_ram *ram)
{
	return ram->rom_size ? GUEST_ROM_END : ram->size;
}

/* No memory that windows could map, display memory included, lies at or after this address. */
static inline uint64_t guest_ram_frames_end(const struct guest_ram *ram)
{
	return ram->video ? GUEST_ROM_END : guest_ram_end(ram);
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

/* The guest's address of what lies in display memory at host, and is shown somewhere. */
gpa_t guest_ram_video_gpa(const struct guest_ram *ram, const void *host);

/* The way back: the guest's address of what lies in RAM at host, or in shown display memory. */
static inline gpa_t guest_ram_gpa(const struct guest_ram *ram, const void *host)
{
	const uint64_t offset = (uint64_t)((const uint8_t *)host - ram->flat);

	return rf_likely(offset < guest_ram_end(ram)) ? GPA(offset) :
							 guest_ram_video_gpa(ram, host);
}

/* Monitor's address of gpa; valid up to the end of its page. NULL where no RAM is. */
static inline uint8_t *guest_ram_ptr(const struct guest_ram *ram, gpa_t gpa)
{
	return guest_ram_backs(ram, gpa) ? guest_ram_at(ram, gpa) : NULL;
}

/* Where in display memory gpa, which is no RAM, leads; UINT32_MAX: nothing is shown there. */
static inline uint32_t guest_ram_video_offset(const struct guest_ram *ram, gpa_t gpa)
{
	for (unsigned i = 0; i < GUEST_VIDEO_VIEWS; i++) {
		const struct guest_video_view *view = &ram->shown[i];

		if (gpa.v - view->start.v < view->size)
			return view->at + (uint32_t)(gpa.v - view->start.v);
	}
	return UINT32_MAX;
}

/* Whether data accesses to gpa go to memory: RAM, ROM, or display memory shown there now. */
static inline bool guest_ram_shows(const struct guest_ram *ram, gpa_t gpa)
{
	return guest_ram_backs(ram, gpa) || guest_ram_video_offset(ram, gpa) != UINT32_MAX;
}

/* As guest_ram_ptr() for data: display memory too. */
static inline uint8_t *guest_ram_data_ptr(const struct guest_ram *ram, gpa_t gpa)
{
	uint32_t offset;

	if (rf_likely(guest_ram_backs(ram, gpa)))
		return guest_ram_at(ram, gpa);
	offset = guest_ram_video_offset(ram, gpa);
	return offset == UINT32_MAX ? NULL : ram->video + offset;
}

/*
 * View i becomes view, which meets no other; stores to what is watched will be noticed there too.
 * The vCPU's thread. What others have remembered of the old view is the caller's to have dropped.
 */
void guest_ram_show(struct guest_ram *ram, unsigned i, struct guest_video_view view);
/*
 * Display memory is watched from now on: the first store to each chunk sets its bit again. Returns
 * the chunks of which nothing was watched. The caller has windows and software TLBs see to it that
 * stores there are noticed (RAM_PAGE_WATCHED).
 */
uint64_t guest_ram_watch_video(struct guest_ram *ram);
/* A watched page, that of gpa, is being stored to: its chunk is not watched any more. */
void guest_ram_video_touched(struct guest_ram *ram, gpa_t gpa);

/* Where in the memfd the page of gpa is, which is shown. */
uint64_t guest_ram_file_offset(const struct guest_ram *ram, gpa_t gpa);

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
