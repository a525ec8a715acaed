/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the IDE controller share. */
#ifndef RF_DEVICES_STORAGE_IDE_INTERNAL_H
#define RF_DEVICES_STORAGE_IDE_INTERNAL_H

#include "ide.h"

/* Status register. */
#define ATA_ERR  0x01u
#define ATA_DRQ  0x08u
#define ATA_DSC  0x10u /* seek complete */
#define ATA_DRDY 0x40u
#define ATA_BSY  0x80u

/* Error register. */
#define ATA_ABRT 0x04u
#define ATA_IDNF 0x10u /* there is no such sector */
#define ATA_UNC  0x40u /* cannot be read */

/* Device register. */
#define DEVICE_LBA  0x40u
#define DEVICE_HEAD 0x0fu
#define DEVICE_SECOND 0x10u

/* Interrupt reason, a packet device's count register. */
#define REASON_COMMAND 0x01u
#define REASON_TO_HOST 0x02u

/* ide_channel.c */

static inline struct ide_drive *ide_selected(struct ide_channel *c)
{
	return &c->drive[c->s.selected];
}

static inline uint8_t *ide_bytes(struct ide_channel *c)
{
	return (uint8_t *)c->s.buffer;
}

void ide_interrupt(struct ide_channel *c, bool level);
/* The command is done: successful, or with bits of the error register. Interrupts. */
void ide_done(struct ide_channel *c);
void ide_fail(struct ide_channel *c, uint8_t error);
/* The signature by which software tells the kinds of drive apart. */
void ide_set_signature(struct ide_drive *d);

/* ide_transfer.c */

/*
 * Starts to move left sectors from sector on, which are on the block device, in data requests of
 * block sectors (PIO).
 */
void ide_transfer(struct ide_channel *c, enum ide_goal goal, uint64_t sector, uint32_t left,
		  uint32_t block);
/* The next piece of it: a request to the block device, or of the host's data. */
void ide_continue(struct ide_channel *c);
/* The same after the host has read a piece by port. */
void ide_next_piece(struct ide_channel *c);
/* What the host has put into the buffer goes to the block device. */
void ide_write_piece(struct ide_channel *c);
/* Makes the request again that a loaded state says was under way. */
void ide_repeat_request(struct ide_channel *c);
/* A command's answer of some bytes is in the buffer. */
void ide_reply(struct ide_channel *c, uint32_t bytes);
/* Ends a request that is under way as if it had not been. */
void ide_forget_request(struct ide_channel *c);

/* ide_ata.c */
void ata_command(struct ide_channel *c, uint8_t command);
void ata_identify_put(uint16_t *words, unsigned first, unsigned count, const char *text);

/* ide_atapi.c */
/* Of a drive that takes packets: those commands that come through the command register. */
void atapi_command(struct ide_channel *c, uint8_t command);
/* The packet is in the buffer. */
void atapi_packet(struct ide_channel *c);
/* The next piece of what it answers is to be read by the host; or it is done. */
void atapi_offer(struct ide_channel *c);
void atapi_done(struct ide_channel *c);
void atapi_failed(struct ide_channel *c, uint8_t key, uint8_t code);

/* The disc is another, or gone: tells the guest, and ends what was under way. */
void atapi_set_disc(struct ide_channel *c, struct ide_drive *d, struct block_device *block);
void atapi_ask_to_eject(struct ide_drive *d);

#define SENSE_NOT_READY   2
#define SENSE_MEDIUM      3
#define SENSE_ILLEGAL     5
#define SENSE_ATTENTION   6
#define SENSE_ABORTED     11
#define CODE_UNREADABLE   0x11
#define CODE_NO_OPERATION 0x20
#define CODE_OUT_OF_RANGE 0x21
#define CODE_INVALID      0x24
#define CODE_CHANGED      0x28
#define CODE_NO_MEDIUM    0x3a
#define CODE_LOCKED       0x53

/* ide_dma.c */
uint64_t bus_master_read(void *ide, uint64_t offset, unsigned size);
void bus_master_write(void *ide, uint64_t offset, uint64_t value, unsigned size);
static inline bool bus_master_runs(const struct ide_channel *c) { return c->s.bm_command & 1; }
/*
 * Moves len bytes between the buffer and memory, as the direction of the command register says.
 * False: the memory named in the table is too little, or not there; the bus master has stopped.
 */
bool bus_master_move(struct ide_channel *c, uint8_t *bytes, uint32_t len);
/* The command's data has all been moved. */
void bus_master_end(struct ide_channel *c);
void bus_master_reset(struct ide_channel *c);

#endif
