/* sieve/reply.h - what every message needs that answers or reports another
 *
 * Used by vacation, reject and notify. Whatever comes from a message or out of a
 * variable becomes a C string here that cannot add a line to a header.
 */
#ifndef LODGE_SIEVE_REPLY_H
#define LODGE_SIEVE_REPLY_H

#include "lodge.h"
#include "sieve/run.h"

/* One line of valid UTF-8: controls, NUL and line ends among them, become blanks; blanks at
 * both ends are dropped. */
char *sieve_reply_line(SieveArena *arena, SieveText text);

/* Lines of valid UTF-8 with LF ends: NUL and other controls but TAB are dropped. */
char *sieve_reply_lines(SieveArena *arena, SieveText text);

bool sieve_reply_has_controls(SieveText text);

/* Of the message of the run; NULL when it has none. */
char *sieve_reply_subject(SieveRun *run);    /* decoded */
char *sieve_reply_message_id(SieveRun *run); /* with its brackets */
char *sieve_reply_references(SieveRun *run); /* RFC 5322 section 3.6.4, Message-ID included */
char *sieve_reply_header(SieveRun *run, const char *name); /* any field, decoded, one line */

/* "Ana <ana@example.org>", or the address alone where there is no name. */
char *sieve_reply_mailbox(SieveArena *arena, const SieveAddress *address);

/* The value of Auto-Submitted unless it is "no" (RFC 3834 section 5). */
char *sieve_reply_auto_submitted(SieveRun *run);

#endif
