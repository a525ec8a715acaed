/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Multiboot version 1 (Multiboot Specification 0.6.96). -initrd lists modules as QEMU does: "file
 * args,file args". The information structure, its strings and tables go after the kernel, then the
 * modules, each on a page of its own.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "loader.h"

#define MB_HEADER_MAGIC 0x1badb002u
#define MB_BOOT_MAGIC   0x2badb002u
#define MB_SEARCH       8192u
#define MB_WANT_VIDEO   0x00000004u
#define MB_ADDRESSES    0x00010000u /* the header says where to load ("a.out kludge") */
#define MB_KNOWN_MUST   0x00000003u /* required features that are provided */
#define MB_MAX_MODULES  64
#define MB2_HEADER_MAGIC 0xe85250d6u
#define MB2_SEARCH      32768u

struct mb_header {
	uint32_t magic, flags, checksum;
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

struct mb_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name,
		apm_table;
};

enum {
	MBI_MEMORY = 1 << 0, MBI_CMDLINE = 1 << 2, MBI_MODS = 1 << 3, MBI_MMAP = 1 << 6,
	MBI_LOADER_NAME = 1 << 9
};

struct mb_module { uint32_t start, end, string, reserved; };

struct mb_mmap_entry {
	uint32_t size; /* of the rest */
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

/* Where the next thing goes in guest memory. */
struct mb_layout { gpa_t next; };

static const uint8_t *mb_find_header(const struct file_image *kernel)
{
	for (size_t off = 0; off < MB_SEARCH && off + 12 <= kernel->size; off += 4) {
		uint32_t w[3];

		memcpy(w, kernel->data + off, sizeof(w));
		if (w[0] == MB_HEADER_MAGIC && w[0] + w[1] + w[2] == 0)
			return kernel->data + off;
	}
	return NULL;
}

bool loader_multiboot_probe(const struct file_image *kernel)
{
	return mb_find_header(kernel) != NULL;
}

static int mb_load_addresses(struct boot_request *boot, const struct file_image *kernel,
			     const uint8_t *at, gpa_t *end)
{
	struct mb_header h;
	uint64_t offset, size;
	int ret;

	if (at + sizeof(h) > kernel->data + kernel->size)
		return error_set(boot->error, -ENOEXEC,
				 "kernel '%s' is cut short within its multiboot header",
				 kernel->path);
	memcpy(&h, at, sizeof(h));
	offset = (uint64_t)(at - kernel->data) - (h.header_addr - h.load_addr);
	if (h.header_addr < h.load_addr || offset > kernel->size)
		return error_set(boot->error, -ENOEXEC,
				 "kernel '%s': its multiboot header loads from before the file "
				 "(load_addr 0x%x, "
				 "header_addr 0x%x)",
				 kernel->path, h.load_addr, h.header_addr);
	size = h.load_end_addr ? (uint64_t)h.load_end_addr - h.load_addr : kernel->size - offset;
	if ((h.load_end_addr && h.load_end_addr < h.load_addr) || size > kernel->size - offset)
		return error_set(boot->error, -ENOEXEC,
				 "kernel '%s' is cut short: its multiboot header asks for %llu "
				 "bytes, %llu are there",
				 kernel->path, (unsigned long long)size,
				 (unsigned long long)(kernel->size - offset));
	ret = loader_copy(boot, "the kernel", GPA(h.load_addr), kernel->data + offset, size);
	*end = GPA(h.load_addr + size);
	if (!ret && h.bss_end_addr > end->v) {
		ret = loader_copy(boot, "the kernel", *end, NULL, h.bss_end_addr - end->v);
		*end = GPA(h.bss_end_addr);
	}
	return ret;
}

/* align is a power of two. */
static gpa_t gpa_align_up(gpa_t gpa, uint32_t align)
{
	return GPA((gpa.v + align - 1) & ~(uint64_t)(align - 1));
}

/* The place of the next thing, which is not written yet. */
static int mb_reserve(struct boot_request *boot, struct mb_layout *lay, const char *what,
		      size_t size, uint32_t align, uint32_t *at)
{
	assert(align && !(align & (align - 1)));
	lay->next = gpa_align_up(lay->next, align);
	*at = (uint32_t)lay->next.v;
	lay->next = gpa_add(lay->next, size);
	if (gpa_below(memory_map_high_end(boot->map), lay->next))
		return error_set(
			boot->error, -ENOSPC,
			"%s (%zu KiB) does not fit into guest RAM (%llu MiB); give more with -m",
			what, size >> 10, (unsigned long long)(boot->ram->size >> 20));
	return 0;
}

static int mb_place(struct boot_request *boot, struct mb_layout *lay, const char *what,
		    const void *data, size_t size, uint32_t align, uint32_t *at)
{
	int ret = mb_reserve(boot, lay, what, size, align, at);

	return ret ? ret : loader_copy(boot, what, GPA(*at), data, size);
}

static int mb_read_module(struct boot_request *boot, struct mb_layout *lay, const char *path,
			  struct mb_module *module)
{
	struct file_image image;
	int ret = file_image_open(boot, "module", path, &image);

	if (!ret)
		ret = mb_reserve(boot, lay, "a module", image.size, GUEST_PAGE_SIZE,
				 &module->start);
	if (!ret)
		ret = loader_read(boot, &image, GPA(module->start));
	module->end = module->start + image.size;
	file_image_free(&image);
	return ret;
}

/* One module: text is "file args"; the module's string is the whole of it, as QEMU passes it. */
static int mb_load_module(struct boot_request *boot, struct mb_layout *lay, char *text,
			  struct mb_module *module)
{
	char *space = strchr(text, ' ');
	int ret;

	ret = mb_place(boot, lay, "a module's command line", text, strlen(text) + 1, 4,
		       &module->string);
	if (ret)
		return ret;
	if (space)
		*space = '\0';
	return mb_read_module(boot, lay, text, module);
}

static int mb_load_modules(struct boot_request *boot, struct mb_layout *lay, struct mb_info *info)
{
	struct mb_module modules[MB_MAX_MODULES] = { 0 };
	char *list, *rest, *text;
	int ret = 0;

	if (!boot->initrd)
		return 0;
	list = rest = strdup(boot->initrd);
	if (!list)
		return error_set(boot->error, -ENOMEM, "no memory for the list of modules");
	while (!ret && (text = strsep(&rest, ","))) {
		if (info->mods_count == MB_MAX_MODULES)
			ret = error_set(boot->error, -E2BIG, "-initrd lists more than %d modules",
					MB_MAX_MODULES);
		else
			ret = mb_load_module(boot, lay, text, &modules[info->mods_count++]);
	}
	free(list);
	info->flags |= MBI_MODS;
	return ret ? ret :
		     mb_place(boot, lay, "the list of modules", modules,
			      info->mods_count * sizeof(modules[0]), 4, &info->mods_addr);
}

static int mb_place_mmap(struct boot_request *boot, struct mb_layout *lay, struct mb_info *info)
{
	struct mb_mmap_entry mmap[MEMORY_MAP_MAX];
	const struct memory_map *map = boot->map;

	for (unsigned i = 0; i < map->count; i++)
		mmap[i] = (struct mb_mmap_entry){ sizeof(mmap[i]) - 4, map->entry[i].base,
						  map->entry[i].size, map->entry[i].type };
	info->flags |= MBI_MMAP | MBI_MEMORY;
	info->mmap_length = map->count * sizeof(mmap[0]);
	info->mem_lower = MEMORY_MAP_LOW_END >> 10;
	info->mem_upper = memory_map_high_kib(map);
	return mb_place(boot, lay, "the memory map", mmap, info->mmap_length, 4, &info->mmap_addr);
}

static int mb_place_strings(struct boot_request *boot, struct mb_layout *lay, struct mb_info *info)
{
	static const char loader_name[] = "ringfence";
	char *cmdline;
	int ret;

	if (asprintf(&cmdline, "%s%s%s", boot->kernel, boot->append && *boot->append ? " " : "",
		     boot->append ? boot->append : "") < 0)
		return error_set(boot->error, -ENOMEM, "no memory for the command line");
	ret = mb_place(boot, lay, "the command line", cmdline, strlen(cmdline) + 1, 4,
		       &info->cmdline);
	free(cmdline);
	info->flags |= MBI_CMDLINE | MBI_LOADER_NAME;
	return ret ? ret :
		     mb_place(boot, lay, "the loader's name", loader_name, sizeof(loader_name), 4,
			      &info->boot_loader_name);
}

static int mb_build_info(struct boot_request *boot, gpa_t kernel_end, uint32_t *info_at)
{
	struct mb_info info = { 0 };
	const gpa_t high = GPA(MEMORY_MAP_HIGH);
	struct mb_layout lay = { .next = gpa_below(kernel_end, high) ? high : kernel_end };
	int ret;

	lay.next = gpa_align_up(lay.next, GUEST_PAGE_SIZE);
	ret = mb_place_strings(boot, &lay, &info);
	if (!ret)
		ret = mb_place_mmap(boot, &lay, &info);
	if (!ret)
		ret = mb_load_modules(boot, &lay, &info);
	return ret ? ret :
		     mb_place(boot, &lay, "the multiboot information", &info, sizeof(info), 16,
			      info_at);
}

/* A header of Multiboot 2: magic, architecture, length and checksum, on eight bytes. */
bool loader_multiboot2_probe(const struct file_image *kernel)
{
	for (size_t off = 0; off + 16 <= MB2_SEARCH && off + 16 <= kernel->size; off += 8) {
		uint32_t w[4];

		memcpy(w, kernel->data + off, sizeof(w));
		if (w[0] == MB2_HEADER_MAGIC && w[0] + w[1] + w[2] + w[3] == 0)
			return true;
	}
	return false;
}

int loader_multiboot2(struct boot_request *boot, const struct file_image *kernel)
{
	return error_set(boot->error, -ENOEXEC,
			 "kernel '%s' has a header of multiboot 2 only; give it one of multiboot 1 "
			 "(magic 0x1badb002) as well",
			 kernel->path);
}

static int mb_check_flags(struct boot_request *boot, const struct file_image *kernel,
			  uint32_t flags)
{
	const uint32_t lacks = flags & 0xffff & ~MB_KNOWN_MUST;

	if (lacks == MB_WANT_VIDEO)
		return error_set(boot->error, -ENOEXEC,
				 "multiboot kernel '%s' requires a video mode (bit 2 of its "
				 "header's flags), and there is no display: build it without that "
				 "bit and with its console on the serial port",
				 kernel->path);
	if (lacks)
		return error_set(
			boot->error, -ENOEXEC,
			"kernel '%s' requires multiboot features 0x%x that are not provided",
			kernel->path, lacks);
	return 0;
}

int loader_multiboot(struct boot_request *boot, const struct file_image *kernel)
{
	const uint8_t *at = mb_find_header(kernel);
	uint32_t flags, entry, info;
	gpa_t end;
	int ret;

	memcpy(&flags, at + 4, 4);
	ret = mb_check_flags(boot, kernel, flags);
	if (ret)
		return ret;
	if (flags & MB_ADDRESSES) {
		ret = mb_load_addresses(boot, kernel, at, &end);
		if (!ret)
			memcpy(&entry, at + offsetof(struct mb_header, entry_addr), 4);
	} else if (loader_elf_probe(kernel)) {
		ret = loader_elf_segments(boot, kernel, &entry, &end);
	} else {
		ret = error_set(
			boot->error, -ENOEXEC,
			"multiboot kernel '%s' is neither a 32-bit ELF nor says where to load",
			kernel->path);
	}
	if (!ret)
		ret = mb_build_info(boot, end, &info);
	if (!ret)
		ret = loader_enter_flat(boot, LOADER_CODE, entry);
	if (ret)
		return ret;
	boot->cpu->regs[X86_EAX] = MB_BOOT_MAGIC;
	boot->cpu->regs[X86_EBX] = info;
	return 0;
}
