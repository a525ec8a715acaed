/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread on which everything happens that is not guest code: device timers and input from file
 * descriptors.
 *
 * All functions but create, destroy, start and stop are called with the VM's device lock held, from
 * any thread; all callbacks come with it held, on the loop's thread. Timers are kept in a heap,
 * whose earliest deadline is what one timerfd is set to: nanosecond deadlines, one host timer.
 */
#ifndef RF_MONITOR_VM_EVENT_LOOP_H
#define RF_MONITOR_VM_EVENT_LOOP_H

#include <pthread.h>
#include "devices/bus/clock.h"

struct event_loop;
struct event_source;

/* device_lock must outlive the loop. 0 or a negative errno. The clock reads 0 and runs. */
int event_loop_create(pthread_mutex_t *device_lock, struct event_loop **out) RF_MUST_CHECK;
/* Stops the thread if it runs. Timers and sources must have been destroyed. loop may be NULL. */
void event_loop_destroy(struct event_loop *loop);

int event_loop_start(struct event_loop *loop) RF_MUST_CHECK;
/* Waits for the thread's end. Not from a callback, and without the device lock. */
void event_loop_stop(struct event_loop *loop);

/* The loop's timers, as devices use them. */
struct clock event_loop_clock(struct event_loop *loop);

/*
 * Stops and restarts the clock: while it stands still no timer fires. Returns the nanoseconds it
 * stood still (thaw).
 */
void event_loop_freeze(struct event_loop *loop);
uint64_t event_loop_thaw(struct event_loop *loop);

/*
 * Watches fd for input. ready is called as long as fd is readable (or at its end) while the source
 * is enabled; it starts disabled. A regular file counts as always readable. Destroy the source
 * before closing fd.
 */
int event_source_create(struct event_loop *loop, int fd, void (*ready)(void *opaque), void *opaque,
			struct event_source **out) RF_MUST_CHECK;
void event_source_enable(struct event_source *source, bool on);
/* No callback comes after this returns. source may be NULL. */
void event_source_destroy(struct event_source *source);

#endif
