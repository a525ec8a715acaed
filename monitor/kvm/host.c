/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host's KVM is and whether it will do; see host.h. */
#include "host.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CPUID_1_ECX_VMX         (1u << 5)
#define CPUID_1_ECX_HYPERVISOR  (1u << 31)
#define CPUID_80000001_ECX_SVM  (1u << 2)

int kvm_ioctl(int fd, unsigned long request, void *argument)
{
	int result = ioctl(fd, request, argument);

	return result < 0 ? -errno : result;
}

/* The capabilities the engine cannot do without. Linux 5.14 has them all. */
static const struct { int cap; const char *name; } needed[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
	{ KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR" },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID" },
	{ KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS" },
	{ KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS" },
	{ KVM_CAP_XSAVE, "KVM_CAP_XSAVE" },
	{ KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	{ KVM_CAP_X86_USER_SPACE_MSR, "KVM_CAP_X86_USER_SPACE_MSR" },
	{ KVM_CAP_X86_MSR_FILTER, "KVM_CAP_X86_MSR_FILTER" },
	{ KVM_CAP_SREGS2, "KVM_CAP_SREGS2" },
	{ KVM_CAP_EXIT_ON_EMULATION_FAILURE, "KVM_CAP_EXIT_ON_EMULATION_FAILURE" },
};

/*
 * Modules that implement KVM on x86, and the parameter that says whether they use the processor's
 * second level of paging.
 */
static const struct { const char *name, *paging_parameter; } modules[] = {
	{ "kvm_intel", "ept" },
	{ "kvm_amd", "npt" },
	{ "kvm_pvm", NULL },
};

static bool parameter_is_on(const char *module, const char *parameter)
{
	char path[128], value = 'N';
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, parameter);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fread(&value, 1, 1, file) != 1)
		value = 'N';
	fclose(file);
	return value == 'Y' || value == '1';
}

static void look_for_module(struct kvm_host_facts *facts)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(modules); i++) {
		char path[128];

		snprintf(path, sizeof(path), "/sys/module/%s", modules[i].name);
		if (access(path, F_OK))
			continue;
		snprintf(facts->module, sizeof(facts->module), "%s", modules[i].name);
		facts->nested_paging =
			modules[i].paging_parameter &&
			parameter_is_on(modules[i].name, modules[i].paging_parameter);
		return;
	}
}

void kvm_host_look(struct kvm_host_facts *facts)
{
	unsigned a, b, c, d;

	memset(facts, 0, sizeof(*facts));
	if (__get_cpuid(1, &a, &b, &c, &d)) {
		facts->vmx = c & CPUID_1_ECX_VMX;
		facts->hypervisor = c & CPUID_1_ECX_HYPERVISOR;
	}
	if (__get_cpuid(0x80000001, &a, &b, &c, &d))
		facts->svm = c & CPUID_80000001_ECX_SVM;
	look_for_module(facts);
}

/* Both must be there: the extension in the processor, and the module that drives it. */
struct kvm_host kvm_host_judge(const struct kvm_host_facts *facts)
{
	struct kvm_host host = { .hardware = KVM_HARDWARE_NONE };

	if (facts->vmx && !strcmp(facts->module, "kvm_intel"))
		host.hardware = KVM_HARDWARE_VTX;
	else if (facts->svm && !strcmp(facts->module, "kvm_amd"))
		host.hardware = KVM_HARDWARE_SVM;
	host.nested = host.hardware != KVM_HARDWARE_NONE && facts->hypervisor;
	host.shadow_paging = host.hardware == KVM_HARDWARE_NONE || !facts->nested_paging;
	memcpy(host.module, facts->module, sizeof(host.module));
	return host;
}

const char *kvm_hardware_name(enum kvm_hardware hardware)
{
	static const char *const names[] = {
		[KVM_HARDWARE_NONE] = "none", [KVM_HARDWARE_VTX] = "vmx", [KVM_HARDWARE_SVM] = "svm"
	};

	return names[hardware];
}

void kvm_host_describe(const struct kvm_host *host, char *text, size_t size)
{
	static const char *const texts[] = {
		[KVM_HARDWARE_NONE] = "none visible (KVM by paravirtualization or emulation)",
		[KVM_HARDWARE_VTX] = "VT-x",
		[KVM_HARDWARE_SVM] = "SVM",
	};

	snprintf(text, size, "hardware virtualization: %s%s, %s paging, module %s",
		 texts[host->hardware],
		 host->nested ? ", itself virtual (this host is a guest)" : "",
		 host->shadow_paging ? "shadow" : "nested",
		 host->module[0] ? host->module : "unknown");
}

/* ---- opening ---- */

/* A module is of use only where the processor shows what it drives. */
const char *kvm_host_remedy(const struct kvm_host_facts *facts, int err)
{
	switch (err) {
	case ENOENT:
	case ENODEV:
		if (facts->vmx || facts->svm)
			return "load kvm_intel or kvm_amd (and in a container pass the device in), "
			       "or use -accel bt";
		if (facts->hypervisor)
			return "this host is a virtual machine that is shown neither VT-x nor SVM; "
			       "use -accel bt";
		return "the processor shows neither VT-x nor SVM (the firmware may have them off); "
		       "use -accel bt";
	case EACCES:
		return "add the user to the group that owns it (usually kvm), or use -accel bt";
	case EPERM:
		return "this container or sandbox is not let at it; use -accel bt";
	default:
		return "use -accel bt";
	}
}

static int open_failed(const char *device, int err, struct error *error)
{
	struct kvm_host_facts facts;

	kvm_host_look(&facts);
	return error_set(error, -err, "cannot open %s: %s; %s", device, error_reason(err),
			 kvm_host_remedy(&facts, err));
}

static int check_kvm(const char *device, int fd, struct error *error)
{
	int version = ioctl(fd, KVM_GET_API_VERSION, 0);

	if (version < 0)
		return error_set(error, -ENOTSUP, "%s is not a KVM device (%s); use -accel bt",
				 device, error_reason(errno));
	if (version != KVM_API_VERSION)
		return error_set(
			error, -ENOTSUP,
			"%s has version %d of KVM's interface, %d is needed; use -accel bt", device,
			version, KVM_API_VERSION);
	for (size_t i = 0; i < RF_ARRAY_SIZE(needed); i++) {
		if (ioctl(fd, KVM_CHECK_EXTENSION, needed[i].cap) <= 0)
			return error_set(error, -ENOTSUP,
					 "the host's KVM lacks %s; use a newer kernel (Linux 5.14 "
					 "has it), or "
					 "-accel bt",
					 needed[i].name);
	}
	return 0;
}

static int check_guest(const char *device, int fd, struct error *error)
{
	struct kvm_host_facts facts;
	int err = kvm_host_probe(fd);

	if (!err)
		return 0;
	kvm_host_look(&facts);
	return error_set(error, -ENOTSUP,
			 "%s cannot run 32-bit guests with paging (%s; module %s); use -accel bt",
			 device, err == -ENOTSUP ? "it shuts them down" : error_reason(-err),
			 facts.module[0] ? facts.module : "unknown");
}

int kvm_host_open(const char *device, bool probe, int *fd, struct error *error)
{
	int err;

	*fd = open(device, O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return open_failed(device, errno, error);
	err = check_kvm(device, *fd, error);
	if (!err && probe)
		err = check_guest(device, *fd, error);
	if (err) {
		close(*fd);
		*fd = -1;
	}
	return err;
}
