/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The floppy disk controller, an 82077AA in its AT mode (Intel 82077AA data sheet), with two
 * drives. It moves data by DMA, or byte by byte where the host asks for that (SPECIFY).
 *
 *   fdc.c          ports, the interrupt, time
 *   fdc_command.c  commands by their bytes, and those that move no data
 *   fdc_transfer.c commands that do: the way of each sector
 *   fdc_drive.c    drives, disks and their formats
 *
 * A raw image holds what is in sectors, not how a track is written. So data that was written as
 * deleted is read as ordinary data, and a track can be formatted only as it is.
 */
#ifndef RF_DEVICES_STORAGE_FDC_H
#define RF_DEVICES_STORAGE_FDC_H

#include "devices/bus/block.h"
#include "devices/bus/bus.h"
#include "devices/bus/clock.h"
#include "devices/bus/dma_channel.h"
#include "devices/bus/wires.h"

#define FDC_DRIVES 2 /* that there may be */
#define FDC_UNITS  4 /* that the chip has registers for */
#define FDC_PORTS  0x3f0 /* the base to attach it at */

/* Kinds of drives, by the codes of CMOS byte 10h. */
enum floppy_drive_type {
	FLOPPY_NONE, FLOPPY_360K, FLOPPY_1200K, FLOPPY_720K, FLOPPY_1440K, FLOPPY_2880K,
	FLOPPY_TYPES,
};

/* How a disk is formatted, which its image's size tells. */
struct floppy_format {
	uint8_t cylinders, heads, sectors; /* sectors of a track, of 512 bytes */
	uint8_t rates; /* at which it is read: bit n for code n of the rate select register */
	enum floppy_drive_type type; /* the drive it comes with */
};

#define FLOPPY_SIZES "160, 180, 320, 360, 720, 1200, 1440, 1680 and 2880 KiB"

/*
 * Of a disk of so many sectors; NULL: no floppy is so large. An image that is smaller than 1440 KiB
 * and of no other size is the beginning of such a disk, as images of boot loaders are: what is
 * missing is read as zeros, and cannot be written.
 */
const struct floppy_format *floppy_format_find(uint64_t sectors);
/* Whether a drive takes disks of that format. */
bool floppy_drive_takes(enum floppy_drive_type type, const struct floppy_format *format);
/* "1.44M", as people call the drive. */
const char *floppy_drive_name(enum floppy_drive_type type);

/* block NULL: no disk is in it; else one of a format that the drive takes. */
struct floppy_drive_config {
	enum floppy_drive_type type; /* FLOPPY_NONE: there is no such drive */
	struct block_device *block;
};

struct fdc_drive {
	enum floppy_drive_type type;
	struct block_device *block; /* NULL: no disk */
	const struct floppy_format *format; /* the disk's */
	struct fdc_drive_state {
		uint8_t track;   /* where the head is */
		uint8_t pcn;     /* where the controller takes it to be */
		uint8_t passing; /* sectors that have passed the head, in READ ID */
		bool changed;    /* the disk may be another: since then the head was not moved */
		bool seek_done;  /* to be asked for by SENSE INTERRUPT STATUS */
		uint8_t seek_st0;
		uint64_t seek_end_ns; /* 0: it does not seek */
	} s;
};

enum fdc_phase {
	FDC_IDLE,
	FDC_COMMAND, /* more bytes of the command are to come */
	FDC_DISK,    /* a request to the block device is under way */
	FDC_HOST,    /* the host, or the DMA controller, is to move the data */
	FDC_WAIT,    /* the result will be there soon */
	FDC_RESULT,  /* the host is to read the result */
	FDC_PHASES,
};

enum fdc_goal {
	FDC_READ, FDC_READ_TRACK, FDC_WRITE, FDC_FORMAT, FDC_VERIFY, FDC_SCAN, FDC_READ_ID,
	FDC_GOALS,
};

#define FDC_COMMAND_BYTES 9
#define FDC_RESULT_BYTES  10

struct fdc {
	struct clock clock;
	struct clock_timer *timer;
	struct irq_line irq;
	struct dma_channel dma;
	struct fdc_drive drive[FDC_UNITS];
	struct block_request request;
	struct block_device *requested; /* NULL: no request is under way */
	struct fdc_state {
		uint8_t dor, tape, rate; /* rate: the two bits of DSR and CCR */
		uint8_t configure, pretrack, perpendicular, specify[2];
		bool locked;
		uint8_t interrupts;      /* what holds the INT pin up */
		uint8_t reset_senses;    /* how many of the four after a reset are still to come */
		uint64_t reset_end_ns;   /* when a reset is over; 0: it is */
		uint64_t wait_end_ns;    /* of FDC_WAIT, or when DMA comes too late; 0: none */
		uint8_t phase, goal;
		uint8_t command[FDC_COMMAND_BYTES], given, wanted; /* bytes of it */
		uint8_t result[FDC_RESULT_BYTES], results, result_at;
		/* A command that moves data. */
		uint8_t unit;
		uint8_t c, h, r;         /* of the sector that it is at, as its ID has them */
		uint8_t side;            /* of the disk */
		uint8_t eot;             /* the last sector of a track, or how many to format */
		uint16_t left;           /* sectors to be verified or formatted */
		uint8_t st0, st1, st2;   /* what the result will say; st0 without unit and head */
		bool end;                /* terminal count was there */
		bool written;            /* something that is not flushed */
		uint8_t request_kind;    /* of FDC_DISK */
		uint32_t sector;         /* at the block device */
		uint16_t bytes, position; /* of the host's turn */
		uint8_t data[BLOCK_SECTOR];
		uint8_t compared[BLOCK_SECTOR]; /* by SCAN: the host's */
	} s;
};

extern const struct device_desc fdc_desc;

/* irq: IRQ 6. dma: channel 2, which calls fdc_served(). 0 or -ENOMEM. */
int fdc_init(struct fdc *fdc, const struct clock *clock, struct irq_line irq,
	     struct dma_channel dma,
	     const struct floppy_drive_config drives[FDC_DRIVES]) RF_MUST_CHECK;
/* No request is under way afterwards. */
void fdc_destroy(struct fdc *fdc);

/* The DMA channel is served: as signal_line.raise. */
void fdc_served(void *fdc, unsigned n, uint32_t value);

/*
 * Another disk into drive n, which is there and takes it; NULL: none. What the drive was doing with
 * the one before ends with an error. The block device that was there is not used any more.
 */
void fdc_set_disk(struct fdc *fdc, unsigned n, struct block_device *block);

#endif
