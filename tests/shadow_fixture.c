/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shadow_fixture.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define CHECK_EVERY 64u /* operations, unless a test says otherwise */

static struct checked_mapping *checked(struct host_mapping *hm)
{
	return rf_container_of(hm, struct checked_mapping, hm);
}

static int checked_window_create(struct host_mapping *hm, hva_t *base)
{
	int err = checked(hm)->real->ops->window_create(checked(hm)->real, base);

	checked(hm)->windows += !err;
	cr_assert(err || !(base->v & 0xffffffffu), "a window is not aligned");
	return err;
}

static void checked_window_destroy(struct host_mapping *hm, hva_t base)
{
	checked(hm)->windows--;
	checked(hm)->real->ops->window_destroy(checked(hm)->real, base);
}

static int checked_map(struct host_mapping *hm, hva_t base, gva_t gva, gpa_t gpa, uint64_t len,
		       enum access access)
{
	cr_assert(len && !(len & 0xfff) && !(gva & 0xfff) && !gpa_offset(gpa));
	cr_assert_leq(gva + len, 1ull << 32, "mapped beyond the window");
	cr_assert(hm->ram->video || gpa.v + len <= hm->ram->size ||
			  (hm->ram->rom_size && gpa.v + len <= GUEST_ROM_END &&
			   gpa.v >= GUEST_ROM_END - hm->ram->rom_size), "mapped beyond RAM");
	cr_assert(hm->ram->video || gpa.v + len <= GUEST_VIDEO_HOLE_START ||
			  gpa.v >= GUEST_VIDEO_HOLE_END, "mapped the video hole");
	if (checked(hm)->fail_maps) {
		checked(hm)->fail_maps--;
		return -ENOMEM;
	}
	checked(hm)->maps++;
	return checked(hm)->real->ops->map(checked(hm)->real, base, gva, gpa, len, access);
}

static int checked_protect(struct host_mapping *hm, hva_t base, gva_t gva, uint64_t len,
			   enum access access)
{
	int err;

	if (checked(hm)->fail_takes) {
		checked(hm)->fail_takes--;
		return -ENOMEM;
	}
	checked(hm)->protects++;
	err = checked(hm)->real->ops->protect(checked(hm)->real, base, gva, len, access);
	cr_assert_eq(err, 0, "protected what is not mapped");
	return err;
}

static int checked_unmap(struct host_mapping *hm, hva_t base, gva_t gva, uint64_t len)
{
	cr_assert_leq(gva + len, 1ull << 32);
	if (checked(hm)->fail_takes && len != 1ull << 32) {
		checked(hm)->fail_takes--;
		return -ENOMEM;
	}
	checked(hm)->unmaps++;
	return checked(hm)->real->ops->unmap(checked(hm)->real, base, gva, len);
}

static uint32_t checked_limit(struct host_mapping *hm)
{
	return checked(hm)->limit ? checked(hm)->limit :
				    checked(hm)->real->ops->mapping_limit(checked(hm)->real);
}

static const struct host_mapping_ops checked_ops = {
	.name = "checked", .window_create = checked_window_create,
	.window_destroy = checked_window_destroy, .map = checked_map, .protect = checked_protect,
	.unmap = checked_unmap, .mapping_limit = checked_limit,
};

static void code_mapping_changed(void *opaque, struct space *space, gva_t gva)
{
	struct guest *g = opaque;

	g->code_changed++;
	g->code_space = space;
	g->code_gva = gva;
}

static void space_destroyed(void *opaque, struct space *space)
{
	struct guest *g = opaque;

	cr_assert_neq(space, shadow_current(g->shadow), "the current space was destroyed");
	g->spaces_destroyed++;
}

void guest_create(struct guest *g, const struct shadow_options *options, uint32_t cr4, uint32_t cr0)
{
	struct shadow_callbacks callbacks = { g, code_mapping_changed, space_destroyed };
	struct shadow_options checked = options ? *options : (struct shadow_options){ 0 };
	uint32_t limit = g->hm.limit, video_size = g->video_size, gfn;
	const void *rom = g->rom;
	struct error error = { 0 };

	memset(g, 0, sizeof(*g));
	cr_assert_eq(guest_ram_init(&g->ram, GUEST_RAM_SIZE), 0);
	if (rom)
		cr_assert_eq(guest_ram_add_rom(&g->ram, rom, 0x10000), 0);
	if (video_size)
		cr_assert_eq(guest_ram_add_video(&g->ram, video_size), 0);
	for (gfn = 0; gfn < GUEST_RAM_SIZE >> 12; gfn++)
		memcpy(g->ram.flat + PAGE_OF(gfn), &gfn, 4);
	cr_assert_eq(host_mapping_process_create(&g->ram, NULL, &g->hm.real, &error), 0, "%s",
		     error.text);
	g->hm.hm.ops = &checked_ops;
	g->hm.hm.ram = &g->ram;
	g->hm.limit = limit;
	if (!checked.check_every)
		checked.check_every = CHECK_EVERY;
	cr_assert_eq(shadow_create(&g->ram, &g->hm.hm, &checked, &callbacks, &g->shadow), 0);
	g->paging = (struct paging){ .cr0 = CR0_PE | CR0_PG | cr0, .cr4 = cr4, .a20_mask = ~0u };
}

void guest_destroy(struct guest *g)
{
	expect_sane(g);
	shadow_destroy(g->shadow);
	cr_assert_eq(g->hm.windows, 0, "windows left behind");
	g->hm.real->ops->destroy(g->hm.real);
	guest_ram_destroy(&g->ram);
}

void put32(struct guest *g, uint64_t at, uint32_t value) { memcpy(g->ram.flat + at, &value, 4); }
void put64(struct guest *g, uint64_t at, uint64_t value) { memcpy(g->ram.flat + at, &value, 8); }

uint32_t get32(struct guest *g, uint64_t at)
{
	uint32_t value;

	memcpy(&value, g->ram.flat + at, 4);
	return value;
}

void set_paging(struct guest *g, enum shadow_flush flush)
{
	int err;

	if (g->paging.cr4 & CR4_PAE)
		cr_assert(walk_load_pdptes(&g->ram, g->paging.cr3, ~0u, g->paging.pdpte));
	g->space = shadow_set_paging(g->shadow, &g->paging, flush, &err);
	cr_assert_not_null(g->space, "set_paging: %d", err);
	cr_assert_eq(g->space, shadow_current(g->shadow));
}

void load_cr3(struct guest *g, uint32_t cr3)
{
	g->paging.cr3 = cr3;
	set_paging(g, g->paging.cr4 & CR4_PGE ? SHADOW_FLUSH_NONGLOBAL : SHADOW_FLUSH_ALL);
}

bool window_readable(hva_t window, gva_t gva, uint32_t *frame)
{
	struct iovec to = { frame, 4 }, from = { hva_ptr(window_at(window, gva & ~0xfffu)), 4 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 4;
}

bool window_writable(hva_t window, gva_t gva)
{
	uint32_t word;
	struct iovec from = { &word, 4 }, to = { hva_ptr(window_at(window, gva & ~0xfffu)), 4 };

	return window_readable(window, gva, &word) &&
	       process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 4;
}

enum shadow_fill guest_access(struct guest *g, enum shadow_view view, gva_t gva, enum access access,
			      struct shadow_fill_info *info)
{
	enum shadow_fill result = SHADOW_FILL_OK;
	unsigned tries;
	uint32_t word;

	for (tries = 0; tries < 3; tries++) {
		hva_t window = shadow_current(g->shadow)->window[view];

		if (access & ACCESS_WRITE ? window_writable(window, gva) :
					    window_readable(window, gva, &word))
			return SHADOW_FILL_OK;
		result = shadow_fill(g->shadow, view, gva, access, info);
		if (result != SHADOW_FILL_OK)
			return result;
	}
	cr_assert_fail("filled %x in view %d, and it still faults", gva, view);
	return result;
}

void expect_reads(struct guest *g, enum shadow_view view, gva_t gva, uint32_t frame)
{
	struct shadow_fill_info info;
	enum access access = view == SHADOW_USER ? ACCESS_READ | ACCESS_USER : ACCESS_READ;
	uint32_t found = ~0u;
	enum shadow_fill result = guest_access(g, view, gva, access, &info);

	cr_assert_eq(result, SHADOW_FILL_OK, "reading %x: %d", gva, result);
	cr_assert(window_readable(g->space->window[view], gva, &found));
	cr_assert_eq(found, frame, "%x reads frame %x, not %x", gva, found, frame);
}

void expect_sane(struct guest *g)
{
	const char *why = shadow_check(g->shadow);

	cr_assert_null(why, "%s", why);
}
