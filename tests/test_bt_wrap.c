/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses that wrap at 4 GiB, and sums of the window and a register that are kept from one
 * instruction to the next: small guest programs, by the interpreter and by translated code in
 * several configurations. Registers, flags, memory, the exception and CR2 have to be the same. And
 * an access that meets a window's guard does so once: its instruction is translated anew.
 */
#include <stdio.h>
#include <string.h>
#include "bt_fixture.h"

TestSuite(bt_wrap, .timeout = 300);

#define TOP_TABLE 0x300000u /* of the last 4 MiB, in which only the last page is mapped, */
#define TOP_FRAME 0x310000u /* to here */
#define STACK     (BF_DATA + 0x800)
#define PLACE     0x100u    /* bytes of code for a case */

struct wrap_case {
	const char *name;
	unsigned guards;    /* guest instructions that meet a guard,
		where nothing goes through the software TLB */
	unsigned interpreted; /* of them and others, those that reach beside the window in any form,
		and are interpreted each time */
	const uint8_t *code;
	unsigned len;
	uint32_t regs[8];   /* ESP: STACK if zero, */
	bool esp_zero;      /* unless it is to be zero */
};

#define CODE(...) \
	.code = (const uint8_t[]){ __VA_ARGS__ }, .len = sizeof((const uint8_t[]){ __VA_ARGS__ })
#define CASE(n, g, ...) { .name = (n), .guards = (g), __VA_ARGS__ }
#define EAX(v) .regs[X86_EAX] = (v)
#define ECX(v) .regs[X86_ECX] = (v)
#define EDX(v) .regs[X86_EDX] = (v)
#define EBX(v) .regs[X86_EBX] = (v)
#define ESP(v) .regs[X86_ESP] = (v)
#define EBP(v) .regs[X86_EBP] = (v)
#define ESI(v) .regs[X86_ESI] = (v)
#define EDI(v) .regs[X86_EDI] = (v)
#define ESP_ZERO .esp_zero = true
#define INTERPRETED(n) .interpreted = (n)

static const struct wrap_case cases[] = {
	/* [reg + disp] */
	CASE("mov eax, [ecx + 8] over the top", 1, CODE(0x8b, 0x41, 0x08), ECX(0xfffffffc)),
	CASE("mov eax, [ecx - 8] below 0", 1, CODE(0x8b, 0x41, 0xf8), ECX(4)),
	CASE("mov eax, [ecx - 6] across the top", 1, INTERPRETED(1), CODE(0x8b, 0x41, 0xfa),
		ECX(4)),
	CASE("mov [ecx + 6], edx across the top", 1, INTERPRETED(1), CODE(0x89, 0x51, 0x06),
		ECX(0xfffffff8), EDX(0x12345678)),
	CASE("mov eax, [ecx + 8] up to the top", 0, CODE(0x8b, 0x41, 0x08), ECX(0xfffffff4)),
	CASE("mov [ecx + 1 GiB], edx", 1, CODE(0x89, 0x91, 0, 0, 0, 0x40), ECX(0xc0100010),
		EDX(0x12345678)),
	CASE("mov [ecx + 2 GiB less 1], edx", 1, CODE(0x89, 0x91, 0xff, 0xff, 0xff, 0x7f),
		ECX(0x80100011), EDX(0x12345678)),
	CASE("mov [ecx + 0x80000000], edx", 0, CODE(0x89, 0x91, 0, 0, 0, 0x80), ECX(0x80100010),
		EDX(0x12345678)),
	CASE("mov [ecx + 0xc0000000], edx", 0, CODE(0x89, 0x91, 0, 0, 0, 0xc0), ECX(0x40100010),
		EDX(0x12345678)),
	CASE("mov eax, [ecx - 16 MiB]", 0, CODE(0x8b, 0x81, 0, 0, 0, 0xff), ECX(0x1100010)),
	CASE("mov eax, [ecx - 16 MiB] below 0", 1, CODE(0x8b, 0x81, 0, 0, 0, 0xff), ECX(0xfff010)),
	CASE("mov eax, [ecx - 16 MiB - 1]", 0, CODE(0x8b, 0x81, 0xff, 0xff, 0xff, 0xfe),
		ECX(0xfff011)),
	CASE("by turns", 1, CODE(0xba, 10, 0, 0, 0, 0x03, 0x41, 0x08, 0x81, 0xf1, 0xfc, 0xff, 0xef,
		0xff, 0x4a, 0x75, 0xf4),
	     ECX(0x100000)), /* mov edx, 10; again: add eax, [ecx + 8]; xor ecx,
		0xffeffffc; dec edx; jnz again */
	/* [disp] */
	CASE("direct, at the top", 0, CODE(0x8b, 0x15, 0xf0, 0xff, 0xff, 0xff, 0x89, 0x0d, 0xe0,
		0xff, 0xff, 0xff), ECX(0x12345678)),
	CASE("MOV's own form", 0, CODE(0xa1, 0xf0, 0xff, 0xff, 0xff, 0xa3, 0xe4, 0xff, 0xff, 0xff,
		0xa0, 0, 0, 0x10, 0)),
	CASE("direct, across the top", 1, INTERPRETED(1), CODE(0x8b, 0x15, 0xfe, 0xff, 0xff, 0xff)),
	/* [reg*s + disp] */
	CASE("[ecx*8 + disp] over 4 GiB", 1, CODE(0x8b, 0x04, 0xcd, 0, 1, 0x10, 0),
		ECX(0x20000001)),
	CASE("[ecx*8 + disp] over 32 GiB", 1, CODE(0x8b, 0x04, 0xcd, 0, 1, 0x10, 0),
		ECX(0xffffffff)),
	CASE("[ecx*4 + disp], a store", 1, CODE(0x89, 0x14, 0x8d, 0, 1, 0x10, 0), ECX(0xc0000002),
		EDX(0x12345678)),
	CASE("[ecx*2 - 8] below 0", 1, CODE(0x8b, 0x04, 0x4d, 0xf8, 0xff, 0xff, 0xff), ECX(2)),
	CASE("[ecx*1 + disp]", 1, CODE(0x8b, 0x04, 0x0d, 0, 1, 0x10, 0), ECX(0xfffffff0)),
	/* [base + reg*s + disp] */
	CASE("[ecx + edx*4 + 16]", 1, CODE(0x8b, 0x44, 0x91, 0x10), ECX(0x100100), EDX(0xfffffff0)),
	CASE("[ecx + edx*8 + disp] by far", 1, CODE(0x8b, 0x84, 0xd1, 0, 0xff, 0xff, 0x7f),
		ECX(0xffffff00), EDX(0xf0020040)),
	CASE("[ecx + edx - 256]", 0, CODE(0x89, 0x84, 0x11, 0, 0xff, 0xff, 0xff), ECX(0x100080),
		EDX(0x88), EAX(0x12345678)),
	CASE("[ecx + edx - 256] below 0", 1, CODE(0x89, 0x84, 0x11, 0, 0xff, 0xff, 0xff), ECX(0x80),
		EDX(0x48), EAX(0x12345678)),
	CASE("[ecx + edx], twice", 2, CODE(0x8b, 0x04, 0x11, 0x8b, 0x5c, 0x11, 4), ECX(0x80100000),
		EDX(0x80000000)),
	CASE("[ecx + edx], of which the second wraps", 1, CODE(0x8b, 0x04, 0x11, 0x8b, 0x1c, 0xf1),
		ECX(0x100000), EDX(8), ESI(0x20000001)),
	CASE("[ebp + ecx*4]", 1, CODE(0x8b, 0x44, 0x8d, 0), EBP(0x100010), ECX(0xffffffff)),
	/* A scale without an index. */
	CASE("[ecx], scaled by 8 without an index", 0, CODE(0x8b, 0x04, 0xe1), ECX(0x100020)),
	CASE("[esp + 4], scaled by 2 without an index", 0, CODE(0x8b, 0x44, 0x64, 4)),
	CASE("[disp], scaled by 4 without a base or index", 0, CODE(0x8b, 0x04, 0xa5, 0x20, 0, 0x10,
		0)),
	CASE("[ecx + 8], scaled by 8 without an index, over the top", 1, CODE(0x8b, 0x44, 0xe1, 8),
		ECX(0xfffffffc)),
	/* The stack. */
	CASE("push at 0", 1, CODE(0x50), EAX(0x12345678), ESP_ZERO),
	CASE("push at 2, across the top", 1, INTERPRETED(1), CODE(0x50), EAX(0x12345678), ESP(2)),
	CASE("three pushes at 8", 1, CODE(0x50, 0x68, 0x78, 0x56, 0x34, 0x12, 0x51), EAX(1), ECX(2),
		ESP(8)),
	CASE("pops over the top", 1, CODE(0x58, 0x59), ESP(0xfffffffc)),
	CASE("pop across the top", 1, INTERPRETED(1), CODE(0x58), ESP(0xfffffffe)),
	CASE("pop esp at the top", 0, CODE(0x5c), ESP(0xfffffffc)),
	CASE("pop dword [esp + 32]", 1, CODE(0x8f, 0x44, 0x24, 0x20), ESP(0xfffffff8)),
	CASE("push dword [esp + 32]", 1, CODE(0xff, 0x74, 0x24, 0x20), ESP(0xfffffff8)),
	CASE("pusha across 0", 1, CODE(0x60), EAX(1), ECX(2), EDX(3), EBX(4), EBP(5), ESI(6),
		EDI(7), ESP(16)),
	CASE("pusha at 0", 1, CODE(0x60), EAX(1), ECX(2), EDX(3), EBX(4), EBP(5), ESI(6), EDI(7),
		ESP_ZERO),
	CASE("popa across 0", 1, CODE(0x61), ESP(0xfffffff0)),
	CASE("leave at the top", 0, CODE(0xc9, 0x5a), EBP(0xfffffff8)),
	CASE("leave, to 0", 0, CODE(0xc9, 0x5a), EBP(0xfffffffc)),
	CASE("pushf, popf at 0", 1, CODE(0x9c, 0x9d), ESP_ZERO),
	CASE("push ds, pop es at 0", 1, CODE(0x1e, 0x07), ESP_ZERO),
	CASE("[esp + 8], [esp + 12]", 2, CODE(0x8b, 0x44, 0x24, 8, 0x89, 0x4c, 0x24, 12),
		ECX(0x12345678), ESP(0xfffffffc)),
	CASE("[esp + ecx*2 + 8]", 1, CODE(0x8b, 0x44, 0x4c, 8), ECX(8), ESP(0xfffffff0)),
	CASE("[esp - 8]", 1, CODE(0x8b, 0x44, 0x24, 0xf8), ESP(4)),
	CASE("push in a loop", 1, CODE(0xb9, 16, 0, 0, 0, 0x51, 0x49, 0x75, 0xfc, 0x8b, 0x5c, 0x24,
		4), ESP(0x20)),
	CASE("pop in a loop, whose ESP wraps by itself", 0, CODE(0xb9, 16, 0, 0, 0, 0x58, 0x8d,
		0x14, 0x02, 0x49, 0x75, 0xf9), ESP(0xffffffe4)),
	CASE("call at 0", 1, CODE(0xe8, 0, 0, 0, 0, 0x89, 0xe2, 0x5b), ESP_ZERO),
	CASE("call and ret at 0", 1, CODE(0xe8, 3, 0, 0, 0, BF_STOP, 0x90, 0x8b, 0x14, 0x24, 0xc3),
		ESP_ZERO),
	CASE("call and ret 4 at 0", 1, CODE(0xe8, 3, 0, 0, 0, BF_STOP, 0x90, 0x8b, 0x14, 0x24, 0xc2,
		4, 0), ESP_ZERO),
	/* call next; pop eax; add eax, 17; mov [0x100040],
		eax; call [ecx + 0x100041]; stop; inc edx; ret */
	CASE("call through memory", 1, CODE(0xe8, 0, 0, 0, 0, 0x58, 0x83, 0xc0, 17, 0xa3, 0x40, 0,
		0x10, 0, 0xff, 0x91, 0x41, 0, 0x10, 0,
					    BF_STOP, 0x42, 0xc3), ECX(0xffffffff)),
	CASE("jump through memory", 1, CODE(0xe8, 0, 0, 0, 0, 0x58, 0x83, 0xc0, 17, 0xa3, 0x40, 0,
		0x10, 0, 0xff, 0xa1, 0x41, 0, 0x10, 0,
					    BF_STOP, 0x42), ECX(0xffffffff)),
	/* Segments with a base, which is 0xfffff000. */
	CASE("fs:[0x2000]", 1, CODE(0x64, 0xa1, 0, 0x20, 0, 0)),
	CASE("fs:[0x0ff0]", 0, CODE(0x64, 0xa1, 0xf0, 0x0f, 0, 0)),
	CASE("fs:[-0x0f00]", 0, CODE(0x64, 0xa1, 0, 0xf1, 0xff, 0xff)),
	CASE("fs:[ecx + 0x1000]", 0, CODE(0x64, 0x8b, 0x81, 0, 0x10, 0, 0), ECX(0x100000)),
	CASE("fs:[ecx*4 + 0x1000]", 0, CODE(0x64, 0x89, 0x0c, 0x8d, 0, 0x10, 0, 0), ECX(0x40008)),
	CASE("fs:[ecx + edx + 0x1000]", 0, CODE(0x64, 0x89, 0x8c, 0x11, 0, 0x10, 0, 0),
		ECX(0x100000), EDX(8)),
	CASE("fs:[ecx + 0x80001000]", 0, CODE(0x64, 0x89, 0x81, 0, 0x10, 0, 0x80), ECX(0x80000010),
		EAX(0x12345678)),
	/* Bit strings, which reach beside their operand. */
	CASE("bt and bts, below 0", 2, INTERPRETED(2), CODE(0x0f, 0xa3, 0x11, 0x19, 0xc0, 0x0f,
		0xab, 0x11), EDX(0xffffffe0)),
	CASE("bts over the top", 1, INTERPRETED(1), CODE(0x0f, 0xab, 0x11), ECX(0xfffffffc),
		EDX(0x20)),
	CASE("bts [ecx + 8], and back below the top", 0, CODE(0x0f, 0xab, 0x51, 8), ECX(0xfffffffc),
		EDX(0xffffffc0)),
	CASE("bts far up", 1, INTERPRETED(1), CODE(0x0f, 0xab, 0x11), ECX(0xf0100100),
		EDX(0x7fffffff)),
	CASE("bts far down", 0, CODE(0x0f, 0xab, 0x11), ECX(0x10100100), EDX(0x80000000)),
	CASE("btr [esp]", 0, CODE(0x0f, 0xb3, 0x14, 0x24), EDX(0x24)),
	/* String instructions. */
	CASE("rep movsb from over the top", 1, INTERPRETED(1), CODE(0xf3, 0xa4), ESI(0xfffffff0),
		EDI(0x100200), ECX(32)),
	CASE("rep movsd to over the top", 1, INTERPRETED(1), CODE(0xf3, 0xa5), ESI(0x100200),
		EDI(0xfffffff0), ECX(8)),
	CASE("rep stosd across the top", 1, INTERPRETED(1), CODE(0xf3, 0xab), EAX(0x12345678),
		EDI(0xfffffff2), ECX(8)),
	CASE("rep movsb downwards", 1, INTERPRETED(1), CODE(0xfd, 0xf3, 0xa4, 0xfc), ESI(8),
		EDI(0x100200), ECX(16)),
	CASE("lodsd, three times: ESI wraps by itself", 0, CODE(0xad, 0xad, 0xad), ESI(0xfffffff8)),
	CASE("repe cmpsb", 1, INTERPRETED(1), CODE(0xf3, 0xa6), ESI(0xfffffff0), EDI(0xfffffff0),
		ECX(0x30)),
	CASE("repne scasb", 1, INTERPRETED(1), CODE(0xf2, 0xae), EAX(0x1ff), EDI(0xfffffff0),
		ECX(0x30)),
	/* AH to BH. */
	CASE("add ah, [esi + 8]", 1, CODE(0x02, 0x66, 8), ESI(0xfffffffc), EAX(0x1234)),
	CASE("adc [esi + 8], ch", 1, CODE(0x10, 0x6e, 8), ESI(0xfffffffc), ECX(0x5678)),
	CASE("test, cmp, mov", 3, CODE(0x84, 0x7e, 8, 0x3a, 0x76, 9, 0x88, 0x6e, 10),
		ESI(0xfffffffc), EBX(0xff00), ECX(0x5678)),
	CASE("xchg [esi + 8], ah", 0, CODE(0x86, 0x66, 8), ESI(0xfffffffc), EAX(0x1234)),
	CASE("[ecx + edx], of ch", 0, CODE(0x8b, 0x04, 0x11, 0x00, 0x2c, 0x11, 0x32, 0x2c, 0x11,
		0x88, 0x2c, 0x11), ECX(0x100100), EDX(0x10)),
	CASE("[ecx + edx], of dh, ah, bh", 0, CODE(0x08, 0x34, 0x11, 0x8a, 0x24, 0x11, 0x28, 0x3c,
		0x11), ECX(0x100100), EDX(0x110), EBX(0x700)),
	/* Whatever else reaches memory. */
	CASE("cmpxchg8b", 1, CODE(0x0f, 0xc7, 0x4e, 0x0c), ESI(0xfffffffc), EBX(1), ECX(2)),
	CASE("lock inc, xadd, xchg", 3, CODE(0xf0, 0xff, 0x46, 8, 0xf0, 0x0f, 0xc1, 0x46, 12, 0x87,
		0x5e, 8), ESI(0xfffffffc), EAX(3)),
	CASE("fild, fistp", 2, CODE(0xdb, 0xe3, 0xdb, 0x46, 8, 0xdb, 0x5e, 12), ESI(0xfffffffc)),
	CASE("fild qword across the top", 1, INTERPRETED(1), CODE(0xdb, 0xe3, 0xdf, 0x6e, 4, 0xdf,
		0x3f), ESI(0xfffffff8), EDI(0x100100)),
	CASE("movups over the top", 1, CODE(0x0f, 0x10, 0x46, 12, 0x0f, 0x11, 0x07),
		ESI(0xfffffffc), EDI(0x100100)),
	CASE("movaps, not aligned, which comes first", 0, INTERPRETED(1), CODE(0x0f, 0x28, 0x46,
		13), ESI(0xfffffffc)),
	CASE("imul, shl, movzx", 3, CODE(0x0f, 0xaf, 0x56, 12, 0xd1, 0x66, 8, 0x0f, 0xb6, 0x46, 8),
		ESI(0xfffffffc), EDX(7)),
	CASE("xlat", 0, CODE(0xd7), EAX(0x20), EBX(0xfffffff0)),
	CASE("mov [esi + 8], ds", 1, CODE(0x8c, 0x5e, 8), ESI(0xfffffffc)),
	/* Page faults at where the address wraps to. */
	CASE("absent", 1, CODE(0x8b, 0x86, 4, 0x40, 0x10, 0), ESI(0xfffffffc)),
	CASE("absent, changed", 1, CODE(0x83, 0x86, 4, 0x40, 0x10, 0, 5), ESI(0xfffffffc)),
	CASE("read-only", 1, CODE(0x89, 0x86, 4, 0x80, 0x10, 0), ESI(0xfffffffc)),
	CASE("supervisor's", 1, CODE(0x89, 0x86, 4, 0xc0, 0x10, 0), ESI(0xfffffffc)),
	CASE("below the last page", 1, CODE(0x8b, 0x86, 0, 0xe0, 0xff, 0xff), ESI(0x100)),
	CASE("push below the last page", 0, CODE(0x50), ESP(0xfffff000)),
	CASE("call below the last page", 0, CODE(0xe8, 0, 0, 0, 0), ESP(0xfffff000)),
	CASE("pusha, half of it", 0, CODE(0x60), ESP(0xfffff010)),
};

/* --- sums that are kept --- */

/* What comes between two accesses at [base + edx] and may change the base. */
static const struct change {
	const char *name;
	const uint8_t *code;
	unsigned len;
} changes[] = {
	{ "nothing", NULL, 0 },
#define CHANGE(n, ...) { .name = (n), CODE(__VA_ARGS__) }
	CHANGE("add eax, 8", 0x83, 0xc0, 8), CHANGE("add ecx, 8", 0x83, 0xc1, 8),
		CHANGE("add cx, 8", 0x66, 0x83, 0xc1, 8),
	CHANGE("add esp, 8", 0x83, 0xc4, 8), CHANGE("mov al, 0x20", 0xb0, 0x20),
		CHANGE("mov cl, 0x20", 0xb1, 0x20),
	CHANGE("mov ah, 1", 0xb4, 1), CHANGE("mov ch, 1", 0xb5, 1), CHANGE("mov ch, bl", 0x88,
		0xdd), CHANGE("add al, ah", 0, 0xe0),
	CHANGE("inc eax", 0x40), CHANGE("dec ecx", 0x49), CHANGE("inc ecx (FF)", 0xff, 0xc1),
		CHANGE("dec esp", 0x4c),
	CHANGE("xchg eax, ebx", 0x93), CHANGE("xchg ecx, ebx", 0x87, 0xd9), CHANGE("xchg ebx, ecx",
		0x87, 0xcb),
	CHANGE("xchg cl, ch", 0x86, 0xe9), CHANGE("xchg [ebx], ecx", 0x87, 0x0b),
		CHANGE("mov ecx, ebx", 0x89, 0xd9),
	CHANGE("mov eax, ebx", 0x8b, 0xc3), CHANGE("mov ecx, [ebx]", 0x8b, 0x0b),
		CHANGE("mov eax, 0x100300", 0xb8, 0, 3, 0x10, 0),
	CHANGE("mov ecx, 0x100300", 0xc7, 0xc1, 0, 3, 0x10, 0), CHANGE("mov eax, [0x100010]", 0xa1,
		0x10, 0, 0x10, 0),
	CHANGE("lea ecx, [ecx + 8]", 0x8d, 0x49, 8), CHANGE("lea esp, [esp + 8]", 0x8d, 0x64, 0x24,
		8), CHANGE("cmove ecx, ebx", 0x0f, 0x44, 0xcb),
	CHANGE("cmovne ecx, ebx", 0x0f, 0x45, 0xcb), CHANGE("sete cl", 0x0f, 0x94, 0xc1),
		CHANGE("setne ah", 0x0f, 0x95, 0xc4),
	CHANGE("movzx ecx, bl", 0x0f, 0xb6, 0xcb), CHANGE("movsx eax, bx", 0x0f, 0xbf, 0xc3),
		CHANGE("imul ecx, ecx, 1", 0x6b, 0xc9, 1),
	CHANGE("imul eax, ebx", 0x0f, 0xaf, 0xc3), CHANGE("mul edx", 0xf7, 0xe2), CHANGE("div edx",
		0xf7, 0xf2), CHANGE("neg ecx", 0xf7, 0xd9),
	CHANGE("not eax", 0xf7, 0xd0), CHANGE("shl ecx, 1", 0xd1, 0xe1), CHANGE("rol cl, 4", 0xc0,
		0xc1, 4), CHANGE("shld ecx, ebx, 4", 0x0f, 0xa4, 0xd9, 4),
	CHANGE("bts ecx, 4", 0x0f, 0xba, 0xe9, 4), CHANGE("bsf ecx, ebx", 0x0f, 0xbc, 0xcb),
		CHANGE("bswap ecx", 0x0f, 0xc9),
	CHANGE("xadd ecx, ebx", 0x0f, 0xc1, 0xd9), CHANGE("xadd ebx, ecx", 0x0f, 0xc1, 0xcb),
		CHANGE("cmpxchg ecx, ebx", 0x0f, 0xb1, 0xd9),
	CHANGE("cmpxchg [ebx], ecx", 0x0f, 0xb1, 0x0b), CHANGE("cmpxchg8b [ebx]", 0x0f, 0xc7, 0x0b),
		CHANGE("cbw", 0x66, 0x98),
	CHANGE("cdq", 0x99), CHANGE("lahf", 0x9f), CHANGE("fnstsw ax", 0xdb, 0xe3, 0xdf, 0xe0),
		CHANGE("push ecx", 0x51),
	CHANGE("pop ecx", 0x59), CHANGE("pop eax", 0x58), CHANGE("pop esp", 0xbc, 0, 3, 0x10, 0,
		0x5c), CHANGE("pop [esp]", 0x8f, 4, 0x24),
	CHANGE("popa", 0x83, 0xec, 32, 0x89, 0x5c, 0x24, 24, 0x89, 0x5c, 0x24, 28, 0x89, 0x54, 0x24,
		20, 0x61),
	CHANGE("pusha", 0x60), CHANGE("leave", 0xbd, 0, 3, 0x10, 0, 0xc9), CHANGE("ret 4", 0xe8, 2,
		0, 0, 0, 0xeb, 3, 0xc2, 4, 0),
	CHANGE("call that changes ecx", 0xe8, 2, 0, 0, 0, 0xeb, 4, 0x83, 0xc1, 8, 0xc3),
		CHANGE("loop", 0xe2, 0), CHANGE("jecxz", 0xe3, 0),
	CHANGE("jne", 0x75, 0), CHANGE("lodsd", 0xad), CHANGE("rep stosb", 0x51, 0xb9, 3, 0, 0, 0,
		0xf3, 0xaa, 0x59), CHANGE("scasb", 0xae),
	CHANGE("xlat", 0xd7), CHANGE("daa", 0x27), CHANGE("aam", 0xd4, 10), CHANGE("movd ecx, xmm0",
		0x66, 0x0f, 0x7e, 0xc1),
	CHANGE("pmovmskb ecx, xmm0", 0x66, 0x0f, 0xd7, 0xc8), CHANGE("cvtss2si ecx, xmm0", 0xf3,
		0x0f, 0x2d, 0xc8),
	CHANGE("pextrw eax, xmm0, 0", 0x66, 0x0f, 0xc5, 0xc0, 0), CHANGE("movmskps eax, xmm0", 0x0f,
		0x50, 0xc0),
	CHANGE("cpuid", 0x53, 0x31, 0xc0, 0x0f, 0xa2, 0x5b, 0xb8, 0, 3, 0x10, 0, 0xb9, 0, 4, 0x10,
		0, 0xba, 8, 0, 0, 0),
	CHANGE("mov ecx, ds", 0x8c, 0xd9), CHANGE("movbe ecx, [ebx]", 0x0f, 0x38, 0xf0, 0x0b),
		CHANGE("popcnt ecx, ebx", 0xf3, 0x0f, 0xb8, 0xcb),
	CHANGE("another base", 0x8b, 0x3c, 0x13), CHANGE("an address at the top", 0x8b, 0x3d, 0xf0,
		0xff, 0xff, 0xff),
	CHANGE("fs:", 0x64, 0x8b, 0x7b, 0), CHANGE("add [ecx + edx], ch", 0, 0x2c, 0x11),
		CHANGE("add ch, [ecx + edx]", 2, 0x2c, 0x11),
	CHANGE("mov [eax + edx], ah", 0x88, 0x24, 0x10),
};

/* mov ebp, [base + edx*4 + 4]; what changes it; add ebp, [base + edx*4 + 4] */
static unsigned put_change(uint8_t *code, const struct change *c, unsigned base)
{
	const uint8_t sib = 2 << 6 | X86_EDX << 3 | base;
	const uint8_t first[] = { 0x8b, 0x6c, sib, 4 }, second[] = { 0x03, 0x6c, sib, 4 };

	memcpy(code, first, sizeof(first));
	if (c->len)
		memcpy(code + sizeof(first), c->code, c->len);
	memcpy(code + sizeof(first) + c->len, second, sizeof(second));
	return c->len + sizeof(first) + sizeof(second);
}

/* --- running --- */

static const struct configuration {
	const char *options;
	/*
	 * struct wrap_case's. In units of one instruction ESP is where it is, and wraps by itself.
	 */
	bool counts;
} configurations[] = {
	{ NULL, true }, { "verify=on", true }, { "host=-bmi2", true }, { "tu-insns=1", false },
		{ "soft=always", false },
	{ "host=-bmi2,soft=always,verify=on", false }, { "fill-around=off,cache-kib=256", true },
};

struct after {
	enum bf_outcome outcome;
	int vector;
	struct cpu cpu;
	uint8_t ram[BF_RAM_SIZE];
};

static void fill(struct bf *bf, uint32_t gpa, uint32_t len, uint32_t factor)
{
	static uint32_t words[0x10000 / 4];

	for (uint32_t i = 0; i < len / 4; i++)
		words[i] = (i + 1) * factor;
	bf_write(bf, gpa, words, len);
}

/* All but the code. */
static void prepare(struct bf *bf, unsigned cpl, const uint32_t regs[8])
{
	bf_reset(bf, cpl, true);
	fill(bf, 0, 0x4000, 0x01020305);
	fill(bf, BF_DATA, 0x10000, 0x03010907);
	fill(bf, TOP_FRAME, 0x1000, 0x05070b03);
	bf_write32(bf, BF_PAGE_DIR + 4 * 1023, TOP_TABLE | BF_PTE_USER);
	bf_write32(bf, TOP_TABLE + 4 * 1023, TOP_FRAME | BF_PTE_USER);
	bf_set_segment(bf, X86_FS, BF_BASED_HIGH);
	memcpy(bf->cpu->regs, regs, sizeof(bf->cpu->regs));
	bf->cpu->eflags = X86_F1;
	bf_flush(bf);
}

static void run_case(struct bf *bf, const struct wrap_case *c, unsigned cpl, uint32_t at,
	struct after *a)
{
	uint32_t regs[8];

	memcpy(regs, c->regs, sizeof(regs));
	if (!regs[X86_ESP] && !c->esp_zero)
		regs[X86_ESP] = STACK;
	prepare(bf, cpl, regs);
	bf->cpu->eip = at;
	a->outcome = bf_run(bf, &a->vector);
	a->cpu = *bf->cpu;
	memcpy(a->ram, bf->ram, BF_RAM_SIZE);
}

static unsigned first_difference(const uint8_t *a, const uint8_t *b, unsigned len)
{
	unsigned at = 0;

	while (at < len && a[at] == b[at])
		at++;
	return at;
}

/* For functions with where and name. */
#define EXPECT_SAME(what, got, want) \
	do { \
		const unsigned long got_ = (got), want_ = (want); \
		cr_expect_eq(got_, want_, "[%s] %s: %s is %#lx, not %#lx", where, name, what, \
			     got_, want_); \
	} while (0)

static void expect_same(const char *where, const char *name, const struct after *want,
			const struct after *got)
{
	static const char *const names[] = {
		"EAX", "ECX", "EDX", "EBX", "ESP", "EBP", "ESI", "EDI",
	};

	EXPECT_SAME("outcome", got->outcome, want->outcome);
	EXPECT_SAME("vector", got->vector, want->vector);
	for (unsigned r = 0; r < 8; r++)
		EXPECT_SAME(names[r], got->cpu.regs[r], want->cpu.regs[r]);
	EXPECT_SAME("EIP", got->cpu.eip, want->cpu.eip);
	EXPECT_SAME("EFLAGS", got->cpu.eflags, want->cpu.eflags);
	EXPECT_SAME("CR2", got->cpu.cr2, want->cpu.cr2);
	if (memcmp(want->ram, got->ram, BF_RAM_SIZE))
		cr_expect_fail("[%s] %s: memory differs at %#x", where, name,
			       first_difference(want->ram, got->ram, BF_RAM_SIZE));
}

static long count(struct bf *bf, const char *what)
{
	return bf_stat(bf, "dispatcher", what);
}

static void put_code(struct bf *bf, uint32_t at, const uint8_t *code, unsigned len)
{
	static const uint8_t stop[] = { BF_STOP };

	cr_assert_leq(len + sizeof(stop), PLACE);
	bf_write(bf, at, code, len);
	bf_write(bf, at + len, stop, sizeof(stop));
}

/* What one run of translated code counted. */
struct counts {
	long guards, interpreted;
};

static struct counts run_counted(struct bf *bt, const struct wrap_case *c, unsigned cpl,
	uint32_t at, struct after *got)
{
	const long guards = count(bt, "guard_faults"), interpreted = count(bt, "interpreted");

	run_case(bt, c, cpl, at, got);
	return (struct counts){ count(bt, "guard_faults") - guards, count(bt,
		"interpreted") - interpreted };
}

/* By the interpreter and, three times, by translated code: only the first may meet a guard. */
static void compare(struct bf *interp, struct bf *bt, const struct wrap_case *c, unsigned cpl,
		    uint32_t at, bool counts)
{
	static struct after want, got;
	const char *name = c->name;
	char where[sizeof(bt->options) + 16];

	snprintf(where, sizeof(where), "%s, ring %u", bt->options, cpl);
	put_code(interp, at, c->code, c->len);
	put_code(bt, at, c->code, c->len);
	run_case(interp, c, cpl, at, &want);
	for (unsigned n = 0; n < 3; n++) {
		const struct counts did = run_counted(bt, c, cpl, at, &got);

		expect_same(where, name, &want, &got);
		if (n)
			EXPECT_SAME("guards met again", did.guards, 0);
		else if (counts)
			EXPECT_SAME("guards met", did.guards, c->guards);
		if (n && counts)
			EXPECT_SAME("interpreted", did.interpreted, c->interpreted);
	}
}

static void in_configurations(void (*test)(struct bf *interp, struct bf *bt,
	const struct configuration *how))
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(configurations); i++) {
		struct bf *interp = bf_create("interp", NULL), *bt = bf_create("bt",
			configurations[i].options);

		test(interp, bt, &configurations[i]);
		bf_destroy(bt);
		bf_destroy(interp);
	}
}

/* In ring 0 the memory is the user's, and an access may be translated anew for that first. */
static void addresses(struct bf *interp, struct bf *bt, const struct configuration *how)
{
	_Static_assert(RF_ARRAY_SIZE(cases) * PLACE <= BF_CODE_SIZE, "room for the code");
	for (unsigned i = 0; i < RF_ARRAY_SIZE(cases); i++)
		compare(interp, bt, &cases[i], 3, BF_CODE + i * PLACE, how->counts);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(cases); i++)
		compare(interp, bt, &cases[i], 0, BF_CODE + i * PLACE, false);
}

Test(bt_wrap, addresses)
{
	in_configurations(addresses);
}

static void sums(struct bf *interp, struct bf *bt, const struct configuration *how)
{
	static const struct { unsigned number; const char *name; } bases[] = { { X86_EAX, "eax" },
		{ X86_ECX, "ecx" }, { X86_ESP, "esp" } };
	static uint8_t code[PLACE];

	for (unsigned b = 0; b < RF_ARRAY_SIZE(bases); b++) {
		for (unsigned i = 0; i < RF_ARRAY_SIZE(changes); i++) {
			char name[80];
			const struct wrap_case c = {
				.name = name, .code = code, .len = put_change(code, &changes[i],
					bases[b].number),
				EAX(BF_DATA + 0x300), ECX(BF_DATA + 0x400), EDX(8),
					EBX(BF_DATA + 0x500), ESI(BF_DATA + 0x600),
						EDI(BF_DATA + 0x700),
			};

			snprintf(name, sizeof(name), "%s, then [%s + edx*4]", changes[i].name,
				bases[b].name);
			compare(interp, bt, &c, 3, BF_CODE + i * PLACE, false);
		}
	}
}

Test(bt_wrap, sums)
{
	in_configurations(sums);
}
