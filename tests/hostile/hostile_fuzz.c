/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs hostile guests, thousands of short-lived machines, each with a deadline. See hostile.h and
 * --help.
 *
 * A worker process runs the machines, so that one that crashes or hangs the monitor is a finding
 * and not the end. What the worker does is in memory shared with its parent, which notices when
 * nothing moves.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>
#include "devices/board/pc_board.h"
#include "hostile.h"
#include "monitor/bt/internal.h"

#define CASES_PER_WORKER 1000
#define SETTLED_AFTER 100  /* cases after which nothing may grow any more */
#define RSS_MARGIN_KIB (96 << 10)
/*
 * A guest that may have seen a host address is run this often: with some that fill RAM with
 * counters, one run in three has a value by chance that lies in a window.
 */
#define REPEATS 8
#define CONFIRMATIONS 4 /* and again, in other processes */
#define KERNEL_SIZE 0x9000

/* Written by the worker. */
struct progress {
	_Atomic uint64_t started, finished; /* cases */
	char what[HX_OPTIONS_SIZE + 32];     /* engine and options of the one under way */
	char found[512];                     /* what is wrong with it; empty: nothing */
	bool suspicion;                      /* that may be a coincidence */
	uint64_t coincidences;               /* numbers like addresses, which did not come again */
	uint64_t ends[VM_HOST_ERROR + 1], exceptions, interrupts, tus;
	struct {
		char text[96];
		uint64_t count;
	} reasons[16]; /* why guests were stopped */
};

/* --- one guest --- */

static const char *const bt_options[] = {
	NULL, NULL, "verify=on", "verify=on,flush-every=5", "host=-bmi2",
	"host=-bmi2,verify=on,soft=always", "links=off", "tu-insns=1", "cache-kib=256", "windows=2",
	"tables=compare", "tables=trace", "soft=always", "soft=off",
	"fill-around=off", "cache-kib=256,windows=2,tables=trace",
	"tu-insns=1,soft=always,verify=on", "windows=2,fill-around=off", "flush-every=1",
	"host=-bmi2", "host=-bmi2,soft=always,verify=on",
};

struct one {
	struct random_source r;
	struct vm_config config;
	char options[HX_OPTIONS_SIZE];
	uint64_t seed;
};

static void write_kernel(struct random_source *r, int fd)
{
	static const uint8_t elf[] = {
		0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 1, 0, 0, 0, 0,
		0, 0x10, 0, 52, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		52, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0, 0,
		1, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0, 0x80, 0, 0, 0, 0x80, 0,
		0, 7, 0, 0, 0, 0, 0x10, 0, 0,
	};
	uint8_t image[KERNEL_SIZE] = { 0 };

	memcpy(image, elf, sizeof(elf));
	hostile_code(r, image + 0x1000, KERNEL_SIZE - 0x1000, HX_CODE, 1);
	if (pwrite(fd, image, sizeof(image), 0) != sizeof(image))
		abort();
}

static void one_configure(struct one *one, const struct hostile_settings *set, uint64_t seed,
			  int kernel_fd, const char *kernel)
{
	static const uint32_t megabytes[] = { 4, 4, 8, 8, 16, 33 };
	bool bt;

	memset(one, 0, sizeof(*one));
	one->seed = seed;
	random_seed(&one->r, seed);
	bt = set->bt && (!set->interp || random_next(&one->r) % 4);
	one->config.engine = bt ? "bt" : "interp";
	if (bt && (set->options || bt_options[seed % RF_ARRAY_SIZE(bt_options)])) {
		snprintf(one->options, sizeof(one->options), "%s",
			 set->options ? set->options :
					bt_options[seed % RF_ARRAY_SIZE(bt_options)]);
		one->config.engine_options = one->options;
	}
	one->config.ram_size = (uint64_t)megabytes[random_next(&one->r) % RF_ARRAY_SIZE(megabytes)]
			       << 20;
	if (random_next(&one->r) % 64 == 0)
		one->config.ram_size = 1024ull << 20;
	one->config.kernel = kernel;
	one->config.serial[0] = one->config.serial[1] = "null";
	one->config.debugcon = "null";
	one->config.debug_exit = true;
	one->config.debug_exit_iobase = 0x501;
	one->config.debug_exit_iosize = 2;
	one->config.no_reboot = random_next(&one->r) % 8;
	one->config.no_shutdown = random_next(&one->r) % 4 == 0;
	write_kernel(&one->r, kernel_fd);
}

static void sleep_us(unsigned us)
{
	nanosleep(&(struct timespec){ us / 1000000, us % 1000000 * 1000 }, NULL);
}

/* Things that happen to a machine from outside. */
static void disturb(struct random_source *r, struct vm *vm)
{
	switch (random_next(r) % 32) {
	case 0:
		vm_pause(vm);
		sleep_us(random_next(r) % 500);
		vm_continue(vm);
		break;
	case 1: vcpu_raise_event(&vm->vcpu, EVENT_NMI); break;
	case 2: vm_end(vm, VM_REBOOT, 0); break;
	case 3:
		pthread_mutex_lock(&vm->device_lock);
		pc_board_power_button(vm->board);
		pc_board_keyboard_put(vm->board, (const uint8_t[]){ 0x1c, 0xf0, 0x1c }, 3);
		pthread_mutex_unlock(&vm->device_lock);
		break;
	}
}

static void one_run(struct one *one, struct machine *machine)
{
	struct vm *vm = &machine->vm;
	unsigned left = random_next(&one->r) % 50 ? 500 + random_next(&one->r) % 15000 : 150000;

	while (vm_is_running(vm) && left) {
		unsigned slice = 200 + random_next(&one->r) % 1500;

		slice = slice < left ? slice : left;
		sleep_us(slice);
		left -= slice;
		disturb(&one->r, vm);
	}
	vm_end(vm, VM_QUIT, 0);
	machine_stop(machine);
}

static void count_reason(struct progress *p, const char *reason)
{
	char text[sizeof(p->reasons[0].text)];
	unsigned n = 0;

	/* Addresses differ each time: what follows them is the reason. */
	if (strstr(reason, " needs "))
		reason = strstr(reason, " needs ") + 1;
	snprintf(text, sizeof(text), "%.90s", reason);
	while (n + 1 < RF_ARRAY_SIZE(p->reasons) && p->reasons[n].count &&
	       strcmp(p->reasons[n].text, text))
		n++;
	memcpy(p->reasons[n].text, text, sizeof(text));
	p->reasons[n].count++;
}

static void count(struct progress *p, struct machine *machine)
{
	const struct vcpu *vcpu = &machine->vm.vcpu;

	p->ends[machine->vm.end]++;
	for (unsigned v = 0; v < RF_ARRAY_SIZE(vcpu->exceptions); v++)
		p->exceptions += vcpu->exceptions[v];
	p->interrupts += vcpu->interrupts;
	if (!strcmp(vcpu->engine->name, "bt")) {
		const struct bt *bt = vcpu->engine_data;

		p->tus += translator_stats(bt->translator)->tus;
	}
	if (machine->vm.end == VM_KILLED)
		count_reason(p, machine->vm.kill_reason);
}

/* What is wrong, or NULL. */
static const char *one_judge(struct machine *machine, struct hostile_watch *watch, bool *maybe)
{
	const char *reason = machine->vm.kill_reason;

	*maybe = false;
	if (machine->vm.end == VM_HOST_ERROR)
		return machine->error.text;
	if (machine->vm.end == VM_KILLED && (strstr(reason, "host") || strstr(reason, "internal")))
		return reason;
	return hostile_watch_check(watch, machine, maybe);
}

/* Runs the guest; found (of size) is what is wrong. */
static void one_case(struct one *one, struct hostile_watch *watch, struct progress *p, char *found,
		     size_t size, bool *maybe)
{
	struct error error = { 0 };
	struct machine *machine;
	const char *why;

	*maybe = false;
	if (machine_create(&one->config, &machine, &error)) {
		snprintf(found, size, "no machine: %.400s", error.text);
		return;
	}
	hostile_world(&one->r, machine);
	hostile_watch_start(watch, machine);
	if (machine_start(machine)) {
		snprintf(found, size, "no threads");
		machine_destroy(machine);
		return;
	}
	one_run(one, machine);
	count(p, machine);
	why = one_judge(machine, watch, maybe);
	snprintf(found, size, "%s", why ? why : "");
	machine_destroy(machine);
}

/* --- the worker --- */

struct footprint {
	unsigned descriptors, mappings;
	unsigned long resident_kib;
};

static void measure(struct footprint *f)
{
	DIR *d = opendir("/proc/self/fd");
	FILE *maps = fopen("/proc/self/maps", "re"), *status = fopen("/proc/self/status", "re");
	char line[512];

	memset(f, 0, sizeof(*f));
	while (d && readdir(d))
		f->descriptors++;
	while (maps && fgets(line, sizeof(line), maps))
		f->mappings++;
	while (status && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "RssAnon: %lu", &f->resident_kib) == 1)
			break;
	}
	if (d)
		closedir(d);
	if (maps)
		fclose(maps);
	if (status)
		fclose(status);
}

static void check_footprint(const struct footprint *before, struct progress *p)
{
	struct footprint now;

	measure(&now);
	if (now.descriptors > before->descriptors)
		snprintf(p->found, sizeof(p->found), "%u descriptors are left over",
			 now.descriptors - before->descriptors);
	else if (now.mappings > before->mappings + 64)
		snprintf(p->found, sizeof(p->found), "mappings went from %u to %u",
			 before->mappings, now.mappings);
	else if (now.resident_kib > before->resident_kib + RSS_MARGIN_KIB)
		snprintf(p->found, sizeof(p->found), "resident memory went from %lu to %lu KiB",
			 before->resident_kib, now.resident_kib);
}

/* A suspicion is a finding if it comes again with windows elsewhere. */
static void worker_case(const struct hostile_settings *set, uint64_t seed, int kernel_fd,
			const char *kernel, struct hostile_watch *watch, struct progress *p)
{
	char found[sizeof(p->found)];
	struct one one;
	bool maybe;

	for (unsigned turn = 0; turn < REPEATS; turn++) {
		one_configure(&one, set, seed, kernel_fd, kernel);
		snprintf(p->what, sizeof(p->what), "%s%s%s", one.config.engine,
			 one.options[0] ? "," : "", one.options);
		one_case(&one, watch, p, found, sizeof(found), &maybe);
		if (!found[0])
			return;
		if (!maybe)
			break;
		hostile_watch_move_windows(watch);
	}
	memcpy(p->found, found, sizeof(found));
	p->suspicion = maybe;
}

struct standing {
	struct vm_work work; /* first */
	_Atomic bool yes;
};

static void note_standing(struct vcpu *vcpu, struct vm_work *work)
{
	((struct standing *)work)->yes = true;
}

static void make_stand(struct vm *vm)
{
	struct standing standing = { .work.run = note_standing };

	vm_pause(vm);
	vm_queue_work(vm, &standing.work);
	while (!standing.yes && vm_is_running(vm))
		sleep_us(1000);
	sleep_us(1000);
}

/* A machine that stands still while others run: nobody may touch its memory. */
static struct machine *make_bystander(struct one *one)
{
	struct machine *machine;

	if (machine_create(&one->config, &machine, NULL))
		return NULL;
	hostile_world(&one->r, machine);
	if (machine_start(machine)) {
		machine_destroy(machine);
		return NULL;
	}
	sleep_us(5000);
	make_stand(&machine->vm);
	return machine;
}

static uint64_t checksum(const struct machine *machine)
{
	const struct guest_ram *ram = &machine->vm.ram;
	uint64_t sum = 0, word;
	off_t at = 0, end;

	while ((at = lseek(ram->fd, at, SEEK_DATA)) >= 0) {
		end = lseek(ram->fd, at, SEEK_HOLE);
		for (; at < end; at += 8) {
			memcpy(&word, ram->flat + at, 8);
			sum = (sum ^ word) * 0x9e3779b97f4a7c15ull + at;
		}
	}
	return sum;
}

static void worker(const struct hostile_settings *set, uint64_t seed, uint64_t cases, time_t until,
		   struct progress *p)
{
	int kernel_fd = memfd_create("kernel", 0);
	struct footprint settled = { 0 };
	struct machine *bystander;
	struct random_source r;
	struct hostile_watch *watch;
	char kernel[64];
	struct one first;
	uint64_t sum;

	random_seed(&r, seed ^ getpid());
	snprintf(kernel, sizeof(kernel), "/proc/self/fd/%d", kernel_fd);
	watch = hostile_watch_create(&r);
	one_configure(&first, set, seed + 1, kernel_fd, kernel);
	bystander = make_bystander(&first);
	if (!watch || !bystander)
		exit(2);
	sum = checksum(bystander);
	for (uint64_t n = 0; n < cases && (!until || time(NULL) < until); n++) {
		if (ftruncate(2, 0) || lseek(2, 0, SEEK_SET) < 0)
			exit(2);
		p->found[0] = 0;
		p->suspicion = false;
		p->started++;
		worker_case(set, seed + n, kernel_fd, kernel, watch, p);
		if (!p->found[0] && checksum(bystander) != sum)
			snprintf(p->found, sizeof(p->found), "another machine's memory changed");
		if (n == SETTLED_AFTER)
			measure(&settled);
		if (n > SETTLED_AFTER && n % 50 == 0 && !p->found[0])
			check_footprint(&settled, p);
		if (p->found[0])
			_exit(1);
		p->finished++;
	}
	vm_end(&bystander->vm, VM_QUIT, 0);
	machine_stop(bystander);
	machine_destroy(bystander);
	hostile_watch_destroy(watch);
	exit(0);
}

/* --- whether it would notice --- */

enum sabotage {
	SABOTAGE_NONE, SABOTAGE_RAM, SABOTAGE_FPU, SABOTAGE_LOW, SABOTAGE_OVER, SABOTAGE_HIGH,
	SABOTAGE_TWICE, SABOTAGE_STATE, SABOTAGE_NKINDS
};

static void touch(uint64_t address)
{
	(void)*(volatile uint8_t *)(uintptr_t)address;
}

/* Where a read outside the window goes; 0: it is sabotage of another kind. */
static uint64_t sabotaged_place(enum sabotage what, const struct machine *machine)
{
	const struct bt *bt = machine->vm.vcpu.engine_data;
	const uint64_t window = bt->space->window[SHADOW_KERNEL].v;

	switch (what) {
	case SABOTAGE_OVER: return 8 * HOST_WINDOW_SIZE + HX_DATA;
	case SABOTAGE_HIGH: return window + HOST_WINDOW_SIZE + HOST_WINDOW_GUARD_ABOVE + HX_DATA;
	case SABOTAGE_TWICE: return 2 * window + HX_DATA;
	default: return 0;
	}
}

static void sabotage(enum sabotage what, struct machine *machine)
{
	struct cpu *cpu = &machine->vm.vcpu.cpu;
	const uint64_t address = (uintptr_t)sabotage;

	switch (what) {
	case SABOTAGE_NONE: break;
	case SABOTAGE_RAM: memcpy(machine->vm.ram.flat + HX_DATA + 0x344, &address, 8); break;
	case SABOTAGE_FPU: memcpy(&cpu->fpu.fip, &address, 8); break;
	case SABOTAGE_LOW: *(volatile uint8_t *)(uintptr_t)(HX_TRAPPED_LOW + HX_DATA) = 1; break;
	case SABOTAGE_STATE: cpu->eflags &= ~X86_F1; break;
	default: touch(sabotaged_place(what, machine)); break;
	}
}

static int self_test(struct hostile_settings *set)
{
	static const char *const names[] = { "nothing",
					     "a host address in RAM",
					     "a host address in the FPU",
					     "a write below 4 GiB",
					     "a read above 4 GiB",
					     "a read behind a window's guard",
					     "a read at twice a window's base",
					     "reserved EFLAGS" };
	int kernel_fd = memfd_create("kernel", 0), failed = 0;
	struct random_source r;
	struct hostile_watch *watch;
	char kernel[64];

	random_seed(&r, 1);
	watch = hostile_watch_create(&r);
	snprintf(kernel, sizeof(kernel), "/proc/self/fd/%d", kernel_fd);
	set->interp = false;
	for (enum sabotage what = 0; what < SABOTAGE_NKINDS; what++) {
		struct machine *machine;
		const char *why;
		struct one one;
		bool maybe;

		one_configure(&one, set, 30, kernel_fd, kernel);
		if (machine_create(&one.config, &machine, NULL))
			return 2;
		hostile_world(&one.r, machine);
		hostile_watch_start(watch, machine);
		if (machine_start(machine))
			return 2;
		sleep_us(2000);
		vm_end(&machine->vm, VM_QUIT, 0);
		machine_stop(machine);
		if (sabotaged_place(what, machine) &&
		    !hostile_watch_traps(watch, sabotaged_place(what, machine))) {
			printf("ok      %s: not tried, something lies there in this build\n",
			       names[what]);
			machine_destroy(machine);
			continue;
		}
		sabotage(what, machine);
		why = one_judge(machine, watch, &maybe);
		if (!why == !what)
			printf("ok      %s: %s\n", names[what], why ? why : "no finding");
		else
			printf("FAILED  %s: %s\n", names[what], why ? why : "not noticed"),
				failed++;
		machine_destroy(machine);
	}
	hostile_watch_destroy(watch);
	return failed != 0;
}

/* --- the parent --- */

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/*
 * Waits for the worker as long as it gets on. Returns its wait status; -1: it hung and was killed.
 */
static int await(pid_t pid, struct progress *p, unsigned patience)
{
	uint64_t started = p->started;
	double since = now_seconds();
	int status;

	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		if (p->started != started) {
			started = p->started;
			since = now_seconds();
		} else if (now_seconds() - since > patience) {
			kill(pid, SIGABRT);
			waitpid(pid, &status, 0);
			return -1;
		}
		sleep_us(2000);
	}
}

static void print_file(FILE *f)
{
	char line[512];

	rewind(f);
	while (fgets(line, sizeof(line), f))
		printf("    %s", line);
}

static const char *describe(int status, const struct progress *p, char *text, size_t size)
{
	if (status == -1)
		snprintf(text, size, "the monitor hung");
	else if (WIFSIGNALED(status))
		snprintf(text, size, "the monitor died of signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else if (p->found[0])
		snprintf(text, size, "%s", p->found);
	else
		snprintf(text, size, "the monitor ended with status %d", WEXITSTATUS(status));
	return text;
}

static void summary(const struct progress *p)
{
	printf("ends: deadline %llu, shutdown or reset %llu, power-off %llu, debug exit %llu, "
	       "stopped with a report %llu\n",
	       (unsigned long long)p->ends[VM_QUIT],
	       (unsigned long long)(p->ends[VM_TRIPLE_FAULT] + p->ends[VM_REBOOT]),
	       (unsigned long long)p->ends[VM_POWEROFF], (unsigned long long)p->ends[VM_DEBUG_EXIT],
	       (unsigned long long)p->ends[VM_KILLED]);
	printf("%llu exceptions and %llu interrupts delivered, %llu translation units made\n",
	       (unsigned long long)p->exceptions, (unsigned long long)p->interrupts,
	       (unsigned long long)p->tus);
	if (p->coincidences)
		printf("%llu guest%s had a number like a host address, but not when run again\n",
		       (unsigned long long)p->coincidences, p->coincidences == 1 ? "" : "s");
	for (unsigned n = 0; n < RF_ARRAY_SIZE(p->reasons); n++) {
		if (p->reasons[n].count)
			printf("    %llu stopped: %s\n", (unsigned long long)p->reasons[n].count,
			       p->reasons[n].text);
	}
}

/* Runs the program anew; whether it finds something, or cannot tell. */
static bool suspected_again(char *const arguments[])
{
	const pid_t pid = fork();
	int status;

	if (!pid) {
		const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(null, 1);
		execv("/proc/self/exe", arguments);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || status;
}

/*
 * What looks like an address of the host can be a number of the guest's own, the same each time,
 * that happens to lie where the host has put a mapping. In another process mappings lie elsewhere:
 * there it would have to look like one again, in half of them at least: a guest that makes many
 * such numbers (of a TSC that it has set itself) has one in a mapping now and then.
 */
static bool confirmed(const struct hostile_settings *set, uint64_t seed)
{
	char seed_text[24], *arguments[] = { "hostile-fuzz",
					     "--seed",
					     seed_text,
					     "--cases",
					     "1",
					     "--engine",
					     set->bt && set->interp ? "both" :
					     set->bt                ? "bt" :
								      "interp",
					     "--unconfirmed",
					     set->options ? "--options" : NULL,
					     (char *)set->options,
					     NULL };
	unsigned again = 0;

	snprintf(seed_text, sizeof(seed_text), "%llu", (unsigned long long)seed);
	for (unsigned n = 0; n < CONFIRMATIONS; n++)
		again += suspected_again(arguments);
	return again >= CONFIRMATIONS / 2;
}

static int fuzz(const struct hostile_settings *set)
{
	struct progress *p =
		mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const time_t until = set->seconds ? time(NULL) + set->seconds : 0;
	uint64_t failed = 0;

	if (p == MAP_FAILED)
		return 2;
	while (p->started < set->cases && (!until || time(NULL) < until)) {
		const uint64_t left = set->cases - p->started,
			       cases = left < CASES_PER_WORKER ? left : CASES_PER_WORKER;
		FILE *log = tmpfile();
		char text[600];
		int status;
		pid_t pid;

		fflush(stdout);
		pid = log ? fork() : -1;
		if (pid < 0)
			return 2;
		if (!pid) {
			dup2(fileno(log), 2);
			worker(set, set->seed + p->started, cases, until, p);
		}
		status = await(pid, p, set->patience);
		if (status > 0 && WIFEXITED(status) && p->suspicion && !set->unconfirmed &&
		    !confirmed(set, set->seed + p->started - 1)) {
			p->coincidences++;
			p->finished++;
		} else if (status) {
			failed++;
			printf("FAILED  --seed %llu --cases 1 (%s): %s\n",
				(unsigned long long)(set->seed + p->started - 1), p->what,
			       describe(status, p, text, sizeof(text)));
			print_file(log);
		} else if (set->verbose)
			printf("%llu guest%s\n", (unsigned long long)p->finished,
			       p->finished == 1 ? "" : "s");
		fclose(log);
	}
	summary(p);
	if (p->finished > 20 && (!p->exceptions || (set->bt && !p->tus))) {
		printf("FAILED  these guests did nothing\n");
		failed++;
	}
	printf("hostile guests: %llu passed, %llu failed\n", (unsigned long long)p->finished,
	       (unsigned long long)failed);
	return failed != 0;
}

int main(int argc, char **argv)
{
	struct hostile_settings set;

	if (!hostile_options_parse(&set, argc, argv))
		return 2;
	if (set.self_test)
		return self_test(&set);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("first seed %llu\n", (unsigned long long)set.seed);
	return fuzz(&set);
}
