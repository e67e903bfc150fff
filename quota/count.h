/* quota/count.h - counts a mailbox while others use it */
#ifndef LODGE_QUOTA_COUNT_H
#define LODGE_QUOTA_COUNT_H

#include "lodge.h"
#include "quota/ledger.h"
#include "quota/quota.h"
#include "quota/usage_file.h"

/* Counts what is stored, without the files of reservations, and writes it as a new "maildirsize",
 * which file has then. When the mailbox will not keep still, or nothing can be written, file is
 * closed, and there is none: the next one counts again. To be called under the mutex. Fails with
 * G_FILE_ERROR when something could not be read, or the old file not be removed. */
bool quota_count(Ledger *ledger, const QuotaSettings *settings, UsageFile *file, gint64 now_us,
                 QuotaUsage *usage_out, GError **error);

/* Counts what is in one folder, likewise without the files of reservations. */
bool quota_count_folder(Ledger *ledger, const QuotaSettings *settings, const char *directory,
                        QuotaUsage *usage_out, GError **error);

#endif
