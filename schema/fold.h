/* schema/fold.h - addresses in the form in which they are compared
 *
 * Internal to schema/; others use mailmap_fold_address() and mailmap_fold_domain().
 */
#ifndef LODGE_SCHEMA_FOLD_H
#define LODGE_SCHEMA_FOLD_H

#include "lodge.h"

/* An address taken apart. */
typedef struct {
    char *local;  /* folded if asked for, quoted only where it needs quotes; "" of a catch-all */
    char *domain; /* lower-case A-label */
    char *raw;    /* the local part without quotes, case kept */
} FoldedAddress;

/* Reads "local@domain". Fails with MAILMAP_ERROR_BAD_ADDRESS, also for an empty
 * local part unless catch_all allows "@domain". */
bool fold_address(const char *text, bool fold_local_part, bool catch_all,
                  FoldedAddress *address_out, GError **error);
void fold_address_clear(FoldedAddress *address);

/* Splits the local part as Postfix does (recipient_delimiter): at the first
 * character of delimiters. Stores the folded local part before it in *local_out
 * and the rest, case kept, in *detail_out; false when it is not to be split. */
bool fold_split_detail(const FoldedAddress *address, const char *delimiters, bool fold_local_part,
                       char **local_out, char **detail_out);

/* The U-label form of a lower-case A-label domain; NULL when it has none. */
char *fold_domain_utf8(const char *domain);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(FoldedAddress, fold_address_clear)
#endif
