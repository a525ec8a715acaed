/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of the guest's functions; see guest_symbols.h. */
#include "guest_symbols.h"

#include <errno.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* what the last function before a gap may span, if nothing says how long it is */
#define UNSIZED_MOST 0x100000u
#define LINE_SHOWN   40

struct guest_symbol {
	gva_t start, end; /* end 0: not said */
	bool global;
	uint32_t order;   /* in which it was read */
	char *name;
};

struct guest_symbols {
	struct guest_symbol *all;
	size_t count, room;
};

/* Takes name. */
static int symbols_add(struct guest_symbols *s, gva_t start, gva_t end, bool global, char *name)
{
	if (!name)
		return -ENOMEM;
	if (s->count == s->room) {
		const size_t room = s->room ? 2 * s->room : 1024;
		struct guest_symbol *all = realloc(s->all, room * sizeof(*all));

		if (!all) {
			free(name);
			return -ENOMEM;
		}
		s->all = all;
		s->room = room;
	}
	/* What reads our output splits at these. */
	for (char *c = name; *c; c++) {
		if (*c == ';' || (unsigned char)*c <= ' ')
			*c = '_';
	}
	s->all[s->count] = (struct guest_symbol){
		.start = start, .end = end, .global = global, .order = s->count, .name = name
	};
	s->count++;
	return 0;
}

/* --- text --- */

/*
 * Splits "c1000000 T startup_32" or "f8000000 t probe\t[module]". False: the line is none of these.
 */
static bool symbols_split_line(char *line, gva_t *address, char *type, char **name, char **module)
{
	const size_t digits = strspn(line, "0123456789abcdefABCDEF");
	char *end, *save;
	unsigned long long value;

	if (!digits || digits != strcspn(line, " \t"))
		return false;
	value = strtoull(line, &end, 16);
	if (value > UINT32_MAX || !*end || end[strspn(end, " \t")] == 0)
		return false;
	end += strspn(end, " \t");
	if (!strchr(" \t", end[1]) || !end[1])
		return false;
	*address = value;
	*type = *end;
	*name = strtok_r(end + 1, " \t\r\n", &save);
	*module = strtok_r(NULL, " \t\r\n", &save);
	return *name && (!*module || (**module == '[' && !strtok_r(NULL, " \t\r\n", &save)));
}

static int symbols_add_line(struct guest_symbols *s, char *line, const char *path, unsigned number,
			    bool *anywhere, struct error *error)
{
	char *name, *module, *full = NULL, type, shown[LINE_SHOWN + 1];
	gva_t address;

	snprintf(shown, sizeof(shown), "%.*s", (int)strcspn(line, "\r\n"), line);
	for (char *c = shown; *c; c++)
		*c = *c < ' ' || *c > '~' ? '?' : *c;
	if (!symbols_split_line(line, &address, &type, &name, &module))
		return error_set(error, -EINVAL,
				 "symbols '%s', line %u: '%s' is not an address, a type and a "
				 "name; give a System.map, "
				 "a copy of the guest's /proc/kallsyms or an ELF file",
				 path, number, shown);
	*anywhere = *anywhere || address;
	if (!strchr("tTwW", type))
		return 0;
	if (asprintf(&full, "%s%s", name, module ? module : "") < 0)
		full = NULL;
	return symbols_add(s, address, 0, type == 'T' || type == 'W', full);
}

static int symbols_read_text(struct guest_symbols *s, FILE *file, const char *path,
			     struct error *error)
{
	unsigned number = 0;
	bool anywhere = false;
	char *line = NULL;
	size_t room = 0;
	int err = 0;

	while (!err && getline(&line, &room, file) >= 0)
		err = symbols_add_line(s, line, path, ++number, &anywhere, error);
	free(line);
	if (!err && ferror(file))
		return error_set(error, -EIO, "cannot read the symbols '%s': %s", path,
				 error_reason(errno));
	if (!err && number && !anywhere)
		return error_set(
			error, -EINVAL,
			"symbols '%s': every address is 0; have root read /proc/kallsyms, with "
			"kernel.kptr_restrict=0",
			path);
	return err;
}

/* --- ELF --- */

static bool symbols_elf_wants(Elf *elf, const GElf_Sym *sym)
{
	GElf_Shdr header;
	Elf_Scn *section;

	if (GELF_ST_TYPE(sym->st_info) != STT_FUNC && GELF_ST_TYPE(sym->st_info) != STT_NOTYPE)
		return false;
	section = sym->st_shndx && sym->st_shndx < SHN_LORESERVE ? elf_getscn(elf, sym->st_shndx) :
								   NULL;
	return section && gelf_getshdr(section, &header) && header.sh_flags & SHF_EXECINSTR;
}

static int symbols_read_table(struct guest_symbols *s, Elf *elf, Elf_Scn *section,
			      const GElf_Shdr *header)
{
	Elf_Data *data = elf_getdata(section, NULL);
	const size_t count = data && header->sh_entsize ? header->sh_size / header->sh_entsize : 0;
	int err = 0;

	for (size_t i = 0; !err && i < count; i++) {
		const char *name;
		GElf_Sym sym;

		if (!gelf_getsym(data, i, &sym) || !symbols_elf_wants(elf, &sym))
			continue;
		name = elf_strptr(elf, header->sh_link, sym.st_name);
		if (name && *name)
			err = symbols_add(s, sym.st_value,
					  sym.st_size ? sym.st_value + sym.st_size : 0,
					  GELF_ST_BIND(sym.st_info) != STB_LOCAL, strdup(name));
	}
	return err;
}

static int symbols_read_elf(struct guest_symbols *s, Elf *elf, const char *path,
			    struct error *error)
{
	Elf_Scn *section = NULL;
	GElf_Ehdr header;
	int err = 0;

	if (!gelf_getehdr(elf, &header))
		return error_set(error, -EINVAL, "symbols '%s': no usable ELF header (%s)", path,
				 elf_errmsg(-1));
	if (gelf_getclass(elf) != ELFCLASS32 || header.e_machine != EM_386)
		return error_set(
			error, -EINVAL,
			"symbols '%s': not an ELF file for 32-bit x86, so not this guest's", path);
	while (!err && (section = elf_nextscn(elf, section))) {
		GElf_Shdr of;

		if (gelf_getshdr(section, &of) && of.sh_type == SHT_SYMTAB)
			err = symbols_read_table(s, elf, section, &of);
	}
	return err;
}

/* --- files --- */

static int symbols_read_open(struct guest_symbols *s, FILE *file, const char *path,
			     struct error *error)
{
	char magic[SELFMAG];
	Elf *elf;
	int err;

	if (fread(magic, 1, SELFMAG, file) != SELFMAG || memcmp(magic, ELFMAG, SELFMAG)) {
		if (ferror(file))
			return error_set(error, -EIO, "cannot read the symbols '%s': %s", path,
					 error_reason(errno));
		rewind(file);
		return symbols_read_text(s, file, path, error);
	}
	elf_version(EV_CURRENT);
	elf = elf_begin(fileno(file), ELF_C_READ, NULL);
	if (!elf)
		return error_set(error, -EINVAL, "symbols '%s': not a sound ELF file (%s)", path,
				 elf_errmsg(-1));
	err = symbols_read_elf(s, elf, path, error);
	elf_end(elf);
	return err;
}

static int symbols_read(struct guest_symbols *s, const char *path, struct error *error)
{
	const size_t before = s->count;
	FILE *file = fopen(path, "re");
	int err;

	if (!file)
		return error_set(error, -errno, "cannot read the symbols '%s': %s", path,
				 error_reason(errno));
	err = symbols_read_open(s, file, path, error);
	fclose(file);
	if (!err && s->count == before)
		return error_set(error, -EINVAL,
				 "symbols '%s': there is no function in it (was it stripped?)",
				 path);
	return err;
}

/* --- order --- */

/* Of several names for one address the first global one comes first, else the first. */
static int symbols_compare(const void *left, const void *right)
{
	const struct guest_symbol *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->global != b->global)
		return a->global ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

/* Drops second names and labels within functions, and says where those end of which no file did. */
static void symbols_settle(struct guest_symbols *s)
{
	size_t kept = 0;

	qsort(s->all, s->count, sizeof(*s->all), symbols_compare);
	for (size_t i = 0; i < s->count; i++) {
		struct guest_symbol *last = kept ? &s->all[kept - 1] : NULL;

		if (last && last->start == s->all[i].start) {
			last->end = last->end ? last->end : s->all[i].end;
			free(s->all[i].name);
		} else if (last && s->all[i].start < last->end && !s->all[i].end) {
			free(s->all[i].name); /* a label */
		} else {
			s->all[kept++] = s->all[i];
		}
	}
	s->count = kept;
	for (size_t i = 0; i < kept; i++) {
		struct guest_symbol *symbol = &s->all[i];
		const uint64_t most = (uint64_t)symbol->start + UNSIZED_MOST,
			       next = i + 1 < kept ? symbol[1].start : most;

		if (!symbol->end)
			symbol->end = next < most ? next : most > UINT32_MAX ? UINT32_MAX : most;
	}
}

int guest_symbols_load(const char *paths, struct guest_symbols **out, struct error *error)
{
	struct guest_symbols *s = calloc(1, sizeof(*s));
	char *copy = strdup(paths), *save = NULL;
	int err = s && copy ? 0 : -ENOMEM;

	for (char *path = err ? NULL : strtok_r(copy, ":", &save); path && !err;
	     path = strtok_r(NULL, ":", &save))
		err = symbols_read(s, path, error);
	free(copy);
	if (!err && !s->count)
		err = error_set(error, -EINVAL, "symbols=%s names no file", paths);
	if (err) {
		guest_symbols_destroy(s);
		return error_default(error, err, "no memory for the symbols '%s'", paths);
	}
	symbols_settle(s);
	*out = s;
	return 0;
}

void guest_symbols_destroy(struct guest_symbols *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		free(s->all[i].name);
	free(s->all);
	free(s);
}

size_t guest_symbols_count(const struct guest_symbols *s)
{
	return s->count;
}

const char *guest_symbols_find(const struct guest_symbols *s, gva_t address, gva_t *start)
{
	size_t low = 0, high = s ? s->count : 0;

	while (low < high) {
		const size_t mid = (low + high) / 2;

		if (s->all[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || address >= s->all[low - 1].end)
		return NULL;
	*start = s->all[low - 1].start;
	return s->all[low - 1].name;
}
