/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of a BIOS kernels see that were started without one. The data area at 40:0 tells which
 * serial ports there are, how much conventional memory, the time of day in timer ticks, and that
 * the display is that of a PC. The last bytes below 1 MiB are where a processor starts after a
 * reset: whoever jumps there (Linux with reboot=bios) resets the machine. No interrupt is served.
 */
#include <string.h>
#include "loader.h"

enum bios_data {
	BDA_COM = 0x400, BDA_EBDA = 0x40e, BDA_EQUIPMENT = 0x410, BDA_BASE_KIB = 0x413,
	BDA_KEYS_HEAD = 0x41a, BDA_KEYS_TAIL = 0x41c, BDA_VIDEO_MODE = 0x449, BDA_COLUMNS = 0x44a,
	BDA_CRTC = 0x463, BDA_TICKS = 0x46c, BDA_KEYS_START = 0x480, BDA_KEYS_END = 0x482,
	BDA_LAST_ROW = 0x484,
};

#define EQUIPMENT_FLOPPIES(n) ((n) ? 0x0001 | ((n) - 1) << 6 : 0)
#define EQUIPMENT_FPU     0x0002
#define EQUIPMENT_MOUSE   0x0004
#define EQUIPMENT_80X25   0x0020
#define EQUIPMENT_COM(n)  ((n) << 9)
#define KEYS_START        0x1e /* the empty buffer of keys, from 40:0 */
#define KEYS_END          0x3e
#define TICKS_PER_DAY     0x1800b0u
#define SECONDS_PER_DAY   86400u

#define BIOS_POST  0xfe05bu /* where BIOSes begin, by tradition; also F000:E05B */
#define BIOS_RESET 0xffff0u

static void put16(uint8_t *area, enum bios_data at, uint16_t value)
{
	memcpy(area + at - BDA_COM, &value, sizeof(value));
}

static void bios_fill_data(uint8_t *area, uint32_t second_of_day, unsigned floppies)
{
	static const uint16_t com[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
	const uint32_t ticks = (uint64_t)second_of_day * TICKS_PER_DAY / SECONDS_PER_DAY;

	memcpy(area, com, sizeof(com));
	put16(area, BDA_EBDA, MEMORY_MAP_LOW_END >> 4);
	put16(area, BDA_EQUIPMENT, EQUIPMENT_FPU | EQUIPMENT_MOUSE | EQUIPMENT_80X25 |
					   EQUIPMENT_COM(RF_ARRAY_SIZE(com)) |
					   EQUIPMENT_FLOPPIES(floppies));
	put16(area, BDA_BASE_KIB, MEMORY_MAP_LOW_END >> 10);
	put16(area, BDA_KEYS_HEAD, KEYS_START);
	put16(area, BDA_KEYS_TAIL, KEYS_START);
	put16(area, BDA_KEYS_START, KEYS_START);
	put16(area, BDA_KEYS_END, KEYS_END);
	put16(area, BDA_VIDEO_MODE, 3);
	put16(area, BDA_COLUMNS, 80);
	put16(area, BDA_CRTC, 0x3d4);
	put16(area, BDA_LAST_ROW, 24);
	memcpy(area + BDA_TICKS - BDA_COM, &ticks, sizeof(ticks));
}

int loader_fill_bios_area(struct boot_request *boot)
{
	/* mov al, 6; mov dx, 0cf9h; out dx, al (a hard reset); hlt; jmp to the hlt */
	static const uint8_t post[] = { 0xb0, 0x06, 0xba, 0xf9, 0x0c, 0xee, 0xf4, 0xeb, 0xfd };
	/* jmp f000:e05b; a date; the model: a PC/AT */
	static const uint8_t reset[16] = "\xea\x5b\xe0\x00\xf0" "01/01/00" "\x00\xfc";
	static const uint8_t ebda_kib = (0xa0000 - MEMORY_MAP_LOW_END) >> 10;
	uint8_t area[0x100] = { 0 };
	int ret;

	bios_fill_data(area, boot->second_of_day, boot->floppies);
	ret = loader_copy(boot, "the BIOS data area", GPA(BDA_COM), area, sizeof(area));
	if (!ret)
		ret = loader_copy(boot, "the BIOS data area", GPA(MEMORY_MAP_LOW_END), &ebda_kib,
				  1);
	if (!ret)
		ret = loader_copy(boot, "the BIOS", GPA(BIOS_POST), post, sizeof(post));
	return ret ? ret : loader_copy(boot, "the BIOS", GPA(BIOS_RESET), reset, sizeof(reset));
}
