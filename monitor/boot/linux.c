/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts a Linux kernel by its 32-bit boot protocol (Documentation/x86/boot.rst): the real-mode
 * part of the image is not run; its setup header is copied into the "zero page" (struct
 * boot_params), which this file fills as that code would.
 *
 * Layout: zero page at 0x90000, setup data and command line after it, the protected-mode
 * kernel at 1 MiB (a zImage at 64 KiB), the initial RAM disk as high as usable memory and the
 * kernel's own limit allow.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include "loader.h"

/* Offsets of the setup header in the image and in the zero page ("The Real-Mode Kernel Header"). */
enum setup_header {
	HDR_SETUP_SECTS = 0x1f1, HDR_VID_MODE = 0x1fa, HDR_BOOT_FLAG = 0x1fe,
	HDR_JUMP_LENGTH = 0x201, HDR_MAGIC = 0x202, HDR_VERSION = 0x206, HDR_KERNEL_VERSION = 0x20e,
	HDR_TYPE_OF_LOADER = 0x210,
	HDR_LOADFLAGS = 0x211, HDR_CODE32_START = 0x214, HDR_RAMDISK_IMAGE = 0x218,
	HDR_RAMDISK_SIZE = 0x21c, HDR_CMD_LINE_PTR = 0x228, HDR_INITRD_ADDR_MAX = 0x22c,
	HDR_RELOCATABLE = 0x234, HDR_XLOADFLAGS = 0x236, HDR_CMDLINE_SIZE = 0x238,
	HDR_SETUP_DATA = 0x250, HDR_PREF_ADDRESS = 0x258, HDR_INIT_SIZE = 0x260,
};

/* Offsets in the zero page ("zero-page.rst"). */
enum zero_page {
	ZP_EXT_MEM_K = 0x002, ZP_OLD_CL_MAGIC = 0x020, ZP_OLD_CL_OFFSET = 0x022,
	ZP_ALT_MEM_K = 0x1e0, ZP_E820_ENTRIES = 0x1e8, ZP_SETUP_HEADER = 0x1f1,
	ZP_E820_TABLE = 0x2d0, ZP_SIZE = 4096,
};

#define LOADFLAG_LOADED_HIGH 0x01
#define XLOADFLAG_KERNEL_64  0x01
#define OLD_CL_MAGIC         0xa33f
#define SETUP_HEADER_END_MAX 0x290 /* the zero page has something else from here on */

/* A node of the list that the setup header's setup_data field begins (protocol 2.09). */
struct setup_data {
	uint64_t next;
	uint32_t type;
	uint32_t len;
	uint8_t data[32];
};
#define SETUP_RNG_SEED 9 /* Linux 6.0 and later take it; others pass it over */

struct linux_image {
	const struct file_image *file;
	uint16_t version;
	size_t setup_bytes;     /* real-mode part, with the boot sector */
	size_t header_end;      /* of the setup header, as a zero-page offset */
	uint32_t load_address;
	/* memory the kernel uses until it knows the memory map */
	uint32_t runtime_start, runtime_end;
	uint32_t initrd_max;    /* highest address of an initial RAM disk's last byte */
	uint32_t cmdline_max;   /* bytes, less the terminator */
};

static uint32_t get(const uint8_t *p, unsigned bytes)
{
	uint32_t value = 0;

	memcpy(&value, p, bytes);
	return value;
}

static void put(uint8_t *p, uint64_t value, unsigned bytes)
{
	memcpy(p, &value, bytes);
}

bool loader_linux_probe(const struct file_image *kernel)
{
	return kernel->size > HDR_MAGIC + 4 && !memcmp(kernel->data + HDR_MAGIC, "HdrS", 4) &&
	       get(kernel->data + HDR_BOOT_FLAG, 2) == 0xaa55;
}

static void linux_read_limits(struct linux_image *image, const uint8_t *h)
{
	uint32_t payload = image->file->size - image->setup_bytes;

	image->runtime_start = image->load_address;
	/*
	 * Before 2.10 the kernel does not say how much it needs; three times its compressed size is
	 * what they ask of it.
	 */
	image->runtime_end = image->load_address + 3 * payload;
	if (image->version >= 0x020a) {
		if (h[HDR_RELOCATABLE] || get(h + HDR_PREF_ADDRESS, 4))
			image->runtime_start = get(h + HDR_PREF_ADDRESS, 4);
		image->runtime_end = image->runtime_start + get(h + HDR_INIT_SIZE, 4);
	}
	image->initrd_max = image->version >= 0x0203 ? get(h + HDR_INITRD_ADDR_MAX, 4) : 0x37ffffff;
	image->cmdline_max = image->version >= 0x0206 ? get(h + HDR_CMDLINE_SIZE, 4) : 255;
	if (image->cmdline_max > LOADER_COMMAND_LINE_END - LOADER_COMMAND_LINE - 1)
		image->cmdline_max = LOADER_COMMAND_LINE_END - LOADER_COMMAND_LINE - 1;
}

/*
 * Whether the real-mode part is what matters, and calls a BIOS. Linux has the address of its 32-bit
 * code in the header; iPXE has none there. memdisk says its name.
 */
static bool linux_wants_bios(const struct file_image *file)
{
	static const char memdisk[] = "MEMDISK ";
	const uint8_t *h = file->data;
	const size_t name = 0x200 + get(h + HDR_KERNEL_VERSION, 2);

	if ((h[HDR_LOADFLAGS] & LOADFLAG_LOADED_HIGH) && !get(h + HDR_CODE32_START, 4))
		return true;
	return name < file->size && file->size - name >= sizeof(memdisk) &&
	       !memcmp(h + name, memdisk, sizeof(memdisk) - 1);
}

static int linux_read_header(struct boot_request *boot, const struct file_image *file,
			     struct linux_image *image)
{
	const uint8_t *h = file->data;
	unsigned setup_sects;

	*image = (struct linux_image){ .file = file };
	if (file->size < HDR_INIT_SIZE + 4)
		return error_set(boot->error, -ENOEXEC,
				 "kernel '%s' is cut short: %zu bytes end within its header",
				 file->path, file->size);
	image->version = get(h + HDR_VERSION, 2);
	if (image->version < 0x0200)
		return error_set(
			boot->error, -ENOEXEC,
			"kernel '%s' speaks boot protocol %u.%02u; 2.00 or later is needed",
			file->path, image->version >> 8, image->version & 0xff);
	if (image->version >= 0x020c && (get(h + HDR_XLOADFLAGS, 2) & XLOADFLAG_KERNEL_64))
		return error_set(
			boot->error, -ENOEXEC,
			"kernel '%s' is a 64-bit Linux kernel; ringfence runs 32-bit x86 guests "
			"(Debian: linux-image-686)",
			file->path);
	if (linux_wants_bios(file))
		return error_set(boot->error, -ENOEXEC,
				 "'%s' has the form of a Linux kernel but runs on a BIOS, which "
				 "there is not (as iPXE and memdisk do); give the kernel that it "
				 "would load",
				 file->path);
	setup_sects = h[HDR_SETUP_SECTS] ? h[HDR_SETUP_SECTS] : 4;
	image->setup_bytes = (setup_sects + 1) * 512;
	if (image->setup_bytes >= file->size)
		return error_set(
			boot->error, -ENOEXEC,
			"kernel '%s' is cut short: %zu bytes, its real-mode part alone has %zu",
			file->path, file->size, image->setup_bytes);
	image->load_address = h[HDR_LOADFLAGS] & LOADFLAG_LOADED_HIGH ? 0x100000 : 0x10000;
	image->header_end = HDR_MAGIC + h[HDR_JUMP_LENGTH];
	if (image->header_end > SETUP_HEADER_END_MAX)
		image->header_end = SETUP_HEADER_END_MAX;
	linux_read_limits(image, h);
	return 0;
}

/*
 * Protocol 2.12 and later give the size of the protected-mode code (syssize, in 16-byte units): a
 * shorter file was cut.
 */
static int linux_check_length(struct boot_request *boot, const struct linux_image *image)
{
	uint64_t want = (uint64_t)get(image->file->data + 0x1f4, 4) * 16;
	uint64_t have = image->file->size - image->setup_bytes;

	if (image->version >= 0x0204 && have + 15 < want)
		return error_set(boot->error, -ENOEXEC,
				 "kernel '%s' is cut short: %llu of %llu bytes of its code are "
				 "there; copy it again",
				 image->file->path, (unsigned long long)have,
				 (unsigned long long)want);
	return 0;
}

static int linux_check_room(struct boot_request *boot, const struct linux_image *image)
{
	gpa_t top = memory_map_high_end(boot->map);
	uint64_t payload_end = image->load_address + (image->file->size - image->setup_bytes);
	uint64_t need = payload_end > image->runtime_end ? payload_end : image->runtime_end;

	if (image->load_address >= MEMORY_MAP_HIGH && need > top.v)
		return error_set(
			boot->error, -ENOSPC,
			"kernel '%s' needs %llu MiB of guest RAM to start, the guest has %llu MiB; "
			"give more with -m",
			image->file->path, (unsigned long long)((need + 0x1fffff) >> 20),
			(unsigned long long)(boot->ram->size >> 20));
	return 0;
}

static int linux_place_initrd(struct boot_request *boot, const struct linux_image *image,
			      struct file_image *initrd, uint8_t *zp)
{
	uint64_t top = memory_map_high_end(boot->map).v;
	uint64_t start;

	if (top > (uint64_t)image->initrd_max + 1)
		top = (uint64_t)image->initrd_max + 1;
	start = (top - initrd->size) & GUEST_PAGE_MASK;
	if (initrd->size > top || start < image->runtime_end)
		return error_set(boot->error, -ENOSPC,
				 "initrd '%s' (%zu KiB) does not fit between the kernel and the "
				 "end of guest RAM (%llu MiB); give more with -m",
				 initrd->path, initrd->size >> 10,
				 (unsigned long long)(boot->ram->size >> 20));
	put(zp + HDR_RAMDISK_IMAGE, start, 4);
	put(zp + HDR_RAMDISK_SIZE, initrd->size, 4);
	return loader_read(boot, initrd, GPA(start));
}

static int linux_load_initrd(struct boot_request *boot, const struct linux_image *image,
			     uint8_t *zp)
{
	struct file_image initrd;
	int ret = file_image_open(boot, "initrd", boot->initrd, &initrd);

	if (!ret)
		ret = linux_place_initrd(boot, image, &initrd, zp);
	file_image_free(&initrd);
	return ret;
}

static int linux_load_command_line(struct boot_request *boot, const struct linux_image *image,
				   uint8_t *zp)
{
	const char *text = boot->append ? boot->append : "";
	size_t len = strlen(text);

	if (len > image->cmdline_max)
		return error_set(boot->error, -E2BIG,
				 "-append has %zu characters; kernel '%s' takes at most %u", len,
				 image->file->path, image->cmdline_max);
	if (image->version >= 0x0202) {
		put(zp + HDR_CMD_LINE_PTR, LOADER_COMMAND_LINE, 4);
	} else {
		put(zp + ZP_OLD_CL_MAGIC, OLD_CL_MAGIC, 2);
		put(zp + ZP_OLD_CL_OFFSET, LOADER_COMMAND_LINE - LOADER_BOOT_PARAMS, 2);
	}
	return loader_copy(boot, "the command line", GPA(LOADER_COMMAND_LINE), text, len + 1);
}

/*
 * Random bytes of the host's, without which a guest that has few sources of its own can wait a
 * second for its first random number. A host that has none yet gives none.
 */
static int linux_load_seed(struct boot_request *boot, const struct linux_image *image, uint8_t *zp)
{
	struct setup_data seed = { .type = SETUP_RNG_SEED, .len = sizeof(seed.data) };

	if (image->version < 0x0209 ||
	    getrandom(seed.data, sizeof(seed.data), GRND_NONBLOCK) != sizeof(seed.data))
		return 0;
	put(zp + HDR_SETUP_DATA, LOADER_SETUP_DATA, 8);
	return loader_copy(boot, "the random seed", GPA(LOADER_SETUP_DATA), &seed, sizeof(seed));
}

static void linux_fill_memory(const struct boot_request *boot, uint8_t *zp)
{
	uint64_t high_kib = memory_map_high_kib(boot->map);

	put(zp + ZP_EXT_MEM_K, high_kib > 0xfc00 ? 0xfc00 : high_kib, 2);
	put(zp + ZP_ALT_MEM_K, high_kib, 4);
	zp[ZP_E820_ENTRIES] = boot->map->count;
	memcpy(zp + ZP_E820_TABLE, boot->map->entry,
	       boot->map->count * sizeof(boot->map->entry[0]));
}

static int linux_fill_zero_page(struct boot_request *boot, const struct linux_image *image)
{
	uint8_t zp[ZP_SIZE] = { 0 };
	int ret;

	memcpy(zp + ZP_SETUP_HEADER, image->file->data + ZP_SETUP_HEADER,
	       image->header_end - ZP_SETUP_HEADER);
	zp[HDR_TYPE_OF_LOADER] = 0xff;
	put(zp + HDR_VID_MODE, 0xffff, 2);
	put(zp + HDR_CODE32_START, image->load_address, 4);
	linux_fill_memory(boot, zp);
	ret = linux_load_command_line(boot, image, zp);
	if (!ret)
		ret = linux_load_seed(boot, image, zp);
	if (!ret && boot->initrd)
		ret = linux_load_initrd(boot, image, zp);
	return ret ? ret : loader_copy(boot, "the zero page", GPA(LOADER_BOOT_PARAMS), zp,
				       sizeof(zp));
}

static int linux_examine(struct boot_request *boot, const struct file_image *kernel,
			 struct linux_image *image)
{
	int ret = linux_read_header(boot, kernel, image);

	if (!ret)
		ret = linux_check_length(boot, image);
	return ret ? ret : linux_check_room(boot, image);
}

int loader_linux_check(struct boot_request *boot, const struct file_image *kernel)
{
	struct linux_image image;

	return linux_examine(boot, kernel, &image);
}

int loader_linux(struct boot_request *boot, const struct file_image *kernel)
{
	struct linux_image image;
	int ret = linux_examine(boot, kernel, &image);

	if (!ret)
		ret = linux_fill_zero_page(boot, &image);
	if (!ret)
		ret = loader_copy(boot, "the kernel", GPA(image.load_address),
				  kernel->data + image.setup_bytes,
				  kernel->size - image.setup_bytes);
	if (!ret)
		ret = loader_enter_flat(boot, LOADER_LINUX_CODE, image.load_address);
	if (!ret)
		boot->cpu->regs[X86_ESI] = LOADER_BOOT_PARAMS;
	return ret;
}
