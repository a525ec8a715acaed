/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ringfence: the program. This thread makes the machine, and then waits for its end and for signals
 * (signals.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "daemon.h"
#include "machine.h"
#include "options.h"
#include "signals.h"
#include "monitor/backends/backends.h"

#define ARENA_STEP (1 << 20)
#define TERMINAL_STEP_MS 200 /* how often a terminal that is another's is looked at */

enum exit_status { STATUS_OK = 0, STATUS_ERROR = 1 };

static void wait_for_end(struct machine *machine, struct signals *signals)
{
	struct pollfd p[2] = { { .fd = machine->ended_fd, .events = POLLIN },
			       { .fd = signals->fd, .events = POLLIN } };

	while (vm_is_running(&machine->vm)) {
		if (signals_take(signals)) {
			vm_end(&machine->vm, VM_QUIT, signals_status(signals));
			signals_tell(signals);
			return;
		}
		if (poll(p, 2, terminal_enter() ? -1 : TERMINAL_STEP_MS) < 0 && errno != EINTR)
			return;
	}
}

static int run(struct machine *machine, const struct vm_config *config, struct signals *signals,
	       struct daemon *daemon)
{
	int err = machine_start(machine);
	int status;

	if (err) {
		fprintf(stderr, "ringfence: cannot start threads: %s\n", error_reason(-err));
		return STATUS_ERROR;
	}
	daemon_ready(daemon, config->log_items && !config->log_path);
	wait_for_end(machine, signals);
	machine_stop(machine);
	status = machine->vm.exit_code;
	if (machine->vm.end == VM_HOST_ERROR)
		fprintf(stderr, "ringfence: %s\n", machine->error.text);
	err = machine_write_stats(machine);
	if (err) {
		fprintf(stderr, "ringfence: cannot write statistics to '%s': %s\n",
			config->stats_path, error_reason(-err));
		status = status ? status : STATUS_ERROR;
	}
	return status;
}

/*
 * Were one of them closed, the next file that is opened would take its place, and the guest's
 * output go there. What stands in for it can only be read, so that writing fails.
 */
static void open_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
			return;
	}
}

static void print_lines(const char *lines, const char *before)
{
	for (const char *line = lines; line && *line; line = strchr(line, '\n') + 1)
		fprintf(stderr, "ringfence: %s%.*s\n", before, (int)strcspn(line, "\n"), line);
}

/*
 * The C library's arena of a thread grows by a page at a time, with a system call and a first touch
 * for each, which is dear on some hosts. The common one grows in larger steps.
 */
static void use_one_arena(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TOP_PAD, ARENA_STEP);
}

/* The machine that config wants, or the exit status for having none. */
static int make(const struct vm_config *config, struct signals *signals, struct machine **machine)
{
	struct error error = { 0 };
	int err = signals_open(signals);

	if (err)
		error_set(&error, err, "cannot watch for signals: %s", error_reason(-err));
	else
		err = machine_create(config, machine, &error);
	if (!err)
		return STATUS_OK;
	if (signals_take(signals)) {
		signals_tell(signals);
		return signals_status(signals);
	}
	fprintf(stderr, "ringfence: %s\n", error.text);
	return STATUS_ERROR;
}

/* What the configuration says of the process itself. */
static int prepare_process(const struct vm_config *config, struct daemon *daemon)
{
	struct error error = { 0 };

	if (config->process_name)
		prctl(PR_SET_NAME, config->process_name);
	if (!config->daemonize || !daemon_begin(daemon, &error))
		return STATUS_OK;
	fprintf(stderr, "ringfence: %s\n", error.text);
	return STATUS_ERROR;
}

static int run_process(struct vm_config *config)
{
	struct machine *machine = NULL;
	struct daemon daemon = { .ready_fd = -1 };
	struct signals signals;
	int status = prepare_process(config, &daemon);

	if (status != STATUS_OK)
		return status;
	use_one_arena();
	config->cancel = &signals.cancel;
	status = make(config, &signals, &machine);
	if (machine) {
		print_lines(config->notes, "note: ");
		status = run(machine, config, &signals, &daemon);
	}
	if (!machine_destroy(machine) && status == STATUS_OK)
		status = STATUS_ERROR;
	return status;
}

int main(int argc, char **argv)
{
	struct vm_config config;
	enum options_result result;
	int status = STATUS_OK;

	open_standard_files();
	result = options_parse(argc, argv, &config);
	if (result == OPTIONS_RUN) {
		status = run_process(&config);
	} else if (result == OPTIONS_ERROR) {
		print_lines(config.refusals, "");
		status = STATUS_ERROR;
	}
	options_free(&config);
	return status;
}
