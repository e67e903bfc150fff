/* schema/mailmap.c - whose mailbox is this address? See mailmap.h. */
#include "schema/mailmap.h"

G_DEFINE_QUARK(lodge_mailmap_error, mailmap_error)

void
mailbox_free(Mailbox *mailbox)
{
    if (mailbox == NULL)
        return;
    g_free(mailbox->address);
    g_free(mailbox->user);
    g_free(mailbox->detail);
    g_free(mailbox->home);
    g_free(mailbox->maildir);
    g_free(mailbox->sieve);
    g_free(mailbox);
}
