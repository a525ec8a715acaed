/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The display adapter's memory as guest memory: the adapter says which parts of it are to be
 * reached as RAM is (struct display_view), and what remembers guest memory is told.
 */
#ifndef RF_MONITOR_MACHINE_VIDEO_MEMORY_H
#define RF_MONITOR_MACHINE_VIDEO_MEMORY_H

#include "devices/bus/display.h"
#include "monitor/vm/vm.h"
#include "x86/error.h"

struct video_memory {
	struct vm *vm; /* NULL: there is no display adapter */
	struct vm_work work;
	/* Under the device lock: work is; it is to follow the views, to watch what is shown. */
	bool queued, follow, watch;
	uint64_t late; /* chunks stored to after that was last told, and watched since */
};

/* Memory for the adapter, if config has one. 0, or a negative errno and error. */
int video_memory_create(struct video_memory *video, struct vm *vm, const struct vm_config *config,
			struct error *error) RF_MUST_CHECK;
/* What the adapter is given; valid as long as video. */
struct display_memory video_memory_shared(struct video_memory *video);

#endif
