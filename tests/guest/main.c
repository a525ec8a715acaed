/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs the groups that the command line names, all if it names none, each in every paging mode it
 * is made for, or in the one that is named after it: "smc.off". Words that may stand before them:
 * "quiet"; "spare-kvm"; "spare-qemu"; "spare-unicorn"; "list-shutdowns", "list-groups".
 */
#include "report.h"

struct multiboot { uint32_t flags, memory[2], boot_device, command_line; };
void guest_main(const struct multiboot *boot);

bool sparing_kvm, sparing_qemu, sparing_unicorn;

static bool word_is(const char *word, const char *name)
{
	while (*name && *word == *name)
		word++, name++;
	return !*name && (*word == ' ' || !*word);
}

/* "GROUP" or "GROUP.MODE" */
static bool word_asks_for(const char *word, const char *group, const char *mode)
{
	while (*group && *word == *group)
		word++, group++;
	return !*group && (*word == ' ' || !*word || (*word == '.' && word_is(word + 1, mode)));
}

static const char *next_word(const char *words)
{
	while (*words && *words != ' ')
		words++;
	while (*words == ' ')
		words++;
	return words;
}

/* Which groups end in a triple fault, or which do not, for whoever runs this guest. */
static void list_groups(uint32_t care)
{
	for (unsigned i = 0; i < group_count; i++)
		if ((groups[i].needs_care & SHUTS_DOWN) == care)
			note("%s", groups[i].name);
	outb(0xf4, 0);
}

static bool is_asked_for(const struct group *group, const char *mode, const char *words)
{
	if (!*words)
		return !(group->needs_care &
			 (SHUTS_DOWN | (sparing_qemu ? KILLS_QEMU : LOCKS_BUS)));
	for (; *words; words = next_word(words))
		if (word_asks_for(words, group->name, mode))
			return true;
	return false;
}

static bool run_group(const struct group *group, const char *words)
{
	/*
	 * MODE_*: by number of bit. 32-bit paging with a global kernel, PAE paging without and with
	 * one are what kernels use.
	 */
	static const struct { const char *name; enum paging paging; bool global; } modes[] = {
		{ "off", PAGING_OFF, false }, { "32", PAGING_32, true },
		{ "pae", PAGING_PAE, false }, { "pae-pge", PAGING_PAE, true },
	};

	bool known = false;

	for (unsigned mode = 0; mode < COUNT(modes); mode++) {
		if (!(group->modes >> mode & 1) || !is_asked_for(group, modes[mode].name, words))
			continue;
		known = true;
		report_group(group->name, modes[mode].name);
		paging_start(modes[mode].paging, modes[mode].global);
		machine_reset();
		group->run();
	}
	machine_reset();
	paging_start(PAGING_OFF, false);
	return known;
}

void guest_main(const struct multiboot *boot)
{
	static char copy[1024];
	const char *words = copy;
	const char *line = boot->flags & 4 ? next_word((const char *)boot->command_line) : "";
	unsigned n = 0, known = 0;

	for (; line[n] && n < sizeof(copy) - 1; n++)
		copy[n] = line[n];
	machine_reset();
	if (word_is(words, "quiet")) {
		report_quietly();
		words = next_word(words);
	}
	if (word_is(words, "spare-kvm")) {
		sparing_kvm = true;
		words = next_word(words);
	}
	if (word_is(words, "spare-qemu")) {
		sparing_qemu = true;
		words = next_word(words);
	}
	if (word_is(words, "spare-unicorn")) {
		sparing_qemu = sparing_unicorn = true;
		words = next_word(words);
	}
	if (word_is(words, "list-shutdowns"))
		list_groups(SHUTS_DOWN);
	if (word_is(words, "list-groups"))
		list_groups(0);
	for (unsigned i = 0; i < group_count; i++)
		known += run_group(&groups[i], words);
	if (!known)
		note("FAILED no such group: %s", words);
	outb(0xf4, report_end() || !known ? 1 : 0);
	for (;;)
		__asm__ volatile("cli; hlt");
}
