/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The statistics of a run as one JSON object: a part that every engine has, and what the engine
 * adds under its name. Times are in seconds, sizes in bytes.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#include "machine.h"

static const char *stats_end_name(enum vm_end end)
{
	static const char *const names[] = {
		[VM_RUNNING] = "running", [VM_POWEROFF] = "poweroff", [VM_REBOOT] = "reboot",
		[VM_DEBUG_EXIT] = "debug-exit", [VM_QUIT] = "quit", [VM_KILLED] = "killed",
		[VM_TRIPLE_FAULT] = "triple-fault", [VM_HOST_ERROR] = "host-error",
	};

	return names[end];
}

static double stats_seconds(struct timeval t)
{
	return t.tv_sec + t.tv_usec / 1e6;
}

static void stats_add_process(json_t *root, const struct machine *m)
{
	struct rusage usage;
	json_t *host = json_object();

	getrusage(RUSAGE_SELF, &usage);
	json_object_set_new(host, "wall_seconds",
			    json_real((host_clock_ns(CLOCK_MONOTONIC) - m->started_ns) / 1e9));
	json_object_set_new(host, "vcpu_seconds", json_real(m->vcpu_cpu_ns / 1e9));
	json_object_set_new(host, "user_seconds", json_real(stats_seconds(usage.ru_utime)));
	json_object_set_new(host, "system_seconds", json_real(stats_seconds(usage.ru_stime)));
	json_object_set_new(host, "max_resident_bytes",
			    json_integer((json_int_t)usage.ru_maxrss * 1024));
	json_object_set_new(root, "host", host);
}

static void stats_add_guest(json_t *root, const struct machine *m)
{
	const struct vcpu *vcpu = &m->vm.vcpu;
	json_t *guest = json_object(), *exceptions = json_object();

	json_object_set_new(guest, "ram_bytes", json_integer(m->vm.ram.size));
	json_object_set_new(guest, "resets", json_integer(m->resets));
	json_object_set_new(guest, "mmio_accesses", json_integer((json_int_t)vcpu->mmio_accesses));
	json_object_set_new(guest, "interrupts", json_integer(vcpu->interrupts));
	for (unsigned i = 0; i < RF_ARRAY_SIZE(vcpu->exceptions); i++) {
		char vector[8];

		snprintf(vector, sizeof(vector), "%u", i);
		if (vcpu->exceptions[i])
			json_object_set_new(exceptions, vector, json_integer(vcpu->exceptions[i]));
	}
	json_object_set_new(guest, "exceptions", exceptions);
	json_object_set_new(root, "guest", guest);
}

int machine_open_stats(struct machine *m, const char *path)
{
	const int fd = outputs_open(&m->vm.outputs, path);

	if (fd < 0)
		return fd;
	m->stats = fdopen(fd, "w");
	if (m->stats)
		return 0;
	close(fd);
	return -ENOMEM;
}

static int stats_dump(const json_t *root, FILE *file)
{
	int err;

	errno = 0;
	err = json_dumpf(root, file, JSON_INDENT(2)) ? -(errno ? errno : EIO) : 0;
	return fclose(file) && !err ? -errno : err;
}

int machine_write_stats(struct machine *m)
{
	const struct engine *engine = m->vm.vcpu.engine;
	json_t *root, *of_engine;
	int err;

	if (!m->stats)
		return 0;
	root = json_object();
	of_engine = json_object();
	json_object_set_new(root, "ringfence", json_string(RF_VERSION));
	json_object_set_new(root, "engine", json_string(engine->name));
	json_object_set_new(root, "end", json_string(stats_end_name(m->vm.end)));
	json_object_set_new(root, "exit_status", json_integer(m->vm.exit_code));
	stats_add_process(root, m);
	stats_add_guest(root, m);
	if (engine->stats)
		engine->stats(&m->vm.vcpu, of_engine);
	json_object_set_new(root, engine->name, of_engine);
	err = stats_dump(root, m->stats);
	m->stats = NULL;
	json_decref(root);
	return err;
}
