/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts a machine together, boots it, resets it, takes it apart: in reverse order, also when half
 * made.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "devices/board/pc_board.h"
#include "devices/bus/bus.h"
#include "engines.h"
#include "files.h"
#include "machine.h"
#include "media.h"
#include "monitor/boot/boot.h"
#include "monitor/interp/interp.h"
#include "monitor/processor/processor.h"
#include "monitor/vm/vm.h"

#define DEFAULT_CPU "max"

static struct machine *machine_of(struct vm *vm)
{
	return rf_container_of(vm, struct machine, vm);
}

/* The ends of the board's wires, under the device lock. */

static void cpu_set_level(void *vcpu, unsigned event, bool level)
{
	if (level)
		vcpu_raise_event(vcpu, event);
	else
		vcpu_clear_event(vcpu, event);
}

/* To others than its own thread, which may ask at any time, it says the usual. */
static bool cpu_interrupt_flag(void *opaque)
{
	const struct vcpu *vcpu = opaque;

	return !vcpu_is_mine(vcpu) || (vcpu->cpu.eflags & X86_IF);
}

static void cpu_raise(void *vcpu, unsigned event, uint32_t value)
{
	vcpu_raise_event(vcpu, event);
}

static void cpu_ignne(void *vcpu, unsigned n, uint32_t value)
{
	fpu_ignore_error(&((struct vcpu *)vcpu)->cpu);
}

/* Comes on the vCPU thread: a port write of its own, or a reset. */
static void cpu_set_a20(void *opaque, unsigned n, bool enabled)
{
	struct vcpu *vcpu = opaque;
	uint32_t mask = enabled ? 0xffffffffu : 0xffefffffu;

	assert(vcpu_is_mine(vcpu));
	if (vcpu->cpu.a20_mask == mask)
		return;
	vcpu->cpu.a20_mask = mask;
	vcpu_flush_translations(vcpu, TLB_FLUSH_ALL);
}

static void vm_ends(void *vm, unsigned how, uint32_t value)
{
	vm_end(vm, how, 0);
}

/* The exit status is QEMU's. */
static void vm_ends_with(void *vm, unsigned how, uint32_t value)
{
	vm_end(vm, how, (int)((value << 1 | 1) & 0xff));
}

static int64_t machine_rtc_base(const struct vm_config *config)
{
	time_t now = time(NULL);
	struct tm local;

	if (!config->rtc_localtime || !localtime_r(&now, &local))
		return now + config->rtc_offset;
	return now + local.tm_gmtoff;
}

static int machine_make_board(struct machine *m, struct error *error)
{
	const struct vm_config *config = m->config;
	struct vm *vm = &m->vm;
	struct pc_board_config board = {
		.bus = vm->bus,
		.clock = event_loop_clock(vm->loop),
		.memory = dma_guest_memory(vm),
		.ram_size = vm->ram.size,
		.intr = { cpu_set_level, &vm->vcpu, EVENT_INTR },
		.interrupt_flag = cpu_interrupt_flag,
		.interrupt_flag_opaque = &vm->vcpu,
		.nmi = { cpu_raise, &vm->vcpu, EVENT_NMI },
		.ignne = { cpu_ignne, &vm->vcpu, 0 },
		.a20 = { cpu_set_a20, &vm->vcpu, 0 },
		.reset = { vm_ends, vm, VM_REBOOT },
		.poweroff = { vm_ends, vm, VM_POWEROFF },
		.debug_exit = { vm_ends_with, vm, VM_DEBUG_EXIT },
		.gsi = vm->gsi,
		.debugcon = m->console.debugcon,
		.debugcon_iobase = config->debugcon_iobase,
		.debug_exit_iobase = config->debug_exit_iobase,
		.debug_exit_iosize = config->debug_exit ? config->debug_exit_iosize : 0,
		.hpet = !config->no_hpet,
		.rtc_base = machine_rtc_base(config),
		.no_acpi = config->no_acpi,
		.boot = config->kernel ? NULL : &config->boot,
		.vga = config->vga,
		.video_memory = video_memory_shared(&m->video),
		.vga_rom = m->display.rom.data,
		.vga_rom_size = (uint32_t)m->display.rom.size,
		.media = machine_media(m),
		.memory_map = { config->kernel ? NULL : firmware_follow_soon, &m->firmware, 0 },
	};
	struct error why = { 0 };
	int err;

	for (int i = 0; i < VM_IDE_DRIVES; i++)
		board.ide[i] = m->disks.ide[i];
	for (int i = 0; i < VM_FLOPPY_DRIVES; i++)
		board.floppy[i] = m->disks.floppy[i];
	for (int i = 0; i < VM_SERIAL_PORTS; i++)
		board.serial[i] = m->console.serial[i];
	err = pc_board_create(&board, &vm->board, &why);
	if (err == -EEXIST)
		return error_set(error, err, "devices collide: %s; give one of them another iobase",
				 why.text);
	if (err)
		return error_set(error, err, "cannot make the board: %s", error_reason(-err));
	vm->interrupt_source = (struct interrupt_source){ pc_board_acknowledge, vm->board };
	vm->store_unlocked = pc_board_store_unlocked(vm->board, &vm->store_unlocked_opaque);
	vm->ferr = pc_board_ferr(vm->board);
	vm->look = pc_board_look(vm->board);
	return 0;
}

/* What -kernel and -initrd name, put where it will go. first: not after a reset. */
static int machine_load(struct machine *m, bool first, struct error *error)
{
	struct vm *vm = &m->vm;
	struct boot_request boot = {
		.ram = &vm->ram,
		.cpu = &vm->vcpu.cpu,
		.map = &m->map,
		.kernel = m->config->kernel,
		.initrd = m->config->initrd,
		.append = m->config->append,
		.floppies = m->config->floppy[0].there + m->config->floppy[1].there,
		.second_of_day = (machine_rtc_base(m->config) % 86400 + 86400) % 86400,
		.error = error,
		.cancel = first ? m->config->cancel : &m->ended,
		.progress = first && isatty(STDERR_FILENO),
	};

	return loader_load(&boot);
}

/*
 * The CPU into its start state, and the boot image into RAM. On the vCPU thread, or before it
 * exists.
 */
static int machine_boot_image(struct machine *m, bool first, struct error *error)
{
	assert(vcpu_is_mine(&m->vm.vcpu));
	processor_reset(&m->vm.vcpu);
	return m->config->kernel ? machine_load(m, first, error) : 0;
}

static void machine_reset_engine(struct machine *m)
{
	struct vcpu *vcpu = &m->vm.vcpu;

	if (vcpu->engine && vcpu->engine->reset)
		vcpu->engine->reset(vcpu);
}

/* The rest of a boot: the board's tables, and an engine that knows nothing of what was before. */
static int machine_boot_tables(struct machine *m, struct error *error)
{
	struct vm *vm = &m->vm;
	int err;

	if (!m->config->kernel) {
		firmware_follow(&m->firmware);
		vcpu_flush_translations(&vm->vcpu, TLB_FLUSH_ALL);
		machine_reset_engine(m);
		return 0;
	}
	pthread_mutex_lock(&vm->device_lock);
	err = pc_board_write_tables(vm->board);
	pthread_mutex_unlock(&vm->device_lock);
	if (err)
		return error_set(
			error, err,
			"-m %lluM is too little for the machine's ACPI tables; give at least 2M",
			(unsigned long long)(vm->ram.size >> 20));
	vcpu_flush_translations(&vm->vcpu, TLB_FLUSH_ALL);
	machine_reset_engine(m);
	return 0;
}

/* What the processor was at, as nothing will tell any more. */
static void machine_log_reset(struct vm *vm)
{
	if (!log_on(vm->log, LOG_CPU_RESET))
		return;
	log_write(vm->log, "CPU reset\n");
	vcpu_print_state(&vm->vcpu, vm->log->out);
}

static int machine_reset(struct vm *vm)
{
	struct machine *m = machine_of(vm);
	int err;

	m->resets++;
	machine_log_reset(vm);
	pthread_mutex_lock(&vm->device_lock);
	pc_board_reset(vm->board);
	pthread_mutex_unlock(&vm->device_lock);
	err = machine_boot_image(m, false, &m->error);
	return err ? err : machine_boot_tables(m, &m->error);
}

static bool machine_has_ended(void *vm)
{
	return !vm_is_running(vm);
}

static void machine_ended(struct vm *vm)
{
	uint64_t one = 1;

	if (write(machine_of(vm)->ended_fd, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

static int machine_make_engine(struct machine *m, const struct engine *engine, const char *options,
			       struct error *why)
{
	struct vcpu *vcpu = &m->vm.vcpu;
	int err;

	*why = (struct error){ 0 };
	vcpu->engine = engine;
	err = engine->create(vcpu, options, why);
	if (!err)
		return 0;
	vcpu->engine = NULL;
	error_default(why, err, "%s", error_reason(-err));
	return error_prefix(why, err, "-accel %s", engine->name);
}

static int machine_make_model(struct machine *m, struct error *error)
{
	const char *spec = m->config->cpu ? m->config->cpu : DEFAULT_CPU;
	int err = cpu_model_parse(spec, &m->cpu_model, error);

	if (err)
		return error_prefix(error, err, "-cpu %s", spec);
	m->vm.vcpu.model = m->cpu_model;
	return 0;
}

/* Wrong options are wrong; an engine that this host cannot run gives way to the next. */
static int machine_choose_engine(struct machine *m, struct error *error)
{
	const struct vm_config *config = m->config;
	struct error why;
	int err = machine_make_engine(
		m, config->engine ? engine_find(config->engine) : engine_default(),
		config->engine_options, &why);

	for (unsigned i = 0;
	     err && err != -EINVAL && i < VM_ENGINE_FALLBACKS && config->engine_fallback[i];
	     i++) {
		const struct engine *next = engine_find(config->engine_fallback[i]);

		assert(next);
		fprintf(stderr, "ringfence: %s; going on with -accel %s\n", why.text, next->name);
		err = machine_make_engine(m, next, NULL, &why);
	}
	return err ? error_set(error, err, "%s", why.text) : 0;
}

/* Guest RAM is one file to the host, which has no name and is in memory. */
static int machine_ram_exceeds(uint64_t size, struct error *error)
{
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_FSIZE, &limit);
	return error_set(error, -EFBIG,
			 "-m %lluM is more than the limit on the size of files, %llu KiB, which "
			 "counts guest RAM as well; raise it (ulimit -f unlimited) or give less "
			 "with -m",
			 (unsigned long long)(size >> 20),
			 (unsigned long long)(limit.rlim_cur >> 10));
}

static int machine_make_ram(struct machine *m, struct error *error)
{
	const uint64_t size = m->config->ram_size;
	gpa_t acpi_base;
	uint64_t acpi_size;
	int err = guest_ram_init(&m->vm.ram, size);

	if (err == -EFBIG)
		return machine_ram_exceeds(size, error);
	if (err)
		return error_set(error, err, "cannot get %llu MiB of guest RAM: %s%s",
				 (unsigned long long)(size >> 20), error_reason(err),
				 err == -EMFILE ? "" : "; give less with -m");
	err = video_memory_create(&m->video, &m->vm, m->config, error);
	if (err)
		return err;
	if (!m->config->kernel) {
		err = firmware_create(&m->firmware, &m->vm, m->config, error);
		return err ? err : display_parts_load(&m->display, m->config, error);
	}
	pc_board_acpi_area(size, &acpi_base, &acpi_size);
	memory_map_build(&m->map, size, acpi_base, m->config->no_acpi ? 0 : acpi_size);
	return 0;
}

static int machine_make_parts(struct machine *m, struct error *error)
{
	struct vm *vm = &m->vm;
	int err = vcpu_init(&vm->vcpu, vm);

	if (!err)
		err = bus_create(&vm->bus);
	if (!err)
		err = event_loop_create(&vm->device_lock, &vm->loop);
	return err ? error_set(error, err, "cannot set up the machine: %s", error_reason(err)) : 0;
}

static int machine_open_log(struct machine *m, struct error *error)
{
	const struct vm_config *config = m->config;
	int err = log_open(&m->log, &m->vm.outputs, config->log_items, config->log_path);

	m->vm.log = &m->log;
	return err ? error_set(error, err, "cannot write the log '%s': %s", config->log_path,
			       error_reason(-err)) :
		     0;
}

/*
 * What does not write to the host's files. What is wrong with the command line or its files comes
 * before what the host lacks: another host would not help.
 */
static int machine_make_inside(struct machine *m, struct error *error)
{
	int err = files_check(m->config, error);

	if (err)
		return err;
	m->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->ended_fd < 0)
		return error_set(error, -errno, "cannot make an eventfd: %s",
				 error_reason(errno));
	err = machine_make_ram(m, error);
	if (!err)
		err = machine_make_parts(m, error);
	if (!err)
		err = machine_make_model(m, error);
	if (!err)
		err = disks_open(&m->disks, &m->vm, m->config, error);
	return err ? err : machine_boot_image(m, true, error);
}

static int machine_make_stats(struct machine *m, struct error *error)
{
	const char *path = m->config->stats_path;
	int err = path ? machine_open_stats(m, path) : 0;

	return err ? error_set(error, err, "-accel: cannot write the statistics '%s': %s", path,
			       error_reason(-err)) :
		     0;
}

/*
 * Outputs are opened, and emptied, when what is read has been, and no other machine has the same
 * -pidfile, whose outputs they may be.
 */
static int machine_make(struct machine *m, struct error *error)
{
	const char *pidfile = m->config->pidfile;
	int err = machine_make_inside(m, error);

	if (!err && pidfile)
		err = pidfile_open(&m->pidfile, pidfile, error);
	if (!err)
		err = machine_open_log(m, error);
	if (!err)
		err = machine_choose_engine(m, error);
	if (!err)
		err = console_open(&m->console, &m->vm, m->config, error);
	if (!err)
		err = machine_make_board(m, error);
	if (!err)
		err = display_parts_open(&m->display, &m->vm, m->config, error);
	if (!err)
		err = machine_boot_tables(m, error);
	if (!err)
		err = machine_make_stats(m, error);
	if (!err && pidfile)
		err = pidfile_write(&m->pidfile, error);
	if (!err)
		outputs_begin(&m->vm.outputs);
	return err;
}

int machine_create(const struct vm_config *config, struct machine **out, struct error *error)
{
	struct machine *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return error_set(error, -ENOMEM, "no memory");
	m->config = config;
	m->ended_fd = -1;
	m->ended = (struct cancel){ -1, machine_has_ended, &m->vm };
	m->vm.ram.fd = -1;
	vm_init(&m->vm);
	m->vm.name = config->name;
	m->vm.outputs = (struct outputs){ .held = true, .cancel = config->cancel };
	m->vm.uuid = config->uuid;
	m->vm.rtc_runs_on = !config->rtc_stops;
	m->vm.version = RF_VERSION;
	m->vm.host = config->host;
	m->vm.no_reboot = config->no_reboot;
	m->vm.no_shutdown = config->no_shutdown;
	m->vm.way_out = console_way_out(config);
	m->vm.paused = config->start_paused;
	m->vm.reset = machine_reset;
	m->vm.ended = machine_ended;
	err = machine_make(m, error);
	if (err) {
		machine_destroy(m);
		return err;
	}
	*out = m;
	return 0;
}

/* Requests to disks end meanwhile, under the lock. */
static void machine_destroy_board(struct machine *m)
{
	pthread_mutex_lock(&m->vm.device_lock);
	pc_board_destroy(m->vm.board);
	pthread_mutex_unlock(&m->vm.device_lock);
}

bool machine_destroy(struct machine *m)
{
	struct vm *vm;
	bool lost;

	if (!m)
		return true;
	vm = &m->vm;
	display_parts_close(&m->display);
	if (vm->board)
		machine_destroy_board(m);
	disks_close(&m->disks);
	display_parts_free(&m->display);
	console_close(&m->console);
	if (vm->vcpu.engine)
		vm->vcpu.engine->destroy(&vm->vcpu);
	event_loop_destroy(vm->loop);
	if (vm->bus)
		bus_destroy(vm->bus);
	if (vm->vcpu.vm)
		vcpu_destroy(&vm->vcpu);
	firmware_destroy(&m->firmware);
	if (vm->ram.flat)
		guest_ram_destroy(&vm->ram);
	free(m->cpu_model);
	if (m->ended_fd >= 0)
		close(m->ended_fd);
	lost = !log_close(&m->log) || vm->output_lost;
	if (m->stats)
		fclose(m->stats);
	pidfile_remove(&m->pidfile);
	free(m);
	return !lost;
}

static void *machine_vcpu_thread(void *opaque)
{
	struct machine *m = opaque;
	struct vcpu *vcpu = &m->vm.vcpu;

	vcpu_thread_begins(vcpu);
	vcpu_thread_loop(vcpu);
	vcpu_thread_ends(vcpu);
	m->vcpu_cpu_ns = host_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

int machine_start(struct machine *m)
{
	int err = event_loop_start(m->vm.loop);

	if (err)
		return err;
	m->started_ns = host_clock_ns(CLOCK_MONOTONIC);
	err = -pthread_create(&m->vcpu_thread, NULL, machine_vcpu_thread, m);
	if (err)
		event_loop_stop(m->vm.loop);
	return err;
}

void machine_stop(struct machine *m)
{
	pthread_join(m->vcpu_thread, NULL);
	event_loop_stop(m->vm.loop);
}
