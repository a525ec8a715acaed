/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DSDT: how to enter S5, the PCI root bridge with its windows and interrupt routing, and the
 * ISA devices that operating systems look for by name. What differs between machines are the three
 * integers that come first: acpi_dsdt.c writes over their values.
 *
 * ACPI 1.0b: integers have 32 bits, and nothing is used that Windows 98's interpreter lacks.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 1, "RNGFNC", "RINGFENC", 1)
{
	Name (HOLE, 0xC0FE0001) /* the first address that is for PCI's memory */
	Name (COMS, 0xC0FE0002) /* bit n: COM n+1 is there */
	Name (TIMR, 0xC0FE0003) /* 1: so is the HPET */

	/* 0Fh: there, in use, to be shown, and it works. */
	Method (THER, 1)
	{
		If (Arg0) {
			Return (0x0F)
		}
		Return (0)
	}

	Name (_S5, Package () { 0, 0, 0, 0 })

	Scope (_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)

			Name (WNDS, ResourceTemplate () {
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					       0, 0, 0xFF, 0, 0x100)
				IO (Decode16, 0xCF8, 0xCF8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					EntireRange, 0, 0, 0xCF7, 0, 0xCF8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					EntireRange, 0, 0xD00, 0xFFFF, 0, 0xF300)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					     NonCacheable, ReadWrite,
					     0, 0xA0000, 0xBFFFF, 0, 0x20000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					     NonCacheable, ReadWrite,
					     0, 0xE0000000, 0xFEBFFFFF, 0, 0x1EC00000, , , MEMW)
			})

			Method (_CRS, 0, Serialized)
			{
				CreateDWordField (WNDS, ^MEMW._MIN, FRST)
				CreateDWordField (WNDS, ^MEMW._MAX, LAST)
				CreateDWordField (WNDS, ^MEMW._LEN, SIZE)
				FRST = HOLE
				SIZE = LAST - HOLE + 1
				Return (WNDS)
			}

			/*
			 * For each pin of each slot: the slot, the pin, 0 for a line that cannot be
			 * set, the line. They are routed as PIIX3 does at reset, but that INTA of
			 * slot 1, power management's own event, is the SCI.
			 */
			Method (_PRT, 0, Serialized)
			{
				Local0 = Package (128) { }
				Local1 = 0
				While (Local1 < 128) {
					Local2 = Local1 >> 2
					Local3 = Package (4) { 0, 0, 0, 9 }
					Local3[0] = Local2 << 16 | 0xFFFF
					Local3[1] = Local1 & 3
					If (Local1 != 4) {
						Local3[3] = 10 + ((Local1 + Local2 + 3 & 3) >> 1)
					}
					Local0[Local1] = Local3
					Local1++
				}
				Return (Local0)
			}

			Device (ISA)
			{
				Name (_ADR, 0x00010000)

				Device (RTC)
				{
					Name (_HID, EisaId ("PNP0B00"))
					Name (_UID, 0)
					Name (_CRS, ResourceTemplate () {
						IO (Decode16, 0x70, 0x70, 1, 2)
						IRQNoFlags () { 8 }
					})
				}

				Device (KBD)
				{
					Name (_HID, EisaId ("PNP0303"))
					Name (_UID, 0)
					Name (_CRS, ResourceTemplate () {
						IO (Decode16, 0x60, 0x60, 1, 1)
						IO (Decode16, 0x64, 0x64, 1, 1)
						IRQNoFlags () { 1 }
					})
				}

				Device (MOU)
				{
					Name (_HID, EisaId ("PNP0F13"))
					Name (_UID, 0)
					Name (_CRS, ResourceTemplate () {
						IRQNoFlags () { 12 }
					})
				}

				Device (COM1)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 1)
					Name (_CRS, ResourceTemplate () {
						IO (Decode16, 0x3F8, 0x3F8, 1, 8)
						IRQNoFlags () { 4 }
					})

					Method (_STA)
					{
						Return (THER (COMS & 1))
					}
				}

				Device (COM2)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 2)
					Name (_CRS, ResourceTemplate () {
						IO (Decode16, 0x2F8, 0x2F8, 1, 8)
						IRQNoFlags () { 3 }
					})

					Method (_STA)
					{
						Return (THER (COMS & 2))
					}
				}

				Device (COM3)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 3)
					Name (_CRS, ResourceTemplate () {
						IO (Decode16, 0x3E8, 0x3E8, 1, 8)
						IRQNoFlags () { 4 }
					})

					Method (_STA)
					{
						Return (THER (COMS & 4))
					}
				}

				Device (COM4)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 4)
					Name (_CRS, ResourceTemplate () {
						IO (Decode16, 0x2E8, 0x2E8, 1, 8)
						IRQNoFlags () { 3 }
					})

					Method (_STA)
					{
						Return (THER (COMS & 8))
					}
				}
			}
		}

		Device (HPET)
		{
			Name (_HID, EisaId ("PNP0103"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate () {
				Memory32Fixed (ReadOnly, 0xFED00000, 0x400)
			})

			Method (_STA)
			{
				Return (THER (TIMR))
			}
		}
	}
}
