/* lda/log_line.h - fields to one line of logfmt or JSON
 *
 * Private to log.c. Pure: no clock, no file. Text from outside is escaped here
 * and nowhere else.
 */
#ifndef LODGE_LDA_LOG_LINE_H
#define LODGE_LDA_LOG_LINE_H

#include "lodge.h"
#include "lda/config.h"

/* Longer values are cut, so that a sender does not decide how long a line gets;
 * the longest of ours is a path. */
#define LOG_VALUE_MAX 4096

/* Appends field and value to the line, which starts as "". */
void log_format_text(GString *line, LogFormat format, const char *field, const char *value);
void log_format_number(GString *line, LogFormat format, const char *field, gint64 value);

/* Appends text to out as a JSON string, quotes included. */
void log_append_json(GString *out, const char *text);

/* Ends the line, newline included. */
void log_format_end(GString *line, LogFormat format);

#endif
