/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all loaders share: reading files, judging their kind, writing guest memory, the flat
 * protected-mode start state.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "loader.h"
#include "x86/ahead.h"

static int file_image_fill(struct boot_request *boot, const char *what, int fd,
			   struct file_image *image)
{
	size_t done = 0;

	memory_make(image->data, image->size);
	while (done < image->size) {
		ssize_t n = read(fd, image->data + done, image->size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(boot->error, -errno, "cannot read %s '%s': %s", what,
					 image->path, error_reason(errno));
		if (n == 0)
			return error_set(boot->error, -EIO,
					 "%s '%s' shrank to %zu bytes while it was read; try again",
					 what, image->path, done);
		done += n;
	}
	return 0;
}

static int file_image_open(struct boot_request *boot, const char *what, const char *path, int *fd,
			   size_t *size)
{
	struct stat st;

	/* O_NONBLOCK: a FIFO must give an error below rather than wait for a writer. */
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0)
		return error_set(boot->error, -errno, "cannot open %s '%s': %s", what, path,
				 error_reason(errno));
	if (fstat(*fd, &st) < 0)
		return error_set(boot->error, -errno, "cannot examine %s '%s': %s", what, path,
				 error_reason(errno));
	if (S_ISDIR(st.st_mode))
		return error_set(boot->error, -EISDIR,
				 "%s '%s' is a directory; name the file in it", what, path);
	if (!S_ISREG(st.st_mode))
		return error_set(boot->error, -EINVAL,
				 "%s '%s' is not a regular file; copy it to one first", what, path);
	if (st.st_size == 0)
		return error_set(boot->error, -EINVAL, "%s '%s' is empty", what, path);
	if ((uint64_t)st.st_size > GUEST_RAM_MAX)
		return error_set(boot->error, -EFBIG,
				 "%s '%s' has %lld bytes, more than any guest's memory", what, path,
				 (long long)st.st_size);
	*size = st.st_size;
	return 0;
}

int file_image_read(struct boot_request *boot, const char *what, const char *path,
		    struct file_image *image)
{
	int fd = -1;
	int ret;

	*image = (struct file_image){ .path = path };
	ret = file_image_open(boot, what, path, &fd, &image->size);
	if (!ret) {
		image->data = malloc(image->size);
		ret = image->data ? file_image_fill(boot, what, fd, image) :
				    error_set(boot->error, -ENOMEM,
					      "no memory to read %s '%s' (%zu bytes)", what, path,
					      image->size);
	}
	if (fd >= 0)
		close(fd);
	if (ret)
		file_image_free(image);
	return ret;
}

void file_image_free(struct file_image *image)
{
	free(image->data);
	image->data = NULL;
	image->size = 0;
}

static bool loader_range_is_ram(const struct guest_ram *ram, gpa_t gpa, uint64_t size)
{
	return gpa.v <= ram->size && size <= ram->size - gpa.v &&
	       (gpa.v + size <= GUEST_VIDEO_HOLE_START || gpa.v >= GUEST_VIDEO_HOLE_END);
}

int loader_copy(struct boot_request *boot, const char *what, gpa_t gpa, const void *data,
		size_t size)
{
	struct guest_ram *ram = boot->ram;

	if (!size)
		return 0;
	if (!loader_range_is_ram(ram, gpa, size))
		return error_set(boot->error, -ENOSPC,
				 "%s needs memory at 0x%llx..0x%llx, which guest RAM (%llu MiB) "
				 "does not cover; "
				 "give more with -m",
				 what, (unsigned long long)gpa.v,
				 (unsigned long long)(gpa.v + size - 1),
				 (unsigned long long)(ram->size >> 20));
	memory_make(guest_ram_at(ram, gpa), size);
	if (data)
		memcpy(guest_ram_at(ram, gpa), data, size);
	else
		memset(guest_ram_at(ram, gpa), 0, size);
	guest_ram_written(ram, gpa, size);
	return 0;
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

int loader_load(struct boot_request *boot)
{
	static const struct {
		bool (*probe)(const struct file_image *kernel);
		int (*load)(struct boot_request *boot, const struct file_image *kernel);
	} loaders[] = {
		{ loader_linux_probe, loader_linux },
		{ loader_multiboot_probe, loader_multiboot },
		{ loader_pvh_probe, loader_pvh },
		{ loader_multiboot2_probe, loader_multiboot2 },
		{ loader_elf_probe, loader_elf },
	};
	struct file_image kernel;
	int ret = file_image_read(boot, "kernel", boot->kernel, &kernel);

	if (ret)
		return ret;
	for (size_t i = 0; i < RF_ARRAY_SIZE(loaders); i++) {
		if (!loaders[i].probe(&kernel))
			continue;
		ret = loader_fill_bios_area(boot);
		if (!ret)
			ret = loaders[i].load(boot, &kernel);
		file_image_free(&kernel);
		return ret;
	}
	ret = error_set(boot->error, -ENOEXEC, "'%s' is %s", kernel.path, loader_guess(&kernel));
	file_image_free(&kernel);
	return ret;
}
