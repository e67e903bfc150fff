/* lda/log.h - the deliver log, and the operational log
 *
 * Deliver log: one event a line, logfmt or JSON, to a file, syslog or stderr.
 * Trouble with the log never stops mail: a line that cannot be written goes to
 * syslog, and the trouble itself is said there once.
 *
 * Operational messages (started, worker died, bad configuration) go through
 * GLib's g_message(), g_warning() to the same place, as event=message lines.
 * Text from outside is escaped here and nowhere else.
 */
#ifndef LODGE_LDA_LOG_H
#define LODGE_LDA_LOG_H

#include "lodge.h"
#include "lda/config.h"

typedef struct Log Log;

/* Opens the log as configured. Never fails: falls back to syslog. config is borrowed. */
Log *log_open(const LdaConfig *config, const char *program);
void log_close(Log *log);  /* NULL is fine */
void log_reopen(Log *log); /* after logrotate */

/* One line under construction: fields in the order they are added. A NULL value
 * leaves the field out. log_line_write() adds the time in front, writes and frees. */
typedef struct LogLine LogLine;
LogLine *log_line_new(Log *log, const char *event);
void log_line_add(LogLine *line, const char *field, const char *value);
void log_line_add_number(LogLine *line, const char *field, gint64 value);
void log_line_write(LogLine *line);

/* Sends g_message(), g_warning(), g_critical() to log from now on. */
void log_capture_messages(Log *log);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Log, log_close)
#endif
