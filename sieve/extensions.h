/* sieve/extensions.h - every extension by its C name
 *
 * One line for each; the file that defines it is ext_<name>.c, or the file of its group. The
 * list that is walked is in extensions.c.
 */
#ifndef LODGE_SIEVE_EXTENSIONS_H
#define LODGE_SIEVE_EXTENSIONS_H

#include "sieve/extension.h"

extern const SieveExtension sieve_ext_core_commands, sieve_ext_core_tests; /* RFC 5228 */
extern const SieveExtension sieve_ext_body;
extern const SieveExtension sieve_ext_comparator_ascii_numeric;
extern const SieveExtension sieve_ext_comparator_ascii_casemap;
extern const SieveExtension sieve_ext_comparator_octet;
extern const SieveExtension sieve_ext_comparator_unicode_casemap;
extern const SieveExtension sieve_ext_copy;
extern const SieveExtension sieve_ext_date;
extern const SieveExtension sieve_ext_duplicate;
extern const SieveExtension sieve_ext_editheader;
extern const SieveExtension sieve_ext_enclose;
extern const SieveExtension sieve_ext_enotify;
extern const SieveExtension sieve_ext_envelope;
extern const SieveExtension sieve_ext_envelope_dsn;
extern const SieveExtension sieve_ext_environment;
extern const SieveExtension sieve_ext_ereject;
extern const SieveExtension sieve_ext_extlists;
extern const SieveExtension sieve_ext_extracttext;
extern const SieveExtension sieve_ext_fcc;
extern const SieveExtension sieve_ext_fileinto;
extern const SieveExtension sieve_ext_foreverypart;
extern const SieveExtension sieve_ext_ihave;
extern const SieveExtension sieve_ext_imap4flags;
extern const SieveExtension sieve_ext_include;
extern const SieveExtension sieve_ext_index;
extern const SieveExtension sieve_ext_mailbox;
extern const SieveExtension sieve_ext_mailboxid;
extern const SieveExtension sieve_ext_mime;
extern const SieveExtension sieve_ext_redirect_dsn;
extern const SieveExtension sieve_ext_regex;
extern const SieveExtension sieve_ext_reject;
extern const SieveExtension sieve_ext_relational;
extern const SieveExtension sieve_ext_replace;
extern const SieveExtension sieve_ext_spamtest;
extern const SieveExtension sieve_ext_spamtestplus;
extern const SieveExtension sieve_ext_special_use;
extern const SieveExtension sieve_ext_subaddress;
extern const SieveExtension sieve_ext_vacation;
extern const SieveExtension sieve_ext_vacation_seconds;
extern const SieveExtension sieve_ext_variables;
extern const SieveExtension sieve_ext_virustest;
extern const SieveExtension sieve_ext_vnd_dovecot_debug;
extern const SieveExtension sieve_ext_vnd_dovecot_environment;
extern const SieveExtension sieve_ext_vnd_dovecot_execute;
extern const SieveExtension sieve_ext_vnd_dovecot_filter;
extern const SieveExtension sieve_ext_vnd_dovecot_pipe;

#endif
