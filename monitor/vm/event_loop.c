/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libuv underneath, which belongs to the loop's thread alone. Other threads only change what is
 * under the device lock (the timer heap, which sources are wanted), and then either set the
 * timerfd, which any thread may, or wake the loop, which brings its libuv handles in step
 * (sources_sync_locked()).
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>
#include "event_loop.h"
#include "host_time.h"
#include "lock_check.h"

#define NEVER UINT64_MAX
#define TIMER_IDLE (-1)
/* what libuv opens for a loop, with some to spare; it aborts the process if it cannot */
#define LOOP_FILES 10
#define TIMERS_PER_WAKEUP 64 /* then input gets its turn */

struct clock_timer {
	void (*fire)(void *arg);
	void *arg;
	uint64_t deadline;
	int index; /* in the heap, or TIMER_IDLE */
};

struct event_source {
	struct event_loop *loop;
	struct event_source *next;
	void (*ready)(void *opaque);
	void *opaque;
	/*
	 * holds the watched descriptor: libuv would make that one non-blocking, and it may be a
	 * shared terminal
	 */
	int epoll_fd;
	bool wanted;  /* under the device lock */
	bool dead;    /* likewise: close the handle and free */
	bool running; /* the loop's thread: the handle is started */
	bool opened;
	bool always;  /* not pollable: idle is used instead of poll */
	union {
		uv_handle_t handle;
		uv_poll_t poll;
		uv_idle_t idle;
	} uv;
};

struct event_loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_poll_t timer_poll;
	int timer_fd;
	pthread_mutex_t *lock;
	pthread_t thread;
	_Atomic bool thread_valid;
	bool stop; /* under the lock */

	uint64_t offset;    /* CLOCK_MONOTONIC minus our time, while it runs */
	uint64_t frozen_at; /* our time, while it stands still */
	bool frozen;
	uint64_t set_for;   /* deadline the timerfd is set to */
	struct clock_timer **heap;
	int heap_len, heap_cap, timers; /* heap_cap >= timers: arming cannot fail */

	struct event_source *sources;
};

/* The caller holds the device lock, or is alone as long as there is no thread. */
static inline bool loop_is_locked(struct event_loop *loop)
{
	return !loop->thread_valid || lock_is_held(loop->lock);
}

/* The heap: the earliest deadline at [0], children of i at 2i+1 and 2i+2. */

static void heap_put(struct event_loop *loop, int i, struct clock_timer *timer)
{
	loop->heap[i] = timer;
	timer->index = i;
}

static void heap_up(struct event_loop *loop, int i, struct clock_timer *timer)
{
	for (; i > 0 && loop->heap[(i - 1) / 2]->deadline > timer->deadline; i = (i - 1) / 2)
		heap_put(loop, i, loop->heap[(i - 1) / 2]);
	heap_put(loop, i, timer);
}

static void heap_down(struct event_loop *loop, int i, struct clock_timer *timer)
{
	for (;;) {
		int child = 2 * i + 1;

		if (child + 1 < loop->heap_len &&
		    loop->heap[child + 1]->deadline < loop->heap[child]->deadline)
			child++;
		if (child >= loop->heap_len || loop->heap[child]->deadline >= timer->deadline)
			break;
		heap_put(loop, i, loop->heap[child]);
		i = child;
	}
	heap_put(loop, i, timer);
}

static void heap_remove(struct event_loop *loop, struct clock_timer *timer)
{
	struct clock_timer *last = loop->heap[--loop->heap_len];
	int i = timer->index;

	assert(i <= loop->heap_len && loop->heap[i] == timer);
	timer->index = TIMER_IDLE;
	if (last == timer)
		return;
	if (i > 0 && loop->heap[(i - 1) / 2]->deadline > last->deadline)
		heap_up(loop, i, last);
	else
		heap_down(loop, i, last);
}

/*
 * Sets the timerfd for the earliest deadline. One that is set too early costs a wakeup, so only
 * earlier ones matter here.
 */
static void timerfd_update_locked(struct event_loop *loop)
{
	uint64_t deadline = loop->heap_len ? loop->heap[0]->deadline : NEVER;
	uint64_t at;
	struct itimerspec its = { 0 };

	if (loop->frozen || deadline >= loop->set_for)
		return;
	loop->set_for = deadline;
	at = deadline > UINT64_MAX / 4 ? UINT64_MAX / 4 : deadline + loop->offset;
	its.it_value.tv_sec = at / NS_PER_SECOND;
	its.it_value.tv_nsec = at % NS_PER_SECOND;
	if (!its.it_value.tv_sec && !its.it_value.tv_nsec)
		its.it_value.tv_nsec = 1;
	timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
}

static uint64_t loop_now_ns(void *opaque)
{
	struct event_loop *loop = opaque;

	return loop->frozen ? loop->frozen_at : host_clock_ns(CLOCK_MONOTONIC) - loop->offset;
}

static int loop_timer_create(void *opaque, void (*fire)(void *arg), void *arg,
			     struct clock_timer **out)
{
	struct event_loop *loop = opaque;
	struct clock_timer *timer;

	assert(loop_is_locked(loop));
	if (loop->timers == loop->heap_cap) {
		int cap = loop->heap_cap ? 2 * loop->heap_cap : 16;
		struct clock_timer **heap = realloc(loop->heap, cap * sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		loop->heap = heap;
		loop->heap_cap = cap;
	}
	timer = malloc(sizeof(*timer));
	if (!timer)
		return -ENOMEM;
	*timer = (struct clock_timer){ .fire = fire, .arg = arg, .index = TIMER_IDLE };
	loop->timers++;
	*out = timer;
	return 0;
}

static void loop_timer_cancel(void *opaque, struct clock_timer *timer)
{
	if (timer->index != TIMER_IDLE)
		heap_remove(opaque, timer);
}

static void loop_timer_arm(void *opaque, struct clock_timer *timer, uint64_t deadline_ns)
{
	struct event_loop *loop = opaque;

	assert(loop_is_locked(loop));
	loop_timer_cancel(loop, timer);
	assert(loop->heap_len < loop->heap_cap);
	timer->deadline = deadline_ns;
	heap_up(loop, loop->heap_len++, timer);
	timerfd_update_locked(loop);
}

static void loop_timer_destroy(void *opaque, struct clock_timer *timer)
{
	struct event_loop *loop = opaque;

	assert(loop->timers > 0 && loop_is_locked(loop));
	loop_timer_cancel(loop, timer);
	loop->timers--;
	free(timer);
}

struct clock event_loop_clock(struct event_loop *loop)
{
	static const struct clock_ops ops = {
		.now_ns = loop_now_ns,
		.timer_create = loop_timer_create,
		.timer_arm = loop_timer_arm,
		.timer_cancel = loop_timer_cancel,
		.timer_destroy = loop_timer_destroy,
	};

	return (struct clock){ .ops = &ops, .opaque = loop };
}

void event_loop_freeze(struct event_loop *loop)
{
	assert(loop_is_locked(loop));
	if (loop->frozen)
		return;
	loop->frozen_at = loop_now_ns(loop);
	loop->frozen = true;
}

uint64_t event_loop_thaw(struct event_loop *loop)
{
	uint64_t stood;

	assert(loop_is_locked(loop));
	if (!loop->frozen)
		return 0;
	stood = host_clock_ns(CLOCK_MONOTONIC) - loop->offset - loop->frozen_at;
	loop->offset += stood;
	loop->frozen = false;
	loop->set_for = NEVER;
	timerfd_update_locked(loop);
	return stood;
}

static void loop_on_timer(uv_poll_t *handle, int status, int events)
{
	struct event_loop *loop = handle->data;
	uint64_t expirations;

	pthread_mutex_lock(loop->lock);
	if (read(loop->timer_fd, &expirations, sizeof(expirations)) < 0)
		expirations = 0; /* set anew meanwhile: then the heap decides */
	loop->set_for = NEVER;
	for (int i = 0; i < TIMERS_PER_WAKEUP && !loop->frozen && loop->heap_len; i++) {
		struct clock_timer *timer = loop->heap[0];

		if (timer->deadline > loop_now_ns(loop))
			break;
		heap_remove(loop, timer);
		timer->fire(timer->arg);
	}
	/*
	 * A callback that armed a timer may have set the timerfd for what is no longer the whole
	 * story; set it for what is.
	 */
	timerfd_update_locked(loop);
	pthread_mutex_unlock(loop->lock);
}

/* File descriptors. */

static void source_ready(struct event_source *source)
{
	struct event_loop *loop = source->loop;

	pthread_mutex_lock(loop->lock);
	if (source->wanted && !source->dead)
		source->ready(source->opaque);
	pthread_mutex_unlock(loop->lock);
}

static void source_on_poll(uv_poll_t *handle, int status, int events)
{
	source_ready(handle->data);
}

static void source_on_idle(uv_idle_t *handle)
{
	source_ready(handle->data);
}

static void source_open(struct event_source *source)
{
	if (source->always)
		uv_idle_init(&source->loop->uv, &source->uv.idle);
	else
		uv_poll_init(&source->loop->uv, &source->uv.poll, source->epoll_fd);
	source->uv.handle.data = source;
	source->opened = true;
}

static void source_run(struct event_source *source, bool on)
{
	if (source->running == on)
		return;
	source->running = on;
	if (source->always && on)
		uv_idle_start(&source->uv.idle, source_on_idle);
	else if (source->always)
		uv_idle_stop(&source->uv.idle);
	else if (on)
		uv_poll_start(&source->uv.poll, UV_READABLE, source_on_poll);
	else
		uv_poll_stop(&source->uv.poll);
}

static void source_free(struct event_source *source)
{
	close(source->epoll_fd);
	free(source);
}

static void source_closed(uv_handle_t *handle)
{
	source_free(handle->data);
}

static void sources_sync_locked(struct event_loop *loop)
{
	struct event_source **link = &loop->sources;

	while (*link) {
		struct event_source *source = *link;

		if (source->dead) {
			*link = source->next;
			if (source->opened)
				uv_close(&source->uv.handle, source_closed);
			else
				source_free(source);
			continue;
		}
		if (!source->opened)
			source_open(source);
		source_run(source, source->wanted);
		link = &source->next;
	}
}

static void loop_on_wake(uv_async_t *wake)
{
	struct event_loop *loop = wake->data;

	pthread_mutex_lock(loop->lock);
	sources_sync_locked(loop);
	if (loop->stop)
		uv_stop(&loop->uv);
	pthread_mutex_unlock(loop->lock);
}

static int source_watch(struct event_source *source, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP };
	int err;

	source->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (source->epoll_fd < 0)
		return -errno;
	if (!epoll_ctl(source->epoll_fd, EPOLL_CTL_ADD, fd, &event))
		return 0;
	source->always = errno == EPERM; /* a regular file, /dev/null */
	if (source->always)
		return 0;
	err = -errno;
	close(source->epoll_fd);
	return err;
}

int event_source_create(struct event_loop *loop, int fd, void (*ready)(void *opaque), void *opaque,
			struct event_source **out)
{
	struct event_source *source = calloc(1, sizeof(*source));
	int err;

	if (!source)
		return -ENOMEM;
	source->loop = loop;
	source->ready = ready;
	source->opaque = opaque;
	err = source_watch(source, fd);
	if (err) {
		free(source);
		return err;
	}
	source->next = loop->sources;
	loop->sources = source;
	*out = source;
	return 0;
}

void event_source_enable(struct event_source *source, bool on)
{
	assert(!source->dead && loop_is_locked(source->loop));
	if (source->wanted == on)
		return;
	source->wanted = on;
	uv_async_send(&source->loop->wake);
}

void event_source_destroy(struct event_source *source)
{
	if (!source)
		return;
	assert(!source->dead && loop_is_locked(source->loop));
	source->dead = true;
	uv_async_send(&source->loop->wake);
}

/* The loop itself. */

static void *loop_thread(void *opaque)
{
	struct event_loop *loop = opaque;

	uv_run(&loop->uv, UV_RUN_DEFAULT);
	return NULL;
}

int event_loop_start(struct event_loop *loop)
{
	int err;

	assert(!loop->thread_valid);
	loop->stop = false;
	uv_async_send(&loop->wake); /* sources made before */
	err = pthread_create(&loop->thread, NULL, loop_thread, loop);
	loop->thread_valid = !err;
	return -err;
}

void event_loop_stop(struct event_loop *loop)
{
	if (!loop->thread_valid)
		return;
	assert(!pthread_equal(loop->thread, pthread_self()));
	pthread_mutex_lock(loop->lock);
	loop->stop = true;
	pthread_mutex_unlock(loop->lock);
	uv_async_send(&loop->wake);
	pthread_join(loop->thread, NULL);
	loop->thread_valid = false;
}

/* Whether so many more files can be opened: 0 or a negative errno. */
static int loop_can_open_files(int count)
{
	const int fd = epoll_create1(EPOLL_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	if (!err && count > 1)
		err = loop_can_open_files(count - 1);
	if (fd >= 0)
		close(fd);
	return err;
}

static int loop_open(struct event_loop *loop)
{
	int err = loop_can_open_files(LOOP_FILES);

	if (!err)
		err = uv_loop_init(&loop->uv);

	if (err)
		return err;
	err = uv_async_init(&loop->uv, &loop->wake, loop_on_wake);
	if (err)
		goto close_loop;
	loop->wake.data = loop;
	err = uv_poll_init(&loop->uv, &loop->timer_poll, loop->timer_fd);
	if (err)
		goto close_wake;
	loop->timer_poll.data = loop;
	uv_poll_start(&loop->timer_poll, UV_READABLE, loop_on_timer);
	return 0;

close_wake:
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
close_loop:
	uv_loop_close(&loop->uv);
	return err;
}

int event_loop_create(pthread_mutex_t *device_lock, struct event_loop **out)
{
	struct event_loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	loop->lock = device_lock;
	loop->set_for = NEVER;
	loop->offset = host_clock_ns(CLOCK_MONOTONIC);
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (loop->timer_fd < 0) {
		err = -errno;
		free(loop);
		return err;
	}
	err = loop_open(loop);
	if (err) {
		close(loop->timer_fd);
		free(loop);
		return err;
	}
	*out = loop;
	return 0;
}

void event_loop_destroy(struct event_loop *loop)
{
	if (!loop)
		return;
	event_loop_stop(loop);
	assert(!loop->timers);
	for (struct event_source *s = loop->sources; s; s = s->next)
		s->dead = true;
	sources_sync_locked(loop);
	uv_close((uv_handle_t *)&loop->timer_poll, NULL);
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
	close(loop->timer_fd);
	free(loop->heap);
	free(loop);
}
