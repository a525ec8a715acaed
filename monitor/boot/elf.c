/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads 32-bit x86 ELF executables: segments go to their physical addresses, the entry point (a
 * virtual address) is translated through the segment that holds it. -append and -initrd mean
 * nothing to a plain ELF and are refused.
 */
#include <errno.h>
#include <gelf.h>
#include <string.h>
#include "loader.h"

bool loader_elf_probe(const struct file_image *kernel)
{
	Elf32_Ehdr header;

	if (kernel->size < sizeof(header))
		return false;
	memcpy(&header, kernel->data, sizeof(header));
	return !memcmp(header.e_ident, ELFMAG, SELFMAG) && header.e_ident[EI_CLASS] == ELFCLASS32 &&
	       header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_machine == EM_386 &&
	       (header.e_type == ET_EXEC || header.e_type == ET_DYN);
}

static int elf_load_segment(struct boot_request *boot, const struct file_image *kernel,
			    const GElf_Phdr *ph)
{
	int ret;

	/* A segment of bss only has nothing in the file, wherever its offset points. */
	if (ph->p_filesz &&
	    (ph->p_offset > kernel->size || ph->p_filesz > kernel->size - ph->p_offset))
		return error_set(boot->error, -ENOEXEC,
				 "kernel '%s' is cut short: a segment ends at byte %llu of %zu; "
				 "copy it again",
				 kernel->path, (unsigned long long)(ph->p_offset + ph->p_filesz),
				 kernel->size);
	if (ph->p_memsz < ph->p_filesz)
		return error_set(boot->error, -ENOEXEC,
				 "kernel '%s' is damaged: a segment is larger in the file (%llu) "
				 "than in memory (%llu)",
				 kernel->path, (unsigned long long)ph->p_filesz,
				 (unsigned long long)ph->p_memsz);
	ret = ph->p_filesz ? loader_copy(boot, "the kernel", GPA(ph->p_paddr),
					 kernel->data + ph->p_offset, ph->p_filesz) :
			     0;
	return ret ? ret :
		     loader_copy(boot, "the kernel", GPA(ph->p_paddr + ph->p_filesz), NULL,
				 ph->p_memsz - ph->p_filesz);
}

/*
 * libelf takes program headers to lie 32 bytes apart whatever e_phentsize says, and counts no more
 * of them than the file holds, so both are looked at here.
 */
static int elf_check_header(struct boot_request *boot, const struct file_image *kernel)
{
	Elf32_Ehdr header;
	uint64_t end;

	memcpy(&header, kernel->data, sizeof(header));
	if (header.e_phnum && header.e_phentsize != sizeof(Elf32_Phdr))
		return error_set(boot->error, -ENOEXEC,
				 "kernel '%s' has program headers of %u bytes (e_phentsize); those "
				 "of a 32-bit ELF file have %zu: link it again",
				 kernel->path, header.e_phentsize, sizeof(Elf32_Phdr));
	if (header.e_phnum == PN_XNUM)
		return error_set(boot->error, -ENOEXEC,
				 "kernel '%s' has 65535 program headers or more (e_phnum), which "
				 "no kernel needs: it is damaged, or link it again with fewer",
				 kernel->path);
	end = (uint64_t)header.e_phoff + header.e_phnum * sizeof(Elf32_Phdr);
	if (end > kernel->size)
		return error_set(boot->error, -ENOEXEC,
				 "kernel '%s' is cut short: its program headers end at byte %llu "
				 "of %zu; copy it again",
				 kernel->path, (unsigned long long)end, kernel->size);
	return 0;
}

static int elf_load_segments(struct boot_request *boot, const struct file_image *kernel, Elf *elf,
			     uint32_t *entry, gpa_t *end)
{
	GElf_Ehdr header;
	size_t count = 0;
	bool any = false;

	if (!gelf_getehdr(elf, &header) || elf_getphdrnum(elf, &count))
		return error_set(boot->error, -ENOEXEC, "kernel '%s' has no usable ELF header (%s)",
				 kernel->path, elf_errmsg(-1));
	*entry = header.e_entry;
	*end = GPA(0);
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr ph;
		int ret;

		if (!gelf_getphdr(elf, i, &ph))
			return error_set(boot->error, -ENOEXEC,
					 "kernel '%s' has no usable ELF program headers (%s)",
					 kernel->path, elf_errmsg(-1));
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		ret = elf_load_segment(boot, kernel, &ph);
		if (ret)
			return ret;
		any = true;
		if (header.e_entry >= ph.p_vaddr && header.e_entry - ph.p_vaddr < ph.p_memsz)
			*entry = header.e_entry - ph.p_vaddr + ph.p_paddr;
		if (ph.p_paddr + ph.p_memsz > end->v)
			*end = GPA(ph.p_paddr + ph.p_memsz);
	}
	return any ? 0 :
		     error_set(boot->error, -ENOEXEC, "kernel '%s' has no loadable ELF segment",
			       kernel->path);
}

int loader_elf_segments(struct boot_request *boot, const struct file_image *kernel, uint32_t *entry,
			gpa_t *end)
{
	Elf *elf;
	int ret = elf_check_header(boot, kernel);

	if (ret)
		return ret;
	elf_version(EV_CURRENT);
	elf = elf_memory((char *)kernel->data, kernel->size);
	if (!elf)
		return error_set(boot->error, -ENOEXEC, "kernel '%s' is not a sound ELF file (%s)",
				 kernel->path, elf_errmsg(-1));
	ret = elf_load_segments(boot, kernel, elf, entry, end);
	elf_end(elf);
	return ret;
}

int loader_elf(struct boot_request *boot, const struct file_image *kernel)
{
	uint32_t entry;
	gpa_t end;
	int ret;

	if (boot->initrd || (boot->append && *boot->append))
		return error_set(boot->error, -EINVAL,
				 "kernel '%s' is a plain ELF file, which takes no %s; leave it "
				 "out or give a kernel of Linux, multiboot or PVH",
				 kernel->path, boot->initrd ? "-initrd" : "-append");
	ret = loader_elf_segments(boot, kernel, &entry, &end);
	return ret ? ret : loader_enter_flat(boot, LOADER_CODE, entry);
}
