/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The board: instances of all chips and the wires between them.
 *
 *   ISA IRQ n, PIRQs -> gsi lines -> 8259s (n < 16) and I/O APIC (pin n; IRQ 0 at pin 2)
 *   8254, RTC -> HPET, if there is one -> gsi lines 0, 8
 *   HPET's own timers -> pin 2 of the I/O APIC, as gsi line 2
 *   8259 INT -> LINT0 of the local APIC -> INTR of the CPU
 *
 * Several sources share a line; it is up while one of them is. A line knows its sources by a bit
 * each.
 */
#include "pc_board.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/chips/debugcon.h"
#include "devices/chips/fpu_error.h"
#include "devices/chips/hpet.h"
#include "devices/chips/i8042.h"
#include "devices/chips/i8237.h"
#include "devices/chips/i8254.h"
#include "devices/chips/i8259.h"
#include "devices/chips/io_apic.h"
#include "devices/chips/isa_debug_exit.h"
#include "devices/chips/local_apic.h"
#include "devices/chips/mc146818.h"
#include "devices/chips/piix3.h"
#include "devices/chips/piix4_pm.h"
#include "devices/chips/port61.h"
#include "devices/chips/port92.h"
#include "devices/chips/uart16550.h"
#include "devices/firmware/acpi_tables.h"
#include "devices/video/vga.h"
#include "pc_setup.h"
#include "tick_watch.h"

#define NGSI 24
#define VGA_DEVICE 2 /* its number on the PCI bus */

#define CMOS_BOOT_ORDER_HIGH 0x38 /* the third in its upper half */
#define CMOS_BOOT_ORDER      0x3d

enum line_source {
	SOURCE_ISA, SOURCE_ISA_SHARED, SOURCE_PIRQ, SOURCE_PM, SOURCE_OTHER, NSOURCES
};

struct pc_board {
	struct pc_board_config config;
	struct board_lines {
		struct pc_board *board;
		uint8_t sources[NGSI]; /* bit per enum line_source */
	} lines;
	struct i8259 pic;
	struct lapic lapic;
	struct io_apic io_apic;
	struct hpet hpet;
	struct i8254 pit;
	struct tick_watch watch;
	struct port61 port61;
	struct mc146818 rtc;
	struct a20_gate a20;
	struct i8042 kbc;
	struct i8237 dma;
	struct port92 port92;
	struct fpu_error fpu_error;
	struct pci_host pci;
	struct piix3 piix3;
	struct ide ide;
	struct fdc fdc;
	struct piix4_pm pm;
	struct vga vga;
	struct uart16550 uart[PC_SERIAL_PORTS];
	struct debugcon debugcon;
	struct isa_debug_exit debug_exit;
	struct fw_cfg fw_cfg;
	bool was_reset; /* since the machine was made: -boot once= is over */
};

static const struct {
	uint16_t base;
	uint8_t irq;
	enum line_source source;
} serial_wiring[PC_SERIAL_PORTS] = {
	{ 0x3f8, 4, SOURCE_ISA }, { 0x2f8, 3, SOURCE_ISA }, { 0x3e8, 4, SOURCE_ISA_SHARED },
	{ 0x2e8, 3, SOURCE_ISA_SHARED },
};

/* Wires. */

/* Input 0 is the 8259s' alone, 2 the I/O APIC's: as of config.gsi. */
static void drive_input(struct pc_board *board, unsigned n, bool up)
{
	if (board->config.gsi.set) {
		board->config.gsi.set(board->config.gsi.opaque, n, up);
		return;
	}
	if (n < 16 && n != 2)
		i8259_set_irq(&board->pic, n, up);
	if (n)
		io_apic_set_pin(&board->io_apic, n, up);
}

/* Tells the interrupt controllers how line gsi is. */
static void drive_line(struct pc_board *board, unsigned gsi)
{
	const uint8_t *sources = board->lines.sources;

	if (gsi != 2)
		drive_input(board, gsi, sources[gsi]);
	if (gsi == 0 || gsi == 2)
		drive_input(board, 2, sources[0] | sources[2]);
}

static void set_source(struct pc_board *board, unsigned gsi, enum line_source source, bool level)
{
	uint8_t *sources = &board->lines.sources[gsi];

	assert(gsi < NGSI && source < NSOURCES);
	*sources = level ? *sources | 1u << source : *sources & ~(1u << source);
	drive_line(board, gsi);
}

/* The n of these lines: source in the upper byte, gsi in the lower. */
static void line_set(void *opaque, unsigned n, bool level)
{
	set_source(opaque, n & 0xff, (enum line_source)(n >> 8), level);
}

static struct irq_line gsi_line(struct pc_board *board, unsigned gsi, enum line_source source)
{
	return (struct irq_line){ line_set, board, (unsigned)source << 8 | gsi };
}

void pc_board_set_irq(struct pc_board *board, unsigned gsi, bool level)
{
	if (gsi < NGSI && gsi != 2)
		set_source(board, gsi, SOURCE_OTHER, level);
}

/*
 * The lines, as a device. It comes before the interrupt controllers: at reset these forget first,
 * before devices lower their lines.
 */

static void lines_reset(void *opaque)
{
	struct board_lines *lines = opaque;

	memset(lines->sources, 0, sizeof(lines->sources));
}

static void lines_loaded(void *opaque)
{
	struct board_lines *lines = opaque;

	for (unsigned gsi = 0; gsi < NGSI; gsi++)
		drive_line(lines->board, gsi);
}

static const struct state_field lines_state[] = {
	STATE_BITS_ARRAY(struct board_lines, sources, (1u << NSOURCES) - 1),
	STATE_END,
};

static const struct device_desc lines_desc = {
	.name = "board-lines",
	.reset = lines_reset,
	.state = lines_state,
	.state_version = 1,
	.size = sizeof(struct board_lines),
	.loaded = lines_loaded,
};

/* Where the last interrupt of a line is, by whichever way it comes. */
static enum tick_interrupt last_interrupt(const struct pc_board *board, unsigned gsi)
{
	const unsigned pin = gsi ? gsi : 2;
	const bool latched = i8259_is_latched(&board->pic, gsi) && lapic_heeds_pic(&board->lapic);

	if ((latched && !i8259_is_masked(&board->pic, gsi)) ||
	    io_apic_is_requested(&board->io_apic, pin))
		return TICK_REQUESTED;
	return latched && io_apic_is_masked(&board->io_apic, pin) ? TICK_MASKED : TICK_TAKEN;
}

static enum tick_interrupt pit_irq_state(void *board)
{
	return last_interrupt(board, 0);
}

static const uint8_t hpet_gsi[HPET_WIRES] = { 0, 8, 2 };

static enum tick_interrupt hpet_irq_state(void *board, enum hpet_wire wire)
{
	return last_interrupt(board, hpet_gsi[wire]);
}

/* Assembly. */

static int init_interrupts(struct pc_board *board)
{
	const struct lapic_config lapic = {
		.clock = board->config.clock,
		.bus = board->config.bus,
		.intr = board->config.intr,
		.nmi = board->config.nmi,
		.eoi = { io_apic_eoi, &board->io_apic, 0 },
		.pic = { i8259_acknowledge, &board->pic },
		.address_mask = 0xfffffffffull,
	};
	int err = lapic_init(&board->lapic, &lapic);

	if (err)
		return err;
	i8259_init(&board->pic, (struct irq_line){ lapic_set_lint, &board->lapic, 0 });
	io_apic_init(&board->io_apic, &board->lapic);
	return 0;
}

static int init_hpet(struct pc_board *board)
{
	int err = hpet_init(&board->hpet, &board->config.clock);

	for (unsigned wire = 0; wire < HPET_WIRES; wire++)
		board->hpet.wire[wire] = gsi_line(board, hpet_gsi[wire], SOURCE_ISA);
	board->hpet.pit_counts = (struct irq_line){ i8254_connect, &board->pit, 0 };
	board->hpet.irq_state = hpet_irq_state;
	board->hpet.irq_state_opaque = board;
	return err;
}

/* The line of the 8254 (n = 0) or of the RTC (n = 1). */
static struct irq_line timer_line(struct pc_board *board, unsigned n)
{
	return board->config.hpet ? (struct irq_line){ hpet_set_input, &board->hpet, n } :
				    gsi_line(board, hpet_gsi[n], SOURCE_ISA);
}

static int init_timers(struct pc_board *board)
{
	const struct pc_board_config *c = &board->config;
	int err = c->hpet ? init_hpet(board) : 0;

	board->watch = (struct tick_watch){
		.clock = c->clock,
		.pit = &board->pit, .hpet = &board->hpet, .lapic = &board->lapic,
		.interrupt_flag = c->interrupt_flag,
		.interrupt_flag_opaque = c->interrupt_flag_opaque,
	};
	if (!err)
		err = i8254_init(&board->pit, &c->clock, timer_line(board, 0));
	if (err)
		return err;
	board->pit.irq_state = pit_irq_state;
	board->pit.irq_state_opaque = board;
	port61_init(&board->port61, &board->pit);
	return mc146818_init(&board->rtc, &c->clock, timer_line(board, 1), c->ram_size,
			     c->rtc_base);
}

static void init_ports(struct pc_board *board)
{
	const struct i8042_config kbc = {
		.keyboard_irq = gsi_line(board, 1, SOURCE_ISA),
		.mouse_irq = gsi_line(board, 12, SOURCE_ISA),
		.a20 = &board->a20,
		.reset = board->config.reset,
	};

	i8042_init(&board->kbc, &kbc);
	i8237_init(&board->dma, &board->config.memory);
	board->port92 = (struct port92){ .a20 = &board->a20, .reset = board->config.reset };
	board->fpu_error = (struct fpu_error){ .irq = gsi_line(board, 13, SOURCE_ISA),
					       .ignne = board->config.ignne };
}

static int init_pci(struct pc_board *board)
{
	const struct irq_line ide_irq[IDE_CHANNELS] = {
		gsi_line(board, 14, SOURCE_ISA), gsi_line(board, 15, SOURCE_ISA),
	};
	struct irq_line isa[16];
	int err;

	for (unsigned n = 0; n < 16; n++)
		isa[n] = gsi_line(board, n, SOURCE_PIRQ);
	pci_host_init(&board->pci, board->config.bus);
	piix3_init(&board->piix3, isa, board->config.reset);
	err = piix4_pm_init(&board->pm, &board->config.clock,
			    gsi_line(board, PM_SCI_IRQ, SOURCE_PM), board->config.poweroff);
	if (err)
		return err;
	ide_init(&board->ide, board->config.ide, &board->config.memory, ide_irq);
	pci_host_add(&board->pci, &board->piix3.function);
	pci_host_add(&board->pci, &board->ide.function);
	if (!board->config.no_acpi)
		pci_host_add(&board->pci, &board->pm.function);
	board->pci.narrow_read = piix3_narrow_read;
	board->pci.narrow_write = piix3_narrow_write;
	board->pci.narrow_opaque = &board->piix3;
	return 0;
}

#define FLOPPY_IRQ 6
#define FLOPPY_DMA 2

static int init_fdc(struct pc_board *board, struct error *error)
{
	const struct signal_line served = { fdc_served, &board->fdc, 0 };
	int err = fdc_init(&board->fdc, &board->config.clock,
			   gsi_line(board, FLOPPY_IRQ, SOURCE_ISA),
			   i8237_connect(&board->dma, FLOPPY_DMA, served), board->config.floppy);

	return err ? err : bus_attach(board->config.bus, &fdc_desc, &board->fdc, FDC_PORTS, error);
}

static int init_vga(struct pc_board *board, struct error *error)
{
	const struct pc_board_config *c = &board->config;
	int err;

	if (!c->vga)
		return 0;
	err = vga_init(&board->vga, PCI_DEVFN(VGA_DEVICE, 0), &c->clock,
		       &c->video_memory);
	if (err)
		return err;
	if (c->vga_rom)
		pci_function_rom(&board->vga.function, c->vga_rom, c->vga_rom_size);
	pci_host_add(&board->pci, &board->vga.function);
	return bus_attach(c->bus, &vga_desc, &board->vga, 0, error);
}

static int init_serial(struct pc_board *board, struct error *error)
{
	for (unsigned i = 0; i < PC_SERIAL_PORTS; i++) {
		struct irq_line irq =
			gsi_line(board, serial_wiring[i].irq, serial_wiring[i].source);
		int err;

		if (!board->config.serial[i])
			continue;
		err = uart16550_init(&board->uart[i], &board->config.clock, irq,
				     board->config.serial[i]);
		if (!err)
			err = bus_attach(board->config.bus, &uart16550_desc, &board->uart[i],
					 serial_wiring[i].base, error);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Reset comes in this order: interrupt controllers first, so that they forget before devices lower
 * their lines.
 */
static int attach_all(struct pc_board *board, struct error *error)
{
	const struct {
		const struct device_desc *desc;
		void *device;
	} devices[] = {
		{ &lines_desc, &board->lines },
		{ &lapic_desc, &board->lapic },
		{ &io_apic_desc, &board->io_apic },
		{ &i8259_desc, &board->pic },
		{ board->config.hpet ? &hpet_desc : NULL, &board->hpet },
		{ &i8254_desc, &board->pit },
		{ &tick_watch_desc, &board->watch },
		{ &port61_desc, &board->port61 },
		{ &mc146818_desc, &board->rtc },
		{ &a20_gate_desc, &board->a20 },
		{ &i8042_desc, &board->kbc },
		{ &i8237_desc, &board->dma },
		{ &port92_desc, &board->port92 },
		{ &fpu_error_desc, &board->fpu_error },
		{ &pci_host_desc, &board->pci },
		{ &pci_bridge_desc, &board->pci.bridge },
		{ &piix3_desc, &board->piix3 },
		{ &ide_desc, &board->ide },
		{ board->config.no_acpi ? NULL : &piix4_pm_desc, &board->pm },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(devices); i++) {
		const struct device_desc *desc = devices[i].desc;
		int err = desc ? bus_attach(board->config.bus, desc, devices[i].device, 0, error) :
				 0;

		if (err)
			return err;
	}
	return 0;
}

static int attach_ide(struct pc_board *board, struct error *error)
{
	static const uint16_t ports[IDE_CHANNELS] = { IDE_PORTS_0, IDE_PORTS_1 };
	int err = 0;

	for (unsigned i = 0; i < IDE_CHANNELS && !err; i++)
		err = bus_attach(board->config.bus, &ide_channel_desc, &board->ide.channel[i],
				 ports[i], error);
	return err;
}

static int init_debug(struct pc_board *board, struct error *error)
{
	const struct pc_board_config *c = &board->config;
	int err = 0;

	if (c->debugcon) {
		board->debugcon.chardev = c->debugcon;
		err = debugcon_map(&board->debugcon, c->bus,
				   c->debugcon_iobase ? c->debugcon_iobase : 0xe9, error);
	}
	if (!err && c->debug_exit_iosize) {
		board->debug_exit.exit = c->debug_exit;
		err = isa_debug_exit_map(&board->debug_exit, c->bus, c->debug_exit_iobase,
					 c->debug_exit_iosize, error);
	}
	return err;
}

static void acpi_describe(const struct pc_board *board, struct acpi_config *acpi)
{
	*acpi = (struct acpi_config){ .ram_size = board->config.ram_size,
				      .hpet = board->config.hpet };
	for (unsigned i = 0; i < PC_SERIAL_PORTS; i++)
		if (board->config.serial[i])
			acpi->serial_ports |= 1u << i;
}

static int init_firmware(struct pc_board *board, struct error *error)
{
	struct acpi_config acpi;
	int err = fw_cfg_init(&board->fw_cfg, &board->config.memory);

	if (err)
		return err;
	acpi_describe(board, &acpi);
	err = pc_firmware_describe(&board->fw_cfg, &acpi, !board->config.no_acpi,
				   board->config.boot);
	if (err)
		return err;
	pci_host_needs_firmware(&board->pci);
	piix3_needs_firmware(&board->piix3);
	piix4_pm_needs_firmware(&board->pm);
	return bus_attach(board->config.bus, &fw_cfg_desc, &board->fw_cfg, 0, error);
}

static int assemble(struct pc_board *board, struct error *error)
{
	int err = init_interrupts(board);

	if (!err)
		err = init_timers(board);
	if (!err)
		err = init_pci(board);
	if (err)
		return err;
	init_ports(board);
	board->pci.pam_changed = board->config.memory_map;
	err = attach_all(board, error);
	if (!err)
		err = attach_ide(board, error);
	if (!err)
		err = init_fdc(board, error);
	if (!err)
		err = init_vga(board, error);
	if (!err)
		err = init_serial(board, error);
	if (!err && board->config.boot)
		err = init_firmware(board, error);
	return err ? err : init_debug(board, error);
}

/* What kernels find done by the time they start. */
static void act_as_firmware(struct pc_board *board)
{
	static const struct { uint16_t port; uint8_t value; } writes[] = {
		{ 0x4d1, 0x0e }, /* ELCR: PCI interrupts and the SCI are level triggered */
		{ 0x21, 0xff }, { 0xa1, 0xff }, /* nothing comes through the 8259s */
		/* timer 0 ticks at 18.2 Hz: some kernels read it before they set it */
		{ 0x43, 0x34 }, { 0x40, 0 }, { 0x40, 0 },
		/* DMA channel 4 is there for channels 0 to 3 */
		{ 0xd6, 0xc0 }, { 0xd4, 0x00 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(writes); i++)
		bus_pio_write(board->config.bus, writes[i].port, writes[i].value, 1);
	/* both IDE channels answer: drivers look at these bits */
	pci_config_write(&board->ide.function, 0x40, 0x80008000, 4);
}

/* What setup would have stored. */
static void set_boot_order(struct pc_board *board)
{
	const struct pc_boot *boot = board->config.boot;
	uint8_t byte38, byte3d;

	pc_firmware_boot_order(boot->once && !board->was_reset ? boot->once : boot->order, &byte38,
			       &byte3d);
	mc146818_set_cmos(&board->rtc, CMOS_BOOT_ORDER_HIGH, byte38 | boot->no_floppy_check);
	mc146818_set_cmos(&board->rtc, CMOS_BOOT_ORDER, byte3d);
}

static void tell_setup(struct pc_board *board)
{
	set_boot_order(board);
	pc_setup_disks(&board->rtc, board->config.ide);
}

static void board_power_on(struct pc_board *board)
{
	bus_reset_all(board->config.bus);
	pc_setup_floppies(&board->rtc, board->config.floppy);
	if (board->config.boot)
		tell_setup(board);
	else
		act_as_firmware(board);
}

int pc_board_create(const struct pc_board_config *config, struct pc_board **out,
		    struct error *error)
{
	struct pc_board *board = calloc(1, sizeof(*board));
	int err;

	*out = NULL;
	if (!board)
		return -ENOMEM;
	board->config = *config;
	board->config.clock.told = pc_board_look(board);
	board->lines.board = board;
	board->a20.out = config->a20;
	err = assemble(board, error);
	if (err) {
		pc_board_destroy(board);
		return err;
	}
	board_power_on(board);
	*out = board;
	return 0;
}

/* Also takes down a board whose assembly stopped half-way: what was not initialized is all zero. */
void pc_board_destroy(struct pc_board *board)
{
	struct bus *bus;

	if (!board)
		return;
	bus = board->config.bus;
	void *attached[] = {
		&board->lines, &board->lapic, &board->io_apic, &board->pic, &board->hpet,
		&board->pit, &board->watch, &board->port61, &board->rtc, &board->a20, &board->kbc,
		&board->dma, &board->port92, &board->fpu_error, &board->pci,
		&board->pci.bridge, &board->piix3, &board->ide, &board->ide.channel[0],
		&board->ide.channel[1], &board->pm,
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(attached); i++)
		bus_detach(bus, attached[i]);
	bus_detach(bus, &board->fdc);
	fdc_destroy(&board->fdc);
	bus_detach(bus, &board->vga);
	vga_destroy(&board->vga);
	for (unsigned i = 0; i < PC_SERIAL_PORTS; i++) {
		bus_detach(bus, &board->uart[i]);
		uart16550_destroy(&board->uart[i]);
	}
	if (board->debugcon.mapping)
		bus_unmap(bus, board->debugcon.mapping);
	if (board->debug_exit.mapping)
		bus_unmap(bus, board->debug_exit.mapping);
	ide_destroy(&board->ide);
	bus_detach(bus, &board->fw_cfg);
	fw_cfg_destroy(&board->fw_cfg);
	piix4_pm_destroy(&board->pm);
	mc146818_destroy(&board->rtc);
	i8254_destroy(&board->pit);
	hpet_destroy(&board->hpet);
	lapic_destroy(&board->lapic);
	free(board);
}

void pc_board_reset(struct pc_board *board)
{
	board->was_reset = true;
	board_power_on(board);
}

int pc_board_acknowledge(void *opaque)
{
	struct pc_board *board = opaque;
	int vector = lapic_acknowledge(&board->lapic);

	if (vector >= 0)
		tick_watch_taken(&board->watch);
	return vector;
}

void pc_board_pam(const struct pc_board *board, uint8_t pam[PCI_HOST_PAMS])
{
	pci_host_pam(&board->pci, pam);
}

void pc_board_display_views(const struct pc_board *board, struct display_view view[DISPLAY_VIEWS])
{
	vga_views(&board->vga, view);
}

bool pc_board_intr_level(const struct pc_board *board)
{
	return lapic_intr(&board->lapic);
}

uint64_t pc_board_apic_base_get(const struct pc_board *board)
{
	return lapic_base_get(&board->lapic);
}

bool pc_board_apic_base_set(struct pc_board *board, uint64_t value)
{
	return lapic_base_set(&board->lapic, value);
}

uint8_t pc_board_tpr_get(const struct pc_board *board)
{
	return lapic_tpr_get(&board->lapic);
}

void pc_board_tpr_set(struct pc_board *board, uint8_t tpr)
{
	lapic_tpr_set(&board->lapic, tpr);
}

pc_board_store_fn pc_board_store_unlocked(struct pc_board *board, void **opaque)
{
	*opaque = &board->lapic;
	return lapic_store_unlocked;
}

struct signal_line pc_board_look(struct pc_board *board)
{
	return (struct signal_line){ tick_watch_look, &board->watch, 0 };
}

bool pc_board_sends_nmis(const struct pc_board *board)
{
	return lapic_sends_nmis(&board->lapic) || io_apic_sends_nmis(&board->io_apic);
}

struct signal_line pc_board_ferr(struct pc_board *board)
{
	return (struct signal_line){ fpu_error_assert, &board->fpu_error, 0 };
}

const struct i8259 *pc_board_pic(const struct pc_board *board)
{
	return &board->pic;
}

const struct io_apic *pc_board_io_apic(const struct pc_board *board)
{
	return &board->io_apic;
}

void pc_board_power_button(struct pc_board *board)
{
	if (!board->config.no_acpi)
		piix4_pm_power_button(&board->pm);
}

void pc_board_rtc_advance(struct pc_board *board, uint64_t ns)
{
	mc146818_advance(&board->rtc, ns);
}

_Static_assert(PC_KEYBOARD_QUEUE == PS2_QUEUE, "as the header says");

bool pc_board_keyboard_put(struct pc_board *board, const uint8_t *scancodes, size_t count)
{
	return ps2_keyboard_key(&board->kbc.keyboard, scancodes, count);
}

const struct media *pc_board_media(const struct pc_board *board)
{
	return &board->config.media;
}

struct ide *pc_board_ide(struct pc_board *board)
{
	return &board->ide;
}

struct fdc *pc_board_fdc(struct pc_board *board)
{
	return &board->fdc;
}

bool pc_board_display(struct pc_board *board, struct display *out)
{
	if (board->config.vga)
		*out = vga_display(&board->vga);
	return board->config.vga;
}

/* Tables. */

void pc_board_acpi_area(uint64_t ram_size, gpa_t *base, uint64_t *size)
{
	*base = GPA(ram_size - ACPI_AREA_SIZE);
	*size = ACPI_AREA_SIZE;
}

int pc_board_write_tables(struct pc_board *board)
{
	struct acpi_config acpi;
	int err;

	acpi_describe(board, &acpi);
	err = board->config.no_acpi ? 0 : acpi_tables_write(&acpi, &board->config.memory);
	return err ? err : mp_table_write(&board->config.memory);
}
