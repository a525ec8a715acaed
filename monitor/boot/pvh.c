/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernels with a PVH entry: an ELF note gives a physical address, which is entered in flat
 * protected mode with EBX at the start info (Xen, docs/misc/pvh.pandoc and
 * public/arch-x86/hvm/start_info.h). An uncompressed Linux kernel (vmlinux) is one. -initrd is one
 * module. Start info, tables and command line lie in low memory, the module as high as it can.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include "devices/firmware/acpi_tables.h"
#include "loader.h"

#define NOTE_NAME         "Xen"
#define NOTE_PHYS32_ENTRY 18
#define START_INFO_MAGIC  0x336ec578u
#define TSS_LIMIT         0x67
#define INITRD_MAX        0x38000000u /* what a 32-bit Linux maps at its start ends here */

struct pvh_module { uint64_t address, size, cmdline, reserved; };

struct pvh_memory {
	uint64_t base, size;
	uint32_t type, reserved;
};

struct pvh_start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, cmdline, rsdp, memory_map;
	uint32_t memory_entries, reserved;
};

/* All but the command line, at LOADER_BOOT_PARAMS. */
struct pvh_params {
	struct pvh_start_info info;
	struct pvh_module module;
	struct pvh_memory memory[MEMORY_MAP_MAX];
};

/* The entry point in one segment of notes; 0 if it has none. */
static uint32_t pvh_entry_in(const uint8_t *notes, uint64_t size, uint64_t align)
{
	const uint64_t mask = align == 8 ? 7 : 3;
	Elf32_Nhdr note;

	for (uint64_t at = 0; at + sizeof(note) <= size;) {
		uint64_t name = at + sizeof(note), desc;

		memcpy(&note, notes + at, sizeof(note));
		desc = (name + note.n_namesz + mask) & ~mask;
		at = (desc + note.n_descsz + mask) & ~mask;
		if (desc + note.n_descsz > size)
			return 0;
		if (note.n_type == NOTE_PHYS32_ENTRY && note.n_namesz == sizeof(NOTE_NAME) &&
		    note.n_descsz >= 4 && !memcmp(notes + name, NOTE_NAME, sizeof(NOTE_NAME))) {
			uint32_t entry;

			memcpy(&entry, notes + desc, sizeof(entry));
			return entry;
		}
	}
	return 0;
}

static uint32_t pvh_entry(const struct file_image *kernel)
{
	Elf32_Ehdr header;
	Elf32_Phdr ph;

	memcpy(&header, kernel->data, sizeof(header));
	if (header.e_phentsize != sizeof(ph))
		return 0;
	for (uint64_t i = 0, at = header.e_phoff;
	     i < header.e_phnum && at + sizeof(ph) <= kernel->size; i++, at += sizeof(ph)) {
		uint32_t entry;

		memcpy(&ph, kernel->data + at, sizeof(ph));
		if (ph.p_type != PT_NOTE || ph.p_offset > kernel->size ||
		    ph.p_filesz > kernel->size - ph.p_offset)
			continue;
		entry = pvh_entry_in(kernel->data + ph.p_offset, ph.p_filesz, ph.p_align);
		if (entry)
			return entry;
	}
	return 0;
}

bool loader_pvh_probe(const struct file_image *kernel)
{
	return loader_elf_probe(kernel) && pvh_entry(kernel);
}

static int pvh_place_module(struct boot_request *boot, struct file_image *file,
			    uint64_t kernel_end, struct pvh_params *params)
{
	uint64_t top = memory_map_high_end(boot->map).v;
	uint64_t start;

	if (top > INITRD_MAX)
		top = INITRD_MAX;
	start = (top - file->size) & GUEST_PAGE_MASK;
	if (file->size > top || start < kernel_end || start < MEMORY_MAP_HIGH)
		return error_set(boot->error, -ENOSPC,
				 "initrd '%s' (%zu KiB) does not fit between the kernel and the "
				 "end of guest RAM (%llu MiB); give more with -m",
				 file->path, file->size >> 10,
				 (unsigned long long)(boot->ram->size >> 20));
	params->module = (struct pvh_module){ .address = start, .size = file->size };
	params->info.modules = 1;
	params->info.module_list = LOADER_BOOT_PARAMS + offsetof(struct pvh_params, module);
	return loader_read(boot, file, GPA(start));
}

static int pvh_load_module(struct boot_request *boot, uint64_t kernel_end,
			   struct pvh_params *params)
{
	struct file_image file;
	int ret = file_image_open(boot, "initrd", boot->initrd, &file);

	if (!ret)
		ret = pvh_place_module(boot, &file, kernel_end, params);
	file_image_free(&file);
	return ret;
}

static int pvh_load_command_line(struct boot_request *boot, const struct file_image *kernel)
{
	const char *text = boot->append ? boot->append : "";
	const size_t len = strlen(text), most = LOADER_COMMAND_LINE_END - LOADER_COMMAND_LINE - 1;

	if (len > most)
		return error_set(boot->error, -E2BIG,
				 "-append has %zu characters; kernel '%s' takes at most %zu", len,
				 kernel->path, most);
	return loader_copy(boot, "the command line", GPA(LOADER_COMMAND_LINE), text, len + 1);
}

static void pvh_fill(const struct boot_request *boot, struct pvh_params *params)
{
	const struct memory_map *map = boot->map;

	for (unsigned i = 0; i < map->count; i++)
		params->memory[i] = (struct pvh_memory){ .base = map->entry[i].base,
			.size = map->entry[i].size, .type = map->entry[i].type };
	params->info = (struct pvh_start_info){
		.magic = START_INFO_MAGIC,
		.version = 1,
		.cmdline = LOADER_COMMAND_LINE,
		.rsdp = ACPI_RSDP_ADDRESS,
		.memory_map = LOADER_BOOT_PARAMS + offsetof(struct pvh_params, memory),
		.memory_entries = map->count,
	};
}

int loader_pvh(struct boot_request *boot, const struct file_image *kernel)
{
	struct pvh_params params = { 0 };
	uint32_t entry;
	gpa_t end;
	int ret = loader_elf_segments(boot, kernel, &entry, &end);

	pvh_fill(boot, &params);
	if (!ret)
		ret = pvh_load_command_line(boot, kernel);
	if (!ret && boot->initrd)
		ret = pvh_load_module(boot, end.v, &params);
	if (!ret)
		ret = loader_copy(boot, "the start info", GPA(LOADER_BOOT_PARAMS), &params,
				  sizeof(params));
	if (!ret)
		ret = loader_enter_flat(boot, LOADER_CODE, pvh_entry(kernel));
	if (ret)
		return ret;
	boot->cpu->regs[X86_EBX] = LOADER_BOOT_PARAMS;
	boot->cpu->tr.limit = TSS_LIMIT;
	return 0;
}
