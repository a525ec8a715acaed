/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instruction streams of hostile guests. A form is a line of tokens: bytes in lower-case hex, and
 * operands by kind (put_operand()), so that system instructions get operands that do something.
 */
#include <stdlib.h>
#include <string.h>
#include "hostile.h"

#define LONGEST_FORM 48

struct stream {
	struct random_source *r;
	uint8_t *to;
	uint32_t n, size, at;
};

static uint32_t below(struct random_source *r, uint32_t n)
{
	return random_next(r) % n;
}

static void put8(struct stream *s, uint8_t byte)
{
	if (s->n < s->size)
		s->to[s->n++] = byte;
}

static void put16(struct stream *s, uint16_t value)
{
	put8(s, value);
	put8(s, value >> 8);
}

static void put32(struct stream *s, uint32_t value)
{
	put16(s, value);
	put16(s, value >> 16);
}

/* --- operands --- */

static uint32_t pick(struct random_source *r, const uint32_t *from, unsigned n)
{
	return from[below(r, n)];
}

static uint32_t device_address(struct random_source *r)
{
	static const uint32_t bases[] = { 0xfee00000, 0xfec00000, 0xa0000,    0xb8000,   0xf0000,
					  0xfebf0000, 0xfed00000, 0xffff0000, 0xe0000000 };

	switch (below(r, 3)) {
	case 0: return 0xfee00000 + 0x10 * below(r, 0x40);
	case 1: return 0xfec00000 + 0x10 * below(r, 2);
	default: return pick(r, bases, RF_ARRAY_SIZE(bases)) + below(r, 0x1000);
	}
}

static uint32_t code_address(struct random_source *r)
{
	return (below(r, 3) ? HX_CODE : HX_USER_CODE) + below(r, HX_CODE_SIZE);
}

uint32_t hostile_address(struct random_source *r)
{
	static const uint32_t edges[] = { 0,          0xfff,      0x1000,     0xfffffffe,
					  0xfffffffc, 0xfffff000, 0x7ffffffe, 0x80000000,
					  0x3fffff,   0x7fffff,   0x9fffe,    0xffffe,
					  0x10fff0 };

	switch (below(r, 16)) {
	case 0: return pick(r, edges, RF_ARRAY_SIZE(edges));
	case 1: return device_address(r);
	case 2: return code_address(r);
	case 3: return HX_TABLES + (below(r, HX_TABLES_END - HX_TABLES) & ~3u);
	case 4: return HX_GDT + below(r, 0x4000);
	case 5: return HX_STACKS + below(r, 0x4000);
	case 6: return random_value(r);
	case 7: return HX_DATA + 0x1000 * below(r, HX_DATA_SIZE >> 12) + 0xff8 + below(r, 8);
	default: return HX_DATA + below(r, HX_DATA_SIZE);
	}
}

uint16_t hostile_selector(struct random_source *r)
{
	switch (below(r, 8)) {
	case 0: return random_next(r);
	case 1: return below(r, 4);
	case 2:
		return (HX_SEL_ODD & ~7) + 8 * below(r, HX_GDT_ENTRIES - HX_SEL_ODD / 8) +
		       below(r, 4);
	case 3: return 8 * below(r, HX_LDT_ENTRIES) + 4 + below(r, 4);
	default: return 8 * below(r, HX_SEL_ODD / 8 + 1) + below(r, 4);
	}
}

uint32_t hostile_pte(struct random_source *r)
{
	const uint32_t usual = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
	uint32_t entry = below(r, 4) ? usual : random_next(r) & 0xfff;

	switch (below(r, 8)) {
	case 0: return entry | (random_next(r) & 0xfffff000);
	case 1: return entry | (HX_TABLES + (below(r, HX_TABLES_END - HX_TABLES) & 0xfffff000));
	case 2: return entry | (device_address(r) & 0xfffff000);
	case 3: return entry | PTE_PS | below(r, 8) << 21;
	case 4: return entry ^ 1u << below(r, 12);
	case 5: return entry | (HX_CODE + (below(r, HX_CODE_SIZE) & 0xfffff000));
	default: return entry | (HX_DATA + (below(r, HX_DATA_SIZE) & 0xfffff000));
	}
}

static uint32_t port(struct random_source *r)
{
	static const uint16_t ports[] = {
		0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x80,
		0x92, 0xcf8, 0xcfc, 0xcfd, 0xcfe, 0xcff, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd,
		0x3fe, 0x3ff, 0xf0, 0x4d0, 0x4d1, 0xb2, 0xb3, 0x600, 0x604, 0x608, 0xafe0, 0xe9,
		0x1f0, 0x3d4,
	};

	switch (below(r, 64)) {
	case 0: return 0xcf9;                 /* reset */
	case 1: return 0x501;                 /* isa-debug-exit */
	case 2: case 3: return random_next(r) & 0xffff;
	case 4: return 0xffff - below(r, 4);
	default: return ports[below(r, RF_ARRAY_SIZE(ports))];
	}
}

static uint32_t msr(struct random_source *r)
{
	static const uint32_t msrs[] = { 0x10,      0x1b,  0x3b,       0x8b,       0xfe,
					 0x174,     0x175, 0x176,      0x179,      0x17a,
					 0x1a0,     0x1d9, 0x200,      0x277,      0x2ff,
					 0x400,     0x800, 0xc0000080, 0xc0000081, 0xc0000100,
					 0x40000000 };

	return below(r, 8) ? pick(r, msrs, RF_ARRAY_SIZE(msrs)) : random_next(r);
}

static uint32_t cr0(struct random_source *r)
{
	const uint32_t base = CR0_PE | CR0_ET | CR0_NE;

	switch (below(r, 4)) {
	case 0: return base ^ 1u << below(r, 32);
	case 1:
		return base | CR0_PG |
		       (random_next(r) & (CR0_WP | CR0_AM | CR0_TS | CR0_EM | CR0_MP));
	case 2: return base | (random_next(r) & (CR0_PG | CR0_WP | CR0_CD | CR0_NW));
	default: return random_next(r);
	}
}

static uint32_t cr3(struct random_source *r)
{
	static const uint32_t bases[] = { HX_PAGE_DIR, HX_PAGE_DIR, HX_PAGE_DIR,
					  HX_PDPT,     HX_PDPT,     HX_PDPT | 0x18,
					  HX_SPOILT,   0xfee00000,  0xffffffe0 };

	return below(r, 8) ? pick(r, bases, RF_ARRAY_SIZE(bases)) : hostile_address(r);
}

static uint32_t cr4(struct random_source *r)
{
	return below(r, 8) ? random_next(r) & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_TSD | CR4_DE |
					       CR4_VME | CR4_OSFXSR | CR4_OSXMMEXCPT) :
			     random_next(r);
}

static uint32_t flags(struct random_source *r)
{
	const uint32_t usual = X86_F1 | (random_next(r) & (X86_ARITH_FLAGS | X86_IF | X86_DF));

	return below(r, 3) ?
		       usual :
		       usual | (random_next(r) & (X86_TF | X86_IOPL | X86_NT | X86_RF | X86_VM |
						  X86_AC | X86_VIF | X86_VIP | X86_ID));
}

/* --- tokens --- */

/* reg: what stands in ModRM's reg field; 8: anything. */
static void put_memory(struct stream *s, unsigned reg, uint32_t address)
{
	reg = reg == 8 ? below(s->r, 8) : reg;
	switch (below(s->r, 4)) {
	case 0: /* [register + disp8] */
		put8(s, 0x40 | reg << 3 | pick(s->r, (const uint32_t[]){ 0, 1, 2, 3, 5, 6, 7 }, 7));
		put8(s, random_next(s->r));
		return;
	case 1: /* [base + index * scale + disp32] */
		put8(s, 0x80 | reg << 3 | 4);
		put8(s, random_next(s->r));
		put32(s, address);
		return;
	default:
		put8(s, reg << 3 | 5);
		put32(s, address);
	}
}

static void put_direct(struct stream *s, unsigned reg, uint32_t address)
{
	put8(s, reg << 3 | 5);
	put32(s, address);
}

/* Bytes are lower case, operands two upper-case letters or a sign and a letter. */
static void put_operand(struct stream *s, const char *token)
{
	struct random_source *r = s->r;

#define TOKEN(a, b) ((a) << 8 | (b))
	switch (TOKEN(token[0], token[1])) {
	case TOKEN('I', 'B'): put8(s, random_next(r)); break;
	case TOKEN('I', 'W'): put16(s, random_next(r)); break;
	case TOKEN('I', 'D'): put32(s, random_value(r)); break;
	case TOKEN('A', 'D'): put32(s, hostile_address(r)); break;
	case TOKEN('C', 'A'): put32(s, code_address(r)); break;
	case TOKEN('M', 'M'): put32(s, device_address(r)); break;
	case TOKEN('P', 'T'):
		put32(s, HX_TABLES + (below(r, HX_TABLES_END - HX_TABLES) & ~3u));
		break;
	case TOKEN('P', 'E'): put32(s, hostile_pte(r)); break;
	case TOKEN('D', 'T'): put32(s, HX_GDT + (below(r, 0x3800) & ~3u)); break;
	case TOKEN('S', 'W'): put16(s, hostile_selector(r)); break;
	case TOKEN('S', 'D'): put32(s, hostile_selector(r)); break;
	case TOKEN('F', 'L'): put32(s, flags(r)); break;
	case TOKEN('K', '0'): put32(s, cr0(r)); break;
	case TOKEN('K', '3'): put32(s, cr3(r)); break;
	case TOKEN('K', '4'): put32(s, cr4(r)); break;
	case TOKEN('M', 'S'): put32(s, msr(r)); break;
	case TOKEN('P', 'D'): put32(s, port(r)); break;
	case TOKEN('P', 'B'): put8(s, port(r)); break;
	case TOKEN('C', 'N'): put32(s, below(r, 8) ? below(r, 0x200) : random_value(r)); break;
	case TOKEN('J', 'B'): put8(s, below(r, 96) - 40); break;
	case TOKEN('J', 'D'): put32(s, code_address(r) - (s->at + s->n + 4)); break;
	case TOKEN('/', 'r'): put8(s, 0xc0 | below(r, 64)); break;
	case TOKEN('/', 'm'): put_memory(s, 8, hostile_address(r)); break;
	case TOKEN('/', 's'): put8(s, 0xc0 | below(r, 6) << 3); break;
	default:
		if (token[0] == 'M')
			put_memory(s, token[1] - '0', hostile_address(r));
		else if (token[0] == 'R')
			put8(s, 0xc0 | (token[1] - '0') << 3 | below(r, 8));
		else if (token[0] == 'D')
			put_direct(s, token[1] - '0', HX_DESCRIPTOR_TABLES + 8 * below(r, 16));
		else if (token[0] == '+') /* the byte before, or'ed with a register */
			s->to[s->n ? s->n - 1 : 0] |= below(r, 8);
		else if (token[0] == '?') /* the byte before, with its low four bits random */
			s->to[s->n ? s->n - 1 : 0] |= below(r, 16);
		else
			put8(s, strtoul(token, NULL, 16));
	}
#undef TOKEN
}

static const struct {
	uint8_t weight;
	const char *tokens;
} forms[] = {
	/* plain code between */
	{ 12, "b8 +. ID" }, { 10, "b8 +. AD" }, { 10, "8b /m" }, { 10, "89 /m" }, { 4, "01 /r" },
	{ 3, "81 /r ID" }, { 3, "88 /m" }, { 3, "8a /m" }, { 4, "83 /m IB" }, { 2, "f7 /m" },
	{ 3, "ff /m" }, { 3, "50 +." }, { 3, "58 +." }, { 2, "60" }, { 2, "61" }, { 2, "c1 /m IB" },
	{ 4, "70 ?. JB" }, { 4, "0f 80 ?. JD" }, { 2, "e2 JB" }, { 2, "e3 JB" }, { 3, "e8 JD" },
	{ 3, "c3" }, { 1, "c2 IW" }, { 2, "e9 JD" }, { 1, "eb JB" }, { 2, "b8 CA ff e0" },
	{ 1, "b8 CA ff d0" }, { 2, "ff M4" }, { 2, "ff M2" }, { 1, "c8 IW IB" }, { 2, "c9" },
	{ 2, "bc AD" }, { 2, "f0 0f b1 /m" }, { 1, "f0 0f c7 M1" }, { 2, "87 /m" },
	{ 1, "0f a3 /m" }, { 1, "0f ab /m" }, { 1, "d7" }, { 1, "62 /m" }, { 1, "63 /m" },
	{ 1, "27" }, { 1, "d4 IB" },
	/* strings */
	{ 3, "b9 CN be AD bf AD f3 a5" }, { 2, "b9 CN be AD bf AD f3 a4" },
	{ 2, "b9 CN bf AD f3 ab" }, { 1, "b9 CN bf AD f2 ae" }, { 1, "b9 CN be AD bf AD f3 a6" },
	{ 2, "b9 CN ba PD bf AD f3 6c" }, { 2, "b9 CN ba PD be AD f3 6f" }, { 1, "a5" },
	{ 1, "ab" }, { 1, "67 a4" }, { 1, "66 f3 a5" }, { 2, "fd" }, { 3, "fc" },
	/* x87 and SSE */
	{ 3, "d8 +. /m" }, { 3, "d8 +. /r" }, { 2, "0f ae M0" }, { 2, "0f ae M1" },
	{ 1, "0f ae M2" }, { 1, "0f ae M3" }, { 1, "d9 M6" }, { 1, "d9 M4" }, { 1, "dd M6" },
	{ 1, "dd M4" }, { 1, "d9 M5" }, { 1, "db e3" }, { 1, "9b" }, { 2, "0f 50 ?. /m" },
	{ 2, "66 0f 60 ?. /m" }, { 2, "f3 0f 58 /m" }, { 1, "0f 77" }, { 1, "0f e7 /m" },
	{ 1, "66 0f f7 /r" },
	/* control registers, debug registers, MSRs, CPUID, TSC */
	{ 6, "b8 K0 0f 22 c0" }, { 8, "b8 K3 0f 22 d8" }, { 6, "b8 K4 0f 22 e0" },
	{ 2, "b8 AD 0f 22 d0" }, { 2, "0f 20 /r" }, { 1, "0f 22 /r" }, { 2, "0f 21 /r" },
	{ 2, "b8 AD 0f 23 c0" }, { 1, "b8 ID 0f 23 f8" }, { 2, "0f 06" }, { 1, "0f 01 M6" },
	{ 1, "0f 01 R6" }, { 1, "0f 01 R4" }, { 3, "b9 MS 0f 32" },
	{ 3, "b9 MS b8 ID ba ID 0f 30" }, { 2, "b9 MS b8 CA 31 d2 0f 30" }, { 2, "0f a2" },
	{ 2, "0f 31" }, { 1, "0f 33" }, { 3, "b8 K3 0f 22 d8 0f 20 d8" }, { 5, "0f 01 M7" },
	{ 1, "0f 09" }, { 1, "0f 08" }, { 1, "0f aa" }, { 1, "0f 01 c8" },
	/* page tables, descriptor tables */
	{ 10, "c7 05 PT PE" }, { 4, "c7 05 PT PE 0f 20 d8 0f 22 d8" },
	{ 3, "b9 CN bf PT b8 PE f3 ab" }, { 4, "c7 05 DT ID" }, { 2, "b9 CN bf DT f3 ab" },
	{ 3, "0f 01 D2" }, { 3, "0f 01 D3" }, { 1, "0f 01 M2" }, { 1, "0f 01 M3" },
	{ 2, "0f 01 M0" }, { 2, "0f 01 M1" }, { 2, "66 b8 SW 0f 00 d8" },
	{ 2, "66 b8 SW 0f 00 d0" }, { 1, "0f 00 M0" }, { 1, "0f 00 M1" }, { 1, "0f 00 M4" },
	{ 1, "0f 02 /r" }, { 1, "0f 03 /m" },
	/* segments and ways between rings */
	{ 8, "66 b8 SW 8e /s" }, { 2, "8e /m" }, { 2, "8c /m" }, { 3, "68 SD 1f" },
	{ 2, "68 SD 07" }, { 2, "68 SD 17" }, { 2, "68 SD 0f a1" }, { 2, "c5 /m" },
	{ 1, "0f b2 /m" }, { 3, "ea CA SW" }, { 3, "9a CA SW" }, { 2, "ff M5" }, { 1, "ff M3" },
	{ 1, "cb" }, { 1, "ca IW" }, { 4, "68 FL 68 SD 68 CA cf" },
	{ 4, "68 SD 68 AD 68 FL 68 SD 68 CA cf" },
	{ 4, "68 23 00 00 00 68 00 d0 02 00 68 FL 68 1b 00 00 00 68 CA cf" },
	{ 2, "68 SD 68 SD 68 SD 68 SD 68 SD 68 AD 68 02 30 02 00 68 SD 68 AD cf" },
	{ 2, "68 SD 68 CA cb" }, { 2, "68 SD 68 AD 68 SD 68 CA cb" }, { 1, "cf" }, { 3, "cd IB" },
	{ 1, "cd 80" }, { 1, "cc" }, { 1, "ce" }, { 1, "f1" }, { 2, "0f 34" },
	{ 2, "ba CA b9 AD 0f 35" }, { 1, "0f 05" }, { 2, "0f 0b" },
	/* interrupts and flags */
	{ 6, "fb" }, { 3, "fa" }, { 4, "fb f4" }, { 1, "f4" }, { 3, "68 FL 9d" }, { 2, "9c" },
	{ 1, "66 9d" }, { 2, "9c 81 0c 24 00 01 00 00 9d" }, { 1, "66 b8 SW 8e d0 bc AD" },
	/* devices */
	{ 5, "ba PD ec" }, { 6, "b0 IB ba PD ee" }, { 2, "ba PD ed" }, { 2, "b8 ID ba PD ef" },
	{ 1, "ba PD 66 ef" }, { 1, "ba PD 66 ed" }, { 2, "e4 PB" }, { 3, "b0 IB e6 PB" },
	{ 3, "b8 ID a3 MM" }, { 3, "a1 MM" }, { 2, "c7 05 MM ID" }, { 1, "c6 05 MM IB" },
	{ 1, "83 05 MM IB" }, { 2, "b9 CN bf MM f3 ab" }, { 1, "dd 05 MM" }, { 1, "0f 28 05 MM" },
	{ 1, "f0 ff 05 MM" }, { 3, "b0 20 e6 20" }, { 2, "c7 05 b0 00 e0 fe 00 00 00 00" },
	{ 1, "b8 00 00 00 80 ba f8 0c 00 00 ef ba fc 0c 00 00 ed" },
	{ 1, "b8 ID 0d 00 00 00 80 ba f8 0c 00 00 ef b8 ID ba fc 0c 00 00 ef" },
	{ 1, "b0 36 e6 43 b0 IB e6 40 b0 02 e6 40" },
	/* code that changes */
	{ 5, "c6 05 CA IB" }, { 3, "c7 05 CA ID" }, { 2, "fe 05 CA" },
	{ 2, "b9 CN be CA bf CA f3 a4" }, { 1, "b9 CN bf CA f3 aa" }, { 1, "0f ae 05 CA" },
	{ 1, "f0 0f b1 0d CA" }, { 2, "a3 CA" }, { 1, "0f 7f 05 CA" },
};

static void put_form(struct stream *s, unsigned weights)
{
	unsigned wanted = below(s->r, weights), n = 0;
	const char *token;

	while (wanted >= forms[n].weight)
		wanted -= forms[n++].weight;
	if (below(s->r, 32) == 0)
		put8(s, pick(s->r,
			     (const uint32_t[]){ 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e,
						 0x26, 0x64, 0x65 },
			     11));
	for (token = forms[n].tokens; token; token = strchr(token, ' '))
		put_operand(s, token += *token == ' ');
}

void hostile_code(struct random_source *r, uint8_t *to, uint32_t size, uint32_t at, unsigned noise)
{
	struct stream s = { r, to, 0, size, at };
	unsigned weights = 0;

	for (unsigned n = 0; n < RF_ARRAY_SIZE(forms); n++)
		weights += forms[n].weight;
	while (s.n + LONGEST_FORM < size) {
		if (below(r, 16) >= noise) {
			put_form(&s, weights);
			continue;
		}
		for (unsigned n = 1 + below(r, 8); n; n--)
			put8(&s, random_next(r));
	}
	while (s.n + 5 < size)
		put8(&s, 0x90);
	/* Round and round, unless something in between ends it. */
	put8(&s, 0xe9);
	put32(&s, -size);
}
