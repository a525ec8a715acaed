/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices that store to guest RAM from another thread: into code that is being translated and
 * executed meanwhile, and with an interrupt afterwards, whose handler has to see the new code.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include "bt_fixture.h"
#include "monitor/vm/dma.h"
#include "monitor/vm/vcpu.h"

#define ROUNDS   600
#define VECTOR   0x40
#define FUNCTION (BF_FREE + 0x10000) /* mov eax, imm32; ret */
#define HANDLER  (BF_FREE + 0x20000)
#define MAILBOX  (BF_FREE + 0x30000) /* what the function should return, for the handler */
#define SEEN     (BF_FREE + 0x31000) /* what it returned last */
#define ERRORS   (BF_FREE + 0x32000)

static const struct { const char *engine, *options; } configurations[] = {
	{ "interp", NULL }, { "bt", NULL }, { "bt", "links=off" }, { "bt", "tu-insns=1" },
	{ "bt", "cache-kib=256" },
};

static void *vcpu_thread(void *opaque)
{
	struct bf *bf = opaque;

	vcpu_thread_begins(&bf->vm.vcpu);
	vcpu_thread_loop(&bf->vm.vcpu);
	vcpu_thread_ends(&bf->vm.vcpu);
	return NULL;
}

/* Lowers INTR as it acknowledges. */
static int acknowledge(void *opaque)
{
	struct bf *bf = opaque;

	vcpu_clear_event(&bf->vm.vcpu, EVENT_INTR);
	return VECTOR;
}

static uint32_t ram32(const struct bf *bf, uint64_t gpa)
{
	return __atomic_load_n((const uint32_t *)(bf->ram + gpa), __ATOMIC_ACQUIRE);
}

/* False: the guest has not seen value for two minutes. */
static bool seen(const struct bf *bf, uint32_t value)
{
	const time_t give_up = time(NULL) + 120;

	while (ram32(bf, SEEN) != value) {
		if (time(NULL) > give_up)
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = 10000 }, NULL);
	}
	return true;
}

static const uint8_t main_loop[] = {
	0xe8, 0, 0, 0, 0,       /* call FUNCTION */
	0xa3, 0, 0, 0, 0,       /* mov [SEEN], eax: NOPs where the handler reports */
	0xeb, 0xf4,             /* jmp */
};

static const uint8_t handler[] = {
	0x50, 0x53,             /* push eax; push ebx */
	0x8b, 0x1d, 0, 0, 0, 0, /* mov ebx, [MAILBOX] */
	0xe8, 0, 0, 0, 0,       /* call FUNCTION */
	0x39, 0xd8, 0x74, 0x06, /* cmp eax, ebx; je */
	0xff, 0x05, 0, 0, 0, 0, /* inc dword [ERRORS] */
	0x89, 0x1d, 0, 0, 0, 0, /* mov [SEEN], ebx */
	0x5b, 0x58, 0xcf,       /* pop ebx; pop eax; iret */
};

static void patch32(struct bf *bf, uint32_t at, uint32_t value)
{
	bf_write32(bf, at, value);
}

static void load(struct bf *bf, bool with_interrupts)
{
	bf_reset(bf, 0, true);
	bf_write(bf, BF_CODE, main_loop, sizeof(main_loop));
	patch32(bf, BF_CODE + 1, FUNCTION - (BF_CODE + 5));
	patch32(bf, BF_CODE + 6, SEEN);
	if (with_interrupts)
		BF_CODE_AT(bf, BF_CODE + 5, 0x90, 0x90, 0x90, 0x90, 0x90);
	bf_write(bf, HANDLER, handler, sizeof(handler));
	patch32(bf, HANDLER + 4, MAILBOX);
	patch32(bf, HANDLER + 9, FUNCTION - (HANDLER + 13));
	patch32(bf, HANDLER + 19, ERRORS);
	patch32(bf, HANDLER + 25, SEEN);
	patch32(bf, BF_IDT + 8 * VECTOR, (uint32_t)BF_KCODE << 16 | (HANDLER & 0xffff));
	patch32(bf, BF_IDT + 8 * VECTOR + 4, (HANDLER & 0xffff0000) | 0x8e00);
	BF_CODE_AT(bf, FUNCTION, 0xb8, 0, 0, 0, 0, 0xc3);
	bf_write32(bf, SEEN, 0xffffffff);
	bf_write32(bf, ERRORS, 0);
	bf->cpu->eflags |= X86_IF;
	bf->vm.interrupt_source = (struct interrupt_source){ acknowledge, bf };
}

/*
 * The device: stores a new constant into the function, and either waits for it to be returned or
 * interrupts.
 */
static void device_round(struct bf *bf, const struct guest_memory *memory, uint32_t value,
			 bool with_interrupts)
{
	pthread_mutex_lock(&bf->vm.device_lock);
	cr_expect_eq(memory->write(memory->opaque, GPA(MAILBOX), &value, 4), 0);
	cr_expect_eq(memory->write(memory->opaque, GPA(FUNCTION + 1), &value, 4), 0);
	if (with_interrupts)
		vcpu_raise_event(&bf->vm.vcpu, EVENT_INTR);
	pthread_mutex_unlock(&bf->vm.device_lock);
}

static void run(const char *engine, const char *options, bool with_interrupts)
{
	struct bf *bf = bf_create(engine, options);
	const struct guest_memory memory = dma_guest_memory(&bf->vm);
	pthread_t thread;

	load(bf, with_interrupts);
	cr_assert_eq(pthread_create(&thread, NULL, vcpu_thread, bf), 0);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		device_round(bf, &memory, round, with_interrupts);
		if (!seen(bf, round)) {
			cr_expect(false, "%s %s: round %u: the guest returns %u", engine,
				  options ? options : "", round, ram32(bf, SEEN));
			break;
		}
	}
	cr_expect_eq(ram32(bf, ERRORS), 0, "%s %s: %u handlers saw old code", engine,
		     options ? options : "", ram32(bf, ERRORS));
	vm_end(&bf->vm, VM_QUIT, 0);
	pthread_join(thread, NULL);
	bf_destroy(bf);
}

TestSuite(dma, .timeout = 300);

Test(dma, into_code_that_runs)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(configurations); i++)
		run(configurations[i].engine, configurations[i].options, false);
}

Test(dma, then_an_interrupt)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(configurations); i++)
		run(configurations[i].engine, configurations[i].options, true);
}

static unsigned told;
static gpa_t told_low, told_high;

static void note(void *opaque, gpa_t gpa, uint32_t len)
{
	told++;
	told_low = gpa_below(gpa, told_low) ? gpa : told_low;
	told_high = gpa_below(told_high, gpa_add(gpa, len)) ? gpa_add(gpa, len) : told_high;
}

/* More ranges than are kept: no page may be forgotten. The vCPU thread comes only afterwards. */
Test(dma, more_than_there_is_room_for)
{
	struct bf *bf = bf_create("interp", NULL);
	const struct guest_memory memory = dma_guest_memory(&bf->vm);
	pthread_t thread;
	uint8_t byte = 1;

	told_low = GPA(BF_RAM_SIZE);
	bf->vm.ram.written = note;
	memset(bf->vm.ram.page_flags, RAM_PAGE_CODE, BF_RAM_SIZE / GUEST_PAGE_SIZE);
	for (unsigned n = 0; n < 3 * VM_DMA_RANGES; n++)
		cr_expect_eq(memory.write(memory.opaque, GPA(BF_FREE + 2 * n * GUEST_PAGE_SIZE + n),
					  &byte, 1),
			     0);
	cr_expect_eq(told, 0, "told on the wrong thread");
	bf->vm.paused = true;
	cr_assert_eq(pthread_create(&thread, NULL, vcpu_thread, bf), 0);
	for (unsigned waited = 0; waited < 120000 && atomic_load(&bf->cpu->events) & EVENT_STOP;
	     waited++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	vm_end(&bf->vm, VM_QUIT, 0);
	pthread_join(thread, NULL);
	cr_expect_geq(told, 3 * VM_DMA_RANGES);
	cr_expect_eq(told_low.v, BF_FREE);
	cr_expect_eq(told_high.v,
		     BF_FREE + 2 * (3 * VM_DMA_RANGES - 1) * GUEST_PAGE_SIZE + 3 * VM_DMA_RANGES);
	bf_destroy(bf);
}

Test(dma, where_there_is_no_ram)
{
	struct bf *bf = bf_create("interp", NULL);
	const struct guest_memory memory = dma_guest_memory(&bf->vm);
	uint8_t bytes[8] = { 1, 2, 3 };

	cr_expect_eq(memory.write(memory.opaque, GPA(BF_RAM_SIZE - 4), bytes, 8), -EFAULT);
	cr_expect_eq(bf->ram[BF_RAM_SIZE - 4], 0, "whole or nothing");
	cr_expect_eq(memory.read(memory.opaque, GPA(BF_RAM_SIZE), bytes, 1), -EFAULT);
	cr_expect_eq(memory.read(memory.opaque, GPA_NONE, bytes, 8), -EFAULT);
	cr_expect_eq(memory.write(memory.opaque, GPA(GUEST_VIDEO_HOLE_START - 4), bytes, 8),
		     -EFAULT);
	cr_expect_eq(memory.write(memory.opaque, GPA(GUEST_VIDEO_HOLE_END - 1), bytes, 1), -EFAULT);
	cr_expect_eq(memory.write(memory.opaque, GPA(GUEST_VIDEO_HOLE_END), bytes, 8), 0);
	cr_expect_eq(memory.write(memory.opaque, GPA(BF_RAM_SIZE - 8), bytes, 8), 0);
	cr_expect_eq(memory.write(memory.opaque, GPA(BF_RAM_SIZE), bytes, 0), 0);
	bf_destroy(bf);
}
