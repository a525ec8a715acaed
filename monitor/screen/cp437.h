/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Code page 437, which a PC's text modes show, in Unicode (Unicode Consortium, CP437.TXT). */
#ifndef RF_MONITOR_SCREEN_CP437_H
#define RF_MONITOR_SCREEN_CP437_H

#include "x86/types.h"

#define CP437_UTF8_MOST 3 /* bytes of a character */

/* What the screen shows for character. */
uint16_t cp437_unicode(uint8_t character);
/* Stores it as UTF-8 at out, up to CP437_UTF8_MOST bytes and no zero; returns what is after it. */
char *cp437_put_utf8(char *out, uint8_t character);

#endif
