/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The KVM engine's parts: what is said of a host; registers to KVM and back; memory slots,
 * interrupts and kicks with small guests in flat protected mode without paging, so that any KVM
 * will do. Where there is none, those are skipped.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "monitor/kvm/kvm.h"
#include "monitor/processor/cpu_models.h"
#include "monitor/kvm/internal.h"
#include "monitor/kvm/host.h"
#include "monitor/processor/processor.h"
#include "monitor/vm/vm.h"

/* ---- what is said of a host ---- */

static struct kvm_host judge(bool vmx, bool svm, bool hypervisor, const char *module,
			     bool nested_paging)
{
	struct kvm_host_facts facts = {
		.vmx = vmx, .svm = svm, .hypervisor = hypervisor, .nested_paging = nested_paging
	};

	snprintf(facts.module, sizeof(facts.module), "%s", module);
	return kvm_host_judge(&facts);
}

Test(kvm_host, hardware_is_what_can_be_seen)
{
	cr_expect_eq(judge(true, false, false, "kvm_intel", true).hardware, KVM_HARDWARE_VTX);
	cr_expect_eq(judge(false, true, false, "kvm_amd", true).hardware, KVM_HARDWARE_SVM);
	cr_expect_eq(judge(false, false, true, "kvm_pvm", false).hardware, KVM_HARDWARE_NONE);
	cr_expect_eq(judge(true, false, true, "kvm_pvm", false).hardware, KVM_HARDWARE_NONE,
		     "another module does the work");
	cr_expect_eq(judge(false, false, false, "kvm_intel", true).hardware, KVM_HARDWARE_NONE,
		     "the module alone is not hardware");
	cr_expect_eq(judge(true, true, false, "", true).hardware, KVM_HARDWARE_NONE,
		     "nobody drives it");
}

Test(kvm_host, nesting_and_shadow_paging)
{
	cr_expect_not(judge(true, false, false, "kvm_intel", true).nested);
	cr_expect(judge(true, false, true, "kvm_intel", true).nested);
	cr_expect_not(judge(true, false, false, "kvm_intel", true).shadow_paging);
	cr_expect(judge(true, false, false, "kvm_intel", false).shadow_paging);
	cr_expect(judge(false, false, false, "kvm_pvm", true).shadow_paging);
}

static void expect_description(struct kvm_host host, const char *wanted, const char *unwanted)
{
	char text[200];

	kvm_host_describe(&host, text, sizeof(text));
	cr_expect(strstr(text, wanted), "no '%s' in '%s'", wanted, text);
	cr_expect_not(strstr(text, unwanted), "'%s' in '%s'", unwanted, text);
}

Test(kvm_host, descriptions)
{
	expect_description(judge(true, false, false, "kvm_intel", true), "VT-x, nested paging",
			   "guest");
	expect_description(judge(true, false, true, "kvm_intel", true), "VT-x, itself virtual",
			   "shadow");
	expect_description(judge(false, true, false, "kvm_amd", false), "SVM, shadow paging",
			   "VT-x");
	expect_description(judge(false, false, true, "kvm_pvm", false), "none visible", "VT-x");
	expect_description(judge(false, false, true, "kvm_pvm", false), "module kvm_pvm", "SVM");
	expect_description(judge(false, false, true, "", false), "module unknown", "VT-x");
}

static void expect_refusal(const char *device, int wanted, const char *text)
{
	struct error error = { 0 };
	int fd, err = kvm_host_open(device, true, &fd, &error);

	cr_assert_eq(err, wanted, "%s: %d", device, err);
	cr_expect(strstr(error.text, text), "'%s'", error.text);
	cr_expect(strstr(error.text, "use -accel bt"), "'%s' names no remedy", error.text);
	cr_expect_eq(fd, -1);
}

Test(kvm_host, refusals_name_the_remedy)
{
	expect_refusal("/nodir/kvm", -ENOENT, "cannot open /nodir/kvm");
	expect_refusal("/dev/null", -ENOTSUP, "not a KVM device");
}

static const char *remedy(bool vmx, bool hypervisor, int err)
{
	const struct kvm_host_facts facts = { .vmx = vmx, .hypervisor = hypervisor };

	return kvm_host_remedy(&facts, err);
}

/* Loading a module is no advice where the processor shows nothing that one could drive. */
Test(kvm_host, remedies_are_of_use)
{
	cr_expect(strstr(remedy(true, false, ENOENT), "load kvm_intel"));
	cr_expect(strstr(remedy(true, true, ENODEV), "load kvm_intel"));
	cr_expect(strstr(remedy(false, true, ENOENT),
			 "virtual machine that is shown neither VT-x nor SVM"));
	cr_expect(strstr(remedy(false, false, ENOENT), "the processor shows neither VT-x nor SVM"));
	cr_expect(strstr(remedy(false, false, EACCES), "group"));
	cr_expect(strstr(remedy(false, false, EPERM), "container"));
	cr_expect_str_eq(remedy(true, false, EBUSY), "use -accel bt");
}

Test(kvm_host, no_permission)
{
	char path[] = "/tmp/test-kvm-XXXXXX";
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(chmod(path, 0), 0);
	if (geteuid() == 0 && seteuid(65534))
		cr_skip_test("root, and cannot be another user");
	expect_refusal(path, -EACCES, "group");
	if (getuid() == 0)
		cr_expect_eq(seteuid(0), 0);
	unlink(path);
}

/* ---- a machine with KVM ---- */

#define RAM_SIZE (4u << 20)
#define CODE     0x10000u
#define STACK    0x20000u
#define IDT      0x30000u
#define GDT      0x31000u
#define COUNTER  0x40000u /* guests count here */

#define PATIENCE_S 120    /* what takes longer hangs */
#define POLL_US    100u

static struct vm vm;
static struct vcpu *const vcpu = &vm.vcpu;
static struct cpu *const cpu = &vm.vcpu.cpu;

static void create(const char *options)
{
	struct error error = { 0 };
	int err = engine_kvm.create(vcpu, options, &error);

	if (err == -ENOENT || err == -EACCES || err == -EPERM || err == -ENODEV || err == -ENOTSUP)
		cr_skip_test("%s", error.text);
	cr_assert_eq(err, 0, "%s: %s", error.text, strerror(-err));
}

static void setup(void)
{
	vm_init(&vm);
	cr_assert_eq(guest_ram_init(&vm.ram, RAM_SIZE), 0);
	cr_assert_eq(vcpu_init(vcpu, &vm), 0);
	processor_reset(vcpu);
	vcpu->engine = &engine_kvm;
	vm.no_reboot = true;
	create("check=off");
}

static void teardown(void)
{
	if (vcpu->engine_data)
		engine_kvm.destroy(vcpu);
	vcpu_destroy(vcpu);
	guest_ram_destroy(&vm.ram);
}

TestSuite(kvm, .init = setup, .fini = teardown, .timeout = 300);

static void put_descriptor(unsigned index, uint32_t base, uint32_t limit, uint16_t attr)
{
	uint64_t d = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
		     (uint64_t)(attr & 0xf0ff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
		     (uint64_t)(base >> 24) << 56;

	memcpy(vm.ram.flat + GDT + 8 * index, &d, sizeof(d));
}

#define FLAT_DATA (SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED | SEG_DB | SEG_G)

/* Flat ring 0 at CODE, with descriptors to match. */
static void flat(void)
{
	const struct segment data = { .selector = 16, .limit = 0xffffffff, .attr = FLAT_DATA };

	processor_reset(vcpu);
	put_descriptor(1, 0, 0xfffff, FLAT_DATA | SEG_CODE);
	put_descriptor(2, 0, 0xfffff, FLAT_DATA);
	for (int i = 0; i < X86_NSEG; i++)
		cpu->seg[i] = data;
	cpu->seg[X86_CS].selector = 8;
	cpu->seg[X86_CS].attr |= SEG_CODE;
	cpu->gdtr = (struct table_register){ GDT, 23 };
	cpu->idtr = (struct table_register){ IDT, 0x7ff };
	cpu->cr0 = CR0_PE | CR0_ET | CR0_NE;
	cpu->eip = CODE;
	cpu->regs[X86_ESP] = STACK;
	engine_kvm.reset(vcpu);
}

static void put_code(uint64_t at, const void *code, size_t len)
{
	memcpy(vm.ram.flat + at, code, len);
}

static uint32_t word(uint64_t gpa)
{
	uint32_t value;

	memcpy(&value, vm.ram.flat + gpa, sizeof(value));
	return value;
}

static void set_gate(unsigned vector, uint32_t handler)
{
	const uint64_t gate = (handler & 0xffff) | 8u << 16 | (uint64_t)0x8e00 << 32 |
			      (uint64_t)(handler >> 16) << 48;

	memcpy(vm.ram.flat + IDT + 8 * vector, &gate, sizeof(gate));
}

static void *thread_main(void *arg)
{
	vcpu_thread_begins(vcpu);
	vcpu_thread_loop(vcpu);
	vcpu_thread_ends(vcpu);
	return NULL;
}

static pthread_t start(void)
{
	pthread_t thread;

	/* Events may come before it begins; and it may have ended by now. */
	cr_assert_eq(pthread_create(&thread, NULL, thread_main, NULL), 0);
	return thread;
}

static void stop(pthread_t thread)
{
	vm_end(&vm, VM_QUIT, 0);
	pthread_join(thread, NULL);
}

/* Waits for a counter; false: it hangs. */
static bool reached(const _Atomic uint32_t *counter, uint32_t wanted)
{
	for (unsigned i = 0; i < PATIENCE_S * (1000000 / POLL_US); i++) {
		if (*counter >= wanted)
			return true;
		usleep(POLL_US);
	}
	return false;
}

/* Waits for the guest's counter. */
static bool counted(uint32_t wanted)
{
	return reached((const _Atomic uint32_t *)(vm.ram.flat + COUNTER), wanted);
}

#define COUNT 0xff, 0x05, 0x00, 0x00, 0x04, 0x00 /* inc dword [COUNTER] */

/* Waits for HLT after the count; false: it hangs. */
static bool asleep(void)
{
	bool is = false;

	for (unsigned i = 0; !is && i < PATIENCE_S * (1000000 / POLL_US); i++) {
		pthread_mutex_lock(&vcpu->wake_mutex);
		is = vcpu->asleep;
		pthread_mutex_unlock(&vcpu->wake_mutex);
		if (!is)
			usleep(POLL_US);
	}
	return is;
}

/* Runs code until it has counted once and halts, then stops. */
static void run_until_halted(const uint8_t *code, size_t len)
{
	pthread_t thread;

	put_code(CODE, code, len);
	thread = start();
	cr_expect(counted(1) && asleep());
	stop(thread);
}

/* Where KVM works by paravirtualization, some of what it promises is not so. */
static void needs_hardware(const char *without)
{
	const struct kvm_engine *kvm = vcpu->engine_data;

	if (kvm->host.hardware == KVM_HARDWARE_NONE)
		cr_skip_test("no hardware virtualization behind this KVM (module %s): %s",
			     kvm->host.module, without);
}

/* ---- registers ---- */

static void round_trip(struct cpu *before)
{
	struct kvm_engine *kvm = vcpu->engine_data;

	*before = *cpu;
	cr_assert_eq(kvm_put_state(kvm), 0);
	cr_assert(kvm->in_kvm);
	memset(cpu->regs, 0xcc, sizeof(cpu->regs));
	memset(cpu->seg, 0xcc, sizeof(cpu->seg));
	memset(cpu->dr, 0xcc, sizeof(cpu->dr));
	memset(&cpu->fpu, 0xcc, sizeof(cpu->fpu));
	cpu->eip = cpu->eflags = cpu->cr0 = cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->sysenter_cs =
		cpu->sysenter_esp = 0xcccccccc;
	cpu->ldtr = cpu->tr = cpu->seg[0];
	cpu->gdtr = cpu->idtr = (struct table_register){ 0xcccccccc, 0xcccc };
	cpu->pat = cpu->efer = cpu->tsc_adjust = cpu->tsc_offset = cpu->apic_base = 0xcccccccc;
	cpu->cpl = 2;
	cr_assert_eq(kvm_get_state(kvm), 0);
	cr_assert_not(kvm->in_kvm);
}

static void expect_segment(const struct segment *got, const struct segment *wanted,
			   const char *name)
{
	cr_expect_eq(got->selector, wanted->selector, "%s", name);
	cr_expect_eq(got->base, wanted->base, "%s", name);
	cr_expect_eq(got->attr, wanted->attr, "%s: %#x not %#x", name, got->attr, wanted->attr);
	if (wanted->attr & SEG_P)
		cr_expect_eq(got->limit, wanted->limit, "%s", name);
}

static void expect_registers(const struct cpu *before)
{
	static const char *const names[X86_NSEG] = { "es", "cs", "ss", "ds", "fs", "gs" };

	cr_expect_arr_eq(cpu->regs, before->regs, sizeof(cpu->regs));
	cr_expect_eq(cpu->eip, before->eip);
	cr_expect_eq(cpu->eflags, before->eflags);
	for (int i = 0; i < X86_NSEG; i++)
		expect_segment(&cpu->seg[i], &before->seg[i], names[i]);
	expect_segment(&cpu->ldtr, &before->ldtr, "ldtr");
	expect_segment(&cpu->tr, &before->tr, "tr");
	cr_expect_eq(cpu->gdtr.base, before->gdtr.base);
	cr_expect_eq(cpu->gdtr.limit, before->gdtr.limit);
	cr_expect_eq(cpu->idtr.base, before->idtr.base);
	cr_expect_eq(cpu->idtr.limit, before->idtr.limit);
	cr_expect_eq(cpu->cr0, before->cr0);
	cr_expect_eq(cpu->cr2, before->cr2);
	cr_expect_eq(cpu->cr3, before->cr3);
	cr_expect_eq(cpu->cr4, before->cr4);
	cr_expect_eq(cpu->cpl, before->cpl);
	cr_expect_arr_eq(cpu->dr, before->dr, 4 * sizeof(cpu->dr[0]));
	cr_expect_eq(cpu->dr[6], before->dr[6]);
	cr_expect_eq(cpu->dr[7], before->dr[7]);
}

static void expect_msrs(const struct cpu *before)
{
	cr_expect_eq(cpu->sysenter_cs, before->sysenter_cs);
	cr_expect_eq(cpu->sysenter_esp, before->sysenter_esp);
	cr_expect_eq(cpu->sysenter_eip, before->sysenter_eip);
	cr_expect_eq(cpu->pat, before->pat);
	cr_expect_eq(cpu->efer, before->efer);
	cr_expect_eq(cpu->tsc_adjust, before->tsc_adjust);
	cr_expect_eq(cpu->apic_base, before->apic_base);
}

static void fill_registers(void)
{
	for (int i = 0; i < 8; i++)
		cpu->regs[i] = 0x11111111u * i + 0x80000001u;
	cpu->eflags = X86_F1 | X86_CF | X86_OF | X86_IF | X86_IOPL;
	cpu->cr2 = 0xfedcb000;
	cpu->cr3 = 0x3000;
	cpu->sysenter_cs = 0x60;
	cpu->sysenter_esp = 0xc1000000;
	cpu->sysenter_eip = 0xc2000000;
	cpu->pat = 0x0407050600070106ull;
	cpu->tsc_adjust = 12345;
	cpu->tsc_offset += 1ull << 40;
	for (int i = 0; i < 4; i++)
		cpu->dr[i] = 0x1000u * i + 1;
	cpu->dr[6] = 0xffff0ff2;
	cpu->dr[7] = 0x00000455;
}

static void fill_fpu(void)
{
	struct fxsave_image *fpu = &cpu->fpu;

	fpu->fcw = 0x127f;
	fpu->fsw = 0x2841;
	fpu->ftw = 0xa5;
	fpu->mxcsr = 0x1fa5;
	for (int i = 0; i < 8; i++) {
		memset(fpu->st[i], 0x11 * i + 3, 10);
		memset(fpu->xmm[i], 0x21 * i + 5, 16);
	}
}

Test(kvm, protected_mode_state_comes_back)
{
	struct cpu before;

	flat();
	fill_registers();
	fill_fpu();
	cpu->cr4 = CR4_PSE | CR4_PGE | CR4_OSFXSR;
	cpu->efer = EFER_NXE;
	cpu->seg[X86_FS] = (struct segment){ .selector = 0x3b,
					     .base = 0x12345678,
					     .limit = 0x1234,
					     .attr = SEG_P | SEG_S | SEG_DPL | 1 };
	cpu->seg[X86_GS] = (struct segment){ .selector = 0 };
	cpu->ldtr = (struct segment){
		.selector = 0x48, .base = 0x8000, .limit = 0xff, .attr = SEG_P | SYS_LDT
	};
	cpu->tr = (struct segment){
		.selector = 0x40, .base = 0x9000, .limit = 0x67, .attr = SEG_P | SYS_TSS32_BUSY
	};
	round_trip(&before);
	expect_registers(&before);
	expect_msrs(&before);
	cr_expect_eq(cpu->fpu.fcw, before.fpu.fcw);
	cr_expect_eq(cpu->fpu.fsw, before.fpu.fsw);
	cr_expect_eq(cpu->fpu.ftw, before.fpu.ftw);
	cr_expect_eq(cpu->fpu.mxcsr, before.fpu.mxcsr);
	for (int i = 0; i < 8; i++) {
		cr_expect_arr_eq(cpu->fpu.st[i], before.fpu.st[i], 10, "st%d", i);
		cr_expect_arr_eq(cpu->fpu.xmm[i], before.fpu.xmm[i], 16, "xmm%d", i);
	}
}

Test(kvm, the_tsc_offset_comes_back)
{
	struct cpu before;

	needs_hardware("RDTSC shows the host's counter");
	flat();
	for (int i = 0; i < 4; i++) {
		cpu->tsc_offset -= 1000000u << i;
		round_trip(&before);
		cr_expect_eq(cpu->tsc_offset, before.tsc_offset, "off by %lld",
			     (long long)(cpu->tsc_offset - before.tsc_offset));
	}
}

Test(kvm, reset_state_comes_back)
{
	struct cpu before;

	processor_reset(vcpu);
	engine_kvm.reset(vcpu);
	round_trip(&before);
	expect_registers(&before);
	expect_msrs(&before);
	cr_expect_eq(cpu->cpl, 0);
}

Test(kvm, ring_3_state_comes_back)
{
	struct cpu before;

	flat();
	for (int i = 0; i < X86_NSEG; i++) {
		cpu->seg[i].attr |= SEG_DPL;
		cpu->seg[i].selector |= 3;
	}
	cpu->cpl = 3;
	round_trip(&before);
	expect_registers(&before);
}

Test(kvm, what_is_pending_comes_back)
{
	struct kvm_engine *kvm = vcpu->engine_data;
	struct cpu before;

	flat();
	cpu->nmi_blocked = true;
	cpu->inhibit = INHIBIT_STI;
	round_trip(&before);
	cr_expect(cpu->nmi_blocked);
	cr_expect(cpu->inhibit & INHIBIT_STI, "SVM does not tell STI from MOV SS");
	kvm->events.interrupt.injected = 1;
	kvm->events.interrupt.nr = 0x31;
	cpu->inhibit = 0;
	round_trip(&before);
	cr_expect(kvm->events.interrupt.injected);
	cr_expect_eq(kvm->events.interrupt.nr, 0x31);
	engine_kvm.reset(vcpu);
	cpu->nmi_blocked = false;
	round_trip(&before);
	cr_expect_not(kvm->events.interrupt.injected, "a reset forgets it");
}

/* ---- CPUID ---- */

/* What is not offered to KVM's guests, or only where the host has it. */
static struct cpuid_result open_bits(uint32_t leaf)
{
	switch (leaf) {
	case 7:
		return (struct cpuid_result){ .ebx = 1u << 7 | 1u << 20,
					      .ecx = 1u << 2 | 1u << 22 };
	case 0x80000001: return (struct cpuid_result){ .ecx = 1u << 5, .edx = 1u << 27 };
	case 0x80000008: return (struct cpuid_result){ .eax = 0xff00 };
	default: return (struct cpuid_result){ 0 };
	}
}

static void expect_leaf(uint32_t leaf, uint32_t subleaf)
{
	static const uint8_t code[] = { 0x0f, 0xa2, COUNT, 0xf4 }; /* cpuid; count; hlt */
	const struct cpuid_result wanted = cpuid_query(cpu, leaf, subleaf), open = open_bits(leaf);

	flat();
	vm.end = VM_RUNNING;
	put_code(COUNTER, "\0\0\0", 4);
	cpu->regs[X86_EAX] = leaf;
	cpu->regs[X86_ECX] = subleaf;
	run_until_halted(code, sizeof(code));
	cr_expect_not((cpu->regs[X86_EAX] ^ wanted.eax) & ~open.eax, "leaf %#x", leaf);
	cr_expect_not((cpu->regs[X86_EBX] ^ wanted.ebx) & ~open.ebx, "leaf %#x", leaf);
	cr_expect_not((cpu->regs[X86_ECX] ^ wanted.ecx) & ~open.ecx, "leaf %#x", leaf);
	cr_expect_not((cpu->regs[X86_EDX] ^ wanted.edx) & ~open.edx, "leaf %#x", leaf);
}

Test(kvm, cpuid_is_the_models)
{
	static const uint32_t leaves[] = { 0,          1,          2,          4,
					   5,          6,          7,          8,
					   0x16,       0x40000000, 0x80000000, 0x80000001,
					   0x80000002, 0x80000003, 0x80000004, 0x80000006,
					   0x80000007, 0x80000008, 0x80000009 };

	needs_hardware("CPUID shows the host's processor");
	for (size_t i = 0; i < RF_ARRAY_SIZE(leaves); i++)
		expect_leaf(leaves[i], 0);
	for (uint32_t subleaf = 1; subleaf < 5; subleaf++)
		expect_leaf(4, subleaf);
}

/* ---- memory ---- */

Test(kvm, a20_off_folds_odd_megabytes)
{
	static const uint8_t code[] = {
		0xa1, 0x00, 0x50, 0x10, 0x00,             /* mov eax, [0x105000] */
		0x8b, 0x1d, 0x00, 0x50, 0x20, 0x00,       /* mov ebx, [0x205000] */
		/* mov dword [0x305004], 0x12345678 */
		0xc7, 0x05, 0x04, 0x50, 0x30, 0x00, 0x78, 0x56, 0x34, 0x12,
		COUNT, 0xf4,
	};

	flat();
	put_code(0x5000, "\x01\x00\x00", 4);
	put_code(0x105000, "\x02\x00\x00", 4);
	put_code(0x205000, "\x03\x00\x00", 4);
	cpu->a20_mask = 0xffefffff;
	engine_kvm.flush(vcpu, TLB_FLUSH_ALL);
	run_until_halted(code, sizeof(code));
	cr_expect_eq(cpu->regs[X86_EAX], 1);
	cr_expect_eq(cpu->regs[X86_EBX], 3);
	cr_expect_eq(word(0x205004), 0x12345678);
	cr_expect_eq(word(0x305004), 0);
}

Test(kvm, a20_on_again)
{
	static const uint8_t code[] = { 0xa1, 0x00, 0x50, 0x10, 0x00, COUNT, 0xf4 };

	flat();
	put_code(0x5000, "\x01\x00\x00", 4);
	put_code(0x105000, "\x02\x00\x00", 4);
	cpu->a20_mask = 0xffefffff;
	engine_kvm.flush(vcpu, TLB_FLUSH_ALL);
	cr_assert_eq(kvm_memory_build(vcpu->engine_data), 0);
	cpu->a20_mask = 0xffffffff;
	engine_kvm.flush(vcpu, TLB_FLUSH_ALL);
	run_until_halted(code, sizeof(code));
	cr_expect_eq(cpu->regs[X86_EAX], 2);
}

Test(kvm, rom_and_hole)
{
	static const uint8_t code[] = {
		/* mov dword [0xf0000], 0x12345678 */
		0xc7, 0x05, 0x00, 0x00, 0x0f, 0x00, 0x78, 0x56, 0x34, 0x12,
		0xa1, 0x00, 0x00, 0x0f, 0x00,                               /* mov eax, [0xf0000] */
		0x8b, 0x1d, 0x00, 0x00, 0x0a, 0x00,                         /* mov ebx, [0xa0000] */
		COUNT, 0xf4,
	};

	flat();
	put_code(0xf0000, "ROM", 4);
	guest_ram_set_flag(&vm.ram, GPA(0xf0000), RAM_PAGE_ROM);
	run_until_halted(code, sizeof(code));
	cr_expect_eq(cpu->regs[X86_EAX], 0x4d4f52);
	cr_expect_eq(cpu->regs[X86_EBX], 0xffffffff, "nothing is in the video hole");
	cr_expect_eq(word(0xf0000), 0x4d4f52);
}

/* ---- events ---- */

static _Atomic int acknowledged;

/* One interrupt of vector 0x31 for each raise. */
static int ack(void *opaque)
{
	acknowledged++;
	vcpu_clear_event(vcpu, EVENT_INTR);
	return 0x31;
}

/* The handler counts. */
static void count_interrupts(void)
{
	static const uint8_t handler[] = { COUNT, 0xcf };

	put_code(CODE + 0x100, handler, sizeof(handler));
	set_gate(0x31, CODE + 0x100);
	set_gate(EXC_NMI, CODE + 0x100);
	vm.interrupt_source.acknowledge = ack;
}

/* events: one or more; each is to be counted once a round. */
static void raise_and_count(const uint8_t *code, size_t len, int rounds, uint32_t events)
{
	const int each = __builtin_popcount(events);
	pthread_t thread;

	flat();
	count_interrupts();
	put_code(CODE, code, len);
	thread = start();
	for (int i = 1; i <= rounds; i++) {
		vcpu_raise_event(vcpu, events);
		cr_assert(counted(each * i), "interrupt %d is lost", i);
	}
	stop(thread);
	cr_expect_eq(word(COUNTER), (uint32_t)(each * rounds));
}

Test(kvm, interrupts_reach_a_busy_guest)
{
	static const uint8_t code[] = { 0xfb, 0xeb, 0xfe }; /* sti; jmp $ */

	raise_and_count(code, sizeof(code), 200, EVENT_INTR);
	cr_expect_eq(acknowledged, 200);
	cr_expect_eq(vcpu->interrupts, 200);
}

Test(kvm, interrupts_reach_a_halted_guest)
{
	static const uint8_t code[] = { 0xfb, 0xf4, 0xeb, 0xfd }; /* sti; again: hlt; jmp again */

	raise_and_count(code, sizeof(code), 200, EVENT_INTR);
}

Test(kvm, interrupts_wait_for_the_window)
{
	/* again: cli; mov ecx, 200; loop $; sti; nop; jmp again */
	static const uint8_t code[] = {
		0xfa, 0xb9, 200, 0, 0, 0, 0xe2, 0xfe, 0xfb, 0x90, 0xeb, 0xf4
	};
	const struct kvm_engine *kvm = vcpu->engine_data;

	raise_and_count(code, sizeof(code), 200, EVENT_INTR);
	cr_expect_gt(kvm->stats.interrupt_window, 0);
}

Test(kvm, nmis)
{
	static const uint8_t busy[] = { 0xeb, 0xfe };

	raise_and_count(busy, sizeof(busy), 50, EVENT_NMI);
}

Test(kvm, nmis_end_halt)
{
	static const uint8_t halted[] = { 0xfa, 0xf4, 0xeb, 0xfc }; /* again: cli; hlt; jmp again */

	raise_and_count(halted, sizeof(halted), 50, EVENT_NMI);
}

Test(kvm, an_nmi_does_not_hide_an_interrupt)
{
	static const uint8_t code[] = { 0xfb, 0xeb, 0xfe }; /* sti; jmp $ */

	raise_and_count(code, sizeof(code), 50, EVENT_NMI | EVENT_INTR);
}

/*
 * Stops and continues from another thread: each time the state must be complete, and nothing may be
 * lost or hang.
 */
static _Atomic uint32_t worked;

static void look(struct vcpu *v, struct vm_work *work)
{
	cr_expect_geq(v->cpu.eip, CODE);
	cr_expect_leq(v->cpu.eip, CODE + 16);
	cr_expect_eq(v->cpu.seg[X86_CS].selector, 8);
	worked++;
}

Test(kvm, kicks_are_not_lost)
{
	/* again: in al, 0x80; out 0x80, al; inc ebx; jmp again */
	static const uint8_t code[] = { 0xe4, 0x80, 0xe6, 0x80, 0x43, 0xeb, 0xf9 };
	struct vm_work work = { .run = look };
	pthread_t thread;

	flat();
	put_code(CODE, code, sizeof(code));
	thread = start();
	for (uint32_t i = 1; i <= 500; i++) {
		vm_queue_work(&vm, &work);
		cr_assert(reached(&worked, i), "kick %u is lost", i);
		cr_assert_eq(worked, i);
	}
	stop(thread);
}

Test(kvm, a_finished_port_read_is_in_the_state)
{
	/* mov eax, -1 less 1, so that the IN's result shows; in al, 0x80; count; hlt */
	static const uint8_t code[] = { 0x31, 0xc0, 0xe5, 0x80, COUNT, 0xf4 };

	flat();
	run_until_halted(code, sizeof(code));
	cr_expect_eq(cpu->regs[X86_EAX], 0xffffffff, "no bus: all ones");
	cr_expect(cpu->halted);
	cr_expect_eq(cpu->eip, CODE + sizeof(code));
}

/* ---- what KVM does not emulate ---- */

/*
 * An operand in the video hole, of an instruction that KVM's emulator does not have: paddd xmm0,
 * [0xa0000]; count; hlt.
 */
static const uint8_t paddd_from_hole[] = { 0x66, 0x0f, 0xfe, 0x05,  0x00,
					   0x00, 0x0a, 0x00, COUNT, 0xf4 };

static void flat_with_sse(void)
{
	flat();
	cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
	memset(cpu->fpu.xmm[0], 0x01, 16);
}

Test(kvm, what_kvm_cannot_emulate_is_interpreted)
{
	const struct kvm_engine *kvm = vcpu->engine_data;

	needs_hardware("it takes other ways to devices");
	flat_with_sse();
	run_until_halted(paddd_from_hole, sizeof(paddd_from_hole));
	cr_expect_eq(kvm->stats.interpreted, 1);
	for (int i = 0; i < 16; i++)
		cr_expect_eq(cpu->fpu.xmm[0][i], i % 4 ? 0x01 : 0x00, "byte %d: all ones are added",
			     i);
	cr_expect_eq(cpu->eip, CODE + sizeof(paddd_from_hole));
}

Test(kvm, or_stops_the_vm)
{
	pthread_t thread;

	needs_hardware("it takes other ways to devices");
	engine_kvm.destroy(vcpu);
	create("check=off,assist=off");
	flat_with_sse();
	put_code(CODE, paddd_from_hole, sizeof(paddd_from_hole));
	thread = start();
	pthread_join(thread, NULL);
	cr_expect_eq(vm.end, VM_KILLED);
	cr_expect(strstr(vm.kill_reason, "cannot emulate"), "%s", vm.kill_reason);
	cr_expect_eq(cpu->eip, CODE, "the report names the instruction");
	cr_expect_eq(word(COUNTER), 0);
}

/* ---- MSRs ---- */

Test(kvm, msrs_are_those_of_the_other_engines)
{
	/*
	 * mov ecx, 0x8b; rdmsr (microcode revision in edx); mov ebx, edx; mov ecx, 0x12345; rdmsr:
	 * #GP
	 */
	static const uint8_t code[] = { 0xb9, 0x8b, 0,    0,    0, 0x0f, 0x32, 0x89, 0xd3,
					0xb9, 0x45, 0x23, 0x01, 0, 0x0f, 0x32, 0xf4 };
	static const uint8_t handler[] = { COUNT, 0xf4 };

	flat();
	put_code(CODE + 0x100, handler, sizeof(handler));
	set_gate(EXC_GP, CODE + 0x100);
	run_until_halted(code, sizeof(code));
	cr_expect_eq(cpu->regs[X86_EBX], vcpu->model->microcode);
	cr_expect_eq(cpu->eip, CODE + 0x100 + sizeof(handler), "#GP for the MSR that is not");
	cr_expect_eq(word(STACK - 16), 0, "error code");
	cr_expect_eq(word(STACK - 12), CODE + 14, "of the second RDMSR");
}

/* ---- ends ---- */

Test(kvm, triple_fault_ends)
{
	static const uint8_t code[] = { 0x0f, 0x0b }; /* ud2, and no IDT */
	pthread_t thread;

	flat();
	cpu->idtr.limit = 0;
	put_code(CODE, code, sizeof(code));
	thread = start();
	pthread_join(thread, NULL);
	cr_expect_eq(vm.end, VM_TRIPLE_FAULT);
}
