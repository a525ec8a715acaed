/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives are named as QEMU names them. The image that was there is closed when the device has let
 * go of it, without the device lock, under which its requests end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "devices/board/pc_board.h"
#include "machine.h"
#include "media.h"

/* A place for a drive, and what is there. */
struct place {
	const struct vm_drive *drive; /* as it was configured */
	struct block_backend **backend;
	char **file;                  /* what was put in since; NULL: what was configured */
	bool *emptied;
	bool floppy;
	unsigned number;              /* among its kind */
};

static void find_place(struct machine *m, unsigned i, struct place *place)
{
	const unsigned n = i < VM_IDE_DRIVES ? i : i - VM_IDE_DRIVES;
	struct disks *disks = &m->disks;

	*place = (struct place){ .floppy = i >= VM_IDE_DRIVES, .number = n };
	place->drive = place->floppy ? &m->config->floppy[n] : &m->config->ide[n];
	place->backend = place->floppy ? &disks->floppy_backend[n] : &disks->backend[n];
	place->file = &disks->changed[i].file;
	place->emptied = &disks->changed[i].emptied;
}

/* Of those where there is a drive, the nth. */
static bool nth_place(struct machine *m, unsigned n, struct place *place)
{
	for (unsigned i = 0; i < VM_IDE_DRIVES + VM_FLOPPY_DRIVES; i++) {
		find_place(m, i, place);
		if (place->drive->there && !n--)
			return true;
	}
	return false;
}

static void put_name(const struct place *place, char *name, size_t size)
{
	const unsigned n = place->number;

	if (place->floppy)
		snprintf(name, size, "floppy%u", n);
	else
		snprintf(name, size, "ide%u-%s%u", n / IDE_DRIVES, place->drive->cd ? "cd" : "hd",
			 n % IDE_DRIVES);
}

static const char *file_of(const struct place *place)
{
	return *place->emptied ? NULL : *place->file ? *place->file : place->drive->file;
}

static void ask_tray(struct machine *m, const struct place *place, struct media_drive *drive)
{
	const struct ide_drive *d = &pc_board_ide(m->vm.board)
					     ->channel[place->number / IDE_DRIVES]
					     .drive[place->number % IDE_DRIVES];

	pthread_mutex_lock(&m->vm.device_lock);
	drive->locked = d->s.locked;
	drive->tray_open = d->s.tray_open;
	pthread_mutex_unlock(&m->vm.device_lock);
}

static bool query(void *opaque, unsigned n, struct media_drive *drive)
{
	struct machine *m = opaque;
	struct place place;

	if (!nth_place(m, n, &place))
		return false;
	*drive = (struct media_drive){ .file = file_of(&place) };
	put_name(&place, drive->name, sizeof(drive->name));
	drive->removable = place.floppy || place.drive->cd;
	drive->read_only = place.drive->read_only || place.drive->cd;
	if (place.drive->cd)
		ask_tray(m, &place, drive);
	return true;
}

/* ---- changing ---- */

static int open_image(struct machine *m, const struct place *place, const char *file,
		      struct block_backend **out, struct error *error)
{
	struct vm_drive drive = *place->drive;
	struct vm_config config = *m->config;
	int err;

	drive.file = file;
	drive.format = NULL; /* that was of the image before */
	config.cancel = &m->ended;
	err = disks_open_image(&m->vm, &config, &drive, out, error);
	if (err || !place->floppy)
		return err;
	err = disks_check_floppy(m->disks.floppy[place->number].type, file,
				 block_backend_device(*out)->sectors, error);
	if (!err)
		return 0;
	block_backend_close(*out);
	*out = NULL;
	return err;
}

static void put_in(struct machine *m, const struct place *place, struct block_backend *backend)
{
	struct block_device *block = backend ? block_backend_device(backend) : NULL;

	pthread_mutex_lock(&m->vm.device_lock);
	if (place->floppy)
		fdc_set_disk(pc_board_fdc(m->vm.board), place->number, block);
	else
		ide_set_disc(pc_board_ide(m->vm.board), place->number, block);
	pthread_mutex_unlock(&m->vm.device_lock);
}

static int refuse_locked(struct machine *m, const struct place *place, const char *name,
			 struct error *error)
{
	pthread_mutex_lock(&m->vm.device_lock);
	ide_ask_to_eject(pc_board_ide(m->vm.board), place->number);
	pthread_mutex_unlock(&m->vm.device_lock);
	return error_set(error, -EBUSY, "the guest has locked the tray of %s, and was asked to "
			 "open it; -f takes the disc out nevertheless", name);
}

static int exchange(struct machine *m, const struct place *place, const char *file,
		    struct error *error)
{
	struct block_backend *backend = NULL, *old = *place->backend;
	char *copy = file ? strdup(file) : NULL;
	int err = file && !copy ? error_set(error, -ENOMEM, "no memory") : 0;

	if (!err && file)
		err = open_image(m, place, file, &backend, error);
	if (err) {
		free(copy);
		return err;
	}
	put_in(m, place, backend);
	*place->backend = backend;
	free(*place->file);
	*place->file = copy;
	*place->emptied = !file;
	block_backend_close(old);
	return 0;
}

static int change(void *opaque, unsigned n, const char *file, bool force, struct error *error)
{
	struct machine *m = opaque;
	struct media_drive drive;
	struct place place;

	if (!query(m, n, &drive) || !nth_place(m, n, &place))
		return error_set(error, -ENODEV, "there is no such drive");
	if (!drive.removable)
		return error_set(error, -EINVAL, "%s is a disk that stays where it is; CDs and "
				 "floppies can be changed", drive.name);
	if (drive.locked && !force)
		return refuse_locked(m, &place, drive.name, error);
	return exchange(m, &place, file, error);
}

struct media machine_media(struct machine *machine)
{
	return (struct media){ query, change, machine };
}
