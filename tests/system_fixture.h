/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine of RAM only for the tests of the system architecture: a GDT, an IDT, TSSs and page
 * tables at known places, and a processor that stands in ring 0 or ring 3 of it.
 */
#ifndef RF_TESTS_SYSTEM_FIXTURE_H
#define RF_TESTS_SYSTEM_FIXTURE_H

#include <criterion/criterion.h>
#include "monitor/processor/descriptors.h"
#include "monitor/vm/vm.h"

#define FX_RAM_SIZE 0x200000u

/* Where things are. */
enum {
	FX_GDT = 0x1000, FX_IDT = 0x2000, FX_TSS_A = 0x3000, FX_TSS_B = 0x3100, FX_TSS_16 = 0x3200,
	FX_LDT = 0x3400, FX_KERNEL_STACK = 0x8000, FX_USER_STACK = 0x9000, FX_PAGE_DIR = 0x10000,
	FX_PAGE_TABLE = 0x11000, FX_CODE = 0x20000,
};

/* Selectors of the GDT. */
enum {
	KCODE = 0x08, KDATA = 0x10, UCODE = 0x1b, UDATA = 0x23, TSS_A = 0x28, TSS_B = 0x30,
	CODE16 = 0x38, DATA16 = 0x40, CONFORMING = 0x48, ABSENT_DATA = 0x50, CALL_GATE = 0x58,
	LDT = 0x60, TSS_16 = 0x68, TASK_GATE = 0x70, ABSENT_CODE = 0x78,
	EXPAND_DOWN = 0x80, CALL_GATE16 = 0x88, SHORT_TSS = 0x90, UDATA16 = 0x9b, SMALL_CODE = 0xa0,
	READONLY_DATA = 0xa8,
	EXECUTE_ONLY = 0xb0, FX_GDT_LIMIT = 0xb7,
};

/* What reached the device that answers at every port and address. */
struct fx_record {
	unsigned pio_reads, pio_writes, pio_size;
	uint16_t port;
	uint32_t pio_value;
	unsigned mmio_writes, mmio_reads;
	uint64_t mmio_gpa;
	uint64_t mmio_value;
	unsigned mmio_size;
};
extern struct fx_record fx_record;

/* Whether a triple fault has asked for a reset. */
bool fx_shut_down(void);

extern struct vm *fx_vm;
#define VCPU (&fx_vm->vcpu)
#define CPU  (fx_vm->vcpu.cpu)

void fx_setup(void);
void fx_teardown(void);

void fx_write8(uint32_t at, uint8_t value);
void fx_write16(uint32_t at, uint16_t value);
void fx_write32(uint32_t at, uint32_t value);
void fx_write64(uint32_t at, uint64_t value);
uint16_t fx_read16(uint32_t at);
uint32_t fx_read32(uint32_t at);
uint64_t fx_read64(uint32_t at);

uint64_t fx_descriptor(uint32_t base, uint32_t limit, uint16_t attr);
uint64_t fx_gate(uint16_t selector, uint32_t offset, unsigned type, unsigned dpl, unsigned params);
void fx_set_gate(unsigned vector, uint16_t selector, uint32_t offset, unsigned type, unsigned dpl);

void fx_enter_ring3(void); /* user segments, ESP at FX_USER_STACK, EIP 0x400000 */
void fx_enter_v86(unsigned iopl);
void fx_enter_real(void);
void fx_enable_paging(void); /* identity for the first 4 MiB, all user and writable; CR0.WP set */

#define ASSERT_FAULT(status, expected_vector, expected_error) \
	do { \
		cr_assert_eq((status), X86_FAULT, "no fault"); \
		cr_assert_eq(CPU.fault.vector, (expected_vector), "vector %u", CPU.fault.vector); \
		cr_assert(CPU.fault.has_error); \
		cr_assert_eq(CPU.fault.error, (uint32_t)(expected_error), "error code %#x", \
			     CPU.fault.error); \
	} while (0)
#define ASSERT_OK(status) \
	cr_assert_eq((status), X86_OK, "fault %u(%#x)", CPU.fault.vector, CPU.fault.error)
#define ASSERT_EQ(a, b) \
	cr_assert_eq((a), (b), "%s is %#llx, not %#llx", #a, (unsigned long long)(a), \
		     (unsigned long long)(b))

#endif
