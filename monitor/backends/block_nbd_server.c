/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-nbd as a child of ours. Nobody else can reach it, and nothing of it stays behind:
 *
 *  - We listen on a socket in a folder that is ours alone, connect to it ourselves, and remove both
 *    at once. The listening socket is the child's, handed over as systemd does it
 *    (sd_listen_fds(3)).
 *  - It serves one client, and ends when that is gone, however this process ended. Should it not
 *    have got so far, the kernel tells it (PR_SET_PDEATHSIG). Both let it finish what it has.
 *  - What it says goes to a file in memory of limited size, so that it never waits for us.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "block_nbd.h"

#define PROGRAM "qemu-nbd"
#define LISTEN_FD 3   /* the first that is handed over */
#define SAID_SIZE 4096
#define SAFE_FD 10    /* above those that the child gets */
#define ENDS_MS 10000 /* it writes out what it holds */

/* What the child needs, made before it is: it may not allocate. */
struct start {
	char *const *argv;
	char **environment;
	char *listen_pid; /* in the environment: where its number is to go */
	int listener, said, null, status;
	pid_t parent;
};

/* ---- the child ---- */

static void print_number(char *to, unsigned long n)
{
	char digits[24];
	unsigned len = 0;

	do
		digits[len++] = (char)('0' + n % 10);
	while (n /= 10);
	while (len)
		*to++ = digits[--len];
	*to = 0;
}

static void take_files(const struct start *s)
{
	dup2(s->null, STDIN_FILENO);
	dup2(s->null, STDOUT_FILENO);
	dup2(s->said, STDERR_FILENO);
	dup2(s->listener, LISTEN_FD);
	fcntl(LISTEN_FD, F_SETFD, 0); /* it may have had that number before */
	close_range(LISTEN_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC);
}

/*
 * Signals of the terminal are for us, who end it in order. If the parent has ended already the
 * kernel does not tell.
 */
_Noreturn static void child(const struct start *s)
{
	sigset_t none;
	int err;

	sigemptyset(&none);
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != s->parent)
		_exit(1);
	print_number(s->listen_pid, (unsigned long)getpid());
	take_files(s);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvpe(PROGRAM, s->argv, s->environment);
	err = errno;
	if (write(s->status, &err, sizeof(err)) < 0)
		_exit(2);
	_exit(1);
}

/* ---- the start ---- */

/* Two ends of a connection of which one is still to be accepted. */
static int make_sockets(int *listener, int *connection)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[] = "/tmp/ringfence-XXXXXX";
	int err = 0;

	*listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*listener < 0 || *connection < 0 || !mkdtemp(folder))
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/nbd", folder);
	if (bind(*listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(*listener, 1) ||
	    connect(*connection, (struct sockaddr *)&address, sizeof(address)))
		err = -errno;
	unlink(address.sun_path);
	rmdir(folder);
	return err;
}

static int make_said(void)
{
	int fd = memfd_create("said", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int safe;

	if (fd < 0)
		return -errno;
	safe = fcntl(fd, F_DUPFD_CLOEXEC, SAFE_FD);
	close(fd);
	if (safe < 0 || ftruncate(safe, SAID_SIZE) ||
	    fcntl(safe, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK)) {
		const int err = -errno;

		if (safe >= 0)
			close(safe);
		return err;
	}
	return safe;
}

/* The environment with what systemd would put in. NULL: no memory. */
static char **make_environment(char *listen_pid)
{
	size_t n = 0, kept = 0;
	char **copy;

	while (environ && environ[n])
		n++;
	copy = calloc(n + 3, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++)
		if (strncmp(environ[i], "LISTEN_", 7))
			copy[kept++] = environ[i];
	if (copy) {
		copy[kept++] = "LISTEN_FDS=1";
		copy[kept] = listen_pid;
	}
	return copy;
}

/* Its number, or what became of the attempt: a negative errno. */
static pid_t start_child(struct start *s)
{
	int fds[2], err = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	s->status = fcntl(fds[1], F_DUPFD_CLOEXEC, SAFE_FD);
	close(fds[1]);
	s->parent = getpid();
	pid = s->status < 0 ? -1 : fork();
	if (!pid)
		child(s);
	if (pid < 0)
		err = errno;
	if (s->status >= 0)
		close(s->status);
	if (pid > 0 && read(fds[0], &err, sizeof(err)) == sizeof(err))
		waitpid(pid, NULL, 0);
	close(fds[0]);
	return err ? -err : pid;
}

static int run(struct nbd_server *server, const char *options, bool read_only, int listener)
{
	char *argv[] = { PROGRAM, "--image-opts", (char *)options, read_only ? "-r" : NULL, NULL };
	char listen_pid[40] = "LISTEN_PID=";
	struct start s = {
		.argv = argv, .environment = make_environment(listen_pid),
		.listen_pid = listen_pid + strlen(listen_pid), .listener = listener,
		.said = server->said_fd, .null = open("/dev/null", O_RDWR | O_CLOEXEC),
	};
	pid_t pid = s.null < 0 ? -errno : !s.environment ? -ENOMEM : start_child(&s);

	if (s.null >= 0)
		close(s.null);
	free(s.environment);
	server->pid = pid > 0 ? pid : 0;
	return pid > 0 ? 0 : pid;
}

int nbd_server_start(struct nbd_server *server, const char *options, bool read_only,
		     struct error *error)
{
	int listener = -1, connection = -1, err = make_said();

	server->said_fd = err < 0 ? -1 : err;
	if (err >= 0)
		err = make_sockets(&listener, &connection);
	if (!err)
		err = run(server, options, read_only, listener);
	if (listener >= 0)
		close(listener);
	if (!err)
		return connection;
	if (connection >= 0)
		close(connection);
	nbd_server_end(server);
	if (err == -ENOENT)
		return error_set(error, err, "there is no program " PROGRAM ", which reads it; "
				 "install it (Debian: qemu-utils)");
	return error_set(error, err, "cannot start " PROGRAM ", which reads it: %s",
			 error_reason(-err));
}

/* ---- what it says, and its end ---- */

static void cut_out(char *text, const char *part)
{
	char *at = *part ? strstr(text, part) : NULL;

	if (at)
		memmove(at, at + strlen(part), strlen(at + strlen(part)) + 1);
}

void nbd_server_said(const struct nbd_server *server, const char *options, char *text, size_t size)
{
	ssize_t len = server->said_fd < 0 ? 0 : pread(server->said_fd, text, size - 1, 0);

	text[len > 0 ? len : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	cut_out(text, PROGRAM ": ");
	cut_out(text, options);
	cut_out(text, "Failed to blk_new_open '': ");
}

/* False: not within that time. */
static bool ends_within(pid_t pid, int ms)
{
	struct pollfd p = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int n = p.fd < 0 ? 0 : poll(&p, 1, ms);

	if (p.fd >= 0)
		close(p.fd);
	return n > 0 && waitpid(pid, NULL, 0) == pid;
}

void nbd_server_end(struct nbd_server *server)
{
	if (server->pid > 0 && !ends_within(server->pid, ENDS_MS)) {
		kill(server->pid, SIGTERM);
		if (!ends_within(server->pid, ENDS_MS)) {
			kill(server->pid, SIGKILL);
			waitpid(server->pid, NULL, 0);
		}
	}
	if (server->said_fd >= 0)
		close(server->said_fd);
	*server = (struct nbd_server){ 0, -1 };
}
