/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line: what it means, and that what is not understood is an error that names it. */
#include <criterion/criterion.h>
#include <string.h>
#include "monitor/vm/log.h"
#include "monitor/machine/options.h"

static struct vm_config config;
static struct error error;

static enum options_result parse(const char *first, ...)
{
	char *argv[32] = { "ringfence" };
	int argc = 1;
	va_list args;

	va_start(args, first);
	for (const char *arg = first; arg; arg = va_arg(args, const char *))
		argv[argc++] = (char *)arg;
	va_end(args);
	error = (struct error){ 0 };
	options_free(&config);
	return options_parse(argc, argv, &config, &error);
}

#define PARSE(...) parse(__VA_ARGS__, NULL)
#define BASE "-kernel", "k", "-nographic"
#define expect_ok(...) cr_assert_eq(PARSE(__VA_ARGS__), OPTIONS_RUN, "%s", error.text)
#define expect_error(words, ...) \
	do { \
		cr_expect_eq(PARSE(__VA_ARGS__), OPTIONS_ERROR); \
		cr_expect_not_null(strstr(error.text, words), "'%s' does not say '%s'", \
				   error.text, words); \
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
			     error.text);
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
		cr_expect_not_null(strstr(error.text, "-m "));
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
	expect_error("'disk.img'", BASE, "disk.img");
	expect_error("'-'", BASE, "-");
	expect_error("needs an argument", BASE, "-append");
	expect_error("-kernel", "-nographic");
	expect_error("-drive", BASE, "-drive", "file=x");
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
	expect_ok(BASE, "-cpu", "hostile");
	cr_assert_str_eq(config.cpu, "hostile");
}

Test(options, what_only_qemu_has)
{
	static const char *const names[] = { "-drive", "-vga-x", "-pidfile", "-L", "-k", "-smbios",
		"--trace", "-uuid", "-hdc", "-s", "-icount" };

	for (size_t i = 0; i < RF_ARRAY_SIZE(names); i++) {
		cr_expect_eq(PARSE(BASE, names[i]), OPTIONS_ERROR);
		cr_expect_eq(!strstr(error.text, "not available"), !strcmp(names[i], "-vga-x"),
			     "%s", error.text);
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
	expect_error("e1000", BASE, "-device", "e1000");
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
	expect_error("std", BASE, "-vga", "std");
	expect_error("gtk", BASE, "-display", "gtk");
	expect_error("2020", BASE, "-rtc", "base=2020-01-01");
}
