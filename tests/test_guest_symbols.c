/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Symbol files: what is taken from them, which name an address gets, and what is said of files that
 * are none.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "monitor/bt/guest_symbols.h"
#include "scratch.h"

TestSuite(guest_symbols, .init = scratch_set_up, .fini = scratch_tear_down, .timeout = 120);

static const char *file(const char *name, const void *data, size_t size)
{
	const char *path = scratch_path(name);
	FILE *f = fopen(path, "w");

	cr_assert(f && fwrite(data, 1, size, f) == size && !fclose(f));
	return path;
}

static const char *text(const char *name, const char *content)
{
	return file(name, content, strlen(content));
}

static struct guest_symbols *load(const char *paths)
{
	struct guest_symbols *s = NULL;
	struct error error = { 0 };

	cr_assert_eq(guest_symbols_load(paths, &s, &error), 0, "%s: %s", paths, error.text);
	return s;
}

/* name NULL: no symbol there. */
static void expect_at(const struct guest_symbols *s, gva_t address, const char *name, gva_t start)
{
	gva_t got = 0;
	const char *found = guest_symbols_find(s, address, &got);

	if (!name)
		cr_expect_null(found, "%x is %s", address, found);
	else if (!found)
		cr_expect(false, "%x is nothing, not %s", address, name);
	else
		cr_expect(!strcmp(found, name) && got == start, "%x is %s from %x, not %s from %x",
			  address, found, got, name, start);
}

/* Loading fails with err, and all of the texts are in what is said. */
static void expect_failure(const char *paths, int err, const char *one, const char *other)
{
	struct guest_symbols *s;
	struct error error = { 0 };

	cr_expect_eq(guest_symbols_load(paths, &s, &error), err, "%s: %s", paths, error.text);
	cr_expect(strstr(error.text, one) && strstr(error.text, other),
		  "'%s' has not '%s' and '%s'", error.text, one, other);
}

Test(guest_symbols, functions_of_a_system_map)
{
	struct guest_symbols *s = load(text(
		"map", "c1000000 T startup\nc1000000 t alias\nc1000040 t helper\nC1000100 D data\n"
		       "c1000200 W weak\nc1000300 r readonly\nf8000000 t probe\t[a_module]\n"));

	cr_expect_eq(guest_symbols_count(s), 4);
	expect_at(s, 0xc0ffffff, NULL, 0);
	expect_at(s, 0xc1000000, "startup", 0xc1000000);
	expect_at(s, 0xc100003f, "startup", 0xc1000000);
	expect_at(s, 0xc1000040, "helper", 0xc1000040);
	expect_at(s, 0xc10001ff, "helper", 0xc1000040);
	expect_at(s, 0xc1000200, "weak", 0xc1000200);
	/* What has no end goes on for a while, not to the next symbol however far. */
	expect_at(s, 0xc1080000, "weak", 0xc1000200);
	expect_at(s, 0xd0000000, NULL, 0);
	expect_at(s, 0xf8000010, "probe[a_module]", 0xf8000000);
	guest_symbols_destroy(s);
}

Test(guest_symbols, the_global_name_comes_first_in_any_order)
{
	struct guest_symbols *s = load(text(
		"map",
		"00002000 t local\n00001000 t first_local\n00002000 T global\n00002000 T later\n"
		"00001000 t second_local\n"));

	expect_at(s, 0x1000, "first_local", 0x1000);
	expect_at(s, 0x2000, "global", 0x2000);
	guest_symbols_destroy(s);
}

Test(guest_symbols, the_end_of_the_address_space)
{
	struct guest_symbols *s = load(text("map", "fffffff0 T reset\nfffff000 T before\n"));

	expect_at(s, 0xfffffff8, "reset", 0xfffffff0);
	expect_at(s, 0, NULL, 0);
	guest_symbols_destroy(s);
}

Test(guest_symbols, nothing_is_found_in_nothing)
{
	expect_at(NULL, 0x1000, NULL, 0);
}

Test(guest_symbols, names_do_not_break_the_output)
{
	struct guest_symbols *s = load(text("map", "00001000 T a;b\n"));

	expect_at(s, 0x1000, "a_b", 0x1000);
	guest_symbols_destroy(s);
}

/* --- ELF --- */

struct elf_symbol {
	const char *name;
	uint32_t value, size;
	unsigned char type, bind;
	uint16_t section; /* 1: code, 2: data */
};

static Elf_Scn *elf_section(Elf *elf, uint32_t type, uint32_t flags, void *data, size_t size,
			    uint32_t entsize, uint32_t link)
{
	Elf_Scn *section = elf_newscn(elf);
	Elf_Data *d = elf_newdata(section);
	GElf_Shdr header;

	d->d_buf = data;
	d->d_size = size;
	d->d_type = type == SHT_SYMTAB ? ELF_T_SYM : ELF_T_BYTE;
	d->d_version = EV_CURRENT;
	d->d_align = 4;
	gelf_getshdr(section, &header);
	header.sh_type = type;
	header.sh_flags = flags;
	header.sh_entsize = entsize;
	header.sh_link = link;
	cr_assert(gelf_update_shdr(section, &header));
	return section;
}

static const char *elf_file(const char *name, uint16_t machine, const struct elf_symbol *symbols,
			    size_t count)
{
	const char *path = scratch_path(name);
	const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char strings[512] = "", code[16] = { 0 };
	Elf32_Sym table[16] = { { 0 } };
	size_t used = 1;
	GElf_Ehdr header;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_WRITE, NULL);
	cr_assert(elf && gelf_newehdr(elf, ELFCLASS32) && gelf_getehdr(elf, &header));
	header.e_machine = machine;
	header.e_type = ET_EXEC;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_version = EV_CURRENT;
	header.e_shstrndx = 3;
	cr_assert(gelf_update_ehdr(elf, &header));
	for (size_t i = 0; i < count; i++) {
		table[i + 1] =
			(Elf32_Sym){ .st_name = used,
				     .st_value = symbols[i].value,
				     .st_size = symbols[i].size,
				     .st_info = ELF32_ST_INFO(symbols[i].bind, symbols[i].type),
				     .st_shndx = symbols[i].section };
		strcpy(strings + used, symbols[i].name);
		used += strlen(symbols[i].name) + 1;
	}
	elf_section(elf, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, code, sizeof(code), 0, 0);
	elf_section(elf, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, code, sizeof(code), 0, 0);
	elf_section(elf, SHT_STRTAB, 0, strings, sizeof(strings), 0, 0);
	if (count)
		elf_section(elf, SHT_SYMTAB, 0, table, (count + 1) * sizeof(table[0]),
			    sizeof(table[0]), 3);
	cr_assert(elf_update(elf, ELF_C_WRITE) > 0, "%s", elf_errmsg(-1));
	elf_end(elf);
	close(fd);
	return path;
}

static const struct elf_symbol some[] = {
	{ "sized", 0x8000, 0x20, STT_FUNC, STB_GLOBAL, 1 },
	{ "label", 0x8010, 0, STT_NOTYPE, STB_LOCAL, 1 }, /* within */
	{ "assembly", 0x8040, 0, STT_NOTYPE, STB_GLOBAL, 1 },
	{ "after", 0x8060, 0x10, STT_FUNC, STB_LOCAL, 1 },
	{ "variable", 0x8050, 4, STT_OBJECT, STB_GLOBAL, 2 },
	{ "data_label", 0x8054, 0, STT_NOTYPE, STB_GLOBAL, 2 },
	{ "elsewhere", 0, 0, STT_FUNC, STB_GLOBAL, SHN_UNDEF },
};

Test(guest_symbols, functions_of_an_elf_file)
{
	struct guest_symbols *s = load(elf_file("elf", EM_386, some, 7));

	cr_expect_eq(guest_symbols_count(s), 3);
	expect_at(s, 0x8018, "sized", 0x8000);
	expect_at(s, 0x8020, NULL, 0);
	expect_at(s, 0x805f, "assembly", 0x8040);
	expect_at(s, 0x806f, "after", 0x8060);
	expect_at(s, 0x8070, NULL, 0);
	guest_symbols_destroy(s);
}

Test(guest_symbols, several_files)
{
	char paths[160];
	struct guest_symbols *s;

	snprintf(paths, sizeof(paths), "%s:%s", elf_file("elf", EM_386, some, 7),
		 text("map", "c0000000 T kernel\n"));
	s = load(paths);
	expect_at(s, 0x8000, "sized", 0x8000);
	expect_at(s, 0xc0000000, "kernel", 0xc0000000);
	guest_symbols_destroy(s);
}

/* --- what is no symbol file --- */

Test(guest_symbols, wrong_lines_are_named)
{
	static const char *const wrong[] = { "nonsense",
					     "c1000000",
					     "c1000000 T",
					     "c1000000 T ",
					     "c100000g T f",
					     "1c1000000 T f",
					     "c1000000 TT f",
					     "c1000000 T f g",
					     "c1000000 T f [m] x",
					     " c1000000 T f",
					     "",
					     "\xff\x01" };

	for (size_t i = 0; i < RF_ARRAY_SIZE(wrong); i++) {
		char content[80];

		snprintf(content, sizeof(content), "c0000000 T good\nc0000010 T good2\n%s\n",
			 wrong[i]);
		expect_failure(text("wrong", content), -EINVAL, "wrong'", "line 3:");
	}
}

Test(guest_symbols, files_without_functions)
{
	const struct elf_symbol data = { "variable", 0x8050, 4, STT_OBJECT, STB_GLOBAL, 2 };

	expect_failure(text("empty", ""), -EINVAL, "empty'", "no function");
	expect_failure(text("data", "c0000000 D data\n"), -EINVAL, "data'", "no function");
	expect_failure(elf_file("stripped", EM_386, some, 0), -EINVAL, "stripped'", "no function");
	expect_failure(elf_file("dataelf", EM_386, &data, 1), -EINVAL, "dataelf'", "no function");
	expect_failure(text("zeros", "00000000 T startup\n00000000 t helper\n"), -EINVAL, "zeros'",
		       "every address is 0");
	expect_failure("", -EINVAL, "symbols=", "no file");
}

Test(guest_symbols, files_that_cannot_be_read)
{
	char paths[160];

	expect_failure("/nodir/map", -ENOENT, "/nodir/map", "No such file");
	expect_failure(scratch_directory(), -EIO, scratch_directory(), "directory");
	snprintf(paths, sizeof(paths), "%s:/nodir/second", text("map", "c0000000 T kernel\n"));
	expect_failure(paths, -ENOENT, "/nodir/second", "No such file");
}

Test(guest_symbols, elf_files_of_others)
{
	expect_failure(elf_file("arm", EM_ARM, some, 7), -EINVAL, "arm'", "32-bit x86");
	expect_failure("/proc/self/exe", -EINVAL, "/proc/self/exe", "32-bit x86");
	expect_failure(file("cut", ELFMAG "\1\1\1", 7), -EINVAL, "cut'", "ELF");
}

/* Whatever the bytes, it ends and says something. */
Test(guest_symbols, damaged_elf_files)
{
	const char *path = elf_file("elf", EM_386, some, 7);
	uint8_t good[4096], bad[4096];
	FILE *f = fopen(path, "r");
	const size_t size = fread(good, 1, sizeof(good), f);
	unsigned refused = 0;

	fclose(f);
	srand(1);
	for (unsigned round = 0; round < 500; round++) {
		struct guest_symbols *s = NULL;
		struct error error = { 0 };
		gva_t start;

		memcpy(bad, good, size);
		for (unsigned i = 0; i < 1 + round % 8; i++)
			bad[rand() % size] = rand();
		if (guest_symbols_load(file("bad", bad, round % 3 ? size : rand() % size), &s,
				       &error)) {
			cr_expect(error.text[0], "round %u: nothing is said", round);
			refused++;
			continue;
		}
		for (unsigned i = 0; i < 100; i++)
			guest_symbols_find(s, i % 2 ? (gva_t)rand() : 0x8000 + i, &start);
		guest_symbols_destroy(s);
	}
	cr_expect(refused > 25 && refused < 475, "%u of 500 refused", refused);
}
