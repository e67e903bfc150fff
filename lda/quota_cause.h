/* lda/quota_cause.h - why does "maildirsize" not say what is there? For `lodge quota verify` */
#ifndef LODGE_LDA_QUOTA_CAUSE_H
#define LODGE_LDA_QUOTA_CAUSE_H

#include "lodge.h"
#include "quota/quota.h"

/* A thing to tell about one mailbox. Both borrowed for ever. */
typedef struct {
    const char *id; /* "removed": for scripts, stable; lodge-quota(1) has the list */
    const char *text;
} QuotaFinding;

/* What verify looked at. */
typedef struct {
    const QuotaSettings *settings;
    const QuotaReport *report;
    bool is_kept;      /* lodge enters what it delivers */
    bool has_marker;   /* "maildirfolder" in the Maildir itself */
    bool has_dot_file; /* a plain file whose name begins with a dot, likewise */
} QuotaEvidence;

enum { QUOTA_MAX_FINDINGS = 8 };

typedef struct {
    bool has_drift; /* the file says something else than what is there, and somebody keeps it */
    QuotaFinding findings[QUOTA_MAX_FINDINGS]; /* the probable cause of drift first */
    size_t count;
} QuotaVerdict;

void quota_find_causes(const QuotaEvidence *evidence, QuotaVerdict *verdict_out);

#endif
