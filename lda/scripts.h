/* lda/scripts.h - finds the scripts of a recipient, and compiles each once
 *
 *   [sieve] before --> the row's script, or [sieve] script, or [sieve] default --> after
 *
 * Paths and links are those of Dovecot, so that its ManageSieve and webmail filters work
 * unchanged: %h/.dovecot.sieve is usually a link into %h/sieve/. A compiled script is shared by
 * all deliveries of a process for as long as its file stays the same: an unchanged script
 * costs one stat(2), a missing one too.
 */
#ifndef LODGE_LDA_SCRIPTS_H
#define LODGE_LDA_SCRIPTS_H

#include "lodge.h"
#include "lda/config.h"
#include "schema/mailmap.h"

typedef struct Scripts Scripts; /* of a process */

/* config is borrowed for the life of the result. */
Scripts *scripts_new(const LdaConfig *config);
void scripts_free(Scripts *scripts); /* NULL is fine */

/* One script of a chain. */
typedef struct {
    char *path;
    bool is_personal;      /* the user's own: complaints are for the user's eyes */
    SieveScript *script;   /* NULL: it cannot be run */
    GPtrArray *complaints; /* of SieveComplaint: errors when there is no script, warnings */
    char *version;         /* differs when the file does */
} ScriptLink;

/* The scripts for mailbox in their order; an empty list or NULL with no error: none. Call with the
 * rights of the recipient. What is there but cannot be read is G_FILE_ERROR: the delivery waits.
 * Lives no longer than scripts. Free with g_ptr_array_unref(). */
GPtrArray *scripts_chain(Scripts *scripts, const Mailbox *mailbox, const char *home,
                         GError **error);

/* As sieve_script_compile(), for the engine that the configuration names. */
SieveScript *scripts_compile(const LdaConfig *config, const char *name, const char *text,
                             size_t len, GPtrArray *complaints);

/* include: the script NAME of the directory. *script_out is NULL when there is none, or when it
 * does not compile; complaints, which may be NULL, then has its errors. */
bool scripts_include(Scripts *scripts, const char *directory, const char *name,
                     SieveScript **script_out, GPtrArray *complaints, GError **error);

/* Path of a setting or row for mailbox: expanded, and below home unless absolute. */
char *scripts_path(const char *template, const Mailbox *mailbox, const char *home, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Scripts, scripts_free)
#endif
