/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a user can ask of a running VM. Commands return data and print nothing: the prompt, and
 * whatever else steers a VM, puts it into words.
 *
 * Those of the first part are called under the device lock. What looks at the processor or at
 * memory is called on the vCPU's thread, without that lock: vm_queue_work() gets there.
 */
#ifndef RF_MONITOR_CONTROL_COMMANDS_H
#define RF_MONITOR_CONTROL_COMMANDS_H

#include "devices/board/pc_board.h"
#include "devices/bus/bus.h"
#include "monitor/vm/vm.h"

/* Under the device lock. */

void command_quit(struct vm *vm);
void command_stop(struct vm *vm);
void command_cont(struct vm *vm);
void command_system_reset(struct vm *vm);
/* Presses the power button; the guest may ignore it. */
void command_system_powerdown(struct vm *vm);

struct command_status {
	bool paused;
};
struct command_status command_query_status(const struct vm *vm);

/* -uuid as text; false: none was given, and all digits are 0. */
#define COMMAND_UUID_SIZE 37
bool command_query_uuid(const struct vm *vm, char text[COMMAND_UUID_SIZE]);

/* A pulse on the processor's NMI pin. */
void command_nmi(struct vm *vm);
/* The interrupt controllers, or NULL without a board; they are whose the lines are not. */
const struct i8259 *command_query_pic(const struct vm *vm);
const struct io_apic *command_query_io_apic(const struct vm *vm);
/* As bus_visit(): nothing without a bus. */
void command_visit_bus(const struct vm *vm,
		       void (*visit)(void *opaque, const struct bus_entry *entry), void *opaque);

/* On the vCPU's thread, without the device lock. */

/* What is logged (log.h): "none", or a list of items. 0, or -EINVAL and error. */
int command_set_log(struct vcpu *vcpu, const char *items, struct error *error) RF_MUST_CHECK;

struct command_cpu {
	int thread_id; /* the host's */
	bool halted;
};
struct command_cpu command_query_cpu(const struct vcpu *vcpu);

/*
 * Reads guest memory as a debugger does: no faults, no accessed bits, and devices are not read. By
 * linear address (modulo 4 GiB), or by physical one. Returns how many bytes there were.
 */
size_t command_read_memory(struct vcpu *vcpu, bool physical, uint64_t address, void *to,
			   size_t size);
/*
 * Writes it as a debugger does: whatever the guest's tables and ROM forbid, without dirty bits; not
 * to devices. Translations of what was there are dropped. Returns how many bytes there were.
 */
size_t command_write_memory(struct vcpu *vcpu, bool physical, uint64_t address, const void *from,
			    size_t size);
/*
 * Writes such memory to a file, which is emptied once all of the range proved to be there. 0, or a
 * negative errno and error.
 */
int command_save_memory(struct vcpu *vcpu, bool physical, uint64_t address, uint64_t size,
			const char *path, struct error *error) RF_MUST_CHECK;

/* A page that the guest's tables map, whether or not a TLB would hold it. */
struct command_page {
	gva_t gva;
	uint64_t size;  /* bytes */
	gpa_t gpa;
	uint64_t entry; /* the table's, that maps it */
	bool user, writable; /* of all tables on the way */
};
/* In the order of addresses. False: paging is off. */
bool command_visit_pages(struct vcpu *vcpu,
			 void (*visit)(void *opaque, const struct command_page *page),
			 void *opaque) RF_MUST_CHECK;

/* The screen, which graphics modes have no text of. 0, or a negative errno and error. */
int command_query_screen(struct vcpu *vcpu, struct display_size *size,
			 struct error *error) RF_MUST_CHECK;
/* As screen_text(). */
int command_screen_text(struct vcpu *vcpu, char **text, struct error *error) RF_MUST_CHECK;
/* Writes it to a file: as text if the name ends in ".txt", else as PNG. */
int command_dump_screen(struct vcpu *vcpu, const char *path, struct error *error) RF_MUST_CHECK;
/*
 * Presses the keys named (keys_parse()) together, and releases them. 0; -EAGAIN: the keyboard has
 * no room for them yet; -EINVAL or -E2BIG and error.
 */
int command_send_keys(struct vcpu *vcpu, const char *names, struct error *error) RF_MUST_CHECK;

/* Drive n, from 0 on. False: there are no more. */
bool command_query_drive(struct vcpu *vcpu, unsigned n, struct media_drive *drive);
/*
 * Puts the image into the drive of that name; file NULL: takes out what is there. force: though the
 * guest has locked the tray. 0, or a negative errno with error, and nothing has changed.
 */
int command_change_medium(struct vcpu *vcpu, const char *name, const char *file, bool force,
			  struct error *error) RF_MUST_CHECK;

/* size: 1, 2 or 4 bytes. The access has all effects that the guest's would have. */
uint32_t command_read_port(struct vcpu *vcpu, uint16_t port, unsigned size);
void command_write_port(struct vcpu *vcpu, uint16_t port, uint32_t value, unsigned size);

#endif
