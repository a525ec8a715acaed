/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of info. */
#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include "commands.h"
#include "prompt_commands.h"

static struct vm *vm_of(const struct prompt_call *call)
{
	return call->vcpu->vm;
}

static int answer_registers(struct prompt_call *call)
{
	vcpu_print_state(call->vcpu, call->out);
	return 0;
}

static int answer_status(struct prompt_call *call)
{
	fprintf(call->out, "VM status: %s\n",
		command_query_status(vm_of(call)).paused ? "paused" : "running");
	return 0;
}

static int answer_uuid(struct prompt_call *call)
{
	char text[COMMAND_UUID_SIZE];
	const bool given = command_query_uuid(vm_of(call), text);

	fprintf(call->out, "%s%s\n", text, given ? "" : " (none was given: -uuid)");
	return 0;
}

static int answer_version(struct prompt_call *call)
{
	fprintf(call->out, "ringfence %s\n", vm_of(call)->version ? vm_of(call)->version : "?");
	return 0;
}

static int answer_cpus(struct prompt_call *call)
{
	const struct command_cpu cpu = command_query_cpu(call->vcpu);

	fprintf(call->out, "* CPU #0: thread_id=%d%s\n", cpu.thread_id,
		cpu.halted ? " (halted)" : "");
	return 0;
}

static int answer_chardev(struct prompt_call *call)
{
	const struct vm *vm = vm_of(call);

	for (unsigned i = 0; i < vm->nlines; i++)
		fprintf(call->out, "%s: filename=%s\n", vm->line[i].label, vm->line[i].filename);
	return 0;
}

/* --- interrupt controllers --- */

static void print_pic(FILE *out, unsigned n, const struct i8259_chip *c)
{
	fprintf(out,
		"pic%u: irr=%02x imr=%02x isr=%02x hprio=%u irq_base=%02x rr_sel=%d elcr=%02x "
		"fnm=%d\n",
		n, c->irr, c->imr, c->isr, (c->lowest + 1) & 7, c->icw2 & 0xf8, c->read_isr,
		c->elcr, !!(c->icw4 & 0x10));
}

static void print_pin(FILE *out, unsigned pin, uint64_t entry, bool up)
{
	static const char *const modes[] = { "fixed", "lowest", "SMI", "3", "NMI", "INIT", "6",
					     "ExtINT" };

	fprintf(out, "  pin %-2u 0x%016" PRIx64 " dest=%x vec=%-3u %s %-5s %-6s %-6s %s%s%s\n", pin,
		entry, (unsigned)(entry >> 56), (unsigned)(entry & 0xff),
		entry >> 13 & 1 ? "active-lo" : "active-hi", entry >> 15 & 1 ? "level" : "edge",
		entry >> 16 & 1 ? "masked" : "", modes[entry >> 8 & 7],
		entry >> 11 & 1 ? "logical" : "physical", entry >> 14 & 1 ? " remote-irr" : "",
		up ? " up" : "");
}

static int answer_pic(struct prompt_call *call)
{
	const struct i8259 *pic = command_query_pic(vm_of(call));
	const struct io_apic *apic = command_query_io_apic(vm_of(call));

	if (!pic)
		return 0;
	pthread_mutex_lock(&vm_of(call)->device_lock);
	print_pic(call->out, 1, &pic->s.chip[1]);
	print_pic(call->out, 0, &pic->s.chip[0]);
	fprintf(call->out, "ioapic0: id=0x%02x sel=0x%02x\n", apic->s.id >> 24 & 15,
		apic->s.select);
	for (unsigned i = 0; i < IO_APIC_PINS; i++)
		print_pin(call->out, i, apic->s.entry[i], apic->s.lines >> i & 1);
	pthread_mutex_unlock(&vm_of(call)->device_lock);
	return 0;
}

static void print_counts(FILE *out, const char *name, const uint64_t *counts, unsigned n)
{
	fprintf(out, "IRQ statistics for %s:\n", name);
	for (unsigned i = 0; i < n; i++) {
		if (counts[i])
			fprintf(out, "%2u: %" PRIu64 "\n", i, counts[i]);
	}
}

static int answer_irq(struct prompt_call *call)
{
	const struct i8259 *pic = command_query_pic(vm_of(call));
	const struct io_apic *apic = command_query_io_apic(vm_of(call));

	if (!pic)
		return 0;
	pthread_mutex_lock(&vm_of(call)->device_lock);
	print_counts(call->out, "isa-i8259", pic->taken, RF_ARRAY_SIZE(pic->taken));
	print_counts(call->out, "ioapic", apic->sent, RF_ARRAY_SIZE(apic->sent));
	pthread_mutex_unlock(&vm_of(call)->device_lock);
	return 0;
}

/* --- what is where --- */

static void visit_bus(struct prompt_call *call,
		      void (*visit)(void *opaque, const struct bus_entry *entry), void *opaque)
{
	pthread_mutex_lock(&vm_of(call)->device_lock);
	command_visit_bus(vm_of(call), visit, opaque);
	pthread_mutex_unlock(&vm_of(call)->device_lock);
}

static void print_range(FILE *out, uint64_t base, uint64_t size, const char *kind, const char *name)
{
	fprintf(out, "  %016" PRIx64 "-%016" PRIx64 " (prio 0, %s): %s\n", base, base + size - 1,
		kind, name);
}

/* The range with the lowest base from `from` on. */
struct mtree {
	enum bus_space space;
	uint64_t from;
	struct bus_entry next; /* range NULL: there is none */
	struct bus_range range;
};

static void find_mtree_entry(void *opaque, const struct bus_entry *entry)
{
	struct mtree *tree = opaque;
	const struct bus_range *r = entry->range;

	if (!r || r->space != tree->space || r->base < tree->from ||
	    (tree->next.range && tree->range.base <= r->base))
		return;
	tree->range = *r;
	tree->next = *entry;
	tree->next.range = &tree->range;
}

static void print_mtree(struct prompt_call *call, enum bus_space space)
{
	struct mtree tree = { .space = space };

	do {
		tree.next.range = NULL;
		visit_bus(call, find_mtree_entry, &tree);
		tree.from = tree.range.base + 1;
		if (tree.next.range)
			print_range(call->out, tree.range.base, tree.range.size, "i/o",
				    tree.next.name);
	} while (tree.next.range);
}

static int answer_mtree(struct prompt_call *call)
{
	const struct guest_ram *ram = &vm_of(call)->ram;

	fprintf(call->out, "address-space: memory\n");
	print_range(call->out, 0, GUEST_VIDEO_HOLE_START, "ram", "ram");
	print_range(call->out, GUEST_VIDEO_HOLE_END, ram->size - GUEST_VIDEO_HOLE_END, "ram",
		    "ram");
	print_mtree(call, BUS_MMIO);
	fprintf(call->out, "\naddress-space: I/O\n");
	print_mtree(call, BUS_PIO);
	return 0;
}

struct qtree {
	FILE *out;
	const char *device; /* the last */
};

static void print_qtree_entry(void *opaque, const struct bus_entry *entry)
{
	struct qtree *tree = opaque;

	if (entry->device != tree->device)
		fprintf(tree->out, "  dev: %s\n", entry->device);
	tree->device = entry->device;
	if (entry->range)
		fprintf(tree->out, "    %s %0*" PRIx64 "/%0*" PRIx64 "\n",
			entry->range->space == BUS_PIO ? "pio" : "mmio",
			entry->range->space == BUS_PIO ? 4 : 16, entry->range->base,
			entry->range->space == BUS_PIO ? 4 : 16, entry->range->size);
}

static int answer_qtree(struct prompt_call *call)
{
	fprintf(call->out, "bus: main-system-bus\n");
	visit_bus(call, print_qtree_entry, &(struct qtree){ call->out, NULL });
	return 0;
}

/* --- page tables --- */

static void print_page(void *out, const struct command_page *page)
{
	static const struct {
		uint64_t bit;
		char letter;
	} flags[] = {
		{ PTE_NX, 'X' }, { PTE_G, 'G' }, { PTE_PS, 'P' }, { PTE_D, 'D' }, { PTE_A, 'A' },
		{ PTE_PCD, 'C' }, { PTE_PWT, 'T' }, { PTE_U, 'U' }, { PTE_W, 'W' },
	};
	char text[sizeof(flags) / sizeof(flags[0]) + 1] = "";

	for (size_t i = 0; i < RF_ARRAY_SIZE(flags); i++) {
		/* in an entry of a small page that bit is PAT's */
		const bool other = flags[i].bit == PTE_PS && page->size == GUEST_PAGE_SIZE;

		text[i] = page->entry & flags[i].bit && !other ? flags[i].letter : '-';
	}
	fprintf(out, "%016" PRIx64 ": %016" PRIx64 " %s\n", (uint64_t)page->gva, page->gpa.v,
		text);
}

static int answer_tlb(struct prompt_call *call)
{
	if (!command_visit_pages(call->vcpu, print_page, call->out))
		fprintf(call->out, "PG disabled\n");
	return 0;
}

/* A run of pages that may be used alike. */
struct page_run {
	FILE *out;
	uint64_t start, end; /* equal: none */
	bool user, writable;
};

static void end_run(struct page_run *run)
{
	if (run->start != run->end)
		fprintf(run->out, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %cr%c\n",
			run->start, run->end, run->end - run->start, run->user ? 'u' : '-',
			run->writable ? 'w' : '-');
}

static void add_to_run(void *opaque, const struct command_page *page)
{
	struct page_run *run = opaque;

	if (page->gva != run->end || page->user != run->user || page->writable != run->writable) {
		end_run(run);
		run->start = page->gva;
	}
	run->end = page->gva + page->size;
	run->user = page->user;
	run->writable = page->writable;
}

static int answer_mem(struct prompt_call *call)
{
	struct page_run run = { .out = call->out };

	if (!command_visit_pages(call->vcpu, add_to_run, &run))
		fprintf(call->out, "PG disabled\n");
	end_run(&run);
	return 0;
}

const struct prompt_command prompt_info_commands[] = {
	{ "info chardev", NULL, "what serial ports and the like are connected to",
	  .answer = answer_chardev },
	{ "info cpus", NULL, "the processor's thread", .answer = answer_cpus },
	{ "info irq", NULL, "interrupts taken from each controller", .answer = answer_irq },
	{ "info mem", NULL, "what the guest's page tables map, in ranges", .answer = answer_mem },
	{ "info mtree", NULL, "which addresses are whose", .answer = answer_mtree },
	{ "info pic", NULL, "the interrupt controllers", .answer = answer_pic },
	{ "info qtree", NULL, "the devices", .answer = answer_qtree },
	{ "info registers", NULL, "the processor's registers", .answer = answer_registers },
	{ "info status", NULL, "whether the guest is running", .answer = answer_status },
	{ "info tlb", NULL, "what the guest's page tables map, page by page",
	  .answer = answer_tlb },
	{ "info uuid", NULL, "the machine's UUID", .answer = answer_uuid },
	{ "info version", NULL, "ringfence's version", .answer = answer_version },
};

const size_t prompt_info_count = RF_ARRAY_SIZE(prompt_info_commands);
