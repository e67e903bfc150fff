/* lda/decimal.h - numbers as text, in the lines that every delivery writes
 *
 * A printf of the file name, the date and the log line costs more instructions than
 * all else that is done to them.
 */
#ifndef LODGE_LDA_DECIMAL_H
#define LODGE_LDA_DECIMAL_H

#include "lodge.h"

/* Appends number, with leading zeroes up to width digits (20 at most). */
void decimal_append(GString *out, guint64 number, unsigned width);

#endif
