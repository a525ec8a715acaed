/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ringfence: the program. Signals that end it are taken by this thread alone, through a signalfd,
 * so that the tty comes back and statistics are written; crashes restore the tty and then take
 * their course.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "machine.h"
#include "options.h"
#include "monitor/backends/backends.h"

#define ARENA_STEP (1 << 20)

enum exit_status { STATUS_OK = 0, STATUS_ERROR = 1 };

static void crash_handler(int signal_number)
{
	terminal_restore();
	/* blocked until we return, and then the default action: SA_RESETHAND */
	raise(signal_number);
}

static void install_crash_handlers(void)
{
	static const int crashes[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGQUIT, SIGTRAP };
	struct sigaction action = { .sa_handler = crash_handler, .sa_flags = SA_RESETHAND };

	for (size_t i = 0; i < RF_ARRAY_SIZE(crashes); i++)
		sigaction(crashes[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/*
 * Blocks the signals that ask us to end, in all threads to come, and returns a descriptor they are
 * read from.
 */
static int open_end_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void wait_for_end(struct machine *machine, int signal_fd)
{
	struct pollfd p[2] = { { .fd = machine->ended_fd, .events = POLLIN },
			       { .fd = signal_fd, .events = POLLIN } };

	while (vm_is_running(&machine->vm)) {
		struct signalfd_siginfo info;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
			continue;
		fprintf(stderr, "ringfence: terminating on signal %u\n", info.ssi_signo);
		vm_end(&machine->vm, VM_QUIT, 0);
	}
}

static int run(struct machine *machine, const struct vm_config *config, int signal_fd)
{
	int err = machine_start(machine);
	int status;

	if (err) {
		fprintf(stderr, "ringfence: cannot start threads: %s\n", strerror(-err));
		return STATUS_ERROR;
	}
	wait_for_end(machine, signal_fd);
	machine_stop(machine);
	status = machine->vm.exit_code;
	if (machine->vm.end == VM_HOST_ERROR)
		fprintf(stderr, "ringfence: %s\n", machine->error.text);
	err = machine_write_stats(machine);
	if (err) {
		fprintf(stderr, "ringfence: cannot write statistics to '%s': %s\n",
			config->stats_path, strerror(-err));
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

static void print_notes(const char *notes)
{
	for (const char *line = notes; line && *line; line = strchr(line, '\n') + 1)
		fprintf(stderr, "ringfence: note: %.*s\n", (int)strcspn(line, "\n"), line);
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

int main(int argc, char **argv)
{
	struct vm_config config;
	struct machine *machine;
	struct error error = { 0 };
	enum options_result result;
	int err, status, signal_fd;

	open_standard_files();
	result = options_parse(argc, argv, &config, &error);

	if (result != OPTIONS_RUN) {
		if (result == OPTIONS_ERROR)
			fprintf(stderr, "ringfence: %s\n", error.text);
		options_free(&config);
		return result == OPTIONS_ERROR ? STATUS_ERROR : STATUS_OK;
	}
	use_one_arena();
	install_crash_handlers();
	signal_fd = open_end_signals();
	err = signal_fd < 0 ?
		      error_set(&error, -errno, "cannot watch for signals: %s", strerror(errno)) :
		      machine_create(&config, &machine, &error);
	if (err) {
		fprintf(stderr, "ringfence: %s\n", error.text);
		options_free(&config);
		return STATUS_ERROR;
	}
	print_notes(config.notes);
	status = run(machine, &config, signal_fd);
	if (!machine_destroy(machine) && status == STATUS_OK)
		status = STATUS_ERROR;
	options_free(&config);
	return status;
}
