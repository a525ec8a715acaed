/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all loaders share: judging the kind of a kernel, writing guest memory, the flat
 * protected-mode start state.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "loader.h"
#include "x86/ahead.h"

static int loader_check_range(struct boot_request *boot, const char *what, gpa_t gpa, size_t size)
{
	const struct guest_ram *ram = boot->ram;

	if (guest_ram_has_range(ram, gpa, size))
		return 0;
	return error_set(boot->error, -ENOSPC,
			 "%s needs memory at 0x%llx..0x%llx, which guest RAM (%llu MiB) does not "
			 "cover; give more with -m",
			 what, (unsigned long long)gpa.v, (unsigned long long)(gpa.v + size - 1),
			 (unsigned long long)(ram->size >> 20));
}

int loader_copy(struct boot_request *boot, const char *what, gpa_t gpa, const void *data,
		size_t size)
{
	struct guest_ram *ram = boot->ram;
	int err = size ? loader_check_range(boot, what, gpa, size) : 0;

	for (size_t at = 0; at < size && !err; at += LOADER_PIECE) {
		const size_t piece = size - at < LOADER_PIECE ? size - at : LOADER_PIECE;
		uint8_t *to = guest_ram_at(ram, gpa_add(gpa, at));

		memory_make(to, piece);
		if (data)
			memcpy(to, (const uint8_t *)data + at, piece);
		else
			memset(to, 0, piece);
		if (cancel_wanted(boot->cancel))
			err = error_set(boot->error, -EINTR, "loading %s was given up", what);
	}
	if (!err && size)
		guest_ram_written(ram, gpa, size);
	return err;
}

int loader_read(struct boot_request *boot, struct file_image *image, gpa_t gpa)
{
	const size_t size = image->size;
	int err = loader_check_range(boot, image->what, gpa, size);

	if (!err)
		err = file_image_read(boot, image, guest_ram_at(boot->ram, gpa), size);
	if (!err)
		guest_ram_written(boot->ram, gpa, size);
	return err;
}

static void loader_flat_segment(struct segment *seg, uint16_t selector, bool code)
{
	*seg = (struct segment){
		.selector = selector,
		.limit = 0xffffffff,
		.attr = SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED | SEG_DB | SEG_G |
			(code ? SEG_CODE : 0) | 0x0f00,
	};
}

int loader_enter_flat(struct boot_request *boot, uint16_t code, uint32_t eip)
{
	static const uint64_t descriptors[] = {
		0x00cf9b000000ffffull, 0x00cf93000000ffffull, /* code, data: 4 GiB, 32 bits */
		0x00009b000000ffffull, 0x000093000000ffffull, /* 64 KiB, 16 bits */
	};
	struct cpu *cpu = boot->cpu;
	uint64_t gdt[8] = { 0 };
	const uint16_t size = code + sizeof(descriptors);
	int ret;

	assert(code % 8 == 0 && size <= sizeof(gdt));
	memcpy(gdt + code / 8, descriptors, sizeof(descriptors));
	ret = loader_copy(boot, "the start-up descriptor table", GPA(LOADER_GDT), gdt, size);
	if (ret)
		return ret;
	memset(cpu->regs, 0, sizeof(cpu->regs));
	cpu->regs[X86_ESP] = LOADER_STACK;
	for (int seg = 0; seg < X86_NSEG; seg++)
		loader_flat_segment(&cpu->seg[seg], seg == X86_CS ? code : code + 8,
				    seg == X86_CS);
	cpu->gdtr = (struct table_register){ .base = LOADER_GDT, .limit = size - 1 };
	cpu->idtr = (struct table_register){ .base = 0, .limit = 0 };
	cpu->cr0 = CR0_PE | CR0_ET;
	cpu->cr3 = 0;
	cpu->cr4 = 0;
	cpu->cpl = 0;
	cpu->eflags = X86_F1;
	cpu->eip = eip;
	return 0;
}

/* Magic numbers of what people give by mistake, so that the message can name it. */
static const char *loader_guess(const struct file_image *f)
{
	static const struct {
		const char *magic;
		uint8_t len;
		const char *text;
	} kinds[] = {
		{ "\x7f" "ELF\x02", 5, "a 64-bit ELF file; ringfence runs 32-bit x86 guests" },
		{ "\x7f" "ELF\x01", 5, "an ELF file, but not a 32-bit x86 executable" },
		{ "\x1f\x8b", 2, "compressed with gzip; unpack it (gunzip) or give the bzImage" },
		{ "\xfd" "7zXZ", 5, "compressed with xz; unpack it (unxz) or give the bzImage" },
		{ "\x28\xb5\x2f\xfd", 4,
			"compressed with zstd; unpack it (unzstd) or give the bzImage" },
		{ "070701", 6, "a cpio archive: give it with -initrd" },
		{ "QFI\xfb", 4, "a qcow2 disk image, not a kernel" },
		{ "!<arch>\n", 8, "an ar archive (a Debian package?), not a kernel" },
	};

	for (size_t i = 0; i < RF_ARRAY_SIZE(kinds); i++) {
		if (f->size >= kinds[i].len && !memcmp(f->data, kinds[i].magic, kinds[i].len))
			return kinds[i].text;
	}
	return "not a kernel: neither a Linux bzImage, nor multiboot, nor a 32-bit ELF executable";
}

static const struct loader {
	bool (*probe)(const struct file_image *kernel);
	int (*load)(struct boot_request *boot, const struct file_image *kernel);
} loaders[] = {
	{ loader_linux_probe, loader_linux },
	{ loader_multiboot_probe, loader_multiboot },
	{ loader_pvh_probe, loader_pvh },
	{ loader_multiboot2_probe, loader_multiboot2 },
	{ loader_elf_probe, loader_elf },
};

/* The first that takes it; it may have no more yet than its head. */
static const struct loader *loader_find(const struct file_image *kernel)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(loaders); i++) {
		if (loaders[i].probe(kernel))
			return &loaders[i];
	}
	return NULL;
}

/* What the head shows to be no kernel, or too large, is not read on. */
static int loader_judge_head(struct boot_request *boot, struct file_image *kernel)
{
	const size_t head = kernel->size < LOADER_HEAD ? kernel->size : LOADER_HEAD;
	int ret = file_image_make(boot, kernel);

	if (!ret)
		ret = file_image_read(boot, kernel, kernel->data, head);
	if (ret)
		return ret;
	if (loader_linux_probe(kernel))
		return loader_linux_check(boot, kernel);
	return loader_find(kernel) ? 0 :
				     error_set(boot->error, -ENOEXEC, "'%s' is %s", kernel->path,
					       loader_guess(kernel));
}

static int loader_load_opened(struct boot_request *boot, struct file_image *kernel)
{
	int ret = loader_judge_head(boot, kernel);

	if (!ret)
		ret = file_image_read(boot, kernel, kernel->data + kernel->done,
				      kernel->size - kernel->done);
	if (!ret)
		ret = loader_fill_bios_area(boot);
	return ret ? ret : loader_find(kernel)->load(boot, kernel);
}

int loader_load(struct boot_request *boot)
{
	struct file_image kernel;
	int ret = file_image_open(boot, "kernel", boot->kernel, &kernel);

	if (!ret)
		ret = loader_load_opened(boot, &kernel);
	file_image_free(&kernel);
	return ret;
}
