/* sieve/modules.c - opens shared modules at their first use; see modules.h */
#include "sieve/modules.h"

#include <dlfcn.h>

/* Linked in, or NULL. */
extern const SieveMimeModule sieve_mime_module __attribute__((weak));
extern const SieveUnicodeModule sieve_unicode_module __attribute__((weak));

typedef struct {
    const char *file, *symbol;
    const void *module; /* NULL: not loaded yet */
} Module;

/* Why a module could not be loaded. Nothing is tried again as long as it stands: a run that asks
 * for a module at each header fails anyway. */
static GPrivate failure = G_PRIVATE_INIT(g_free);

static Module mime = {.file = "lodge-mime.so", .symbol = "sieve_mime_module"};
static Module unicode = {.file = "lodge-unicode.so", .symbol = "sieve_unicode_module"};

/* From the program's own place: in the build tree, and installed from bin, sbin or libexec/lodge. A
 * RUNPATH would do as well, but then the linker looks there for every library of each program
 * first, 90 system calls a start. */
static void *
open_library(const char *file, GString *failures)
{
    static const char *const places[] = {"../modules", "../lib/lodge", "../../lib/lodge"};

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree char *path = g_strdup_printf("$ORIGIN/%s/%s", places[i], file);
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

        if (library != NULL)
            return library;
        g_string_append_printf(failures, "%s%s", i > 0 ? "; " : "", dlerror());
    }
    return NULL;
}

/* Each module begins with its version. NULL, and why in failures. */
static const void *
open_module(const Module *module, GString *failures)
{
    void *library = open_library(module->file, failures);
    const char *const *version = library == NULL ? NULL : dlsym(library, module->symbol);

    if (library == NULL)
        return NULL;
    if (version != NULL && strcmp(*version, LODGE_VERSION) == 0)
        return version;
    if (version == NULL)
        g_string_assign(failures, dlerror());
    else
        g_string_printf(failures, "%s is of version %s, this program of " LODGE_VERSION,
                        module->file, *version);
    (void)dlclose(library); /* another file may be there the next time */
    return NULL;
}

static const void *
load(Module *module, const void *linked_in)
{
    const void *opened = linked_in != NULL ? linked_in : g_atomic_pointer_get(&module->module);
    g_autoptr(GString) failures = NULL;

    if (opened != NULL || g_private_get(&failure) != NULL)
        return opened;
    failures = g_string_new(NULL);
    opened = open_module(module, failures);
    if (opened != NULL)
        g_atomic_pointer_set(&module->module, opened); /* of two threads, both opened the same */
    else
        g_private_replace(&failure, g_strdup(failures->str));
    return opened;
}

const SieveMimeModule *
sieve_module_mime(void)
{
    return load(&mime, &sieve_mime_module);
}

bool
sieve_mime_is_loaded(void)
{
    return g_atomic_pointer_get(&mime.module) != NULL;
}

void
sieve_mime_load(void)
{
    sieve_modules_begin();
    (void)sieve_module_mime(); /* whoever needs it tries again and fails then */
}

const SieveUnicodeModule *
sieve_module_unicode(void)
{
    return load(&unicode, &sieve_unicode_module);
}

void
sieve_modules_begin(void)
{
    if (g_private_get(&failure) != NULL)
        g_private_replace(&failure, NULL);
}

bool
sieve_modules_check(GError **error)
{
    const char *why = g_private_get(&failure);

    if (why == NULL)
        return true;
    g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_TEMPORARY, "cannot load a module: %s", why);
    return false;
}
