/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the harness has to know of the host and cannot ask in Python, as one JSON object: what CPUID
 * says, the rate of the TSC by the host's clock, what /dev/kvm is, and whether it runs 32-bit
 * programs. Virtualization hardware is what CPUID shows, whatever /dev/kvm offers.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include "monitor/kvm/host.h"
#include "tests/host_features.h"

#define RATE_NS 200000000

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* The TSC between two readings of the clock: the closest pair of some tries says when. */
static void read_both(uint64_t *ns, uint64_t *tsc)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 50; i++) {
		uint64_t before = __rdtsc(), clock = now_ns(), after = __rdtsc();

		if (after - before < best) {
			best = after - before;
			*ns = clock;
			*tsc = before + best / 2;
		}
	}
}

static double tsc_hz(void)
{
	const struct timespec pause = { .tv_nsec = RATE_NS };
	uint64_t ns, tsc, later_ns, later_tsc;

	read_both(&ns, &tsc);
	nanosleep(&pause, NULL);
	read_both(&later_ns, &later_tsc);
	return (double)(later_tsc - tsc) * 1e9 / (double)(later_ns - ns);
}

static void print_text(const char *key, const char *text)
{
	printf("\"%s\": \"", key);
	for (; *text; text++)
		putchar(*text < ' ' || *text > '~' || *text == '"' || *text == '\\' ? '?' : *text);
	printf("\", ");
}

static void print_registers(const char *key, uint32_t a, uint32_t b, uint32_t c)
{
	char text[13] = { 0 };

	memcpy(text, &a, 4);
	memcpy(text + 4, &b, 4);
	memcpy(text + 8, &c, 4);
	print_text(key, text);
}

static void print_brand(void)
{
	uint32_t r[13] = { 0 };

	for (uint32_t i = 0; i < 3; i++)
		__get_cpuid(0x80000002 + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
	print_text("cpu", (char *)r + strspn((char *)r, " "));
}

static void print_flag(const char *key, bool value)
{
	printf("\"%s\": %s, ", key, value ? "true" : "false");
}

static void print_cpu(void)
{
	uint32_t a, b = 0, c = 0, d = 0;
	bool hypervisor;

	print_brand();
	__get_cpuid(0, &a, &b, &c, &d);
	print_registers("vendor", b, d, c);
	c = 0;
	__get_cpuid(1, &a, &b, &c, &d);
	hypervisor = c >> 31;
	print_flag("vmx", c >> 5 & 1);
	c = 0;
	__get_cpuid(0x80000001, &a, &b, &c, &d);
	print_flag("svm", c >> 2 & 1);
	if (hypervisor) {
		__cpuid(0x40000000, a, b, c, d);
		print_registers("hypervisor", b, c, d);
	} else {
		print_text("hypervisor", "");
	}
}

static void print_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	print_text("kvm_error", fd < 0 ? strerror(errno) : "");
	printf("\"kvm_api\": %d, ", fd < 0 ? 0 : ioctl(fd, KVM_GET_API_VERSION, 0));
	print_flag("kvm_runs_32_bit", fd >= 0 && !kvm_host_probe(fd));
	if (fd >= 0)
		close(fd);
}

int main(void)
{
	printf("{");
	print_cpu();
	print_kvm();
	print_flag("runs_32_bit_programs", !host_lacks(HOST_PROGRAMS_32));
	printf("\"tsc_hz\": %.0f}\n", tsc_hz());
	return 0;
}
