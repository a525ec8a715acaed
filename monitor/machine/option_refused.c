/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options that QEMU has, or had in some version, and that are not available here: who uses one is
 * told so, and the nearest thing that works. tests/cli/qemu-options has all names.
 */
#include <string.h>
#include "option_args.h"

static const char no_disks[] = "images are those of IDE disks, CDs and floppies: give them with "
			       "-hda FILE, -cdrom FILE, -fda FILE or -drive file=FILE";
static const char no_display[] = "there is no window: use -display curses, -nographic or "
				 "-display none";

/* Names are separated by single spaces. */
static const struct {
	const char *with_arg, *without;
	const char *instead;
} groups[] = {
	{ "blockdev hdachs iscsi mtdblock pflash sd", "", no_disks },
	{ "dtb option-rom", "", "what is started is -kernel FILE, or what the firmware finds" },
	{ "fsdev virtfs", "",
	  "no directory is shared: give files in an initial RAM disk, -initrd FILE" },
	{ "bootp channel netdev redir smb tftp", "",
	  "there is no network card: use -nic none, or leave it out" },
	{ "k rotate spice vnc",
	  "alt-grab ctrl-grab cirrusvga full-screen no-frame no-quit portrait sdl "
	  "show-cursor std-vga vmwarevga",
	  no_display },
	{ "audio soundhw", "audio-help",
	  "there is no sound: use -audiodev none,id=ID, or leave it out" },
	{ "bt usbdevice", "", "nothing is on the USB: keyboard and mouse are PS/2 without it" },
	{ "qmp qmp-pretty", "preconfig", "there is no QMP: use -monitor DEV" },
	{ "virtioconsole", "", "there is no virtio: use -serial DEV" },
	{ "acpitable fw_cfg numa prom-env smbios", "",
	  "the tables of the machine are what they are: leave it out" },
	{ "incoming loadvm", "only-migratable",
	  "machines are not saved or moved: leave it out, and start the guest anew" },
	{ "dfilter trace plugin qtest qtest-log dump-vmstate", "enable-sync-profile perfmap",
	  "use -d ITEM (-d help lists them) or -accel bt,profile=FILE" },
	{ "", "singlestep one-insn-per-tb", "use -accel bt,tu-insns=1" },
	{ "tb-size", "", "use -accel bt,cache-kib=N" },
	{ "icount", "", "time is the host's: leave it out" },
	{ "", "no-kvm no-kvm-irqchip no-kvm-pit", "the engine that needs no KVM is -accel bt" },
	{ "", "localtime", "use -rtc base=localtime" },
	{ "startdate", "", "use -rtc base=DATE" },
	{ "echr", "", "the escape key is Ctrl-A; with -serial stdio there is none" },
	{ "watchdog watchdog-action tpmdev object balloon", "",
	  "there is no such device: leave it out" },
	{ "set", "", "give the value with the option that it is for" },
	{ "readconfig writeconfig", "nodefconfig", "give all options on the command line" },
	{ "mem-path", "mem-prealloc", "guest RAM is ordinary memory: use -m SIZE" },
	{ "runas chroot sandbox run-with", "async-teardown",
	  "it needs no privileges: start it as the user, and in the sandbox, that it is to have" },
	{ "", "hax xen-attach xen-create",
	  "-accel help lists the engines, of which bt needs nothing of the host" },
	{ "add-fd compat msg overcommit realtime seed semihosting-config xen-domid",
	  "enable-fips old-param rtc-td-hack semihosting tdf win2k-hack xen-domid-restrict",
	  "leave it out" },
};

static bool has_word(const char *words, const char *word)
{
	const size_t len = strlen(word);

	for (size_t n; *words; words += n + (words[n] == ' ')) {
		n = strcspn(words, " ");
		if (n == len && !memcmp(words, word, n))
			return true;
	}
	return false;
}

bool option_find_absent(const char *name, struct option_absent *absent)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(groups); i++) {
		const bool takes_arg = has_word(groups[i].with_arg, name);
		const char *instead = groups[i].instead;

		*absent = (struct option_absent){
			.takes_arg = takes_arg,
			.instead = instead,
			.advises_display = instead == no_display,
		};
		if (takes_arg || has_word(groups[i].without, name))
			return true;
	}
	return false;
}
