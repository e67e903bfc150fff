/* sieve/modules.h - what is loaded only when a script uses it
 *
 * GMime brings GObject, GIO and more, ICU its tables: milliseconds and megabytes for each
 * process, for what most deliveries do without. So the files that call them are shared
 * modules, opened at their first use and never closed. Linked into a program, as into tests,
 * they are used from there.
 *
 * One that cannot be loaded is a fault of the installation, or of the moment: no descriptors, no
 * memory, an upgrade half done. Whoever asked gets NULL and goes on with what there is; but the
 * run fails in the end with SIEVE_ERROR_TEMPORARY, which names the file. The next run tries
 * again.
 *
 * `deliver` has a GLib of its own linked in, and a module brings the shared one. So what crosses
 * is what both see alike: octets, functions, the arena (of libc's memory) and a GString to append
 * to. No GError (its domain is a number of one GLib), nothing that the other side would free.
 */
#ifndef LODGE_SIEVE_MODULES_H
#define LODGE_SIEVE_MODULES_H

#include "lodge.h"
#include "sieve/mime.h"

/* lodge-mime.so: mime_decode.c. The functions are those of mime.h. */
typedef struct {
    const char *version; /* of the build: a module of another one is refused */
    bool (*parameter)(SieveArena *arena, const char *parameters, SieveText name,
                      SieveText *value_out);
    /* False: the arena has no room for *size_out octets. */
    bool (*decode)(SieveArena *arena, SieveText raw, SieveText encoding, bool is_text,
                   SieveText charset, SieveText *content_out, bool *is_sound_out, size_t *size_out);
    void (*append_text_entity)(SieveText text, GString *out);
} SieveMimeModule;
extern const SieveMimeModule sieve_mime_module;

/* lodge-unicode.so: unicode_casemap.c. */
typedef struct {
    const char *version;
    /* Gives what the character at offset origin of text folds to, one after the other; false:
     * text is no UTF-8, and what was given is to be forgotten. */
    bool (*casemap)(SieveText text,
                    void (*take)(const char *octets, size_t len, size_t origin, void *data),
                    void *data);
} SieveUnicodeModule;
extern const SieveUnicodeModule sieve_unicode_module;

/* NULL: it cannot be loaded. */
const SieveMimeModule *sieve_module_mime(void);
const SieveUnicodeModule *sieve_module_unicode(void);

/* Forgets what could not be loaded: it is tried again. At the start of each run. */
void sieve_modules_begin(void);

/* False when a module could not be loaded since then, in this thread. */
bool sieve_modules_check(GError **error);

#endif
