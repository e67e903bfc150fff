/* lda/srs.h - sender rewriting, so that redirected mail passes SPF
 *
 *   ana@example.org --srs_forward()--> SRS0=HHHH=TT=example.org=ana@our.domain
 *                   <--srs_reverse()--
 *
 * The scheme of Mail::SRS, libsrs2 and postsrsd with their hash, so that a secret can be
 * shared with them and a mail system can change over while bounces are under way.
 */
#ifndef LODGE_LDA_SRS_H
#define LODGE_LDA_SRS_H

#include "lodge.h"

#define SRS_ERROR srs_error_quark()
GQuark srs_error_quark(void);
typedef enum {
    SRS_ERROR_FORM,    /* not an address of this scheme */
    SRS_ERROR_HASH,    /* not one of ours, or tampered with */
    SRS_ERROR_EXPIRED, /* too old, or from the future */
    SRS_ERROR_SECRET,  /* the file of secrets cannot be used */
} SrsError;

enum { SRS_VALID_DAYS = 21 }; /* as its peers: bounces come within days */

/* Secrets of a file, one a line, blank lines skipped; NULL-terminated. Fails with
 * SRS_ERROR_SECRET. Free with srs_secrets_free(). */
char **srs_secrets_load(const char *path, GError **error);
void srs_secrets_free(char **secrets); /* NULL is fine */

/* Rewrites sender so that mail to it comes to domain. Unchanged when it is the null sender, is at
 * domain already, or has no domain. now in seconds since the epoch. Free with g_free(). */
char *srs_forward(const char *sender, const char *domain, const char *const *secrets, gint64 now);

/* The address behind a rewritten one. Free with g_free(). */
char *srs_reverse(const char *address, const char *const *secrets, gint64 now, GError **error);

#endif
