/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals to the process (signals.h). All that are neither crashes nor ignored are blocked in every
 * thread and read from a signalfd by the main one.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "monitor/backends/backends.h"
#include "signals.h"

#define ENGINE_SIGNALS 3 /* from SIGRTMIN: the profile's timer and the kicks of bt and kvm */

static const int crash_signals[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP };
static const int ignored_signals[] = { SIGPIPE, SIGXFSZ };
/* By default they do nothing, or stop the process. */
static const int harmless_signals[] = { SIGCHLD, SIGURG, SIGWINCH, SIGTTIN, SIGTTOU };

#define NAME(signal) [SIG##signal] = " (SIG" #signal ")"
static const char *const signal_names[] = {
	NAME(HUP), NAME(INT), NAME(QUIT), NAME(ILL), NAME(TRAP), NAME(ABRT), NAME(BUS), NAME(FPE),
	NAME(USR1), NAME(SEGV), NAME(USR2), NAME(ALRM), NAME(TERM), NAME(STKFLT), NAME(XCPU),
	NAME(VTALRM), NAME(PROF), NAME(IO), NAME(PWR), NAME(SYS),
};

/* With a space and brackets; nothing for one without a name. */
static const char *signal_name(int number)
{
	const char *name = (size_t)number < RF_ARRAY_SIZE(signal_names) ? signal_names[number] :
									  NULL;

	return name ? name : "";
}

static bool signal_is_in(int number, const int *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i] == number)
			return true;
	}
	return false;
}

static void crash_handler(int number)
{
	char text[80];
	int len = snprintf(text, sizeof(text), "ringfence: ended by signal %d%s\n", number,
			   signal_name(number));

	terminal_restore();
	(void)!write(STDERR_FILENO, text, len);
	/* blocked until we return, and then the default action: SA_RESETHAND */
	raise(number);
}

static void signals_set_actions(void)
{
	struct sigaction action = { .sa_handler = crash_handler,
				    .sa_flags = SA_RESETHAND | SA_ONSTACK };

	for (size_t i = 0; i < RF_ARRAY_SIZE(crash_signals); i++)
		sigaction(crash_signals[i], &action, NULL);
	for (size_t i = 0; i < RF_ARRAY_SIZE(ignored_signals); i++)
		signal(ignored_signals[i], SIG_IGN);
	/* An engine that wants one of them sets its own action. */
	for (int i = 0; i < ENGINE_SIGNALS; i++)
		signal(SIGRTMIN + i, SIG_IGN);
}

/* Those that we are to notice: asked before actions are set. */
static bool signal_is_taken(int number)
{
	struct sigaction before;

	if (signal_is_in(number, crash_signals, RF_ARRAY_SIZE(crash_signals)) ||
	    signal_is_in(number, ignored_signals, RF_ARRAY_SIZE(ignored_signals)) ||
	    signal_is_in(number, harmless_signals, RF_ARRAY_SIZE(harmless_signals)) ||
	    (number >= SIGRTMIN && number < SIGRTMIN + ENGINE_SIGNALS))
		return false;
	/* An error: one of the C library's own. */
	return !sigaction(number, NULL, &before) && before.sa_handler != SIG_IGN;
}

static bool signals_wanted(void *signals)
{
	return signals_take(signals);
}

int signals_open(struct signals *signals)
{
	sigset_t set;

	*signals = (struct signals){ 0 };
	sigemptyset(&set);
	for (int i = 1; i <= SIGRTMAX; i++) {
		if (signal_is_taken(i))
			sigaddset(&set, i);
	}
	signals_set_actions();
	/* Whatever else was blocked when we were started must come. */
	sigprocmask(SIG_SETMASK, &set, NULL);
	signals->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	signals->cancel = (struct cancel){ signals->fd, signals_wanted, signals };
	return signals->fd < 0 ? -errno : 0;
}

/* As the signal does by itself, with the terminal's modes from before. Returns when continued. */
static void signals_stop(void)
{
	sigset_t set;

	terminal_leave();
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	raise(SIGTSTP);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	terminal_enter();
}

bool signals_take(struct signals *signals)
{
	struct signalfd_siginfo info;

	while (!signals->ended_by && read(signals->fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTSTP)
			signals_stop();
		else if (info.ssi_signo == SIGCONT)
			terminal_enter();
		else
			signals->ended_by = info.ssi_signo;
	}
	return signals->ended_by;
}

void signals_tell(const struct signals *signals)
{
	fprintf(stderr, "ringfence: terminating on signal %d%s%s\n", signals->ended_by,
		signal_name(signals->ended_by),
		signals->ended_by == SIGXCPU ?
			": the limit of processor time is used up (ulimit -t)" :
			"");
}

int signals_status(const struct signals *signals)
{
	static const int requests[] = { SIGHUP, SIGINT, SIGTERM };

	return signal_is_in(signals->ended_by, requests, RF_ARRAY_SIZE(requests)) ?
		       0 :
		       128 + signals->ended_by;
}
