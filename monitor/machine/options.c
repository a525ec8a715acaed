/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of options and the loop over the command line. How single arguments are understood is
 * in option_args.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "monitor/backends/backends.h"
#include "monitor/vm/vm.h"
#include "engines.h"
#include "option_args.h"
#include "options.h"
#include "monitor/processor/processor.h"

#define DEFAULT_RAM (128ull << 20)

enum option_kind { FLAG, WITH_ARG };

struct option_desc {
	const char *name; /* without the dash */
	enum option_kind kind;
	enum options_result (*parse)(struct option_parser *p, const char *arg);
	const char *arg;  /* as shown by -help */
	const char *help; /* NULL: not shown (a synonym, or accepted for QEMU's sake) */
};

static enum options_result opt_help(struct option_parser *p, const char *arg)
{
	options_print_help(stdout);
	return OPTIONS_DONE;
}

static enum options_result opt_version(struct option_parser *p, const char *arg)
{
	printf("ringfence %s\n", RF_VERSION);
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
STRING_OPTION(opt_log_file, log_path)
SWITCH_OPTION(opt_no_reboot, no_reboot)
SWITCH_OPTION(opt_no_hpet, no_hpet)
SWITCH_OPTION(opt_no_shutdown, no_shutdown)
SWITCH_OPTION(opt_paused, start_paused)

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
		return option_fail(p, "-%s %s: only 'none' is available in this build", p->option,
				   arg);
	return OPTIONS_RUN;
}

static enum options_result opt_display(struct option_parser *p, const char *arg)
{
	if (strcmp(arg, "none"))
		return option_fail(p,
				   "-display %s: this build has no display; use -nographic (serial "
				   "console on the terminal) "
				   "or -display none",
				   arg);
	p->display_chosen = true;
	return OPTIONS_RUN;
}

/* A character device, by its kind; "none" is one, too. Whether it can be opened is seen later. */
static enum options_result option_chardev(struct option_parser *p, const char *arg)
{
	const char *spec = strncmp(arg, "mon:", 4) ? arg : arg + 4;

	if (!strcmp(arg, "none") || !char_backend_check(spec, p->error))
		return OPTIONS_RUN;
	return error_prefix(p->error, OPTIONS_ERROR, "-%s", p->option);
}

static enum options_result opt_debugcon(struct option_parser *p, const char *arg)
{
	p->config->debugcon = arg;
	return option_chardev(p, arg);
}

static enum options_result opt_serial(struct option_parser *p, const char *arg)
{
	if (p->serial_count == VM_SERIAL_PORTS)
		return option_fail(p, "-serial %s: a pc has %d serial ports; this is one more", arg,
				   VM_SERIAL_PORTS);
	if (!strncmp(arg, "mon:", 4))
		p->monitor_chosen = true;
	p->config->serial[p->serial_count++] = strcmp(arg, "none") ? arg : NULL;
	return option_chardev(p, arg);
}

static enum options_result opt_monitor(struct option_parser *p, const char *arg)
{
	p->monitor_chosen = true;
	p->config->monitor = strcmp(arg, "none") ? arg : NULL;
	return option_chardev(p, arg);
}

static enum options_result opt_name(struct option_parser *p, const char *arg)
{
	if (!strncmp(arg, "guest=", 6))
		arg += 6;
	if (strchr(arg, ',') || strchr(arg, '='))
		return option_fail(p, "-name %s: give a plain name without ',' or '='", arg);
	p->config->name = arg;
	return OPTIONS_RUN;
}

static enum options_result opt_log_items(struct option_parser *p, const char *arg)
{
	uint32_t items;

	if (!strcmp(arg, "help")) {
		log_list_items(stdout);
		return OPTIONS_DONE;
	}
	if (log_parse_items(arg, &items, p->error))
		return error_prefix(p->error, OPTIONS_ERROR, "-d %s", arg);
	p->config->log_items |= items;
	return OPTIONS_RUN;
}

static enum options_result opt_cpu(struct option_parser *p, const char *arg)
{
	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		cpu_model_list(stdout);
		return OPTIONS_DONE;
	}
	return option_cpu(p, arg);
}

static const struct option_desc options[] = {
	{ "accel", WITH_ARG, opt_accel, "ENGINE[:ENGINE]...[,stats=FILE][,...]",
		"how guest code is executed (-accel help lists engines,\n"
	  "-accel ENGINE,help its options)" },
	{ "enable-kvm", FLAG, opt_enable_kvm, NULL, "-accel kvm:bt" },
	{ "machine", WITH_ARG, opt_machine, "pc[,accel=ENGINE][,hpet=off]",
		"the machine (-machine help)" },
	{ "M", WITH_ARG, opt_machine, "pc...", "-machine" },
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
	{ "nographic", FLAG, opt_nographic, NULL,
		"serial port and monitor on the terminal (Ctrl-A h for help)" },
	{ "display", WITH_ARG, opt_display, "none", "no display" },
	{ "vga", WITH_ARG, opt_none_only, "none", "no display adapter" },
	{ "serial", WITH_ARG, opt_serial, "DEV",
		"the next serial port: stdio, mon:stdio, file:PATH, pty,\n"
	  "unix:PATH,server,nowait, null, none" },
	{ "monitor", WITH_ARG, opt_monitor, "DEV", "the monitor prompt's device, as -serial" },
	{ "debugcon", WITH_ARG, opt_debugcon, "DEV", "debug console at port 0xe9, as -serial" },
	{ "device", WITH_ARG, opt_device, "isa-debug-exit[,iobase=N][,iosize=N]",
		"a port that ends ringfence with status (value << 1) | 1" },
	{ "global", WITH_ARG, opt_global, "isa-debugcon.iobase=N", "another port for -debugcon" },
	{ "rtc", WITH_ARG, opt_rtc, "base=utc|localtime", "the clock chip's time" },
	{ "no-reboot", FLAG, opt_no_reboot, NULL, "exit instead of rebooting" },
	{ "no-shutdown", FLAG, opt_no_shutdown, NULL,
		"stop instead of exiting when the guest powers off" },
	{ "S", FLAG, opt_paused, NULL, "do not start the processor (monitor: cont)" },
	{ "name", WITH_ARG, opt_name, "NAME", "a name for the virtual machine, used in messages" },
	{ "d", WITH_ARG, opt_log_items, "ITEM[,ITEM]...",
		"log items to standard error (-d help lists them)" },
	{ "D", WITH_ARG, opt_log_file, "FILE", "log there instead" },
	{ "nodefaults", FLAG, opt_nodefaults, NULL, "no serial port or monitor unless asked for" },
	{ "no-user-config", FLAG, opt_nothing, NULL, "accepted; there is no configuration file" },
	{ "net", WITH_ARG, opt_none_only, "none", "no network" },
	{ "nic", WITH_ARG, opt_none_only, "none", "no network" },
	{ "parallel", WITH_ARG, opt_none_only, "none", "no parallel port" },
	{ "usb", FLAG, opt_nothing, NULL, NULL },
	{ "no-hpet", FLAG, opt_no_hpet, NULL, "no high precision event timers (HPET)" },
	{ "version", FLAG, opt_version, NULL, "print the version" },
	{ "help", FLAG, opt_help, NULL, "print this" },
	{ "h", FLAG, opt_help, NULL, NULL },
};

/* QEMU's others, so that the message can say "not available" rather than "unknown". */
static const char *const unavailable[] = {
	"acpitable", "action", "add-fd", "alt-grab", "async-teardown", "audio", "audio-help",
	"audiodev", "bios", "blockdev", "boot", "cdrom", "chardev", "chroot", "compat",
	"ctrl-grab", "curses", "daemonize", "dfilter", "drive", "dtb", "dump-vmstate",
	"echr", "fda", "fdb", "firmware", "fsdev", "full-screen", "fw_cfg", "g", "gdb",
	"hax", "hda", "hdachs", "hdb", "hdc", "hdd", "icount", "incoming", "iscsi", "k",
	"L", "loadvm", "mem-path", "mem-prealloc", "mon", "msg", "mtdblock", "netdev",
	"no-acpi", "no-fd-bootchk", "no-quit", "numa", "object", "old-param",
	"only-migratable", "option-rom", "overcommit", "pflash", "pidfile", "plugin", "portrait",
	"preconfig", "prom-env", "qmp", "qmp-pretty", "qtest", "qtest-log", "readconfig",
	"realtime", "rotate", "run-with", "runas", "s", "sandbox", "sd", "sdl", "seed",
	"semihosting", "semihosting-config", "set", "shim", "show-cursor", "singlestep",
	"smbios", "snapshot",
	"soundhw", "spice", "tb-size", "tpmdev", "trace", "usbdevice", "uuid",
	"virtfs", "virtioconsole", "vnc", "watchdog", "watchdog-action", "win2k-hack",
	"writeconfig",
	"xen-attach", "xen-domid", "xen-domid-restrict",
};

void options_print_help(void *file)
{
	FILE *out = file;

	fprintf(out, "usage: ringfence -kernel FILE [options]\n"
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

static enum options_result option_not_found(struct option_parser *p, const char *word)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(unavailable); i++) {
		if (!strcmp(unavailable[i], p->option))
			return option_fail(p,
					   "option '-%s' of QEMU is not available in this build; "
					   "leave it out (ringfence -help lists what is)",
					   p->option);
	}
	return option_fail(p, "unknown option '%s'; ringfence -help lists the options", word);
}

static enum options_result options_parse_all(struct option_parser *p, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i], *arg = NULL;
		const struct option_desc *o;
		enum options_result result;

		if (word[0] != '-' || !word[1])
			return option_fail(
				p, "'%s' is not an option; a kernel is given with -kernel FILE",
				word);
		p->option = word + (word[1] == '-' && word[2] ? 2 : 1);
		o = option_find(p->option);
		if (!o)
			return option_not_found(p, word);
		if (o->kind == WITH_ARG) {
			if (++i == argc)
				return option_fail(p, "option '-%s' needs an argument: -%s %s",
						   p->option, p->option, o->arg ? o->arg : "ARG");
			arg = argv[i];
		}
		result = o->parse(p, arg);
		if (result != OPTIONS_RUN)
			return result;
	}
	return OPTIONS_RUN;
}

/* Which devices are there when the command line does not say: QEMU's rules. */
static enum options_result options_default_devices(struct option_parser *p)
{
	struct vm_config *c = p->config;

	if (!p->display_chosen && !p->serial_count)
		return option_fail(p, "this build has no display; add -nographic (serial console "
				      "on the terminal) or -display none");
	if (!p->display_chosen)
		option_note(p, "there is no display: what the guest writes to its screen is not "
			       "shown (-display none: no note)");
	c->terminal_signals = !p->nographic;
	if (p->nodefaults)
		return OPTIONS_RUN;
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
	return OPTIONS_RUN;
}

static bool option_is_stdio(const char *spec)
{
	return spec && (!strcmp(spec, "stdio") || !strcmp(spec, "mon:stdio"));
}

/*
 * There is one terminal. Backends would find out when they are opened, after the host has been
 * asked for all else.
 */
static enum options_result options_check_stdio(struct option_parser *p)
{
	const struct vm_config *c = p->config;
	unsigned uses = option_is_stdio(c->monitor) + option_is_stdio(c->debugcon);

	for (unsigned i = 0; i < VM_SERIAL_PORTS; i++)
		uses += option_is_stdio(c->serial[i]);
	if (uses > 1)
		return option_fail(p, "stdio is used twice; use mon:stdio to share it with the "
				      "monitor, or another device");
	return OPTIONS_RUN;
}

static enum options_result options_check(struct option_parser *p)
{
	struct vm_config *c = p->config;
	enum options_result result;

	if (!c->kernel)
		return option_fail(p, "no kernel: give one with -kernel FILE (booting from disks "
				      "is not available in this build)");
	if (p->debugcon_iobase_set && !c->debugcon)
		return option_fail(
			p, "-global isa-debugcon.iobase has no effect without -debugcon DEV");
	result = options_default_devices(p);
	return result == OPTIONS_RUN ? options_check_stdio(p) : result;
}

enum options_result options_parse(int argc, char **argv, struct vm_config *config,
				  struct error *error)
{
	struct option_parser p = { .config = config, .error = error };
	enum options_result result;

	*config = (struct vm_config){ .ram_size = DEFAULT_RAM };
	result = options_parse_all(&p, argc, argv);
	return result == OPTIONS_RUN ? options_check(&p) : result;
}

void options_free(struct vm_config *config)
{
	free(config->engine_options);
	free(config->stats_path);
	free(config->notes);
	free(config->cpu_mapped);
	config->cpu_mapped = NULL;
	config->engine_options = config->stats_path = config->notes = NULL;
}
