/* lda/maildir_name.c - unique file names
 *
 *   1795503224.M176769P29324Q7112301.mail,S=4312,W=4398
 *   seconds    us     pid   sequence host  size   size with CRLF
 *
 * Unique for ever, not only among the files that are there: Dovecot remembers
 * names whose messages are long gone. Within a process the time never stands
 * still or goes back, whatever the clock does; the sequence starts at random, so
 * that containers which share host name and pid do not meet either.
 */
#include "lda/maildir.h"

#include "lda/decimal.h"

enum { HOST_MAX = 100 }; /* with the numbers and all flags a name stays under 255 octets */

/* '/' ends a name and ':' begins the flags; Courier's and Dovecot's spelling of
 * them is octal. ',' would begin a false ",S=". */
static char *
escape_host(const char *host)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (const char *p = host; *p != '\0' && text->len < HOST_MAX; p++) {
        if (g_ascii_isgraph(*p) && strchr("/:,\\", *p) == NULL)
            g_string_append_c(text, *p);
        else
            g_string_append_printf(text, "\\%03o", (uint8_t)*p);
    }
    if (text->len == 0)
        g_string_append(text, "localhost");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

void
maildir_namer_init(MaildirNamer *namer, const char *host, pid_t pid, guint64 first_sequence)
{
    *namer = (MaildirNamer){
        .host = escape_host(host),
        .pid = pid,
        .sequence = first_sequence,
    };
}

void
maildir_namer_clear(MaildirNamer *namer)
{
    g_clear_pointer(&namer->host, g_free);
}

char *
maildir_name_new(MaildirNamer *namer, gint64 now_us, guint64 size, guint64 virtual_size)
{
    gint64 us = MAX(now_us, namer->last_us + 1); /* from 1970 on, therefore */
    GString *name = g_string_sized_new(128);

    namer->last_us = us;
    decimal_append(name, (guint64)us / G_USEC_PER_SEC, 1);
    g_string_append(name, ".M");
    decimal_append(name, (guint64)us % G_USEC_PER_SEC, 6);
    g_string_append_c(name, 'P');
    decimal_append(name, (guint64)namer->pid, 1);
    g_string_append_c(name, 'Q');
    decimal_append(name, namer->sequence++, 1);
    g_string_append_c(name, '.');
    g_string_append(name, namer->host);
    g_string_append(name, ",S=");
    decimal_append(name, size, 1);
    g_string_append(name, ",W=");
    decimal_append(name, virtual_size, 1);
    return g_string_free(name, FALSE);
}
