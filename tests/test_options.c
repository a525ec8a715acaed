/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line: what it means, and that what is not understood is an error that names it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "monitor/vm/log.h"
#include "monitor/machine/options.h"

static struct vm_config config;

static enum options_result parse(const char *first, ...)
{
	char *argv[64] = { "ringfence" };
	int argc = 1;
	va_list args;

	va_start(args, first);
	for (const char *arg = first; arg; arg = va_arg(args, const char *))
		argv[argc++] = (char *)arg;
	va_end(args);
	options_free(&config);
	return options_parse(argc, argv, &config);
}

#define PARSE(...) parse(__VA_ARGS__, NULL)
#define BASE "-kernel", "k", "-nographic"
#define expect_ok(...) cr_assert_eq(PARSE(__VA_ARGS__), OPTIONS_RUN, "%s", config.refusals)
#define expect_said(lines, words) \
	cr_expect(lines && strstr(lines, words), "'%s' does not say '%s'", lines, words)
#define expect_error(words, ...) \
	do { \
		cr_expect_eq(PARSE(__VA_ARGS__), OPTIONS_ERROR); \
		expect_said(config.refusals, words); \
	} while (0)

static void cleanup(void)
{
	options_free(&config);
}

TestSuite(options, .fini = cleanup);

Test(options, defaults)
{
	expect_ok(BASE);
	cr_assert_eq(config.ram_size, 128ull << 20);
	cr_assert_str_eq(config.kernel, "k");
	cr_assert_null(config.cpu);
	cr_assert_str_eq(config.serial[0], "mon:stdio");
	cr_assert_null(config.serial[1]);
	cr_assert_null(config.monitor);
	cr_assert_not(config.no_reboot || config.no_shutdown || config.start_paused ||
		      config.debug_exit);
	cr_assert_eq(config.log_items, 0);
}

Test(options, memory_sizes)
{
	static const struct { const char *text; uint64_t bytes; } sizes[] = {
		{ "256", 256ull << 20 }, { "256M", 256ull << 20 }, { "1G", 1ull << 30 },
		{ "2048K", 2ull << 20 }, { "1m", 1ull << 20 }, { "size=64M", 64ull << 20 },
		{ "3584", 3584ull << 20 }, { "1025k", 0x101000 }, { "0x10", 16ull << 20 },
		{ "0.5G", 512ull << 20 }, { "1.5", 0x180000 }, { "4G", 3584ull << 20 },
	};

	for (size_t i = 0; i < RF_ARRAY_SIZE(sizes); i++) {
		cr_assert_eq(PARSE(BASE, "-m", sizes[i].text), OPTIONS_RUN, "%s: %s", sizes[i].text,
			     config.refusals);
		cr_expect_eq(config.ram_size, sizes[i].bytes, "%s is %llu", sizes[i].text,
			     (unsigned long long)config.ram_size);
	}
}

Test(options, bad_memory_sizes)
{
	static const char *const sizes[] = { "0",     "",
					     "M",     "12X",
					     "100G",  "4097", "0.G5", "1.1.1",
					     "-5",    "99999999999999999999",
					     "1M2",   "256,slots=2",
					     "size=", "1K" };

	for (size_t i = 0; i < RF_ARRAY_SIZE(sizes); i++) {
		cr_expect_eq(PARSE(BASE, "-m", sizes[i]), OPTIONS_ERROR, "%s was accepted",
			     sizes[i]);
		expect_said(config.refusals, "-m ");
	}
	expect_error("3584M", BASE, "-m", "100G");
}

Test(options, both_dash_styles)
{
	expect_ok("--kernel", "x", "--nographic", "--m", "64");
	cr_assert_str_eq(config.kernel, "x");
	cr_assert_eq(config.ram_size, 64ull << 20);
}

Test(options, unknown_and_incomplete)
{
	expect_error("'-foo'", "-foo");
	expect_error("'--bar'", "--bar");
	expect_error("'-'", BASE, "-");
	expect_error("needs an argument", BASE, "-append");
	expect_error("-initrd", "-nographic", "-initrd", "x");
	expect_error("-append", "-nographic", "-append", "x");
	expect_error("leave out one", BASE, "-bios", "x");
	expect_error("''", BASE, "");
	expect_error("-nographic", "-kernel", "k");
}

Test(options, accel)
{
	expect_ok(BASE, "-accel", "interp,stats=/tmp/s,one-insn-tbs=on,x=2");
	cr_assert_str_eq(config.engine, "interp");
	cr_assert_str_eq(config.stats_path, "/tmp/s");
	cr_assert_str_eq(config.engine_options, "one-insn-tbs=on,x=2");
	options_free(&config);
	expect_ok(BASE, "-M", "pc,accel=interp");
	cr_assert_str_eq(config.engine, "interp");
	cr_assert_null(config.engine_options);
	expect_ok(BASE, "-accel", "tcg");
	cr_assert_str_eq(config.engine, "bt");
	cr_assert_not_null(strstr(config.notes, "-accel: tcg is QEMU's"));
	expect_ok(BASE, "-M", "pc,accel=tcg");
	cr_assert_str_eq(config.engine, "bt");
	expect_error("'bogus'", BASE, "-accel", "bogus");
	expect_error("twice", BASE, "-accel", "interp", "-accel", "interp");
	expect_error("stats=", BASE, "-accel", "interp,stats=");
}

Test(options, engines_to_fall_back_on)
{
	expect_ok(BASE, "-accel", "kvm");
	cr_assert_str_eq(config.engine, "kvm");
	cr_assert_null(config.engine_fallback[0]);
	expect_ok(BASE, "-enable-kvm");
	cr_assert_str_eq(config.engine, "kvm");
	cr_assert_str_eq(config.engine_fallback[0], "bt");
	expect_ok(BASE, "-accel", "kvm:bt,irqchip=kernel");
	cr_assert_str_eq(config.engine, "kvm");
	cr_assert_str_eq(config.engine_fallback[0], "bt");
	cr_assert_null(config.engine_fallback[1]);
	cr_assert_str_eq(config.engine_options, "irqchip=kernel");
	options_free(&config);
	expect_ok(BASE, "-machine", "pc,accel=kvm:bt:interp");
	cr_assert_str_eq(config.engine_fallback[1], "interp");
	cr_assert_null(config.notes);
	expect_ok(BASE, "-accel", "kvm:tcg");
	cr_assert_str_eq(config.engine_fallback[0], "bt");
	expect_error("''", BASE, "-accel", "kvm:");
	expect_error("too many", BASE, "-accel", "kvm:bt:interp:bt");
	expect_error("twice", BASE, "-accel", "kvm", "-enable-kvm");
}

Test(options, machine)
{
	expect_ok(BASE, "-machine", "pc");
	expect_ok(BASE, "-machine", "type=pc,accel=interp");
	expect_ok(BASE, "-M", "pc-i440fx-7.2,usb=off,vmport=off");
	expect_error("pc-i440fx", BASE, "-M", "pc-i440fx-");
	expect_error("q35", BASE, "-M", "q35");
	expect_error("usb=on", BASE, "-M", "pc,usb=on");
}

Test(options, processors_of_other_names)
{
	expect_ok(BASE, "-cpu", "pentium3");
	cr_assert_null(config.notes);
	expect_ok(BASE, "-cpu", "Nehalem,-nx");
	cr_assert_str_eq(config.cpu, "max,-nx");
	cr_assert_not_null(strstr(config.notes, "-cpu Nehalem"));
	expect_ok(BASE, "-cpu", "athlon");
	cr_assert_str_eq(config.cpu, "pentium3");
	expect_error("-cpu hostile", BASE, "-cpu", "hostile");
}

Test(options, what_only_qemu_has)
{
	static const char *const names[] = { "-blockdev", "-vga-x", "-k", "-smbios", "--trace",
		"-hdachs", "-incoming", "-icount" };

	for (size_t i = 0; i < RF_ARRAY_SIZE(names); i++) {
		cr_expect_eq(PARSE(BASE, names[i]), OPTIONS_ERROR);
		cr_expect_eq(!strstr(config.refusals, "not available"), !strcmp(names[i], "-vga-x"),
			     "%s", config.refusals);
	}
	expect_ok(BASE, "-usb", "-name", "guest=a");
	cr_assert_str_eq(config.name, "a");
}

Test(options, an_hpet_unless_it_is_not_wanted)
{
	expect_ok(BASE);
	cr_expect_not(config.no_hpet);
	expect_ok(BASE, "-no-hpet");
	cr_expect(config.no_hpet);
	expect_ok(BASE, "-machine", "pc,hpet=off");
	cr_expect(config.no_hpet);
	expect_ok(BASE, "-M", "hpet=off", "-M", "hpet=on");
	cr_expect_not(config.no_hpet);
	expect_error("hpet=maybe: hpet is 'on' or 'off'", BASE, "-M", "hpet=maybe");
	expect_error("hpet: hpet is", BASE, "-M", "pc,hpet");
}

static unsigned lines(const char *text)
{
	unsigned n = 0;

	for (; text && *text; text++)
		n += *text == '\n';
	return n;
}

Test(options, all_refusals_at_once)
{
	cr_assert_eq(PARSE("-pflash", "a.img", "-smp", "2", "-m", "x", "-bogus", "value", "-vnc",
			   ":1", "-serial", "bogus", "-incoming", "x", "-device",
			   "e1000,netdev=n", "disk.img"),
		     OPTIONS_ERROR);
	expect_said(config.refusals, "-pflash is an option of QEMU that is not available here; ");
	expect_said(config.refusals, "-smp 2: ");
	expect_said(config.refusals, "-m x: ");
	expect_said(config.refusals, "unknown option '-bogus'");
	expect_said(config.refusals, "-vnc is");
	expect_said(config.refusals, "-serial: 'bogus'");
	expect_said(config.refusals, "-incoming is an option of QEMU");
	expect_said(config.refusals, "-device e1000: there is no such device here; ");
	cr_assert_eq(lines(config.refusals), 8, "%s", config.refusals);
	/* that there is no window is said once */
	cr_assert_eq(PARSE("-m", "x"), OPTIONS_ERROR);
	expect_said(config.refusals, "no window");
	cr_assert_eq(PARSE("-sd", "x", "-sdl"), OPTIONS_ERROR);
	cr_assert_eq(lines(config.refusals), 2, "%s", config.refusals);
	cr_assert_eq(PARSE("-display", "gtk", "x", "y"), OPTIONS_ERROR);
	cr_assert_eq(lines(config.refusals), 2, "%s", config.refusals);
	/* the same again is not said again; an argument that looks like an option is one */
	cr_assert_eq(PARSE(BASE, "-hda", "a", "-hda", "b", "-drive", "-cdrom", "c"), OPTIONS_ERROR);
	cr_assert_eq(lines(config.refusals), 3, "%s", config.refusals);
}

Test(options, display)
{
	expect_ok("-nographic");
	cr_expect(config.vga && config.display == VM_DISPLAY_NONE);
	expect_ok(BASE);
	cr_expect_not(config.vga, "nothing would set it up");
	expect_ok(BASE, "-vga", "std");
	cr_expect(config.vga);
	expect_ok("-nographic", "-vga", "none");
	cr_expect_not(config.vga);
	expect_ok("-kernel", "k", "-curses");
	cr_expect(config.vga && config.display == VM_DISPLAY_CURSES);
	cr_expect_null(config.monitor);
	expect_error("leave out one of the two", "-display", "curses", "-nographic");
	expect_error("no screen to show", "-display", "curses", "-vga", "none");
	expect_error("stdio is used twice", "-display", "curses", "-serial", "stdio");
	expect_error("has the screen there", "-display", "curses", "-daemonize");
	expect_error("-display gtk: there is no such display", "-display", "gtk");
}

Test(options, firmware)
{
	expect_ok("-nographic");
	cr_assert_null(config.kernel);
	cr_assert_str_eq(config.boot.order, "cad");
	cr_assert_null(config.boot.once);
	cr_assert_eq(config.boot.retry_ms, -1);
	cr_assert(config.boot.serial_screen && !config.boot.menu);
	expect_ok("-display", "none", "-bios", "b", "-L", "x", "-L", "y", "-boot",
		  "d,once=n,menu=on,splash-time=500,reboot-timeout=7,strict=off");
	cr_assert_str_eq(config.bios, "b");
	cr_assert_eq(config.firmware_folders, 2);
	cr_assert_str_eq(config.firmware_folder[1], "y");
	cr_assert_str_eq(config.boot.order, "d");
	cr_assert_str_eq(config.boot.once, "n");
	cr_assert(config.boot.menu && !config.boot.serial_screen);
	cr_assert_eq(config.boot.menu_wait_ms, 500);
	cr_assert_eq(config.boot.retry_ms, 7);
	expect_ok("-nographic", "-boot", "order=ac,menu=off,reboot-timeout=-1");
	cr_assert_str_eq(config.boot.order, "ac");
	expect_error("'z'", "-nographic", "-boot", "z");
	expect_error("twice in 'cc'", "-nographic", "-boot", "cc");
	expect_error("'cadn' is not an order", "-nographic", "-boot", "cadn");
	expect_error("'' is not an order", "-nographic", "-boot", "once=");
	expect_error("'menu=1' is neither on nor off", "-nographic", "-boot", "menu=1");
	expect_error("65535", "-nographic", "-boot", "splash-time=65536");
	expect_error("65535", "-nographic", "-boot", "reboot-timeout=x");
	expect_error("'splash=x.bmp' is not known", "-nographic", "-boot", "splash=x.bmp");
	expect_error("'menu' needs a value", "-nographic", "-boot", "c,menu");
	expect_error("at most 8", "-nographic", "-L", "1", "-L", "2", "-L", "3", "-L", "4", "-L",
		     "5", "-L", "6", "-L", "7", "-L", "8", "-L", "9");
}

Test(options, disks)
{
	expect_ok("-nographic", "a.img");
	cr_assert_str_eq(config.ide[0].file, "a.img");
	cr_assert_not(config.ide[0].cd || config.ide[1].there);
	cr_assert(config.ide[2].there && config.ide[2].cd, "an empty CD-ROM");
	cr_assert_null(config.ide[2].file);
	expect_ok("-nodefaults", "-hdb", "b", "-hdd", "d", "-cdrom", "c", "-hda", "a", "-snapshot");
	for (unsigned i = 0; i < VM_IDE_DRIVES; i++)
		cr_assert_eq(config.ide[i].file[0], "abcd"[i]);
	cr_assert(config.ide[2].cd && config.snapshot);
	expect_ok("-nodefaults", "-drive", "file=x,,y,format=raw,if=ide,media=disk,readonly=on",
		  "-drive", "index=3,snapshot=on,cache=none,file=z=1", "-drive", "media=cdrom");
	cr_assert_str_eq(config.ide[0].file, "x,y");
	cr_assert(config.ide[0].read_only);
	cr_assert_str_eq(config.ide[3].file, "z=1");
	cr_assert(config.ide[3].snapshot && config.ide[1].cd && !config.ide[1].file);
	expect_ok("-nodefaults", "-drive", "file=q,bus=1,unit=1");
	cr_assert_str_eq(config.ide[3].file, "q");
	expect_ok(BASE);
	for (unsigned i = 0; i < VM_IDE_DRIVES; i++)
		cr_assert_not(config.ide[i].there);
	expect_error("drive 0 is taken", BASE, "-hda", "x", "-drive", "file=y,index=0");
	expect_error("drive 2 is taken", BASE, "-hdc", "x", "-cdrom", "y");
	expect_error("given already", BASE, "x", "y");
	expect_error("all four", BASE, "-hda", "1", "-hdb", "2", "-hdc", "3", "-hdd", "4", "-drive",
		     "file=5");
	expect_error("needs a file", BASE, "-drive", "index=0");
	expect_error("needs a name", BASE, "-drive", "file=,index=0");
	expect_error("'if=virtio' is not available", BASE, "-drive", "file=x,if=virtio");
	expect_error("'format=zip' is not available", BASE, "-drive", "file=x,format=zip");
	expect_error("'readonly=1'", BASE, "-drive", "file=x,readonly=1");
	expect_error("'index=4'", BASE, "-drive", "file=x,index=4");
	expect_error("disk or cdrom", BASE, "-drive", "file=x,media=tape");
	expect_error("not both", BASE, "-drive", "file=x,index=1,unit=0");
}

Test(options, floppies)
{
	expect_ok("-nographic", "-hda", "d");
	cr_assert(config.floppy[0].there && !config.floppy[0].file, "an empty drive A");
	cr_assert_not(config.floppy[1].there);
	cr_assert_not(config.boot.no_floppy_check);
	expect_ok(BASE);
	cr_assert_not(config.floppy[0].there, "with a kernel there is none");
	expect_ok("-nodefaults", "-serial", "null");
	cr_assert_not(config.floppy[0].there);
	expect_ok(BASE, "-fdb", "b", "-fda", "a", "-no-fd-bootchk");
	cr_assert_str_eq(config.floppy[0].file, "a");
	cr_assert_str_eq(config.floppy[1].file, "b");
	cr_assert(config.boot.no_floppy_check);
	expect_ok(BASE, "-drive", "if=floppy,file=x,,y,readonly=on", "-drive",
		  "format=raw,file=z,if=floppy,snapshot=on");
	cr_assert_str_eq(config.floppy[0].file, "x,y");
	cr_assert_str_eq(config.floppy[1].file, "z");
	cr_assert(config.floppy[0].read_only && config.floppy[1].snapshot);
	expect_ok(BASE, "-drive", "index=1,if=floppy");
	cr_assert(config.floppy[1].there && !config.floppy[1].file && !config.floppy[0].there);
	expect_ok("-nographic", "-drive", "if=floppy,unit=1,file=x");
	cr_assert(config.floppy[0].there && config.floppy[1].file);
	for (unsigned i = 0; i < VM_IDE_DRIVES; i++)
		cr_assert(i == 2 || !config.ide[i].there);
	expect_error("floppy drive 0 is taken", BASE, "-fda", "x", "-drive",
		     "if=floppy,file=y,index=0");
	expect_error("floppy drive 1 is taken", BASE, "-fda", "x", "-fdb", "y", "-drive",
		     "if=floppy,file=z");
	expect_error("no drive 2", BASE, "-drive", "if=floppy,file=x,index=2");
	expect_error("has no CDs", BASE, "-drive", "if=floppy,file=x,media=cdrom");
}

Test(options, processors)
{
	expect_ok(BASE, "-smp", "1");
	expect_ok(BASE, "-smp", "cpus=1");
	expect_error("-smp 2", BASE, "-smp", "2");
	expect_error("-smp x", BASE, "-smp", "x");
}

Test(options, default_devices_follow_qemu)
{
	expect_ok(BASE, "-serial", "file:x");
	cr_assert_str_eq(config.serial[0], "file:x");
	cr_assert_str_eq(config.monitor, "stdio");
	expect_ok(BASE, "-serial", "mon:stdio");
	cr_assert_null(config.monitor);
	expect_ok(BASE, "-monitor", "none");
	cr_assert_str_eq(config.serial[0], "stdio");
	cr_assert_null(config.monitor);
	expect_ok("-kernel", "k", "-display", "none", "-serial", "stdio");
	cr_assert_str_eq(config.serial[0], "stdio");
	cr_assert_null(config.monitor);
	cr_assert(config.terminal_signals);
	expect_ok("-kernel", "k", "-nodefaults");
	cr_assert_null(config.serial[0]);
}

Test(options, serial_ports)
{
	expect_ok(BASE, "-serial", "none", "-serial", "null", "-serial", "pty", "-serial",
		  "unix:a,server,nowait");
	cr_assert_null(config.serial[0]);
	cr_assert_str_eq(config.serial[1], "null");
	cr_assert_str_eq(config.serial[3], "unix:a,server,nowait");
	expect_error("-serial: 'bogus' is not a character device", BASE, "-serial", "bogus");
	expect_error("-serial: 'pty:x' is not a character device", BASE, "-serial", "mon:pty:x");
	expect_error("-debugcon: 'file' is not a character device", BASE, "-debugcon", "file");
	expect_error("-serial: unix: needs a path", BASE, "-serial", "unix:,server");
	expect_error("'mon:' is for -serial", BASE, "-monitor", "mon:pty");
	expect_error("-serial: 'none' is not", BASE, "-serial", "mon:none");
	expect_ok(BASE, "-serial", "vc:80Cx24C");
	expect_said(config.notes, "-serial vc:80Cx24C: there is no display");
	expect_error("stdio is used twice", BASE, "-serial", "stdio", "-monitor", "stdio");
	expect_error("stdio is used twice", BASE, "-serial", "mon:stdio", "-debugcon", "stdio");
	expect_error("-monitor: '' is not a character device", BASE, "-monitor", "");
	expect_error("4 serial ports", BASE, "-serial", "null", "-serial", "null", "-serial",
		     "null", "-serial", "null", "-serial", "null");
}

Test(options, debug_exit)
{
	expect_ok(BASE, "-device", "isa-debug-exit");
	cr_assert(config.debug_exit);
	cr_assert_eq(config.debug_exit_iobase, 0x501);
	cr_assert_eq(config.debug_exit_iosize, 2);
	expect_ok(BASE, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04");
	cr_assert_eq(config.debug_exit_iobase, 0xf4);
	cr_assert_eq(config.debug_exit_iosize, 4);
	expect_error("iobase=0x10000", BASE, "-device", "isa-debug-exit,iobase=0x10000");
	expect_error("foo=1", BASE, "-device", "isa-debug-exit,foo=1");
	expect_error("no network card", BASE, "-device", "e1000");
	expect_error("no disks", BASE, "-device", "virtio-blk-pci,drive=d");
	expect_error("-device help", BASE, "-device", "isa-debug");
}

Test(options, sockets)
{
	static const char *const good[] = { "tcp::4444,server,nowait", "tcp:localhost:4444",
		"tcp:[::1]:ssh,server=on,wait=off", "telnet:127.0.0.1:1,server,wait",
		"tcp:h:1,reconnect=10,nodelay", "unix:/tmp/a", "unix:a,server=off,reconnect=1",
		"mon:telnet::0,server=on,wait=off", "tcp::1,noserver,nodelay=on,telnet=on" };
	static const struct { const char *spec, *words; } bad[] = {
		{ "tcp:4444", "needs a host and a port" },
		{ "tcp:host:", "needs a host and a port" },
		{ "tcp:::1:80", "needs a host and a port" },
		{ "tcp:[::1", "needs a host and a port" },
		{ "telnet:x", "telnet:HOST:PORT" }, { "tcp", "is not a character device" },
		{ "tcp::1,serve", "'serve' is not an option" },
		{ "tcp::1,server=yes", "'server=yes' is not an option" },
		{ "unix:a,reconnect=", "'reconnect=' is not" },
		{ "unix:a,reconnect=-1", "'reconnect=-1' is not" },
		{ "tcp::1,server,reconnect=1", "is for clients" }, { "unix:", "needs a path" } };

	for (size_t i = 0; i < RF_ARRAY_SIZE(good); i++)
		cr_expect_eq(PARSE(BASE, "-serial", good[i], "-monitor", "none"), OPTIONS_RUN,
			     "%s: %s", good[i], config.refusals);
	for (size_t i = 0; i < RF_ARRAY_SIZE(bad); i++)
		expect_error(bad[i].words, BASE, "-serial", bad[i].spec);
}

Test(options, chardevs)
{
	expect_ok(BASE, "-serial", "chardev:a", "-chardev",
		  "socket,id=a,path=/s,server=on,wait=off", "-mon", "m", "-chardev", "pty,id=m");
	cr_assert_str_eq(config.serial[0], "unix:/s,server=on,wait=off");
	cr_assert_str_eq(config.monitor, "pty");
	expect_ok(BASE, "-chardev", "socket,host=h,port=1,id=a,reconnect=2,telnet=on", "-serial",
		  "chardev:a");
	cr_assert_str_eq(config.serial[0], "tcp:h:1,reconnect=2,telnet=on");
	expect_ok(BASE, "-chardev", "file,id=f,path=x=y", "-debugcon", "chardev:f", "-device",
		  "isa-serial,chardev=n,index=2", "-chardev", "null,id=n");
	cr_assert_str_eq(config.debugcon, "file:x=y");
	cr_assert_str_eq(config.serial[2], "null");
	cr_assert_null(config.serial[0]);
	expect_ok(BASE, "-chardev", "pipe,id=p,path=x", "-device",
		  "isa-debugcon,iobase=0x402,chardev=p");
	cr_assert_str_eq(config.debugcon, "pipe:x");
	cr_assert_eq(config.debugcon_iobase, 0x402);
	expect_ok(BASE, "-chardev", "vc,id=unused");
	expect_said(config.notes, "id=unused: nothing is on it");
}

Test(options, a_chardev_that_is_shared)
{
	expect_ok("-display", "none", "-kernel", "k", "-chardev", "stdio,id=c,mux=on,signal=off",
		  "-serial", "chardev:c", "-mon", "chardev=c,mode=readline");
	cr_assert_str_eq(config.serial[0], "mon:stdio");
	cr_assert_null(config.monitor);
	cr_assert_not(config.terminal_signals);
	expect_ok(BASE, "-chardev", "stdio,id=c,mux=on", "-monitor", "chardev:c", "-serial",
		  "null");
	cr_assert_str_eq(config.monitor, "stdio");
	expect_error("-serial is on it already", BASE, "-chardev", "pty,id=c", "-serial",
		     "chardev:c", "-monitor", "chardev:c");
	expect_error("-serial is on it already", BASE, "-chardev", "pty,id=c,mux=on", "-serial",
		     "chardev:c", "-serial", "chardev:c");
}

Test(options, bad_chardevs)
{
	static const struct { const char *arg, *words; } bad[] = {
		{ "stdio", "needs a kind and a name" }, { "id=a", "needs a kind and a name" },
		{ "bogus,id=a", "known: stdio, pty" }, { "file,id=a", "known: stdio, pty" },
		{ "pty,id=a,path=x", "known: stdio, pty" }, { "socket,id=a", "known: stdio, pty" },
		{ "socket,id=a,path=x,port=1", "known: stdio, pty" },
		{ "pty,id=a,server=on", "known: stdio, pty" },
		{ "stdio,id=a,mux=maybe", "'mux=maybe' is not available" },
		{ "file,id=a,path=x,append=on", "'append=on' is not available" },
		{ "socket,id=a,path=x,server=perhaps", "'server=perhaps' is not" } };

	for (size_t i = 0; i < RF_ARRAY_SIZE(bad); i++)
		expect_error(bad[i].words, BASE, "-chardev", bad[i].arg);
	expect_error("no -chardev has id=x", BASE, "-serial", "chardev:x");
	expect_error("of that id before", BASE, "-chardev", "pty,id=a", "-chardev", "null,id=a");
	expect_error("mode=control", BASE, "-mon", "chardev=a,mode=control");
}

Test(options, names_and_uuids)
{
	static const uint8_t uuid[16] = { 0x55, 0x0e, 0x84, 0, 0xe2, 0x9b, 0x41, 0xd4, 0xa7, 0x16,
		0x44, 0x66, 0x55, 0x44, 0, 0xFF };
	static const char *const bad[] = { "", "550e8400e29b41d4a716446655440000",
		"550e8400-e29b-41d4-a716-44665544000", "550e8400-e29b-41d4-a716-4466554400000",
		"550e8400-e29b-41d4-a716-44665544000g", "550e8400_e29b-41d4-a716-446655440000" };

	expect_ok(BASE, "-name", "guest=a,process=p,debug-threads=on");
	cr_assert_str_eq(config.name, "a");
	cr_assert_str_eq(config.process_name, "p");
	expect_ok(BASE, "-name", "b,process=0123456789abcde");
	cr_assert_str_eq(config.name, "b");
	expect_error("process=", BASE, "-name", "b,process=0123456789abcdef");
	expect_error("'x=1'", BASE, "-name", "b,x=1");
	expect_ok(BASE, "-uuid", "550e8400-E29b-41d4-a716-4466554400fF");
	cr_assert_arr_eq(config.uuid, uuid, 16);
	cr_assert_arr_eq(config.boot.uuid, uuid, 16);
	for (size_t i = 0; i < RF_ARRAY_SIZE(bad); i++)
		expect_error("not a UUID", BASE, "-uuid", bad[i]);
}

Test(options, processes)
{
	expect_ok("-kernel", "k", "-display", "none", "-daemonize", "-pidfile", "p");
	cr_assert(config.daemonize);
	cr_assert_str_eq(config.pidfile, "p");
	expect_error("(-nographic puts the console there)", BASE, "-daemonize");
	expect_error("leaves the terminal", "-kernel", "k", "-display", "none", "-daemonize",
		     "-serial", "null", "-monitor", "stdio");
	expect_ok(BASE, "-daemonize", "-serial", "file:x", "-monitor", "none");
	expect_ok(BASE, "-action", "reboot=shutdown,shutdown=pause");
	cr_assert(config.no_reboot && config.no_shutdown);
	expect_error("panic=none", BASE, "-action", "panic=none");
}

Test(options, debug_console)
{
	expect_ok(BASE, "-debugcon", "file:x", "-global", "isa-debugcon.iobase=0x402");
	cr_assert_str_eq(config.debugcon, "file:x");
	cr_assert_eq(config.debugcon_iobase, 0x402);
	expect_error("no effect", BASE, "-global", "isa-debugcon.iobase=0x402");
	expect_error("PIIX4_PM", BASE, "-global", "PIIX4_PM.disable_s3=1");
}

Test(options, logging)
{
	expect_ok(BASE, "-d", "int,unimp", "-d", "guest_errors", "-D", "log.txt");
	cr_assert_eq(config.log_items, LOG_INT | LOG_UNIMP | LOG_GUEST_ERRORS);
	cr_assert_str_eq(config.log_path, "log.txt");
	expect_ok(BASE, "-d", "cpu_reset");
	cr_assert_eq(config.log_items, LOG_CPU_RESET);
	expect_ok(BASE, "-d", "all");
	cr_assert_eq(config.log_items & 0xff, 0xff);
	expect_error("'bogus'", BASE, "-d", "int,bogus");
	expect_error("''", BASE, "-d", "");
}

Test(options, accepted_for_scripts)
{
	expect_ok(BASE, "-net", "none", "-nic", "none", "-vga", "none", "-rtc", "base=utc",
		  "-no-reboot", "-no-shutdown", "-S", "-name", "vm1", "-no-user-config",
		  "-nodefaults");
	cr_assert(config.no_reboot && config.no_shutdown && config.start_paused);
	cr_assert_str_eq(config.name, "vm1");
	expect_ok(BASE, "-rtc", "base=localtime,clock=host");
	cr_assert(config.rtc_localtime);
	expect_error("user", BASE, "-net", "user");
	expect_error("cirrus", BASE, "-vga", "cirrus");
	expect_error("gtk", BASE, "-display", "gtk");
	expect_ok(BASE, "-audiodev", "none,id=a", "-parallel", "none", "-usb", "-no-acpi");
	cr_assert(config.no_acpi);
	expect_ok(BASE, "-M", "pc,acpi=off,nvdimm=off");
	cr_assert(config.no_acpi);
	expect_error("no sound", BASE, "-audiodev", "pa,id=a");
	expect_error("use -serial file:x", BASE, "-parallel", "file:x");
}

Test(options, clock)
{
	static const char *const bad[] = { "base=2020-02-30", "base=2020-13-01", "base=1969-12-31",
		"base=2200-01-01", "base=2020-01-01T24:00", "base=2020-01-01T00:00:00Z", "base=now",
		"clock=guest", "base=", "driftfix=slew", "utc=1" };
	time_t now;

	expect_ok(BASE, "-rtc", "localtime,clock=vm");
	cr_assert(config.rtc_localtime && config.rtc_stops);
	expect_ok(BASE, "-rtc", "base=utc,clock=rt,driftfix=none");
	cr_assert_not(config.rtc_localtime || config.rtc_stops);
	expect_ok(BASE, "-rtc", "base=2006-06-17T16:01:21");
	now = time(NULL);
	cr_assert_leq(llabs(now + config.rtc_offset - 1150560081), 5);
	expect_ok(BASE, "-rtc", "2000-02-29");
	now = time(NULL);
	cr_assert_leq(llabs(now + config.rtc_offset - 951782400), 5);
	for (size_t i = 0; i < RF_ARRAY_SIZE(bad); i++)
		expect_error(bad[i], BASE, "-rtc", bad[i]);
}
