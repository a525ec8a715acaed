/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's KVM: opening it, what it must be able to do, and what it really is. That /dev/kvm is
 * there says nothing of hardware: some kernels implement KVM's interface by paravirtualization or
 * emulation.
 */
#ifndef RF_MONITOR_KVM_HOST_H
#define RF_MONITOR_KVM_HOST_H

#include "x86/error.h"
#include "x86/types.h"

#define KVM_DEVICE "/dev/kvm"

enum kvm_hardware { KVM_HARDWARE_NONE, KVM_HARDWARE_VTX, KVM_HARDWARE_SVM };

/* What can be seen of a host. */
struct kvm_host_facts {
	bool vmx, svm;   /* CPUID shows the extension */
	bool hypervisor; /* this host is itself a guest */
	/* the loaded kernel module that drives kvm ("kvm_intel"), "" if none is known */
	char module[32];
	bool nested_paging; /* that module says it uses EPT or NPT */
};

/* What follows from that. */
struct kvm_host {
	enum kvm_hardware hardware;
	bool nested;         /* the hardware is itself virtual */
	bool shadow_paging;  /* guest page tables are shadowed, or may be */
	char module[32];
};

/* Calls the ioctl on fd; its result, or a negative errno. */
int kvm_ioctl(int fd, unsigned long request, void *argument);

void kvm_host_look(struct kvm_host_facts *facts);
struct kvm_host kvm_host_judge(const struct kvm_host_facts *facts);
/* "vmx", "svm", "none". */
const char *kvm_hardware_name(enum kvm_hardware hardware);
/* One line: the hardware and the module. */
void kvm_host_describe(const struct kvm_host *host, char *text, size_t size);

/* What to do (static text) about a device that cannot be opened for err, a positive errno. */
const char *kvm_host_remedy(const struct kvm_host_facts *facts, int err);

/*
 * Runs one instruction of a 32-bit guest with paging: 0, or a negative errno; -ENOTSUP: KVM did not
 * do it (probe.c).
 */
int kvm_host_probe(int device_fd) RF_MUST_CHECK;

/*
 * Opens the device (KVM_DEVICE) and checks that it is a KVM with everything the engine needs; with
 * probe also that it runs 32-bit guests. 0 and *fd; or a negative errno and error: what is wrong
 * and what to do.
 */
int kvm_host_open(const char *device, bool probe, int *fd, struct error *error) RF_MUST_CHECK;

#endif
