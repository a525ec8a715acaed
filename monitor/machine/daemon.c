/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -daemonize (daemon.h). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon.h"

/* The child's status if it ended, else that of a failure. */
static int daemon_status(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return EXIT_FAILURE;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

/* Signals that ask us to end are for the child, which the terminal does not reach any more. */
static void daemon_wait(int ready_fd, int signal_fd, pid_t child)
{
	struct pollfd p[2] = { { .fd = ready_fd, .events = POLLIN },
			       { .fd = signal_fd, .events = POLLIN } };
	struct signalfd_siginfo info;
	char ready;

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			exit(EXIT_FAILURE);
		if (p[1].revents && read(signal_fd, &info, sizeof(info)) == sizeof(info))
			kill(child, info.ssi_signo);
		if (!p[0].revents)
			continue;
		_exit(read(ready_fd, &ready, 1) == 1 ? EXIT_SUCCESS : daemon_status(child));
	}
}

/* Blocked in the child as well, until it can take them. */
static int daemon_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int daemon_begin(struct daemon *daemon, struct error *error)
{
	int fds[2], signal_fd = daemon_signals();
	pid_t child;

	if (signal_fd < 0 || pipe2(fds, O_CLOEXEC))
		return error_set(error, -errno, "-daemonize: cannot make a pipe: %s",
				 error_reason(errno));
	child = fork();
	if (child < 0)
		return error_set(error, -errno, "-daemonize: cannot make a process: %s",
				 error_reason(errno));
	if (child) {
		close(fds[1]);
		daemon_wait(fds[0], signal_fd, child);
	}
	close(fds[0]);
	close(signal_fd);
	setsid();
	daemon->ready_fd = fds[1];
	return 0;
}

void daemon_ready(struct daemon *daemon, bool keep_errors)
{
	int null;

	if (daemon->ready_fd < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++) {
		if (fd != STDERR_FILENO || !keep_errors)
			dup2(null, fd);
	}
	if (null > STDERR_FILENO)
		close(null);
	if (write(daemon->ready_fd, "", 1) == 1)
		close(daemon->ready_fd);
	daemon->ready_fd = -1;
}
