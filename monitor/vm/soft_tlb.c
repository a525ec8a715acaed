/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software TLB (soft_tlb.h).
 *
 * Invariants:
 *   - an entry of kind WRITE was filled by a walk for a write, so its leaf is dirty; any entry's
 *     path is accessed;
 *   - permissions are settled when an entry is made (CR0.WP and CR4 changes flush all; accesses
 *     with and without AC have entries of their own), so a hit needs no check;
 *   - whether a page is protected is looked up at each write: those states change without a
 *     guest flush;
 *   - a bit of used[] is set for every valid entry, so that a flush costs what was filled and not
 *     the size of the TLB;
 *   - what lookup[] holds is a valid entry, to RAM, and for stores to a page without flags;
 *   - a page on which a debugger watches has no entry, but for fetches. Stores need one also if
 *     only reads are watched, since an instruction may read what it stores to.
 */
#include <assert.h>
#include <string.h>
#include "vm.h"
#include "x86/descriptor.h"
#include "x86/fault.h"
#include "x86/fpu_spill.h"

#define ENTRY_MASK (SOFT_TLB_ENTRIES - 1)
#define LARGE_REGION_SHIFT 22 /* the largest guest page */

/* ---- filling and flushing ---- */

struct paging vcpu_paging(const struct vcpu *vcpu)
{
	const struct cpu *cpu = &vcpu->cpu;

	return (struct paging){
		.cr0 = cpu->cr0, .cr3 = cpu->cr3, .cr4 = cpu->cr4, .nxe = cpu->efer & EFER_NXE,
		.a20_mask = cpu->a20_mask,
		.pdpte = { cpu->pdpte[0], cpu->pdpte[1], cpu->pdpte[2], cpu->pdpte[3] },
	};
}

static void segments_forget(struct soft_tlb *tlb)
{
	for (uint32_t left = tlb->segments_used; left; left &= left - 1)
		tlb->segment[__builtin_ctz(left)].next_selector = 0;
	tlb->segments_used = 0;
}

/* An entry goes, or is replaced: so does what translated code takes from it. */
static void lookup_hide(struct soft_tlb *tlb, unsigned who, unsigned kind, unsigned index)
{
	if (kind != ACCESS_EXEC)
		tlb->lookup[who][kind == ACCESS_WRITE ? ACCESS_WRITE : ACCESS_READ][index]
			.inverted_page = 0;
	if (kind == ACCESS_READ && !who)
		segments_forget(tlb);
}

/* The place of an entry that is not kept, or NULL. */
static struct soft_tlb_entry *tlb_watched(struct vcpu *vcpu, gva_t gva, unsigned kind)
{
	unsigned watched;

	if (rf_likely(!vcpu->debugger.nwatchpoints) || kind == ACCESS_EXEC)
		return NULL;
	watched = debugger_watches_page(&vcpu->debugger, gva);
	if (!(kind == ACCESS_READ ? watched & DEBUGGER_READS : watched))
		return NULL;
	return &vcpu->soft_tlb.watched[gva >> GUEST_PAGE_SHIFT & 1];
}

static enum x86_status tlb_fill(struct vcpu *vcpu, gva_t gva, enum access access,
				const struct soft_tlb_entry **out)
{
	struct soft_tlb *tlb = &vcpu->soft_tlb;
	struct paging paging = vcpu_paging(vcpu);
	unsigned index = gva >> GUEST_PAGE_SHIFT & ENTRY_MASK, who = access_who(access),
		 kind = access & ACCESS_KIND;
	struct soft_tlb_entry *entry = &tlb->entry[who][kind][index],
			      *watched = tlb_watched(vcpu, gva, kind);
	struct walk walk;

	assert(kind < ACCESS_KINDS);
	if (!walk_guest(&vcpu->vm->ram, &paging, gva, access, &walk))
		return fault_raise_pf(&vcpu->cpu, gva, walk.error);
	if (rf_unlikely(watched)) {
		*watched = (struct soft_tlb_entry){ .watched = true, .gpa = gpa_page(walk.gpa) };
		watched->host = guest_ram_ptr(&vcpu->vm->ram, watched->gpa);
		*out = watched;
		return X86_OK;
	}
	lookup_hide(tlb, who, kind, index);
	entry->page = (gva & GUEST_PAGE_MASK) | 1;
	entry->global = walk.global && walk.levels && (vcpu->cpu.cr4 & CR4_PGE);
	entry->large = walk.levels && walk.page_shift > GUEST_PAGE_SHIFT;
	entry->gpa = gpa_page(walk.gpa);
	/* Code in display memory is fetched from the device, by whoever does not keep it. */
	entry->host = kind == ACCESS_EXEC ? guest_ram_ptr(&vcpu->vm->ram, entry->gpa) :
					    guest_ram_data_ptr(&vcpu->vm->ram, entry->gpa);
	tlb->used[who][kind][index / 64] |= 1ull << (index % 64);
	if (entry->large)
		tlb->large_regions[gva >> LARGE_REGION_SHIFT >> 6] |=
			1ull << (gva >> LARGE_REGION_SHIFT & 63);
	*out = entry;
	return X86_OK;
}

static inline enum x86_status tlb_lookup(struct vcpu *vcpu, gva_t gva, enum access access,
					 const struct soft_tlb_entry **out)
{
	const struct soft_tlb_entry *entry =
		&vcpu->soft_tlb.entry[access_who(access)][access & ACCESS_KIND]
				     [gva >> GUEST_PAGE_SHIFT & ENTRY_MASK];

	if (rf_likely(entry->page == ((gva & GUEST_PAGE_MASK) | 1))) {
		*out = entry;
		return X86_OK;
	}
	return tlb_fill(vcpu, gva, access, out);
}

/*
 * Drops the valid entries for which the test holds: everything, what is not global, or large pages
 * of a region.
 */
enum drop { DROP_ALL, DROP_NONGLOBAL, DROP_LARGE_REGION };

static void tlb_drop(struct soft_tlb *tlb, enum drop drop, gva_t gva)
{
	const unsigned words = SOFT_TLB_ENTRIES / 64;

	for (unsigned i = 0; i < ACCESS_WHOS * ACCESS_KINDS * words; i++) {
		uint64_t *used = &tlb->used[0][0][0] + i, left = *used;
		struct soft_tlb_entry *entries = &tlb->entry[0][0][0] + i * 64;
		const unsigned who = i / (ACCESS_KINDS * words),
			       kind = i / words % ACCESS_KINDS;

		for (; left; left &= left - 1) {
			unsigned bit = __builtin_ctzll(left);
			struct soft_tlb_entry *entry = &entries[bit];

			if (drop == DROP_NONGLOBAL && entry->global)
				continue;
			if (drop == DROP_LARGE_REGION &&
			    (!entry->large || (entry->page ^ gva) >> LARGE_REGION_SHIFT))
				continue;
			entry->page = 0;
			*used &= ~(1ull << bit);
			lookup_hide(tlb, who, kind, i % words * 64 + bit);
		}
	}
}

void soft_tlb_flush(struct vcpu *vcpu, bool global_too)
{
	struct soft_tlb *tlb = &vcpu->soft_tlb;

	tlb_drop(tlb, global_too ? DROP_ALL : DROP_NONGLOBAL, 0);
	/*
	 * After a partial flush the bits of large_regions may be too many, which only costs a scan.
	 */
	if (global_too)
		memset(tlb->large_regions, 0, sizeof(tlb->large_regions));
}

void soft_tlb_flush_page(struct vcpu *vcpu, gva_t gva)
{
	struct soft_tlb *tlb = &vcpu->soft_tlb;
	unsigned index = gva >> GUEST_PAGE_SHIFT & ENTRY_MASK, region = gva >> LARGE_REGION_SHIFT;

	for (unsigned who = 0; who < ACCESS_WHOS; who++) {
		for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
			struct soft_tlb_entry *entry = &tlb->entry[who][kind][index];

			if (entry->page != ((gva & GUEST_PAGE_MASK) | 1))
				continue;
			entry->page = 0;
			tlb->used[who][kind][index / 64] &= ~(1ull << (index % 64));
			lookup_hide(tlb, who, kind, index);
		}
	}
	/*
	 * INVLPG of any address in a large page ends all pieces of its translation (SDM vol. 3,
	 * 4.10.2.3).
	 */
	if (tlb->large_regions[region >> 6] >> (region & 63) & 1)
		tlb_drop(tlb, DROP_LARGE_REGION, gva);
}

/* ---- segment registers ---- */

void soft_tlb_check_gdt(struct vcpu *vcpu)
{
	struct soft_tlb *tlb = &vcpu->soft_tlb;
	const struct table_register *gdt = &vcpu->cpu.gdtr;

	if (rf_likely(tlb->segments_gdt.base == gdt->base && tlb->segments_gdt.limit == gdt->limit))
		return;
	segments_forget(tlb);
	tlb->segments_gdt = *gdt;
}

void soft_tlb_note_segment(struct vcpu *vcpu, enum x86_seg seg, uint16_t selector)
{
	static const uint64_t no_descriptor;
	struct soft_tlb *tlb = &vcpu->soft_tlb;
	struct cpu *cpu = &vcpu->cpu;
	const unsigned index = selector >> 3 & (SEGMENT_MEMOS - 1);
	struct segment_memo *memo = &tlb->segment[index];
	const struct segment *s = &cpu->seg[seg];
	const void *at = &no_descriptor;
	const bool whole = segment_is_whole(s);

	assert(seg < X86_NSEG && !cpu->cpl);
	if (!selector_is_null(selector))
		at = soft_tlb_hit(tlb, cpu->gdtr.base + (selector & SELECTOR_INDEX),
				  sizeof(uint64_t), ACCESS_READ);
	if (!at || (selector & SELECTOR_TI))
		return;
	*memo = (struct segment_memo){ .next_selector = selector + 1u,
				       .limit = s->limit,
				       .descriptor_at = at };
	memcpy(&memo->image, s, sizeof(memo->image));
	memcpy(&memo->descriptor, at, sizeof(memo->descriptor));
	memo->seg_base[0] = whole ? &cpu->seg[X86_FS].base : NULL;
	memo->seg_base[1] = whole ? &cpu->seg[X86_GS].base : NULL;
	tlb->segments_used |= 1u << index;
}

/* ---- accesses to a page that is not plain RAM ---- */

static void mmio_read(struct vm *vm, gpa_t gpa, uint8_t *buf, uint32_t len)
{
	fpu_spill_sse(&vm->vcpu.cpu);
	vm->vcpu.mmio_accesses++;
	while (len) {
		unsigned piece = vm_mmio_piece(len);
		uint64_t value = vm_mmio_read(vm, gpa, piece);

		memcpy(buf, &value, piece);
		gpa = gpa_add(gpa, piece);
		buf += piece;
		len -= piece;
	}
}

static bool store_unlocked(struct vm *vm, gpa_t gpa, const uint8_t *buf, uint32_t len)
{
	uint32_t value;

	if (len != sizeof(value) || !vm->store_unlocked)
		return false;
	memcpy(&value, buf, sizeof(value));
	return vm->store_unlocked(vm->store_unlocked_opaque, gpa, value);
}

static void mmio_write(struct vm *vm, gpa_t gpa, const uint8_t *buf, uint32_t len)
{
	vm->vcpu.mmio_accesses++;
	if (store_unlocked(vm, gpa, buf, len))
		return;
	fpu_spill_sse(&vm->vcpu.cpu);
	while (len) {
		unsigned piece = vm_mmio_piece(len);
		uint64_t value = 0;

		memcpy(&value, buf, piece);
		vm_mmio_write(vm, gpa, value, piece);
		gpa = gpa_add(gpa, piece);
		buf += piece;
		len -= piece;
	}
}

#define COPY_BY_STRING 128 /* bytes from which REP MOVSB repays its start */

/*
 * Without libc, whose memcpy uses vector registers (see x86/fpu_spill.h); the empty asm keeps the
 * compiler from calling it.
 */
static inline void copy_bytes(void *to, const void *from, size_t len)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	if (len >= COPY_BY_STRING) {
		__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
		return;
	}
	for (; len >= 4; len -= 4, t += 4, f += 4) {
		memcpy(t, f, 4);
		__asm__ volatile("" : : : "memory");
	}
	for (; len; len--) {
		*t++ = *f++;
		__asm__ volatile("" : : : "memory");
	}
}

/* Small copies are most of all accesses: constant sizes keep them free of a call. */
static inline void copy_small(void *to, const void *from, uint32_t len)
{
	switch (len) {
	case 1: memcpy(to, from, 1); break;
	case 2: memcpy(to, from, 2); break;
	case 4: memcpy(to, from, 4); break;
	/* a stack in a TSS */
	case 6: memcpy(to, from, 4); memcpy((uint8_t *)to + 4, (const uint8_t *)from + 4, 2); break;
	case 8: memcpy(to, from, 8); break;
	/* what IRET pops */
	case 12: memcpy(to, from, 8); memcpy((uint8_t *)to + 8, (const uint8_t *)from + 8,
		4); break;
	case 20: case 24: /* frames of interrupts */
		memcpy(to, from, 16);
		memcpy((uint8_t *)to + len - 8, (const uint8_t *)from + len - 8, 8);
		break;
	default: copy_bytes(to, from, len);
	}
}

static inline void entry_read(struct vcpu *vcpu, const struct soft_tlb_entry *entry, gva_t gva,
			      void *buf, uint32_t len)
{
	uint32_t offset = gva & (GUEST_PAGE_SIZE - 1);

	if (rf_likely(entry->host != NULL))
		copy_small(buf, entry->host + offset, len);
	else
		mmio_read(vcpu->vm, gpa_add(entry->gpa, offset), buf, len);
}

static inline void entry_write(struct vcpu *vcpu, const struct soft_tlb_entry *entry, gva_t gva,
			       const void *buf, uint32_t len)
{
	struct guest_ram *ram = &vcpu->vm->ram;
	uint32_t offset = gva & (GUEST_PAGE_SIZE - 1);
	gpa_t gpa = gpa_add(entry->gpa, offset);

	if (rf_unlikely(entry->host == NULL)) {
		mmio_write(vcpu->vm, gpa, buf, len);
		return;
	}
	if (rf_unlikely(guest_ram_flags(ram, gpa) & RAM_PAGE_ROM))
		return;
	copy_small(entry->host + offset, buf, len);
	guest_ram_written(ram, gpa, len);
}

/* ---- accesses ---- */

static inline bool crosses_page(gva_t gva, uint32_t len)
{
	assert(len && len <= GUEST_PAGE_SIZE);
	return (gva & (GUEST_PAGE_SIZE - 1)) + len > GUEST_PAGE_SIZE;
}

static inline uint32_t bytes_in_page(gva_t gva)
{
	return GUEST_PAGE_SIZE - (gva & (GUEST_PAGE_SIZE - 1));
}

/*
 * The entries of both pages of an access that crosses. The second fill never displaces the first:
 * neighbouring pages have different indices.
 */
static enum x86_status tlb_lookup_two(struct vcpu *vcpu, gva_t gva, enum access access,
				      const struct soft_tlb_entry *entry[2])
{
	enum x86_status status = tlb_lookup(vcpu, gva, access, &entry[0]);

	return status ? status : tlb_lookup(vcpu, gva + bytes_in_page(gva), access, &entry[1]);
}

static enum x86_status read_crossing(struct vcpu *vcpu, gva_t gva, uint8_t *buf, uint32_t len,
				     enum access access)
{
	const struct soft_tlb_entry *entry[2];
	uint32_t first = bytes_in_page(gva);
	enum x86_status status = tlb_lookup_two(vcpu, gva, access, entry);

	if (status)
		return status;
	entry_read(vcpu, entry[0], gva, buf, first);
	entry_read(vcpu, entry[1], gva + first, buf + first, len - first);
	if (rf_unlikely(entry[0]->watched | entry[1]->watched))
		debugger_accessed(vcpu, gva, len, access);
	return X86_OK;
}

static enum x86_status write_crossing(struct vcpu *vcpu, gva_t gva, const uint8_t *buf,
				      uint32_t len, enum access access)
{
	const struct soft_tlb_entry *entry[2];
	struct soft_tlb_entry second;
	uint32_t first = bytes_in_page(gva);
	enum x86_status status = tlb_lookup_two(vcpu, gva, access, entry);

	if (status)
		return status;
	/* Telling of the first store may flush the TLB. */
	second = *entry[1];
	if (rf_unlikely(entry[0]->watched | second.watched))
		debugger_accessed(vcpu, gva, len, access);
	entry_write(vcpu, entry[0], gva, buf, first);
	entry_write(vcpu, &second, gva + first, buf + first, len - first);
	return X86_OK;
}

enum x86_status mem_read(struct vcpu *vcpu, gva_t gva, void *buf, uint32_t len, enum access access)
{
	const struct soft_tlb_entry *entry;
	enum x86_status status;

	assert(!(access & ACCESS_WRITE));
	if (rf_unlikely(crosses_page(gva, len)))
		return read_crossing(vcpu, gva, buf, len, access);
	status = tlb_lookup(vcpu, gva, access, &entry);
	if (rf_unlikely(status))
		return status;
	entry_read(vcpu, entry, gva, buf, len);
	if (rf_unlikely(entry->watched))
		debugger_accessed(vcpu, gva, len, access);
	return X86_OK;
}

enum x86_status mem_write(struct vcpu *vcpu, gva_t gva, const void *buf, uint32_t len,
			  enum access access)
{
	const struct soft_tlb_entry *entry;
	enum x86_status status;

	access |= ACCESS_WRITE;
	if (rf_unlikely(crosses_page(gva, len)))
		return write_crossing(vcpu, gva, buf, len, access);
	status = tlb_lookup(vcpu, gva, access, &entry);
	if (rf_unlikely(status))
		return status;
	if (rf_unlikely(entry->watched))
		debugger_accessed(vcpu, gva, len, access);
	entry_write(vcpu, entry, gva, buf, len);
	return X86_OK;
}

enum x86_status mem_probe_write(struct vcpu *vcpu, gva_t gva, uint32_t len, enum access access)
{
	const struct soft_tlb_entry *entry[2];

	access |= ACCESS_WRITE;
	return crosses_page(gva, len) ? tlb_lookup_two(vcpu, gva, access, entry) :
					tlb_lookup(vcpu, gva, access, &entry[0]);
}

enum x86_status soft_tlb_expose(struct vcpu *vcpu, gva_t gva, uint32_t len, enum access access,
				bool *exposed)
{
	const enum access kind = access & ACCESS_WRITE ? ACCESS_WRITE : ACCESS_READ;
	const struct soft_tlb_entry *entry;
	struct soft_lookup *lookup;
	enum x86_status status;

	*exposed = false;
	if (crosses_page(gva, len))
		return X86_OK;
	status = tlb_lookup(vcpu, gva, access, &entry);
	if (status || !entry->host || entry->watched ||
	    (kind == ACCESS_WRITE && guest_ram_flags(&vcpu->vm->ram, entry->gpa)))
		return status;
	lookup = &vcpu->soft_tlb.lookup[access_who(access)][kind]
				       [gva >> GUEST_PAGE_SHIFT & ENTRY_MASK];
	lookup->addend = (uintptr_t)entry->host - (gva & GUEST_PAGE_MASK);
	lookup->inverted_page = ~(gva >> GUEST_PAGE_SHIFT);
	*exposed = true;
	return X86_OK;
}

void soft_tlb_hide_frame(struct vcpu *vcpu, gpa_t gpa)
{
	struct soft_tlb *tlb = &vcpu->soft_tlb;

	gpa = gpa_page(gpa);
	for (unsigned who = 0; who < ACCESS_WHOS; who++) {
		for (unsigned i = 0; i < SOFT_TLB_ENTRIES; i++) {
			if (gpa_equal(tlb->entry[who][ACCESS_WRITE][i].gpa, gpa))
				lookup_hide(tlb, who, ACCESS_WRITE, i);
		}
	}
}

enum x86_status mem_translate(struct vcpu *vcpu, gva_t gva, enum access access, gpa_t *gpa)
{
	const struct soft_tlb_entry *entry;
	enum x86_status status = tlb_lookup(vcpu, gva, access, &entry);

	if (!status)
		*gpa = gpa_add(entry->gpa, gva & (GUEST_PAGE_SIZE - 1));
	return status;
}

uint32_t mem_peek(struct vcpu *vcpu, gva_t gva, void *buf, uint32_t len)
{
	struct paging paging = vcpu_paging(vcpu);
	uint32_t done = 0;

	while (done < len) {
		uint32_t piece = bytes_in_page(gva + done);
		struct walk walk;
		const uint8_t *host;

		if (piece > len - done)
			piece = len - done;
		if (!walk_guest(&vcpu->vm->ram, &paging, gva + done,
				ACCESS_READ | ACCESS_AC | ACCESS_PROBE, &walk))
			break;
		host = guest_ram_ptr(&vcpu->vm->ram, walk.gpa);
		if (!host)
			break;
		memcpy((uint8_t *)buf + done, host, piece);
		done += piece;
	}
	return done;
}

enum x86_status mem_rmw_pointer(struct vcpu *vcpu, gva_t gva, uint32_t len, enum access access,
				void **host)
{
	const struct soft_tlb_entry *entry;
	enum x86_status status;

	*host = NULL;
	if (crosses_page(gva, len))
		return mem_probe_write(vcpu, gva, len, access);
	status = tlb_lookup(vcpu, gva, access | ACCESS_WRITE, &entry);
	if (status || !entry->host || entry->watched ||
	    (guest_ram_flags(&vcpu->vm->ram, entry->gpa) & RAM_PAGE_ROM))
		return status;
	*host = entry->host + (gva & (GUEST_PAGE_SIZE - 1));
	return X86_OK;
}

void mem_written(struct vcpu *vcpu, gva_t gva, const void *host, uint32_t len)
{
	struct guest_ram *ram = &vcpu->vm->ram;

	guest_ram_written(ram, guest_ram_gpa(ram, host), len);
}
