/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the floppy disk controller share. */
#ifndef RF_DEVICES_STORAGE_FDC_INTERNAL_H
#define RF_DEVICES_STORAGE_FDC_INTERNAL_H

#include "fdc.h"

/* Status registers of results (82077AA, "Status Register Encoding"). */
#define ST0_ABNORMAL   0x40u
#define ST0_INVALID    0x80u
#define ST0_POLLED     0xc0u /* by the polling after a reset */
#define ST0_SEEK_END   0x20u
#define ST0_EQUIPMENT  0x10u /* track 0 was not found */
#define ST0_HEAD       0x04u
#define ST1_END        0x80u /* of the cylinder */
#define ST1_DATA       0x20u /* wrong checksum */
#define ST1_OVERRUN    0x10u
#define ST1_NO_DATA    0x04u /* there is no such sector */
#define ST1_PROTECTED  0x02u
#define ST1_NO_MARK    0x01u /* nothing can be read */
#define ST2_CONTROL    0x40u /* data were not of the kind, deleted or not, that was wanted */
#define ST2_DATA       0x20u
#define ST2_CYLINDER   0x10u /* another one */
#define ST2_SCAN_EQUAL 0x08u
#define ST2_SCAN_NOT   0x04u
#define ST3_PROTECTED  0x40u
#define ST3_ALWAYS     0x28u
#define ST3_TRACK0     0x10u

#define DOR_UNIT  0x03u
#define DOR_RUNS  0x04u /* 0: reset */
#define DOR_GATE  0x08u /* lets interrupts and DMA requests out */
#define DOR_MOTOR 0x10u /* of drive 0 */

#define CONFIGURE_IMPLIED_SEEK 0x40u
#define CONFIGURE_NO_FIFO      0x20u
#define SPECIFY_NO_DMA 0x01u /* in its second byte */

#define COMMAND_MULTI_TRACK 0x80u
#define COMMAND_MFM         0x40u
#define COMMAND_SKIP        0x20u

/* fdc.c */

/* What the INT pin is up for. */
#define FDC_INT_DATA 0x01u /* a result, or data that the host is to move */
#define FDC_INT_SEEK 0x02u /* seeks that are over, or a reset: to be asked about */
/* There is a reason for an interrupt, for which the pin rises anew; or there is no more. */
void fdc_interrupt(struct fdc *f, uint8_t reason, bool level);
/* Sets the timer for the earliest of what is to come. */
void fdc_arm(struct fdc *f);
/* In ns, from now. */
uint64_t fdc_in(struct fdc *f, uint64_t ns);
/* The result's bytes are there to be read. */
void fdc_result(struct fdc *f, unsigned count);
void fdc_idle(struct fdc *f);

static inline bool fdc_has_dma(const struct fdc *f)
{
	return !(f->s.specify[1] & SPECIFY_NO_DMA);
}

/* fdc_command.c */

/* The command has all its bytes. */
void fdc_execute(struct fdc *f);
/* How many bytes follow the first one. */
unsigned fdc_parameters(uint8_t command);
/* What a seek that is over has to say, from now on. */
void fdc_seek_ends(struct fdc *f, unsigned unit);

/* fdc_transfer.c */

/* Begins a command that is for a disk. */
void fdc_transfer(struct fdc *f, enum fdc_goal goal);
/* The host reads a byte of data, or writes one. */
uint8_t fdc_data_read(struct fdc *f);
void fdc_data_write(struct fdc *f, uint8_t value);
/* FDC_WAIT is over, or DMA has not come. */
void fdc_wait_ends(struct fdc *f);
/* Whether the host's data go to it. */
bool fdc_is_to_host(const struct fdc *f);
/* Makes the request again that a loaded state says was under way. */
void fdc_repeat_request(struct fdc *f);
/* Ends a request that is under way as if it had not been. */
void fdc_forget_request(struct fdc *f);
/* The disk that the command is for was taken out. */
void fdc_disk_lost(struct fdc *f);

/* fdc_drive.c */

/* Steps the head, outwards if negative. */
void fdc_step(struct fdc_drive *d, int steps);
/* The disk's cylinder under the head; -1: nothing that could be read. */
int fdc_cylinder(const struct fdc_drive *d);
bool fdc_motor_runs(const struct fdc *f, unsigned unit);

#endif
