/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Display memory in the guest's memory. The adapter's views change by instructions of the guest's;
 * guest_ram, the software TLB and the engine follow on the vCPU's thread before the next one.
 *
 * Whoever shows the screen asks what was stored to. A chunk that was is not watched any more, and
 * costs nothing until it is watched again; then its first store is noticed once more.
 */
#include "video_memory.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include "devices/board/pc_board.h"
#include "devices/video/vga.h"

static struct guest_video_view view_of(const struct display_view *view)
{
	return (struct guest_video_view){ GPA(view->start), view->size, view->at };
}

static bool same_view(const struct guest_video_view *a, const struct guest_video_view *b)
{
	return a->size == b->size &&
	       (!a->size || (gpa_equal(a->start, b->start) && a->at == b->at));
}

/* Where nothing is shown nobody has remembered anything but that. */
static void follow_view(struct vm *vm, unsigned i, struct guest_video_view view)
{
	const struct guest_video_view old = vm->ram.shown[i];

	if (same_view(&old, &view))
		return;
	guest_ram_show(&vm->ram, i, view);
	if (old.size)
		vcpu_display_changed(&vm->vcpu, old.start, old.size, false);
	if (view.size)
		vcpu_display_changed(&vm->vcpu, view.start, view.size, false);
}

static void follow_views(struct video_memory *video)
{
	struct display_view views[DISPLAY_VIEWS];
	struct vm *vm = video->vm;

	pthread_mutex_lock(&vm->device_lock);
	pc_board_display_views(vm->board, views);
	pthread_mutex_unlock(&vm->device_lock);
	for (unsigned i = 0; i < DISPLAY_VIEWS; i++)
		follow_view(vm, i, view_of(&views[i]));
}

/* What was stored between the last answer and now is told with the next. */
static void watch_again(struct video_memory *video)
{
	struct vm *vm = video->vm;

	pthread_mutex_lock(&vm->device_lock);
	video->late |= guest_ram_watch_video(&vm->ram);
	pthread_mutex_unlock(&vm->device_lock);
	for (unsigned i = 0; i < DISPLAY_VIEWS; i++)
		if (vm->ram.shown[i].size)
			vcpu_display_changed(&vm->vcpu, vm->ram.shown[i].start,
					     vm->ram.shown[i].size, true);
}

static void do_work(struct vcpu *vcpu, struct vm_work *work)
{
	struct video_memory *video = rf_container_of(work, struct video_memory, work);
	bool follow, watch;

	assert(vcpu_is_mine(vcpu));
	pthread_mutex_lock(&vcpu->vm->device_lock);
	follow = video->follow;
	watch = video->watch;
	video->queued = video->follow = video->watch = false;
	pthread_mutex_unlock(&vcpu->vm->device_lock);
	if (follow)
		follow_views(video);
	if (watch)
		watch_again(video);
}

static void work_soon(struct video_memory *video)
{
	if (video->queued)
		return;
	video->queued = true;
	video->work.run = do_work;
	vm_queue_work(video->vm, &video->work);
}

static void follow_soon(void *opaque, unsigned n, uint32_t value)
{
	struct video_memory *video = opaque;

	video->follow = true;
	work_soon(video);
}

/*
 * Watching begins again where somebody has asked. While nothing is stored there, nobody is
 * disturbed. KVM does not notice stores: then all may have been stored to whenever it could be.
 */
static uint64_t stores(void *opaque)
{
	struct video_memory *video = opaque;
	const uint64_t unwatched = atomic_load(&video->vm->ram.video_unwatched),
		       chunks = unwatched | video->late;

	video->late = 0;
	if (unwatched && !video->vm->vcpu.engine->blind_to_watches) {
		video->watch = true;
		work_soon(video);
	}
	return chunks;
}

int video_memory_create(struct video_memory *video, struct vm *vm, const struct vm_config *config,
			struct error *error)
{
	int err;

	_Static_assert(DISPLAY_VIEWS == GUEST_VIDEO_VIEWS && DISPLAY_CHUNK == GUEST_VIDEO_CHUNK,
		       "what is shown is what was to be");
	*video = (struct video_memory){ 0 };
	if (!config->vga)
		return 0;
	err = guest_ram_add_video(&vm->ram, VGA_STORE_SIZE);
	if (err)
		return error_set(error, err, "cannot get memory for the display adapter: %s; -vga "
					     "none is without one", strerror(-err));
	video->vm = vm;
	return 0;
}

struct display_memory video_memory_shared(struct video_memory *video)
{
	if (!video->vm)
		return (struct display_memory){ 0 };
	return (struct display_memory){
		.store = video->vm->ram.video,
		.views_changed = { follow_soon, video, 0 },
		.stores = stores,
		.stores_opaque = video,
	};
}
