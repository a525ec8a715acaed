/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a KVM runs what a 32-bit system needs: protected mode with two-level paging. One without
 * hardware behind it may know 64-bit guests alone, accept such a state, and then shut the guest
 * down. So a machine of three pages is made and one instruction of it is run:
 *
 *   0x0000  page directory: linear 0 to 4 MiB is physical 0 to 4 MiB
 *   0x1000  out 0x80, al; hlt
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "host.h"
#include "x86/arch.h"

#define PROBE_SIZE 0x3000
#define PROBE_CODE 0x1000
#define PROBE_PORT 0x80

static int result_of(int result)
{
	return result < 0 ? -errno : 0;
}

static int probe_fill(int vm, uint8_t *memory)
{
	static const uint8_t code[] = { 0xe6, PROBE_PORT, 0xf4 };
	static const uint32_t entry = PTE_P | PTE_W | PTE_PS;
	struct kvm_userspace_memory_region region = { .memory_size = PROBE_SIZE,
						      .userspace_addr = (uintptr_t)memory };

	memcpy(memory, &entry, sizeof(entry));
	memcpy(memory + PROBE_CODE, code, sizeof(code));
	return result_of(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region));
}

static int probe_set_registers(int vcpu)
{
	const struct kvm_segment data = { .limit = 0xffffffff,
					  .selector = 16,
					  .type = 3,
					  .present = 1,
					  .s = 1,
					  .db = 1,
					  .g = 1 };
	struct kvm_regs regs = { .rip = PROBE_CODE, .rflags = X86_F1, .rsp = PROBE_SIZE };
	struct kvm_sregs sregs;
	int err = result_of(ioctl(vcpu, KVM_GET_SREGS, &sregs));

	if (err)
		return err;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.cs = data;
	sregs.cs.selector = 8;
	sregs.cs.type = 0xb;
	sregs.cr0 = CR0_PG | CR0_PE | CR0_ET;
	sregs.cr3 = 0;
	sregs.cr4 = CR4_PSE;
	sregs.efer = 0;
	err = result_of(ioctl(vcpu, KVM_SET_SREGS, &sregs));
	return err ? err : result_of(ioctl(vcpu, KVM_SET_REGS, &regs));
}

/* 0 if the OUT comes back. */
static int probe_run(int vcpu, size_t run_size)
{
	struct kvm_run *run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	int err;

	if (run == MAP_FAILED)
		return -errno;
	do
		err = result_of(ioctl(vcpu, KVM_RUN, 0));
	while (err == -EINTR || err == -EAGAIN);
	if (!err && (run->exit_reason != KVM_EXIT_IO || run->io.port != PROBE_PORT))
		err = -ENOTSUP;
	munmap(run, run_size);
	return err;
}

static int probe_vm(int vm, size_t run_size, uint8_t *memory)
{
	int vcpu, err = probe_fill(vm, memory);

	if (err)
		return err;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		return -errno;
	err = probe_set_registers(vcpu);
	if (!err)
		err = probe_run(vcpu, run_size);
	close(vcpu);
	return err;
}

int kvm_host_probe(int device_fd)
{
	const int run_size = ioctl(device_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *memory;
	int vm, err;

	if (run_size < 0)
		return -errno;
	memory = mmap(NULL, PROBE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	do
		vm = ioctl(device_fd, KVM_CREATE_VM, 0);
	while (vm < 0 && errno == EINTR);
	err = vm < 0 ? -errno : probe_vm(vm, run_size, memory);
	if (vm >= 0)
		close(vm);
	munmap(memory, PROBE_SIZE);
	return err;
}
