/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DMA: stores to guest RAM by devices, which may be on the event-loop thread.
 *
 * Translations and shadow tables belong to the vCPU thread, so what was stored is told there, as
 * queued work. Every range is queued, whatever its pages' flags: the vCPU may just be translating
 * what is being overwritten, and sets the flag afterwards. The work comes before the next
 * interrupt, since the vCPU sees to it first (engine.h) and does not enter translated code while it
 * waits.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "vm.h"

static void dma_tell(struct vcpu *vcpu, struct vm_work *work)
{
	struct vm *vm = vcpu->vm;
	struct vm_dma *dma = &vm->dma;
	struct vm_dma_range ranges[VM_DMA_RANGES];
	unsigned n;

	assert(vcpu_is_mine(vcpu) && work == &dma->work);
	pthread_mutex_lock(&dma->lock);
	n = dma->n;
	memcpy(ranges, dma->range, n * sizeof(ranges[0]));
	dma->n = 0;
	pthread_mutex_unlock(&dma->lock);
	for (unsigned i = 0; i < n; i++)
		guest_ram_written(&vm->ram, ranges[i].start,
				  gpa_distance(ranges[i].start, ranges[i].end));
}

/*
 * When there is no room the last range grows over the new one: to tell of too much does no harm.
 * True: there was nothing queued.
 */
static bool dma_add_locked(struct vm_dma *dma, gpa_t start, gpa_t end)
{
	struct vm_dma_range *last = &dma->range[dma->n ? dma->n - 1 : 0];

	assert(dma->n <= VM_DMA_RANGES && gpa_below(start, end));
	if (dma->n && (dma->n == VM_DMA_RANGES || gpa_equal(start, last->end))) {
		last->start = gpa_below(start, last->start) ? start : last->start;
		last->end = gpa_below(last->end, end) ? end : last->end;
		return false;
	}
	dma->range[dma->n++] = (struct vm_dma_range){ start, end };
	return dma->n == 1;
}

void dma_written(struct vm *vm, gpa_t gpa, uint64_t len)
{
	struct vm_dma *dma = &vm->dma;
	bool first;

	assert(len && gpa.v <= guest_ram_end(&vm->ram) && len <= guest_ram_end(&vm->ram) - gpa.v);
	/* An engine that keeps nothing made from guest memory need not be disturbed. */
	if (!vm->ram.written)
		return;
	if (vcpu_is_self(&vm->vcpu)) {
		guest_ram_written(&vm->ram, gpa, len);
		return;
	}
	pthread_mutex_lock(&dma->lock);
	first = dma_add_locked(dma, gpa, gpa_add(gpa, len));
	pthread_mutex_unlock(&dma->lock);
	if (!first)
		return;
	dma->work.run = dma_tell;
	vm_queue_work(vm, &dma->work);
}

static int dma_read(void *opaque, gpa_t gpa, void *buf, size_t len)
{
	struct vm *vm = opaque;

	if (!guest_ram_has_range(&vm->ram, gpa, len))
		return -EFAULT;
	memcpy(buf, guest_ram_at(&vm->ram, gpa), len);
	return 0;
}

static int dma_write(void *opaque, gpa_t gpa, const void *buf, size_t len)
{
	struct vm *vm = opaque;

	if (!guest_ram_has_range(&vm->ram, gpa, len))
		return -EFAULT;
	for (const uint8_t *from = buf; len;) {
		const size_t left = GUEST_PAGE_SIZE - gpa_offset(gpa), n = len < left ? len : left;

		/* As the processor's, stores to ROM are lost. */
		if (!(guest_ram_flags(&vm->ram, gpa) & RAM_PAGE_ROM)) {
			memcpy(guest_ram_at(&vm->ram, gpa), from, n);
			dma_written(vm, gpa, n);
		}
		gpa = gpa_add(gpa, n);
		from += n;
		len -= n;
	}
	return 0;
}

struct guest_memory dma_guest_memory(struct vm *vm)
{
	return (struct guest_memory){ .read = dma_read, .write = dma_write, .opaque = vm };
}
