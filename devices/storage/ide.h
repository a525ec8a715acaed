/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IDE controller of the PIIX3 (82371SB data sheet), function 0:1.1: two channels at their
 * legacy ports and IRQs, each with two drives, and bus-master DMA through BAR 4. Drives are disks
 * (ATA/ATAPI-6, T13/1410D) and CD-ROMs (SFF-8020i, MMC-3).
 *
 *   ide.c         PCI function and ports
 *   ide_channel.c registers, the data port
 *   ide_transfer.c the phases of a command's transfer
 *   ide_ata.c     commands of disks
 *   ide_atapi.c   packet commands of CD-ROMs
 *   ide_dma.c     bus-master registers, lists of memory regions
 */
#ifndef RF_DEVICES_STORAGE_IDE_H
#define RF_DEVICES_STORAGE_IDE_H

#include "devices/bus/block.h"
#include "devices/bus/guest_memory.h"
#include "devices/bus/pci.h"
#include "devices/bus/wires.h"

#define IDE_CHANNELS 2
#define IDE_DRIVES   2 /* of a channel */
#define IDE_BUFFER   0x20000u /* bytes: 256 sectors */

enum ide_kind { IDE_NONE, IDE_DISK, IDE_CD };

/* What there is at each place. block of a CD-ROM may be NULL: no disc is in it. */
struct ide_drive_config {
	enum ide_kind kind;
	struct block_device *block;
};

/* What sectors of a disk are called. */
struct ide_geometry {
	uint32_t cylinders, heads, sectors;
};

struct ide_drive {
	enum ide_kind kind;
	struct block_device *block;
	struct ide_geometry geometry; /* as the drive has it */
	char serial[21];
	struct ide_drive_state {
		uint8_t status, error;
		uint8_t device;                 /* the device register */
		/* registers, and what they held before they were written last */
		uint8_t feature[2], count[2], lba_low[2], lba_mid[2], lba_high[2];
		uint8_t heads, sectors;         /* as INITIALIZE DEVICE PARAMETERS has them */
		uint8_t multiple;               /* sectors of a block; 0: not set */
		uint8_t transfer_mode;          /* as SET FEATURES has it */
		/* Of a CD-ROM. */
		uint8_t sense_key, sense_code;  /* until asked for */
		bool tray_open, locked;
		/* commands that the guest is to be told by, of which the first finds no disc */
		uint8_t attention;
		uint8_t event;                  /* of the medium, until asked for */
	} s;
};

enum ide_phase {
	IDE_IDLE,
	IDE_PACKET,   /* the host is to write a packet command */
	IDE_DATA_IN,  /* the host is to read the buffer */
	IDE_DATA_OUT, /* the host is to write the buffer */
	IDE_DMA_WAIT, /* the bus master is to be started */
	IDE_DISK_BUSY, /* a request to the block device is under way */
};

/* What is done when the buffer is full, or the request done. */
enum ide_goal {
	IDE_PIO_READ, IDE_PIO_WRITE, IDE_DMA_READ, IDE_DMA_WRITE, IDE_FLUSH, IDE_VERIFY,
	IDE_REPLY,     /* the buffer holds a command's answer, to the host by port */
	IDE_DMA_REPLY, /* the same by DMA */
	IDE_GOALS,
};

struct ide_channel {
	unsigned index;
	struct ide_drive drive[IDE_DRIVES];
	struct irq_line irq;
	struct guest_memory memory;
	struct block_request request;
	struct block_device *requested; /* NULL: no request is under way */
	struct ide_channel_state {
		uint8_t control, selected; /* device control register; 0 or 1 */
		bool interrupt;            /* INTRQ, whether enabled or not */
		uint8_t phase, goal;
		uint64_t sector;    /* the next at the block device */
		uint32_t left;      /* sectors from there on */
		uint32_t block;     /* sectors of a data request of PIO */
		uint32_t bytes;     /* in the buffer */
		uint32_t position;  /* of the host in it */
		uint32_t chunk_end; /* where the packet device's data request ends */
		uint16_t chunk;     /* the most of bytes it has, as the host wants it */
		/* Bus master. */
		uint8_t bm_command, bm_status;
		uint32_t bm_table, bm_next, bm_address, bm_left;
		bool bm_last;       /* the region is the last of its table */
		uint32_t buffer[IDE_BUFFER / 4];
	} s;
};

struct ide {
	struct pci_function function;
	struct ide_channel channel[IDE_CHANNELS];
};

extern const struct device_desc ide_desc;
extern const struct device_desc ide_channel_desc; /* instance: &ide->channel[n] */

#define IDE_PORTS_0 0x1f0 /* the base to attach a channel at */
#define IDE_PORTS_1 0x170

/* drives[2 * channel + place]. irq: IRQ 14 and 15. */
void ide_init(struct ide *ide, const struct ide_drive_config drives[IDE_CHANNELS * IDE_DRIVES],
	      const struct guest_memory *memory, const struct irq_line irq[IDE_CHANNELS]);
/* No request is under way afterwards. */
void ide_destroy(struct ide *ide);

/*
 * Another disc into CD-ROM drives[n], and the tray closes; NULL: none, and it is open. What the
 * drive was doing ends with an error. The block device that was there is not used any more.
 */
void ide_set_disc(struct ide *ide, unsigned n, struct block_device *block);
/* The user has pressed the drive's button, and the tray is locked: the guest may open it. */
void ide_ask_to_eject(struct ide *ide, unsigned n);

/*
 * The geometry of a disk of that many sectors, 16 heads of 63 sectors where it is not small; and
 * how a BIOS translates it, in the code of CMOS byte 39h (0 not, 1 by sector number).
 */
void ide_guess_geometry(uint64_t sectors, struct ide_geometry *geometry, unsigned *translation);

#endif
