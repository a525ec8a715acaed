/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Video memory as memory: what of it the guest may reach as it reaches RAM, while its accesses have
 * no other effect than those to RAM have.
 *
 *   odd/even   text: byte n of the window is in plane n & 1 at address n & ~1
 *   chain 4    256 colours: byte n is in plane n & 3 at address n & ~3
 *   linear     a bank of the extension's frame buffer
 *   the frame  all of it, at the address of BAR 0
 *
 * The first two are not in one piece where the planes lie side by side. So while the window has
 * such a form its bytes lie in a store of their own, in the order of their addresses, and vga_at()
 * leads there; they are moved when the window takes the form, and back when a register makes it
 * another. All else goes through the handlers of the bus, which keep to vga_at(), too: whether
 * something is mapped changes nothing but the latches, which mapped reads do not load.
 *
 * Moving and mapping cost as much as some hundred accesses through the bus, and where page tables
 * are dear some thousand. So the window takes a form when there have been some accesses since the
 * registers last allowed another; the more, the more often it did not keep its form for a while.
 * Software that changes modes all the time pays no more than double for it.
 */
#include "vga_internal.h"

#include <string.h>

#define LEAST_PATIENCE 256u  /* accesses before something is mapped */
#define MOST_PATIENCE  2048u
#define A_WHILE_NS     (NS_PER_SECOND / 50)
#define PLANES_END 0x40000u /* what the window reaches of the planes, without the extension */

/* Whether byte n of the window is written and read as it is, for the planes. */
static bool is_plain(const struct vga *vga, unsigned planes, unsigned map_mask)
{
	const uint8_t *gc = vga->s.graphics;

	return (vga->s.sequencer[SEQ_MAP_MASK] & 15) == map_mask && !gc[GC_ROTATE] &&
	       !(gc[GC_ENABLE_SET_RESET] & planes) && gc[GC_BIT_MASK] == 0xff &&
	       !(gc[GC_MODE] & (GC_MODE_WRITE | GC_MODE_COMPARE));
}

static enum vga_form form_of(const struct vga *vga)
{
	const uint8_t *gc = vga->s.graphics, memory = vga->s.sequencer[SEQ_MEMORY_MODE];

	if (vga_is_linear(vga))
		return VGA_LINEAR;
	if (vga_dispi_on(vga))
		return VGA_UNMAPPED;
	if (memory & MEMORY_CHAIN4)
		return is_plain(vga, 15, 15) ? VGA_CHAIN4 : VGA_UNMAPPED;
	if ((memory & MEMORY_SEQUENTIAL) || !(gc[GC_MODE] & GC_MODE_ODD_EVEN) ||
	    (gc[GC_READ_MAP] & 2))
		return VGA_UNMAPPED;
	return is_plain(vga, 3, 3) ? VGA_ODD_EVEN : VGA_UNMAPPED;
}

/* The window as the registers would have it. */
static struct vga_window wanted(const struct vga *vga)
{
	struct vga_window w = { form_of(vga), 0, 0, 0 };
	const unsigned map = vga->s.graphics[GC_MISC] >> 2 & 3;

	/* All of 128 KiB shows each byte twice. */
	if (!map || !(vga->s.misc & MISC_RAM_ENABLE))
		w.form = VGA_UNMAPPED;
	if (w.form == VGA_UNMAPPED)
		return (struct vga_window){ 0 };
	w.first = map == 1 ? 0 : map == 2 ? 0x10000 : 0x18000;
	w.size = map == 1 ? 0x10000 : 0x8000;
	if (w.form == VGA_LINEAR)
		w.at = (uint32_t)vga->s.dispi[DISPI_BANK] << 16;
	else
		w.at = VGA_MEMORY_SIZE + w.first;
	return w;
}

static bool same_window(const struct vga_window *a, const struct vga_window *b)
{
	return a->form == b->form && a->first == b->first && a->at == b->at;
}

static bool has_store(const struct vga_window *w)
{
	return w->form == VGA_ODD_EVEN || w->form == VGA_CHAIN4;
}

/* Where byte n of the window is among the planes; there are n to n + piece - 1, too. */
static uint32_t in_planes(const struct vga_window *w, uint32_t n, uint32_t *piece)
{
	*piece = w->form == VGA_CHAIN4 ? 4 : 2;
	return (n & ~(*piece - 1)) * 4 + (n & (*piece - 1));
}

/* Between the planes and the store; a piece is two bytes or four, of as many planes. */
static void move_bytes(struct vga *vga, bool to_store)
{
	const struct vga_window *w = &vga->window;
	uint8_t *store = vga->memory + w->at;
	uint32_t piece;

	for (uint32_t n = 0; n < w->size; n += piece) {
		uint8_t *planes = vga->memory + in_planes(w, n, &piece);

		if (piece == 4)
			memcpy(to_store ? store + n : planes, to_store ? planes : store + n, 4);
		else
			memcpy(to_store ? store + n : planes, to_store ? planes : store + n, 2);
	}
}

uint8_t *vga_at(const struct vga *vga, uint32_t at)
{
	const struct vga_window *w = &vga->window;
	const uint32_t address = at / 4, plane = at % 4;
	uint32_t piece;

	if (has_store(w) && at < PLANES_END && address + plane < w->size &&
	    in_planes(w, address + plane, &piece) == at)
		return vga->memory + w->at + address + plane;
	return vga->memory + at;
}

uint32_t vga_planes_load(const struct vga *vga, uint32_t at)
{
	uint32_t planes = 0;

	if (!has_store(&vga->window)) {
		memcpy(&planes, vga->memory + at, 4);
		return planes;
	}
	for (unsigned i = 0; i < 4; i++)
		planes |= (uint32_t)*vga_at(vga, at + i) << (8 * i);
	return planes;
}

void vga_planes_store(struct vga *vga, uint32_t at, uint32_t planes)
{
	vga_stored(vga, at);
	if (!has_store(&vga->window)) {
		memcpy(vga->memory + at, &planes, 4);
		return;
	}
	for (unsigned i = 0; i < 4; i++)
		*vga_at(vga, at + i) = (uint8_t)(planes >> (8 * i));
}

/* The window's and the frame's forms. */

static void tell(struct vga *vga)
{
	signal_raise(&vga->shared.views_changed, 0);
}

static void learn_patience(struct vga *vga)
{
	if (clock_now(&vga->clock) - vga->window_since >= A_WHILE_NS)
		vga->patience = LEAST_PATIENCE;
	else if (vga->patience < MOST_PATIENCE)
		vga->patience *= 2;
}

void vga_map_leave(struct vga *vga)
{
	if (vga->window.form == VGA_UNMAPPED)
		return;
	learn_patience(vga);
	if (has_store(&vga->window))
		move_bytes(vga, false);
	vga->window = (struct vga_window){ 0 };
	vga->window_accesses = 0;
	tell(vga);
}

/* What the planes show elsewhere cannot be reached past vga_at() meanwhile. */
static void enter(struct vga *vga)
{
	vga->window = vga->window_wanted;
	vga->window_since = clock_now(&vga->clock);
	if (has_store(&vga->window)) {
		move_bytes(vga, true);
		vga->frame_base = vga->frame_accesses = 0;
	}
	tell(vga);
}

void vga_map_follow(struct vga *vga)
{
	const struct vga_window window = wanted(vga);

	if (!same_window(&window, &vga->window_wanted))
		vga->window_accesses = 0;
	vga->window_wanted = window;
	if (!same_window(&window, &vga->window))
		vga_map_leave(vga);
}

void vga_window_accessed(struct vga *vga)
{
	if (vga->window.form == vga->window_wanted.form || !vga->shared.store ||
	    ++vga->window_accesses < vga->patience)
		return;
	enter(vga);
}

static uint32_t frame_address(const struct vga *vga)
{
	const struct pci_function *f = &vga->function;

	return f->bar[0].mapping ? pci_get32(f->config, PCI_BAR0) & ~(VGA_MEMORY_SIZE - 1) : 0;
}

void vga_frame_follow(struct vga *vga)
{
	if (!vga->frame_base || vga->frame_base == frame_address(vga))
		return;
	vga->frame_base = vga->frame_accesses = 0;
	tell(vga);
}

void vga_frame_accessed(struct vga *vga)
{
	if (vga->frame_base || has_store(&vga->window) || !vga->shared.store ||
	    ++vga->frame_accesses < LEAST_PATIENCE)
		return;
	vga->frame_base = frame_address(vga);
	tell(vga);
}

void vga_map_reset(struct vga *vga)
{
	const bool shown = vga->window.form != VGA_UNMAPPED || vga->frame_base;

	vga->window = (struct vga_window){ 0 };
	vga->window_wanted = wanted(vga);
	vga->window_accesses = vga->frame_accesses = vga->frame_base = 0;
	vga->patience = LEAST_PATIENCE;
	vga->looks_new = true;
	if (shown)
		tell(vga);
}

void vga_views(const struct vga *vga, struct display_view view[DISPLAY_VIEWS])
{
	const struct vga_window *w = &vga->window;

	view[0] = (struct display_view){ VGA_WINDOW_BASE + w->first, w->size, w->at };
	view[1] = (struct display_view){ vga->frame_base, vga->frame_base ? VGA_MEMORY_SIZE : 0,
					 0 };
	if (w->form == VGA_UNMAPPED)
		view[0] = (struct display_view){ 0 };
}
