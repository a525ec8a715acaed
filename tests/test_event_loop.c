/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timers fire in order, not early, not after cancelling, not while frozen; descriptors report input
 * as long as wanted.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "host_clock.h"
#include <errno.h>
#include <sys/resource.h>
#include "monitor/vm/event_loop.h"

#define PATIENCE_MS 240000 /* what takes longer hangs */
#define MS 1000000ull

static pthread_mutex_t lock;
static pthread_cond_t changed;
static struct event_loop *loop;
static struct clock the_clock;

static void setup(void)
{
	pthread_condattr_t monotonic; /* as the loop's own clock: nobody sets it */

	pthread_mutex_init(&lock, NULL);
	cr_assert_eq(pthread_condattr_init(&monotonic), 0);
	cr_assert_eq(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC), 0);
	cr_assert_eq(pthread_cond_init(&changed, &monotonic), 0);
	pthread_condattr_destroy(&monotonic);
	cr_assert_eq(event_loop_create(&lock, &loop), 0);
	the_clock = event_loop_clock(loop);
}

static void teardown(void)
{
	event_loop_destroy(loop);
}

TestSuite(event_loop, .init = setup, .fini = teardown, .timeout = 300);

struct probe {
	struct clock_timer *timer;
	uint64_t deadline, fired_at;
	int fired, order;
	int rearm;
};

static int order;

static void probe_fire(void *arg)
{
	struct probe *p = arg;

	p->fired_at = clock_now(&the_clock);
	p->fired++;
	p->order = ++order;
	if (p->rearm) {
		p->rearm--;
		p->deadline += MS / 10;
		clock_timer_arm(&the_clock, p->timer, p->deadline);
	}
	pthread_cond_broadcast(&changed);
}

static void probe_arm(struct probe *p, uint64_t deadline)
{
	p->deadline = deadline;
	if (!p->timer)
		cr_assert_eq(clock_timer_create(&the_clock, probe_fire, p, &p->timer), 0);
	clock_timer_arm(&the_clock, p->timer, deadline);
}

/* With the lock held: waits up to ms for *value to reach at_least. */
static bool wait_for(const int *value, int at_least, int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms % 1000 * MS;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (*value < at_least) {
		if (pthread_cond_timedwait(&changed, &lock, &until))
			return *value >= at_least;
	}
	return true;
}

Test(event_loop, many_timers_fire_in_order_and_never_early)
{
	enum { N = 200 };
	static struct probe p[N];
	uint64_t now;

	cr_assert_eq(event_loop_start(loop), 0);
	pthread_mutex_lock(&lock);
	now = clock_now(&the_clock);
	for (int i = 0; i < N; i++)
		probe_arm(&p[i], now + 5 * MS + (uint64_t)(i * 7919 % N) * MS / 10);
	cr_assert(wait_for(&order, N, PATIENCE_MS), "%d fired", order);
	for (int i = 0; i < N; i++) {
		cr_expect_eq(p[i].fired, 1);
		cr_expect_geq(p[i].fired_at, p[i].deadline);
		cr_expect_eq(p[i].order, i * 7919 % N + 1);
		clock_timer_destroy(&the_clock, p[i].timer);
	}
	pthread_mutex_unlock(&lock);
}

Test(event_loop, cancelled_and_moved_timers)
{
	struct probe cancelled = { 0 }, later = { 0 }, sooner = { 0 }, mark = { 0 };
	uint64_t now;

	cr_assert_eq(event_loop_start(loop), 0);
	pthread_mutex_lock(&lock);
	now = clock_now(&the_clock);
	probe_arm(&cancelled, now + 2 * MS);
	probe_arm(&later, now + 3 * MS);
	probe_arm(&sooner, now + 3600 * 1000 * MS);
	probe_arm(&later, now + 3600 * 1000 * MS);
	probe_arm(&sooner, now + 4 * MS);
	clock_timer_cancel(&the_clock, cancelled.timer);
	clock_timer_cancel(&the_clock, cancelled.timer);
	probe_arm(&mark, now + 20 * MS);
	cr_assert(wait_for(&mark.fired, 1, PATIENCE_MS));
	cr_expect_eq(cancelled.fired, 0);
	cr_expect_eq(later.fired, 0);
	cr_expect_eq(sooner.fired, 1);
	clock_timer_destroy(&the_clock, cancelled.timer);
	clock_timer_destroy(&the_clock, later.timer);
	clock_timer_destroy(&the_clock, sooner.timer);
	clock_timer_destroy(&the_clock, mark.timer);
	pthread_mutex_unlock(&lock);
}

Test(event_loop, periodic_timer_keeps_its_rate)
{
	struct probe p = { .rearm = 499 };
	uint64_t start;

	cr_assert_eq(event_loop_start(loop), 0);
	pthread_mutex_lock(&lock);
	start = clock_now(&the_clock);
	probe_arm(&p, start);
	cr_assert(wait_for(&p.fired, 500, PATIENCE_MS));
	cr_expect_geq(p.fired_at - start, 499 * MS / 10);
	clock_timer_destroy(&the_clock, p.timer);
	pthread_mutex_unlock(&lock);
}

Test(event_loop, past_deadline_fires_at_once)
{
	struct probe p = { 0 };

	cr_assert_eq(event_loop_start(loop), 0);
	pthread_mutex_lock(&lock);
	probe_arm(&p, 0);
	cr_expect_eq(p.fired, 0, "fired inside arm()");
	cr_assert(wait_for(&p.fired, 1, PATIENCE_MS));
	clock_timer_destroy(&the_clock, p.timer);
	pthread_mutex_unlock(&lock);
}

Test(event_loop, frozen_clock_stands_still)
{
	struct probe p = { 0 };
	uint64_t at, since, thawed;

	cr_assert_eq(event_loop_start(loop), 0);
	pthread_mutex_lock(&lock);
	probe_arm(&p, clock_now(&the_clock) + 200 * MS);
	event_loop_freeze(loop);
	at = clock_now(&the_clock);
	cr_expect_not(wait_for(&p.fired, 1, 260));
	cr_expect_eq(clock_now(&the_clock), at);
	since = host_ns();
	cr_expect_geq(event_loop_thaw(loop), 255 * MS);
	thawed = clock_now(&the_clock);
	cr_expect_leq(thawed - at, host_ns() - since);
	cr_assert(wait_for(&p.fired, 1, PATIENCE_MS));
	cr_expect_geq(p.fired_at, p.deadline);
	clock_timer_destroy(&the_clock, p.timer);
	pthread_mutex_unlock(&lock);
}

struct reader {
	struct event_source *source;
	int fd;
	int bytes, calls, end;
};

static void reader_ready(void *opaque)
{
	struct reader *r = opaque;
	char c;
	ssize_t n = read(r->fd, &c, 1);

	r->calls++;
	r->bytes += n > 0;
	if (n <= 0) {
		r->end = 1;
		event_source_enable(r->source, false);
	}
	pthread_cond_broadcast(&changed);
}

Test(event_loop, input_comes_while_enabled)
{
	int pipe_fd[2];
	struct reader r = { 0 };

	cr_assert_eq(pipe(pipe_fd), 0);
	r.fd = pipe_fd[0];
	cr_assert_eq(write(pipe_fd[1], "abc", 3), 3);
	cr_assert_eq(event_source_create(loop, r.fd, reader_ready, &r, &r.source), 0);
	cr_assert_eq(event_loop_start(loop), 0);
	pthread_mutex_lock(&lock);
	cr_expect_not(wait_for(&r.calls, 1, 50), "called though disabled");
	event_source_enable(r.source, true);
	cr_assert(wait_for(&r.bytes, 3, PATIENCE_MS));
	event_source_enable(r.source, false);
	pthread_mutex_unlock(&lock);
	cr_assert_eq(write(pipe_fd[1], "d", 1), 1);
	pthread_mutex_lock(&lock);
	cr_expect_not(wait_for(&r.bytes, 4, 50), "called though disabled again");
	event_source_enable(r.source, true);
	cr_assert(wait_for(&r.bytes, 4, PATIENCE_MS));
	close(pipe_fd[1]);
	cr_assert(wait_for(&r.end, 1, PATIENCE_MS), "no end of file");
	cr_expect_eq(fcntl(r.fd, F_GETFL) & O_NONBLOCK, 0,
		     "a shared descriptor was made non-blocking");
	event_source_destroy(r.source);
	pthread_mutex_unlock(&lock);
}

Test(event_loop, regular_files_are_always_readable)
{
	struct reader r = { 0 };
	FILE *file = tmpfile();

	cr_assert_not_null(file);
	fputs("0123456789", file);
	rewind(file);
	r.fd = fileno(file);
	cr_assert_eq(event_source_create(loop, r.fd, reader_ready, &r, &r.source), 0);
	cr_assert_eq(event_loop_start(loop), 0);
	pthread_mutex_lock(&lock);
	event_source_enable(r.source, true);
	cr_assert(wait_for(&r.end, 1, PATIENCE_MS));
	cr_expect_eq(r.bytes, 10);
	event_source_destroy(r.source);
	pthread_mutex_unlock(&lock);
}

Test(event_loop, bad_descriptor_is_an_error)
{
	struct event_source *source;

	cr_assert_lt(event_source_create(loop, -1, reader_ready, NULL, &source), 0);
}

Test(event_loop, stop_and_start_again)
{
	struct probe p = { 0 };

	cr_assert_eq(event_loop_start(loop), 0);
	event_loop_stop(loop);
	pthread_mutex_lock(&lock);
	probe_arm(&p, 0);
	cr_expect_not(wait_for(&p.fired, 1, 30), "fired without a thread");
	pthread_mutex_unlock(&lock);
	cr_assert_eq(event_loop_start(loop), 0);
	pthread_mutex_lock(&lock);
	cr_assert(wait_for(&p.fired, 1, PATIENCE_MS));
	clock_timer_destroy(&the_clock, p.timer);
	pthread_mutex_unlock(&lock);
}

/* libuv aborts where it cannot open its files: it is not asked to. */
Test(event_loop, too_few_open_files)
{
	const int next = dup(0);
	struct rlimit limit;
	struct event_loop *another = NULL;

	close(next);
	event_loop_destroy(loop);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 3;
	for (int err = -EMFILE; err; limit.rlim_cur++) {
		cr_assert_leq(limit.rlim_cur, (rlim_t)next + 20);
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		err = event_loop_create(&lock, &another);
		cr_assert(!err || err == -EMFILE);
	}
	loop = another;
}
