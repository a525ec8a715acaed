/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices and what they are connected to on the host: -device, -serial and the like, -chardev. What
 * -chardev defines becomes the specification that -serial takes, as in
 *
 *	-chardev socket,id=a,path=P,server=on,wait=off  ->  unix:P,server=on,wait=off
 *	-chardev stdio,id=b,mux=on                      ->  mon:stdio
 *
 * and takes the place of "chardev:ID" after the last option, since it may come later than its use.
 */
#include <stdio.h>
#include <string.h>
#include "monitor/backends/backends.h"
#include "option_args.h"
#include "option_items.h"

#define CHARDEV "chardev:"

/* The next serial port, or the one that "index" names. */
static enum options_result option_add_serial(struct option_parser *p, const char *spec, int index)
{
	if (index < 0)
		index = p->serial_count;
	if (index >= VM_SERIAL_PORTS)
		return option_fail(p, "-%s %s: a pc has %d serial ports; this is one more",
				   p->option, spec, VM_SERIAL_PORTS);
	if (!strncmp(spec, "mon:", 4))
		p->monitor_chosen = true;
	p->config->serial[index] = strcmp(spec, "none") ? spec : NULL;
	if (p->serial_count <= (unsigned)index)
		p->serial_count = index + 1;
	return OPTIONS_RUN;
}

/* What may be asked of any option that takes a character device. */
static bool option_lists_chardevs(const char *arg)
{
	if (strcmp(arg, "help") && strcmp(arg, "?"))
		return false;
	char_backend_list(stdout);
	return true;
}

enum options_result opt_serial(struct option_parser *p, const char *arg)
{
	return option_lists_chardevs(arg) ? OPTIONS_DONE : option_add_serial(p, arg, -1);
}

enum options_result opt_monitor(struct option_parser *p, const char *arg)
{
	if (option_lists_chardevs(arg))
		return OPTIONS_DONE;
	p->monitor_chosen = true;
	p->config->monitor = strcmp(arg, "none") ? arg : NULL;
	return OPTIONS_RUN;
}

/*
 * A debugger connects when it likes: a socket is served, and nobody waits for one. As ever, a TCP
 * port without a host is for this computer alone.
 */
enum options_result opt_gdb(struct option_parser *p, const char *arg)
{
	const bool socket = !strncmp(arg, "tcp:", 4) || !strncmp(arg, "unix:", 5);

	if (option_lists_chardevs(arg))
		return OPTIONS_DONE;
	p->config->gdb = !strcmp(arg, "none") ? NULL :
			 socket ? option_string(p, "%s,server=on,wait=off,nodelay=on", arg) : arg;
	return OPTIONS_RUN;
}

enum options_result opt_gdb_usual(struct option_parser *p, const char *arg)
{
	return opt_gdb(p, "tcp::1234");
}

enum options_result opt_debugcon(struct option_parser *p, const char *arg)
{
	if (option_lists_chardevs(arg))
		return OPTIONS_DONE;
	p->config->debugcon = strcmp(arg, "none") ? arg : NULL;
	return OPTIONS_RUN;
}

enum options_result opt_parallel(struct option_parser *p, const char *arg)
{
	if (!strcmp(arg, "none") || !strcmp(arg, "null"))
		return OPTIONS_RUN;
	return option_fail(p,
			   "-parallel %s: there is no parallel port; use -serial %s, or "
			   "-parallel none",
			   arg, arg);
}

/* [chardev=]ID[,mode=readline] */
enum options_result opt_mon(struct option_parser *p, const char *arg)
{
	const char *list = arg, *spec = NULL;
	struct option_item item;

	for (bool first = true; option_next_item(&list, &item); first = false) {
		if (first && !item.value)
			spec = option_string(p, CHARDEV "%.*s", item.len, item.text);
		else if (option_key_is(&item, "chardev") && item.value)
			spec = option_string(p, CHARDEV "%.*s", item.value_len, item.value);
		else if (!option_key_is(&item, "mode") || !option_value_is(&item, "readline"))
			return option_fail(p,
					   "-mon %s: '%.*s' is not available; use "
					   "chardev=ID,mode=readline (there is no QMP)",
					   arg, item.len, item.text);
	}
	if (!spec)
		return option_fail(p, "-mon %s: needs chardev=ID", arg);
	return opt_monitor(p, spec);
}

/* --- -chardev --- */

/* One -chardev as far as it has been read. NULL, or false: not given. */
struct chardev_words {
	const char *kind, *id, *path, *host, *port;
	const char *socket; /* what is for sockets: ",server=on,wait=off" */
	bool mux, no_signals;
};

static bool chardev_take_string(struct option_parser *p, struct chardev_words *w,
				const struct option_item *item)
{
	const struct {
		const char *name, **to;
	} strings[] = { { "backend", &w->kind }, { "id", &w->id },     { "path", &w->path },
			{ "host", &w->host },    { "port", &w->port } };

	for (size_t i = 0; i < RF_ARRAY_SIZE(strings); i++) {
		if (!option_key_is(item, strings[i].name) || !item->value)
			continue;
		*strings[i].to = option_string(p, "%.*s", item->value_len, item->value);
		return *strings[i].to != NULL;
	}
	return false;
}

/* char_backend_check() looks at these once more, with their values. */
static bool chardev_is_for_sockets(const struct option_item *item)
{
	static const char *const keys[] = { "server", "wait", "nowait", "telnet", "reconnect",
					    "nodelay" };

	for (size_t i = 0; i < RF_ARRAY_SIZE(keys); i++) {
		if (option_key_is(item, keys[i]))
			return true;
	}
	return false;
}

static bool chardev_take(struct option_parser *p, struct chardev_words *w,
			 const struct option_item *item)
{
	bool on;

	if (option_key_is(item, "mux"))
		return option_switch(item, &w->mux);
	if (option_key_is(item, "signal")) {
		if (!option_switch(item, &on))
			return false;
		w->no_signals = !on;
		return true;
	}
	if (!chardev_is_for_sockets(item))
		return chardev_take_string(p, w, item);
	w->socket = option_string(p, "%s,%.*s", w->socket, item->len, item->text);
	return w->socket != NULL;
}

/* NULL: of such a kind, or without such a key, there is none. */
static const char *chardev_spec(struct option_parser *p, const struct chardev_words *w)
{
	static const char *const kinds[] = { "stdio", "pty", "null", "vc", "file", "pipe" };
	const char *mux = w->mux ? "mon:" : "";

	if (!strcmp(w->kind, "socket") && w->path && !w->port)
		return option_string(p, "%sunix:%s%s", mux, w->path, w->socket);
	if (!strcmp(w->kind, "socket") && w->port && !w->path)
		return option_string(p, "%stcp:%s:%s%s", mux, w->host ? w->host : "", w->port,
				     w->socket);
	for (size_t i = 0; i < RF_ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i], w->kind) || !w->path != (i < 4) || *w->socket)
			continue;
		return option_string(p, "%s%s%s%s", mux, w->kind, w->path ? ":" : "",
				     w->path ? w->path : "");
	}
	return NULL;
}

static struct option_chardev *chardev_find(struct option_parser *p, const char *id)
{
	for (unsigned i = 0; i < p->chardev_count; i++) {
		if (!strcmp(p->chardev[i].id, id))
			return &p->chardev[i];
	}
	return NULL;
}

static enum options_result chardev_add(struct option_parser *p, const struct chardev_words *w,
				       const char *arg)
{
	const char *spec = chardev_spec(p, w);
	struct error why = { 0 };

	if (!spec)
		return option_fail(p,
				   "-chardev %s: known: stdio, pty, null or vc; file or pipe with "
				   "path=PATH; socket with path=PATH or port=PORT; each with "
				   "id=ID",
				   arg);
	if (char_backend_check(spec + (w->mux ? 4 : 0), &why))
		return option_fail(p, "-chardev %s: %s", arg, why.text);
	if (chardev_find(p, w->id))
		return option_fail(p, "-chardev %s: there is one of that id before; give each its "
				      "own", arg);
	if (p->chardev_count == OPTION_CHARDEVS)
		return option_fail(p, "-chardev %s: at most %d can be defined", arg,
				   OPTION_CHARDEVS);
	p->no_signals |= w->no_signals;
	p->chardev[p->chardev_count++] = (struct option_chardev){ w->id, spec, w->mux, NULL };
	return OPTIONS_RUN;
}

enum options_result opt_chardev(struct option_parser *p, const char *arg)
{
	struct chardev_words w = { .socket = "" };
	const char *list = arg;
	struct option_item item;

	if (option_lists_chardevs(arg))
		return OPTIONS_DONE;
	for (bool first = true; option_next_item(&list, &item); first = false) {
		if (first && !item.value)
			w.kind = option_string(p, "%.*s", item.len, item.text);
		else if (!chardev_take(p, &w, &item))
			return option_fail(p,
					   "-chardev %s: '%.*s' is not available; known: id=ID, "
					   "path=PATH, mux=on|off, signal=on|off, and for sockets "
					   "host=HOST, port=PORT, server=on|off, wait=on|off, "
					   "telnet=on|off, reconnect=SECONDS",
					   arg, item.len, item.text);
	}
	if (!w.kind || !w.id || !*w.id)
		return option_fail(p, "-chardev %s: needs a kind and a name: -chardev KIND,id=ID",
				   arg);
	return chardev_add(p, &w, arg);
}

/* --- After the last option --- */

/*
 * A name that two devices are on has to be shared (mux=on), and only a serial port and the monitor
 * can share: the port then has both.
 */
static enum options_result chardev_use(struct option_parser *p, const char *option,
				       const char **spec)
{
	const char *id = *spec + strlen(CHARDEV);
	struct option_chardev *chardev = chardev_find(p, id);
	const bool monitor = !strcmp(option, "monitor");

	if (!chardev)
		return option_fail(p, "-%s %s: no -chardev has id=%s; give one, as in -chardev "
				      "stdio,id=%s", option, *spec, id, id);
	if (chardev->user && !(monitor && chardev->mux && !strcmp(chardev->user, "serial")))
		return option_fail(p,
				   "-%s %s: -%s is on it already; a serial port and the monitor "
				   "can share one that has mux=on",
				   option, *spec, chardev->user);
	*spec = chardev->user ? NULL : chardev->spec;
	if (*spec && chardev->mux && strcmp(option, "serial"))
		*spec += strlen("mon:");
	chardev->user = option;
	return OPTIONS_RUN;
}

/* A character device, by its kind. Whether it can be opened is seen later. */
static enum options_result option_resolve(struct option_parser *p, const char *option,
					  const char **spec)
{
	struct error why = { 0 };
	bool mux;

	if (!*spec)
		return OPTIONS_RUN;
	if (!strncmp(*spec, CHARDEV, strlen(CHARDEV)))
		return chardev_use(p, option, spec);
	mux = !strncmp(*spec, "mon:", 4);
	if (mux && !strcmp(option, "monitor"))
		return option_fail(p, "-monitor %s: 'mon:' is for -serial; the monitor itself "
				      "takes the device without it", *spec);
	if (mux && !strcmp(option, "gdb"))
		return option_fail(p, "-gdb %s: 'mon:' is for -serial; gdb has the monitor's "
				      "commands by its own command monitor", *spec);
	if (!strncmp(*spec + 4 * mux, "vc", 2))
		option_note(p, "-%s %s: there is no display, so what the guest writes there is "
			       "not shown; pty is a terminal to look at", option, *spec);
	if (char_backend_check(*spec + 4 * mux, &why))
		return option_fail(p, "-%s: %s", option, why.text);
	return OPTIONS_RUN;
}

enum options_result option_resolve_devices(struct option_parser *p)
{
	struct vm_config *c = p->config;
	bool right = true;

	for (unsigned i = 0; i < VM_SERIAL_PORTS; i++)
		right &= option_resolve(p, "serial", &c->serial[i]) == OPTIONS_RUN;
	right &= option_resolve(p, "debugcon", &c->debugcon) == OPTIONS_RUN;
	right &= option_resolve(p, "monitor", &c->monitor) == OPTIONS_RUN;
	right &= option_resolve(p, "gdb", &c->gdb) == OPTIONS_RUN;
	for (unsigned i = 0; i < p->chardev_count; i++) {
		if (!p->chardev[i].user)
			option_note(p, "-chardev id=%s: nothing is on it", p->chardev[i].id);
	}
	return right ? OPTIONS_RUN : OPTIONS_ERROR;
}

/* --- -device --- */

static enum options_result device_debug_exit(struct option_parser *p, const char *list)
{
	struct vm_config *c = p->config;
	struct option_item item;

	c->debug_exit = true;
	c->debug_exit_iobase = 0x501;
	c->debug_exit_iosize = 2;
	while (option_next_item(&list, &item)) {
		bool base = option_key_is(&item, "iobase");
		uint64_t n;

		if (!base && !option_key_is(&item, "iosize"))
			return option_fail(p,
					   "-device isa-debug-exit: '%.*s' is not one of its "
					   "properties; known: iobase=N, iosize=N",
					   item.len, item.text);
		if (!option_number(item.value, item.value_len, base ? 0xffff : 8, &n) || !n)
			return option_fail(p, "-device isa-debug-exit: '%.*s' is not usable; %s",
					   item.len, item.text,
					   base ? "iobase is a port (1..0xffff)" :
						  "iosize is 1 to 8");
		if (base)
			c->debug_exit_iobase = n;
		else
			c->debug_exit_iosize = n;
	}
	return OPTIONS_RUN;
}

/* "chardev=ID" of a device, as -serial takes it; or NULL. */
static const char *device_chardev(struct option_parser *p, const struct option_item *item)
{
	if (!option_key_is(item, "chardev") || !item->value_len)
		return NULL;
	return option_string(p, CHARDEV "%.*s", item->value_len, item->value);
}

static enum options_result device_debugcon(struct option_parser *p, const char *list)
{
	struct vm_config *c = p->config;
	const char *spec = NULL;
	struct option_item item;
	uint64_t n;

	while (option_next_item(&list, &item)) {
		if (option_key_is(&item, "iobase") &&
		    option_number(item.value, item.value_len, 0xffff, &n) && n)
			c->debugcon_iobase = n;
		else if (!option_key_is(&item, "id") && !(spec = device_chardev(p, &item)))
			return option_fail(p,
					   "-device isa-debugcon: '%.*s' is not usable; known: "
					   "chardev=ID, iobase=PORT (0xe9)",
					   item.len, item.text);
	}
	if (!spec)
		return option_fail(p, "-device isa-debugcon: needs chardev=ID, and a -chardev that "
				      "has this id; or use -debugcon DEV");
	c->debugcon = spec;
	return OPTIONS_RUN;
}

static enum options_result device_serial(struct option_parser *p, const char *list)
{
	const char *spec = NULL;
	struct option_item item;
	int index = -1;
	uint64_t n;

	while (option_next_item(&list, &item)) {
		if (option_key_is(&item, "index") &&
		    option_number(item.value, item.value_len, VM_SERIAL_PORTS - 1, &n))
			index = n;
		else if (!option_key_is(&item, "id") && !(spec = device_chardev(p, &item)))
			return option_fail(p,
					   "-device isa-serial: '%.*s' is not usable; known: "
					   "chardev=ID, index=N (0 to %d)",
					   item.len, item.text, VM_SERIAL_PORTS - 1);
	}
	if (!spec)
		return option_fail(p, "-device isa-serial: needs chardev=ID, and a -chardev that "
				      "has this id; or use -serial DEV");
	return option_add_serial(p, spec, index);
}

static const struct option_device {
	const char *name;
	enum options_result (*parse)(struct option_parser *p, const char *list);
	const char *text, *properties;
} devices[] = {
	{ "isa-debug-exit", device_debug_exit, "a port that ends ringfence",
	  "iobase=PORT    where it is (default: 0x501)\n"
	  "iosize=N       its width in bytes, 1 to 8 (default: 2)\n" },
	{ "isa-debugcon", device_debugcon, "a port whose bytes go to a character device",
	  "chardev=ID     the -chardev that it is on\n"
	  "iobase=PORT    where it is (default: 0xe9)\n" },
	{ "isa-serial", device_serial, "a serial port",
	  "chardev=ID     the -chardev that it is on\n"
	  "index=N        which of COM1 to COM4, from 0 (default: the next)\n" },
};

/* What stands in for the devices that scripts name most. By the beginning of the name. */
static const char *device_instead(const char *name)
{
	static const struct {
		const char *prefixes, *instead;
	} table[] = {
		{ "virtio-net e1000 rtl8139 ne2k pcnet i8255 vmxnet tulip",
		  "there is no network card: leave it out" },
		{ "virtio-blk virtio-scsi ide- scsi- nvme ahci floppy sd-card lsi piix3-ide",
		  "there are no disks: give files in an initial RAM disk, -initrd FILE" },
		{ "virtio-9p virtio-fs vhost-user-fs",
		  "no directory is shared: give files in an initial RAM disk, -initrd FILE" },
		{ "VGA virtio-vga virtio-gpu cirrus qxl bochs-display vmware-svga ramfb secondary",
		  "the display adapter is that of -vga std" },
		{ "usb- qemu-xhci nec-usb piix3-usb piix4-usb ich9-usb virtio-keyboard "
		  "virtio-mouse virtio-tablet",
		  "keyboard and mouse are PS/2: leave it out" },
		{ "AC97 intel-hda hda- ES1370 sb16 adlib gus cs4231a",
		  "there is no sound: leave it out" },
		{ "pci-serial virtio-serial virtconsole virtserialport",
		  "use isa-serial, or -serial DEV" },
	};

	for (size_t i = 0; i < RF_ARRAY_SIZE(table); i++) {
		const char *prefix = table[i].prefixes;

		for (size_t n; *prefix; prefix += n + (prefix[n] == ' ')) {
			n = strcspn(prefix, " ");
			if (!strncmp(prefix, name, n))
				return table[i].instead;
		}
	}
	return "-device help lists those there are";
}

static void device_list(void)
{
	printf("Devices (-device NAME,help lists the properties of one):\n");
	for (size_t i = 0; i < RF_ARRAY_SIZE(devices); i++)
		printf("%-14s %s\n", devices[i].name, devices[i].text);
}

static bool device_asks_for_help(const char *list)
{
	return list && (!strcmp(list, "help") || !strcmp(list, "?"));
}

enum options_result opt_device(struct option_parser *p, const char *arg)
{
	const char *list = arg, *name;
	struct option_item item;

	if (device_asks_for_help(arg)) {
		device_list();
		return OPTIONS_DONE;
	}
	option_next_item(&list, &item);
	name = option_key_is(&item, "driver") && item.value ? item.value : item.text;
	for (size_t i = 0; i < RF_ARRAY_SIZE(devices); i++) {
		const size_t len = strlen(devices[i].name);

		if (strncmp(devices[i].name, name, len) || (name[len] && name[len] != ','))
			continue;
		if (!device_asks_for_help(list))
			return devices[i].parse(p, list);
		printf("Properties (-device %s,PROPERTY=...):\n%s", devices[i].name,
		       devices[i].properties);
		return OPTIONS_DONE;
	}
	return option_fail(p, "-device %.*s: there is no such device here; %s", item.len, item.text,
			   device_instead(name));
}

enum options_result opt_global(struct option_parser *p, const char *arg)
{
	const char *list = arg;
	struct option_item item;
	uint64_t n;

	option_next_item(&list, &item);
	if (list || !option_key_is(&item, "isa-debugcon.iobase"))
		return option_fail(
			p, "-global %s: not a property here; known: isa-debugcon.iobase=N", arg);
	if (!option_number(item.value, item.value_len, 0xffff, &n) || !n)
		return option_fail(p, "-global %s: iobase is a port (1..0xffff)", arg);
	p->config->debugcon_iobase = n;
	p->debugcon_iobase_set = true;
	return OPTIONS_RUN;
}
