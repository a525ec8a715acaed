/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of options and the loop over the command line. Where single arguments are understood:
 * option_args.h. What is wrong does not end the loop, so that all of it is said at once.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "monitor/vm/vm.h"
#include "option_args.h"
#include "options.h"
#include "monitor/machine/version.h"

#define DEFAULT_RAM (128ull << 20)
#define DEFAULT_BOOT_ORDER "cad"

enum option_kind { FLAG, WITH_ARG };

struct option_desc {
	const char *name; /* without the dash */
	enum option_kind kind;
	enum options_result (*parse)(struct option_parser *p, const char *arg);
	const char *arg;  /* as shown by -help */
	const char *help; /* NULL: not shown (a synonym, or accepted for QEMU's sake) */
};

/* Adds a line to *lines, which is malloc'd, if it is not there. Takes text. */
static void option_add_line(char **lines, char *text)
{
	const size_t len = text ? strlen(text) : 0;
	char *longer;

	for (const char *line = *lines; text && line && *line; line = strchr(line, '\n') + 1) {
		if (!strncmp(line, text, len) && line[len] == '\n') {
			free(text);
			return;
		}
	}
	if (asprintf(&longer, "%s%s\n", *lines ? *lines : "", text ? text : "no memory") >= 0) {
		free(*lines);
		*lines = longer;
	}
	free(text);
}

static char *option_format(const char *fmt, va_list args)
{
	char *text;

	return vasprintf(&text, fmt, args) < 0 ? NULL : text;
}

enum options_result option_fail(struct option_parser *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	option_add_line(&p->config->refusals, option_format(fmt, args));
	va_end(args);
	return OPTIONS_ERROR;
}

void option_note(struct option_parser *p, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	option_add_line(&p->config->notes, option_format(fmt, args));
	va_end(args);
}

const char *option_string(struct option_parser *p, const char *fmt, ...)
{
	struct vm_config *c = p->config;
	char **longer = realloc(c->strings, (c->string_count + 1) * sizeof(*longer));
	char *text;
	va_list args;

	if (!longer)
		return NULL;
	c->strings = longer;
	va_start(args, fmt);
	text = option_format(fmt, args);
	va_end(args);
	if (text)
		c->strings[c->string_count++] = text;
	return text;
}

static enum options_result opt_help(struct option_parser *p, const char *arg)
{
	options_print_help(stdout);
	return OPTIONS_DONE;
}

static enum options_result opt_version(struct option_parser *p, const char *arg)
{
	const bool known = *RF_REVISION;

	printf("ringfence %s%s%s%s\n", RF_VERSION, known ? " (revision " : "", RF_REVISION,
	       known ? ")" : "");
	return OPTIONS_DONE;
}

static enum options_result opt_enable_kvm(struct option_parser *p, const char *arg)
{
	return opt_accel(p, "kvm:bt"); /* as QEMU in scripts that are to run anywhere */
}

/*
 * Options whose argument is taken as it stands, and switches: where in the configuration they go.
 */
#define STRING_OPTION(function, field) \
	static enum options_result function(struct option_parser *p, const char *arg) \
	{ \
		p->config->field = arg; \
		return OPTIONS_RUN; \
	}
#define SWITCH_OPTION(function, field) \
	static enum options_result function(struct option_parser *p, const char *arg) \
	{ \
		p->config->field = true; \
		return OPTIONS_RUN; \
	}

STRING_OPTION(opt_kernel, kernel)
STRING_OPTION(opt_initrd, initrd)
STRING_OPTION(opt_append, append)
STRING_OPTION(opt_bios, bios)
STRING_OPTION(opt_log_file, log_path)
STRING_OPTION(opt_pidfile, pidfile)
SWITCH_OPTION(opt_daemonize, daemonize)
SWITCH_OPTION(opt_no_acpi, no_acpi)
SWITCH_OPTION(opt_no_reboot, no_reboot)
SWITCH_OPTION(opt_no_hpet, no_hpet)
SWITCH_OPTION(opt_no_shutdown, no_shutdown)
SWITCH_OPTION(opt_paused, start_paused)
SWITCH_OPTION(opt_snapshot, snapshot)
SWITCH_OPTION(opt_no_fd_bootchk, boot.no_floppy_check)

static enum options_result opt_nothing(struct option_parser *p, const char *arg)
{
	return OPTIONS_RUN;
}

static enum options_result opt_nographic(struct option_parser *p, const char *arg)
{
	p->nographic = p->display_chosen = true;
	return OPTIONS_RUN;
}

static enum options_result opt_nodefaults(struct option_parser *p, const char *arg)
{
	p->nodefaults = p->display_chosen = true;
	return OPTIONS_RUN;
}

static enum options_result opt_none_only(struct option_parser *p, const char *arg)
{
	if (strcmp(arg, "none"))
		return option_fail(p, "-%s %s: only '-%s none' is available here", p->option, arg,
				   p->option);
	return OPTIONS_RUN;
}

static const struct option_desc options[] = {
	{ "accel", WITH_ARG, opt_accel, "ENGINE[:ENGINE]...[,stats=FILE][,...]",
		"how guest code is executed (-accel help lists engines,\n"
	  "-accel ENGINE,help its options)" },
	{ "enable-kvm", FLAG, opt_enable_kvm, NULL, "-accel kvm:bt" },
	{ "machine", WITH_ARG, opt_machine, "pc[,accel=ENGINE][,acpi=off][,hpet=off]",
		"the machine (-machine help)" },
	{ "M", WITH_ARG, opt_machine, "pc[,...]", "-machine" },
	{ "cpu", WITH_ARG, opt_cpu, "MODEL[,+FEATURE|-FEATURE]...",
		"the processor (-cpu help lists models and features)" },
	{ "m", WITH_ARG, opt_memory, "[size=]N[K|M|G]",
		"guest RAM, MiB without a suffix (default 128M, at most 3584M)" },
	{ "smp", WITH_ARG, opt_smp, "1", "processors: one" },
	{ "kernel", WITH_ARG, opt_kernel, "FILE",
		"Linux bzImage, multiboot kernel or 32-bit ELF to start" },
	{ "initrd", WITH_ARG, opt_initrd, "FILE",
		"its initial RAM disk (multiboot: \"FILE ARGS,FILE ARGS\")" },
	{ "append", WITH_ARG, opt_append, "TEXT", "its command line" },
	{ "bios", WITH_ARG, opt_bios, "FILE",
		"the firmware (default: bios-256k.bin of Debian's package seabios)" },
	{ "L", WITH_ARG, opt_library, "FOLDER", "look for firmware there first" },
	{ "boot", WITH_ARG, opt_boot,
		"[order=]LETTERS[,once=LETTERS][,menu=on|off]\n"
	  "        [,splash-time=MS][,reboot-timeout=MS][,strict=on|off]",
		"what the firmware boots from: a floppy, c disk, d CD, n network\n"
	  "(default cad)" },
	{ "hda", WITH_ARG, opt_hard_disk, "FILE",
		"a disk image (raw) as the first IDE disk; FILE alone means this" },
	{ "hdb", WITH_ARG, opt_hard_disk, "FILE", "the second" },
	{ "hdc", WITH_ARG, opt_hard_disk, "FILE", "the third" },
	{ "hdd", WITH_ARG, opt_hard_disk, "FILE", "the fourth" },
	{ "cdrom", WITH_ARG, opt_cdrom, "FILE", "a CD image, in the third IDE drive" },
	{ "fda", WITH_ARG, opt_floppy, "FILE",
		"a floppy image, 160K to 2.88M, in drive A (empty by default)" },
	{ "fdb", WITH_ARG, opt_floppy, "FILE", "in drive B" },
	{ "no-fd-bootchk", FLAG, opt_no_fd_bootchk, NULL,
		"boot from floppies without a boot sector's mark, too" },
	{ "drive", WITH_ARG, opt_drive,
		"file=FILE[,if=ide|floppy][,index=N][,media=disk|cdrom]\n"
	  "        [,format=FORMAT][,readonly=on|off][,snapshot=on|off]\n"
	  "        [,aio=io_uring|threads]",
		"a drive in full; formats: raw, qcow2, vmdk, vdi, vpc, ..." },
	{ "snapshot", FLAG, opt_snapshot, NULL, "do not write to disk images" },
	{ "nographic", FLAG, opt_nographic, NULL,
		"serial port and monitor on the terminal (Ctrl-A h for help)" },
	{ "display", WITH_ARG, opt_display, "none|curses",
		"what shows the screen: nothing, or this terminal (text modes)" },
	{ "curses", FLAG, opt_curses, NULL, "-display curses" },
	{ "vga", WITH_ARG, opt_vga, "std|none",
		"the display adapter (std where firmware starts, else none)" },
	{ "serial", WITH_ARG, opt_serial, "DEV",
		"the next serial port: stdio, mon:stdio, pty, file:PATH, null,\n"
	  "none, ... (-serial help lists all)" },
	{ "monitor", WITH_ARG, opt_monitor, "DEV", "the monitor prompt's device, as -serial" },
	{ "debugcon", WITH_ARG, opt_debugcon, "DEV", "debug console at port 0xe9, as -serial" },
	{ "chardev", WITH_ARG, opt_chardev, "KIND,id=ID[,...]",
		"defines what -serial chardev:ID is (-chardev help)" },
	{ "mon", WITH_ARG, opt_mon, "chardev=ID[,mode=readline]", "-monitor chardev:ID" },
	{ "parallel", WITH_ARG, opt_parallel, "none", "no parallel port" },
	{ "device", WITH_ARG, opt_device, "NAME[,PROPERTY=VALUE]...",
		"a device (-device help lists them, -device NAME,help its\n"
	  "properties)" },
	{ "global", WITH_ARG, opt_global, "isa-debugcon.iobase=N", "another port for -debugcon" },
	{ "rtc", WITH_ARG, opt_rtc, "base=utc|localtime|DATE[,clock=host|rt|vm]",
		"the clock chip's time, and whether it stops with the guest (vm)" },
	{ "no-acpi", FLAG, opt_no_acpi, NULL, "no ACPI: neither tables nor power management" },
	{ "no-reboot", FLAG, opt_no_reboot, NULL, "exit instead of rebooting" },
	{ "no-shutdown", FLAG, opt_no_shutdown, NULL,
		"stop instead of exiting when the guest powers off" },
	{ "action", WITH_ARG, opt_action, "reboot=reset|shutdown,shutdown=poweroff|pause",
		"the same two in other words" },
	{ "S", FLAG, opt_paused, NULL, "do not start the processor (monitor: cont)" },
	{ "gdb", WITH_ARG, opt_gdb, "tcp:[HOST]:PORT|unix:PATH|stdio|none",
		"let gdb debug the guest from there (this computer alone, without\n"
	  "HOST)" },
	{ "s", FLAG, opt_gdb_usual, NULL, "-gdb tcp::1234" },
	{ "name", WITH_ARG, opt_name, "[guest=]NAME[,process=NAME]",
		"a name for the virtual machine, used in messages; the process's" },
	{ "uuid", WITH_ARG, opt_uuid, "UUID", "its UUID, which the monitor's info uuid shows" },
	{ "d", WITH_ARG, opt_log_items, "ITEM[,ITEM]...",
		"log items to standard error (-d help lists them)" },
	{ "D", WITH_ARG, opt_log_file, "FILE", "log there instead" },
	{ "pidfile", WITH_ARG, opt_pidfile, "FILE",
		"write the process's number there while it runs" },
	{ "daemonize", FLAG, opt_daemonize, NULL,
		"go on in the background when the machine has been set up" },
	{ "nodefaults", FLAG, opt_nodefaults, NULL, "no serial port or monitor unless asked for" },
	{ "no-user-config", FLAG, opt_nothing, NULL, "accepted; there is no configuration file" },
	{ "net", WITH_ARG, opt_none_only, "none", "no network" },
	{ "nic", WITH_ARG, opt_none_only, "none", "no network" },
	{ "audiodev", WITH_ARG, opt_audiodev, "none,id=ID", "no sound" },
	{ "usb", FLAG, opt_nothing, NULL, "accepted; nothing is on the USB" },
	{ "no-hpet", FLAG, opt_no_hpet, NULL, "no high precision event timers (HPET)" },
	{ "version", FLAG, opt_version, NULL, "print the version" },
	{ "help", FLAG, opt_help, NULL, "print this" },
	{ "h", FLAG, opt_help, NULL, NULL },
};

void options_print_help(void *file)
{
	FILE *out = file;

	fprintf(out, "usage: ringfence [options]\n"
		"Runs a 32-bit x86 operating system without the help of virtualization hardware.\n"
		"The options are QEMU's; ringfence(1) describes them.\n\n");
	for (size_t i = 0; i < RF_ARRAY_SIZE(options); i++) {
		const struct option_desc *o = &options[i];
		const char *text = o->help;

		if (!text)
			continue;
		fprintf(out, "-%s%s%s\n", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
		for (; text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
			fprintf(out, "        %.*s\n", (int)strcspn(text, "\n"), text);
	}
}

static const struct option_desc *option_find(const char *name)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(options); i++) {
		if (!strcmp(options[i].name, name))
			return &options[i];
	}
	return NULL;
}

/* Whether it takes an argument; of an unknown one, the word after it is taken for its argument. */
static bool option_not_found(struct option_parser *p, const char *word)
{
	struct option_absent absent;

	if (!option_find_absent(p->option, &absent)) {
		option_fail(p, "unknown option '%s'; ringfence -help lists the options", word);
		return true;
	}
	option_fail(p, "-%s is an option of QEMU that is not available here; %s", p->option,
		    absent.instead);
	p->display_chosen |= absent.advises_display;
	return absent.takes_arg;
}

/* What follows argv[*i], if it is an argument. */
static const char *option_take_arg(int argc, char **argv, int *i)
{
	return *i + 1 < argc ? argv[++*i] : NULL;
}

static enum options_result option_parse_one(struct option_parser *p, int argc, char **argv, int *i)
{
	const char *word = argv[*i], *arg = NULL;
	const struct option_desc *o;

	if (!word[0] || !strcmp(word, "-"))
		return option_fail(p, "'%s' is not an option, and no image's name", word);
	if (word[0] != '-')
		return option_image(p, word);
	p->option = word + (word[1] == '-' && word[2] ? 2 : 1);
	o = option_find(p->option);
	if (!o) {
		if (option_not_found(p, word) && *i + 1 < argc &&
		    (argv[*i + 1][0] != '-' || !argv[*i + 1][1]))
			++*i;
		return OPTIONS_ERROR;
	}
	if (o->kind == WITH_ARG) {
		arg = option_take_arg(argc, argv, i);
		if (!arg)
			return option_fail(p, "option '-%s' needs an argument: -%s %s", p->option,
					   p->option, o->arg ? o->arg : "ARG");
	}
	return o->parse(p, arg);
}

static enum options_result options_parse_all(struct option_parser *p, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (option_parse_one(p, argc, argv, &i) == OPTIONS_DONE)
			return OPTIONS_DONE;
	}
	return OPTIONS_RUN;
}

/* Which devices are there when the command line does not say: QEMU's rules. */
static void options_default_devices(struct option_parser *p)
{
	struct vm_config *c = p->config;

	c->terminal_signals = !p->nographic && !p->no_signals;
	if (p->nodefaults)
		return;
	if (c->display == VM_DISPLAY_CURSES) {
		if (!p->serial_count)
			c->serial[0] = "null";
		return; /* the terminal is taken */
	}
	if (!p->nographic) {
		if (!p->serial_count)
			c->serial[0] = "null";
	} else if (!p->serial_count && !p->monitor_chosen) {
		c->serial[0] = "mon:stdio";
	} else {
		if (!p->serial_count)
			c->serial[0] = "stdio";
		if (!p->monitor_chosen)
			c->monitor = "stdio";
	}
}

static bool option_is_stdio(const char *spec)
{
	return spec && (!strcmp(spec, "stdio") || !strcmp(spec, "mon:stdio"));
}

/*
 * There is one terminal. Backends would find out when they are opened, after the host has been
 * asked for all else.
 */
static void options_check_stdio(struct option_parser *p)
{
	const struct vm_config *c = p->config;
	unsigned uses = option_is_stdio(c->monitor) + option_is_stdio(c->debugcon) +
			option_is_stdio(c->gdb) +
			(c->display == VM_DISPLAY_CURSES);

	for (unsigned i = 0; i < VM_SERIAL_PORTS; i++)
		uses += option_is_stdio(c->serial[i]);
	if (uses > 1)
		option_fail(p, "stdio is used twice; use mon:stdio to share it with the monitor, "
			       "or another device");
	if (uses && c->daemonize)
		option_fail(p, "-daemonize leaves the terminal, so nothing can be on stdio%s; use "
			       "-display none with -serial file:PATH, pty or "
			       "unix:PATH,server,nowait",
			    p->nographic ? " (-nographic puts the console there)" :
			    c->display ? " (-display curses has the screen there)" : "");
}

static void options_check(struct option_parser *p)
{
	struct vm_config *c = p->config;

	if (!c->kernel && (c->initrd || c->append))
		option_fail(p, "-%s is for the kernel of -kernel FILE, and there is none",
			    c->initrd ? "initrd" : "append");
	if (c->kernel && c->bios)
		option_fail(p, "-bios %s: a kernel of -kernel is started without firmware; leave "
			       "out one of the two", c->bios);
	if (p->debugcon_iobase_set && !c->debugcon)
		option_fail(p, "-global isa-debugcon.iobase has no effect without -debugcon DEV");
	option_default_drives(p);
	c->boot.order = c->boot_order;
	c->boot.once = *c->boot_once ? c->boot_once : NULL;
	c->boot.serial_screen = p->nographic;
	option_check_display(p);
	options_default_devices(p);
	if (option_resolve_devices(p) == OPTIONS_RUN)
		options_check_stdio(p);
}

enum options_result options_parse(int argc, char **argv, struct vm_config *config)
{
	struct option_parser p = { .config = config };

	*config = (struct vm_config){
		.ram_size = DEFAULT_RAM,
		.boot_order = DEFAULT_BOOT_ORDER,
		.boot.retry_ms = -1,
	};
	if (options_parse_all(&p, argc, argv) == OPTIONS_DONE && !config->refusals)
		return OPTIONS_DONE;
	options_check(&p);
	return config->refusals ? OPTIONS_ERROR : OPTIONS_RUN;
}

void options_free(struct vm_config *config)
{
	free(config->engine_options);
	free(config->stats_path);
	free(config->notes);
	free(config->refusals);
	for (size_t i = 0; i < config->string_count; i++)
		free(config->strings[i]);
	free(config->strings);
	config->engine_options = config->stats_path = config->notes = config->refusals = NULL;
	config->strings = NULL;
	config->string_count = 0;
}
